/*
 * slots.c
 *		Shared memory: which database has which workers.
 *
 * A worker is woken through the number of its process, which stays valid
 * however it ends: at worst somebody else's latch is set for nothing.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_database.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/pmsignal.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/guc.h"
#include "base/monotonic.h"
#include "workers/signals.h"
#include "workers/slots.h"

#define NO_PROCESS (-1)

/* A launcher that has been away for longer than that does not come. */
#define LAUNCHER_PATIENCE (10 * USECS_PER_SEC)

/* How long the postmaster waits until it starts it again. */
#define LAUNCHER_RESTART (KT_LAUNCHER_RESTART * USECS_PER_SEC)

static const char *const kind_names[] = {"router", "relay", "housekeeper", "scout"};

StaticAssertDecl(lengthof(kind_names) == KT_WORKER_KINDS, "each kind of worker has a name");

typedef struct Worker
{
	int			process;		/* number of its PGPROC */
	int64		turned_at;		/* its last whole turn, by kt_monotonic() */
	KtWorkerState state;		/* but for its age */
} Worker;

typedef struct Database
{
	Oid			oid;			/* invalid: free */
	bool		extension;
	bool		announced;		/* that all its workers are up */
	int			holder;			/* pid that wants no workers in it; 0: none */
	Worker		workers[KT_WORKER_KINDS];
} Database;

struct KtSlots
{
	Worker		launcher;
	int64		missed_at;		/* when somebody first missed the launcher, by kt_monotonic(); 0: it is there */
	int64		called_at;		/* when the postmaster was last told that it is missed */
	Database	databases[KT_MAX_DATABASES];
};

static KtSlots *slots = NULL;
static LWLock *lock = NULL;
static shmem_request_hook_type previous_request_hook = NULL;
static shmem_startup_hook_type previous_startup_hook = NULL;

/* What this process has entered, for its end; the launcher is of no database. */
static Database *my_database = NULL;
static Worker *my_worker = NULL;
static bool i_hold = false;

const char *
kt_worker_kind_name(KtWorkerKind kind)
{
	return kind_names[kind];
}

static void
request_memory(void)
{
	if (previous_request_hook)
		previous_request_hook();
	RequestAddinShmemSpace(sizeof(KtSlots));
	RequestNamedLWLockTranche("kin_tr", 1);
}

static void
start_up(void)
{
	bool		found;

	if (previous_startup_hook)
		previous_startup_hook();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	slots = ShmemInitStruct("kin_tr", sizeof(KtSlots), &found);
	if (!found)
	{
		memset(slots, 0, sizeof(KtSlots));
		slots->launcher.process = NO_PROCESS;
	}
	lock = &GetNamedLWLockTranche("kin_tr")->lock;
	LWLockRelease(AddinShmemInitLock);
}

void
kt_slots_request(void)
{
	previous_request_hook = shmem_request_hook;
	shmem_request_hook = request_memory;
	previous_startup_hook = shmem_startup_hook;
	shmem_startup_hook = start_up;
}

bool
kt_slots_exist(void)
{
	return slots != NULL;
}

static Database *
find_database(Oid oid)
{
	for (int i = 0; i < KT_MAX_DATABASES; i++)
		if (slots->databases[i].oid == oid)
			return &slots->databases[i];
	return NULL;
}

/* With the lock held; NULL where there is no room. */
static Database *
make_database(Oid oid)
{
	Database   *database = find_database(oid);

	if (database != NULL)
		return database;
	database = find_database(InvalidOid);
	if (database == NULL)
		return NULL;
	memset(database, 0, sizeof(Database));
	database->oid = oid;
	for (int i = 0; i < KT_WORKER_KINDS; i++)
		database->workers[i].process = NO_PROCESS;
	return database;
}

static void
free_if_unused(Database *database)
{
	if (database->extension || database->holder != 0)
		return;
	for (int i = 0; i < KT_WORKER_KINDS; i++)
		if (database->workers[i].state.pid != 0 || database->workers[i].state.missing)
			return;
	database->oid = InvalidOid;
}

