/*
 * pool.h
 *		What the router remembers: who is idle, and what waits.
 *
 * The pool is a cache that proposes; rows dispose.  It knows every worker and,
 * of the waiting tasks, the first few of each group, so its size follows from
 * the number of workers and of groups and not from the backlog.
 *
 *	 space	 a workspace: its channels, and which values of a worker matter
 *	 class	 workers that no expression can tell apart, in the same activity
 *	 group	 tasks that no step can tell apart (see placement.c)
 *	 fit	 a class whose workers a group's tasks may be offered to
 *
 * Fits are found when a group is matched, in slices, for a workspace may have
 * thousands of groups and of classes that are all to be tried.  They are remembered
 * as long as there are few for each group and worker; beyond that a group is *open*:
 * whom it fits is found out when somebody is idle.
 *
 * pool*.c keep these and their links; load.c fills it from the tables and keeps
 * it up to date by events; match.c chooses; assign.c carries out.
 */
#ifndef KIN_TR_ROUTING_POOL_H
#define KIN_TR_ROUTING_POOL_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "lib/ilist.h"
#include "lib/pairingheap.h"
#include "utils/hsearch.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

#include "base/sid.h"
#include "expr/expr.h"
#include "routing/config.h"
#include "routing/pool_map.h"

typedef struct KtPool KtPool;
typedef struct KtSpace KtSpace;
typedef struct KtClass KtClass;
typedef struct KtGroup KtGroup;
typedef struct KtPoolWorker KtPoolWorker;
typedef struct KtNameEntry KtNameEntry;
typedef struct KtQueueClasses KtQueueClasses;

/* A list of pointers that grows. */
typedef struct KtVector
{
	int			length;
	int			capacity;
	void	  **items;
} KtVector;

/* A set of groups, which each know their places in it: KtGroup.places. */
typedef struct KtGroupSet
{
	int			length;
	int			capacity;
	struct
	{
		KtGroup    *group;
		int			nth;		/* of the group's places */
	}		   *items;
} KtGroupSet;

/* Slots of a worker in so many channels are kept without what palloc rounds up. */
#define KT_PACKED_SLOTS 32

/* A worker's part in a channel. */
typedef struct KtSlot
{
	pairingheap_node node;		/* in the class's idle heap, while idle */
	KtPoolWorker *worker;
	KtSid		channel;
	bool		idle;			/* in the heap */
	bool		available;
	int32		capacity;
	int32		open;			/* reservations pending, accepted or wrapping */
	int32		assigned;		/* of these, accepted */
	TimestampTz last_reserved;	/* in this channel; 0: never */
	uint64		sequence;		/* breaks ties of last_reserved */
} KtSlot;

struct KtPoolWorker
{
	KtSid		sid;
	KtSpace    *space;
	dlist_node	of_space;
	KtClass    *class;			/* NULL: it has yet to be read again */
	dlist_node	of_class;
	int64		version;
	char	   *friendly_name;
	KtNameEntry *name;
	KtSid		activity;
	TimestampTz date_status_changed;
	int64		document;
	TimestampTz last_reserved;	/* in any channel */
	uint64		sequence;
	bool		stale;			/* out of date or locked: proposed to nobody until read again */
	bool		passes;			/* of the space's trial, if that is the number */
	uint64		trial;
	int			nslots;
	KtSlot	   *slots;			/* by channel number of the space */
	dlist_head	reservations;	/* open */
};

/* One end of the link between a class and a group that fit. */
typedef struct KtFit
{
	void	   *other;			/* KtGroup of a class's fit, KtClass of a group's */
	int			position;		/* of the other end, in its own list */
} KtFit;

typedef struct KtFits
{
	int			length;
	int			capacity;
	KtFit	   *items;
} KtFits;

/* The idle workers of a class in a channel. */
typedef struct KtIdle
{
	pairingheap slots;			/* longest idle first */
	dlist_node	of_space;		/* among all classes that have some */
	KtClass    *class;
} KtIdle;

