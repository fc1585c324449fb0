/*
 * pool_group.c
 *		Groups of waiting tasks, and the first tasks of each.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "base/name.h"
#include "routing/attributes.h"
#include "routing/placement.h"
#include "routing/pool_private.h"

/* A group keeps so many heads at most. */
#define MAX_HEADS 64

/* Bytes of the values that it keeps; of more, a table can hold more than memory. */
#define MAX_VALUES_SIZE 4096

/* It has no heads any more: one of those that may be freed, the oldest first. */
static void
note_empty(KtPool *pool, KtGroup *group)
{
	dlist_push_tail(&pool->empty_groups, &group->of_empty);
	pool->nempty++;
}

static void
note_filled(KtPool *pool, KtGroup *group)
{
	dlist_delete(&group->of_empty);
	pool->nempty--;
}

KtGroup *
kt_pool_group(KtPool *pool, const pg_uuid_t *key)
{
	return hash_search(pool->groups, key, HASH_FIND, NULL);
}

static KtGroupSet *
pinned_to(KtSpace *space, const KtSid *worker)
{
	KtGroupSet **groups = (KtGroupSet **) kt_sid_map_enter(space->pinned_by_sid, worker);

	if (*groups == NULL)
		*groups = kt_space_alloc(space, sizeof(KtGroupSet));
	return *groups;
}

/* For whom a group is: one worker by sid, one by name, nobody at all, or all who fit. */
typedef struct Pin
{
	bool		pinned;
	bool		direct;
	KtSid		sid;
	bytea	   *name;			/* key of it; in the current context */
} Pin;

/* A name that is too long, or no name, is for nobody. */
static Pin
find_pin(const KtStepPlan *step, const KtGroupRow *row)
{
	Pin			pin = {false};
	KtValue		known;

	if (kt_sid_is(&row->routing_target, KT_WORKER))
	{
		pin.pinned = pin.direct = true;
		pin.sid = row->routing_target;
		return pin;
	}
	if (step == NULL || step->target->known_worker == NULL)
		return pin;
	pin.pinned = true;
	known = kt_known_worker(step->target, row->attributes);
	if (known.kind == KT_VALUE_NULL || known.length > KT_NAME_MAX_SIZE)
		return pin;
	if (step->target->known_by_name)
		pin.name = kt_name_key(pnstrdup(known.text, known.length));
	else if (!kt_sid_parse(known.text, known.length, &pin.sid))
		memset(&pin.sid, 0, sizeof(KtSid));
	return pin;
}

static void
pin_group(KtGroup *group, const Pin *pin)
{
	group->direct = pin->direct;
	group->pinned_sid = pin->sid;
	if (!kt_sid_is_null(&pin->sid))
		kt_set_add(pinned_to(group->space, &pin->sid), group, KT_PLACE_INDEX);
	else if (pin->name != NULL)
	{
		group->pinned_name = kt_pool_enter_name(group->space, pin->name);
		kt_set_add(&group->pinned_name->groups, group, KT_PLACE_INDEX);
	}
}

/* The last one takes its entry along: tasks may name workers that never were. */
static void
unpin_group(KtGroup *group)
{
	if (!kt_sid_is_null(&group->pinned_sid))
	{
		KtGroupSet *groups = pinned_to(group->space, &group->pinned_sid);

		kt_set_remove(groups, group, KT_PLACE_INDEX);
		if (groups->length > 0)
			return;
		pfree(groups->items);
		pfree(groups);
		(void) ktsidmap_delete(group->space->pinned_by_sid, group->pinned_sid);
	}
	else if (group->pinned_name != NULL)
	{
		kt_set_remove(&group->pinned_name->groups, group, KT_PLACE_INDEX);
		kt_pool_leave_name(group->space, group->pinned_name);
	}
}

/* What the step's expression reads of the task, in the current context; NULL: nothing. */
static KtValue *
read_values(const KtExpr *expression, Jsonb *attributes)
{
	KtValue    *values;

	if (expression == NULL)
		return NULL;
	values = palloc0(sizeof(KtValue) * Max(expression->npaths, 1));
	for (uint32 i = 0; i < expression->npaths; i++)
		if (expression->paths[i].subject == KT_SUBJECT_TASK)
			values[i] = kt_attributes_read(attributes, &expression->paths[i]);
	return values;
}

static const KtExpr *
expression_of(const KtGroup *group)
{
	return group->step != NULL ? group->step->target->expression : NULL;
}

static KtValue *
copy_values(const KtExpr *expression, const KtValue *values, MemoryContext context)
{
	KtValue    *copy = MemoryContextAlloc(context, sizeof(KtValue) * Max(expression->npaths, 1));

	for (uint32 i = 0; i < expression->npaths; i++)
		copy[i] = kt_value_copy(&values[i], context);
	return copy;
}

static bool
are_bulky(const KtExpr *expression, const KtValue *values)
{
	Size		size = 0;

	for (uint32 i = 0; i < expression->npaths; i++)
		size += kt_value_size(&values[i]);
	return size > MAX_VALUES_SIZE;
}

