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
#include "base/spi.h"
#include "base/access.h"
#include "routing/attributes.h"
#include "routing/placement.h"
#include "routing/router.h"

PG_FUNCTION_INFO_V1(kin_tr_tick);
PG_FUNCTION_INFO_V1(kin_tr_next_due);

/* A locked row is tried again after 10 ms, doubling to 1 s. */
#define FIRST_RETRY (10 * INT64CONST(1000))
#define LAST_RETRY	USECS_PER_SEC

KtRouter *
kt_router_create(MemoryContext parent)
{
	MemoryContext context = AllocSetContextCreate(parent, "kin_tr router", ALLOCSET_DEFAULT_SIZES);
	KtRouter   *router = MemoryContextAllocZero(context, sizeof(KtRouter));

	router->context = context;
	router->scratch = AllocSetContextCreate(context, "kin_tr router scratch", ALLOCSET_DEFAULT_SIZES);
	return router;
}

void
kt_router_forget(KtRouter *router)
{
	if (router->pool != NULL)
		kt_pool_destroy(router->pool);
	router->pool = NULL;
	if (router->cursor.xip != NULL)
		pfree(router->cursor.xip);
	memset(&router->cursor, 0, sizeof(KtCursor));
	memset(&router->unsettled, 0, sizeof(KtVector));
	router->own_xid = 0;
	router->own_event = 0;
	router->nretries = 0;
}

static KtRetry *
find_retry(KtRouter *router, const KtSid *sid, bool timer)
{
	for (int i = 0; i < router->nretries; i++)
		if (kt_sid_equal(&router->retries[i].sid, sid) && router->retries[i].timer == timer)
			return &router->retries[i];
	return NULL;
}

void
kt_router_retry(KtRouter *router, const KtSid *sid, bool timer)
{
	KtRetry    *retry = find_retry(router, sid, timer);

	if (retry == NULL)
	{
		if (router->nretries == router->retries_capacity)
		{
			router->retries_capacity = Max(16, router->retries_capacity * 2);
			if (router->retries == NULL)
				router->retries = MemoryContextAlloc(router->context,
													 sizeof(KtRetry) * router->retries_capacity);
			else
				router->retries = repalloc_huge(router->retries,
												sizeof(KtRetry) * router->retries_capacity);
		}
		retry = &router->retries[router->nretries++];
		retry->sid = *sid;
		retry->timer = timer;
		retry->tries = 0;
	}
	retry->at = GetCurrentTimestamp() + Min(FIRST_RETRY << Min(retry->tries, 10), LAST_RETRY);
	retry->tries++;
	retry->looked_at = false;
}

void
kt_router_forget_retry(KtRouter *router, const KtSid *sid, bool timer)
{
	KtRetry    *retry = find_retry(router, sid, timer);

	if (retry != NULL)
		*retry = router->retries[--router->nretries];
}

/*
 * Rows that were locked are read again.  Their entries stay a while, so that
 * one that is still locked is given ever more time.
 */
static void
look_at_retries(KtRouter *router)
{
	TimestampTz now = GetCurrentTimestamp();
	KtSid	   *tasks = palloc(sizeof(KtSid) * router->nretries);
	KtSid	   *workers = palloc(sizeof(KtSid) * router->nretries);
	int			ntasks = 0;
	int			nworkers = 0;

	for (int i = router->nretries - 1; i >= 0; i--)
	{
		KtRetry    *retry = &router->retries[i];

		if (retry->timer || retry->at > now)
			continue;
		if (retry->looked_at)
		{
			*retry = router->retries[--router->nretries];
			continue;
		}
		if (kt_sid_is(&retry->sid, KT_WORKER))
			workers[nworkers++] = retry->sid;
		else
			tasks[ntasks++] = retry->sid;
		retry->looked_at = true;
		retry->at = now + 3 * LAST_RETRY;
	}
	kt_router_look_at_workers(router, workers, nworkers);
	kt_router_look_at_tasks(router, tasks, ntasks);
}

