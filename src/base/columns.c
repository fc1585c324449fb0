/*
 * columns.c
 *		The columns of a table by their names, wherever they stand.
 *
 * Whoever adds a column of his own to a table of kin_tr, and drops it again,
 * leaves a gap behind for good; and a release that adds one finds rows of before.
 * So nothing here goes by a column's number.  It is looked up once, and kept until
 * something of the table changes.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#include "base/columns.h"
#include "base/spi.h"

/* What is kept of a table. */
typedef struct Known
{
	Oid			table;			/* hash key */
	const KtShape *shape;
	bool		valid;			/* nothing has changed since */
	bool		complete;		/* nothing went wrong when it was looked up */
	bool		writable;		/* what a new row has in its other columns is known */
	int			natts;
	MemoryContext context;
	AttrNumber *numbers;		/* of the shape's columns */
	Datum	   *values;			/* room for a row of the table */
	bool	   *isnull;
	Datum	   *defaults;		/* of a new row, in the columns that are not of the shape */
	bool	   *has_default;
} Known;

static HTAB *known_tables = NULL;

static void
table_invalidated(Datum arg, Oid relation)
{
	HASH_SEQ_STATUS scan;
	Known	   *known;

	if (OidIsValid(relation))
	{
		known = hash_search(known_tables, &relation, HASH_FIND, NULL);
		if (known != NULL)
			known->valid = false;
		return;
	}
	hash_seq_init(&scan, known_tables);
	while ((known = hash_seq_search(&scan)) != NULL)
		known->valid = false;
}

static void
refuse(Relation table, Known *known, const char *column, const char *what)
{
	known->valid = false;
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("column \"%s\" of table kin_tr.%s %s", column, RelationGetRelationName(table), what),
			 errdetail("Either the table has been altered, or kin_tr's library and its objects are of different versions."),
			 errhint("A column of your own must be of a plain type, and may be null or has a constant as its default. After a new library: restart, and ALTER EXTENSION kin_tr UPDATE.")));
}

static AttrNumber
find_column(Relation table, Known *known, const KtColumn *column)
{
	TupleDesc	descriptor = RelationGetDescr(table);

	for (int i = 0; i < descriptor->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(descriptor, i);

		if (attribute->attisdropped || namestrcmp(&attribute->attname, column->name) != 0)
			continue;
		if (attribute->atttypid != kt_type_oid(column->type))
			refuse(table, known, column->name, "is of another type than kin_tr's");
		return attribute->attnum;
	}
	refuse(table, known, column->name, "is missing");
	return InvalidAttrNumber;	/* keep compiler quiet */
}

static bool
is_known(const Known *known, AttrNumber number)
{
	for (int i = 0; i < known->shape->ncolumns; i++)
		if (known->numbers[i] == number)
			return true;
	return false;
}

/* A default that is a constant is kept; any other would be evaluated for each row. */
static void
learn_default(Relation table, Known *known, Form_pg_attribute attribute)
{
	Node	   *expression = build_column_default(table, attribute->attnum);
	Const	   *constant = (Const *) eval_const_expressions(NULL, expression);

	if (expression == NULL)
		return;
	if (attribute->attgenerated != '\0' || !IsA(constant, Const))
		refuse(table, known, NameStr(attribute->attname), "has a default that is no constant");
	if (constant->constisnull)
		return;
	known->defaults[attribute->attnum - 1] = datumCopy(constant->constvalue, attribute->attbyval, attribute->attlen);
	known->has_default[attribute->attnum - 1] = true;
}

