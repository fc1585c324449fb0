/*
 * pool_tie.c
 *		Which groups and classes may fit each other.
 *
 * A group is not tried against every class where its step ties a value of the task
 * to one of the worker (task.a == worker.b, task.a IN worker.b ...): then the
 * classes with that value are looked up.  A million groups that nobody fits so
 * cost a million look-ups, and nothing after that.
 *
 * Memory is bounded: a group or class with more values than KT_MAX_TIED is entered
 * under none of them and tried against all.
 */
#include "postgres.h"

#include "common/hashfn.h"

#include "routing/attributes.h"
#include "routing/pool_private.h"

static uint64
tie_key(const void *owner, int path, const KtValue *value)
{
	uint64		hash = hash_combine64(kt_value_hash(value), (uint64) path);

	return hash_combine64(hash, (uint64) (uintptr_t) owner);
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

/* ---------------------------------------------------------------- classes */

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
		if (class->space->path_is_tied[i] && values_of_class(class, i, &items) > KT_MAX_TIED)
			return true;
	return false;
}

static KtVector *
classes_of_value(KtSpace *space, int path, const KtValue *value)
{
	return kt_map_find(space->classes_by_value, tie_key(space, path, value));
}

static void
enter_class(KtClass *class, int path, const KtValue *value)
{
	KtSpace    *space = class->space;
	KtVector  **classes = (KtVector **) kt_map_enter(space->classes_by_value, tie_key(space, path, value));

	if (*classes == NULL)
		*classes = kt_space_alloc(space, sizeof(KtVector));
	/* Two values may have one hash, and an array may have one twice. */
	if ((*classes)->length == 0 || (*classes)->items[(*classes)->length - 1] != class)
		kt_vector_add(space->context, *classes, class);
}

/* A list that is left empty goes: values come and go with workers, and never end. */
static void
leave_class(KtClass *class, int path, const KtValue *value)
{
	uint64		key = tie_key(class->space, path, value);
	KtVector   *classes = kt_map_find(class->space->classes_by_value, key);
	int			at = classes != NULL ? kt_classes_from(classes, class->number) : 0;

	if (classes == NULL || at == classes->length || classes->items[at] != class)
		return;
	kt_classes_remove(classes, class);
	if (classes->length > 0)
		return;
	pfree(classes->items);
	pfree(classes);
	(void) ktmap_delete(class->space->classes_by_value, key);
}

void
kt_tie_add_class(KtClass *class)
{
	KtSpace    *space = class->space;
	const KtValue *items;

	class->wide = is_wide(class);
	if (class->wide)
		kt_vector_add(space->context, &space->wide, class);
	for (int i = 0; !class->wide && i < space->npaths; i++)
	{
		int			n = space->path_is_tied[i] ? values_of_class(class, i, &items) : 0;

		for (int j = 0; j < n; j++)
			enter_class(class, i, &items[j]);
	}
}

void
kt_tie_remove_class(KtClass *class)
{
	KtSpace    *space = class->space;
	const KtValue *items;

	if (class->wide)
		kt_classes_remove(&space->wide, class);
	for (int i = 0; !class->wide && i < space->npaths; i++)
	{
		int			n = space->path_is_tied[i] ? values_of_class(class, i, &items) : 0;

		for (int j = 0; j < n; j++)
			leave_class(class, i, &items[j]);
	}
}

/* ----------------------------------------------------------------- groups */

/* The values of the task that its step ties; -1: it has no tie, or too many, or too large. */
static int
values_of_group(const KtGroup *group, const KtValue **items)
{
	const KtTie *tie;
	int			n;

	if (group->step == NULL || !group->step->has_tie || group->bulky)
		return -1;
	tie = &group->step->tie;
	n = values_of_tie(&group->values[tie->task_path], tie->task_many, items);
	return n <= KT_MAX_TIED ? n : -1;
}

static void
enter_group(KtGroup *group, int nth, const KtValue *value)
{
	KtSpace    *space = group->space;
	KtGroupSet **groups = (KtGroupSet **) kt_map_enter(space->groups_by_value, tie_key(group->step, 0, value));

	if (*groups == NULL)
		*groups = kt_space_alloc(space, sizeof(KtGroupSet));
	kt_set_add(*groups, group, nth);
}

