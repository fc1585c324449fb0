/*
 * access.c
 *		Who may do what in which workspace.
 *
 * A superuser and a member of the extension's owner may do everything.  Others
 * may what the table "access" says of a role that they are a member of.  What
 * was found for a role is kept until the table, a role or a membership changes.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/access.h"
#include "base/errors.h"
#include "base/limits.h"
#include "base/guc.h"
#include "base/spi.h"
#include "base/text.h"

PG_FUNCTION_INFO_V1(kin_tr_access_in);
PG_FUNCTION_INFO_V1(kin_tr_readable_workspaces);
PG_FUNCTION_INFO_V1(kin_tr_require_owner);

typedef struct Workspace
{
	KtSid		sid;
	char	   *name;
	KtAccess	access;			/* of the role that the list was made for */
} Workspace;

/* All workspaces, as one role sees them. */
typedef struct Sight
{
	Oid			role;			/* hash key */
	int			nworkspaces;
	Workspace  *workspaces;
} Sight;

static MemoryContext sight_context = NULL;
static HTAB *sights = NULL;
static Oid	signal_relation = InvalidOid;
static bool stale = true;

static void
forget_roles(Datum arg, int cacheid, uint32 hashvalue)
{
	stale = true;
}

/* The table "access", or the list of workspaces, has changed. */
static void
forget_grants(Datum arg, Oid relation)
{
	if (relation == signal_relation || !OidIsValid(relation))
		stale = true;
}

