/*
 * timers.c
 *		Fires what is due: time-outs of reservations, steps and tasks.
 *
 * A timer is a column, wake_at of a task or times_out_at of a reservation, that
 * says when to look at the row at the latest.  All before a mark have been
 * looked at, so each search starts there: under an old snapshot it would else
 * walk over every timer that has fired since.  What is created or changed moves
 * the mark back where it must.  What is due is listed, and then fired, each workspace
 * in its turn: many timers of one hold up nobody else's.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/monotonic.h"
#include "base/spi.h"
#include "routing/placement.h"
#include "routing/reservation.h"
#include "routing/router.h"

#define BATCH_SIZE 64

/* Timers that are listed at a time. */
#define LIST_SIZE 512

/* A kind of timer: what is due of it, behind a mark, in the order of its index. */
typedef struct Kind
{
	KtPlan		due;
	KtPlan		next;
} Kind;

static Kind tasks = {
	{"SELECT sid, wake_at, workspace_sid FROM kin_tr.tasks"
	" WHERE (wake_at, sid) > ($1, $4) AND wake_at <= $2 ORDER BY wake_at, sid LIMIT $3", "zzis"},
	/* That it is not null does not follow from the comparison of rows, and the index needs it. */
	{"SELECT wake_at FROM kin_tr.tasks WHERE wake_at IS NOT NULL AND (wake_at, sid) > ($1, $2)"
	" ORDER BY wake_at, sid LIMIT 1", "zs"}
};

static Kind reservations = {
	{"SELECT sid, times_out_at, workspace_sid FROM kin_tr.reservations"
	" WHERE (times_out_at, sid) > ($1, $4) AND times_out_at <= $2"
	" ORDER BY times_out_at, sid LIMIT $3", "zzis"},
	{"SELECT times_out_at FROM kin_tr.reservations WHERE times_out_at IS NOT NULL"
	" AND (times_out_at, sid) > ($1, $2) ORDER BY times_out_at, sid LIMIT 1", "zs"}
};

/* What became of a timer. */
typedef enum Fired
{
	NOTHING,
	TIMED_OUT,					/* a reservation */
	MOVED,						/* a task */
	CANCELED,
	OTHER,						/* a task, that only the pool must be told of */
	BUSY,
	FAILED
} Fired;

typedef struct Timers
{
	KtRouter   *router;
	bool		retried;		/* they were due before */
	int			n;
	KtSid		due[BATCH_SIZE];
	Fired		fired[BATCH_SIZE];
} Timers;

/* Some of a kind that are due; true where there are more. */
static bool
list_kind(KtRouter *router, Kind *kind, KtMark *mark, KtLooks *due)
{
	Datum		values[] = {
		TimestampTzGetDatum(mark->at), TimestampTzGetDatum(router->pool->now),
		Int32GetDatum(LIST_SIZE), SidPGetDatum(&mark->sid)
	};
	uint64		n = kt_spi_latest(&kind->due, values, NULL);

	for (uint64 i = 0; i < n; i++)
	{
		KtSid		workspace = kt_column_sid(i, 3);

		mark->sid = kt_column_sid(i, 1);
		mark->at = kt_column_int64(i, 2);
		if (kt_pool_may_use(router->pool, &workspace))
			kt_looks_add(due, &workspace, &mark->sid);
	}
	if (n == LIST_SIZE)
		return true;
	/* All up to now, whatever their sids. */
	mark->at = router->pool->now;
	memset(&mark->sid, 0xff, sizeof(KtSid));
	return false;
}

/* What is due of both kinds, for so many microseconds; true where there is more. */
static bool
list_due(KtRouter *router, const KtTransactions *transactions, int64 slice)
{
	MemoryContext context = CurrentMemoryContext;
	int64		until = kt_monotonic() + slice;
	bool		more;
	KtSpi		spi;

	transactions->begin();
	kt_spi_begin(&spi);
	do
	{
		CHECK_FOR_INTERRUPTS();
		more = list_kind(router, &reservations, &router->reservations_mark, router->due_reservations);
		more = list_kind(router, &tasks, &router->tasks_mark, router->due_tasks) || more;
	} while (more && kt_monotonic() < until);
	kt_spi_end(&spi);
	transactions->commit();
	MemoryContextSwitchTo(context);
	return more;
}

static Fired
fire_task(KtRouter *router, const KtSid *sid)
{
	KtTask	   *task;

	if (!kt_task_try_lock(sid, &task))
		return BUSY;
	if (task == NULL || task->wake_at > router->pool->now ||
		!kt_pool_may_use(router->pool, &task->workspace))
		return NOTHING;
	switch (kt_task_due(router->pool->config, task, router->pool->now))
	{
		case KT_DUE_MOVED:
			return MOVED;
		case KT_DUE_CANCELED:
			return CANCELED;
		case KT_DUE_BUSY:
			return BUSY;
		case KT_DUE_NOTHING:
			return NOTHING;
		default:
			return OTHER;
	}
}

static Fired
fire_reservation(KtRouter *router, const KtSid *sid)
{
	KtReservation *reservation = kt_reservation_read(sid, false);
	bool		fired = false;

	if (reservation == NULL || !kt_pool_may_use(router->pool, &reservation->workspace))
		return NOTHING;
	if (!kt_reservation_time_out(router->pool->config, sid, router->pool->now, &fired))
		return BUSY;
	return fired ? TIMED_OUT : NOTHING;
}

