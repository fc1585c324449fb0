/*
 * door.c
 *		How a function of the API that is written in PL/pgSQL is entered.
 *
 * kin_tr.create_activity(..., workspace text), say, is this C function; it
 * tells the workspace, checks the caller's right to it, and calls
 * kin_tr._create_activity(..., workspace kin_tr.sid) as the extension's owner.
 * SECURITY DEFINER would do the last of these, but a function that has become
 * the owner can no longer tell who called it.  Nobody but the owner may call
 * the inner function.
 *
 * The right that a function needs is in its declaration: it names one of the C
 * functions below.  Those that have no workspace are the owner's.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_func.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/errors.h"
#include "base/home.h"
#include "base/limits.h"
#include "base/spi.h"
#include "base/access.h"
#include "routing/config.h"

PG_FUNCTION_INFO_V1(kin_tr_door_reader);
PG_FUNCTION_INFO_V1(kin_tr_door_app);
PG_FUNCTION_INFO_V1(kin_tr_door_supervisor);
PG_FUNCTION_INFO_V1(kin_tr_door_admin);
PG_FUNCTION_INFO_V1(kin_tr_door_grant);
PG_FUNCTION_INFO_V1(kin_tr_door_revoke);
PG_FUNCTION_INFO_V1(kin_tr_door_health);

/* What is found out once per call site. */
typedef struct Door
{
	FmgrInfo	inner;
	int			workspace_argument; /* -1: none */
	char	   *texts[FUNC_MAX_ARGS];	/* names of its arguments of type text, else NULL */
} Door;

static Oid
inner_function(const char *name, int nargs, Oid *types)
{
	List	   *names = list_make2(makeString("kin_tr"), makeString(psprintf("_%s", name)));

	return LookupFuncName(names, nargs, types, false);
}

static Door *
open_door(FunctionCallInfo fcinfo)
{
	FmgrInfo   *outer = fcinfo->flinfo;
	Door	   *door = outer->fn_extra;
	HeapTuple	tuple;
	Form_pg_proc form;
	Oid		   *types;
	char	  **names;
	char	   *modes;
	int			n;
	Oid			inner_types[FUNC_MAX_ARGS];

	if (door != NULL)
		return door;
	door = MemoryContextAllocZero(outer->fn_mcxt, sizeof(Door));
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(outer->fn_oid));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", outer->fn_oid);
	form = (Form_pg_proc) GETSTRUCT(tuple);
	n = get_func_arg_info(tuple, &types, &names, &modes);
	door->workspace_argument = -1;
	for (int i = 0; i < form->pronargs && i < n; i++)
	{
		inner_types[i] = form->proargtypes.values[i];
		if (names != NULL && inner_types[i] == TEXTOID)
			door->texts[i] = MemoryContextStrdup(outer->fn_mcxt, names[i]);
		if (names != NULL && strcmp(names[i], "workspace") == 0)
		{
			door->workspace_argument = i;
			inner_types[i] = kt_sid_type_oid();
		}
	}
	fmgr_info_cxt(inner_function(NameStr(form->proname), form->pronargs, inner_types),
				  &door->inner, outer->fn_mcxt);
	ReleaseSysCache(tuple);
	outer->fn_extra = door;
	return door;
}

/*
 * The workspace of the object that the first argument names by its SID; so a
 * SID alone is enough, whatever workspaces the caller may use besides.
 */
static bool
workspace_of_object(FunctionCallInfo fcinfo, KtSid *workspace)
{
	char	   *name;
	KtSid		sid;

	if (PG_NARGS() == 0 || PG_ARGISNULL(0) ||
		get_fn_expr_argtype(fcinfo->flinfo, 0) != TEXTOID)
		return false;
	name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	return kt_sid_parse(name, strlen(name), &sid) && kt_config_workspace_of(&sid, workspace) &&
		kt_access(workspace) > KT_ACCESS_NONE;
}

