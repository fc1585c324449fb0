/*
 * match.c
 *		Who gets which task.
 *
 * Between turns no idle worker fits a waiting task.  So a new pair involves a
 * group that something has arrived in, or one that a freed worker fits: these
 * groups are touched, and they alone are candidates.  Their first tasks are
 * taken in the order of the workspace, each by its best worker, until none is
 * left that anybody idle fits.  A group for which nobody is found leaves: while
 * the match goes on workers only get busier.
 *
 * Workspaces take turns, a task each, so that one with much to assign holds up
 * nobody else's.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/formatting.h"

#include "routing/attributes.h"
#include "routing/router.h"

/* By the clock that the channel goes by: -1 where a has been idle longer. */
static int
compare_idle(KtSpace *space, int channel, KtPoolWorker *a, KtPoolWorker *b)
{
	bool		per_channel = space->channels[channel]->optimized;
	TimestampTz at = per_channel ? a->slots[channel].last_reserved : a->last_reserved;
	TimestampTz bt = per_channel ? b->slots[channel].last_reserved : b->last_reserved;
	uint64		as = per_channel ? a->slots[channel].sequence : a->sequence;
	uint64		bs = per_channel ? b->slots[channel].sequence : b->sequence;

	if (at != bt)
		return at < bt ? -1 : 1;
	if (as != bs)
		return as < bs ? -1 : 1;
	return memcmp(&a->sid, &b->sid, sizeof(KtSid));
}

static bool
is_orderable(const KtValue *value)
{
	return value->kind == KT_VALUE_INTEGER || value->kind == KT_VALUE_NULL;
}

/* Those of a group's classes that have idle workers in its channel. */
typedef struct Classes
{
	int			length;
	int			capacity;
	KtClass   **items;
} Classes;

static void
add_class(Classes *classes, KtClass *class)
{
	if (classes->length == classes->capacity)
	{
		classes->capacity = Max(16, classes->capacity * 2);
		classes->items = classes->items == NULL ? palloc(sizeof(KtClass *) * classes->capacity) :
			repalloc_huge(classes->items, sizeof(KtClass *) * classes->capacity);
	}
	classes->items[classes->length++] = class;
}

static void
find_classes(KtRouter *router, KtGroup *group, Classes *classes)
{
	dlist_iter	iter;

	memset(classes, 0, sizeof(Classes));
	for (int i = 0; i < group->fits.length; i++)
	{
		KtClass    *class = group->fits.items[i].other;

		if (!pairingheap_is_empty(&class->idle[group->channel].slots))
			add_class(classes, class);
	}
	if (!group->open)
		return;
	dlist_foreach(iter, &group->space->idle[group->channel])
	{
		KtClass    *class = dlist_container(KtIdle, of_space, iter.cur)->class;

		CHECK_FOR_INTERRUPTS();
		if (kt_pool_fits(router->pool, group, class))
			add_class(classes, class);
	}
}

/*
 * Does order_by count?  One value among the candidates that is no integer, and
 * Twilio ignores the whole.
 */
static bool
is_ordered(const KtGroup *group, const Classes *classes)
{
	const KtOrder *order = group->step ? group->step->target->order_by : NULL;

	if (order == NULL)
		return false;
	for (int i = 0; i < classes->length; i++)
		for (uint32 j = 0; j < order->nkeys; j++)
			if (!is_orderable(&classes->items[i]->values[group->step->order_paths[j]]))
				return false;
	return true;
}

/* By order_by: -1 where a goes before b.  An absent value goes last. */
static int
compare_order(const KtGroup *group, const KtClass *a, const KtClass *b)
{
	const KtOrder *order = group->step->target->order_by;

	for (uint32 i = 0; i < order->nkeys; i++)
	{
		const KtValue *x = &a->values[group->step->order_paths[i]];
		const KtValue *y = &b->values[group->step->order_paths[i]];

		if (x->kind != y->kind)
			return x->kind == KT_VALUE_NULL ? 1 : -1;
		if (x->kind == KT_VALUE_INTEGER && x->integer != y->integer)
			return (x->integer < y->integer) != order->keys[i].descending ? -1 : 1;
	}
	return 0;
}

static bool
is_better(const KtGroup *group, bool ordered, KtPoolWorker *a, KtPoolWorker *b)
{
	int			order;

	if (b == NULL)
		return true;
	order = !ordered || a->class == b->class ? 0 : compare_order(group, a->class, b->class);
	if (order != 0)
		return order < 0;
	return compare_idle(group->space, group->channel, a, b) < 0;
}

static bool
reads_counters(const KtGroup *group)
{
	return group->step != NULL && group->step->target->expression != NULL &&
		(group->step->target->expression->subjects & (1 << KT_SUBJECT_CHANNEL)) != 0;
}

static bool
passes_counters(KtRouter *router, KtGroup *group, KtPoolWorker *worker)
{
	KtValue    *values;
	bool		result;

	if (!reads_counters(group))
		return true;
	values = kt_pool_values(router->pool, group, worker->class, worker);
	result = kt_expr_evaluate(group->step->target->expression, values);
	pfree(values);
	return result;
}

static bool
is_taken(KtPoolWorker *worker, KtPoolWorker **taken, int ntaken)
{
	for (int i = 0; i < ntaken; i++)
		if (taken[i] == worker)
			return true;
	return false;
}