/* What a task takes of memory, which its attributes can make much, is given back after it. */
static void
fire(void *context, int from, int n)
{
	Timers	   *timers = context;
	MemoryContext each = AllocSetContextCreate(CurrentMemoryContext, "kin_tr timer", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(each);

	for (int i = from; i < from + n; i++)
	{
		const KtSid *sid = &timers->due[i];

		CHECK_FOR_INTERRUPTS();
		/* One in quarantine that the mark comes by is left to its time. */
		if (!timers->retried && kt_retry_is_kept(timers->router->retries, sid))
			timers->fired[i] = NOTHING;
		else
			timers->fired[i] = kt_sid_is(sid, KT_TASK) ? fire_task(timers->router, sid) :
				fire_reservation(timers->router, sid);
		MemoryContextReset(each);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(each);
}

static void
note_failure(void *context, int item, const ErrorData *error)
{
	Timers	   *timers = context;

	timers->fired[item] = kt_error_is_busy(error) ? BUSY : FAILED;
	if (timers->fired[item] == FAILED)
		kt_quarantine_note(timers->router->quarantine, &timers->due[item], KT_RETRY_TIMER, "timer", error);
}

static void
count(const Timers *timers, KtTurn *turn)
{
	for (int i = 0; i < timers->n; i++)
	{
		Fired		fired = timers->fired[i];

		turn->timed_out += fired == TIMED_OUT;
		turn->moved += fired == MOVED;
		turn->canceled += fired == CANCELED;
		turn->fired += fired == TIMED_OUT || fired == MOVED || fired == CANCELED || fired == OTHER;
		turn->busy += fired == BUSY;
		turn->failures += fired == FAILED;
		if (fired == BUSY)
			kt_retry_busy(timers->router->retries, &timers->due[i], KT_RETRY_TIMER);
	}
}

static void
fire_batch(Timers *timers, const KtTransactions *transactions, KtTurn *turn)
{
	KtBatch		batch = {timers, timers->n, .run = fire, .failed = note_failure};

	if (timers->n == 0)
		return;
	kt_batch_run(transactions, &batch);
	count(timers, turn);
}

static void
fire_some(KtRouter *router, const KtTransactions *transactions, KtLooks *due, KtTurn *turn, int most)
{
	Timers	   *timers = palloc(sizeof(Timers));

	timers->router = router;
	timers->retried = false;
	timers->n = kt_looks_take(due, timers->due, Min(most, BATCH_SIZE));
	fire_batch(timers, transactions, turn);
	pfree(timers);
}

/* Those that were due, and whose task or worker somebody held. */
static void
fire_retries(KtRouter *router, const KtTransactions *transactions, KtTurn *turn, int most)
{
	Timers	   *timers = palloc(sizeof(Timers));
	KtSid	   *due = kt_retries_due(router->retries, KT_RETRY_TIMER, Min(most, BATCH_SIZE), &timers->n);

	timers->router = router;
	timers->retried = true;
	memcpy(timers->due, due, sizeof(KtSid) * timers->n);
	fire_batch(timers, transactions, turn);
}

static bool
are_listed(const KtRouter *router)
{
	return kt_looks_are_left(router->due_reservations) || kt_looks_are_left(router->due_tasks);
}

/* A timer may be set for earlier without a word, but not for the next hour. */
static void
find_next(KtRouter *router, const KtTransactions *transactions)
{
	KtSpi		spi;
	MemoryContext context = CurrentMemoryContext;

	transactions->begin();
	kt_spi_begin(&spi);
	router->next_timer = Min(kt_timers_next(router), router->pool->now + USECS_PER_HOUR);
	kt_spi_end(&spi);
	transactions->commit();
	MemoryContextSwitchTo(context);
}

void
kt_timers_fire(KtRouter *router, const KtTransactions *transactions, KtTurn *turn, const KtLimits *limits)
{
	MemoryContext old = MemoryContextSwitchTo(router->scratch);
	int64		until = kt_monotonic() + limits->slice;
	bool		more = false;

	kt_turn_begin_work(turn);
	if (kt_turn_left(turn, limits) > 0 && kt_retries_are_due(router->retries, KT_RETRY_TIMER))
		fire_retries(router, transactions, turn, kt_turn_left(turn, limits));
	if (router->pool->now >= router->next_timer)
	{
		more = list_due(router, transactions, limits->slice / 2);
		while (are_listed(router) && kt_turn_left(turn, limits) > 0 && kt_monotonic() < until)
		{
			/* A reservation that times out puts its task back before its own timer is due. */
			fire_some(router, transactions, router->due_reservations, turn, kt_turn_left(turn, limits));
			fire_some(router, transactions, router->due_tasks, turn, kt_turn_left(turn, limits));
		}
		if (more || are_listed(router))
			turn->more = true;
		else
			find_next(router, transactions);
	}
	MemoryContextSwitchTo(old);
}

bool
kt_timers_are_due(const KtRouter *router)
{
	return router->pool->now >= router->next_timer || kt_retries_are_due(router->retries, KT_RETRY_TIMER);
}

static TimestampTz
first_after(Kind *kind, const KtMark *mark)
{
	Datum		values[] = {TimestampTzGetDatum(mark->at), SidPGetDatum(&mark->sid)};

	return kt_spi_latest(&kind->next, values, NULL) > 0 ? kt_column_int64(0, 1) : KT_NEVER;
}

TimestampTz
kt_timers_next(KtRouter *router)
{
	TimestampTz next = Min(first_after(&tasks, &router->tasks_mark),
						   first_after(&reservations, &router->reservations_mark));
	HASH_SEQ_STATUS scan;
	KtSpace    *space;

	if (are_listed(router))
		return router->pool->now;
	hash_seq_init(&scan, router->pool->spaces);
	while ((space = hash_seq_search(&scan)) != NULL)
		if (space->ntimed > 0)
			next = Min(next, (router->minute + 1) * USECS_PER_MINUTE);
	return next;
}
