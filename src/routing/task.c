/*
 * task.c
 *		A task: its row, its states, and what moves it between them.
 *
 * The row is read into a struct and written back whole; the functions in
 * between change the struct.  Nothing but kt_task_transition()
 * sets the status.
 *
 * Lock order everywhere: task, its reservations by sid, worker.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/errors.h"
#include "base/row.h"
#include "base/spi.h"
#include "routing/attributes.h"
#include "routing/placement.h"
#include "routing/reservation.h"
#include "routing/task.h"

static const char *const status_names[] = {
	[KT_TASK_NEW] = "new",
	[KT_TASK_PENDING] = "pending",
	[KT_TASK_RESERVED] = "reserved",
	[KT_TASK_ASSIGNED] = "assigned",
	[KT_TASK_WRAPPING] = "wrapping",
	[KT_TASK_COMPLETED] = "completed",
	[KT_TASK_CANCELED] = "canceled",
	[KT_TASK_DELETED] = "deleted"
};

/* Every legal change of a task's status: section 4.1 of the reference. */
static const struct
{
	KtTaskStatus from;
	KtTaskStatus to;
}			edges[] = {
	{KT_TASK_NEW, KT_TASK_PENDING},
	{KT_TASK_PENDING, KT_TASK_RESERVED},
	{KT_TASK_PENDING, KT_TASK_CANCELED},
	{KT_TASK_PENDING, KT_TASK_DELETED},
	{KT_TASK_RESERVED, KT_TASK_PENDING},
	{KT_TASK_RESERVED, KT_TASK_ASSIGNED},
	{KT_TASK_RESERVED, KT_TASK_CANCELED},
	{KT_TASK_RESERVED, KT_TASK_DELETED},
	{KT_TASK_ASSIGNED, KT_TASK_WRAPPING},
	{KT_TASK_ASSIGNED, KT_TASK_COMPLETED},
	{KT_TASK_ASSIGNED, KT_TASK_DELETED},
	{KT_TASK_WRAPPING, KT_TASK_COMPLETED},
	{KT_TASK_WRAPPING, KT_TASK_DELETED},
	{KT_TASK_COMPLETED, KT_TASK_DELETED},
	{KT_TASK_CANCELED, KT_TASK_DELETED},
};

const char *
kt_task_status_name(KtTaskStatus status)
{
	return status_names[status];
}

static KtTaskStatus
status_by_name(const char *name)
{
	for (int i = 0; i < lengthof(status_names); i++)
		if (strcmp(status_names[i], name) == 0)
			return (KtTaskStatus) i;
	elog(ERROR, "unknown task status \"%s\"", name);
}

/* What to do instead of an edge that there is not. */
static const char *
transition_hint(KtTaskStatus from, KtTaskStatus to)
{
	if (from == KT_TASK_COMPLETED || from == KT_TASK_CANCELED)
		return "The task has ended.";
	if (to == KT_TASK_CANCELED)
		return "An assigned task ends by being completed.";
	if (from == KT_TASK_PENDING || from == KT_TASK_RESERVED)
		return "A worker must accept it first; one that nobody is to have ends by being canceled.";
	return "See the task's state diagram in docs/architecture.md.";
}

void
kt_task_transition(KtTask *task, KtTaskStatus to)
{
	for (int i = 0; i < lengthof(edges); i++)
		if (edges[i].from == task->status && edges[i].to == to)
		{
			task->status = to;
			return;
		}
	ereport(ERROR,
			(errcode(KT_ERRCODE_ILLEGAL_TRANSITION),
			 errmsg("task %s cannot go from %s to %s", kt_sid_cstring(&task->sid),
					status_names[task->status], status_names[to]),
			 errhint("%s", transition_hint(task->status, to))));
}

