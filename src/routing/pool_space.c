/*
 * pool_space.c
 *		A workspace as the router sees it, and the steps of its workflows.
 *
 * A worker's values that no expression of the workspace reads do not matter, so
 * the expressions decide which ones are kept.
 */
#include "postgres.h"

#include "common/hashfn.h"

#include "base/name.h"
#include "base/spi.h"
#include "routing/batch.h"
#include "routing/pool_private.h"

typedef struct Fetch
{
	KtConfig   *config;
	KtConfigured *entry;
} Fetch;

static void
fetch(void *context)
{
	Fetch	   *fetch = context;
	const KtConfiguredKey *key = &fetch->entry->key;

	fetch->entry->object = kt_sid_is(&key->sid, KT_TASK_QUEUE) ?
		(const void *) kt_config_task_queue(fetch->config, &key->sid) :
		(const void *) kt_config_workflow(fetch->config, &key->sid, key->version);
}

/* One that cannot be compiled concerns nobody but those who use it. */
static const void *
find_configured(KtPool *pool, const KtSid *sid, int32 version)
{
	KtConfiguredKey key;
	KtConfigured *entry;
	Fetch		wanted = {pool->config};
	ErrorData  *error;
	bool		found;

	memset(&key, 0, sizeof(key));
	key.sid = *sid;
	key.version = version;
	entry = hash_search(pool->configured, &key, HASH_ENTER, &found);
	if (found)
		return entry->object;
	entry->object = NULL;
	wanted.entry = entry;
	error = kt_try(fetch, &wanted);
	if (error != NULL)
	{
		pool->fault(pool->fault_context, sid, error);
		FreeErrorData(error);
	}
	return entry->object;
}

const KtTaskQueue *
kt_pool_queue(KtPool *pool, const KtSid *queue)
{
	return find_configured(pool, queue, 0);
}

const KtWorkflow *
kt_pool_workflow(KtPool *pool, const KtSid *workflow, int32 version)
{
	return find_configured(pool, workflow, version);
}

int
kt_space_path(KtSpace *space, const KtPath *path)
{
	KtPathEntry *entry = hash_search(space->path_numbers, &path->text, HASH_FIND, NULL);

	return entry != NULL ? entry->number : -1;
}

int *
kt_space_paths(KtPool *pool, KtSpace *space, const KtExpr *expression)
{
	int		   *numbers = kt_pool_alloc(pool, sizeof(int) * Max(expression->npaths, 1));

	for (uint32 i = 0; i < expression->npaths; i++)
	{
		bool		of_worker = expression->paths[i].subject == KT_SUBJECT_WORKER;

		numbers[i] = of_worker ? kt_space_path(space, &expression->paths[i]) : -1;
		if (of_worker && numbers[i] < 0)
		{
			pfree(numbers);
			return NULL;
		}
	}
	return numbers;
}

/* Each class has a value for each of them. */
static bool
note_path(KtPool *pool, KtSpace *space, const KtPath *path)
{
	KtPathEntry *entry;

	if (path->subject != KT_SUBJECT_WORKER || kt_space_path(space, path) >= 0)
		return true;
	if (space->npaths == KT_MAX_WORKER_PATHS)
		return false;
	if (space->npaths % 16 == 0)
	{
		Size		n = space->npaths + 16;

		space->paths = space->paths == NULL ? kt_pool_alloc(pool, sizeof(KtPath) * n) :
			repalloc(space->paths, sizeof(KtPath) * n);
		space->path_is_tied = space->path_is_tied == NULL ? kt_pool_alloc(pool, sizeof(bool) * n) :
			repalloc(space->path_is_tied, sizeof(bool) * n);
	}
	entry = hash_search(space->path_numbers, &path->text, HASH_ENTER, NULL);
	entry->number = space->npaths++;
	space->paths[entry->number] = *path;
	space->path_is_tied[entry->number] = false;
	return true;
}

/* False where it reads more than there is room for. */
static bool
note_expression(KtPool *pool, KtSpace *space, const KtExpr *expression)
{
	KtTie		tie;

	if (expression == NULL)
		return true;
	for (uint32 i = 0; i < expression->npaths; i++)
		if (!note_path(pool, space, &expression->paths[i]))
			return false;
	if (kt_expr_tie(expression, &tie))
		space->path_is_tied[kt_space_path(space, &expression->paths[tie.worker_path])] = true;
	return true;
}

