/*
 * workflow.c
 *		A workflow's configuration: Twilio's JSON, checked and compiled.
 *
 * The compiler goes on after a fault, so that validate_workflow() shows all of
 * them at once.  What Twilio takes without a word, but does hardly what its
 * author means, is a warning.  What is used is compiled piece by piece, where a
 * fault is an error: it has been checked when it was written.
 */
#include "postgres.h"

#include <limits.h>

#include "common/hashfn.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/limits.h"
#include "base/spi.h"
#include "base/text.h"
#include "base/access.h"
#include "routing/config.h"
#include "routing/workflow.h"
#include "routing/workflow_keys.h"

PG_FUNCTION_INFO_V1(kin_tr_validate_workflow);
PG_FUNCTION_INFO_V1(kin_tr_normalize_workflow);

#define MAX_TIMEOUT 1209600		/* a task's longest TTL: two weeks */
#define MAX_CONFIGURATION_SIZE 1038576	/* Twilio's limit */

#define PLACE_OF_DEFAULT "task_routing.default_filter"

typedef struct Compiler
{
	MemoryContext keep;			/* of what is compiled; all else is in the current one */
	KtQueueLookup lookup;
	void	   *context;
	List	  **faults;
	List	  **warnings;		/* NULL: they are not asked for */
} Compiler;

static void *
allocate(void *context, size_t size)
{
	return MemoryContextAlloc((MemoryContext) context, size);
}

static void append_fault(List **list, const char *place, int position, const char *hint,
						 const char *format, va_list arguments) pg_attribute_printf(5, 0);
static void fault(Compiler *compiler, const char *place, int position, const char *hint,
				  const char *format,...) pg_attribute_printf(5, 6);
static void warning(Compiler *compiler, const char *place, int position, const char *hint,
					const char *format,...) pg_attribute_printf(5, 6);

static void
append_fault(List **list, const char *place, int position, const char *hint, const char *format,
			 va_list arguments)
{
	KtWorkflowFault *result = palloc0(sizeof(KtWorkflowFault));
	StringInfoData message;

	initStringInfo(&message);
	for (;;)
	{
		va_list		copy;
		int			needed;

		va_copy(copy, arguments);
		needed = appendStringInfoVA(&message, format, copy);
		va_end(copy);
		if (needed == 0)
			break;
		enlargeStringInfo(&message, needed);
	}
	result->place = pstrdup(place);
	result->message = message.data;
	result->hint = hint && hint[0] ? pstrdup(hint) : NULL;
	result->position = position;
	*list = lappend(*list, result);
}

static void
fault(Compiler *compiler, const char *place, int position, const char *hint, const char *format,...)
{
	va_list		arguments;

	va_start(arguments, format);
	append_fault(compiler->faults, place, position, hint, format, arguments);
	va_end(arguments);
}

static void
warning(Compiler *compiler, const char *place, int position, const char *hint, const char *format,...)
{
	va_list		arguments;

	va_start(arguments, format);
	append_fault(compiler->warnings, place, position, hint, format, arguments);
	va_end(arguments);
}

/* Warns of keys that do nothing, but are like one that does. */
static void
check_keys(Compiler *compiler, JsonbContainer *container, const char *place, KtWorkflowObject object)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	value;
	const char *message;
	const char *hint;

	if (compiler->warnings == NULL)
		return;
	iterator = JsonbIteratorInit(container);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		char	   *key;

		if (token != WJB_KEY)
			continue;
		key = pnstrdup(value.val.string.val, value.val.string.len);
		if (kt_workflow_key_mistaken(object, key, &message, &hint))
			warning(compiler, psprintf("%s%s%s", place, place[0] ? "." : "", kt_text_excerpt(key)),
					0, hint, "%s", message);
	}
}

/* The value under a key of an object; NULL where it is absent or null. */
static JsonbValue *
member(JsonbContainer *object, const char *key)
{
	JsonbValue *value = getKeyJsonValueFromContainer(object, key, strlen(key), NULL);

	return value != NULL && value->type != jbvNull ? value : NULL;
}

