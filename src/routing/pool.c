/*
 * pool.c
 *		What the router remembers: its making, candidates and garbage.
 *
 * The one invariant that all of pool*.c serves: a class and a group, unless that is
 * open, are linked by a fit exactly when kt_pool_fits() says so, and a slot is in
 * its class's idle heap exactly when the worker could take a task of that channel now.  Nothing
 * here reads a table but the configuration.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "base/monotonic.h"
#include "routing/pool_private.h"

#define POOL_BLOCK (128 * 1024)

HTAB *
kt_pool_hash(KtPool *pool, const char *name, Size key, Size entry)
{
	HASHCTL		control = {.keysize = key, .entrysize = entry, .hcxt = pool->context};

	return hash_create(name, 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

void *
kt_pool_alloc(KtPool *pool, Size size)
{
	return MemoryContextAllocZero(pool->context, size);
}

KtPool *
kt_pool_create(MemoryContext parent, KtPoolFault fault, void *fault_context)
{
	/* Blocks that double without end would take twice what is needed, for as long as the pool lives. */
	MemoryContext context = AllocSetContextCreate(parent, "kin_tr pool", 0, POOL_BLOCK / 8, POOL_BLOCK);
	KtPool	   *pool = MemoryContextAllocZero(context, sizeof(KtPool));

	pool->context = context;
	pool->config = kt_config_create(context);
	pool->configured = kt_pool_hash(pool, "configured", sizeof(KtConfiguredKey), sizeof(KtConfigured));
	pool->fault = fault;
	pool->fault_context = fault_context;
	dlist_init(&pool->eager);
	pool->spaces = kt_pool_hash(pool, "spaces", sizeof(KtSid), sizeof(KtSpace));
	pool->steps = kt_pool_hash(pool, "steps", sizeof(((KtStepPlan *) 0)->key), sizeof(KtStepPlan));
	pool->workers = kt_pool_hash(pool, "workers", sizeof(KtSid), sizeof(KtPoolWorker));
	pool->groups = kt_pool_hash(pool, "groups", sizeof(pg_uuid_t), sizeof(KtGroup));
	pool->head_groups = kt_pool_hash(pool, "heads", sizeof(KtSid), sizeof(KtHeadEntry));
	pool->open = kt_pool_hash(pool, "open reservations", sizeof(KtSid), sizeof(KtOpen));
	pool->open_of_task = kt_pool_hash(pool, "open reservations of tasks", sizeof(KtSid), sizeof(KtOpenEntry));
	return pool;
}

void
kt_pool_destroy(KtPool *pool)
{
	MemoryContextDelete(pool->context);
}

void
kt_vector_add(KtPool *pool, KtVector *vector, void *item)
{
	if (vector->length == vector->capacity)
	{
		int			capacity = Max(4, vector->capacity * 2);

		if (vector->items == NULL)
			vector->items = MemoryContextAlloc(pool->context, sizeof(void *) * capacity);
		else
			vector->items = repalloc_huge(vector->items, sizeof(void *) * capacity);
		vector->capacity = capacity;
	}
	vector->items[vector->length++] = item;
}