static bool
note_target(KtPool *pool, KtSpace *space, const KtTarget *target)
{
	if (target == NULL)
		return true;
	for (uint32 i = 0; target->order_by != NULL && i < target->order_by->nkeys; i++)
		if (!note_path(pool, space, &target->order_by->keys[i].path))
			return false;
	return note_expression(pool, space, target->expression);
}

static bool
note_workflow(KtPool *pool, KtSpace *space, const KtWorkflow *workflow)
{
	const KtWorkflowConfiguration *configuration = workflow != NULL ? workflow->configuration : NULL;
	bool		noted = true;

	for (int f = 0; configuration != NULL && f < configuration->nfilters; f++)
		for (int t = 0; t < configuration->filters[f].ntargets; t++)
			noted = note_target(pool, space, &configuration->filters[f].targets[t]) && noted;
	return (configuration == NULL || note_target(pool, space, configuration->default_target)) && noted;
}

/* Steps and queues that read more wait for the workspace to be tidied. */
static void
tell_of_too_many(KtPool *pool, const KtSid *object)
{
	ErrorData	error = {.sqlerrcode = ERRCODE_PROGRAM_LIMIT_EXCEEDED};

	error.message = psprintf("the expressions of its workspace read more than %d different attributes of workers",
							 KT_MAX_WORKER_PATHS);
	pool->fault(pool->fault_context, object, &error);
}

/* Which values of a worker does any expression of the workspace read? */
static void
note_paths(KtPool *pool, KtSpace *space)
{
	static KtPlan queues = {"SELECT sid FROM kin_tr.task_queues WHERE workspace_sid = $1", "s"};
	static KtPlan versions = {
		"SELECT workflow_sid, number FROM kin_tr.workflow_versions WHERE workspace_sid = $1", "s"
	};
	Datum		values[] = {SidPGetDatum(&space->sid)};
	uint64		n = kt_spi_latest(&queues, values, NULL);
	SPITupleTable *table = SPI_tuptable;

	for (uint64 i = 0; i < n; i++)
	{
		KtSid		sid = (SPI_tuptable = table, kt_column_sid(i, 1));
		const KtTaskQueue *queue = kt_pool_queue(pool, &sid);

		if (queue != NULL && !note_expression(pool, space, queue->expression))
			tell_of_too_many(pool, &sid);
	}
	n = kt_spi_latest(&versions, values, NULL);
	table = SPI_tuptable;
	for (uint64 i = 0; i < n; i++)
	{
		KtSid		sid = (SPI_tuptable = table, kt_column_sid(i, 1));
		int32		number = kt_column_int32(i, 2);

		if (!note_workflow(pool, space, kt_pool_workflow(pool, &sid, number)))
			tell_of_too_many(pool, &sid);
	}
}

static void
load_channels(KtPool *pool, KtSpace *space)
{
	static KtPlan channels = {
		"SELECT sid FROM kin_tr.task_channels WHERE workspace_sid = $1 ORDER BY sid", "s"
	};
	Datum		values[] = {SidPGetDatum(&space->sid)};
	uint64		n = kt_spi_latest(&channels, values, NULL);
	SPITupleTable *table = SPI_tuptable;

	space->channels = kt_pool_alloc(pool, sizeof(KtTaskChannel *) * Max(n, 1));
	space->idle = kt_pool_alloc(pool, sizeof(dlist_head) * Max(n, 1));
	for (uint64 i = 0; i < n; i++)
	{
		KtSid		sid = (SPI_tuptable = table, kt_column_sid(i, 1));
		const KtTaskChannel *channel = kt_config_task_channel(pool->config, &sid);

		if (channel != NULL)
		{
			dlist_init(&space->idle[space->nchannels]);
			space->channels[space->nchannels++] = channel;
		}
	}
}