void
kt_slots_set_extension(Oid oid, bool exists)
{
	Database   *database;

	if (slots == NULL)
		return;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	database = exists ? make_database(oid) : find_database(oid);
	if (database != NULL)
	{
		database->extension = exists;
		free_if_unused(database);
	}
	LWLockRelease(lock);
	if (exists && database == NULL)
		ereport(LOG,
				(errmsg("kin_tr: no background workers for database %u", oid),
				 errdetail("There are workers for %d databases at most.", KT_MAX_DATABASES)));
}

bool
kt_slots_has_extension(Oid oid)
{
	const Database *database;
	bool		has;

	LWLockAcquire(lock, LW_SHARED);
	database = find_database(oid);
	has = database != NULL && database->extension;
	LWLockRelease(lock);
	return has;
}

int
kt_slots_databases(Oid *databases, int most)
{
	int			n = 0;

	LWLockAcquire(lock, LW_SHARED);
	for (int i = 0; i < KT_MAX_DATABASES && n < most; i++)
		if (OidIsValid(slots->databases[i].oid) && slots->databases[i].extension)
			databases[n++] = slots->databases[i].oid;
	LWLockRelease(lock);
	return n;
}

/* Before shared memory is detached: it cleans only what this process entered. */
static void
leave(int code, Datum arg)
{
	LWLockAcquire(lock, LW_EXCLUSIVE);
	if (my_worker != NULL && my_worker->state.pid == MyProcPid)
	{
		my_worker->state.pid = 0;
		my_worker->state.failures += code != 0 && !kt_signals_told_to_end();
		my_worker->process = NO_PROCESS;
		if (my_database != NULL)
		{
			/* Those that come for a while are none of which it is announced. */
			if (my_worker - my_database->workers <= KT_WORKER_RELAY)
				my_database->announced = false;
			free_if_unused(my_database);
		}
	}
	for (int i = 0; i_hold && i < KT_MAX_DATABASES; i++)
		if (slots->databases[i].holder == MyProcPid)
		{
			slots->databases[i].holder = 0;
			free_if_unused(&slots->databases[i]);
		}
	LWLockRelease(lock);
	kt_slots_wake_launcher();
}

static void
leave_at_end(void)
{
	static int	registered_pid = 0;

	if (registered_pid == MyProcPid)
		return;
	before_shmem_exit(leave, (Datum) 0);
	registered_pid = MyProcPid;
}

/* What its predecessor noted stays until it has a turn of its own. */
static void
enter(Database *database, Worker *worker)
{
	my_database = database;
	my_worker = worker;
	worker->process = KT_MY_PROC_NUMBER;
	worker->turned_at = kt_monotonic();
	worker->state.pid = MyProcPid;
	worker->state.started_at = GetCurrentTimestamp();
	worker->state.last_turn = worker->state.seen_up_to = worker->state.started_at;
	worker->state.paused = false;
	memset(&worker->state.size, 0, sizeof(KtRouterSize));
}

void
kt_slots_enter(Oid oid, KtWorkerKind kind)
{
	Database   *database;

	leave_at_end();
	LWLockAcquire(lock, LW_EXCLUSIVE);
	database = make_database(oid);
	if (database != NULL)
		enter(database, &database->workers[kind]);
	LWLockRelease(lock);
}

static void
succeed(KtDuty duty)
{
	KtNote	   *note = &my_worker->state.notes[duty];

	note->succeeded_at = GetCurrentTimestamp();
	note->errors = 0;
}

/* A turn of its own: not one that its predecessor noted. */
static bool
is_up(const KtWorkerState *state)
{
	return state->pid != 0 && state->notes[KT_DUTY_TURN].succeeded_at >= state->started_at;
}

/* True at the first call at which it is so. */
static bool
are_all_up(void)
{
	if (my_database == NULL || my_database->announced)
		return false;
	my_database->announced = is_up(&my_database->workers[KT_WORKER_ROUTER].state) &&
		is_up(&my_database->workers[KT_WORKER_RELAY].state);
	return my_database->announced;
}

