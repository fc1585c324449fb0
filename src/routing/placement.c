/*
 * placement.c
 *		Where a task stands in its workflow.
 *
 * This is sections 2.2 of the TaskRouter reference but for the choice of a
 * worker: it runs in the transaction that creates or changes the task.
 *
 * Deadlines of steps are cumulative: a step's is the moment the task entered
 * its workflow plus the time-outs of all steps up to this one, whether they
 * were waited out or skipped.  deadline_base carries that sum.
 *
 * A waiting task belongs to a group, the tasks that are the same to a router:
 * same queue, step, channel, known worker, and same values of what the step's
 * expression reads of a task.  The group's key is a hash of these, so that an
 * index finds each group's first task; the router reads from that row what the
 * group is.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "port/pg_bswap.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/text.h"
#include "routing/attributes.h"
#include "routing/placement.h"

static const KtWorkflow *
workflow_of(KtConfig *config, const KtTask *task)
{
	const KtWorkflow *workflow = kt_config_workflow(config, &task->workflow, task->workflow_version);

	if (workflow == NULL)
		elog(ERROR, "version %d of workflow %s does not exist", task->workflow_version,
			 kt_sid_cstring(&task->workflow));
	return workflow;
}

const KtTarget *
kt_task_target(KtConfig *config, const KtTask *task)
{
	return task->filter == KT_DIRECT ? NULL :
		kt_workflow_target(workflow_of(config, task)->configuration, task->filter, task->target);
}

KtValue
kt_known_worker(const KtTarget *target, Jsonb *attributes)
{
	KtValue		value = {KT_VALUE_NULL};

	if (target != NULL && target->known_worker != NULL)
		value = kt_attributes_read(attributes, target->known_worker);
	if (value.kind != KT_VALUE_STRING)
		value.kind = KT_VALUE_NULL;
	return value;
}

/* An array of more items is read once, however many filters ask for it. */
#define LONG_ARRAY 16

/* What expressions read of a task that is being placed, at a moment. */
typedef struct Reading
{
	Jsonb	   *attributes;
	TimestampTz now;
	List	   *arrays;			/* LongArray: those that have been read */
} Reading;

typedef struct LongArray
{
	const char *path;
	KtValue		value;
} LongArray;

static KtValue
read_attribute(Reading *reading, const KtPath *path)
{
	KtValue		value;
	ListCell   *cell;

	foreach(cell, reading->arrays)
	{
		const LongArray *array = lfirst(cell);

		if (strcmp(array->path, path->text) == 0)
			return array->value;
	}
	value = kt_attributes_read(reading->attributes, path);
	if (value.kind == KT_VALUE_ARRAY && value.length > LONG_ARRAY)
	{
		LongArray  *array = palloc(sizeof(LongArray));

		array->path = path->text;
		array->value = value;
		reading->arrays = lappend(reading->arrays, array);
	}
	return value;
}

/* Does an expression hold, as far as it can be known in the creating transaction? */
static bool
holds(const KtExpr *expression, Reading *reading)
{
	KtValue    *values = palloc0(sizeof(KtValue) * Max(expression->npaths, 1));
	bool		result;

	for (uint32 i = 0; i < expression->npaths; i++)
	{
		if (expression->paths[i].subject == KT_SUBJECT_TASK)
			values[i] = read_attribute(reading, &expression->paths[i]);
		else if (expression->paths[i].subject == KT_SUBJECT_TASKROUTER)
			values[i] = kt_time_read(reading->now, &expression->paths[i]);
	}
	result = kt_expr_evaluate(expression, values);
	pfree(values);
	return result;
}

/* The first filter from this one on that the task fits; nfilters: none. */
static int
matching_filter(KtWorkflowConfiguration *configuration, int from, Reading *reading)
{
	for (int i = from; i < configuration->nfilters; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (holds(kt_workflow_filter(configuration, i), reading))
			return i;
	}
	return configuration->nfilters;
}

/*
 * Can it be told already that no worker will be found and skip_if is true?
 * That is so where a known worker is asked for and the task names none, and
 * skip_if does not look at the queue's workers.
 */
static bool
skips_at_once(const KtTarget *target, const KtTask *task, Reading *reading)
{
	if (task->not_before != KT_NEVER && task->not_before > reading->now)
		return false;
	return target->known_worker != NULL && target->skip_if != NULL &&
		(target->skip_if->subjects & (1 << KT_SUBJECT_WORKERS)) == 0 &&
		kt_known_worker(target, task->attributes).kind == KT_VALUE_NULL &&
		holds(target->skip_if, reading);
}

