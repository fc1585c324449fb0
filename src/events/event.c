/*
 * event.c
 *		Writing to the event log.
 *
 * This is the hottest code of kin_tr: a task's life writes eight events.  So
 * the rows of a call go to their partition at once, without an executor; that
 * the partition is the right one is seen to here.
 *
 * Ids are drawn from the sequence several at a time, for one call and the rows
 * that it has locked by then: were they kept for the next, a backend could give an
 * old, small id to an object that has newer events.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "commands/sequence.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "executor/tuptable.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "base/compat.h"
#include "base/row.h"
#include "base/spi.h"
#include "events/era.h"
#include "events/event.h"
#include "events/log.h"

/* The increment of the sequence events_id_seq. */
#define IDS_PER_DRAW	16

/* At most so many rows in one multi-insert. */
#define FLUSH_AT		64

void		(*kt_events_committed) (void) = NULL;

static KtEvent *pending = NULL;
static int	npending = 0;
static int	pending_levels[FLUSH_AT];	/* of the subtransactions that added them, in order */
static MemoryContext pending_context = NULL;

static int64 next_id = 0;
static int	ids_left = 0;
static bool wrote_events = false;

/* Section 5.1 of the reference, and task-queue.updated. */
static const char *const types[] = {
	"activity.created", "activity.updated", "activity.deleted",
	"reservation.created", "reservation.accepted", "reservation.rejected", "reservation.timeout",
	"reservation.canceled", "reservation.rescinded", "reservation.wrapup", "reservation.completed",
	"reservation.failed",
	"task.created", "task.updated", "task.canceled", "task.wrapup", "task.completed", "task.deleted",
	"task.system-deleted", "task.transfer-initiated", "task.transfer-attempt-failed",
	"task.transfer-failed", "task.transfer-canceled", "task.transfer-completed",
	"task-channel.created", "task-channel.updated", "task-channel.deleted",
	"task-queue.created", "task-queue.updated", "task-queue.deleted", "task-queue.entered",
	"task-queue.timeout", "task-queue.moved", "task-queue.expression.updated",
	"worker.created", "worker.activity.update", "worker.attributes.update", "worker.capacity.update",
	"worker.channel.availability.update", "worker.deleted",
	"workflow.created", "workflow.updated", "workflow.deleted", "workflow.target-matched",
	"workflow.entered", "workflow.timeout", "workflow.skipped",
	"workspace.created", "workspace.updated", "workspace.deleted"
};

bool
kt_event_type_exists(const char *type)
{
	for (int i = 0; i < lengthof(types); i++)
		if (strcmp(types[i], type) == 0)
			return true;
	return false;
}

/*
 * An aborted call leaves nothing behind; a committed one wakes the workers.
 */
static void
at_end_of_transaction(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PARALLEL_COMMIT:
			if (wrote_events && kt_events_committed)
				kt_events_committed();
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PARALLEL_ABORT:
		case XACT_EVENT_PREPARE:
			break;
		default:
			return;
	}
	wrote_events = false;
	ids_left = 0;
	npending = 0;
	MemoryContextReset(pending_context);
}

static void
at_end_of_subtransaction(SubXactEvent event, SubTransactionId mine, SubTransactionId parent,
						 void *arg)
{
	int			level = GetCurrentTransactionNestLevel();

	if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		/* Those of the transaction around it stay. */
		while (npending > 0 && pending_levels[npending - 1] >= level)
			npending--;
		if (npending == 0)
			MemoryContextReset(pending_context);
		ids_left = 0;
	}
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
		for (int i = npending - 1; i >= 0 && pending_levels[i] >= level; i--)
			pending_levels[i] = level - 1;
}

static void
initialize(void)
{
	if (pending != NULL)
		return;
	pending_context = AllocSetContextCreate(TopMemoryContext, "kin_tr pending events",
											ALLOCSET_DEFAULT_SIZES);
	pending = MemoryContextAlloc(TopMemoryContext, sizeof(KtEvent) * FLUSH_AT);
	RegisterXactCallback(at_end_of_transaction, NULL);
	RegisterSubXactCallback(at_end_of_subtransaction, NULL);
}