/* Counts of a queue's workers, for skip_if. */
static KtValue
count_workers(KtRouter *router, const KtTaskQueue *queue, const KtPath *path)
{
	KtSpace    *space = kt_pool_space(router->pool, &queue->workspace);
	KtGroup		group = {.space = space, .queue = queue};
	int64		count = 0;
	dlist_iter	iter;
	KtSid		activity;
	bool		by_activity = kt_sid_parse(path->text, strlen(path->text), &activity);
	bool		available = strcmp(path->text, "available") == 0;

	dlist_foreach(iter, &space->classes)
	{
		KtClass    *class = dlist_container(KtClass, of_space, iter.cur);

		if (class->nworkers == 0 ||
			(by_activity ? !kt_sid_equal(&class->activity, &activity) : class->available != available))
			continue;
		if (kt_pool_in_queue(router->pool, &group, class))
			count += class->nworkers;
	}
	return kt_value_integer(count);
}

static bool
skip_if_is_true(KtRouter *router, const KtTask *task, const KtExpr *skip_if)
{
	const KtTaskQueue *queue = kt_config_task_queue(router->pool->config, &task->task_queue);
	KtValue    *values = palloc0(sizeof(KtValue) * Max(skip_if->npaths, 1));

	/* A queue newer than the pool has workers that cannot be counted yet. */
	if (queue != NULL &&
		!kt_space_knows(router->pool, kt_pool_space(router->pool, &task->workspace), queue->expression))
		return false;
	for (uint32 i = 0; i < skip_if->npaths; i++)
	{
		if (skip_if->paths[i].subject == KT_SUBJECT_TASKROUTER)
			values[i] = kt_time_read(router->pool->now, &skip_if->paths[i]);
		else if (queue != NULL)
			values[i] = count_workers(router, queue, &skip_if->paths[i]);
	}
	return kt_expr_evaluate(skip_if, values);
}

/*
 * A task that came into the queue while the queue's order was being changed has
 * the keys of the former one.
 */
static void
put_in_order(KtRouter *router, KtTask *task)
{
	KtConfig   *config = kt_config();	/* the router's may be older than the keys */
	const KtTaskQueue *queue = kt_config_task_queue(config, &task->task_queue);
	int64		key1;
	int64		key2;

	kt_order_keys(queue, task->priority, task->virtual_start_time, &key1, &key2);
	if (task->key1 == key1 && task->key2 == key2)
		return;
	kt_place_in_group(config, task, router->pool->now);
	kt_task_store_unseen(task);
	kt_router_look_at_tasks(router, &task->sid, 1);
}

/*
 * A task that has entered a step and found nobody: is the step to be skipped?
 * It is asked only once.
 */
static void
try_to_skip(KtRouter *router, KtTask *task, KtTurn *turn)
{
	KtConfig   *config = router->pool->config;
	TimestampTz now = router->pool->now;
	const KtTarget *target = kt_task_target(config, task);

	if (target != NULL && target->skip_if != NULL && skip_if_is_true(router, task, target->skip_if))
	{
		if (kt_task_skip_step(config, task, now) == KT_DUE_MOVED)
			turn->moved++;
		else
			turn->canceled++;
	}
	else
	{
		task->step_tried = true;
		kt_task_store_unseen(task);
	}
}

static void
settle_task(KtRouter *router, const KtSid *sid, KtTurn *turn)
{
	KtTask	   *task;

	if (!kt_task_try_lock(sid, &task))
	{
		kt_router_retry(router, sid, false);
		return;
	}
	if (task == NULL || task->status != KT_TASK_PENDING || !task->waiting)
		return;
	put_in_order(router, task);
	if (!task->step_tried)
		try_to_skip(router, task, turn);
}

