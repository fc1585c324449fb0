/*
 * task.c
 *		A task: its row, its states, and what moves it between them.
 *
 * The row is read and written whole, by two statements, into a struct; the
 * functions between them change the struct.  Nothing but kt_task_transition()
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
#include "base/insert.h"
#include "base/spi.h"
#include "routing/attributes.h"
#include "routing/placement.h"
#include "routing/reservation.h"
#include "routing/task.h"

/* An assigned task is deleted by the system after so long. */
#define ASSIGNED_LIMIT	(24 * USECS_PER_HOUR)

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
			 task->status == KT_TASK_COMPLETED || task->status == KT_TASK_CANCELED ?
			 errhint("The task has ended.") :
			 task->status == KT_TASK_ASSIGNED && to == KT_TASK_CANCELED ?
			 errhint("An assigned task ends by being completed.") :
			 errhint("See the task's state diagram in docs/architecture.md.")));
}

/* The columns that kt_task_read() reads, in the order of read_row(). */
#define COLUMNS \
	"sid, workspace_sid, version, assignment_status, attributes, priority, timeout, reason," \
	" workflow_sid, workflow_version, workflow_filter, workflow_target, task_queue_sid," \
	" task_channel_sid, routing_target, ignore_capacity, date_created, date_updated," \
	" task_queue_entered_date, virtual_start_time, not_before, deadline_base, step_deadline," \
	" expires_at, wake_at, step_tried, assignments, offers, group_key, order_key1, order_key2, document"
#define NCOLUMNS 32

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

/* Row 0 of SPI_tuptable as a struct in the current context. */
static KtTask *
read_row(void)
{
	KtTask	   *task = palloc0(sizeof(KtTask));
	Datum		v[NCOLUMNS];
	bool		n[NCOLUMNS];
	int			i = 0;

	heap_deform_tuple(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, v, n);
	task->sid = *DatumGetSidP(v[i++]);
	task->workspace = *DatumGetSidP(v[i++]);
	task->version = DatumGetInt64(v[i++]);
	task->status = status_by_name(TextDatumGetCString(v[i++]));
	task->attributes = DatumGetJsonbPCopy(v[i++]);
	task->priority = DatumGetInt32(v[i++]);
	task->timeout = DatumGetInt32(v[i++]);
	task->reason = n[i] ? NULL : TextDatumGetCString(v[i]);
	i++;
	task->workflow = sid_or_null(v[i], n[i]);
	i++;
	task->workflow_version = n[i] ? 0 : DatumGetInt32(v[i]);
	i++;
	task->filter = DatumGetInt32(v[i++]);
	task->target = DatumGetInt32(v[i++]);
	task->task_queue = sid_or_null(v[i], n[i]);
	i++;
	task->task_channel = *DatumGetSidP(v[i++]);
	task->routing_target = sid_or_null(v[i], n[i]);
	i++;
	task->ignore_capacity = DatumGetBool(v[i++]);
	task->date_created = DatumGetTimestampTz(v[i++]);
	task->date_updated = DatumGetTimestampTz(v[i++]);
	task->queue_entered = time_or_never(v[i], n[i]);
	i++;
	task->virtual_start_time = DatumGetTimestampTz(v[i++]);
	task->not_before = time_or_never(v[i], n[i]);
	i++;
	task->deadline_base = DatumGetTimestampTz(v[i++]);
	task->step_deadline = time_or_never(v[i], n[i]);
	i++;
	task->expires_at = time_or_never(v[i], n[i]);
	i++;
	task->wake_at = time_or_never(v[i], n[i]);
	i++;
	task->step_tried = DatumGetBool(v[i++]);
	task->assignments = DatumGetInt32(v[i++]);
	task->offers = DatumGetInt32(v[i++]);
	task->waiting = !n[i];
	if (task->waiting)
		task->group = *DatumGetUUIDP(v[i]);
	i++;
	task->key1 = n[i] ? 0 : DatumGetInt64(v[i]);
	i++;
	task->key2 = n[i] ? 0 : DatumGetInt64(v[i]);
	i++;
	task->document = DatumGetInt64(v[i++]);
	Assert(i == NCOLUMNS);
	return task;
}

KtTask *
kt_task_read(const KtSid *sid, bool lock)
{
	static KtPlan read = {"SELECT " COLUMNS " FROM kin_tr.tasks WHERE sid = $1", "s"};
	static KtPlan read_and_lock = {
		"SELECT " COLUMNS " FROM kin_tr.tasks WHERE sid = $1 FOR NO KEY UPDATE", "s"
	};
	Datum		values[] = {SidPGetDatum(sid)};

	return kt_spi(lock ? &read_and_lock : &read, values, NULL) > 0 ? read_row() : NULL;
}