/* Empties the cache where something it follows from has changed. */
static void
refresh_sights(void)
{
	HASHCTL		control = {.keysize = sizeof(Oid), .entrysize = sizeof(Sight)};

	if (sight_context == NULL)
	{
		sight_context = AllocSetContextCreate(CacheMemoryContext, "kin_tr access",
											  ALLOCSET_SMALL_SIZES);
		CacheRegisterSyscacheCallback(AUTHOID, forget_roles, (Datum) 0);
		CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, forget_roles, (Datum) 0);
		/* The owner's: he is admin everywhere, and the database's is in pg_database_owner. */
		CacheRegisterSyscacheCallback(NAMESPACEOID, forget_roles, (Datum) 0);
		CacheRegisterSyscacheCallback(DATABASEOID, forget_roles, (Datum) 0);
		CacheRegisterRelcacheCallback(forget_grants, (Datum) 0);
	}
	else if (sights != NULL && !stale)
		return;
	sights = NULL;
	MemoryContextReset(sight_context);
	signal_relation = kt_relation_oid("config_signal");
	stale = false;
	control.hcxt = sight_context;
	sights = hash_create("kin_tr access by role", 8, &control,
						 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static KtAccess
access_of_kind(const char *kind)
{
	if (strcmp(kind, "admin") == 0)
		return KT_ACCESS_ADMIN;
	if (strcmp(kind, "supervisor") == 0)
		return KT_ACCESS_SUPERVISOR;
	if (strcmp(kind, "app") == 0)
		return KT_ACCESS_APP;
	return KT_ACCESS_READER;
}

static const char *
kind_of_access(KtAccess access)
{
	static const char *const kinds[] = {"none", "reader", "app", "supervisor", "admin"};

	return kinds[access];
}

static bool
is_owner(Oid role)
{
	return superuser_arg(role) || has_privs_of_role(role, kt_schema_owner());
}

/*
 * Is it the role that access was given to?  Its name alone may be another's by
 * now, who would get what is not his; and so may its OID, once it was dropped.
 */
static bool
is_called(Oid role, const char *name)
{
	char	   *now = GetUserNameFromId(role, true);

	return now != NULL && strcmp(now, name) == 0;
}

/* Raises what the role may in the workspaces that a row of "access" speaks of. */
static void
apply_grant(Sight *sight, const KtSid *workspace, KtAccess access)
{
	for (int i = 0; i < sight->nworkspaces; i++)
		if (kt_sid_is_null(workspace) || kt_sid_equal(workspace, &sight->workspaces[i].sid))
			sight->workspaces[i].access = Max(sight->workspaces[i].access, access);
}

static void
load_sight(Sight *sight)
{
	static KtPlan all = {"SELECT sid, friendly_name FROM kin_tr.workspaces ORDER BY sid", ""};
	static KtPlan grants = {"SELECT role::text, role_oid::bigint, kind, workspace_sid FROM kin_tr.access", ""};
	bool		everything = is_owner(sight->role);
	KtSpi		spi;

	kt_spi_begin(&spi);
	sight->nworkspaces = kt_spi_latest(&all, NULL, NULL);
	sight->workspaces = MemoryContextAlloc(sight_context,
										   sizeof(Workspace) * Max(sight->nworkspaces, 1));
	for (int i = 0; i < sight->nworkspaces; i++)
	{
		sight->workspaces[i].sid = kt_column_sid(i, 1);
		sight->workspaces[i].name = MemoryContextStrdup(sight_context, kt_column_cstring(i, 2));
		sight->workspaces[i].access = everything ? KT_ACCESS_ADMIN : KT_ACCESS_NONE;
	}
	if (!everything)
	{
		uint64		n = kt_spi_latest(&grants, NULL, NULL);

		for (uint64 i = 0; i < n; i++)
		{
			Oid			role = (Oid) kt_column_int64(i, 2);
			KtSid		workspace = kt_column_sid(i, 4);

			if (is_called(role, kt_column_cstring(i, 1)) && has_privs_of_role(sight->role, role))
				apply_grant(sight, &workspace, access_of_kind(kt_column_cstring(i, 3)));
		}
	}
	kt_spi_end(&spi);
}

static Sight *
sight_of_caller(void)
{
	Oid			role = GetUserId();
	Sight	   *sight;
	Sight		loaded = {role};

	refresh_sights();
	sight = hash_search(sights, &role, HASH_FIND, NULL);
	if (sight != NULL)
		return sight;
	load_sight(&loaded);
	/* Loading may have run into an invalidation, so enter it only now. */
	sight = hash_search(sights, &role, HASH_ENTER, NULL);
	*sight = loaded;
	return sight;
}

static Workspace *
find_workspace(Sight *sight, const KtSid *sid)
{
	for (int i = 0; i < sight->nworkspaces; i++)
		if (kt_sid_equal(&sight->workspaces[i].sid, sid))
			return &sight->workspaces[i];
	return NULL;
}

KtAccess
kt_access(const KtSid *workspace)
{
	Workspace  *found = find_workspace(sight_of_caller(), workspace);

	return found ? found->access : KT_ACCESS_NONE;
}

/*
 * What would let the caller do it, for who may grant it.  called: the workspace,
 * by a name that the caller knows.
 */
static int
hint_grant(KtAccess needed, const char *called)
{
	const char *role = quote_identifier(GetUserNameFromId(GetUserId(), false));

	return errhint("An admin of the workspace, or role \"%s\", may call kin_tr.grant_access(%s, '%s', %s).",
				   GetUserNameFromId(kt_schema_owner(), false), quote_literal_cstr(role),
				   kind_of_access(needed), quote_literal_cstr(called));
}

/* Who may not even read a workspace is told of it by what it was called, its name or its sid. */
static void
require(Workspace *workspace, KtAccess needed, const char *called)
{
	if (workspace->access >= needed)
		return;
	if (workspace->access > KT_ACCESS_NONE)
		called = workspace->name;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for workspace \"%s\"", kt_text_excerpt(called)),
			 workspace->access > KT_ACCESS_NONE ?
			 errdetail("This needs access of kind \"%s\"; role \"%s\" has \"%s\".",
					   kind_of_access(needed), GetUserNameFromId(GetUserId(), false),
					   kind_of_access(workspace->access)) :
			 errdetail("This needs access of kind \"%s\"; role \"%s\" has none.",
					   kind_of_access(needed), GetUserNameFromId(GetUserId(), false)),
			 hint_grant(needed, kt_text_excerpt(called))));
}

