/*
 * pool_space.c
 *		A workspace as the router sees it, and the steps of its workflows.
 *
 * A worker's values that no expression of the workspace reads do not matter, so
 * the expressions decide which ones are kept.
 */
#include "postgres.h"

#include "utils/memutils.h"

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
find_configured(KtPool *pool, const KtSpace *space, const KtSid *sid, int32 version)
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
	entry->workspace = space->sid;
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
kt_pool_queue(KtPool *pool, const KtSpace *space, const KtSid *queue)
{
	return find_configured(pool, space, queue, 0);
}

const KtWorkflow *
kt_pool_workflow(KtPool *pool, const KtSpace *space, const KtSid *workflow, int32 version)
{
	return find_configured(pool, space, workflow, version);
}

const KtSid *
kt_pool_faulty(KtPool *pool, const KtSid *object)
{
	const KtSid *workspace = NULL;
	HASH_SEQ_STATUS scan;
	KtConfigured *entry;

	hash_seq_init(&scan, pool->configured);
	while ((entry = hash_seq_search(&scan)) != NULL)
		if (kt_sid_equal(&entry->key.sid, object))
			workspace = &entry->workspace;
	return workspace;
}

void *
kt_space_alloc(KtSpace *space, Size size)
{
	return MemoryContextAllocZero(space->context, size);
}

/* ------------------------------------------------------------------ paths */

