/*
 * pool_queue.c
 *		Which classes' workers are in a queue.
 *
 * Whether a queue's expression holds for a class never changes, and is asked by every
 * group of the queue and by each skip_if that counts its workers.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "routing/pool_private.h"

typedef struct Fetch
{
	KtConfig   *config;
	const KtSid *sid;
	const KtTaskQueue *queue;
} Fetch;

static void
fetch_queue(void *context)
{
	Fetch	   *fetch = context;

	fetch->queue = kt_config_task_queue(fetch->config, fetch->sid);
}

static KtQueueClasses *
make_entry(KtPool *pool, KtSpace *space, const KtSid *sid)
{
	KtQueueClasses *entry = kt_space_alloc(space, sizeof(KtQueueClasses));
	Fetch		fetch = {pool->config, sid};

	if (kt_pool_fetch(pool, sid, fetch_queue, &fetch) && fetch.queue != NULL &&
		kt_sid_equal(&fetch.queue->workspace, &space->sid))
		entry->queue = fetch.queue;
	*kt_sid_map_enter(space->queues, sid) = entry;
	return entry;
}

KtQueueClasses *
kt_space_queue(KtPool *pool, KtSpace *space, const KtSid *sid, bool *later)
{
	KtQueueClasses *entry = kt_sid_map_find(space->queues, sid);
	KtKnown		known;

	*later = false;
	if (entry == NULL)
		entry = make_entry(pool, space, sid);
	if (entry->queue == NULL || entry->known)
		return entry->queue != NULL ? entry : NULL;
	known = kt_space_know(pool, space, entry->queue->expression, NULL);
	if (known == KT_KNOWN)
	{
		if (entry->queue->expression != NULL)
			entry->worker_paths = kt_space_paths(space, entry->queue->expression);
		entry->known = true;
		pool->fault(pool->fault_context, sid, NULL);
		return entry;
	}
	if (known == KT_NO_ROOM)
		kt_space_report_no_room(pool, sid);
	*later = true;
	return NULL;
}

static inline uint64
bit_of(const KtClass *class)
{
	return UINT64CONST(1) << (class->index % 64);
}

bool
kt_queue_was_asked(const KtQueueClasses *queue, const KtClass *class)
{
	return class->index < queue->capacity && (queue->asked[class->index / 64] & bit_of(class)) != 0;
}

static uint64 *
grow(KtSpace *space, uint64 *bits, int from, int to)
{
	if (bits == NULL)
		return kt_space_alloc(space, to / 8);
	bits = repalloc_huge(bits, to / 8);
	memset((char *) bits + from / 8, 0, (to - from) / 8);
	return bits;
}

static void
make_room(KtSpace *space, KtQueueClasses *queue, int index)
{
	int			capacity = Max(64, queue->capacity);

	while (capacity <= index)
		capacity *= 2;
	if (capacity == queue->capacity)
		return;
	queue->asked = grow(space, queue->asked, queue->capacity, capacity);
	queue->in = grow(space, queue->in, queue->capacity, capacity);
	queue->capacity = capacity;
}

static bool
evaluate(const KtQueueClasses *queue, const KtClass *class)
{
	const KtExpr *expression = queue->queue->expression;
	KtValue    *values;
	bool		result;

	if (expression == NULL)
		return false;
	values = palloc(sizeof(KtValue) * Max(expression->npaths, 1));
	for (uint32 i = 0; i < expression->npaths; i++)
		values[i] = class->values[queue->worker_paths[i]];
	result = kt_expr_evaluate(expression, values);
	pfree(values);
	return result;
}

bool
kt_queue_has(KtQueueClasses *queue, const KtClass *class)
{
	uint64		bit = bit_of(class);

	if (!kt_queue_was_asked(queue, class))
	{
		make_room(class->space, queue, class->index);
		if (evaluate(queue, class))
			queue->in[class->index / 64] |= bit;
		queue->asked[class->index / 64] |= bit;
	}
	return (queue->in[class->index / 64] & bit) != 0;
}

void
kt_queues_forget(KtSpace *space, const KtClass *class)
{
	ktsidmap_iterator scan;
	KtSidMapEntry *entry;

	ktsidmap_start_iterate(space->queues, &scan);
	while ((entry = ktsidmap_iterate(space->queues, &scan)) != NULL)
	{
		KtQueueClasses *queue = entry->value;

		if (!kt_queue_was_asked(queue, class))
			continue;
		queue->asked[class->index / 64] &= ~bit_of(class);
		queue->in[class->index / 64] &= ~bit_of(class);
	}
}
