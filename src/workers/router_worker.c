/*
 * router_worker.c
 *		The router: turns of routing, and the housekeeping between them.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/monotonic.h"
#include "routing/router.h"
#include "workers/housekeeping.h"
#include "workers/loop.h"
#include "workers/slots.h"
#include "workers/workers.h"

/* Milliseconds between two turns, when nobody wakes it. */
#define INTERVAL 1000L

/* Microseconds between two slices of housekeeping, while there is always more to route. */
#define HOUSEKEEPING_AT_LEAST (100 * INT64CONST(1000))

/* So much of each kind of work in a turn; then the others get theirs. */
static const KtLimits limits = {.actions = 10000, .slice = 5 * 1000};

static KtRouter *router = NULL;

static const KtTransactions own_transactions = {kt_loop_begin, kt_loop_commit, kt_loop_undo, true};

static void
forget(void)
{
	if (router != NULL)
		kt_router_forget(router);
}

/* What it remembers, for health(). */
static void
tell_size(void)
{
	static int64 told_at = 0;
	int64		now = kt_monotonic();
	KtRouterSize size;

	if (now - told_at < USECS_PER_SEC || router->pool == NULL)
		return;
	told_at = now;
	size.bytes = MemoryContextMemAllocated(router->context, true);
	size.groups = hash_get_num_entries(router->pool->groups);
	size.workers = router->pool->workers->members;
	size.classes = kt_pool_count_classes(router->pool);
	kt_slots_note_router(&size);
}

/* Where routing never ends, housekeeping nevertheless has its slices. */
static bool
housekeeping(bool routing_goes_on)
{
	static int64 done_at = 0;

	if (routing_goes_on && kt_monotonic() - done_at < HOUSEKEEPING_AT_LEAST)
		return true;
	done_at = kt_monotonic();
	return kt_housekeeping_do(router, &own_transactions);
}

static long
turn(bool *whole)
{
	int64		began = kt_monotonic();
	KtTurn		done;
	bool		more;

	if (router == NULL)
		router = kt_router_create(TopMemoryContext);
	kt_router_turn(router, &own_transactions, &done, &limits);
	tell_size();
	*whole = !done.more;
	more = housekeeping(done.more) || done.more;
	if (more)
		return 0;
	if (done.events > 0)
		kt_loop_rest(began, done.events);
	return (long) Min(kt_router_wait(router) / 1000 + 1, INTERVAL);
}

void
kt_router_worker_main(const KtPost *post)
{
	static const KtLoop loop = {
		.kind = KT_WORKER_ROUTER,
		.role = KT_ROLE_ROUTER,
		.name = "router",
		.interval = INTERVAL,
		.turn = turn,
		.forget = forget
	};

	kt_loop_run(&loop, post);
}
