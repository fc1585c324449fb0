/*
 * insert.c
 *		Inserting rows without an executor.
 *
 * Creating a task inserts one row into tasks and four into events, and that is
 * most of its cost.  An INSERT by SPI sets an executor up and tears it down each
 * time, parses the predicates of partial indexes and builds projections: 35 us
 * for the row of tasks.  Here what is needed of the indexes is kept from one
 * call to the next, until the table or an index changes: 12 us.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "executor/executor.h"
#include "nodes/execnodes.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"

#include "base/insert.h"

typedef struct TableIndex
{
	Oid			oid;
	IndexInfo  *info;
	ExprState  *predicate;		/* NULL: every row is in it */
} TableIndex;

/* What is kept of a table. */
typedef struct Table
{
	Oid			oid;			/* hash key */
	bool		valid;
	MemoryContext context;
	EState	   *estate;			/* for predicates and expressions */
	int			nindexes;
	TableIndex *indexes;
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

static void
learn(Table *table, Relation relation)
{
	List	   *oids = RelationGetIndexList(relation);
	ListCell   *cell;
	MemoryContext old;

	forget(table);
	table->valid = true;
	table->context = AllocSetContextCreate(CacheMemoryContext, "kin_tr insert", ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(table->context);
	table->estate = CreateExecutorState();
	table->indexes = palloc0(sizeof(TableIndex) * Max(list_length(oids), 1));
	foreach(cell, oids)
	{
		TableIndex *index = &table->indexes[table->nindexes];
		Relation	opened = index_open(lfirst_oid(cell), RowExclusiveLock);

		index->oid = lfirst_oid(cell);
		index->info = BuildIndexInfo(opened);
		if (index->info->ii_Predicate != NIL)
			index->predicate = ExecPrepareQual(index->info->ii_Predicate, table->estate);
		index_close(opened, NoLock);
		table->nindexes++;
	}
	MemoryContextSwitchTo(old);
	list_free(oids);
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

		tables = hash_create("kin_tr inserts", 8, &control, HASH_ELEM | HASH_BLOBS);
		CacheRegisterRelcacheCallback(table_invalidated, (Datum) 0);
	}
	table = hash_search(tables, &oid, HASH_ENTER, &found);
	if (!found)
		memset((char *) table + sizeof(Oid), 0, sizeof(Table) - sizeof(Oid));
	while (!table->valid)
		learn(table, relation);
	return table;
}

static void
fill_index(Table *table, TableIndex *index, Relation relation, TupleTableSlot **slots, int nslots)
{
	Relation	opened = index_open(index->oid, RowExclusiveLock);
	ExprContext *context = GetPerTupleExprContext(table->estate);

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

void
kt_insert(Relation relation, TupleTableSlot **slots, int nslots)
{
	Table	   *table = find_table(relation);

	table_multi_insert(relation, slots, nslots, GetCurrentCommandId(true), 0, NULL);
	for (int i = 0; i < table->nindexes; i++)
		fill_index(table, &table->indexes[i], relation, slots, nslots);
	CommandCounterIncrement();
}
