/*
 * rows.c
 *		From the rows of tables into the pool.
 *
 * What a row says is put into the pool, whatever that had before: so it does not
 * matter why it is read, or how often.  A row that fails goes into quarantine, and
 * the others of its page are put nevertheless.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/monotonic.h"
#include "base/spi.h"
#include "routing/placement.h"
#include "routing/rows.h"
#include "routing/task.h"

/* Rows fetched at a time. */
#define FETCH_SIZE 1000

/* Heads fetched for a group that has run out. */
#define REFILL_SIZE 32

/* Locked tasks passed by at a time, and microseconds between two times. */
#define WALK_SIZE		256
#define WALK_REST		INT64CONST(10000)

/* Before any task that waits. */
static const KtHead before_all = {PG_INT64_MIN, PG_INT64_MIN, {{0}}};

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

	kt_wait_for_nobody();
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

static void
leave_object(KtRouter *router, const KtSid *sid, const ErrorData *error)
{
	if (kt_error_is_busy(error))
		kt_retry_busy(router->retries, sid, KT_RETRY_LOOK);
	else
		kt_quarantine_note(router->quarantine, sid, KT_RETRY_LOOK, "load", error);
}

/* What the row is of, which could not be put. */
static void
leave_row(KtRouter *router, SPITupleTable *table, uint64 row, const ErrorData *error)
{
	KtSid		sid = (SPI_tuptable = table, kt_column_sid(row, 1));

	leave_object(router, &sid, error);
}

/*
 * All rows of a result, whose first column is the sid of what it tells of.  Where
 * one fails, each is put by itself, and the bad one goes into quarantine; where
 * somebody has a table of the configuration, all are come back to.
 */
static void
put_page(KtRouter *router, SPITupleTable *table, uint64 n, PutRow put)
{
	Rows		rows = {router, table, put, 0, n};
	ErrorData  *of_all = n == 0 ? NULL : kt_try(put_rows, &rows);

	if (of_all == NULL)
		return;
	for (uint64 i = 0; i < n; i++)
	{
		ErrorData  *error = of_all;

		if (!kt_error_is_busy(of_all))
		{
			rows.from = i;
			rows.to = i + 1;
			error = kt_try(put_rows, &rows);
		}
		if (error == NULL)
			continue;
		leave_row(router, table, i, error);
		if (error != of_all)
			FreeErrorData(error);
	}
	FreeErrorData(of_all);
}

