/*
 * pool_worker.c
 *		Workers, their slots in the channels, and their open reservations.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "base/name.h"
#include "routing/attributes.h"
#include "routing/pool_private.h"

KtNameEntry *
kt_pool_find_name(KtSpace *space, const bytea *key)
{
	return space->names != NULL ? hash_search(space->names, &key, HASH_FIND, NULL) : NULL;
}

static HTAB *
make_names(KtSpace *space)
{
	HASHCTL		control = {
		.keysize = sizeof(bytea *), .entrysize = sizeof(KtNameEntry), .hcxt = space->context,
		.hash = kt_name_hash, .match = kt_name_match
	};

	return hash_create("names", 16, &control, HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
}

KtNameEntry *
kt_pool_enter_name(KtSpace *space, const bytea *key)
{
	KtNameEntry *entry = kt_pool_find_name(space, key);
	bytea	   *copy;

	if (entry != NULL)
		return entry;
	if (space->names == NULL)
		space->names = make_names(space);
	copy = MemoryContextAlloc(space->context, VARSIZE(key));
	memcpy(copy, key, VARSIZE(key));
	entry = hash_search(space->names, &copy, HASH_ENTER, NULL);
	memset((char *) entry + sizeof(bytea *), 0, sizeof(KtNameEntry) - sizeof(bytea *));
	return entry;
}

/* It goes when nobody has it and no group asks for it: tasks may name workers that never were. */
void
kt_pool_leave_name(KtSpace *space, KtNameEntry *entry)
{
	bytea	   *key = entry->key;

	if (entry->worker != NULL || entry->groups.length > 0)
		return;
	if (entry->groups.items != NULL)
		pfree(entry->groups.items);
	hash_search(space->names, &key, HASH_REMOVE, NULL);
	pfree(key);
}

KtPoolWorker *
kt_pool_worker(KtPool *pool, const KtSid *worker)
{
	return kt_sid_map_find(pool->workers, worker);
}

/* What a step that looks at counters has found of it is out of date. */
static inline void
forget_trial(KtPoolWorker *worker)
{
	worker->trial = 0;
}

void
kt_pool_hide_slot(KtPoolWorker *worker, int channel)
{
	KtSlot	   *slot = &worker->slots[channel];

	if (slot->idle)
		kt_idle_remove(slot, channel);
	slot->idle = false;
}

void
kt_pool_place_slot(KtPool *pool, KtPoolWorker *worker, int channel)
{
	KtSlot	   *slot = &worker->slots[channel];
	bool		idle = !worker->stale && worker->class != NULL && worker->class->available &&
		slot->available && slot->open < slot->capacity;

	forget_trial(worker);
	if (slot->idle == idle)
		return;
	if (idle)
		kt_idle_add(slot, channel);
	else
		kt_idle_remove(slot, channel);
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
		kt_pool_hide_slot(worker, i);
	dlist_delete(&worker->of_class);
	if (--class->nworkers == 0)
	{
		dlist_push_tail(&worker->space->empty_classes, &class->of_empty);
		worker->space->nempty_classes++;
	}
	worker->class = NULL;
}

/* Whatever channel it is idle in. */
void
kt_pool_touch_idle(KtPool *pool, KtPoolWorker *worker)
{
	for (int i = 0; i < worker->space->nchannels; i++)
		if (worker->slots[i].idle)
			kt_pool_touch_worker(pool, worker, i);
}

/* A counter that a step may look at has changed, up or down. */
static void
touch_by_counter(KtPool *pool, KtPoolWorker *worker)
{
	forget_trial(worker);
	if (worker->space->ncounting > 0)
		kt_pool_touch_idle(pool, worker);
}

static void
enter_class(KtPool *pool, KtPoolWorker *worker, KtClass *class)
{
	worker->class = class;
	dlist_push_tail(&class->workers, &worker->of_class);
	if (class->nworkers++ == 0)
	{
		dlist_delete(&class->of_empty);
		worker->space->nempty_classes--;
	}
	for (int i = 0; i < worker->space->nchannels; i++)
		kt_pool_place_slot(pool, worker, i);
	kt_pool_touch_idle(pool, worker);
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
set_name(KtPool *pool, KtPoolWorker *worker, const char *name, const bytea *key)
{
	if (worker->friendly_name != NULL)
		pfree(worker->friendly_name);
	worker->friendly_name = name ? MemoryContextStrdup(pool->context, name) : NULL;
	if (worker->name != NULL && worker->name->worker == worker)
	{
		worker->name->worker = NULL;
		kt_pool_leave_name(worker->space, worker->name);
	}
	worker->name = key ? kt_pool_enter_name(worker->space, key) : NULL;
	if (worker->name == NULL)
		return;
	/* Whoever had it has another by now, which has yet to be read. */
	if (worker->name->worker != NULL)
		worker->name->worker->name = NULL;
	worker->name->worker = worker;
}

/* Reservations of a worker that was not known when they were told of. */
static void
adopt_orphans(KtPool *pool, KtPoolWorker *worker)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &pool->orphans)
	{
		KtOpen	   *open = dlist_container(KtOpen, of_worker, iter.cur);

		if (!kt_sid_equal(&open->worker, &worker->sid))
			continue;
		dlist_delete(&open->of_worker);
		dlist_push_tail(&worker->reservations, &open->of_worker);
	}
}

