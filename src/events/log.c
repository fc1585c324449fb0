/*
 * log.c
 *		Events by the transaction that wrote them, without an executor.
 *
 * Router and relay read the log a thousand times a second, a few rows each
 * time, of which an executor over a partitioned table would be most of the
 * cost.  Each partition has an index on (era, xid, id) and one on id.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_am.h"
#include "miscadmin.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/partcache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "base/compat.h"
#include "base/spi.h"
#include "events/log.h"

static const KtColumn columns[KT_EVENT_NCOLUMNS] = {
	[KT_EVENT_ID] = {"id", 'I'},
	[KT_EVENT_XID] = {"xid", 'x'},
	[KT_EVENT_ERA] = {"era", 'i'},
	[KT_EVENT_RECORDED_AT] = {"recorded_at", 'z'},
	[KT_EVENT_DATE] = {"event_date", 'z'},
	[KT_EVENT_WORKSPACE] = {"workspace_sid", 's'},
	[KT_EVENT_TYPE] = {"event_type", 't'},
	[KT_EVENT_RESOURCE] = {"resource_sid", 's'},
	[KT_EVENT_TASK] = {"task_sid", 's'},
	[KT_EVENT_RESERVATION] = {"reservation_sid", 's'},
	[KT_EVENT_WORKER] = {"worker_sid", 's'},
	[KT_EVENT_WORKFLOW] = {"workflow_sid", 's'},
	[KT_EVENT_QUEUE] = {"task_queue_sid", 's'},
	[KT_EVENT_CHANNEL] = {"task_channel_sid", 's'},
	[KT_EVENT_TASK_DOCUMENT] = {"task_document", 'I'},
	[KT_EVENT_WORKER_DOCUMENT] = {"worker_document", 'I'},
	[KT_EVENT_ACTOR] = {"actor", 't'},
	[KT_EVENT_DATA] = {"data", 'j'}
};

const KtShape kt_event_shape = KT_SHAPE("events", columns);

typedef struct KtLogPartition
{
	Relation	table;
	Relation	by_transaction; /* (era, xid, id) */
	Relation	by_id;
	TupleTableSlot *slot;
	AttrNumber	numbers[KT_EVENT_NCOLUMNS]; /* of its columns */
	AttrNumber	last_number;	/* the highest of those that are read */
} Partition;

struct KtLog
{
	Relation	events;
	Snapshot	snapshot;
	int			npartitions;
	Partition  *partitions;
};

List *
kt_log_partitions(Relation events, TimestampTz since, TimestampTz until)
{
	PartitionKey key = RelationGetPartitionKey(events);
	PartitionDesc descriptor = RelationGetPartitionDesc(events, true);
	PartitionBoundInfo bounds = descriptor->boundinfo;
	Datum		ends[] = {TimestampTzGetDatum(since), TimestampTzGetDatum(until)};
	int			offsets[2];
	bool		has_gap = false;
	List	   *oids = NIL;

	if (bounds == NULL)
		return NIL;
	for (int i = 0; i < 2; i++)
	{
		bool		equal;

		offsets[i] = partition_range_datum_bsearch(key->partsupfunc, key->partcollation, bounds, 1,
												   &ends[i], &equal);
	}
	for (int offset = offsets[0]; offset <= offsets[1]; offset++)
	{
		int			index = bounds->indexes[offset + 1];

		if (index >= 0)
			oids = lappend_oid(oids, descriptor->oids[index]);
		else
			has_gap = true;
	}
	if (has_gap && bounds->default_index >= 0)
		oids = lappend_oid(oids, descriptor->oids[bounds->default_index]);
	return oids;
}

/* Is it a B-tree that begins with these columns? */
static bool
is_index_of(const Partition *partition, Relation index, const KtEventColumn *columns, int n)
{
	if (index->rd_rel->relam != BTREE_AM_OID || !index->rd_index->indisvalid ||
		RelationGetIndexPredicate(index) != NIL || index->rd_index->indnkeyatts < n)
		return false;
	for (int i = 0; i < n; i++)
		if (index->rd_index->indkey.values[i] != partition->numbers[columns[i]])
			return false;
	return true;
}