static KtSid
find_workspace(FunctionCallInfo fcinfo, int argument, KtAccess needed)
{
	KtSid		workspace;

	if (!PG_ARGISNULL(argument))
		return kt_workspace_argument(PG_GETARG_TEXT_PP(argument), needed);
	if (workspace_of_object(fcinfo, &workspace))
	{
		kt_access_require(&workspace, needed);
		return workspace;
	}
	return kt_workspace_argument(NULL, needed);
}

/*
 * An object that the function had found has been deleted before it could lock
 * it, or while it waited to do so.
 */
static void
tell_of_deleted_object(ErrorData *error)
{
	error->sqlerrcode = ERRCODE_UNDEFINED_OBJECT;
	error->detail = error->message;
	error->message = "an object that this call names has been deleted by another transaction meanwhile";
	error->hint = "Look which there are now, and call again.";
}

/* The table whose names are unique, and what a row of it is called. */
static const struct
{
	const char *table;
	const char *kind;
}			named[] = {
	{"workspaces", "workspace"},
	{"activities", "activity"},
	{"task_channels", "task channel"},
	{"task_queues", "task queue"},
	{"workflows", "workflow"},
	{"workers", "worker"},
};

/*
 * The function had seen that a name is free, and then another transaction that
 * took it committed first: to its caller it is as if it had come before.
 */
static void
tell_of_taken_name(ErrorData *error)
{
	if (error->table_name == NULL)
		return;
	for (int i = 0; i < lengthof(named); i++)
		if (strcmp(error->table_name, named[i].table) == 0)
		{
			error->sqlerrcode = ERRCODE_DUPLICATE_OBJECT;
			error->message = psprintf("another %s has taken this name just now", named[i].kind);
			error->hint = "Look which there are now, and call again.";
		}
}

/* Where in PL/pgSQL a user's mistake was noticed is nothing to the user. */
static void
rethrow_without_context(MemoryContext context)
{
	ErrorData  *error;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	FlushErrorState();
	if (error->sqlerrcode != ERRCODE_INTERNAL_ERROR)
		error->context = NULL;
	if (error->sqlerrcode == ERRCODE_NO_DATA_FOUND ||
		error->sqlerrcode == ERRCODE_FOREIGN_KEY_VIOLATION)
		tell_of_deleted_object(error);
	else if (error->sqlerrcode == ERRCODE_UNIQUE_VIOLATION)
		tell_of_taken_name(error);
	ReThrowError(error);
}

static void
limit_texts(FunctionCallInfo fcinfo, const Door *door)
{
	for (int i = 0; i < PG_NARGS(); i++)
		if (door->texts[i] != NULL && !PG_ARGISNULL(i))
			kt_limit_text(PG_GETARG_DATUM(i), door->texts[i]);
}

/* Calls the inner function as owner; workspace NULL: it has none, or it is NULL. */
static Datum
call_inner(FunctionCallInfo fcinfo, Door *door, KtSid *workspace)
{
	LOCAL_FCINFO(inner, FUNC_MAX_ARGS);
	MemoryContext context = CurrentMemoryContext;
	Oid			caller;
	int			security_context;
	volatile Datum result = (Datum) 0;

	InitFunctionCallInfoData(*inner, &door->inner, fcinfo->nargs, fcinfo->fncollation,
							 fcinfo->context, fcinfo->resultinfo);
	memcpy(inner->args, fcinfo->args, sizeof(NullableDatum) * fcinfo->nargs);
	if (door->workspace_argument >= 0)
	{
		inner->args[door->workspace_argument].value = SidPGetDatum(workspace);
		inner->args[door->workspace_argument].isnull = workspace == NULL;
	}
	GetUserIdAndSecContext(&caller, &security_context);
	SetUserIdAndSecContext(kt_schema_owner(), security_context | SECURITY_LOCAL_USERID_CHANGE);
	PG_TRY();
	{
		result = FunctionCallInvoke(inner);
	}
	PG_CATCH();
	{
		rethrow_without_context(context);
	}
	PG_END_TRY();
	SetUserIdAndSecContext(caller, security_context);
	fcinfo->isnull = inner->isnull;
	return result;
}

