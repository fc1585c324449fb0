/*
 * attributes.c
 *		From jsonb to the values of expressions.
 *
 * Nothing is copied but numbers: a string's value points into the jsonb.  A
 * small whole number is decoded from its numeric by hand, since going through
 * numeric's text would cost more than the rest of an evaluation.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/guc.h"
#include "base/limits.h"
#include "base/numeric.h"
#include "routing/attributes.h"

/* A whole number below 10^16: at most four digits of base 10,000. */
static bool
small_integer(Numeric numeric, int64 *result)
{
	uint32		size = VARSIZE_ANY_EXHDR(numeric);
	char	   *data = VARDATA_ANY(numeric);
	uint16		header;
	int			weight;
	int			ndigits;
	int64		value = 0;

	if (size < sizeof(uint16))
		return false;
	memcpy(&header, data, sizeof(uint16));
	if ((header & NUMERIC_SPECIAL_FLAGS) != NUMERIC_SHORT_FLAG ||
		(header & (NUMERIC_SHORT_SCALE | NUMERIC_SHORT_WEIGHT_SIGN)) != 0)
		return false;
	weight = header & NUMERIC_SHORT_WEIGHT;
	ndigits = (size - sizeof(uint16)) / sizeof(int16);
	if (weight > 3 || ndigits > weight + 1)
		return false;
	for (int i = 0; i <= weight; i++)
	{
		int16		digit = 0;

		if (i < ndigits)
			memcpy(&digit, data + sizeof(uint16) + i * sizeof(int16), sizeof(int16));
		value = value * 10000 + digit;
	}
	*result = (header & NUMERIC_SHORT_SIGN) ? -value : value;
	return true;
}

static KtValue
number_value(Numeric numeric)
{
	KtValue		value = {KT_VALUE_NULL};
	int64		integer;
	char	   *text;

	if (small_integer(numeric, &integer))
		return kt_value_integer(integer);
	text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(numeric)));
	/* jsonb has neither NaN nor infinity */
	(void) kt_value_number(text, strlen(text), &value);
	return value;
}

static KtValue value_of_jsonb(JsonbValue *jsonb, bool nested);

static KtValue
array_value(JsonbContainer *container)
{
	KtValue		value = {KT_VALUE_ARRAY};
	JsonbIterator *iterator = JsonbIteratorInit(container);
	JsonbValue	item;
	KtValue    *items;
	uint32		n = 0;

	value.length = JsonContainerSize(container);
	items = palloc(sizeof(KtValue) * Max(value.length, 1));
	(void) JsonbIteratorNext(&iterator, &item, true);	/* WJB_BEGIN_ARRAY */
	while (n < value.length && JsonbIteratorNext(&iterator, &item, true) == WJB_ELEM)
		items[n++] = value_of_jsonb(&item, true);
	value.length = n;
	value.items = items;
	return value;
}

/* An array inside an array equals nothing, so its items are not looked at. */
static KtValue
value_of_jsonb(JsonbValue *jsonb, bool nested)
{
	KtValue		value = {KT_VALUE_NULL};

	switch (jsonb->type)
	{
		case jbvNull:
			break;
		case jbvBool:
			value.kind = KT_VALUE_BOOL;
			value.boolean = jsonb->val.boolean;
			break;
		case jbvNumeric:
			return number_value(jsonb->val.numeric);
		case jbvString:
			return kt_value_text(jsonb->val.string.val, jsonb->val.string.len);
		case jbvBinary:
			if (!JsonContainerIsArray(jsonb->val.binary.data))
				value.kind = KT_VALUE_OBJECT;
			else if (nested)
				value.kind = KT_VALUE_ARRAY;
			else
				return array_value(jsonb->val.binary.data);
			break;
		default:
			elog(ERROR, "unexpected kind of jsonb value: %d", (int) jsonb->type);
	}
	return value;
}

/* Goes one step down; false where there is nothing of that name or number. */
static bool
take_step(JsonbContainer *container, const KtStep *step, JsonbValue *found)
{
	JsonbValue *item;

	if (step->key != NULL)
		return JsonContainerIsObject(container) &&
			getKeyJsonValueFromContainer(container, step->key, step->key_length, found) != NULL;
	if (!JsonContainerIsArray(container) || step->index >= JsonContainerSize(container))
		return false;
	item = getIthJsonbValueFromContainer(container, step->index);
	*found = *item;
	pfree(item);
	return true;
}

