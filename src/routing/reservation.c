/*
 * reservation.c
 *		A reservation: the offer of a task to a worker, and the work on it.
 *
 * Only the router makes one, and only kt_reservation_transition() changes its
 * status.  A reservation takes a slot of its worker's channel from its creation
 * to its end; is_open says so in a column of its own, since an index on the
 * status would cost each acceptance an entry in every index.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/clock.h"
#include "base/errors.h"
#include "base/home.h"
#include "base/limits.h"
#include "base/row.h"
#include "base/spi.h"
#include "base/text.h"
#include "base/access.h"
#include "routing/reservation.h"

static const char *const status_names[] = {
	[KT_RESERVATION_NEW] = "new",
	[KT_RESERVATION_PENDING] = "pending",
	[KT_RESERVATION_ACCEPTED] = "accepted",
	[KT_RESERVATION_WRAPPING] = "wrapping",
	[KT_RESERVATION_COMPLETED] = "completed",
	[KT_RESERVATION_REJECTED] = "rejected",
	[KT_RESERVATION_TIMEOUT] = "timeout",
	[KT_RESERVATION_CANCELED] = "canceled",
	[KT_RESERVATION_RESCINDED] = "rescinded"
};

/* Every legal change of a reservation's status, and its event: reference 4.2. */
static const struct
{
	KtReservationStatus from;
	KtReservationStatus to;
	const char *event;
}			edges[] = {
	{KT_RESERVATION_NEW, KT_RESERVATION_PENDING, "reservation.created"},
	{KT_RESERVATION_PENDING, KT_RESERVATION_ACCEPTED, "reservation.accepted"},
	{KT_RESERVATION_PENDING, KT_RESERVATION_REJECTED, "reservation.rejected"},
	{KT_RESERVATION_PENDING, KT_RESERVATION_TIMEOUT, "reservation.timeout"},
	{KT_RESERVATION_PENDING, KT_RESERVATION_CANCELED, "reservation.canceled"},
	{KT_RESERVATION_PENDING, KT_RESERVATION_RESCINDED, "reservation.rescinded"},
	{KT_RESERVATION_ACCEPTED, KT_RESERVATION_WRAPPING, "reservation.wrapup"},
	{KT_RESERVATION_ACCEPTED, KT_RESERVATION_COMPLETED, "reservation.completed"},
	{KT_RESERVATION_WRAPPING, KT_RESERVATION_COMPLETED, "reservation.completed"},
};

bool
kt_reservation_is_open(KtReservationStatus status)
{
	return status == KT_RESERVATION_PENDING || status == KT_RESERVATION_ACCEPTED ||
		status == KT_RESERVATION_WRAPPING;
}

static KtReservationStatus
status_by_name(const char *name)
{
	for (int i = 0; i < lengthof(status_names); i++)
		if (strcmp(status_names[i], name) == 0)
			return (KtReservationStatus) i;
	elog(ERROR, "unknown reservation status \"%s\"", name);
}

/* What to do instead of an edge that there is not. */
static const char *
transition_hint(KtReservationStatus from, KtReservationStatus to)
{
	if (from == KT_RESERVATION_COMPLETED)
		return "The reservation has ended.";
	if (!kt_reservation_is_open(from))
		return "The offer has ended; the task may have been offered again.";
	if (from == KT_RESERVATION_PENDING)
		return "The worker must accept it first.";
	if (to == KT_RESERVATION_ACCEPTED || to == KT_RESERVATION_REJECTED)
		return "It has been accepted already.";
	return "See the reservation's state diagram in docs/architecture.md.";
}

/* The event of an edge; an error where there is no such edge. */
static const char *
edge_event(const KtReservation *reservation, KtReservationStatus to)
{
	bool		gone = !kt_reservation_is_open(reservation->status) &&
		reservation->status != KT_RESERVATION_COMPLETED;

	for (int i = 0; i < lengthof(edges); i++)
		if (edges[i].from == reservation->status && edges[i].to == to)
			return edges[i].event;
	ereport(ERROR,
			(errcode(gone ? KT_ERRCODE_RESERVATION_GONE : KT_ERRCODE_ILLEGAL_TRANSITION),
			 errmsg("reservation %s cannot go from %s to %s", kt_sid_cstring(&reservation->sid),
					status_names[reservation->status], status_names[to]),
			 errhint("%s", transition_hint(reservation->status, to))));
}

