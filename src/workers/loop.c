/*
 * loop.c
 *		What every background worker of a database does alike.
 *
 * It works in short transactions, waits on its latch, and survives its errors:
 * one error makes it forget what it knows and wait a second, then two, up to
 * ten, so that a fault which stays does not fill the log.  It ends, and the
 * launcher decides what follows, when the extension is gone.
 */
#include "postgres.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "access/xact.h"
#include "catalog/namespace.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/clock.h"
#include "base/compat.h"
#include "base/home.h"
#include "base/monotonic.h"
#include "base/spi.h"
#include "workers/loop.h"
#include "workers/settings.h"
#include "workers/signals.h"

#define FIRST_BACKOFF	1000L
#define LAST_BACKOFF	10000L

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

static const KtPost *own_post = NULL;
static bool holds_role = false;

/* Of the open transaction. */
static Oid	own_user;
static int	own_security_context;
static int	guc_nest_level;

static void
begin(void)
{
	GetUserIdAndSecContext(&own_user, &own_security_context);
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	/* SPI wants one around it; each statement takes its own. */
	PushActiveSnapshot(GetTransactionSnapshot());
	guc_nest_level = NewGUCNestLevel();
}

/* An abort undoes it. */
static void
become_owner(void)
{
	SetUserIdAndSecContext(kt_schema_owner(),
						   own_security_context | SECURITY_RESTRICTED_OPERATION | SECURITY_LOCAL_USERID_CHANGE);
}

void
kt_loop_begin(void)
{
	begin();
	become_owner();
}

void
kt_loop_commit(void)
{
	AtEOXact_GUC(false, guc_nest_level);
	PopActiveSnapshot();
	CommitTransactionCommand();
	SetUserIdAndSecContext(own_user, own_security_context);
	MemoryContextSwitchTo(TopMemoryContext);
}

void
kt_loop_undo(void)
{
	AbortOutOfAnyTransaction();
	MemoryContextSwitchTo(TopMemoryContext);
}

bool
kt_loop_piece(KtPlan *piece)
{
	KtSpi		spi;
	bool		more;

	kt_loop_begin();
	kt_spi_begin(&spi);
	kt_spi(piece, NULL, NULL);
	more = kt_column_bool(0, 1);
	kt_spi_end(&spi);
	kt_loop_commit();
	return more;
}

ErrorData *
kt_loop_attempt(void (*work) (void *), void *context)
{
	MemoryContext old = CurrentMemoryContext;
	ErrorData  *volatile error = NULL;

	PG_TRY();
	{
		work(context);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(old);
		error = CopyErrorData();
		if (ProcDiePending)
			PG_RE_THROW();
		FlushErrorState();
		HOLD_INTERRUPTS();
		kt_loop_undo();
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	return error;
}

void
kt_loop_rest(int64 began, int events)
{
	int64		pace = Min(Max(PACE_OF_EVENT * (int64) events, SHORTEST_PACE), LONGEST_PACE);
	int64		spent = kt_monotonic() - began;

	/* Not on the latch: every commit sets it, and none is to end this; a signal does. */
	if (spent < pace)
		pg_usleep(pace - spent);
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
look_for_home(void)
{
	static int64 looked_at = 0;
	static KtHome home = KT_HOME_NONE;
	KtHome		was = home;

	if (home == KT_HOME_HERE && kt_monotonic() - looked_at < USECS_PER_SEC)
		return home;
	home = kt_home();
	looked_at = kt_monotonic();
	if (home == KT_HOME_ELSEWHERE && was != home && own_post->kind == KT_WORKER_ROUTER)
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
bool
kt_loop_may_act(bool *paused)
{
	KtHome		home;

	begin();
	exit_without_extension();
	become_owner();
	home = look_for_home();
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
	bool		whole = true;
	long		wait = PAUSED_INTERVAL;

	if (!kt_loop_may_act(&paused))
		give_up_role(loop);
	else if (holds_role || (holds_role = kt_lock_role_for_session(loop->role)))
		wait = loop->turn(&whole);
	else
		paused = true;
	if (kt_slots_report(began, paused, whole))
		ereport(LOG,
				(errmsg("kin_tr: router and relay are up in database \"%s\"", NameStr(own_post->name))));
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
	AbortOutOfAnyTransaction();
	MemoryContextSwitchTo(TopMemoryContext);
	FlushErrorState();
	pgstat_report_activity(STATE_IDLE, NULL);
	loop->forget();
	RESUME_INTERRUPTS();
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
	static int64 given_at = 0;
	int64		now = kt_monotonic();

	if (now - given_at < MEMORY_INTERVAL)
		return;
	given_at = now;
	(void) malloc_trim(0);
#endif
}

void
kt_loop_enter(const KtPost *post, const char *name, bool asynchronous)
{
	own_post = post;
	kt_slots_enter(post->database, post->kind);
	kt_signals_accept();
	if (kt_slots_is_held(post->database))
		proc_exit(0);
	kt_settings_remember();
	BackgroundWorkerInitializeConnectionByOid(post->database, InvalidOid, 0);
	kt_settings_pin(psprintf("kin_tr %s", name), asynchronous);
}

void
kt_loop_run(const KtLoop *loop, const KtPost *post)
{
	sigjmp_buf	local_sigjmp_buf;
	volatile long backoff = FIRST_BACKOFF;
	uint32		wait_event;

	keep_large_memory_apart();
	kt_loop_enter(post, loop->name, loop->asynchronous);
	wait_event = KT_WAIT_EVENT("KinTrWorkerMain");
	if (sigsetjmp(local_sigjmp_buf, 1) != 0)
	{
		recover(loop);
		/* Each commit sets the latch, so under load an alert wait would be none. */
		kt_signals_wait(backoff, wait_event, false);
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
		kt_signals_wait(Max(0, Min(wait, loop->interval)), wait_event, true);
	}
}