/* The columns of the table tasks. */
enum
{
	COLUMN_SID, COLUMN_WORKSPACE, COLUMN_VERSION, COLUMN_STATUS, COLUMN_PRIORITY, COLUMN_TIMEOUT,
	COLUMN_REASON, COLUMN_WORKFLOW, COLUMN_WORKFLOW_VERSION, COLUMN_FILTER, COLUMN_TARGET,
	COLUMN_QUEUE, COLUMN_CHANNEL, COLUMN_ROUTING_TARGET, COLUMN_IGNORE_CAPACITY, COLUMN_CREATED,
	COLUMN_UPDATED, COLUMN_QUEUE_ENTERED, COLUMN_VIRTUAL_START_TIME, COLUMN_NOT_BEFORE,
	COLUMN_DEADLINE_BASE, COLUMN_STEP_DEADLINE, COLUMN_EXPIRES_AT, COLUMN_WAKE_AT,
	COLUMN_STEP_TRIED, COLUMN_ASSIGNMENTS, COLUMN_OPEN_RESERVATIONS, COLUMN_GROUP, COLUMN_KEY1,
	COLUMN_KEY2, COLUMN_DOCUMENT, COLUMN_ATTRIBUTES, COLUMN_FINISHED_AT, NCOLUMNS
};

static const KtColumn columns[NCOLUMNS] = {
	[COLUMN_SID] = {"sid", 's'},
	[COLUMN_WORKSPACE] = {"workspace_sid", 's'},
	[COLUMN_VERSION] = {"version", 'I'},
	[COLUMN_STATUS] = {"assignment_status", 't'},
	[COLUMN_PRIORITY] = {"priority", 'i'},
	[COLUMN_TIMEOUT] = {"timeout", 'i'},
	[COLUMN_REASON] = {"reason", 't'},
	[COLUMN_WORKFLOW] = {"workflow_sid", 's'},
	[COLUMN_WORKFLOW_VERSION] = {"workflow_version", 'i'},
	[COLUMN_FILTER] = {"workflow_filter", 'i'},
	[COLUMN_TARGET] = {"workflow_target", 'i'},
	[COLUMN_QUEUE] = {"task_queue_sid", 's'},
	[COLUMN_CHANNEL] = {"task_channel_sid", 's'},
	[COLUMN_ROUTING_TARGET] = {"routing_target", 's'},
	[COLUMN_IGNORE_CAPACITY] = {"ignore_capacity", 'b'},
	[COLUMN_CREATED] = {"date_created", 'z'},
	[COLUMN_UPDATED] = {"date_updated", 'z'},
	[COLUMN_QUEUE_ENTERED] = {"task_queue_entered_date", 'z'},
	[COLUMN_VIRTUAL_START_TIME] = {"virtual_start_time", 'z'},
	[COLUMN_NOT_BEFORE] = {"not_before", 'z'},
	[COLUMN_DEADLINE_BASE] = {"deadline_base", 'z'},
	[COLUMN_STEP_DEADLINE] = {"step_deadline", 'z'},
	[COLUMN_EXPIRES_AT] = {"expires_at", 'z'},
	[COLUMN_WAKE_AT] = {"wake_at", 'z'},
	[COLUMN_STEP_TRIED] = {"step_tried", 'b'},
	[COLUMN_ASSIGNMENTS] = {"assignments", 'i'},
	[COLUMN_OPEN_RESERVATIONS] = {"open_reservations", 'i'},
	[COLUMN_GROUP] = {"group_key", 'u'},
	[COLUMN_KEY1] = {"order_key1", 'I'},
	[COLUMN_KEY2] = {"order_key2", 'I'},
	[COLUMN_DOCUMENT] = {"document", 'I'},
	[COLUMN_ATTRIBUTES] = {"attributes", 'j'},
	[COLUMN_FINISHED_AT] = {"finished_at", 'z'}
};

static const KtShape shape = KT_SHAPE("tasks", columns);

static KtSid
sid_or_null(Datum value, bool isnull)
{
	KtSid		null = {{0}};

	return isnull ? null : *DatumGetSidP(value);
}

