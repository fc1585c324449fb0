/*
 * row.h
 *		Rows without an executor: by the primary key, inserted, updated.
 *
 * For the few tables that every task goes through.  What an executor would see
 * to is the caller's: no triggers, rules, defaults, checks or partitions.  A
 * read-only transaction, as all are on a standby, is refused here.
 * Tables are opened with ROW EXCLUSIVE by kt_row_table() and closed with
 * table_close(table, NoLock).
 */
#ifndef KIN_TR_BASE_ROW_H
#define KIN_TR_BASE_ROW_H

#include "postgres.h"

#include "executor/tuptable.h"
#include "utils/rel.h"

#include "base/columns.h"
#include "base/sid.h"

extern Relation kt_row_table(const KtShape *shape);

typedef enum KtRowLock
{
	KT_ROW_READ,				/* as the statement's snapshot sees it */
	KT_ROW_LOCK,				/* FOR NO KEY UPDATE */
	KT_ROW_TRY_LOCK,			/* FOR NO KEY UPDATE SKIP LOCKED */
	KT_ROW_TRY_SHARE			/* FOR SHARE SKIP LOCKED */
} KtRowLock;

typedef enum KtRowResult
{
	KT_ROW_FOUND,
	KT_ROW_ABSENT,
	KT_ROW_BUSY					/* somebody else has it locked */
} KtRowResult;

/*
 * The row whose primary key begins with this sid; its latest version, where it
 * is locked.  KT_ROW_LOCK is an error 40001 where the transaction's isolation
 * forbids that; who tries goes by what is committed now, whatever the isolation.
 * *tuple is a copy in the current memory context.
 */
extern KtRowResult kt_row_fetch(Relation table, const KtSid *sid, KtRowLock lock,
								HeapTuple *tuple);

/*
 * The rows that have this sid in a column of the shape that an index begins with, as *tuples
 * in the current memory context; how many.  Of what is committed now, or of what
 * the transaction's isolation lets it see.
 */
extern int	kt_row_find(Relation table, const KtShape *shape, int column, const KtSid *sid,
						bool latest, HeapTuple **tuples);

/*
 * Writing, of which all is visible to what follows; values are in the order of
 * the shape's columns.  A new row is made as a slot, which is its caller's to drop.
 */
extern TupleTableSlot *kt_row_make(Relation table, const KtShape *shape, Datum *values, bool *isnull);
extern void kt_row_insert(Relation table, TupleTableSlot **slots, int nslots);

/*
 * A row that is visible to all at once, and stays whatever becomes of this
 * transaction; it is on the disk when this returns.
 */
extern void kt_row_insert_for_good(Relation table, TupleTableSlot *slot);

/* Replaces a row that is locked; *tuple becomes its new version. */
extern void kt_row_update(Relation table, const KtShape *shape, HeapTuple *tuple,
						  Datum *values, bool *isnull);

#endif							/* KIN_TR_BASE_ROW_H */
