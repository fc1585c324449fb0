/*
 * bell.h
 *		NOTIFY: who is told that something happened.
 */
#ifndef KIN_TR_EVENTS_BELL_H
#define KIN_TR_EVENTS_BELL_H

#include "postgres.h"

#include "events/cursor.h"

/*
 * NOTIFYs of all events that *cursor has not seen, which then has; in the
 * transaction that is open.  Returns the number of NOTIFYs, and in *events that
 * of the events.  The cursor is in the current memory context.
 */
extern int	kt_bell_ring(KtCursor *cursor, int *events);

/*
 * Up to where it has been rung in this database; stored when something was.  Who
 * loads it begins, or begins again after an error, such as that the queue of
 * NOTIFYs was full: so loading makes room there, where there may be some.
 */
extern KtCursor kt_bell_load(void);
extern void kt_bell_store(const KtCursor *cursor);

#endif							/* KIN_TR_EVENTS_BELL_H */
