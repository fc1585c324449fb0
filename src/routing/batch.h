/*
 * batch.h
 *		Work on many rows in few transactions, where a bad row stops only itself.
 */
#ifndef KIN_TR_ROUTING_BATCH_H
#define KIN_TR_ROUTING_BATCH_H

#include "postgres.h"

/*
 * How work is put into transactions: the router's are its own, tick() has all of it
 * in its caller's.
 */
typedef struct KtTransactions
{
	void		(*begin) (void);
	void		(*commit) (void);
	void		(*undo) (void); /* after an error, all since begin(); NULL: errors are passed on */
	bool		own;			/* and not the caller's: what is committed is seen by others */
} KtTransactions;

/*
 * tick()'s.  A subtransaction for each batch costs, for each row that two of
 * them touch, a multixact; so there are some only while something may fail.
 */
extern const KtTransactions kt_subtransactions;
extern const KtTransactions kt_callers_transaction;

/*
 * A batch.  run() works on some of its items in a transaction that is open, with
 * SPI connected; it may be undone and called again, so what it learns it keeps
 * with the item, and tells nobody before kt_batch_run() returns.  failed() is
 * told of each item that fails by itself, when all is undone and no transaction
 * is open.
 */
typedef struct KtBatch
{
	void	   *context;
	int			n;
	int			(*collect) (void *context); /* in the first transaction: how many there are; or NULL */
	void		(*run) (void *context, int from, int n);
	void		(*failed) (void *context, int item, const ErrorData *error);
} KtBatch;

/*
 * All of it in one transaction; where that fails, each half in one, and so on.
 * An error that no row is to blame for is passed on: a cancel, a shutdown, a full
 * disk.  Where somebody has the table from which they are collected, n is 0.  The
 * current memory context must outlive the transactions.
 */
extern void kt_batch_run(const KtTransactions *transactions, KtBatch *batch);

/* Until the (sub)transaction ends, a lock that somebody has is a busy error after 10 ms. */
extern void kt_wait_for_nobody(void);

/* Somebody else has what is wanted, so that trying again will do. */
extern bool kt_error_is_busy(const ErrorData *error);

/*
 * Calls a function that only reads, in a subtransaction of the one that is open:
 * NULL, or the error that it ended with.
 */
extern ErrorData *kt_try(void (*function) (void *context), void *context);

#endif							/* KIN_TR_ROUTING_BATCH_H */
