/*
 * era.c
 *		How long transaction ids mean the same.
 *
 * A cursor says which transactions it has seen.  After a restore, a point-in-
 * time recovery or a failover the same ids are given out again, so each event
 * carries the number of an era, and a cursor too: the first who writes an event
 * on another system or timeline begins the next one.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "storage/proc.h"

#include "base/lock.h"
#include "base/spi.h"
#include "events/era.h"

PG_FUNCTION_INFO_V1(kin_tr_begin_era);

/*
 * Its number rises, and tells it apart from one that another copy of this
 * database begins after the same eras: seconds since 2000.
 */
static int32
insert_era(void)
{
	static KtPlan insert = {
		"INSERT INTO kin_tr.event_eras (number, system_identifier, timeline)"
		" SELECT greatest(coalesce(max(number), 0) + 1,"
		"                 least(extract(epoch FROM clock_timestamp() - '2000-01-01Z'), 2000000000)::integer),"
		"        $1, $2 FROM kin_tr.event_eras RETURNING number", "Ii"
	};
	Datum		values[] = {
		Int64GetDatum((int64) GetSystemIdentifier()),
		Int32GetDatum((int32) GetWALInsertionTimeLine())
	};

	kt_spi(&insert, values, NULL);
	return kt_column_int32(0, 1);
}

static KtPlan last_era = {
	"SELECT number, system_identifier, timeline FROM kin_tr.event_eras"
	" ORDER BY number DESC LIMIT 1", ""
};

/* Is the era that last_era has read? */
static bool
is_of_this_system(void)
{
	return kt_column_int64(0, 2) == (int64) GetSystemIdentifier() &&
		kt_column_int32(0, 3) == (int32) GetWALInsertionTimeLine();
}

/* The last era where it is this system's and timeline's, else 0. */
static int32
find_era(void)
{
	return kt_spi_latest(&last_era, NULL, NULL) > 0 && is_of_this_system() ? kt_column_int32(0, 1) : 0;
}

int32
kt_era(void)
{
	static int32 era = 0;
	static Oid	schema = InvalidOid;
	static FullTransactionId begun_by = {0};
	int32		found;
	KtSpi		spi;

	/* Neither changes while a backend that writes is alive. */
	if (era != 0 && schema == kt_schema_oid())
		return era;
	kt_spi_begin(&spi);
	found = find_era();
	if (found == 0)
	{
		(void) kt_lock_role(KT_ROLE_ERA, true);
		found = find_era();
		if (found == 0)
		{
			found = insert_era();
			begun_by = GetTopFullTransactionId();
		}
	}
	kt_spi_end(&spi);
	/* One begun by this transaction may yet be rolled back: look again each time until it ends. */
	era = FullTransactionIdIsValid(begun_by) &&
		FullTransactionIdEquals(begun_by, GetTopFullTransactionIdIfAny()) ? 0 : found;
	schema = kt_schema_oid();
	return found;
}

int32
kt_era_last(bool *over)
{
	KtSpi		spi;
	int32		era = 0;

	*over = false;
	kt_spi_begin(&spi);
	if (kt_spi_read(&last_era, NULL, NULL, 1) > 0)
	{
		era = kt_column_int32(0, 1);
		/* A standby goes on with what its primary writes. */
		*over = !RecoveryInProgress() && !is_of_this_system();
	}
	kt_spi_end(&spi);
	return era;
}

bool
kt_era_is_known(int32 era)
{
	static KtPlan plan = {"SELECT FROM kin_tr.event_eras WHERE number = $1", "i"};
	Datum		values[] = {Int32GetDatum(era)};
	KtSpi		spi;
	bool		known;

	if (era == 0)
		return true;
	kt_spi_begin(&spi);
	known = kt_spi_read(&plan, values, NULL, 1) > 0;
	kt_spi_end(&spi);
	return known;
}

/*
 * _begin_era() -> integer: for resume_after_restore().  One that this system and
 * timeline have already goes on: backends that know it would write in it behind
 * the back of a newer one.
 */
Datum
kin_tr_begin_era(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(kt_era());
}