static void
keep_values(KtGroup *group, const KtValue *values)
{
	const KtExpr *expression = expression_of(group);

	if (expression == NULL)
		return;
	group->bulky = are_bulky(expression, values);
	if (!group->bulky)
		group->values = copy_values(expression, values, group->space->context);
	group->space->ntimed += kt_group_reads_time(group);
	group->space->ncounting += kt_group_reads_counters(group);
}

static void
drop_values(KtGroup *group)
{
	const KtExpr *expression = expression_of(group);

	if (expression == NULL)
		return;
	group->space->ntimed -= kt_group_reads_time(group);
	group->space->ncounting -= kt_group_reads_counters(group);
	if (group->bulky)
		return;
	for (uint32 i = 0; i < expression->npaths; i++)
		kt_value_free(&group->values[i]);
	pfree(group->values);
}

bool
kt_group_has_values(const KtGroup *group)
{
	return !group->bulky || group->values != NULL;
}

static void
drop_bulky_values(KtPool *pool)
{
	if (pool->bulky != NULL)
		pool->bulky->values = NULL;
	pool->bulky = NULL;
	MemoryContextReset(pool->bulky_context);
}

void
kt_group_give_values(KtPool *pool, KtGroup *group, Jsonb *attributes)
{
	const KtExpr *expression = expression_of(group);

	drop_bulky_values(pool);
	group->values = copy_values(expression, read_values(expression, attributes), pool->bulky_context);
	pool->bulky = group;
}

/*
 * NULL where nobody can get its tasks: its workspace or channel is gone, or its step
 * or queue is faulty or reads what of a worker no class has yet.
 */
KtGroup *
kt_pool_make_group(KtPool *pool, const KtGroupRow *row)
{
	KtSpace    *space = kt_pool_space(pool, &row->workspace);
	KtGroup    *group;
	KtStepPlan *step = NULL;
	KtQueueClasses *queue = NULL;
	const KtExpr *expression;
	bool		later = false;
	KtValue    *values;
	Pin			pin;
	int			channel;
	bool		found;

	if (space == NULL || (channel = kt_space_channel(space, &row->channel)) < 0)
		return NULL;
	if (row->filter >= 0 &&
		(step = kt_pool_step(pool, space, &row->workflow, row->workflow_version, row->filter,
							 row->target)) == NULL)
		return NULL;
	if (!kt_sid_is_null(&row->queue))
		queue = kt_space_queue(pool, space, &row->queue, &later);
	if (later || (queue == NULL && !kt_sid_is_null(&row->queue) && !kt_sid_is(&row->routing_target, KT_WORKER)))
		return NULL;
	/* What can fail comes before anything is changed. */
	expression = step ? step->target->expression : NULL;
	values = read_values(expression, row->attributes);
	pin = find_pin(step, row);
	group = hash_search(pool->groups, &row->key, HASH_ENTER, &found);
	memset((char *) group + sizeof(pg_uuid_t), 0, sizeof(KtGroup) - sizeof(pg_uuid_t));
	group->space = space;
	group->queue_sid = row->queue;
	group->queue = queue != NULL ? queue->queue : NULL;
	group->queue_classes = queue;
	group->channel = channel;
	group->step = step;
	group->ignore_capacity = row->ignore_capacity;
	dlist_push_tail(&space->groups, &group->of_space);
	keep_values(group, values);
	group->pinned = pin.pinned;
	kt_tie_add_group(group);
	pin_group(group, &pin);
	note_empty(pool, group);
	return group;
}

void
kt_group_free(KtPool *pool, KtGroup *group)
{
	Assert(group->nheads == 0 && !group->touched);
	if (pool->bulky == group)
		drop_bulky_values(pool);
	unpin_group(group);
	kt_tie_remove_group(group);
	kt_fit_drop_group(pool, group);
	pfree(group->places);
	drop_values(group);
	if (group->fits.items != NULL)
		pfree(group->fits.items);
	if (group->heads != NULL)
		pfree(group->heads);
	note_filled(pool, group);
	kt_pool_wait_no_more(pool, group);
	dlist_delete(&group->of_space);
	hash_search(pool->groups, &group->key, HASH_REMOVE, NULL);
}

void
kt_group_forget(KtPool *pool, KtGroup *group)
{
	if (pool->bulky == group)
		drop_bulky_values(pool);
	for (int i = 0; i < group->nheads; i++)
		hash_search(pool->head_groups, &group->heads[i].sid, HASH_REMOVE, NULL);
	if (group->nheads == 0)
		note_filled(pool, group);
	pool->nfits -= group->fits.length;
	kt_pool_wait_no_more(pool, group);
	dlist_delete(&group->of_space);
	hash_search(pool->groups, &group->key, HASH_REMOVE, NULL);
}

int
kt_head_compare(const KtHead *a, const KtHead *b)
{
	if (a->key1 != b->key1)
		return a->key1 < b->key1 ? -1 : 1;
	if (a->key2 != b->key2)
		return a->key2 < b->key2 ? -1 : 1;
	return memcmp(&a->sid, &b->sid, sizeof(KtSid));
}

