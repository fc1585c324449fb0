/*
 * pool_fit.c
 *		Which workers a group's tasks may be offered to.
 *
 * A new group is not tried against every class where its step ties a value of the
 * task to one of the worker (task.a == worker.b, task.a IN worker.b ...): then the
 * classes with that value are looked up.  A million groups that nobody fits so
 * cost a million look-ups, and nothing after that.
 *
 * Memory is bounded: a group or class with more values than MAX_TIED is entered
 * under none of them and tried against all; and when there are more fits than
 * FITS_FOR_EACH for each group and worker, the groups that would have more are
 * open, and are tried against classes with idle workers when there are some.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"

#include "base/guc.h"
#include "routing/attributes.h"
#include "routing/pool_private.h"

/* Values of a group or class that it is entered under at the most. */
#define MAX_TIED		64

/* Fits that are remembered: so many, and so many more for each group and worker. */
#define FEW_FITS		10000
#define FITS_FOR_EACH	8

static void
add_fit(KtPool *pool, KtFits *fits, void *other, int position)
{
	if (fits->length == fits->capacity)
	{
		int			capacity = Max(4, fits->capacity * 2);

		if (fits->items == NULL)
			fits->items = MemoryContextAlloc(pool->context, sizeof(KtFit) * capacity);
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

	add_fit(pool, &group->fits, class, in_class);
	add_fit(pool, &class->fits, group, in_group);
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
		kt_vector_remove(&group->space->open, group);
	group->open = false;
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
	kt_vector_add(pool, &group->space->open, group);
}

static bool
has_room(const KtPool *pool)
{
	if (kt_debug_fits >= 0)
		return pool->nfits < kt_debug_fits;
	return pool->nfits < FEW_FITS + FITS_FOR_EACH *
		((int64) hash_get_num_entries(pool->groups) + hash_get_num_entries(pool->workers));
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

/* Counters of a channel, from a worker's slot. */
static KtValue
counter_value(KtPoolWorker *worker, const KtPath *path)
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

KtValue *
kt_pool_values(KtPool *pool, KtGroup *group, KtClass *class, KtPoolWorker *worker)
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

bool
kt_pool_in_queue(KtPool *pool, KtGroup *group, KtClass *class)
{
	const KtExpr *expression;
	KtValue    *values;
	bool		result;

	if (group->queue == NULL || (expression = group->queue->expression) == NULL)
		return false;
	values = palloc(sizeof(KtValue) * Max(expression->npaths, 1));
	for (uint32 i = 0; i < expression->npaths; i++)
		values[i] = class->values[kt_space_path(pool, group->space, &expression->paths[i])];
	result = kt_expr_evaluate(expression, values);
	pfree(values);
	return result;
}

bool
kt_pool_fits(KtPool *pool, KtGroup *group, KtClass *class)
{
	const KtExpr *expression;
	KtValue    *values;
	bool		result;

	if (!class->available || !kt_pool_in_queue(pool, group, class))
		return false;
	if (group->step == NULL || (expression = group->step->target->expression) == NULL)
		return true;
	values = kt_pool_values(pool, group, class, NULL);
	result = kt_expr_possible(expression, values, 1 << KT_SUBJECT_CHANNEL);
	pfree(values);
	return result;
}

static uint64
tie_key(const void *owner, int path, const KtValue *value)
{
	uint64		hash = hash_combine64(kt_value_hash(value), (uint64) path);

	return hash_combine64(hash, (uint64) (uintptr_t) owner);
}

static KtVector *
value_vector(HTAB *hash, uint64 key, bool create)
{
	bool		found;
	KtVectorEntry *entry = hash_search(hash, &key, create ? HASH_ENTER : HASH_FIND, &found);

	if (entry != NULL && !found)
		memset(&entry->vector, 0, sizeof(KtVector));
	return entry ? &entry->vector : NULL;
}

/* One that is left empty goes: values come and go with tasks, and never end. */
static void
leave_value(HTAB *hash, uint64 key, void *item)
{
	KtVectorEntry *entry = hash_search(hash, &key, HASH_FIND, NULL);

	if (entry == NULL)
		return;
	kt_vector_remove(&entry->vector, item);
	if (entry->vector.length > 0)
		return;
	pfree(entry->vector.items);
	hash_search(hash, &key, HASH_REMOVE, NULL);
}

static void
enter_value(KtPool *pool, HTAB *hash, uint64 key, void *item)
{
	kt_vector_add(pool, value_vector(hash, key, true), item);
}

/* An array's items each count where the tie says so, else the value itself. */
static int
values_of_tie(const KtValue *value, bool many, const KtValue **items)
{
	if (!many)
	{
		*items = value;
		return value->kind == KT_VALUE_ARRAY || value->kind == KT_VALUE_OBJECT ? 0 : 1;
	}
	*items = value->items;
	return value->kind == KT_VALUE_ARRAY ? value->length : 0;
}

/* The values under which a class is entered for a path: itself, or of an array each of its items. */
static int
values_of_class(const KtClass *class, int path, const KtValue **items)
{
	const KtValue *value = &class->values[path];

	return values_of_tie(value, value->kind == KT_VALUE_ARRAY, items);
}

static bool
is_wide(const KtClass *class)
{
	const KtValue *items;

	for (int i = 0; i < class->space->npaths; i++)
		if (class->space->path_is_tied[i] && values_of_class(class, i, &items) > MAX_TIED)
			return true;
	return false;
}

/* A class is entered under each value that any tie may look for. */
void
kt_fit_index_class(KtPool *pool, KtClass *class, bool add)
{
	KtSpace    *space = class->space;

	if (add && is_wide(class))
	{
		class->wide = true;
		kt_vector_add(pool, &space->wide, class);
	}
	else if (class->wide)
		kt_vector_remove(&space->wide, class);
	for (int i = 0; !class->wide && i < space->npaths; i++)
	{
		const KtValue *items;
		int			n = space->path_is_tied[i] ? values_of_class(class, i, &items) : 0;

		for (int j = 0; j < n; j++)
		{
			if (add)
				enter_value(pool, space->classes_by_value, tie_key(space, i, &items[j]), class);
			else
				leave_value(space->classes_by_value, tie_key(space, i, &items[j]), class);
		}
	}
}

/* The values of the task that its step ties; -1: it has no tie, or too many. */
static int
values_of_group(const KtGroup *group, const KtValue **items)
{
	const KtTie *tie;
	int			n;

	if (group->step == NULL || !group->step->has_tie)
		return -1;
	tie = &group->step->tie;
	n = values_of_tie(&group->values[tie->task_path], tie->task_many, items);
	return n <= MAX_TIED ? n : -1;
}

void
kt_fit_index_group(KtPool *pool, KtGroup *group, bool add)
{
	KtSpace    *space = group->space;
	const KtValue *items;
	int			n;

	if (group->pinned)
		return;
	n = values_of_group(group, &items);
	group->tied = n >= 0;
	if (!group->tied && add)
		kt_vector_add(pool, &space->untied, group);
	else if (!group->tied)
		kt_vector_remove(&space->untied, group);
	for (int i = 0; i < n; i++)
	{
		if (add)
			enter_value(pool, space->groups_by_value, tie_key(group->step, 0, &items[i]), group);
		else
			leave_value(space->groups_by_value, tie_key(group->step, 0, &items[i]), group);
	}
}

static bool
is_linked(KtGroup *group, KtClass *class)
{
	/* The last one is the one that a look-up has just been adding. */
	for (int i = group->fits.length - 1; i >= 0; i--)
		if (group->fits.items[i].other == class)
			return true;
	return false;
}

static void
try_fit(KtPool *pool, KtGroup *group, KtClass *class, bool may_be_linked)
{
	CHECK_FOR_INTERRUPTS();
	if (group->open || (may_be_linked && is_linked(group, class)) || !kt_pool_fits(pool, group, class))
		return;
	if (has_room(pool))
		link_fit(pool, group, class);
	else
		open_group(pool, group);
}

/* The classes that have one of its values, and those that have too many to tell. */
static void
find_by_value(KtPool *pool, KtGroup *group)
{
	KtSpace    *space = group->space;
	const KtTie *tie = &group->step->tie;
	const KtValue *items;
	int			n = values_of_group(group, &items);

	for (int i = 0; i < n; i++)
	{
		KtVector   *vector = value_vector(space->classes_by_value,
										  tie_key(space, group->step->worker_paths[tie->worker_path], &items[i]),
										  false);

		for (int j = 0; vector != NULL && j < vector->length; j++)
			try_fit(pool, group, vector->items[j], n > 1);
	}
	for (int i = 0; i < space->wide.length; i++)
		try_fit(pool, group, space->wide.items[i], false);
}

void
kt_fit_find_for_group(KtPool *pool, KtGroup *group)
{
	dlist_iter	iter;

	if (group->pinned)
		return;
	if (pool->forgets_fits)
		open_group(pool, group);
	else if (group->tied)
		find_by_value(pool, group);
	else
		dlist_foreach(iter, &group->space->classes)
			try_fit(pool, group, dlist_container(KtClass, of_space, iter.cur), false);
}

/* The groups of a step that have one of the class's values. */
static void
find_groups_of_step(KtPool *pool, KtClass *class, KtStepPlan *step)
{
	KtSpace    *space = class->space;
	const KtValue *items;
	int			n = values_of_tie(&class->values[step->worker_paths[step->tie.worker_path]],
								  step->tie.worker_many, &items);

	for (int i = 0; i < n; i++)
	{
		KtVector   *vector = value_vector(space->groups_by_value, tie_key(step, 0, &items[i]), false);

		for (int j = 0; vector != NULL && j < vector->length; j++)
			try_fit(pool, vector->items[j], class, n > 1);
	}
}

void
kt_fit_find_for_class(KtPool *pool, KtClass *class)
{
	KtSpace    *space = class->space;
	HASH_SEQ_STATUS scan;
	KtStepPlan *step;

	if (!class->available)
		return;
	for (int i = 0; i < space->untied.length; i++)
		try_fit(pool, space->untied.items[i], class, false);
	hash_seq_init(&scan, pool->steps);
	while ((step = hash_seq_search(&scan)) != NULL)
		if (step->space == space && step->has_tie)
			find_groups_of_step(pool, class, step);
}

void
kt_pool_refit(KtPool *pool, KtGroup *group)
{
	group->outdated = false;
	if (group->open)
		return;
	kt_fit_drop_group(pool, group);
	kt_fit_find_for_group(pool, group);
}
