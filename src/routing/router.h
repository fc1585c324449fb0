/*
 * router.h
 *		One turn of routing: what happened, what is due, who gets what.
 *
 * The router process and tick() share all of this; they differ in who begins
 * and commits transactions.
 */
#ifndef KIN_TR_ROUTING_ROUTER_H
#define KIN_TR_ROUTING_ROUTER_H

#include "postgres.h"

#include "events/cursor.h"
#include "routing/batch.h"
#include "routing/looks.h"
#include "routing/pool.h"
#include "routing/quarantine.h"
#include "routing/retry.h"

/* Up to where the rows of an index have been looked at, by its order. */
typedef struct KtMark
{
	TimestampTz at;
	KtSid		sid;
} KtMark;

/*
 * A task whose step's skip_if has not been asked, or that has the keys of another
 * order than its queue's: and its step, for in another one it has yet to be matched.
 */
typedef struct KtUnsettled
{
	KtSid		workspace;
	KtSid		task;
	int32		version;		/* of the workflow */
	int32		filter;
	int32		target;
} KtUnsettled;

/* A walk through the tasks of a group, and the one that comes before its next piece. */
typedef struct KtWalk
{
	pg_uuid_t	group;
	KtSid		workspace;
	KtHead		after;
} KtWalk;

/* A task whose assignment has failed once: with which worker, and how. */
typedef struct KtSuspect
{
	KtSid		task;			/* hash key */
	KtSid		worker;
	int			sqlerrcode;
	char		message[200];
} KtSuspect;

/* How far a new pool has been read. */
typedef enum KtLoading
{
	KT_LOADED,
	KT_LOAD_WORKERS,
	KT_LOAD_RESERVATIONS,
	KT_LOAD_UNTRIED,			/* tasks whose skip_if is to be asked */
	KT_LOAD_GROUPS
} KtLoading;

typedef struct KtTimers KtTimers;

typedef struct KtRouter
{
	MemoryContext context;		/* of all below */
	MemoryContext scratch;		/* emptied every turn */
	bool		restricted;		/* tick(): only for these workspaces */
	int			nallowed;
	KtSid	   *allowed;
	bool		forgets_fits;	/* used once: it is no use to remember whom a group fits */
	KtPool	   *pool;			/* NULL: must be loaded */
	KtLoading	loading;		/* of that, what is being read, up to ... */
	KtSid		loaded_sid;
	pg_uuid_t	loaded_group;
	KtCursor	cursor;
	List	   *large;			/* KtLarge: transactions that it has seen, and has yet to read in pieces */
	uint64		own_xid;		/* tick(): own events up to own_event are known */
	int64		own_event;
	KtTimers   *timers;
	KtMark		moves_mark;		/* finished tasks before it have been moved, or are in the retries */
	int64		moves_began;	/* when the mark was at its beginning, by the monotonic clock */
	KtRetries  *retries;
	KtQuarantine *quarantine;
	HTAB	   *suspects;
	KtLooks    *looks;			/* tasks to be read again */
	KtLooks    *worker_looks;
	KtLooks    *group_looks;	/* groups whose first tasks are to be read */
	List	   *reloads;		/* KtSid of workspaces that have changed while they were being read, or locked */
	int64		reload_at;		/* not before, by the monotonic clock */
	ktsidmap_hash *reordered;	/* queues whose groups are yet to be walked through; NULL: none */
	KtLooks    *walks;			/* KtWalk */
	KtLooks    *postponed;		/* groups that cannot be made before their workspace is read again */
	KtLooks    *unsettled;		/* KtUnsettled */
	bool		is_through;		/* the last turn left nothing to do */
	uint64		finished;		/* turns that did so */
	int64		minute;			/* of kin_tr's clock, when timed steps were looked at */
} KtRouter;

/* What one turn did, for tick(). */
typedef struct KtTurn
{
	int			assigned;
	int			timed_out;
	int			moved;
	int			canceled;
	int			fired;			/* timers of any kind that did something */
	int			failures;		/* rows that failed by themselves, of the kind of work being done */
	int			busy;			/* rows of it that somebody held */
	int			events;			/* read at its beginning */
	bool		more;			/* something is left to do now */
} KtTurn;

/* How much a turn may do.  What is left over is for the next one, in turn.more. */
typedef struct KtLimits
{
	int			actions;		/* assigned, timed_out, moved and canceled together */
	int64		slice;			/* microseconds for each kind of work */
} KtLimits;

extern KtRouter *kt_router_create(MemoryContext parent);

/* Forgets everything; the next turn loads it anew. */
extern void kt_router_forget(KtRouter *router);

/* load.c: a new pool, which is yet to be read. */
extern void kt_router_load(KtRouter *router);

/*
 * load.c: the configuration of a workspace has changed; all that it has is yet to be
 * read.  Where that is still going on, it begins anew when it has been matched:
 * kt_router_reload_rest(), at the beginning of a turn.
 */
