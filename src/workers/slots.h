/*
 * slots.h
 *		Shared memory: which database has which workers, to wake them.
 *
 * What is in it is a hint and no truth.  Without shared_preload_libraries there
 * is none, and no workers either.
 */
#ifndef KIN_TR_WORKERS_SLOTS_H
#define KIN_TR_WORKERS_SLOTS_H

#include "postgres.h"

/* The workers of a database. */
typedef enum KtWorkerKind
{
	KT_WORKER_ROUTER,
	KT_WORKER_RELAY,
	KT_WORKER_SCOUT,			/* looks whether the extension is there, and ends */
	KT_WORKER_KINDS
} KtWorkerKind;

#define KT_MAX_DATABASES 128

typedef struct KtSlots KtSlots;

/* What health() tells of a worker. */
typedef struct KtWorkerState
{
	int			pid;			/* 0: not running */
	int64		started_at;		/* TimestampTz */
	int64		last_turn;		/* TimestampTz */
	bool		paused;			/* clock set, copy, switched off, or another has its role */
} KtWorkerState;

extern void kt_slots_request(void);	/* in _PG_init: asks for the memory */
extern bool kt_slots_exist(void);

/* Does this database have the extension?  Told by scouts and CREATE EXTENSION. */
extern void kt_slots_set_extension(Oid database, bool exists);
extern int	kt_slots_databases(Oid *databases, int most);	/* with the extension */

/* A worker enters itself, tells of its turns, and leaves at its end. */
extern void kt_slots_enter(Oid database, KtWorkerKind kind);
extern void kt_slots_report(bool paused);
extern KtWorkerState kt_slots_state(Oid database, KtWorkerKind kind);

/* Wakes a worker of this database, or the launcher. */
extern void kt_slots_wake(KtWorkerKind kind);
extern void kt_slots_enter_launcher(void);
extern void kt_slots_wake_launcher(void);
extern KtWorkerState kt_slots_launcher_state(void);

/*
 * While a backend holds a database, no worker runs in it: for DROP DATABASE and
 * its like.  A hold ends with the backend at the latest.
 */
extern void kt_slots_hold(Oid database);
extern void kt_slots_release(void);
extern bool kt_slots_is_held(Oid database);

/* Could not be started, for want of max_worker_processes. */
extern void kt_slots_set_missing(int missing);
extern int	kt_slots_missing(void);

#endif							/* KIN_TR_WORKERS_SLOTS_H */