bool
kt_slots_report(TimestampTz began, bool paused, bool whole)
{
	bool		all_up;

	if (my_worker == NULL)
		return false;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	succeed(KT_DUTY_TURN);
	my_worker->turned_at = kt_monotonic();
	my_worker->state.last_turn = my_worker->state.notes[KT_DUTY_TURN].succeeded_at;
	if (whole)
		my_worker->state.seen_up_to = began;
	my_worker->state.paused = paused;
	my_worker->state.failures = 0;
	all_up = are_all_up();
	LWLockRelease(lock);
	return all_up;
}

void
kt_slots_note_success(KtDuty duty)
{
	if (my_worker == NULL)
		return;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	succeed(duty);
	LWLockRelease(lock);
}

void
kt_slots_note_error(KtDuty duty, int sqlstate, const char *message)
{
	int			length = pg_mbcliplen(message, strlen(message), KT_NOTE_LENGTH - 1);
	KtNote	   *note;

	if (my_worker == NULL)
		return;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	note = &my_worker->state.notes[duty];
	note->errors++;
	note->failed_at = GetCurrentTimestamp();
	note->sqlstate = sqlstate;
	memcpy(note->message, message, length);
	note->message[length] = '\0';
	LWLockRelease(lock);
}

void
kt_slots_note_router(const KtRouterSize *size)
{
	if (my_worker == NULL)
		return;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	my_worker->state.size = *size;
	LWLockRelease(lock);
}

static KtWorkerState
state_of(const Worker *worker)
{
	KtWorkerState state = worker->state;

	state.age = kt_monotonic() - worker->turned_at;
	return state;
}

KtWorkerState
kt_slots_state(Oid oid, KtWorkerKind kind)
{
	KtWorkerState state = {0};
	Database   *database;

	if (slots == NULL)
		return state;
	LWLockAcquire(lock, LW_SHARED);
	database = find_database(oid);
	if (database != NULL)
		state = state_of(&database->workers[kind]);
	LWLockRelease(lock);
	return state;
}

KtWorkerState
kt_slots_launcher_state(void)
{
	KtWorkerState state = {0};

	if (slots == NULL)
		return state;
	LWLockAcquire(lock, LW_SHARED);
	state = state_of(&slots->launcher);
	LWLockRelease(lock);
	return state;
}

/* Nobody goes into a template, or where nobody may. */
static bool
may_have_workers(Oid oid)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(oid));
	bool		may = false;

	if (HeapTupleIsValid(tuple))
	{
		Form_pg_database database = (Form_pg_database) GETSTRUCT(tuple);

		may = database->datallowconn && !database->datistemplate;
		ReleaseSysCache(tuple);
	}
	return may;
}

/* With the lock held.  It is on its way after a start, a promotion and its own end. */
static bool
launcher_comes(void)
{
	if (slots->launcher.state.pid != 0)
		return true;
	if (slots->missed_at == 0)
		slots->missed_at = kt_monotonic();
	return kt_monotonic() - slots->missed_at < LAUNCHER_PATIENCE;
}

/*
 * Who asks is in a database that has the extension, so that nobody has found it yet says
 * nothing: else who calls tick() in a loop at the start would keep the router out.
 */
static bool
is_expected(KtWorkerKind kind)
{
	const Database *database;
	bool		expected;

	if (slots == NULL || !IsUnderPostmaster || !kt_background_workers || !may_have_workers(MyDatabaseId))
		return false;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	database = find_database(MyDatabaseId);
	if (database != NULL)
		expected = !database->workers[kind].state.missing && !database->workers[KT_WORKER_SCOUT].state.missing;
	else
		expected = find_database(InvalidOid) != NULL;
	expected = launcher_comes() && expected;
	LWLockRelease(lock);
	return expected;
}

bool
kt_slots_router_expected(void)
{
	return is_expected(KT_WORKER_ROUTER);
}

bool
kt_slots_relay_expected(void)
{
	return is_expected(KT_WORKER_RELAY);
}

/*
 * With the lock held, if only shared: it harms nobody to call twice.  Before PostgreSQL
 * 16 the postmaster may go to sleep for a minute in the moment in which it hears that
 * the launcher has ended, and then forgets to start it.
 */
