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
#include "routing/pool.h"

/* A task found locked, or a timer whose task was: looked at again later. */
typedef struct KtRetry
{
	KtSid		sid;			/* WT: a task, WR: a reservation */
	bool		timer;			/* it was due */
	int			tries;
	bool		looked_at;		/* since the last failure; kept a while for its tries */
	TimestampTz at;				/* by the real clock */
} KtRetry;

/* Up to where timers have been fired, in the order of their index. */
typedef struct KtMark
{
	TimestampTz at;
	KtSid		sid;
} KtMark;

typedef struct KtRouter
{
	MemoryContext context;		/* of all below */
	MemoryContext scratch;		/* emptied every turn */
	bool		restricted;		/* tick(): only for these workspaces */
	int			nallowed;
	KtSid	   *allowed;
	KtPool	   *pool;			/* NULL: must be loaded */
	KtCursor	cursor;
	uint64		own_xid;		/* tick(): own events up to own_event are known */
	int64		own_event;
	KtMark		tasks_mark;
	KtMark		reservations_mark;
	TimestampTz next_timer;		/* none is due before */
	int			nretries;
	int			retries_capacity;
	KtRetry    *retries;
	KtVector	unsettled;		/* KtSid of tasks whose skip_if has not been looked at, or that
								 * have the keys of another order than their queue's */
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
	int			events;			/* read at its beginning */
	bool		more;			/* something is left to do now */
} KtTurn;

/* How work is put into transactions: tick() has all of it in its caller's. */
typedef struct KtTransactions
{
	void		(*begin) (void);
	void		(*commit) (void);
	bool		retries;		/* an error ends the batch, not the caller */
} KtTransactions;

extern KtRouter *kt_router_create(MemoryContext parent);

/* Forgets everything; the next turn loads it anew. */
extern void kt_router_forget(KtRouter *router);

/* load.c: fills the pool from the tables, under the active snapshot. */
extern void kt_router_load(KtRouter *router);

/* load.c: applies what happened since, and tells how much; loads where that is better. */
extern int	kt_router_catch_up(KtRouter *router, bool with_own);

/* Reads a task again, since it was locked or has moved. */
extern void kt_router_look_at_tasks(KtRouter *router, const KtSid *tasks, int n);
extern void kt_router_look_at_workers(KtRouter *router, const KtSid *workers, int n);

/* Fills a group's heads from the table, if it has none and there may be some. */
extern void kt_router_refill(KtRouter *router, KtGroup *group);

/* match.c: the next task and its workers; false where nothing more fits. */
typedef struct KtProposal
{
	KtHead		head;
	KtGroup    *group;
	int			nworkers;
	KtPoolWorker **workers;
} KtProposal;

extern void kt_match_begin(KtRouter *router);
extern bool kt_match_next(KtRouter *router, KtProposal *proposal);
extern void kt_match_end(KtRouter *router);

/* assign.c: carries proposals out, in batches. */
extern void kt_assign(KtRouter *router, const KtTransactions *transactions, KtTurn *turn,
					  int max_actions);

/* timers.c: fires what is due. */
extern void kt_timers_fire(KtRouter *router, const KtTransactions *transactions, KtTurn *turn,
						   int max_actions);
extern TimestampTz kt_timers_next(KtRouter *router);	/* KT_NEVER: none */
extern bool kt_timers_are_due(const KtRouter *router);

extern void kt_router_retry(KtRouter *router, const KtSid *sid, bool timer);
extern void kt_router_forget_retry(KtRouter *router, const KtSid *sid, bool timer);

/*
 * sweep.c: looks whether an edge was missed, after a turn that left nothing to
 * do.  Then it is counted, and the router forgets all, to load it anew.
 */
extern void kt_router_sweep(KtRouter *router, const KtTransactions *transactions);

/* router.c: all of a turn. */
extern void kt_router_turn(KtRouter *router, const KtTransactions *transactions, KtTurn *turn,
						   int max_actions);

#endif							/* KIN_TR_ROUTING_ROUTER_H */
