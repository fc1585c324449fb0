/*
 * pool_fit.c
 *		Which workers a group's tasks may be offered to.
 *
 * Fits are found when a group is matched, and remembered: group->tried says how far
 * that has come.  There may be thousands of classes, each of which costs up to
 * milliseconds, so it is done in slices.
 *
 * Memory is bounded: when there are more fits than FITS_FOR_EACH for each group and
 * worker, the groups that would have more are open.  They are tried against classes
 * with idle workers; one trial in each workspace is remembered, that of the group
 * which is being matched.  Groups whose step looks at counters try each idle worker.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "base/guc.h"
#include "base/monotonic.h"
#include "routing/attributes.h"
#include "routing/pool_private.h"

/* Fits that are remembered: so many, and so many more for each group and worker. */
#define FEW_FITS		10000
#define FITS_FOR_EACH	8

/* ------------------------------------------------------------------ links */

static void
add_fit(MemoryContext context, KtFits *fits, void *other, int position)
{
	if (fits->length == fits->capacity)
	{
		int			capacity = Max(4, fits->capacity * 2);

		if (fits->items == NULL)
			fits->items = MemoryContextAlloc(context, sizeof(KtFit) * capacity);
		else
			fits->items = repalloc_huge(fits->items, sizeof(KtFit) * capacity);
		fits->capacity = capacity;
	}
	fits->items[fits->length].other = other;
	fits->items[fits->length].position = position;
	fits->length++;
}

static void
link_fit(KtPool *pool, KtGroup *group, KtClass *class)
{
	int			in_group = group->fits.length;
	int			in_class = class->fits.length;

	add_fit(group->space->context, &group->fits, class, in_class);
	add_fit(group->space->context, &class->fits, group, in_group);
	pool->nfits++;
}

/* Takes the last one into the gap, and tells that one's other end. */
static void
close_gap(KtFits *fits, int position, bool of_group)
{
	KtFit	   *last = &fits->items[--fits->length];

	if (position == fits->length)
		return;
	fits->items[position] = *last;
	if (of_group)
		((KtClass *) last->other)->fits.items[last->position].position = position;
	else
		((KtGroup *) last->other)->fits.items[last->position].position = position;
}

static void
forget_fits(KtPool *pool, KtGroup *group)
{
	while (group->fits.length > 0)
	{
		KtFit		fit = group->fits.items[--group->fits.length];

		close_gap(&((KtClass *) fit.other)->fits, fit.position, false);
		pool->nfits--;
	}
}

void
kt_fit_drop_group(KtPool *pool, KtGroup *group)
{
	forget_fits(pool, group);
	if (group->open)
		kt_set_remove(&group->space->open, group, KT_PLACE_OPEN);
	group->open = false;
	if (group->space->trying == group)
		kt_fit_end_trial(group->space);
}

/* From now on it is asked whom it fits each time. */
static void
open_group(KtPool *pool, KtGroup *group)
{
	forget_fits(pool, group);
	if (group->fits.items != NULL)
		pfree(group->fits.items);
	memset(&group->fits, 0, sizeof(KtFits));
	group->open = true;
	kt_set_add(&group->space->open, group, KT_PLACE_OPEN);
}

static bool
has_room(const KtPool *pool)
{
	if (kt_debug_fits >= 0)
		return pool->nfits < kt_debug_fits;
	return pool->nfits < FEW_FITS + FITS_FOR_EACH *
		((int64) hash_get_num_entries(pool->groups) + pool->workers->members);
}

void
kt_fit_drop_class(KtPool *pool, KtClass *class)
{
	while (class->fits.length > 0)
	{
		KtFit		fit = class->fits.items[--class->fits.length];

		close_gap(&((KtGroup *) fit.other)->fits, fit.position, true);
		pool->nfits--;
	}
}

/* ------------------------------------------------------------- evaluation */

/* Counters of a channel, from a worker's slot. */
static KtValue
counter_value(const KtPoolWorker *worker, const KtPath *path)
{
	KtSpace    *space = worker->space;
	KtValue		nothing = {KT_VALUE_NULL};

	for (int i = 0; i < space->nchannels; i++)
	{
		KtSlot	   *slot = &worker->slots[i];

		if (strlen(space->channels[i]->unique_name) != path->steps[0].key_length ||
			memcmp(space->channels[i]->unique_name, path->steps[0].key, path->steps[0].key_length) != 0)
			continue;
		switch (path->steps[1].key[0])
		{
			case 'c':
				return kt_value_integer(slot->capacity);
			case 'a':
				if (path->steps[1].key[1] == 's')
					return kt_value_integer(slot->assigned);
				return kt_value_integer(slot->capacity <= 0 ? 0 :
										Max(0, (slot->capacity - slot->open) * 100 / slot->capacity));
		}
	}
	return nothing;
}

/* What a step's expression reads; worker NULL: of nobody in particular. */
static KtValue *
read_values(KtPool *pool, const KtGroup *group, const KtClass *class, const KtPoolWorker *worker)
{
	const KtExpr *expression = group->step->target->expression;
	KtValue    *values = palloc(sizeof(KtValue) * Max(expression->npaths, 1));

	for (uint32 i = 0; i < expression->npaths; i++)
	{
		const KtPath *path = &expression->paths[i];

		switch (path->subject)
		{
			case KT_SUBJECT_WORKER:
				values[i] = class->values[group->step->worker_paths[i]];
				break;
			case KT_SUBJECT_TASKROUTER:
				values[i] = kt_time_read(pool->now, path);
				break;
			case KT_SUBJECT_CHANNEL:
				if (worker != NULL)
					values[i] = counter_value(worker, path);
				else
					values[i].kind = KT_VALUE_NULL;
				break;
			default:
				values[i] = group->values[i];
		}
	}
	return values;
}