KtValue
kt_attributes_read(Jsonb *attributes, const KtPath *path)
{
	static const KtValue nothing = {KT_VALUE_NULL};
	JsonbContainer *container;
	JsonbValue	found;

	if (attributes == NULL)
		return nothing;
	container = &attributes->root;
	for (uint32 i = 0;; i++)
	{
		if (!take_step(container, &path->steps[i], &found))
			return nothing;
		if (i + 1 == path->nsteps)
			return value_of_jsonb(&found, false);
		if (found.type != jbvBinary)
			return nothing;
		container = found.val.binary.data;
	}
}

KtValue
kt_value_copy(const KtValue *value, MemoryContext context)
{
	KtValue		copy = *value;

	if (value->kind == KT_VALUE_STRING || value->kind == KT_VALUE_DECIMAL)
	{
		char	   *text = MemoryContextAlloc(context, value->length + 1);

		memcpy(text, value->text, value->length);
		text[value->length] = '\0';
		copy.text = text;
	}
	else if (value->kind == KT_VALUE_ARRAY && value->length > 0)
	{
		KtValue    *items = MemoryContextAlloc(context, sizeof(KtValue) * value->length);

		for (uint32 i = 0; i < value->length; i++)
			items[i] = kt_value_copy(&value->items[i], context);
		copy.items = items;
	}
	return copy;
}

Size
kt_value_size(const KtValue *value)
{
	Size		size = sizeof(KtValue);

	if (value->kind == KT_VALUE_STRING || value->kind == KT_VALUE_DECIMAL)
		size += value->length;
	for (uint32 i = 0; value->kind == KT_VALUE_ARRAY && i < value->length; i++)
		size += kt_value_size(&value->items[i]);
	return size;
}

KtValue
kt_value_text(const char *text, size_t length)
{
	KtValue		value = {KT_VALUE_STRING};

	value.length = length;
	value.text = text;
	return value;
}

KtValue
kt_value_integer(int64 integer)
{
	KtValue		value = {KT_VALUE_INTEGER};

	value.integer = integer;
	return value;
}

bool
kt_worker_identity_has(const KtPath *path)
{
	return path->nsteps == 1 &&
		(strcmp(path->text, "sid") == 0 || strcmp(path->text, "friendly_name") == 0 ||
		 strcmp(path->text, "activity_sid") == 0 || strcmp(path->text, "activity_name") == 0);
}

KtValue
kt_worker_value(Jsonb *attributes, const KtWorkerIdentity *identity, const KtPath *path)
{
	if (identity != NULL && path->nsteps == 1)
	{
		if (strcmp(path->text, "sid") == 0)
			return kt_value_text(kt_sid_cstring(&identity->sid), KT_SID_LENGTH);
		if (strcmp(path->text, "friendly_name") == 0)
			return kt_value_text(identity->friendly_name, strlen(identity->friendly_name));
		if (strcmp(path->text, "activity_sid") == 0)
			return kt_value_text(kt_sid_cstring(&identity->activity_sid), KT_SID_LENGTH);
		if (strcmp(path->text, "activity_name") == 0)
			return kt_value_text(identity->activity_name, strlen(identity->activity_name));
	}
	return kt_attributes_read(attributes, path);
}

KtValue
kt_time_read(TimestampTz at, const KtPath *path)
{
	static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	struct pg_tm tm;
	fsec_t		fsec;

	if (timestamp2tm(at, NULL, &tm, &fsec, NULL, NULL) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
	if (strcmp(path->text, "currentTime") == 0)
		return kt_value_integer(tm.tm_hour * 100 + tm.tm_min);
	if (strcmp(path->text, "currentHour") == 0)
		return kt_value_text(psprintf("%02d", tm.tm_hour), 2);
	if (strcmp(path->text, "currentMin") == 0)
		return kt_value_text(psprintf("%02d", tm.tm_min), 2);
	/* dayOfWeek: the parser lets no fifth name through */
	return kt_value_text(days[j2day(date2j(tm.tm_year, tm.tm_mon, tm.tm_mday))], 3);
}

void
kt_attributes_check_object(Jsonb *value, const char *argument)
{
	if (!JB_ROOT_IS_OBJECT(value))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be a JSON object", argument),
				 errdetail("It is %s.", JB_ROOT_IS_SCALAR(value) ? "a scalar" : "an array"),
				 errhint("Write for example '{\"type\": \"support\"}'.")));
}

void
kt_attributes_check(Jsonb *attributes, const char *argument)
{
	kt_attributes_check_object(attributes, argument);
	kt_limit_document(attributes, (Size) kt_max_attributes_size * 1024, psprintf("%s are", argument),
					  "kin_tr.max_attributes_size",
					  "Keep large documents in a table of your own, and their key in the attributes.");
}
