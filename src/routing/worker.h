/*
 * worker.h
 *		A worker: what others need of its row, and its change of activity.
 */
#ifndef KIN_TR_ROUTING_WORKER_H
#define KIN_TR_ROUTING_WORKER_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "base/row.h"
#include "base/sid.h"
#include "events/event.h"
#include "routing/config.h"

/* What events and reservations tell of a worker. */
typedef struct KtWorkerCard
{
	KtSid		sid;
	KtSid		workspace;
	int64		version;
	const char *friendly_name;
	KtSid		activity;
	TimestampTz date_status_changed;
	int64		document;		/* event that holds its attributes */
} KtWorkerCard;

/* False where there is no such worker.  lock: FOR NO KEY UPDATE. */
extern bool kt_worker_read(const KtSid *sid, bool lock, KtWorkerCard *card);

/* The router's look before it reserves: FOR SHARE, and false where it would wait. */
extern bool kt_worker_try_share(const KtSid *sid, KtWorkerCard *card);

/*
 * The router's look before it moves a worker to an activity, of which it makes
 * sure, too: FOR NO KEY UPDATE, and KT_ROW_BUSY where it would wait.
 */
extern KtRowResult kt_worker_try_lock(const KtSid *sid, const KtSid *activity, KtWorkerCard *card);

/* Fills in an event what it tells of a worker. */
extern void kt_worker_data(KtConfig *config, const KtWorkerCard *card, KtData *data);

/*
 * An activity that a worker is to move to, by its name or SID; it stays until the
 * end of the transaction.  An error where it is not there.
 */
extern KtSid kt_worker_resolve_activity(KtConfig *config, const char *called, const KtSid *workspace);

/*
 * Moves a locked worker to an activity that is kept, and adds the event; nothing
 * where it is there already.  Its pending reservations stay.
 */
extern void kt_worker_set_activity(KtConfig *config, KtWorkerCard *card, const KtSid *activity,
								   TimestampTz now);

#endif							/* KIN_TR_ROUTING_WORKER_H */
