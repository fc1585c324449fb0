/*
 * cursor.c
 *		Where a reader of the event log is.
 *
 * Ids do not tell what is new: a transaction that drew a small id may commit
 * after one that drew a greater.  A snapshot does.  What a cursor has not seen
 * is "xid = ANY (xip) OR xid >= xmax", two scans of the index (era, xid).
 *
 * The snapshot is not used as it is.  After a crash the ids of transactions
 * that were running or had rolled back are given out again, and a cursor that
 * counted such an id as seen would skip what its next owner writes.  So xmax
 * is lowered to one past the highest xid of any event that is visible.
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

/*
 * The active snapshot as a cursor, before its xmax is lowered.  The caller's
 * own transaction is running, whatever its snapshot thinks.
 */
static KtCursor
snapshot_cursor(int32 era)
{
	Snapshot	snapshot = GetActiveSnapshot();
	FullTransactionId next = ReadNextFullTransactionId();
	TransactionId own = GetTopTransactionIdIfAny();
	KtCursor	cursor = {era};

	cursor.xip = palloc(sizeof(uint64) * (snapshot->xcnt + 1));
	if (RecoveryInProgress())
	{
		/* A standby does not know which are running: take the cautious end. */
		cursor.xmax = widen(snapshot->xmin, next);
		return cursor;
	}
	cursor.xmax = widen(snapshot->xmax, next);
	for (uint32 i = 0; i < snapshot->xcnt; i++)
		cursor.xip[cursor.nxip++] = widen(snapshot->xip[i], next);
	if (TransactionIdIsValid(own) && widen(own, next) < cursor.xmax)
		cursor.xip[cursor.nxip++] = widen(own, next);
	qsort(cursor.xip, cursor.nxip, sizeof(uint64), compare_xids);
	return cursor;
}

