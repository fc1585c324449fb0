/*
 * config.c
 *		Workspaces, queues, workflows, channels and activities as C structs.
 *
 * An object is read when it is first asked for, by its key, so the cost does
 * not depend on how many there are.  A statement trigger on each table calls
 * _config_changed(), which sends a relcache invalidation of kin_tr.config_signal,
 * an empty table that no plan depends on; every backend gets it before its next
 * statement, and drops what it kept.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"

#include "base/errors.h"
#include "base/limits.h"
#include "base/lock.h"
#include "base/name.h"
#include "base/spi.h"
#include "base/text.h"
#include "routing/config.h"

PG_FUNCTION_INFO_V1(kin_tr_config_changed);
PG_FUNCTION_INFO_V1(kin_tr_lock_for_delete);
PG_FUNCTION_INFO_V1(kin_tr_try_lock_for_delete);
PG_FUNCTION_INFO_V1(kin_tr_resolve);
PG_FUNCTION_INFO_V1(kin_tr_check_sid);
PG_FUNCTION_INFO_V1(kin_tr_all_of);
PG_FUNCTION_INFO_V1(kin_tr_lock_pairs);

/* Names are at most 64 characters; a longer one exists nowhere. */
#define NAME_KEY_SIZE 320

typedef struct NameEntry
{
	char		key[NAME_KEY_SIZE]; /* kind, workspace, name */
	KtSid		sid;
} NameEntry;

typedef struct VersionEntry
{
	KtSid		workflow;
	int32		version;
} VersionEntry;

typedef struct OnlyEntry
{
	KtSid		workspace;
	KtSid		workflow;		/* null where there is none or several */
} OnlyEntry;

struct KtConfig
{
	MemoryContext context;
	HTAB	   *workspaces;
	HTAB	   *activities;
	HTAB	   *task_channels;
	HTAB	   *task_queues;
	HTAB	   *workflows;
	HTAB	   *names;
	HTAB	   *versions;
	HTAB	   *only_workflows;
};

/* What each kind of object is called, and how one is found by its name. */
typedef struct Kind
{
	const char *kind;
	const char *name;
	KtPlan		workspace;
	KtPlan		by_sid;
	KtPlan		by_name;
	KtPlan		names;
} Kind;

/* So many names are looked at where one does not exist. */
#define NAMES_READ	1000

#define WORKSPACE_OF(table) \
	{"SELECT workspace_sid FROM kin_tr." table " WHERE sid = $1", "s"}
#define WORKSPACE_OF_EITHER(table, history) \
	{"SELECT workspace_sid FROM kin_tr." table " WHERE sid = $1 UNION ALL" \
	 " SELECT workspace_sid FROM kin_tr." history " WHERE sid = $1 LIMIT 1", "s"}
#define BY_SID(table) \
	{"SELECT sid FROM kin_tr." table " WHERE sid = $1 AND workspace_sid = $2", "ss"}
#define NAMES(table, column) \
	{"SELECT n FROM (SELECT " column " AS n FROM kin_tr." table " WHERE workspace_sid = $1 LIMIT $2) s" \
	 " ORDER BY n COLLATE \"C\"", "sI"}
#define FIND(table, column) \
	BY_SID(table), \
	{"SELECT sid FROM kin_tr." table " WHERE workspace_sid = $1 AND " column " = $2", "st"}, \
	NAMES(table, column)
#define FIND_FOLDED(table) \
	BY_SID(table), \
	{"SELECT sid FROM kin_tr." table " WHERE workspace_sid = $1 AND name_key = $2", "sB"}, \
	NAMES(table, "friendly_name")

static Kind kinds[] = {
	{KT_ACTIVITY, "activity", WORKSPACE_OF("activities"), FIND("activities", "friendly_name")},
	{KT_TASK_CHANNEL, "task channel", WORKSPACE_OF("task_channels"), FIND("task_channels", "unique_name")},
	{KT_TASK_QUEUE, "task queue", WORKSPACE_OF("task_queues"), FIND("task_queues", "friendly_name")},
	{KT_WORKFLOW, "workflow", WORKSPACE_OF("workflows"), FIND("workflows", "friendly_name")},
	{KT_WORKER, "worker", WORKSPACE_OF("workers"), FIND_FOLDED("workers")},
	{KT_WORKSPACE, "workspace", {"SELECT sid FROM kin_tr.workspaces WHERE sid = $1", "s"}},
	{KT_TASK, "task", WORKSPACE_OF_EITHER("tasks", "task_history")},
	{KT_RESERVATION, "reservation", WORKSPACE_OF_EITHER("reservations", "reservation_history")},
	{KT_WORKER_CHANNEL, "worker channel", WORKSPACE_OF("worker_channels")},
	{KT_EVENT, "event"},
};

