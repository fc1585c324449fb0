/*
 * pool_private.h
 *		What the files of the pool share among themselves.
 */
#ifndef KIN_TR_ROUTING_POOL_PRIVATE_H
#define KIN_TR_ROUTING_POOL_PRIVATE_H

#include "postgres.h"

#include "routing/pool.h"

/* Entries of hash tables. */
/* By the key of a worker's name: see base/name.h. */
struct KtNameEntry
{
	bytea	   *key;
	KtPoolWorker *worker;		/* of this name */
	KtGroupSet	groups;			/* for whoever has it */
};

typedef struct KtHeadEntry
{
	KtSid		task;
	KtGroup    *group;
} KtHeadEntry;

/* The open reservations of a task. */
typedef struct KtOpenEntry
{
	KtSid		task;
	dlist_head	reservations;
} KtOpenEntry;

/* Of what is all of one size. */
#define KT_POOL_SLAB (32 * 1024)

/* Blocks that double without end would take twice what is needed, for as long as the pool lives. */
#define KT_POOL_BLOCK (128 * 1024)

/* pool.c */
extern HTAB *kt_pool_hash(KtPool *pool, const char *name, Size key, Size entry);
extern void kt_pool_init_candidates(KtSpace *space);
extern void kt_pool_enter_match(KtPool *pool, KtGroup *group);
extern void kt_pool_wait_no_more(KtPool *pool, KtGroup *group);

/* pool_set.c: the sets that a group may be in. */
#define KT_PLACE_OPEN		0
#define KT_PLACE_UNFILLED	1
#define KT_PLACE_INDEX		2	/* the tied, the untied, or those pinned to a worker */
#define KT_PLACE_VALUES		3	/* and the next: by each value that its step ties */

extern void kt_set_add(KtGroupSet *set, KtGroup *group, int nth);
extern void kt_set_remove(KtGroupSet *set, KtGroup *group, int nth);

/* Of classes in the order of their numbers: the first of at least that number. */
extern int	kt_classes_from(const KtVector *classes, uint64 number);
extern void kt_classes_remove(KtVector *classes, const KtClass *class);

/* pool_path.c: the number of a path of workers; -1 where no class has its value. */
extern int	kt_space_path(KtSpace *space, const KtPath *path);

/* The numbers of those of an expression that is known; of other subjects -1. */
extern int *kt_space_paths(KtSpace *space, const KtExpr *expression);

typedef enum KtKnown
{
	KT_KNOWN,
	KT_LACKING,					/* when the space has been reset */
	KT_NO_ROOM					/* kt_space_report_no_room() says so */
} KtKnown;

/* Have the classes all that an expression and order_by, each or NULL, read of workers? */
extern KtKnown kt_space_know(KtPool *pool, KtSpace *space, const KtExpr *expression, const KtOrder *order);
extern void kt_space_report_no_room(KtPool *pool, const KtSid *object);

/* Of a space that has no classes: those that are to have values from now on. */
extern void kt_space_number_paths(KtSpace *space);
extern void kt_space_drop_reads(KtSpace *space);

/* pool_space.c: calls what reads a queue or workflow; false, and it is told of, where that fails. */
extern bool kt_pool_fetch(KtPool *pool, const KtSid *object, void (*fetch) (void *context), void *context);

/* Zeroed; it lasts until the space is reset. */
extern void *kt_space_alloc(KtSpace *space, Size size);

/* pool_queue.c: what is known of a class, which is about to go. */
extern void kt_queues_forget(KtSpace *space, const KtClass *class);

/* pool_tie.c: the values by which groups and classes find each other. */
extern void kt_tie_add_class(KtClass *class);
extern void kt_tie_remove_class(KtClass *class);
extern void kt_tie_add_group(KtGroup *group);
extern void kt_tie_remove_group(KtGroup *group);

/* Values that a group or class is entered under, at most. */
#define KT_MAX_TIED 64

/* The classes that a group may fit, in the order of their numbers. */
typedef struct KtCandidates
{
	int			n;
	const KtVector *classes[KT_MAX_TIED + 1];
	int			next[KT_MAX_TIED + 1];
} KtCandidates;

extern void kt_tie_classes(KtGroup *group, uint64 from, KtCandidates *candidates);
extern KtClass *kt_tie_next_class(KtCandidates *candidates);	/* NULL: no more */

/* All groups that a class may fit are to be matched. */
extern void kt_tie_touch_groups(KtPool *pool, KtClass *class);

/* pool_fit.c */
extern void kt_fit_drop_class(KtPool *pool, KtClass *class);
extern void kt_fit_drop_group(KtPool *pool, KtGroup *group);

/* Nobody's trial, for what it has found is out of date. */
extern void kt_fit_end_trial(KtSpace *space);

/* pool_class.c: the class of these values, made where there is none. */
extern KtClass *kt_class_find(KtPool *pool, KtSpace *space, const KtSid *activity,
							  const KtValue *values);

/* A slot becomes idle in its class, or no longer is. */
extern void kt_idle_add(KtSlot *slot, int channel);
extern void kt_idle_remove(KtSlot *slot, int channel);
extern void kt_class_free(KtPool *pool, KtClass *class);
extern void kt_value_free(KtValue *value);

/* pool_worker.c */
extern KtNameEntry *kt_pool_find_name(KtSpace *space, const bytea *key);
extern KtNameEntry *kt_pool_enter_name(KtSpace *space, const bytea *key);
extern void kt_pool_leave_name(KtSpace *space, KtNameEntry *entry);
extern void kt_pool_touch_idle(KtPool *pool, KtPoolWorker *worker);

/* pool.c: what is routed to a worker whether he is idle or not is to be matched. */
extern void kt_pool_touch_direct(KtPool *pool, KtPoolWorker *worker);

/* All that follows from its space's configuration is about to go, or has changed. */
extern void kt_worker_detach(KtPoolWorker *worker);

/* Its open reservations are gone, with its workspace. */
extern void kt_worker_close_all(KtPool *pool, KtPoolWorker *worker);
extern void kt_worker_set_slots(KtPool *pool, KtPoolWorker *worker);

/* pool_group.c: one without tasks; and one whose space is reset, which frees the rest. */
extern void kt_group_free(KtPool *pool, KtGroup *group);
extern void kt_group_forget(KtPool *pool, KtGroup *group);

#endif							/* KIN_TR_ROUTING_POOL_PRIVATE_H */
