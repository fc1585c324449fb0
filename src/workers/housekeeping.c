/*
 * housekeeping.c
 *		What the router does between its turns.
 *
 * Each chore has its time, its transactions and its own back-off: a full disk or a
 * lock that is never free hold up neither routing nor the other chores.  What takes
 * long or locks whole tables is the housekeeper's (housekeeper.c).
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/guc.h"
#include "base/monotonic.h"
#include "routing/moves.h"
#include "workers/housekeeping.h"
#include "workers/loop.h"
#include "workers/slots.h"

/* Microseconds that a chore may take at a time, as far as it can be stopped. */
#define SLICE			(10 * INT64CONST(1000))

/* Of a chore that fails: a second, doubling to ten minutes. */
#define FIRST_BACKOFF	USECS_PER_SEC
#define LAST_BACKOFF	(10 * USECS_PER_MINUTE)

typedef struct Chore
{
	const char *name;
	KtDuty		duty;
	int64		interval;		/* microseconds from one time to the next, when all is done */
	bool		(*work) (KtRouter *router, const KtTransactions *transactions); /* true: there is more */
	int64		not_before;		/* by the monotonic clock */
	int			failures;		/* in a row */
} Chore;

static bool
move_finished(KtRouter *router, const KtTransactions *transactions)
{
	return kt_moves_make(router, transactions, SLICE);
}

static bool
delete_keys(KtRouter *router, const KtTransactions *transactions)
{
	static KtPlan plan = {"SELECT kin_tr._delete_keys(200) = 200", ""};

	return kt_loop_piece(&plan);
}

/*
 * Not oftener than its setting says, which may have changed meanwhile, nor for
 * more than a hundredth of the time; but an hour is the longest that a missed edge
 * is to stand, however long the sweep has taken, or this process was stopped in it.
 */
static bool
sweep(KtRouter *router, const KtTransactions *transactions)
{
	static int64 not_before = 0;	/* by kt_monotonic() */
	static int64 began = 0;
	static int64 spent = 0;
	int64		now = kt_monotonic();
	bool		more;

	if (began == 0)
		began = now;
	if (!kt_router_is_sweeping())
	{
		if (now < Max(began + kt_sweep_interval * USECS_PER_SEC, not_before))
			return false;
		began = now;
		spent = 0;
	}
	more = kt_router_sweep(router, transactions, SLICE);
	spent += kt_monotonic() - now;
	not_before = now + Min(100 * spent, USECS_PER_HOUR);
	return more;
}

static Chore chores[] = {
	{"moving finished tasks to history", KT_DUTY_HOUSEKEEPING, USECS_PER_SEC, move_finished},
	{"forgetting idempotency keys", KT_DUTY_HOUSEKEEPING, 10 * USECS_PER_SEC, delete_keys},
	{"the sweep", KT_DUTY_SWEEP, USECS_PER_SEC, sweep},
};

/* It is told of once; how it goes on, health() says. */
static void
note_failure(Chore *chore, const ErrorData *error)
{
	if (chore->failures == 0)
		ereport(LOG,
				(errcode(error->sqlerrcode),
				 errmsg("kin_tr: %s failed: %s", chore->name, error->message),
				 errdetail("Routing goes on; it is tried again, ever more rarely.")));
	kt_slots_note_error(chore->duty, error->sqlerrcode, error->message ? error->message : "");
	chore->not_before = kt_monotonic() + Min(FIRST_BACKOFF << Min(chore->failures, 20), LAST_BACKOFF);
	chore->failures++;
}

/* The duty fares well when none of its chores fails. */
static void
note_success(Chore *chore, bool more)
{
	chore->failures = 0;
	chore->not_before = more ? 0 : kt_monotonic() + chore->interval;
	for (int i = 0; i < lengthof(chores); i++)
		if (chores[i].duty == chore->duty && chores[i].failures > 0)
			return;
	kt_slots_note_success(chore->duty);
}

typedef struct Attempt
{
	Chore	   *chore;
	KtRouter   *router;
	const KtTransactions *transactions;
} Attempt;

static void
attempt(void *context)
{
	Attempt    *attempt = context;

	note_success(attempt->chore, attempt->chore->work(attempt->router, attempt->transactions));
}

static void
do_chore(Chore *chore, KtRouter *router, const KtTransactions *transactions)
{
	Attempt		context = {chore, router, transactions};
	ErrorData  *error = kt_loop_attempt(attempt, &context);

	if (error == NULL)
		return;
	note_failure(chore, error);
	FreeErrorData(error);
}

/* One chore that is due, in turn, so that none waits for another. */
bool
kt_housekeeping_do(KtRouter *router, const KtTransactions *transactions)
{
	static int	next = 0;
	int64		now = kt_monotonic();

	for (int i = 0; i < lengthof(chores); i++)
	{
		Chore	   *chore = &chores[(next + i) % lengthof(chores)];

		if (chore->not_before > now)
			continue;
		next = (next + i + 1) % lengthof(chores);
		do_chore(chore, router, transactions);
		break;
	}
	for (int i = 0; i < lengthof(chores); i++)
		if (chores[i].not_before <= kt_monotonic())
			return true;
	return false;
}
