/*
 * moves.c
 *		Finished tasks on their way to history.
 *
 * They are found in the order in which they ended, behind a mark, as timers are;
 * the moving is _move_unlocked()'s, a set at a time, in SQL.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/clock.h"
#include "base/monotonic.h"
#include "base/spi.h"
#include "routing/moves.h"

#define BATCH_SIZE		100
#define STAY			(5 * USECS_PER_MINUTE)

/* Microseconds until those that could not be moved are tried again, and until all are looked for. */
#define SKIPPED_REST	USECS_PER_SEC
#define WHOLE_REST		USECS_PER_MINUTE

typedef struct Moves
{
	KtRouter   *router;
	TimestampTz until;
	int			n;
	int			moved[BATCH_SIZE];	/* by the first of each set that was moved together */
	KtMark		found[BATCH_SIZE];
} Moves;

static int
collect(void *context)
{
	static KtPlan plan = {
		"SELECT sid, finished_at FROM kin_tr.tasks"
		" WHERE (finished_at, sid) > ($1, $4) AND finished_at <= $2 ORDER BY finished_at, sid LIMIT $3", "zzis"
	};
	Moves	   *moves = context;
	KtMark	   *mark = &moves->router->moves_mark;
	Datum		values[] = {
		TimestampTzGetDatum(mark->at), TimestampTzGetDatum(moves->until), Int32GetDatum(BATCH_SIZE),
		SidPGetDatum(&mark->sid)
	};
	uint64		n = kt_spi_latest(&plan, values, NULL);

	for (uint64 i = 0; i < n; i++)
	{
		moves->found[i].sid = kt_column_sid(i, 1);
		moves->found[i].at = kt_column_int64(i, 2);
	}
	moves->n = (int) n;
	return moves->n;
}

static void
move(void *context, int from, int n)
{
	static KtPlan plan = {"SELECT kin_tr._move_unlocked($1)", "S"};
	Moves	   *moves = context;
	Datum	   *sids = palloc(sizeof(Datum) * n);
	Datum		values[1];
	int			nsids = 0;

	for (int i = from; i < from + n; i++)
	{
		moves->moved[i] = 0;
		if (!kt_retry_is_kept(moves->router->retries, &moves->found[i].sid))
			sids[nsids++] = SidPGetDatum(&moves->found[i].sid);
	}
	values[0] = PointerGetDatum(construct_array(sids, nsids, kt_sid_type_oid(), sizeof(KtSid), false,
												TYPALIGN_CHAR));
	kt_spi(&plan, values, NULL);
	moves->moved[from] = kt_column_int32(0, 1);
}

static void
note_failure(void *context, int item, const ErrorData *error)
{
	Moves	   *moves = context;

	moves->moved[item] = 0;
	if (!kt_error_is_busy(error))
		kt_quarantine_note(moves->router->quarantine, &moves->found[item].sid, KT_RETRY_LOOK, "move", error);
}

/* Where all are to be looked for again: those that were left, or that ended before the mark by a clock set back. */
static void
rewind_mark(KtRouter *router)
{
	int64		now = kt_monotonic();
	int64		rest = router->moves_skipped ? SKIPPED_REST : WHOLE_REST;

	if (now - router->moves_began < rest)
		return;
	router->moves_began = now;
	router->moves_skipped = false;
	router->moves_mark = (KtMark) {DT_NOBEGIN};
}

bool
kt_moves_make(KtRouter *router, const KtTransactions *transactions, int64 slice)
{
	MemoryContext old = MemoryContextSwitchTo(router->scratch);
	Moves	   *moves = palloc(sizeof(Moves));
	KtBatch		batch = {moves, .collect = collect, .run = move, .failed = note_failure};
	int64		until = kt_monotonic() + slice;

	moves->router = router;
	/* The router's clock is the real one. */
	moves->until = GetCurrentTimestamp() - STAY;
	rewind_mark(router);
	do
	{
		int			moved = 0;

		CHECK_FOR_INTERRUPTS();
		moves->n = 0;
		kt_batch_run(transactions, &batch);
		for (int i = 0; i < moves->n; i++)
			moved += moves->moved[i];
		router->moves_skipped = router->moves_skipped || moved < moves->n;
		if (moves->n > 0)
			router->moves_mark = moves->found[moves->n - 1];
	} while (moves->n == BATCH_SIZE && kt_monotonic() < until);
	kt_quarantine_write(router->quarantine, transactions);
	MemoryContextSwitchTo(old);
	return moves->n == BATCH_SIZE;
}
