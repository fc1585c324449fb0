/*
 * pool_private.h
 *		What the files of the pool share among themselves.
 */
#ifndef KIN_TR_ROUTING_POOL_PRIVATE_H
#define KIN_TR_ROUTING_POOL_PRIVATE_H

#include "postgres.h"

#include "routing/pool.h"

/* Entries of hash tables. */
typedef struct KtVectorEntry
{
	uint64		key;
	KtVector	vector;
} KtVectorEntry;

typedef struct KtSidVectorEntry
{
	KtSid		key;
	KtVector	vector;
} KtSidVectorEntry;

/* By the key of a worker's name: see base/name.h. */
struct KtNameEntry
{
	bytea	   *key;
	KtPoolWorker *worker;		/* of this name */
	KtVector	groups;			/* for whoever has it */
};

typedef struct KtClassEntry
{
	uint64		key;
	KtClass    *first;
} KtClassEntry;

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

/* A queue, or a version of a workflow. */
typedef struct KtConfiguredKey
{
	KtSid		sid;
	int32		version;
} KtConfiguredKey;

typedef struct KtConfigured
{
	KtConfiguredKey key;
	const void *object;			/* NULL: there is none, or it is faulty */
} KtConfigured;

/* pool.c */
extern HTAB *kt_pool_hash(KtPool *pool, const char *name, Size key, Size entry);
extern void *kt_pool_alloc(KtPool *pool, Size size);	/* zeroed */
extern void kt_pool_init_candidates(KtPool *pool, KtSpace *space);
extern void kt_pool_enter_match(KtPool *pool, KtGroup *group);

/*
 * pool_space.c: the number of a path of workers; -1 where no expression that there
 * was when the space was made reads it, and so no class has its value.
 */
extern int	kt_space_path(KtPool *pool, KtSpace *space, const KtPath *path);

/* pool_fit.c */
extern void kt_fit_index_class(KtPool *pool, KtClass *class, bool add);
extern void kt_fit_index_group(KtPool *pool, KtGroup *group, bool add);
extern void kt_fit_find_for_class(KtPool *pool, KtClass *class);
extern void kt_fit_find_for_group(KtPool *pool, KtGroup *group);
extern void kt_fit_drop_class(KtPool *pool, KtClass *class);
extern void kt_fit_drop_group(KtPool *pool, KtGroup *group);

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
extern KtNameEntry *kt_pool_enter_name(KtPool *pool, KtSpace *space, const bytea *key);
extern void kt_pool_leave_name(KtSpace *space, KtNameEntry *entry);
extern void kt_pool_touch_idle(KtPool *pool, KtPoolWorker *worker);

/* pool_group.c: it has no tasks. */
extern void kt_group_free(KtPool *pool, KtGroup *group);

#endif							/* KIN_TR_ROUTING_POOL_PRIVATE_H */