/* Opens those it reads by, in the order of the list, as every command does that locks all of them. */
static void
open_indexes(Partition *partition)
{
	static const KtEventColumn transaction[] = {KT_EVENT_ERA, KT_EVENT_XID, KT_EVENT_ID};
	List	   *oids = RelationGetIndexList(partition->table);
	ListCell   *cell;

	foreach(cell, oids)
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);

		if (partition->by_transaction == NULL && is_index_of(partition, index, transaction, 3))
			partition->by_transaction = index;
		else if (partition->by_id == NULL && is_index_of(partition, index, &transaction[2], 1))
			partition->by_id = index;
		else
			index_close(index, AccessShareLock);
	}
	if (partition->by_transaction == NULL || partition->by_id == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("partition \"%s\" of kin_tr.events has no index on (%s)",
						RelationGetRelationName(partition->table),
						partition->by_id == NULL ? "id" : "era, xid, id"),
				 errhint("Give it those of kin_tr.events_default.")));
}

static void
open_partition(Partition *partition, Relation table)
{
	memset(partition, 0, sizeof(Partition));
	partition->table = table;
	memcpy(partition->numbers, kt_columns(table, &kt_event_shape), sizeof(partition->numbers));
	for (int i = 0; i <= KT_EVENT_CHANNEL; i++)
		partition->last_number = Max(partition->last_number, partition->numbers[i]);
	open_indexes(partition);
	partition->slot = table_slot_create(table, NULL);
}

KtLog *
kt_log_open(TimestampTz since)
{
	KtLog	   *log = palloc(sizeof(KtLog));
	List	   *oids;
	ListCell   *cell;

	log->events = table_open(kt_relation_oid("events"), AccessShareLock);
	log->snapshot = GetActiveSnapshot();
	/* A clock that was ahead has written to weeks that are yet to come, and moved "since" there. */
	oids = kt_log_partitions(log->events, Min(since, GetCurrentTimestamp() - USECS_PER_HOUR), DT_NOEND);
	log->npartitions = 0;
	log->partitions = palloc(sizeof(Partition) * Max(list_length(oids), 1));
	foreach(cell, oids)
	{
		Relation	table = try_table_open(lfirst_oid(cell), AccessShareLock);

		/* Retention may have just dropped it. */
		if (table == NULL)
			continue;
		/* What is visible by now was in the file before; those of weeks to come are mostly empty. */
		if (RelationGetNumberOfBlocks(table) == 0)
			table_close(table, AccessShareLock);
		else
			open_partition(&log->partitions[log->npartitions++], table);
	}
	return log;
}

/* Locks are held until the transaction ends, as a statement's are. */
void
kt_log_close(KtLog *log)
{
	for (int i = 0; i < log->npartitions; i++)
	{
		Partition  *partition = &log->partitions[i];

		ExecDropSingleTupleTableSlot(partition->slot);
		index_close(partition->by_id, NoLock);
		index_close(partition->by_transaction, NoLock);
		table_close(partition->table, NoLock);
	}
	table_close(log->events, NoLock);
}

void
kt_log_lock(void)
{
	PushActiveSnapshot(GetLatestSnapshot());
	kt_log_close(kt_log_open(DT_NOBEGIN));
	PopActiveSnapshot();
}

/* Of the row that the partition's slot has. */
static Datum
value(const Partition *partition, KtEventColumn column)
{
	return partition->slot->tts_values[partition->numbers[column] - 1];
}

static KtSid
value_sid(const Partition *partition, KtEventColumn column)
{
	KtSid		null = {{0}};

	return partition->slot->tts_isnull[partition->numbers[column] - 1] ? null :
		*DatumGetSidP(value(partition, column));
}