static TimestampTz
time_or_never(Datum value, bool isnull)
{
	return isnull ? KT_NEVER : DatumGetTimestampTz(value);
}

/* A row as a struct in the current context. */
static KtTask *
read_row(Relation tasks, HeapTuple tuple)
{
	KtTask	   *task = palloc0(sizeof(KtTask));
	Datum		v[NCOLUMNS];
	bool		n[NCOLUMNS];

	kt_columns_read(tasks, &shape, tuple, v, n);
	task->row = tuple;
	task->sid = *DatumGetSidP(v[COLUMN_SID]);
	task->workspace = *DatumGetSidP(v[COLUMN_WORKSPACE]);
	task->version = DatumGetInt64(v[COLUMN_VERSION]);
	task->status = status_by_name(TextDatumGetCString(v[COLUMN_STATUS]));
	task->priority = DatumGetInt32(v[COLUMN_PRIORITY]);
	task->timeout = DatumGetInt32(v[COLUMN_TIMEOUT]);
	task->reason = n[COLUMN_REASON] ? NULL : TextDatumGetCString(v[COLUMN_REASON]);
	task->workflow = sid_or_null(v[COLUMN_WORKFLOW], n[COLUMN_WORKFLOW]);
	task->workflow_version = n[COLUMN_WORKFLOW_VERSION] ? 0 : DatumGetInt32(v[COLUMN_WORKFLOW_VERSION]);
	task->filter = DatumGetInt32(v[COLUMN_FILTER]);
	task->target = DatumGetInt32(v[COLUMN_TARGET]);
	task->task_queue = sid_or_null(v[COLUMN_QUEUE], n[COLUMN_QUEUE]);
	task->task_channel = *DatumGetSidP(v[COLUMN_CHANNEL]);
	task->routing_target = sid_or_null(v[COLUMN_ROUTING_TARGET], n[COLUMN_ROUTING_TARGET]);
	task->ignore_capacity = DatumGetBool(v[COLUMN_IGNORE_CAPACITY]);
	task->date_created = DatumGetTimestampTz(v[COLUMN_CREATED]);
	task->date_updated = DatumGetTimestampTz(v[COLUMN_UPDATED]);
	task->queue_entered = time_or_never(v[COLUMN_QUEUE_ENTERED], n[COLUMN_QUEUE_ENTERED]);
	task->virtual_start_time = DatumGetTimestampTz(v[COLUMN_VIRTUAL_START_TIME]);
	task->not_before = time_or_never(v[COLUMN_NOT_BEFORE], n[COLUMN_NOT_BEFORE]);
	task->deadline_base = DatumGetTimestampTz(v[COLUMN_DEADLINE_BASE]);
	task->step_deadline = time_or_never(v[COLUMN_STEP_DEADLINE], n[COLUMN_STEP_DEADLINE]);
	task->expires_at = time_or_never(v[COLUMN_EXPIRES_AT], n[COLUMN_EXPIRES_AT]);
	task->wake_at = time_or_never(v[COLUMN_WAKE_AT], n[COLUMN_WAKE_AT]);
	task->step_tried = DatumGetBool(v[COLUMN_STEP_TRIED]);
	task->assignments = DatumGetInt32(v[COLUMN_ASSIGNMENTS]);
	task->open_reservations = DatumGetInt32(v[COLUMN_OPEN_RESERVATIONS]);
	task->waiting = !n[COLUMN_GROUP];
	if (task->waiting)
	{
		task->group = *DatumGetUUIDP(v[COLUMN_GROUP]);
		task->key1 = DatumGetInt64(v[COLUMN_KEY1]);
		task->key2 = DatumGetInt64(v[COLUMN_KEY2]);
	}
	task->document = DatumGetInt64(v[COLUMN_DOCUMENT]);
	task->attributes = DatumGetJsonbP(v[COLUMN_ATTRIBUTES]);
	return task;
}

