/*
 * row.c
 *		Rows without an executor.
 *
 * A task's life writes some twenty rows, and the statements for that are most
 * of its cost: SPI sets an executor up and tears it down each time, builds
 * projections and parses the predicates of partial indexes.  Here what is
 * needed of a table's indexes is kept from one call to the next, until the table
 * or an index changes.  Inserting a task took 35 us as a statement, and takes 12.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/index.h"
#include "catalog/pg_am.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "base/row.h"
#include "base/spi.h"

typedef struct TableIndex
{
	Oid			oid;
	IndexInfo  *info;
	bool		searchable;		/* a B-tree that has all rows */
	ExprState  *predicate;		/* NULL: every row is in it */
} TableIndex;

/* What is kept of a table. */
typedef struct Table
{
	Oid			oid;			/* hash key */
	bool		complete;		/* what follows has been learnt */
	bool		valid;			/* and nothing has changed since */
	MemoryContext context;
	EState	   *estate;			/* for predicates and expressions */
	int			nindexes;
	TableIndex *indexes;
	Oid			primary_key;
	RegProcedure equal;			/* of its first column */
} Table;

static HTAB *tables = NULL;

static void
table_invalidated(Datum arg, Oid relation)
{
	HASH_SEQ_STATUS scan;
	Table	   *table;

	hash_seq_init(&scan, tables);
	while ((table = hash_seq_search(&scan)) != NULL)
	{
		if (!OidIsValid(relation) || table->oid == relation)
			table->valid = false;
		for (int i = 0; table->valid && i < table->nindexes; i++)
			if (table->indexes[i].oid == relation)
				table->valid = false;
	}
}

static void
forget(Table *table)
{
	if (table->estate != NULL)
		FreeExecutorState(table->estate);
	if (table->context != NULL)
		MemoryContextDelete(table->context);
	table->estate = NULL;
	table->context = NULL;
	table->nindexes = 0;
}

/* The function that compares a sid with the first column of the primary key. */
static void
learn_equality(Table *table)
{
	Relation	opened = index_open(table->primary_key, AccessShareLock);
	Oid			type = opened->rd_opcintype[0];

	if (type == kt_sid_type_oid())
		table->equal = get_opcode(get_opfamily_member(opened->rd_opfamily[0], type, type,
													  BTEqualStrategyNumber));
	index_close(opened, NoLock);
}

