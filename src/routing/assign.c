/*
 * assign.c
 *		Carries out what the match proposes.
 *
 * The pool may be out of date, so each proposal is looked at a second time, on
 * locked rows: the task must still be pending in its group, the worker at the
 * version that the pool knows.  A row that somebody holds is not waited for: the
 * router comes back to it.  If it is the worker's, the task goes back at once, and
 * whom else it fits gets it.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/monotonic.h"
#include "routing/attributes.h"
#include "routing/placement.h"
#include "routing/reservation.h"
#include "routing/router.h"

#define BATCH_SIZE 64

/* What became of a proposal's worker. */
typedef struct Made
{
	KtSid		reservation;	/* null: not made */
	bool		stale;			/* the pool's worker is out of date, or locked */
} Made;

typedef enum Outcome
{
	GONE,						/* the task does not wait there any more */
	DONE,
	TASK_BUSY,
	WORKERS_BUSY,				/* all of them */
	NOT_TRIED,					/* somebody had the table, before all had been collected */
	FAILED
} Outcome;

typedef struct Work
{
	KtProposal	proposal;
	Made	   *made;			/* by worker */
	Outcome		outcome;
	TimestampTz times_out_at;
	ErrorData  *error;			/* where it has failed */
} Work;

typedef struct Assignment
{
	KtRouter   *router;
	int			most;			/* reservations, but that one task may have more */
	int64		until;			/* by the monotonic clock */
	int			n;
	Work		works[BATCH_SIZE];
} Assignment;

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
static Outcome
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
	if (!kt_task_try_lock(&proposal->head.sid, &task))
		return TASK_BUSY;
	if (task == NULL || task->status != KT_TASK_PENDING || !task->waiting ||
		memcmp(&task->group, &proposal->group->key, sizeof(pg_uuid_t)) != 0)
		return GONE;
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
		return WORKERS_BUSY;
	kt_task_transition(task, KT_TASK_RESERVED);
	task->waiting = false;
	task->open_reservations = n;
	task->assignments++;
	kt_task_store(task, now);
	timeout = reservation_timeout(router, task);
	for (int i = 0, made = 0; i < proposal->nworkers; i++)
		if (!work->made[i].stale)
			work->made[i].reservation = kt_reservation_create(config, task, &cards[made++], timeout, now);
	work->times_out_at = now + timeout * USECS_PER_SEC;
	return DONE;
}