static void
enter_queue(KtConfig *config, KtTask *task, const KtSid *queue, TimestampTz now)
{
	if (kt_sid_equal(&task->task_queue, queue))
		return;
	if (!kt_sid_is_null(&task->task_queue))
		kt_task_event(config, task, "task-queue.moved", now);
	task->task_queue = *queue;
	/* A callback enters its queue when its time comes: kt_task_due() says so then. */
	task->queue_entered = now;
	if (task->not_before != KT_NEVER && task->not_before > now)
		task->queue_entered = task->not_before;
	else
		kt_task_event(config, task, "task-queue.entered", now);
}

static void
enter_step(KtConfig *config, KtTask *task, int filter, int target_number, TimestampTz now)
{
	const KtTarget *target;

	task->filter = filter;
	task->target = target_number;
	target = kt_task_target(config, task);
	if (target->has_priority)
		task->priority = target->priority;
	task->step_deadline = KT_NEVER;
	if (target->timeout > 0)
	{
		task->deadline_base += target->timeout * USECS_PER_SEC;
		task->step_deadline = task->deadline_base;
	}
	task->step_tried = target->skip_if == NULL;
	enter_queue(config, task, &target->queue, now);
	kt_task_event(config, task, "workflow.target-matched", now);
}

/*
 * Enters a step, and the next one where this one can be seen to be skipped.
 * False: skipped to the end of the workflow.
 */
static bool
enter(KtConfig *config, KtTask *task, int filter, int target, Reading *reading)
{
	KtWorkflowConfiguration *configuration = workflow_of(config, task)->configuration;

	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		if (filter == configuration->nfilters && configuration->default_object == NULL)
			return false;
		enter_step(config, task, filter, target, reading->now);
		if (!skips_at_once(kt_task_target(config, task), task, reading))
			return true;
		if (filter == configuration->nfilters)
			return false;
		if (++target >= configuration->filters[filter].ntargets)
		{
			filter = matching_filter(configuration, filter + 1, reading);
			target = 0;
		}
	}
}

bool
kt_place(KtConfig *config, KtTask *task, TimestampTz now, bool may_fail)
{
	const KtWorkflow *workflow = workflow_of(config, task);
	Reading		reading = {task->attributes, now};
	int			filter = matching_filter(workflow->configuration, 0, &reading);

	if (filter == workflow->configuration->nfilters &&
		workflow->configuration->default_object == NULL)
	{
		if (may_fail)
			return false;
		ereport(ERROR,
				(errcode(KT_ERRCODE_NO_FILTER),
				 errmsg("no filter of workflow \"%s\" fits the task, and it has no default_filter",
						workflow->friendly_name),
				 errdetail("The task's attributes are %s.",
						   kt_text_excerpt(JsonbToCString(NULL, &task->attributes->root,
														  VARSIZE(task->attributes)))),
				 errhint("Try the filters with kin_tr.evaluate_expression(), or add a default_filter.")));
	}
	kt_task_event(config, task, "workflow.entered", now);
	if (!enter(config, task, filter, 0, &reading))
	{
		if (may_fail)
			return false;
		ereport(ERROR,
				(errcode(KT_ERRCODE_NO_FILTER),
				 errmsg("every step of workflow \"%s\" that fits the task is skipped, and it has no default_filter",
						workflow->friendly_name),
				 errhint("Add a default_filter, or a step that is not skipped.")));
	}
	kt_place_in_group(config, task, now);
	return true;
}

void
kt_place_like(KtConfig *config, KtTask *task, const KtTask *other, TimestampTz now)
{
	int64		later = task->not_before == KT_NEVER ? 0 : Max(task->not_before - now, 0);

	task->workflow_version = other->workflow_version;
	task->filter = other->filter;
	task->target = other->target;
	task->priority = other->priority;
	task->deadline_base = other->deadline_base + later;
	task->step_deadline = other->step_deadline == KT_NEVER ? KT_NEVER : other->step_deadline + later;
	task->step_tried = kt_task_target(config, task)->skip_if == NULL;
	kt_task_event(config, task, "workflow.entered", now);
	enter_queue(config, task, &other->task_queue, now);
	kt_task_event(config, task, "workflow.target-matched", now);
	kt_place_in_group(config, task, now);
}

bool
kt_place_anew(KtConfig *config, KtTask *task, TimestampTz now)
{
	task->workflow_version = kt_config_workflow_version(config, &task->workflow);
	task->deadline_base = task->not_before == KT_NEVER ? task->date_created :
		Max(task->date_created, task->not_before);
	task->step_deadline = KT_NEVER;
	return kt_place(config, task, now, true);
}

bool
kt_workflow_is_to_be_evaluated(KtConfig *config, const KtTask *task)
{
	return workflow_of(config, task)->evaluated_version > task->workflow_version;
}