void
kt_worker_detach(KtPoolWorker *worker)
{
	worker->class = NULL;
	worker->name = NULL;
	for (int i = 0; i < worker->nslots; i++)
		worker->slots[i].idle = false;
}

static KtSlot *
alloc_slots(KtPool *pool, int n)
{
	MemoryContext *packed;

	if (n == 0 || n > KT_PACKED_SLOTS)
		return MemoryContextAllocZero(pool->context, sizeof(KtSlot) * Max(n, 1));
	packed = &pool->slots_contexts[n];
	if (*packed == NULL)
		*packed = SlabContextCreate(pool->context, "kin_tr slots", KT_POOL_SLAB, sizeof(KtSlot) * n);
	return MemoryContextAllocZero(*packed, sizeof(KtSlot) * n);
}

/* One for each channel that there is, with what is known of the worker in it. */
void
kt_worker_set_slots(KtPool *pool, KtPoolWorker *worker)
{
	KtSpace    *space = worker->space;
	KtSlot	   *slots = alloc_slots(pool, space->nchannels);
	dlist_iter	iter;

	for (int i = 0; i < space->nchannels; i++)
	{
		for (int j = 0; j < worker->nslots; j++)
			if (kt_sid_equal(&worker->slots[j].channel, &space->channels[i]->sid))
				slots[i] = worker->slots[j];
		slots[i].worker = worker;
		slots[i].channel = space->channels[i]->sid;
		slots[i].open = slots[i].assigned = 0;
	}
	if (worker->slots != NULL)
		pfree(worker->slots);
	worker->slots = slots;
	worker->nslots = space->nchannels;
	dlist_foreach(iter, &worker->reservations)
	{
		const KtOpen *open = dlist_container(KtOpen, of_worker, iter.cur);
		int			channel = kt_space_channel(space, &open->channel);

		if (channel < 0)
			continue;
		slots[channel].open++;
		slots[channel].assigned += open->accepted;
	}
}

static KtPoolWorker *
add_worker(KtPool *pool, KtSpace *space, const KtSid *sid)
{
	KtPoolWorker *worker = MemoryContextAllocZero(pool->worker_context, sizeof(KtPoolWorker));

	worker->sid = *sid;
	worker->space = space;
	dlist_push_tail(&space->workers, &worker->of_space);
	dlist_init(&worker->reservations);
	*kt_sid_map_enter(pool->workers, sid) = worker;
	adopt_orphans(pool, worker);
	kt_worker_set_slots(pool, worker);
	return worker;
}