static char *
string_member(Compiler *compiler, JsonbContainer *object, const char *place, const char *key)
{
	JsonbValue *value = member(object, key);

	if (value == NULL)
		return NULL;
	if (value->type != jbvString)
	{
		fault(compiler, psprintf("%s.%s", place, key), 0, NULL, "%s must be a string", key);
		return NULL;
	}
	return pnstrdup(value->val.string.val, value->val.string.len);
}

/* A whole number, bare or in quotes, as Twilio's own examples have both. */
static bool
integer_member(Compiler *compiler, JsonbContainer *object, const char *place, const char *key,
			   int32 least, int32 most, int32 *result)
{
	JsonbValue *value = member(object, key);
	KtValue		number = {KT_VALUE_NULL};

	if (value == NULL)
		return false;
	if (value->type == jbvNumeric)
	{
		char	   *text = DatumGetCString(DirectFunctionCall1(numeric_out,
															   NumericGetDatum(value->val.numeric)));

		(void) kt_value_number(text, strlen(text), &number);
	}
	else if (value->type == jbvString)
		(void) kt_value_number(value->val.string.val, value->val.string.len, &number);
	if (number.kind != KT_VALUE_INTEGER || number.integer < least || number.integer > most)
	{
		fault(compiler, psprintf("%s.%s", place, key), 0, NULL,
			  "%s must be a whole number from %d to %d", key, least, most);
		return false;
	}
	*result = (int32) number.integer;
	return true;
}

static void
expression_fault(Compiler *compiler, const char *place, const char *key, const char *text,
				 const KtExprError *error)
{
	fault(compiler, psprintf("%s.%s", place, key),
		  pg_mbstrlen_with_len(text, error->position) + 1, error->hint, "%s", error->message);
}

static const KtExpr *
expression_member(Compiler *compiler, JsonbContainer *object, const char *place, const char *key,
				  KtExprPlace kind)
{
	char	   *text = string_member(compiler, object, place, key);
	KtExprError error;
	const KtExpr *result;

	if (text == NULL)
		return NULL;
	result = kt_expr_compile(text, strlen(text), kind, allocate, compiler->keep, &error);
	if (result == NULL)
		expression_fault(compiler, place, key, text, &error);
	else if (result->two_names && compiler->warnings != NULL)
		warning(compiler, psprintf("%s.%s", place, key),
				pg_mbstrlen_with_len(text, result->right_position) + 1,
				"Put quotes around the one that is a text.",
				"\"%s\" and \"%s\" are both read as names of attributes",
				kt_text_excerpt(result->paths[result->left_name].text),
				kt_text_excerpt(result->paths[result->right_name].text));
	return result;
}

static void
compile_known_worker(Compiler *compiler, JsonbContainer *object, const char *place, KtTarget *target)
{
	char	   *by_sid = string_member(compiler, object, place, "known_worker_sid");
	char	   *by_name = string_member(compiler, object, place, "known_worker_friendly_name");
	char	   *text = by_sid ? by_sid : by_name;
	KtExprError error;

	if (by_sid && by_name)
		fault(compiler, place, 0, "Keep one of the two.",
			  "known_worker_sid and known_worker_friendly_name exclude each other");
	if (text == NULL)
		return;
	target->known_by_name = by_sid == NULL;
	target->known_worker = kt_reference_compile(text, strlen(text), allocate, compiler->keep, &error);
	if (target->known_worker == NULL)
		expression_fault(compiler, place,
						 by_sid ? "known_worker_sid" : "known_worker_friendly_name", text, &error);
}

/* What a queue that does not exist may have meant, of those of the workspace. */
static const char *
queue_hint(Compiler *compiler, const char *queue)
{
	const char *mistaken = kt_kind_mistaken(KT_TASK_QUEUE, queue);
	const char *nearest;
	List	   *names;
	bool		complete;

	if (mistaken != NULL || compiler->context == NULL)
		return mistaken;
	names = kt_config_names(KT_TASK_QUEUE, compiler->context, &complete);
	nearest = kt_text_nearest(queue, names);
	if (nearest != NULL)
		return psprintf("Perhaps \"%s\" is meant.", nearest);
	if (names == NIL)
		return "The workspace has no task queue.";
	return psprintf("The workspace has %s.", kt_text_list(names, complete));
}

