/*
 * columns.h
 *		The columns of a table by their names, wherever they stand.
 *
 * The library numbers the columns that it knows in an order of its own; a table
 * may have them in any other, as it does once columns have been added and
 * dropped, and each partition in one of its own.
 */
#ifndef KIN_TR_BASE_COLUMNS_H
#define KIN_TR_BASE_COLUMNS_H

#include "postgres.h"

#include "access/attnum.h"
#include "access/htup.h"
#include "executor/tuptable.h"
#include "utils/rel.h"

/* What the library knows of a table. */
typedef struct KtColumn
{
	const char *name;
	char		type;			/* a letter, as in KtPlan */
} KtColumn;

typedef struct KtShape
{
	const char *table;
	int			ncolumns;
	const KtColumn *columns;
} KtShape;

#define KT_SHAPE(name, array) {name, lengthof(array), array}

/*
 * The number in the table of each column of the shape; in the caches, good until
 * the next call.  An error where one is missing or of another type.
 */
extern const AttrNumber *kt_columns(Relation table, const KtShape *shape);

/* The values of a row, in the shape's order. */
extern void kt_columns_read(Relation table, const KtShape *shape, HeapTuple row,
							Datum *values, bool *isnull);

/*
 * A row with these values, as the table has its columns.  Those that are not of
 * the shape are as in the old row, or where that is NULL have their default, which
 * must be a constant, or are null; an error where the table has one that a new row may
 * not be without.
 */
extern HeapTuple kt_columns_form(Relation table, const KtShape *shape, HeapTuple old,
								 Datum *values, bool *isnull);

#endif							/* KIN_TR_BASE_COLUMNS_H */
