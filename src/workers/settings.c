/*
 * settings.c
 *		What a process goes by, whatever the cluster, its database or its role
 *		have set.
 *
 * Whatever could end or bend a statement, as time-outs, what the planner may do,
 * formats and developers' switches, is as PostgreSQL has it by default: so
 * statements do what they did in the tests.  What the machine needs, as memory,
 * logging and how safe a commit is, is as postgresql.conf has it.  A database
 * and a role (by ALTER DATABASE, ALTER ROLE) have no say in either: they speak
 * to those who connect.
 */
#include "postgres.h"

#include "utils/guc.h"
#include "utils/guc_tables.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "workers/settings.h"

/* One, as postgresql.conf has it. */
typedef struct Remembered
{
	const char *name;
	char	   *value;
} Remembered;

static Remembered *remembered = NULL;
static int	nremembered = 0;

static const char *const pinned[][2] = {
	{"search_path", "pg_catalog, kin_tr, pg_temp"},
	{"lock_timeout", "5s"},
	{"jit", "off"},
	{"max_parallel_workers_per_gather", "0"},
	{"max_parallel_maintenance_workers", "0"},
	{"temp_file_limit", "-1"},
	{"gin_fuzzy_search_limit", "0"},
	{"track_counts", "on"},
	{"DateStyle", "ISO, MDY"},
	{"IntervalStyle", "postgres"},
	{"TimeZone", "UTC"},
	{"extra_float_digits", "1"},
	{"lc_monetary", "C"},
	{"lc_numeric", "C"},
	{"lc_time", "C"},
	{"plpgsql.variable_conflict", "error"},
	{"plpgsql.extra_errors", "none"},
	{"plpgsql.extra_warnings", "none"},
	{"plpgsql.check_asserts", "on"},
};

/* May it be set in a session, for all its transactions? */
static bool
may_be_set(const struct config_generic *setting)
{
	return (setting->context == PGC_USERSET || setting->context == PGC_SUSET) &&
		setting->group != UNGROUPED && (setting->flags & GUC_NO_RESET_ALL) == 0;
}

void
kt_settings_remember(void)
{
	int			n;
	struct config_generic **settings = KT_GUC_VARIABLES(&n);

	remembered = MemoryContextAlloc(TopMemoryContext, sizeof(Remembered) * n);
	for (int i = 0; i < n; i++)
		if (may_be_set(settings[i]))
		{
			const char *value = GetConfigOption(settings[i]->name, true, false);

			remembered[nremembered].name = settings[i]->name;
			remembered[nremembered++].value = MemoryContextStrdup(TopMemoryContext, value ? value : "");
		}
}

/* One that cannot be set is told of in the log; nothing else can be done about it. */
static void
set(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_SUSET, PGC_S_OVERRIDE, GUC_ACTION_SET, true, LOG, false);
}

/* PostgreSQL's own default, as text; NULL where it has none. */
static const char *
default_of(struct config_generic *setting)
{
	switch (setting->vartype)
	{
		case PGC_BOOL:
			return ((struct config_bool *) setting)->boot_val ? "on" : "off";
		case PGC_INT:
			return psprintf("%d", ((struct config_int *) setting)->boot_val);
		case PGC_REAL:
			return psprintf("%.17g", ((struct config_real *) setting)->boot_val);
		case PGC_STRING:
			return ((struct config_string *) setting)->boot_val;
		case PGC_ENUM:
			return config_enum_lookup_by_value((struct config_enum *) setting,
											   ((struct config_enum *) setting)->boot_val);
	}
	return NULL;
}

/* Of a kind that could end or bend a statement?  All of query tuning and compatibility is. */
static bool
bends_statements(const struct config_generic *setting)
{
	return (setting->group >= QUERY_TUNING_METHOD && setting->group <= QUERY_TUNING_OTHER) ||
		(setting->group >= LOCK_MANAGEMENT && setting->group <= ERROR_HANDLING_OPTIONS) ||
		setting->group == CLIENT_CONN_STATEMENT || setting->group == DEVELOPER_OPTIONS;
}

static bool
is_of_database_or_role(const struct config_generic *setting)
{
	return setting->source >= PGC_S_GLOBAL && setting->source <= PGC_S_DATABASE_USER;
}

static const char *
remembered_value(const char *name)
{
	for (int i = 0; i < nremembered; i++)
		if (strcmp(remembered[i].name, name) == 0)
			return remembered[i].value;
	return NULL;
}

static void
pin(struct config_generic *setting)
{
	const char *value = NULL;

	if (bends_statements(setting))
		value = default_of(setting);
	else if (is_of_database_or_role(setting))
		value = remembered_value(setting->name);
	if (value != NULL)
		set(setting->name, value);
}

void
kt_settings_pin(const char *application_name, bool asynchronous)
{
	MemoryContext scratch = AllocSetContextCreate(TopMemoryContext, "kin_tr settings", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(scratch);
	int			n;
	struct config_generic **settings = KT_GUC_VARIABLES(&n);

	for (int i = 0; i < n; i++)
		if (may_be_set(settings[i]))
			pin(settings[i]);
	for (int i = 0; i < lengthof(pinned); i++)
		set(pinned[i][0], pinned[i][1]);
	if (asynchronous)
		set("synchronous_commit", "off");
	set("application_name", application_name);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);
}