static KtRowResult
fetch(const KtSid *sid, KtRowLock lock, KtTask **task)
{
	Relation	tasks = kt_row_table(&shape);
	HeapTuple	tuple;
	KtRowResult result;

	result = kt_row_fetch(tasks, sid, lock, &tuple);
	*task = result == KT_ROW_FOUND ? read_row(tasks, tuple) : NULL;
	table_close(tasks, NoLock);
	if (lock != KT_ROW_READ)
		kt_event_give_up_ids();
	return result;
}

KtTask *
kt_task_read(const KtSid *sid, bool lock)
{
	KtTask	   *task;

	(void) fetch(sid, lock ? KT_ROW_LOCK : KT_ROW_READ, &task);
	return task;
}

/* *task is NULL where it does not exist; the row may also just be unseen yet. */
bool
kt_task_try_lock(const KtSid *sid, KtTask **task)
{
	return fetch(sid, KT_ROW_TRY_LOCK, task) != KT_ROW_BUSY;
}

static void
put_sid(Datum *values, bool *isnull, int column, KtSid *sid)
{
	values[column] = SidPGetDatum(sid);
	isnull[column] = kt_sid_is_null(sid);
}

static void
put_time(Datum *values, bool *isnull, int column, TimestampTz time)
{
	values[column] = TimestampTzGetDatum(time);
	isnull[column] = time == KT_NEVER;
}

static void
put_row(KtTask *task, Datum *values, bool *isnull)
{
	bool		finished = task->status == KT_TASK_COMPLETED || task->status == KT_TASK_CANCELED;

	memset(isnull, 0, sizeof(bool) * NCOLUMNS);
	values[COLUMN_SID] = SidPGetDatum(&task->sid);
	values[COLUMN_WORKSPACE] = SidPGetDatum(&task->workspace);
	values[COLUMN_VERSION] = Int64GetDatum(task->version);
	values[COLUMN_STATUS] = kt_text_datum(status_names[task->status]);
	values[COLUMN_PRIORITY] = Int32GetDatum(task->priority);
	values[COLUMN_TIMEOUT] = Int32GetDatum(task->timeout);
	values[COLUMN_REASON] = task->reason ? kt_text_datum(task->reason) : (Datum) 0;
	isnull[COLUMN_REASON] = task->reason == NULL;
	put_sid(values, isnull, COLUMN_WORKFLOW, &task->workflow);
	values[COLUMN_WORKFLOW_VERSION] = Int32GetDatum(task->workflow_version);
	isnull[COLUMN_WORKFLOW_VERSION] = kt_sid_is_null(&task->workflow);
	values[COLUMN_FILTER] = Int32GetDatum(task->filter);
	values[COLUMN_TARGET] = Int32GetDatum(task->target);
	put_sid(values, isnull, COLUMN_QUEUE, &task->task_queue);
	values[COLUMN_CHANNEL] = SidPGetDatum(&task->task_channel);
	put_sid(values, isnull, COLUMN_ROUTING_TARGET, &task->routing_target);
	values[COLUMN_IGNORE_CAPACITY] = BoolGetDatum(task->ignore_capacity);
	values[COLUMN_CREATED] = TimestampTzGetDatum(task->date_created);
	values[COLUMN_UPDATED] = TimestampTzGetDatum(task->date_updated);
	put_time(values, isnull, COLUMN_QUEUE_ENTERED, task->queue_entered);
	values[COLUMN_VIRTUAL_START_TIME] = TimestampTzGetDatum(task->virtual_start_time);
	put_time(values, isnull, COLUMN_NOT_BEFORE, task->not_before);
	values[COLUMN_DEADLINE_BASE] = TimestampTzGetDatum(task->deadline_base);
	put_time(values, isnull, COLUMN_STEP_DEADLINE, task->step_deadline);
	put_time(values, isnull, COLUMN_EXPIRES_AT, task->expires_at);
	put_time(values, isnull, COLUMN_WAKE_AT, task->wake_at);
	values[COLUMN_STEP_TRIED] = BoolGetDatum(task->step_tried);
	values[COLUMN_ASSIGNMENTS] = Int32GetDatum(task->assignments);
	values[COLUMN_OPEN_RESERVATIONS] = Int32GetDatum(task->open_reservations);
	values[COLUMN_GROUP] = UUIDPGetDatum(&task->group);
	values[COLUMN_KEY1] = Int64GetDatum(task->key1);
	values[COLUMN_KEY2] = Int64GetDatum(task->key2);
	isnull[COLUMN_GROUP] = isnull[COLUMN_KEY1] = isnull[COLUMN_KEY2] = !task->waiting;
	values[COLUMN_DOCUMENT] = Int64GetDatum(task->document);
	values[COLUMN_ATTRIBUTES] = JsonbPGetDatum(task->attributes);
	put_time(values, isnull, COLUMN_FINISHED_AT, finished ? task->date_updated : KT_NEVER);
}

