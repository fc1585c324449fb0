/*
 * monotonic.h
 *		How much time has passed, whatever the wall clock is set to.
 */
#ifndef KIN_TR_BASE_MONOTONIC_H
#define KIN_TR_BASE_MONOTONIC_H

#include "postgres.h"

#include "portability/instr_time.h"

/* Microseconds since some moment, the same for all processes of the machine; it never goes back. */
static inline int64
kt_monotonic(void)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	return (int64) INSTR_TIME_GET_MICROSEC(now);
}

#endif							/* KIN_TR_BASE_MONOTONIC_H */