static KtConfig *backend_config = NULL;
static bool backend_config_stale = true;
static uint64 backend_config_generation = 0;
static Oid	signal_relation = InvalidOid;

static void
config_invalidated(Datum arg, Oid relation)
{
	if (relation == signal_relation || !OidIsValid(relation))
		backend_config_stale = true;
}

static HTAB *
create_hash(MemoryContext context, const char *name, Size key, Size entry)
{
	HASHCTL		control = {.keysize = key, .entrysize = entry, .hcxt = context};

	return hash_create(name, 16, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

KtConfig *
kt_config_create(MemoryContext parent)
{
	MemoryContext context = AllocSetContextCreate(parent, "kin_tr configuration",
												  ALLOCSET_DEFAULT_SIZES);
	KtConfig   *config = MemoryContextAllocZero(context, sizeof(KtConfig));

	config->context = context;
	config->workspaces = create_hash(context, "workspaces", sizeof(KtSid), sizeof(KtWorkspace));
	config->activities = create_hash(context, "activities", sizeof(KtSid), sizeof(KtActivity));
	config->task_channels = create_hash(context, "task channels", sizeof(KtSid), sizeof(KtTaskChannel));
	config->task_queues = create_hash(context, "task queues", sizeof(KtSid), sizeof(KtTaskQueue));
	config->workflows = create_hash(context, "workflows", sizeof(((KtWorkflow *) 0)->key),
									sizeof(KtWorkflow));
	config->names = create_hash(context, "names", NAME_KEY_SIZE, sizeof(NameEntry));
	config->versions = create_hash(context, "workflow versions", sizeof(KtSid), sizeof(VersionEntry));
	config->only_workflows = create_hash(context, "only workflows", sizeof(KtSid), sizeof(OnlyEntry));
	return config;
}

KtConfig *
kt_config(void)
{
	static bool registered = false;

	if (!registered)
	{
		CacheRegisterRelcacheCallback(config_invalidated, (Datum) 0);
		registered = true;
	}
	if (backend_config_stale)
	{
		if (backend_config != NULL)
		{
			MemoryContext old = backend_config->context;

			backend_config = NULL;
			MemoryContextDelete(old);
		}
		signal_relation = kt_relation_oid("config_signal");
		backend_config_stale = false;
		backend_config_generation++;
		backend_config = kt_config_create(CacheMemoryContext);
	}
	return backend_config;
}

uint64
kt_config_generation(void)
{
	(void) kt_config();
	return backend_config_generation;
}

/* Statement trigger of every configuration table. */
Datum
kin_tr_config_changed(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("_config_changed() must be called as a trigger")));
	CacheInvalidateRelcacheByRelid(kt_relation_oid("config_signal"));
	return PointerGetDatum(NULL);
}

static const char *
keep(MemoryContext context, char *string)
{
	return string ? MemoryContextStrdup(context, string) : NULL;
}

static void *
allocate(void *context, size_t size)
{
	return MemoryContextAlloc((MemoryContext) context, size);
}

/*
 * The loaders below read one row, enter it under its key and give the entry;
 * NULL where there is no row.  What can fail comes before the entry is made.
 * They read what is committed: a transaction with an old snapshot must not leave
 * what it sees to those that follow it.
 */
const KtWorkspace *
kt_config_workspace(KtConfig *config, const KtSid *sid)
{
	static KtPlan plan = {
		"SELECT friendly_name, default_activity_sid, timeout_activity_sid, prioritize_queue_order"
		"  FROM kin_tr.workspaces WHERE sid = $1", "s"
	};
	KtWorkspace *workspace = hash_search(config->workspaces, sid, HASH_FIND, NULL);
	Datum		values[] = {SidPGetDatum(sid)};

	if (workspace != NULL || kt_spi_latest(&plan, values, NULL) == 0)
		return workspace;
	workspace = hash_search(config->workspaces, sid, HASH_ENTER, NULL);
	workspace->friendly_name = keep(config->context, kt_column_cstring(0, 1));
	workspace->default_activity = kt_column_sid(0, 2);
	workspace->timeout_activity = kt_column_sid(0, 3);
	workspace->lifo_first = strcmp(kt_column_cstring(0, 4), "LIFO") == 0;
	return workspace;
}

