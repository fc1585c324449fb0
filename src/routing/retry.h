/*
 * retry.h
 *		What the router comes back to: rows that somebody held, and bad ones.
 *
 * A rollback tells nobody, so a row that was locked is tried again after 10 ms,
 * doubling to a second; a move, for which nobody waits, after a second, doubling to
 * a minute.  A row that failed by itself is in quarantine, and is
 * tried ever more rarely.
 */
#ifndef KIN_TR_ROUTING_RETRY_H
#define KIN_TR_ROUTING_RETRY_H

#include "postgres.h"

#include "base/sid.h"

/* What to do then. */
typedef enum KtRetryKind
{
	KT_RETRY_LOOK,				/* read the object again */
	KT_RETRY_TIMER,				/* fire its timer, which was due */
	KT_RETRY_MOVE,				/* move the task, which is finished, to history */
	KT_RETRY_KINDS
} KtRetryKind;

typedef struct KtRetries KtRetries;

extern KtRetries *kt_retries_create(MemoryContext context);

/* Forgets all, or all but what is in quarantine. */
extern void kt_retries_clear(KtRetries *retries, bool quarantine);

/* It was busy.  What is in quarantine stays there. */
extern void kt_retry_busy(KtRetries *retries, const KtSid *sid, KtRetryKind kind);

/* It was due, and has not been tried. */
extern void kt_retry_at_once(KtRetries *retries, const KtSid *sid, KtRetryKind kind);

/*
 * It has failed: into quarantine, or on in it.  Returns how often it has failed,
 * and in *wait after how many microseconds it is tried again.
 */
extern int	kt_retry_failed(KtRetries *retries, const KtSid *sid, KtRetryKind kind, int64 *wait);

/* Into quarantine as it was before, to be tried after so many microseconds. */
extern void kt_retry_keep(KtRetries *retries, const KtSid *sid, KtRetryKind kind, int failures, int64 wait);

/* It has changed, or is gone.  True where it was in quarantine.  A move or a timer is tried at once. */
extern bool kt_retry_forget(KtRetries *retries, const KtSid *sid);

/* Is it in quarantine, and not to be tried now? */
extern bool kt_retry_is_kept(KtRetries *retries, const KtSid *sid);
extern bool kt_retry_is_kept_as(KtRetries *retries, const KtSid *sid, KtRetryKind kind);
extern bool kt_retries_keep_any(const KtRetries *retries);

/* All that is in quarantine, in the current context. */
typedef struct KtKept
{
	KtSid		sid;
	KtRetryKind kind;
	int			failures;
} KtKept;

extern KtKept *kt_retries_kept(KtRetries *retries, int *n);
extern bool kt_retry_is_known(KtRetries *retries, const KtSid *sid);

/*
 * Those of a kind that are due, at most so many, in the current context.  Who
 * does not say within three seconds that one was busy, or has failed, says that
 * all is well; *recovered are those of the quarantine for which that is so.
 */
extern KtSid *kt_retries_due(KtRetries *retries, KtRetryKind kind, int most, int *n);
extern KtSid *kt_retries_recovered(KtRetries *retries, int *n);

extern bool kt_retries_are_due(KtRetries *retries, KtRetryKind kind);

/* In how many microseconds the next one is due, but moves; PG_INT64_MAX: none. */
extern int64 kt_retries_wait(KtRetries *retries);

#endif							/* KIN_TR_ROUTING_RETRY_H */