/* What a plan finds of some sids is put; of which it finds nothing is gone. */
static void
look_at_rows(KtRouter *router, KtPlan *plan, const KtSid *sids, int n, PutRow put,
			 void (*gone) (KtRouter *router, const KtSid *sid))
{
	Datum		values[1];
	uint64		found;
	SPITupleTable *table;
	HTAB	   *existing = NULL;

	if (n == 0)
		return;
	values[0] = kt_sid_array(sids, n);
	found = kt_spi_latest(plan, values, NULL);
	table = SPI_tuptable;
	for (uint64 i = 0; i < found; i++)
	{
		KtSid		sid = kt_column_sid(i, 1);

		add_to_set(&existing, &sid);
	}
	for (int i = 0; i < n; i++)
		if (existing == NULL || hash_search(existing, &sids[i], HASH_FIND, NULL) == NULL)
			gone(router, &sids[i]);
	put_page(router, table, found, put);
	SPI_freetuptable(table);
	if (existing != NULL)
		hash_destroy(existing);
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

#define CHANNEL_COLUMNS "worker_sid, task_channel_sid, configured_capacity, available, last_reserved_at"

/* What has moved to history of when it was last reserved is here. */
static void
put_worker_channel(KtRouter *router, uint64 row)
{
	KtSid		worker_sid = kt_column_sid(row, 1);
	KtSid		channel_sid = kt_column_sid(row, 2);
	KtPoolWorker *worker = kt_pool_worker(router->pool, &worker_sid);
	int			channel = worker ? kt_space_channel(worker->space, &channel_sid) : -1;

	if (channel < 0)
		return;
	if (!kt_column_is_null(row, 5))
		kt_pool_note_reserved(router->pool, worker, channel, kt_column_int64(row, 5));
	kt_pool_set_slot(router->pool, worker, channel, kt_column_int32(row, 3), kt_column_bool(row, 4));
}

static void
read_channels(KtRouter *router, const KtSid *workers, int n)
{
	static KtPlan plan = {
		"SELECT " CHANNEL_COLUMNS " FROM kin_tr.worker_channels WHERE worker_sid = ANY ($1)", "S"
	};
	Datum		values[] = {kt_sid_array(workers, n)};
	uint64		found = kt_spi_latest(&plan, values, NULL);
	SPITupleTable *table = SPI_tuptable;

	put_page(router, table, found, put_worker_channel);
	SPI_freetuptable(table);
}

/* The workers of a page, which is put; those sids that it has, in the order of its rows. */
static KtSid *
put_workers(KtRouter *router, SPITupleTable *table, uint64 n)
{
	KtSid	   *sids = palloc(sizeof(KtSid) * Max(n, 1));

	for (uint64 i = 0; i < n; i++)
		sids[i] = kt_column_sid(i, 1);
	put_page(router, table, n, put_worker);
	SPI_freetuptable(table);
	return sids;
}

static void
remove_worker(KtRouter *router, const KtSid *worker)
{
	kt_pool_remove_worker(router->pool, worker);
	kt_quarantine_release(router->quarantine, worker);
}

void
kt_router_look_at_workers(KtRouter *router, const KtSid *workers, int n)
{
	static KtPlan plan = {"SELECT " WORKER_COLUMNS " FROM kin_tr.workers WHERE sid = ANY ($1)", "S"};

	look_at_rows(router, &plan, workers, n, put_worker, remove_worker);
	read_channels(router, workers, n);
}

int
kt_rows_next_workers(KtRouter *router, KtSid *after, int most)
{
	static KtPlan plan = {
		"SELECT " WORKER_COLUMNS " FROM kin_tr.workers WHERE sid > $1 ORDER BY sid LIMIT $2", "si"
	};
	Datum		values[] = {SidPGetDatum(after), Int32GetDatum(most)};
	int			n = (int) kt_spi_latest(&plan, values, NULL);
	KtSid	   *sids = put_workers(router, SPI_tuptable, n);

	if (n == 0)
		return 0;
	*after = sids[n - 1];
	read_channels(router, sids, n);
	pfree(sids);
	return n;
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

/* Of a group that cannot be made: an event will tell of what it goes by. */
static void
postpone(KtRouter *router, uint64 row)
{
	KtSid		workspace = kt_column_sid(row, 2);
	bool		isnull;

	if (kt_pool_may_use(router->pool, &workspace))
		kt_looks_add(router->postponed, &workspace, DatumGetUUIDP(kt_column(row, 3, &isnull)));
}

/* Whose creator had yet to commit when all were placed anew. */
static bool
is_of_old_workflow(const KtRouter *router, const KtGroup *group)
{
	const KtStepPlan *step = group->step;
	SPITupleTable *table = SPI_tuptable;
	const KtWorkflow *workflow = step == NULL ? NULL :
		kt_config_workflow(router->pool->config, &step->key.workflow, step->key.version);

	SPI_tuptable = table;
	return workflow != NULL && workflow->evaluated_version > step->key.version;
}

static void
put_task(KtRouter *router, uint64 row)
{
	KtHead		head;
	KtUnsettled step = step_of_row(row);
	KtGroup    *group;
	int64		key1;
	int64		key2;

	head.sid = kt_column_sid(row, 1);
	if (!kt_column_is_null(row, 15))
		kt_timers_note_task(router, &step.workspace, &head.sid, kt_column_int64(row, 15));
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
	if (is_of_old_workflow(router, group))
	{
		kt_pool_remove_task(router->pool, &head.sid);
		kt_looks_add(router->unsettled, &step.workspace, &step);
		return;
	}
	kt_pool_put_task(router->pool, group, &head);
	kt_pool_touch_group(router->pool, group);
	/* Whose queue cannot be read has no order; it goes to the worker that it is routed to. */
	if (group->queue == NULL && !kt_sid_is_null(&group->queue_sid))
		return;
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
		Datum		values[] = {kt_sid_array(&tasks[from], Min(FETCH_SIZE, n - from))};
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
void
kt_rows_read_group(KtRouter *router, const pg_uuid_t *key)
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
	if (group == NULL || n < REFILL_SIZE)
		return;
	kt_pool_end_heads(router->pool, group, &last);
	/* Those that have been read may all have left it. */
	kt_pool_touch_group(router->pool, group);
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
 * All its tasks are to be placed anew.  There may be a million of them, so they are
 * noted in pieces, with a rest between two.
 */
static void
leave_old(KtRouter *router, KtGroup *group)
{
	KtHead		heads[WALK_SIZE];
	int			n = read_behind(&group->key, &group->boundary, heads, WALK_SIZE);
	KtUnsettled step;

	memset(&step, 0, sizeof(step));
	step.workspace = group->space->sid;
	step.version = group->step->key.version;
	step.filter = group->step->key.filter;
	step.target = group->step->key.target;
	for (int i = 0; i < n; i++)
	{
		step.task = heads[i].sid;
		if (!kt_retry_is_kept(router->retries, &step.task))
			kt_looks_add(router->unsettled, &step.workspace, &step);
	}
	if (n > 0)
		group->boundary = heads[n - 1];
	group->more = n == WALK_SIZE;
	if (group->more)
		kt_pool_hold_group(router->pool, group, kt_monotonic() + WALK_REST);
}

/* A piece of a group that is walked through. */
typedef struct Walk
{
	KtRouter   *router;
	KtGroup    *group;
	int			n;
	int			next;			/* that is yet to be tried */
	bool		found;			/* one that is not locked, which is a head now */
	KtHead		heads[WALK_SIZE];
} Walk;

static void
walk_on(void *context)
{
	Walk	   *walk = context;
	KtGroup    *group = walk->group;

	while (walk->next < walk->n && !walk->found)
	{
		const KtHead *head = &walk->heads[walk->next++];
		KtTask	   *task;

		CHECK_FOR_INTERRUPTS();
		group->boundary = *head;
		if (!kt_task_try_lock(&head->sid, &task))
			kt_group_note_skipped(group);
		else if (task != NULL && task->waiting && !kt_retry_is_kept(walk->router->retries, &head->sid) &&
				 memcmp(&task->group, &group->key, sizeof(pg_uuid_t)) == 0)
		{
			kt_pool_put_task(walk->router->pool, group, head);
			group->boundary = *head;
			walk->found = true;
		}
	}
}

/*
 * Past those that somebody has locked, to the first that is not, which becomes a
 * head.  A transaction may hold 100,000 of them, so it is done in pieces, with a
 * rest between two, that others get their turn.
 */
static void
walk(KtRouter *router, KtGroup *group)
{
	Walk		piece = {router, group};

	piece.n = read_behind(&group->key, &group->boundary, piece.heads, WALK_SIZE);
	while (piece.next < piece.n && !piece.found)
	{
		ErrorData  *error = kt_try(walk_on, &piece);

		if (error == NULL)
			continue;
		leave_object(router, &piece.heads[piece.next - 1].sid, error);
		FreeErrorData(error);
	}
	if (piece.found)
		return;
	group->more = piece.n == WALK_SIZE;
	if (group->more)
		kt_pool_hold_group(router->pool, group, kt_monotonic() + WALK_REST);
}

/* Those that were skipped may be free by now: from the first task on again. */
static void
begin_again(KtGroup *group)
{
	group->skipped = KT_SKIPPED_NONE;
	group->nbusy = 0;
	group->walked = 0;
	group->boundary = before_all;
	group->more = true;
}

void
kt_router_refill(KtRouter *router, KtGroup *group)
{
	while (group->nheads == 0 && kt_group_has_more(group))
	{
		if (!group->more)
			begin_again(group);
		if (is_of_old_workflow(router, group))
			leave_old(router, group);
		else if (group->nbusy < KT_MANY_BUSY)
			read_heads(router, group);
		else
		{
			int64		began = kt_monotonic();

			walk(router, group);
			group->walked += kt_monotonic() - began;
		}
		kt_pool_rest_skipped(router->pool, group);
	}
}

/* ----------------------------------------------------------------- values */

/* Of a group's first head. */
typedef struct Reading
{
	KtRouter   *router;
	KtGroup    *group;
	bool		found;
} Reading;

static void
read_values(void *context)
{
	static KtPlan plan = {"SELECT attributes, group_key FROM kin_tr.tasks WHERE sid = $1", "s"};
	Reading    *reading = context;
	Datum		values[] = {SidPGetDatum(&reading->group->heads[0].sid)};
	MemoryContext each = AllocSetContextCreate(CurrentMemoryContext, "kin_tr values", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(each);
	bool		isnull;

	reading->found = kt_spi_latest(&plan, values, NULL) > 0 && !kt_column_is_null(0, 2) &&
		memcmp(DatumGetUUIDP(kt_column(0, 2, &isnull)), &reading->group->key, sizeof(pg_uuid_t)) == 0;
	if (reading->found)
		kt_group_give_values(reading->router->pool, reading->group, DatumGetJsonbP(kt_column(0, 1, &isnull)));
	SPI_freetuptable(SPI_tuptable);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(each);
}

/* A head that is of the group no more, of which an event tells, and one that fails leave it. */
bool
kt_router_read_values(KtRouter *router, KtGroup *group)
{
	Reading		reading = {router, group};
	KtSid		head;
	ErrorData  *error;

	if (kt_group_has_values(group))
		return true;
	head = group->heads[0].sid;
	error = kt_try(read_values, &reading);
	if (error == NULL && reading.found)
		return true;
	if (error != NULL)
		leave_object(router, &head, error);
	kt_pool_remove_task(router->pool, &head);
	return false;
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
	KtSid		workspace = kt_column_sid(row, 8);
	KtPoolWorker *worker = kt_pool_worker(router->pool, &worker_sid);
	int			channel = worker ? kt_space_channel(worker->space, &channel_sid) : -1;

	if (!kt_pool_may_use(router->pool, &workspace))
		return;
	if (channel >= 0)
		kt_pool_note_reserved(router->pool, worker, channel, created);
	if (kt_column_bool(row, 7) &&
		kt_pool_open(router->pool, &sid, &worker_sid, &task, &channel_sid, strcmp(status, "accepted") == 0))
		kt_timers_note_offer(router, &workspace, created);
}

#define RESERVATION_COLUMNS "sid, worker_sid, task_sid, task_channel_sid, reservation_status, date_created, is_open," \
	" workspace_sid"

int
kt_rows_next_reservations(KtRouter *router, KtSid *after, int most)
{
	static KtPlan plan = {
		"SELECT " RESERVATION_COLUMNS " FROM kin_tr.reservations WHERE sid > $1 ORDER BY sid LIMIT $2", "si"
	};
	Datum		values[] = {SidPGetDatum(after), Int32GetDatum(most)};
	int			n = (int) kt_spi_latest(&plan, values, NULL);
	SPITupleTable *table = SPI_tuptable;

	if (n > 0)
		*after = kt_column_sid(n - 1, 1);
	put_page(router, table, n, put_reservation);
	SPI_freetuptable(table);
	return n;
}

/* What is known of it is what its row says. */
static void
put_reservation_again(KtRouter *router, uint64 row)
{
	KtSid		sid = kt_column_sid(row, 1);

	put_reservation(router, row);
	if (kt_column_bool(row, 7))
		kt_pool_set_accepted(router->pool, &sid, strcmp(kt_column_cstring(row, 5), "accepted") == 0);
	else
		kt_pool_close(router->pool, &sid);
}

static void
close_reservation(KtRouter *router, const KtSid *reservation)
{
	kt_pool_close(router->pool, reservation);
}

void
kt_router_look_at_reservations(KtRouter *router, const KtSid *reservations, int n)
{
	static KtPlan plan = {
		"SELECT " RESERVATION_COLUMNS " FROM kin_tr.reservations WHERE sid = ANY ($1)", "S"
	};

	look_at_rows(router, &plan, reservations, n, put_reservation_again, close_reservation);
}