struct KtClass
{
	uint64		hash;			/* of activity and values */
	KtClass    *next;			/* of the same hash */
	KtSpace    *space;
	uint64		number;			/* in the order of their making */
	int			index;			/* one that no other class of the space has */
	dlist_node	of_empty;		/* while it has no workers */
	KtSid		activity;
	bool		available;		/* of the activity; if not, it has no fits */
	KtValue    *values;			/* by path number of the space */
	int			nworkers;
	dlist_head	workers;
	KtIdle	   *idle;			/* by channel number */
	bool		wide;			/* has more values than it is entered under: every tied group is tried */
	bool		passes;			/* of the space's trial, if that is the number */
	uint64		trial;
	KtFits		fits;
};

/* A task that waits at the head of its group. */
typedef struct KtHead
{
	int64		key1;
	int64		key2;
	KtSid		sid;
} KtHead;

/* A step as the pool sees it: paths are numbers of the space. */
typedef struct KtStepPlan
{
	struct
	{
		KtSid		workflow;
		int32		version;
		int32		filter;
		int32		target;
	}			key;			/* hash key */
	KtSpace    *space;
	const KtTarget *target;		/* NULL: it cannot be used */
	bool		known;			/* the classes have what it reads, and what follows is set */
	int		   *worker_paths;	/* by path of the expression; -1: not a worker's */
	int		   *order_paths;	/* by key of order_by */
	bool		has_tie;
	KtTie		tie;
} KtStepPlan;

/* Tasks of a group that somebody held, and that nothing comes back to by itself. */
typedef enum KtSkipped
{
	KT_SKIPPED_NONE,
	KT_SKIPPED_SOME,
	KT_SKIPPED_REST,			/* they are left alone for a while, and then ... */
	KT_SKIPPED_DUE				/* ... looked at again, from the first on */
} KtSkipped;

struct KtGroup
{
	pg_uuid_t	key;			/* hash key */
	KtSpace    *space;
	dlist_node	of_space;
	KtSid		queue_sid;
	const KtTaskQueue *queue;	/* NULL: routed to a worker, or the queue is gone */
	KtQueueClasses *queue_classes;	/* likewise */
	int			channel;		/* number in the space */
	KtStepPlan *step;			/* NULL: routed directly */
	KtValue    *values;			/* of the task, by path of the step's expression; NULL: nothing, or bulky */
	bool		bulky;			/* they are large, and are there only while it is matched */
	bool		pinned;			/* only for one worker ... */
	KtSid		pinned_sid;		/* ... by sid, or where that is null */
	KtNameEntry *pinned_name;	/* ... by name; NULL: for nobody */
	bool		direct;			/* routed to that worker: its queue does not matter */
	bool		ignore_capacity;
	int			nheads;
	int			heads_capacity;
	KtHead	   *heads;			/* in order */
	bool		more;			/* tasks beyond the boundary are only in the table */
	KtHead		boundary;
	int		   *places;			/* in the sets that it is in */
	bool		tied;			/* entered under the values that its step ties */
	bool		open;			/* has no fits: see above */
	bool		outdated;		/* its fits are of another minute: to be found anew before they are used */
	bool		touched;		/* among the candidates of the next match */
	uint64		tried;			/* the fits with classes of lower numbers have been found */
	KtFits		fits;
	dlist_node	of_empty;		/* while it has no heads */
	pairingheap_node candidate; /* in the space's heap, while touched and with heads */
	int			nbusy;			/* heads in a row that somebody held */
	KtSkipped	skipped;		/* tasks before the boundary */
	int64		walked;			/* microseconds spent on looking through it for tasks that are not locked */
	bool		held;			/* between two pieces of that it is left alone */
	bool		waits;			/* it is among the pool's groups that wait for one of these, at ... */
	int			waiting_place;
	int64		held_until;		/* by the monotonic clock, both */
	int64		again_at;
};

/* What of a worker some expression reads. */
typedef struct KtRead
{
	KtPath		path;
	bool		tied;			/* classes are found by its value */
} KtRead;

struct KtSpace
{
	KtSid		sid;			/* hash key */
	MemoryContext context;		/* of all that follows from its configuration */
	dlist_head	workers;
	dlist_head	groups;
	bool		closed;			/* not matched, for its workers have yet to be read (again) */
	dlist_node	of_closed;		/* then */
	MemoryContext reads_context;	/* NULL: nothing has been read yet */
	KtVector	reads;			/* KtRead: what of a worker any expression has read that was used */
	bool		lacking;		/* some of them the classes do not have: it is to be reset */
	dlist_node	of_lacking;		/* then */
	bool		full;			/* there is no room for some: the next reset begins with none */
	bool		crowded;		/* it has begun with none since its configuration changed */
	uint64		resets;			/* how often its configuration has been read anew */

