/*
 * slots.c
 *		Shared memory: which database has which workers.
 *
 * A worker is woken through the number of its process, which stays valid
 * however it ends: at worst somebody else's latch is set for nothing.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "workers/slots.h"

#define NO_PROCESS (-1)

typedef struct Worker
{
	int			pid;
	int			process;		/* number of its PGPROC */
	int64		started_at;
	int64		last_turn;
	bool		paused;
} Worker;

typedef struct Database
{
	Oid			oid;			/* invalid: free */
	bool		extension;
	int			holder;			/* pid that wants no workers in it; 0: none */
	Worker		workers[KT_WORKER_KINDS];
} Database;

struct KtSlots
{
	Worker		launcher;
	int			missing;
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
		if (database->workers[i].pid != 0)
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
	if (my_worker != NULL && my_worker->pid == MyProcPid)
	{
		my_worker->pid = 0;
		my_worker->process = NO_PROCESS;
		if (my_database != NULL)
			free_if_unused(my_database);
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

static void
enter(Database *database, Worker *worker)
{
	my_database = database;
	my_worker = worker;
	worker->pid = MyProcPid;
	worker->process = KT_MY_PROC_NUMBER;
	worker->started_at = worker->last_turn = GetCurrentTimestamp();
	worker->paused = false;
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

void
kt_slots_report(bool paused)
{
	if (my_worker == NULL)
		return;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	my_worker->last_turn = GetCurrentTimestamp();
	my_worker->paused = paused;
	LWLockRelease(lock);
}

static KtWorkerState
state_of(const Worker *worker)
{
	KtWorkerState state = {worker->pid, worker->started_at, worker->last_turn, worker->paused};

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
	LWLockRelease(lock);
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

void
kt_slots_set_missing(int missing)
{
	LWLockAcquire(lock, LW_EXCLUSIVE);
	slots->missing = missing;
	LWLockRelease(lock);
}

int
kt_slots_missing(void)
{
	int			missing = 0;

	if (slots == NULL)
		return 0;
	LWLockAcquire(lock, LW_SHARED);
	missing = slots->missing;
	LWLockRelease(lock);
	return missing;
}