void
kt_task_insert(KtTask *task)
{
	Relation	tasks = kt_row_table(&shape);
	TupleTableSlot *slot;
	Datum		values[NCOLUMNS];
	bool		isnull[NCOLUMNS];

	put_row(task, values, isnull);
	slot = kt_row_make(tasks, &shape, values, isnull);
	kt_row_insert(tasks, &slot, 1);
	ExecDropSingleTupleTableSlot(slot);
	table_close(tasks, NoLock);
}

void
kt_task_store_unseen(KtTask *task)
{
	Relation	tasks = kt_row_table(&shape);
	Datum		values[NCOLUMNS];
	bool		isnull[NCOLUMNS];

	put_row(task, values, isnull);
	/* Attributes that are as they were stay where they are, large ones out of line. */
	if (!task->attributes_changed)
		values[COLUMN_ATTRIBUTES] = heap_getattr(task->row, kt_columns(tasks, &shape)[COLUMN_ATTRIBUTES],
												 RelationGetDescr(tasks), &isnull[COLUMN_ATTRIBUTES]);
	kt_row_update(tasks, &shape, &task->row, values, isnull);
	task->attributes_changed = false;
	table_close(tasks, NoLock);
}

void
kt_task_raise_version(KtTask *task)
{
	if (!task->version_raised)
		task->version++;
	task->version_raised = true;
}

void
kt_task_store(KtTask *task, TimestampTz now)
{
	kt_task_raise_version(task);
	task->date_updated = now;
	kt_task_store_unseen(task);
	task->version_raised = false;
}

void
kt_task_data(KtConfig *config, const KtTask *task, KtData *data, TimestampTz now)
{
	const KtTaskChannel *channel = kt_config_task_channel(config, &task->task_channel);
	const KtTaskQueue *queue = NULL;
	const KtWorkflow *workflow = NULL;

	kt_data_integer(data, "task_age", Max(now - task->date_created, 0) / USECS_PER_SEC);
	kt_data_integer(data, "task_priority", task->priority);
	kt_data_string(data, "task_assignment_status", status_names[task->status]);
	kt_data_integer(data, "task_version", task->version);
	kt_data_integer(data, "task_date_created",
					timestamptz_to_time_t(task->date_created));
	if (channel != NULL)
		kt_data_string(data, "task_channel_unique_name", channel->unique_name);
	if (!kt_sid_is_null(&task->task_queue))
		queue = kt_config_task_queue(config, &task->task_queue);
	if (queue != NULL)
	{
		kt_data_string(data, "task_queue_name", queue->friendly_name);
		kt_data_string(data, "task_queue_target_expression", queue->target_workers);
		kt_data_integer(data, "task_queue_entered_date",
						timestamptz_to_time_t(task->queue_entered));
	}
	if (!kt_sid_is_null(&task->workflow))
		workflow = kt_config_workflow(config, &task->workflow, task->workflow_version);
	if (workflow != NULL)
	{
		kt_data_string(data, "workflow_name", workflow->friendly_name);
		if (task->filter >= 0 && task->filter < workflow->configuration->nfilters)
			kt_data_string(data, "workflow_filter_name",
						   workflow->configuration->filters[task->filter].friendly_name);
	}
	kt_data_string(data, "reason", task->reason);
	if (task->status == KT_TASK_CANCELED)
		kt_data_string(data, "task_canceled_reason", task->reason);
	if (task->status == KT_TASK_COMPLETED)
		kt_data_string(data, "task_completed_reason", task->reason);
}