const KtActivity *
kt_config_activity(KtConfig *config, const KtSid *sid)
{
	static KtPlan plan = {
		"SELECT workspace_sid, friendly_name, available FROM kin_tr.activities WHERE sid = $1", "s"
	};
	KtActivity *activity = hash_search(config->activities, sid, HASH_FIND, NULL);
	Datum		values[] = {SidPGetDatum(sid)};

	if (activity != NULL || kt_spi_latest(&plan, values, NULL) == 0)
		return activity;
	activity = hash_search(config->activities, sid, HASH_ENTER, NULL);
	activity->workspace = kt_column_sid(0, 1);
	activity->friendly_name = keep(config->context, kt_column_cstring(0, 2));
	activity->available = kt_column_bool(0, 3);
	return activity;
}

const KtTaskChannel *
kt_config_task_channel(KtConfig *config, const KtSid *sid)
{
	static KtPlan plan = {
		"SELECT workspace_sid, unique_name, channel_optimized_routing"
		"  FROM kin_tr.task_channels WHERE sid = $1", "s"
	};
	KtTaskChannel *channel = hash_search(config->task_channels, sid, HASH_FIND, NULL);
	Datum		values[] = {SidPGetDatum(sid)};

	if (channel != NULL || kt_spi_latest(&plan, values, NULL) == 0)
		return channel;
	channel = hash_search(config->task_channels, sid, HASH_ENTER, NULL);
	channel->workspace = kt_column_sid(0, 1);
	channel->unique_name = keep(config->context, kt_column_cstring(0, 2));
	channel->optimized = kt_column_bool(0, 3);
	return channel;
}

const KtTaskQueue *
kt_config_task_queue(KtConfig *config, const KtSid *sid)
{
	static KtPlan plan = {
		"SELECT workspace_sid, friendly_name, target_workers, max_reserved_workers, task_order"
		"  FROM kin_tr.task_queues WHERE sid = $1", "s"
	};
	KtTaskQueue *queue = hash_search(config->task_queues, sid, HASH_FIND, NULL);
	Datum		values[] = {SidPGetDatum(sid)};
	char	   *target;
	const KtExpr *expression = NULL;
	KtExprError error;
	MemoryContext context;

	if (queue != NULL || kt_spi_latest(&plan, values, NULL) == 0)
		return queue;
	/* Of the caller's until nothing can fail any more. */
	context = AllocSetContextCreate(CurrentMemoryContext, "kin_tr task queue", ALLOCSET_SMALL_SIZES);
	target = kt_column_cstring(0, 3);
	if (strspn(target, " \t\r\n") < strlen(target))
	{
		expression = kt_expr_compile(target, strlen(target), KT_PLACE_QUEUE, allocate, context, &error);
		if (expression == NULL)
			elog(ERROR, "target_workers of task queue %s: %s", kt_sid_cstring(sid), error.message);
	}
	queue = hash_search(config->task_queues, sid, HASH_ENTER, NULL);
	queue->workspace = kt_column_sid(0, 1);
	queue->friendly_name = keep(context, kt_column_cstring(0, 2));
	queue->target_workers = keep(context, target);
	queue->expression = expression;
	queue->max_reserved_workers = kt_column_int32(0, 4);
	queue->lifo = strcmp(kt_column_cstring(0, 5), "LIFO") == 0;
	queue->context = context;
	MemoryContextSetParent(context, config->context);
	return queue;
}

