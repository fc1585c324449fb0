/*
 * expression.c
 *		The expression language as SQL functions.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/clock.h"
#include "base/compat.h"
#include "base/errors.h"
#include "routing/attributes.h"

PG_FUNCTION_INFO_V1(kin_tr_evaluate_expression);
PG_FUNCTION_INFO_V1(kin_tr_check_expression);
PG_FUNCTION_INFO_V1(kin_tr_check_attributes);

/* The expression that a call site compiled last: mostly it is the same again. */
typedef struct Compiled
{
	char	   *text;
	size_t		length;
	KtExprPlace place;
	const KtExpr *expression;
	KtValue    *values;
	MemoryContext context;
} Compiled;

static void *
allocate(void *context, size_t size)
{
	return MemoryContextAlloc((MemoryContext) context, size);
}

static void
report(const char *text, const KtExprError *error)
{
	ereport(ERROR,
			(errcode(KT_ERRCODE_INVALID_EXPRESSION),
			 errmsg("invalid expression: %s", error->message),
			 errdetail("At character %d of: %s",
					   pg_mbstrlen_with_len(text, error->position) + 1,
					   pnstrdup(text, pg_mbcliplen(text, strlen(text), 200))),
			 error->hint[0] ? errhint("%s", error->hint) :
			 errhint("A condition compares two values, as in type == \"support\"; AND and OR join conditions.")));
}

static Compiled *
compile(FunctionCallInfo fcinfo, text *expression, KtExprPlace place)
{
	Compiled   *compiled = fcinfo->flinfo->fn_extra;
	char	   *text = VARDATA_ANY(expression);
	size_t		length = VARSIZE_ANY_EXHDR(expression);
	KtExprError error;

	if (compiled != NULL && compiled->expression != NULL && compiled->place == place &&
		compiled->length == length && memcmp(compiled->text, text, length) == 0)
		return compiled;
	if (compiled == NULL)
	{
		compiled = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(Compiled));
		compiled->context = AllocSetContextCreate(fcinfo->flinfo->fn_mcxt, "kin_tr expression",
												  ALLOCSET_SMALL_SIZES);
		fcinfo->flinfo->fn_extra = compiled;
	}
	compiled->expression = NULL;
	MemoryContextReset(compiled->context);
	compiled->expression = kt_expr_compile(text, length, place, allocate, compiled->context, &error);
	if (compiled->expression == NULL)
		report(text_to_cstring(expression), &error);
	compiled->text = MemoryContextAlloc(compiled->context, length + 1);
	memcpy(compiled->text, text, length);
	compiled->length = length;
	compiled->place = place;
	compiled->values = MemoryContextAllocZero(compiled->context,
											  sizeof(KtValue) * Max(compiled->expression->npaths, 1));
	return compiled;
}

static Jsonb *
subject(FunctionCallInfo fcinfo, int argument)
{
	return PG_ARGISNULL(argument) ? NULL : PG_GETARG_JSONB_P(argument);
}

/* worker.channel.<name>.<counter> is looked up in the attributes given for the worker. */
static KtValue
channel_counter(Jsonb *worker, const KtPath *path)
{
	KtStep		steps[3] = {{"channel", strlen("channel")}, path->steps[0], path->steps[1]};
	KtPath		whole = {KT_SUBJECT_WORKER, 3, steps, path->text};

	return kt_attributes_read(worker, &whole);
}

/*
 * evaluate_expression(expression text, task jsonb, worker jsonb, workers jsonb,
 * at timestamptz) -> boolean
 */
Datum
kin_tr_evaluate_expression(PG_FUNCTION_ARGS)
{
	Compiled   *compiled;
	Jsonb	   *task;
	Jsonb	   *worker;
	Jsonb	   *workers;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	task = subject(fcinfo, 1);
	worker = subject(fcinfo, 2);
	workers = subject(fcinfo, 3);
	compiled = compile(fcinfo, PG_GETARG_TEXT_PP(0),
					   task == NULL && worker != NULL ? KT_PLACE_ANY_WORKER : KT_PLACE_ANY_TASK);
	for (uint32 i = 0; i < compiled->expression->npaths; i++)
	{
		const KtPath *path = &compiled->expression->paths[i];

		switch (path->subject)
		{
			case KT_SUBJECT_TASK:
				compiled->values[i] = kt_attributes_read(task, path);
				break;
			case KT_SUBJECT_WORKER:
				compiled->values[i] = kt_attributes_read(worker, path);
				break;
			case KT_SUBJECT_CHANNEL:
				compiled->values[i] = channel_counter(worker, path);
				break;
			case KT_SUBJECT_WORKERS:
				compiled->values[i] = kt_attributes_read(workers, path);
				break;
			case KT_SUBJECT_TASKROUTER:
				compiled->values[i] = kt_time_read(PG_ARGISNULL(4) ? kt_now() : PG_GETARG_TIMESTAMPTZ(4),
												   path);
				break;
		}
	}
	PG_RETURN_BOOL(kt_expr_evaluate(compiled->expression, compiled->values));
}

/* _check_expression(expression text, place text): an error where it does not parse. */
Datum
kin_tr_check_expression(PG_FUNCTION_ARGS)
{
	text	   *expression = PG_GETARG_TEXT_PP(0);
	char	   *place = text_to_cstring(PG_GETARG_TEXT_PP(1));
	char	   *text = text_to_cstring(expression);

	/* An empty one is legal for a queue: it has no workers. */
	if (strspn(text, " \t\r\n") < strlen(text))
		(void) compile(fcinfo, expression,
					   strcmp(place, "queue") == 0 ? KT_PLACE_QUEUE : KT_PLACE_FILTER);
	PG_RETURN_VOID();
}

/* _check_attributes(attributes jsonb): an object, and not too large. */
Datum
kin_tr_check_attributes(PG_FUNCTION_ARGS)
{
	kt_attributes_check(PG_GETARG_JSONB_P(0), "attributes");
	PG_RETURN_VOID();
}
