/*
 * bell.c
 *		NOTIFY, the bell: one place knows every channel and payload.
 *
 * A transaction that NOTIFYs takes a lock at its commit that serialises all
 * notifying commits of the cluster, so no function that a user calls does it.
 * The relay, or ring(), tells many events in one.
 *
 *	 kin_tr					every workspace
 *	 kin_tr_<workspace sid>	one workspace
 *	 kin_tr_<worker sid>	what concerns one worker
 *
 * The payload is {cursor, workspace, count, events: [{event_type, resource_sid},
 * ...]}, as many events as fit.  Anybody may LISTEN, so there are no attributes
 * in it.
 */
#include "postgres.h"

#include "commands/async.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"

#include "base/clock.h"
#include "base/errors.h"
#include "base/guc.h"
#include "base/home.h"
#include "base/lock.h"
#include "base/process.h"
#include "base/spi.h"
#include "events/bell.h"

PG_FUNCTION_INFO_V1(kin_tr_ring);

/* NOTIFY refuses a payload of 8000 bytes. */
#define MAX_PAYLOAD 7900

/* Those whom events concern: a workspace or a worker. */
typedef struct Listener
{
	KtSid		sid;			/* hash key */
	KtSid		workspace;
	int			count;
	bool		full;			/* no more events fit */
	StringInfoData events;		/* data is NULL before the first */
} Listener;

static Listener *
find_listener(HTAB *listeners, const KtSid *sid, const KtSid *workspace)
{
	bool		found;
	Listener   *listener = hash_search(listeners, sid, HASH_ENTER, &found);

	if (!found)
	{
		listener->workspace = *workspace;
		listener->count = 0;
		listener->full = !kt_bell_lists_events;
		memset(&listener->events, 0, sizeof(listener->events));
	}
	return listener;
}

static void
tell(Listener *listener, const KtEventRef *event, int room)
{
	char		resource[KT_SID_LENGTH + 1];

	listener->count++;
	if (listener->full)
		return;
	if (listener->events.len + strlen(event->type) + KT_SID_LENGTH + 50 > room)
	{
		listener->full = true;
		return;
	}
	kt_sid_print(&event->resource, resource);
	if (listener->events.data == NULL)
		initStringInfo(&listener->events);
	appendStringInfo(&listener->events, "%s{\"event_type\":\"%s\",\"resource_sid\":\"%s\"}",
					 listener->events.len > 0 ? "," : "", event->type, resource);
}

static int
notify(const Listener *listener, const char *cursor)
{
	char		sid[KT_SID_LENGTH + 1];
	char		workspace[KT_SID_LENGTH + 1];
	char		channel[NAMEDATALEN];
	char	   *payload;

	kt_sid_print(&listener->sid, sid);
	kt_sid_print(&listener->workspace, workspace);
	if (kt_bell_lists_events)
		payload = psprintf("{\"cursor\":\"%s\",\"workspace\":\"%s\",\"count\":%d,\"events\":[%s]}",
						   cursor, workspace, listener->count,
						   listener->events.data != NULL ? listener->events.data : "");
	else
		payload = psprintf("{\"cursor\":\"%s\",\"workspace\":\"%s\",\"count\":%d}",
						   cursor, workspace, listener->count);
	snprintf(channel, sizeof(channel), "kin_tr_%s", sid);
	Async_Notify(channel, payload);
	if (!kt_sid_equal(&listener->sid, &listener->workspace))
		return 1;
	Async_Notify("kin_tr", payload);
	return 2;
}

/*
 * So much has happened, more than kin_tr.debug_far_behind, that it is not listed:
 * all are told to look, with a count of 0 for "many".
 */
static int
ring_for_all(HTAB *listeners)
{
	static KtPlan plan = {
		"SELECT sid, sid FROM kin_tr.workspaces"
		" UNION ALL SELECT sid, workspace_sid FROM kin_tr.workers", ""
	};
	KtSpi		spi;
	uint64		n;

	kt_spi_begin(&spi);
	n = kt_spi(&plan, NULL, NULL);
	for (uint64 i = 0; i < n; i++)
	{
		KtSid		sid = kt_column_sid(i, 1);
		KtSid		workspace = kt_column_sid(i, 2);

		(void) find_listener(listeners, &sid, &workspace);
	}
	kt_spi_end(&spi);
	return (int) n;
}

