/*
 * loop.c
 *		What every background worker of a database does alike.
 *
 * It works in short transactions, waits on its latch, and survives its errors:
 * one error makes it forget what it knows and wait a second, then two, up to a
 * minute, so that a fault which stays does not fill the log.  It ends, and the
 * launcher decides what follows, when the extension is gone or its library is
 * of another version than the database's objects.
 */
#include "postgres.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "access/xact.h"
#include "catalog/namespace.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/clock.h"
#include "base/compat.h"
#include "base/guc.h"
#include "base/home.h"
#include "base/spi.h"
#include "workers/loop.h"

#define FIRST_BACKOFF	1000L
#define LAST_BACKOFF	60000L

/* Microseconds from the beginning of one busy turn to the next: for each event that it found, from and to. */
#define PACE_OF_EVENT	60
#define SHORTEST_PACE	1000
#define LONGEST_PACE	5000

/* How often unused memory is given back to the system. */
#define MEMORY_INTERVAL	(10 * USECS_PER_SEC)

/* Bytes from which on a block is mapped for itself; libc's own threshold, until it raises it. */
#define LARGE_MEMORY	(128 * 1024)

/* How often a paused worker, or one without its lock, looks again. */
#define PAUSED_INTERVAL 1000L

static bool holds_role = false;

void
kt_loop_begin(void)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	/* SPI wants one around it; each statement takes its own. */
	PushActiveSnapshot(GetTransactionSnapshot());
}

void
kt_loop_commit(void)
{
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(TopMemoryContext);
}

void
kt_loop_undo(void)
{
	AbortCurrentTransaction();
	MemoryContextSwitchTo(TopMemoryContext);
}

void
kt_loop_rest(TimestampTz began, int events)
{
	int64		pace = Min(Max(PACE_OF_EVENT * (int64) events, SHORTEST_PACE), LONGEST_PACE);
	int64		spent = GetCurrentTimestamp() - began;

	/* Not on the latch: every commit sets it, and none is to end this; a signal does. */
	if (spent < pace)
		pg_usleep(pace - spent);
}

static void
pin_session(const KtLoop *loop)
{
	static const char *const settings[][2] = {
		{"search_path", "pg_catalog, kin_tr, pg_temp"},
		{"statement_timeout", "0"},
		{"idle_in_transaction_session_timeout", "0"},
		{"lock_timeout", "5s"},
		{"max_parallel_workers_per_gather", "0"},
		{"default_transaction_isolation", "read committed"},
		{"default_transaction_read_only", "off"},
		{"row_security", "on"},
		{"jit", "off"},
	};

	for (int i = 0; i < lengthof(settings); i++)
		SetConfigOption(settings[i][0], settings[i][1], PGC_SUSET, PGC_S_OVERRIDE);
	if (loop->asynchronous)
		SetConfigOption("synchronous_commit", "off", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("application_name", psprintf("kin_tr %s", loop->name), PGC_USERSET, PGC_S_SESSION);
}

/* Ends the process where it has nothing to do in this database. */
static void
exit_without_extension(void)
{
	/* The schema's look-up is cached; only a change of it is looked into. */
	static Oid	schema = InvalidOid;
	Oid			now = get_namespace_oid("kin_tr", true);

	if (!OidIsValid(now) || (now != schema && !kt_extension_exists()))
	{
		kt_loop_commit();
		kt_slots_set_extension(MyDatabaseId, false);
		proc_exit(0);
	}
	schema = now;
}

/*
 * At home it is looked at every second only, for it costs a query.  One line in
 * the log says that it is elsewhere: the router's.
 */
static KtHome
look_for_home(const KtLoop *loop)
{
	static TimestampTz looked_at = 0;
	static KtHome home = KT_HOME_NONE;
	KtHome		was = home;

	if (home == KT_HOME_HERE && GetCurrentTimestamp() - looked_at < USECS_PER_SEC)
		return home;
	home = kt_home();
	looked_at = GetCurrentTimestamp();
	if (home == KT_HOME_ELSEWHERE && was != home && loop->kind == KT_WORKER_ROUTER)
		ereport(LOG,
				(errmsg("kin_tr: this database is a copy, so nothing acts in it"),
				 errhint("If it shall take over, call kin_tr.resume_after_restore().")));
	return home;
}

/*
 * May it act?  Not while there is no home either: there is nothing to do before
 * the first workspace, and where a dump is being restored the rows are there
 * before the home is known.
 */
static bool
may_act(const KtLoop *loop, bool *paused)
{
	KtHome		home;

	kt_loop_begin();
	exit_without_extension();
	home = look_for_home(loop);
	*paused = kt_clock_is_set() || home == KT_HOME_ELSEWHERE;
	kt_loop_commit();
	return !*paused && home == KT_HOME_HERE;
}

static void
give_up_role(const KtLoop *loop)
{
	if (!holds_role)
		return;
	kt_unlock_role(loop->role);
	holds_role = false;
	loop->forget();
}

/* One turn, or none where it must pause or somebody else has its role. */
static long
take_turn(const KtLoop *loop)
{
	TimestampTz began = GetCurrentTimestamp();
	bool		paused;
	long		wait = PAUSED_INTERVAL;

	if (!may_act(loop, &paused))
		give_up_role(loop);
	else if (holds_role || (holds_role = kt_lock_role_for_session(loop->role)))
		wait = loop->turn();
	else
		paused = true;
	kt_slots_report(began, paused);
	return wait;
}

static void
note_error(void)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	ErrorData  *error = CopyErrorData();

	kt_slots_note_error(KT_DUTY_TURN, error->sqlerrcode, error->message ? error->message : "");
	FreeErrorData(error);
	MemoryContextSwitchTo(old);
}

