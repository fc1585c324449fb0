/*
 * placement.h
 *		Where a task stands in its workflow: filter, target, queue, group.
 */
#ifndef KIN_TR_ROUTING_PLACEMENT_H
#define KIN_TR_ROUTING_PLACEMENT_H

#include "postgres.h"

#include "routing/task.h"

/* Why a task leaves a step. */
typedef enum KtLeave
{
	KT_LEAVE_TIMEOUT,
	KT_LEAVE_SKIP
} KtLeave;

/*
 * Puts a new task, or one that is evaluated again, at the first matching
 * filter's first target; events are added.  An error KT004 where no filter
 * fits and there is no default; or false, where may_fail.
 */
extern bool kt_place(KtConfig *config, KtTask *task, TimestampTz now, bool may_fail);

/* On to the next step.  False where the workflow ends here: cancel the task. */
extern bool kt_place_next(KtConfig *config, KtTask *task, KtLeave why, TimestampTz now);

/* What puts a task in its place among those of its group. */
extern void kt_order_keys(const KtTaskQueue *queue, int32 priority, TimestampTz virtual_start_time,
						  int64 *key1, int64 *key2);

/*
 * Computes the group, its order in it and wake_at from the rest of the row.
 * Whoever changes what these follow from calls this before kt_task_store().
 */
extern void kt_place_in_group(KtConfig *config, KtTask *task, TimestampTz now);

/* The target that a task stands at; NULL where it is routed directly. */
extern const KtTarget *kt_task_target(KtConfig *config, const KtTask *task);

/* Of a target: the worker that a task's known-worker reference means; NULL value: none. */
extern KtValue kt_known_worker(const KtTarget *target, Jsonb *attributes);

#endif							/* KIN_TR_ROUTING_PLACEMENT_H */
