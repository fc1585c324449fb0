/*
 * launcher.c
 *		Keeps the right workers running in the right databases.
 *
 * It compares what should run with what runs, and so needs to have seen
 * nothing happen: at start, when CREATE EXTENSION commits, when a worker ends,
 * and on a slow timer.  Whether a database has the extension can only be seen
 * from inside, so a scout goes in, looks, and ends.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
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

#include "base/compat.h"
#include "base/guc.h"
#include "base/spi.h"
#include "workers/loop.h"
#include "workers/slots.h"
#include "workers/workers.h"

#define LIBRARY "kin_tr"

/* A worker that ends soon after its start is started again with ever more delay. */
#define SHORT_LIFE		(5 * USECS_PER_SEC)
#define FIRST_DELAY		(1 * USECS_PER_SEC)
#define LAST_DELAY		(60 * USECS_PER_SEC)

static const char *const kind_names[] = {"router", "relay", "scout"};

/* One that should run or runs; private to the launcher, handle and all. */
typedef struct Employee
{
	struct
	{
		Oid			database;
		int			kind;
	}			key;			/* hash key */
	BackgroundWorkerHandle *handle; /* NULL: not started */
	TimestampTz started_at;
	TimestampTz not_before;
	int64		delay;
	bool		wanted;
} Employee;

typedef struct Scouted
{
	Oid			oid;			/* hash key: one that a scout has been sent to */
	TimestampTz at;
} Scouted;

static HTAB *employees = NULL;
static HTAB *scouted = NULL;

extern PGDLLEXPORT void kin_tr_launcher_main(Datum arg);
extern PGDLLEXPORT void kin_tr_worker_main(Datum arg);

/* Databases that may be connected to, in the current context. */
static List *
list_databases(void)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *result = NIL;
	Relation	relation;
	TableScanDesc scan;
	HeapTuple	tuple;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	relation = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(relation, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database database = (Form_pg_database) GETSTRUCT(tuple);

		if (database->datallowconn && !database->datistemplate && !KT_DATABASE_IS_INVALID(database))
		{
			MemoryContext old = MemoryContextSwitchTo(context);

			result = lappend_oid(result, database->oid);
			MemoryContextSwitchTo(old);
		}
	}
	table_endscan(scan);
	table_close(relation, AccessShareLock);
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	return result;
}

static Employee *
employee(Oid database, KtWorkerKind kind)
{
	Employee	key;
	Employee   *found;
	bool		exists;

	memset(&key, 0, sizeof(key));
	key.key.database = database;
	key.key.kind = kind;
	found = hash_search(employees, &key.key, HASH_ENTER, &exists);
	if (!exists)
		memset((char *) found + sizeof(found->key), 0, sizeof(Employee) - sizeof(found->key));
	return found;
}

/* Was it ended?  Then it is free to be started again, perhaps later. */
static void
note_end(Employee *worker)
{
	pid_t		pid;

	if (worker->handle == NULL || GetBackgroundWorkerPid(worker->handle, &pid) != BGWH_STOPPED)
		return;
	pfree(worker->handle);
	worker->handle = NULL;
	if (worker->key.kind == KT_WORKER_SCOUT)
		return;
	if (GetCurrentTimestamp() - worker->started_at > SHORT_LIFE)
		worker->delay = 0;
	worker->not_before = GetCurrentTimestamp() + worker->delay;
	worker->delay = Min(Max(worker->delay * 2, FIRST_DELAY), LAST_DELAY);
}