/* _wake(): wakes the workers at commit, for what is no event. */
PG_FUNCTION_INFO_V1(kin_tr_wake);

Datum
kin_tr_wake(PG_FUNCTION_ARGS)
{
	initialize();
	wrote_events = true;
	PG_RETURN_VOID();
}

int64
kt_event_id(void)
{
	if (ids_left == 0)
	{
		next_id = nextval_internal(kt_relation_oid("events_id_seq"), false);
		ids_left = IDS_PER_DRAW;
	}
	ids_left--;
	return next_id++;
}

void
kt_event_give_up_ids(void)
{
	ids_left = 0;
}

void
kt_event_add(const KtEvent *event)
{
	KtEvent    *copy;

	initialize();
	if (npending == FLUSH_AT)
		kt_events_flush();
	pending_levels[npending] = GetCurrentTransactionNestLevel();
	copy = &pending[npending++];
	*copy = *event;
	if (event->data != NULL)
	{
		copy->data = MemoryContextAlloc(pending_context, VARSIZE(event->data));
		memcpy(copy->data, event->data, VARSIZE(event->data));
	}
}

void
kt_events_share_data(const KtEvent *document)
{
	for (int i = 0; i < npending; i++)
	{
		KtEvent    *event = &pending[i];

		if (event->task_document == document->id &&
			(kt_sid_is_null(&event->task_queue) ||
			 kt_sid_equal(&event->task_queue, &document->task_queue)))
			event->data = NULL;
	}
}

/* The partition of events that a row recorded at this moment belongs to. */
static Oid
find_partition(Relation events, TimestampTz recorded_at)
{
	List	   *oids = kt_log_partitions(events, recorded_at, recorded_at);

	if (oids == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("no partition of kin_tr.events for this moment"),
				 errhint("The default partition was dropped or detached.")));
	return linitial_oid(oids);
}

/*
 * Opens and locks that partition.  While this waited for the lock a new
 * partition may have taken over its range, so look again.
 */
static Relation
open_partition(Relation events, TimestampTz recorded_at)
{
	for (;;)
	{
		Oid			oid = find_partition(events, recorded_at);
		Relation	partition = try_table_open(oid, RowExclusiveLock);

		if (partition != NULL && find_partition(events, recorded_at) == oid)
			return partition;
		if (partition != NULL)
			table_close(partition, RowExclusiveLock);
		CHECK_FOR_INTERRUPTS();
	}
}

static void
put_sid(Datum *values, bool *isnull, KtEventColumn column, const KtSid *sid)
{
	isnull[column] = kt_sid_is_null(sid);
	values[column] = SidPGetDatum(sid);
}

static void
put_document(Datum *values, bool *isnull, KtEventColumn column, int64 id)
{
	isnull[column] = id == 0;
	values[column] = Int64GetDatum(id);
}

static TupleTableSlot *
make_row(Relation partition, KtEvent *event, TimestampTz recorded_at, Datum xid, int32 era,
		 Datum actor)
{
	Datum		values[KT_EVENT_NCOLUMNS];
	bool		isnull[KT_EVENT_NCOLUMNS] = {0};

	values[KT_EVENT_ID] = Int64GetDatum(event->id);
	values[KT_EVENT_XID] = xid;
	values[KT_EVENT_ERA] = Int32GetDatum(era);
	values[KT_EVENT_RECORDED_AT] = TimestampTzGetDatum(recorded_at);
	values[KT_EVENT_DATE] = TimestampTzGetDatum(event->date);
	put_sid(values, isnull, KT_EVENT_WORKSPACE, &event->workspace);
	values[KT_EVENT_TYPE] = kt_text_datum(event->type);
	put_sid(values, isnull, KT_EVENT_RESOURCE, &event->resource);
	put_sid(values, isnull, KT_EVENT_TASK, &event->task);
	put_sid(values, isnull, KT_EVENT_RESERVATION, &event->reservation);
	put_sid(values, isnull, KT_EVENT_WORKER, &event->worker);
	put_sid(values, isnull, KT_EVENT_WORKFLOW, &event->workflow);
	put_sid(values, isnull, KT_EVENT_QUEUE, &event->task_queue);
	put_sid(values, isnull, KT_EVENT_CHANNEL, &event->task_channel);
	put_document(values, isnull, KT_EVENT_TASK_DOCUMENT, event->task_document);
	put_document(values, isnull, KT_EVENT_WORKER_DOCUMENT, event->worker_document);
	values[KT_EVENT_ACTOR] = actor;
	isnull[KT_EVENT_ACTOR] = actor == (Datum) 0;
	values[KT_EVENT_DATA] = PointerGetDatum(event->data);
	isnull[KT_EVENT_DATA] = event->data == NULL;
	return kt_row_make(partition, &kt_event_shape, values, isnull);
}

