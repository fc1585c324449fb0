/*
 * retry.c
 *		What the router comes back to: rows that somebody held, and bad ones.
 *
 * An entry that has been handed out as due stays for three seconds: if the row
 * is still locked, it is given more time than the last time; if nothing is heard
 * of it, all is well, and the entry goes.
 */
#include "postgres.h"

#include "lib/pairingheap.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "base/monotonic.h"
#include "routing/retry.h"

/* Microseconds. */
#define FIRST_WAIT		INT64CONST(10000)
#define LAST_WAIT		INT64CONST(1000000)
#define REMEMBERED		(3 * LAST_WAIT)
#define FIRST_MOVE_WAIT	INT64CONST(1000000)
#define LAST_MOVE_WAIT	(60 * FIRST_MOVE_WAIT)

/* Where much is locked, so much more for each, so that it is no more than 10,000 a second. */
#define WAIT_FOR_EACH	INT64CONST(100)

/* Of what is in quarantine: a second, doubling to an hour. */
#define FIRST_PENANCE	INT64CONST(1000000)
#define LAST_PENANCE	(INT64CONST(3600) * FIRST_PENANCE)

typedef struct Key
{
	KtSid		sid;
	uint8		kind;
} Key;

StaticAssertDecl(sizeof(Key) == sizeof(KtSid) + 1, "a key has no padding");

typedef struct Retry
{
	Key			key;			/* hash key */
	bool		handed_out;		/* and nothing heard of it since */
	bool		kept;			/* in quarantine */
	int			tries;			/* how often it was busy in a row, or has failed */
	int64		at;				/* by the monotonic clock */
	pairingheap_node node;
} Retry;

struct KtRetries
{
	MemoryContext context;
	HTAB	   *by_key;
	pairingheap *by_time[KT_RETRY_KINDS];
	int			n[KT_RETRY_KINDS];
	int			nkept;
	int			nrecovered;
	int			recovered_capacity;
	KtSid	   *recovered;
};

/* The heap's first is its greatest: what is due first. */
static int
compare_times(const pairingheap_node *a, const pairingheap_node *b, void *arg)
{
	const Retry *x = pairingheap_const_container(Retry, node, a);
	const Retry *y = pairingheap_const_container(Retry, node, b);

	return x->at < y->at ? 1 : x->at > y->at ? -1 : 0;
}

