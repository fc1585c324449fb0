/*
 * pool_set.c
 *		Sets of groups and lists of classes that lose one as quickly as they gain one.
 *
 * A workspace may have a hundred thousand groups with the same value, which come
 * and go with its tasks: a group knows its place in each set that it is in.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "routing/pool_private.h"

void
kt_vector_add(MemoryContext context, KtVector *vector, void *item)
{
	if (vector->length == vector->capacity)
	{
		int			capacity = Max(4, vector->capacity * 2);

		if (vector->items == NULL)
			vector->items = MemoryContextAlloc(context, sizeof(void *) * capacity);
		else
			vector->items = repalloc_huge(vector->items, sizeof(void *) * capacity);
		vector->capacity = capacity;
	}
	vector->items[vector->length++] = item;
}

void
kt_set_add(KtGroupSet *set, KtGroup *group, int nth)
{
	if (set->length == set->capacity)
	{
		int			capacity = Max(1, set->capacity * 2);

		if (set->items == NULL)
			set->items = MemoryContextAlloc(group->space->context, sizeof(*set->items) * capacity);
		else
			set->items = repalloc_huge(set->items, sizeof(*set->items) * capacity);
		set->capacity = capacity;
	}
	set->items[set->length].group = group;
	set->items[set->length].nth = nth;
	group->places[nth] = set->length++;
}

/* The last one takes its place. */
void
kt_set_remove(KtGroupSet *set, KtGroup *group, int nth)
{
	int			place = group->places[nth];

	Assert(set->items[place].group == group && set->items[place].nth == nth);
	set->items[place] = set->items[--set->length];
	set->items[place].group->places[set->items[place].nth] = place;
}

int
kt_classes_from(const KtVector *classes, uint64 number)
{
	int			low = 0;
	int			high = classes->length;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (((KtClass *) classes->items[middle])->number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void
kt_classes_remove(KtVector *classes, const KtClass *class)
{
	int			at = kt_classes_from(classes, class->number);

	Assert(classes->items[at] == class);
	memmove(&classes->items[at], &classes->items[at + 1], sizeof(void *) * (--classes->length - at));
}
