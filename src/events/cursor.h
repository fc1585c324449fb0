/*
 * cursor.h
 *		Where a reader of the event log is: which events it has seen.
 */
#ifndef KIN_TR_EVENTS_CURSOR_H
#define KIN_TR_EVENTS_CURSOR_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "events/era.h"
#include "events/log.h"

/*
 * Seen is every event of an earlier era, and of this era those of transactions
 * below xmax that are not among xip.  xip is sorted, and has each once.  Of the
 * former eras, whose ids go on in this one, the events of a
 * transaction that was running are not seen either.
 */
typedef struct KtCursor
{
	KtEra		era;
	uint64		xmax;
	int			nxip;
	uint64	   *xip;

	/*
	 * No event that is unseen was recorded before since, so that partitions can
	 * be left out; it moves on to mark_time when all transactions that ran then,
	 * which had ids below mark_xmax, have ended.  A worker that goes on reading
	 * has use for these; they are not printed, and a cursor from text has
	 * -infinity.
	 */
	TimestampTz since;
	TimestampTz mark_time;
	uint64		mark_xmax;
} KtCursor;

/* A cursor that has seen nothing. */
extern KtCursor kt_cursor_oldest(void);

/* A cursor that has seen all that is visible now, in the current context. */
extern KtCursor kt_cursor_current(void);

/* The same of the active snapshot. */
extern KtCursor kt_cursor_at_snapshot(void);

extern bool kt_cursor_saw(const KtCursor *cursor, int32 era, uint64 xid);

extern char *kt_cursor_print(const KtCursor *cursor);

/* *known: its era is one of this database's. */
extern bool kt_cursor_parse(const char *text, KtCursor *cursor, bool *known);

/* What either has seen; both are of this database. */
extern KtCursor kt_cursor_union(const KtCursor *a, const KtCursor *b);

/* Does it name an id that this cluster has yet to give out?  Not so on a standby. */
extern bool kt_cursor_is_ahead(const KtCursor *cursor);

/* Has this server, a standby perhaps, all that to has seen and from has not? */
extern bool kt_cursor_is_here(const KtCursor *from, const KtCursor *to);

extern KtCursor kt_cursor_copy(const KtCursor *cursor, MemoryContext context);

/* A transaction with more events than these is large: it may be read in pieces. */
#define KT_LARGE_TRANSACTION 2000

typedef struct KtLarge
{
	int32		era;
	uint64		xid;
	TimestampTz since;			/* none of its events was recorded before */
	KtLogPlace	place;			/* up to which it has been read */
} KtLarge;

/*
 * The events that *cursor has not seen, by id, in the current context, and the
 * cursor that has seen them.  NULL, and *count how many there are at least,
 * where there are more than limit.  Of a large transaction one event is among
 * them, and it is in *large, a list of KtLarge in the current context; where
 * large is NULL, all are.
 */
extern KtEventRef *kt_cursor_read(KtCursor *cursor, int limit, List **large, int *count);

/*
 * The next piece of a large transaction, in the current context and in no order;
 * NULL and *count 0 where nothing is left.
 */
extern KtEventRef *kt_cursor_read_large(KtLarge *large, int limit, int *count, bool *more);

/*
 * The range of ids, *first..*last, that holds all events which to has seen and
 * from has not; false where there are none.  One walk over what from has not
 * seen, however much that is.
 */
extern bool kt_cursor_ids(const KtCursor *from, const KtCursor *to, int64 *first, int64 *last);

/*
 * Of the events that retention has dropped, the last of the order (era, xid) and
 * the highest id; zeros where none has been.
 */
typedef struct KtDropped
{
	int32		era;
	uint64		xid;
	int64		id;
} KtDropped;

/* Inside kt_spi_begin() .. end(). */
extern KtDropped kt_cursor_dropped(void);

/* May there be any among them that the cursor has not seen? */
extern bool kt_cursor_is_expired(const KtCursor *cursor, const KtDropped *dropped);

/* The caller's transaction; 0 where it has no id yet. */
extern uint64 kt_cursor_own_xid(void);

/* The caller's own events, not yet committed, with an id above after. */
extern KtEventRef *kt_cursor_read_own(int64 after, int *count);

#endif							/* KIN_TR_EVENTS_CURSOR_H */
