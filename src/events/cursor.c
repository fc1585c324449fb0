/*
 * cursor.c
 *		Where a reader of the event log is.
 *
 * Ids do not tell what is new: a transaction that drew a small id may commit
 * after one that drew a greater.  A snapshot does.  What a cursor has not seen
 * is "xid = ANY (xip) OR xid >= xmax", scans of the index (era, xid, id).
 *
 * The snapshot is not used as it is.  After a crash the ids of transactions
 * that were running or had rolled back are given out again, and a cursor that
 * counted such an id as seen would skip what its next owner writes.  So xmax
 * is lowered to one past the highest xid of any event that is visible; not below
 * the id that began the era, since ids from before are not given out again.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "base/spi.h"
#include "events/cursor.h"
#include "events/era.h"

/* An xid of the snapshot, which is near the next one, as 64 bits. */
static uint64
widen(TransactionId xid, FullTransactionId next)
{
	uint32		epoch = EpochFromFullTransactionId(next);

	if (xid > XidFromFullTransactionId(next))
		epoch--;
	return U64FromFullTransactionId(FullTransactionIdFromEpochAndXid(epoch, xid));
}

static uint64
column_xid(uint64 row, int column)
{
	bool		isnull;

	return U64FromFullTransactionId(DatumGetFullTransactionId(kt_column(row, column, &isnull)));
}

static int
compare_xids(const void *a, const void *b)
{
	uint64		x = *(const uint64 *) a;
	uint64		y = *(const uint64 *) b;

	return x < y ? -1 : x > y;
}

/* Sorted, each once; a snapshot has a transaction that is being prepared twice. */
static void
sort_xip(KtCursor *cursor)
{
	int			n = 0;

	qsort(cursor->xip, cursor->nxip, sizeof(uint64), compare_xids);
	for (int i = 0; i < cursor->nxip; i++)
		if (n == 0 || cursor->xip[n - 1] != cursor->xip[i])
			cursor->xip[n++] = cursor->xip[i];
	cursor->nxip = n;
}

/*
 * The active snapshot as a cursor, before its xmax is lowered.  The caller's
 * own transaction is running, whatever its snapshot thinks.  On a standby a
 * snapshot keeps those that are running among its subtransactions: all that
 * began a transaction, though not all of their subtransactions.
 */
static KtCursor
snapshot_cursor(void)
{
	Snapshot	snapshot = GetActiveSnapshot();
	FullTransactionId next = ReadNextFullTransactionId();
	TransactionId own = GetTopTransactionIdIfAny();
	bool		standby = snapshot->takenDuringRecovery;
	TransactionId *running = standby ? snapshot->subxip : snapshot->xip;
	int			nrunning = standby ? snapshot->subxcnt : (int) snapshot->xcnt;
	KtCursor	cursor = {0};

	cursor.xip = palloc(sizeof(uint64) * (nrunning + 1));
	cursor.xmax = widen(snapshot->xmax, next);
	for (int i = 0; i < nrunning; i++)
		cursor.xip[cursor.nxip++] = widen(running[i], next);
	if (TransactionIdIsValid(own) && widen(own, next) < cursor.xmax)
		cursor.xip[cursor.nxip++] = widen(own, next);
	sort_xip(&cursor);
	return cursor;
}

/* highest: of the xids of this era's events that the snapshot sees. */
static void
lower_xmax(KtCursor *cursor, uint64 highest)
{
	cursor->xmax = Min(cursor->xmax, Max(highest + 1, cursor->era.first_xid));
	while (cursor->nxip > 0 && cursor->xip[cursor->nxip - 1] >= cursor->xmax)
		cursor->nxip--;
}

KtCursor
kt_cursor_oldest(void)
{
	KtCursor	cursor = {0};

	cursor.since = cursor.mark_time = DT_NOBEGIN;
	return cursor;
}

/* Was it running, or yet to come? */
static bool
was_open(const KtCursor *cursor, uint64 xid)
{
	return xid >= cursor->xmax ||
		(cursor->nxip > 0 &&
		 bsearch(&xid, cursor->xip, cursor->nxip, sizeof(uint64), compare_xids) != NULL);
}

bool
kt_cursor_saw(const KtCursor *cursor, int32 era, uint64 xid)
{
	if (era > cursor->era.number)
		return false;
	if (era < cursor->era.number && (era < cursor->era.origin || xid >= cursor->era.first_xid))
		return true;
	return !was_open(cursor, xid);
}

