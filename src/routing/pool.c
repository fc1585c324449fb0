/*
 * pool.c
 *		What the router remembers, and its links.
 *
 * Nothing here reads a table but for the configuration.  The one invariant that
 * everything serves: a class and a group are linked by a fit exactly when
 * kt_pool_fits() says so, and a slot is in its class's idle heap exactly when
 * the worker could take a task of that channel now.
 *
 * A new group is not tried against every class where its step ties a value of
 * the task to one of the worker (task.a == worker.b, task.a IN worker.b ...):
 * then the classes with that value are looked up.  A million groups that nobody
 * fits so cost a million look-ups, and nothing after that.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/formatting.h"
#include "catalog/pg_collation.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

#include "base/spi.h"
#include "routing/attributes.h"
#include "routing/placement.h"
#include "routing/pool.h"

/* A group keeps so many heads at most. */
#define MAX_HEADS 64

/* Names of workers are at most 64 characters. */
#define NAME_SIZE 260

typedef struct VectorEntry
{
	uint64		key;
	KtVector	vector;
} VectorEntry;

typedef struct SidVectorEntry
{
	KtSid		key;
	KtVector	vector;
} SidVectorEntry;

typedef struct NameEntry
{
	char		key[NAME_SIZE];
	KtPoolWorker *worker;
	KtVector	vector;
} NameEntry;

typedef struct ClassEntry
{
	uint64		key;
	KtClass    *first;
} ClassEntry;

typedef struct HeadEntry
{
	KtSid		task;
	KtGroup    *group;
} HeadEntry;

