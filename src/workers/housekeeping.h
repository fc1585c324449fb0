/*
 * housekeeping.h
 *		What the router does between its turns.
 */
#ifndef KIN_TR_WORKERS_HOUSEKEEPING_H
#define KIN_TR_WORKERS_HOUSEKEEPING_H

#include "postgres.h"

#include "routing/router.h"

/*
 * A slice of it: finished tasks that are moved, keys that are forgotten, the sweep.
 * What fails is noted and tried again later, and nothing else with it; an error
 * is passed on only where the process is to end.  True where there is more to do
 * now.
 */
extern bool kt_housekeeping_do(KtRouter *router, const KtTransactions *transactions);

#endif							/* KIN_TR_WORKERS_HOUSEKEEPING_H */
