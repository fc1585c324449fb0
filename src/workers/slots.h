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

#include "datatype/timestamp.h"

/* The workers of a database. */
typedef enum KtWorkerKind
{
	KT_WORKER_ROUTER,
	KT_WORKER_RELAY,
	KT_WORKER_HOUSEKEEPER,		/* makes and drops partitions, and ends */
	KT_WORKER_SCOUT,			/* looks whether the extension is there, and ends */
	KT_WORKER_KINDS
} KtWorkerKind;

extern const char *kt_worker_kind_name(KtWorkerKind kind);

#define KT_MAX_DATABASES 128

typedef struct KtSlots KtSlots;

/* What a worker has to do, each with errors of its own. */
typedef enum KtDuty
{
	KT_DUTY_TURN,
	KT_DUTY_HOUSEKEEPING,
	KT_DUTY_SWEEP,
	KT_DUTIES
} KtDuty;

/* Bytes of an error's message that are kept, in the database's encoding. */
#define KT_NOTE_LENGTH 200

/* How a duty fares.  Times are TimestampTz; 0: never. */
typedef struct KtNote
{
	int64		succeeded_at;
	int			errors;			/* in a row, since it last succeeded */
	int64		failed_at;
	int			sqlstate;		/* of the last error, as are the next */
	char		message[KT_NOTE_LENGTH];
} KtNote;

/* What the router remembers. */
typedef struct KtRouterSize
{
	int64		bytes;
	int32		groups;
	int32		workers;
	int32		classes;
} KtRouterSize;

/* What health() tells of a worker. */
typedef struct KtWorkerState
{
	int			pid;			/* 0: not running */
	int64		started_at;		/* TimestampTz */
	int64		last_turn;		/* TimestampTz: the last whole one's end */
	int64		seen_up_to;		/* TimestampTz: the last whole one's beginning */
	int64		age;			/* microseconds since the last whole turn, by kt_monotonic() */
	bool		paused;			/* clock set, copy, switched off, or another has its role */
	bool		missing;		/* found no room, for want of max_worker_processes */
	int			failures;		/* ends in a row that nobody asked for */
	KtNote		notes[KT_DUTIES];
	KtRouterSize size;
} KtWorkerState;

extern void kt_slots_request(void);	/* in _PG_init: asks for the memory */
extern bool kt_slots_exist(void);

/* Does this database have the extension?  Told by scouts and CREATE EXTENSION. */
extern void kt_slots_set_extension(Oid database, bool exists);
extern bool kt_slots_has_extension(Oid database);	/* as far as it is known */
extern int	kt_slots_databases(Oid *databases, int most);	/* with the extension */

/* A worker enters itself, tells of its turns, and leaves at its end. */
extern void kt_slots_enter(Oid database, KtWorkerKind kind);
/*
 * A turn, when it began, and whether it has got through with all that there was.  True
 * once, when all workers of the database have had one.
 */
extern bool kt_slots_report(TimestampTz began, bool paused, bool whole);
extern KtWorkerState kt_slots_state(Oid database, KtWorkerKind kind);

/*
 * A worker tells how its duties fare, and the router what it remembers.  Of
 * the turn the loop tells.  Elsewhere, as in tick(), they do nothing.
 */
extern void kt_slots_note_error(KtDuty duty, int sqlstate, const char *message);
extern void kt_slots_note_success(KtDuty duty);
extern void kt_slots_note_router(const KtRouterSize *size);

/*
 * Is one to run in this database, which has the extension?  Where workers are switched
 * on, there was room for it, and the launcher is alive to start it, or is to be started
 * itself.
 */
extern bool kt_slots_router_expected(void);
extern bool kt_slots_relay_expected(void);

/* Seconds until the launcher is started again, however it ended. */
#define KT_LAUNCHER_RESTART 1

/* Wakes a worker of this database, or the launcher; where there is none, the launcher is looked for. */
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

/* One that found no room, for want of max_worker_processes, or has found some. */
extern void kt_slots_set_missing(Oid database, KtWorkerKind kind, bool missing);

/* Of a kind these, and no others. */
extern void kt_slots_set_all_missing(KtWorkerKind kind, const Oid *databases, int n);

/* Those of the cluster; an array of KT_MAX_DATABASES * KT_WORKER_KINDS holds them all. */
typedef struct KtMissing
{
	Oid			database;
	KtWorkerKind kind;
} KtMissing;

extern int	kt_slots_missing(KtMissing *missing);

#endif							/* KIN_TR_WORKERS_SLOTS_H */
