/*
 * workers.h
 *		The processes: how they are registered, and their entry points.
 */
#ifndef KIN_TR_WORKERS_WORKERS_H
#define KIN_TR_WORKERS_WORKERS_H

#include "postgres.h"

#include "base/compat.h"
#include "workers/loop.h"

/* In _PG_init, under shared_preload_libraries. */
extern void kt_launcher_register(void);

/* Watches the commands that workers would be in the way of. */
extern void kt_utility_hook_install(void);

/* Do not return. */
pg_noreturn extern void kt_router_worker_main(const KtPost *post);
pg_noreturn extern void kt_relay_worker_main(const KtPost *post);
pg_noreturn extern void kt_housekeeper_main(const KtPost *post);
pg_noreturn extern void kt_scout_main(const KtPost *post);

#endif							/* KIN_TR_WORKERS_WORKERS_H */
