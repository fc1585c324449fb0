/*
 * workflow.h
 *		A workflow's configuration, compiled.
 */
#ifndef KIN_TR_ROUTING_WORKFLOW_H
#define KIN_TR_ROUTING_WORKFLOW_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/jsonb.h"

#include "base/sid.h"
#include "expr/expr.h"

/* So many different attributes of workers may the expressions of a workspace read. */
#define KT_MAX_WORKER_PATHS 500

/* One step of a filter.  What is absent is NULL or zero. */
typedef struct KtTarget
{
	const char *fault;			/* NULL: it can be used */
	KtSid		queue;
	bool		has_priority;
	int32		priority;
	int32		timeout;		/* seconds; 0: until the task's TTL */
	const KtExpr *expression;
	const KtOrder *order_by;
	const KtExpr *skip_if;
	const KtPath *known_worker; /* a path of the task's attributes ... */
	bool		known_by_name;	/* ... that leads to a friendly_name, not a sid */
} KtTarget;

/* The queue that a configuration names; false where there is none. */
typedef bool (*KtQueueLookup) (void *context, const char *name, KtSid *sid);

typedef struct KtFilter
{
	JsonbContainer *object;
	const char *friendly_name;	/* NULL where it has none */
	const KtExpr *expression;	/* this and each target is NULL until it is asked for */
	const char *fault;			/* of the expression; NULL: none is known */
	int			ntargets;
	JsonbContainer *target_objects;
	KtTarget  **targets;
} KtFilter;

/*
 * It may be a megabyte, of which most tasks need little: a filter's expression and
 * each target are compiled when they are asked for.
 */
typedef struct KtWorkflowConfiguration
{
	MemoryContext context;		/* of all that it is */
	KtSid		workflow;
	KtQueueLookup lookup;
	void	   *lookup_context;
	int			nfilters;
	KtFilter   *filters;
	JsonbContainer *default_object; /* default_filter; NULL where there is none */
	KtTarget   *default_target; /* NULL until it is asked for */
} KtWorkflowConfiguration;

/* Something wrong with a configuration, or, as a warning, that probably is. */
typedef struct KtWorkflowFault
{
	char	   *place;			/* task_routing.filters[0].targets[1].queue */
	char	   *message;
	char	   *hint;			/* or NULL */
	int			position;		/* in the expression, from 1; 0 where it is none */
} KtWorkflowFault;

/*
 * Checks and compiles all of a configuration, in the current memory context.  Faults,
 * in their order, are appended to *faults, and warnings, which are looked for unless
 * NULL, to *warnings.  Without a look-up every name of a queue is believed.
 */
extern void kt_workflow_check(Jsonb *configuration, KtQueueLookup lookup, void *context,
							  List **faults, List **warnings);

/*
 * A workflow's, which has been checked, to be used: in the current memory context, in
 * which it must be itself.  From here on a fault is an error.
 */
extern KtWorkflowConfiguration *kt_workflow_open(const KtSid *workflow, Jsonb *configuration,
												 KtQueueLookup lookup, void *context);

/* Of the filter's number or, of that many as there are filters, of default_filter. */
extern const KtTarget *kt_workflow_target(KtWorkflowConfiguration *configuration, int filter, int target);
extern const KtExpr *kt_workflow_filter(KtWorkflowConfiguration *configuration, int filter);

#endif							/* KIN_TR_ROUTING_WORKFLOW_H */