static HTAB *
make_names(KtPool *pool)
{
	HASHCTL		control = {
		.keysize = sizeof(bytea *), .entrysize = sizeof(KtNameEntry), .hcxt = pool->context,
		.hash = kt_name_hash, .match = kt_name_match
	};

	return hash_create("names", 64, &control, HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
}

static uint32
hash_path(const void *key, Size size)
{
	const char *text = *(const char *const *) key;

	return hash_bytes((const unsigned char *) text, strlen(text));
}

static int
compare_paths(const void *a, const void *b, Size size)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

static HTAB *
make_path_numbers(KtPool *pool)
{
	HASHCTL		control = {
		.keysize = sizeof(char *), .entrysize = sizeof(KtPathEntry), .hcxt = pool->context,
		.hash = hash_path, .match = compare_paths
	};

	return hash_create("paths", 64, &control, HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
}

bool
kt_pool_may_use(const KtPool *pool, const KtSid *workspace)
{
	for (int i = 0; i < pool->nallowed; i++)
		if (kt_sid_equal(&pool->allowed[i], workspace))
			return true;
	return !pool->restricted;
}

KtSpace *
kt_pool_space(KtPool *pool, const KtSid *workspace)
{
	bool		found;
	KtSpace    *space = hash_search(pool->spaces, workspace, HASH_FIND, NULL);
	const KtWorkspace *configured;

	if (space != NULL)
		return space;
	if (!kt_pool_may_use(pool, workspace) ||
		(configured = kt_config_workspace(pool->config, workspace)) == NULL)
		return NULL;
	space = hash_search(pool->spaces, workspace, HASH_ENTER, &found);
	memset((char *) space + sizeof(KtSid), 0, sizeof(KtSpace) - sizeof(KtSid));
	space->lifo_first = configured->lifo_first;
	dlist_init(&space->empty_classes);
	kt_pool_init_candidates(pool, space);
	space->classes_by_hash = kt_pool_hash(pool, "classes", sizeof(uint64), sizeof(KtClassEntry));
	space->classes_by_value = kt_pool_hash(pool, "classes by value", sizeof(uint64), sizeof(KtClassesEntry));
	space->groups_by_value = kt_pool_hash(pool, "groups by value", sizeof(uint64), sizeof(KtGroupsEntry));
	space->pinned_by_sid = kt_pool_hash(pool, "pinned by sid", sizeof(KtSid), sizeof(KtPinnedEntry));
	space->queues = kt_pool_hash(pool, "queues", sizeof(KtSid), sizeof(KtQueueClasses));
	space->path_numbers = make_path_numbers(pool);
	space->names = make_names(pool);
	load_channels(pool, space);
	note_paths(pool, space);
	return space;
}

int
kt_space_channel(KtSpace *space, const KtSid *channel)
{
	for (int i = 0; i < space->nchannels; i++)
		if (kt_sid_equal(&space->channels[i]->sid, channel))
			return i;
	return -1;
}

static bool
knows_order(KtSpace *space, const KtOrder *order)
{
	for (uint32 i = 0; order != NULL && i < order->nkeys; i++)
		if (kt_space_path(space, &order->keys[i].path) < 0)
			return false;
	return true;
}

KtStepPlan *
kt_pool_step(KtPool *pool, KtSpace *space, const KtSid *workflow, int32 version, int32 filter,
			 int32 target)
{
	KtStepPlan	key;
	KtStepPlan *step;
	const KtWorkflow *configured;
	const KtTarget *step_target;
	int		   *paths = NULL;

	memset(&key, 0, sizeof(key));
	key.key.workflow = *workflow;
	key.key.version = version;
	key.key.filter = filter;
	key.key.target = target;
	step = hash_search(pool->steps, &key.key, HASH_FIND, NULL);
	if (step != NULL)
		return step;
	configured = kt_pool_workflow(pool, workflow, version);
	if (configured == NULL)
		return NULL;
	step_target = filter == configured->configuration->nfilters ?
		configured->configuration->default_target :
		&configured->configuration->filters[filter].targets[target];
	/* A version newer than the pool: the event that tells of it will load all anew. */
	if (!knows_order(space, step_target->order_by) ||
		(step_target->expression != NULL &&
		 (paths = kt_space_paths(pool, space, step_target->expression)) == NULL))
		return NULL;
	step = hash_search(pool->steps, &key.key, HASH_ENTER, NULL);
	step->space = space;
	step->target = step_target;
	step->worker_paths = paths;
	step->has_tie = step_target->expression != NULL && kt_expr_tie(step_target->expression, &step->tie);
	step->order_paths = NULL;
	if (step->has_tie)
		kt_vector_add(pool, &space->tied_steps, step);
	if (step_target->order_by != NULL)
	{
		const KtOrder *order = step_target->order_by;

		step->order_paths = kt_pool_alloc(pool, sizeof(int) * order->nkeys);
		for (uint32 i = 0; i < order->nkeys; i++)
			step->order_paths[i] = kt_space_path(space, &order->keys[i].path);
	}
	return step;
}