static Datum
pass(FunctionCallInfo fcinfo, KtAccess needed)
{
	Door	   *door = open_door(fcinfo);
	KtSid		workspace;

	if (needed > KT_ACCESS_READER)
		kt_require_writable(fcinfo);
	limit_texts(fcinfo, door);
	if (door->workspace_argument < 0)
	{
		kt_access_require_owner(psprintf("call %s()", get_func_name(fcinfo->flinfo->fn_oid)));
		return call_inner(fcinfo, door, NULL);
	}
	workspace = find_workspace(fcinfo, door->workspace_argument, needed);
	return call_inner(fcinfo, door, &workspace);
}

Datum
kin_tr_door_reader(PG_FUNCTION_ARGS)
{
	return pass(fcinfo, KT_ACCESS_READER);
}

Datum
kin_tr_door_app(PG_FUNCTION_ARGS)
{
	return pass(fcinfo, KT_ACCESS_APP);
}

Datum
kin_tr_door_supervisor(PG_FUNCTION_ARGS)
{
	return pass(fcinfo, KT_ACCESS_SUPERVISOR);
}

/* Here a workspace that comes first is what is changed or deleted, and NULL a slip. */
Datum
kin_tr_door_admin(PG_FUNCTION_ARGS)
{
	kt_require_writable(fcinfo);
	if (open_door(fcinfo)->workspace_argument == 0 && PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("workspace must not be null"),
				 errhint("Give its SID or its name.")));
	return pass(fcinfo, KT_ACCESS_ADMIN);
}

/*
 * A role that has access to several workspaces must say which one it means; so who
 * gives it access to one more is to be responsible for the others, too.
 */
static void
require_right_to_introduce(Oid role)
{
	static KtPlan plan = {"SELECT kin_tr._is_elsewhere($1::oid::regrole, $2)", "IS"};
	int			n;
	KtSid	   *own = kt_access_workspaces(KT_ACCESS_ADMIN, &n);
	Datum		values[] = {Int64GetDatum(role), kt_sid_array(own, n)};
	KtSpi		spi;
	bool		elsewhere;

	if (kt_access_is_owner())
		return;
	if (role < FirstNormalObjectId)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to grant access to the predefined role \"%s\"", GetUserNameFromId(role, false)),
				 errdetail("It is the whole cluster's: its members would have to say in every call which workspace they mean."),
				 errhint("Grant access to a role of your own, or ask role \"%s\".", GetUserNameFromId(kt_schema_owner(), false))));
	kt_spi_begin(&spi);
	kt_spi(&plan, values, NULL);
	elsewhere = kt_column_bool(0, 1);
	kt_spi_end(&spi);
	if (elsewhere)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to grant access to role \"%s\"", GetUserNameFromId(role, false)),
				 errdetail("It, or a member of it, has access to a workspace whose admin you are not, and would have to say which one it means in every call."),
				 errhint("Role \"%s\" may grant it.", GetUserNameFromId(kt_schema_owner(), false))));
}

/* Access to one workspace is its admins' to give, to all of them the owner's. */
static Datum
pass_access(FunctionCallInfo fcinfo, bool gives)
{
	Door	   *door = open_door(fcinfo);
	KtSid		workspace;

	kt_require_writable(fcinfo);
	limit_texts(fcinfo, door);
	if (PG_ARGISNULL(door->workspace_argument))
	{
		kt_access_require_owner("grant access to every workspace");
		return call_inner(fcinfo, door, NULL);
	}
	workspace = kt_workspace_argument(PG_GETARG_TEXT_PP(door->workspace_argument), KT_ACCESS_ADMIN);
	if (gives && !PG_ARGISNULL(0))
		require_right_to_introduce(PG_GETARG_OID(0));
	return call_inner(fcinfo, door, &workspace);
}

Datum
kin_tr_door_grant(PG_FUNCTION_ARGS)
{
	return pass_access(fcinfo, true);
}

Datum
kin_tr_door_revoke(PG_FUNCTION_ARGS)
{
	return pass_access(fcinfo, false);
}

/* For whoever may read anything. */
Datum
kin_tr_door_health(PG_FUNCTION_ARGS)
{
	kt_access_require_somewhere(KT_ACCESS_READER, "call health()");
	return call_inner(fcinfo, open_door(fcinfo), NULL);
}