/* Does the step's expression hold for a worker, or, worker NULL, may it for one of the class? */
static bool
step_fits(KtPool *pool, const KtGroup *group, const KtClass *class, const KtPoolWorker *worker)
{
	const KtExpr *expression = group->step != NULL ? group->step->target->expression : NULL;
	KtValue    *values;
	bool		result;

	if (expression == NULL)
		return true;
	values = read_values(pool, group, class, worker);
	result = kt_expr_possible(expression, values, worker != NULL ? 0 : 1 << KT_SUBJECT_CHANNEL);
	pfree(values);
	return result;
}

/* May this class's workers get this group's tasks, capacity aside? */
static bool
fits(KtPool *pool, const KtGroup *group, const KtClass *class)
{
	return class->available && group->queue_classes != NULL &&
		kt_queue_has(group->queue_classes, class) && step_fits(pool, group, class, NULL);
}

bool
kt_group_reads_counters(const KtGroup *group)
{
	return group->step != NULL && group->step->target->expression != NULL &&
		(group->step->target->expression->subjects & (1 << KT_SUBJECT_CHANNEL)) != 0;
}

bool
kt_group_reads_time(const KtGroup *group)
{
	return group->step != NULL && group->step->target->expression != NULL &&
		(group->step->target->expression->subjects & (1 << KT_SUBJECT_TASKROUTER)) != 0;
}

bool
kt_pool_fits_worker(KtPool *pool, KtGroup *group, KtPoolWorker *worker)
{
	return fits(pool, group, worker->class) &&
		(!kt_group_reads_counters(group) || step_fits(pool, group, worker->class, worker));
}

/* ------------------------------------------------------------------ trials */

static inline bool
is_over(int64 until)
{
	return kt_monotonic() >= until;
}

void
kt_fit_end_trial(KtSpace *space)
{
	space->trying = NULL;
}

static void
begin_trial(KtSpace *space, KtGroup *group)
{
	if (space->trying == group)
		return;
	space->trying = group;
	space->trial++;
}

/* Goes on to find the fits of a group; true when all have been found. */
static bool
find_fits(KtPool *pool, KtGroup *group, int64 until)
{
	KtCandidates candidates;
	KtClass    *class;

	if (group->tried == group->space->next_number)
		return true;
	kt_tie_classes(group, group->tried, &candidates);
	while ((class = kt_tie_next_class(&candidates)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		group->tried = class->number + 1;
		if (fits(pool, group, class))
		{
			if (!has_room(pool))
			{
				open_group(pool, group);
				return true;
			}
			link_fit(pool, group, class);
		}
		if (is_over(until))
			return false;
	}
	group->tried = group->space->next_number;
	return true;
}

/* Tries an open group against the classes that have somebody idle in its channel. */
static bool
try_idle_classes(KtPool *pool, KtGroup *group, int64 until)
{
	KtSpace    *space = group->space;
	dlist_iter	iter;

	begin_trial(space, group);
	dlist_foreach(iter, &space->idle[group->channel])
	{
		KtClass    *class = dlist_container(KtIdle, of_space, iter.cur)->class;

		if (class->trial == space->trial)
			continue;
		CHECK_FOR_INTERRUPTS();
		class->trial = space->trial;
		class->passes = fits(pool, group, class);
		if (is_over(until))
			return false;
	}
	return true;
}

/* Tries the idle workers of a class, which differ by their counters. */
static bool
try_workers(KtPool *pool, KtGroup *group, KtClass *class, int64 until)
{
	dlist_iter	iter;

	dlist_foreach(iter, &class->workers)
	{
		KtPoolWorker *worker = dlist_container(KtPoolWorker, of_class, iter.cur);

		if (worker->trial == class->space->trial || !worker->slots[group->channel].idle)
			continue;
		CHECK_FOR_INTERRUPTS();
		worker->trial = class->space->trial;
		worker->passes = step_fits(pool, group, class, worker);
		if (is_over(until))
			return false;
	}
	return true;
}

static bool
try_idle_workers(KtPool *pool, KtGroup *group, int64 until)
{
	dlist_iter	iter;

	begin_trial(group->space, group);
	for (int i = 0; i < group->fits.length; i++)
		if (!try_workers(pool, group, group->fits.items[i].other, until))
			return false;
	if (!group->open)
		return true;
	dlist_foreach(iter, &group->space->idle[group->channel])
	{
		KtClass    *class = dlist_container(KtIdle, of_space, iter.cur)->class;

		if (kt_pool_passes(group, class) && !try_workers(pool, group, class, until))
			return false;
	}
	return true;
}

bool
kt_pool_try(KtPool *pool, KtGroup *group, int64 until)
{
	if (group->pinned)
		return true;
	if (group->outdated)
	{
		forget_fits(pool, group);
		group->tried = 0;
		if (group->space->trying == group)
			kt_fit_end_trial(group->space);
	}
	group->outdated = false;
	if (pool->forgets_fits && !group->open)
		open_group(pool, group);
	if (!group->open && !find_fits(pool, group, until))
		return false;
	if (group->open && !try_idle_classes(pool, group, until))
		return false;
	return !kt_group_reads_counters(group) || try_idle_workers(pool, group, until);
}

bool
kt_pool_passes(const KtGroup *group, const KtClass *class)
{
	return class->trial == group->space->trial && class->passes;
}

bool
kt_pool_worker_passes(const KtGroup *group, const KtPoolWorker *worker)
{
	return worker->trial == group->space->trial && worker->passes;
}