	/* From here on it follows from its configuration. */
	bool		lifo_first;
	int			nchannels;
	const KtTaskChannel **channels;
	int			npaths;			/* of the reads, those that the classes have */
	KtPath	   *paths;
	bool	   *path_is_tied;
	int		   *paths_by_text;	/* their numbers, in order */
	ktsidmap_hash *queues;		/* KtQueueClasses */
	KtVector	classes;		/* by number */
	uint64		next_number;
	int			nindexes;		/* of classes, that there are or were */
	KtVector	free_indexes;
	dlist_head	empty_classes;
	int			nempty_classes;
	ktmap_hash *classes_by_hash;	/* the first KtClass of a hash */
	ktmap_hash *classes_by_value;	/* path and value of a tie -> KtVector of KtClass */
	ktmap_hash *groups_by_value;	/* step and value of a tie -> KtGroupSet */
	KtGroupSet	tied;			/* groups */
	KtGroupSet	untied;			/* all others, but the pinned */
	KtVector	tied_steps;
	KtGroupSet	open;
	KtVector	wide;			/* classes, by number */
	KtGroup    *trying;			/* whose trial it is: of classes, or workers, that are idle */
	uint64		trial;
	dlist_head *idle;			/* by channel number: KtIdle of classes with idle workers */
	ktsidmap_hash *pinned_by_sid;	/* by worker: KtGroupSet */
	HTAB	   *names;			/* of workers that there are, or that tasks name; NULL: none */
	int			ntimed;			/* groups whose step reads the time */
	int			ncounting;		/* groups whose step reads a channel's counters */
	pairingheap *candidates;	/* touched groups: the one whose first task is next of all, first */
	KtGroupSet	unfilled;		/* touched groups whose tasks are only in the table */
	bool		eager;			/* it has some of these */
	dlist_node	of_pool;		/* then */
};

/* An open reservation. */
typedef struct KtOpen
{
	KtSid		sid;			/* hash key */
	KtSid		worker;
	KtSid		task;
	KtSid		channel;
	bool		accepted;
	dlist_node	of_task;
	dlist_node	of_worker;		/* or of the pool's orphans */
} KtOpen;

/*
 * Told of a queue or workflow that cannot be used, which is then as if it were not
 * there; or, error NULL, that it is well.
 */
typedef void (*KtPoolFault) (void *context, const KtSid *object, const ErrorData *error);

struct KtPool
{
	MemoryContext context;
	KtConfig   *config;
	KtPoolFault fault;
	void	   *fault_context;
	TimestampTz now;			/* kin_tr's, of this turn */
	uint64		sequence;
	MemoryContext worker_context;	/* KtPoolWorkers alone, which palloc would round up */
	MemoryContext slots_contexts[KT_PACKED_SLOTS + 1];	/* likewise slots, by their number; NULL: none yet */
	HTAB	   *spaces;
	dlist_head	closed;			/* spaces */
	dlist_head	lacking;		/* spaces */
	bool		loading;		/* all that there are, and that are made, are closed */
	HTAB	   *steps;
	ktsidmap_hash *workers;		/* KtPoolWorker */
	HTAB	   *groups;
	HTAB	   *head_groups;	/* task sid -> KtGroup that has it among its heads */
	HTAB	   *open;
	HTAB	   *open_of_task;
	bool		restricted;		/* to these workspaces; others do not exist for it */
	int			nallowed;
	const KtSid *allowed;
	dlist_head	empty_groups;	/* without heads */
	int			nempty;
	int64		nfits;
	bool		forgets_fits;	/* all groups are open */
	dlist_head	orphans;		/* open reservations of workers that are not known (yet) */
	dlist_head	eager;			/* spaces with touched groups, each in its turn */
	KtVector	waiting;		/* groups */
	KtGroup    *bulky;			/* the bulky group that has values */
	MemoryContext bulky_context; /* where these are */
};

extern KtPool *kt_pool_create(MemoryContext parent, KtPoolFault fault, void *fault_context);
extern void kt_pool_destroy(KtPool *pool);

