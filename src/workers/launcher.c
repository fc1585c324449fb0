/*
 * launcher.c
 *		Keeps the right workers running in the right databases.
 *
 * It compares what should run with what runs, and so needs to have seen
 * nothing happen: at start, when CREATE EXTENSION commits, when a worker ends,
 * and on a slow timer.  Some come only for a while: whether a database has the
 * extension can only be seen from inside, so a scout goes in, looks, and ends; where
 * there is one, a housekeeper looks after its partitions.  They go one at a time, so
 * that many databases leave room for the workers of few.
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
#include "storage/ipc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/guc.h"
#include "base/monotonic.h"
#include "base/spi.h"
#include "workers/loop.h"
#include "workers/settings.h"
#include "workers/signals.h"
#include "workers/slots.h"
#include "workers/workers.h"

#define LIBRARY "kin_tr"

/* A worker that nobody told to end is started again, the later the oftener that happened in a row. */
#define FIRST_DELAY		(1 * USECS_PER_SEC)
#define LAST_DELAY		(60 * USECS_PER_SEC)

/* How soon to look again whether there is room now, in ms. */
#define NO_ROOM_INTERVAL 5000L

/* A scout looks for some milliseconds; one that hangs is ended, for others wait. */
#define PATIENCE		(10 * USECS_PER_SEC)

/* Where there was no extension a scout looks again, each time later, up to so much or kin_tr.launcher_interval. */
#define LAST_LOOK		(600 * USECS_PER_SEC)

/* Nobody waits longer for a housekeeper, who goes on. */
#define LONG_VISIT		(60 * USECS_PER_SEC)

/* From one housekeeper to the next; after one who failed, doubling. */
#define HOUSE_INTERVAL	(600 * USECS_PER_SEC)
#define HOUSE_RETRY		(5 * USECS_PER_SEC)

/* A database that there is, as pg_database has it. */
typedef struct Found
{
	Oid			oid;
	NameData	name;
	bool		has_extension;	/* as far as it is known */
	int			running;		/* router and relay: how many of the two */
} Found;

/* A hash key. */
typedef struct Post
{
	Oid			database;
	int			kind;
} Post;

/* One that should run or runs; private to the launcher, handle and all.  Times are by kt_monotonic(). */
typedef struct Employee
{
	Post		key;
	NameData	name;			/* the database's */
	BackgroundWorkerHandle *handle; /* NULL: not started */
	int64		started_at;		/* by the monotonic clock */
	int64		slot_started_at;	/* what its slot had then: of the one before */
	int64		not_before;
	bool		wanted;
} Employee;

/* Where a scout or a housekeeper has been sent to. */
typedef struct Visit
{
	Post		key;
	int64		not_before;		/* the next, by kt_monotonic() */
	int64		delay;
} Visit;

static HTAB *employees = NULL;
static HTAB *visits = NULL;

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

			Found	   *found = palloc0(sizeof(Found));

			found->oid = database->oid;
			found->name = database->datname;
			result = lappend(result, found);
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
	Post		key = {database, kind};
	bool		known;
	Employee   *found = hash_search(employees, &key, HASH_ENTER, &known);

	if (!known)
		memset((char *) found + sizeof(found->key), 0, sizeof(Employee) - sizeof(found->key));
	return found;
}

static bool
is_out(Oid database, KtWorkerKind kind)
{
	Post		key = {database, kind};
	const Employee *found = hash_search(employees, &key, HASH_FIND, NULL);

	return found != NULL && found->handle != NULL;
}

static bool
is_visitor(const Employee *worker)
{
	return worker->key.kind == KT_WORKER_SCOUT || worker->key.kind == KT_WORKER_HOUSEKEEPER;
}

static Visit *
last_visit(Oid database, KtWorkerKind kind)
{
	Post		key = {database, kind};

	return hash_search(visits, &key, HASH_FIND, NULL);
}

/*
 * The next comes sooner after one who failed, and after one who left something, for
 * it was locked or nobody was at home yet.
 */