KtEvent
kt_task_event_base(const KtTask *task, const char *type, TimestampTz now)
{
	KtEvent		event = {type};

	event.date = now;
	event.workspace = task->workspace;
	event.resource = task->sid;
	event.task = task->sid;
	event.workflow = task->workflow;
	event.task_queue = task->task_queue;
	event.task_channel = task->task_channel;
	event.task_document = task->document;
	return event;
}

/* The resource of a workflow.* or task-queue.* event is not the task. */
void
kt_task_event(KtConfig *config, const KtTask *task, const char *type, TimestampTz now)
{
	KtEvent		event = kt_task_event_base(task, type, now);
	KtData		data;

	if (strncmp(type, "workflow.", strlen("workflow.")) == 0)
		event.resource = task->workflow;
	else if (strncmp(type, "task-queue.", strlen("task-queue.")) == 0)
		event.resource = task->task_queue;
	event.id = kt_event_id();
	kt_data_begin(&data);
	kt_task_data(config, task, &data, now);
	event.data = kt_data_end(&data);
	kt_event_add(&event);
}

/* What keep_clocks below is about to write; false where somebody has one of them locked. */
static bool
try_lock_clocks(const KtSid *task)
{
	static KtPlan plan = {
		"SELECT (SELECT count(*) FROM (SELECT FROM kin_tr.worker_channels c"
		"         WHERE (c.worker_sid, c.task_channel_sid) IN"
		"               (SELECT r.worker_sid, r.task_channel_sid FROM kin_tr.reservations r WHERE r.task_sid = $1)"
		"         FOR NO KEY UPDATE SKIP LOCKED) locked)"
		"     = (SELECT count(*) FROM kin_tr.worker_channels c"
		"         WHERE (c.worker_sid, c.task_channel_sid) IN"
		"               (SELECT r.worker_sid, r.task_channel_sid FROM kin_tr.reservations r WHERE r.task_sid = $1))", "s"
	};
	Datum		values[] = {SidPGetDatum(task)};

	(void) kt_spi(&plan, values, NULL);
	return kt_column_bool(0, 1);
}

void
kt_task_delete(KtTask *task, TimestampTz now)
{
	/*
	 * When its workers were last reserved is kept, as when a task moves to
	 * history; in one order, or two who delete would wait for each other.
	 */
	static KtPlan keep_clocks = {
		"UPDATE kin_tr.worker_channels c SET last_reserved_at = m.latest"
		"  FROM (SELECT worker_sid, task_channel_sid, max(date_created) AS latest"
		"          FROM kin_tr.reservations WHERE task_sid = $1 GROUP BY worker_sid, task_channel_sid"
		"         ORDER BY worker_sid, task_channel_sid) m"
		" WHERE c.worker_sid = m.worker_sid AND c.task_channel_sid = m.task_channel_sid"
		"   AND (c.last_reserved_at IS NULL OR c.last_reserved_at < m.latest)", "s"
	};
	static KtPlan delete_reservations = {
		"DELETE FROM kin_tr.reservations WHERE task_sid = $1", "s"
	};
	static KtPlan delete_task = {"DELETE FROM kin_tr.tasks WHERE sid = $1", "s"};
	Datum		values[] = {SidPGetDatum(&task->sid)};

	kt_task_transition(task, KT_TASK_DELETED);
	kt_spi(&keep_clocks, values, NULL);
	kt_spi(&delete_reservations, values, NULL);
	kt_spi(&delete_task, values, NULL);
}