/* The columns of the table reservations. */
enum
{
	COLUMN_SID, COLUMN_WORKSPACE, COLUMN_VERSION, COLUMN_STATUS, COLUMN_IS_OPEN, COLUMN_TASK,
	COLUMN_WORKER, COLUMN_WORKER_NAME, COLUMN_CHANNEL, COLUMN_QUEUE, COLUMN_WORKFLOW, COLUMN_CREATED,
	COLUMN_UPDATED, COLUMN_TIMES_OUT_AT, COLUMN_REASON, NCOLUMNS
};

static const KtColumn columns[NCOLUMNS] = {
	[COLUMN_SID] = {"sid", 's'},
	[COLUMN_WORKSPACE] = {"workspace_sid", 's'},
	[COLUMN_VERSION] = {"version", 'I'},
	[COLUMN_STATUS] = {"reservation_status", 't'},
	[COLUMN_IS_OPEN] = {"is_open", 'b'},
	[COLUMN_TASK] = {"task_sid", 's'},
	[COLUMN_WORKER] = {"worker_sid", 's'},
	[COLUMN_WORKER_NAME] = {"worker_name", 't'},
	[COLUMN_CHANNEL] = {"task_channel_sid", 's'},
	[COLUMN_QUEUE] = {"task_queue_sid", 's'},
	[COLUMN_WORKFLOW] = {"workflow_sid", 's'},
	[COLUMN_CREATED] = {"date_created", 'z'},
	[COLUMN_UPDATED] = {"date_updated", 'z'},
	[COLUMN_TIMES_OUT_AT] = {"times_out_at", 'z'},
	[COLUMN_REASON] = {"reason", 't'}
};

static const KtShape shape = KT_SHAPE("reservations", columns);

static KtReservation *
read_row(Relation reservations, HeapTuple tuple)
{
	KtReservation *reservation = palloc0(sizeof(KtReservation));
	Datum		v[NCOLUMNS];
	bool		n[NCOLUMNS];

	kt_columns_read(reservations, &shape, tuple, v, n);
	reservation->row = tuple;
	reservation->sid = *DatumGetSidP(v[COLUMN_SID]);
	reservation->workspace = *DatumGetSidP(v[COLUMN_WORKSPACE]);
	reservation->version = DatumGetInt64(v[COLUMN_VERSION]);
	reservation->status = status_by_name(TextDatumGetCString(v[COLUMN_STATUS]));
	reservation->task = *DatumGetSidP(v[COLUMN_TASK]);
	reservation->worker = *DatumGetSidP(v[COLUMN_WORKER]);
	reservation->worker_name = TextDatumGetCString(v[COLUMN_WORKER_NAME]);
	reservation->task_channel = *DatumGetSidP(v[COLUMN_CHANNEL]);
	reservation->date_created = DatumGetTimestampTz(v[COLUMN_CREATED]);
	reservation->date_updated = DatumGetTimestampTz(v[COLUMN_UPDATED]);
	reservation->times_out_at = n[COLUMN_TIMES_OUT_AT] ? KT_NEVER :
		DatumGetTimestampTz(v[COLUMN_TIMES_OUT_AT]);
	return reservation;
}

static KtRowResult
fetch(const KtSid *sid, KtRowLock lock, KtReservation **reservation)
{
	Relation	reservations = kt_row_table(&shape);
	HeapTuple	tuple;
	KtRowResult result = kt_row_fetch(reservations, sid, lock, &tuple);

	*reservation = result == KT_ROW_FOUND ? read_row(reservations, tuple) : NULL;
	table_close(reservations, NoLock);
	return result;
}

KtReservation *
kt_reservation_read(const KtSid *sid, bool lock)
{
	KtReservation *reservation;

	(void) fetch(sid, lock ? KT_ROW_LOCK : KT_ROW_READ, &reservation);
	return reservation;
}

static int
compare_sids(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(KtSid));
}

/*
 * The open ones of a task, by sid.  Not by a statement: the planner may choose the
 * index on workers, and read all that is open, if it was asked when little was.
 */
static KtSid *
open_of_task(const KtSid *task, bool latest, int *count)
{
	Relation	reservations = kt_row_table(&shape);
	HeapTuple  *tuples;
	int			n = kt_row_find(reservations, &shape, COLUMN_TASK, task, latest, &tuples);
	KtSid	   *sids = palloc(sizeof(KtSid) * Max(n, 1));

	*count = 0;
	for (int i = 0; i < n; i++)
	{
		KtReservation *reservation = read_row(reservations, tuples[i]);

		if (kt_reservation_is_open(reservation->status))
			sids[(*count)++] = reservation->sid;
	}
	qsort(sids, *count, sizeof(KtSid), compare_sids);
	table_close(reservations, NoLock);
	return sids;
}

