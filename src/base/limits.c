/*
 * limits.c
 *		How long the texts and documents of a caller may be.
 *
 * Every text ends up in a row, an event, a message or the memory of a process.
 * A limit goes by the name of the argument, so that all functions agree; docs/
 * operations.md has the same table.  That names are shorter still, and an
 * idempotency key, is said where they are checked.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#include "base/compat.h"
#include "base/limits.h"
#include "base/numeric.h"

/* Bytes of what is not in the table: names, SIDs, choices, telephone numbers. */
#define USUAL 1024

static const struct
{
	const char *argument;
	Size		bytes;
}			limits[] = {
	{"cursor", 1024 * 1024},	/* names thousands of transactions on a busy server */
	{"event_callback_url", 2048},
	{"assignment_callback_url", 2048},
	{"fallback_assignment_callback_url", 2048},
	{"events_filter", 4096},
	{"reason", 4096},
	{"target_workers", 64 * 1024},	/* as the parser of expressions */
};

static Size
limit_of(const char *argument)
{
	for (int i = 0; i < lengthof(limits); i++)
		if (strcmp(limits[i].argument, argument) == 0)
			return limits[i].bytes;
	return USUAL;
}

void
kt_limit_text(Datum text, const char *argument)
{
	Size		size = toast_raw_datum_size(text) - VARHDRSZ;
	Size		most = limit_of(argument);

	if (size > most)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("%s is too long: %zu bytes", argument, size),
				 errdetail("It may have %zu.", most),
				 errhint("Keep long texts in a table of your own, and their key here.")));
}

char *
kt_limit_argument(FunctionCallInfo fcinfo, int number, const char *name)
{
	if (PG_ARGISNULL(number))
		return NULL;
	kt_limit_text(PG_GETARG_DATUM(number), name);
	return text_to_cstring(PG_GETARG_TEXT_PP(number));
}

static Size
printed_string(const char *string, int length)
{
	Size		size = length + 2;

	for (int i = 0; i < length; i++)
	{
		unsigned char c = (unsigned char) string[i];

		if (c == '"' || c == '\\' || c == '\b' || c == '\f' || c == '\n' || c == '\r' || c == '\t')
			size++;
		else if (c < ' ')
			size += 5;
	}
	return size;
}

/* A sign, the digits before the point, at least one, and those behind it. */
static Size
printed_number(Numeric numeric)
{
	int			weight;
	int			scale;

	kt_numeric_extent(numeric, &weight, &scale);
	return 1 + (weight >= 0 ? (Size) (weight + 1) * 4 : 1) + (scale > 0 ? (Size) scale + 1 : 0);
}

Size
kt_limit_printed(JsonbContainer *container, Size most)
{
	JsonbIterator *iterator = JsonbIteratorInit(container);
	JsonbIteratorToken token;
	JsonbValue	value;
	Size		size = 0;
	int			tokens = 0;

	while (size <= most && (token = JsonbIteratorNext(&iterator, &value, false)) != WJB_DONE)
	{
		if ((++tokens & 0xFFF) == 0)
			CHECK_FOR_INTERRUPTS();
		/* Brackets, and ": " or ", " behind what is in them. */
		size += 2;
		if (token != WJB_KEY && token != WJB_VALUE && token != WJB_ELEM)
			continue;
		if (value.type == jbvString)
			size += printed_string(value.val.string.val, value.val.string.len);
		else if (value.type == jbvNumeric)
			size += printed_number(value.val.numeric);
		else
			size += strlen("false");
	}
	return size;
}

void
kt_limit_document(Jsonb *document, Size most, const char *what, const char *setting,
				  const char *hint)
{
	Size		stored = VARSIZE(document);
	Size		printed = stored > most ? 0 : kt_limit_printed(&document->root, most);

	if (stored <= most && printed <= most)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 stored > most ? errmsg("%s too large: %zu bytes as jsonb", what, stored) :
			 errmsg("%s too large: more than %zu bytes as text", what, most),
			 setting ? errdetail("%s allows %zu kB.", setting, most / 1024) :
			 errdetail("The limit is %zu bytes.", most),
			 errhint("%s", hint)));
}
