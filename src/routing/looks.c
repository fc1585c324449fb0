/*
 * looks.c
 *		What the router is to read, each workspace in its turn.
 *
 * Somebody who creates 100,000 tasks in one transaction is not to hold up all
 * others until they have been read.
 */
#include "postgres.h"

#include "lib/ilist.h"
#include "nodes/pg_list.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "routing/looks.h"

/* Bytes that are kept where there is nothing to read. */
#define IDLE_SIZE (1024 * 1024)

typedef struct Queue
{
	KtSid		workspace;		/* hash key */
	dlist_node	node;			/* among the queues that have some */
	int			first;			/* those before it have been taken */
	int			length;
	int			capacity;
	char	   *objects;
} Queue;

struct KtLooks
{
	MemoryContext context;
	Size		size;			/* of an object's key */
	HTAB	   *queues;
	HTAB	   *objects;		/* all that are in a queue */
	dlist_head	waiting;		/* queues that have some */
};

static void
initialize(KtLooks *looks)
{
	HASHCTL		queue = {.keysize = sizeof(KtSid), .entrysize = sizeof(Queue), .hcxt = looks->context};
	HASHCTL		object = {.keysize = looks->size, .entrysize = looks->size, .hcxt = looks->context};

	looks->queues = hash_create("kin_tr looks by workspace", 16, &queue, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	looks->objects = hash_create("kin_tr looks", 64, &object, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	dlist_init(&looks->waiting);
}

KtLooks *
kt_looks_create(MemoryContext parent, Size size)
{
	KtLooks    *looks = MemoryContextAllocZero(parent, sizeof(KtLooks));

	looks->size = size;
	looks->context = AllocSetContextCreate(parent, "kin_tr looks", ALLOCSET_DEFAULT_SIZES);
	initialize(looks);
	return looks;
}

void
kt_looks_clear(KtLooks *looks)
{
	MemoryContextReset(looks->context);
	initialize(looks);
}

static Queue *
find_queue(KtLooks *looks, const KtSid *workspace)
{
	static const KtSid none = {{0}};
	bool		found;
	Queue	   *queue = hash_search(looks->queues, workspace ? workspace : &none, HASH_ENTER, &found);

	if (!found)
		memset((char *) queue + sizeof(KtSid), 0, sizeof(Queue) - sizeof(KtSid));
	return queue;
}

static void
append(KtLooks *looks, Queue *queue, const void *object)
{
	/* What has been taken makes room, so that one that never runs out does not grow. */
	if (queue->length == queue->capacity && queue->first > queue->length / 2)
	{
		queue->length -= queue->first;
		memmove(queue->objects, queue->objects + looks->size * queue->first, looks->size * queue->length);
		queue->first = 0;
	}
	if (queue->length == queue->capacity)
	{
		queue->capacity = Max(16, queue->capacity * 2);
		queue->objects = queue->objects == NULL ?
			MemoryContextAllocHuge(looks->context, looks->size * queue->capacity) :
			repalloc_huge(queue->objects, looks->size * queue->capacity);
	}
	memcpy(queue->objects + looks->size * queue->length++, object, looks->size);
}

void
kt_looks_add(KtLooks *looks, const KtSid *workspace, const void *object)
{
	bool		found;
	Queue	   *queue;

	hash_search(looks->objects, object, HASH_ENTER, &found);
	if (found)
		return;
	queue = find_queue(looks, workspace);
	if (queue->length == 0)
		dlist_push_tail(&looks->waiting, &queue->node);
	append(looks, queue, object);
}

/* It has no more. */
static void
empty(Queue *queue)
{
	dlist_delete(&queue->node);
	pfree(queue->objects);
	queue->objects = NULL;
	queue->first = queue->length = queue->capacity = 0;
}

/* From one queue; where that has no more, its memory is given back. */
static int
take_from(KtLooks *looks, Queue *queue, char *objects, int most)
{
	int			n = Min(most, queue->length - queue->first);

	if (n == 0)
		return 0;
	memcpy(objects, queue->objects + looks->size * queue->first, looks->size * n);
	for (int i = 0; i < n; i++)
		hash_search(looks->objects, objects + looks->size * i, HASH_REMOVE, NULL);
	queue->first += n;
	if (queue->first == queue->length)
		empty(queue);
	else
	{
		dlist_delete(&queue->node);
		dlist_push_tail(&looks->waiting, &queue->node);
	}
	return n;
}

static void
give_back_memory(KtLooks *looks)
{
	/* A hash table that was large stays so. */
	if (dlist_is_empty(&looks->waiting) && MemoryContextMemAllocated(looks->context, true) > IDLE_SIZE)
		kt_looks_clear(looks);
}

/* One round of all queues, in their turn. */
static int
take_round(KtLooks *looks, bool (*may) (void *arg, const KtSid *workspace), void *arg, char *objects, int most)
{
	dlist_mutable_iter iter;
	List	   *queues = NIL;
	ListCell   *cell;
	int			share;
	int			taken = 0;

	dlist_foreach_modify(iter, &looks->waiting)
	{
		Queue	   *queue = dlist_container(Queue, node, iter.cur);

		if (may == NULL || may(arg, &queue->workspace))
			queues = lappend(queues, queue);
	}
	share = Max(1, most / Max(list_length(queues), 1));
	foreach(cell, queues)
		taken += take_from(looks, lfirst(cell), objects + looks->size * taken, Min(share, most - taken));
	list_free(queues);
	return taken;
}

int
kt_looks_take_where(KtLooks *looks, bool (*may) (void *arg, const KtSid *workspace), void *arg,
					void *objects, int most)
{
	int			taken = 0;
	int			n;

	do
	{
		n = most > taken ? take_round(looks, may, arg, (char *) objects + looks->size * taken, most - taken) : 0;
		taken += n;
	} while (n > 0);
	give_back_memory(looks);
	return taken;
}

int
kt_looks_take_in_turn(KtLooks *looks, KtSid *workspaces, void *objects, int most)
{
	int			taken = 0;

	while (taken < most && !dlist_is_empty(&looks->waiting))
	{
		Queue	   *queue = dlist_container(Queue, node, dlist_head_node(&looks->waiting));

		workspaces[taken] = queue->workspace;
		taken += take_from(looks, queue, (char *) objects + looks->size * taken, 1);
	}
	give_back_memory(looks);
	return taken;
}

void
kt_looks_put_back(KtLooks *looks, const KtSid *workspace, const void *object)
{
	Queue	   *queue = find_queue(looks, workspace);
	bool		found;

	hash_search(looks->objects, object, HASH_ENTER, &found);
	if (found)
		return;
	if (queue->length > 0)
		dlist_delete(&queue->node);
	if (queue->first > 0)
		memcpy(queue->objects + looks->size * --queue->first, object, looks->size);
	else
		append(looks, queue, object);
	dlist_push_head(&looks->waiting, &queue->node);
}

int
kt_looks_take(KtLooks *looks, void *objects, int most)
{
	return kt_looks_take_where(looks, NULL, NULL, objects, most);
}

void
kt_looks_drain(KtLooks *looks, const KtSid *workspace,
			   void (*take) (void *arg, const KtSid *workspace, const void *object), void *arg)
{
	Queue	   *queue = find_queue(looks, workspace);

	for (int i = queue->first; i < queue->length; i++)
	{
		hash_search(looks->objects, queue->objects + looks->size * i, HASH_REMOVE, NULL);
		take(arg, workspace, queue->objects + looks->size * i);
	}
	if (queue->first < queue->length)
		empty(queue);
}

int
kt_looks_count(const KtLooks *looks, const KtSid *workspace)
{
	const Queue *queue = hash_search(looks->queues, workspace, HASH_FIND, NULL);

	return queue != NULL ? queue->length - queue->first : 0;
}

bool
kt_looks_are_left(const KtLooks *looks)
{
	return !dlist_is_empty(&((KtLooks *) looks)->waiting);
}