/* Those who were running when both were taken, or came after both. */
KtCursor
kt_cursor_union(const KtCursor *a, const KtCursor *b)
{
	const KtCursor *longer = a->xmax > b->xmax ? a : b;
	const KtCursor *shorter = longer == a ? b : a;
	KtCursor	both;
	int			n = 0;

	if (a->era.number != b->era.number)
		return a->era.number > b->era.number ? *a : *b;
	both = kt_cursor_copy(longer, CurrentMemoryContext);
	for (int i = 0; i < both.nxip; i++)
		if (!kt_cursor_saw(shorter, shorter->era.number, both.xip[i]))
			both.xip[n++] = both.xip[i];
	both.nxip = n;
	return both;
}

bool
kt_cursor_is_ahead(const KtCursor *cursor)
{
	bool		over;
	bool		foreign;

	if (RecoveryInProgress() || cursor->era.number == 0 || kt_era_last(&over, &foreign).number != cursor->era.number)
		return false;
	return !over && cursor->xmax > U64FromFullTransactionId(ReadNextFullTransactionId());
}

bool
kt_cursor_is_here(const KtCursor *from, const KtCursor *to)
{
	KtCursor	here;
	uint64		seen;
	bool		over;
	bool		foreign;
	int32		era;

	if (!RecoveryInProgress())
		return true;
	era = kt_era_last(&over, &foreign).number;
	if (to->era.number != era)
		return to->era.number < era;
	here = snapshot_cursor();
	/* What is still running here must not be among it, nor what has yet to begin. */
	for (int i = 0; i < here.nxip; i++)
		if (kt_cursor_saw(to, era, here.xip[i]) && !kt_cursor_saw(from, era, here.xip[i]))
			return false;
	seen = from->era.number == era ? Max(from->xmax, here.xmax) : here.xmax;
	if (seen < to->xmax)
		return false;
	for (int i = 0; from->era.number == era && i < from->nxip; i++)
		if (from->xip[i] >= here.xmax && kt_cursor_saw(to, era, from->xip[i]))
			return false;
	return true;
}

uint64
kt_cursor_own_xid(void)
{
	return TransactionIdIsValid(GetTopTransactionIdIfAny()) ?
		U64FromFullTransactionId(GetTopFullTransactionId()) : 0;
}

KtDropped
kt_cursor_dropped(void)
{
	static KtPlan plan = {"SELECT era, xid, id FROM kin_tr.events_dropped", ""};
	KtDropped	dropped = {0};

	if (kt_spi_read(&plan, NULL, NULL, 1) > 0)
	{
		dropped.era = kt_column_int32(0, 1);
		dropped.xid = column_xid(0, 2);
		dropped.id = kt_column_int64(0, 3);
	}
	return dropped;
}

bool
kt_cursor_is_expired(const KtCursor *cursor, const KtDropped *dropped)
{
	if (dropped->era == 0)
		return false;
	if (!kt_cursor_saw(cursor, dropped->era, dropped->xid))
		return true;
	/* The last is not all: what was running may have written before it. */
	return dropped->era >= cursor->era.origin && dropped->era <= cursor->era.number &&
		cursor->nxip > 0 && cursor->xip[0] <= dropped->xid;
}

/*
 * Of this era's events that the snapshot sees, the caller's own left out, or
 * that it would see if they had not been dropped.
 */
static uint64
highest_visible_xid(int32 era)
{
	KtLog	   *log = kt_log_open(DT_NOBEGIN);
	uint64		highest = kt_log_highest_xid(log, era, kt_cursor_own_xid());
	KtDropped	dropped = kt_cursor_dropped();

	kt_log_close(log);
	return dropped.era == era ? Max(highest, dropped.xid) : highest;
}

