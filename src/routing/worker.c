/*
 * worker.c
 *		A worker: what others need of its row, and its change of activity.
 *
 * A worker's row is not written when it gets a task: the router counts that in
 * its memory, and it follows from the reservations.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

#include "base/clock.h"
#include "base/errors.h"
#include "base/home.h"
#include "base/limits.h"
#include "base/row.h"
#include "base/spi.h"
#include "base/text.h"
#include "base/access.h"
#include "routing/reservation.h"
#include "routing/worker.h"

PG_FUNCTION_INFO_V1(kin_tr_update_worker_activity);

/* The columns of the table workers that are read here. */
enum
{
	COLUMN_WORKSPACE, COLUMN_FRIENDLY_NAME, COLUMN_ACTIVITY, COLUMN_STATUS_CHANGED, COLUMN_VERSION,
	COLUMN_DOCUMENT, NCOLUMNS
};

static const KtColumn columns[NCOLUMNS] = {
	[COLUMN_WORKSPACE] = {"workspace_sid", 's'},
	[COLUMN_FRIENDLY_NAME] = {"friendly_name", 't'},
	[COLUMN_ACTIVITY] = {"activity_sid", 's'},
	[COLUMN_STATUS_CHANGED] = {"date_status_changed", 'z'},
	[COLUMN_VERSION] = {"version", 'I'},
	[COLUMN_DOCUMENT] = {"document", 'I'}
};

static const KtShape shape = KT_SHAPE("workers", columns);

static KtRowResult
read_card(const KtSid *sid, KtRowLock lock, KtWorkerCard *card)
{
	Relation	workers = kt_row_table(&shape);
	KtRowResult result;
	HeapTuple	row;
	Datum		v[NCOLUMNS];
	bool		n[NCOLUMNS];

	result = kt_row_fetch(workers, sid, lock, &row);
	if (result == KT_ROW_FOUND)
	{
		kt_columns_read(workers, &shape, row, v, n);
		card->sid = *sid;
		card->workspace = *DatumGetSidP(v[COLUMN_WORKSPACE]);
		card->friendly_name = TextDatumGetCString(v[COLUMN_FRIENDLY_NAME]);
		card->activity = *DatumGetSidP(v[COLUMN_ACTIVITY]);
		card->date_status_changed = DatumGetTimestampTz(v[COLUMN_STATUS_CHANGED]);
		card->version = DatumGetInt64(v[COLUMN_VERSION]);
		card->document = DatumGetInt64(v[COLUMN_DOCUMENT]);
	}
	table_close(workers, NoLock);
	/* Who shares the lock makes no event of the worker's own. */
	if (lock != KT_ROW_READ && lock != KT_ROW_TRY_SHARE)
		kt_event_give_up_ids();
	return result;
}

bool
kt_worker_read(const KtSid *sid, bool lock, KtWorkerCard *card)
{
	return read_card(sid, lock ? KT_ROW_LOCK : KT_ROW_READ, card) == KT_ROW_FOUND;
}

bool
kt_worker_try_share(const KtSid *sid, KtWorkerCard *card)
{
	return read_card(sid, KT_ROW_TRY_SHARE, card) == KT_ROW_FOUND;
}

KtRowResult
kt_worker_try_lock(const KtSid *sid, const KtSid *activity, KtWorkerCard *card)
{
	static KtPlan hold = {
		"SELECT FROM kin_tr.activities WHERE sid = $1 FOR KEY SHARE SKIP LOCKED", "s"
	};
	static KtPlan exists = {"SELECT FROM kin_tr.activities WHERE sid = $1", "s"};
	KtRowResult result = read_card(sid, KT_ROW_TRY_LOCK, card);
	Datum		values[] = {SidPGetDatum(activity)};

	if (result != KT_ROW_FOUND || kt_sid_equal(&card->activity, activity) || kt_spi(&hold, values, NULL) > 0)
		return result;
	return kt_spi_latest(&exists, values, NULL) > 0 ? KT_ROW_BUSY : KT_ROW_ABSENT;
}

void
kt_worker_data(KtConfig *config, const KtWorkerCard *card, KtData *data)
{
	const KtActivity *activity = kt_config_activity(config, &card->activity);

	kt_data_string(data, "worker_name", card->friendly_name);
	kt_data_sid(data, "worker_activity_sid", &card->activity);
	if (activity != NULL)
		kt_data_string(data, "worker_activity_name", activity->friendly_name);
	kt_data_integer(data, "worker_version", card->version);
}

KtSid
kt_worker_resolve_activity(KtConfig *config, const char *called, const KtSid *workspace)
{
	static KtPlan keep = {"SELECT FROM kin_tr.activities WHERE sid = $1 FOR KEY SHARE", "s"};
	KtSid		activity = kt_config_resolve(config, KT_ACTIVITY, called, workspace);
	Datum		values[] = {SidPGetDatum(&activity)};

	if (kt_spi(&keep, values, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("activity \"%s\" does not exist", kt_text_excerpt(called)),
				 errdetail("Another transaction has deleted it meanwhile.")));
	return activity;
}