/* Spaces and steps are read from the configuration; inside kt_spi_begin() .. end(). */
extern KtSpace *kt_pool_space(KtPool *pool, const KtSid *workspace);

/*
 * Its configuration has changed: all that follows from it is forgotten, and it is closed.
 * Its workers are to be read again, and its groups; it keeps who was reserved when, and
 * what is open.
 */
extern void kt_pool_reset_space(KtPool *pool, const KtSid *workspace);

/* Its workers have been read. */
extern void kt_pool_open_space(KtPool *pool, KtSpace *space);
extern KtStepPlan *kt_pool_step(KtPool *pool, KtSpace *space, const KtSid *workflow, int32 version,
								int32 filter, int32 target);
extern bool kt_pool_may_use(const KtPool *pool, const KtSid *workspace);

extern int	kt_space_channel(KtSpace *space, const KtSid *channel); /* -1: unknown */

/* The classes of a queue's workers, as far as it has been asked. */
struct KtQueueClasses
{
	const KtTaskQueue *queue;	/* NULL: it cannot be used */
	bool		known;			/* the classes have what it reads, and what follows is set */
	int		   *worker_paths;	/* by path of its expression */
	int			capacity;		/* in bits, by index of a class: */
	uint64	   *asked;
	uint64	   *in;
};

/*
 * NULL where there is no such queue, or it is faulty, or it reads what of a worker no
 * class has yet: then *later is set.
 */
extern KtQueueClasses *kt_space_queue(KtPool *pool, KtSpace *space, const KtSid *queue, bool *later);

/* Is a class among them?  It is asked once. */
extern bool kt_queue_has(KtQueueClasses *queue, const KtClass *class);
extern bool kt_queue_was_asked(const KtQueueClasses *queue, const KtClass *class);

extern void kt_vector_add(MemoryContext context, KtVector *vector, void *item);

/* A worker as the tables have it now; attributes NULL: it is gone. */
typedef struct KtWorkerRow
{
	KtSid		sid;
	KtSid		workspace;
	int64		version;
	char	   *friendly_name;
	Jsonb	   *attributes;
	KtSid		activity;
	TimestampTz date_status_changed;
	int64		document;
} KtWorkerRow;

extern KtPoolWorker *kt_pool_put_worker(KtPool *pool, const KtWorkerRow *row);
extern void kt_pool_remove_worker(KtPool *pool, const KtSid *worker);
extern KtPoolWorker *kt_pool_worker(KtPool *pool, const KtSid *worker);
extern KtPoolWorker *kt_pool_worker_of_name(const KtNameEntry *name);

/* Until it is put again, it is not idle. */
extern void kt_pool_set_stale(KtPool *pool, KtPoolWorker *worker);
extern void kt_pool_set_slot(KtPool *pool, KtPoolWorker *worker, int channel, int32 capacity,
							 bool available);

/* A worker was reserved, or what would be now: it goes to the end of the idle. */
extern void kt_pool_mark_reserved(KtPool *pool, KtPoolWorker *worker, int channel, TimestampTz at);

/* What a worker's place among the idle followed from, until it was stamped as number until. */
typedef struct KtIdleSince
{
	TimestampTz last_reserved;
	uint64		sequence;
	TimestampTz slot_last_reserved;
	uint64		slot_sequence;
	uint64		until;
} KtIdleSince;

/* Nothing came of it: it takes its place again, unless it has been reserved since. */
extern void kt_pool_unmark_reserved(KtPool *pool, KtPoolWorker *worker, int channel,
									const KtIdleSince *since);

/* It was reserved then, as far as it is not known to have been later. */
extern void kt_pool_note_reserved(KtPool *pool, KtPoolWorker *worker, int channel, TimestampTz at);

/* Its open reservations.  Opening one that is known already does nothing, and is false. */
extern bool kt_pool_open(KtPool *pool, const KtSid *reservation, const KtSid *worker,
						 const KtSid *task, const KtSid *channel, bool accepted);
extern void kt_pool_close(KtPool *pool, const KtSid *reservation);
extern void kt_pool_set_accepted(KtPool *pool, const KtSid *reservation, bool accepted);
extern void kt_pool_close_task(KtPool *pool, const KtSid *task);