bool
kt_place_next(KtConfig *config, KtTask *task, KtLeave why, TimestampTz now)
{
	KtWorkflowConfiguration *configuration;
	Reading		reading = {task->attributes, now};
	int			filter = task->filter;
	int			target = task->target + 1;

	if (filter == KT_DIRECT)
		return false;
	configuration = workflow_of(config, task)->configuration;
	if (filter == configuration->nfilters)
		return false;
	if (target >= configuration->filters[filter].ntargets)
	{
		filter = matching_filter(configuration, filter + 1, &reading);
		target = 0;
		/* A time-out never leads to the default_filter. */
		if (filter == configuration->nfilters && why == KT_LEAVE_TIMEOUT)
			return false;
	}
	if (!enter(config, task, filter, target, &reading))
		return false;
	kt_place_in_group(config, task, now);
	return true;
}

/* Feeds both halves of a group's key. */
static void
mix(uint64 *key, const void *bytes, size_t length)
{
	key[0] = hash_combine64(key[0], hash_bytes_extended(bytes, length, 0x6b696e));
	key[1] = hash_combine64(key[1], hash_bytes_extended(bytes, length, 0x7472));
}

static void
mix_value(uint64 *key, const KtValue *value)
{
	uint8		kind = value->kind;

	mix(key, &kind, 1);
	switch (value->kind)
	{
		case KT_VALUE_BOOL:
			mix(key, &value->boolean, sizeof(bool));
			break;
		case KT_VALUE_INTEGER:
			mix(key, &value->integer, sizeof(int64));
			break;
		case KT_VALUE_STRING:
		case KT_VALUE_DECIMAL:
			mix(key, value->text, value->length);
			break;
		case KT_VALUE_ARRAY:
			mix(key, &value->length, sizeof(value->length));
			for (uint32 i = 0; value->items != NULL && i < value->length; i++)
				mix_value(key, &value->items[i]);
			break;
		case KT_VALUE_NULL:
		case KT_VALUE_OBJECT:
			break;
	}
}

static pg_uuid_t
group_key(KtConfig *config, const KtTask *task)
{
	const KtTarget *target = kt_task_target(config, task);
	uint64		key[2] = {0, 0};
	pg_uuid_t	group;

	mix(key, &task->workspace, sizeof(KtSid));
	mix(key, &task->task_queue, sizeof(KtSid));
	mix(key, &task->task_channel, sizeof(KtSid));
	mix(key, &task->routing_target, sizeof(KtSid));
	mix(key, &task->ignore_capacity, sizeof(bool));
	mix(key, &task->workflow, sizeof(KtSid));
	mix(key, &task->workflow_version, sizeof(int32));
	mix(key, &task->filter, sizeof(int32));
	mix(key, &task->target, sizeof(int32));
	if (target != NULL)
	{
		KtValue		known = kt_known_worker(target, task->attributes);

		mix_value(key, &known);
		for (uint32 i = 0; target->expression != NULL && i < target->expression->npaths; i++)
		{
			const KtPath *path = &target->expression->paths[i];

			if (path->subject == KT_SUBJECT_TASK)
			{
				KtValue		value = kt_attributes_read(task->attributes, path);

				mix_value(key, &value);
			}
		}
	}
	memcpy(group.data, key, sizeof(group.data));
	return group;
}

static TimestampTz
wake_time(const KtTask *task, TimestampTz now)
{
	if (task->not_before != KT_NEVER && task->not_before > now)
		return task->not_before;
	return Min(task->expires_at, task->step_deadline);
}

/* FIFO: priority, then age.  LIFO: newest first, whatever the priority; among those of one moment, too. */
void
kt_order_keys(const KtTaskQueue *queue, const KtSid *sid, int32 priority, TimestampTz virtual_start_time,
			  int64 *key1, int64 *key2)
{
	bool		lifo = queue != NULL && queue->lifo;
	uint64		created;

	if (!lifo)
	{
		*key1 = -(int64) priority;
		*key2 = virtual_start_time;
		return;
	}
	/* Sids rise with the moment in which they were drawn: their first half. */
	memcpy(&created, sid->id, sizeof(created));
	*key1 = -virtual_start_time;
	*key2 = -(int64) (pg_ntoh64(created) & PG_INT64_MAX);
}

void
kt_place_in_group(KtConfig *config, KtTask *task, TimestampTz now)
{
	const KtTaskQueue *queue = NULL;

	task->waiting = task->status == KT_TASK_PENDING &&
		(task->not_before == KT_NEVER || task->not_before <= now);
	if (!task->waiting)
	{
		if (task->status == KT_TASK_PENDING)
			task->wake_at = wake_time(task, now);
		return;
	}
	task->group = group_key(config, task);
	if (!kt_sid_is_null(&task->task_queue))
		queue = kt_config_task_queue(config, &task->task_queue);
	kt_order_keys(queue, &task->sid, task->priority, task->virtual_start_time, &task->key1, &task->key2);
	task->wake_at = wake_time(task, now);
}