static bool
start(Employee *worker)
{
	BackgroundWorker bgw;

	memset(&bgw, 0, sizeof(bgw));
	bgw.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	bgw.bgw_start_time = BgWorkerStart_RecoveryFinished;
	bgw.bgw_restart_time = BGW_NEVER_RESTART;
	bgw.bgw_notify_pid = MyProcPid;
	bgw.bgw_main_arg = ObjectIdGetDatum(worker->key.database);
	snprintf(bgw.bgw_library_name, BGW_MAXLEN, LIBRARY);
	snprintf(bgw.bgw_function_name, BGW_MAXLEN, "kin_tr_worker_main");
	snprintf(bgw.bgw_type, BGW_MAXLEN, "kin_tr %s", kind_names[worker->key.kind]);
	snprintf(bgw.bgw_name, BGW_MAXLEN, "kin_tr %s: database %u", kind_names[worker->key.kind],
			 worker->key.database);
	memcpy(bgw.bgw_extra, &worker->key.kind, sizeof(worker->key.kind));
	worker->started_at = GetCurrentTimestamp();
	if (!RegisterDynamicBackgroundWorker(&bgw, &worker->handle))
		return false;
	if (worker->key.kind == KT_WORKER_SCOUT)
	{
		Scouted    *entry = hash_search(scouted, &worker->key.database, HASH_ENTER, NULL);

		entry->at = worker->started_at;
	}
	return true;
}

/*
 * Ends what an earlier launcher has started: without its handle nobody could
 * end it when its database is held.  Its own end wakes this launcher, which
 * then starts another.
 */
static void
end_strangers(const Oid *databases, int n)
{
	for (int i = 0; i < n; i++)
		for (int kind = KT_WORKER_ROUTER; kind <= KT_WORKER_RELAY; kind++)
		{
			pid_t		pid = kt_slots_state(databases[i], kind).pid;

			if (pid != 0 && employee(databases[i], kind)->handle == NULL)
				kill(pid, SIGTERM);
		}
}

/* Their places in shared memory are free for others. */
static void
forget_dropped_databases(const Oid *databases, int n, const List *existing)
{
	for (int i = 0; i < n; i++)
		if (!list_member_oid(existing, databases[i]))
			kt_slots_set_extension(databases[i], false);
}

/* Not yet, or not for long. */
static bool
is_to_be_scouted(Oid database)
{
	Scouted    *found = hash_search(scouted, &database, HASH_FIND, NULL);

	return found == NULL || GetCurrentTimestamp() - found->at > kt_launcher_interval * USECS_PER_SEC;
}

/* What should run, from what databases there are and what scouts have told. */
static void
decide(void)
{
	HASH_SEQ_STATUS scan;
	Employee   *worker;
	ListCell   *cell;
	Oid			with_extension[KT_MAX_DATABASES];
	int			n = kt_slots_databases(with_extension, KT_MAX_DATABASES);
	List	   *databases = list_databases();

	/* A scout on its way is let finish, and then not wanted any more. */
	hash_seq_init(&scan, employees);
	while ((worker = hash_seq_search(&scan)) != NULL)
	{
		note_end(worker);
		worker->wanted = worker->key.kind == KT_WORKER_SCOUT && worker->handle != NULL;
	}
	end_strangers(with_extension, n);
	forget_dropped_databases(with_extension, n, databases);
	foreach(cell, databases)
	{
		Oid			oid = lfirst_oid(cell);
		bool		has_extension = false;

		for (int i = 0; i < n; i++)
			has_extension = has_extension || with_extension[i] == oid;
		if (!kt_background_workers || kt_slots_is_held(oid))
			continue;
		if (has_extension)
		{
			employee(oid, KT_WORKER_ROUTER)->wanted = true;
			employee(oid, KT_WORKER_RELAY)->wanted = true;
		}
		else if (is_to_be_scouted(oid))
			employee(oid, KT_WORKER_SCOUT)->wanted = true;
	}
}

