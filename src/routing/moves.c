/*
 * moves.c
 *		Finished tasks on their way to history.
 *
 * They are found in the order in which they ended, behind a mark, as timers are:
 * what has been moved is still in the index, for as long as an old snapshot lasts.
 * The few that the mark has passed by are in the router's retries: those that
 * somebody held, and those whose end was committed when the mark was beyond it.
 * The moving is _move_unlocked()'s, a set at a time, in SQL.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/clock.h"
#include "base/monotonic.h"
#include "base/spi.h"
#include "routing/moves.h"

#define BATCH_SIZE		100
#define BATCH_BYTES		(1024 * 1024)	/* of attributes as they are stored, so that a statement holds up nobody */
#define STAY			(5 * USECS_PER_MINUTE)

/* Microseconds until all are looked for again, should one have been forgotten. */
#define WHOLE_REST		USECS_PER_HOUR

typedef struct Moves
{
	KtRouter   *router;
	TimestampTz until;
	bool		retried;		/* they come from the retries: */
	int			ndue;
	KtSid	   *due;
	bool		looked_up;		/* these: else somebody has the table */
	List	   *held;			/* sids that are to be tried again: somebody holds them, or they were too many */
	bool		more;			/* there are others behind */
	int			n;
	KtMark		found[BATCH_SIZE];
} Moves;

/* As many as a batch may have, and one at least. */
static int
take_rows(Moves *moves, uint64 n)
{
	int64		bytes = 0;

	moves->n = 0;
	for (uint64 i = 0; i < n && bytes < BATCH_BYTES; i++)
	{
		moves->found[i].sid = kt_column_sid(i, 1);
		moves->found[i].at = kt_column_int64(i, 2);
		bytes += kt_column_int32(i, 3);
		moves->n++;
	}
	moves->more = n == BATCH_SIZE || moves->n < (int) n;
	return moves->n;
}

/* What comes behind the mark. */
static int
find_next(void *context)
{
	static KtPlan plan = {
		"SELECT sid, finished_at, pg_catalog.pg_column_size(attributes) FROM kin_tr.tasks"
		" WHERE (finished_at, sid) > ($1, $4) AND finished_at <= $2 ORDER BY finished_at, sid LIMIT $3", "zzis"
	};
	Moves	   *moves = context;
	KtMark	   *mark = &moves->router->moves_mark;
	Datum		values[] = {
		TimestampTzGetDatum(mark->at), TimestampTzGetDatum(moves->until), Int32GetDatum(BATCH_SIZE),
		SidPGetDatum(&mark->sid)
	};

	return take_rows(moves, kt_spi_latest(&plan, values, NULL));
}

/* Of those that the mark has passed by, what there is to move. */
static int
find_due(void *context)
{
	static KtPlan plan = {
		"SELECT sid, finished_at, pg_catalog.pg_column_size(attributes) FROM kin_tr.tasks"
		" WHERE sid = ANY ($1) AND finished_at <= $2", "Sz"
	};
	Moves	   *moves = context;
	int			n;
	Datum		values[2];
	uint64		found;

	moves->due = kt_retries_due(moves->router->retries, KT_RETRY_MOVE, BATCH_SIZE, &n);
	moves->ndue = n;
	values[0] = kt_sid_array(moves->due, n);
	values[1] = TimestampTzGetDatum(moves->until);
	found = kt_spi_latest(&plan, values, NULL);
	moves->looked_up = true;
	for (uint64 i = take_rows(moves, found); i < found; i++)
	{
		KtSid		left = kt_column_sid(i, 1);

		moves->held = kt_sid_list_add(moves->held, &left);
	}
	return moves->n;
}

static void
retry(Moves *moves, const KtSid *task)
{
	kt_retry_busy(moves->router->retries, task, KT_RETRY_MOVE);
}

static void
retry_due(Moves *moves)
{
	for (int i = 0; i < moves->ndue; i++)
		retry(moves, &moves->due[i]);
}

/* One that is in quarantine has its own time. */
static void
move(void *context, int from, int n)
{
	static KtPlan plan = {"SELECT unnest(kin_tr._move_unlocked($1))", "S"};
	Moves	   *moves = context;
	KtSid		sids[BATCH_SIZE];
	int			nsids = 0;
	Datum		values[1];
	uint64		nheld;

	for (int i = from; i < from + n; i++)
		if (moves->retried ||
			!kt_retry_is_kept_as(moves->router->retries, &moves->found[i].sid, KT_RETRY_MOVE))
			sids[nsids++] = moves->found[i].sid;
	values[0] = kt_sid_array(sids, nsids);
	nheld = kt_spi(&plan, values, NULL);
	for (uint64 i = 0; i < nheld; i++)
	{
		KtSid		held = kt_column_sid(i, 1);

		moves->held = kt_sid_list_add(moves->held, &held);
	}
}

static void
note_failure(void *context, int item, const ErrorData *error)
{
	Moves	   *moves = context;
	const KtSid *task = &moves->found[item].sid;

	if (kt_error_is_busy(error))
		moves->held = kt_sid_list_add(moves->held, task);
	else
		kt_quarantine_note(moves->router->quarantine, task, KT_RETRY_MOVE, "move", error);
}

static void
move_batch(Moves *moves, const KtTransactions *transactions, bool retried)
{
	KtBatch		batch = {moves, .collect = retried ? find_due : find_next, .run = move, .failed = note_failure};
	ListCell   *cell;

	CHECK_FOR_INTERRUPTS();
	moves->retried = retried;
	moves->n = moves->ndue = 0;
	moves->more = false;
	moves->looked_up = false;
	moves->held = NIL;
	PG_TRY();
	{
		kt_batch_run(transactions, &batch);
	}
	PG_CATCH();
	{
		/* No row was to blame.  Those that have been moved before will not be found again. */
		retry_due(moves);
		PG_RE_THROW();
	}
	PG_END_TRY();
	if (!moves->looked_up)
		retry_due(moves);
	foreach(cell, moves->held)
		retry(moves, lfirst(cell));
	list_free_deep(moves->held);
}

void
kt_moves_note_end(KtRouter *router, const KtSid *task, TimestampTz ended)
{
	if (ended <= router->moves_mark.at)
		kt_retry_busy(router->retries, task, KT_RETRY_MOVE);
}

static void
rewind_mark(KtRouter *router)
{
	int64		now = kt_monotonic();

	if (router->moves_mark.at != DT_NOBEGIN && now - router->moves_began < WHOLE_REST)
		return;
	router->moves_began = now;
	router->moves_mark = (KtMark) {DT_NOBEGIN};
}

bool
kt_moves_make(KtRouter *router, const KtTransactions *transactions, int64 slice)
{
	MemoryContext old = MemoryContextSwitchTo(router->scratch);
	Moves	   *moves = palloc(sizeof(Moves));
	int64		until = kt_monotonic() + slice;

	moves->router = router;
	/* The router's clock is the real one. */
	moves->until = GetCurrentTimestamp() - STAY;
	rewind_mark(router);
	while (kt_retries_are_due(router->retries, KT_RETRY_MOVE) && kt_monotonic() < until)
		move_batch(moves, transactions, true);
	do
	{
		move_batch(moves, transactions, false);
		if (moves->n > 0)
			router->moves_mark = moves->found[moves->n - 1];
	} while (moves->more && kt_monotonic() < until);
	kt_quarantine_write(router->quarantine, transactions);
	MemoryContextSwitchTo(old);
	return moves->more || kt_retries_are_due(router->retries, KT_RETRY_MOVE);
}
