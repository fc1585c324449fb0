/*
 * batch.c
 *		Work on many rows in few transactions, where a bad row stops only itself.
 *
 * A transaction for each row would cost more than the work, and a
 * subtransaction for each is dear for everybody's snapshots once there are more
 * than 64.  So rows go in batches, and only a batch that fails is cut up: to
 * find one bad row in 64 takes a dozen transactions.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "base/spi.h"
#include "events/event.h"
#include "routing/batch.h"

/* ------------------------------------------- subtransactions of the caller's */

/* As it was when the subtransaction began; there is one at a time. */
static MemoryContext callers_context;
static ResourceOwner callers_owner;

static void
begin_subtransaction(void)
{
	callers_context = CurrentMemoryContext;
	callers_owner = CurrentResourceOwner;
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(callers_context);
}

static void
commit_subtransaction(void)
{
	ReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(callers_context);
	CurrentResourceOwner = callers_owner;
}

static void
undo_subtransaction(void)
{
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(callers_context);
	CurrentResourceOwner = callers_owner;
}

const KtTransactions kt_subtransactions = {
	begin_subtransaction, commit_subtransaction, undo_subtransaction, false
};

static void
nothing(void)
{
}

const KtTransactions kt_callers_transaction = {nothing, nothing, NULL, false};

/* ---------------------------------------------------------------- errors */

bool
kt_error_is_busy(const ErrorData *error)
{
	return error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE ||
		error->sqlerrcode == ERRCODE_T_R_SERIALIZATION_FAILURE ||
		error->sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED;
}

/*
 * A row is to blame for all that nobody else is: the next one will fare no better
 * with a cancel, a full disk or a full lock table.
 */
static bool
is_a_rows(const ErrorData *error)
{
	return ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_OPERATOR_INTERVENTION &&
		ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_INSUFFICIENT_RESOURCES && !ProcDiePending;
}

/*
 * The error that has been caught, in a context.  What the caller has begun is undone
 * before the error is passed on: PostgreSQL does not end a subtransaction that
 * was begun within a statement.
 */
static ErrorData *
take_error(MemoryContext context, void (*undo) (void))
{
	ErrorData  *error;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	FlushErrorState();
	HOLD_INTERRUPTS();
	undo();
	RESUME_INTERRUPTS();
	MemoryContextSwitchTo(context);
	return error;
}

/* ----------------------------------------------------------------- batches */

/* Rows are tried, and not waited for; this is for tables, and what nobody thought of. */
void
kt_wait_for_nobody(void)
{
	(void) set_config_option("lock_timeout", "10ms", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
							 false);
}

static ErrorData *
run_once(const KtTransactions *transactions, KtBatch *batch, int from, int n, bool collect)
{
	MemoryContext context = CurrentMemoryContext;
	ErrorData  *volatile error = NULL;
	volatile bool collected = !collect;

	PG_TRY();
	{
		KtSpi		spi;

		transactions->begin();
		if (transactions->own)
			kt_wait_for_nobody();
		kt_spi_begin(&spi);
		MemoryContextSwitchTo(context);
		if (collect)
			n = batch->n = batch->collect(batch->context);
		collected = true;
		if (n > 0)
			batch->run(batch->context, from, n);
		kt_events_flush();
		kt_spi_end(&spi);
		transactions->commit();
	}
	PG_CATCH();
	{
		if (transactions->undo == NULL)
			PG_RE_THROW();
		error = take_error(context, transactions->undo);
	}
	PG_END_TRY();
	if (error != NULL && (!is_a_rows(error) || (!collected && !kt_error_is_busy(error))))
		ReThrowError(error);
	MemoryContextSwitchTo(context);
	return error;
}

static void
run_part(const KtTransactions *transactions, KtBatch *batch, int from, int n, bool collect)
{
	ErrorData  *error;

	CHECK_FOR_INTERRUPTS();
	/* Until they have been collected: where somebody has the table, there is nothing to do now. */
	if (collect)
		batch->n = 0;
	error = run_once(transactions, batch, from, n, collect);
	if (error == NULL)
		return;
	if (collect)
		n = batch->n;
	if (n == 1)
		batch->failed(batch->context, from, error);
	FreeErrorData(error);
	if (n > 1)
	{
		run_part(transactions, batch, from, n / 2, false);
		run_part(transactions, batch, from + n / 2, n - n / 2, false);
	}
}

void
kt_batch_run(const KtTransactions *transactions, KtBatch *batch)
{
	if (batch->collect != NULL || batch->n > 0)
		run_part(transactions, batch, 0, batch->n, batch->collect != NULL);
}

ErrorData *
kt_try(void (*function) (void *context), void *argument)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		function(argument);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		error = take_error(context, RollbackAndReleaseCurrentSubTransaction);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	if (error != NULL && !is_a_rows(error))
		ReThrowError(error);
	return error;
}
