/*
 * era.c
 *		How long transaction ids mean the same.
 *
 * A cursor says which transactions it has seen.  After a restore, a point-in-
 * time recovery or a failover the same ids are given out again, so each event
 * carries the number of an era, and a cursor too: the first who writes an event
 * on another system or timeline begins the next one.
 *
 * That is mostly a user's transaction, and nobody shall wait for its end.  So the
 * row of the new era is written as one that has always been there: frozen, as
 * COPY FREEZE writes rows.  It is visible to all at once, stays whatever becomes
 * of the transaction, a savepoint or a prepared one included, and goes to
 * standbys as any row.  It is flushed before anybody knows of it, so that a crash
 * cannot take back an era that a cursor names.  An error or a crash right after may
 * leave it without its index entry, so the few rows that there are are read without
 * the index.  A lock that is given up at once keeps two from beginning one each.
 *
 * A transaction that was prepared before a failover keeps its id through it, and
 * its events the era that they were written in; committed after it, they appear
 * in an era that is over.  So an era knows the id of the transaction that began it
 * and from which era on ids go on: a cursor that names a running transaction with
 * an id from before looks for its events in the former eras, too.  All ids below
 * have been given out for good, for the row that was flushed bears that one.
 *
 * Nothing but begin_era() begins an era while others write.  It does so within
 * its transaction, with writers kept out until its end, and by invalidating the
 * relation it makes them look again.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "base/columns.h"
#include "base/compat.h"
#include "base/lock.h"
#include "base/row.h"
#include "base/spi.h"
#include "events/era.h"

PG_FUNCTION_INFO_V1(kin_tr_begin_era);

enum
{
	COLUMN_NUMBER, COLUMN_SYSTEM, COLUMN_TIMELINE, COLUMN_BEGUN_AT, COLUMN_ORIGIN, COLUMN_FIRST_XID, NCOLUMNS
};

static const KtColumn columns[NCOLUMNS] = {
	[COLUMN_NUMBER] = {"number", 'i'},
	[COLUMN_SYSTEM] = {"system_identifier", 'I'},
	[COLUMN_TIMELINE] = {"timeline", 'i'},
	[COLUMN_BEGUN_AT] = {"begun_at", 'z'},
	[COLUMN_ORIGIN] = {"origin", 'i'},
	[COLUMN_FIRST_XID] = {"first_xid", 'x'}
};

static const KtShape shape = KT_SHAPE("event_eras", columns);

/* What this backend remembers, of one schema. */
static int32 current = 0;		/* to write in; 0: to be looked up */
static KtEra known = {0};		/* the last that was looked up; rows never change */
static Oid	schema = InvalidOid;
static Oid	relation = InvalidOid;

static void
forget_at_invalidation(Datum arg, Oid invalidated)
{
	if (!OidIsValid(invalidated) || invalidated == relation)
		current = known.number = 0;
}

/* The extension may have been dropped and made anew in this session. */
static void
forget_other_schema(void)
{
	static bool registered = false;

	if (!registered)
	{
		CacheRegisterRelcacheCallback(forget_at_invalidation, (Datum) 0);
		registered = true;
	}
	if (schema == kt_schema_oid())
		return;
	current = known.number = 0;
	relation = kt_relation_oid("event_eras");
	schema = kt_schema_oid();
}

static KtPlan last_era = {
	"SELECT number, origin, first_xid, system_identifier, timeline FROM kin_tr.event_eras"
	" ORDER BY number + 0 DESC LIMIT 1", ""
};

/* The row that a plan has read. */
static KtEra
read_era(void)
{
	KtEra		era = {kt_column_int32(0, 1), kt_column_int32(0, 2)};
	bool		isnull;

	era.first_xid = U64FromFullTransactionId(DatumGetFullTransactionId(kt_column(0, 3, &isnull)));
	return era;
}

static bool
is_of_this_system(void)
{
	return kt_column_int64(0, 4) == (int64) GetSystemIdentifier();
}

static bool
is_of_this_timeline(void)
{
	return is_of_this_system() && kt_column_int32(0, 5) == (int32) GetWALInsertionTimeLine();
}

/* The last era where it is this system's and timeline's, else 0. */
static int32
find_current(void)
{
	return kt_spi_latest(&last_era, NULL, NULL) > 0 && is_of_this_timeline() ? kt_column_int32(0, 1) : 0;
}

/*
 * The next era.  Its number rises, and tells it apart from one that another copy
 * of this database begins after the same eras: seconds since 2000.
 */