/* *task is NULL where it does not exist; the row may also just be unseen yet. */
bool
kt_task_try_lock(const KtSid *sid, KtTask **task)
{
	static KtPlan try_lock = {
		"SELECT " COLUMNS " FROM kin_tr.tasks WHERE sid = $1 FOR NO KEY UPDATE SKIP LOCKED", "s"
	};
	Datum		values[] = {SidPGetDatum(sid)};

	if (kt_spi(&try_lock, values, NULL) > 0)
	{
		*task = read_row();
		return true;
	}
	*task = NULL;
	return kt_task_read(sid, false) == NULL;
}

/* Parameters of the statements below, from $1; the same for both. */
#define PARAMETERS 31
#define PARAMETER_TYPES "ssItiitsiiisssbzzzzzzzzzbiiuIII"

static void
put_sid(Datum *values, char *nulls, int i, KtSid *sid)
{
	values[i] = SidPGetDatum(sid);
	nulls[i] = kt_sid_is_null(sid) ? 'n' : ' ';
}

static void
put_time(Datum *values, char *nulls, int i, TimestampTz time)
{
	values[i] = TimestampTzGetDatum(time);
	nulls[i] = time == KT_NEVER ? 'n' : ' ';
}

static void
put_row(KtTask *task, Datum *values, char *nulls)
{
	int			i = 0;

	memset(nulls, ' ', PARAMETERS);
	values[i++] = SidPGetDatum(&task->sid);
	values[i++] = SidPGetDatum(&task->workspace);
	values[i++] = Int64GetDatum(task->version);
	values[i++] = kt_text_datum(status_names[task->status]);
	values[i++] = Int32GetDatum(task->priority);
	values[i++] = Int32GetDatum(task->timeout);
	nulls[i] = task->reason ? ' ' : 'n';
	values[i++] = task->reason ? kt_text_datum(task->reason) : (Datum) 0;
	put_sid(values, nulls, i++, &task->workflow);
	nulls[i] = kt_sid_is_null(&task->workflow) ? 'n' : ' ';
	values[i++] = Int32GetDatum(task->workflow_version);
	values[i++] = Int32GetDatum(task->filter);
	values[i++] = Int32GetDatum(task->target);
	put_sid(values, nulls, i++, &task->task_queue);
	put_sid(values, nulls, i++, &task->task_channel);
	put_sid(values, nulls, i++, &task->routing_target);
	values[i++] = BoolGetDatum(task->ignore_capacity);
	put_time(values, nulls, i++, task->date_created);
	put_time(values, nulls, i++, task->date_updated);
	put_time(values, nulls, i++, task->queue_entered);
	put_time(values, nulls, i++, task->virtual_start_time);
	put_time(values, nulls, i++, task->not_before);
	put_time(values, nulls, i++, task->deadline_base);
	put_time(values, nulls, i++, task->step_deadline);
	put_time(values, nulls, i++, task->expires_at);
	put_time(values, nulls, i++, task->wake_at);
	values[i++] = BoolGetDatum(task->step_tried);
	values[i++] = Int32GetDatum(task->assignments);
	values[i++] = Int32GetDatum(task->offers);
	nulls[i] = nulls[i + 1] = nulls[i + 2] = task->waiting ? ' ' : 'n';
	values[i++] = UUIDPGetDatum(&task->group);
	values[i++] = Int64GetDatum(task->key1);
	values[i++] = Int64GetDatum(task->key2);
	values[i++] = Int64GetDatum(task->document);
	Assert(i == PARAMETERS);
}

/* The parameters above are the table's columns but two. */
void
kt_task_insert(KtTask *task)
{
	Relation	tasks = table_open(kt_relation_oid("tasks"), RowExclusiveLock);
	TupleTableSlot *slot = table_slot_create(tasks, NULL);
	char		nulls[PARAMETERS];

	if (slot->tts_tupleDescriptor->natts != PARAMETERS + 2)
		elog(ERROR, "kin_tr.tasks has %d columns, not %d", slot->tts_tupleDescriptor->natts,
			 PARAMETERS + 2);
	ExecClearTuple(slot);
	put_row(task, slot->tts_values, nulls);
	for (int i = 0; i < PARAMETERS; i++)
		slot->tts_isnull[i] = nulls[i] == 'n';
	slot->tts_values[PARAMETERS] = JsonbPGetDatum(task->attributes);
	slot->tts_isnull[PARAMETERS] = false;
	slot->tts_isnull[PARAMETERS + 1] = true;	/* finished_at */
	ExecStoreVirtualTuple(slot);
	ExecMaterializeSlot(slot);
	kt_insert(tasks, &slot, 1);
	ExecDropSingleTupleTableSlot(slot);
	table_close(tasks, NoLock);
}

