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

typedef struct KtFilter
{
	const char *friendly_name;	/* NULL where it has none */
	const KtExpr *expression;
	int			ntargets;
	KtTarget   *targets;
} KtFilter;

typedef struct KtWorkflowConfiguration
{
	int			nfilters;
	KtFilter   *filters;
	KtTarget   *default_target; /* default_filter; NULL where there is none */
} KtWorkflowConfiguration;

/* Something wrong with a configuration, or, as a warning, that probably is. */
typedef struct KtWorkflowFault
{
	char	   *place;			/* task_routing.filters[0].targets[1].queue */
	char	   *message;
	char	   *hint;			/* or NULL */
	int			position;		/* in the expression, from 1; 0 where it is none */
} KtWorkflowFault;

/* The queue that a configuration names; false where there is none. */
typedef bool (*KtQueueLookup) (void *context, const char *name, KtSid *sid);

/*
 * Compiles a configuration into the current memory context.  Faults, in their
 * order, are appended to *faults; with any, the result must not be used.
 * Warnings, which are looked for unless NULL, are of the same type.  Without a
 * look-up every name of a queue is believed.
 */
extern KtWorkflowConfiguration *kt_workflow_compile(Jsonb *configuration, KtQueueLookup lookup,
													void *context, List **faults, List **warnings);

#endif							/* KIN_TR_ROUTING_WORKFLOW_H */
