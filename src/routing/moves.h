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
 * where there are more.  One that somebody holds, or whose worker, is left for
 * the next time, which comes within a second.
 */
extern bool kt_moves_make(KtRouter *router, const KtTransactions *transactions, int64 slice);

#endif							/* KIN_TR_ROUTING_MOVES_H */
