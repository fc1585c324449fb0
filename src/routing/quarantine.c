/*
 * quarantine.c
 *		Objects that fail by themselves: told of, and tried ever more rarely.
 *
 * What the router knows of them is in its retries; the table is for people, and
 * for the next router.  Noting one writes nothing, for it may happen while a
 * transaction is open that is about to be undone.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/spi.h"
#include "events/event.h"
#include "routing/config.h"
#include "routing/quarantine.h"

PG_FUNCTION_INFO_V1(kin_tr_quarantine_changed);

/* Bytes of an error's message that are kept. */
#define MAX_MESSAGE 1000

typedef struct Fault
{
	KtSid		object;
	const char *step;
	int			sqlerrcode;
	char	   *message;
	int			failures;
	int64		wait;			/* microseconds until it is tried again */
} Fault;

/* One that is no longer to be in the table. */
typedef struct Released
{
	KtSid		object;
	bool		locked;			/* somebody has its row, perhaps to delete it */
} Released;

/* Until a row that somebody had locked is tried again. */
#define LOCKED_WAIT USECS_PER_SEC

struct KtQuarantine
{
	MemoryContext context;		/* of what has been noted */
	KtRetries  *retries;
	int			nfaults;
	int			capacity;
	Fault	   *faults;
	int			nreleased;
	int			released_capacity;
	Released   *released;
	bool		own;			/* of the transactions that it is written in */
	uint64		releases;		/* that there had been when it was loaded */
};

static Oid	quarantine_relation = InvalidOid;
static uint64 releases = 0;		/* by somebody else, of which this process has been told */

static void
quarantine_invalidated(Datum arg, Oid relation)
{
	if (relation == quarantine_relation || !OidIsValid(relation))
		releases++;
}

KtQuarantine *
kt_quarantine_create(MemoryContext parent, KtRetries *retries)
{
	static bool registered = false;
	KtQuarantine *quarantine = MemoryContextAllocZero(parent, sizeof(KtQuarantine));

	quarantine->context = AllocSetContextCreate(parent, "kin_tr quarantine", ALLOCSET_SMALL_SIZES);
	quarantine->retries = retries;
	if (!registered)
		CacheRegisterRelcacheCallback(quarantine_invalidated, (Datum) 0);
	registered = true;
	return quarantine;
}

/* Room for one more at the end of an array that grows. */
static void *
grow(KtQuarantine *quarantine, void *items, int length, int *capacity, Size size)
{
	if (length < *capacity)
		return items;
	*capacity = Max(16, *capacity * 2);
	return items == NULL ? MemoryContextAlloc(quarantine->context, size * *capacity) :
		repalloc_huge(items, size * *capacity);
}

static void
add_released(KtQuarantine *quarantine, const KtSid *object)
{
	quarantine->released = grow(quarantine, quarantine->released, quarantine->nreleased,
								&quarantine->released_capacity, sizeof(Released));
	quarantine->released[quarantine->nreleased++] = (Released) {*object};
}

void
kt_quarantine_note(KtQuarantine *quarantine, const KtSid *object, KtRetryKind kind, const char *step,
				   const ErrorData *error)
{
	const char *message = error->message ? error->message : "";
	Fault	   *fault;

	quarantine->faults = grow(quarantine, quarantine->faults, quarantine->nfaults, &quarantine->capacity,
							  sizeof(Fault));
	fault = &quarantine->faults[quarantine->nfaults++];
	fault->object = *object;
	fault->step = step;
	fault->sqlerrcode = error->sqlerrcode;
	fault->message = MemoryContextStrdup(quarantine->context,
										 pnstrdup(message, pg_mbcliplen(message, strlen(message), MAX_MESSAGE)));
	fault->failures = kt_retry_failed(quarantine->retries, object, kind, &fault->wait);
}

void
kt_quarantine_release(KtQuarantine *quarantine, const KtSid *object)
{
	if (!kt_retry_forget(quarantine->retries, object))
		return;
	/* It may have failed in this very turn. */
	for (int i = quarantine->nfaults - 1; i >= 0; i--)
		if (kt_sid_equal(&quarantine->faults[i].object, object))
			quarantine->faults[i] = quarantine->faults[--quarantine->nfaults];
	add_released(quarantine, object);
}

