/*
 * insert.h
 *		Inserting rows without an executor.
 */
#ifndef KIN_TR_BASE_INSERT_H
#define KIN_TR_BASE_INSERT_H

#include "postgres.h"

#include "executor/tuptable.h"
#include "utils/rel.h"

/*
 * Inserts rows into a table, open with ROW EXCLUSIVE, and into its indexes, and
 * makes them visible to what follows.  The caller answers for all that an
 * INSERT would check: no triggers, defaults, constraints or partitions.
 */
extern void kt_insert(Relation relation, TupleTableSlot **slots, int nslots);

#endif							/* KIN_TR_BASE_INSERT_H */
