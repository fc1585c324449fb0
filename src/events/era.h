/*
 * era.h
 *		How long transaction ids mean the same: from one restore to the next.
 */
#ifndef KIN_TR_EVENTS_ERA_H
#define KIN_TR_EVENTS_ERA_H

#include "postgres.h"

/* The era to write in; begins one where system or timeline have changed. */
extern int32 kt_era(void);

/* The last era that has begun, for reading; 0 before the first event. */
extern int32 kt_era_last(void);

#endif							/* KIN_TR_EVENTS_ERA_H */
