/*
 * process.h
 *		What lower rooms may ask of the processes, which belong to the highest.
 */
#ifndef KIN_TR_BASE_PROCESS_H
#define KIN_TR_BASE_PROCESS_H

#include "postgres.h"

/*
 * Is a router, or a relay, to run in this database, though it may be just on
 * its way?  NULL where there are no processes at all, without
 * shared_preload_libraries: ask by the functions below.
 */
extern bool (*kt_router_expected_hook) (void);
extern bool (*kt_relay_expected_hook) (void);

extern bool kt_router_is_expected(void);
extern bool kt_relay_is_expected(void);

#endif							/* KIN_TR_BASE_PROCESS_H */