KtReservation **
kt_reservations_of_task(const KtSid *task, int *count)
{
	int			n;
	KtSid	   *sids = open_of_task(task, false, &n);
	KtReservation **reservations = palloc(sizeof(KtReservation *) * Max(n, 1));

	*count = 0;
	for (int i = 0; i < n; i++)
	{
		reservations[*count] = kt_reservation_read(&sids[i], true);
		if (reservations[*count] != NULL)
			(*count)++;
	}
	return reservations;
}

bool
kt_reservations_try_lock(const KtSid *task)
{
	KtReservation *reservation;
	int			n;
	KtSid	   *sids = open_of_task(task, true, &n);

	for (int i = 0; i < n; i++)
		if (fetch(&sids[i], KT_ROW_TRY_LOCK, &reservation) == KT_ROW_BUSY)
			return false;
	return true;
}

/* Writes back what the transition function changes. */
static void
store(KtReservation *reservation, const char *reason)
{
	Relation	reservations = kt_row_table(&shape);
	Datum		v[NCOLUMNS];
	bool		n[NCOLUMNS];

	kt_columns_read(reservations, &shape, reservation->row, v, n);
	v[COLUMN_VERSION] = Int64GetDatum(reservation->version);
	v[COLUMN_STATUS] = kt_text_datum(status_names[reservation->status]);
	v[COLUMN_IS_OPEN] = BoolGetDatum(kt_reservation_is_open(reservation->status));
	v[COLUMN_UPDATED] = TimestampTzGetDatum(reservation->date_updated);
	v[COLUMN_TIMES_OUT_AT] = TimestampTzGetDatum(reservation->times_out_at);
	n[COLUMN_TIMES_OUT_AT] = reservation->times_out_at == KT_NEVER;
	if (reason != NULL)
	{
		v[COLUMN_REASON] = kt_text_datum(reason);
		n[COLUMN_REASON] = false;
	}
	kt_row_update(reservations, &shape, &reservation->row, v, n);
	table_close(reservations, NoLock);
}

/* Adds an event that tells of reservation, task and worker. */
static void
add_event(KtConfig *config, const char *type, const KtSid *reservation, const KtTask *task,
		  const KtWorkerCard *worker, const char *reason, TimestampTz now)
{
	KtEvent		event = kt_task_event_base(task, type, now);
	KtData		data;

	event.id = kt_event_id();
	event.resource = event.reservation = *reservation;
	event.worker = worker->sid;
	event.worker_document = worker->document;
	kt_data_begin(&data);
	kt_task_data(config, task, &data, now);
	kt_worker_data(config, worker, &data);
	kt_data_string(&data, "reservation_reason", reason);
	event.data = kt_data_end(&data);
	kt_event_add(&event);
}

void
kt_reservation_transition(KtConfig *config, KtReservation *reservation, const KtTask *task,
						  KtReservationStatus to, const char *reason, TimestampTz now)
{
	const char *event = edge_event(reservation, to);
	KtWorkerCard worker;

	reservation->status = to;
	reservation->version++;
	reservation->date_updated = now;
	/*
	 * The time-out of an accepted one is left where it is, so that the update
	 * stays HOT: most have ended when the router comes to clear it.
	 */
	if (!kt_reservation_is_open(to))
		reservation->times_out_at = KT_NEVER;
	store(reservation, reason);
	if (kt_worker_read(&reservation->worker, false, &worker))
		add_event(config, event, &reservation->sid, task, &worker, reason, now);
}