/* What a task takes of memory, which its attributes can make much, is given back after it. */
static void
carry_out_part(void *context, int from, int n)
{
	Assignment *assignment = context;
	MemoryContext each = AllocSetContextCreate(CurrentMemoryContext, "kin_tr assignment",
											   ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(each);

	for (int i = from; i < from + n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		assignment->works[i].outcome = carry_out(assignment->router, &assignment->works[i]);
		MemoryContextReset(each);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(each);
}

static void
note_failure(void *context, int item, const ErrorData *error)
{
	Work	   *work = &((Assignment *) context)->works[item];

	memset(work->made, 0, sizeof(Made) * work->proposal.nworkers);
	work->outcome = kt_error_is_busy(error) ? TASK_BUSY : FAILED;
	work->error = palloc0(sizeof(ErrorData));
	work->error->sqlerrcode = error->sqlerrcode;
	work->error->message = pstrdup(error->message ? error->message : "");
}

/* Proposals, with a transaction open; how many. */
static int
collect(void *context)
{
	Assignment *assignment = context;
	int			reservations = 0;

	assignment->n = 0;
	while (reservations < assignment->most)
	{
		Work	   *work = &assignment->works[assignment->n];

		if (!kt_match_next(assignment->router, &work->proposal, assignment->until))
			break;
		work->made = palloc0(sizeof(Made) * work->proposal.nworkers);
		work->outcome = NOT_TRIED;
		work->error = NULL;
		reservations += work->proposal.nworkers;
		assignment->n++;
	}
	return assignment->n;
}

static void
put_back(KtRouter *router, const KtProposal *proposal)
{
	kt_pool_put_task(router->pool, proposal->group, &proposal->head);
	kt_pool_touch_group(router->pool, proposal->group);
}

/*
 * A task that somebody holds is come back to.  Where many in a row are held, as by
 * a transaction that changes all of them, they are passed over together.
 */
static void
leave_busy_task(KtRouter *router, KtGroup *group, const KtHead *head)
{
	if (++group->nbusy < KT_MANY_BUSY)
		kt_retry_busy(router->retries, &head->sid, KT_RETRY_LOOK);
	else
	{
		kt_group_note_skipped(group);
		kt_pool_drop_heads(router->pool, group, head);
		kt_pool_touch_group(router->pool, group);
	}
}

/*
 * Which of the two is it?  The task is tried again at once, with another worker
 * if there is one.  If it fails again, it was the task; if not, it was the worker.
 */
static void
leave_failed_task(KtRouter *router, Work *work)
{
	KtProposal *proposal = &work->proposal;
	KtPoolWorker *worker = proposal->workers[0];
	bool		seen;
	KtSuspect  *suspect = hash_search(router->suspects, &proposal->head.sid, HASH_ENTER, &seen);

	if (seen || proposal->nworkers > 1)
	{
		hash_search(router->suspects, &proposal->head.sid, HASH_REMOVE, NULL);
		kt_quarantine_note(router->quarantine, &proposal->head.sid, KT_RETRY_LOOK, "assignment", work->error);
		return;
	}
	suspect->worker = worker->sid;
	suspect->sqlerrcode = work->error->sqlerrcode;
	strlcpy(suspect->message, work->error->message, sizeof(suspect->message));
	suspect->message[pg_mbcliplen(suspect->message, strlen(suspect->message), sizeof(suspect->message) - 1)] = '\0';
	kt_pool_set_stale(router->pool, worker);
	kt_retry_busy(router->retries, &worker->sid, KT_RETRY_LOOK);
	put_back(router, proposal);
}

void
kt_assign_forget(KtRouter *router, const KtSid *task)
{
	if (hash_get_num_entries(router->suspects) > 0)
		hash_search(router->suspects, task, HASH_REMOVE, NULL);
}

static void
clear_suspect(KtRouter *router, const KtSid *task)
{
	KtSuspect  *suspect = hash_get_num_entries(router->suspects) == 0 ? NULL :
		hash_search(router->suspects, task, HASH_FIND, NULL);
	ErrorData	error = {0};

	if (suspect == NULL)
		return;
	error.sqlerrcode = suspect->sqlerrcode;
	error.message = suspect->message;
	kt_quarantine_note(router->quarantine, &suspect->worker, KT_RETRY_LOOK, "assignment", &error);
	hash_search(router->suspects, task, HASH_REMOVE, NULL);
}

/* The pool learns what became of a worker of a proposal. */
static void
settle_worker(KtRouter *router, Work *work, int i)
{
	KtProposal *proposal = &work->proposal;
	KtPool	   *pool = router->pool;
	KtPoolWorker *worker = proposal->workers[i];
	int			channel = proposal->group->channel;

	/* The match counted it; kt_pool_open() counts what was made. */
	worker->slots[channel].open--;
	if (work->outcome == DONE && !kt_sid_is_null(&work->made[i].reservation))
	{
		(void) kt_pool_open(pool, &work->made[i].reservation, &worker->sid, &proposal->head.sid,
							&proposal->group->space->channels[channel]->sid, false);
		return;
	}
	kt_pool_unmark_reserved(pool, worker, channel, &proposal->idle_since[i]);
	kt_pool_place_slot(pool, worker, channel);
	if (work->made[i].stale)
	{
		kt_pool_set_stale(pool, worker);
		kt_retry_busy(router->retries, &worker->sid, KT_RETRY_LOOK);
	}
	else if (worker->slots[channel].idle)
		kt_pool_touch_worker(pool, worker, channel);
}

/* The pool learns what became of a proposal. */
static void
settle(KtRouter *router, Work *work, KtTurn *turn)
{
	KtProposal *proposal = &work->proposal;

	for (int i = 0; i < proposal->nworkers; i++)
	{
		turn->assigned += work->outcome == DONE && !kt_sid_is_null(&work->made[i].reservation);
		settle_worker(router, work, i);
	}
	switch (work->outcome)
	{
		case GONE:
			kt_assign_forget(router, &proposal->head.sid);
			break;
		case DONE:
			kt_timers_note_reservation(router, &proposal->group->space->sid, work->times_out_at);
			proposal->group->nbusy = 0;
			clear_suspect(router, &proposal->head.sid);
			break;
		case TASK_BUSY:
			turn->busy++;
			leave_busy_task(router, proposal->group, &proposal->head);
			break;
		case WORKERS_BUSY:
		case NOT_TRIED:
			turn->busy++;
			put_back(router, proposal);
			break;
		case FAILED:
			turn->failures++;
			leave_failed_task(router, work);
			break;
	}
}

void
kt_assign(KtRouter *router, const KtTransactions *transactions, KtTurn *turn, const KtLimits *limits)
{
	MemoryContext old = MemoryContextSwitchTo(router->scratch);
	Assignment *assignment = palloc(sizeof(Assignment));
	KtBatch		batch = {assignment, .collect = collect, .run = carry_out_part, .failed = note_failure};

	kt_turn_begin_work(turn);
	assignment->router = router;
	assignment->until = kt_monotonic() + limits->slice;
	do
	{
		assignment->most = Min(BATCH_SIZE, kt_turn_left(turn, limits));
		assignment->n = 0;
		if (assignment->most > 0 && !kt_match_is_over(router))
			kt_batch_run(transactions, &batch);
		/* Backwards, so that who was taken twice gets its old place back. */
		for (int i = assignment->n - 1; i >= 0; i--)
			settle(router, &assignment->works[i], turn);
	} while (assignment->n > 0 && kt_monotonic() < assignment->until);
	turn->more = turn->more || !kt_match_is_over(router);
	MemoryContextSwitchTo(old);
}