static HTAB *
create_hash(KtPool *pool, const char *name, Size key, Size entry)
{
	HASHCTL		control = {.keysize = key, .entrysize = entry, .hcxt = pool->context};

	return hash_create(name, 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static void *
allocate(KtPool *pool, Size size)
{
	return MemoryContextAllocZero(pool->context, size);
}

KtPool *
kt_pool_create(MemoryContext parent)
{
	MemoryContext context = AllocSetContextCreate(parent, "kin_tr pool", ALLOCSET_DEFAULT_SIZES);
	KtPool	   *pool = MemoryContextAllocZero(context, sizeof(KtPool));

	pool->context = context;
	pool->config = kt_config_create(context);
	pool->spaces = create_hash(pool, "spaces", sizeof(KtSid), sizeof(KtSpace));
	pool->steps = create_hash(pool, "steps", sizeof(((KtStepPlan *) 0)->key), sizeof(KtStepPlan));
	pool->workers = create_hash(pool, "workers", sizeof(KtSid), sizeof(KtPoolWorker));
	pool->groups = create_hash(pool, "groups", sizeof(pg_uuid_t), sizeof(KtGroup));
	pool->head_groups = create_hash(pool, "heads", sizeof(KtSid), sizeof(HeadEntry));
	pool->open = create_hash(pool, "open reservations", sizeof(KtSid), sizeof(KtOpen));
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

/* ---------------------------------------------------------------- spaces */

static int
space_path(KtPool *pool, KtSpace *space, const KtPath *path)
{
	for (int i = 0; i < space->npaths; i++)
		if (strcmp(space->paths[i].text, path->text) == 0)
			return i;
	if (space->npaths % 16 == 0)
	{
		Size		n = space->npaths + 16;

		space->paths = space->paths == NULL ? allocate(pool, sizeof(KtPath) * n) :
			repalloc(space->paths, sizeof(KtPath) * n);
		space->path_is_tied = space->path_is_tied == NULL ? allocate(pool, sizeof(bool) * n) :
			repalloc(space->path_is_tied, sizeof(bool) * n);
	}
	space->paths[space->npaths] = *path;
	space->path_is_tied[space->npaths] = false;
	return space->npaths++;
}

static void
note_expression(KtPool *pool, KtSpace *space, const KtExpr *expression)
{
	KtTie		tie;

	if (expression == NULL)
		return;
	for (uint32 i = 0; i < expression->npaths; i++)
		if (expression->paths[i].subject == KT_SUBJECT_WORKER)
			(void) space_path(pool, space, &expression->paths[i]);
	if (kt_expr_tie(expression, &tie))
		space->path_is_tied[space_path(pool, space, &expression->paths[tie.worker_path])] = true;
}

static void
note_target(KtPool *pool, KtSpace *space, const KtTarget *target)
{
	note_expression(pool, space, target->expression);
	for (uint32 i = 0; target->order_by != NULL && i < target->order_by->nkeys; i++)
		(void) space_path(pool, space, &target->order_by->keys[i].path);
}

/* Which values of a worker does any expression of the workspace read? */
static void
note_paths(KtPool *pool, KtSpace *space)
{
	static KtPlan queues = {"SELECT sid FROM kin_tr.task_queues WHERE workspace_sid = $1", "s"};
	static KtPlan versions = {
		"SELECT workflow_sid, number FROM kin_tr.workflow_versions WHERE workspace_sid = $1", "s"
	};
	Datum		values[] = {SidPGetDatum(&space->sid)};
	uint64		n = kt_spi(&queues, values, NULL);
	SPITupleTable *table = SPI_tuptable;

	for (uint64 i = 0; i < n; i++)
	{
		KtSid		sid = (SPI_tuptable = table, kt_column_sid(i, 1));
		const KtTaskQueue *queue = kt_config_task_queue(pool->config, &sid);

		if (queue != NULL)
			note_expression(pool, space, queue->expression);
	}
	n = kt_spi(&versions, values, NULL);
	table = SPI_tuptable;
	for (uint64 i = 0; i < n; i++)
	{
		KtSid		sid = (SPI_tuptable = table, kt_column_sid(i, 1));
		int32		number = kt_column_int32(i, 2);
		const KtWorkflow *workflow = kt_config_workflow(pool->config, &sid, number);
		KtWorkflowConfiguration *configuration = workflow ? workflow->configuration : NULL;

		for (int f = 0; configuration && f < configuration->nfilters; f++)
			for (int t = 0; t < configuration->filters[f].ntargets; t++)
				note_target(pool, space, &configuration->filters[f].targets[t]);
		if (configuration && configuration->default_target)
			note_target(pool, space, configuration->default_target);
	}
}

static void
load_channels(KtPool *pool, KtSpace *space)
{
	static KtPlan channels = {
		"SELECT sid FROM kin_tr.task_channels WHERE workspace_sid = $1 ORDER BY sid", "s"
	};
	Datum		values[] = {SidPGetDatum(&space->sid)};
	uint64		n = kt_spi(&channels, values, NULL);
	SPITupleTable *table = SPI_tuptable;

	space->channels = allocate(pool, sizeof(KtTaskChannel *) * Max(n, 1));
	for (uint64 i = 0; i < n; i++)
	{
		KtSid		sid = (SPI_tuptable = table, kt_column_sid(i, 1));
		const KtTaskChannel *channel = kt_config_task_channel(pool->config, &sid);

		if (channel != NULL)
			space->channels[space->nchannels++] = channel;
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

KtSpace *
kt_pool_space(KtPool *pool, const KtSid *workspace)
{
	bool		found;
	KtSpace    *space = hash_search(pool->spaces, workspace, HASH_FIND, NULL);
	const KtWorkspace *configured;

	if (space != NULL)
		return space;
	if (!kt_pool_may_use(pool, workspace) ||
		(configured = kt_config_workspace(pool->config, workspace)) == NULL)
		return NULL;
	space = hash_search(pool->spaces, workspace, HASH_ENTER, &found);
	memset((char *) space + sizeof(KtSid), 0, sizeof(KtSpace) - sizeof(KtSid));
	space->lifo_first = configured->lifo_first;
	dlist_init(&space->classes);
	space->classes_by_hash = create_hash(pool, "classes", sizeof(uint64), sizeof(ClassEntry));
	space->classes_by_value = create_hash(pool, "classes by value", sizeof(uint64), sizeof(VectorEntry));
	space->groups_by_value = create_hash(pool, "groups by value", sizeof(uint64), sizeof(VectorEntry));
	space->pinned_by_sid = create_hash(pool, "pinned by sid", sizeof(KtSid), sizeof(SidVectorEntry));
	space->pinned_by_name = create_hash(pool, "pinned by name", NAME_SIZE, sizeof(NameEntry));
	space->workers_by_name = create_hash(pool, "workers by name", NAME_SIZE, sizeof(NameEntry));
	load_channels(pool, space);
	note_paths(pool, space);
	return space;
}

int
kt_space_channel(KtSpace *space, const KtSid *channel)
{
	for (int i = 0; i < space->nchannels; i++)
		if (kt_sid_equal(&space->channels[i]->sid, channel))
			return i;
	return -1;
}

KtStepPlan *
kt_pool_step(KtPool *pool, KtSpace *space, const KtSid *workflow, int32 version, int32 filter,
			 int32 target)
{
	KtStepPlan	key;
	KtStepPlan *step;
	const KtWorkflow *configured;
	const KtExpr *expression;
	bool		found;

	memset(&key, 0, sizeof(key));
	key.key.workflow = *workflow;
	key.key.version = version;
	key.key.filter = filter;
	key.key.target = target;
	step = hash_search(pool->steps, &key.key, HASH_FIND, NULL);
	if (step != NULL)
		return step;
	configured = kt_config_workflow(pool->config, workflow, version);
	if (configured == NULL)
		return NULL;
	step = hash_search(pool->steps, &key.key, HASH_ENTER, &found);
	step->target = filter == configured->configuration->nfilters ?
		configured->configuration->default_target :
		&configured->configuration->filters[filter].targets[target];
	expression = step->target->expression;
	step->has_tie = expression != NULL && kt_expr_tie(expression, &step->tie);
	step->worker_paths = NULL;
	step->order_paths = NULL;
	if (expression != NULL)
	{
		step->worker_paths = allocate(pool, sizeof(int) * Max(expression->npaths, 1));
		for (uint32 i = 0; i < expression->npaths; i++)
			step->worker_paths[i] = expression->paths[i].subject == KT_SUBJECT_WORKER ?
				space_path(pool, space, &expression->paths[i]) : -1;
	}
	if (step->target->order_by != NULL)
	{
		const KtOrder *order = step->target->order_by;

		step->order_paths = allocate(pool, sizeof(int) * order->nkeys);
		for (uint32 i = 0; i < order->nkeys; i++)
			step->order_paths[i] = space_path(pool, space, &order->keys[i].path);
	}
	return step;
}

/* ------------------------------------------------------------------ fits */

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

static void
unlink_all_of_group(KtGroup *group)
{
	while (group->fits.length > 0)
	{
		KtFit		fit = group->fits.items[--group->fits.length];

		close_gap(&((KtClass *) fit.other)->fits, fit.position, false);
	}
}

static void
unlink_all_of_class(KtClass *class)
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
		values[i] = class->values[space_path(pool, group->space, &expression->paths[i])];
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

/* ------------------------------------------------- look-ups by tied values */

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
	VectorEntry *entry = hash_search(hash, &key, create ? HASH_ENTER : HASH_FIND, &found);

	if (entry != NULL && !found)
		memset(&entry->vector, 0, sizeof(KtVector));
	return entry ? &entry->vector : NULL;
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
static void
index_class(KtPool *pool, KtClass *class, bool add)
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
			KtVector   *vector = value_vector(space->classes_by_value, tie_key(space, i, &items[j]), add);

			if (add)
				kt_vector_add(pool, vector, class);
			else if (vector != NULL)
				kt_vector_remove(vector, class);
		}
	}
}

static void
index_group(KtPool *pool, KtGroup *group, bool add)
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
		KtVector   *vector = value_vector(space->groups_by_value,
										  tie_key(group->step, 0, &items[i]), add);

		if (add)
			kt_vector_add(pool, vector, group);
		else if (vector != NULL)
			kt_vector_remove(vector, group);
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

static void
find_fits_of_group(KtPool *pool, KtGroup *group)
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

static void
find_fits_of_class(KtPool *pool, KtClass *class)
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

		if (!step->has_tie || step->worker_paths[step->tie.worker_path] >= space->npaths)
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

/* --------------------------------------------------------------- classes */

static bool
same_value(const KtValue *a, const KtValue *b)
{
	if (a->kind != b->kind)
		return false;
	switch (a->kind)
	{
		case KT_VALUE_BOOL:
			return a->boolean == b->boolean;
		case KT_VALUE_INTEGER:
			return a->integer == b->integer;
		case KT_VALUE_STRING:
		case KT_VALUE_DECIMAL:
			return a->length == b->length && memcmp(a->text, b->text, a->length) == 0;
		case KT_VALUE_ARRAY:
			if (a->length != b->length)
				return false;
			for (uint32 i = 0; a->items != NULL && b->items != NULL && i < a->length; i++)
				if (!same_value(&a->items[i], &b->items[i]))
					return false;
			return true;
		default:
			return true;
	}
}

static uint64
hash_value(const KtValue *value)
{
	uint64		hash;

	if (value->kind != KT_VALUE_ARRAY || value->items == NULL)
		return value->kind == KT_VALUE_OBJECT || value->kind == KT_VALUE_ARRAY ?
			(uint64) value->kind : kt_value_hash(value);
	hash = value->length;
	for (uint32 i = 0; i < value->length; i++)
		hash = hash_combine64(hash, hash_value(&value->items[i]));
	return hash;
}

static int
compare_slots(const pairingheap_node *a, const pairingheap_node *b, void *arg)
{
	const KtSlot *x = pairingheap_const_container(KtSlot, node, a);
	const KtSlot *y = pairingheap_const_container(KtSlot, node, b);
	bool		per_channel = *(bool *) arg;
	TimestampTz xt = per_channel ? x->last_reserved : x->worker->last_reserved;
	TimestampTz yt = per_channel ? y->last_reserved : y->worker->last_reserved;
	uint64		xs = per_channel ? x->sequence : x->worker->sequence;
	uint64		ys = per_channel ? y->sequence : y->worker->sequence;

	/* The heap's first is its greatest: who has been idle longest. */
	if (xt != yt)
		return xt < yt ? 1 : -1;
	if (xs != ys)
		return xs < ys ? 1 : -1;
	return memcmp(&y->worker->sid, &x->worker->sid, sizeof(KtSid));
}

static KtClass *
make_class(KtPool *pool, KtSpace *space, uint64 hash, const KtSid *activity, const KtValue *values)
{
	KtClass    *class = allocate(pool, sizeof(KtClass));
	const KtActivity *configured = kt_config_activity(pool->config, activity);

	class->hash = hash;
	class->space = space;
	class->activity = *activity;
	class->available = configured != NULL && configured->available;
	class->values = allocate(pool, sizeof(KtValue) * Max(space->npaths, 1));
	for (int i = 0; i < space->npaths; i++)
		class->values[i] = kt_value_copy(&values[i], pool->context);
	dlist_init(&class->workers);
	class->idle = allocate(pool, sizeof(pairingheap *) * Max(space->nchannels, 1));
	for (int i = 0; i < space->nchannels; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(pool->context);

		class->idle[i] = pairingheap_allocate(compare_slots,
											  unconstify(bool *, &space->channels[i]->optimized));
		MemoryContextSwitchTo(old);
	}
	dlist_push_tail(&space->classes, &class->of_space);
	space->nclasses++;
	space->nempty_classes++;
	if (class->available)
		index_class(pool, class, true);
	find_fits_of_class(pool, class);
	return class;
}

/* The class of these values; made where there is none. */
static KtClass *
find_class(KtPool *pool, KtSpace *space, const KtSid *activity, const KtValue *values)
{
	uint64		hash = hash_bytes_extended((const unsigned char *) activity, sizeof(KtSid), 0);
	ClassEntry *entry;
	KtClass    *class;
	bool		found;

	for (int i = 0; i < space->npaths; i++)
		hash = hash_combine64(hash, hash_value(&values[i]));
	entry = hash_search(space->classes_by_hash, &hash, HASH_ENTER, &found);
	if (!found)
		entry->first = NULL;
	for (class = entry->first; class != NULL; class = class->next)
	{
		bool		same = kt_sid_equal(&class->activity, activity);

		for (int i = 0; same && i < space->npaths; i++)
			same = same_value(&class->values[i], &values[i]);
		if (same)
			return class;
	}
	class = make_class(pool, space, hash, activity, values);
	class->next = entry->first;
	entry->first = class;
	return class;
}

static void
free_value(KtValue *value)
{
	if (value->kind == KT_VALUE_STRING || value->kind == KT_VALUE_DECIMAL)
		pfree(unconstify(char *, value->text));
	else if (value->kind == KT_VALUE_ARRAY && value->length > 0 && value->items != NULL)
	{
		for (uint32 i = 0; i < value->length; i++)
			free_value((KtValue *) &value->items[i]);
		pfree((KtValue *) value->items);
	}
}

static void
free_class(KtPool *pool, KtClass *class)
{
	KtSpace    *space = class->space;
	ClassEntry *entry = hash_search(space->classes_by_hash, &class->hash, HASH_FIND, NULL);
	KtClass   **link;

	for (link = &entry->first; *link != class; link = &(*link)->next)
		;
	*link = class->next;
	if (entry->first == NULL)
		hash_search(space->classes_by_hash, &class->hash, HASH_REMOVE, NULL);
	unlink_all_of_class(class);
	if (class->available)
		index_class(pool, class, false);
	dlist_delete(&class->of_space);
	space->nclasses--;
	space->nempty_classes--;
	for (int i = 0; i < space->npaths; i++)
		free_value(&class->values[i]);
	for (int i = 0; i < space->nchannels; i++)
		pairingheap_free(class->idle[i]);
	if (class->fits.items != NULL)
		pfree(class->fits.items);
	pfree(class->values);
	pfree(class->idle);
	pfree(class);
}

/* --------------------------------------------------------------- workers */

static NameEntry *
name_entry(HTAB *hash, const char *name, bool create)
{
	char		key[NAME_SIZE] = {0};
	char	   *lower = str_tolower(name, strlen(name), DEFAULT_COLLATION_OID);
	NameEntry  *entry;
	bool		found;

	strlcpy(key, lower, NAME_SIZE);
	entry = hash_search(hash, key, create ? HASH_ENTER : HASH_FIND, &found);
	if (entry != NULL && !found)
		memset((char *) entry + NAME_SIZE, 0, sizeof(NameEntry) - NAME_SIZE);
	pfree(lower);
	return entry;
}

KtPoolWorker *
kt_pool_worker(KtPool *pool, const KtSid *worker)
{
	return hash_search(pool->workers, worker, HASH_FIND, NULL);
}

void
kt_pool_place_slot(KtPool *pool, KtPoolWorker *worker, int channel)
{
	KtSlot	   *slot = &worker->slots[channel];
	bool		idle = !worker->stale && worker->class != NULL && worker->class->available &&
		slot->available && slot->open < slot->capacity;

	if (slot->idle == idle)
		return;
	if (idle)
		pairingheap_add(worker->class->idle[channel], &slot->node);
	else
		pairingheap_remove(worker->class->idle[channel], &slot->node);
	slot->idle = idle;
}

/* Takes a worker out of its class, and so out of its idle heaps. */
static void
leave_class(KtPoolWorker *worker)
{
	KtClass    *class = worker->class;

	if (class == NULL)
		return;
	for (int i = 0; i < worker->space->nchannels; i++)
		if (worker->slots[i].idle)
		{
			pairingheap_remove(class->idle[i], &worker->slots[i].node);
			worker->slots[i].idle = false;
		}
	dlist_delete(&worker->of_class);
	if (--class->nworkers == 0)
		worker->space->nempty_classes++;
	worker->class = NULL;
}

/* Whatever channel it is idle in. */
static void
touch_idle(KtPool *pool, KtPoolWorker *worker)
{
	for (int i = 0; i < worker->space->nchannels; i++)
		if (worker->slots[i].idle)
			kt_pool_touch_worker(pool, worker, i);
}

/* A counter that a step may look at has changed, up or down. */
static void
touch_by_counter(KtPool *pool, KtPoolWorker *worker)
{
	if (worker->space->ncounting > 0)
		touch_idle(pool, worker);
}

static void
enter_class(KtPool *pool, KtPoolWorker *worker, KtClass *class)
{
	worker->class = class;
	dlist_push_tail(&class->workers, &worker->of_class);
	if (class->nworkers++ == 0)
		worker->space->nempty_classes--;
	for (int i = 0; i < worker->space->nchannels; i++)
		kt_pool_place_slot(pool, worker, i);
	touch_idle(pool, worker);
}

static KtValue *
worker_values(KtPool *pool, KtSpace *space, const KtWorkerRow *row)
{
	const KtActivity *activity = kt_config_activity(pool->config, &row->activity);
	KtWorkerIdentity identity = {
		row->sid, row->friendly_name, row->activity, activity ? activity->friendly_name : ""
	};
	KtValue    *values = palloc(sizeof(KtValue) * Max(space->npaths, 1));

	for (int i = 0; i < space->npaths; i++)
		values[i] = kt_worker_value(row->attributes, &identity, &space->paths[i]);
	return values;
}

static void
set_name(KtPool *pool, KtPoolWorker *worker, const char *name)
{
	if (worker->friendly_name != NULL)
	{
		NameEntry  *entry = name_entry(worker->space->workers_by_name, worker->friendly_name, false);

		if (entry != NULL && entry->worker == worker)
			entry->worker = NULL;
		pfree(worker->friendly_name);
		worker->friendly_name = NULL;
	}
	if (name != NULL)
	{
		worker->friendly_name = MemoryContextStrdup(pool->context, name);
		name_entry(worker->space->workers_by_name, name, true)->worker = worker;
	}
}

KtPoolWorker *
kt_pool_put_worker(KtPool *pool, const KtWorkerRow *row)
{
	KtSpace    *space = kt_pool_space(pool, &row->workspace);
	KtPoolWorker *worker;
	KtClass    *class;
	bool		found;
	bool		renamed;

	if (space == NULL)
		return NULL;
	class = find_class(pool, space, &row->activity, worker_values(pool, space, row));
	worker = hash_search(pool->workers, &row->sid, HASH_ENTER, &found);
	if (!found)
	{
		memset((char *) worker + sizeof(KtSid), 0, sizeof(KtPoolWorker) - sizeof(KtSid));
		worker->space = space;
		worker->slots = allocate(pool, sizeof(KtSlot) * Max(space->nchannels, 1));
		for (int i = 0; i < space->nchannels; i++)
			worker->slots[i].worker = worker;
	}
	renamed = worker->friendly_name == NULL || strcmp(worker->friendly_name, row->friendly_name) != 0;
	if (renamed)
		set_name(pool, worker, row->friendly_name);
	worker->version = row->version;
	worker->activity = row->activity;
	worker->date_status_changed = row->date_status_changed;
	worker->document = row->document;
	if (worker->class != class || worker->stale)
	{
		worker->stale = false;
		leave_class(worker);
		enter_class(pool, worker, class);
	}
	else if (renamed)
		touch_idle(pool, worker);	/* tasks may know a worker by this name */
	return worker;
}

void
kt_pool_set_stale(KtPool *pool, KtPoolWorker *worker)
{
	worker->stale = true;
	for (int i = 0; i < worker->space->nchannels; i++)
		kt_pool_place_slot(pool, worker, i);
}

KtPoolWorker *
kt_pool_worker_by_name(KtSpace *space, const char *name)
{
	NameEntry  *entry = name_entry(space->workers_by_name, name, false);

	return entry ? entry->worker : NULL;
}

void
kt_pool_remove_worker(KtPool *pool, const KtSid *sid)
{
	KtPoolWorker *worker = kt_pool_worker(pool, sid);

	if (worker == NULL)
		return;
	leave_class(worker);
	set_name(pool, worker, NULL);
	pfree(worker->slots);
	hash_search(pool->workers, sid, HASH_REMOVE, NULL);
}

void
kt_pool_set_slot(KtPool *pool, KtPoolWorker *worker, int channel, int32 capacity, bool available)
{
	KtSlot	   *slot = &worker->slots[channel];
	bool		grows = (available && !slot->available) || capacity > slot->capacity;

	slot->capacity = capacity;
	slot->available = available;
	kt_pool_place_slot(pool, worker, channel);
	if (grows && slot->idle)
		kt_pool_touch_worker(pool, worker, channel);
}

void
kt_pool_mark_reserved(KtPool *pool, KtPoolWorker *worker, int channel, TimestampTz at)
{
	KtSlot	   *slots = worker->slots;

	/* Its place in every heap that it is in follows from what changes here. */
	for (int i = 0; i < worker->space->nchannels; i++)
		if (slots[i].idle)
			pairingheap_remove(worker->class->idle[i], &slots[i].node);
	worker->last_reserved = at;
	worker->sequence = ++pool->sequence;
	slots[channel].last_reserved = at;
	slots[channel].sequence = pool->sequence;
	for (int i = 0; i < worker->space->nchannels; i++)
		if (slots[i].idle)
			pairingheap_add(worker->class->idle[i], &slots[i].node);
}

void
kt_pool_note_reserved(KtPool *pool, KtPoolWorker *worker, int channel, TimestampTz at)
{
	KtSlot	   *slot = &worker->slots[channel];

	Assert(!slot->idle);
	pool->sequence++;
	if (at >= worker->last_reserved)
	{
		worker->last_reserved = at;
		worker->sequence = pool->sequence;
	}
	if (at >= slot->last_reserved)
	{
		slot->last_reserved = at;
		slot->sequence = pool->sequence;
	}
}

/* ---------------------------------------------------- open reservations */

void
kt_pool_open(KtPool *pool, const KtSid *reservation, const KtSid *worker_sid, const KtSid *task,
			 const KtSid *channel_sid, bool accepted)
{
	KtPoolWorker *worker = kt_pool_worker(pool, worker_sid);
	bool		found;
	KtOpen	   *open = hash_search(pool->open, reservation, HASH_ENTER, &found);
	int			channel;

	if (found)
		return;
	open->worker = *worker_sid;
	open->task = *task;
	open->channel = *channel_sid;
	open->accepted = accepted;
	if (worker == NULL || (channel = kt_space_channel(worker->space, channel_sid)) < 0)
		return;
	worker->slots[channel].open++;
	worker->slots[channel].assigned += accepted;
	kt_pool_place_slot(pool, worker, channel);
	touch_by_counter(pool, worker);
}

void
kt_pool_set_accepted(KtPool *pool, const KtSid *reservation, bool accepted)
{
	KtOpen	   *open = hash_search(pool->open, reservation, HASH_FIND, NULL);
	KtPoolWorker *worker;
	int			channel;

	if (open == NULL || open->accepted == accepted)
		return;
	open->accepted = accepted;
	worker = kt_pool_worker(pool, &open->worker);
	if (worker == NULL || (channel = kt_space_channel(worker->space, &open->channel)) < 0)
		return;
	worker->slots[channel].assigned += accepted ? 1 : -1;
	touch_by_counter(pool, worker);
}

void
kt_pool_close(KtPool *pool, const KtSid *reservation)
{
	KtOpen	   *found = hash_search(pool->open, reservation, HASH_FIND, NULL);
	KtOpen		open;
	KtPoolWorker *worker;
	int			channel;

	if (found == NULL)
		return;
	open = *found;
	hash_search(pool->open, reservation, HASH_REMOVE, NULL);
	worker = kt_pool_worker(pool, &open.worker);
	if (worker == NULL || (channel = kt_space_channel(worker->space, &open.channel)) < 0)
		return;
	worker->slots[channel].open--;
	worker->slots[channel].assigned -= open.accepted;
	kt_pool_place_slot(pool, worker, channel);
	if (worker->slots[channel].idle)
		kt_pool_touch_worker(pool, worker, channel);
	touch_by_counter(pool, worker);
}

void
kt_pool_close_task(KtPool *pool, const KtSid *task)
{
	HASH_SEQ_STATUS scan;
	KtOpen	   *open;

	hash_seq_init(&scan, pool->open);
	while ((open = hash_seq_search(&scan)) != NULL)
		if (kt_sid_equal(&open->task, task))
			kt_pool_close(pool, &open->sid);
}

/* ---------------------------------------------------------------- groups */

KtGroup *
kt_pool_group(KtPool *pool, const pg_uuid_t *key)
{
	return hash_search(pool->groups, key, HASH_FIND, NULL);
}

static KtVector *
pinned_vector(KtPool *pool, KtGroup *group, bool create)
{
	KtSpace    *space = group->space;

	if (!kt_sid_is_null(&group->pinned_sid))
	{
		bool		found;
		SidVectorEntry *entry = hash_search(space->pinned_by_sid, &group->pinned_sid,
											create ? HASH_ENTER : HASH_FIND, &found);

		if (entry != NULL && !found)
			memset(&entry->vector, 0, sizeof(KtVector));
		return entry ? &entry->vector : NULL;
	}
	if (group->pinned_name != NULL)
	{
		NameEntry  *entry = name_entry(space->pinned_by_name, group->pinned_name, create);

		return entry ? &entry->vector : NULL;
	}
	return NULL;
}

/* Is the group for one worker, and for whom? */
static void
pin(KtPool *pool, KtGroup *group, const KtGroupRow *row)
{
	KtValue		known;
	KtVector   *vector;

	if (kt_sid_is(&row->routing_target, KT_WORKER))
	{
		group->pinned = group->direct = true;
		group->pinned_sid = row->routing_target;
	}
	else if (group->step != NULL && group->step->target->known_worker != NULL)
	{
		group->pinned = true;
		known = kt_known_worker(group->step->target, row->attributes);
		if (known.kind != KT_VALUE_NULL && group->step->target->known_by_name)
			group->pinned_name = MemoryContextStrdup(pool->context,
													 pnstrdup(known.text, Min(known.length, NAME_SIZE - 1)));
		else if (known.kind == KT_VALUE_NULL ||
				 !kt_sid_parse(known.text, known.length, &group->pinned_sid))
			memset(&group->pinned_sid, 0, sizeof(KtSid));
	}
	vector = pinned_vector(pool, group, true);
	if (vector != NULL)
		kt_vector_add(pool, vector, group);
}

static void
copy_values(KtPool *pool, KtGroup *group, Jsonb *attributes)
{
	const KtExpr *expression = group->step ? group->step->target->expression : NULL;

	if (expression == NULL)
		return;
	group->values = allocate(pool, sizeof(KtValue) * Max(expression->npaths, 1));
	for (uint32 i = 0; i < expression->npaths; i++)
		if (expression->paths[i].subject == KT_SUBJECT_TASK)
		{
			KtValue		value = kt_attributes_read(attributes, &expression->paths[i]);

			group->values[i] = kt_value_copy(&value, pool->context);
		}
	group->space->ntimed += (expression->subjects & (1 << KT_SUBJECT_TASKROUTER)) != 0;
	group->space->ncounting += (expression->subjects & (1 << KT_SUBJECT_CHANNEL)) != 0;
}

/* NULL where its workspace or channel is gone: nobody can get its tasks. */
KtGroup *
kt_pool_make_group(KtPool *pool, const KtGroupRow *row)
{
	KtSpace    *space = kt_pool_space(pool, &row->workspace);
	KtGroup    *group;
	KtStepPlan *step = NULL;
	int			channel;
	bool		found;

	if (space == NULL || (channel = kt_space_channel(space, &row->channel)) < 0)
		return NULL;
	if (row->filter >= 0 &&
		(step = kt_pool_step(pool, space, &row->workflow, row->workflow_version, row->filter,
							 row->target)) == NULL)
		return NULL;
	group = hash_search(pool->groups, &row->key, HASH_ENTER, &found);
	memset((char *) group + sizeof(pg_uuid_t), 0, sizeof(KtGroup) - sizeof(pg_uuid_t));
	group->space = space;
	group->queue_sid = row->queue;
	group->queue = kt_sid_is_null(&row->queue) ? NULL : kt_config_task_queue(pool->config, &row->queue);
	group->channel = channel;
	group->step = step;
	group->ignore_capacity = row->ignore_capacity;
	copy_values(pool, group, row->attributes);
	pin(pool, group, row);
	index_group(pool, group, true);
	find_fits_of_group(pool, group);
	pool->nempty++;
	return group;
}

static void
free_group(KtPool *pool, KtGroup *group)
{
	const KtExpr *expression = group->step ? group->step->target->expression : NULL;
	KtVector   *vector = pinned_vector(pool, group, false);

	Assert(group->nheads == 0 && !group->touched);
	if (vector != NULL)
		kt_vector_remove(vector, group);
	index_group(pool, group, false);
	unlink_all_of_group(group);
	if (expression != NULL)
	{
		for (uint32 i = 0; i < expression->npaths; i++)
			free_value(&group->values[i]);
		group->space->ntimed -= (expression->subjects & (1 << KT_SUBJECT_TASKROUTER)) != 0;
		group->space->ncounting -= (expression->subjects & (1 << KT_SUBJECT_CHANNEL)) != 0;
		pfree(group->values);
	}
	if (group->fits.items != NULL)
		pfree(group->fits.items);
	if (group->heads != NULL)
		pfree(group->heads);
	if (group->pinned_name != NULL)
		pfree(group->pinned_name);
	pool->nempty--;
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
			group->heads = MemoryContextAlloc(pool->context, sizeof(KtHead) * capacity);
		else
			group->heads = repalloc(group->heads, sizeof(KtHead) * capacity);
		group->heads_capacity = capacity;
	}
	while (at > 0 && kt_head_compare(&group->heads[at - 1], head) > 0)
		at--;
	memmove(&group->heads[at + 1], &group->heads[at], sizeof(KtHead) * (group->nheads - at));
	group->heads[at] = *head;
	if (group->nheads++ == 0)
		pool->nempty--;
}

void
kt_pool_put_task(KtPool *pool, KtGroup *group, const KtHead *head)
{
	HeadEntry  *entry = hash_search(pool->head_groups, &head->sid, HASH_FIND, NULL);
	bool		found;

	if (entry != NULL)
		kt_pool_remove_task(pool, &head->sid);
	if (group->more && kt_head_compare(head, &group->boundary) > 0)
		return;
	insert_head(pool, group, head);
	entry = hash_search(pool->head_groups, &head->sid, HASH_ENTER, &found);
	entry->group = group;
	if (group->nheads > MAX_HEADS)
	{
		KtHead	   *last = &group->heads[--group->nheads];

		hash_search(pool->head_groups, &last->sid, HASH_REMOVE, NULL);
		group->boundary = group->heads[group->nheads - 1];
		group->more = true;
	}
}

void
kt_pool_remove_task(KtPool *pool, const KtSid *task)
{
	HeadEntry  *entry = hash_search(pool->head_groups, task, HASH_FIND, NULL);
	KtGroup    *group;

	if (entry == NULL)
		return;
	group = entry->group;
	hash_search(pool->head_groups, task, HASH_REMOVE, NULL);
	for (int i = 0; i < group->nheads; i++)
		if (kt_sid_equal(&group->heads[i].sid, task))
		{
			memmove(&group->heads[i], &group->heads[i + 1], sizeof(KtHead) * (group->nheads - i - 1));
			if (--group->nheads == 0)
				pool->nempty++;
			return;
		}
}

/* ------------------------------------------------------------ candidates */

void
kt_pool_touch_group(KtPool *pool, KtGroup *group)
{
	if (group->touched || (group->nheads == 0 && !group->more))
		return;
	group->touched = true;
	kt_vector_add(pool, &pool->touched, group);
}

static void
touch_all(KtPool *pool, KtVector *groups, int channel)
{
	for (int i = 0; groups != NULL && i < groups->length; i++)
		if (((KtGroup *) groups->items[i])->channel == channel)
			kt_pool_touch_group(pool, groups->items[i]);
}

void
kt_pool_touch_worker(KtPool *pool, KtPoolWorker *worker, int channel)
{
	KtSpace    *space = worker->space;
	KtFits	   *fits = &worker->class->fits;
	SidVectorEntry *by_sid = hash_search(space->pinned_by_sid, &worker->sid, HASH_FIND, NULL);

	for (int i = 0; i < fits->length; i++)
	{
		KtGroup    *group = fits->items[i].other;

		if (group->channel == channel)
			kt_pool_touch_group(pool, group);
	}
	if (by_sid != NULL)
		touch_all(pool, &by_sid->vector, channel);
	if (hash_get_num_entries(space->pinned_by_name) > 0 && worker->friendly_name != NULL)
	{
		NameEntry  *by_name = name_entry(space->pinned_by_name, worker->friendly_name, false);

		if (by_name != NULL)
			touch_all(pool, &by_name->vector, channel);
	}
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

		if (expression == NULL || (expression->subjects & (1 << KT_SUBJECT_TASKROUTER)) == 0)
			continue;
		unlink_all_of_group(group);
		find_fits_of_group(pool, group);
		kt_pool_touch_group(pool, group);
	}
}

/* --------------------------------------------------------------- garbage */

static void
collect_groups(KtPool *pool)
{
	HASH_SEQ_STATUS scan;
	KtGroup    *group;

	hash_seq_init(&scan, pool->groups);
	while ((group = hash_seq_search(&scan)) != NULL)
		if (group->nheads == 0 && !group->more && !group->touched)
			free_group(pool, group);
}

static void
collect_classes(KtPool *pool, KtSpace *space)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &space->classes)
	{
		KtClass    *class = dlist_container(KtClass, of_space, iter.cur);

		if (class->nworkers == 0)
			free_class(pool, class);
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
