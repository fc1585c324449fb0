/*
 * log.h
 *		Events by the transaction that wrote them, without an executor.
 */
#ifndef KIN_TR_EVENTS_LOG_H
#define KIN_TR_EVENTS_LOG_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "utils/rel.h"

#include "base/columns.h"
#include "base/sid.h"

/* The columns of the table events, and of its partitions. */
typedef enum KtEventColumn
{
	KT_EVENT_ID, KT_EVENT_XID, KT_EVENT_ERA, KT_EVENT_RECORDED_AT, KT_EVENT_DATE,
	KT_EVENT_WORKSPACE, KT_EVENT_TYPE, KT_EVENT_RESOURCE, KT_EVENT_TASK, KT_EVENT_RESERVATION,
	KT_EVENT_WORKER, KT_EVENT_WORKFLOW, KT_EVENT_QUEUE, KT_EVENT_CHANNEL, KT_EVENT_TASK_DOCUMENT,
	KT_EVENT_WORKER_DOCUMENT, KT_EVENT_ACTOR, KT_EVENT_DATA, KT_EVENT_NCOLUMNS
} KtEventColumn;

extern const KtShape kt_event_shape;

/*
 * Oids of the partitions of the table events whose range meets since..until.
 * Where that has a gap the default partition may have rows of it.
 */
extern List *kt_log_partitions(Relation events, TimestampTz since, TimestampTz until);

/* What the workers read of an event. */
typedef struct KtEventRef
{
	int64		id;
	int32		era;
	uint64		xid;
	TimestampTz date;			/* event_date: by kin_tr's clock */
	char	   *type;
	KtSid		workspace;
	KtSid		resource;
	KtSid		task;
	KtSid		worker;
	KtSid		reservation;
	KtSid		channel;
} KtEventRef;

/* A list of them that grows, in a context of its owner's. */
typedef struct KtEventRefs
{
	MemoryContext context;
	int			length;
	int			capacity;
	KtEventRef *items;
} KtEventRefs;

/* An event that has been found, to be looked at before the next one is. */
typedef struct KtLogRow
{
	int64		id;
	int32		era;
	uint64		xid;
	const struct KtLogPartition *partition;
} KtLogRow;

/* What is done with each, and how it goes on. */
typedef enum KtVisit
{
	KT_GO_ON,
	KT_NEXT_TRANSACTION,		/* what else this one wrote may be left out */
	KT_ENOUGH
} KtVisit;

typedef KtVisit (*KtLogVisit) (const KtLogRow *row, void *arg);

extern void kt_log_append(KtEventRefs *refs, const KtLogRow *row);

/*
 * The partitions of what was recorded since a moment, open for reading under
 * the active snapshot.
 */
typedef struct KtLog KtLog;

extern KtLog *kt_log_open(TimestampTz since);
extern void kt_log_close(KtLog *log);

/*
 * Locks all that reading the log may lock, in the order in which commands on a
 * table lock its indexes: who takes one index now and another one later in its
 * transaction waits in a circle with a REINDEX between.
 */
extern void kt_log_lock(void);

/*
 * Visit what is there, in no order: of an era's transactions from..to; of later
 * eras; of one transaction, with an id above after.  False where the visitor
 * had enough.
 */
extern bool kt_log_read(KtLog *log, int32 era, uint64 from, uint64 to, KtLogVisit visit, void *arg);
extern bool kt_log_read_later_eras(KtLog *log, int32 era, KtLogVisit visit, void *arg);
extern bool kt_log_read_above(KtLog *log, int64 after, uint64 xid, KtLogVisit visit, void *arg);

/* How far the rows of a transaction have been read; at first all zeros. */
typedef struct KtLogPlace
{
	Oid			partition;
	int64		id;				/* of the last one in it */
} KtLogPlace;

/*
 * Appends the next ones of a transaction, at most so many, and moves the place behind
 * them; false where there are no more.  Where its partition was dropped meanwhile, it
 * begins anew: some come twice.
 */
extern bool kt_log_read_piece(KtLog *log, int32 era, uint64 xid, KtLogPlace *place, int limit,
							  KtEventRefs *refs);

/* The highest xid of an era's events, those of but left out; 0 where there is none. */
extern uint64 kt_log_highest_xid(KtLog *log, int32 era, uint64 but);

#endif							/* KIN_TR_EVENTS_LOG_H */
