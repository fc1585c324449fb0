/*
 * assign.c
 *		Carries out what the match proposes.
 *
 * The pool may be out of date, so each proposal is looked at a second time, on
 * locked rows: the task must still be pending in its group, the worker at the
 * version that the pool knows.  A row that somebody holds is not waited for; it
 * goes on the retry list, for a rollback tells nobody.
 *
 * The router commits up to 64 proposals at a time.  A batch that fails is tried
 * in halves, so that one bad row holds up nobody else.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/spi.h"
#include "routing/attributes.h"
#include "routing/placement.h"
#include "routing/reservation.h"
#include "routing/router.h"

#define BATCH_SIZE 64

/* What became of a proposal's worker. */
typedef struct Made
{
	KtSid		reservation;	/* null: not made */
	bool		stale;			/* the pool's worker is out of date */
} Made;

typedef struct Work
{
	KtProposal	proposal;
	Made	   *made;			/* by worker */
	bool		locked;			/* somebody holds the task */
	bool		done;
} Work;

static void
card_of(const KtPoolWorker *worker, KtWorkerCard *card)
{
	card->sid = worker->sid;
	card->workspace = worker->space->sid;
	card->version = worker->version;
	card->friendly_name = worker->friendly_name;
	card->activity = worker->activity;
	card->date_status_changed = worker->date_status_changed;
	card->document = worker->document;
}

static int32
reservation_timeout(KtRouter *router, const KtTask *task)
{
	const KtWorkflow *workflow = NULL;

	if (!kt_sid_is_null(&task->workflow))
		workflow = kt_config_workflow(router->pool->config, &task->workflow, task->workflow_version);
	return workflow ? workflow->reservation_timeout : 120;
}

/* Makes the reservations of one proposal, as far as its rows allow. */
static void
carry_out(KtRouter *router, Work *work)
{
	KtProposal *proposal = &work->proposal;
	KtConfig   *config = router->pool->config;
	TimestampTz now = router->pool->now;
	KtTask	   *task;
	KtWorkerCard *cards = palloc(sizeof(KtWorkerCard) * proposal->nworkers);
	int32		timeout;
	int			n = 0;

	memset(work->made, 0, sizeof(Made) * proposal->nworkers);
	work->locked = !kt_task_try_lock(&proposal->head.sid, &task);
	if (task == NULL || task->status != KT_TASK_PENDING || !task->waiting ||
		memcmp(&task->group, &proposal->group->key, sizeof(pg_uuid_t)) != 0)
		return;
	for (int i = 0; i < proposal->nworkers; i++)
	{
		KtWorkerCard seen;

		if (!kt_worker_try_share(&proposal->workers[i]->sid, &seen) ||
			seen.version != proposal->workers[i]->version)
			work->made[i].stale = true;
		else
			card_of(proposal->workers[i], &cards[n++]);
	}
	if (n == 0)
	{
		work->locked = true;	/* try the task again, with whom it fits then */
		return;
	}
	kt_task_transition(task, KT_TASK_RESERVED);
	task->waiting = false;
	task->open_reservations = n;
	task->assignments++;
	kt_task_store(task, now);
	timeout = reservation_timeout(router, task);
	for (int i = 0, made = 0; i < proposal->nworkers; i++)
		if (!work->made[i].stale)
			work->made[i].reservation = kt_reservation_create(config, task, &cards[made++], timeout, now);
	router->next_timer = Min(router->next_timer, now + timeout * USECS_PER_SEC);
	work->done = true;
}

