/*
 * guc.c
 *		Every setting of kin_tr.  docs/operations.md says when to change which.
 */
#include "postgres.h"

#include <limits.h>

#include "miscadmin.h"
#include "utils/guc.h"

#include "base/guc.h"

/* Bytes of kin_tr.instance. */
#define MAX_INSTANCE 255

char	   *kt_workspace_setting = NULL;
int			kt_max_attributes_size = 256;
int			kt_event_retention = 30;
int			kt_history_retention = 365;
bool		kt_bell_lists_events = true;
int			kt_launcher_interval = 60;
int			kt_sweep_interval = 60;
bool		kt_background_workers = true;
int			kt_debug_fits = -1;
char	   *kt_instance = NULL;
int			kt_debug_far_behind = 10000;

static bool
check_instance(char **name, void **extra, GucSource source)
{
	if (strlen(*name) <= MAX_INSTANCE)
		return true;
	GUC_check_errdetail("It has %zu bytes, and may have %d.", strlen(*name), MAX_INSTANCE);
	return false;
}

void
kt_guc_define(void)
{
	DefineCustomStringVariable("kin_tr.workspace",
							   "Workspace that functions use when none is named.",
							   "A SID or a friendly name.  It is a convenience and never a right.",
							   &kt_workspace_setting, "", PGC_USERSET,
							   GUC_REPORT,	/* so that a pooler can follow it */
							   NULL, NULL, NULL);
	DefineCustomIntVariable("kin_tr.max_attributes_size",
							"Largest attributes of a task or worker, as jsonb and as text.",
							NULL, &kt_max_attributes_size, 256, 1, 65536,
							PGC_SUSET, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("kin_tr.event_retention",
							"Days that events are kept.",
							NULL, &kt_event_retention, 30, 1, 36500,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("kin_tr.history_retention",
							"Days that finished tasks and reservations are kept.",
							NULL, &kt_history_retention, 365, 1, 36500,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("kin_tr.bell_lists_events",
							 "NOTIFY payloads list the events' types and SIDs.",
							 "Anyone who may connect may LISTEN; off leaves cursor and count.",
							 &kt_bell_lists_events, true, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("kin_tr.launcher_interval",
							"Seconds between the launcher's looks for databases with the extension.",
							NULL, &kt_launcher_interval, 60, 1, 3600,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("kin_tr.sweep_interval",
							"Seconds between the router's searches for missed edges.",
							NULL, &kt_sweep_interval, 60, 1, 86400,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomBoolVariable("kin_tr.background_workers",
							 "Run the background workers.",
							 "Off stops them all; tick() and ring() then do their work.",
							 &kt_background_workers, true, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("kin_tr.debug_fits",
							"Most fits that the router remembers, for tests.",
							"-1 lets it go by the number of groups and workers.",
							&kt_debug_fits, -1, -1, INT_MAX,
							PGC_SUSET, GUC_NOT_IN_SAMPLE, NULL, NULL, NULL);
	/* Only at the start of the server can one be defined that changes with it alone. */
	DefineCustomStringVariable("kin_tr.instance",
							   "Name of this installation, which no copy of its data directory has.",
							   "A database keeps the name under which it became home; under another it is a copy.",
							   &kt_instance, "",
							   process_shared_preload_libraries_in_progress ? PGC_POSTMASTER : PGC_SIGHUP,
							   0, check_instance, NULL, NULL);
	DefineCustomIntVariable("kin_tr.debug_far_behind",
							"For tests: more events than this are not listed by the bell but only announced.",
							NULL, &kt_debug_far_behind, 10000, 1, 1000000,
							PGC_SUSET, GUC_NOT_IN_SAMPLE, NULL, NULL, NULL);
	MarkGUCPrefixReserved("kin_tr");
}
