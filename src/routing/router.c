/*
 * router.c
 *		One turn of routing, and the SQL functions that take one.
 *
 * A turn: read what happened, fire what is due, read what that did, match and
 * assign, look at skip_if of tasks that found nobody, and again where that put
 * tasks into new steps.
 */
#include "postgres.h"

#include "access/xact.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/clock.h"
#include "base/errors.h"
#include "base/home.h"
#include "base/lock.h"
#include "base/monotonic.h"
#include "base/process.h"
#include "base/spi.h"
#include "base/access.h"
#include "routing/attributes.h"
#include "routing/placement.h"
#include "routing/reorder.h"
#include "routing/router.h"

PG_FUNCTION_INFO_V1(kin_tr_tick);
PG_FUNCTION_INFO_V1(kin_tr_next_due);

/* Work of a kind that has failed so often, or been in vain, is left for the next turn. */
#define MAX_FAILURES	16
#define MAX_BUSY		256

/* Objects that were locked, or failed, and are read again in one turn. */
#define MAX_RETRIES		256

#define BATCH_SIZE 64

KtRouter *
kt_router_create(MemoryContext parent)
{
	MemoryContext context = AllocSetContextCreate(parent, "kin_tr router", ALLOCSET_DEFAULT_SIZES);
	KtRouter   *router = MemoryContextAllocZero(context, sizeof(KtRouter));
	HASHCTL		control = {.keysize = sizeof(KtSid), .entrysize = sizeof(KtSuspect), .hcxt = context};

	router->context = context;
	router->scratch = AllocSetContextCreate(context, "kin_tr router scratch", ALLOCSET_DEFAULT_SIZES);
	router->retries = kt_retries_create(context);
	router->quarantine = kt_quarantine_create(context, router->retries);
	router->suspects = hash_create("kin_tr suspects", 16, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	router->looks = kt_looks_create(context, sizeof(KtSid));
	router->worker_looks = kt_looks_create(context, sizeof(KtSid));
	router->group_looks = kt_looks_create(context, sizeof(pg_uuid_t));
	router->walks = kt_looks_create(context, sizeof(KtWalk));
	router->postponed = kt_looks_create(context, sizeof(pg_uuid_t));
	router->unsettled = kt_looks_create(context, sizeof(KtUnsettled));
	router->timers = kt_timers_create(context);
	router->moves_mark = (KtMark) {DT_NOBEGIN};
	return router;
}

static void
forget_suspects(KtRouter *router)
{
	HASH_SEQ_STATUS scan;
	KtSuspect  *suspect;

	hash_seq_init(&scan, router->suspects);
	while ((suspect = hash_seq_search(&scan)) != NULL)
		hash_search(router->suspects, &suspect->task, HASH_REMOVE, NULL);
}

void
kt_router_forget(KtRouter *router)
{
	if (router->pool != NULL)
		kt_pool_destroy(router->pool);
	router->pool = NULL;
	router->loading = KT_LOADED;
	memset(&router->loaded_sid, 0, sizeof(KtSid));
	memset(&router->loaded_group, 0, sizeof(pg_uuid_t));
	if (router->cursor.xip != NULL)
		pfree(router->cursor.xip);
	memset(&router->cursor, 0, sizeof(KtCursor));
	router->own_xid = 0;
	router->own_event = 0;
	kt_retries_clear(router->retries, false);
	list_free_deep(router->large);
	list_free_deep(router->reloads);
	router->large = router->reloads = NIL;
	kt_looks_clear(router->looks);
	kt_looks_clear(router->worker_looks);
	kt_looks_clear(router->group_looks);
	kt_reorder_forget(router);
	kt_looks_clear(router->walks);
	kt_looks_clear(router->postponed);
	kt_looks_clear(router->unsettled);
	kt_timers_clear(router->timers);
	forget_suspects(router);
}

void
kt_turn_begin_work(KtTurn *turn)
{
	turn->failures = turn->busy = 0;
}

int
kt_turn_left(const KtTurn *turn, const KtLimits *limits)
{
	if (turn->failures >= MAX_FAILURES || turn->busy >= MAX_BUSY)
		return 0;
	return Max(0, limits->actions - turn->assigned - turn->timed_out - turn->moved - turn->canceled);
}

/*
 * What somebody held, or what failed, is read again.  A queue or workflow that
 * failed is read with its workspace, once for all that are due.
 */
static void
look_at_retries(KtRouter *router)
{
	int			n;
	KtSid	   *due = kt_retries_due(router->retries, KT_RETRY_LOOK, MAX_RETRIES, &n);
	KtSid	   *workers = palloc(sizeof(KtSid) * MAX_RETRIES);
	List	   *workspaces = NIL;
	ListCell   *cell;
	int			nworkers = 0;
	int			ntasks = 0;

	for (int i = 0; i < n; i++)
	{
		KtSid		workspace;

		if (kt_sid_is(&due[i], KT_WORKER))
			workers[nworkers++] = due[i];
		else if (kt_sid_is(&due[i], KT_TASK))
			due[ntasks++] = due[i];
		else if (kt_config_workspace_of(&due[i], &workspace))
			workspaces = kt_sid_list_add(workspaces, &workspace);
	}
	foreach(cell, workspaces)
		kt_router_reload(router, lfirst(cell));
	kt_router_look_at_workers(router, workers, nworkers);
	kt_router_look_at_tasks(router, due, ntasks);
}

/* How many workers of a queue are in an activity. */
typedef struct Count
{
	const KtClass *of;			/* one of that activity */
	int64		workers;
} Count;

/* The workers of a queue, for skip_if.  It is asked class by class, until some time. */
static bool
count_workers(KtSpace *space, KtQueueClasses *queue, int64 until, List **counts)
{
	for (int i = 0; i < space->classes.length; i++)
	{
		const KtClass *class = space->classes.items[i];
		Count	   *count = NULL;
		ListCell   *cell;

		if (class->nworkers == 0)
			continue;
		CHECK_FOR_INTERRUPTS();
		if (!kt_queue_was_asked(queue, class) && kt_monotonic() > until)
			return false;
		if (!kt_queue_has(queue, class))
			continue;
		foreach(cell, *counts)
			if (kt_sid_equal(&((Count *) lfirst(cell))->of->activity, &class->activity))
				count = lfirst(cell);
		if (count == NULL)
		{
			count = palloc(sizeof(Count));
			*count = (Count) {class};
			*counts = lappend(*counts, count);
		}
		count->workers += class->nworkers;
	}
	return true;
}

/* What a path of skip_if reads: workers.available, workers.unavailable, or of one activity. */
static KtValue
read_count(List *counts, const KtPath *path)
{
	int64		workers = 0;
	ListCell   *cell;
	KtSid		activity;
	bool		by_activity = kt_sid_parse(path->text, strlen(path->text), &activity);
	bool		available = strcmp(path->text, "available") == 0;

	foreach(cell, counts)
	{
		const Count *count = lfirst(cell);

		if (by_activity ? kt_sid_equal(&count->of->activity, &activity) : count->of->available == available)
			workers += count->workers;
	}
	return kt_value_integer(workers);
}

typedef enum Answer
{
	NO,
	YES,
	UNKNOWN,					/* the workers of its queue cannot be counted */
	NOT_YET						/* they have yet to be read again, or the time was over */
} Answer;

static Answer
is_to_be_skipped(KtRouter *router, const KtTask *task, const KtExpr *skip_if, int64 until)
{
	KtSpace    *space = kt_pool_space(router->pool, &task->workspace);
	KtValue    *values = palloc0(sizeof(KtValue) * Max(skip_if->npaths, 1));
	KtQueueClasses *queue;
	List	   *counts = NIL;
	bool		later;

	if (space == NULL)
		return UNKNOWN;
	queue = kt_space_queue(router->pool, space, &task->task_queue, &later);
	if (later)
		return space->lacking ? NOT_YET : UNKNOWN;
	if (queue != NULL && !count_workers(space, queue, until, &counts))
		return NOT_YET;
	for (uint32 i = 0; i < skip_if->npaths; i++)
	{
		if (skip_if->paths[i].subject == KT_SUBJECT_TASKROUTER)
			values[i] = kt_time_read(router->pool->now, &skip_if->paths[i]);
		else if (queue != NULL)
			values[i] = read_count(counts, &skip_if->paths[i]);
	}
	return kt_expr_evaluate(skip_if, values) ? YES : NO;
}

/*
 * A task that came into the queue while the queue's order was being changed has
 * the keys of the former one.
 */
static bool
put_in_order(KtRouter *router, KtTask *task)
{
	KtConfig   *config = kt_config();	/* the router's may be older than the keys */
	const KtTaskQueue *queue = kt_config_task_queue(config, &task->task_queue);
	int64		key1;
	int64		key2;

	kt_order_keys(queue, &task->sid, task->priority, task->virtual_start_time, &key1, &key2);
	if (task->key1 == key1 && task->key2 == key2)
		return false;
	kt_place_in_group(config, task, router->pool->now);
	kt_task_store_unseen(task);
	return true;
}

/* What became of a task that was not settled. */
typedef enum Settled
{
	AS_IT_WAS,
	MOVED,						/* on to the next step */
	CANCELED,
	REORDERED,					/* the pool must read it again */
	ASK_AGAIN,					/* after a while */
	GO_ON,						/* in the next turn */
	BUSY,
	FAILED
} Settled;

typedef struct Settling
{
	KtRouter   *router;
	int64		until;			/* by the monotonic clock */
	int			n;
	KtUnsettled tasks[BATCH_SIZE];
	Settled		settled[BATCH_SIZE];
} Settling;

/*
 * A task that has entered a step and found nobody: is the step to be skipped?
 * It is asked once each time that the task comes there.
 */
static Settled
try_to_skip(KtRouter *router, KtTask *task, int64 until)
{
	KtConfig   *config = router->pool->config;
	const KtTarget *target = kt_task_target(config, task);
	Answer		answer = target == NULL || target->skip_if == NULL ? NO :
		is_to_be_skipped(router, task, target->skip_if, until);

	if (answer == UNKNOWN || answer == NOT_YET)
		return answer == UNKNOWN ? ASK_AGAIN : GO_ON;
	if (answer == YES)
		return kt_task_skip_step(config, task, router->pool->now) == KT_DUE_MOVED ? MOVED : CANCELED;
	task->step_tried = true;
	kt_task_store_unseen(task);
	return AS_IT_WAS;
}

static Settled
settle_task(KtRouter *router, const KtUnsettled *unsettled, int64 until)
{
	KtTask	   *task;
	Settled		settled = AS_IT_WAS;

	if (!kt_task_try_lock(&unsettled->task, &task))
		return BUSY;
	if (task == NULL || task->status != KT_TASK_PENDING || !task->waiting ||
		task->workflow_version != unsettled->version || task->filter != unsettled->filter ||
		task->target != unsettled->target)
		return AS_IT_WAS;
	if (task->filter != KT_DIRECT && kt_workflow_is_to_be_evaluated(router->pool->config, task))
		return kt_task_evaluate_again(router->pool->config, task, router->pool->now) == KT_DUE_MOVED ? MOVED : CANCELED;
	if (put_in_order(router, task))
		settled = REORDERED;
	if (!task->step_tried)
	{
		Settled		skipped = try_to_skip(router, task, until);

		/* Who is read again is asked again, too. */
		if (skipped != AS_IT_WAS && !(skipped == GO_ON && settled == REORDERED))
			settled = skipped;
	}
	return settled;
}

static void
settle_part(void *context, int from, int n)
{
	Settling   *settling = context;
	MemoryContext each = AllocSetContextCreate(CurrentMemoryContext, "kin_tr settling", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(each);

	for (int i = from; i < from + n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		settling->settled[i] = i > 0 && kt_monotonic() > settling->until ? GO_ON :
			settle_task(settling->router, &settling->tasks[i], settling->until);
		MemoryContextReset(each);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(each);
}

static void
note_failure(void *context, int item, const ErrorData *error)
{
	Settling   *settling = context;

	settling->settled[item] = kt_error_is_busy(error) ? BUSY : FAILED;
	if (settling->settled[item] == FAILED)
		kt_quarantine_note(settling->router->quarantine, &settling->tasks[item].task, KT_RETRY_LOOK, "settling",
						   error);
}

static void
count_settled(Settling *settling, KtTurn *turn)
{
	KtRouter   *router = settling->router;

	for (int i = 0; i < settling->n; i++)
	{
		const KtUnsettled *unsettled = &settling->tasks[i];
		Settled		settled = settling->settled[i];

		turn->moved += settled == MOVED;
		turn->canceled += settled == CANCELED;
		turn->busy += settled == BUSY;
		turn->failures += settled == FAILED;
		if (settled == BUSY || settled == ASK_AGAIN)
			kt_retry_busy(router->retries, &unsettled->task, KT_RETRY_LOOK);
		else if (settled == FAILED)
			kt_pool_remove_task(router->pool, &unsettled->task);
		else if (settled == REORDERED)
			kt_looks_add(router->looks, &unsettled->workspace, &unsettled->task);
		else if (settled == GO_ON)
			kt_looks_add(router->unsettled, &unsettled->workspace, unsettled);
	}
}

/* Has everybody in it been matched who waits?  Then those who wait have found nobody. */
static bool
is_matched(void *arg, const KtSid *workspace)
{
	const KtRouter *router = arg;
	const KtSpace *space = hash_search(router->pool->spaces, workspace, HASH_FIND, NULL);

	return router->loading == KT_LOADED && (space == NULL || (!space->eager && !space->closed && !space->lacking));
}

/*
 * Tasks that wait in a step whose skip_if has not been asked, or in another order
 * than their queue's.  True where there were any.
 */
static bool
settle_tasks(KtRouter *router, const KtTransactions *transactions, KtTurn *turn, const KtLimits *limits)
{
	MemoryContext old = MemoryContextSwitchTo(router->scratch);
	Settling   *settling = palloc(sizeof(Settling));
	KtBatch		batch = {settling, .run = settle_part, .failed = note_failure};
	bool		any = false;

	kt_turn_begin_work(turn);
	settling->router = router;
	settling->until = kt_monotonic() + limits->slice;
	for (;;)
	{
		int			most = kt_monotonic() > settling->until ? 0 : Min(BATCH_SIZE, kt_turn_left(turn, limits));

		settling->n = batch.n = kt_looks_take_where(router->unsettled, is_matched, router, settling->tasks, most);
		if (batch.n == 0)
			break;
		kt_batch_run(transactions, &batch);
		count_settled(settling, turn);
		any = true;
	}
	turn->more = turn->more || kt_looks_are_left(router->unsettled);
	MemoryContextSwitchTo(old);
	return any;
}

void
kt_router_set_time(KtRouter *router)
{
	int64		minute;

	router->pool->now = kt_now();
	minute = router->pool->now / USECS_PER_MINUTE;
	if (minute != router->minute)
		kt_pool_new_minute(router->pool);
	router->minute = minute;
}

/* Reads what happened; how many events.  first: in this turn. */
static int
look(KtRouter *router, const KtTransactions *transactions, const KtLimits *limits, bool first)
{
	MemoryContext old = CurrentMemoryContext;
	KtSpi		spi;
	int			events = 0;

	transactions->begin();
	kt_spi_begin(&spi);
	MemoryContextSwitchTo(router->scratch);
	kt_quarantine_refresh(router->quarantine);
	if (first && router->pool != NULL)
		kt_router_reload_rest(router);
	if (router->pool == NULL)
		kt_router_load(router);
	else
		events = kt_router_catch_up(router, !transactions->own);
	kt_router_read(router, limits->slice);
	kt_router_set_time(router);
	kt_pool_end_waits(router->pool);
	if (kt_retries_are_due(router->retries, KT_RETRY_LOOK))
		look_at_retries(router);
	kt_spi_end(&spi);
	transactions->commit();
	MemoryContextSwitchTo(old);
	return events;
}

/*
 * What is left over is left to the next turn, so that who has much to do holds up
 * the others for no longer than a slice of each kind of work.
 */
void
kt_router_turn(KtRouter *router, const KtTransactions *transactions, KtTurn *turn, const KtLimits *limits)
{
	int64		until = kt_monotonic() + limits->slice;

	memset(turn, 0, sizeof(KtTurn));
	MemoryContextReset(router->scratch);
	turn->events = look(router, transactions, limits, true);
	if (kt_timers_are_due(router))
		kt_timers_fire(router, transactions, turn, limits);
	if (turn->fired > 0)
		(void) look(router, transactions, limits, false);
	for (;;)
	{
		kt_assign(router, transactions, turn, limits);
		if (!settle_tasks(router, transactions, turn, limits) || kt_monotonic() > until)
			break;
		(void) look(router, transactions, limits, false);
	}
	turn->more = turn->more || kt_router_has_to_read(router);
	router->is_through = !turn->more;
	router->finished += router->is_through;
	kt_quarantine_write(router->quarantine, transactions);
	kt_pool_collect(router->pool);
}

int64
kt_router_wait(KtRouter *router)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz expected;
	int64		wait;
	int64		next;

	/* It has forgotten all, and is to load it. */
	if (router->pool == NULL)
		return 0;
	expected = kt_timers_expected(router);
	wait = expected <= now ? 0 : expected - now;
	next = kt_pool_next_wait(router->pool);
	if (next != PG_INT64_MAX)
		wait = Min(wait, Max(next - kt_monotonic(), 0));
	if (router->reloads != NIL || !dlist_is_empty(&router->pool->lacking))
		wait = Min(wait, Max(router->reload_at - kt_monotonic(), 0));
	return Min(wait, kt_retries_wait(router->retries));
}

/* ------------------------------------------------------------------- tick */

/* This backend's; dropped by any abort, since it may know what never was. */
static KtRouter *ticker = NULL;
static bool ticking = false;

/* Something may fail: nothing is known of how the last one went, or it did fail. */
static bool cautious = true;

static void
forget_at_abort(XactEvent event, void *arg)
{
	/* What is prepared may be rolled back by another session. */
	if ((event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE) && ticker != NULL)
		kt_router_forget(ticker);
}

static void
forget_at_subabort(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	/* While a turn goes on, those are a trigger's, or a batch's that failed, of which it knows. */
	if (event == SUBXACT_EVENT_ABORT_SUB && ticker != NULL && !ticking)
		kt_router_forget(ticker);
}

static KtRouter *
own_router(void)
{
	if (ticker == NULL)
	{
		ticker = kt_router_create(TopMemoryContext);
		RegisterXactCallback(forget_at_abort, NULL);
		RegisterSubXactCallback(forget_at_subabort, NULL);
	}
	return ticker;
}

static void
lock_or_refuse(void)
{
	bool		clock_is_set = kt_clock_is_set();

	/*
	 * While the clock is set the router gives its lock up, though it may be just
	 * about to.  Else nobody is to have it in its place, not even for a moment:
	 * the moment may last as long as a transaction.
	 */
	if ((!clock_is_set && kt_router_is_expected()) || !kt_lock_role(KT_ROLE_ROUTER, clock_is_set))
		ereport(ERROR,
				(errcode(KT_ERRCODE_WORKER_ACTIVE),
				 errmsg("the router is running in this database"),
				 kt_access_is_owner() ?
				 errhint("It does what tick() would do. To drive the time yourself, call kin_tr.set_clock(now()) first.") :
				 errhint("It does what tick() would do.")));
}

/* Another role, or other rights: what the memory holds is not this caller's. */
static void
restrict_to_callers_workspaces(KtRouter *router)
{
	int			n;
	KtSid	   *allowed = kt_access_workspaces(KT_ACCESS_APP, &n);

	if (router->restricted && n == router->nallowed &&
		memcmp(allowed, router->allowed, sizeof(KtSid) * n) == 0)
		return;
	kt_router_forget(router);
	if (router->allowed != NULL)
		pfree(router->allowed);
	router->restricted = true;
	router->nallowed = n;
	router->allowed = MemoryContextAlloc(router->context, sizeof(KtSid) * Max(n, 1));
	memcpy(router->allowed, allowed, sizeof(KtSid) * n);
}

/* The extension's schema may have been dropped and made anew in this session. */
static void
forget_other_schema(KtRouter *router)
{
	static Oid	schema = InvalidOid;

	if (schema != kt_schema_oid())
		kt_router_forget(router);
	schema = kt_schema_oid();
}

/* A trigger of the owner's may call anything. */
static void
refuse_within_itself(void)
{
	if (ticking)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("tick() is running in this session"),
				 errhint("What it calls, such as a trigger of a table, cannot call it.")));
}