static void
note_end_of_visit(Visit *visit, const KtWorkerState *state)
{
	const KtNote *note = &state->notes[KT_DUTY_HOUSEKEEPING];
	int			failures = state->failures + note->errors;
	int64		delay = HOUSE_INTERVAL;

	if (visit->key.kind != KT_WORKER_HOUSEKEEPER)
		return;
	if (failures > 0)
		delay = HOUSE_RETRY << Min(failures - 1, 10);
	else if (note->succeeded_at < state->started_at)
		delay = kt_launcher_interval * USECS_PER_SEC;
	visit->not_before = kt_monotonic() + Min(delay, HOUSE_INTERVAL);
}

/*
 * Was it ended?  Then it is free to be started again; later, where nobody told it to
 * end, or where it did not come as far as its slot: the next one may not either.
 */
static void
note_end(Employee *worker)
{
	pid_t		pid;
	KtWorkerState state;
	Visit	   *visit = last_visit(worker->key.database, worker->key.kind);

	if (worker->handle == NULL || GetBackgroundWorkerPid(worker->handle, &pid) != BGWH_STOPPED)
		return;
	pfree(worker->handle);
	worker->handle = NULL;
	state = kt_slots_state(worker->key.database, worker->key.kind);
	if (visit != NULL)
		note_end_of_visit(visit, &state);
	else if (state.failures > 0 || state.started_at == worker->slot_started_at)
		worker->not_before = kt_monotonic() + Min(FIRST_DELAY << Max(Min(state.failures - 1, 10), 0), LAST_DELAY);
}

/*
 * Whether a scout finds the extension is told by itself; if not, the next comes
 * later.
 */
static void
note_visit(const Post *key)
{
	bool		again;
	Visit	   *visit = hash_search(visits, key, HASH_ENTER, &again);
	int64		interval = kt_launcher_interval * USECS_PER_SEC;

	if (key->kind == KT_WORKER_HOUSEKEEPER)
		visit->delay = HOUSE_INTERVAL;
	else
		visit->delay = again ? Min(visit->delay * 2, Max(LAST_LOOK, interval)) : interval;
	visit->not_before = kt_monotonic() + visit->delay;
}

static bool
start(Employee *worker)
{
	BackgroundWorker bgw;
	KtPost		post = {worker->key.kind, worker->key.database, worker->name};

	StaticAssertStmt(sizeof(KtPost) <= BGW_EXTRALEN, "no room for what a worker is told");
	memset(&bgw, 0, sizeof(bgw));
	bgw.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	bgw.bgw_start_time = BgWorkerStart_RecoveryFinished;
	bgw.bgw_restart_time = BGW_NEVER_RESTART;
	bgw.bgw_notify_pid = MyProcPid;
	snprintf(bgw.bgw_library_name, BGW_MAXLEN, LIBRARY);
	snprintf(bgw.bgw_function_name, BGW_MAXLEN, "kin_tr_worker_main");
	snprintf(bgw.bgw_type, BGW_MAXLEN, "kin_tr %s", kt_worker_kind_name(post.kind));
	snprintf(bgw.bgw_name, BGW_MAXLEN, "kin_tr %s: %s", kt_worker_kind_name(post.kind), NameStr(post.name));
	memcpy(bgw.bgw_extra, &post, sizeof(post));
	worker->started_at = kt_monotonic();
	worker->slot_started_at = kt_slots_state(worker->key.database, worker->key.kind).started_at;
	return RegisterDynamicBackgroundWorker(&bgw, &worker->handle);
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
		for (int kind = 0; kind < KT_WORKER_KINDS; kind++)
		{
			pid_t		pid = kt_slots_state(databases[i], kind).pid;

			if (pid != 0 && employee(databases[i], kind)->handle == NULL)
				kill(pid, SIGTERM);
		}
}

static bool
is_among(Oid database, const Oid *databases, int n)
{
	for (int i = 0; i < n; i++)
		if (databases[i] == database)
			return true;
	return false;
}

static bool
exists(Oid database, const List *existing)
{
	ListCell   *cell;

	foreach(cell, existing)
		if (((Found *) lfirst(cell))->oid == database)
			return true;
	return false;
}

/* Their places in shared memory are free for others. */
static void
forget_dropped_databases(const Oid *databases, int n, const List *existing)
{
	HASH_SEQ_STATUS scan;
	Visit	   *visit;

	for (int i = 0; i < n; i++)
		if (!exists(databases[i], existing))
			kt_slots_set_extension(databases[i], false);
	hash_seq_init(&scan, visits);
	while ((visit = hash_seq_search(&scan)) != NULL)
		if (!exists(visit->key.database, existing))
			hash_search(visits, &visit->key, HASH_REMOVE, NULL);
}