KtSid
kt_reservation_create(KtConfig *config, const KtTask *task, const KtWorkerCard *worker,
					  int32 timeout, TimestampTz now)
{
	KtReservation reservation = {kt_sid_new(KT_RESERVATION)};
	const char *event = edge_event(&reservation, KT_RESERVATION_PENDING);
	Relation	reservations = kt_row_table(&shape);
	TupleTableSlot *slot;
	Datum		v[NCOLUMNS] = {0};
	bool		n[NCOLUMNS] = {0};

	v[COLUMN_SID] = SidPGetDatum(&reservation.sid);
	v[COLUMN_WORKSPACE] = SidPGetDatum(&task->workspace);
	v[COLUMN_VERSION] = Int64GetDatum(0);
	v[COLUMN_STATUS] = kt_text_datum(status_names[KT_RESERVATION_PENDING]);
	v[COLUMN_IS_OPEN] = BoolGetDatum(true);
	v[COLUMN_TASK] = SidPGetDatum(&task->sid);
	v[COLUMN_WORKER] = SidPGetDatum(&worker->sid);
	v[COLUMN_WORKER_NAME] = kt_text_datum(worker->friendly_name);
	v[COLUMN_CHANNEL] = SidPGetDatum(&task->task_channel);
	v[COLUMN_QUEUE] = SidPGetDatum(&task->task_queue);
	n[COLUMN_QUEUE] = kt_sid_is_null(&task->task_queue);
	v[COLUMN_WORKFLOW] = SidPGetDatum(&task->workflow);
	n[COLUMN_WORKFLOW] = kt_sid_is_null(&task->workflow);
	v[COLUMN_CREATED] = v[COLUMN_UPDATED] = TimestampTzGetDatum(now);
	v[COLUMN_TIMES_OUT_AT] = TimestampTzGetDatum(now + timeout * USECS_PER_SEC);
	n[COLUMN_REASON] = true;
	slot = kt_row_make(reservations, &shape, v, n);
	kt_row_insert(reservations, &slot, 1);
	ExecDropSingleTupleTableSlot(slot);
	table_close(reservations, NoLock);
	add_event(config, event, &reservation.sid, task, worker, NULL, now);
	return reservation.sid;
}

void
kt_reservations_end_pending(KtConfig *config, const KtTask *task, const KtSid *but,
							KtReservationStatus to, TimestampTz now)
{
	int			n;
	KtReservation **reservations = kt_reservations_of_task(&task->sid, &n);

	for (int i = 0; i < n; i++)
		if (reservations[i]->status == KT_RESERVATION_PENDING &&
			(but == NULL || !kt_sid_equal(&reservations[i]->sid, but)))
			kt_reservation_transition(config, reservations[i], task, to, NULL, now);
}

/*
 * Ends a pending reservation without acceptance; the task goes back to its
 * queue when it was the last one.
 */
static void
end_offer(KtConfig *config, KtReservation *reservation, KtTask *task, KtReservationStatus to,
		  const char *reason, TimestampTz now)
{
	kt_reservation_transition(config, reservation, task, to, reason, now);
	task->open_reservations--;
	if (task->open_reservations > 0)
		kt_task_store(task, now);
	else
		kt_task_return(config, task, now);
}

/* Who let a reservation time out did not answer, and so gets no more until it is moved back. */
static const KtSid *
timeout_activity(KtConfig *config, const KtSid *workspace)
{
	const KtWorkspace *configured = kt_config_workspace(config, workspace);

	return configured != NULL && !kt_sid_is_null(&configured->timeout_activity) ?
		&configured->timeout_activity : NULL;
}

bool
kt_reservation_time_out(KtConfig *config, KtReservation *reservation, TimestampTz now, bool *fired)
{
	const KtSid *activity;
	KtWorkerCard worker;
	KtTask	   *task;
	KtRowResult found;

	if (!kt_task_try_lock(&reservation->task, &task) ||
		fetch(&reservation->sid, KT_ROW_TRY_LOCK, &reservation) == KT_ROW_BUSY)
		return false;
	if (reservation == NULL || task == NULL)
		return true;
	if (reservation->status != KT_RESERVATION_PENDING)
	{
		reservation->times_out_at = KT_NEVER;
		store(reservation, NULL);
		return true;
	}
	if (reservation->times_out_at > now)
		return true;
	activity = timeout_activity(config, &reservation->workspace);
	found = activity == NULL ? KT_ROW_ABSENT : kt_worker_try_lock(&reservation->worker, activity, &worker);
	if (found == KT_ROW_BUSY)
		return false;
	*fired = true;
	end_offer(config, reservation, task, KT_RESERVATION_TIMEOUT, NULL, now);
	if (found == KT_ROW_FOUND)
		kt_worker_set_activity(config, &worker, activity, now);
	return true;
}

/*
 * Its pending reservations, by task: that is the order in which they are locked.
 * What is committed now counts, for the router may just have made one.
 */
