/*
 * kin_tr.c
 *		The door: what happens when the library is loaded.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"

#include "base/guc.h"
#include "base/process.h"
#include "events/event.h"
#include "workers/slots.h"
#include "workers/workers.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

/* What was committed is work for the router and news for the relay. */
static void
wake_workers(void)
{
	kt_slots_wake(KT_WORKER_ROUTER);
	kt_slots_wake(KT_WORKER_RELAY);
}

/*
 * Without shared_preload_libraries the extension works all the same: tick() and
 * ring() do what the workers would.
 */
void
_PG_init(void)
{
	kt_guc_define();
	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;
	kt_events_committed = wake_workers;
	kt_router_expected_hook = kt_slots_router_expected;
	kt_relay_expected_hook = kt_slots_relay_expected;
	kt_slots_request();
	kt_utility_hook_install();
	kt_launcher_register();
}