static void
store_attributes(KtTask *task)
{
	static KtPlan update = {"UPDATE kin_tr.tasks SET attributes = $2 WHERE sid = $1", "sj"};
	Datum		values[] = {SidPGetDatum(&task->sid), JsonbPGetDatum(task->attributes)};

	kt_spi(&update, values, NULL);
	task->attributes_changed = false;
}

/*
 * What is in no index is in the statement too, for one statement is planned
 * once; an update that leaves the indexed columns as they are stays HOT.
 */
void
kt_task_store_unseen(KtTask *task)
{
	static KtPlan update = {
		"UPDATE kin_tr.tasks SET version = $3, assignment_status = $4, priority = $5,"
		" timeout = $6, reason = $7, workflow_sid = $8, workflow_version = $9,"
		" workflow_filter = $10, workflow_target = $11, task_queue_sid = $12, task_channel_sid = $13,"
		" routing_target = $14, ignore_capacity = $15, date_created = $16, date_updated = $17,"
		" task_queue_entered_date = $18, virtual_start_time = $19, not_before = $20,"
		" deadline_base = $21, step_deadline = $22, expires_at = $23, wake_at = $24,"
		" step_tried = $25, assignments = $26, offers = $27, group_key = $28, order_key1 = $29,"
		" order_key2 = $30, document = $31, finished_at = CASE WHEN $4 IN ('completed', 'canceled') THEN $17 END"
		" WHERE sid = $1 AND workspace_sid = $2", PARAMETER_TYPES
	};
	Datum		values[PARAMETERS];
	char		nulls[PARAMETERS];

	put_row(task, values, nulls);
	kt_spi(&update, values, nulls);
}

void
kt_task_store(KtTask *task, TimestampTz now)
{
	if (task->attributes_changed)
		store_attributes(task);
	task->version++;
	task->date_updated = now;
	kt_task_store_unseen(task);
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

void
kt_task_delete(KtTask *task, TimestampTz now)
{
	/* When its workers were last reserved is kept, as when a task moves to history. */
	static KtPlan keep_clocks = {
		"UPDATE kin_tr.worker_channels c SET last_reserved_at = m.latest"
		"  FROM (SELECT worker_sid, task_channel_sid, max(date_created) AS latest"
		"          FROM kin_tr.reservations WHERE task_sid = $1 GROUP BY worker_sid, task_channel_sid) m"
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
	task->offers = 0;
	task->wake_at = KT_NEVER;
	if (reserved)
		kt_reservations_end_pending(config, task, NULL, KT_RESERVATION_CANCELED, now);
	kt_task_store(task, now);
	kt_task_event(config, task, "task.canceled", now);
}

void
kt_task_complete(KtConfig *config, KtTask *task, const char *reason, TimestampTz now)
{
	KtReservation *reservations;
	int			n;

	kt_task_transition(task, KT_TASK_COMPLETED);
	if (reason != NULL)
		task->reason = pstrdup(reason);
	task->wake_at = KT_NEVER;
	kt_task_store(task, now);
	kt_task_event(config, task, "task.completed", now);
	reservations = kt_reservations_of_task(&task->sid, &n);
	for (int i = 0; i < n; i++)
		kt_reservation_transition(config, &reservations[i], task, KT_RESERVATION_COMPLETED, NULL, now);
}

void
kt_task_wrap_up(KtConfig *config, KtTask *task, TimestampTz now)
{
	KtReservation *reservations;
	int			n;

	kt_task_transition(task, KT_TASK_WRAPPING);
	task->wake_at = KT_NEVER;
	kt_task_store(task, now);
	kt_task_event(config, task, "task.wrapup", now);
	reservations = kt_reservations_of_task(&task->sid, &n);
	for (int i = 0; i < n; i++)
		if (reservations[i].status == KT_RESERVATION_ACCEPTED)
			kt_reservation_transition(config, &reservations[i], task, KT_RESERVATION_WRAPPING, NULL, now);
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
		kt_task_event(config, task, "task-queue.timeout", now);
		if (!kt_place_next(config, task, KT_LEAVE_TIMEOUT, now))
		{
			cancel_at_end(config, task, KT_LEAVE_TIMEOUT, now);
			return false;
		}
	}
	return true;
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
		if (!leave_steps(config, task, now))
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
				kt_task_cancel(config, task, TTL_REASON, now);
				return KT_DUE_CANCELED;
			}
			break;
		case KT_TASK_ASSIGNED:
			if (task->expires_at <= now)
			{
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