/* Where a path is among those by text, or would be. */
static int
find_place(const KtSpace *space, const char *text)
{
	int			low = 0;
	int			high = space->npaths;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (strcmp(space->paths[space->paths_by_text[middle]].text, text) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int
kt_space_path(KtSpace *space, const KtPath *path)
{
	int			place = find_place(space, path->text);
	int			number = place < space->npaths ? space->paths_by_text[place] : -1;

	return number >= 0 && strcmp(space->paths[number].text, path->text) == 0 ? number : -1;
}

int *
kt_space_paths(KtSpace *space, const KtExpr *expression)
{
	int		   *numbers = kt_space_alloc(space, sizeof(int) * Max(expression->npaths, 1));

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

static void
make_room_for_paths(KtSpace *space)
{
	Size		n = space->npaths + 16;

	if (space->npaths == 0)
	{
		space->paths = kt_space_alloc(space, sizeof(KtPath) * n);
		space->path_is_tied = kt_space_alloc(space, sizeof(bool) * n);
		space->paths_by_text = kt_space_alloc(space, sizeof(int) * n);
	}
	else if (space->npaths % 16 == 0)
	{
		space->paths = repalloc(space->paths, sizeof(KtPath) * n);
		space->path_is_tied = repalloc(space->path_is_tied, sizeof(bool) * n);
		space->paths_by_text = repalloc(space->paths_by_text, sizeof(int) * n);
	}
}

/* Each class has a value for each of them; false where there is no room for more. */
static bool
note_path(KtSpace *space, const KtPath *path)
{
	int			place;

	if (path->subject != KT_SUBJECT_WORKER || kt_space_path(space, path) >= 0)
		return true;
	if (space->npaths == KT_MAX_WORKER_PATHS)
		return false;
	make_room_for_paths(space);
	place = find_place(space, path->text);
	memmove(&space->paths_by_text[place + 1], &space->paths_by_text[place], sizeof(int) * (space->npaths - place));
	space->paths_by_text[place] = space->npaths;
	space->paths[space->npaths] = *path;
	space->path_is_tied[space->npaths] = false;
	space->npaths++;
	return true;
}

static bool
note_expression(KtSpace *space, const KtExpr *expression)
{
	KtTie		tie;

	if (expression == NULL)
		return true;
	for (uint32 i = 0; i < expression->npaths; i++)
		if (!note_path(space, &expression->paths[i]))
			return false;
	if (kt_expr_tie(expression, &tie))
		space->path_is_tied[kt_space_path(space, &expression->paths[tie.worker_path])] = true;
	return true;
}

static bool
note_target(KtSpace *space, const KtTarget *target)
{
	if (target == NULL)
		return true;
	for (uint32 i = 0; target->order_by != NULL && i < target->order_by->nkeys; i++)
		if (!note_path(space, &target->order_by->keys[i].path))
			return false;
	return note_expression(space, target->expression);
}

static bool
note_workflow(KtSpace *space, const KtWorkflow *workflow)
{
	const KtWorkflowConfiguration *configuration = workflow != NULL ? workflow->configuration : NULL;
	bool		noted = true;

	for (int f = 0; configuration != NULL && f < configuration->nfilters; f++)
		for (int t = 0; t < configuration->filters[f].ntargets; t++)
			noted = note_target(space, &configuration->filters[f].targets[t]) && noted;
	return (configuration == NULL || note_target(space, configuration->default_target)) && noted;
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
		"SELECT workflow_sid, number, number = max(number) OVER (PARTITION BY workflow_sid)"
		"  FROM kin_tr.workflow_versions WHERE workspace_sid = $1 ORDER BY workflow_sid, number", "s"
	};
	Datum		values[] = {SidPGetDatum(&space->sid)};
	uint64		n = kt_spi_latest(&queues, values, NULL);
	SPITupleTable *table = SPI_tuptable;
	bool		well = true;

	for (uint64 i = 0; i < n; i++)
	{
		KtSid		sid = (SPI_tuptable = table, kt_column_sid(i, 1));
		const KtTaskQueue *queue = kt_pool_queue(pool, space, &sid);

		if (queue == NULL)
			continue;
		if (note_expression(space, queue->expression))
			pool->fault(pool->fault_context, &sid, NULL);
		else
			tell_of_too_many(pool, &sid);
	}
	n = kt_spi_latest(&versions, values, NULL);
	table = SPI_tuptable;
	for (uint64 i = 0; i < n; i++)
	{
		KtSid		sid = (SPI_tuptable = table, kt_column_sid(i, 1));
		int32		number = kt_column_int32(i, 2);
		bool		last = kt_column_bool(i, 3);
		const KtWorkflow *workflow = kt_pool_workflow(pool, space, &sid, number);
		bool		noted = note_workflow(space, workflow);

		if (!noted)
			tell_of_too_many(pool, &sid);
		well = well && workflow != NULL && noted;
		if (last && well)
			pool->fault(pool->fault_context, &sid, NULL);
		well = well || last;
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

	space->channels = kt_space_alloc(space, sizeof(KtTaskChannel *) * Max(n, 1));
	space->idle = kt_space_alloc(space, sizeof(dlist_head) * Max(n, 1));
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

bool
kt_pool_may_use(const KtPool *pool, const KtSid *workspace)
{
	for (int i = 0; i < pool->nallowed; i++)
		if (kt_sid_equal(&pool->allowed[i], workspace))
			return true;
	return !pool->restricted;
}

/* All that follows from its configuration; false where it is gone. */
static bool
set_up(KtPool *pool, KtSpace *space)
{
	const KtWorkspace *configured = kt_config_workspace(pool->config, &space->sid);

	if (configured == NULL)
		return false;
	space->lifo_first = configured->lifo_first;
	dlist_init(&space->empty_classes);
	kt_pool_init_candidates(space);
	space->classes_by_hash = ktmap_create(space->context, KT_MAP_SIZE, NULL);
	space->classes_by_value = ktmap_create(space->context, KT_MAP_SIZE, NULL);
	space->groups_by_value = ktmap_create(space->context, KT_MAP_SIZE, NULL);
	space->pinned_by_sid = ktsidmap_create(space->context, KT_MAP_SIZE, NULL);
	space->queues = ktsidmap_create(space->context, KT_MAP_SIZE, NULL);
	load_channels(pool, space);
	note_paths(pool, space);
	return true;
}

static void
close_space(KtPool *pool, KtSpace *space)
{
	space->closed = true;
	dlist_push_tail(&pool->closed, &space->of_closed);
}

KtSpace *
kt_pool_space(KtPool *pool, const KtSid *workspace)
{
	KtSpace    *space = hash_search(pool->spaces, workspace, HASH_FIND, NULL);

	if (space != NULL)
		return space;
	if (!kt_pool_may_use(pool, workspace) || kt_config_workspace(pool->config, workspace) == NULL)
		return NULL;
	space = hash_search(pool->spaces, workspace, HASH_ENTER, NULL);
	memset((char *) space + sizeof(KtSid), 0, sizeof(KtSpace) - sizeof(KtSid));
	dlist_init(&space->workers);
	dlist_init(&space->groups);
	space->context = AllocSetContextCreate(pool->context, "kin_tr space", 0, ALLOCSET_SMALL_INITSIZE,
										   KT_POOL_BLOCK);
	(void) set_up(pool, space);
	if (pool->loading)
		close_space(pool, space);
	return space;
}

/* Of a workspace that is gone. */
static void
drop_space(KtPool *pool, KtSpace *space)
{
	while (!dlist_is_empty(&space->workers))
	{
		KtPoolWorker *worker = dlist_container(KtPoolWorker, of_space, dlist_head_node(&space->workers));

		kt_worker_close_all(pool, worker);
		kt_pool_remove_worker(pool, &worker->sid);
	}
	if (space->closed)
		dlist_delete(&space->of_closed);
	MemoryContextDelete(space->context);
	hash_search(pool->spaces, &space->sid, HASH_REMOVE, NULL);
}

static void
forget_configured(KtPool *pool, const KtSid *workspace)
{
	HASH_SEQ_STATUS scan;
	KtConfigured *configured;
	KtStepPlan *step;

	hash_seq_init(&scan, pool->configured);
	while ((configured = hash_seq_search(&scan)) != NULL)
		if (kt_sid_equal(&configured->workspace, workspace))
			hash_search(pool->configured, &configured->key, HASH_REMOVE, NULL);
	hash_seq_init(&scan, pool->steps);
	while ((step = hash_seq_search(&scan)) != NULL)
		if (kt_sid_equal(&step->space->sid, workspace))
			hash_search(pool->steps, &step->key, HASH_REMOVE, NULL);
	kt_config_forget(pool->config, workspace);
}

void
kt_pool_reset_space(KtPool *pool, const KtSid *workspace)
{
	KtSpace    *space = hash_search(pool->spaces, workspace, HASH_FIND, NULL);
	dlist_mutable_iter iter;

	forget_configured(pool, workspace);
	if (space == NULL)
		return;
	dlist_foreach_modify(iter, &space->groups)
		kt_group_forget(pool, dlist_container(KtGroup, of_space, iter.cur));
	dlist_foreach_modify(iter, &space->workers)
		kt_worker_detach(dlist_container(KtPoolWorker, of_space, iter.cur));
	if (space->eager)
		dlist_delete(&space->of_pool);
	MemoryContextReset(space->context);
	memset((char *) space + offsetof(KtSpace, lifo_first), 0, sizeof(KtSpace) - offsetof(KtSpace, lifo_first));
	if (!set_up(pool, space))
	{
		drop_space(pool, space);
		return;
	}
	dlist_foreach_modify(iter, &space->workers)
		kt_worker_set_slots(pool, dlist_container(KtPoolWorker, of_space, iter.cur));
	if (!space->closed)
		close_space(pool, space);
}

void
kt_pool_open_space(KtPool *pool, KtSpace *space)
{
	space->closed = false;
	dlist_delete(&space->of_closed);
	space->eager = !pairingheap_is_empty(space->candidates) || space->unfilled.length > 0;
	if (space->eager)
		dlist_push_tail(&pool->eager, &space->of_pool);
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
	configured = kt_pool_workflow(pool, space, workflow, version);
	if (configured == NULL)
		return NULL;
	step_target = filter == configured->configuration->nfilters ?
		configured->configuration->default_target :
		&configured->configuration->filters[filter].targets[target];
	/* A version newer than the pool: the event that tells of it will load all anew. */
	if (!knows_order(space, step_target->order_by) ||
		(step_target->expression != NULL &&
		 (paths = kt_space_paths(space, step_target->expression)) == NULL))
		return NULL;
	step = hash_search(pool->steps, &key.key, HASH_ENTER, NULL);
	step->space = space;
	step->target = step_target;
	step->worker_paths = paths;
	step->has_tie = step_target->expression != NULL && kt_expr_tie(step_target->expression, &step->tie);
	step->order_paths = NULL;
	if (step->has_tie)
		kt_vector_add(space->context, &space->tied_steps, step);
	if (step_target->order_by != NULL)
	{
		const KtOrder *order = step_target->order_by;

		step->order_paths = kt_space_alloc(space, sizeof(int) * order->nkeys);
		for (uint32 i = 0; i < order->nkeys; i++)
			step->order_paths[i] = kt_space_path(space, &order->keys[i].path);
	}
	return step;
}