/* Puts a slot into its idle heap, or takes it out, as its state says. */
extern void kt_pool_place_slot(KtPool *pool, KtPoolWorker *worker, int channel);

/* Takes it out, whatever its state, until it is placed. */
extern void kt_pool_hide_slot(KtPoolWorker *worker, int channel);

/* Everything that a freed worker may get is a candidate of the next match. */
extern void kt_pool_touch_worker(KtPool *pool, KtPoolWorker *worker, int channel);
extern void kt_pool_touch_group(KtPool *pool, KtGroup *group);

/* Nobody was found for it: it is no candidate any more. */
extern void kt_pool_leave_match(KtPool *pool, KtGroup *group);

/* Tasks that are only in the table and may be read now. */
extern bool kt_group_has_more(const KtGroup *group);
extern void kt_group_note_skipped(KtGroup *group);

/*
 * So many of its first tasks are locked that it is left alone, till a time by the
 * monotonic clock; then the search goes on behind them.  What arrives meanwhile is a
 * candidate as ever.
 */
extern void kt_pool_hold_group(KtPool *pool, KtGroup *group, int64 until);

/* Where it has no others any more, those that were skipped are left alone for a while. */
extern void kt_pool_rest_skipped(KtPool *pool, KtGroup *group);
extern void kt_pool_end_waits(KtPool *pool);	/* of those whose time has come */
extern int64 kt_pool_next_wait(const KtPool *pool); /* when one ends; PG_INT64_MAX: none */

/* What a waiting task's row tells of its group. */
typedef struct KtGroupRow
{
	pg_uuid_t	key;
	KtSid		workspace;
	KtSid		queue;
	KtSid		channel;
	KtSid		workflow;
	int32		workflow_version;
	int32		filter;
	int32		target;
	KtSid		routing_target;
	bool		ignore_capacity;
	Jsonb	   *attributes;
} KtGroupRow;

extern KtGroup *kt_pool_group(KtPool *pool, const pg_uuid_t *key);
extern KtGroup *kt_pool_make_group(KtPool *pool, const KtGroupRow *row);

/* A task waits in a group: it becomes one of its heads where it is near enough. */
extern void kt_pool_put_task(KtPool *pool, KtGroup *group, const KtHead *head);
extern void kt_pool_remove_task(KtPool *pool, const KtSid *task);

/* Its heads are forgotten; those behind this one are to be read again. */
extern void kt_pool_drop_heads(KtPool *pool, KtGroup *group, const KtHead *behind);

/* Behind this one there may be tasks that it does not know: it forgets those that it has. */
extern void kt_pool_end_heads(KtPool *pool, KtGroup *group, const KtHead *last);
extern int	kt_head_compare(const KtHead *a, const KtHead *b);

/*
 * Finds out which of the workers that are idle now a group fits, and goes on with
 * that, until some time by the monotonic clock.  True when all is known: then
 * kt_pool_passes() tells it of a class and kt_pool_worker_passes() of a worker, of
 * this group until it is another's turn.
 */
extern bool kt_pool_try(KtPool *pool, KtGroup *group, int64 until);
extern bool kt_pool_passes(const KtGroup *group, const KtClass *class);
extern bool kt_pool_worker_passes(const KtGroup *group, const KtPoolWorker *worker);

/* Does its step look at the counters of channels, by which workers of a class differ? */
extern bool kt_group_reads_counters(const KtGroup *group);

/* ... at the time, so that who fits differs from minute to minute? */
extern bool kt_group_reads_time(const KtGroup *group);

/*
 * Are the values there by which it is matched?  Else they are to be given, from the
 * attributes of a task of it; they stay until another group gets such.
 */
extern bool kt_group_has_values(const KtGroup *group);
extern void kt_group_give_values(KtPool *pool, KtGroup *group, Jsonb *attributes);

/* May this one worker get a group's tasks, capacity aside? */
extern bool kt_pool_fits_worker(KtPool *pool, KtGroup *group, KtPoolWorker *worker);

extern int	kt_pool_count_classes(const KtPool *pool);

/* A minute has passed: steps that read the time are looked at again. */
extern void kt_pool_new_minute(KtPool *pool);

/* Frees some groups without tasks and classes without workers, when there are many. */
extern void kt_pool_collect(KtPool *pool);

#endif							/* KIN_TR_ROUTING_POOL_H */