KtCursor
kt_cursor_at_snapshot(void)
{
	TimestampTz now = GetCurrentTimestamp();
	bool		over;
	bool		foreign;
	KtEra		era = kt_era_last(&over, &foreign);
	KtCursor	cursor = snapshot_cursor();
	uint64		highest = highest_visible_xid(era.number);

	cursor.era = era;
	cursor.mark_time = now;
	cursor.mark_xmax = cursor.xmax;
	/* What is running now may have begun to write long ago. */
	cursor.since = cursor.nxip > 0 ? DT_NOBEGIN : now - USECS_PER_HOUR;
	if (foreign)
	{
		cursor.xmax = highest + 1;
		cursor.nxip = 0;
	}
	else if (over)
		/* Ids that are given out from now on are of the next era. */
		cursor.xmax = Max(cursor.xmax, highest + 1);
	else
		lower_xmax(&cursor, highest);
	return cursor;
}

KtCursor
kt_cursor_current(void)
{
	MemoryContext context = CurrentMemoryContext;
	KtSpi		spi;
	KtCursor	cursor;

	kt_spi_begin(&spi);
	PushActiveSnapshot(GetLatestSnapshot());
	cursor = kt_cursor_at_snapshot();
	cursor = kt_cursor_copy(&cursor, context);
	PopActiveSnapshot();
	kt_spi_end(&spi);
	return cursor;
}

KtCursor
kt_cursor_copy(const KtCursor *cursor, MemoryContext context)
{
	KtCursor	copy = *cursor;

	copy.xip = MemoryContextAlloc(context, sizeof(uint64) * Max(cursor->nxip, 1));
	if (cursor->nxip > 0)
		memcpy(copy.xip, cursor->xip, sizeof(uint64) * cursor->nxip);
	return copy;
}

/* era;xmax;xip,xip,... */
char *
kt_cursor_print(const KtCursor *cursor)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "%d;" UINT64_FORMAT ";", cursor->era.number, cursor->xmax);
	for (int i = 0; i < cursor->nxip; i++)
		appendStringInfo(&text, "%s" UINT64_FORMAT, i > 0 ? "," : "", cursor->xip[i]);
	return text.data;
}

/* A decimal number and the character behind it; false where there is none. */
static bool
parse_number(const char **text, char terminator, uint64 most, uint64 *result)
{
	const char *digit = *text;
	uint64		number = 0;

	while (*digit >= '0' && *digit <= '9')
	{
		if (number > (most - (*digit - '0')) / 10)
			return false;
		number = number * 10 + (*digit++ - '0');
	}
	if (digit == *text || *digit != terminator)
		return false;
	*text = digit;
	*result = number;
	return true;
}

bool
kt_cursor_parse(const char *text, KtCursor *cursor, bool *known)
{
	uint64		number;
	int			room = 1;

	*cursor = kt_cursor_oldest();
	if (!parse_number(&text, ';', PG_INT32_MAX, &number))
		return false;
	cursor->era = kt_era_find((int32) number, known);
	text++;
	if (!parse_number(&text, ';', PG_INT64_MAX, &cursor->xmax))
		return false;
	text++;
	for (const char *c = text; *c; c++)
		room += *c == ',';
	cursor->xip = palloc(sizeof(uint64) * room);
	while (*text)
	{
		uint64		xid;
		char		terminator = --room > 0 ? ',' : '\0';

		if (!parse_number(&text, terminator, PG_INT64_MAX, &xid) || xid >= cursor->xmax ||
			(cursor->nxip > 0 && cursor->xip[cursor->nxip - 1] > xid))
			return false;
		cursor->xip[cursor->nxip++] = xid;
		if (terminator == ',')
		{
			text++;
			if (*text == '\0')
				return false;
		}
	}
	/* Earlier versions gave out some that name an id twice. */
	sort_xip(cursor);
	return true;
}

static int
compare_refs(const void *a, const void *b)
{
	int64		x = ((const KtEventRef *) a)->id;
	int64		y = ((const KtEventRef *) b)->id;

	return x < y ? -1 : x > y;
}

/*
 * Moves since on where it can; now has not been lowered yet, so its xip has all
 * that runs.  The hour is for a real clock that is set back.
 */
static void
move_since(const KtCursor *before, KtCursor *now, TimestampTz looked_at)
{
	now->since = before->since;
	now->mark_time = before->mark_time;
	now->mark_xmax = before->mark_xmax;
	if (now->nxip == 0 || now->xip[0] >= before->mark_xmax)
	{
		now->since = (now->nxip == 0 ? looked_at - USECS_PER_HOUR :
			before->mark_time == DT_NOBEGIN ? DT_NOBEGIN : before->mark_time - USECS_PER_HOUR);
		now->mark_time = looked_at;
		now->mark_xmax = now->xmax;
	}
}