/* The queue of the target before is inherited; NULL where there is none. */
static void
compile_queue(Compiler *compiler, JsonbContainer *object, const char *place, KtTarget *target,
			  const KtSid *inherited)
{
	char	   *queue = string_member(compiler, object, place, "queue");
	char	   *where = psprintf("%s.queue", place);

	if (queue == NULL)
	{
		if (inherited != NULL)
			target->queue = *inherited;
		else if (member(object, "queue") == NULL)
			fault(compiler, where, 0, "Later targets of a filter inherit the queue of the one before.",
				  "the first target needs a queue");
	}
	else if (compiler->lookup != NULL &&
			 !compiler->lookup(compiler->context, queue, &target->queue))
		fault(compiler, where, 0, queue_hint(compiler, queue), "task queue \"%s\" does not exist",
			  kt_text_excerpt(queue));
}

static KtTarget *
compile_target(Compiler *compiler, JsonbContainer *object, const char *place, const KtSid *inherited,
			   KtWorkflowObject kind)
{
	KtTarget   *target = MemoryContextAllocZero(compiler->keep, sizeof(KtTarget));
	char	   *order_by;

	check_keys(compiler, object, place, kind);
	compile_queue(compiler, object, place, target, inherited);
	target->has_priority = integer_member(compiler, object, place, "priority", 0, INT_MAX,
										  &target->priority);
	(void) integer_member(compiler, object, place, "timeout", 1, MAX_TIMEOUT, &target->timeout);
	/* Twilio's default_filter has no timeout. */
	if (kind == KT_WORKFLOW_DEFAULT_FILTER)
		target->timeout = 0;
	target->expression = expression_member(compiler, object, place, "expression", KT_PLACE_TARGET);
	target->skip_if = expression_member(compiler, object, place, "skip_if", KT_PLACE_SKIP_IF);
	order_by = string_member(compiler, object, place, "order_by");
	if (order_by != NULL)
	{
		KtExprError error;

		target->order_by = kt_order_compile(order_by, strlen(order_by), allocate, compiler->keep, &error);
		if (target->order_by == NULL)
			expression_fault(compiler, place, "order_by", order_by, &error);
	}
	compile_known_worker(compiler, object, place, target);
	return target;
}

/* NULL, and a fault, where it is no object. */
static JsonbContainer *
object_of(Compiler *compiler, const JsonbValue *value, const char *place, const char *what)
{
	if (value->type == jbvBinary && JsonContainerIsObject(value->val.binary.data))
		return value->val.binary.data;
	fault(compiler, place, 0, NULL, "%s must be an object", what);
	return NULL;
}

/* NULL where it is none. */
static JsonbContainer *
array_of(const JsonbValue *value)
{
	return value != NULL && value->type == jbvBinary && JsonContainerIsArray(value->val.binary.data) ?
		value->val.binary.data : NULL;
}

static char *
place_of_target(const char *filter, int target)
{
	return psprintf("%s.targets[%d]", filter, target);
}

static char *
place_of_filter(int filter)
{
	return psprintf("task_routing.filters[%d]", filter);
}

/* What there is in it, as yet not compiled. */
static void
open_filter(Compiler *compiler, const JsonbValue *value, const char *place, KtFilter *filter)
{
	JsonbContainer *targets;

	memset(filter, 0, sizeof(KtFilter));
	filter->object = object_of(compiler, value, place, "a filter");
	if (filter->object == NULL)
		return;
	filter->friendly_name = string_member(compiler, filter->object, place, "filter_friendly_name");
	if (filter->friendly_name == NULL)
		filter->friendly_name = string_member(compiler, filter->object, place, "friendly_name");
	targets = array_of(member(filter->object, "targets"));
	if (targets == NULL || JsonContainerSize(targets) == 0)
		return;
	filter->target_objects = targets;
	filter->ntargets = JsonContainerSize(targets);
	filter->targets = palloc0(sizeof(KtTarget *) * filter->ntargets);
}

