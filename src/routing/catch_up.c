/*
 * catch_up.c
 *		From events into what the router has to read.
 *
 * An event says "look at this object again", and what the row says then is put
 * into the pool: so it does not matter whether an event is seen early, late or
 * twice.  The one exception are open reservations, which are counted by their
 * events: to count rows would cost, under an old snapshot, a walk over every
 * reservation that a worker ever had.  A reservation is opened by its first
 * event and closed by its last, in the order of ids.
 *
 * Who creates 100,000 tasks in one transaction is not to hold up all others until
 * its events have been read: a large transaction is read in pieces, while the events of
 * later ones are applied.  So of the reservations that it tells of the rows are looked
 * at, one by one.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "base/spi.h"
#include "routing/moves.h"
#include "routing/reorder.h"
#include "routing/router.h"

/* So many events are read at most; who is further behind loads everything. */
#define MAX_EVENTS 50000

/* Of a large transaction so many at a time. */
#define PIECE 1000

static inline bool
begins(const char *type, const char *prefix)
{
	return strncmp(type, prefix, strlen(prefix)) == 0;
}

static void
apply_reservation_event(KtRouter *router, const KtEventRef *event)
{
	const char *what = event->type + strlen("reservation.");

	kt_quarantine_release(router->quarantine, &event->resource);
	/* With its workspace it is gone without a word. */
	if (kt_pool_space(router->pool, &event->workspace) == NULL)
		return;
	if (strcmp(what, "created") == 0)
	{
		KtPoolWorker *worker = kt_pool_worker(router->pool, &event->worker);
		int			channel = worker ? kt_space_channel(worker->space, &event->channel) : -1;

		/* Made by another process; or by this one, which knows it. */
		if (!kt_pool_open(router->pool, &event->resource, &event->worker, &event->task, &event->channel, false))
			return;
		kt_timers_note_offer(router, &event->workspace, event->date);
		if (channel >= 0)
			kt_pool_mark_reserved(router->pool, worker, channel, event->date);
	}
	else if (strcmp(what, "accepted") == 0)
	{
		kt_pool_set_accepted(router->pool, &event->resource, true);
		kt_timers_note_assigned(router, &event->workspace, event->date);
	}
	else if (strcmp(what, "wrapup") == 0)
		kt_pool_set_accepted(router->pool, &event->resource, false);
	else
		kt_pool_close(router->pool, &event->resource);
}

static void
forgive_task(KtRouter *router, const KtSid *task)
{
	kt_quarantine_release(router->quarantine, task);
	kt_assign_forget(router, task);
}

/* Whatever was wrong with it, it is looked at. */
static void
look_at_task(KtRouter *router, const KtEventRef *event)
{
	forgive_task(router, &event->task);
	kt_looks_add(router->looks, &event->workspace, &event->task);
}

static void
apply_task_event(KtRouter *router, const KtEventRef *event)
{
	const char *type = event->type;

	/* Of a creation's events one is enough, and of an ended task none. */
	if (strcmp(type, "task.created") == 0 || strcmp(type, "task.updated") == 0 ||
		strcmp(type, "task-queue.entered") == 0 || strcmp(type, "workflow.target-matched") == 0)
		look_at_task(router, event);
	else if (strcmp(type, "task.canceled") == 0)
	{
		kt_pool_remove_task(router->pool, &event->task);
		forgive_task(router, &event->task);
		kt_moves_note_end(router, &event->task, event->date);
	}
	else if (strcmp(type, "task.completed") == 0)
		kt_moves_note_end(router, &event->task, event->date);
	else if (strcmp(type, "task.deleted") == 0 || strcmp(type, "task.system-deleted") == 0)
	{
		kt_pool_remove_task(router->pool, &event->task);
		kt_pool_close_task(router->pool, &event->task);
		forgive_task(router, &event->task);
	}
}

/* It may wait again, or no longer. */
static void
apply_event(KtRouter *router, const KtEventRef *event)
{
	if (!begins(event->type, "reservation."))
	{
		if (!kt_sid_is_null(&event->task))
			apply_task_event(router, event);
		return;
	}
	apply_reservation_event(router, event);
	if (strcmp(event->type, "reservation.accepted") != 0 &&
		strcmp(event->type, "reservation.completed") != 0)
		look_at_task(router, event);
}

static bool
is_known(const KtRouter *router, const KtEventRef *event)
{
	return router->own_xid != 0 && event->xid == router->own_xid && event->id <= router->own_event;
}