void
kt_worker_set_activity(KtConfig *config, KtWorkerCard *card, const KtSid *activity, TimestampTz now)
{
	static KtPlan update = {
		"UPDATE kin_tr.workers SET activity_sid = $2, date_status_changed = $3, date_updated = $3,"
		" version = $4 WHERE sid = $1", "sszI"
	};
	const KtActivity *previous = kt_config_activity(config, &card->activity);
	int64		ms = Max(now - card->date_status_changed, 0) / 1000;
	KtEvent		event = {"worker.activity.update"};
	KtData		data;
	Datum		values[4];

	if (kt_sid_equal(&card->activity, activity))
		return;
	card->activity = *activity;
	card->date_status_changed = now;
	card->version++;
	values[0] = SidPGetDatum(&card->sid);
	values[1] = SidPGetDatum(activity);
	values[2] = TimestampTzGetDatum(now);
	values[3] = Int64GetDatum(card->version);
	kt_spi(&update, values, NULL);

	kt_data_begin(&data);
	kt_worker_data(config, card, &data);
	kt_data_integer(&data, "worker_time_in_previous_activity", ms / 1000);
	kt_data_integer(&data, "worker_time_in_previous_activity_ms", ms);
	if (previous != NULL)
	{
		kt_data_sid(&data, "worker_previous_activity_sid", &previous->sid);
		kt_data_string(&data, "worker_previous_activity_name", previous->friendly_name);
	}
	event.id = kt_event_id();
	event.date = now;
	event.workspace = card->workspace;
	event.resource = event.worker = card->sid;
	event.worker_document = card->document;
	event.data = kt_data_end(&data);
	kt_event_add(&event);
}

static void
check_version(const KtWorkerCard *card, int64 if_version)
{
	if (card->version != if_version)
		ereport(ERROR,
				(errcode(KT_ERRCODE_VERSION_MISMATCH),
				 errmsg("worker %s is at version " INT64_FORMAT ", not " INT64_FORMAT,
						kt_sid_cstring(&card->sid), card->version, if_version),
				 errhint("Read it again, and decide anew.")));
}

/*
 * Locks a worker that has no pending reservation, after it has rejected those that
 * it had.  Tasks are locked before their worker; but until the worker is locked
 * the router may make another offer, and then the lock is given up again.
 */
static bool
lock_without_offers(KtConfig *config, const KtSid *worker, TimestampTz now, KtWorkerCard *card)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	for (;;)
	{
		bool		found;
		bool		done;

		CHECK_FOR_INTERRUPTS();
		kt_reservations_reject_of_worker(config, worker, now);
		kt_events_flush();
		BeginInternalSubTransaction(NULL);
		MemoryContextSwitchTo(context);
		PG_TRY();
		{
			found = kt_worker_read(worker, true, card);
			done = !found || !kt_reservations_are_pending(worker);
		}
		PG_CATCH();
		{
			RollbackAndReleaseCurrentSubTransaction();
			PG_RE_THROW();
		}
		PG_END_TRY();
		if (done)
			ReleaseCurrentSubTransaction();
		else
			RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		if (done)
			return found;
		if (IsolationUsesXactSnapshot())
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("worker %s has been offered a task since this transaction began", kt_sid_cstring(worker)),
					 errdetail("The transaction does not see the reservation that is to be rejected."),
					 errhint("Try it again, or as READ COMMITTED.")));
	}
}

/*
 * update_worker_activity(worker text, activity text, reject_pending_reservations
 * boolean, workspace text, if_version bigint) -> version
 */
Datum
kin_tr_update_worker_activity(PG_FUNCTION_ARGS)
{
	KtSid		workspace;
	bool		reject = !PG_ARGISNULL(2) && PG_GETARG_BOOL(2);
	TimestampTz now = kt_now();
	KtConfig   *config = kt_config();
	KtWorkerCard card;
	KtSid		worker;
	KtSid		activity;
	KtSpi		spi;

	kt_require_writable(fcinfo);
	workspace = kt_workspace_argument(PG_ARGISNULL(3) ? NULL : PG_GETARG_TEXT_PP(3), KT_ACCESS_APP);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("worker and activity must not be null"),
				 errhint("Give the SID or the name of each.")));
	kt_spi_begin(&spi);
	worker = kt_config_resolve(config, KT_WORKER, kt_limit_argument(fcinfo, 0, "worker"), &workspace);
	activity = kt_worker_resolve_activity(config, kt_limit_argument(fcinfo, 1, "activity"), &workspace);
	if (reject && kt_config_activity(config, &activity)->available)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("pending reservations can only be rejected by moving to an unavailable activity"),
				 errdetail("Activity \"%s\" is available.",
						   kt_config_activity(config, &activity)->friendly_name),
				 errhint("Give an activity that is not, such as the workspace's default.")));
	if (!(reject ? lock_without_offers(config, &worker, now, &card) : kt_worker_read(&worker, true, &card)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("worker %s does not exist", kt_sid_cstring(&worker))));
	if (!PG_ARGISNULL(4))
		check_version(&card, PG_GETARG_INT64(4));
	kt_worker_set_activity(config, &card, &activity, now);
	kt_events_flush();
	kt_spi_end(&spi);
	PG_RETURN_INT64(card.version);
}