void
kt_task_cancel(KtConfig *config, KtTask *task, const char *reason, TimestampTz now)
{
	bool		reserved = task->status == KT_TASK_RESERVED;

	kt_task_transition(task, KT_TASK_CANCELED);
	task->reason = pstrdup(reason);
	task->waiting = false;
	task->open_reservations = 0;
	task->wake_at = KT_NEVER;
	if (reserved)
		kt_reservations_end_pending(config, task, NULL, KT_RESERVATION_CANCELED, now);
	kt_task_store(task, now);
	kt_task_event(config, task, "task.canceled", now);
}

void
kt_task_complete(KtConfig *config, KtTask *task, const char *reason, TimestampTz now)
{
	KtReservation **reservations;
	int			open;
	int			n;

	kt_task_transition(task, KT_TASK_COMPLETED);
	if (reason != NULL)
		task->reason = pstrdup(reason);
	task->wake_at = KT_NEVER;
	open = task->open_reservations;
	task->open_reservations = 0;
	kt_task_store(task, now);
	kt_task_event(config, task, "task.completed", now);
	if (open == 0)
		return;
	reservations = kt_reservations_of_task(&task->sid, &n);
	for (int i = 0; i < n; i++)
		kt_reservation_transition(config, reservations[i], task, KT_RESERVATION_COMPLETED, NULL, now);
}

void
kt_task_wrap_up(KtConfig *config, KtTask *task, TimestampTz now)
{
	KtReservation **reservations;
	int			n;

	kt_task_transition(task, KT_TASK_WRAPPING);
	task->wake_at = KT_NEVER;
	kt_task_store(task, now);
	kt_task_event(config, task, "task.wrapup", now);
	reservations = kt_reservations_of_task(&task->sid, &n);
	for (int i = 0; i < n; i++)
		if (reservations[i]->status == KT_RESERVATION_ACCEPTED)
			kt_reservation_transition(config, reservations[i], task, KT_RESERVATION_WRAPPING, NULL, now);
}

/* The workflow ended without an assignment. */
static void
cancel_at_end(KtConfig *config, KtTask *task, KtLeave why, TimestampTz now)
{
	kt_task_event(config, task, why == KT_LEAVE_TIMEOUT ? "workflow.timeout" : "workflow.skipped", now);
	kt_task_cancel(config, task,
				   why == KT_LEAVE_TIMEOUT ? "Task canceled on Workflow timeout" :
				   "Task canceled on Workflow skipped", now);
}

/*
 * Leaves steps until one holds the task.  True where it is still pending; then
 * the caller stores it.
 */
static bool
leave_steps(KtConfig *config, KtTask *task, TimestampTz now)
{
	while (task->step_deadline <= now)
	{
		CHECK_FOR_INTERRUPTS();
		kt_task_raise_version(task);
		kt_task_event(config, task, "task-queue.timeout", now);
		if (!kt_place_next(config, task, KT_LEAVE_TIMEOUT, now))
		{
			cancel_at_end(config, task, KT_LEAVE_TIMEOUT, now);
			return false;
		}
	}
	return true;
}

KtDue
kt_task_skip_step(KtConfig *config, KtTask *task, TimestampTz now)
{
	kt_task_raise_version(task);
	if (!kt_place_next(config, task, KT_LEAVE_SKIP, now))
	{
		cancel_at_end(config, task, KT_LEAVE_SKIP, now);
		return KT_DUE_CANCELED;
	}
	/* Deadlines are cumulative, so the next step's may be over too. */
	if (!leave_steps(config, task, now))
		return KT_DUE_CANCELED;
	kt_task_store(task, now);
	return KT_DUE_MOVED;
}