static void
turn_of_tick(KtRouter *router, KtTurn *turn, const KtLimits *limits)
{
	const KtTransactions *transactions = cautious || kt_retries_keep_any(router->retries) ?
		&kt_subtransactions : &kt_callers_transaction;

	cautious = ticking = true;
	kt_see_latest(true);
	PG_TRY();
	{
		kt_router_turn(router, transactions, turn, limits);
		cautious = false;
	}
	PG_FINALLY();
	{
		ticking = false;
		kt_see_latest(false);
	}
	PG_END_TRY();
}

/* tick(max_actions integer) -> (assigned, timed_out, moved, canceled, next_due, more) */
Datum
kin_tr_tick(PG_FUNCTION_ARGS)
{
	TupleDesc	descriptor;
	Datum		values[6];
	bool		nulls[6] = {0};
	KtRouter   *router = own_router();
	TimestampTz next;
	KtTurn		turn;
	KtLimits	limits = {.slice = PG_INT64_MAX / 2};
	KtSpi		spi;
	int			max_actions = PG_ARGISNULL(0) ? 1000 : PG_GETARG_INT32(0);

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (max_actions <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_actions must be positive, not %d", max_actions),
				 errhint("Leave it out for 1000.")));
	kt_require_writable(fcinfo);
	kt_access_require_somewhere(KT_ACCESS_APP, "call tick()");
	kt_require_home();
	refuse_within_itself();
	lock_or_refuse();
	forget_other_schema(router);
	restrict_to_callers_workspaces(router);
	limits.actions = max_actions;
	turn_of_tick(router, &turn, &limits);
	kt_spi_begin(&spi);
	next = kt_timers_next(router);
	kt_spi_end(&spi);
	values[0] = Int32GetDatum(turn.assigned);
	values[1] = Int32GetDatum(turn.timed_out);
	values[2] = Int32GetDatum(turn.moved);
	values[3] = Int32GetDatum(turn.canceled);
	values[4] = TimestampTzGetDatum(next);
	nulls[4] = next == KT_NEVER;
	values[5] = BoolGetDatum(turn.more);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls)));
}

/* next_due() -> timestamptz, or NULL */
Datum
kin_tr_next_due(PG_FUNCTION_ARGS)
{
	static KtPlan plan = {
		"SELECT min(least("
		"    (SELECT wake_at FROM kin_tr.tasks WHERE workspace_sid = w.sid AND wake_at IS NOT NULL"
		"      ORDER BY wake_at LIMIT 1),"
		"    (SELECT times_out_at FROM kin_tr.reservations WHERE workspace_sid = w.sid AND times_out_at IS NOT NULL"
		"      ORDER BY times_out_at LIMIT 1)))"
		"  FROM kin_tr.workspaces w", ""
	};
	KtSpi		spi;
	bool		isnull;
	Datum		next;

	kt_spi_begin(&spi);
	kt_spi(&plan, NULL, NULL);
	next = kt_column(0, 1, &isnull);
	kt_spi_end(&spi);
	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(next);
}