static void
learn(Table *table, Relation relation)
{
	List	   *oids = RelationGetIndexList(relation);
	ListCell   *cell;
	MemoryContext old;

	/* An error on the way leaves it incomplete: half of the indexes would be worse than none. */
	table->complete = false;
	table->valid = true;
	forget(table);
	table->context = AllocSetContextCreate(CacheMemoryContext, "kin_tr rows", ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(table->context);
	table->estate = CreateExecutorState();
	table->indexes = palloc0(sizeof(TableIndex) * Max(list_length(oids), 1));
	foreach(cell, oids)
	{
		TableIndex *index = &table->indexes[table->nindexes];
		Relation	opened = index_open(lfirst_oid(cell), RowExclusiveLock);

		index->oid = lfirst_oid(cell);
		index->info = BuildIndexInfo(opened);
		index->searchable = opened->rd_rel->relam == BTREE_AM_OID && opened->rd_index->indisvalid;
		if (index->info->ii_Predicate != NIL)
			index->predicate = ExecPrepareQual(index->info->ii_Predicate, table->estate);
		index_close(opened, NoLock);
		table->nindexes++;
	}
	MemoryContextSwitchTo(old);
	list_free(oids);
	table->primary_key = KT_PRIMARY_KEY_INDEX(relation);
	table->equal = InvalidOid;
	if (OidIsValid(table->primary_key))
		learn_equality(table);
	table->complete = true;
}

static Table *
find_table(Relation relation)
{
	Oid			oid = RelationGetRelid(relation);
	Table	   *table;
	bool		found;

	if (tables == NULL)
	{
		HASHCTL		control = {.keysize = sizeof(Oid), .entrysize = sizeof(Table)};

		tables = hash_create("kin_tr rows", 8, &control, HASH_ELEM | HASH_BLOBS);
		CacheRegisterRelcacheCallback(table_invalidated, (Datum) 0);
	}
	table = hash_search(tables, &oid, HASH_ENTER, &found);
	if (!found)
		memset((char *) table + sizeof(Oid), 0, sizeof(Table) - sizeof(Oid));
	/*
	 * Where something changes meanwhile, this row goes by what was learnt, as an
	 * executor's would, and the next one by what is true then.
	 */
	if (!table->complete || !table->valid)
		learn(table, relation);
	return table;
}

static void
fill_index(Table *table, TableIndex *index, Relation relation, TupleTableSlot **slots, int nslots)
{
	Relation	opened;
	ExprContext *context = GetPerTupleExprContext(table->estate);

	/* CREATE INDEX CONCURRENTLY, or REINDEX, has yet to build it. */
	if (!index->info->ii_ReadyForInserts)
		return;
	opened = index_open(index->oid, RowExclusiveLock);
	for (int i = 0; i < nslots; i++)
	{
		Datum		values[INDEX_MAX_KEYS];
		bool		isnull[INDEX_MAX_KEYS];

		context->ecxt_scantuple = slots[i];
		if (index->predicate == NULL || ExecQual(index->predicate, context))
		{
			FormIndexDatum(index->info, slots[i], table->estate, values, isnull);
			(void) index_insert(opened, values, isnull, &slots[i]->tts_tid, relation,
								index->info->ii_Unique ? UNIQUE_CHECK_YES : UNIQUE_CHECK_NO,
								false, index->info);
		}
		ResetPerTupleExprContext(table->estate);
	}
#if PG_VERSION_NUM >= 170000
	index_insert_cleanup(opened, index->info);
#endif
	index_close(opened, NoLock);
}

Relation
kt_row_table(const KtShape *shape)
{
	return table_open(kt_relation_oid(shape->table), RowExclusiveLock);
}

TupleTableSlot *
kt_row_make(Relation relation, const KtShape *shape, Datum *values, bool *isnull)
{
	TupleTableSlot *slot = table_slot_create(relation, NULL);

	ExecForceStoreHeapTuple(kt_columns_form(relation, shape, NULL, values, isnull), slot, true);
	return slot;
}

void
kt_row_insert(Relation relation, TupleTableSlot **slots, int nslots)
{
	Table	   *table = find_table(relation);

	PreventCommandIfReadOnly("INSERT");
	table_multi_insert(relation, slots, nslots, GetCurrentCommandId(true), 0, NULL);
	for (int i = 0; i < table->nindexes; i++)
		fill_index(table, &table->indexes[i], relation, slots, nslots);
	CommandCounterIncrement();
}

void
kt_row_insert_for_good(Relation relation, TupleTableSlot *slot)
{
	Table	   *table = find_table(relation);

	PreventCommandIfReadOnly("INSERT");
	table_tuple_insert(relation, slot, GetCurrentCommandId(true), TABLE_INSERT_FROZEN, NULL);
	for (int i = 0; i < table->nindexes; i++)
		fill_index(table, &table->indexes[i], relation, &slot, 1);
	XLogFlush(XactLastRecEnd);
	CommandCounterIncrement();
}

void
kt_row_update(Relation relation, const KtShape *shape, HeapTuple *tuple, Datum *values, bool *isnull)
{
	Table	   *table = find_table(relation);
	TupleTableSlot *slot = table_slot_create(relation, NULL);
	KtUpdateIndexes indexes;
	ItemPointerData tid = (*tuple)->t_self;

	PreventCommandIfReadOnly("UPDATE");
	ExecForceStoreHeapTuple(kt_columns_form(relation, shape, *tuple, values, isnull), slot, true);
	simple_table_tuple_update(relation, &tid, slot, InvalidSnapshot, &indexes);
	for (int i = 0; i < table->nindexes; i++)
		if (KT_UPDATES_INDEX(indexes, table->indexes[i].info))
			fill_index(table, &table->indexes[i], relation, &slot, 1);
	*tuple = ExecCopySlotHeapTuple(slot);
	(*tuple)->t_self = slot->tts_tid;
	ExecDropSingleTupleTableSlot(slot);
	CommandCounterIncrement();
}

/* Locks the version that the slot holds, or its latest, which it then holds. */
static KtRowResult
lock_row(Relation relation, TupleTableSlot *slot, Snapshot snapshot, KtRowLock lock)
{
	bool		fixed = lock == KT_ROW_LOCK && IsolationUsesXactSnapshot() && !kt_sees_latest();
	TM_FailureData failure;
	ItemPointerData tid = slot->tts_tid;
	TM_Result	result;

	PreventCommandIfReadOnly("SELECT FOR UPDATE");
	result = table_tuple_lock(relation, &tid, snapshot, slot, GetCurrentCommandId(false),
							  lock == KT_ROW_TRY_SHARE ? LockTupleShare : LockTupleNoKeyExclusive,
							  lock == KT_ROW_LOCK ? LockWaitBlock : LockWaitSkip,
							  fixed ? 0 : TUPLE_LOCK_FLAG_FIND_LAST_VERSION, &failure);
	switch (result)
	{
		case TM_Ok:
			return KT_ROW_FOUND;
		case TM_WouldBlock:
			return KT_ROW_BUSY;
		case TM_SelfModified:
			return KT_ROW_ABSENT;
		case TM_Updated:
		case TM_Deleted:
			if (fixed)
				ereport(ERROR,
						(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
						 errmsg("could not serialize access due to concurrent update")));
			return KT_ROW_ABSENT;
		default:
			elog(ERROR, "unexpected result of locking a row: %d", (int) result);
	}
}

KtRowResult
kt_row_fetch(Relation relation, const KtSid *sid, KtRowLock lock, HeapTuple *tuple)
{
	Table	   *table = find_table(relation);
	Relation	index = index_open(table->primary_key, AccessShareLock);
	bool		tries = lock == KT_ROW_TRY_LOCK || lock == KT_ROW_TRY_SHARE;
	Snapshot	snapshot = RegisterSnapshot(tries || kt_sees_latest() ? GetLatestSnapshot() : GetTransactionSnapshot());
	TupleTableSlot *slot = table_slot_create(relation, NULL);
	KtRowResult result = KT_ROW_ABSENT;
	IndexScanDesc scan;
	ScanKeyData key;

	ScanKeyInit(&key, 1, BTEqualStrategyNumber, table->equal, SidPGetDatum(sid));
	scan = KT_INDEX_BEGINSCAN(relation, index, snapshot, 1);
	index_rescan(scan, &key, 1, NULL, 0);
	if (index_getnext_slot(scan, ForwardScanDirection, slot))
	{
		result = lock == KT_ROW_READ ? KT_ROW_FOUND : lock_row(relation, slot, snapshot, lock);
		if (result == KT_ROW_FOUND)
		{
			*tuple = ExecCopySlotHeapTuple(slot);
			(*tuple)->t_self = slot->tts_tid;
		}
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(snapshot);
	index_close(index, AccessShareLock);
	/* Who had it locked may have changed what this backend remembers. */
	if (lock == KT_ROW_LOCK)
		AcceptInvalidationMessages();
	return result;
}

/* The index of all rows that begins with a column. */
static Oid
index_of_column(const Table *table, Relation relation, AttrNumber column)
{
	for (int i = 0; i < table->nindexes; i++)
		if (table->indexes[i].predicate == NULL && table->indexes[i].searchable &&
			table->indexes[i].info->ii_IndexAttrNumbers[0] == column)
			return table->indexes[i].oid;
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("table kin_tr.%s has no index that begins with column %d",
					RelationGetRelationName(relation), column),
			 errhint("One of kin_tr's own was dropped: make it anew.")));
}

int
kt_row_find(Relation relation, const KtShape *shape, int column, const KtSid *sid, bool latest,
			HeapTuple **tuples)
{
	Table	   *table = find_table(relation);
	AttrNumber	number = kt_columns(relation, shape)[column];
	Relation	index = index_open(index_of_column(table, relation, number), AccessShareLock);
	Snapshot	snapshot = RegisterSnapshot(latest || kt_sees_latest() ? GetLatestSnapshot() : GetTransactionSnapshot());
	TupleTableSlot *slot = table_slot_create(relation, NULL);
	IndexScanDesc scan;
	ScanKeyData key;
	int			capacity = 4;
	int			n = 0;

	*tuples = palloc(sizeof(HeapTuple) * capacity);
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, table->equal, SidPGetDatum(sid));
	scan = KT_INDEX_BEGINSCAN(relation, index, snapshot, 1);
	index_rescan(scan, &key, 1, NULL, 0);
	while (index_getnext_slot(scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		if (n == capacity)
			*tuples = repalloc(*tuples, sizeof(HeapTuple) * (capacity *= 2));
		(*tuples)[n++] = ExecCopySlotHeapTuple(slot);
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(snapshot);
	index_close(index, AccessShareLock);
	return n;
}
