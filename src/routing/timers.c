/*
 * timers.c
 *		Fires what is due: time-outs of reservations, steps and tasks.
 *
 * A timer is a column, wake_at of a task or times_out_at of a reservation, that
 * says when to look at the row at the latest.  All before a mark have been
 * looked at, so each search starts there: under an old snapshot it would else
 * walk over every timer that has fired since.  What is created or changed moves
 * the mark back where it must.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/timestamp.h"

#include "base/spi.h"
#include "routing/placement.h"
#include "routing/reservation.h"
#include "routing/router.h"

#define BATCH_SIZE 64

static int
find_due(KtPlan *plan, const KtMark *mark, TimestampTz now, int limit, KtMark *due)
{
	Datum		values[] = {
		TimestampTzGetDatum(mark->at), TimestampTzGetDatum(now), Int32GetDatum(limit),
		SidPGetDatum(&mark->sid)
	};
	uint64		n = kt_spi(plan, values, NULL);

	for (uint64 i = 0; i < n; i++)
	{
		due[i].sid = kt_column_sid(i, 1);
		due[i].at = kt_column_int64(i, 2);
	}
	return (int) n;
}

/* False where somebody holds the task. */
static bool
fire_task(KtRouter *router, const KtSid *sid, KtTurn *turn)
{
	KtTask	   *task;
	KtDue		done;

	if (!kt_task_try_lock(sid, &task))
		return false;
	if (task == NULL || task->wake_at > router->pool->now ||
		!kt_pool_may_use(router->pool, &task->workspace))
		return true;
	done = kt_task_due(router->pool->config, task, router->pool->now);
	turn->fired += done != KT_DUE_NOTHING;
	switch (done)
	{
		case KT_DUE_MOVED:
			turn->moved++;
			break;
		case KT_DUE_CANCELED:
			turn->canceled++;
			break;
		default:
			break;
	}
	return true;
}

static bool
fire_reservation(KtRouter *router, const KtSid *sid, KtTurn *turn)
{
	KtReservation *reservation = kt_reservation_read(sid, false);
	bool		fired = false;

	if (reservation == NULL || !kt_pool_may_use(router->pool, &reservation->workspace))
		return true;
	if (!kt_reservation_time_out(router->pool->config, sid, router->pool->now, &fired))
		return false;
	turn->timed_out += fired;
	turn->fired += fired;
	return true;
}

static void
fire(KtRouter *router, const KtSid *sid, KtTurn *turn)
{
	bool		done = kt_sid_is(sid, KT_TASK) ? fire_task(router, sid, turn) :
		fire_reservation(router, sid, turn);

	if (!done)
		kt_router_retry(router, sid, true);
}

/* Fires one batch of a kind; true where there may be more. */
static bool
fire_batch(KtRouter *router, KtPlan *plan, KtMark *mark, KtTurn *turn, int limit)
{
	KtMark		due[BATCH_SIZE];
	TimestampTz now = router->pool->now;
	int			n = find_due(plan, mark, now, Min(limit, BATCH_SIZE), due);

	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		fire(router, &due[i].sid, turn);
	}
	kt_events_flush();
	if (n < Min(limit, BATCH_SIZE))
	{
		/* All up to now, whatever their sids. */
		mark->at = now;
		memset(&mark->sid, 0xff, sizeof(KtSid));
		return false;
	}
	*mark = due[n - 1];
	return true;
}

static void
fire_retries(KtRouter *router, KtTurn *turn)
{
	TimestampTz now = GetCurrentTimestamp();
	int			n = router->nretries;
	KtSid	   *due = MemoryContextAlloc(router->scratch, sizeof(KtSid) * Max(n, 1));
	int			ndue = 0;

	for (int i = 0; i < n; i++)
		if (router->retries[i].timer && router->retries[i].at <= now)
			due[ndue++] = router->retries[i].sid;
	for (int i = 0; i < ndue; i++)
	{
		bool		done = kt_sid_is(&due[i], KT_TASK) ? fire_task(router, &due[i], turn) :
			fire_reservation(router, &due[i], turn);

		if (done)
			kt_router_forget_retry(router, &due[i], true);
		else
			kt_router_retry(router, &due[i], true);
	}
	kt_events_flush();
}

void
kt_timers_fire(KtRouter *router, const KtTransactions *transactions, KtTurn *turn, int max_actions)
{
	static KtPlan tasks = {
		"SELECT sid, wake_at FROM kin_tr.tasks"
		" WHERE (wake_at, sid) > ($1, $4) AND wake_at <= $2 ORDER BY wake_at, sid LIMIT $3", "zzis"
	};
	static KtPlan reservations = {
		"SELECT sid, times_out_at FROM kin_tr.reservations"
		" WHERE (times_out_at, sid) > ($1, $4) AND times_out_at <= $2"
		" ORDER BY times_out_at, sid LIMIT $3", "zzis"
	};
	MemoryContext old = CurrentMemoryContext;
	bool		more = true;

	while (more)
	{
		int			left = max_actions - turn->timed_out - turn->moved - turn->canceled;
		KtSpi		spi;

		if (left <= 0)
		{
			turn->more = true;
			return;
		}
		CHECK_FOR_INTERRUPTS();
		transactions->begin();
		kt_spi_begin(&spi);
		fire_retries(router, turn);
		/* A reservation that times out puts its task back before its own timer is due. */
		more = fire_batch(router, &reservations, &router->reservations_mark, turn, left);
		more = fire_batch(router, &tasks, &router->tasks_mark, turn, left) || more;
		/* A timer may be set for earlier without a word, but not for the next hour. */
		if (!more)
			router->next_timer = Min(kt_timers_next(router), router->pool->now + USECS_PER_HOUR);
		kt_spi_end(&spi);
		transactions->commit();
		MemoryContextSwitchTo(old);
	}
}

bool
kt_timers_are_due(const KtRouter *router)
{
	TimestampTz now = GetCurrentTimestamp();

	for (int i = 0; i < router->nretries; i++)
		if (router->retries[i].timer && router->retries[i].at <= now)
			return true;
	return router->pool->now >= router->next_timer;
}

static TimestampTz
first_after(KtPlan *plan, const KtMark *mark)
{
	Datum		values[] = {TimestampTzGetDatum(mark->at), SidPGetDatum(&mark->sid)};

	return kt_spi(plan, values, NULL) > 0 ? kt_column_int64(0, 1) : KT_NEVER;
}

TimestampTz
kt_timers_next(KtRouter *router)
{
	/* That it is not null does not follow from the comparison of rows, and the indexes need it. */
	static KtPlan tasks = {
		"SELECT wake_at FROM kin_tr.tasks WHERE wake_at IS NOT NULL AND (wake_at, sid) > ($1, $2)"
		" ORDER BY wake_at, sid LIMIT 1", "zs"
	};
	static KtPlan reservations = {
		"SELECT times_out_at FROM kin_tr.reservations WHERE times_out_at IS NOT NULL"
		" AND (times_out_at, sid) > ($1, $2) ORDER BY times_out_at, sid LIMIT 1", "zs"
	};
	HASH_SEQ_STATUS scan;
	KtSpace    *space;
	TimestampTz next;

	next = Min(first_after(&tasks, &router->tasks_mark),
			   first_after(&reservations, &router->reservations_mark));
	hash_seq_init(&scan, router->pool->spaces);
	while ((space = hash_seq_search(&scan)) != NULL)
		if (space->ntimed > 0)
			next = Min(next, (router->minute + 1) * USECS_PER_MINUTE);
	return next;
}
