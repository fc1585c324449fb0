/*
 * pool.c
 *		What the router remembers: its making, candidates and garbage.
 *
 * The invariant that all of pool*.c serves: a group that is not open and a class of a
 * lower number than the group has been tried to are linked by a fit exactly when its
 * workers may get the group's tasks; a group with tasks that has yet to be tried is among
 * the candidates of the next match; and a slot is in its class's idle heap exactly when
 * the worker could take a task of that channel now.  Nothing here reads a table but the
 * configuration.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "base/monotonic.h"
#include "routing/pool_private.h"

/* Groups, and classes of a workspace, that are freed at a time. */
#define MOST_COLLECTED 256

/* Microseconds at least until tasks that somebody held are looked at again. */
#define SKIPPED_REST INT64CONST(1000000)

HTAB *
kt_pool_hash(KtPool *pool, const char *name, Size key, Size entry)
{
	HASHCTL		control = {.keysize = key, .entrysize = entry, .hcxt = pool->context};

	return hash_create(name, 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

KtPool *
kt_pool_create(MemoryContext parent, KtPoolFault fault, void *fault_context)
{
	MemoryContext context = AllocSetContextCreate(parent, "kin_tr pool", 0, KT_POOL_BLOCK / 8, KT_POOL_BLOCK);
	KtPool	   *pool = MemoryContextAllocZero(context, sizeof(KtPool));

	pool->context = context;
	pool->config = kt_config_create(context);
	pool->fault = fault;
	pool->fault_context = fault_context;
	dlist_init(&pool->eager);
	dlist_init(&pool->empty_groups);
	dlist_init(&pool->orphans);
	dlist_init(&pool->closed);
	dlist_init(&pool->lacking);
	pool->spaces = kt_pool_hash(pool, "spaces", sizeof(KtSid), sizeof(KtSpace));
	pool->steps = kt_pool_hash(pool, "steps", sizeof(((KtStepPlan *) 0)->key), sizeof(KtStepPlan));
	pool->workers = ktsidmap_create(context, KT_MAP_SIZE, NULL);
	pool->worker_context = SlabContextCreate(context, "kin_tr workers", KT_POOL_SLAB, sizeof(KtPoolWorker));
	pool->groups = kt_pool_hash(pool, "groups", sizeof(pg_uuid_t), sizeof(KtGroup));
	pool->head_groups = kt_pool_hash(pool, "heads", sizeof(KtSid), sizeof(KtHeadEntry));
	pool->open = kt_pool_hash(pool, "open reservations", sizeof(KtSid), sizeof(KtOpen));
	pool->open_of_task = kt_pool_hash(pool, "open reservations of tasks", sizeof(KtSid), sizeof(KtOpenEntry));
	pool->bulky_context = AllocSetContextCreate(context, "kin_tr bulky values", ALLOCSET_DEFAULT_SIZES);
	return pool;
}

void
kt_pool_destroy(KtPool *pool)
{
	MemoryContextDelete(pool->context);
}

static bool
is_lifo(const KtGroup *group)
{
	return group->queue != NULL && group->queue->lifo;
}

/* The heap's first is its greatest: the task that goes before all others of its workspace. */
static int
compare_candidates(const pairingheap_node *a, const pairingheap_node *b, void *arg)
{
	const KtGroup *x = pairingheap_const_container(KtGroup, candidate, a);
	const KtGroup *y = pairingheap_const_container(KtGroup, candidate, b);

	if (is_lifo(x) != is_lifo(y))
		return is_lifo(x) == x->space->lifo_first ? 1 : -1;
	return -kt_head_compare(&x->heads[0], &y->heads[0]);
}

void
kt_pool_init_candidates(KtSpace *space)
{
	MemoryContext old = MemoryContextSwitchTo(space->context);

	space->candidates = pairingheap_allocate(compare_candidates, NULL);
	MemoryContextSwitchTo(old);
}

/* A touched group is in its space's heap while it has heads, else among the unfilled. */
void
kt_pool_enter_match(KtPool *pool, KtGroup *group)
{
	if (group->nheads > 0)
		pairingheap_add(group->space->candidates, &group->candidate);
	else
		kt_set_add(&group->space->unfilled, group, KT_PLACE_UNFILLED);
	if (group->space->closed)
		return;
	if (!group->space->eager)
		dlist_push_tail(&pool->eager, &group->space->of_pool);
	group->space->eager = true;
}

void
kt_pool_touch_group(KtPool *pool, KtGroup *group)
{
	if (group->touched || (group->nheads == 0 && !kt_group_has_more(group)))
		return;
	group->touched = true;
	kt_pool_enter_match(pool, group);
}

void
kt_pool_leave_match(KtPool *pool, KtGroup *group)
{
	if (!group->touched)
		return;
	group->touched = false;
	if (group->nheads > 0)
		pairingheap_remove(group->space->candidates, &group->candidate);
	else
		kt_set_remove(&group->space->unfilled, group, KT_PLACE_UNFILLED);
}

static void
wait_for_time(KtPool *pool, KtGroup *group)
{
	if (group->waits)
		return;
	group->waits = true;
	group->waiting_place = pool->waiting.length;
	kt_vector_add(pool->context, &pool->waiting, group);
}

/* The last one takes its place. */
void
kt_pool_wait_no_more(KtPool *pool, KtGroup *group)
{
	KtGroup    *last;

	if (!group->waits)
		return;
	group->waits = false;
	last = pool->waiting.items[pool->waiting.length - 1];
	last->waiting_place = group->waiting_place;
	pool->waiting.items[last->waiting_place] = last;
	pool->waiting.length--;
}

void
kt_pool_hold_group(KtPool *pool, KtGroup *group, int64 until)
{
	group->held = true;
	group->held_until = until;
	wait_for_time(pool, group);
}

/* They may be many: not more than a fifth of the time is for them. */
void
kt_pool_rest_skipped(KtPool *pool, KtGroup *group)
{
	if (group->skipped != KT_SKIPPED_SOME || group->nheads > 0 || group->more)
		return;
	group->skipped = KT_SKIPPED_REST;
	group->again_at = kt_monotonic() + Max(SKIPPED_REST, 4 * group->walked);
	wait_for_time(pool, group);
}

static int64
next_wait(const KtGroup *group)
{
	return Min(group->held ? group->held_until : PG_INT64_MAX,
			   group->skipped == KT_SKIPPED_REST ? group->again_at : PG_INT64_MAX);
}

void
kt_pool_end_waits(KtPool *pool)
{
	int64		now = pool->waiting.length > 0 ? kt_monotonic() : 0;

	for (int i = pool->waiting.length - 1; i >= 0; i--)
	{
		KtGroup    *group = pool->waiting.items[i];

		if (next_wait(group) > now)
			continue;
		group->held = group->held && group->held_until > now;
		if (group->skipped == KT_SKIPPED_REST && group->again_at <= now)
			group->skipped = KT_SKIPPED_DUE;
		if (next_wait(group) == PG_INT64_MAX)
			kt_pool_wait_no_more(pool, group);
		kt_pool_touch_group(pool, group);
	}
}

int64
kt_pool_next_wait(const KtPool *pool)
{
	int64		next = PG_INT64_MAX;

	for (int i = 0; i < pool->waiting.length; i++)
		next = Min(next, next_wait(pool->waiting.items[i]));
	return next;
}

static void
touch_all(KtPool *pool, const KtGroupSet *groups, int channel)
{
	for (int i = 0; i < groups->length; i++)
		if (groups->items[i].group->channel == channel)
			kt_pool_touch_group(pool, groups->items[i].group);
}

void
kt_pool_touch_worker(KtPool *pool, KtPoolWorker *worker, int channel)
{
	KtSpace    *space = worker->space;
	KtFits	   *fits = &worker->class->fits;
	KtGroupSet *pinned = kt_sid_map_find(space->pinned_by_sid, &worker->sid);

	for (int i = 0; i < fits->length; i++)
	{
		KtGroup    *group = fits->items[i].other;

		if (group->channel == channel)
			kt_pool_touch_group(pool, group);
	}
	touch_all(pool, &space->open, channel);
	if (pinned != NULL)
		touch_all(pool, pinned, channel);
	if (worker->name != NULL)
		touch_all(pool, &worker->name->groups, channel);
}

static void
touch_direct(KtPool *pool, const KtGroupSet *groups)
{
	for (int i = 0; i < groups->length; i++)
		if (groups->items[i].group->direct && groups->items[i].group->ignore_capacity)
			kt_pool_touch_group(pool, groups->items[i].group);
}

void
kt_pool_touch_direct(KtPool *pool, KtPoolWorker *worker)
{
	KtGroupSet *pinned = kt_sid_map_find(worker->space->pinned_by_sid, &worker->sid);

	if (pinned != NULL)
		touch_direct(pool, pinned);
	if (worker->name != NULL)
		touch_direct(pool, &worker->name->groups);
}

/* Groups whose step reads the time. */
static void
outdate_timed(KtPool *pool, KtSpace *space)
{
	dlist_iter	iter;

	dlist_foreach(iter, &space->groups)
	{
		KtGroup    *group = dlist_container(KtGroup, of_space, iter.cur);

		CHECK_FOR_INTERRUPTS();
		if (!kt_group_reads_time(group))
			continue;
		group->outdated = true;
		kt_pool_touch_group(pool, group);
	}
}

void
kt_pool_new_minute(KtPool *pool)
{
	HASH_SEQ_STATUS scan;
	KtSpace    *space;

	hash_seq_init(&scan, pool->spaces);
	while ((space = hash_seq_search(&scan)) != NULL)
		if (space->ntimed > 0)
			outdate_timed(pool, space);
}

/* The oldest first; those that will have tasks again stay. */
static void
collect_groups(KtPool *pool)
{
	for (int i = 0; i < MOST_COLLECTED && pool->nempty > 1000 + hash_get_num_entries(pool->groups) / 2; i++)
	{
		KtGroup    *group = dlist_container(KtGroup, of_empty, dlist_head_node(&pool->empty_groups));

		if (!group->more && !group->touched && group->skipped == KT_SKIPPED_NONE)
			kt_group_free(pool, group);
		else
		{
			dlist_delete(&group->of_empty);
			dlist_push_tail(&pool->empty_groups, &group->of_empty);
		}
	}
}

static void
collect_classes(KtPool *pool, KtSpace *space)
{
	for (int i = 0; i < MOST_COLLECTED && space->nempty_classes > 100 + space->classes.length / 2; i++)
		kt_class_free(pool, dlist_container(KtClass, of_empty, dlist_head_node(&space->empty_classes)));
}

/* As many empty as full ones are kept, for they mostly fill again. */
void
kt_pool_collect(KtPool *pool)
{
	HASH_SEQ_STATUS scan;
	KtSpace    *space;

	collect_groups(pool);
	hash_seq_init(&scan, pool->spaces);
	while ((space = hash_seq_search(&scan)) != NULL)
		collect_classes(pool, space);
}

int
kt_pool_count_classes(const KtPool *pool)
{
	HASH_SEQ_STATUS scan;
	KtSpace    *space;
	int			n = 0;

	hash_seq_init(&scan, pool->spaces);
	while ((space = hash_seq_search(&scan)) != NULL)
		n += space->classes.length;
	return n;
}
