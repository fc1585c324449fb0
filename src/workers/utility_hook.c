/*
 * utility_hook.c
 *		Commands that workers would be in the way of, or that make work for the
 *		launcher.
 *
 * A connected worker makes DROP DATABASE, RENAME, SET TABLESPACE and CREATE
 * DATABASE ... TEMPLATE of its database fail, and may deadlock with DROP
 * EXTENSION.  From such a command to the end of its transaction the database is
 * held: the launcher ends the workers there and starts none.  A command that
 * its caller may not give holds nothing, or anybody could stop the workers.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "workers/slots.h"
#include "workers/workers.h"

/* So long the workers have to end; they do so within milliseconds. */
#define PATIENCE (10 * USECS_PER_SEC)

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
has_workers(Oid database)
{
	for (int kind = 0; kind < KT_WORKER_KINDS; kind++)
		if (kt_slots_state(database, kind).pid != 0)
			return true;
	return false;
}

static void
hold(Oid database)
{
	TimestampTz until = GetCurrentTimestamp() + PATIENCE;

	holding = true;
	kt_slots_hold(database);
	kt_slots_wake_launcher();
	while (has_workers(database) && GetCurrentTimestamp() < until)
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 10,
						 KT_WAIT_EVENT("KinTrHold"));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
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

static void
process_utility(PlannedStmt *statement, const char *query, bool read_only_tree,
				ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *environment,
				DestReceiver *dest, QueryCompletion *completion)
{
	Node	   *command = statement->utilityStmt;
	Oid			database = IsTransactionState() ? database_to_hold(command) : InvalidOid;
	/* A procedure that rolls back frees the statement that called it. */
	bool		touches = touches_extension(command);

	if (OidIsValid(database))
		hold(database);
	run(statement, query, read_only_tree, context, params, environment, dest, completion);
	if (touches)
		extension_touched = true;
}

void
kt_utility_hook_install(void)
{
	previous_hook = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
	RegisterXactCallback(at_end, NULL);
}
