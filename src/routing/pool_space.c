/*
 * pool_space.c
 *		A workspace as the router sees it.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "base/spi.h"
#include "routing/batch.h"
#include "routing/pool_private.h"

/* One that cannot be read concerns nobody but those who use it. */
bool
kt_pool_fetch(KtPool *pool, const KtSid *object, void (*fetch) (void *context), void *context)
{
	ErrorData  *error = kt_try(fetch, context);

	if (error == NULL)
		return true;
	/* Somebody has the table of it, and whoever needs it tries again. */
	if (kt_error_is_busy(error))
		ReThrowError(error);
	pool->fault(pool->fault_context, object, error);
	FreeErrorData(error);
	return false;
}

void *
kt_space_alloc(KtSpace *space, Size size)
{
	return MemoryContextAllocZero(space->context, size);
}

/* The channels of a workspace, in the order of their sids. */
static List *
read_channels(KtPool *pool, const KtSid *workspace)
{
	static KtPlan plan = {
		"SELECT sid FROM kin_tr.task_channels WHERE workspace_sid = $1 ORDER BY sid", "s"
	};
	Datum		values[] = {SidPGetDatum(workspace)};
	uint64		n = kt_spi_latest(&plan, values, NULL);
	SPITupleTable *table = SPI_tuptable;
	List	   *channels = NIL;

	for (uint64 i = 0; i < n; i++)
	{
		KtSid		sid = (SPI_tuptable = table, kt_column_sid(i, 1));
		const KtTaskChannel *channel = kt_config_task_channel(pool->config, &sid);

		if (channel != NULL)
			channels = lappend(channels, (void *) channel);
	}
	SPI_freetuptable(table);
	return channels;
}

static void
put_channels(KtSpace *space, const List *channels)
{
	ListCell   *cell;

	space->channels = kt_space_alloc(space, sizeof(KtTaskChannel *) * Max(list_length(channels), 1));
	space->idle = kt_space_alloc(space, sizeof(dlist_head) * Max(list_length(channels), 1));
	foreach(cell, channels)
	{
		dlist_init(&space->idle[space->nchannels]);
		space->channels[space->nchannels++] = lfirst(cell);
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

/* All that follows from its configuration. */
static void
set_up(KtSpace *space, const KtWorkspace *configured, const List *channels)
{
	space->lifo_first = configured->lifo_first;
	dlist_init(&space->empty_classes);
	kt_pool_init_candidates(space);
	space->classes_by_hash = ktmap_create(space->context, KT_MAP_SIZE, NULL);
	space->classes_by_value = ktmap_create(space->context, KT_MAP_SIZE, NULL);
	space->groups_by_value = ktmap_create(space->context, KT_MAP_SIZE, NULL);
	space->pinned_by_sid = ktsidmap_create(space->context, KT_MAP_SIZE, NULL);
	space->queues = ktsidmap_create(space->context, KT_MAP_SIZE, NULL);
	put_channels(space, channels);
	kt_space_number_paths(space);
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
	const KtWorkspace *configured;
	List	   *channels;

	if (space != NULL)
		return space;
	if (!kt_pool_may_use(pool, workspace) ||
		(configured = kt_config_workspace(pool->config, workspace)) == NULL)
		return NULL;
	/* What can fail comes before anything is changed: somebody may have the table. */
	channels = read_channels(pool, workspace);
	space = hash_search(pool->spaces, workspace, HASH_ENTER, NULL);
	memset((char *) space + sizeof(KtSid), 0, sizeof(KtSpace) - sizeof(KtSid));
	dlist_init(&space->workers);
	dlist_init(&space->groups);
	space->context = AllocSetContextCreate(pool->context, "kin_tr space", 0, ALLOCSET_SMALL_INITSIZE,
										   KT_POOL_BLOCK);
	set_up(space, configured, channels);
	list_free(channels);
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
	kt_space_drop_reads(space);
	MemoryContextDelete(space->context);
	hash_search(pool->spaces, &space->sid, HASH_REMOVE, NULL);
}

static void
forget_configuration(KtPool *pool, const KtSid *workspace)
{
	HASH_SEQ_STATUS scan;
	KtStepPlan *step;

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
	const KtWorkspace *configured;
	List	   *channels;
	dlist_mutable_iter iter;

	forget_configuration(pool, workspace);
	if (space == NULL)
		return;
	configured = kt_config_workspace(pool->config, workspace);
	channels = configured != NULL ? read_channels(pool, workspace) : NIL;
	dlist_foreach_modify(iter, &space->groups)
		kt_group_forget(pool, dlist_container(KtGroup, of_space, iter.cur));
	dlist_foreach_modify(iter, &space->workers)
		kt_worker_detach(dlist_container(KtPoolWorker, of_space, iter.cur));
	if (space->eager)
		dlist_delete(&space->of_pool);
	MemoryContextReset(space->context);
	memset((char *) space + offsetof(KtSpace, lifo_first), 0, sizeof(KtSpace) - offsetof(KtSpace, lifo_first));
	if (configured == NULL)
	{
		drop_space(pool, space);
		return;
	}
	space->resets++;
	set_up(space, configured, channels);
	list_free(channels);
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