static int
pending_of_worker(const KtSid *worker, KtSid **sids, KtSid **tasks)
{
	static KtPlan plan = {
		"SELECT sid, task_sid FROM kin_tr.reservations"
		" WHERE worker_sid = $1 AND is_open AND reservation_status = 'pending' ORDER BY task_sid", "s"
	};
	Datum		values[] = {SidPGetDatum(worker)};
	uint64		n = kt_spi_latest(&plan, values, NULL);

	*sids = palloc(sizeof(KtSid) * Max(n, 1));
	*tasks = palloc(sizeof(KtSid) * Max(n, 1));
	for (uint64 i = 0; i < n; i++)
	{
		(*sids)[i] = kt_column_sid(i, 1);
		(*tasks)[i] = kt_column_sid(i, 2);
	}
	return (int) n;
}

bool
kt_reservations_are_pending(const KtSid *worker)
{
	KtSid	   *sids;
	KtSid	   *tasks;

	return pending_of_worker(worker, &sids, &tasks) > 0;
}

void
kt_reservations_reject_of_worker(KtConfig *config, const KtSid *worker, TimestampTz now)
{
	KtSid	   *sids;
	KtSid	   *tasks;
	int			n = pending_of_worker(worker, &sids, &tasks);

	for (int i = 0; i < n; i++)
	{
		KtTask	   *task = kt_task_read(&tasks[i], true);
		KtReservation *reservation = task ? kt_reservation_read(&sids[i], true) : NULL;

		if (reservation != NULL && reservation->status == KT_RESERVATION_PENDING)
			end_offer(config, reservation, task, KT_RESERVATION_REJECTED, NULL, now);
	}
}

/* What each function below starts with and ends with. */
typedef struct Call
{
	KtSpi		spi;
	KtConfig   *config;
	TimestampTz now;
	KtTask	   *task;
	KtReservation *reservation;
} Call;

static void
no_such_reservation(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("reservation \"%s\" does not exist", kt_text_excerpt(name)),
			 errhint("Reservations of a finished task move to reservation_history.")));
}

/*
 * Checks the arguments reservation text (0), workspace text and if_version
 * bigint, and locks task and reservation, in this order.
 */
static void
begin(Call *call, FunctionCallInfo fcinfo, int workspace_argument, int version_argument)
{
	KtSid		sid;
	char	   *name;
	KtReservation *seen;
	KtSid		workspace = {{0}};
	KtSid		named = {{0}};
	KtSid		task = {{0}};

	kt_require_writable(fcinfo);
	sid = kt_config_sid_argument(fcinfo, 0, KT_RESERVATION);
	name = kt_sid_cstring(&sid);
	call->now = kt_now();
	if (!PG_ARGISNULL(workspace_argument))
		named = kt_workspace_argument(PG_GETARG_TEXT_PP(workspace_argument), KT_ACCESS_APP);
	kt_spi_begin(&call->spi);
	seen = kt_reservation_read(&sid, false);
	if (seen != NULL)
	{
		workspace = seen->workspace;
		task = seen->task;
	}
	kt_spi_end(&call->spi);
	if (kt_access(&workspace) == KT_ACCESS_NONE ||
		(!kt_sid_is_null(&named) && !kt_sid_equal(&workspace, &named)))
		no_such_reservation(name);
	kt_access_require(&workspace, KT_ACCESS_APP);
	kt_spi_begin(&call->spi);
	call->task = kt_task_read(&task, true);
	call->reservation = call->task ? kt_reservation_read(&sid, true) : NULL;
	call->config = kt_config();
	if (call->reservation == NULL)
		no_such_reservation(name);
	if (!PG_ARGISNULL(version_argument) &&
		call->reservation->version != PG_GETARG_INT64(version_argument))
		ereport(ERROR,
				(errcode(KT_ERRCODE_VERSION_MISMATCH),
				 errmsg("reservation %s is at version " INT64_FORMAT ", not " INT64_FORMAT, name,
						call->reservation->version, PG_GETARG_INT64(version_argument)),
				 errhint("Read it again, and decide anew.")));
}

static Datum
end(Call *call)
{
	int64		version = call->reservation->version;

	kt_events_flush();
	kt_spi_end(&call->spi);
	return Int64GetDatum(version);
}

PG_FUNCTION_INFO_V1(kin_tr_accept_reservation);
PG_FUNCTION_INFO_V1(kin_tr_reject_reservation);
PG_FUNCTION_INFO_V1(kin_tr_wrapup_reservation);
PG_FUNCTION_INFO_V1(kin_tr_complete_reservation);

