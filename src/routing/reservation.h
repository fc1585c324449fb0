/*
 * reservation.h
 *		A reservation: the offer of a task to a worker, and the work on it.
 */
#ifndef KIN_TR_ROUTING_RESERVATION_H
#define KIN_TR_ROUTING_RESERVATION_H

#include "postgres.h"

#include "routing/task.h"
#include "routing/worker.h"

typedef enum KtReservationStatus
{
	KT_RESERVATION_NEW,			/* before it is created */
	KT_RESERVATION_PENDING,
	KT_RESERVATION_ACCEPTED,
	KT_RESERVATION_WRAPPING,
	KT_RESERVATION_COMPLETED,
	KT_RESERVATION_REJECTED,
	KT_RESERVATION_TIMEOUT,
	KT_RESERVATION_CANCELED,
	KT_RESERVATION_RESCINDED
} KtReservationStatus;

typedef struct KtReservation
{
	KtSid		sid;
	KtSid		workspace;
	int64		version;
	KtReservationStatus status;
	KtSid		task;
	KtSid		worker;
	char	   *worker_name;
	KtSid		task_channel;
	TimestampTz date_created;
	TimestampTz date_updated;
	TimestampTz times_out_at;
	HeapTuple	row;			/* as it was read, or written last */
} KtReservation;

/* Does it take a slot of its worker's channel? */
extern bool kt_reservation_is_open(KtReservationStatus status);

/* NULL where there is none. */
extern KtReservation *kt_reservation_read(const KtSid *sid, bool lock);

/* The open ones of a task, locked, by sid. */
extern KtReservation **kt_reservations_of_task(const KtSid *task, int *count);

/* The router's, before it ends them: locks them all, or false where somebody has one. */
extern bool kt_reservations_try_lock(const KtSid *task);

/*
 * The transition function: the only one to set a reservation's status.  It
 * stores the row and adds the event.  An edge that the table in reservation.c
 * does not have is error KT001, or KT007 where the reservation has ended.
 */
extern void kt_reservation_transition(KtConfig *config, KtReservation *reservation,
									  const KtTask *task, KtReservationStatus to,
									  const char *reason, TimestampTz now);

/*
 * Offers a task to a worker.  The caller holds the locks of both, moves the
 * task to reserved and stores it.
 */
extern KtSid kt_reservation_create(KtConfig *config, const KtTask *task,
								   const KtWorkerCard *worker, int32 timeout, TimestampTz now);

/* Moves all pending ones of a task but one (or none) to a state. */
extern void kt_reservations_end_pending(KtConfig *config, const KtTask *task, const KtSid *but,
										KtReservationStatus to, TimestampTz now);

/*
 * The router's: a pending reservation whose time is over, as it was read a moment ago;
 * *fired where it timed out.  False where somebody has it locked, who is perhaps just accepting it, or
 * its worker, who is to be moved to the workspace's time-out activity.
 */
extern bool kt_reservation_time_out(KtConfig *config, KtReservation *reservation, TimestampTz now,
									bool *fired);

/* Rejects a worker's pending reservations, and tells whether it has any, of what is committed by now. */
extern void kt_reservations_reject_of_worker(KtConfig *config, const KtSid *worker, TimestampTz now);
extern bool kt_reservations_are_pending(const KtSid *worker);

#endif							/* KIN_TR_ROUTING_RESERVATION_H */