/* Once for each object; that it fails again is to be expected. */
static void
report(const KtQuarantine *quarantine, const Fault *fault)
{
	if (fault->failures > 1)
		return;
	ereport(quarantine->own ? LOG : WARNING,
			(errcode(fault->sqlerrcode),
			 errmsg("kin_tr: %s %s is in quarantine", kt_kind_name(fault->object.kind),
					kt_sid_cstring(&fault->object)),
			 errdetail("Its %s failed: %s", fault->step, fault->message),
			 errhint("Nothing else waits for it. kin_tr.quarantined shows it; it is tried again when it changes, ever more rarely by itself, or at once after kin_tr.release_quarantine().")));
}

/* A row that somebody has locked stays as it is: it says enough. */
static void
write_faults(void *context, int from, int n)
{
	static KtPlan plan = {
		"WITH fault AS (SELECT $1 AS object, $2 AS workspace_sid, $3 AS step, $4 AS sqlstate, $5 AS message, t AS now,"
		"                      $6 AS tries, t + $7 * interval '1 microsecond' AS next_try"
		"                 FROM pg_catalog.clock_timestamp() t),"
		"     written AS (SELECT object FROM kin_tr.quarantine WHERE object = $1 FOR NO KEY UPDATE SKIP LOCKED),"
		"     again AS (UPDATE kin_tr.quarantine q SET step = f.step, sqlstate = f.sqlstate, message = f.message,"
		"                      last_tried = f.now, tries = f.tries, next_try = f.next_try"
		"                 FROM fault f JOIN written USING (object) WHERE q.object = f.object)"
		" INSERT INTO kin_tr.quarantine (object, workspace_sid, step, sqlstate, message, since, last_tried, tries,"
		"                                next_try)"
		" SELECT object, workspace_sid, step, sqlstate, message, now, now, tries, next_try FROM fault"
		"  WHERE NOT EXISTS (SELECT FROM kin_tr.quarantine WHERE object = $1)"
		" ON CONFLICT (object) DO NOTHING", "sstttiI"
	};
	KtQuarantine *quarantine = context;

	for (int i = from; i < from + n; i++)
	{
		Fault	   *fault = &quarantine->faults[i];
		KtSid		workspace;
		Datum		values[7];
		char		nulls[7] = {' ', ' ', ' ', ' ', ' ', ' ', ' '};

		if (!kt_config_workspace_of(&fault->object, &workspace))
			nulls[1] = 'n';
		values[0] = SidPGetDatum(&fault->object);
		values[1] = SidPGetDatum(&workspace);
		values[2] = kt_text_datum(fault->step);
		values[3] = kt_text_datum(unpack_sql_state(fault->sqlerrcode));
		values[4] = kt_text_datum(fault->message);
		values[5] = Int32GetDatum(fault->failures);
		values[6] = Int64GetDatum(fault->wait);
		kt_spi(&plan, values, nulls);
	}
}

/* That one cannot be written down changes nothing in how it is treated. */
static void
could_not_write(void *context, int item, const ErrorData *error)
{
	KtQuarantine *quarantine = context;

	ereport(LOG,
			(errcode(error->sqlerrcode),
			 errmsg("kin_tr: could not write %s to kin_tr.quarantine: %s",
					kt_sid_cstring(&quarantine->faults[item].object), error->message)));
}

static bool
is_written(const KtSid *object)
{
	static KtPlan plan = {"SELECT FROM kin_tr.quarantine WHERE object = $1", "s"};
	Datum		values[] = {SidPGetDatum(object)};

	return kt_spi_latest(&plan, values, NULL) > 0;
}

static void
delete_released(void *context, int from, int n)
{
	static KtPlan plan = {
		"DELETE FROM kin_tr.quarantine"
		" WHERE object = (SELECT object FROM kin_tr.quarantine WHERE object = $1 FOR UPDATE SKIP LOCKED)", "s"
	};
	KtQuarantine *quarantine = context;

	for (int i = from; i < from + n; i++)
	{
		Released   *released = &quarantine->released[i];
		Datum		values[] = {SidPGetDatum(&released->object)};

		(void) kt_spi(&plan, values, NULL);
		released->locked = SPI_processed == 0 && is_written(&released->object);
	}
}

