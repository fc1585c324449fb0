/*
 * timers.c
 *		Fires what is due: time-outs of reservations, steps and tasks.
 *
 * A timer is a column, wake_at of a task or times_out_at of a reservation, that
 * says when to look at the row at the latest.  Each workspace's timers of a kind
 * have a watch, which knows when the next one is due, and is asked for what is due
 * only then: nobody's timers wait behind those of another workspace.  Before the watch's
 * mark there is nothing that it has yet to list, so each search starts there: under an old
 * snapshot, or in a long transaction, it would else walk over every timer that there has
 * been.  What is created or changed moves the mark back where it must.  What is due is
 * listed, and then fired, each workspace in its turn.
 */
#include "postgres.h"

#include "lib/ilist.h"
#include "lib/pairingheap.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/monotonic.h"
#include "base/spi.h"
#include "routing/placement.h"
#include "routing/reservation.h"
#include "routing/router.h"

#define BATCH_SIZE 64

/* Timers that are listed at a time: few, and more where all of them were due. */
#define FEW 4
#define MANY 512

/* A watch that has listed so many waits until some of them have been fired. */
#define MOST_LISTED 1024

typedef enum Kind
{
	RESERVATIONS,
	TASKS
} Kind;

#define KINDS 2

/* Behind a mark, in the order of the index. */
static KtPlan next_timers[KINDS] = {
	[RESERVATIONS] = {
		"SELECT sid, times_out_at FROM kin_tr.reservations WHERE workspace_sid = $1"
		/* That it is not null does not follow from the comparison of rows, and the index needs it. */
		" AND times_out_at IS NOT NULL AND (times_out_at, sid) > ($2, $3) AND times_out_at <= $4"
		" ORDER BY times_out_at, sid LIMIT $5", "szszi"
	},
	[TASKS] = {
		"SELECT sid, wake_at FROM kin_tr.tasks WHERE workspace_sid = $1"
		" AND wake_at IS NOT NULL AND (wake_at, sid) > ($2, $3) AND wake_at <= $4"
		" ORDER BY wake_at, sid LIMIT $5", "szszi"
	}
};

typedef struct Key
{
	KtSid		workspace;
	uint8		kind;
} Key;

StaticAssertDecl(sizeof(Key) == sizeof(KtSid) + 1, "a key has no padding");

typedef struct Watch
{
	Key			key;			/* hash key */
	KtMark		mark;			/* all up to it are listed, have been fired, or are no more */
	TimestampTz gap;			/* later than this, up to ... */
	KtMark		gap_end;		/* ... this one, there is nothing to list either */
	TimestampTz next;			/* none behind it is due before */
	TimestampTz asked;			/* when all were asked, so that rows changed since are found */
	int			limit;			/* how many to list */
	bool		due;			/* it is in the list of these; else in the heap */
	dlist_node	of_due;
	pairingheap_node by_next;
	uint64		round;			/* in which its workspace was last found */
} Watch;

struct KtTimers
{
	MemoryContext context;
	HTAB	   *watches;
	pairingheap *by_next;		/* watches: the one that is due next, first */
	dlist_head	due;			/* watches, each in its turn */
	bool		asks_all;		/* all workspaces are to be asked */
	uint64		rounds;			/* of that */
	KtLooks    *listed[KINDS];	/* what is due and has yet to be fired */
};

static int
compare_next(const pairingheap_node *a, const pairingheap_node *b, void *arg)
{
	TimestampTz first = pairingheap_const_container(Watch, by_next, a)->next;
	TimestampTz second = pairingheap_const_container(Watch, by_next, b)->next;

	return first < second ? 1 : first > second ? -1 : 0;
}