static void
look_for_launcher(void)
{
	int64		now = kt_monotonic();

	if (slots->launcher.state.pid != 0 || now - slots->called_at < LAUNCHER_RESTART)
		return;
	slots->called_at = now;
	SendPostmasterSignal(PMSIGNAL_BACKGROUND_WORKER_CHANGE);
}

void
kt_slots_wake(KtWorkerKind kind)
{
	int			process = NO_PROCESS;
	Database   *database;

	if (slots == NULL)
		return;
	LWLockAcquire(lock, LW_SHARED);
	database = find_database(MyDatabaseId);
	if (database != NULL)
		process = database->workers[kind].process;
	if (process == NO_PROCESS)
		look_for_launcher();
	LWLockRelease(lock);
	if (process != NO_PROCESS)
		ProcSendSignal(process);
}

void
kt_slots_enter_launcher(void)
{
	leave_at_end();
	LWLockAcquire(lock, LW_EXCLUSIVE);
	enter(NULL, &slots->launcher);
	slots->missed_at = 0;
	LWLockRelease(lock);
	/* What the one before found is of databases that may be gone. */
	for (int kind = 0; kind < KT_WORKER_KINDS; kind++)
		kt_slots_set_all_missing(kind, NULL, 0);
}

void
kt_slots_wake_launcher(void)
{
	int			process;

	if (slots == NULL)
		return;
	LWLockAcquire(lock, LW_SHARED);
	process = slots->launcher.process;
	LWLockRelease(lock);
	if (process != NO_PROCESS)
		ProcSendSignal(process);
}

void
kt_slots_hold(Oid oid)
{
	Database   *database;

	leave_at_end();
	LWLockAcquire(lock, LW_EXCLUSIVE);
	database = make_database(oid);
	if (database != NULL)
		database->holder = MyProcPid;
	i_hold = true;
	LWLockRelease(lock);
}

void
kt_slots_release(void)
{
	if (!i_hold)
		return;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	for (int i = 0; i < KT_MAX_DATABASES; i++)
		if (slots->databases[i].holder == MyProcPid)
		{
			slots->databases[i].holder = 0;
			free_if_unused(&slots->databases[i]);
		}
	i_hold = false;
	LWLockRelease(lock);
}

bool
kt_slots_is_held(Oid oid)
{
	bool		held;
	Database   *database;

	LWLockAcquire(lock, LW_SHARED);
	database = find_database(oid);
	held = database != NULL && database->holder != 0;
	LWLockRelease(lock);
	return held;
}

/* With the lock held. */
static void
set_missing(Oid oid, KtWorkerKind kind, bool missing)
{
	Database   *database = missing ? make_database(oid) : find_database(oid);

	if (database == NULL)
		return;
	database->workers[kind].state.missing = missing;
	free_if_unused(database);
}

void
kt_slots_set_missing(Oid oid, KtWorkerKind kind, bool missing)
{
	LWLockAcquire(lock, LW_EXCLUSIVE);
	set_missing(oid, kind, missing);
	LWLockRelease(lock);
}

void
kt_slots_set_all_missing(KtWorkerKind kind, const Oid *databases, int n)
{
	LWLockAcquire(lock, LW_EXCLUSIVE);
	for (int i = 0; i < KT_MAX_DATABASES; i++)
		if (OidIsValid(slots->databases[i].oid))
			set_missing(slots->databases[i].oid, kind, false);
	for (int i = 0; i < n; i++)
		set_missing(databases[i], kind, true);
	LWLockRelease(lock);
}

int
kt_slots_missing(KtMissing *missing)
{
	int			n = 0;

	if (slots == NULL)
		return 0;
	LWLockAcquire(lock, LW_SHARED);
	for (int i = 0; i < KT_MAX_DATABASES; i++)
		for (int kind = 0; OidIsValid(slots->databases[i].oid) && kind < KT_WORKER_KINDS; kind++)
			if (slots->databases[i].workers[kind].state.missing)
			{
				missing[n].database = slots->databases[i].oid;
				missing[n++].kind = kind;
			}
	LWLockRelease(lock);
	return n;
}