static void
want(const Found *database, KtWorkerKind kind)
{
	Employee   *worker = employee(database->oid, kind);

	worker->name = database->name;
	worker->wanted = true;
}

/*
 * Those on their way are let finish, and no others sent meanwhile, unless they stay
 * long; true where there are any that have not.
 */
static bool
visitors_are_out(void)
{
	HASH_SEQ_STATUS scan;
	Employee   *worker;
	bool		any = false;

	hash_seq_init(&scan, employees);
	while ((worker = hash_seq_search(&scan)) != NULL)
	{
		int64		age = kt_monotonic() - worker->started_at;
		bool		is_scout = worker->key.kind == KT_WORKER_SCOUT;

		if (!is_visitor(worker) || worker->handle == NULL)
			continue;
		worker->wanted = kt_background_workers && !kt_slots_is_held(worker->key.database) &&
			(!is_scout || age < PATIENCE);
		any = any || is_scout || age < LONG_VISIT;
	}
	return any;
}

/* Where one is to go: first where none has been, then where one has been due for longest; NULL: nowhere. */
static const Found *
first_due(const List *databases, KtWorkerKind kind, int64 *due)
{
	const Found *first = NULL;
	ListCell   *cell;

	foreach(cell, databases)
	{
		const Found *database = lfirst(cell);
		const Visit *visit = last_visit(database->oid, kind);
		int64		at = visit != NULL ? visit->not_before : 0;

		if (database->has_extension != (kind == KT_WORKER_HOUSEKEEPER) || kt_slots_is_held(database->oid) ||
			is_out(database->oid, kind))
			continue;
		if (first == NULL || at < *due)
		{
			first = database;
			*due = at;
		}
	}
	return first;
}

/*
 * A scout, or where there is the extension a housekeeper; in how many ms, if nobody
 * yet.  Scouts go first, for what they find is to be started.
 */
static void
want_visitor(const List *databases, long *wait)
{
	static const KtWorkerKind kinds[] = {KT_WORKER_SCOUT, KT_WORKER_HOUSEKEEPER};

	for (int i = 0; i < lengthof(kinds); i++)
	{
		int64		due = 0;
		const Found *first = first_due(databases, kinds[i], &due);
		int64		now = kt_monotonic();

		if (first == NULL)
			continue;
		if (due <= now)
		{
			want(first, kinds[i]);
			return;
		}
		*wait = Min(*wait, (due - now) / 1000 + 1);
	}
}

/* Half a pair first: what one that has ended leaves free is not another database's. */
static int
compare_needs(const ListCell *a, const ListCell *b)
{
	const Found *x = lfirst(a);
	const Found *y = lfirst(b);

	if ((x->running == 1) != (y->running == 1))
		return x->running == 1 ? -1 : 1;
	return x->oid < y->oid ? -1 : x->oid > y->oid;
}

/*
 * What should run, from what databases there are and what scouts have told; these
 * databases, in the order in which they are served.  *wait: in how many ms to look
 * again.
 */
static List *
decide(long *wait)
{
	HASH_SEQ_STATUS scan;
	Employee   *worker;
	ListCell   *cell;
	Oid			with_extension[KT_MAX_DATABASES];
	int			n = kt_slots_databases(with_extension, KT_MAX_DATABASES);
	List	   *databases = list_databases();

	*wait = kt_launcher_interval * 1000L;
	hash_seq_init(&scan, employees);
	while ((worker = hash_seq_search(&scan)) != NULL)
	{
		note_end(worker);
		worker->wanted = false;
	}
	foreach(cell, databases)
	{
		Found	   *database = lfirst(cell);

		database->has_extension = is_among(database->oid, with_extension, n);
	}
	end_strangers(with_extension, n);
	forget_dropped_databases(with_extension, n, databases);
	if (visitors_are_out())
		*wait = Min(*wait, PATIENCE / 1000);
	else if (kt_background_workers)
		want_visitor(databases, wait);
	foreach(cell, databases)
	{
		Found	   *database = lfirst(cell);

		if (!kt_background_workers || kt_slots_is_held(database->oid) || !database->has_extension)
			continue;
		want(database, KT_WORKER_ROUTER);
		want(database, KT_WORKER_RELAY);
		database->running = is_out(database->oid, KT_WORKER_ROUTER) + is_out(database->oid, KT_WORKER_RELAY);
	}
	list_sort(databases, compare_needs);
	return databases;
}

