/*
 * spi.c
 *		How C code of kin_tr runs its SQL.
 *
 * A plan is prepared at its first use in a backend and kept.  It is checked
 * with SPI_plan_is_valid and made anew where it is not, since DROP EXTENSION
 * and CREATE EXTENSION in one session leave plans that speak of types and
 * tables which no longer exist.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/spi.h"

#define SCHEMA_NAME "kin_tr"
#define MAX_PARAMETERS 48

/* Looked up once, forgotten when the schema or a type changes. */
typedef struct Oids
{
	Oid			schema;
	Oid			schema_owner;
	Oid			sid_type;
	Oid			sid_array_type;
} Oids;

static Oids kept_oids;
static bool oids_kept = false;
static uint64 oids_changes = 0;

static void
forget_oids(Datum arg, int cacheid, uint32 hashvalue)
{
	oids_kept = false;
	oids_changes++;
}

static Oids
look_up_oids(void)
{
	Oids		oids;
	HeapTuple	tuple;

	oids.schema = get_namespace_oid(SCHEMA_NAME, false);
	tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(oids.schema));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for schema %u", oids.schema);
	oids.schema_owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
	ReleaseSysCache(tuple);
	oids.sid_type = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid,
									CStringGetDatum("sid"), ObjectIdGetDatum(oids.schema));
	oids.sid_array_type = get_array_type(oids.sid_type);
	if (!OidIsValid(oids.sid_array_type))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("extension \"kin_tr\" is not installed in this database")));
	return oids;
}

/* Each lookup may take in an invalidation of what those before it found: then nothing is kept. */
static Oids
current_oids(void)
{
	static bool registered = false;
	uint64		changes = oids_changes;
	Oids		oids;

	if (oids_kept)
		return kept_oids;
	if (!registered)
	{
		CacheRegisterSyscacheCallback(NAMESPACEOID, forget_oids, (Datum) 0);
		CacheRegisterSyscacheCallback(TYPEOID, forget_oids, (Datum) 0);
		registered = true;
	}
	oids = look_up_oids();
	kept_oids = oids;
	oids_kept = changes == oids_changes;
	return oids;
}

Oid
kt_schema_oid(void)
{
	return current_oids().schema;
}

Oid
kt_schema_owner(void)
{
	return current_oids().schema_owner;
}

Oid
kt_sid_type_oid(void)
{
	return current_oids().sid_type;
}

Oid
kt_relation_oid(const char *name)
{
	Oid			oid = get_relname_relid(name, kt_schema_oid());

	if (!OidIsValid(oid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation kin_tr.%s does not exist", name),
				 errhint("Is the extension kin_tr complete in this database?")));
	return oid;
}

bool
kt_extension_exists(void)
{
	return OidIsValid(get_extension_oid(SCHEMA_NAME, true));
}

Oid
kt_type_oid(char letter)
{
	switch (letter)
	{
		case 's':
			return current_oids().sid_type;
		case 'S':
			return current_oids().sid_array_type;
		case 't':
			return TEXTOID;
		case 'T':
			return TEXTARRAYOID;
		case 'j':
			return JSONBOID;
		case 'b':
			return BOOLOID;
		case 'B':
			return BYTEAOID;
		case 'i':
			return INT4OID;
		case 'I':
			return INT8OID;
		case 'z':
			return TIMESTAMPTZOID;
		case 'u':
			return UUIDOID;
		case 'x':
			return XID8OID;
		case 'X':
			return XID8ARRAYOID;
		case 'f':
			return FLOAT8OID;
		case 'p':
			return TIDOID;
		default:
			elog(ERROR, "unknown letter of a type: '%c'", letter);
	}
}

static void
prepare(KtPlan *plan)
{
	Oid			types[MAX_PARAMETERS];
	int			ntypes = strlen(plan->types);
	SPIPlanPtr	prepared;

	if (ntypes > MAX_PARAMETERS)
		elog(ERROR, "too many parameters: %s", plan->sql);
	for (int i = 0; i < ntypes; i++)
		types[i] = kt_type_oid(plan->types[i]);
	prepared = SPI_prepare_cursor(plan->sql, ntypes, types, CURSOR_OPT_GENERIC_PLAN);
	if (prepared == NULL)
		elog(ERROR, "could not prepare \"%s\": %s", plan->sql, SPI_result_code_string(SPI_result));
	SPI_keepplan(prepared);
	plan->plan = prepared;
}

/*
 * A plan is made for good at once, and without sequential scans: planned while
 * a table is small it would read the whole of it, and go on doing so when the
 * table has grown, until the next ANALYZE.  Nor with bitmaps, which look dead
 * rows up again and again where an index scan marks them.
 */
static void
plan_with_indexes(KtPlan *plan)
{
	/*
	 * A scan that nevertheless remains looks so dear that it would be compiled.
	 * What a session has switched off for its own queries is on for these.
	 */
	static const char *const settings[][2] = {
		{"enable_seqscan", "off"},
		{"enable_bitmapscan", "off"},
		{"jit", "off"},
		{"enable_indexscan", "on"},
		{"enable_indexonlyscan", "on"},
		{"enable_nestloop", "on"},
		{"enable_sort", "on"},
		{"max_parallel_workers_per_gather", "0"},
	};
	int			nest_level = NewGUCNestLevel();
	CachedPlan *generic;

	for (int i = 0; i < lengthof(settings); i++)
		(void) set_config_option(settings[i][0], settings[i][1], PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
								 true, 0, false);
	if (plan->plan == NULL)
		prepare(plan);
	generic = SPI_plan_get_cached_plan(plan->plan);
	if (generic != NULL)
		ReleaseCachedPlan(generic, CurrentResourceOwner);
	AtEOXact_GUC(true, nest_level);
}