/* The one worker that the group is for, where it can take a task now. */
static KtPoolWorker *
pinned_worker(KtRouter *router, KtGroup *group)
{
	KtPoolWorker *worker = NULL;
	KtSlot	   *slot;

	if (!kt_sid_is_null(&group->pinned_sid))
		worker = kt_pool_worker(router->pool, &group->pinned_sid);
	else if (group->pinned_name != NULL)
		worker = kt_pool_worker_of_name(group->pinned_name);
	if (worker == NULL || worker->space != group->space)
		return NULL;
	if (group->direct && group->ignore_capacity)
		return worker;
	slot = &worker->slots[group->channel];
	if (!slot->idle)
		return NULL;
	if (group->direct)
		return worker;
	return kt_pool_fits(router->pool, group, worker->class) &&
		passes_counters(router, group, worker) ? worker : NULL;
}

/* Of a class whose members differ by their counters, or that has taken ones. */
static KtPoolWorker *
best_by_one(KtRouter *router, KtGroup *group, KtClass *class, KtPoolWorker **taken, int ntaken)
{
	KtPoolWorker *best = NULL;
	dlist_iter	iter;

	dlist_foreach(iter, &class->workers)
	{
		KtPoolWorker *worker = dlist_container(KtPoolWorker, of_class, iter.cur);

		if (worker->slots[group->channel].idle && is_better(group, false, worker, best) &&
			!is_taken(worker, taken, ntaken) && passes_counters(router, group, worker))
			best = worker;
	}
	return best;
}

static KtPoolWorker *
best_worker(KtRouter *router, KtGroup *group, KtPoolWorker **taken, int ntaken)
{
	KtPoolWorker *best = NULL;
	Classes		classes;
	bool		ordered;

	if (group->pinned)
		return ntaken > 0 ? NULL : pinned_worker(router, group);
	find_classes(router, group, &classes);
	ordered = is_ordered(group, &classes);
	for (int i = 0; i < classes.length; i++)
	{
		KtClass    *class = classes.items[i];
		KtPoolWorker *worker;

		if (ntaken > 0 || reads_counters(group))
			worker = best_by_one(router, group, class, taken, ntaken);
		else
			worker = pairingheap_container(KtSlot, node,
										   pairingheap_first(&class->idle[group->channel].slots))->worker;
		if (worker != NULL && is_better(group, ordered, worker, best))
			best = worker;
	}
	if (classes.items != NULL)
		pfree(classes.items);
	return best;
}

/* Those whose tasks are only in the table get some, and become candidates, or leave. */
static void
fill(KtRouter *router, KtSpace *space)
{
	KtVector	unfilled = space->unfilled;

	memset(&space->unfilled, 0, sizeof(KtVector));
	for (int i = 0; i < unfilled.length; i++)
	{
		KtGroup    *group = unfilled.items[i];

		CHECK_FOR_INTERRUPTS();
		group->touched = false;
		kt_router_refill(router, group);
		if (group->nheads > 0)
			kt_pool_touch_group(router->pool, group);
	}
	if (unfilled.items != NULL)
		pfree(unfilled.items);
}

/* Of the workspaces that have candidates, the one whose turn it is, and its first. */
static KtGroup *
next_candidate(KtRouter *router)
{
	KtPool	   *pool = router->pool;

	while (!dlist_is_empty(&pool->eager))
	{
		KtSpace    *space = dlist_container(KtSpace, of_pool, dlist_pop_head_node(&pool->eager));

		fill(router, space);
		if (!pairingheap_is_empty(space->candidates))
		{
			dlist_push_tail(&pool->eager, &space->of_pool);
			return pairingheap_container(KtGroup, candidate, pairingheap_first(space->candidates));
		}
		space->eager = false;
	}
	return NULL;
}

/* What mark_reserved() is about to change, in case nothing comes of it. */
static KtIdleSince
idle_since(const KtPoolWorker *worker, int channel)
{
	KtIdleSince since = {
		worker->last_reserved, worker->sequence,
		worker->slots[channel].last_reserved, worker->slots[channel].sequence
	};

	return since;
}

/*
 * The next task and who gets it; the pool counts them as taken.  The proposal's
 * lists are in the current memory context.
 */
bool
kt_match_next(KtRouter *router, KtProposal *proposal)
{
	KtPool	   *pool = router->pool;
	KtGroup    *group;

	while ((group = next_candidate(router)) != NULL)
	{
		int			most = group->queue && !group->direct ? group->queue->max_reserved_workers : 1;
		KtPoolWorker *worker;

		CHECK_FOR_INTERRUPTS();
		if (group->outdated)
			kt_pool_refit(pool, group);
		proposal->workers = palloc(sizeof(KtPoolWorker *) * most);
		proposal->nworkers = 0;
		while (proposal->nworkers < most &&
			   (worker = best_worker(router, group, proposal->workers, proposal->nworkers)) != NULL)
			proposal->workers[proposal->nworkers++] = worker;
		if (proposal->nworkers == 0)
		{
			pfree(proposal->workers);
			kt_pool_leave_match(pool, group);
			continue;
		}
		proposal->group = group;
		proposal->head = group->heads[0];
		proposal->idle_since = palloc(sizeof(KtIdleSince) * proposal->nworkers);
		kt_pool_remove_task(pool, &proposal->head.sid);
		for (int i = 0; i < proposal->nworkers; i++)
		{
			KtSlot	   *slot = &proposal->workers[i]->slots[group->channel];

			proposal->idle_since[i] = idle_since(proposal->workers[i], group->channel);
			slot->open++;
			kt_pool_place_slot(pool, proposal->workers[i], group->channel);
			kt_pool_mark_reserved(pool, proposal->workers[i], group->channel, pool->now);
			proposal->idle_since[i].until = pool->sequence;
		}
		return true;
	}
	return false;
}
