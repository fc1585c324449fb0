/*
 * task.h
 *		A task: its row, its states, and what moves it between them.
 */
#ifndef KIN_TR_ROUTING_TASK_H
#define KIN_TR_ROUTING_TASK_H

#include "postgres.h"

#include "access/htup.h"
#include "datatype/timestamp.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

#include "base/sid.h"
#include "events/event.h"
#include "routing/config.h"

typedef enum KtTaskStatus
{
	KT_TASK_NEW,				/* before it is created */
	KT_TASK_PENDING,
	KT_TASK_RESERVED,
	KT_TASK_ASSIGNED,
	KT_TASK_WRAPPING,
	KT_TASK_COMPLETED,
	KT_TASK_CANCELED,
	KT_TASK_DELETED
} KtTaskStatus;

/* A moment that a column has NULL for. */
#define KT_NEVER	DT_NOEND

/* An assigned task is deleted by the system after so long. */
#define KT_ASSIGNED_LIMIT	(24 * USECS_PER_HOUR)

/* filter of a task that no workflow places: routed directly */
#define KT_DIRECT	(-1)

typedef struct KtTask
{
	KtSid		sid;
	KtSid		workspace;
	int64		version;
	bool		version_raised; /* for the change that is to be stored */
	KtTaskStatus status;
	Jsonb	   *attributes;
	bool		attributes_changed; /* kt_task_store() writes them only then */
	int32		priority;
	int32		timeout;		/* TTL in seconds */
	char	   *reason;			/* of its end; or NULL */
	KtSid		workflow;		/* null where routed to a worker or queue directly */
	int32		workflow_version;
	int32		filter;			/* of the workflow; nfilters is the default_filter */
	int32		target;
	KtSid		task_queue;		/* null where routed to a worker directly */
	KtSid		task_channel;
	KtSid		routing_target;
	bool		ignore_capacity;
	TimestampTz date_created;
	TimestampTz date_updated;
	TimestampTz queue_entered;
	TimestampTz virtual_start_time;
	TimestampTz not_before;		/* a callback is not offered before; KT_NEVER: none */
	TimestampTz deadline_base;	/* cumulative deadline of the steps so far */
	TimestampTz step_deadline;	/* KT_NEVER: the step has none */
	TimestampTz expires_at;		/* TTL */
	TimestampTz wake_at;		/* when the router must look at it, at the latest */
	bool		step_tried;		/* skip_if of this step has been looked at */
	int32		assignments;	/* how often it was reserved */
	int32		open_reservations;	/* pending, accepted or wrapping */
	bool		waiting;		/* has a group */
	pg_uuid_t	group;
	int64		key1;
	int64		key2;
	int64		document;		/* event that holds its attributes */
	HeapTuple	row;			/* as it was read, or written last */
} KtTask;

extern const char *kt_task_status_name(KtTaskStatus status);

/* NULL where there is no such live task.  lock: FOR NO KEY UPDATE. */
extern KtTask *kt_task_read(const KtSid *sid, bool lock);
extern bool kt_task_try_lock(const KtSid *sid, KtTask **task);	/* false: locked by another */
extern void kt_task_insert(KtTask *task);

/* Writes back what changed, with the next version and date_updated. */
extern void kt_task_store(KtTask *task, TimestampTz now);

/* The same for what no user sees change: when it is woken, what was tried. */
extern void kt_task_store_unseen(KtTask *task);

/* Raises the version ahead of kt_task_store(), for events that are told before it. */
extern void kt_task_raise_version(KtTask *task);
extern void kt_task_delete(KtTask *task, TimestampTz now);

/*
 * The transition function: the only one to set status.  An edge that the table
 * in task.c does not have is error KT001.
 */
extern void kt_task_transition(KtTask *task, KtTaskStatus to);

/* Adds an event about the task; data as begun by kt_task_data(), or NULL for just that. */
extern void kt_task_event(KtConfig *config, const KtTask *task, const char *type, TimestampTz now);
extern void kt_task_data(KtConfig *config, const KtTask *task, KtData *data, TimestampTz now);
extern KtEvent kt_task_event_base(const KtTask *task, const char *type, TimestampTz now);

/*
 * Moves that need more than one row.  The caller holds the task's lock; they
 * store the task and flush nothing.
 */

/* reserved -> pending, or on to the next step, or canceled, by the time that it is. */
extern void kt_task_return(KtConfig *config, KtTask *task, TimestampTz now);

/* pending or reserved -> canceled, with its pending reservations. */
extern void kt_task_cancel(KtConfig *config, KtTask *task, const char *reason, TimestampTz now);

/* assigned or wrapping -> completed, with its reservations. */
extern void kt_task_complete(KtConfig *config, KtTask *task, const char *reason, TimestampTz now);

/*
 * Replaces a task's attributes, or merges keys into them, with the event that
 * documents it; the caller stores the task.
 */
extern void kt_task_set_attributes(KtConfig *config, KtTask *task, Jsonb *attributes, TimestampTz now);
extern void kt_task_merge_attributes(KtConfig *config, KtTask *task, Jsonb *keys, TimestampTz now);

/* assigned -> wrapping */
extern void kt_task_wrap_up(KtConfig *config, KtTask *task, TimestampTz now);

/*
 * Does what is due for a task at its wake_at: TTL, step deadline, a callback's
 * time, the system's deletion.  What it did is told for tick().
 */
typedef enum KtDue
{
	KT_DUE_NOTHING,				/* woken too early: wake_at was moved on */
	KT_DUE_BUSY,				/* somebody has a row locked that is to be changed */
	KT_DUE_ENTERED,				/* a callback's time has come */
	KT_DUE_MOVED,				/* on to the next step */
	KT_DUE_CANCELED,
	KT_DUE_DELETED
} KtDue;

extern KtDue kt_task_due(KtConfig *config, KtTask *task, TimestampTz now);

/* Its step found nobody and is skipped: KT_DUE_MOVED or KT_DUE_CANCELED. */
extern KtDue kt_task_skip_step(KtConfig *config, KtTask *task, TimestampTz now);

/* Its workflow was updated with re_evaluate_tasks: through the new version from the top; likewise. */
extern KtDue kt_task_evaluate_again(KtConfig *config, KtTask *task, TimestampTz now);

#endif							/* KIN_TR_ROUTING_TASK_H */