KtPoolWorker *
kt_pool_put_worker(KtPool *pool, const KtWorkerRow *row)
{
	KtSpace    *space = kt_pool_space(pool, &row->workspace);
	KtPoolWorker *worker;
	KtClass    *class;
	KtValue    *values;
	bytea	   *key;
	bool		renamed;

	if (space == NULL)
		return NULL;
	/* What can fail comes before anything is changed. */
	values = worker_values(pool, space, row);
	key = kt_name_key(row->friendly_name);
	class = kt_class_find(pool, space, &row->activity, values);
	worker = kt_pool_worker(pool, &row->sid);
	if (worker == NULL)
		worker = add_worker(pool, space, &row->sid);
	renamed = worker->name == NULL || strcmp(worker->friendly_name, row->friendly_name) != 0;
	if (renamed)
		set_name(pool, worker, row->friendly_name, key);
	worker->version = row->version;
	worker->activity = row->activity;
	worker->date_status_changed = row->date_status_changed;
	worker->document = row->document;
	if (worker->class != class || worker->stale)
	{
		worker->stale = false;
		leave_class(worker);
		enter_class(pool, worker, class);
		kt_pool_touch_direct(pool, worker);
	}
	else if (renamed)
		kt_pool_touch_idle(pool, worker);	/* tasks may know a worker by this name */
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
kt_pool_worker_of_name(const KtNameEntry *name)
{
	return name->worker;
}

static void
leave_orphans(KtPool *pool, KtPoolWorker *worker)
{
	while (!dlist_is_empty(&worker->reservations))
		dlist_push_tail(&pool->orphans, dlist_pop_head_node(&worker->reservations));
}

void
kt_worker_close_all(KtPool *pool, KtPoolWorker *worker)
{
	while (!dlist_is_empty(&worker->reservations))
		kt_pool_close(pool, &dlist_container(KtOpen, of_worker, dlist_head_node(&worker->reservations))->sid);
}

void
kt_pool_remove_worker(KtPool *pool, const KtSid *sid)
{
	KtPoolWorker *worker = kt_pool_worker(pool, sid);

	if (worker == NULL)
		return;
	leave_class(worker);
	set_name(pool, worker, NULL, NULL);
	leave_orphans(pool, worker);
	dlist_delete(&worker->of_space);
	if (worker->slots != NULL)
		pfree(worker->slots);
	(void) ktsidmap_delete(pool->workers, *sid);
	pfree(worker);
}

void
kt_pool_set_slot(KtPool *pool, KtPoolWorker *worker, int channel, int32 capacity, bool available)
{
	KtSlot	   *slot = &worker->slots[channel];
	bool		grows = (available && !slot->available) || capacity > slot->capacity;
	bool		counts = capacity != slot->capacity;

	slot->capacity = capacity;
	slot->available = available;
	kt_pool_place_slot(pool, worker, channel);
	if (grows && slot->idle)
		kt_pool_touch_worker(pool, worker, channel);
	if (counts)
		touch_by_counter(pool, worker);
}

/* A worker's place in every heap that it is in follows from what changes in between. */
static void
leave_heaps(KtPoolWorker *worker)
{
	for (int i = 0; i < worker->space->nchannels; i++)
		if (worker->slots[i].idle)
			kt_idle_remove(&worker->slots[i], i);
}

static void
rejoin_heaps(KtPoolWorker *worker)
{
	for (int i = 0; i < worker->space->nchannels; i++)
		if (worker->slots[i].idle)
			kt_idle_add(&worker->slots[i], i);
}

void
kt_pool_mark_reserved(KtPool *pool, KtPoolWorker *worker, int channel, TimestampTz at)
{
	leave_heaps(worker);
	worker->last_reserved = Max(worker->last_reserved, at);
	worker->sequence = ++pool->sequence;
	worker->slots[channel].last_reserved = Max(worker->slots[channel].last_reserved, at);
	worker->slots[channel].sequence = pool->sequence;
	rejoin_heaps(worker);
}

void
kt_pool_unmark_reserved(KtPool *pool, KtPoolWorker *worker, int channel, const KtIdleSince *since)
{
	KtSlot	   *slot = &worker->slots[channel];

	leave_heaps(worker);
	if (worker->sequence == since->until)
	{
		worker->last_reserved = since->last_reserved;
		worker->sequence = since->sequence;
	}
	if (slot->sequence == since->until)
	{
		slot->last_reserved = since->slot_last_reserved;
		slot->sequence = since->slot_sequence;
	}
	rejoin_heaps(worker);
}

void
kt_pool_note_reserved(KtPool *pool, KtPoolWorker *worker, int channel, TimestampTz at)
{
	KtSlot	   *slot = &worker->slots[channel];

	if (at <= slot->last_reserved)
		return;
	leave_heaps(worker);
	pool->sequence++;
	if (at > worker->last_reserved)
	{
		worker->last_reserved = at;
		worker->sequence = pool->sequence;
	}
	slot->last_reserved = at;
	slot->sequence = pool->sequence;
	rejoin_heaps(worker);
}

static void
enter_of_task(KtPool *pool, KtOpen *open)
{
	bool		found;
	KtOpenEntry *entry = hash_search(pool->open_of_task, &open->task, HASH_ENTER, &found);

	if (!found)
		dlist_init(&entry->reservations);
	dlist_push_tail(&entry->reservations, &open->of_task);
}

static void
leave_task(KtPool *pool, KtOpen *open)
{
	KtOpenEntry *entry = hash_search(pool->open_of_task, &open->task, HASH_FIND, NULL);

	dlist_delete(&open->of_task);
	if (dlist_is_empty(&entry->reservations))
		hash_search(pool->open_of_task, &open->task, HASH_REMOVE, NULL);
}

bool
kt_pool_open(KtPool *pool, const KtSid *reservation, const KtSid *worker_sid, const KtSid *task,
			 const KtSid *channel_sid, bool accepted)
{
	KtPoolWorker *worker = kt_pool_worker(pool, worker_sid);
	bool		found;
	KtOpen	   *open = hash_search(pool->open, reservation, HASH_ENTER, &found);
	int			channel;

	if (found)
		return false;
	open->worker = *worker_sid;
	open->task = *task;
	open->channel = *channel_sid;
	open->accepted = accepted;
	enter_of_task(pool, open);
	dlist_push_tail(worker != NULL ? &worker->reservations : &pool->orphans, &open->of_worker);
	if (worker == NULL || (channel = kt_space_channel(worker->space, channel_sid)) < 0)
		return true;
	worker->slots[channel].open++;
	worker->slots[channel].assigned += accepted;
	kt_pool_place_slot(pool, worker, channel);
	touch_by_counter(pool, worker);
	return true;
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
	leave_task(pool, found);
	dlist_delete(&found->of_worker);
	hash_search(pool->open, &open.sid, HASH_REMOVE, NULL);
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
	KtOpenEntry *entry;

	/* The last one takes the entry along. */
	while ((entry = hash_search(pool->open_of_task, task, HASH_FIND, NULL)) != NULL)
		kt_pool_close(pool, &dlist_container(KtOpen, of_task, dlist_head_node(&entry->reservations))->sid);
}
