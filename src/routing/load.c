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
#include "base/monotonic.h"
#include "base/spi.h"
#include "routing/placement.h"
#include "routing/router.h"
#include "routing/task.h"

/* So many events are read at most; who is further behind loads everything. */
#define MAX_EVENTS 20000

/* Rows fetched at a time while loading. */
#define FETCH_SIZE 1000

/* Heads fetched for a group that has run out. */
#define REFILL_SIZE 32

/* Workers, tasks or groups that are read together, at most. */
#define MOST_LOOKS 64

/* Groups that are listed at a time. */
#define LIST_SIZE 256

/* Locked tasks passed by at a time, microseconds between two times, and until they are looked at again. */
#define WALK_SIZE		256
#define WALK_REST		INT64CONST(10000)
#define SKIPPED_REST	INT64CONST(1000000)

/* Before any task that waits. */
static const KtHead before_all = {PG_INT64_MIN, PG_INT64_MIN, {{0}}};

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
add_to_set(HTAB **set, const KtSid *sid)
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

/* ------------------------------------------------------------------- rows */

typedef void (*PutRow) (KtRouter *router, uint64 row);

/* Rows of a result that are put into the pool. */
typedef struct Rows
{
	KtRouter   *router;
	SPITupleTable *table;
	PutRow		put;
	uint64		from;
	uint64		to;
} Rows;