void
kt_log_append(KtEventRefs *refs, const KtLogRow *row)
{
	MemoryContext old = MemoryContextSwitchTo(refs->context);
	const Partition *partition = row->partition;
	KtEventRef *ref;

	if (refs->length == refs->capacity)
	{
		refs->capacity = Max(refs->capacity * 2, 64);
		refs->items = refs->items == NULL ?
			MemoryContextAllocHuge(refs->context, sizeof(KtEventRef) * refs->capacity) :
			repalloc_huge(refs->items, sizeof(KtEventRef) * refs->capacity);
	}
	ref = &refs->items[refs->length++];
	ref->id = row->id;
	ref->era = row->era;
	ref->xid = row->xid;
	ref->date = DatumGetTimestampTz(value(partition, KT_EVENT_DATE));
	ref->type = TextDatumGetCString(value(partition, KT_EVENT_TYPE));
	ref->workspace = value_sid(partition, KT_EVENT_WORKSPACE);
	ref->resource = value_sid(partition, KT_EVENT_RESOURCE);
	ref->task = value_sid(partition, KT_EVENT_TASK);
	ref->worker = value_sid(partition, KT_EVENT_WORKER);
	ref->reservation = value_sid(partition, KT_EVENT_RESERVATION);
	ref->channel = value_sid(partition, KT_EVENT_CHANNEL);
	MemoryContextSwitchTo(old);
}

/* The row that the partition's slot has. */
static KtLogRow
log_row(const Partition *partition)
{
	KtLogRow	row;

	slot_getsomeattrs(partition->slot, partition->last_number);
	row.id = DatumGetInt64(value(partition, KT_EVENT_ID));
	row.era = DatumGetInt32(value(partition, KT_EVENT_ERA));
	row.xid = U64FromFullTransactionId(DatumGetFullTransactionId(value(partition, KT_EVENT_XID)));
	row.partition = partition;
	return row;
}

static Datum
xid_datum(uint64 xid)
{
	return FullTransactionIdGetDatum(FullTransactionIdFromU64(xid));
}

/* One transaction's rows; any, where xid is 0.  from: of the keys, that of the first xid, or NULL. */
static bool
scan(const KtLog *log, Partition *partition, Relation index, ScanKey keys, int nkeys, uint64 xid,
	 ScanKey from, KtLogVisit visit, void *arg)
{
	IndexScanDesc found = KT_INDEX_BEGINSCAN(partition->table, index, log->snapshot, nkeys);
	KtVisit		verdict = KT_GO_ON;

	/* A cursor can name any number of transactions that have no events. */
	CHECK_FOR_INTERRUPTS();
	index_rescan(found, keys, nkeys, NULL, 0);
	while (verdict != KT_ENOUGH && index_getnext_slot(found, ForwardScanDirection, partition->slot))
	{
		KtLogRow	row = log_row(partition);

		CHECK_FOR_INTERRUPTS();
		if (xid == 0 || row.xid == xid)
			verdict = visit(&row, arg);
		if (verdict == KT_NEXT_TRANSACTION && from != NULL)
		{
			from->sk_argument = xid_datum(row.xid + 1);
			index_rescan(found, keys, nkeys, NULL, 0);
		}
	}
	index_endscan(found);
	ExecClearTuple(partition->slot);
	return verdict != KT_ENOUGH;
}

bool
kt_log_read(KtLog *log, int32 era, uint64 from, uint64 to, KtLogVisit visit, void *arg)
{
	ScanKeyData keys[3];

	for (int i = 0; i < log->npartitions; i++)
	{
		ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(era));
		ScanKeyInit(&keys[1], 2, BTGreaterEqualStrategyNumber, F_XID8GE, xid_datum(from));
		ScanKeyInit(&keys[2], 2, BTLessEqualStrategyNumber, F_XID8LE, xid_datum(to));
		if (!scan(log, &log->partitions[i], log->partitions[i].by_transaction, keys, 3, 0, &keys[1], visit,
				  arg))
			return false;
	}
	return true;
}

