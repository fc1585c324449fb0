/*
 * sweep.c
 *		Proves that no edge was missed.
 *
 * A second router is loaded from the tables, in slices, and matches.  What it would
 * assign is either news that the router has not read yet, and it assigns that itself in
 * its next turn; or it was told of it and did not see that the two fit: a
 * missed edge, which is a fault of the router.  health() shows their number.
 * Timers that somebody has changed without a word are found then, too.
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/monotonic.h"
#include "base/spi.h"
#include "routing/router.h"

PG_FUNCTION_INFO_V1(kin_tr_sweep);

/* More of them than this need not be known by name. */
#define MAX_FOUND 100

/*
 * Microseconds that are spent on finding some, each workspace in its turn: what there is
 * to find is there the next time, too.
 */
#define PATIENCE (200 * INT64CONST(1000))

/* A pair that fits, and what it goes by. */
typedef struct Pair
{
	KtSid		task;
	int64		version;		/* of the task; -1: it is gone */
	KtSid		worker;
	int64		worker_version;
	pg_uuid_t	group;
	KtSid		workspace;
	bool		reads_time;
	int64		minute;			/* then */
	uint64		resets;			/* of the workspace, in the router that is judged */
	uint64		sequence;		/* of the worker, there */
} Pair;

static KtRouter *
make_fresh(MemoryContext context)
{
	KtRouter   *fresh = kt_router_create(context);

	fresh->forgets_fits = true;
	kt_router_load(fresh);
	return fresh;
}

static int64
version_of(const KtSid *task)
{
	static KtPlan plan = {"SELECT version FROM kin_tr.tasks WHERE sid = $1", "s"};
	Datum		values[] = {SidPGetDatum(task)};

	return kt_spi_latest(&plan, values, NULL) > 0 ? kt_column_int64(0, 1) : -1;
}

/* What it would assign; how many. */
static int
find_pairs(KtRouter *fresh, Pair *pairs, int most, int64 slice)
{
	int64		until = kt_monotonic() + slice;
	MemoryContext old = MemoryContextSwitchTo(fresh->scratch);
	KtProposal	proposal;
	int			n = 0;

	while (n < most && kt_match_next(fresh, &proposal, until))
	{
		Pair	   *pair = &pairs[n++];

		memset(pair, 0, sizeof(Pair));
		pair->task = proposal.head.sid;
		pair->version = version_of(&proposal.head.sid);
		pair->worker = proposal.workers[0]->sid;
		pair->worker_version = proposal.workers[0]->version;
		pair->group = proposal.group->key;
		pair->workspace = proposal.group->space->sid;
		pair->reads_time = kt_group_reads_time(proposal.group);
		pair->minute = fresh->minute;
	}
	MemoryContextSwitchTo(old);
	return n;
}

static bool
is_being_retried(const KtRouter *router, const Pair *pair)
{
	KtGroup    *group = kt_pool_group(router->pool, &pair->group);

	return kt_retry_is_known(router->retries, &pair->task) || kt_retry_is_known(router->retries, &pair->worker) ||
		(group != NULL && group->skipped != KT_SKIPPED_NONE);
}

static uint64
resets_of(const KtRouter *router, const Pair *pair)
{
	const KtSpace *space = hash_search(router->pool->spaces, &pair->workspace, HASH_FIND, NULL);

	return space != NULL ? space->resets : 0;
}

static uint64
sequence_of(const KtRouter *router, const Pair *pair)
{
	const KtPoolWorker *worker = kt_pool_worker(router->pool, &pair->worker);

	return worker != NULL ? worker->sequence : 0;
}

/* What the router has of the new pairs, should it come to know better before it has its turn. */
static void
remember_router(const KtRouter *router, Pair *pairs, int n)
{
	for (int i = 0; i < n && router->pool != NULL; i++)
	{
		pairs[i].resets = resets_of(router, &pairs[i]);
		pairs[i].sequence = sequence_of(router, &pairs[i]);
	}
}

/*
 * Does the pair still stand, though the router has had a turn since?  It does where
 * nothing has happened that it goes by: no change of the task, the worker or the
 * configuration, no minute gone by, no reservation that the worker got instead.  What
 * the router itself takes the worker for does not count: it may be what is wrong.
 */
static bool
is_missed(const KtRouter *router, const Pair *pair)
{
	static KtPlan plan = {
		"SELECT FROM kin_tr.tasks t, kin_tr.workers w"
		" WHERE t.sid = $1 AND t.group_key = $2 AND t.version = $3 AND w.sid = $4 AND w.version = $5", "suIsI"
	};
	Datum		values[] = {
		SidPGetDatum(&pair->task), UUIDPGetDatum(&pair->group), Int64GetDatum(pair->version),
		SidPGetDatum(&pair->worker), Int64GetDatum(pair->worker_version)
	};

	return !(pair->reads_time && pair->minute != router->minute) &&
		pair->resets == resets_of(router, pair) && pair->sequence == sequence_of(router, pair) &&
		!is_being_retried(router, pair) && kt_spi(&plan, values, NULL) > 0;
}

static void
count_missed(int missed)
{
	static KtPlan update = {
		"UPDATE kin_tr.router_state SET missed_edges = missed_edges + $1,"
		" last_sweep = pg_catalog.clock_timestamp()", "i"
	};
	Datum		values[] = {Int32GetDatum(missed)};

	kt_spi(&update, values, NULL);
}