/* Workers that have changed are to be looked at.  The workspaces whose configuration has. */
static List *
note_looks(KtRouter *router, List *workspaces, const KtEventRef *events, int n)
{
	for (int i = 0; i < n; i++)
	{
		const KtEventRef *event = &events[i];

		if (is_known(router, event) || begins(event->type, "reservation.") || !kt_sid_is_null(&event->task))
			continue;
		kt_quarantine_release(router->quarantine, &event->resource);
		if (begins(event->type, "worker."))
			kt_looks_add(router->worker_looks, &event->workspace, &event->worker);
		else
			workspaces = kt_sid_list_add(workspaces, &event->workspace);
		if (kt_sid_is(&event->resource, KT_TASK_QUEUE))
			kt_reorder_note(router, &event->resource);
	}
	return workspaces;
}

static void
apply_events(KtRouter *router, const KtEventRef *events, int n)
{
	for (int i = 0; i < n; i++)
		if (!is_known(router, &events[i]))
			apply_event(router, &events[i]);
}

static void
follow_configuration(KtRouter *router, List *workspaces)
{
	ListCell   *cell;
	KtSpi		spi;

	if (workspaces == NIL)
		return;
	kt_spi_begin(&spi);
	MemoryContextSwitchTo(router->scratch);
	foreach(cell, workspaces)
		kt_router_reload(router, lfirst(cell));
	kt_spi_end(&spi);
}

static void
note_large(KtRouter *router, List *large)
{
	MemoryContext old = MemoryContextSwitchTo(router->context);
	ListCell   *cell;

	foreach(cell, large)
		router->large = lappend(router->large, memcpy(palloc(sizeof(KtLarge)), lfirst(cell), sizeof(KtLarge)));
	MemoryContextSwitchTo(old);
}

int
kt_router_catch_up(KtRouter *router, bool with_own)
{
	MemoryContext old = MemoryContextSwitchTo(router->scratch);
	KtCursor	cursor = router->cursor;
	KtEventRef *events;
	KtEventRef *own = NULL;
	List	   *workspaces = NIL;
	List	   *large = NIL;
	int			nown = 0;
	int			n;
	KtSpi		spi;

	events = kt_cursor_read(&cursor, MAX_EVENTS, &large, &n);
	if (events != NULL && with_own)
		own = kt_cursor_read_own(router->own_xid == kt_cursor_own_xid() ? router->own_event : 0, &nown);
	if (events != NULL)
	{
		workspaces = note_looks(router, workspaces, events, n);
		workspaces = note_looks(router, workspaces, own, nown);
	}
	if (events == NULL)
	{
		kt_router_load(router);
		MemoryContextSwitchTo(old);
		return n;
	}
	follow_configuration(router, workspaces);
	kt_spi_begin(&spi);
	MemoryContextSwitchTo(router->scratch);
	apply_events(router, events, n);
	apply_events(router, own, nown);
	/* Only now have they been seen. */
	note_large(router, large);
	cursor = kt_cursor_copy(&cursor, router->context);
	pfree(router->cursor.xip);
	router->cursor = cursor;
	if (nown > 0)
	{
		router->own_xid = kt_cursor_own_xid();
		router->own_event = own[nown - 1].id;
	}
	kt_spi_end(&spi);
	MemoryContextSwitchTo(old);
	return n;
}

/* A reservation may have ended since, in a transaction that has been read before this one. */
static void
apply_large(KtRouter *router, const KtEventRef *events, int n)
{
	KtSid	   *reservations = palloc(sizeof(KtSid) * Max(n, 1));
	int			nreservations = 0;

	for (int i = 0; i < n; i++)
	{
		if (!begins(events[i].type, "reservation."))
		{
			apply_event(router, &events[i]);
			continue;
		}
		kt_quarantine_release(router->quarantine, &events[i].resource);
		reservations[nreservations++] = events[i].resource;
		look_at_task(router, &events[i]);
	}
	kt_router_look_at_reservations(router, reservations, nreservations);
}

void
kt_router_read_large(KtRouter *router)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "kin_tr piece", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	KtLarge    *large = linitial(router->large);
	KtLarge		rest = *large;
	KtEventRef *events;
	bool		more;
	int			n;

	events = kt_cursor_read_large(&rest, PIECE, &n, &more);
	follow_configuration(router, note_looks(router, NIL, events, n));
	MemoryContextSwitchTo(context);
	apply_large(router, events, n);
	/* Only now has it been read. */
	router->large = list_delete_first(router->large);
	*large = rest;
	MemoryContextSwitchTo(router->context);
	if (more)
		router->large = lappend(router->large, large);
	else
		pfree(large);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}
