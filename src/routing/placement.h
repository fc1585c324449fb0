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

/*
 * Puts a new task where another stands that it replaces: at its step, in its
 * queue, with its priority.  What was left of the deadlines counts from the new
 * task's time on.
 */
extern void kt_place_like(KtConfig *config, KtTask *task, const KtTask *other, TimestampTz now);

/*
 * A task that is pending goes through its workflow's present version from the top:
 * one that was waiting when it was updated with re_evaluate_tasks, or one that
 * comes back after that.  False where no step of it is left: cancel the task.
 */
extern bool kt_place_anew(KtConfig *config, KtTask *task, TimestampTz now);
extern bool kt_workflow_is_to_be_evaluated(KtConfig *config, const KtTask *task);

/* On to the next step.  False where the workflow ends here: cancel the task. */
extern bool kt_place_next(KtConfig *config, KtTask *task, KtLeave why, TimestampTz now);

/* What puts a task in its place among those of its group. */
extern void kt_order_keys(const KtTaskQueue *queue, const KtSid *sid, int32 priority,
						  TimestampTz virtual_start_time, int64 *key1, int64 *key2);

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
