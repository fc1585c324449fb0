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
#include "base/monotonic.h"
#include "base/spi.h"
#include "routing/router.h"
#include "workers/loop.h"
#include "workers/workers.h"

/* Milliseconds between two looks for finished tasks to move. */
#define MAINTENANCE_INTERVAL 1000L

/* So much of each kind of work in a turn; then the others get theirs. */
static const KtLimits limits = {.actions = 10000, .slice = 20 * 1000};

static KtRouter *router = NULL;
static int64 maintained_at = 0; /* by kt_monotonic() */

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
	static int64 all_at = 0;
	int64		now = kt_monotonic();
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
	kt_slots_note_success(KT_DUTY_HOUSEKEEPING);
	if (everything)
		all_at = now;
}

/*
 * Not oftener than its setting says, which may have changed meanwhile, nor for
 * more than a hundredth of the time.
 */
static void
sweep(void)
{
	static int64 last_began = 0;	/* by kt_monotonic() */
	static int64 last_ended = 0;
	int64		now = kt_monotonic();

	if (last_began == 0)
		last_began = last_ended = now;
	if (now < Max(last_began + kt_sweep_interval * USECS_PER_SEC, last_ended + 100 * (last_ended - last_began)))
		return;
	last_began = now;
	kt_router_sweep(router, &own_transactions);
	last_ended = kt_monotonic();
	kt_slots_note_success(KT_DUTY_SWEEP);
}

static long
turn(void)
{
	int64		began = kt_monotonic();
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
kt_router_worker_main(const KtPost *post)
{
	static const KtLoop loop = {
		.kind = KT_WORKER_ROUTER,
		.role = KT_ROLE_ROUTER,
		.name = "router",
		.interval = MAINTENANCE_INTERVAL,
		.turn = turn,
		.forget = forget
	};

	kt_loop_run(&loop, post);
}