const KtWorkflow *
kt_config_workflow(KtConfig *config, const KtSid *sid, int32 version)
{
	static KtPlan plan = {
		"SELECT w.workspace_sid, w.friendly_name, w.task_reservation_timeout, w.default_priority,"
		"       v.configuration, w.evaluated_version"
		"  FROM kin_tr.workflows w JOIN kin_tr.workflow_versions v ON v.workflow_sid = w.sid"
		" WHERE w.sid = $1 AND v.number = $2", "si"
	};
	struct
	{
		KtSid		sid;
		int32		version;
	}			key;
	KtWorkflow *workflow;
	Datum		values[] = {SidPGetDatum(sid), Int32GetDatum(version)};
	KtWorkflowConfiguration *configuration;
	MemoryContext context;
	MemoryContext old;
	bool		isnull;

	memset(&key, 0, sizeof(key));
	key.sid = *sid;
	key.version = version;
	workflow = hash_search(config->workflows, &key, HASH_FIND, NULL);
	if (workflow != NULL || kt_spi_latest(&plan, values, NULL) == 0)
		return workflow;
	context = AllocSetContextCreate(CurrentMemoryContext, "kin_tr workflow", ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(context);
	/* Sids of queues were checked when it was written; one may be gone since. */
	configuration = kt_workflow_open(sid, DatumGetJsonbPCopy(kt_column(0, 5, &isnull)), kt_queue_lookup, NULL);
	MemoryContextSwitchTo(old);
	workflow = hash_search(config->workflows, &key, HASH_ENTER, NULL);
	workflow->workspace = kt_column_sid(0, 1);
	workflow->friendly_name = keep(context, kt_column_cstring(0, 2));
	workflow->reservation_timeout = kt_column_int32(0, 3);
	workflow->default_priority = kt_column_int32(0, 4);
	workflow->evaluated_version = kt_column_int32(0, 6);
	workflow->configuration = configuration;
	workflow->context = context;
	MemoryContextSetParent(context, config->context);
	return workflow;
}

static void
forget_queues(KtConfig *config, const KtSid *workspace)
{
	HASH_SEQ_STATUS scan;
	KtTaskQueue *queue;

	hash_seq_init(&scan, config->task_queues);
	while ((queue = hash_seq_search(&scan)) != NULL)
		if (kt_sid_equal(&queue->workspace, workspace))
		{
			MemoryContextDelete(queue->context);
			hash_search(config->task_queues, &queue->sid, HASH_REMOVE, NULL);
		}
}

static void
forget_workflows(KtConfig *config, const KtSid *workspace)
{
	HASH_SEQ_STATUS scan;
	KtWorkflow *workflow;

	hash_seq_init(&scan, config->workflows);
	while ((workflow = hash_seq_search(&scan)) != NULL)
		if (kt_sid_equal(&workflow->workspace, workspace))
		{
			MemoryContextDelete(workflow->context);
			hash_search(config->workflows, &workflow->key, HASH_REMOVE, NULL);
		}
}

static void
forget_activities(KtConfig *config, const KtSid *workspace)
{
	HASH_SEQ_STATUS scan;
	KtActivity *activity;

	hash_seq_init(&scan, config->activities);
	while ((activity = hash_seq_search(&scan)) != NULL)
		if (kt_sid_equal(&activity->workspace, workspace))
		{
			pfree(unconstify(char *, activity->friendly_name));
			hash_search(config->activities, &activity->sid, HASH_REMOVE, NULL);
		}
}

static void
forget_channels(KtConfig *config, const KtSid *workspace)
{
	HASH_SEQ_STATUS scan;
	KtTaskChannel *channel;

	hash_seq_init(&scan, config->task_channels);
	while ((channel = hash_seq_search(&scan)) != NULL)
		if (kt_sid_equal(&channel->workspace, workspace))
		{
			pfree(unconstify(char *, channel->unique_name));
			hash_search(config->task_channels, &channel->sid, HASH_REMOVE, NULL);
		}
}

/* Names and versions are found again soon, also those of other workspaces. */
static void
forget_all(HTAB *hash)
{
	HASH_SEQ_STATUS scan;
	void	   *entry;

	/* An entry begins with its key. */
	hash_seq_init(&scan, hash);
	while ((entry = hash_seq_search(&scan)) != NULL)
		hash_search(hash, entry, HASH_REMOVE, NULL);
}

void
kt_config_forget(KtConfig *config, const KtSid *sid)
{
	KtWorkspace *workspace = hash_search(config->workspaces, sid, HASH_FIND, NULL);

	forget_queues(config, sid);
	forget_workflows(config, sid);
	forget_activities(config, sid);
	forget_channels(config, sid);
	forget_all(config->names);
	forget_all(config->versions);
	hash_search(config->only_workflows, sid, HASH_REMOVE, NULL);
	if (workspace != NULL)
	{
		pfree(unconstify(char *, workspace->friendly_name));
		hash_search(config->workspaces, sid, HASH_REMOVE, NULL);
	}
}

int32
kt_config_workflow_version(KtConfig *config, const KtSid *sid)
{
	static KtPlan plan = {"SELECT current_version FROM kin_tr.workflows WHERE sid = $1", "s"};
	VersionEntry *entry = hash_search(config->versions, sid, HASH_FIND, NULL);
	Datum		values[] = {SidPGetDatum(sid)};

	if (entry != NULL)
		return entry->version;
	if (kt_spi_latest(&plan, values, NULL) == 0)
		return 0;
	entry = hash_search(config->versions, sid, HASH_ENTER, NULL);
	entry->version = kt_column_int32(0, 1);
	return entry->version;
}

bool
kt_config_only_workflow(KtConfig *config, const KtSid *workspace, KtSid *sid)
{
	static KtPlan plan = {
		"SELECT sid FROM kin_tr.workflows WHERE workspace_sid = $1 LIMIT 2", "s"
	};
	OnlyEntry  *entry = hash_search(config->only_workflows, workspace, HASH_FIND, NULL);
	Datum		values[] = {SidPGetDatum(workspace)};

	if (entry == NULL)
	{
		uint64		found = kt_spi_latest(&plan, values, NULL);

		entry = hash_search(config->only_workflows, workspace, HASH_ENTER, NULL);
		memset(&entry->workflow, 0, sizeof(KtSid));
		if (found == 1)
			entry->workflow = kt_column_sid(0, 1);
	}
	*sid = entry->workflow;
	return !kt_sid_is_null(sid);
}

static Kind *
find_kind(const char *kind)
{
	for (int i = 0; i < lengthof(kinds); i++)
		if (strncmp(kinds[i].kind, kind, 2) == 0)
			return &kinds[i];
	return NULL;
}

const char *
kt_kind_name(const char *kind)
{
	Kind	   *found = find_kind(kind);

	return found ? found->name : "object";
}

bool
kt_config_workspace_of(const KtSid *sid, KtSid *workspace)
{
	Kind	   *kind = find_kind(sid->kind);
	Datum		values[] = {SidPGetDatum(sid)};
	KtSpi		spi;
	bool		found;

	if (kind == NULL || kind->workspace.sql == NULL)
		return false;
	kt_spi_begin(&spi);
	found = kt_spi(&kind->workspace, values, NULL) > 0;
	if (found)
		*workspace = kt_column_sid(0, 1);
	kt_spi_end(&spi);
	return found;
}

/* What a name is looked for by; false where no object can have it. */
static bool
name_datum(const char *kind, const char *name, Datum *value)
{
	bytea	   *key;

	/* In a worker's name case does not count. */
	if (strcmp(kind, KT_WORKER) != 0)
	{
		*value = kt_text_datum(name);
		return true;
	}
	key = kt_name_key(name);
	*value = PointerGetDatum(key);
	return key != NULL;
}

/*
 * A SID goes before a name; a name shaped like one is refused at creation, so
 * the two cannot be confused.
 */
static bool
look_up(const char *kind_letters, const char *name, const KtSid *workspace, KtSid *sid)
{
	Kind	   *kind = find_kind(kind_letters);
	Datum		values[2];

	if (kt_sid_parse(name, strlen(name), sid))
	{
		values[0] = SidPGetDatum(sid);
		values[1] = SidPGetDatum(workspace);
		return kt_sid_is(sid, kind_letters) && kt_spi_latest(&kind->by_sid, values, NULL) > 0;
	}
	values[0] = SidPGetDatum(workspace);
	if (!name_datum(kind_letters, name, &values[1]) || kt_spi_latest(&kind->by_name, values, NULL) == 0)
		return false;
	*sid = kt_column_sid(0, 1);
	return true;
}

bool
kt_config_find(KtConfig *config, const char *kind, const char *name, const KtSid *workspace,
			   KtSid *sid)
{
	char		key[NAME_KEY_SIZE] = {0};
	NameEntry  *entry;
	/* Workers come and go without a word to this cache. */
	bool		cached = strncmp(kind, KT_WORKER, 2) != 0;

	if (strlen(name) >= NAME_KEY_SIZE - 2 - sizeof(KtSid))
		return false;
	if (!cached)
		return look_up(kind, name, workspace, sid);
	memcpy(key, kind, 2);
	memcpy(key + 2, workspace, sizeof(KtSid));
	strcpy(key + 2 + sizeof(KtSid), name);
	entry = hash_search(config->names, key, HASH_FIND, NULL);
	if (entry == NULL)
	{
		if (!look_up(kind, name, workspace, sid))
			return false;
		entry = hash_search(config->names, key, HASH_ENTER, NULL);
		entry->sid = *sid;
	}
	*sid = entry->sid;
	return true;
}

List *
kt_config_names(const char *kind, const KtSid *workspace, bool *complete)
{
	List	   *names = NIL;
	Datum		values[] = {SidPGetDatum(workspace), Int64GetDatum(NAMES_READ + 1)};
	uint64		n = kt_spi_latest(&find_kind(kind)->names, values, NULL);

	*complete = n <= NAMES_READ;
	for (uint64 i = 0; i < Min(n, NAMES_READ); i++)
		names = lappend(names, kt_column_cstring(i, 1));
	return names;
}

/* "a task queue", "an activity" */
static char *
with_article(const char *kind)
{
	const char *name = kt_kind_name(kind);

	return psprintf("%s %s", strchr("aeo", name[0]) != NULL ? "an" : "a", name);
}

char *
kt_kind_mistaken(const char *kind, const char *text)
{
	KtSid		sid;

	if (!kt_sid_parse(text, strlen(text), &sid) || kt_sid_is(&sid, kind))
		return NULL;
	if (find_kind(sid.kind) != NULL)
		return psprintf("It is the SID of %s.", with_article(sid.kind));
	return psprintf("The SID of %s begins with %.2s.", with_article(kind), kind);
}

/* The caller may read the workspace, and so may be told of what is in it. */
static void
no_such_object(const char *kind, const char *name, const KtSid *workspace)
{
	const KtWorkspace *where = kt_config_workspace(kt_config(), workspace);
	const char *called = where ? where->friendly_name : kt_sid_cstring(workspace);
	char	   *mistaken = kt_kind_mistaken(kind, name);
	bool		complete;
	List	   *names = kt_config_names(kind, workspace, &complete);
	const char *nearest = kt_text_nearest(name, names);

	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("%s \"%s\" does not exist", kt_kind_name(kind), kt_text_excerpt(name)),
			 mistaken ? errdetail("%s", mistaken) :
			 names == NIL ? errdetail("Workspace \"%s\" has no %s.", called, kt_kind_name(kind)) :
			 errdetail("Workspace \"%s\" has %s.", called, kt_text_list(names, complete)),
			 nearest ? errhint("Perhaps \"%s\" is meant.", nearest) :
			 errhint("Give the SID or the name of %s of this workspace.", with_article(kind))));
}

