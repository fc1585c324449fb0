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
 * Workspaces take turns, a task or a little time each, so that one with much to
 * assign, or to find out, holds up nobody else's.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/formatting.h"

#include "base/monotonic.h"
#include "routing/router.h"

/* Microseconds for a workspace until it is another's turn, as far as they can be measured out. */
#define TURN 1000

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
find_classes(KtGroup *group, Classes *classes)
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

		if (kt_pool_passes(group, class))
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
		return worker->stale ? NULL : worker;
	slot = &worker->slots[group->channel];
	if (!slot->idle)
		return NULL;
	if (group->direct)
		return worker;
	return kt_pool_fits_worker(router->pool, group, worker) ? worker : NULL;
}

/* Of a class whose members differ by their counters. */
static KtPoolWorker *
best_by_counters(KtGroup *group, KtClass *class)
{
	KtPoolWorker *best = NULL;
	dlist_iter	iter;

	dlist_foreach(iter, &class->workers)
	{
		KtPoolWorker *worker = dlist_container(KtPoolWorker, of_class, iter.cur);

		if (worker->slots[group->channel].idle && kt_pool_worker_passes(group, worker) &&
			is_better(group, false, worker, best))
			best = worker;
	}
	return best;
}

/* Of a class; NULL where there is none, or all are hidden. */
static KtPoolWorker *
best_of_class(KtGroup *group, KtClass *class)
{
	pairingheap *idle = &class->idle[group->channel].slots;

	if (kt_group_reads_counters(group))
		return best_by_counters(group, class);
	return pairingheap_is_empty(idle) ? NULL : pairingheap_container(KtSlot, node, pairingheap_first(idle))->worker;
}

/* The best worker of a class, among those of the other classes. */
typedef struct Choice
{
	pairingheap_node node;
	KtPoolWorker *worker;
} Choice;

typedef struct Choices
{
	const KtGroup *group;
	bool		ordered;
	pairingheap *heap;			/* the best first */
} Choices;

static int
compare_choices(const pairingheap_node *a, const pairingheap_node *b, void *arg)
{
	const Choices *choices = arg;
	KtPoolWorker *x = pairingheap_const_container(Choice, node, a)->worker;
	KtPoolWorker *y = pairingheap_const_container(Choice, node, b)->worker;

	return is_better(choices->group, choices->ordered, x, y) ? 1 : -1;
}

static void
add_choice(Choices *choices, Choice *choice, KtPoolWorker *worker)
{
	choice->worker = worker;
	if (worker != NULL)
		pairingheap_add(choices->heap, &choice->node);
}

static void
take_worker(KtProposal *proposal, KtGroup *group, KtPoolWorker *worker)
{
	kt_pool_hide_slot(worker, group->channel);
	proposal->workers[proposal->nworkers++] = worker;
}

/*
 * As many as the queue wants, the best first; each is hidden, so that it is chosen
 * once.  Each class is compared with the others once, for there may be thousands and
 * the order may have hundreds of keys.
 */
static void
choose_best(KtGroup *group, KtProposal *proposal, int most)
{
	Classes		classes;
	Choices		choices = {group};
	Choice	   *all;

	find_classes(group, &classes);
	choices.ordered = is_ordered(group, &classes);
	choices.heap = pairingheap_allocate(compare_choices, &choices);
	all = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(Choice) * Max(classes.length, 1));
	for (int i = 0; i < classes.length; i++)
		add_choice(&choices, &all[i], best_of_class(group, classes.items[i]));
	while (proposal->nworkers < most && !pairingheap_is_empty(choices.heap))
	{
		Choice	   *best = pairingheap_container(Choice, node, pairingheap_first(choices.heap));

		take_worker(proposal, group, best->worker);
		if (proposal->nworkers == most)
			break;
		pairingheap_remove_first(choices.heap);
		add_choice(&choices, best, best_of_class(group, best->worker->class));
	}
	pfree(all);
	pairingheap_free(choices.heap);
	if (classes.items != NULL)
		pfree(classes.items);
}