/*
 * The role that asked for what happens, whose own rights these events are not
 * written with; a background worker is nobody.
 */
static Datum
actor_name(void)
{
	char	   *name;

	if (MyBackendType == B_BG_WORKER)
		return (Datum) 0;
	name = GetUserNameFromId(GetOuterUserId(), true);
	return name ? kt_text_datum(name) : (Datum) 0;
}

void
kt_events_flush(void)
{
	MemoryContext context;
	MemoryContext old;
	Relation	events;
	Relation	partition;
	TimestampTz recorded_at = GetCurrentTimestamp();
	TupleTableSlot *slots[FLUSH_AT];
	Datum		xid;
	Datum		actor;
	int32		era;
	int			n = npending;

	ids_left = 0;
	if (n == 0)
		return;
	npending = 0;
	context = AllocSetContextCreate(CurrentMemoryContext, "kin_tr event flush",
									ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	xid = FullTransactionIdGetDatum(GetTopFullTransactionId());
	actor = actor_name();
	events = table_open(kt_relation_oid("events"), RowExclusiveLock);
	era = kt_era();
	partition = open_partition(events, recorded_at);
	for (int i = 0; i < n; i++)
		slots[i] = make_row(partition, &pending[i], recorded_at, xid, era, actor);
	kt_row_insert(partition, slots, n);
	for (int i = 0; i < n; i++)
		ExecDropSingleTupleTableSlot(slots[i]);
	table_close(partition, NoLock);
	table_close(events, NoLock);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	MemoryContextReset(pending_context);
	wrote_events = true;
}

void
kt_data_begin(KtData *data)
{
	data->state = NULL;
	pushJsonbValue(&data->state, WJB_BEGIN_OBJECT, NULL);
}

static void
push_key(KtData *data, const char *key)
{
	JsonbValue	value = {.type = jbvString};

	value.val.string.val = unconstify(char *, key);
	value.val.string.len = strlen(key);
	pushJsonbValue(&data->state, WJB_KEY, &value);
}

static void
push_string(KtData *data, const char *key, const char *string, int length)
{
	JsonbValue	value = {.type = jbvString};

	push_key(data, key);
	value.val.string.val = unconstify(char *, string);
	value.val.string.len = length;
	pushJsonbValue(&data->state, WJB_VALUE, &value);
}

void
kt_data_string(KtData *data, const char *key, const char *value)
{
	if (value != NULL)
		push_string(data, key, value, strlen(value));
}

void
kt_data_integer(KtData *data, const char *key, int64 value)
{
	char	   *text = palloc(MAXINT8LEN + 1);

	push_string(data, key, text, pg_lltoa(value, text));
}

void
kt_data_sid(KtData *data, const char *key, const KtSid *sid)
{
	if (!kt_sid_is_null(sid))
		push_string(data, key, kt_sid_cstring(sid), KT_SID_LENGTH);
}

void
kt_data_null(KtData *data, const char *key)
{
	JsonbValue	value = {.type = jbvNull};

	push_key(data, key);
	pushJsonbValue(&data->state, WJB_VALUE, &value);
}

void
kt_data_jsonb(KtData *data, const char *key, Jsonb *jsonb)
{
	JsonbValue	value = {.type = jbvBinary};

	push_key(data, key);
	value.val.binary.data = &jsonb->root;
	value.val.binary.len = VARSIZE(jsonb) - VARHDRSZ;
	pushJsonbValue(&data->state, WJB_VALUE, &value);
}

Jsonb *
kt_data_end(KtData *data)
{
	return JsonbValueToJsonb(pushJsonbValue(&data->state, WJB_END_OBJECT, NULL));
}
