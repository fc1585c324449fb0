/*
 * load.c
 *		What the router has yet to read, in pieces.
 *
 * There may be a million tasks, so all that is read is read in slices of time, each
 * workspace in its turn.  A new pool reads all workers, then all reservations; until
 * then nobody is matched.  A workspace whose configuration has changed is closed until
 * its own workers have been read again.  Of groups only the first tasks are read.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/clock.h"
#include "base/monotonic.h"
#include "base/spi.h"
#include "routing/reorder.h"
#include "routing/router.h"
#include "routing/rows.h"

/* Workers, tasks, reservations or groups that are read together, at most. */
#define MOST_LOOKS 64

/* Kinds of what is read, each of which has its part of a slice. */
#define KINDS 5

/* Objects that are listed at a time. */
#define LIST_SIZE 256

/* Microseconds until a configuration that somebody had locked is looked at again. */
#define LOCKED_WAIT INT64CONST(10000)

/* ------------------------------------------------------------------- load */

/* One that is in quarantine and not being tried again has failed as it did before. */
static void
note_fault(void *context, const KtSid *object, const ErrorData *error)
{
	KtRouter   *router = context;

	if (error == NULL)
		kt_quarantine_release(router->quarantine, object);
	else if (!kt_retry_is_kept(router->retries, object))
		kt_quarantine_note(router->quarantine, object, KT_RETRY_LOOK, "load", error);
}

static void
make_pool(KtRouter *router)
{
	router->pool = kt_pool_create(router->context, note_fault, router);
	router->pool->now = kt_now();
	router->pool->restricted = router->restricted;
	router->pool->nallowed = router->nallowed;
	router->pool->allowed = router->allowed;
	router->pool->forgets_fits = router->forgets_fits;
	router->pool->loading = true;
	router->minute = router->pool->now / USECS_PER_MINUTE;
}

void
kt_router_load(KtRouter *router)
{
	MemoryContext old = MemoryContextSwitchTo(router->scratch);
	KtEventRef *own;
	int			nown;
	KtCursor	cursor;
	KtSpi		spi;

	kt_router_forget(router);
	kt_spi_begin(&spi);
	MemoryContextSwitchTo(router->scratch);
	PushActiveSnapshot(GetLatestSnapshot());
	cursor = kt_cursor_at_snapshot();
	router->cursor = kt_cursor_copy(&cursor, router->context);
	router->own_xid = kt_cursor_own_xid();
	own = kt_cursor_read_own(0, &nown);
	router->own_event = nown > 0 ? own[nown - 1].id : 0;
	PopActiveSnapshot();
	kt_quarantine_load(router->quarantine);
	make_pool(router);
	router->loading = KT_LOAD_WORKERS;
	router->moves_mark = (KtMark) {DT_NOBEGIN};
	kt_spi_end(&spi);
	MemoryContextSwitchTo(old);
}

static void
begin_loading(KtRouter *router, KtLoading what)
{
	router->loading = what;
	memset(&router->loaded_sid, 0, sizeof(KtSid));
	memset(&router->loaded_group, 0, sizeof(pg_uuid_t));
}

void
kt_router_note_task(KtRouter *router, uint64 row)
{
	KtSid		task = kt_column_sid(row, 1);
	KtSid		workspace = kt_column_sid(row, 2);

	if (kt_pool_may_use(router->pool, &workspace))
		kt_looks_add(router->looks, &workspace, &task);
}

/*
 * Tasks whose step has not been tried: not those alone that come first are read, for
 * each is to be asked whether its step is to be skipped.
 */
static int
list_untried(KtRouter *router)
{
	static KtPlan plan = {
		"SELECT sid, workspace_sid FROM kin_tr.tasks WHERE NOT step_tried AND group_key IS NOT NULL"
		"   AND sid > $1 ORDER BY sid LIMIT $2", "si"
	};
	Datum		values[] = {SidPGetDatum(&router->loaded_sid), Int32GetDatum(LIST_SIZE)};
	int			n = (int) kt_spi_latest(&plan, values, NULL);

	for (int i = 0; i < n; i++)
		kt_router_note_task(router, i);
	if (n > 0)
		router->loaded_sid = kt_column_sid(n - 1, 1);
	return n;
}

/* Groups that tasks wait in, by their keys: one step down the index for each. */
static int
list_groups(KtRouter *router)
{
	static KtPlan plan = {
		"WITH RECURSIVE groups AS ("
		" (SELECT group_key, workspace_sid FROM kin_tr.tasks WHERE group_key > $1"
		"   ORDER BY group_key, order_key1, order_key2, sid LIMIT 1)"
		" UNION ALL"
		" SELECT next.group_key, next.workspace_sid FROM groups,"
		"  LATERAL (SELECT t.group_key, t.workspace_sid FROM kin_tr.tasks t"
		"            WHERE t.group_key > groups.group_key"
		"            ORDER BY t.group_key, t.order_key1, t.order_key2, t.sid LIMIT 1) next)"
		" SELECT group_key, workspace_sid FROM groups LIMIT $2", "ui"
	};
	Datum		values[] = {UUIDPGetDatum(&router->loaded_group), Int32GetDatum(LIST_SIZE)};
	int			n = (int) kt_spi_latest(&plan, values, NULL);
	bool		isnull;

	for (int i = 0; i < n; i++)
	{
		KtSid		workspace = kt_column_sid(i, 2);

		router->loaded_group = *DatumGetUUIDP(kt_column(i, 1, &isnull));
		if (!kt_pool_may_use(router->pool, &workspace))
			continue;
		kt_looks_add(router->group_looks, &workspace, &router->loaded_group);
		/* It may be one of theirs. */
		if (router->reordered != NULL)
			kt_reorder_walk(router, &workspace, &router->loaded_group);
	}
	return n;
}

