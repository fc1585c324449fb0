/*
 * clock.c
 *		The one clock that kin_tr goes by, which tests can set.
 *
 * The clock is the row of the table "clock", or the real time where there is
 * none.  Whether there is one is remembered, for in production there never is;
 * setting and unsetting it sends an invalidation.  While it is set the row is
 * read each time, by a scan of its one page: a plan would cost more.  But what
 * this transaction itself has set is remembered: nobody else can set it before
 * that has ended, and a transaction that simulates sets it thousands of times,
 * with a dead row each.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/clock.h"
#include "base/errors.h"
#include "base/spi.h"

PG_FUNCTION_INFO_V1(kin_tr_now);
PG_FUNCTION_INFO_V1(kin_tr_store_clock);
PG_FUNCTION_INFO_V1(kin_tr_clock_is_set);

static Oid	clock_relation = InvalidOid;
static bool known = false;		/* is what follows known? */
static bool is_set = false;

/* What this transaction has set; not known: nothing, or it may have been undone. */
static bool own_known = false;
static bool own_is_set = false;
static TimestampTz own_now = 0;
static ItemPointerData own_place;	/* of the row, where it is set */

static void
clock_invalidated(Datum arg, Oid relation)
{
	if (relation == clock_relation || !OidIsValid(relation))
		known = false;
}

static void
forget_own(XactEvent event, void *arg)
{
	own_known = false;
}

static void
forget_own_of_part(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		own_known = false;
}

/* In a parallel operation no snapshot can be taken, and the statement's must do. */
static bool
read_clock(TimestampTz *now)
{
	Relation	relation = table_open(clock_relation, AccessShareLock);
	Snapshot	snapshot = RegisterSnapshot(IsInParallelMode() ? GetActiveSnapshot() : GetLatestSnapshot());
	TableScanDesc scan = table_beginscan(relation, snapshot, 0, NULL);
	TupleTableSlot *slot = table_slot_create(relation, NULL);
	bool		found = table_scan_getnextslot(scan, ForwardScanDirection, slot);

	if (found)
	{
		bool		isnull;

		*now = DatumGetTimestampTz(slot_getattr(slot, 1, &isnull));
	}
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(relation, AccessShareLock);
	return found;
}

/* The clock's row, if it has one. */
static bool
set_clock_row(TimestampTz *now)
{
	static bool registered = false;

	if (own_known)
	{
		*now = own_now;
		return own_is_set;
	}
	if (known && !is_set)
		return false;
	if (!registered)
	{
		CacheRegisterRelcacheCallback(clock_invalidated, (Datum) 0);
		RegisterXactCallback(forget_own, NULL);
		RegisterSubXactCallback(forget_own_of_part, NULL);
		registered = true;
	}
	clock_relation = kt_relation_oid("clock");
	/* An invalidation that comes while it is read must not be lost, nor an error end in "not set". */
	known = is_set = true;
	is_set = read_clock(now);
	/* A statement's snapshot may be older than the last invalidation. */
	if (IsInParallelMode())
		known = false;
	return is_set;
}

TimestampTz
kt_now(void)
{
	TimestampTz now;

	return set_clock_row(&now) ? now : GetCurrentTimestamp();
}

bool
kt_clock_is_set(void)
{
	TimestampTz now;

	return set_clock_row(&now);
}

/* now() -> timestamptz: kin_tr's. */
Datum
kin_tr_now(PG_FUNCTION_ARGS)
{
	PG_RETURN_TIMESTAMPTZ(kt_now());
}

/* _clock_is_set() -> boolean */
Datum
kin_tr_clock_is_set(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(kt_clock_is_set());
}

/*
 * _store_clock(timestamptz): writes the row, or with NULL removes it.  Whether
 * that is allowed is set_clock()'s to say.
 */
Datum
kin_tr_store_clock(PG_FUNCTION_ARGS)
{
	static KtPlan remove = {"DELETE FROM kin_tr.clock", ""};
	static KtPlan insert = {"INSERT INTO kin_tr.clock VALUES ($1) RETURNING ctid", "z"};
	static KtPlan update = {"UPDATE kin_tr.clock SET now = $1 RETURNING ctid", "z"};
	/* A search would walk over those that this transaction has replaced. */
	static KtPlan update_own = {"UPDATE kin_tr.clock SET now = $1 WHERE ctid = $2 RETURNING ctid", "zp"};
	bool		was_set = kt_clock_is_set();
	Datum		values[] = {PG_GETARG_DATUM(0), PointerGetDatum(&own_place)};
	bool		isnull;
	KtSpi		spi;

	/* Before the write, with which it takes effect here: a rollback then takes it back, too. */
	if (was_set != !PG_ARGISNULL(0))
		CacheInvalidateRelcacheByRelid(clock_relation);
	kt_spi_begin(&spi);
	if (PG_ARGISNULL(0))
		kt_spi(&remove, NULL, NULL);
	else
	{
		if (!(own_known && own_is_set && kt_spi(&update_own, values, NULL) > 0) &&
			!(was_set && kt_spi(&update, values, NULL) > 0))
			kt_spi(&insert, values, NULL);
		own_place = *(ItemPointer) DatumGetPointer(kt_column(0, 1, &isnull));
		own_now = DatumGetTimestampTz(values[0]);
	}
	kt_spi_end(&spi);
	own_is_set = !PG_ARGISNULL(0);
	own_known = true;
	PG_RETURN_VOID();
}
