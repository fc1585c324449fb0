/*
 * signals.h
 *		What a worker is told from outside, and how it waits for that.
 */
#ifndef KIN_TR_WORKERS_SIGNALS_H
#define KIN_TR_WORKERS_SIGNALS_H

#include "postgres.h"

/* At its very start: from then on it can be told to end, and to read its settings again. */
extern void kt_signals_accept(void);

/* Was it told to end, as by a shutdown, a DBA or the launcher?  Then its end is in order. */
extern bool kt_signals_told_to_end(void);

/*
 * Waits for so many milliseconds, and reads the settings again if told to.  An
 * alert wait ends when the latch is set; another goes on.
 */
extern void kt_signals_wait(long timeout, uint32 wait_event, bool alert);

#endif							/* KIN_TR_WORKERS_SIGNALS_H */