void
kt_access_require(const KtSid *workspace, KtAccess needed)
{
	Workspace  *found = find_workspace(sight_of_caller(), workspace);

	if (found == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("workspace \"%s\" does not exist", kt_sid_cstring(workspace))));
	require(found, needed, kt_sid_cstring(workspace));
}

KtSid *
kt_access_workspaces(KtAccess needed, int *count)
{
	Sight	   *sight = sight_of_caller();
	KtSid	   *sids = palloc(sizeof(KtSid) * Max(sight->nworkspaces, 1));

	*count = 0;
	for (int i = 0; i < sight->nworkspaces; i++)
		if (sight->workspaces[i].access >= needed)
			sids[(*count)++] = sight->workspaces[i].sid;
	return sids;
}

bool
kt_access_is_owner(void)
{
	return is_owner(GetUserId());
}

void
kt_access_require_owner(const char *what)
{
	if (!kt_access_is_owner())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to %s", what),
				 errdetail("Role \"%s\" is not the extension's owner.", GetUserNameFromId(GetUserId(), false)),
				 errhint("Superusers and members of role \"%s\" may do this.",
						 GetUserNameFromId(kt_schema_owner(), false))));
}

void
kt_access_require_somewhere(KtAccess needed, const char *what)
{
	Sight	   *sight = sight_of_caller();

	for (int i = 0; i < sight->nworkspaces; i++)
		if (sight->workspaces[i].access >= needed)
			return;
	if (!is_owner(sight->role))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to %s", what),
				 errdetail("This needs access of kind \"%s\" to a workspace; role \"%s\" has none.",
						   kind_of_access(needed), GetUserNameFromId(sight->role, false)),
				 errhint("An admin of a workspace, or role \"%s\", may call kin_tr.grant_access().",
						 GetUserNameFromId(kt_schema_owner(), false))));
}

static Workspace *
workspace_by_name(Sight *sight, const char *name)
{
	KtSid		sid;

	if (kt_sid_parse(name, strlen(name), &sid))
		return find_workspace(sight, &sid);
	for (int i = 0; i < sight->nworkspaces; i++)
		if (strcmp(sight->workspaces[i].name, name) == 0)
			return &sight->workspaces[i];
	return NULL;
}

/* No other name of a workspace may be told to the caller. */
static List *
names_of_usable(Sight *sight)
{
	List	   *names = NIL;

	for (int i = 0; i < sight->nworkspaces; i++)
		if (sight->workspaces[i].access > KT_ACCESS_NONE)
			names = lappend(names, sight->workspaces[i].name);
	return names;
}

static void
no_such_workspace(Sight *sight, const char *name, bool set)
{
	List	   *names = names_of_usable(sight);
	const char *nearest = kt_text_nearest(name, names);
	const char *source = set ? "The setting kin_tr.workspace names it. " : "";

	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("workspace \"%s\" does not exist", kt_text_excerpt(name)),
			 names == NIL ? errdetail("%sYou may use none.", source) :
			 errdetail("%sYou may use %s.", source, kt_text_list(names, true)),
			 nearest ? errhint("Perhaps \"%s\" is meant.", nearest) :
			 is_owner(sight->role) ?
			 errhint("kin_tr.setup_workspace() makes a new one.") :
			 errhint("Give the SID or the name of one that you may use.")));
}

/* There are workspaces, but none for the caller; or there is none at all. */
static void
no_usable_workspace(Sight *sight)
{
	char	   *owner = GetUserNameFromId(kt_schema_owner(), false);

	if (sight->nworkspaces > 0)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for every workspace of this database"),
				 errdetail("Role \"%s\" has no access to any.", GetUserNameFromId(sight->role, false)),
				 errhint("An admin of a workspace, or role \"%s\", may call kin_tr.grant_access().", owner)));
	ereport(ERROR,
			(errcode(KT_ERRCODE_WHICH_WORKSPACE),
			 errmsg("there is no workspace yet"),
			 is_owner(sight->role) ?
			 errhint("Create one: SELECT * FROM kin_tr.setup_workspace('My Contact Centre');") :
			 errhint("Superusers and role \"%s\" may create one.", owner)));
}