KtRetries *
kt_retries_create(MemoryContext parent)
{
	MemoryContext context = AllocSetContextCreate(parent, "kin_tr retries", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	KtRetries  *retries = palloc0(sizeof(KtRetries));
	HASHCTL		control = {.keysize = sizeof(Key), .entrysize = sizeof(Retry), .hcxt = context};

	retries->context = context;
	retries->by_key = hash_create("kin_tr retries", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	for (int kind = 0; kind < KT_RETRY_KINDS; kind++)
		retries->by_time[kind] = pairingheap_allocate(compare_times, NULL);
	MemoryContextSwitchTo(old);
	return retries;
}

static Retry *
find(KtRetries *retries, const KtSid *sid, KtRetryKind kind)
{
	Key			key = {*sid, (uint8) kind};

	return hash_search(retries->by_key, &key, HASH_FIND, NULL);
}

/* found, or made without a place in the heap. */
static Retry *
enter(KtRetries *retries, const KtSid *sid, KtRetryKind kind)
{
	Key			key = {*sid, (uint8) kind};
	bool		found;
	Retry	   *retry = hash_search(retries->by_key, &key, HASH_ENTER, &found);

	if (found)
		pairingheap_remove(retries->by_time[retry->key.kind], &retry->node);
	else
	{
		memset((char *) retry + sizeof(Key), 0, sizeof(Retry) - sizeof(Key));
		retries->n[kind]++;
	}
	return retry;
}

static void
set_time(KtRetries *retries, Retry *retry, int64 at)
{
	retry->at = at;
	pairingheap_add(retries->by_time[retry->key.kind], &retry->node);
}

static void
forget(KtRetries *retries, Retry *retry)
{
	retries->nkept -= retry->kept;
	retries->n[retry->key.kind]--;
	pairingheap_remove(retries->by_time[retry->key.kind], &retry->node);
	hash_search(retries->by_key, &retry->key, HASH_REMOVE, NULL);
}

void
kt_retries_clear(KtRetries *retries, bool quarantine)
{
	HASH_SEQ_STATUS scan;
	Retry	   *retry;

	hash_seq_init(&scan, retries->by_key);
	while ((retry = hash_seq_search(&scan)) != NULL)
		if (quarantine || !retry->kept)
			forget(retries, retry);
	if (quarantine)
		retries->nrecovered = 0;
}

/* Microseconds until one of a kind that has been busy so often in a row is tried again. */
static int64
patience(const KtRetries *retries, KtRetryKind kind, int tries)
{
	bool		move = kind == KT_RETRY_MOVE;

	return Min((move ? FIRST_MOVE_WAIT : FIRST_WAIT) << Min(tries - 1, 20),
			   Max(move ? LAST_MOVE_WAIT : LAST_WAIT, WAIT_FOR_EACH * retries->n[kind]));
}

void
kt_retry_busy(KtRetries *retries, const KtSid *sid, KtRetryKind kind)
{
	Retry	   *retry = enter(retries, sid, kind);

	/* That it is locked says nothing of whether it would fail again. */
	if (!retry->kept)
		retry->tries++;
	retry->handed_out = false;
	set_time(retries, retry, kt_monotonic() +
			 (retry->kept ? LAST_WAIT : patience(retries, kind, retry->tries)));
}

void
kt_retry_at_once(KtRetries *retries, const KtSid *sid, KtRetryKind kind)
{
	Retry	   *retry = enter(retries, sid, kind);

	retry->handed_out = false;
	set_time(retries, retry, kt_monotonic());
}

static int64
penance(int failures)
{
	return Min(FIRST_PENANCE << Min(failures - 1, 20), LAST_PENANCE);
}

int
kt_retry_failed(KtRetries *retries, const KtSid *sid, KtRetryKind kind, int64 *wait)
{
	Retry	   *retry = enter(retries, sid, kind);

	if (!retry->kept)
	{
		retry->kept = true;
		retry->tries = 0;
		retries->nkept++;
	}
	retry->tries++;
	retry->handed_out = false;
	*wait = penance(retry->tries);
	set_time(retries, retry, kt_monotonic() + *wait);
	return retry->tries;
}

void
kt_retry_keep(KtRetries *retries, const KtSid *sid, KtRetryKind kind, int failures, int64 wait)
{
	Retry	   *retry = enter(retries, sid, kind);

	retries->nkept += !retry->kept;
	retry->kept = true;
	retry->handed_out = false;
	retry->tries = failures;
	set_time(retries, retry, kt_monotonic() + Min(Max(wait, 0), LAST_PENANCE));
}

/* Whatever was wrong with it: nobody else comes by a move, or by a timer that has been passed. */
static void
try_at_once(KtRetries *retries, Retry *retry)
{
	retries->nkept -= retry->kept;
	retry->kept = false;
	retry->handed_out = false;
	retry->tries = 0;
	pairingheap_remove(retries->by_time[retry->key.kind], &retry->node);
	set_time(retries, retry, kt_monotonic());
}

bool
kt_retry_forget(KtRetries *retries, const KtSid *sid)
{
	bool		kept = false;

	for (int kind = 0; kind < KT_RETRY_KINDS; kind++)
	{
		Retry	   *retry = find(retries, sid, kind);

		if (retry == NULL)
			continue;
		kept = kept || retry->kept;
		if (kind != KT_RETRY_LOOK)
			try_at_once(retries, retry);
		else
			forget(retries, retry);
	}
	return kept;
}

bool
kt_retry_is_kept_as(KtRetries *retries, const KtSid *sid, KtRetryKind kind)
{
	/* Mostly nothing is. */
	Retry	   *retry = retries->nkept > 0 ? find(retries, sid, kind) : NULL;

	return retry != NULL && retry->kept && !retry->handed_out;
}

bool
kt_retry_is_kept(KtRetries *retries, const KtSid *sid)
{
	for (int kind = 0; kind < KT_RETRY_KINDS; kind++)
		if (kt_retry_is_kept_as(retries, sid, kind))
			return true;
	return false;
}

bool
kt_retries_keep_any(const KtRetries *retries)
{
	return retries->nkept > 0;
}

KtKept *
kt_retries_kept(KtRetries *retries, int *n)
{
	KtKept	   *kept = palloc(sizeof(KtKept) * Max(retries->nkept, 1));
	HASH_SEQ_STATUS scan;
	Retry	   *retry;

	*n = 0;
	hash_seq_init(&scan, retries->by_key);
	while ((retry = hash_seq_search(&scan)) != NULL)
		if (retry->kept)
			kept[(*n)++] = (KtKept) {retry->key.sid, (KtRetryKind) retry->key.kind, retry->tries};
	return kept;
}

bool
kt_retry_is_known(KtRetries *retries, const KtSid *sid)
{
	return find(retries, sid, KT_RETRY_LOOK) != NULL || find(retries, sid, KT_RETRY_TIMER) != NULL;
}

static void
note_recovered(KtRetries *retries, const KtSid *sid)
{
	if (retries->nrecovered == retries->recovered_capacity)
	{
		retries->recovered_capacity = Max(16, retries->recovered_capacity * 2);
		retries->recovered = retries->recovered == NULL ?
			MemoryContextAlloc(retries->context, sizeof(KtSid) * retries->recovered_capacity) :
			repalloc_huge(retries->recovered, sizeof(KtSid) * retries->recovered_capacity);
	}
	retries->recovered[retries->nrecovered++] = *sid;
}

/* Nothing has been heard of it.  It may be in quarantine for something else, though. */
static void
end(KtRetries *retries, Retry *retry)
{
	KtSid		sid = retry->key.sid;
	bool		recovered = retry->kept;

	forget(retries, retry);
	for (int kind = 0; recovered && kind < KT_RETRY_KINDS; kind++)
	{
		const Retry *other = find(retries, &sid, kind);

		recovered = other == NULL || !other->kept;
	}
	if (recovered)
		note_recovered(retries, &sid);
}

/* Of a kind, what is due first; NULL where there is none. */
static Retry *
first_of(KtRetries *retries, KtRetryKind kind)
{
	pairingheap *heap = retries->by_time[kind];

	return pairingheap_is_empty(heap) ? NULL : pairingheap_container(Retry, node, pairingheap_first(heap));
}

KtSid *
kt_retries_due(KtRetries *retries, KtRetryKind kind, int most, int *n)
{
	int64		now = kt_monotonic();
	KtSid	   *due = palloc(sizeof(KtSid) * most);
	Retry	   *retry;

	*n = 0;
	while (*n < most && (retry = first_of(retries, kind)) != NULL && retry->at <= now)
	{
		if (retry->handed_out)
		{
			end(retries, retry);
			continue;
		}
		due[(*n)++] = retry->key.sid;
		retry->handed_out = true;
		pairingheap_remove(retries->by_time[kind], &retry->node);
		set_time(retries, retry, now + REMEMBERED);
	}
	return due;
}

KtSid *
kt_retries_recovered(KtRetries *retries, int *n)
{
	*n = retries->nrecovered;
	retries->nrecovered = 0;
	return retries->recovered;
}

bool
kt_retries_are_due(KtRetries *retries, KtRetryKind kind)
{
	Retry	   *first = first_of(retries, kind);

	return first != NULL && first->at <= kt_monotonic();
}

int64
kt_retries_wait(KtRetries *retries)
{
	int64		at = PG_INT64_MAX;

	for (int kind = 0; kind < KT_RETRY_MOVE; kind++)
	{
		Retry	   *first = first_of(retries, kind);

		if (first != NULL)
			at = Min(at, first->at);
	}
	return at == PG_INT64_MAX ? at : Max(at - kt_monotonic(), 0);
}
