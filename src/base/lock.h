/*
 * lock.h
 *		Heavyweight locks in a class of kin_tr's own.
 *
 * They are advisory locks of a class that pg_advisory_lock() cannot name, so
 * no user can take one by accident or by design.
 */
#ifndef KIN_TR_BASE_LOCK_H
#define KIN_TR_BASE_LOCK_H

#include "postgres.h"

#include "storage/lock.h"

#include "base/sid.h"

/* What only one process of a database may be at a time. */
typedef enum KtRole
{
	KT_ROLE_ROUTER = 1,
	KT_ROLE_RELAY,
	KT_ROLE_MAINTENANCE,
	KT_ROLE_ERA
} KtRole;

/* Held by the session until released; false where somebody else has it. */
extern bool kt_lock_role_for_session(KtRole role);
extern void kt_unlock_role(KtRole role);

/* Held until the end of the transaction. */
extern bool kt_lock_role(KtRole role, bool wait);

/* Gives up before its end what kt_lock_role() has got. */
extern void kt_release_role(KtRole role);

/* A lock on an object, until the end of the transaction; false: not granted. */
extern bool kt_lock_object(const KtSid *sid, LOCKMODE mode, bool conditional);

#endif							/* KIN_TR_BASE_LOCK_H */