static void
leave_group(KtGroup *group, int nth, const KtValue *value)
{
	uint64		key = tie_key(group->step, 0, value);
	KtGroupSet *groups = kt_map_find(group->space->groups_by_value, key);

	kt_set_remove(groups, group, nth);
	if (groups->length > 0)
		return;
	pfree(groups->items);
	pfree(groups);
	(void) ktmap_delete(group->space->groups_by_value, key);
}

/* The pinned are in no index; kt_pool_make_group() enters them. */
void
kt_tie_add_group(KtGroup *group)
{
	const KtValue *items;
	int			n = group->pinned ? -1 : values_of_group(group, &items);

	group->places = kt_space_alloc(group->space, sizeof(int) * (KT_PLACE_VALUES + Max(n, 0)));
	group->tied = n >= 0;
	if (!group->pinned)
		kt_set_add(group->tied ? &group->space->tied : &group->space->untied, group, KT_PLACE_INDEX);
	for (int i = 0; i < n; i++)
		enter_group(group, KT_PLACE_VALUES + i, &items[i]);
}

void
kt_tie_remove_group(KtGroup *group)
{
	const KtValue *items;
	int			n = group->tied ? values_of_group(group, &items) : 0;

	if (!group->pinned)
		kt_set_remove(group->tied ? &group->space->tied : &group->space->untied, group, KT_PLACE_INDEX);
	for (int i = 0; i < n; i++)
		leave_group(group, KT_PLACE_VALUES + i, &items[i]);
}

/* ------------------------------------------------------- from one to the other */

static void
add_candidates(KtCandidates *candidates, const KtVector *classes, uint64 from)
{
	if (classes == NULL)
		return;
	candidates->classes[candidates->n] = classes;
	candidates->next[candidates->n++] = kt_classes_from(classes, from);
}

/* Those that have one of its values, and those that have too many to tell. */
void
kt_tie_classes(KtGroup *group, uint64 from, KtCandidates *candidates)
{
	KtSpace    *space = group->space;
	const KtValue *items;
	int			n;

	candidates->n = 0;
	if (!group->tied)
	{
		add_candidates(candidates, &space->classes, from);
		return;
	}
	n = values_of_group(group, &items);
	for (int i = 0; i < n; i++)
		add_candidates(candidates, classes_of_value(space, group->step->worker_paths[group->step->tie.worker_path],
													&items[i]), from);
	add_candidates(candidates, &space->wide, from);
}

/* One may be in several of the lists, and is given once. */
KtClass *
kt_tie_next_class(KtCandidates *candidates)
{
	KtClass    *first = NULL;

	for (int i = 0; i < candidates->n; i++)
	{
		const KtVector *classes = candidates->classes[i];
		KtClass    *class = candidates->next[i] < classes->length ? classes->items[candidates->next[i]] : NULL;

		if (class != NULL && (first == NULL || class->number < first->number))
			first = class;
	}
	for (int i = 0; first != NULL && i < candidates->n; i++)
	{
		const KtVector *classes = candidates->classes[i];

		if (candidates->next[i] < classes->length && classes->items[candidates->next[i]] == first)
			candidates->next[i]++;
	}
	return first;
}

static void
touch_set(KtPool *pool, KtGroupSet *groups)
{
	for (int i = 0; i < groups->length; i++)
		kt_pool_touch_group(pool, groups->items[i].group);
}

/* The groups of a step that have one of the class's values. */
static void
touch_groups_of_step(KtPool *pool, KtClass *class, KtStepPlan *step)
{
	const KtValue *items;
	int			n = values_of_tie(&class->values[step->worker_paths[step->tie.worker_path]],
								  step->tie.worker_many, &items);

	for (int i = 0; i < n; i++)
	{
		KtGroupSet *groups = kt_map_find(class->space->groups_by_value, tie_key(step, 0, &items[i]));

		if (groups != NULL)
			touch_set(pool, groups);
	}
}

void
kt_tie_touch_groups(KtPool *pool, KtClass *class)
{
	KtSpace    *space = class->space;

	if (!class->available)
		return;
	touch_set(pool, &space->untied);
	if (class->wide)
		touch_set(pool, &space->tied);
	for (int i = 0; !class->wide && i < space->tied_steps.length; i++)
		touch_groups_of_step(pool, class, space->tied_steps.items[i]);
}