/* The only usable workspace; NULL, and how many there are, otherwise. */
static Workspace *
only_usable(Sight *sight, int *usable)
{
	Workspace  *only = NULL;

	*usable = 0;
	for (int i = 0; i < sight->nworkspaces; i++)
		if (sight->workspaces[i].access > KT_ACCESS_NONE)
		{
			only = &sight->workspaces[i];
			(*usable)++;
		}
	return *usable == 1 ? only : NULL;
}

KtSid
kt_workspace_argument(text *argument, KtAccess needed)
{
	Sight	   *sight = sight_of_caller();
	char	   *name = argument ? text_to_cstring(argument) : kt_workspace_setting;
	Workspace  *workspace;
	int			usable;

	if (argument != NULL)
		kt_limit_text(PointerGetDatum(argument), "workspace");
	if (name != NULL && name[0] != '\0')
	{
		workspace = workspace_by_name(sight, name);
		if (workspace == NULL)
			no_such_workspace(sight, name, argument == NULL);
	}
	else if ((workspace = only_usable(sight, &usable)) == NULL)
	{
		if (usable == 0)
			no_usable_workspace(sight);
		ereport(ERROR,
				(errcode(KT_ERRCODE_WHICH_WORKSPACE),
				 errmsg("which workspace is meant?"),
				 errdetail("You may use %s.", kt_text_list(names_of_usable(sight), true)),
				 errhint("Give the argument workspace, or SET kin_tr.workspace.")));
	}
	require(workspace, needed, name);
	return workspace->sid;
}

bool
kt_workspace_for_reading(text *argument, KtSid *workspace)
{
	Sight	   *sight = sight_of_caller();
	Workspace  *found;
	int			usable;

	if (argument != NULL)
	{
		*workspace = kt_workspace_argument(argument, KT_ACCESS_READER);
		return true;
	}
	if (kt_workspace_setting != NULL && kt_workspace_setting[0] != '\0')
		found = workspace_by_name(sight, kt_workspace_setting);
	else
		found = only_usable(sight, &usable);
	if (found == NULL || found->access < KT_ACCESS_READER)
		return false;
	*workspace = found->sid;
	return true;
}

/* _access_in(workspace sid) -> 'none' .. 'admin': what the caller may there. */
Datum
kin_tr_access_in(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATUM(kt_text_datum(kind_of_access(kt_access(PG_GETARG_SID_P(0)))));
}

static Datum
workspaces_of(KtAccess needed)
{
	int			n;
	KtSid	   *sids = kt_access_workspaces(needed, &n);

	return kt_sid_array(sids, n);
}

bool
kt_access_readable(text *argument, Datum *workspaces)
{
	bool		named = argument != NULL || (kt_workspace_setting && kt_workspace_setting[0]);

	if (named)
	{
		KtSid	   *sid = palloc(sizeof(KtSid));
		Datum		value = SidPGetDatum(sid);

		*sid = kt_workspace_argument(argument, KT_ACCESS_READER);
		*workspaces = PointerGetDatum(construct_array(&value, 1, kt_sid_type_oid(), sizeof(KtSid),
													  false, TYPALIGN_CHAR));
		return false;
	}
	*workspaces = workspaces_of(KT_ACCESS_READER);
	return kt_access_is_owner();
}

/*
 * _readable_workspaces() -> sid[]: for the policies of row-level security,
 * which call it once per statement.  It depends on nothing that a user sets.
 */
Datum
kin_tr_readable_workspaces(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATUM(workspaces_of(KT_ACCESS_READER));
}

/* _require_owner(what text) */
Datum
kin_tr_require_owner(PG_FUNCTION_ARGS)
{
	kt_access_require_owner(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	PG_RETURN_VOID();
}