/* Order is not kept. */
void
kt_vector_remove(KtVector *vector, void *item)
{
	for (int i = 0; i < vector->length; i++)
		if (vector->items[i] == item)
		{
			vector->items[i] = vector->items[--vector->length];
			return;
		}
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
kt_pool_init_candidates(KtPool *pool, KtSpace *space)
{
	MemoryContext old = MemoryContextSwitchTo(pool->context);

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
		kt_vector_add(pool, &group->space->unfilled, group);
	if (!group->space->eager)
		dlist_push_tail(&pool->eager, &group->space->of_pool);
	group->space->eager = true;
}

void
kt_pool_touch_group(KtPool *pool, KtGroup *group)
{
	/* One that is held has only what has arrived since. */
	if (group->touched || (group->nheads == 0 && (!group->more || group->held)))
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
		kt_vector_remove(&group->space->unfilled, group);
}

void
kt_pool_hold_group(KtPool *pool, KtGroup *group, int64 until)
{
	group->held_until = until;
	if (group->held)
		return;
	group->held = true;
	kt_vector_add(pool, &pool->held, group);
}

void
kt_pool_end_holds(KtPool *pool)
{
	int64		now = pool->held.length > 0 ? kt_monotonic() : 0;

	for (int i = pool->held.length - 1; i >= 0; i--)
	{
		KtGroup    *group = pool->held.items[i];

		if (group->held_until > now)
			continue;
		group->held = false;
		pool->held.items[i] = pool->held.items[--pool->held.length];
		kt_pool_touch_group(pool, group);
	}
}

int64
kt_pool_next_hold(const KtPool *pool)
{
	int64		next = PG_INT64_MAX;

	for (int i = 0; i < pool->held.length; i++)
		next = Min(next, ((KtGroup *) pool->held.items[i])->held_until);
	return next;
}

static void
touch_all(KtPool *pool, KtVector *groups, int channel)
{
	for (int i = 0; i < groups->length; i++)
		if (((KtGroup *) groups->items[i])->channel == channel)
			kt_pool_touch_group(pool, groups->items[i]);
}

void
kt_pool_touch_worker(KtPool *pool, KtPoolWorker *worker, int channel)
{
	KtSpace    *space = worker->space;
	KtFits	   *fits = &worker->class->fits;
	KtSidVectorEntry *by_sid = hash_search(space->pinned_by_sid, &worker->sid, HASH_FIND, NULL);

	for (int i = 0; i < fits->length; i++)
	{
		KtGroup    *group = fits->items[i].other;

		if (group->channel == channel)
			kt_pool_touch_group(pool, group);
	}
	for (int i = 0; i < space->open.length; i++)
	{
		KtGroup    *group = space->open.items[i];

		if (group->channel == channel && !group->touched && kt_pool_fits(pool, group, worker->class))
			kt_pool_touch_group(pool, group);
	}
	if (by_sid != NULL)
		touch_all(pool, &by_sid->vector, channel);
	if (worker->name != NULL)
		touch_all(pool, &worker->name->groups, channel);
}

void
kt_pool_new_minute(KtPool *pool)
{
	HASH_SEQ_STATUS scan;
	KtGroup    *group;

	hash_seq_init(&scan, pool->groups);
	while ((group = hash_seq_search(&scan)) != NULL)
	{
		const KtExpr *expression = group->step ? group->step->target->expression : NULL;

		CHECK_FOR_INTERRUPTS();
		if (expression == NULL || (expression->subjects & (1 << KT_SUBJECT_TASKROUTER)) == 0)
			continue;
		group->outdated = true;
		kt_pool_touch_group(pool, group);
	}
}

static void
collect_groups(KtPool *pool)
{
	HASH_SEQ_STATUS scan;
	KtGroup    *group;

	hash_seq_init(&scan, pool->groups);
	while ((group = hash_seq_search(&scan)) != NULL)
		if (group->nheads == 0 && !group->more && !group->touched && !group->held)
			kt_group_free(pool, group);
}

static void
collect_classes(KtPool *pool, KtSpace *space)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &space->classes)
	{
		KtClass    *class = dlist_container(KtClass, of_space, iter.cur);

		if (class->nworkers == 0)
			kt_class_free(pool, class);
	}
}

void
kt_pool_collect(KtPool *pool)
{
	HASH_SEQ_STATUS scan;
	KtSpace    *space;

	/* As many empty as full ones are kept, for they mostly fill again. */
	if (pool->nempty > 1000 + hash_get_num_entries(pool->groups) / 2)
		collect_groups(pool);
	hash_seq_init(&scan, pool->spaces);
	while ((space = hash_seq_search(&scan)) != NULL)
		if (space->nempty_classes > 100 + space->nclasses / 2)
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
		n += space->nclasses;
	return n;
}