/* How far a sweep is; what it takes is in a context of its own. */
static MemoryContext sweeping = NULL;
static KtRouter *reading = NULL;	/* the second router, while it reads and matches */
static int	nfinding = 0;		/* pairs that it has found */
static int64 spent = 0;			/* on that */
static int	nfound = 0;			/* pairs that are to be judged ... */
static Pair found[MAX_FOUND];
static uint64 found_at;			/* ... when the router has got through more often than that */

bool
kt_router_is_sweeping(void)
{
	return reading != NULL || nfound > 0;
}

/* A piece of reading; NULL while there is more. */
static KtRouter *
read_fresh(int64 slice)
{
	KtRouter   *fresh = reading;

	reading = NULL;
	if (fresh == NULL)
	{
		MemoryContextReset(sweeping);
		fresh = make_fresh(sweeping);
		nfinding = 0;
		spent = 0;
	}
	else
	{
		MemoryContextReset(fresh->scratch);
		(void) kt_router_catch_up(fresh, false);
	}
	kt_router_read(fresh, slice);
	kt_router_set_time(fresh);
	if (!kt_router_has_to_read(fresh))
		return fresh;
	reading = fresh;
	return NULL;
}

/* A piece of matching; true while there is more. */
static bool
go_on_finding(KtRouter *router, KtRouter *fresh, int64 slice)
{
	int64		began = kt_monotonic();
	int			n = find_pairs(fresh, &found[nfinding], MAX_FOUND - nfinding, slice);

	remember_router(router, &found[nfinding], n);
	nfinding += n;
	spent += kt_monotonic() - began;
	return nfinding < MAX_FOUND && spent < PATIENCE && !kt_match_is_over(fresh);
}

/* A piece of either; reading is NULL when all pairs have been found. */
static void
go_on_looking(KtRouter *router, const KtTransactions *transactions, int64 slice)
{
	KtRouter   *fresh;
	KtSpi		spi;

	transactions->begin();
	kt_spi_begin(&spi);
	fresh = read_fresh(slice);
	if (fresh != NULL && go_on_finding(router, fresh, slice))
		reading = fresh;
	kt_spi_end(&spi);
	transactions->commit();
}

/* True while there is more to read, or to match. */
static bool
look_for_pairs(KtRouter *router, const KtTransactions *transactions, int64 slice)
{
	MemoryContext old = CurrentMemoryContext;

	if (sweeping == NULL)
		sweeping = AllocSetContextCreate(TopMemoryContext, "kin_tr sweep", ALLOCSET_DEFAULT_SIZES);
	PG_TRY();
	{
		go_on_looking(router, transactions, slice);
	}
	PG_CATCH();
	{
		/* The next sweep begins anew, but may be an hour away. */
		reading = NULL;
		MemoryContextReset(sweeping);
		PG_RE_THROW();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	if (reading != NULL)
		return true;
	nfound = nfinding;
	found_at = router->finished;
	MemoryContextReset(sweeping);
	return false;
}

/* What still stands has been missed. */
static void
judge(KtRouter *router, const KtTransactions *transactions)
{
	MemoryContext old = CurrentMemoryContext;
	int			n = nfound;
	KtSid		task = {{0}};
	KtSid		worker = {{0}};
	KtSpi		spi;
	int			missed = 0;

	nfound = 0;
	transactions->begin();
	kt_spi_begin(&spi);
	for (int i = 0; i < n; i++)
		if (is_missed(router, &found[i]))
		{
			missed++;
			task = found[i].task;
			worker = found[i].worker;
		}
	count_missed(missed);
	kt_spi_end(&spi);
	transactions->commit();
	MemoryContextSwitchTo(old);
	if (missed == 0)
		return;
	ereport(LOG,
			(errmsg("kin_tr: the router missed %d edges", missed),
			 errdetail("One was task %s, which worker %s fits.", kt_sid_cstring(&task),
					   kt_sid_cstring(&worker)),
			 errhint("They are mended.  This is a fault of kin_tr: please report it.")));
	kt_router_forget(router);
}

bool
kt_router_sweep(KtRouter *router, const KtTransactions *transactions, int64 slice)
{
	if (!kt_router_is_sweeping())
		kt_timers_ask_all(router->timers);
	if (nfound == 0 && look_for_pairs(router, transactions, slice))
		return true;
	/* News that the router has not seen, or not got through, is no missed edge. */
	if (nfound == 0 || (router->finished > found_at && router->is_through && router->pool != NULL))
		judge(router, transactions);
	return false;
}

/* _sweep() -> integer: pairs that fit now; for tests, after a tick(). */
Datum
kin_tr_sweep(PG_FUNCTION_ARGS)
{
	Pair	   *pairs = palloc(sizeof(Pair) * MAX_FOUND);
	MemoryContext context = CurrentMemoryContext;
	KtRouter   *fresh;
	KtSpi		spi;
	int			n;

	kt_spi_begin(&spi);
	fresh = make_fresh(context);
	do
		kt_router_read(fresh, PG_INT64_MAX / 2);
	while (kt_router_has_to_read(fresh));
	n = find_pairs(fresh, pairs, MAX_FOUND, PG_INT64_MAX / 2);
	kt_spi_end(&spi);
	MemoryContextDelete(fresh->context);
	PG_RETURN_INT32(n);
}
