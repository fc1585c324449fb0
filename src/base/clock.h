/*
 * clock.h
 *		The one clock that kin_tr goes by.
 */
#ifndef KIN_TR_BASE_CLOCK_H
#define KIN_TR_BASE_CLOCK_H

#include "postgres.h"

#include "datatype/timestamp.h"

/*
 * Now: what set_clock() set, else the real time.  Everything that kin_tr
 * decides by time asks here, but retention and recorded_at, which belong to
 * the disk and go by the real time.
 */
extern TimestampTz kt_now(void);

/* Is the clock set, and so standing?  Then the background workers pause. */
extern bool kt_clock_is_set(void);

#endif							/* KIN_TR_BASE_CLOCK_H */