/* highest: of the xids of this era's events that the snapshot sees. */
static void
lower_xmax(KtCursor *cursor, uint64 highest)
{
	if (cursor->xmax > highest + 1)
		cursor->xmax = highest + 1;
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

bool
kt_cursor_saw(const KtCursor *cursor, int32 era, uint64 xid)
{
	if (era != cursor->era)
		return era < cursor->era;
	if (xid >= cursor->xmax)
		return false;
	return cursor->nxip == 0 ||
		bsearch(&xid, cursor->xip, cursor->nxip, sizeof(uint64), compare_xids) == NULL;
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
	return cursor->era == dropped->era && cursor->nxip > 0 && cursor->xip[0] <= dropped->xid;
}

/*
 * Of this era's events that the snapshot sees, the caller's own left out, or
 * that it would see if they had not been dropped.
 */
static uint64
highest_visible_xid(int32 era)
{
	static KtPlan last = {
		"SELECT era, xid FROM kin_tr.events ORDER BY era DESC, xid DESC LIMIT 1", ""
	};
	static KtPlan last_before = {
		"SELECT era, xid FROM kin_tr.events WHERE (era, xid) < ($1, $2)"
		" ORDER BY era DESC, xid DESC LIMIT 1", "ix"
	};
	uint64		own = kt_cursor_own_xid();
	Datum		values[] = {
		Int32GetDatum(era), FullTransactionIdGetDatum(FullTransactionIdFromU64(own))
	};
	bool		found = kt_spi_read(&last, NULL, NULL, 0) > 0;
	uint64		highest;
	KtDropped	dropped;

	if (found && kt_column_int32(0, 1) == era && column_xid(0, 2) == own)
		found = kt_spi_read(&last_before, values, NULL, 0) > 0;
	highest = found && kt_column_int32(0, 1) == era ? column_xid(0, 2) : 0;
	dropped = kt_cursor_dropped();
	return dropped.era == era ? Max(highest, dropped.xid) : highest;
}

KtCursor
kt_cursor_at_snapshot(void)
{
	TimestampTz now = GetCurrentTimestamp();
	bool		over;
	int32		era = kt_era_last(&over);
	KtCursor	cursor = snapshot_cursor(era);

	/* Lowered below to what is visible, which is all. */
	if (over)
	{
		cursor.xmax = PG_INT64_MAX;
		cursor.nxip = 0;
	}
	cursor.mark_time = now;
	cursor.mark_xmax = cursor.xmax;
	/* What is running now may have begun to write long ago. */
	cursor.since = cursor.nxip > 0 ? DT_NOBEGIN : now - USECS_PER_HOUR;
	lower_xmax(&cursor, highest_visible_xid(cursor.era));
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
	appendStringInfo(&text, "%d;" UINT64_FORMAT ";", cursor->era, cursor->xmax);
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
kt_cursor_parse(const char *text, KtCursor *cursor)
{
	uint64		era;
	int			room = 1;

	*cursor = kt_cursor_oldest();
	if (!parse_number(&text, ';', PG_INT32_MAX, &era))
		return false;
	cursor->era = (int32) era;
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
		char		terminator = strchr(text, ',') ? ',' : '\0';

		if (!parse_number(&text, terminator, PG_INT64_MAX, &xid) || xid >= cursor->xmax ||
			(cursor->nxip > 0 && cursor->xip[cursor->nxip - 1] >= xid))
			return false;
		cursor->xip[cursor->nxip++] = xid;
		if (terminator == ',')
		{
			text++;
			if (*text == '\0')
				return false;
		}
	}
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

/*
 * What the cursor has not seen, of its era and later ones: the transactions from
 * xmax on, and each that was running.  Those of the caller are left out, lest
 * one that calls again and again reads its own each time.
 */
static bool
read_unseen(KtEventRefs *refs, const KtCursor *cursor, int limit)
{
	KtLog	   *log = kt_log_open(cursor->since);
	uint64		own = kt_cursor_own_xid();
	uint64		from = cursor->xmax;
	bool		within = true;

	if (own > from)
		within = kt_log_read(log, cursor->era, from, own - 1, refs, limit);
	if (own >= from)
		from = own + 1;
	within = within && kt_log_read(log, cursor->era, from, PG_UINT64_MAX, refs, limit) &&
		kt_log_read_later_eras(log, cursor->era, refs, limit);
	for (int i = 0; within && i < cursor->nxip; i++)
		if (cursor->xip[i] != own)
			within = kt_log_read(log, cursor->era, cursor->xip[i], cursor->xip[i], refs, limit);
	kt_log_close(log);
	return within;
}

/* Leaves out the caller's own; the era of the rest's last, and its highest xid. */
static void
keep_visible(KtEventRefs *refs, KtCursor *now, uint64 *highest)
{
	int			visible = 0;

	for (int i = 0; i < refs->length; i++)
	{
		KtEventRef *ref = &refs->items[i];

		if (ref->era > now->era)
		{
			now->era = ref->era;
			*highest = 0;
		}
		if (kt_cursor_saw(now, ref->era, ref->xid))
		{
			if (ref->era == now->era)
				*highest = Max(*highest, ref->xid);
			refs->items[visible++] = *ref;
		}
	}
	refs->length = visible;
	qsort(refs->items, visible, sizeof(KtEventRef), compare_refs);
}

KtEventRef *
kt_cursor_read(KtCursor *cursor, int limit, int *count)
{
	TimestampTz looked_at = GetCurrentTimestamp();
	KtEventRefs refs = {CurrentMemoryContext};
	KtCursor	now;
	uint64		highest = cursor->xmax > 0 ? cursor->xmax - 1 : 0;
	bool		complete;

	PushActiveSnapshot(GetLatestSnapshot());
	complete = read_unseen(&refs, cursor, limit);
	if (complete)
	{
		now = snapshot_cursor(cursor->era);
		move_since(cursor, &now, looked_at);
		keep_visible(&refs, &now, &highest);
		lower_xmax(&now, highest);
		*cursor = kt_cursor_copy(&now, refs.context);
	}
	PopActiveSnapshot();
	*count = complete ? refs.length : limit + 1;
	if (!complete)
		return NULL;
	return refs.items ? refs.items : palloc(1);
}

bool
kt_cursor_ids(const KtCursor *from, const KtCursor *to, int64 *first, int64 *last)
{
	static KtPlan least_after = {
		"SELECT min(id), max(id) FROM (SELECT id FROM kin_tr.events"
		" WHERE (era, xid) >= ($1, $2) OFFSET 0) e", "ix"
	};
	KtEventRefs refs = {CurrentMemoryContext};
	Datum		values[] = {
		Int32GetDatum(from->era), FullTransactionIdGetDatum(FullTransactionIdFromU64(from->xmax))
	};
	bool		found = false;

	if (!read_unseen(&refs, from, 10000))
	{
		/* Far behind: one walk along the index, and from then on by id. */
		kt_spi_read(&least_after, values, NULL, 0);
		*first = kt_column_int64(0, 1);
		*last = kt_column_int64(0, 2);
		found = !kt_column_is_null(0, 1);
	}
	for (int i = 0; i < refs.length; i++)
	{
		const KtEventRef *ref = &refs.items[i];

		if (!kt_cursor_saw(to, ref->era, ref->xid))
			continue;
		*first = found ? Min(*first, ref->id) : ref->id;
		*last = found ? Max(*last, ref->id) : ref->id;
		found = true;
	}
	return found;
}

KtEventRef *
kt_cursor_read_own(int64 after, int *count)
{
	KtEventRefs refs = {CurrentMemoryContext};
	uint64		own = kt_cursor_own_xid();
	KtLog	   *log;

	*count = 0;
	if (own == 0)
		return NULL;
	PushActiveSnapshot(GetLatestSnapshot());
	log = kt_log_open(GetCurrentTransactionStartTimestamp() - USECS_PER_HOUR);
	/* Few ids are higher than the last that this transaction drew itself. */
	if (after == 0)
		(void) kt_log_read(log, kt_era(), own, own, &refs, PG_INT32_MAX);
	else
		(void) kt_log_read_above(log, after, own, &refs, PG_INT32_MAX);
	kt_log_close(log);
	PopActiveSnapshot();
	if (refs.length > 1)
		qsort(refs.items, refs.length, sizeof(KtEventRef), compare_refs);
	*count = refs.length;
	return refs.items;
}