/* What a task takes of memory, which its attributes can make much, is given back after it. */
static void
carry_out_batch(KtRouter *router, Work *batch, int n)
{
	MemoryContext each = AllocSetContextCreate(CurrentMemoryContext, "kin_tr assignment",
											   ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(each);

	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		carry_out(router, &batch[i]);
		MemoryContextReset(each);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(each);
	kt_events_flush();
}

/* The pool learns what was made, and takes back what was not. */
static void
settle(KtRouter *router, Work *work, KtTurn *turn)
{
	KtProposal *proposal = &work->proposal;
	KtPool	   *pool = router->pool;
	int			channel = proposal->group->channel;

	for (int i = 0; i < proposal->nworkers; i++)
	{
		KtPoolWorker *worker = proposal->workers[i];

		/* The match counted it; kt_pool_open() counts what was made. */
		worker->slots[channel].open--;
		if (work->done && !kt_sid_is_null(&work->made[i].reservation))
		{
			kt_pool_open(pool, &work->made[i].reservation, &worker->sid, &proposal->head.sid,
						 &proposal->group->space->channels[channel]->sid, false);
			turn->assigned++;
			continue;
		}
		kt_pool_place_slot(pool, worker, channel);
		if (work->made[i].stale)
		{
			kt_pool_set_stale(pool, worker);
			kt_router_retry(router, &worker->sid, false);
		}
		else if (worker->slots[channel].idle)
			kt_pool_touch_worker(pool, worker, channel);
	}
	if (work->locked)
		kt_router_retry(router, &proposal->head.sid, false);
}

/* Proposals, with a transaction open; how many. */
static int
collect(KtRouter *router, Work *batch, int most)
{
	int			n;

	for (n = 0; n < most; n++)
	{
		if (!kt_match_next(router, &batch[n].proposal))
			break;
		batch[n].made = palloc0(sizeof(Made) * batch[n].proposal.nworkers);
		batch[n].done = batch[n].locked = false;
	}
	return n;
}

/*
 * Carries out a batch in the transaction that is open, and commits it.  False
 * where it failed, with the transaction undone.
 */
static bool
try_batch(KtRouter *router, const KtTransactions *transactions, Work *batch, int n, KtSpi *spi)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool ok = true;

	PG_TRY();
	{
		carry_out_batch(router, batch, n);
		kt_spi_end(spi);
		transactions->commit();
	}
	PG_CATCH();
	{
		/* The caller's transaction, or the end of this process, is not ours to mend. */
		if (!transactions->retries || ProcDiePending)
			PG_RE_THROW();
		HOLD_INTERRUPTS();
		MemoryContextSwitchTo(context);
		if (n == 1)
			EmitErrorReport();
		AbortCurrentTransaction();
		MemoryContextSwitchTo(context);
		FlushErrorState();
		RESUME_INTERRUPTS();
		ok = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	return ok;
}

/* A failed batch again, in halves; a single one that fails waits on the retry list. */
static void
run_halves(KtRouter *router, const KtTransactions *transactions, Work *batch, int n)
{
	MemoryContext context = CurrentMemoryContext;

	if (n == 1)
	{
		batch->locked = true;
		batch->done = false;
		memset(batch->made, 0, sizeof(Made) * batch->proposal.nworkers);
		return;
	}
	for (int half = 0; half < 2; half++)
	{
		Work	   *part = half == 0 ? batch : batch + n / 2;
		int			count = half == 0 ? n / 2 : n - n / 2;
		KtSpi		spi;

		for (int i = 0; i < count; i++)
			part[i].done = part[i].locked = false;
		transactions->begin();
		MemoryContextSwitchTo(context);
		kt_spi_begin(&spi);
		MemoryContextSwitchTo(context);
		if (!try_batch(router, transactions, part, count, &spi))
			run_halves(router, transactions, part, count);
	}
}

void
kt_assign(KtRouter *router, const KtTransactions *transactions, KtTurn *turn, int max_actions)
{
	MemoryContext old = CurrentMemoryContext;
	Work	   *batch = MemoryContextAllocZero(router->scratch, sizeof(Work) * BATCH_SIZE);
	bool		begun = false;
	int			n;

	do
	{
		KtSpi		spi;

		CHECK_FOR_INTERRUPTS();
		transactions->begin();
		kt_spi_begin(&spi);
		MemoryContextSwitchTo(router->scratch);
		if (!begun)
			kt_match_begin(router);
		begun = true;
		n = collect(router, batch, Min(BATCH_SIZE, max_actions - turn->assigned));
		if (!try_batch(router, transactions, batch, n, &spi))
			run_halves(router, transactions, batch, n);
		for (int i = 0; i < n; i++)
		{
			settle(router, &batch[i], turn);
			pfree(batch[i].made);
			pfree(batch[i].proposal.workers);
		}
	} while (n > 0 && turn->assigned < max_actions);
	kt_match_end(router);
	if (turn->assigned >= max_actions && router->pool->touched.length > 0)
		turn->more = true;
	MemoryContextSwitchTo(old);
}
