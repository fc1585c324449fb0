/*
 * utility_hook.c
 *		Commands that workers would be in the way of, or that make work for them
 *		or for the launcher.
 *
 * A connected worker makes DROP DATABASE, RENAME, SET TABLESPACE and CREATE
 * DATABASE ... TEMPLATE of its database fail, and may deadlock with DROP
 * EXTENSION.  From such a command to the end of its transaction the database is
 * held: the launcher ends the workers there and starts none.  A command that
 * is going to be refused holds nothing, or anybody could stop the workers: where
 * its caller may not give it, where it makes no sense, and where others than the
 * workers are connected, for whom PostgreSQL would wait and then give up.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/monotonic.h"
#include "events/event.h"
#include "workers/slots.h"
#include "workers/workers.h"

/* So long the workers have to end; they do so within milliseconds. */
#define PATIENCE (10 * USECS_PER_SEC)

/* So long others have to leave, who may be just about to. */
#define PATIENCE_WITH_OTHERS (2 * USECS_PER_SEC)

static ProcessUtility_hook_type previous_hook = NULL;
static bool holding = false;
static bool extension_touched = false;	/* by this transaction */
static bool extension_stays = false;	/* after it */

static const char *
string_option(List *options, const char *name)
{
	ListCell   *cell;

	foreach(cell, options)
	{
		DefElem    *option = lfirst(cell);

		if (strcmp(option->defname, name) == 0 && option->arg != NULL)
			return defGetString(option);
	}
	return NULL;
}

static bool
drops_extension(DropStmt *drop)
{
	ListCell   *cell;

	if (drop->removeType != OBJECT_EXTENSION)
		return false;
	foreach(cell, drop->objects)
		if (strcmp(strVal(lfirst(cell)), "kin_tr") == 0)
			return true;
	return false;
}

static bool
touches_extension(Node *command)
{
	if (IsA(command, CreateExtensionStmt))
		return strcmp(((CreateExtensionStmt *) command)->extname, "kin_tr") == 0;
	return IsA(command, DropStmt) && drops_extension((DropStmt *) command);
}

/* The database that a command needs for itself, whoever gives it. */
static Oid
database_needed(Node *command)
{
	const char *name = NULL;

	switch (nodeTag(command))
	{
		case T_DropdbStmt:
			name = ((DropdbStmt *) command)->dbname;
			break;
		case T_RenameStmt:
			if (((RenameStmt *) command)->renameType == OBJECT_DATABASE)
				name = ((RenameStmt *) command)->subname;
			break;
		case T_AlterDatabaseStmt:
			if (string_option(((AlterDatabaseStmt *) command)->options, "tablespace"))
				name = ((AlterDatabaseStmt *) command)->dbname;
			break;
		case T_CreatedbStmt:
			name = string_option(((CreatedbStmt *) command)->options, "template");
			if (name == NULL)
				name = "template1";
			break;
		default:
			break;
	}
	return name ? get_database_oid(name, true) : InvalidOid;
}

/*
 * The database that no worker may be in from now on.  A template database may
 * be copied by others than its owner, but there are no workers in it.
 */
static Oid
database_to_hold(Node *command)
{
	Oid			database;
	Oid			extension;

	if (IsA(command, DropStmt))
	{
		if (!drops_extension((DropStmt *) command))
			return InvalidOid;
		extension = get_extension_oid("kin_tr", true);
		return OidIsValid(extension) && KT_OWNS_EXTENSION(extension, GetUserId()) ? MyDatabaseId : InvalidOid;
	}
	database = database_needed(command);
	return OidIsValid(database) && KT_OWNS_DATABASE(database, GetUserId()) ? database : InvalidOid;
}

static bool
may_create_databases(void)
{
	HeapTuple	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(GetUserId()));
	bool		may = superuser();

	if (HeapTupleIsValid(tuple))
	{
		may = may || ((Form_pg_authid) GETSTRUCT(tuple))->rolcreatedb;
		ReleaseSysCache(tuple);
	}
	return may;
}

static bool
is_template(Oid database)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(database));
	bool		is = false;

	if (HeapTupleIsValid(tuple))
	{
		is = ((Form_pg_database) GETSTRUCT(tuple))->datistemplate;
		ReleaseSysCache(tuple);
	}
	return is;
}

/* Whoever may be connected, does the command make sense? */
static bool
makes_sense(Node *command, Oid database, ProcessUtilityContext context)
{
	if (IsA(command, DropStmt))
		return true;
	if (context != PROCESS_UTILITY_TOPLEVEL && !IsA(command, RenameStmt))
		return false;
	switch (nodeTag(command))
	{
		case T_DropdbStmt:
			return database != MyDatabaseId && !IsTransactionBlock() && !is_template(database);
		case T_RenameStmt:
			return database != MyDatabaseId && may_create_databases() &&
				!OidIsValid(get_database_oid(((RenameStmt *) command)->newname, true));
		case T_CreatedbStmt:
			return !IsTransactionBlock() && may_create_databases() &&
				!OidIsValid(get_database_oid(((CreatedbStmt *) command)->dbname, true));
		default:
			return database != MyDatabaseId && !IsTransactionBlock();
	}
}

