/*
 * text.c
 *		A user's text, as a message shows it.
 *
 * A message goes to a log, a terminal and perhaps a browser; an argument may
 * have megabytes.  So what a user has written is cut, where a character ends.
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/varlena.h"

#include "base/text.h"

PG_FUNCTION_INFO_V1(kin_tr_excerpt);

/* Longer names are not compared; no object has one. */
#define MAX_COMPARED	255
#define MAX_WRONG		3

const char *
kt_text_excerpt(const char *text)
{
	int			length = strlen(text);
	int			shown = pg_mbcharcliplen(text, length, KT_EXCERPT_LENGTH);

	return shown == length ? text : psprintf("%.*s...", shown, text);
}

/* _excerpt(text) -> text: for messages of functions in PL/pgSQL. */
Datum
kin_tr_excerpt(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(kt_text_excerpt(text_to_cstring(PG_GETARG_TEXT_PP(0)))));
}

char *
kt_text_list(List *names, bool complete)
{
	StringInfoData list;
	ListCell   *cell;

	initStringInfo(&list);
	foreach(cell, names)
	{
		int			i = foreach_current_index(cell);

		if (i == KT_LISTED_NAMES)
		{
			if (complete)
				appendStringInfo(&list, " and %d more", list_length(names) - i);
			else
				appendStringInfoString(&list, " and many more");
			break;
		}
		appendStringInfo(&list, "%s\"%s\"", i > 0 ? ", " : "", (char *) lfirst(cell));
	}
	return list.data;
}

/* In small letters, as far as they are of ASCII, and without "-", "_" and blanks. */
static char *
folded(const char *name)
{
	char	   *result = palloc(strlen(name) + 1);
	char	   *to = result;

	for (const char *from = name; *from != '\0'; from++)
		if (strchr("-_ ", *from) == NULL)
			*to++ = pg_ascii_tolower((unsigned char) *from);
	*to = '\0';
	return result;
}

const char *
kt_text_nearest(const char *wanted, List *names)
{
	const char *nearest = NULL;
	char	   *source;
	int			wrong;
	ListCell   *cell;

	if (strlen(wanted) > MAX_COMPARED)
		return NULL;
	source = folded(wanted);
	/* What is still near enough: one less than the best so far. */
	wrong = Min(pg_mbstrlen(source) / 3, MAX_WRONG);
	foreach(cell, names)
	{
		const char *name = lfirst(cell);
		char	   *target = folded(name);
		int			distance;

		if (wrong < 0)
			break;
		if (strlen(target) > MAX_COMPARED)
			continue;
		distance = varstr_levenshtein_less_equal(source, strlen(source), target, strlen(target),
												 1, 1, 1, wrong, true);
		if (distance <= wrong)
		{
			nearest = name;
			wrong = distance - 1;
		}
		pfree(target);
	}
	return nearest;
}