static void
recover(const KtLoop *loop)
{
	error_context_stack = NULL;
	HOLD_INTERRUPTS();
	EmitErrorReport();
	note_error();
	AbortCurrentTransaction();
	MemoryContextSwitchTo(TopMemoryContext);
	FlushErrorState();
	pgstat_report_activity(STATE_IDLE, NULL);
	loop->forget();
	RESUME_INTERRUPTS();
}

static void
wait_for_work(long timeout)
{
	static uint32 wait_event = 0;

	if (wait_event == 0)
		wait_event = KT_WAIT_EVENT("KinTrWorkerMain");
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, timeout, wait_event);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
}

/*
 * A large block is mapped for itself, and so goes back whole.  Once one has been
 * freed, libc would take the next ones from its heap, between small ones that
 * stay.
 */
static void
keep_large_memory_apart(void)
{
#ifdef __GLIBC__
	(void) mallopt(M_MMAP_THRESHOLD, LARGE_MEMORY);
#endif
}

/* What a busy turn has taken and freed, libc would keep for the next. */
static void
give_back_memory(void)
{
#ifdef __GLIBC__
	static TimestampTz given_at = 0;
	TimestampTz now = GetCurrentTimestamp();

	if (now - given_at < MEMORY_INTERVAL)
		return;
	given_at = now;
	(void) malloc_trim(0);
#endif
}

void
kt_loop_run(const KtLoop *loop, Oid database)
{
	sigjmp_buf	local_sigjmp_buf;
	volatile long backoff = FIRST_BACKOFF;

	kt_slots_enter(database, loop->kind);
	keep_large_memory_apart();
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	if (kt_slots_is_held(database))
		proc_exit(0);
	BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
	pin_session(loop);
	if (sigsetjmp(local_sigjmp_buf, 1) != 0)
	{
		recover(loop);
		wait_for_work(backoff);
		backoff = Min(backoff * 2, LAST_BACKOFF);
	}
	PG_exception_stack = &local_sigjmp_buf;
	for (;;)
	{
		long		wait;

		pgstat_report_activity(STATE_RUNNING, loop->name);
		wait = take_turn(loop);
		pgstat_report_stat(false);
		pgstat_report_activity(STATE_IDLE, NULL);
		backoff = FIRST_BACKOFF;
		give_back_memory();
		wait_for_work(Max(0, Min(wait, loop->interval)));
	}
}