static void
initialize(KtTimers *timers)
{
	HASHCTL		watch = {.keysize = sizeof(Key), .entrysize = sizeof(Watch), .hcxt = timers->context};
	MemoryContext old = MemoryContextSwitchTo(timers->context);

	timers->watches = hash_create("kin_tr watches of timers", 16, &watch, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	timers->by_next = pairingheap_allocate(compare_next, NULL);
	dlist_init(&timers->due);
	timers->asks_all = true;
	MemoryContextSwitchTo(old);
}

KtTimers *
kt_timers_create(MemoryContext parent)
{
	KtTimers   *timers = MemoryContextAllocZero(parent, sizeof(KtTimers));

	timers->context = AllocSetContextCreate(parent, "kin_tr timers", ALLOCSET_SMALL_SIZES);
	for (Kind kind = 0; kind < KINDS; kind++)
		timers->listed[kind] = kt_looks_create(parent, sizeof(KtSid));
	initialize(timers);
	return timers;
}

void
kt_timers_clear(KtTimers *timers)
{
	MemoryContextReset(timers->context);
	for (Kind kind = 0; kind < KINDS; kind++)
		kt_looks_clear(timers->listed[kind]);
	initialize(timers);
}

void
kt_timers_ask_all(KtTimers *timers)
{
	timers->asks_all = true;
}

/* ---------------------------------------------------------------- watches */

static Watch *
find_watch(KtTimers *timers, const KtSid *workspace, Kind kind)
{
	Key			key = {*workspace, kind};
	bool		found;
	Watch	   *watch = hash_search(timers->watches, &key, HASH_ENTER, &found);

	if (found)
		return watch;
	memset((char *) watch + sizeof(Key), 0, sizeof(Watch) - sizeof(Key));
	watch->mark = watch->gap_end = (KtMark) {DT_NOBEGIN};
	watch->next = watch->gap = watch->asked = DT_NOBEGIN;
	watch->limit = FEW;
	watch->round = timers->rounds;
	pairingheap_add(timers->by_next, &watch->by_next);
	return watch;
}

static void
set_next(KtTimers *timers, Watch *watch, TimestampTz next)
{
	pairingheap_remove(timers->by_next, &watch->by_next);
	watch->next = next;
	pairingheap_add(timers->by_next, &watch->by_next);
}

static void
expect(KtTimers *timers, Watch *watch, TimestampTz at)
{
	if (!watch->due && at < watch->next)
		set_next(timers, watch, at);
}

/* Nothing more of it is due. */
static void
rest(KtTimers *timers, Watch *watch)
{
	dlist_delete(&watch->of_due);
	watch->due = false;
	watch->limit = FEW;
	pairingheap_add(timers->by_next, &watch->by_next);
}

static void
drop_watch(KtTimers *timers, Watch *watch)
{
	if (watch->due)
		dlist_delete(&watch->of_due);
	else
		pairingheap_remove(timers->by_next, &watch->by_next);
	hash_search(timers->watches, &watch->key, HASH_REMOVE, NULL);
}

static TimestampTz
first_next(const KtTimers *timers)
{
	if (!dlist_is_empty((dlist_head *) &timers->due))
		return DT_NOBEGIN;
	return pairingheap_is_empty(timers->by_next) ? KT_NEVER :
		pairingheap_container(Watch, by_next, pairingheap_first(timers->by_next))->next;
}

static void
find_due(KtTimers *timers, TimestampTz now)
{
	while (!pairingheap_is_empty(timers->by_next))
	{
		Watch	   *watch = pairingheap_container(Watch, by_next, pairingheap_first(timers->by_next));

		if (watch->next > now)
			break;
		pairingheap_remove_first(timers->by_next);
		watch->due = true;
		dlist_push_tail(&timers->due, &watch->of_due);
	}
}

/* Does it know of a gap behind its mark? */
static bool
has_gap(const Watch *watch)
{
	return watch->mark.at <= watch->gap && watch->gap < watch->gap_end.at;
}

/* There may be some to list between two times; both belong to it. */
static void
look_again(Watch *watch, TimestampTz from, TimestampTz to)
{
	bool		had_gap = has_gap(watch);

	if (had_gap)
		watch->gap = Max(watch->gap, to);
	if (from > watch->mark.at)
		return;
	if (!had_gap)
	{
		watch->gap = to;
		watch->gap_end = watch->mark;
	}
	watch->mark = (KtMark) {from};
}

/* Who has changed a row without a word to the log, to a time after that of the last sweep, is heard. */
static void
ask_all(KtRouter *router)
{
	static KtPlan plan = {"SELECT sid FROM kin_tr.workspaces", ""};
	KtTimers   *timers = router->timers;
	uint64		n = kt_spi_latest(&plan, NULL, NULL);
	HASH_SEQ_STATUS scan;
	Watch	   *watch;

	timers->rounds++;
	for (uint64 i = 0; i < n; i++)
	{
		KtSid		workspace = kt_column_sid(i, 1);

		for (Kind kind = 0; kind < KINDS && kt_pool_may_use(router->pool, &workspace); kind++)
		{
			watch = find_watch(timers, &workspace, kind);
			watch->round = timers->rounds;
			look_again(watch, watch->asked, router->pool->now + USECS_PER_HOUR);
			watch->asked = router->pool->now;
			expect(timers, watch, DT_NOBEGIN);
		}
	}
	hash_seq_init(&scan, timers->watches);
	while ((watch = hash_seq_search(&scan)) != NULL)
		if (watch->round != timers->rounds)
			drop_watch(timers, watch);
	timers->asks_all = false;
}

/* There may be one between two times. */
static void
note(KtTimers *timers, Watch *watch, TimestampTz from, TimestampTz to)
{
	look_again(watch, from, to);
	expect(timers, watch, from);
}

/*
 * Where the watch has passed its time it is due.  A watch does not go back there: who
 * changes an overdue task again and again would have it list those before it each time.
 */
void
kt_timers_note_task(KtRouter *router, const KtSid *workspace, const KtSid *task, TimestampTz wake_at)
{
	KtTimers   *timers = router->timers;
	Watch	   *watch;

	if (!kt_pool_may_use(router->pool, workspace))
		return;
	watch = find_watch(timers, workspace, TASKS);
	if (wake_at <= Min(watch->mark.at, router->pool->now))
	{
		kt_looks_add(timers->listed[TASKS], workspace, task);
		return;
	}
	note(timers, watch, wake_at, wake_at);
}

void
kt_timers_note_assigned(KtRouter *router, const KtSid *workspace, TimestampTz at)
{
	at += KT_ASSIGNED_LIMIT;
	note(router->timers, find_watch(router->timers, workspace, TASKS), at, at);
}

void
kt_timers_note_reservation(KtRouter *router, const KtSid *workspace, TimestampTz at)
{
	note(router->timers, find_watch(router->timers, workspace, RESERVATIONS), at, at);
}

void
kt_timers_note_offer(KtRouter *router, const KtSid *workspace, TimestampTz created)
{
	note(router->timers, find_watch(router->timers, workspace, RESERVATIONS), created, KT_NEVER);
}

/* ------------------------------------------------------------------- list */

static bool
are_listed(const KtTimers *timers)
{
	return kt_looks_are_left(timers->listed[RESERVATIONS]) || kt_looks_are_left(timers->listed[TASKS]);
}

/* The first that there is behind the mark: up to it all the others are no more. */
static void
note_first(Watch *watch, uint64 n, uint64 row)
{
	if (row == n)
	{
		watch->next = KT_NEVER;
		watch->mark.at = KT_NEVER;
		return;
	}
	watch->next = watch->mark.at = kt_column_int64(row, 2);
	watch->mark.sid = kt_column_sid(row, 1);
	kt_sid_decrement(&watch->mark.sid);
}

/* The next ones of a watch; *last: behind them there are no more. */
static uint64
read_watch(Watch *watch, int most, bool *last)
{
	uint64		n;

	do
	{
		bool		had_gap = has_gap(watch);
		Datum		values[] = {
			SidPGetDatum(&watch->key.workspace), TimestampTzGetDatum(watch->mark.at), SidPGetDatum(&watch->mark.sid),
			TimestampTzGetDatum(had_gap ? watch->gap : KT_NEVER), Int32GetDatum(most)
		};

		n = kt_spi_latest(&next_timers[watch->key.kind], values, NULL);
		*last = !had_gap && n < most;
		if (n == 0 && had_gap)
			watch->mark = watch->gap_end;
	} while (n == 0 && !*last);
	return n;
}

/* Some of a watch that are due; where there are no more, it rests until the next. */
static void
list_watch(KtRouter *router, Watch *watch)
{
	KtTimers   *timers = router->timers;
	bool		last;
	uint64		n = read_watch(watch, watch->limit, &last);
	uint64		row;

	for (row = 0; row < n && kt_column_int64(row, 2) <= router->pool->now; row++)
	{
		watch->mark = (KtMark) {.sid = kt_column_sid(row, 1), .at = kt_column_int64(row, 2)};
		kt_looks_add(timers->listed[watch->key.kind], &watch->key.workspace, &watch->mark.sid);
	}
	if (row < n || last)
	{
		note_first(watch, n, row);
		rest(timers, watch);
		return;
	}
	watch->limit = Min(watch->limit * 4, MANY);
	dlist_delete(&watch->of_due);
	dlist_push_tail(&timers->due, &watch->of_due);
}

/* A round of the watches that are due; false where none of them has more to list, or the time is over. */
static bool
list_round(KtRouter *router, int64 until)
{
	KtTimers   *timers = router->timers;
	dlist_mutable_iter iter;
	bool		any = false;

	dlist_foreach_modify(iter, &timers->due)
	{
		Watch	   *watch = dlist_container(Watch, of_due, iter.cur);

		CHECK_FOR_INTERRUPTS();
		if (kt_looks_count(timers->listed[watch->key.kind], &watch->key.workspace) >= MOST_LISTED)
			continue;
		list_watch(router, watch);
		any = true;
		if (kt_monotonic() > until)
			return false;
	}
	return any;
}

/* What is due, each watch in its turn. */
static void
list_until(KtRouter *router, int64 until)
{
	if (router->timers->asks_all)
		ask_all(router);
	find_due(router->timers, router->pool->now);
	while (list_round(router, until))
		continue;
}

static void
list_due(KtRouter *router, const KtTransactions *transactions, int64 slice)
{
	MemoryContext context = CurrentMemoryContext;
	int64		until = kt_monotonic() + slice;
	KtSpi		spi;

	transactions->begin();
	kt_spi_begin(&spi);
	list_until(router, until);
	kt_spi_end(&spi);
	transactions->commit();
	MemoryContextSwitchTo(context);
}

/* ------------------------------------------------------------------- fire */

/* What became of a timer. */
typedef enum Fired
{
	NOTHING,
	TIMED_OUT,					/* a reservation */
	MOVED,						/* a task */
	CANCELED,
	OTHER,						/* a task, that only the pool must be told of */
	BUSY,
	LEFT,						/* the time was over */
	FAILED
} Fired;

typedef struct Firing
{
	KtRouter   *router;
	int64		until;			/* by the monotonic clock */
	bool		retried;		/* they were due before, and have not been listed now */
	int			n;
	KtSid		due[BATCH_SIZE];
	KtSid		workspaces[BATCH_SIZE]; /* of what has been listed */
	Fired		fired[BATCH_SIZE];
} Firing;

static Fired
fire_task(KtRouter *router, const KtSid *sid)
{
	KtTask	   *task;
	KtDue		due;

	if (!kt_task_try_lock(sid, &task))
		return BUSY;
	if (task == NULL || !kt_pool_may_use(router->pool, &task->workspace))
		return NOTHING;
	due = task->wake_at > router->pool->now ? KT_DUE_NOTHING :
		 kt_task_due(router->pool->config, task, router->pool->now);
	/* The clock may have gone back; and of its next time no event tells, where nothing else has changed. */
	if (task->wake_at > router->pool->now && task->wake_at != KT_NEVER)
		kt_timers_note_task(router, &task->workspace, sid, task->wake_at);
	switch (due)
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
	if (reservation->times_out_at > router->pool->now && reservation->times_out_at != KT_NEVER)
		kt_timers_note_reservation(router, &reservation->workspace, reservation->times_out_at);
	if (!kt_reservation_time_out(router->pool->config, reservation, router->pool->now, &fired))
		return BUSY;
	return fired ? TIMED_OUT : NOTHING;
}

/* What a task takes of memory, which its attributes can make much, is given back after it. */
static void
fire(void *context, int from, int n)
{
	Firing	   *firing = context;
	MemoryContext each = AllocSetContextCreate(CurrentMemoryContext, "kin_tr timer", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(each);

	for (int i = from; i < from + n; i++)
	{
		const KtSid *sid = &firing->due[i];

		CHECK_FOR_INTERRUPTS();
		/* One in quarantine that the mark comes by is left to its time. */
		if (!firing->retried && kt_retry_is_kept_as(firing->router->retries, sid, KT_RETRY_TIMER))
			firing->fired[i] = NOTHING;
		else if (i > 0 && kt_monotonic() > firing->until)
			firing->fired[i] = LEFT;
		else
			firing->fired[i] = kt_sid_is(sid, KT_TASK) ? fire_task(firing->router, sid) :
				fire_reservation(firing->router, sid);
		MemoryContextReset(each);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(each);
}

static void
note_failure(void *context, int item, const ErrorData *error)
{
	Firing	   *firing = context;

	firing->fired[item] = kt_error_is_busy(error) ? BUSY : FAILED;
	if (firing->fired[item] == FAILED)
		kt_quarantine_note(firing->router->quarantine, &firing->due[item], KT_RETRY_TIMER, "timer", error);
}

static void
count(const Firing *firing, KtTurn *turn)
{
	for (int i = 0; i < firing->n; i++)
	{
		Fired		fired = firing->fired[i];

		turn->timed_out += fired == TIMED_OUT;
		turn->moved += fired == MOVED;
		turn->canceled += fired == CANCELED;
		turn->fired += fired == TIMED_OUT || fired == MOVED || fired == CANCELED || fired == OTHER;
		turn->busy += fired == BUSY;
		turn->failures += fired == FAILED;
		if (fired == BUSY)
			kt_retry_busy(firing->router->retries, &firing->due[i], KT_RETRY_TIMER);
		else if (fired == LEFT && firing->retried)
			kt_retry_at_once(firing->router->retries, &firing->due[i], KT_RETRY_TIMER);
	}
}

static void
fire_batch(Firing *firing, const KtTransactions *transactions, KtTurn *turn)
{
	KtBatch		batch = {firing, firing->n, .run = fire, .failed = note_failure};

	if (firing->n == 0)
		return;
	kt_batch_run(transactions, &batch);
	count(firing, turn);
}

/* What was left of those that were listed. */
static void
put_back(const Firing *firing, KtLooks *listed)
{
	for (int i = firing->n - 1; i >= 0; i--)
		if (firing->fired[i] == LEFT)
			kt_looks_put_back(listed, &firing->workspaces[i], &firing->due[i]);
}

static void
fire_some(KtRouter *router, const KtTransactions *transactions, KtLooks *due, KtTurn *turn, int most, int64 until)
{
	Firing	   *firing = palloc(sizeof(Firing));

	firing->router = router;
	firing->until = until;
	firing->retried = false;
	firing->n = kt_looks_take_in_turn(due, firing->workspaces, firing->due, Min(most, BATCH_SIZE));
	fire_batch(firing, transactions, turn);
	put_back(firing, due);
	pfree(firing);
}

/* Those that were due, and whose task or worker somebody held. */
static void
fire_retries(KtRouter *router, const KtTransactions *transactions, KtTurn *turn, int most, int64 until)
{
	Firing	   *firing = palloc(sizeof(Firing));
	KtSid	   *due = kt_retries_due(router->retries, KT_RETRY_TIMER, Min(most, BATCH_SIZE), &firing->n);

	firing->router = router;
	firing->until = until;
	firing->retried = true;
	memcpy(firing->due, due, sizeof(KtSid) * firing->n);
	fire_batch(firing, transactions, turn);
}

void
kt_timers_fire(KtRouter *router, const KtTransactions *transactions, KtTurn *turn, const KtLimits *limits)
{
	MemoryContext old = MemoryContextSwitchTo(router->scratch);
	KtTimers   *timers = router->timers;
	int64		until = kt_monotonic() + limits->slice;

	kt_turn_begin_work(turn);
	if (kt_turn_left(turn, limits) > 0 && kt_retries_are_due(router->retries, KT_RETRY_TIMER))
		fire_retries(router, transactions, turn, kt_turn_left(turn, limits), until);
	if (timers->asks_all || first_next(timers) <= router->pool->now)
		list_due(router, transactions, limits->slice / 2);
	/* However long that took, some of each kind. */
	do
	{
		/* A reservation that times out puts its task back before its own timer is due. */
		fire_some(router, transactions, timers->listed[RESERVATIONS], turn, kt_turn_left(turn, limits), until);
		fire_some(router, transactions, timers->listed[TASKS], turn, kt_turn_left(turn, limits), until);
	} while (are_listed(timers) && kt_turn_left(turn, limits) > 0 && kt_monotonic() < until);
	turn->more = turn->more || are_listed(timers) || first_next(timers) <= router->pool->now;
	MemoryContextSwitchTo(old);
}

bool
kt_timers_are_due(const KtRouter *router)
{
	const KtTimers *timers = router->timers;

	return timers->asks_all || are_listed(timers) || first_next(timers) <= router->pool->now ||
		kt_retries_are_due(router->retries, KT_RETRY_TIMER);
}

TimestampTz
kt_timers_expected(const KtRouter *router)
{
	const KtTimers *timers = router->timers;

	return timers->asks_all || are_listed(timers) ? DT_NOBEGIN : first_next(timers);
}

/* Of what is expected some has ended since. */
static TimestampTz
find_next(KtTimers *timers)
{
	while (!pairingheap_is_empty(timers->by_next))
	{
		Watch	   *watch = pairingheap_container(Watch, by_next, pairingheap_first(timers->by_next));
		TimestampTz expected = watch->next;
		bool		last;

		CHECK_FOR_INTERRUPTS();
		if (expected == KT_NEVER)
			break;
		pairingheap_remove_first(timers->by_next);
		note_first(watch, read_watch(watch, 1, &last), 0);
		pairingheap_add(timers->by_next, &watch->by_next);
		if (watch->next == expected)
			return expected;
	}
	return KT_NEVER;
}

TimestampTz
kt_timers_next(KtRouter *router)
{
	TimestampTz next;
	HASH_SEQ_STATUS scan;
	KtSpace    *space;

	list_until(router, PG_INT64_MAX);
	if (are_listed(router->timers))
		return router->pool->now;
	next = find_next(router->timers);
	hash_seq_init(&scan, router->pool->spaces);
	while ((space = hash_seq_search(&scan)) != NULL)
		if (space->ntimed > 0)
			next = Min(next, (router->minute + 1) * USECS_PER_MINUTE);
	return next;
}