/* A transaction that was running wrote in this era, or, prepared, in a former one. */
static bool
read_running(KtLog *log, const KtCursor *cursor, uint64 xid, KtLogVisit visit, void *arg)
{
	int32	   *former;
	int			n;

	if (!kt_log_read(log, cursor->era.number, xid, xid, visit, arg))
		return false;
	if (xid >= cursor->era.first_xid)
		return true;
	former = kt_era_former(&cursor->era, &n);
	for (int i = 0; i < n; i++)
		if (!kt_log_read(log, former[i], xid, xid, visit, arg))
			return false;
	return true;
}

/* What was not given out in its era by then may have been in a former one. */
static bool
read_former(KtLog *log, const KtCursor *cursor, KtLogVisit visit, void *arg)
{
	int32	   *former;
	int			n;

	if (cursor->xmax >= cursor->era.first_xid)
		return true;
	former = kt_era_former(&cursor->era, &n);
	for (int i = 0; i < n; i++)
		if (!kt_log_read(log, former[i], cursor->xmax, cursor->era.first_xid - 1, visit, arg))
			return false;
	return true;
}

/*
 * What the cursor has not seen, of its era and later ones: the transactions from
 * xmax on, and each that was running and has ended.  What one that is still open has
 * written is not looked at: that may be much, and nothing of it is visible.  The
 * caller's own is left out, lest one that calls again and again reads it each time.
 * False where the visitor had enough.
 */
static bool
read_unseen(const KtCursor *cursor, KtLogVisit visit, void *arg)
{
	KtLog	   *log = kt_log_open(cursor->since);
	KtCursor	snapshot = snapshot_cursor();
	uint64		own = kt_cursor_own_xid();
	uint64		from = cursor->xmax;
	bool		goes_on = true;

	if (own > from)
		goes_on = kt_log_read(log, cursor->era.number, from, own - 1, visit, arg);
	if (own >= from)
		from = own + 1;
	goes_on = goes_on && kt_log_read(log, cursor->era.number, from, PG_UINT64_MAX, visit, arg) &&
		kt_log_read_later_eras(log, cursor->era.number, visit, arg) &&
		read_former(log, cursor, visit, arg);
	for (int i = 0; goes_on && i < cursor->nxip; i++)
		if (!was_open(&snapshot, cursor->xip[i]))
			goes_on = read_running(log, cursor, cursor->xip[i], visit, arg);
	kt_log_close(log);
	return goes_on;
}

/* A list of what was visited, up to a limit. */
typedef struct Collection
{
	KtEventRefs refs;
	int			limit;
	bool		in_pieces;		/* of a large transaction only one event is kept */
	TimestampTz since;
	List	   *large;			/* KtLarge */
	int			began;			/* in refs, the first of the transaction that is being visited */
} Collection;

/* One that keeps the cursor from being before it, and its xid for reading the rest. */
static void
put_aside(Collection *collection, const KtLogRow *row)
{
	KtLarge    *large = palloc0(sizeof(KtLarge));

	large->era = row->era;
	large->xid = row->xid;
	large->since = collection->since;
	collection->refs.length = collection->began + 1;
	collection->large = lappend(collection->large, large);
}

static KtVisit
collect(const KtLogRow *row, void *arg)
{
	Collection *collection = arg;
	KtEventRefs *refs = &collection->refs;
	const KtLarge *large = collection->large == NIL ? NULL : llast(collection->large);

	if (large != NULL && large->xid == row->xid && large->era == row->era)
		return KT_NEXT_TRANSACTION;
	if (refs->length == 0 || refs->items[refs->length - 1].xid != row->xid)
		collection->began = refs->length;
	if (collection->in_pieces && refs->length - collection->began >= KT_LARGE_TRANSACTION)
	{
		put_aside(collection, row);
		return KT_NEXT_TRANSACTION;
	}
	if (refs->length == collection->limit)
		return KT_ENOUGH;
	kt_log_append(refs, row);
	return KT_GO_ON;
}

