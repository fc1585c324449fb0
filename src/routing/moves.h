/*
 * moves.h
 *		Finished tasks on their way to history.
 */
#ifndef KIN_TR_ROUTING_MOVES_H
#define KIN_TR_ROUTING_MOVES_H

#include "postgres.h"

#include "routing/router.h"

/*
 * Moves those whose five minutes are over, for about so many microseconds; true
 * where there are more.  One that somebody holds, or whose worker, is tried again after
 * a while.
 */
extern bool kt_moves_make(KtRouter *router, const KtTransactions *transactions, int64 slice);

/* A task has ended at some time, of which the router hears now. */
extern void kt_moves_note_end(KtRouter *router, const KtSid *task, TimestampTz ended);

#endif							/* KIN_TR_ROUTING_MOVES_H */