/* True where there were any. */
static bool
settle_tasks(KtRouter *router, const KtTransactions *transactions, KtTurn *turn)
{
	MemoryContext old = CurrentMemoryContext;
	KtVector	unsettled = router->unsettled;

	if (unsettled.length == 0)
		return false;
	memset(&router->unsettled, 0, sizeof(KtVector));
	for (int from = 0; from < unsettled.length; from += 64)
	{
		KtSpi		spi;

		CHECK_FOR_INTERRUPTS();
		transactions->begin();
		kt_spi_begin(&spi);
		for (int i = from; i < Min(from + 64, unsettled.length); i++)
			settle_task(router, unsettled.items[i], turn);
		kt_events_flush();
		kt_spi_end(&spi);
		transactions->commit();
		MemoryContextSwitchTo(old);
	}
	for (int i = 0; i < unsettled.length; i++)
		pfree(unsettled.items[i]);
	pfree(unsettled.items);
	return true;
}

/* Reads what happened; how many events. */
static int
look(KtRouter *router, const KtTransactions *transactions)
{
	MemoryContext old = CurrentMemoryContext;
	KtSpi		spi;
	int64		minute;
	int			events = 0;

	transactions->begin();
	kt_spi_begin(&spi);
	MemoryContextSwitchTo(router->scratch);
	if (router->pool == NULL)
		kt_router_load(router);
	else
		events = kt_router_catch_up(router, !transactions->retries);
	router->pool->now = kt_now();
	minute = router->pool->now / USECS_PER_MINUTE;
	if (minute != router->minute)
		kt_pool_new_minute(router->pool);
	router->minute = minute;
	if (router->nretries > 0)
		look_at_retries(router);
	kt_spi_end(&spi);
	transactions->commit();
	MemoryContextSwitchTo(old);
	return events;
}

void
kt_router_turn(KtRouter *router, const KtTransactions *transactions, KtTurn *turn, int max_actions)
{
	memset(turn, 0, sizeof(KtTurn));
	MemoryContextReset(router->scratch);
	turn->events = look(router, transactions);
	if (kt_timers_are_due(router))
		kt_timers_fire(router, transactions, turn, max_actions);
	if (turn->fired > 0)
		(void) look(router, transactions);
	for (;;)
	{
		/* An assignment may touch again: a step may want workers that are busy. */
		while (router->pool->touched.length > 0 && !turn->more)
			kt_assign(router, transactions, turn, max_actions - turn->timed_out - turn->moved - turn->canceled);
		if (turn->more || !settle_tasks(router, transactions, turn))
			break;
		(void) look(router, transactions);
	}
	kt_pool_collect(router->pool);
}

/* ------------------------------------------------------------------- tick */

static void
nothing(void)
{
}

static const KtTransactions callers_transaction = {nothing, nothing, false};

/* This backend's; dropped by any abort, since it may know what never was. */
static KtRouter *ticker = NULL;

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
	if (event == SUBXACT_EVENT_ABORT_SUB && ticker != NULL)
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
	/* While the clock is set the router gives its lock up, though it may be just about to. */
	if (!kt_lock_role(KT_ROLE_ROUTER, kt_clock_is_set()))
		ereport(ERROR,
				(errcode(KT_ERRCODE_WORKER_ACTIVE),
				 errmsg("the router is running in this database"),
				 errhint("It does what tick() would do. To drive the time yourself, call kin_tr.set_clock(now()) first.")));
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
	KtSpi		spi;
	int			max_actions = PG_ARGISNULL(0) ? 1000 : PG_GETARG_INT32(0);

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (max_actions <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_actions must be positive, not %d", max_actions),
				 errhint("Leave it out for 1000.")));
	PreventCommandIfReadOnly("tick()");
	kt_require_home();
	lock_or_refuse();
	forget_other_schema(router);
	restrict_to_callers_workspaces(router);
	kt_router_turn(router, &callers_transaction, &turn, max_actions);
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
		"SELECT least((SELECT wake_at FROM kin_tr.tasks WHERE wake_at IS NOT NULL"
		"              ORDER BY wake_at LIMIT 1),"
		"             (SELECT times_out_at FROM kin_tr.reservations WHERE times_out_at IS NOT NULL"
		"              ORDER BY times_out_at LIMIT 1))", ""
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
