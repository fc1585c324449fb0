/*
 * loop.h
 *		What every background worker of a database does alike.
 */
#ifndef KIN_TR_WORKERS_LOOP_H
#define KIN_TR_WORKERS_LOOP_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "base/compat.h"
#include "base/lock.h"
#include "base/spi.h"
#include "workers/slots.h"

/* Where a worker works. */
typedef struct KtPost
{
	KtWorkerKind kind;
	Oid			database;
	NameData	name;			/* the database's */
} KtPost;

/* One kind of worker, as a table of what differs. */
typedef struct KtLoop
{
	KtWorkerKind kind;
	KtRole		role;			/* held while it works */
	const char *name;			/* "router" */
	bool		asynchronous;	/* its commits need not wait for the disk */
	long		interval;		/* ms between turns, when nobody wakes it */

	/*
	 * No transaction is open.  Returns in how many ms it wants its next turn; *whole: it
	 * has got through with all that there was.
	 */
	long		(*turn) (bool *whole);

	/* Forgets what it knows: after an error, or when it was paused. */
	void		(*forget) (void);
} KtLoop;

/* Enters a post and its database; ends the process where it is held.  post stays. */
extern void kt_loop_enter(const KtPost *post, const char *name, bool asynchronous);

/*
 * May it act?  Ends the process where there is no extension.  *paused: it is a copy,
 * or its clock is set.
 */
extern bool kt_loop_may_act(bool *paused);

/* Does not return. */
pg_noreturn extern void kt_loop_run(const KtLoop *loop, const KtPost *post);

/*
 * A rest after a turn that had work.  Commits that come meanwhile find the
 * latch unattended, so they need not signal, and the next turn sees them all.
 * It is the longer the more events there were, up to 5 ms: what a turn costs in
 * itself is then shared by many.  When the turn began is by kt_monotonic().
 */
extern void kt_loop_rest(int64 began, int events);

/*
 * Transactions of a worker.  From begin to after commit it acts as the owner of
 * the extension, within a security-restricted operation: triggers and functions
 * of the owner's that run meanwhile get no superuser's rights, none may be
 * deferred to the commit, and what they set ends with the transaction.
 */
extern void kt_loop_begin(void);
extern void kt_loop_commit(void);
extern void kt_loop_undo(void); /* after an error */

/* A statement in a transaction of its own, that does a piece of work and says whether there is more. */
extern bool kt_loop_piece(KtPlan *piece);

/*
 * Does some work in transactions of its own; NULL, or the error that it ended with,
 * undone, in the current context.  One by which the process ends is passed on.
 */
extern ErrorData *kt_loop_attempt(void (*work) (void *), void *context);

#endif							/* KIN_TR_WORKERS_LOOP_H */
