/*
 * router_worker.c
 *		The router: turns of routing, and the housekeeping between them.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/clock.h"
#include "base/guc.h"
#include "base/spi.h"
#include "routing/router.h"
#include "workers/loop.h"
#include "workers/workers.h"

/* Milliseconds between two looks for finished tasks to move. */
#define MAINTENANCE_INTERVAL 1000L

/* So much of each kind of work in a turn; then the others get theirs. */
static const KtLimits limits = {.actions = 10000, .slice = 20 * 1000};

static KtRouter *router = NULL;
static TimestampTz maintained_at = 0;

static const KtTransactions own_transactions = {kt_loop_begin, kt_loop_commit, kt_loop_undo, true};

static void
forget(void)
{
	if (router != NULL)
		kt_router_forget(router);
}

static void
maintain(void)
{
	static KtPlan plan = {"SELECT kin_tr._maintain_a_little($1)", "b"};
	static TimestampTz all_at = 0;
	TimestampTz now = GetCurrentTimestamp();
	bool		everything = now - all_at > USECS_PER_MINUTE;
	Datum		values[] = {BoolGetDatum(everything)};
	KtSpi		spi;

	if (now - maintained_at < MAINTENANCE_INTERVAL * 1000)
		return;
	maintained_at = now;
	kt_loop_begin();
	kt_spi_begin(&spi);
	kt_spi(&plan, values, NULL);
	kt_spi_end(&spi);
	kt_loop_commit();
	if (everything)
		all_at = now;
}

/* Not oftener than its setting says, nor for more than a hundredth of the time. */
static void
sweep(void)
{
	static TimestampTz not_before = 0;
	TimestampTz began = GetCurrentTimestamp();

	if (not_before == 0)
		not_before = began + kt_sweep_interval * USECS_PER_SEC;
	if (began < not_before)
		return;
	kt_router_sweep(router, &own_transactions);
	not_before = began + Max(kt_sweep_interval * USECS_PER_SEC, 100 * (GetCurrentTimestamp() - began));
}

static long
turn(void)
{
	TimestampTz began = GetCurrentTimestamp();
	KtTurn		done;

	if (router == NULL)
		router = kt_router_create(TopMemoryContext);
	kt_router_turn(router, &own_transactions, &done, &limits);
	if (done.more)
		return 0;
	maintain();
	sweep();
	if (done.events > 0)
		kt_loop_rest(began, done.events);
	return (long) Min(kt_router_wait(router) / 1000 + 1, MAINTENANCE_INTERVAL);
}

void
kt_router_worker_main(Oid database)
{
	static const KtLoop loop = {
		.kind = KT_WORKER_ROUTER,
		.role = KT_ROLE_ROUTER,
		.name = "router",
		.interval = MAINTENANCE_INTERVAL,
		.turn = turn,
		.forget = forget
	};

	kt_loop_run(&loop, database);
}
