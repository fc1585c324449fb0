/*
 * pool_path.c
 *		What of a worker the expressions of a workspace read.
 *
 * A worker's values that no expression reads do not matter, so workers of the same
 * values are one class.  Only the expressions that some task has come to are asked,
 * for a workspace may have very many.  One that reads more than the classes have
 * waits until they are made anew: the space lacks it, and is to be reset.  What has
 * been read once is kept from then on, while there is room.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "routing/pool_private.h"

/* Where a path is among those by text, or would be. */
static int
find_place(const KtSpace *space, const char *text)
{
	int			low = 0;
	int			high = space->npaths;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (strcmp(space->paths[space->paths_by_text[middle]].text, text) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int
kt_space_path(KtSpace *space, const KtPath *path)
{
	int			place = find_place(space, path->text);
	int			number = place < space->npaths ? space->paths_by_text[place] : -1;

	return number >= 0 && strcmp(space->paths[number].text, path->text) == 0 ? number : -1;
}

int *
kt_space_paths(KtSpace *space, const KtExpr *expression)
{
	int		   *numbers = kt_space_alloc(space, sizeof(int) * Max(expression->npaths, 1));

	for (uint32 i = 0; i < expression->npaths; i++)
		numbers[i] = expression->paths[i].subject == KT_SUBJECT_WORKER ?
			kt_space_path(space, &expression->paths[i]) : -1;
	return numbers;
}

/* ------------------------------------------------------------------- reads */

static KtRead *
find_read(const KtSpace *space, const char *text)
{
	for (int i = 0; i < space->reads.length; i++)
	{
		KtRead	   *read = space->reads.items[i];

		if (strcmp(read->path.text, text) == 0)
			return read;
	}
	return NULL;
}

/* The configuration that it is of may be forgotten before it. */
static KtPath
copy_path(const KtPath *path, MemoryContext context)
{
	KtPath		copy = *path;
	KtStep	   *steps = MemoryContextAlloc(context, sizeof(KtStep) * path->nsteps);

	for (uint32 i = 0; i < path->nsteps; i++)
	{
		steps[i] = path->steps[i];
		if (steps[i].key != NULL)
			steps[i].key = memcpy(MemoryContextAlloc(context, Max(steps[i].key_length, 1)),
								  path->steps[i].key, steps[i].key_length);
	}
	copy.steps = steps;
	copy.text = MemoryContextStrdup(context, path->text);
	return copy;
}

static KtRead *
enter_read(KtPool *pool, KtSpace *space, const KtPath *path)
{
	KtRead	   *read = find_read(space, path->text);

	if (read != NULL)
		return read;
	if (space->reads_context == NULL)
		space->reads_context = AllocSetContextCreate(pool->context, "kin_tr reads", ALLOCSET_SMALL_SIZES);
	read = MemoryContextAllocZero(space->reads_context, sizeof(KtRead));
	read->path = copy_path(path, space->reads_context);
	kt_vector_add(space->reads_context, &space->reads, read);
	return read;
}

/* What an expression and order_by, each or NULL, read of workers: one path after the other. */
typedef struct Scan
{
	const KtExpr *expression;
	const KtOrder *order;
	uint32		next;
	bool		has_tie;
	KtTie		tie;
	bool		tied;			/* the path that has been found last ties workers to tasks */
} Scan;

static const KtPath *
next_path(Scan *scan)
{
	uint32		npaths = scan->expression != NULL ? scan->expression->npaths : 0;

	while (scan->next < npaths)
	{
		uint32		i = scan->next++;

		scan->tied = scan->has_tie && i == scan->tie.worker_path;
		if (scan->expression->paths[i].subject == KT_SUBJECT_WORKER)
			return &scan->expression->paths[i];
	}
	scan->tied = false;
	if (scan->order == NULL || scan->next - npaths >= scan->order->nkeys)
		return NULL;
	return &scan->order->keys[scan->next++ - npaths].path;
}

static Scan
begin_scan(const KtExpr *expression, const KtOrder *order)
{
	Scan		scan = {expression, order};

	scan.has_tie = expression != NULL && kt_expr_tie(expression, &scan.tie);
	return scan;
}

/* All of it, or nothing: a part would only take the room of others. */
static bool
has_room(const KtSpace *space, Scan scan)
{
	int			n = space->reads.length;
	const KtPath *path;

	while ((path = next_path(&scan)) != NULL)
		n += find_read(space, path->text) == NULL;
	return n <= KT_MAX_WORKER_PATHS;
}

static bool
has_classes_of(KtSpace *space, Scan scan)
{
	const KtPath *path;

	while ((path = next_path(&scan)) != NULL)
	{
		int			number = kt_space_path(space, path);

		if (number < 0 || (scan.tied && !space->path_is_tied[number]))
			return false;
	}
	return true;
}

static void
note_lacking(KtPool *pool, KtSpace *space)
{
	if (!space->lacking)
		dlist_push_tail(&pool->lacking, &space->of_lacking);
	space->lacking = true;
}

KtKnown
kt_space_know(KtPool *pool, KtSpace *space, const KtExpr *expression, const KtOrder *order)
{
	Scan		scan = begin_scan(expression, order);
	bool		room;
	const KtPath *path;

	if (has_classes_of(space, scan))
		return KT_KNOWN;
	room = has_room(space, scan);
	if (!room && space->crowded)
		return KT_NO_ROOM;
	while (room && (path = next_path(&scan)) != NULL)
	{
		KtRead	   *read = enter_read(pool, space, path);

		read->tied = read->tied || scan.tied;
	}
	/* Some may be there that nobody reads any more. */
	space->full = space->full || !room;
	note_lacking(pool, space);
	return KT_LACKING;
}

void
kt_space_report_no_room(KtPool *pool, const KtSid *object)
{
	ErrorData	error = {.sqlerrcode = ERRCODE_PROGRAM_LIMIT_EXCEEDED};

	error.message = psprintf("the expressions in use in its workspace read more than %d different attributes of workers",
							 KT_MAX_WORKER_PATHS);
	pool->fault(pool->fault_context, object, &error);
}

/* ------------------------------------------------------------------- paths */

/* Those that come to be read again are read anew. */
static void
forget_reads(KtSpace *space)
{
	if (space->reads_context != NULL)
		MemoryContextReset(space->reads_context);
	memset(&space->reads, 0, sizeof(KtVector));
}

static int
compare_texts(const void *a, const void *b, void *space)
{
	const KtPath *paths = ((const KtSpace *) space)->paths;

	return strcmp(paths[*(const int *) a].text, paths[*(const int *) b].text);
}

void
kt_space_number_paths(KtSpace *space)
{
	int			n;

	if (space->full)
		forget_reads(space);
	/* What there is no room for now is at fault, until the configuration changes. */
	space->crowded = space->full || (space->crowded && space->lacking);
	if (space->lacking)
		dlist_delete(&space->of_lacking);
	space->full = space->lacking = false;
	n = space->reads.length;
	space->npaths = n;
	space->paths = kt_space_alloc(space, sizeof(KtPath) * Max(n, 1));
	space->path_is_tied = kt_space_alloc(space, sizeof(bool) * Max(n, 1));
	space->paths_by_text = kt_space_alloc(space, sizeof(int) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		const KtRead *read = space->reads.items[i];

		space->paths[i] = read->path;
		space->path_is_tied[i] = read->tied;
		space->paths_by_text[i] = i;
	}
	qsort_arg(space->paths_by_text, n, sizeof(int), compare_texts, space);
}

void
kt_space_drop_reads(KtSpace *space)
{
	if (space->lacking)
		dlist_delete(&space->of_lacking);
	if (space->reads_context != NULL)
		MemoryContextDelete(space->reads_context);
}
