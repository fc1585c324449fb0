/*
 * signals.c
 *		What a worker is told from outside, and how it waits for that.
 *
 * A worker that is told to end does so at its next look at interrupts, wherever
 * it is, by a FATAL as PostgreSQL's own die() raises it: no code of a user can
 * catch that.  But it is no fault, so it is not told as one: the postmaster's
 * line that the process has ended is enough.
 */
#include "postgres.h"

#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"

#include "base/monotonic.h"
#include "workers/signals.h"
#include "workers/slots.h"

static volatile sig_atomic_t told_to_end = false;
static emit_log_hook_type previous_hook = NULL;

static void
end(SIGNAL_ARGS)
{
	told_to_end = true;
	die(postgres_signal_arg);
}

/* What ends it for another reason is noted for health(). */
static void
tell_of_end(ErrorData *error)
{
	if (error->elevel == FATAL && told_to_end && error->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN)
		error->output_to_server = false;
	else if (error->elevel == FATAL && !proc_exit_inprogress)
		kt_slots_note_error(KT_DUTY_TURN, error->sqlerrcode, error->message ? error->message : "");
	if (previous_hook)
		previous_hook(error);
}

void
kt_signals_accept(void)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, end);
	previous_hook = emit_log_hook;
	emit_log_hook = tell_of_end;
	BackgroundWorkerUnblockSignals();
}

bool
kt_signals_told_to_end(void)
{
	return told_to_end;
}

void
kt_signals_wait(long timeout, uint32 wait_event, bool alert)
{
	int64		until = kt_monotonic() + timeout * 1000;
	int64		left = timeout * 1000;
	int			happened;

	do
	{
		happened = WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
							 (left + 999) / 1000, wait_event);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		left = until - kt_monotonic();
	} while (left > 0 && !(alert && (happened & WL_LATCH_SET)));
}
