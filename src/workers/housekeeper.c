/*
 * housekeeper.c
 *		Makes the partitions of the coming weeks, and drops those beyond retention.
 *
 * DDL may take long, and whoever wants the table meanwhile waits with it; so it is
 * not the router's.  A housekeeper does what is due, each piece in a transaction of
 * its own, and ends; the launcher sends one every ten minutes, and after a failure
 * sooner.  What is locked it leaves for the next.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "utils/timestamp.h"

#include "workers/loop.h"
#include "workers/slots.h"
#include "workers/workers.h"

typedef struct Chore
{
	const char *name;
	KtPlan		piece;			/* does one, and says whether there may be another */
} Chore;

static Chore chores[] = {
	{"making partitions", {"SELECT kin_tr._make_next_partition() IS NOT NULL", ""}},
	{"dropping partitions", {"SELECT kin_tr._drop_next_partition() IS NOT NULL", ""}},
	{"trimming default partitions", {"SELECT kin_tr._trim_defaults(500) > 0", ""}},
};

static void
do_chore(void *context)
{
	Chore	   *chore = context;

	pgstat_report_activity(STATE_RUNNING, chore->name);
	do
		CHECK_FOR_INTERRUPTS();
	while (kt_loop_piece(&chore->piece));
}

/* Success is told only where all is done; a table that was locked is no fault either. */
void
kt_housekeeper_main(const KtPost *post)
{
	TimestampTz began = GetCurrentTimestamp();
	bool		paused;
	bool		all_done = true;

	kt_loop_enter(post, "housekeeper", false);
	if (!kt_loop_may_act(&paused))
	{
		(void) kt_slots_report(began, paused, true);
		proc_exit(0);
	}
	for (int i = 0; i < lengthof(chores); i++)
	{
		ErrorData  *error = kt_loop_attempt(do_chore, &chores[i]);

		if (error == NULL)
			continue;
		all_done = false;
		if (error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE)
			continue;
		ereport(LOG,
				(errcode(error->sqlerrcode),
				 errmsg("kin_tr: %s failed: %s", chores[i].name, error->message)));
		kt_slots_note_error(KT_DUTY_HOUSEKEEPING, error->sqlerrcode, error->message ? error->message : "");
	}
	if (all_done)
		kt_slots_note_success(KT_DUTY_HOUSEKEEPING);
	(void) kt_slots_report(began, paused, true);
	proc_exit(0);
}
