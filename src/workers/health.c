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

#include "base/lock.h"
#include "base/spi.h"
#include "workers/slots.h"

PG_FUNCTION_INFO_V1(kin_tr_worker_states);
PG_FUNCTION_INFO_V1(kin_tr_workers_missing);
PG_FUNCTION_INFO_V1(kin_tr_is_preloaded);
PG_FUNCTION_INFO_V1(kin_tr_lock_role);

/* _is_preloaded() -> boolean */
Datum
kin_tr_is_preloaded(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(kt_slots_exist());
}

/* _workers_missing() -> integer: those that found no room. */
Datum
kin_tr_workers_missing(PG_FUNCTION_ARGS)
{
	KtMissing  *missing = palloc(sizeof(KtMissing) * KT_MAX_DATABASES * KT_WORKER_KINDS);

	PG_RETURN_INT32(kt_slots_missing(missing));
}

static void
put_state(ReturnSetInfo *rsinfo, const char *name, const KtWorkerState *state)
{
	Datum		values[5];
	bool		nulls[5] = {false};
	bool		runs = state->pid != 0;

	values[0] = kt_text_datum(name);
	values[1] = Int32GetDatum(state->pid);
	values[2] = TimestampTzGetDatum(state->started_at);
	values[3] = TimestampTzGetDatum(state->last_turn);
	values[4] = BoolGetDatum(state->paused);
	nulls[1] = nulls[2] = nulls[3] = nulls[4] = !runs;
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/* _worker_states() -> setof (worker, pid, started_at, last_turn, paused) */
Datum
kin_tr_worker_states(PG_FUNCTION_ARGS)
{
	KtWorkerState state;

	InitMaterializedSRF(fcinfo, 0);
	state = kt_slots_launcher_state();
	put_state((ReturnSetInfo *) fcinfo->resultinfo, "launcher", &state);
	state = kt_slots_state(MyDatabaseId, KT_WORKER_ROUTER);
	put_state((ReturnSetInfo *) fcinfo->resultinfo, "router", &state);
	state = kt_slots_state(MyDatabaseId, KT_WORKER_RELAY);
	put_state((ReturnSetInfo *) fcinfo->resultinfo, "relay", &state);
	return (Datum) 0;
}

/* _lock_role(role integer) -> boolean: until the end of the transaction. */
Datum
kin_tr_lock_role(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(kt_lock_role((KtRole) PG_GETARG_INT32(0), false));
}