/*
 * Starts one that is not running; false where there is no room for it.  A visitor
 * may wait where another has been.
 */
static bool
employ(Employee *worker, long *wait)
{
	int64		now = kt_monotonic();

	if (worker->not_before > now)
		*wait = Min(*wait, (worker->not_before - now) / 1000 + 1);
	else if (kt_slots_state(worker->key.database, worker->key.kind).pid != 0)
		return true;			/* a stranger that is about to end */
	else if (start(worker))
	{
		if (is_visitor(worker))
			note_visit(&worker->key);
	}
	else
	{
		*wait = Min(*wait, NO_ROOM_INTERVAL);
		return last_visit(worker->key.database, worker->key.kind) != NULL;
	}
	return true;
}

static void
complain(int missing)
{
	static int	complained_of = 0;

	if (missing > complained_of)
		ereport(LOG,
				(errmsg_plural("kin_tr: %d background worker could not be started",
							   "kin_tr: %d background workers could not be started",
							   missing, missing),
				 errhint("Raise max_worker_processes; kin_tr.health() says which ones are missing.")));
	complained_of = missing;
}

/* What runs and should not is told to end. */
static void
end_unwanted(void)
{
	HASH_SEQ_STATUS scan;
	Employee   *worker;

	hash_seq_init(&scan, employees);
	while ((worker = hash_seq_search(&scan)) != NULL)
	{
		if (worker->wanted)
			continue;
		kt_slots_set_missing(worker->key.database, worker->key.kind, false);
		if (worker->handle != NULL)
			TerminateBackgroundWorker(worker->handle);
		else
			hash_search(employees, &worker->key, HASH_REMOVE, NULL);
	}
}

/* One that is wanted is started, if it may be; false where there is no room for it. */
static bool
fill(Employee *worker, bool may, long *wait)
{
	bool		room = worker->handle != NULL || (may && employ(worker, wait));

	kt_slots_set_missing(worker->key.database, worker->key.kind, !room);
	return room;
}

/* The one visitor of a kind that is wanted, if any; false where there is no room for it. */
static bool
fill_visit(KtWorkerKind kind, long *wait)
{
	HASH_SEQ_STATUS scan;
	Employee   *worker;
	bool		room = true;

	hash_seq_init(&scan, employees);
	while ((worker = hash_seq_search(&scan)) != NULL)
		if (worker->key.kind == (int) kind && worker->wanted)
			room = fill(worker, true, wait) && room;
	return room;
}

/* Where there is no room for a scout, nobody knows whether there is something to start. */
static int
note_unknown(const List *databases, bool room)
{
	Oid		   *unknown = palloc(sizeof(Oid) * Max(list_length(databases), 1));
	ListCell   *cell;
	int			n = 0;

	foreach(cell, databases)
	{
		const Found *database = lfirst(cell);

		if (!room && !database->has_extension && last_visit(database->oid, KT_WORKER_SCOUT) == NULL)
			unknown[n++] = database->oid;
	}
	kt_slots_set_all_missing(KT_WORKER_SCOUT, unknown, n);
	pfree(unknown);
	return n;
}

/*
 * Routers and relays; how many found no room.  Where there is none for all, who is
 * to be started again a little later keeps his place.
 */
static int
fill_posts(const List *databases, bool scarce, long *wait)
{
	static const KtWorkerKind kinds[] = {KT_WORKER_ROUTER, KT_WORKER_RELAY};
	bool		kept = false;
	int			missing = 0;
	ListCell   *cell;

	foreach(cell, databases)
	{
		const Found *database = lfirst(cell);

		for (int i = 0; i < lengthof(kinds); i++)
		{
			Post		key = {database->oid, kinds[i]};
			Employee   *worker = hash_search(employees, &key, HASH_FIND, NULL);

			if (worker == NULL || !worker->wanted)
				continue;
			missing += !fill(worker, database->running > 0 || !kept, wait);
			kept = kept || (scarce && database->running == 1 && worker->not_before > kt_monotonic());
		}
	}
	return missing;
}