KtSid
kt_config_sid_argument(FunctionCallInfo fcinfo, int argument, const char *kind)
{
	const char *name = kt_kind_name(kind);
	char	   *given;
	char	   *mistaken;
	KtSid		sid;

	if (PG_ARGISNULL(argument))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", name),
				 errhint("A %s's sid is %s and 32 hexadecimal digits.", name, kind)));
	given = kt_limit_argument(fcinfo, argument, name);
	if (kt_sid_parse(given, strlen(given), &sid) && kt_sid_is(&sid, kind))
		return sid;
	mistaken = kt_kind_mistaken(kind, given);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("invalid sid of a %s: \"%s\"", name, kt_text_excerpt(given)),
			 mistaken ? errdetail("%s", mistaken) : 0,
			 errhint("A %s's sid is %s and 32 hexadecimal digits.", name, kind)));
}

/* _check_sid(sid text, kind text) -> sid: the same, for functions in PL/pgSQL. */
Datum
kin_tr_check_sid(PG_FUNCTION_ARGS)
{
	KtSid	   *result = palloc(sizeof(KtSid));

	*result = kt_config_sid_argument(fcinfo, 0, text_to_cstring(PG_GETARG_TEXT_PP(1)));
	PG_RETURN_SID_P(result);
}

KtSid
kt_config_resolve(KtConfig *config, const char *kind, const char *name, const KtSid *workspace)
{
	KtSid		sid;

	if (!kt_config_find(config, kind, name, workspace, &sid))
		no_such_object(kind, name, workspace);
	return sid;
}