/* What a row takes of memory, which its attributes can make much, is given back after it. */
static void
put_rows(void *context)
{
	Rows	   *rows = context;
	MemoryContext each = AllocSetContextCreate(CurrentMemoryContext, "kin_tr row", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(each);

	for (uint64 i = rows->from; i < rows->to; i++)
	{
		CHECK_FOR_INTERRUPTS();
		SPI_tuptable = rows->table;
		rows->put(rows->router, i);
		MemoryContextReset(each);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(each);
}

/*
 * All rows of a result, whose first column is the sid of what it tells of.  Where
 * one fails, each is put by itself, and the bad one goes into quarantine.
 */
static void
put_page(KtRouter *router, SPITupleTable *table, uint64 n, PutRow put)
{
	Rows		rows = {router, table, put, 0, n};
	ErrorData  *error = n == 0 ? NULL : kt_try(put_rows, &rows);

	if (error == NULL)
		return;
	for (uint64 i = 0; i < n; i++)
	{
		KtSid		sid;

		rows.from = i;
		rows.to = i + 1;
		error = kt_try(put_rows, &rows);
		if (error == NULL)
			continue;
		SPI_tuptable = table;
		sid = kt_column_sid(i, 1);
		kt_quarantine_note(router->quarantine, &sid, KT_RETRY_LOOK, "load", error);
		FreeErrorData(error);
	}
}

/* All that a statement without parameters finds. */
static void
put_all(KtRouter *router, const char *sql, PutRow put)
{
	SPIPlanPtr	plan = SPI_prepare_cursor(sql, 0, NULL, 0);
	Portal		portal = SPI_cursor_open(NULL, plan, NULL, NULL, true);

	for (;;)
	{
		SPITupleTable *table;

		CHECK_FOR_INTERRUPTS();
		SPI_cursor_fetch(portal, true, FETCH_SIZE);
		table = SPI_tuptable;
		if (SPI_processed == 0)
			break;
		put_page(router, table, SPI_processed, put);
		SPI_freetuptable(table);
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
	if (kt_retry_is_kept(router->retries, &worker.sid))
		return;
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
	HTAB	   *existing = NULL;

	if (n == 0)
		return;
	values[0] = sid_array(workers, n);
	found = kt_spi_latest(&plan, values, NULL);
	for (uint64 i = 0; i < found; i++)
	{
		KtSid		sid = kt_column_sid(i, 1);

		add_to_set(&existing, &sid);
	}
	for (int i = 0; i < n; i++)
		if (existing == NULL || hash_search(existing, &workers[i], HASH_FIND, NULL) == NULL)
		{
			kt_pool_remove_worker(router->pool, &workers[i]);
			kt_quarantine_release(router->quarantine, &workers[i]);
		}
	put_page(router, SPI_tuptable, found, put_worker);
	found = kt_spi_latest(&channels, values, NULL);
	put_page(router, SPI_tuptable, found, put_worker_channel);
}

/* ------------------------------------------------------------------ tasks */

#define TASK_COLUMNS \
	"sid, workspace_sid, group_key, order_key1, order_key2, task_queue_sid, task_channel_sid," \
	" workflow_sid, workflow_version, workflow_filter, workflow_target, routing_target," \
	" ignore_capacity, step_tried, wake_at, attributes, priority, virtual_start_time"

static KtGroup *
group_of_row(KtRouter *router, uint64 row)
{
	SPITupleTable *table = SPI_tuptable;
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
	/* A workspace or step that is new to the pool is read, which must not hide the row. */
	found = kt_pool_make_group(router->pool, &group);
	SPI_tuptable = table;
	return found;
}

/* The step that a row's task is in. */
static KtUnsettled
step_of_row(uint64 row)
{
	KtUnsettled step;

	memset(&step, 0, sizeof(step));
	step.task = kt_column_sid(row, 1);
	step.workspace = kt_column_sid(row, 2);
	step.version = kt_column_int32(row, 9);
	step.filter = kt_column_int32(row, 10);
	step.target = kt_column_int32(row, 11);
	return step;
}

/* The timers go back to where it is due, if they have passed that. */
static void
note_wake(KtRouter *router, TimestampTz wake_at)
{
	if (wake_at <= router->tasks_mark.at)
		router->tasks_mark = (KtMark) {wake_at};
	router->next_timer = Min(router->next_timer, wake_at);
}

/* Of a group that cannot be made: an event will tell of what it goes by. */
static void
postpone(KtRouter *router, uint64 row)
{
	KtSid		workspace = kt_column_sid(row, 2);
	bool		isnull;

	if (kt_pool_may_use(router->pool, &workspace))
		kt_looks_add(router->postponed, &workspace, DatumGetUUIDP(kt_column(row, 3, &isnull)));
}

static void
put_task(KtRouter *router, uint64 row)
{
	KtHead		head;
	KtUnsettled step = step_of_row(row);
	KtGroup    *group;
	int64		key1;
	int64		key2;

	if (!kt_column_is_null(row, 15))
		note_wake(router, kt_column_int64(row, 15));
	head.sid = kt_column_sid(row, 1);
	if (kt_column_is_null(row, 3) || kt_retry_is_kept(router->retries, &head.sid))
	{
		kt_pool_remove_task(router->pool, &head.sid);
		return;
	}
	head.key1 = kt_column_int64(row, 4);
	head.key2 = kt_column_int64(row, 5);
	group = group_of_row(router, row);
	if (group == NULL)
	{
		postpone(router, row);
		return;
	}
	kt_pool_put_task(router->pool, group, &head);
	kt_pool_touch_group(router->pool, group);
	kt_order_keys(group->queue, &head.sid, kt_column_int32(row, 17), kt_column_int64(row, 18), &key1, &key2);
	if (!kt_column_bool(row, 14) || head.key1 != key1 || head.key2 != key2)
		kt_looks_add(router->unsettled, &step.workspace, &step);
}

/* Those of a group that come next behind one; how many. */
static int
read_behind(const pg_uuid_t *group, const KtHead *behind, KtHead *heads, int most)
{
	static KtPlan plan = {
		"SELECT order_key1, order_key2, sid FROM kin_tr.tasks"
		" WHERE group_key = $1 AND (order_key1, order_key2, sid) > ($2, $3, $4)"
		" ORDER BY group_key, order_key1, order_key2, sid LIMIT $5", "uIIsi"
	};
	Datum		values[] = {
		UUIDPGetDatum(group), Int64GetDatum(behind->key1), Int64GetDatum(behind->key2),
		SidPGetDatum(&behind->sid), Int32GetDatum(most)
	};
	uint64		n = kt_spi_latest(&plan, values, NULL);

	for (uint64 i = 0; i < n; i++)
		heads[i] = (KtHead) {kt_column_int64(i, 1), kt_column_int64(i, 2), kt_column_sid(i, 3)};
	return (int) n;
}

void
kt_router_look_at_tasks(KtRouter *router, const KtSid *tasks, int n)
{
	static KtPlan plan = {"SELECT " TASK_COLUMNS " FROM kin_tr.tasks WHERE sid = ANY ($1)", "S"};

	/* In pieces, so that the memory for the rows is bounded. */
	for (int from = 0; from < n; from += FETCH_SIZE)
	{
		Datum		values[] = {sid_array(&tasks[from], Min(FETCH_SIZE, n - from))};
		uint64		found = kt_spi_latest(&plan, values, NULL);
		SPITupleTable *table = SPI_tuptable;

		CHECK_FOR_INTERRUPTS();
		put_page(router, table, found, put_task);
		SPI_freetuptable(table);
	}
}

static bool
are_kept(const KtRouter *router, const KtHead *heads, int n)
{
	for (int i = 0; i < n; i++)
		if (!kt_retry_is_kept(router->retries, &heads[i].sid))
			return false;
	return true;
}

/*
 * A group's first tasks, of which the first that can be read makes the group.  What
 * it has of its later ones, by events, does not count: between are some that it does
 * not know.
 */
static void
read_group(KtRouter *router, const pg_uuid_t *key)
{
	static KtPlan plan = {
		"SELECT " TASK_COLUMNS " FROM kin_tr.tasks"
		" WHERE group_key = $1 AND (order_key1, order_key2, sid) > ($2, $3, $4)"
		" ORDER BY group_key, order_key1, order_key2, sid LIMIT $5", "uIIsi"
	};
	KtHead		heads[REFILL_SIZE] = {before_all};
	KtHead		last = before_all;
	KtGroup    *group;
	int			n;

	do
	{
		Datum		values[] = {
			UUIDPGetDatum(key), Int64GetDatum(last.key1), Int64GetDatum(last.key2),
			SidPGetDatum(&last.sid), Int32GetDatum(REFILL_SIZE)
		};
		SPITupleTable *table;

		CHECK_FOR_INTERRUPTS();
		n = (int) kt_spi_latest(&plan, values, NULL);
		table = SPI_tuptable;
		for (int i = 0; i < n; i++)
			heads[i] = (KtHead) {kt_column_int64(i, 4), kt_column_int64(i, 5), kt_column_sid(i, 1)};
		put_page(router, table, n, put_task);
		SPI_freetuptable(table);
		group = kt_pool_group(router->pool, key);
		if (n > 0)
			last = heads[n - 1];
	} while (group == NULL && n == REFILL_SIZE && are_kept(router, heads, n));
	if (group != NULL && n == REFILL_SIZE)
		kt_pool_end_heads(router->pool, group, &last);
}

/* The next tasks behind the boundary, which moves on to the last of them. */
static void
read_heads(KtRouter *router, KtGroup *group)
{
	KtHead		heads[WALK_SIZE];
	int			n = read_behind(&group->key, &group->boundary, heads, REFILL_SIZE);

	/* Arrivals within the new boundary are among the rows, or will be told. */
	group->more = false;
	for (int i = 0; i < n; i++)
	{
		if (!kt_retry_is_kept(router->retries, &heads[i].sid))
			kt_pool_put_task(router->pool, group, &heads[i]);
		group->boundary = heads[i];
	}
	group->more = n == REFILL_SIZE;
}

/*
 * Past those that somebody has locked, to the first that is not, which becomes a
 * head.  A transaction may hold 100,000 of them, so it is done in pieces, with a
 * rest between two, that others get their turn.
 */
static void
walk(KtRouter *router, KtGroup *group)
{
	KtHead		heads[WALK_SIZE];
	int			n = read_behind(&group->key, &group->boundary, heads, WALK_SIZE);
	int64		now = kt_monotonic();

	if (group->walk_began == 0)
		group->walk_began = now;
	for (int i = 0; i < n; i++)
	{
		KtTask	   *task;

		group->boundary = heads[i];
		if (!kt_task_try_lock(&heads[i].sid, &task))
			group->skipped = true;
		else if (task != NULL && task->waiting && !kt_retry_is_kept(router->retries, &heads[i].sid) &&
				 memcmp(&task->group, &group->key, sizeof(pg_uuid_t)) == 0)
		{
			kt_pool_put_task(router->pool, group, &heads[i]);
			group->boundary = heads[i];
			return;
		}
	}
	group->more = n == WALK_SIZE;
	if (group->more)
		kt_pool_hold_group(router->pool, group, now + WALK_REST);
}

/*
 * The walk is at its end, with some passed over: from the first task on again, once
 * the time for that has come.
 */
static void
begin_again(KtRouter *router, KtGroup *group)
{
	int64		now = kt_monotonic();

	/* It may have taken long to come this far: not more than a fifth of the time is for it. */
	if (group->again_at == 0)
		group->again_at = now + Max(SKIPPED_REST, 4 * (now - group->walk_began));
	group->more = true;
	if (now < group->again_at)
	{
		kt_pool_hold_group(router->pool, group, group->again_at);
		return;
	}
	group->skipped = false;
	group->nbusy = 0;
	group->walk_began = group->again_at = 0;
	group->boundary = before_all;
}

void
kt_router_refill(KtRouter *router, KtGroup *group)
{
	while (group->nheads == 0 && group->more && !group->held)
	{
		if (group->nbusy < KT_MANY_BUSY)
			read_heads(router, group);
		else
			walk(router, group);
		if (group->skipped && !group->more && group->nheads == 0)
			begin_again(router, group);
	}
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
		(void) kt_pool_open(router->pool, &sid, &worker_sid, &task, &channel_sid,
					 strcmp(status, "accepted") == 0);
}

/* ------------------------------------------------------------------- load */

static void
note_task(KtRouter *router, uint64 row)
{
	KtSid		task = kt_column_sid(row, 1);
	KtSid		workspace = kt_column_sid(row, 2);

	if (kt_pool_may_use(router->pool, &workspace))
		kt_looks_add(router->looks, &workspace, &task);
}

/* Some of the groups that tasks wait in, by their keys: one step down the index for each. */
static void
list_groups(KtRouter *router)
{
	static KtPlan plan = {
		"WITH RECURSIVE groups AS ("
		" (SELECT group_key, workspace_sid FROM kin_tr.tasks WHERE group_key > $1"
		"   ORDER BY group_key, order_key1, order_key2, sid LIMIT 1)"
		" UNION ALL"
		" SELECT next.group_key, next.workspace_sid FROM groups,"
		"  LATERAL (SELECT t.group_key, t.workspace_sid FROM kin_tr.tasks t"
		"            WHERE t.group_key > groups.group_key"
		"            ORDER BY t.group_key, t.order_key1, t.order_key2, t.sid LIMIT 1) next)"
		" SELECT group_key, workspace_sid FROM groups LIMIT $2", "ui"
	};
	Datum		values[] = {UUIDPGetDatum(&router->listed), Int32GetDatum(LIST_SIZE)};
	uint64		n = kt_spi_latest(&plan, values, NULL);
	bool		isnull;

	for (uint64 i = 0; i < n; i++)
	{
		KtSid		workspace = kt_column_sid(i, 2);

		router->listed = *DatumGetUUIDP(kt_column(i, 1, &isnull));
		if (kt_pool_may_use(router->pool, &workspace))
			kt_looks_add(router->group_looks, &workspace, &router->listed);
	}
	router->listing = n == LIST_SIZE;
}

static void
note_fault(void *context, const KtSid *object, const ErrorData *error)
{
	kt_quarantine_note(((KtRouter *) context)->quarantine, object, KT_RETRY_LOOK, "load", error);
}

/* A new pool, with all workers, none of them idle yet. */
static void
make_pool(KtRouter *router)
{
	router->pool = kt_pool_create(router->context, note_fault, router);
	router->pool->now = kt_now();
	router->pool->restricted = router->restricted;
	router->pool->nallowed = router->nallowed;
	router->pool->allowed = router->allowed;
	router->pool->forgets_fits = router->forgets_fits;
	router->minute = router->pool->now / USECS_PER_MINUTE;
	put_all(router, "SELECT " WORKER_COLUMNS " FROM kin_tr.workers", put_worker);
}

/* Their clocks come before their channels: what is idle is in order by its clock. */
static void
put_channels(KtRouter *router)
{
	put_all(router, "SELECT " CHANNEL_COLUMNS " FROM kin_tr.worker_channels", put_worker_channel);
}

void
kt_router_load(KtRouter *router)
{
	MemoryContext old = MemoryContextSwitchTo(router->scratch);
	KtEventRef *own;
	int			nown;
	KtCursor	cursor;
	KtSpi		spi;

	kt_router_forget(router);
	kt_spi_begin(&spi);
	MemoryContextSwitchTo(router->scratch);
	PushActiveSnapshot(GetLatestSnapshot());
	cursor = kt_cursor_at_snapshot();
	router->cursor = kt_cursor_copy(&cursor, router->context);
	router->own_xid = kt_cursor_own_xid();
	own = kt_cursor_read_own(0, &nown);
	router->own_event = nown > 0 ? own[nown - 1].id : 0;
	kt_quarantine_load(router->quarantine);
	make_pool(router);
	put_all(router, "SELECT worker_sid, task_channel_sid, last_reserved_at FROM kin_tr.worker_channels"
			" WHERE last_reserved_at IS NOT NULL ORDER BY last_reserved_at, worker_sid", put_clock);
	put_all(router, "SELECT sid, worker_sid, task_sid, task_channel_sid, reservation_status, date_created,"
			" is_open FROM kin_tr.reservations ORDER BY sid", put_reservation);
	put_channels(router);
	/* Not those alone that come first: each is to be asked whether its step is to be skipped. */
	put_all(router, "SELECT sid, workspace_sid FROM kin_tr.tasks WHERE NOT step_tried AND group_key IS NOT NULL",
			note_task);
	router->listing = true;
	memset(&router->listed, 0, sizeof(pg_uuid_t));
	router->tasks_mark = router->reservations_mark = (KtMark) {DT_NOBEGIN};
	router->next_timer = DT_NOBEGIN;
	PopActiveSnapshot();
	kt_spi_end(&spi);
	MemoryContextSwitchTo(old);
}

static void
note_group(void *router, const KtSid *workspace, const void *key)
{
	kt_looks_add(((KtRouter *) router)->group_looks, workspace, key);
}

static void
note_unsettled(void *router, const KtSid *workspace, const void *unsettled)
{
	kt_looks_add(((KtRouter *) router)->looks, workspace, &((const KtUnsettled *) unsettled)->task);
}

/* Of the pool that is about to go: what is to be read again. */
static void
note_all_groups(KtRouter *router)
{
	HASH_SEQ_STATUS scan;
	KtGroup    *group;

	hash_seq_init(&scan, router->pool->groups);
	while ((group = hash_seq_search(&scan)) != NULL)
		if (group->nheads > 0 || group->more || group->held)
			kt_looks_add(router->group_looks, &group->space->sid, &group->key);
	kt_looks_drain(router->postponed, note_group, router);
	kt_looks_drain(router->unsettled, note_unsettled, router);
}

/*
 * The configuration has changed.  What was to be read still is, each workspace in
 * its turn, so that who changes it again and again holds up nobody.  The cursor stays
 * where it is: what the tables have beyond it is told of again.
 */
void
kt_router_reload(KtRouter *router)
{
	note_all_groups(router);
	router->former = router->pool;
	router->pool = NULL;
	PushActiveSnapshot(GetLatestSnapshot());
	make_pool(router);
	kt_pool_inherit(router->pool, router->former);
	put_channels(router);
	PopActiveSnapshot();
	kt_pool_destroy(router->former);
	router->former = NULL;
}

/* ----------------------------------------------------------------- events */

static inline bool
begins(const char *type, const char *prefix)
{
	return strncmp(type, prefix, strlen(prefix)) == 0;
}

static void
apply_reservation_event(KtRouter *router, const KtEventRef *event)
{
	const char *what = event->type + strlen("reservation.");

	kt_quarantine_release(router->quarantine, &event->resource);
	if (strcmp(what, "created") == 0)
	{
		KtPoolWorker *worker = kt_pool_worker(router->pool, &event->worker);
		int			channel = worker ? kt_space_channel(worker->space, &event->channel) : -1;

		/* Made by another process, or by this one, which knows it. */
		if (kt_pool_open(router->pool, &event->resource, &event->worker, &event->task,
						 &event->channel, false) && channel >= 0)
			kt_pool_mark_reserved(router->pool, worker, channel, event->date);
	}
	else if (strcmp(what, "accepted") == 0)
		kt_pool_set_accepted(router->pool, &event->resource, true);
	else if (strcmp(what, "wrapup") == 0)
		kt_pool_set_accepted(router->pool, &event->resource, false);
	else
		kt_pool_close(router->pool, &event->resource);
}

/* Whatever was wrong with it, it is looked at. */
static void
look_at_task(KtRouter *router, const KtEventRef *event)
{
	kt_quarantine_release(router->quarantine, &event->task);
	kt_looks_add(router->looks, &event->workspace, &event->task);
}

static void
apply_task_event(KtRouter *router, const KtEventRef *event)
{
	const char *type = event->type;

	/* Of a creation's events one is enough, and of an ended task none. */
	if (strcmp(type, "task.created") == 0 || strcmp(type, "task.updated") == 0 ||
		strcmp(type, "task-queue.entered") == 0 || strcmp(type, "workflow.target-matched") == 0)
		look_at_task(router, event);
	else if (strcmp(type, "task.canceled") == 0)
	{
		kt_pool_remove_task(router->pool, &event->task);
		kt_quarantine_release(router->quarantine, &event->task);
	}
	else if (strcmp(type, "task.deleted") == 0 || strcmp(type, "task.system-deleted") == 0)
	{
		kt_pool_remove_task(router->pool, &event->task);
		kt_pool_close_task(router->pool, &event->task);
		kt_quarantine_release(router->quarantine, &event->task);
	}
}

/* It may wait again, or no longer. */
static void
apply_event(KtRouter *router, const KtEventRef *event)
{
	if (!begins(event->type, "reservation."))
	{
		if (!kt_sid_is_null(&event->task))
			apply_task_event(router, event);
		return;
	}
	apply_reservation_event(router, event);
	if (strcmp(event->type, "reservation.accepted") != 0 &&
		strcmp(event->type, "reservation.completed") != 0)
		look_at_task(router, event);
}

static bool
is_known(const KtRouter *router, const KtEventRef *event)
{
	return router->own_xid != 0 && event->xid == router->own_xid && event->id <= router->own_event;
}

/* Workers that have changed are to be looked at.  True where the configuration has, and all is to be loaded. */
static bool
note_looks(KtRouter *router, const KtEventRef *events, int n)
{
	bool		configuration = false;

	for (int i = 0; i < n; i++)
	{
		const KtEventRef *event = &events[i];

		if (is_known(router, event) || begins(event->type, "reservation.") || !kt_sid_is_null(&event->task))
			continue;
		kt_quarantine_release(router->quarantine, &event->resource);
		if (begins(event->type, "worker."))
			kt_looks_add(router->worker_looks, &event->workspace, &event->worker);
		else
			configuration = true;
	}
	return configuration;
}

static void
apply_events(KtRouter *router, const KtEventRef *events, int n)
{
	for (int i = 0; i < n; i++)
		if (!is_known(router, &events[i]))
			apply_event(router, &events[i]);
}

/* How many to read at a time, so that it takes neither an eighth of a slice nor half of it. */
static int
next_piece(int piece, int64 took, int64 slice)
{
	return took > slice / 2 ? Max(1, piece / 2) : took < slice / 8 ? Min(MOST_LOOKS, piece * 2) : piece;
}

/* Reads so many of one kind; true where there are more. */
typedef bool (*ReadPiece) (KtRouter *router, int piece);

static bool
read_workers(KtRouter *router, int piece)
{
	KtSid		sids[MOST_LOOKS];
	int			n = kt_looks_take(router->worker_looks, sids, piece);

	kt_router_look_at_workers(router, sids, n);
	return kt_looks_are_left(router->worker_looks);
}

static bool
read_groups(KtRouter *router, int piece)
{
	pg_uuid_t	keys[MOST_LOOKS];
	int			n;

	if (router->listing)
		list_groups(router);
	n = kt_looks_take(router->group_looks, keys, piece);
	for (int i = 0; i < n; i++)
		read_group(router, &keys[i]);
	return router->listing || kt_looks_are_left(router->group_looks);
}

static bool
read_tasks(KtRouter *router, int piece)
{
	KtSid		sids[MOST_LOOKS];
	int			n = kt_looks_take(router->looks, sids, piece);

	kt_router_look_at_tasks(router, sids, n);
	return kt_looks_are_left(router->looks);
}

/*
 * In small pieces, for a worker, or a task, that is like no other is held against
 * all there are.
 */
static void
read_in_pieces(KtRouter *router, ReadPiece read, int *piece, int64 slice)
{
	int64		began = kt_monotonic();
	int64		now = began;
	bool		more;

	do
	{
		int64		then = now;

		more = read(router, *piece);
		now = kt_monotonic();
		*piece = next_piece(*piece, now - then, slice);
	} while (more && now - began < slice);
}

/* Workers first: what is read of a task is held against them. */
void
kt_router_read(KtRouter *router, int64 slice)
{
	MemoryContext old = MemoryContextSwitchTo(router->scratch);
	static int	workers = 1;
	static int	groups = 1;
	static int	tasks = 1;

	if (kt_looks_are_left(router->worker_looks))
		read_in_pieces(router, read_workers, &workers, slice);
	if (router->listing || kt_looks_are_left(router->group_looks))
		read_in_pieces(router, read_groups, &groups, slice);
	if (kt_looks_are_left(router->looks))
		read_in_pieces(router, read_tasks, &tasks, slice);
	MemoryContextSwitchTo(old);
}

bool
kt_router_has_to_read(const KtRouter *router)
{
	return router->listing || kt_looks_are_left(router->looks) || kt_looks_are_left(router->worker_looks) ||
		kt_looks_are_left(router->group_looks);
}

/* A queue of which an event tells, and its order before. */
typedef struct QueueOrder
{
	KtSid		queue;
	bool		lifo;
} QueueOrder;

static List *
note_orders(KtRouter *router, List *orders, const KtEventRef *events, int n)
{
	for (int i = 0; i < n; i++)
	{
		const KtTaskQueue *queue;
		QueueOrder *order;

		if (!kt_sid_is(&events[i].resource, KT_TASK_QUEUE) || !kt_sid_is_null(&events[i].task) ||
			(queue = kt_pool_queue(router->pool, &events[i].resource)) == NULL)
			continue;
		order = palloc(sizeof(QueueOrder));
		order->queue = events[i].resource;
		order->lifo = queue->lifo;
		orders = lappend(orders, order);
	}
	return orders;
}

/*
 * Of a queue whose order has changed each task is to be read: one that came back
 * meanwhile may have the keys of the former order.
 */
static void
note_disordered(KtRouter *router, List *orders)
{
	static KtPlan plan = {
		"SELECT sid, workspace_sid FROM kin_tr.tasks WHERE task_queue_sid = $1 AND group_key IS NOT NULL", "s"
	};
	ListCell   *cell;

	foreach(cell, orders)
	{
		const QueueOrder *order = lfirst(cell);
		const KtTaskQueue *queue = kt_pool_queue(router->pool, &order->queue);
		Datum		values[] = {SidPGetDatum(&order->queue)};
		uint64		n;

		if (queue == NULL || queue->lifo == order->lifo)
			continue;
		n = kt_spi_latest(&plan, values, NULL);
		for (uint64 i = 0; i < n; i++)
			note_task(router, i);
	}
}

static void
follow_configuration(KtRouter *router, const KtEventRef *events, int n, const KtEventRef *own, int nown)
{
	List	   *orders;
	KtSpi		spi;

	kt_spi_begin(&spi);
	MemoryContextSwitchTo(router->scratch);
	orders = note_orders(router, note_orders(router, NIL, events, n), own, nown);
	kt_router_reload(router);
	note_disordered(router, orders);
	kt_spi_end(&spi);
}

int
kt_router_catch_up(KtRouter *router, bool with_own)
{
	MemoryContext old = MemoryContextSwitchTo(router->scratch);
	KtCursor	cursor = router->cursor;
	KtEventRef *events;
	KtEventRef *own = NULL;
	bool		configuration = false;
	int			nown = 0;
	int			n;
	KtSpi		spi;

	events = kt_cursor_read(&cursor, MAX_EVENTS, &n);
	if (events != NULL && with_own)
		own = kt_cursor_read_own(router->own_xid == kt_cursor_own_xid() ? router->own_event : 0, &nown);
	if (events != NULL)
	{
		configuration = note_looks(router, events, n);
		configuration = note_looks(router, own, nown) || configuration;
	}
	if (events == NULL)
	{
		kt_router_load(router);
		MemoryContextSwitchTo(old);
		return n;
	}
	if (configuration)
		follow_configuration(router, events, n, own, nown);
	kt_spi_begin(&spi);
	MemoryContextSwitchTo(router->scratch);
	apply_events(router, events, n);
	apply_events(router, own, nown);
	/* Only now have they been seen. */
	cursor = kt_cursor_copy(&cursor, router->context);
	pfree(router->cursor.xip);
	router->cursor = cursor;
	if (nown > 0)
	{
		router->own_xid = kt_cursor_own_xid();
		router->own_event = own[nown - 1].id;
	}
	kt_spi_end(&spi);
	MemoryContextSwitchTo(old);
	return n;
}
