/*
 * quarantine.h
 *		Objects that fail by themselves: told of, and tried ever more rarely.
 */
#ifndef KIN_TR_ROUTING_QUARANTINE_H
#define KIN_TR_ROUTING_QUARANTINE_H

#include "postgres.h"

#include "base/sid.h"
#include "routing/batch.h"
#include "routing/retry.h"

typedef struct KtQuarantine KtQuarantine;

extern KtQuarantine *kt_quarantine_create(MemoryContext context, KtRetries *retries);

/*
 * An object has failed in a step of the router's work ("timer", "assignment"
 * ...): from now on the retries know it, the table from the next
 * kt_quarantine_write() on.
 */
extern void kt_quarantine_note(KtQuarantine *quarantine, const KtSid *object, KtRetryKind kind,
							   const char *step, const ErrorData *error);

/* Writes what has been noted, and removes what is well again, in transactions of their own. */
extern void kt_quarantine_write(KtQuarantine *quarantine, const KtTransactions *transactions);

/* Forgets all and reads the table; inside kt_spi_begin() .. end(). */
extern void kt_quarantine_load(KtQuarantine *quarantine);

/* It has changed, or is gone: whatever was wrong with it may no longer be. */
extern void kt_quarantine_release(KtQuarantine *quarantine, const KtSid *object);

/* What somebody else has released since is due at once; inside kt_spi_begin() .. end(). */
extern void kt_quarantine_refresh(KtQuarantine *quarantine);

#endif							/* KIN_TR_ROUTING_QUARANTINE_H */
