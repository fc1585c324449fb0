/*
 * sweep.c
 *		Proves that no edge was missed.
 *
 * A second pool is loaded from the tables and matched.  What it would assign is
 * either news that the router has not read yet, and it assigns that itself in
 * its next turn; or it was told of it and did not see that the two fit: a
 * missed edge, which is a fault of the router.  health() shows their number.
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

/* Microseconds that are spent on finding some: what there is to find is there the next time, too. */
#define PATIENCE (100 * INT64CONST(1000))

/* A pair that fits. */
typedef struct Pair
{
	KtSid		task;
	KtSid		worker;
	pg_uuid_t	group;
	int			channel;
} Pair;

/* What a router that knows only the tables would assign; how many. */
static int
find_pairs(MemoryContext context, Pair *pairs, int most)
{
	KtRouter   *fresh = kt_router_create(context);
	int64		until = kt_monotonic() + PATIENCE;
	MemoryContext old;
	KtProposal	proposal;
	int			n = 0;
	KtSpi		spi;

	kt_spi_begin(&spi);
	old = MemoryContextSwitchTo(fresh->scratch);
	fresh->forgets_fits = true;
	kt_router_load(fresh);
	while (n < most && kt_monotonic() < until && kt_match_next(fresh, &proposal))
	{
		pairs[n].task = proposal.head.sid;
		pairs[n].worker = proposal.workers[0]->sid;
		pairs[n].group = proposal.group->key;
		pairs[n].channel = proposal.group->channel;
		n++;
	}
	MemoryContextSwitchTo(old);
	kt_spi_end(&spi);
	MemoryContextDelete(fresh->context);
	return n;
}

static bool
is_being_retried(const KtRouter *router, const Pair *pair)
{
	KtGroup    *group = kt_pool_group(router->pool, &pair->group);

	return kt_retry_is_known(router->retries, &pair->task) || kt_retry_is_known(router->retries, &pair->worker) ||
		(group != NULL && (group->held || group->skipped));
}

/* Does the pair still stand, though the router has had a turn since? */
static bool
is_missed(const KtRouter *router, const Pair *pair)
{
	static KtPlan plan = {
		"SELECT FROM kin_tr.tasks WHERE sid = $1 AND group_key = $2", "su"
	};
	Datum		values[] = {SidPGetDatum(&pair->task), UUIDPGetDatum(&pair->group)};
	KtPoolWorker *worker = kt_pool_worker(router->pool, &pair->worker);

	return worker != NULL && worker->slots[pair->channel].idle &&
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

void
kt_router_sweep(KtRouter *router, const KtTransactions *transactions)
{
	MemoryContext old = CurrentMemoryContext;
	Pair		pairs[MAX_FOUND];
	KtLimits	limits = {PG_INT32_MAX, PG_INT64_MAX / 2};
	KtTurn		turn;
	KtSpi		spi;
	int			missed = 0;
	int			n;

	transactions->begin();
	n = find_pairs(router->scratch, pairs, MAX_FOUND);
	transactions->commit();
	MemoryContextSwitchTo(old);
	if (n > 0)
		kt_router_turn(router, transactions, &turn, &limits);
	transactions->begin();
	kt_spi_begin(&spi);
	for (int i = 0; i < n; i++)
		missed += is_missed(router, &pairs[i]);
	count_missed(missed);
	kt_spi_end(&spi);
	transactions->commit();
	MemoryContextSwitchTo(old);
	if (missed > 0)
	{
		ereport(LOG,
				(errmsg("kin_tr: the router missed %d edges", missed),
				 errdetail("One was task %s, which worker %s fits.", kt_sid_cstring(&pairs[0].task),
						   kt_sid_cstring(&pairs[0].worker)),
				 errhint("They are mended.  This is a fault of kin_tr: please report it.")));
		kt_router_forget(router);
	}
}

/* _sweep() -> integer: pairs that fit now; for tests, after a tick(). */
Datum
kin_tr_sweep(PG_FUNCTION_ARGS)
{
	Pair	   *pairs = palloc(sizeof(Pair) * MAX_FOUND);

	PG_RETURN_INT32(find_pairs(CurrentMemoryContext, pairs, MAX_FOUND));
}