extern void kt_router_reload(KtRouter *router, const KtSid *workspace);
extern void kt_router_reload_rest(KtRouter *router);

/* load.c: reads what is noted, for so many microseconds; inside kt_spi_begin() .. end(). */
extern void kt_router_read(KtRouter *router, int64 slice);
extern bool kt_router_has_to_read(const KtRouter *router);

/* load.c: a row with the sids of a task and of its workspace; it is yet to be read. */
extern void kt_router_note_task(KtRouter *router, uint64 row);

/* router.c: the time that steps read is the clock's. */
extern void kt_router_set_time(KtRouter *router);

/* catch_up.c: applies what happened since, and tells how much; loads where that is better. */
extern int	kt_router_catch_up(KtRouter *router, bool with_own);

/* catch_up.c: applies a piece of a large transaction, each of them in its turn. */
extern void kt_router_read_large(KtRouter *router);

/* rows.c: reads tasks, workers or reservations again. */
extern void kt_router_look_at_tasks(KtRouter *router, const KtSid *tasks, int n);
extern void kt_router_look_at_workers(KtRouter *router, const KtSid *workers, int n);
extern void kt_router_look_at_reservations(KtRouter *router, const KtSid *reservations, int n);

/* A group with so many locked tasks at its head is looked through for one that is not. */
#define KT_MANY_BUSY 8

/* rows.c: fills a group's heads from the table, if it has none and there may be some. */
extern void kt_router_refill(KtRouter *router, KtGroup *group);

/*
 * rows.c: reads the large values that a group is matched by, if it has such.  False where
 * that cannot be: the task that was asked is no head of it any more.
 */
extern bool kt_router_read_values(KtRouter *router, KtGroup *group);

typedef struct KtProposal
{
	KtHead		head;
	KtGroup    *group;
	int			nworkers;
	KtPoolWorker **workers;
	KtIdleSince *idle_since;	/* of each, before the match counted it as reserved */
} KtProposal;

/*
 * match.c: the next task and who gets it; the pool counts them as taken.  The proposal's
 * lists are in the current memory context.  False where there is none that fits, or the
 * time was over before one was found, by the monotonic clock: then there are candidates
 * left.
 */
extern bool kt_match_next(KtRouter *router, KtProposal *proposal, int64 until);
extern bool kt_match_is_over(const KtRouter *router);

/* assign.c: carries proposals out, in batches. */
extern void kt_assign(KtRouter *router, const KtTransactions *transactions, KtTurn *turn,
					  const KtLimits *limits);

/* assign.c: a task has changed or ended, so that its assignment failed before says nothing. */
extern void kt_assign_forget(KtRouter *router, const KtSid *task);

/* timers.c: when what is due in which workspace; it knows nothing at first, and asks. */
extern KtTimers *kt_timers_create(MemoryContext parent);
extern void kt_timers_clear(KtTimers *timers);

/* A row of a task says so; one was assigned then; a reservation is due then; or it was created then. */
extern void kt_timers_note_task(KtRouter *router, const KtSid *workspace, const KtSid *task, TimestampTz wake_at);
extern void kt_timers_note_assigned(KtRouter *router, const KtSid *workspace, TimestampTz at);
extern void kt_timers_note_offer(KtRouter *router, const KtSid *workspace, TimestampTz created);
extern void kt_timers_note_reservation(KtRouter *router, const KtSid *workspace, TimestampTz at);

/* Rows may have changed without a word: all are asked again. */
extern void kt_timers_ask_all(KtTimers *timers);

/* Fires what is due. */
extern void kt_timers_fire(KtRouter *router, const KtTransactions *transactions, KtTurn *turn,
						   const KtLimits *limits);
extern bool kt_timers_are_due(const KtRouter *router);

/* Nothing is due before; and when the next one is, inside kt_spi_begin() .. end(); KT_NEVER: none. */
extern TimestampTz kt_timers_expected(const KtRouter *router);
extern TimestampTz kt_timers_next(KtRouter *router);

/*
 * sweep.c: looks whether an edge was missed, for about so many microseconds at a
 * time; true where there is more to do at once.  Pairs that it finds are judged at a
 * later call, when the router has got through with what it has to do.  An edge that
 * was missed is counted, and the router forgets all, to load it anew.
 */
extern bool kt_router_sweep(KtRouter *router, const KtTransactions *transactions, int64 slice);
extern bool kt_router_is_sweeping(void);

/* router.c: all of a turn. */
extern void kt_router_turn(KtRouter *router, const KtTransactions *transactions, KtTurn *turn,
						   const KtLimits *limits);

/* Another kind of work begins: what failed or was held before says nothing of it. */
extern void kt_turn_begin_work(KtTurn *turn);

/* How many more actions, or none where it has failed or been in vain too often. */
extern int	kt_turn_left(const KtTurn *turn, const KtLimits *limits);

/* In how many microseconds there is something to do by itself. */
extern int64 kt_router_wait(KtRouter *router);

#endif							/* KIN_TR_ROUTING_ROUTER_H */