static const KtExpr *
compile_filter(Compiler *compiler, const KtFilter *filter, const char *place)
{
	return expression_member(compiler, filter->object, place, "expression", KT_PLACE_FILTER);
}

static void
check_filter(Compiler *compiler, KtFilter *filter, const char *place)
{
	const KtSid *inherited = NULL;

	if (filter->object == NULL)
		return;
	check_keys(compiler, filter->object, place, KT_WORKFLOW_FILTER);
	filter->expression = compile_filter(compiler, filter, place);
	if (member(filter->object, "expression") == NULL)
		fault(compiler, psprintf("%s.expression", place), 0,
			  "Write \"1==1\" for a filter that every task fits.", "a filter needs an expression");
	if (filter->ntargets == 0)
		fault(compiler, psprintf("%s.targets", place), 0, NULL,
			  "a filter needs an array of at least one target");
	for (int i = 0; i < filter->ntargets; i++)
	{
		char	   *where = place_of_target(place, i);
		JsonbContainer *object = object_of(compiler, getIthJsonbValueFromContainer(filter->target_objects, i),
										   where, "a target");

		if (object == NULL)
			continue;
		filter->targets[i] = compile_target(compiler, object, where, inherited, KT_WORKFLOW_TARGET);
		inherited = &filter->targets[i]->queue;
	}
}

static void
open_filters(Compiler *compiler, const JsonbValue *filters, KtWorkflowConfiguration *result)
{
	JsonbContainer *array = array_of(filters);

	if (array == NULL)
	{
		fault(compiler, "task_routing.filters", 0, NULL, "filters must be an array");
		return;
	}
	result->nfilters = JsonContainerSize(array);
	result->filters = palloc0(sizeof(KtFilter) * Max(result->nfilters, 1));
	for (int i = 0; i < result->nfilters; i++)
	{
		CHECK_FOR_INTERRUPTS();
		open_filter(compiler, getIthJsonbValueFromContainer(array, i), place_of_filter(i), &result->filters[i]);
	}
}

