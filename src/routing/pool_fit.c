/*
 * pool_fit.c
 *		Which workers a group's tasks may be offered to.
 *
 * A new group is not tried against every class where its step ties a value of the
 * task to one of the worker (task.a == worker.b, task.a IN worker.b ...): then the
 * classes with that value are looked up.  A million groups that nobody fits so
 * cost a million look-ups, and nothing after that.
 */
#include "postgres.h"

#include "common/hashfn.h"

#include "routing/attributes.h"
#include "routing/pool_private.h"

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

void
kt_fit_drop_group(KtGroup *group)
{
	while (group->fits.length > 0)
	{
		KtFit		fit = group->fits.items[--group->fits.length];

		close_gap(&((KtClass *) fit.other)->fits, fit.position, false);
	}
}

void
kt_fit_drop_class(KtClass *class)
{
	while (class->fits.length > 0)
	{
		KtFit		fit = class->fits.items[--class->fits.length];

		close_gap(&((KtGroup *) fit.other)->fits, fit.position, true);
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

/*
 * A class is entered under each value that any tie may look for: the value
 * itself, and, of an array, each of its items.
 */
void
kt_fit_index_class(KtPool *pool, KtClass *class, bool add)
{
	KtSpace    *space = class->space;

	for (int i = 0; i < space->npaths; i++)
	{
		const KtValue *value = &class->values[i];
		bool		many = value->kind == KT_VALUE_ARRAY;
		const KtValue *items;
		int			n;

		if (!space->path_is_tied[i])
			continue;
		n = values_of_tie(value, many, &items);
		for (int j = 0; j < n; j++)
		{
			if (add)
				enter_value(pool, space->classes_by_value, tie_key(space, i, &items[j]), class);
			else
				leave_value(space->classes_by_value, tie_key(space, i, &items[j]), class);
		}
	}
}

void
kt_fit_index_group(KtPool *pool, KtGroup *group, bool add)
{
	KtSpace    *space = group->space;
	const KtValue *items;
	int			n;

	if (group->pinned)
		return;
	if (group->step == NULL || !group->step->has_tie)
	{
		if (add)
			kt_vector_add(pool, &space->untied, group);
		else
			kt_vector_remove(&space->untied, group);
		return;
	}
	n = values_of_tie(&group->values[group->step->tie.task_path], group->step->tie.task_many, &items);
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
	/* The class's list is the one that a look-up has just been adding to. */
	for (int i = group->fits.length - 1; i >= 0; i--)
		if (group->fits.items[i].other == class)
			return true;
	return false;
}

static void
try_fit(KtPool *pool, KtGroup *group, KtClass *class, bool may_be_linked)
{
	if (may_be_linked && is_linked(group, class))
		return;
	if (kt_pool_fits(pool, group, class))
		link_fit(pool, group, class);
}

void
kt_fit_find_for_group(KtPool *pool, KtGroup *group)
{
	KtSpace    *space = group->space;

	if (group->pinned)
		return;
	if (group->step == NULL || !group->step->has_tie)
	{
		dlist_iter	iter;

		dlist_foreach(iter, &space->classes)
			try_fit(pool, group, dlist_container(KtClass, of_space, iter.cur), false);
	}
	else
	{
		const KtTie *tie = &group->step->tie;
		const KtValue *items;
		int			n = values_of_tie(&group->values[tie->task_path], tie->task_many, &items);

		for (int i = 0; i < n; i++)
		{
			KtVector   *vector = value_vector(space->classes_by_value,
											  tie_key(space, group->step->worker_paths[tie->worker_path], &items[i]),
											  false);

			for (int j = 0; vector != NULL && j < vector->length; j++)
				try_fit(pool, group, vector->items[j], n > 1);
		}
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
	{
		const KtValue *items;
		int			n;

		if (step->space != space || !step->has_tie)
			continue;
		n = values_of_tie(&class->values[step->worker_paths[step->tie.worker_path]],
						  step->tie.worker_many, &items);
		for (int i = 0; i < n; i++)
		{
			KtVector   *vector = value_vector(space->groups_by_value, tie_key(step, 0, &items[i]), false);

			for (int j = 0; vector != NULL && j < vector->length; j++)
				try_fit(pool, vector->items[j], class, n > 1);
		}
	}
}
