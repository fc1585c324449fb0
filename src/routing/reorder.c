/*
 * reorder.c
 *		Waiting tasks that may have the keys of their queue's former order.
 *
 * Who changes a queue's order gives its tasks their new keys.  A task that comes back
 * into the queue meanwhile does not see the change, and is not seen by it: so when the
 * router hears of it, each group of the queue is walked through once, in pieces.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "base/spi.h"
#include "routing/placement.h"
#include "routing/reorder.h"

/* Tasks that are looked at in a piece. */
#define PIECE 256

void
kt_reorder_note(KtRouter *router, const KtSid *queue)
{
	if (router->reordered == NULL)
		router->reordered = ktsidmap_create(router->context, 16, NULL);
	*kt_sid_map_enter(router->reordered, queue) = router;
}

bool
kt_reorder_is_noted(const KtRouter *router, const KtSid *queue)
{
	return router->reordered != NULL && kt_sid_map_find(router->reordered, queue) != NULL;
}

void
kt_reorder_forget(KtRouter *router)
{
	if (router->reordered != NULL)
		ktsidmap_destroy(router->reordered);
	router->reordered = NULL;
}

void
kt_reorder_walk(KtRouter *router, const KtSid *workspace, const pg_uuid_t *group)
{
	KtWalk		walk;

	/* It is known by its bytes. */
	memset(&walk, 0, sizeof(walk));
	walk.group = *group;
	walk.workspace = *workspace;
	walk.after.key1 = walk.after.key2 = PG_INT64_MIN;
	kt_looks_add(router->walks, workspace, &walk);
}

static bool
has_former_keys(uint64 row)
{
	KtSid		sid = kt_column_sid(row, 1);
	KtSid		queue = kt_column_sid(row, 5);
	int32		priority = kt_column_int32(row, 6);
	TimestampTz start = kt_column_int64(row, 7);
	SPITupleTable *table = SPI_tuptable;
	int64		key1;
	int64		key2;

	/* The router's configuration may be older than the keys. */
	kt_order_keys(kt_config_task_queue(kt_config(), &queue), &sid, priority, start, &key1, &key2);
	SPI_tuptable = table;
	return key1 != kt_column_int64(row, 3) || key2 != kt_column_int64(row, 4);
}

/* A piece of a walk. */
typedef struct Piece
{
	KtRouter   *router;
	KtWalk	   *walk;
	int			n;				/* tasks that there were */
} Piece;

static void
read_piece(void *context)
{
	static KtPlan plan = {
		"SELECT sid, workspace_sid, order_key1, order_key2, task_queue_sid, priority, virtual_start_time"
		"  FROM kin_tr.tasks WHERE group_key = $1 AND (order_key1, order_key2, sid) > ($2, $3, $4)"
		" ORDER BY group_key, order_key1, order_key2, sid LIMIT $5", "uIIsi"
	};
	Piece	   *piece = context;
	KtWalk	   *walk = piece->walk;
	Datum		values[] = {
		UUIDPGetDatum(&walk->group), Int64GetDatum(walk->after.key1), Int64GetDatum(walk->after.key2),
		SidPGetDatum(&walk->after.sid), Int32GetDatum(PIECE)
	};
	int			n = (int) kt_spi_latest(&plan, values, NULL);
	SPITupleTable *table = SPI_tuptable;

	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!kt_column_is_null(i, 5) && has_former_keys(i))
			kt_router_note_task(piece->router, i);
	}
	if (n > 0)
	{
		walk->after.key1 = kt_column_int64(n - 1, 3);
		walk->after.key2 = kt_column_int64(n - 1, 4);
		walk->after.sid = kt_column_sid(n - 1, 1);
	}
	SPI_freetuptable(table);
	piece->n = n;
}

/*
 * A queue that cannot be read has no order.  When it can, its event tells of it.  Where
 * somebody has its table, the walk goes on later.
 */
bool
kt_reorder_read(KtRouter *router, int most)
{
	KtWalk		walk;
	Piece		piece = {router, &walk};
	ErrorData  *error;

	if (kt_looks_take(router->walks, &walk, 1) == 0)
		return false;
	error = kt_try(read_piece, &piece);
	if (error != NULL ? kt_error_is_busy(error) : piece.n == PIECE)
		kt_looks_add(router->walks, &walk.workspace, &walk);
	if (error != NULL)
		FreeErrorData(error);
	return error == NULL && kt_looks_are_left(router->walks);
}
