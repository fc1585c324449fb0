/*
 * load.c
 *		From tables and events into the pool.
 *
 * An event says "look at this object again", and what the row says then is put
 * into the pool: so it does not matter whether an event is seen early, late or
 * twice.  The one exception are open reservations, which are counted by their
 * events: to count rows would cost, under an old snapshot, a walk over every
 * reservation that a worker ever had.  A reservation is opened by its first
 * event and closed by its last, in the order of ids.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/clock.h"
#include "base/spi.h"
#include "routing/placement.h"
#include "routing/router.h"
#include "routing/task.h"

/* So many events are read at most; who is further behind loads everything. */
#define MAX_EVENTS 100000

/* Rows fetched at a time while loading. */
#define FETCH_SIZE 1000

/* Heads fetched for a group that has run out. */
#define REFILL_SIZE 32

static Datum
sid_array(const KtSid *sids, int n)
{
	Datum	   *values = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		values[i] = SidPGetDatum(&sids[i]);
	return PointerGetDatum(construct_array(values, n, kt_sid_type_oid(), sizeof(KtSid), false,
										   TYPALIGN_CHAR));
}

/* A set of sids, in the current memory context; the null sid is never in it. */
static void
look_at(HTAB **set, const KtSid *sid)
{
	if (kt_sid_is_null(sid))
		return;
	if (*set == NULL)
	{
		HASHCTL		control = {.keysize = sizeof(KtSid), .entrysize = sizeof(KtSid),
		.hcxt = CurrentMemoryContext};

		*set = hash_create("kin_tr looks", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	hash_search(*set, sid, HASH_ENTER, NULL);
}

/* Runs a statement without parameters and calls put for each row. */
static void
for_each_row(const char *sql, void (*put) (KtRouter *router, uint64 row), KtRouter *router)
{
	SPIPlanPtr	plan = SPI_prepare_cursor(sql, 0, NULL, 0);
	Portal		portal = SPI_cursor_open(NULL, plan, NULL, NULL, true);

	for (;;)
	{
		uint64		n;

		CHECK_FOR_INTERRUPTS();
		SPI_cursor_fetch(portal, true, FETCH_SIZE);
		n = SPI_processed;
		if (n == 0)
			break;
		for (uint64 i = 0; i < n; i++)
		{
			SPITupleTable *table = SPI_tuptable;

			CHECK_FOR_INTERRUPTS();
			put(router, i);
			SPI_tuptable = table;
		}
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_cursor_close(portal);
	SPI_freeplan(plan);
}

/* ---------------------------------------------------------------- workers */

#define WORKER_COLUMNS \
	"sid, workspace_sid, version, friendly_name, attributes, activity_sid, date_status_changed, document"

static void
put_worker(KtRouter *router, uint64 row)
{
	KtWorkerRow worker;
	bool		isnull;

	worker.sid = kt_column_sid(row, 1);
	worker.workspace = kt_column_sid(row, 2);
	worker.version = kt_column_int64(row, 3);
	worker.friendly_name = kt_column_cstring(row, 4);
	worker.attributes = DatumGetJsonbP(kt_column(row, 5, &isnull));
	worker.activity = kt_column_sid(row, 6);
	worker.date_status_changed = kt_column_int64(row, 7);
	worker.document = kt_column_int64(row, 8);
	(void) kt_pool_put_worker(router->pool, &worker);
}

#define CHANNEL_COLUMNS "worker_sid, task_channel_sid, configured_capacity, available"

static void
put_worker_channel(KtRouter *router, uint64 row)
{
	KtSid		worker_sid = kt_column_sid(row, 1);
	KtSid		channel_sid = kt_column_sid(row, 2);
	KtPoolWorker *worker = kt_pool_worker(router->pool, &worker_sid);
	int			channel = worker ? kt_space_channel(worker->space, &channel_sid) : -1;

	if (channel >= 0)
		kt_pool_set_slot(router->pool, worker, channel, kt_column_int32(row, 3),
						 kt_column_bool(row, 4));
}

/* When a worker was last reserved, as far as that has moved to history. */
static void
put_clock(KtRouter *router, uint64 row)
{
	KtSid		worker_sid = kt_column_sid(row, 1);
	KtSid		channel_sid = kt_column_sid(row, 2);
	KtPoolWorker *worker = kt_pool_worker(router->pool, &worker_sid);
	int			channel = worker ? kt_space_channel(worker->space, &channel_sid) : -1;

	if (channel >= 0)
		kt_pool_note_reserved(router->pool, worker, channel, kt_column_int64(row, 3));
}

void
kt_router_look_at_workers(KtRouter *router, const KtSid *workers, int n)
{
	static KtPlan plan = {
		"SELECT " WORKER_COLUMNS " FROM kin_tr.workers WHERE sid = ANY ($1)", "S"
	};
	static KtPlan channels = {
		"SELECT " CHANNEL_COLUMNS " FROM kin_tr.worker_channels WHERE worker_sid = ANY ($1)", "S"
	};
	Datum		values[1];
	uint64		found;
	SPITupleTable *table;
	HTAB	   *existing = NULL;

	if (n == 0)
		return;
	values[0] = sid_array(workers, n);
	found = kt_spi(&plan, values, NULL);
	table = SPI_tuptable;
	for (uint64 i = 0; i < found; i++)
	{
		KtSid		sid = kt_column_sid(i, 1);

		look_at(&existing, &sid);
	}
	for (int i = 0; i < n; i++)
		if (existing == NULL || hash_search(existing, &workers[i], HASH_FIND, NULL) == NULL)
			kt_pool_remove_worker(router->pool, &workers[i]);
	for (uint64 i = 0; i < found; i++)
	{
		SPI_tuptable = table;
		put_worker(router, i);
	}
	found = kt_spi(&channels, values, NULL);
	table = SPI_tuptable;
	for (uint64 i = 0; i < found; i++)
	{
		SPI_tuptable = table;
		put_worker_channel(router, i);
	}
}

/* ------------------------------------------------------------------ tasks */

#define TASK_COLUMNS \
	"sid, workspace_sid, group_key, order_key1, order_key2, task_queue_sid, task_channel_sid," \
	" workflow_sid, workflow_version, workflow_filter, workflow_target, routing_target," \
	" ignore_capacity, step_tried, wake_at, attributes, priority, virtual_start_time"

static KtGroup *
group_of_row(KtRouter *router, uint64 row)
{
	KtGroupRow	group;
	KtGroup    *found;
	bool		isnull;

	group.key = *DatumGetUUIDP(kt_column(row, 3, &isnull));
	found = kt_pool_group(router->pool, &group.key);
	if (found != NULL)
		return found;
	group.workspace = kt_column_sid(row, 2);
	group.queue = kt_column_sid(row, 6);
	group.channel = kt_column_sid(row, 7);
	group.workflow = kt_column_sid(row, 8);
	group.workflow_version = kt_column_int32(row, 9);
	group.filter = kt_column_int32(row, 10);
	group.target = kt_column_int32(row, 11);
	group.routing_target = kt_column_sid(row, 12);
	group.ignore_capacity = kt_column_bool(row, 13);
	group.attributes = DatumGetJsonbP(kt_column(row, 16, &isnull));
	return kt_pool_make_group(router->pool, &group);
}

static void
note_unsettled(KtRouter *router, const KtSid *task)
{
	KtSid	   *copy = MemoryContextAlloc(router->pool->context, sizeof(KtSid));

	*copy = *task;
	kt_vector_add(router->pool, &router->unsettled, copy);
}

static void
put_task(KtRouter *router, uint64 row)
{
	KtHead		head;
	KtGroup    *group;
	int64		key1;
	int64		key2;

	if (!kt_column_is_null(row, 15))
	{
		TimestampTz wake_at = kt_column_int64(row, 15);

		if (wake_at <= router->tasks_mark.at)
			router->tasks_mark = (KtMark) {wake_at};
		router->next_timer = Min(router->next_timer, wake_at);
	}
	head.sid = kt_column_sid(row, 1);
	if (kt_column_is_null(row, 3))
	{
		kt_pool_remove_task(router->pool, &head.sid);
		return;
	}
	head.key1 = kt_column_int64(row, 4);
	head.key2 = kt_column_int64(row, 5);
	group = group_of_row(router, row);
	if (group == NULL)
		return;
	kt_pool_put_task(router->pool, group, &head);
	kt_pool_touch_group(router->pool, group);
	kt_order_keys(group->queue, kt_column_int32(row, 17), kt_column_int64(row, 18), &key1, &key2);
	if (!kt_column_bool(row, 14) || head.key1 != key1 || head.key2 != key2)
		note_unsettled(router, &head.sid);
}

void
kt_router_look_at_tasks(KtRouter *router, const KtSid *tasks, int n)
{
	static KtPlan plan = {"SELECT " TASK_COLUMNS " FROM kin_tr.tasks WHERE sid = ANY ($1)", "S"};

	/* In pieces, so that the memory for the rows is bounded. */
	for (int from = 0; from < n; from += FETCH_SIZE)
	{
		int			count = Min(FETCH_SIZE, n - from);
		Datum		values[] = {sid_array(&tasks[from], count)};
		uint64		found = kt_spi(&plan, values, NULL);
		SPITupleTable *table = SPI_tuptable;

		CHECK_FOR_INTERRUPTS();
		for (uint64 i = 0; i < found; i++)
		{
			SPI_tuptable = table;
			put_task(router, i);
		}
		SPI_freetuptable(table);
	}
}

void
kt_router_refill(KtRouter *router, KtGroup *group)
{
	static KtPlan plan = {
		"SELECT order_key1, order_key2, sid FROM kin_tr.tasks"
		" WHERE group_key = $1 AND (order_key1, order_key2, sid) > ($2, $3, $4)"
		" ORDER BY group_key, order_key1, order_key2, sid LIMIT $5", "uIIsi"
	};
	Datum		values[] = {
		UUIDPGetDatum(&group->key), Int64GetDatum(group->boundary.key1),
		Int64GetDatum(group->boundary.key2), SidPGetDatum(&group->boundary.sid),
		Int32GetDatum(REFILL_SIZE)
	};
	uint64		n;

	if (group->nheads > 0 || !group->more)
		return;
	n = kt_spi(&plan, values, NULL);
	/* Arrivals within the new boundary are among the rows, or will be told. */
	group->more = false;
	for (uint64 i = 0; i < n; i++)
	{
		KtHead		head = {kt_column_int64(i, 1), kt_column_int64(i, 2), kt_column_sid(i, 3)};

		kt_pool_put_task(router->pool, group, &head);
		group->boundary = head;
	}
	group->more = n == REFILL_SIZE;
}

/* ----------------------------------------------------------- reservations */

static void
put_reservation(KtRouter *router, uint64 row)
{
	KtSid		sid = kt_column_sid(row, 1);
	KtSid		worker_sid = kt_column_sid(row, 2);
	KtSid		task = kt_column_sid(row, 3);
	KtSid		channel_sid = kt_column_sid(row, 4);
	char	   *status = kt_column_cstring(row, 5);
	TimestampTz created = kt_column_int64(row, 6);
	KtPoolWorker *worker = kt_pool_worker(router->pool, &worker_sid);
	int			channel = worker ? kt_space_channel(worker->space, &channel_sid) : -1;

	if (channel >= 0)
		kt_pool_note_reserved(router->pool, worker, channel, created);
	if (kt_column_bool(row, 7))
		kt_pool_open(router->pool, &sid, &worker_sid, &task, &channel_sid,
					 strcmp(status, "accepted") == 0);
}

/* ------------------------------------------------------------------- load */

void
kt_router_load(KtRouter *router)
{
	KtEventRef *own;
	int			nown;
	KtCursor	cursor;
	KtSpi		spi;

	kt_router_forget(router);
	kt_spi_begin(&spi);
	PushActiveSnapshot(GetLatestSnapshot());
	cursor = kt_cursor_at_snapshot();
	router->cursor = kt_cursor_copy(&cursor, router->context);
	router->own_xid = kt_cursor_own_xid();
	own = kt_cursor_read_own(0, &nown);
	router->own_event = nown > 0 ? own[nown - 1].id : 0;
	router->pool = kt_pool_create(router->context);
	router->pool->now = kt_now();
	router->pool->restricted = router->restricted;
	router->pool->nallowed = router->nallowed;
	router->pool->allowed = router->allowed;
	router->minute = router->pool->now / USECS_PER_MINUTE;
	for_each_row("SELECT " WORKER_COLUMNS " FROM kin_tr.workers", put_worker, router);
	/* Their clocks before their channels: what is idle is in order by its clock. */
	for_each_row("SELECT worker_sid, task_channel_sid, last_reserved_at FROM kin_tr.worker_channels"
				 " WHERE last_reserved_at IS NOT NULL ORDER BY last_reserved_at, worker_sid", put_clock, router);
	for_each_row("SELECT sid, worker_sid, task_sid, task_channel_sid, reservation_status, date_created,"
				 " is_open FROM kin_tr.reservations ORDER BY sid", put_reservation, router);
	for_each_row("SELECT " CHANNEL_COLUMNS " FROM kin_tr.worker_channels", put_worker_channel, router);
	for_each_row("SELECT " TASK_COLUMNS " FROM kin_tr.tasks WHERE group_key IS NOT NULL"
				 " ORDER BY group_key, order_key1, order_key2, sid", put_task, router);
	router->tasks_mark = router->reservations_mark = (KtMark) {DT_NOBEGIN};
	router->next_timer = DT_NOBEGIN;
	PopActiveSnapshot();
	kt_spi_end(&spi);
}

/* ----------------------------------------------------------------- events */

/* What a batch of events says to look at. */
typedef struct Looks
{
	HTAB	   *tasks;
	HTAB	   *workers;
	bool		configuration;
} Looks;

static KtSid *
members(HTAB *set, int *n)
{
	HASH_SEQ_STATUS scan;
	KtSid	   *sids;
	KtSid	   *sid;

	*n = 0;
	if (set == NULL)
		return NULL;
	sids = palloc(sizeof(KtSid) * hash_get_num_entries(set));
	hash_seq_init(&scan, set);
	while ((sid = hash_seq_search(&scan)) != NULL)
		sids[(*n)++] = *sid;
	return sids;
}

static inline bool
begins(const char *type, const char *prefix)
{
	return strncmp(type, prefix, strlen(prefix)) == 0;
}

static void
apply_reservation_event(KtRouter *router, const KtEventRef *event)
{
	const char *what = event->type + strlen("reservation.");

	if (strcmp(what, "created") == 0)
	{
		/* Made by another process, or by this one, which knows it. */
		kt_pool_open(router->pool, &event->resource, &event->worker, &event->task,
					 &event->channel, false);
	}
	else if (strcmp(what, "accepted") == 0)
		kt_pool_set_accepted(router->pool, &event->resource, true);
	else if (strcmp(what, "wrapup") == 0)
		kt_pool_set_accepted(router->pool, &event->resource, false);
	else
		kt_pool_close(router->pool, &event->resource);
}

static void
apply_event(KtRouter *router, const KtEventRef *event, Looks *looks)
{
	if (begins(event->type, "reservation."))
	{
		apply_reservation_event(router, event);
		/* It may wait again, or no longer. */
		if (strcmp(event->type, "reservation.accepted") != 0 &&
			strcmp(event->type, "reservation.completed") != 0)
			look_at(&looks->tasks, &event->task);
	}
	else if (!kt_sid_is_null(&event->task))
	{
		/* Of a creation's events one is enough, and of an ended task none. */
		if (strcmp(event->type, "task.created") == 0 || strcmp(event->type, "task.updated") == 0 ||
			strcmp(event->type, "task-queue.entered") == 0 ||
			strcmp(event->type, "workflow.target-matched") == 0)
			look_at(&looks->tasks, &event->task);
		else if (strcmp(event->type, "task.canceled") == 0)
			kt_pool_remove_task(router->pool, &event->task);
		else if (strcmp(event->type, "task.deleted") == 0 ||
				 strcmp(event->type, "task.system-deleted") == 0)
		{
			kt_pool_remove_task(router->pool, &event->task);
			kt_pool_close_task(router->pool, &event->task);
		}
	}
	else if (begins(event->type, "worker."))
		look_at(&looks->workers, &event->worker);
	else
		looks->configuration = true;
}

static void
apply_events(KtRouter *router, KtEventRef *events, int n, Looks *looks)
{
	for (int i = 0; i < n; i++)
	{
		if (router->own_xid != 0 && events[i].xid == router->own_xid &&
			events[i].id <= router->own_event)
			continue;
		apply_event(router, &events[i], looks);
	}
}

int
kt_router_catch_up(KtRouter *router, bool with_own)
{
	MemoryContext old = MemoryContextSwitchTo(router->scratch);
	KtCursor	cursor = router->cursor;
	Looks		looks = {0};
	KtEventRef *events;
	KtSid	   *sids;
	KtSpi		spi;
	int			n;
	int			count;

	events = kt_cursor_read(&cursor, MAX_EVENTS, &n);
	count = n;
	if (events != NULL)
	{
		apply_events(router, events, n, &looks);
		cursor = kt_cursor_copy(&cursor, router->context);
		pfree(router->cursor.xip);
		router->cursor = cursor;
	}
	if (with_own && events != NULL)
	{
		KtEventRef *own = kt_cursor_read_own(router->own_xid == kt_cursor_own_xid() ?
											 router->own_event : 0, &n);

		apply_events(router, own, n, &looks);
		if (n > 0)
		{
			router->own_xid = kt_cursor_own_xid();
			router->own_event = own[n - 1].id;
		}
	}
	if (events == NULL || looks.configuration)
		kt_router_load(router);
	else
	{
		kt_spi_begin(&spi);
		sids = members(looks.workers, &n);
		kt_router_look_at_workers(router, sids, n);
		sids = members(looks.tasks, &n);
		kt_router_look_at_tasks(router, sids, n);
		kt_spi_end(&spi);
	}
	MemoryContextSwitchTo(old);
	return count;
}