bool
kt_config_find_and_lock(const char *kind, const char *name, const KtSid *workspace, KtSid *sid)
{
	KtSid		locked = {{0}};

	for (;;)
	{
		uint64		generation = kt_config_generation();

		if (!kt_config_find(kt_config(), kind, name, workspace, sid))
			return false;
		/* What is found again is locked already, and so is there. */
		if (kt_sid_equal(sid, &locked))
			return true;
		(void) kt_lock_object(sid, ShareLock, false);
		/* To wait for a lock may bring news by which it is gone, or another has its name. */
		if (kt_config_generation() == generation)
			return true;
		locked = *sid;
		CHECK_FOR_INTERRUPTS();
	}
}

KtSid
kt_config_resolve_and_lock(const char *kind, const char *name, const KtSid *workspace)
{
	KtSid		sid;

	if (!kt_config_find_and_lock(kind, name, workspace, &sid))
		no_such_object(kind, name, workspace);
	return sid;
}

/*
 * Without a workspace a sid is believed: the configuration was checked when it
 * was written, and a queue that a workflow names cannot be deleted.
 */
bool
kt_queue_lookup(void *context, const char *name, KtSid *sid)
{
	if (context == NULL)
		return kt_sid_parse(name, strlen(name), sid);
	return kt_config_find(kt_config(), KT_TASK_QUEUE, name, (KtSid *) context, sid);
}

