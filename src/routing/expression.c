/*
 * expression.c
 *		The expression language as SQL functions.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/clock.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/spi.h"
#include "base/text.h"
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
	bool		told;			/* of what is probably not meant */
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
					   kt_text_excerpt(text)),
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
	compiled->told = false;
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
subject(FunctionCallInfo fcinfo, int argument, const char *name)
{
	Jsonb	   *value;

	if (PG_ARGISNULL(argument))
		return NULL;
	value = PG_GETARG_JSONB_P(argument);
	kt_attributes_check_object(value, name);
	return value;
}

static bool
is_missing(const Compiled *compiled, uint32 path)
{
	return compiled->values[path].kind == KT_VALUE_NULL;
}

/* skills HAS billing: where one of the names has no value, it was hardly meant for one. */
static void
tell_of_two_names(const Compiled *compiled)
{
	const KtExpr *expression = compiled->expression;

	if (expression->two_names &&
		(is_missing(compiled, expression->left_name) || is_missing(compiled, expression->right_name)))
		ereport(NOTICE,
				(errmsg("\"%s\" and \"%s\" are both read as names of attributes",
						kt_text_excerpt(expression->paths[expression->left_name].text),
						kt_text_excerpt(expression->paths[expression->right_name].text)),
				 errdetail("There is no attribute \"%s\".",
						   kt_text_excerpt(expression->paths[is_missing(compiled, expression->right_name) ?
															 expression->right_name : expression->left_name].text)),
				 errhint("Put quotes around the one that is a text.")));
}

/* A worker's name and activity are not among its attributes. */
static void
tell_of_identity(const Compiled *compiled)
{
	for (uint32 i = 0; i < compiled->expression->npaths; i++)
	{
		const KtPath *path = &compiled->expression->paths[i];

		if (path->subject == KT_SUBJECT_WORKER && is_missing(compiled, i) &&
			kt_worker_identity_has(path))
		{
			ereport(NOTICE,
					(errmsg("worker has no \"%s\"", kt_text_excerpt(path->text)),
					 errdetail("A worker's attributes do not have it."),
					 errhint("kin_tr.worker_values('alice') has all that expressions read of worker alice.")));
			break;
		}
	}
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
	task = subject(fcinfo, 1, "task");
	worker = subject(fcinfo, 2, "worker");
	workers = subject(fcinfo, 3, "workers");
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
	/* Once, and not for each row that is tried. */
	if (!compiled->told && (task != NULL || worker != NULL))
	{
		compiled->told = true;
		tell_of_two_names(compiled);
		if (worker != NULL)
			tell_of_identity(compiled);
	}
	PG_RETURN_BOOL(kt_expr_evaluate(compiled->expression, compiled->values));
}

/*
 * _check_expression(expression text) -> text[]: an error where a queue's
 * expression does not parse.  The attributes of a comparison of which one may
 * be meant for a text; NULL where there is none.
 */
Datum
kin_tr_check_expression(PG_FUNCTION_ARGS)
{
	text	   *expression = PG_GETARG_TEXT_PP(0);
	char	   *text = text_to_cstring(expression);
	const KtExpr *compiled;
	const KtPath *left;
	Datum		names[2];
	int			n = 0;

	/* An empty one is legal: the queue has no workers. */
	if (strspn(text, " \t\r\n") == strlen(text))
		PG_RETURN_NULL();
	compiled = compile(fcinfo, expression, KT_PLACE_QUEUE)->expression;
	if (!compiled->two_names)
		PG_RETURN_NULL();
	left = &compiled->paths[compiled->left_name];
	if (left->nsteps == 1 && !kt_worker_identity_has(left))
		names[n++] = kt_text_datum(left->text);
	if (!kt_worker_identity_has(&compiled->paths[compiled->right_name]))
		names[n++] = kt_text_datum(compiled->paths[compiled->right_name].text);
	PG_RETURN_ARRAYTYPE_P(construct_array(names, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/* _check_attributes(attributes jsonb): an object, and not too large. */
Datum
kin_tr_check_attributes(PG_FUNCTION_ARGS)
{
	kt_attributes_check(PG_GETARG_JSONB_P(0), "attributes");
	PG_RETURN_VOID();
}