/* accept_reservation(reservation text, workspace text, if_version bigint) -> version */
Datum
kin_tr_accept_reservation(PG_FUNCTION_ARGS)
{
	Call		call;
	int			others;

	begin(&call, fcinfo, 1, 2);
	/*
	 * Its time is over though nobody has said so yet: to accept it now would
	 * depend on how busy the router is.
	 */
	if (call.reservation->status == KT_RESERVATION_PENDING &&
		call.reservation->times_out_at <= call.now)
		ereport(ERROR,
				(errcode(KT_ERRCODE_RESERVATION_GONE),
				 errmsg("reservation %s has timed out", kt_sid_cstring(&call.reservation->sid)),
				 errhint("The task will be offered again.")));
	others = call.task->open_reservations - 1;
	if (call.reservation->status == KT_RESERVATION_PENDING)
	{
		kt_task_transition(call.task, KT_TASK_ASSIGNED);
		call.task->open_reservations = 1;
		call.task->expires_at = call.now + KT_ASSIGNED_LIMIT;
		/* Mostly it is woken before that, and so the update stays HOT. */
		call.task->wake_at = Min(call.task->wake_at, call.task->expires_at);
		kt_task_store(call.task, call.now);
	}
	kt_reservation_transition(call.config, call.reservation, call.task, KT_RESERVATION_ACCEPTED,
							  NULL, call.now);
	if (others > 0)
		kt_reservations_end_pending(call.config, call.task, &call.reservation->sid,
									KT_RESERVATION_RESCINDED, call.now);
	return end(&call);
}

/*
 * reject_reservation(reservation text, reason text, activity text, workspace
 * text, if_version bigint) -> version; activity: where the worker moves to.
 */
Datum
kin_tr_reject_reservation(PG_FUNCTION_ARGS)
{
	Call		call;
	KtWorkerCard worker;

	begin(&call, fcinfo, 3, 4);
	if (call.reservation->status != KT_RESERVATION_PENDING)
		kt_reservation_transition(call.config, call.reservation, call.task,
								  KT_RESERVATION_REJECTED, NULL, call.now);	/* the error */
	end_offer(call.config, call.reservation, call.task, KT_RESERVATION_REJECTED,
			  kt_limit_argument(fcinfo, 1, "reason"), call.now);
	if (!PG_ARGISNULL(2))
	{
		KtSid		activity = kt_worker_resolve_activity(call.config,
														  kt_limit_argument(fcinfo, 2, "activity"),
														  &call.reservation->workspace);

		if (kt_worker_read(&call.reservation->worker, true, &worker))
			kt_worker_set_activity(call.config, &worker, &activity, call.now);
	}
	return end(&call);
}

/* Keys of attributes replace the task's of the same name. */
static void
merge_attributes(Call *call, FunctionCallInfo fcinfo, int argument)
{
	if (!PG_ARGISNULL(argument))
		kt_task_merge_attributes(call->config, call->task, PG_GETARG_JSONB_P(argument), call->now);
}

/* wrapup_reservation(reservation text, attributes jsonb, workspace text, if_version bigint) */
Datum
kin_tr_wrapup_reservation(PG_FUNCTION_ARGS)
{
	Call		call;

	begin(&call, fcinfo, 2, 3);
	merge_attributes(&call, fcinfo, 1);
	kt_reservation_transition(call.config, call.reservation, call.task, KT_RESERVATION_WRAPPING,
							  NULL, call.now);
	if (call.task->status == KT_TASK_ASSIGNED)
		kt_task_wrap_up(call.config, call.task, call.now);
	else if (call.task->attributes_changed)
		kt_task_store(call.task, call.now);
	return end(&call);
}

/* complete_reservation(reservation text, attributes jsonb, workspace text, if_version bigint) */
Datum
kin_tr_complete_reservation(PG_FUNCTION_ARGS)
{
	Call		call;

	begin(&call, fcinfo, 2, 3);
	merge_attributes(&call, fcinfo, 1);
	kt_reservation_transition(call.config, call.reservation, call.task, KT_RESERVATION_COMPLETED,
							  NULL, call.now);
	call.task->open_reservations--;
	if (call.task->open_reservations == 0)
		kt_task_complete(call.config, call.task,
						 call.task->reason ? NULL : "All reservations were completed", call.now);
	else
		kt_task_store(call.task, call.now);
	return end(&call);
}