static void
insert_head(KtPool *pool, KtGroup *group, const KtHead *head)
{
	int			at = group->nheads;

	if (group->nheads == group->heads_capacity)
	{
		int			capacity = Max(1, group->heads_capacity * 2);

		if (group->heads == NULL)
			group->heads = MemoryContextAlloc(group->space->context, sizeof(KtHead) * capacity);
		else
			group->heads = repalloc(group->heads, sizeof(KtHead) * capacity);
		group->heads_capacity = capacity;
	}
	while (at > 0 && kt_head_compare(&group->heads[at - 1], head) > 0)
		at--;
	memmove(&group->heads[at + 1], &group->heads[at], sizeof(KtHead) * (group->nheads - at));
	group->heads[at] = *head;
	if (group->nheads++ == 0)
		note_filled(pool, group);
}

bool
kt_group_has_more(const KtGroup *group)
{
	return !group->held && (group->more || group->skipped == KT_SKIPPED_DUE);
}

/* Where some are left alone already, it is with them. */
void
kt_group_note_skipped(KtGroup *group)
{
	if (group->skipped == KT_SKIPPED_NONE)
		group->skipped = KT_SKIPPED_SOME;
}

/* May it be among the heads?  Beyond the boundary others are missing between. */
static bool
is_near(const KtGroup *group, const KtHead *head)
{
	if (group->held)
		return group->nheads < MAX_HEADS;
	return !group->more || kt_head_compare(head, &group->boundary) <= 0;
}

static void
cut_heads(KtPool *pool, KtGroup *group)
{
	KtHead	   *last = &group->heads[--group->nheads];

	hash_search(pool->head_groups, &last->sid, HASH_REMOVE, NULL);
	group->boundary = group->heads[group->nheads - 1];
	group->more = true;
}

/* What a touched group's place among the candidates follows from changes in between. */
static bool
leave_candidates(KtPool *pool, KtGroup *group)
{
	bool		touched = group->touched;

	kt_pool_leave_match(pool, group);
	return touched;
}

static void
rejoin_candidates(KtPool *pool, KtGroup *group, bool touched)
{
	if (touched)
		kt_pool_touch_group(pool, group);
}

void
kt_pool_put_task(KtPool *pool, KtGroup *group, const KtHead *head)
{
	KtHeadEntry *entry = hash_search(pool->head_groups, &head->sid, HASH_FIND, NULL);
	bool		touched;
	bool		found;

	if (entry != NULL)
		kt_pool_remove_task(pool, &head->sid);
	if (!is_near(group, head))
		return;
	touched = leave_candidates(pool, group);
	insert_head(pool, group, head);
	entry = hash_search(pool->head_groups, &head->sid, HASH_ENTER, &found);
	entry->group = group;
	if (group->nheads > MAX_HEADS)
		cut_heads(pool, group);
	rejoin_candidates(pool, group, touched);
}

void
kt_pool_remove_task(KtPool *pool, const KtSid *task)
{
	KtHeadEntry *entry = hash_search(pool->head_groups, task, HASH_FIND, NULL);
	KtGroup    *group;
	bool		touched;

	if (entry == NULL)
		return;
	group = entry->group;
	hash_search(pool->head_groups, task, HASH_REMOVE, NULL);
	touched = leave_candidates(pool, group);
	for (int i = 0; i < group->nheads; i++)
		if (kt_sid_equal(&group->heads[i].sid, task))
		{
			memmove(&group->heads[i], &group->heads[i + 1], sizeof(KtHead) * (group->nheads - i - 1));
			if (--group->nheads == 0)
			{
				note_empty(pool, group);
				kt_pool_rest_skipped(pool, group);
			}
			break;
		}
	rejoin_candidates(pool, group, touched);
}

void
kt_pool_drop_heads(KtPool *pool, KtGroup *group, const KtHead *behind)
{
	bool		touched = leave_candidates(pool, group);

	for (int i = 0; i < group->nheads; i++)
		hash_search(pool->head_groups, &group->heads[i].sid, HASH_REMOVE, NULL);
	if (group->nheads > 0)
		note_empty(pool, group);
	group->nheads = 0;
	group->more = true;
	group->boundary = *behind;
	rejoin_candidates(pool, group, touched);
}

void
kt_pool_end_heads(KtPool *pool, KtGroup *group, const KtHead *last)
{
	bool		touched = leave_candidates(pool, group);
	bool		was_empty = group->nheads == 0;

	while (group->nheads > 0 && kt_head_compare(&group->heads[group->nheads - 1], last) > 0)
		hash_search(pool->head_groups, &group->heads[--group->nheads].sid, HASH_REMOVE, NULL);
	if (!was_empty && group->nheads == 0)
		note_empty(pool, group);
	group->more = true;
	group->boundary = *last;
	rejoin_candidates(pool, group, touched);
}