/* What is planned goes out of date by itself where only a partition changes, as by VACUUM. */
static bool
is_planned(SPIPlanPtr plan)
{
	CachedPlanSource *source = linitial(SPI_plan_get_plan_sources(plan));

	return source->gplan != NULL && source->gplan->is_valid;
}

static SPIPlanPtr
valid_plan(KtPlan *plan)
{
	if (plan->plan != NULL && !SPI_plan_is_valid(plan->plan))
	{
		SPI_freeplan(plan->plan);
		plan->plan = NULL;
	}
	if (plan->plan == NULL || !is_planned(plan->plan))
		plan_with_indexes(plan);
	return plan->plan;
}

static bool sees_latest = false;

void
kt_see_latest(bool latest)
{
	sees_latest = latest;
}

bool
kt_sees_latest(void)
{
	return sees_latest;
}

/* A statement that writes takes a snapshot of its own, and that is the transaction's. */
static int
run(SPIPlanPtr plan, Datum *values, const char *nulls, bool read_only, uint64 limit)
{
	if (read_only || !sees_latest || !IsolationUsesXactSnapshot())
		return SPI_execute_plan(plan, values, nulls, read_only, limit);
	return SPI_execute_snapshot(plan, values, nulls, GetLatestSnapshot(), InvalidSnapshot, false, true, limit);
}

static uint64
execute(KtPlan *plan, Datum *values, const char *nulls, bool read_only, uint64 limit)
{
	MemoryContext caller = CurrentMemoryContext;
	int			result = run(valid_plan(plan), values, nulls, read_only, limit);

	/* SPI leaves its own behind, which kt_spi_end() frees. */
	MemoryContextSwitchTo(caller);
	if (result < 0)
		elog(ERROR, "could not execute \"%s\": %s", plan->sql, SPI_result_code_string(result));
	return SPI_processed;
}

/* A statement that writes, or that must see what this transaction wrote. */
uint64
kt_spi(KtPlan *plan, Datum *values, const char *nulls)
{
	return execute(plan, values, nulls, false, 0);
}

/* A statement that reads under the active snapshot; at most limit rows, 0 for all. */
uint64
kt_spi_read(KtPlan *plan, Datum *values, const char *nulls, uint64 limit)
{
	return execute(plan, values, nulls, true, limit);
}

uint64
kt_spi_latest(KtPlan *plan, Datum *values, const char *nulls)
{
	uint64		n;

	PushActiveSnapshot(GetLatestSnapshot());
	n = kt_spi_read(plan, values, nulls, 0);
	PopActiveSnapshot();
	return n;
}

void
kt_spi_begin(KtSpi *spi)
{
	Oid			owner = kt_schema_owner();

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	GetUserIdAndSecContext(&spi->caller, &spi->security_context);
	SetUserIdAndSecContext(owner, spi->security_context | SECURITY_LOCAL_USERID_CHANGE);
}

void
kt_spi_end(KtSpi *spi)
{
	SetUserIdAndSecContext(spi->caller, spi->security_context);
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "SPI_finish failed");
}

Datum
kt_column(uint64 row, int column, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, isnull);
}

bool
kt_column_is_null(uint64 row, int column)
{
	bool		isnull;

	(void) kt_column(row, column, &isnull);
	return isnull;
}

KtSid
kt_column_sid(uint64 row, int column)
{
	KtSid		sid;
	bool		isnull;
	Datum		value = kt_column(row, column, &isnull);

	if (isnull)
		memset(&sid, 0, sizeof(sid));
	else
		sid = *DatumGetSidP(value);
	return sid;
}

int32
kt_column_int32(uint64 row, int column)
{
	bool		isnull;
	Datum		value = kt_column(row, column, &isnull);

	return isnull ? 0 : DatumGetInt32(value);
}

int64
kt_column_int64(uint64 row, int column)
{
	bool		isnull;
	Datum		value = kt_column(row, column, &isnull);

	return isnull ? 0 : DatumGetInt64(value);
}

bool
kt_column_bool(uint64 row, int column)
{
	bool		isnull;
	Datum		value = kt_column(row, column, &isnull);

	return !isnull && DatumGetBool(value);
}

char *
kt_column_cstring(uint64 row, int column)
{
	bool		isnull;
	Datum		value = kt_column(row, column, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

Datum
kt_sid_array(const KtSid *sids, int n)
{
	Datum	   *values = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		values[i] = SidPGetDatum(&sids[i]);
	return PointerGetDatum(construct_array(values, n, kt_sid_type_oid(), sizeof(KtSid), false, TYPALIGN_CHAR));
}

Datum
kt_text_datum(const char *string)
{
	return PointerGetDatum(cstring_to_text(string));
}
