/*
 * health.c
 *		What SQL may know of the workers, for health().
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "base/guc.h"
#include "base/lock.h"
#include "base/spi.h"
#include "workers/slots.h"

/* Router and relay take a turn at least once in so many milliseconds. */
#define TURN_INTERVAL 1000

PG_FUNCTION_INFO_V1(kin_tr_worker_states);
PG_FUNCTION_INFO_V1(kin_tr_worker_notes);
PG_FUNCTION_INFO_V1(kin_tr_workers_missing);
PG_FUNCTION_INFO_V1(kin_tr_is_preloaded);
PG_FUNCTION_INFO_V1(kin_tr_lock_role);

/* _is_preloaded() -> boolean */
Datum
kin_tr_is_preloaded(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(kt_slots_exist());
}

static const char *const duty_names[] = {"turn", "housekeeping", "sweep"};

/* _workers_missing() -> setof (database, worker): those that found no room. */
Datum
kin_tr_workers_missing(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	KtMissing  *missing = palloc(sizeof(KtMissing) * KT_MAX_DATABASES * KT_WORKER_KINDS);
	int			n = kt_slots_missing(missing);

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < n; i++)
	{
		Datum		values[] = {
			ObjectIdGetDatum(missing[i].database), kt_text_datum(kt_worker_kind_name(missing[i].kind))
		};
		bool		nulls[] = {false, false};

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

static void
put_state(ReturnSetInfo *rsinfo, const char *name, const KtWorkerState *state)
{
	bool		none = state->pid == 0;
	Datum		values[] = {
		kt_text_datum(name),
		Int32GetDatum(state->pid),
		TimestampTzGetDatum(state->started_at),
		TimestampTzGetDatum(state->last_turn),
		TimestampTzGetDatum(state->seen_up_to),
		Float8GetDatum(state->age / 1000.0),
		Int32GetDatum(strcmp(name, "launcher") == 0 ? kt_launcher_interval * 1000 : TURN_INTERVAL),
		BoolGetDatum(state->paused),
		BoolGetDatum(state->missing),
		Int32GetDatum(state->failures),
		Int64GetDatum(state->size.bytes),
		Int32GetDatum(state->size.groups),
		Int32GetDatum(state->size.workers),
		Int32GetDatum(state->size.classes)
	};
	bool		nulls[] = {false, none, none, none, none, none, none, none, false, false, none, none, none, none};

	StaticAssertStmt(lengthof(values) == lengthof(nulls), "one for each column");
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

static void
put_notes(ReturnSetInfo *rsinfo, const char *name, const KtWorkerState *state)
{
	for (int duty = 0; duty < KT_DUTIES; duty++)
	{
		const KtNote *note = &state->notes[duty];
		bool		never_failed = note->failed_at == 0;
		Datum		values[] = {
			kt_text_datum(name),
			kt_text_datum(duty_names[duty]),
			TimestampTzGetDatum(note->succeeded_at),
			Int32GetDatum(note->errors),
			TimestampTzGetDatum(note->failed_at),
			kt_text_datum(psprintf("%s %s", unpack_sql_state(note->sqlstate), note->message))
		};
		bool		nulls[] = {false, false, note->succeeded_at == 0, false, never_failed, never_failed};

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
}

/* Puts the launcher, and of this database those up to a kind. */
static Datum
put_all(FunctionCallInfo fcinfo, KtWorkerKind last,
		void (*put) (ReturnSetInfo *, const char *, const KtWorkerState *))
{
	KtWorkerState state = kt_slots_launcher_state();

	InitMaterializedSRF(fcinfo, 0);
	put((ReturnSetInfo *) fcinfo->resultinfo, "launcher", &state);
	for (int kind = KT_WORKER_ROUTER; kind <= last; kind++)
	{
		state = kt_slots_state(MyDatabaseId, kind);
		put((ReturnSetInfo *) fcinfo->resultinfo, kt_worker_kind_name(kind), &state);
	}
	return (Datum) 0;
}

/* _worker_states() -> setof (worker, pid, ...): of those that stay */
Datum
kin_tr_worker_states(PG_FUNCTION_ARGS)
{
	return put_all(fcinfo, KT_WORKER_RELAY, put_state);
}

/* _worker_notes() -> setof (worker, duty, succeeded_at, errors, failed_at, error) */
Datum
kin_tr_worker_notes(PG_FUNCTION_ARGS)
{
	return put_all(fcinfo, KT_WORKER_HOUSEKEEPER, put_notes);
}

/* _lock_role(role integer) -> boolean: until the end of the transaction. */
Datum
kin_tr_lock_role(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(kt_lock_role((KtRole) PG_GETARG_INT32(0), false));
}