static bool
has_workers(Oid database)
{
	for (int kind = 0; kind < KT_WORKER_KINDS; kind++)
		if (kt_slots_state(database, kind).pid != 0)
			return true;
	return false;
}

/* One that PostgreSQL ends by itself, or that a hold ends? */
static bool
is_no_obstacle(const PGPROC *process, Oid database)
{
	if (process == MyProc || (process->statusFlags & PROC_IS_AUTOVACUUM) != 0)
		return true;
	for (int kind = 0; process->pid != 0 && kind < KT_WORKER_KINDS; kind++)
		if (kt_slots_state(database, kind).pid == process->pid)
			return true;
	return false;
}

/* What is in the entry of a process that has ended, or of a prepared transaction that has, stays there. */
static bool
is_alive(const PGPROC *process)
{
	if (process->pid == 0)
		return TransactionIdIsValid(process->xid) && TransactionIdIsInProgress(process->xid);
	return BackendPidGetProc(process->pid) == process;
}

/*
 * Are others than the workers in the database, or transactions prepared there?
 * Entries are read without a lock, for it may change at once, and PostgreSQL
 * looks again.
 */
static bool
has_others(Oid database)
{
	for (uint32 i = 0; i < ProcGlobal->allProcCount; i++)
	{
		const PGPROC *process = &ProcGlobal->allProcs[i];

		if (process->databaseId == database && is_alive(process) && !is_no_obstacle(process, database))
			return true;
	}
	return false;
}

/* Waits until there are none of those, but not for long. */
static bool
wait_until_none(bool (*there_are) (Oid), Oid database, int64 patience)
{
	int64		until = kt_monotonic() + patience;

	while (there_are(database))
	{
		if (kt_monotonic() >= until)
			return false;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 10,
						 KT_WAIT_EVENT("KinTrHold"));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	return true;
}

/* DROP DATABASE ... WITH (FORCE) ends them. */
static bool
ends_others(Node *command)
{
	ListCell   *cell;

	if (!IsA(command, DropdbStmt))
		return false;
	foreach(cell, ((DropdbStmt *) command)->options)
		if (strcmp(((DefElem *) lfirst(cell))->defname, "force") == 0)
			return true;
	return false;
}

static void
hold(Oid database)
{
	holding = true;
	kt_slots_hold(database);
	kt_slots_wake_launcher();
	(void) wait_until_none(has_workers, database, PATIENCE);
}

static void
hold_if_needed(Node *command, ProcessUtilityContext context)
{
	Oid			database = database_to_hold(command);

	if (!OidIsValid(database) || !makes_sense(command, database, context))
		return;
	/* Who drops the extension is in its database; so may others be. */
	if (IsA(command, DropStmt) || ends_others(command) ||
		wait_until_none(has_others, database, PATIENCE_WITH_OTHERS))
		hold(database);
}

static void
at_end(XactEvent event, void *arg)
{
	/* A savepoint may have undone it, so look what is left. */
	if (event == XACT_EVENT_PRE_COMMIT && extension_touched)
		extension_stays = OidIsValid(get_extension_oid("kin_tr", true));
	if (event == XACT_EVENT_COMMIT && extension_touched)
		kt_slots_set_extension(MyDatabaseId, extension_stays);
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
		return;
	if (holding)
		kt_slots_release();
	if (holding || extension_touched)
		kt_slots_wake_launcher();
	holding = extension_touched = false;
}

static void
run(PlannedStmt *statement, const char *query, bool read_only_tree, ProcessUtilityContext context,
	ParamListInfo params, QueryEnvironment *environment, DestReceiver *dest, QueryCompletion *completion)
{
	if (previous_hook)
		previous_hook(statement, query, read_only_tree, context, params, environment, dest, completion);
	else
		standard_ProcessUtility(statement, query, read_only_tree, context, params, environment, dest,
								completion);
}

static bool
commits_prepared(Node *command)
{
	return IsA(command, TransactionStmt) &&
		((TransactionStmt *) command)->kind == TRANS_STMT_COMMIT_PREPARED;
}

/*
 * Its events come to light without a commit of their own, so nothing wakes those who
 * wait for them; and with it the extension may have come.
 */
static void
note_commit_of_prepared(void)
{
	kt_events_committed();
	if (kt_slots_has_extension(MyDatabaseId) || !OidIsValid(get_extension_oid("kin_tr", true)))
		return;
	kt_slots_set_extension(MyDatabaseId, true);
	kt_slots_wake_launcher();
}

static void
process_utility(PlannedStmt *statement, const char *query, bool read_only_tree,
				ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *environment,
				DestReceiver *dest, QueryCompletion *completion)
{
	Node	   *command = statement->utilityStmt;
	/* A procedure that rolls back frees the statement that called it. */
	bool		touches = touches_extension(command);
	bool		wakes = commits_prepared(command);

	if (IsTransactionState())
		hold_if_needed(command, context);
	run(statement, query, read_only_tree, context, params, environment, dest, completion);
	if (touches)
		extension_touched = true;
	if (wakes)
		note_commit_of_prepared();
}

void
kt_utility_hook_install(void)
{
	previous_hook = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
	RegisterXactCallback(at_end, NULL);
}