/* What a new row has in the columns that the library does not know. */
static void
learn_others(Relation table, Known *known)
{
	TupleDesc	descriptor = RelationGetDescr(table);
	MemoryContext old = MemoryContextSwitchTo(known->context);

	known->defaults = palloc0(sizeof(Datum) * descriptor->natts);
	known->has_default = palloc0(sizeof(bool) * descriptor->natts);
	for (int i = 0; i < descriptor->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(descriptor, i);

		if (attribute->attisdropped || is_known(known, attribute->attnum))
			continue;
		/* Nobody would check them, and of new ones nobody tells. */
		if (DomainHasConstraints(attribute->atttypid))
			refuse(table, known, NameStr(attribute->attname), "is of a domain with constraints");
		learn_default(table, known, attribute);
		if (attribute->attnotnull && !known->has_default[i])
			refuse(table, known, NameStr(attribute->attname), "may not be null");
	}
	known->writable = true;
	MemoryContextSwitchTo(old);
}

static void
begin_new_row(Known *known)
{
	for (int i = 0; i < known->natts; i++)
	{
		known->values[i] = known->defaults[i];
		known->isnull[i] = !known->has_default[i];
	}
}

static void
learn(Known *known, Relation table, const KtShape *shape)
{
	int			natts = RelationGetDescr(table)->natts;

	if (known->context == NULL)
		known->context = AllocSetContextCreate(CacheMemoryContext, "kin_tr columns", ALLOCSET_SMALL_SIZES);
	MemoryContextReset(known->context);
	known->shape = shape;
	known->natts = natts;
	known->complete = false;
	known->numbers = MemoryContextAllocZero(known->context, sizeof(AttrNumber) * shape->ncolumns);
	known->values = MemoryContextAllocZero(known->context, sizeof(Datum) * natts);
	known->isnull = MemoryContextAlloc(known->context, sizeof(bool) * natts);
	/* What changes from now on is looked up the next time. */
	known->valid = true;
	known->writable = false;
	for (int i = 0; i < shape->ncolumns; i++)
		known->numbers[i] = find_column(table, known, &shape->columns[i]);
	known->complete = true;
}

static Known *
find(Relation table, const KtShape *shape)
{
	Oid			oid = RelationGetRelid(table);
	Known	   *known;
	bool		found;

	if (known_tables == NULL)
	{
		HASHCTL		control = {.keysize = sizeof(Oid), .entrysize = sizeof(Known)};

		known_tables = hash_create("kin_tr columns", 8, &control, HASH_ELEM | HASH_BLOBS);
		CacheRegisterRelcacheCallback(table_invalidated, (Datum) 0);
	}
	known = hash_search(known_tables, &oid, HASH_ENTER, &found);
	if (!found)
		memset((char *) known + sizeof(Oid), 0, sizeof(Known) - sizeof(Oid));
	if (!known->valid || !known->complete || known->shape != shape)
		learn(known, table, shape);
	return known;
}

const AttrNumber *
kt_columns(Relation table, const KtShape *shape)
{
	return find(table, shape)->numbers;
}

void
kt_columns_read(Relation table, const KtShape *shape, HeapTuple row, Datum *values, bool *isnull)
{
	Known	   *known = find(table, shape);

	heap_deform_tuple(row, RelationGetDescr(table), known->values, known->isnull);
	for (int i = 0; i < shape->ncolumns; i++)
	{
		values[i] = known->values[known->numbers[i] - 1];
		isnull[i] = known->isnull[known->numbers[i] - 1];
	}
}

HeapTuple
kt_columns_form(Relation table, const KtShape *shape, HeapTuple old, Datum *values, bool *isnull)
{
	Known	   *known = find(table, shape);

	if (!known->writable)
		learn_others(table, known);
	if (known->natts > shape->ncolumns)
	{
		if (old != NULL)
			heap_deform_tuple(old, RelationGetDescr(table), known->values, known->isnull);
		else
			begin_new_row(known);
	}
	for (int i = 0; i < shape->ncolumns; i++)
	{
		known->values[known->numbers[i] - 1] = values[i];
		known->isnull[known->numbers[i] - 1] = isnull[i];
	}
	return heap_form_tuple(RelationGetDescr(table), known->values, known->isnull);
}
