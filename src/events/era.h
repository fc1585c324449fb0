/*
 * era.h
 *		How long transaction ids mean the same: from one restore to the next.
 */
#ifndef KIN_TR_EVENTS_ERA_H
#define KIN_TR_EVENTS_ERA_H

#include "postgres.h"

/* The era to write in; begins one where system or timeline have changed. */
extern int32 kt_era(void);

/*
 * The last era that has begun, for reading; 0 before the first event.  *over:
 * whoever writes next begins another, so that all events that there will be of
 * this one are visible, and ids of now mean nothing in it.
 */
extern int32 kt_era_last(bool *over);

/* False for one of another database, or one that a restore has undone. */
extern bool kt_era_is_known(int32 era);

#endif							/* KIN_TR_EVENTS_ERA_H */