static void
choose_workers(KtRouter *router, KtGroup *group, KtProposal *proposal)
{
	int			most = group->queue && !group->direct ? group->queue->max_reserved_workers : 1;
	KtPoolWorker *worker;

	proposal->workers = palloc(sizeof(KtPoolWorker *) * most);
	proposal->nworkers = 0;
	if (!group->pinned)
		choose_best(group, proposal, most);
	else if ((worker = pinned_worker(router, group)) != NULL)
		take_worker(proposal, group, worker);
}

/*
 * Those whose tasks are only in the table get some, and become candidates, or leave.
 * False where the time was over before.
 */
static bool
fill(KtRouter *router, KtSpace *space, int64 until)
{
	while (space->unfilled.length > 0)
	{
		KtGroup    *group = space->unfilled.items[space->unfilled.length - 1].group;

		CHECK_FOR_INTERRUPTS();
		kt_pool_leave_match(router->pool, group);
		PG_TRY();
		{
			kt_router_refill(router, group);
		}
		PG_CATCH();
		{
			/* It has yet to be filled. */
			kt_pool_touch_group(router->pool, group);
			PG_RE_THROW();
		}
		PG_END_TRY();
		if (group->nheads > 0)
			kt_pool_touch_group(router->pool, group);
		if (kt_monotonic() >= until)
			return space->unfilled.length == 0;
	}
	return true;
}

/*
 * The first candidate of a workspace for which there is a worker; the proposal has him
 * then.  One for which there is none leaves.  False where the time was over before, or
 * there are no more.
 */
static bool
match_space(KtRouter *router, KtSpace *space, KtProposal *proposal, int64 until)
{
	if (!fill(router, space, until))
		return false;
	while (!pairingheap_is_empty(space->candidates))
	{
		KtGroup    *group = pairingheap_container(KtGroup, candidate, pairingheap_first(space->candidates));

		CHECK_FOR_INTERRUPTS();
		if (!kt_router_read_values(router, group))
			return false;
		if (!kt_pool_try(router->pool, group, until))
			return false;
		choose_workers(router, group, proposal);
		if (proposal->nworkers > 0)
		{
			proposal->group = group;
			return true;
		}
		pfree(proposal->workers);
		kt_pool_leave_match(router->pool, group);
		if (kt_monotonic() >= until)
			return false;
	}
	return false;
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

/* The pool counts the task and its workers as taken. */
static void
take(KtPool *pool, KtProposal *proposal)
{
	int			channel = proposal->group->channel;

	proposal->head = proposal->group->heads[0];
	proposal->idle_since = palloc(sizeof(KtIdleSince) * proposal->nworkers);
	kt_pool_remove_task(pool, &proposal->head.sid);
	for (int i = 0; i < proposal->nworkers; i++)
	{
		KtPoolWorker *worker = proposal->workers[i];

		proposal->idle_since[i] = idle_since(worker, channel);
		worker->slots[channel].open++;
		kt_pool_place_slot(pool, worker, channel);
		kt_pool_mark_reserved(pool, worker, channel, pool->now);
		proposal->idle_since[i].until = pool->sequence;
	}
}

bool
kt_match_is_over(const KtRouter *router)
{
	return dlist_is_empty(&router->pool->eager);
}

bool
kt_match_next(KtRouter *router, KtProposal *proposal, int64 until)
{
	KtPool	   *pool = router->pool;

	while (!dlist_is_empty(&pool->eager))
	{
		KtSpace    *space = dlist_container(KtSpace, of_pool, dlist_head_node(&pool->eager));
		int64		now = kt_monotonic();
		bool		found = match_space(router, space, proposal, Min(until, now + TURN));

		dlist_delete(&space->of_pool);
		space->eager = !pairingheap_is_empty(space->candidates) || space->unfilled.length > 0;
		if (space->eager)
			dlist_push_tail(&pool->eager, &space->of_pool);
		if (found)
			take(pool, proposal);
		if (found || kt_monotonic() >= until)
			return found;
	}
	return false;
}
