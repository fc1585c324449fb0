/*
 * config.h
 *		Workspaces, queues, workflows, channels and activities as C structs.
 *
 * They change seldom and are read at every task, so each process keeps those
 * that it used, compiled.  A change of one of the tables behind them sends an
 * invalidation to every backend when it commits.
 */
#ifndef KIN_TR_ROUTING_CONFIG_H
#define KIN_TR_ROUTING_CONFIG_H

#include "postgres.h"

#include "fmgr.h"

#include "base/sid.h"
#include "routing/workflow.h"

typedef struct KtWorkspace
{
	KtSid		sid;			/* hash key */
	const char *friendly_name;
	KtSid		default_activity;
	KtSid		timeout_activity;
	bool		lifo_first;		/* prioritize_queue_order */
} KtWorkspace;

typedef struct KtActivity
{
	KtSid		sid;			/* hash key */
	KtSid		workspace;
	const char *friendly_name;
	bool		available;
} KtActivity;

typedef struct KtTaskChannel
{
	KtSid		sid;			/* hash key */
	KtSid		workspace;
	const char *unique_name;
	bool		optimized;		/* channel_optimized_routing */
} KtTaskChannel;

typedef struct KtTaskQueue
{
	KtSid		sid;			/* hash key */
	KtSid		workspace;
	const char *friendly_name;
	const char *target_workers; /* as text; may be empty: no worker fits */
	const KtExpr *expression;	/* NULL where target_workers is empty */
	int			max_reserved_workers;
	bool		lifo;
	MemoryContext context;		/* of its texts and its expression */
} KtTaskQueue;

/* A workflow as it was at one version of its configuration. */
typedef struct KtWorkflow
{
	struct
	{
		KtSid		sid;
		int32		version;
	}			key;			/* hash key */
	KtSid		workspace;
	const char *friendly_name;
	int32		reservation_timeout;	/* seconds; of the workflow as it is now */
	int32		default_priority;
	int32		evaluated_version;	/* tasks of earlier ones are placed anew when they come back */
	KtWorkflowConfiguration *configuration;
	MemoryContext context;		/* of its texts and its configuration */
} KtWorkflow;

typedef struct KtConfig KtConfig;

/*
 * The backend's own.  Pointers into it are good until the next call of
 * kt_config(), which each SQL-callable function makes once, at its start.
 */
extern KtConfig *kt_config(void);

/* Counts the refreshes, for those who keep what follows from it. */
extern uint64 kt_config_generation(void);

/* One that lives as long as its context and is never refreshed as a whole: the router's. */
extern KtConfig *kt_config_create(MemoryContext context);

/* Forgets what it knows of one workspace; nothing that was found of it may be used again. */
extern void kt_config_forget(KtConfig *config, const KtSid *workspace);

/* NULL where there is no such object.  Call inside kt_spi_begin() .. kt_spi_end(). */
extern const KtWorkspace *kt_config_workspace(KtConfig *config, const KtSid *sid);
extern const KtActivity *kt_config_activity(KtConfig *config, const KtSid *sid);
extern const KtTaskChannel *kt_config_task_channel(KtConfig *config, const KtSid *sid);
extern const KtTaskQueue *kt_config_task_queue(KtConfig *config, const KtSid *sid);
extern const KtWorkflow *kt_config_workflow(KtConfig *config, const KtSid *sid, int32 version);

/*
 * The object of a kind (KT_ACTIVITY, KT_TASK_QUEUE ...) that a SID or a name
 * means in a workspace; an error, with a hint, where there is none.
 */
extern KtSid kt_config_resolve(KtConfig *config, const char *kind, const char *name,
							   const KtSid *workspace);
extern bool kt_config_find(KtConfig *config, const char *kind, const char *name,
						   const KtSid *workspace, KtSid *sid);

/*
 * The same, and locked against deletion until the transaction ends.
 *
 * Creating a task holds this shared lock on the queue, workflow and channel
 * that it uses, deleting one of these an exclusive one.  A foreign key would do
 * the same with a write to the parent's row for every task: measured at a
 * quarter of the whole cost of creating one.
 */
extern KtSid kt_config_resolve_and_lock(const char *kind, const char *name, const KtSid *workspace);
extern bool kt_config_find_and_lock(const char *kind, const char *name, const KtSid *workspace,
									KtSid *sid);
extern bool kt_config_lock_exclusive(const KtSid *sid); /* false: it is in use */

/* The version that a workflow is at; 0 where there is none. */
extern int32 kt_config_workflow_version(KtConfig *config, const KtSid *sid);

/* The workspace's only workflow; false where it has none or several. */
extern bool kt_config_only_workflow(KtConfig *config, const KtSid *workspace, KtSid *sid);

/* The workspace that an object belongs to; false where there is no such object. */
extern bool kt_config_workspace_of(const KtSid *sid, KtSid *workspace);

/* "task queue" for KT_TASK_QUEUE, and so on: for messages. */
extern const char *kt_kind_name(const char *kind);

/* A sentence for a text that is the SID of something else than a kind; NULL where it is none. */
extern char *kt_kind_mistaken(const char *kind, const char *text);

/*
 * The names, char *, that a workspace has of a kind, in order; of very many not
 * all.  Call inside kt_spi_begin() .. kt_spi_end().
 */
extern List *kt_config_names(const char *kind, const KtSid *workspace, bool *complete);

/* An argument that is the SID of a kind that has no names; an error where it is not. */
extern KtSid kt_config_sid_argument(FunctionCallInfo fcinfo, int argument, const char *kind);

/* A KtQueueLookup; context is the workspace's KtSid. */
extern bool kt_queue_lookup(void *context, const char *name, KtSid *sid);

#endif							/* KIN_TR_ROUTING_CONFIG_H */