/* A piece of what a new pool reads; true where there is more. */
static bool
load_piece(KtRouter *router, int piece)
{
	switch (router->loading)
	{
		case KT_LOAD_WORKERS:
			if (kt_rows_next_workers(router, &router->loaded_sid, piece) < piece)
				begin_loading(router, KT_LOAD_RESERVATIONS);
			break;
		case KT_LOAD_RESERVATIONS:
			if (kt_rows_next_reservations(router, &router->loaded_sid, piece) < piece)
			{
				router->pool->loading = false;
				begin_loading(router, KT_LOAD_UNTRIED);
			}
			break;
		case KT_LOAD_UNTRIED:
			if (list_untried(router) < LIST_SIZE)
				begin_loading(router, KT_LOAD_GROUPS);
			break;
		case KT_LOAD_GROUPS:
			if (list_groups(router) < LIST_SIZE)
				router->loading = KT_LOADED;
			break;
		case KT_LOADED:
			break;
	}
	return router->loading != KT_LOADED;
}

/* ----------------------------------------------------------------- reload */

static void
note_group(void *router, const KtSid *workspace, const void *key)
{
	kt_looks_add(((KtRouter *) router)->group_looks, workspace, key);
}

static void
note_unsettled(void *router, const KtSid *workspace, const void *unsettled)
{
	kt_looks_add(((KtRouter *) router)->looks, workspace, &((const KtUnsettled *) unsettled)->task);
}

static KtSpace *
find_space(const KtRouter *router, const KtSid *workspace)
{
	return hash_search(router->pool->spaces, workspace, HASH_FIND, NULL);
}

/* What it has of a workspace is to be read again. */
static void
note_space(KtRouter *router, KtSpace *space)
{
	dlist_iter	iter;

	dlist_foreach(iter, &space->groups)
	{
		const KtGroup *group = dlist_container(KtGroup, of_space, iter.cur);

		if (group->nheads > 0 || group->more || group->skipped != KT_SKIPPED_NONE)
			kt_looks_add(router->group_looks, &space->sid, &group->key);
		if (kt_reorder_is_noted(router, &group->queue_sid))
			kt_reorder_walk(router, &space->sid, &group->key);
	}
	dlist_foreach(iter, &space->workers)
		kt_looks_add(router->worker_looks, &space->sid,
					 &dlist_container(KtPoolWorker, of_space, iter.cur)->sid);
}

static void
reload(KtRouter *router, const KtSid *workspace)
{
	KtSpace    *space = find_space(router, workspace);

	if (space != NULL)
		note_space(router, space);
	kt_looks_drain(router->postponed, workspace, note_group, router);
	kt_looks_drain(router->unsettled, workspace, note_unsettled, router);
	kt_pool_reset_space(router->pool, workspace);
}

/*
 * What is forgotten is to be read at once, so nobody may have the tables of it.  They
 * stay locked until the transaction ends.
 */
static bool
may_read_configuration(KtRouter *router)
{
	static const char *const tables[] = {
		"workspaces", "task_channels", "activities", "task_queues", "workflows", "workflow_versions"
	};

	for (int i = 0; i < lengthof(tables); i++)
		if (!ConditionalLockRelationOid(kt_relation_oid(tables[i]), AccessShareLock))
		{
			router->reload_at = kt_monotonic() + LOCKED_WAIT;
			return false;
		}
	return true;
}

/* Whoever changes it again and again is not to keep it from ever being matched. */
void
kt_router_reload(KtRouter *router, const KtSid *workspace)
{
	const KtSpace *space = find_space(router, workspace);
	MemoryContext old;

	if ((space == NULL || !space->closed) && may_read_configuration(router))
	{
		reload(router, workspace);
		return;
	}
	old = MemoryContextSwitchTo(router->context);
	router->reloads = kt_sid_list_add(router->reloads, workspace);
	MemoryContextSwitchTo(old);
}

void
kt_router_reload_rest(KtRouter *router)
{
	List	   *rest = router->reloads;
	ListCell   *cell;

	if (kt_monotonic() < router->reload_at)
		return;
	router->reloads = NIL;
	foreach(cell, rest)
		kt_router_reload(router, lfirst(cell));
	list_free_deep(rest);
}