bool
kt_config_lock_exclusive(const KtSid *sid)
{
	return kt_lock_object(sid, ExclusiveLock, true);
}

/*
 * _lock_for_delete(object sid): refuses while an open transaction uses it, for
 * to wait for it would make everybody else who wants to use it wait, too.
 */
Datum
kin_tr_lock_for_delete(PG_FUNCTION_ARGS)
{
	KtSid	   *sid = PG_GETARG_SID_P(0);

	/* An old snapshot would not show what has come to use it since. */
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("cannot delete a %s in a transaction of isolation level %s",
						kt_kind_name(sid->kind),
						IsolationIsSerializable() ? "SERIALIZABLE" : "REPEATABLE READ"),
				 errhint("Delete it in a READ COMMITTED transaction.")));
	if (!kt_config_lock_exclusive(sid))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("%s %s is being used by an open transaction",
						kt_kind_name(sid->kind), kt_sid_cstring(sid)),
				 errhint("Try again when that transaction has ended.")));
	PG_RETURN_VOID();
}

/* _try_lock_for_delete(object sid) -> boolean: the same, where false is an answer. */
Datum
kin_tr_try_lock_for_delete(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!IsolationUsesXactSnapshot() && kt_config_lock_exclusive(PG_GETARG_SID_P(0)));
}

/* _resolve(kind text, name text, workspace sid): for functions in PL/pgSQL. */
Datum
kin_tr_resolve(PG_FUNCTION_ARGS)
{
	KtSid	   *result = palloc(sizeof(KtSid));
	char	   *kind;
	char	   *name;
	KtSpi		spi;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("kind and workspace must not be null")));
	kind = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", kt_kind_name(kind)),
				 errhint("Give its SID or its name.")));
	name = text_to_cstring(PG_GETARG_TEXT_PP(1));
	kt_spi_begin(&spi);
	*result = kt_config_resolve(kt_config(), kind, name, PG_GETARG_SID_P(2));
	kt_spi_end(&spi);
	PG_RETURN_SID_P(result);
}

/*
 * _all_of(kind text, workspace sid) -> sid[]: workers or task channels.  Under an
 * old snapshot one that has been made since would be passed over.
 */
Datum
kin_tr_all_of(PG_FUNCTION_ARGS)
{
	static KtPlan workers = {
		"SELECT coalesce(array_agg(sid), '{}') FROM kin_tr.workers WHERE workspace_sid = $1", "s"
	};
	static KtPlan task_channels = {
		"SELECT coalesce(array_agg(sid), '{}') FROM kin_tr.task_channels WHERE workspace_sid = $1", "s"
	};
	char	   *kind = text_to_cstring(PG_GETARG_TEXT_PP(0));
	Datum		values[] = {PG_GETARG_DATUM(1)};
	Datum		result;
	bool		isnull;
	KtSpi		spi;

	kt_spi_begin(&spi);
	kt_spi_latest(strcmp(kind, KT_WORKER) == 0 ? &workers : &task_channels, values, NULL);
	result = SPI_datumTransfer(kt_column(0, 1, &isnull), false, -1);
	kt_spi_end(&spi);
	PG_RETURN_DATUM(result);
}

/* _lock_pairs(workspace sid, alone boolean): of workers and task channels. */
Datum
kin_tr_lock_pairs(PG_FUNCTION_ARGS)
{
	(void) kt_lock_object(PG_GETARG_SID_P(0), PG_GETARG_BOOL(1) ? ExclusiveLock : ShareLock, false);
	PG_RETURN_VOID();
}
