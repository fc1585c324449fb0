/*
 * pool_class.c
 *		Workers that no expression can tell apart.
 */
#include "postgres.h"

#include "common/hashfn.h"

#include "routing/attributes.h"
#include "routing/pool_private.h"

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

static int
take_index(KtSpace *space)
{
	KtVector   *free = &space->free_indexes;

	return free->length > 0 ? (int) (intptr_t) free->items[--free->length] : space->nindexes++;
}

static KtClass *
make_class(KtPool *pool, KtSpace *space, uint64 hash, const KtSid *activity, const KtValue *values)
{
	KtClass    *class = kt_space_alloc(space, sizeof(KtClass));
	const KtActivity *configured = kt_config_activity(pool->config, activity);

	class->hash = hash;
	class->space = space;
	class->number = space->next_number++;
	class->index = take_index(space);
	class->activity = *activity;
	class->available = configured != NULL && configured->available;
	class->values = kt_space_alloc(space, sizeof(KtValue) * Max(space->npaths, 1));
	for (int i = 0; i < space->npaths; i++)
		class->values[i] = kt_value_copy(&values[i], space->context);
	dlist_init(&class->workers);
	class->idle = kt_space_alloc(space, sizeof(KtIdle) * Max(space->nchannels, 1));
	for (int i = 0; i < space->nchannels; i++)
	{
		class->idle[i].class = class;
		class->idle[i].slots.ph_compare = compare_slots;
		class->idle[i].slots.ph_arg = unconstify(bool *, &space->channels[i]->optimized);
	}
	kt_vector_add(space->context, &space->classes, class);
	dlist_push_tail(&space->empty_classes, &class->of_empty);
	space->nempty_classes++;
	if (class->available)
		kt_tie_add_class(class);
	kt_tie_touch_groups(pool, class);
	return class;
}

/* The class of these values; made where there is none. */
KtClass *
kt_class_find(KtPool *pool, KtSpace *space, const KtSid *activity, const KtValue *values)
{
	uint64		hash = hash_bytes_extended((const unsigned char *) activity, sizeof(KtSid), 0);
	KtClass    *class;
	void	  **first;

	for (int i = 0; i < space->npaths; i++)
		hash = hash_combine64(hash, hash_value(&values[i]));
	for (class = kt_map_find(space->classes_by_hash, hash); class != NULL; class = class->next)
	{
		bool		same = kt_sid_equal(&class->activity, activity);

		for (int i = 0; same && i < space->npaths; i++)
			same = same_value(&class->values[i], &values[i]);
		if (same)
			return class;
	}
	class = make_class(pool, space, hash, activity, values);
	first = kt_map_enter(space->classes_by_hash, hash);
	class->next = *first;
	*first = class;
	return class;
}

void
kt_idle_add(KtSlot *slot, int channel)
{
	KtIdle	   *idle = &slot->worker->class->idle[channel];

	if (pairingheap_is_empty(&idle->slots))
		dlist_push_tail(&slot->worker->space->idle[channel], &idle->of_space);
	pairingheap_add(&idle->slots, &slot->node);
}

void
kt_idle_remove(KtSlot *slot, int channel)
{
	KtIdle	   *idle = &slot->worker->class->idle[channel];

	pairingheap_remove(&idle->slots, &slot->node);
	if (pairingheap_is_empty(&idle->slots))
		dlist_delete(&idle->of_space);
}

void
kt_value_free(KtValue *value)
{
	if (value->kind == KT_VALUE_STRING || value->kind == KT_VALUE_DECIMAL)
		pfree(unconstify(char *, value->text));
	else if (value->kind == KT_VALUE_ARRAY && value->length > 0 && value->items != NULL)
	{
		for (uint32 i = 0; i < value->length; i++)
			kt_value_free((KtValue *) &value->items[i]);
		pfree((KtValue *) value->items);
	}
}

void
kt_class_free(KtPool *pool, KtClass *class)
{
	KtSpace    *space = class->space;
	KtClass   **first = (KtClass **) kt_map_enter(space->classes_by_hash, class->hash);
	KtClass   **link;

	for (link = first; *link != class; link = &(*link)->next)
		;
	*link = class->next;
	if (*first == NULL)
		(void) ktmap_delete(space->classes_by_hash, class->hash);
	kt_fit_drop_class(pool, class);
	kt_queues_forget(space, class);
	if (class->available)
		kt_tie_remove_class(class);
	kt_classes_remove(&space->classes, class);
	kt_vector_add(space->context, &space->free_indexes, (void *) (intptr_t) class->index);
	dlist_delete(&class->of_empty);
	space->nempty_classes--;
	for (int i = 0; i < space->npaths; i++)
		kt_value_free(&class->values[i]);
	if (class->fits.items != NULL)
		pfree(class->fits.items);
	pfree(class->values);
	pfree(class->idle);
	pfree(class);
}