/* Makes it so.  Returns in how many ms there is more to do. */
static long
carry_out(void)
{
	static bool complained = false;
	HASH_SEQ_STATUS scan;
	Employee   *worker;
	TimestampTz now = GetCurrentTimestamp();
	long		wait = kt_launcher_interval * 1000L;
	int			missing = 0;

	hash_seq_init(&scan, employees);
	while ((worker = hash_seq_search(&scan)) != NULL)
	{
		bool		no_room = false;

		if (!worker->wanted && worker->handle != NULL)
			TerminateBackgroundWorker(worker->handle);
		else if (worker->wanted && worker->handle == NULL)
		{
			if (worker->not_before > now)
				wait = Min(wait, (worker->not_before - now) / 1000 + 1);
			else if (kt_slots_state(worker->key.database, worker->key.kind).pid != 0)
				continue;		/* a stranger that is about to end */
			else
				no_room = !start(worker);
		}
		kt_slots_set_missing(worker->key.database, worker->key.kind, no_room);
		missing += no_room;
		if (!worker->wanted && worker->handle == NULL)
			hash_search(employees, &worker->key, HASH_REMOVE, NULL);
	}
	if (missing > 0 && !complained)
		ereport(LOG,
				(errmsg_plural("kin_tr: %d background worker could not be started",
							   "kin_tr: %d background workers could not be started",
							   missing, missing),
				 errhint("Raise max_worker_processes.")));
	complained = missing > 0;
	return missing > 0 ? Min(wait, 5000L) : wait;
}

void
kin_tr_launcher_main(Datum arg)
{
	HASHCTL		control = {.keysize = sizeof(((Employee *) 0)->key), .entrysize = sizeof(Employee)};
	HASHCTL		seen = {.keysize = sizeof(Oid), .entrysize = sizeof(Scouted)};
	MemoryContext scratch;

	kt_slots_enter_launcher();
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	pgstat_report_appname("kin_tr launcher");
	employees = hash_create("kin_tr workers", 32, &control, HASH_ELEM | HASH_BLOBS);
	scouted = hash_create("kin_tr databases", 32, &seen, HASH_ELEM | HASH_BLOBS);
	scratch = AllocSetContextCreate(TopMemoryContext, "kin_tr launcher", ALLOCSET_SMALL_SIZES);
	for (;;)
	{
		long		wait;

		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		MemoryContextSwitchTo(scratch);
		MemoryContextReset(scratch);
		decide();
		MemoryContextSwitchTo(TopMemoryContext);
		wait = carry_out();
		kt_slots_report(GetCurrentTimestamp(), false);
		pgstat_report_activity(STATE_IDLE, NULL);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, wait,
						 KT_WAIT_EVENT("KinTrLauncherMain"));
		ResetLatch(MyLatch);
	}
}

/* Looks whether this database has the extension. */
void
kt_scout_main(Oid database)
{
	bool		exists;

	kt_slots_enter(database, KT_WORKER_SCOUT);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	if (kt_slots_is_held(database))
		proc_exit(0);
	BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
	StartTransactionCommand();
	exists = kt_extension_exists();
	CommitTransactionCommand();
	kt_slots_set_extension(database, exists);
	proc_exit(0);
}

void
kin_tr_worker_main(Datum arg)
{
	Oid			database = DatumGetObjectId(arg);
	int			kind;

	memcpy(&kind, MyBgworkerEntry->bgw_extra, sizeof(kind));
	switch (kind)
	{
		case KT_WORKER_ROUTER:
			kt_router_worker_main(database);
			break;
		case KT_WORKER_RELAY:
			kt_relay_worker_main(database);
			break;
		default:
			kt_scout_main(database);
	}
}

void
kt_launcher_register(void)
{
	BackgroundWorker bgw;

	memset(&bgw, 0, sizeof(bgw));
	bgw.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	bgw.bgw_start_time = BgWorkerStart_RecoveryFinished;
	bgw.bgw_restart_time = 5;
	snprintf(bgw.bgw_library_name, BGW_MAXLEN, LIBRARY);
	snprintf(bgw.bgw_function_name, BGW_MAXLEN, "kin_tr_launcher_main");
	snprintf(bgw.bgw_type, BGW_MAXLEN, "kin_tr launcher");
	snprintf(bgw.bgw_name, BGW_MAXLEN, "kin_tr launcher");
	RegisterBackgroundWorker(&bgw);
}
