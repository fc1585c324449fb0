/*
 * lock.c
 *		Heavyweight locks in a class of kin_tr's own.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/inval.h"

#include "base/lock.h"
#include "base/monotonic.h"

/* PostgreSQL's advisory locks are of classes 1 and 2. */
#define CLASS_ROLE		0x4B01
#define CLASS_OBJECT	0x4B02

/* Microseconds: a process that was killed gives back nothing before all others are ended. */
#define PATIENCE (10 * INT64CONST(1000))

static LOCKTAG
role_tag(KtRole role)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, (uint32) role, CLASS_ROLE);
	return tag;
}

bool
kt_lock_role_for_session(KtRole role)
{
	LOCKTAG		tag = role_tag(role);

	return LockAcquire(&tag, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL;
}

void
kt_unlock_role(KtRole role)
{
	LOCKTAG		tag = role_tag(role);

	(void) LockRelease(&tag, ExclusiveLock, true);
}

bool
kt_lock_role(KtRole role, bool wait)
{
	LOCKTAG		tag = role_tag(role);

	return LockAcquire(&tag, ExclusiveLock, false, !wait) != LOCKACQUIRE_NOT_AVAIL;
}

void
kt_release_role(KtRole role)
{
	LOCKTAG		tag = role_tag(role);

	(void) LockRelease(&tag, ExclusiveLock, false);
}

/* A transaction that has ended gives back its locks one after the other. */
static bool
are_being_released(const LOCKTAG *tag, LOCKMODE mode)
{
	int			n;
	VirtualTransactionId *holders = GetLockConflicts(tag, mode, &n);

	pfree(holders);
	return n == 0;
}

/* Waits for nobody but those who have ended already, and that not for long. */
static LockAcquireResult
try_lock(const LOCKTAG *tag, LOCKMODE mode)
{
	int64		until = kt_monotonic() + PATIENCE;
	LockAcquireResult result;

	while ((result = LockAcquire(tag, mode, false, true)) == LOCKACQUIRE_NOT_AVAIL &&
		   kt_monotonic() < until && are_being_released(tag, mode))
	{
		CHECK_FOR_INTERRUPTS();
		pg_usleep(100);
	}
	return result;
}

bool
kt_lock_object(const KtSid *sid, LOCKMODE mode, bool conditional)
{
	LOCKTAG		tag;
	uint64		hash = kt_sid_hash64(sid);
	LockAcquireResult result;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) (hash >> 32), (uint32) hash, CLASS_OBJECT);
	result = conditional ? try_lock(&tag, mode) : LockAcquire(&tag, mode, false, false);
	if (result == LOCKACQUIRE_NOT_AVAIL)
		return false;
	/* Whoever held it may have changed what this backend remembers. */
	if (result == LOCKACQUIRE_OK)
		AcceptInvalidationMessages();
	return true;
}