bool
kt_log_read_later_eras(KtLog *log, int32 era, KtLogVisit visit, void *arg)
{
	ScanKeyData key;

	ScanKeyInit(&key, 1, BTGreaterStrategyNumber, F_INT4GT, Int32GetDatum(era));
	for (int i = 0; i < log->npartitions; i++)
		if (!scan(log, &log->partitions[i], log->partitions[i].by_transaction, &key, 1, 0, NULL, visit, arg))
			return false;
	return true;
}

bool
kt_log_read_above(KtLog *log, int64 after, uint64 xid, KtLogVisit visit, void *arg)
{
	ScanKeyData key;

	ScanKeyInit(&key, 1, BTGreaterStrategyNumber, F_INT8GT, Int64GetDatum(after));
	for (int i = 0; i < log->npartitions; i++)
		if (!scan(log, &log->partitions[i], log->partitions[i].by_id, &key, 1, xid, NULL, visit, arg))
			return false;
	return true;
}

/* Behind a place that is in it. */
static void
read_piece(const KtLog *log, Partition *partition, int32 era, uint64 xid, KtLogPlace *place, int end,
		   KtEventRefs *refs)
{
	IndexScanDesc found = KT_INDEX_BEGINSCAN(partition->table, partition->by_transaction, log->snapshot, 3);
	ScanKeyData keys[3];

	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(era));
	ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_XID8EQ, xid_datum(xid));
	ScanKeyInit(&keys[2], 3, BTGreaterStrategyNumber, F_INT8GT, Int64GetDatum(place->id));
	index_rescan(found, keys, 3, NULL, 0);
	while (refs->length < end && index_getnext_slot(found, ForwardScanDirection, partition->slot))
	{
		KtLogRow	event = log_row(partition);

		CHECK_FOR_INTERRUPTS();
		place->id = event.id;
		kt_log_append(refs, &event);
	}
	index_endscan(found);
	ExecClearTuple(partition->slot);
}

/* The number of the partition that a place is in; 0, and the place at its beginning, where there is none. */
static int
find_partition(const KtLog *log, KtLogPlace *place)
{
	for (int i = 0; i < log->npartitions; i++)
		if (RelationGetRelid(log->partitions[i].table) == place->partition)
			return i;
	place->id = 0;
	return 0;
}

bool
kt_log_read_piece(KtLog *log, int32 era, uint64 xid, KtLogPlace *place, int limit, KtEventRefs *refs)
{
	int			end = refs->length + limit;

	for (int i = find_partition(log, place); i < log->npartitions; i++)
	{
		Partition  *partition = &log->partitions[i];

		place->partition = RelationGetRelid(partition->table);
		read_piece(log, partition, era, xid, place, end, refs);
		if (refs->length == end)
			return true;
		place->id = 0;
	}
	return false;
}

/* The last of a partition's, below an xid. */
static uint64
last_xid(const KtLog *log, Partition *partition, int32 era, uint64 below)
{
	IndexScanDesc found = KT_INDEX_BEGINSCAN(partition->table, partition->by_transaction,
											 log->snapshot, 2);
	ScanKeyData keys[2];
	uint64		xid = 0;

	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(era));
	ScanKeyInit(&keys[1], 2, BTLessStrategyNumber, F_XID8LT, xid_datum(below));
	index_rescan(found, keys, 2, NULL, 0);
	if (index_getnext_slot(found, BackwardScanDirection, partition->slot))
		xid = log_row(partition).xid;
	index_endscan(found);
	ExecClearTuple(partition->slot);
	return xid;
}

uint64
kt_log_highest_xid(KtLog *log, int32 era, uint64 but)
{
	uint64		highest = 0;

	for (int i = 0; i < log->npartitions; i++)
	{
		uint64		xid = last_xid(log, &log->partitions[i], era, PG_UINT64_MAX);

		if (but != 0 && xid == but)
			xid = last_xid(log, &log->partitions[i], era, but);
		highest = Max(highest, xid);
	}
	return highest;
}