static void
send_away(KtWorkerKind kind)
{
	HASH_SEQ_STATUS scan;
	Employee   *worker;

	hash_seq_init(&scan, employees);
	while ((worker = hash_seq_search(&scan)) != NULL)
		if (worker->key.kind == (int) kind)
			worker->wanted = false;
}

/*
 * Makes it so; scouts first, for what they find is to be started, too; housekeepers
 * last, and none where there is not even room for those that stay.
 */
static void
carry_out(const List *databases, long *wait)
{
	static bool scarce = false;
	int			missing = note_unknown(databases, fill_visit(KT_WORKER_SCOUT, wait));

	missing += fill_posts(databases, scarce, wait);
	if (missing > 0)
		send_away(KT_WORKER_HOUSEKEEPER);
	end_unwanted();
	missing += !fill_visit(KT_WORKER_HOUSEKEEPER, wait);
	complain(missing);
	scarce = missing > 0;
}

void
kin_tr_launcher_main(Datum arg)
{
	HASHCTL		control = {.keysize = sizeof(Post), .entrysize = sizeof(Employee)};
	HASHCTL		visited = {.keysize = sizeof(Post), .entrysize = sizeof(Visit)};
	MemoryContext scratch;

	kt_slots_enter_launcher();
	/*
	 * There is no statement to cancel; an error would end it, and with it all that it has
	 * started.  So it waits for the catalog of databases, without which nobody can connect
	 * either; lock_timeout comes as a SIGINT, too.
	 */
	pqsignal(SIGINT, SIG_IGN);
	kt_signals_accept();
	kt_settings_remember();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	kt_settings_pin("kin_tr launcher", false);
	employees = hash_create("kin_tr workers", 32, &control, HASH_ELEM | HASH_BLOBS);
	visits = hash_create("kin_tr visits", 32, &visited, HASH_ELEM | HASH_BLOBS);
	scratch = AllocSetContextCreate(TopMemoryContext, "kin_tr launcher", ALLOCSET_SMALL_SIZES);
	for (;;)
	{
		TimestampTz began = GetCurrentTimestamp();
		List	   *databases;
		long		wait;

		MemoryContextSwitchTo(scratch);
		MemoryContextReset(scratch);
		databases = decide(&wait);
		MemoryContextSwitchTo(TopMemoryContext);
		carry_out(databases, &wait);
		(void) kt_slots_report(began, false, true);
		pgstat_report_activity(STATE_IDLE, NULL);
		kt_signals_wait(wait, KT_WAIT_EVENT("KinTrLauncherMain"), true);
	}
}

/* Looks whether this database has the extension. */
void
kt_scout_main(const KtPost *post)
{
	bool		found;

	kt_loop_enter(post, "scout", false);
	StartTransactionCommand();
	found = kt_extension_exists();
	CommitTransactionCommand();
	kt_slots_set_extension(post->database, found);
	proc_exit(0);
}

void
kin_tr_worker_main(Datum arg)
{
	KtPost		post;

	memcpy(&post, MyBgworkerEntry->bgw_extra, sizeof(post));
	switch (post.kind)
	{
		case KT_WORKER_ROUTER:
			kt_router_worker_main(&post);
			break;
		case KT_WORKER_RELAY:
			kt_relay_worker_main(&post);
			break;
		case KT_WORKER_HOUSEKEEPER:
			kt_housekeeper_main(&post);
			break;
		default:
			kt_scout_main(&post);
	}
}

void
kt_launcher_register(void)
{
	BackgroundWorker bgw;

	memset(&bgw, 0, sizeof(bgw));
	bgw.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	bgw.bgw_start_time = BgWorkerStart_RecoveryFinished;
	bgw.bgw_restart_time = KT_LAUNCHER_RESTART;
	snprintf(bgw.bgw_library_name, BGW_MAXLEN, LIBRARY);
	snprintf(bgw.bgw_function_name, BGW_MAXLEN, "kin_tr_launcher_main");
	snprintf(bgw.bgw_type, BGW_MAXLEN, "kin_tr launcher");
	snprintf(bgw.bgw_name, BGW_MAXLEN, "kin_tr launcher");
	RegisterBackgroundWorker(&bgw);
}