/* Leaves out the caller's own; the era of the rest's last, and its highest xid. */
static void
keep_visible(KtEventRefs *refs, KtCursor *now, uint64 *highest)
{
	int			visible = 0;
	bool		known;

	for (int i = 0; i < refs->length; i++)
	{
		KtEventRef *ref = &refs->items[i];

		if (ref->era > now->era.number)
		{
			now->era = kt_era_find(ref->era, &known);
			*highest = 0;
		}
		if (kt_cursor_saw(now, ref->era, ref->xid))
		{
			if (ref->era == now->era.number)
				*highest = Max(*highest, ref->xid);
			refs->items[visible++] = *ref;
		}
	}
	refs->length = visible;
	qsort(refs->items, visible, sizeof(KtEventRef), compare_refs);
}

/* Those that the cursor has seen by now. */
static List *
keep_seen(List *large, const KtCursor *now)
{
	ListCell   *cell;

	foreach(cell, large)
	{
		const KtLarge *each = lfirst(cell);

		if (!kt_cursor_saw(now, each->era, each->xid))
			large = foreach_delete_current(large, cell);
	}
	return large;
}

KtEventRef *
kt_cursor_read(KtCursor *cursor, int limit, List **large, int *count)
{
	TimestampTz looked_at = GetCurrentTimestamp();
	Collection	unseen = {{CurrentMemoryContext}, limit, large != NULL, cursor->since};
	KtEventRefs *refs = &unseen.refs;
	uint64		highest = cursor->xmax > 0 ? cursor->xmax - 1 : 0;
	bool		complete;

	PushActiveSnapshot(GetLatestSnapshot());
	complete = read_unseen(cursor, collect, &unseen);
	if (complete)
	{
		KtCursor	now = snapshot_cursor();

		now.era = cursor->era;
		move_since(cursor, &now, looked_at);
		keep_visible(refs, &now, &highest);
		lower_xmax(&now, highest);
		*cursor = kt_cursor_copy(&now, refs->context);
		if (large != NULL)
			*large = keep_seen(unseen.large, cursor);
	}
	PopActiveSnapshot();
	*count = complete ? refs->length : limit + 1;
	if (!complete)
		return NULL;
	return refs->items ? refs->items : palloc(1);
}

KtEventRef *
kt_cursor_read_large(KtLarge *large, int limit, int *count, bool *more)
{
	KtEventRefs refs = {CurrentMemoryContext};
	KtLog	   *log;

	PushActiveSnapshot(GetLatestSnapshot());
	log = kt_log_open(large->since);
	*more = kt_log_read_piece(log, large->era, large->xid, &large->place, limit, &refs);
	kt_log_close(log);
	PopActiveSnapshot();
	*count = refs.length;
	return refs.items;
}

/* From the first id to the last of what was visited and another cursor has seen. */
typedef struct IdRange
{
	const KtCursor *to;
	bool		found;
	int64		first;
	int64		last;
} IdRange;

static KtVisit
extend(const KtLogRow *row, void *arg)
{
	IdRange    *range = arg;

	if (!kt_cursor_saw(range->to, row->era, row->xid))
		return KT_GO_ON;
	range->first = range->found ? Min(range->first, row->id) : row->id;
	range->last = range->found ? Max(range->last, row->id) : row->id;
	range->found = true;
	return KT_GO_ON;
}

bool
kt_cursor_ids(const KtCursor *from, const KtCursor *to, int64 *first, int64 *last)
{
	IdRange		range = {to};

	(void) read_unseen(from, extend, &range);
	*first = range.first;
	*last = range.last;
	return range.found;
}

KtEventRef *
kt_cursor_read_own(int64 after, int *count)
{
	Collection	own_events = {{CurrentMemoryContext}, PG_INT32_MAX};
	KtEventRefs *refs = &own_events.refs;
	uint64		own = kt_cursor_own_xid();
	KtLog	   *log;

	*count = 0;
	if (own == 0)
		return NULL;
	PushActiveSnapshot(GetLatestSnapshot());
	log = kt_log_open(GetCurrentTransactionStartTimestamp() - USECS_PER_HOUR);
	/* Few ids are higher than the last that this transaction drew itself. */
	if (after == 0)
		(void) kt_log_read(log, kt_era(), own, own, collect, &own_events);
	else
		(void) kt_log_read_above(log, after, own, collect, &own_events);
	kt_log_close(log);
	PopActiveSnapshot();
	if (refs->length > 1)
		qsort(refs->items, refs->length, sizeof(KtEventRef), compare_refs);
	*count = refs->length;
	return refs->items;
}
