/*
 * relay_worker.c
 *		The relay: rings the bell for what has been committed.
 *
 * It commits asynchronously, since it holds no truth: its place in the log is
 * stored once a second, and after a crash it rings for the last second again.
 * Under load it rests between two turns, so that one NOTIFY tells of many
 * events; one that comes after a pause is told at once.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "base/monotonic.h"
#include "events/bell.h"
#include "workers/loop.h"
#include "workers/workers.h"

#define STORE_INTERVAL	USECS_PER_SEC
#define INTERVAL		1000L	/* ms, when nobody wakes it */

static MemoryContext context = NULL;
static MemoryContext scratch = NULL;
static bool loaded = false;
static bool unstored = false;
static KtCursor cursor;
static int64 stored_at = 0;	/* by kt_monotonic() */

static void
forget(void)
{
	loaded = false;
}

static void
keep(const KtCursor *new)
{
	MemoryContextReset(context);
	cursor = kt_cursor_copy(new, context);
}

static long
turn(bool *whole)
{
	int64		began = kt_monotonic();
	KtCursor	now;
	int			events;
	int			rung;

	if (context == NULL)
	{
		context = AllocSetContextCreate(TopMemoryContext, "kin_tr relay", ALLOCSET_SMALL_SIZES);
		scratch = AllocSetContextCreate(TopMemoryContext, "kin_tr relay scratch",
										ALLOCSET_DEFAULT_SIZES);
	}
	kt_loop_begin();
	MemoryContextSwitchTo(scratch);
	MemoryContextReset(scratch);
	now = loaded ? cursor : kt_bell_load();
	rung = kt_bell_ring(&now, &events);
	unstored = unstored || rung > 0;
	if (unstored && began - stored_at >= STORE_INTERVAL)
	{
		kt_bell_store(&now);
		stored_at = began;
		unstored = false;
	}
	keep(&now);
	kt_loop_commit();
	loaded = true;
	if (rung > 0)
		kt_loop_rest(began, events);
	return unstored ? STORE_INTERVAL / 1000 : INTERVAL;
}

void
kt_relay_worker_main(const KtPost *post)
{
	static const KtLoop loop = {
		.kind = KT_WORKER_RELAY,
		.role = KT_ROLE_RELAY,
		.name = "relay",
		.asynchronous = true,
		.interval = INTERVAL,
		.turn = turn,
		.forget = forget
	};

	kt_loop_run(&loop, post);
}