KtDue
kt_task_evaluate_again(KtConfig *config, KtTask *task, TimestampTz now)
{
	kt_task_raise_version(task);
	if (!kt_place_anew(config, task, now))
	{
		kt_task_event(config, task, "workflow.skipped", now);
		kt_task_cancel(config, task, "Task canceled on Workflow skipped", now);
		return KT_DUE_CANCELED;
	}
	kt_task_store(task, now);
	return KT_DUE_MOVED;
}

/*
 * Where a task stands that comes back: in a workflow that was updated meanwhile
 * with re_evaluate_tasks at its new version's first step; else where it was,
 * unless that step's time is over.  skip_if is asked again.  False where the
 * workflow ends here; then it has been canceled.
 */
static bool
place_on_return(KtConfig *config, KtTask *task, TimestampTz now)
{
	if (task->filter == KT_DIRECT)
		return true;
	if (kt_workflow_is_to_be_evaluated(config, task))
	{
		if (kt_place_anew(config, task, now))
			return true;
		cancel_at_end(config, task, KT_LEAVE_SKIP, now);
		return false;
	}
	task->step_tried = kt_task_target(config, task)->skip_if == NULL;
	return leave_steps(config, task, now);
}

#define TTL_REASON "Task TTL Exceeded"
#define MAX_ASSIGNMENTS 1000

void
kt_task_return(KtConfig *config, KtTask *task, TimestampTz now)
{
	if (task->expires_at <= now)
		kt_task_cancel(config, task, TTL_REASON, now);
	else if (task->assignments >= MAX_ASSIGNMENTS)
		kt_task_cancel(config, task, "Max assignment count exceeded", now);
	else
	{
		kt_task_transition(task, KT_TASK_PENDING);
		if (!place_on_return(config, task, now))
			return;
		kt_place_in_group(config, task, now);
		kt_task_store(task, now);
		/* The router learns of its return by the reservation's event. */
	}
}

static KtDue
due_pending(KtConfig *config, KtTask *task, TimestampTz now)
{
	int32		filter = task->filter;
	int32		target = task->target;
	bool		waited = task->waiting;

	if (task->not_before != KT_NEVER && task->not_before > now)
	{
		kt_place_in_group(config, task, now);
		kt_task_store_unseen(task);
		return KT_DUE_NOTHING;
	}
	if (task->expires_at <= now)
	{
		kt_task_cancel(config, task, TTL_REASON, now);
		return KT_DUE_CANCELED;
	}
	if (!leave_steps(config, task, now))
		return KT_DUE_CANCELED;
	kt_place_in_group(config, task, now);
	if (task->filter != filter || task->target != target)
	{
		kt_task_store(task, now);
		return KT_DUE_MOVED;
	}
	kt_task_store_unseen(task);
	if (waited)
		return KT_DUE_NOTHING;
	/* A callback's time has come. */
	kt_task_event(config, task, "task-queue.entered", now);
	return KT_DUE_ENTERED;
}

KtDue
kt_task_due(KtConfig *config, KtTask *task, TimestampTz now)
{
	switch (task->status)
	{
		case KT_TASK_PENDING:
			return due_pending(config, task, now);
		case KT_TASK_RESERVED:
			if (task->expires_at <= now)
			{
				if (!kt_reservations_try_lock(&task->sid))
					return KT_DUE_BUSY;
				kt_task_cancel(config, task, TTL_REASON, now);
				return KT_DUE_CANCELED;
			}
			break;
		case KT_TASK_ASSIGNED:
			if (task->expires_at <= now)
			{
				if (!kt_reservations_try_lock(&task->sid) || !try_lock_clocks(&task->sid))
					return KT_DUE_BUSY;
				kt_task_event(config, task, "task.system-deleted", now);
				kt_task_delete(task, now);
				return KT_DUE_DELETED;
			}
			break;
		default:
			task->expires_at = KT_NEVER;
			break;
	}
	/* It was woken by a time that no longer counts. */
	task->wake_at = task->expires_at;
	kt_task_store_unseen(task);
	return KT_DUE_NOTHING;
}