static void
could_not_delete(void *context, int item, const ErrorData *error)
{
	KtQuarantine *quarantine = context;

	quarantine->released[item].locked = kt_error_is_busy(error);
}

static void
write_released(KtQuarantine *quarantine, const KtTransactions *transactions)
{
	KtBatch		batch = {quarantine, quarantine->nreleased, .run = delete_released, .failed = could_not_delete};

	kt_batch_run(transactions, &batch);
	for (int i = 0; i < quarantine->nreleased; i++)
		if (quarantine->released[i].locked)
			kt_retry_keep(quarantine->retries, &quarantine->released[i].object, KT_RETRY_LOOK, 1, LOCKED_WAIT);
}

void
kt_quarantine_write(KtQuarantine *quarantine, const KtTransactions *transactions)
{
	KtBatch		faults = {quarantine, .run = write_faults, .failed = could_not_write};
	int			n;
	KtSid	   *recovered = kt_retries_recovered(quarantine->retries, &n);

	for (int i = 0; i < n; i++)
		add_released(quarantine, &recovered[i]);
	if (quarantine->nreleased == 0 && quarantine->nfaults == 0)
		return;
	quarantine->own = transactions->own;
	/* Deleted first: what has failed again since is written anew. */
	write_released(quarantine, transactions);
	for (int i = 0; i < quarantine->nfaults; i++)
		report(quarantine, &quarantine->faults[i]);
	faults.n = quarantine->nfaults;
	kt_batch_run(transactions, &faults);
	quarantine->faults = NULL;
	quarantine->released = NULL;
	quarantine->nfaults = quarantine->nreleased = 0;
	quarantine->capacity = quarantine->released_capacity = 0;
	MemoryContextReset(quarantine->context);
}

/* Its row is yet to be deleted. */
static bool
is_released(const KtQuarantine *quarantine, const KtSid *object)
{
	for (int i = 0; i < quarantine->nreleased; i++)
		if (kt_sid_equal(&quarantine->released[i].object, object))
			return true;
	return false;
}

/* What is tried again. */
static KtRetryKind
kind_of_step(const char *step)
{
	return strcmp(step, "timer") == 0 ? KT_RETRY_TIMER : strcmp(step, "move") == 0 ? KT_RETRY_MOVE :
		KT_RETRY_LOOK;
}

void
kt_quarantine_load(KtQuarantine *quarantine)
{
	static KtPlan plan = {"SELECT object, step, tries, next_try FROM kin_tr.quarantine", ""};
	TimestampTz now = GetCurrentTimestamp();
	uint64		n;

	quarantine_relation = kt_relation_oid("quarantine");
	/* What changes while it is read makes it stale again. */
	quarantine->releases = releases;
	kt_retries_clear(quarantine->retries, true);
	n = kt_spi_latest(&plan, NULL, NULL);
	for (uint64 i = 0; i < n; i++)
	{
		KtSid		object = kt_column_sid(i, 1);

		if (!is_released(quarantine, &object))
			kt_retry_keep(quarantine->retries, &object, kind_of_step(kt_column_cstring(i, 2)),
						  kt_column_int32(i, 3), kt_column_int64(i, 4) - now);
	}
}

/* It has been noted, and is yet to be written. */
static bool
is_noted(const KtQuarantine *quarantine, const KtSid *object)
{
	for (int i = 0; i < quarantine->nfaults; i++)
		if (kt_sid_equal(&quarantine->faults[i].object, object))
			return true;
	return false;
}

/* A VACUUM or a GRANT looks as a release does, so each is looked up. */
void
kt_quarantine_refresh(KtQuarantine *quarantine)
{
	KtKept	   *kept;
	int			n;

	if (quarantine->releases == releases)
		return;
	quarantine->releases = releases;
	kept = kt_retries_kept(quarantine->retries, &n);
	for (int i = 0; i < n; i++)
		if (!is_noted(quarantine, &kept[i].sid) && !is_written(&kept[i].sid))
			kt_retry_keep(quarantine->retries, &kept[i].sid, kept[i].kind, kept[i].failures, 0);
}

/* _quarantine_changed(): tells routers that some have been released. */
Datum
kin_tr_quarantine_changed(PG_FUNCTION_ARGS)
{
	CacheInvalidateRelcacheByRelid(kt_relation_oid("quarantine"));
	PG_RETURN_VOID();
}
