/*
 * event.h
 *		Writing to the event log.
 */
#ifndef KIN_TR_EVENTS_EVENT_H
#define KIN_TR_EVENTS_EVENT_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "base/sid.h"

/*
 * One event.  Sids that it has nothing to do with are all zero.  A document is
 * the id of the event that holds the attributes which the task or worker had
 * when this event happened: attributes may be large, and a task has a dozen
 * events, so they are written down only where they changed.
 */
typedef struct KtEvent
{
	const char *type;			/* task.created; a constant */
	int64		id;				/* by kt_event_id() */
	TimestampTz date;			/* by kin_tr's clock */
	KtSid		workspace;
	KtSid		resource;
	KtSid		task;
	KtSid		reservation;
	KtSid		worker;
	KtSid		workflow;
	KtSid		task_queue;
	KtSid		task_channel;
	int64		task_document;	/* 0: none */
	int64		worker_document;
	Jsonb	   *data;			/* the rest, under Twilio's names; NULL: as the task_document's */
} KtEvent;

/*
 * Draws an event's id.  The caller must hold the lock on the object's row, so
 * that an object's events have rising ids in the order in which they happened.
 * Ids are drawn several at a time, for one call; so whoever locks a row gives up
 * those that are left, which may be smaller than what others have given to events
 * of the same object until then.
 */
extern int64 kt_event_id(void);
extern void kt_event_give_up_ids(void);

/*
 * Adds an event to those that kt_events_flush() writes.  A function flushes
 * before it returns, so nothing waits there for the end of the transaction.
 */
extern void kt_event_add(const KtEvent *event);
extern void kt_events_flush(void);

/*
 * Those of the events that wait to be flushed which lean on this document, and
 * are in its queue or in none, are written without data of their own: a new
 * task has four events that would all say the same.
 */
extern void kt_events_share_data(const KtEvent *document);

/* Builds the data of an event, keys in any order. */
typedef struct KtData
{
	JsonbParseState *state;
} KtData;

extern void kt_data_begin(KtData *data);
extern void kt_data_string(KtData *data, const char *key, const char *value);	/* NULL: left out */
extern void kt_data_integer(KtData *data, const char *key, int64 value);	/* as a string, as Twilio does */
extern void kt_data_sid(KtData *data, const char *key, const KtSid *sid);	/* null: left out */
extern void kt_data_null(KtData *data, const char *key);
extern void kt_data_jsonb(KtData *data, const char *key, Jsonb *value);
extern Jsonb *kt_data_end(KtData *data);

/* Twilio's types, and those of kin_tr's own. */
extern bool kt_event_type_exists(const char *type);

/* Called once per transaction that wrote events, at its commit. */
extern void (*kt_events_committed) (void);

#endif							/* KIN_TR_EVENTS_EVENT_H */