static int32
insert_era(bool frozen)
{
	Relation	eras = kt_row_table(&shape);
	TimestampTz now = GetCurrentTimestamp();
	int32		number = (int32) Min(now / USECS_PER_SEC, 2000000000);
	int32		origin = 0;
	Datum		values[NCOLUMNS];
	bool		isnull[NCOLUMNS] = {0};
	TupleTableSlot *slot;

	if (kt_spi_latest(&last_era, NULL, NULL) > 0)
	{
		number = Max(number, kt_column_int32(0, 1) + 1);
		origin = is_of_this_system() ? kt_column_int32(0, 2) : 0;
	}
	values[COLUMN_NUMBER] = Int32GetDatum(number);
	values[COLUMN_SYSTEM] = Int64GetDatum((int64) GetSystemIdentifier());
	values[COLUMN_TIMELINE] = Int32GetDatum((int32) GetWALInsertionTimeLine());
	values[COLUMN_BEGUN_AT] = TimestampTzGetDatum(now);
	values[COLUMN_ORIGIN] = Int32GetDatum(origin == 0 ? number : origin);
	values[COLUMN_FIRST_XID] = FullTransactionIdGetDatum(GetCurrentFullTransactionId());
	slot = kt_row_make(eras, &shape, values, isnull);
	if (frozen)
		kt_row_insert_for_good(eras, slot);
	else
		kt_row_insert(eras, &slot, 1);
	ExecDropSingleTupleTableSlot(slot);
	table_close(eras, NoLock);
	return number;
}

int32
kt_era(void)
{
	int32		found;
	KtSpi		spi;

	forget_other_schema();
	if (current != 0)
		return current;
	kt_spi_begin(&spi);
	found = find_current();
	if (found == 0)
	{
		/* Whoever holds the lock waits for nothing. */
		LockRelationOid(relation, RowExclusiveLock);
		(void) kt_lock_role(KT_ROLE_ERA, true);
		found = find_current();
		if (found == 0)
			found = insert_era(true);
		kt_release_role(KT_ROLE_ERA);
	}
	kt_spi_end(&spi);
	return current = found;
}

KtEra
kt_era_last(bool *over, bool *foreign)
{
	KtSpi		spi;
	KtEra		era = {0};

	*over = *foreign = false;
	kt_spi_begin(&spi);
	if (kt_spi_read(&last_era, NULL, NULL, 1) > 0)
	{
		era = read_era();
		/* A standby goes on with what its primary writes. */
		*over = !RecoveryInProgress() && !is_of_this_timeline();
		*foreign = !RecoveryInProgress() && !is_of_this_system();
	}
	kt_spi_end(&spi);
	return era;
}

KtEra
kt_era_find(int32 number, bool *found)
{
	static KtPlan plan = {
		"SELECT number, origin, first_xid FROM kin_tr.event_eras WHERE number + 0 = $1", "i"
	};
	Datum		values[] = {Int32GetDatum(number)};
	KtEra		era = {number, number};
	KtSpi		spi;

	forget_other_schema();
	*found = true;
	if (number == 0)
		return era;
	if (known.number == number)
		return known;
	kt_spi_begin(&spi);
	*found = kt_spi_latest(&plan, values, NULL) > 0;
	if (*found)
		era = known = read_era();
	kt_spi_end(&spi);
	return era;
}

int32 *
kt_era_former(const KtEra *era, int *count)
{
	static KtPlan plan = {
		"SELECT number FROM kin_tr.event_eras WHERE number + 0 >= $1 AND number + 0 < $2", "ii"
	};
	Datum		values[] = {Int32GetDatum(era->origin), Int32GetDatum(era->number)};
	MemoryContext context = CurrentMemoryContext;
	int32	   *numbers;
	KtSpi		spi;

	kt_spi_begin(&spi);
	*count = (int) kt_spi_latest(&plan, values, NULL);
	numbers = MemoryContextAlloc(context, sizeof(int32) * Max(*count, 1));
	for (int i = 0; i < *count; i++)
		numbers[i] = kt_column_int32(i, 1);
	kt_spi_end(&spi);
	return numbers;
}

/*
 * _begin_era() -> integer: for begin_era() and resume_after_restore().  Who
 * writes events is kept out until this transaction ends, and then looks again.
 */
Datum
kin_tr_begin_era(PG_FUNCTION_ARGS)
{
	int32		number;
	KtSpi		spi;

	PreventCommandIfReadOnly("begin_era()");
	forget_other_schema();
	LockRelationOid(kt_relation_oid("events"), ShareRowExclusiveLock);
	kt_spi_begin(&spi);
	number = insert_era(false);
	kt_spi_end(&spi);
	CacheInvalidateRelcacheByRelid(relation);
	CommandCounterIncrement();
	PG_RETURN_INT32(number);
}