int
kt_bell_ring(KtCursor *cursor, int *nevents)
{
	HASHCTL		control = {.keysize = sizeof(KtSid), .entrysize = sizeof(Listener)};
	HASH_SEQ_STATUS scan;
	HTAB	   *listeners;
	Listener   *listener;
	KtEventRef *events;
	char	   *text;
	int			n;
	int			rung = 0;

	events = kt_cursor_read(cursor, kt_debug_far_behind, NULL, &n);
	*nevents = n;
	if (n == 0)
		return 0;
	control.hcxt = CurrentMemoryContext;
	listeners = hash_create("kin_tr listeners", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	if (events == NULL)
	{
		*cursor = kt_cursor_current();
		(void) ring_for_all(listeners);
	}
	text = kt_cursor_print(cursor);
	/* One that names hundreds of running transactions leaves no room for events. */
	if (strlen(text) > MAX_PAYLOAD / 2)
		text = "";
	for (int i = 0; events != NULL && i < n; i++)
	{
		int			room = MAX_PAYLOAD - 100 - (int) strlen(text);

		if (!kt_sid_is_null(&events[i].workspace))
			tell(find_listener(listeners, &events[i].workspace, &events[i].workspace), &events[i], room);
		if (!kt_sid_is_null(&events[i].worker))
			tell(find_listener(listeners, &events[i].worker, &events[i].workspace), &events[i], room);
	}
	hash_seq_init(&scan, listeners);
	while ((listener = hash_seq_search(&scan)) != NULL)
		rung += notify(listener, text);
	return rung;
}

/*
 * The queue of NOTIFYs ends where the slowest listener of the cluster is, and one
 * who stays in a transaction lets it fill.  PostgreSQL looks again where that is
 * after a NOTIFY, of which none succeeds any more, and here.
 */
static void
make_room(void)
{
	(void) OidFunctionCall0(F_PG_NOTIFICATION_QUEUE_USAGE);
}

KtCursor
kt_bell_load(void)
{
	static KtPlan plan = {"SELECT cursor FROM kin_tr.relay_state", ""};
	MemoryContext context = CurrentMemoryContext;
	MemoryContext spi_context;
	KtCursor	cursor;
	KtSpi		spi;
	bool		found;
	bool		known;

	make_room();
	kt_spi_begin(&spi);
	spi_context = MemoryContextSwitchTo(context);
	found = kt_spi(&plan, NULL, NULL) > 0 &&
		kt_cursor_parse(kt_column_cstring(0, 1), &cursor, &known);
	MemoryContextSwitchTo(spi_context);
	kt_spi_end(&spi);
	/* Nobody has been told of anything yet, so nobody waits for the past. */
	return found ? cursor : kt_cursor_oldest();
}

void
kt_bell_store(const KtCursor *cursor)
{
	static KtPlan update = {"UPDATE kin_tr.relay_state SET cursor = $1", "t"};
	static KtPlan insert = {"INSERT INTO kin_tr.relay_state VALUES ($1)", "t"};
	Datum		values[1];
	KtSpi		spi;

	kt_spi_begin(&spi);
	values[0] = kt_text_datum(kt_cursor_print(cursor));
	if (kt_spi(&update, values, NULL) == 0)
		kt_spi(&insert, values, NULL);
	kt_spi_end(&spi);
}

/* ring() -> integer */
Datum
kin_tr_ring(PG_FUNCTION_ARGS)
{
	KtCursor	cursor;
	bool		clock_is_set;
	int			events;
	int			rung;

	kt_require_writable(fcinfo);
	kt_require_home();
	/*
	 * While the clock is set the relay gives its lock up, though it may be just
	 * about to.  Else a relay that is to run is not kept out, though it be away
	 * for a moment.
	 */
	clock_is_set = kt_clock_is_set();
	if ((!clock_is_set && kt_relay_is_expected()) || !kt_lock_role(KT_ROLE_RELAY, clock_is_set))
		ereport(ERROR,
				(errcode(KT_ERRCODE_WORKER_ACTIVE),
				 errmsg("the relay is running in this database"),
				 errhint("It does what ring() would do.")));
	cursor = kt_bell_load();
	rung = kt_bell_ring(&cursor, &events);
	if (rung > 0)
		kt_bell_store(&cursor);
	PG_RETURN_INT32(rung);
}