/* What the configuration was is forgotten, and all that there is of its queues is known. */
static bool
may_walk(const KtRouter *router)
{
	return router->reloads == NIL && router->loading == KT_LOADED;
}

/* Those of which all workers have been read are matched from now on. */
static void
open_spaces(KtRouter *router)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &router->pool->closed)
	{
		KtSpace    *space = dlist_container(KtSpace, of_closed, iter.cur);

		if (kt_looks_count(router->worker_looks, &space->sid) == 0)
			kt_pool_open_space(router->pool, space);
	}
}

/*
 * What tasks have come to reads more of the workers than has been read.  All that waits
 * has been asked before it is read once more.
 */
static void
complete_spaces(KtRouter *router)
{
	dlist_mutable_iter iter;

	if (kt_monotonic() < router->reload_at)
		return;
	dlist_foreach_modify(iter, &router->pool->lacking)
	{
		KtSpace    *space = dlist_container(KtSpace, of_lacking, iter.cur);

		if (space->closed || kt_looks_count(router->group_looks, &space->sid) > 0)
			continue;
		if (!may_read_configuration(router))
			return;
		reload(router, &space->sid);
	}
}

/* ------------------------------------------------------------------- read */

/* How many to read at a time, so that it takes neither an eighth of a slice nor half of it. */
static int
next_piece(int piece, int64 took, int64 slice)
{
	return took > slice / 2 ? Max(1, piece / 2) : took < slice / 8 ? Min(MOST_LOOKS, piece * 2) : piece;
}

/* Reads so many of one kind; true where there are more. */
typedef bool (*ReadPiece) (KtRouter *router, int piece);

static bool
read_workers(KtRouter *router, int piece)
{
	KtSid		sids[MOST_LOOKS];
	int			n = kt_looks_take(router->worker_looks, sids, piece);

	kt_router_look_at_workers(router, sids, n);
	return kt_looks_are_left(router->worker_looks);
}

static bool
read_groups(KtRouter *router, int piece)
{
	pg_uuid_t	keys[MOST_LOOKS];
	int			n;

	n = kt_looks_take(router->group_looks, keys, piece);
	for (int i = 0; i < n; i++)
		kt_rows_read_group(router, &keys[i]);
	return kt_looks_are_left(router->group_looks);
}

static bool
read_tasks(KtRouter *router, int piece)
{
	KtSid		sids[MOST_LOOKS];
	int			n = kt_looks_take(router->looks, sids, piece);

	kt_router_look_at_tasks(router, sids, n);
	return kt_looks_are_left(router->looks);
}

/*
 * In small pieces, for a worker, or a task, that is like no other is held against
 * all there are.
 */
static void
read_in_pieces(KtRouter *router, ReadPiece read, int *piece, int64 slice)
{
	int64		began = kt_monotonic();
	int64		now = began;
	bool		more;

	do
	{
		int64		then = now;

		more = read(router, *piece);
		now = kt_monotonic();
		*piece = next_piece(*piece, now - then, slice);
	} while (more && now - began < slice);
}

/* Workers first: what is read of a task is held against them.  So long for each kind. */
static void
read_each(KtRouter *router, int64 slice)
{
	static int	load = 1;
	static int	workers = 1;
	static int	groups = 1;
	static int	tasks = 1;
	static int	walks = 1;

	if (router->large != NIL)
		kt_router_read_large(router);
	if (router->loading != KT_LOADED)
		read_in_pieces(router, load_piece, &load, slice);
	if (kt_looks_are_left(router->worker_looks))
		read_in_pieces(router, read_workers, &workers, slice);
	if (!router->pool->loading)
		open_spaces(router);
	if (kt_looks_are_left(router->group_looks))
		read_in_pieces(router, read_groups, &groups, slice);
	if (kt_looks_are_left(router->looks))
		read_in_pieces(router, read_tasks, &tasks, slice);
	if (may_walk(router))
	{
		kt_reorder_forget(router);
		if (kt_looks_are_left(router->walks))
			read_in_pieces(router, kt_reorder_read, &walks, slice);
	}
	complete_spaces(router);
}

static bool
has_more(const KtRouter *router)
{
	return router->large != NIL || router->loading != KT_LOADED ||
		(!dlist_is_empty(&router->pool->lacking) && kt_monotonic() >= router->reload_at) ||
		kt_looks_are_left(router->looks) || kt_looks_are_left(router->worker_looks) ||
		kt_looks_are_left(router->group_looks) ||
		(kt_looks_are_left(router->walks) && may_walk(router));
}

void
kt_router_read(KtRouter *router, int64 slice)
{
	MemoryContext old = MemoryContextSwitchTo(router->scratch);
	int64		until = kt_monotonic() + slice;

	do
	{
		CHECK_FOR_INTERRUPTS();
		read_each(router, slice / KINDS);
	} while (has_more(router) && kt_monotonic() < until);
	MemoryContextSwitchTo(old);
}

bool
kt_router_has_to_read(const KtRouter *router)
{
	return (router->reloads != NIL && kt_monotonic() >= router->reload_at) || (router->pool != NULL && has_more(router));
}