static HTAB *
make_set(void)
{
	HASHCTL		control = {.keysize = sizeof(uint64), .entrysize = sizeof(uint64), .hcxt = CurrentMemoryContext};

	return hash_create("kin_tr worker paths", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* By a hash of its text, which is enough to count. */
static void
count_path(HTAB *set, const KtPath *path)
{
	uint64		hash = hash_bytes_extended((const unsigned char *) path->text, strlen(path->text), 0);

	if (path->subject == KT_SUBJECT_WORKER)
		hash_search(set, &hash, HASH_ENTER, NULL);
}

static void
count_worker_paths(HTAB *set, const KtTarget *target)
{
	for (uint32 i = 0; target != NULL && target->expression != NULL && i < target->expression->npaths; i++)
		count_path(set, &target->expression->paths[i]);
	for (uint32 i = 0; target != NULL && target->order_by != NULL && i < target->order_by->nkeys; i++)
		count_path(set, &target->order_by->keys[i].path);
}

/* The router keeps a value of each worker for each of them. */
static void
check_worker_paths(Compiler *compiler, const KtWorkflowConfiguration *configuration)
{
	HTAB	   *set = make_set();

	for (int f = 0; f < configuration->nfilters; f++)
		for (int t = 0; t < configuration->filters[f].ntargets; t++)
			count_worker_paths(set, configuration->filters[f].targets[t]);
	count_worker_paths(set, configuration->default_target);
	if (hash_get_num_entries(set) > KT_MAX_WORKER_PATHS)
		fault(compiler, "task_routing", 0, "Look for what they have in common in one array, with HAS.",
			  "its expressions read %ld different attributes of workers, more than %d",
			  hash_get_num_entries(set), KT_MAX_WORKER_PATHS);
	hash_destroy(set);
}

/* What it has, in the current memory context. */
static KtWorkflowConfiguration *
open_configuration(Compiler *compiler, Jsonb *configuration)
{
	KtWorkflowConfiguration *result = palloc0(sizeof(KtWorkflowConfiguration));
	JsonbValue *routing = NULL;
	JsonbContainer *object;
	JsonbValue *filters;
	JsonbValue *default_filter;

	result->context = CurrentMemoryContext;
	result->lookup = compiler->lookup;
	result->lookup_context = compiler->context;
	if (JB_ROOT_IS_OBJECT(configuration))
	{
		check_keys(compiler, &configuration->root, "", KT_WORKFLOW_ROOT);
		routing = member(&configuration->root, "task_routing");
	}
	if (routing == NULL || routing->type != jbvBinary ||
		!JsonContainerIsObject(routing->val.binary.data))
	{
		fault(compiler, "task_routing", 0,
			  "Write {\"task_routing\": {\"filters\": [...], \"default_filter\": {...}}}.",
			  "a configuration is an object with the key task_routing");
		return result;
	}
	object = routing->val.binary.data;
	check_keys(compiler, object, "task_routing", KT_WORKFLOW_TASK_ROUTING);
	filters = member(object, "filters");
	default_filter = member(object, "default_filter");
	if (filters != NULL)
		open_filters(compiler, filters, result);
	if (default_filter != NULL)
		result->default_object = object_of(compiler, default_filter, PLACE_OF_DEFAULT, "a target");
	if (result->nfilters == 0 && default_filter == NULL && *compiler->faults == NIL)
		fault(compiler, "task_routing", 0, NULL,
			  "a configuration needs a filter or a default_filter");
	return result;
}

void
kt_workflow_check(Jsonb *configuration, KtQueueLookup lookup, void *context, List **faults, List **warnings)
{
	Compiler	compiler = {CurrentMemoryContext, lookup, context, faults, warnings};
	KtWorkflowConfiguration *opened = open_configuration(&compiler, configuration);

	for (int i = 0; i < opened->nfilters; i++)
	{
		CHECK_FOR_INTERRUPTS();
		check_filter(&compiler, &opened->filters[i], place_of_filter(i));
	}
	if (opened->default_object != NULL)
		opened->default_target = compile_target(&compiler, opened->default_object, PLACE_OF_DEFAULT, NULL,
												KT_WORKFLOW_DEFAULT_FILTER);
	if (*faults == NIL)
		check_worker_paths(&compiler, opened);
}

/* ------------------------------------------------------------- in use */

/* It is remembered, so that each who meets it takes no memory more. */
static const char *
first_fault(List *faults, MemoryContext context)
{
	const KtWorkflowFault *first;
	char	   *text;

	if (faults == NIL)
		return NULL;
	first = linitial(faults);
	text = psprintf("%s: %s", first->place, first->message);
	return MemoryContextStrdup(context, text);
}

static void
raise_fault(const KtWorkflowConfiguration *configuration, const char *fault)
{
	if (fault != NULL)
		elog(ERROR, "configuration of workflow %s: %s", kt_sid_cstring(&configuration->workflow), fault);
}

KtWorkflowConfiguration *
kt_workflow_open(const KtSid *workflow, Jsonb *configuration, KtQueueLookup lookup, void *context)
{
	List	   *faults = NIL;
	Compiler	compiler = {CurrentMemoryContext, lookup, context, &faults};
	KtWorkflowConfiguration *result = open_configuration(&compiler, configuration);

	result->workflow = *workflow;
	raise_fault(result, first_fault(faults, CurrentMemoryContext));
	return result;
}

const KtExpr *
kt_workflow_filter(KtWorkflowConfiguration *configuration, int number)
{
	KtFilter   *filter = &configuration->filters[number];
	List	   *faults = NIL;
	Compiler	compiler = {configuration->context, configuration->lookup, configuration->lookup_context, &faults};

	Assert(number < configuration->nfilters);
	if (filter->expression == NULL && filter->fault == NULL)
	{
		filter->expression = compile_filter(&compiler, filter, place_of_filter(number));
		filter->fault = first_fault(faults, configuration->context);
		if (filter->expression == NULL && filter->fault == NULL)
			filter->fault = "a filter needs an expression";
	}
	raise_fault(configuration, filter->fault);
	return filter->expression;
}

/* The queue of the nearest target before one that names its own; NULL: none does. */
static KtSid *
inherited_queue(Compiler *compiler, const KtFilter *filter, const char *place, int target)
{
	while (--target >= 0)
	{
		JsonbValue *value = getIthJsonbValueFromContainer(filter->target_objects, target);
		char	   *where = place_of_target(place, target);
		JsonbContainer *object = object_of(compiler, value, where, "a target");
		KtTarget	outer = {NULL};

		if (object == NULL || member(object, "queue") == NULL)
			continue;
		compile_queue(compiler, object, where, &outer, NULL);
		return memcpy(palloc(sizeof(KtSid)), &outer.queue, sizeof(KtSid));
	}
	return NULL;
}

/* NULL: it is no object. */
static KtTarget *
target_of_filter(Compiler *compiler, const KtFilter *filter, const char *place, int target)
{
	char	   *where = place_of_target(place, target);
	JsonbValue *value = getIthJsonbValueFromContainer(filter->target_objects, target);
	JsonbContainer *object = object_of(compiler, value, where, "a target");
	KtSid	   *inherited = NULL;

	if (object == NULL)
		return NULL;
	if (member(object, "queue") == NULL)
		inherited = inherited_queue(compiler, filter, place, target);
	return compile_target(compiler, object, where, inherited, KT_WORKFLOW_TARGET);
}

static KtTarget *
compile_for_use(KtWorkflowConfiguration *configuration, int filter, int target)
{
	List	   *faults = NIL;
	Compiler	compiler = {configuration->context, configuration->lookup, configuration->lookup_context, &faults};
	KtTarget   *result = filter == configuration->nfilters ?
		compile_target(&compiler, configuration->default_object, PLACE_OF_DEFAULT, NULL,
					   KT_WORKFLOW_DEFAULT_FILTER) :
		target_of_filter(&compiler, &configuration->filters[filter], place_of_filter(filter), target);

	if (result == NULL)
		result = MemoryContextAllocZero(configuration->context, sizeof(KtTarget));
	result->fault = first_fault(faults, configuration->context);
	return result;
}

/* Where one is kept that has been compiled; an error where there is none such. */
static KtTarget **
place_of_compiled(KtWorkflowConfiguration *configuration, int filter, int target)
{
	if (filter == configuration->nfilters && configuration->default_object != NULL)
		return &configuration->default_target;
	if (filter < 0 || filter >= configuration->nfilters ||
		target < 0 || target >= configuration->filters[filter].ntargets)
		elog(ERROR, "configuration of workflow %s: there is no target %d of filter %d",
			 kt_sid_cstring(&configuration->workflow), target, filter);
	return &configuration->filters[filter].targets[target];
}

const KtTarget *
kt_workflow_target(KtWorkflowConfiguration *configuration, int filter, int target)
{
	KtTarget  **compiled = place_of_compiled(configuration, filter, target);

	if (*compiled == NULL)
		*compiled = compile_for_use(configuration, filter, target);
	raise_fault(configuration, (*compiled)->fault);
	return *compiled;
}

/* ----------------------------------------------------------------- functions */

/* The faults of a configuration whose queues are a workspace's. */
static List *
faults_in_workspace(Jsonb *configuration, KtSid *workspace, List **warnings)
{
	MemoryContext context = CurrentMemoryContext;
	MemoryContext spi_context;
	List	   *faults = NIL;
	KtSpi		spi;

	kt_spi_begin(&spi);
	spi_context = MemoryContextSwitchTo(context);
	kt_workflow_check(configuration, kt_queue_lookup, workspace, &faults, warnings);
	MemoryContextSwitchTo(spi_context);
	kt_spi_end(&spi);
	return faults;
}

static void
put_faults(ReturnSetInfo *rsinfo, List *faults, const char *severity)
{
	ListCell   *cell;

	foreach(cell, faults)
	{
		KtWorkflowFault *each = lfirst(cell);
		Datum		values[5] = {
			kt_text_datum(severity), kt_text_datum(each->place), kt_text_datum(each->message)
		};
		bool		nulls[5] = {false, false, false, each->hint == NULL, each->position == 0};

		if (each->hint)
			values[3] = kt_text_datum(each->hint);
		values[4] = Int32GetDatum(each->position);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
}

/*
 * validate_workflow(configuration jsonb, workspace text)
 * -> setof (severity text, place text, message text, hint text, "position" integer)
 *
 * Without a workspace that can be told, the names of queues are not checked.
 */
Datum
kin_tr_validate_workflow(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	KtSid		workspace;
	List	   *faults = NIL;
	List	   *warnings = NIL;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("configuration must not be null"),
				 errhint("Write {\"task_routing\": {\"filters\": [...], \"default_filter\": {...}}}.")));
	if (kt_workspace_for_reading(PG_ARGISNULL(1) ? NULL : PG_GETARG_TEXT_PP(1), &workspace))
		faults = faults_in_workspace(PG_GETARG_JSONB_P(0), &workspace, &warnings);
	else
		kt_workflow_check(PG_GETARG_JSONB_P(0), NULL, NULL, &faults, &warnings);
	put_faults(rsinfo, faults, "error");
	put_faults(rsinfo, warnings, "warning");
	return (Datum) 0;
}

static void
report_faults(List *faults)
{
	KtWorkflowFault *first = linitial(faults);
	StringInfoData detail;
	ListCell   *cell;

	initStringInfo(&detail);
	foreach(cell, faults)
	{
		KtWorkflowFault *each = lfirst(cell);

		if (foreach_current_index(cell) >= 20)
		{
			appendStringInfo(&detail, "\n... and %d more", list_length(faults) - 20);
			break;
		}
		appendStringInfo(&detail, "%s%s: %s", detail.len > 0 ? "\n" : "", each->place, each->message);
		if (each->position > 0)
			appendStringInfo(&detail, " (at character %d)", each->position);
	}
	ereport(ERROR,
			(errcode(KT_ERRCODE_INVALID_WORKFLOW),
			 errmsg("invalid workflow configuration at %s: %s", first->place, first->message),
			 errdetail_internal("%s", detail.data),
			 first->hint ? errhint("%s", first->hint) :
			 errhint("kin_tr.validate_workflow() tells every fault and its place.")));
}

/* Where in a configuration something is. */
typedef enum Place
{
	ELSEWHERE, ROOT, TASK_ROUTING, FILTERS, FILTER, TARGETS, TARGET, DEFAULT_FILTER, QUEUE
} Place;

/* What is behind a key of an object, or behind "[]" in an array. */
static Place
place_behind(Place outer, const char *key, int length)
{
	static const struct
	{
		Place		outer;
		const char *key;
		Place		inner;
	}			steps[] = {
		{ROOT, "task_routing", TASK_ROUTING},
		{TASK_ROUTING, "filters", FILTERS},
		{FILTERS, "[]", FILTER},
		{FILTER, "targets", TARGETS},
		{TARGETS, "[]", TARGET},
		{TARGET, "queue", QUEUE},
		{TASK_ROUTING, "default_filter", DEFAULT_FILTER},
		{DEFAULT_FILTER, "queue", QUEUE}
	};

	for (int i = 0; i < lengthof(steps); i++)
		if (steps[i].outer == outer && strlen(steps[i].key) == length &&
			memcmp(steps[i].key, key, length) == 0)
			return steps[i].inner;
	return ELSEWHERE;
}

/* A walk through a configuration: where it is, and where what comes next is. */
typedef struct Walk
{
	List	   *outer;			/* of Place */
	Place		next;
} Walk;

static void
walk(Walk *walk, JsonbIteratorToken token, const JsonbValue *value)
{
	Place		place;

	if (token == WJB_BEGIN_OBJECT || token == WJB_BEGIN_ARRAY)
		walk->outer = lappend_int(walk->outer, walk->next);
	else if (token == WJB_END_OBJECT || token == WJB_END_ARRAY)
		walk->outer = list_delete_last(walk->outer);
	if (walk->outer == NIL)
		return;
	place = llast_int(walk->outer);
	if (token == WJB_KEY)
		walk->next = place_behind(place, value->val.string.val, value->val.string.len);
	else
		walk->next = place_behind(place, "[]", 2);
}

/*
 * Copies a configuration with the names of its queues replaced by their sids,
 * so that renaming a queue breaks no workflow.  They are locked against deletion.
 * Keys "queue" at other places are their owner's own.
 */
static Jsonb *
with_queue_sids(Jsonb *configuration, KtSid *workspace)
{
	JsonbIterator *iterator = JsonbIteratorInit(&configuration->root);
	JsonbParseState *state = NULL;
	JsonbValue *result = NULL;
	JsonbIteratorToken token;
	JsonbValue	value;
	Walk		place = {NIL, ROOT};

	while ((token = JsonbIteratorNext(&iterator, &value, false)) != WJB_DONE)
	{
		KtSid		sid;

		CHECK_FOR_INTERRUPTS();
		if (token == WJB_VALUE && place.next == QUEUE && value.type == jbvString &&
			kt_config_find_and_lock(KT_TASK_QUEUE, pnstrdup(value.val.string.val, value.val.string.len),
									workspace, &sid))
		{
			value.val.string.val = kt_sid_cstring(&sid);
			value.val.string.len = KT_SID_LENGTH;
		}
		walk(&place, token, &value);
		result = pushJsonbValue(&state, token, token < WJB_BEGIN_ARRAY ? &value : NULL);
	}
	return JsonbValueToJsonb(result);
}

static void
report_warnings(List *warnings)
{
	ListCell   *cell;

	foreach(cell, warnings)
	{
		KtWorkflowFault *each = lfirst(cell);

		if (foreach_current_index(cell) >= 20)
		{
			ereport(NOTICE,
					(errmsg("workflow configuration: %d more warnings", list_length(warnings) - 20),
					 errhint("kin_tr.validate_workflow() tells them all.")));
			break;
		}
		ereport(NOTICE,
				(errmsg("workflow configuration at %s: %s", each->place, each->message),
				 each->hint ? errhint("%s", each->hint) : 0));
	}
}

/* Warnings are told unless NULL. */
static void
check_in_workspace(Jsonb *configuration, KtSid *workspace, List **warnings)
{
	List	   *faults = faults_in_workspace(configuration, workspace, warnings);

	if (faults != NIL)
		report_faults(faults);
	if (warnings != NULL)
		report_warnings(*warnings);
}

/* _normalize_workflow(configuration jsonb, workspace sid): checked, and with sids. */
Datum
kin_tr_normalize_workflow(PG_FUNCTION_ARGS)
{
	Jsonb	   *configuration = PG_GETARG_JSONB_P(0);
	KtSid	   *workspace = PG_GETARG_SID_P(1);
	uint64		generation = kt_config_generation();
	List	   *warnings = NIL;
	Jsonb	   *result;
	KtSpi		spi;

	kt_limit_document(configuration, MAX_CONFIGURATION_SIZE, "workflow configuration is", NULL,
					  "Keep in it what routing needs, and the rest elsewhere.");
	check_in_workspace(configuration, workspace, &warnings);
	kt_spi_begin(&spi);
	result = with_queue_sids(configuration, workspace);
	result = (Jsonb *) SPI_datumTransfer(JsonbPGetDatum(result), false, -1);
	kt_spi_end(&spi);
	/* Waiting for a lock may have brought news of a queue that is gone. */
	if (kt_config_generation() != generation)
		check_in_workspace(result, workspace, NULL);
	PG_RETURN_JSONB_P(result);
}
