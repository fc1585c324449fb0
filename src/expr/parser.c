/*
 * parser.c
 *		What the parsers of the room's small languages share: tokens, memory,
 *		and the paths that all of them read.
 */
#include "expr/parser.h"

#include <stdio.h>
#include <string.h>

void *
kt_parser_alloc(KtParser *parser, size_t size)
{
	return parser->alloc(parser->context, size > 0 ? size : 1);
}

bool
kt_parser_start(KtParser *parser, const char *text, size_t length,
				const KtPlaceRules *rules, const char *what,
				KtExprAlloc alloc, void *context, KtExprError *error)
{
	char	   *copy;

	memset(parser, 0, sizeof(KtParser));
	parser->rules = rules;
	parser->alloc = alloc;
	parser->context = context;
	parser->error = error;
	if (length > KT_EXPR_MAX_LENGTH)
	{
		kt_expr_fault(error, KT_EXPR_MAX_LENGTH, "%s is too long: %zu bytes", what, length);
		return kt_expr_hint(error, "It may have %d bytes.", KT_EXPR_MAX_LENGTH);
	}
	copy = kt_parser_alloc(parser, length);
	if (length > 0)
		memcpy(copy, text, length);
	parser->lexer.text = copy;
	parser->lexer.length = (uint32_t) length;
	if (!kt_parser_advance(parser))
		return false;
	if (parser->token.kind == KT_TOKEN_END)
		return kt_expr_fault(error, 0, "%s is empty", what);
	return true;
}

bool
kt_parser_advance(KtParser *parser)
{
	parser->previous_end = parser->lexer.position;
	return kt_lexer_next(&parser->lexer, &parser->token, parser->error);
}

bool
kt_parser_expected(KtParser *parser, const char *what)
{
	return kt_expr_fault(parser->error, parser->token.position, "expected %s, found %s",
						 what, kt_token_quote(&parser->token).text);
}

bool
kt_parser_take(KtParser *parser, char sign)
{
	char		what[] = {'"', sign, '"', '\0'};

	if (!kt_token_is(&parser->token, sign))
		return kt_parser_expected(parser, what);
	return kt_parser_advance(parser);
}

static KtStep *
add_step(KtParser *parser, uint32_t nsteps)
{
	if (nsteps == parser->steps_allocated)
	{
		uint32_t	allocated = nsteps > 0 ? nsteps * 2 : 8;
		KtStep	   *steps = kt_parser_alloc(parser, allocated * sizeof(KtStep));

		if (nsteps > 0)
			memcpy(steps, parser->steps, nsteps * sizeof(KtStep));
		parser->steps = steps;
		parser->steps_allocated = allocated;
	}
	return &parser->steps[nsteps];
}

static bool
read_key(KtParser *parser, KtStep *step)
{
	if (parser->token.kind != KT_TOKEN_NAME)
		return kt_parser_expected(parser, "a name");
	step->key = parser->token.text;
	step->key_length = parser->token.length;
	step->index = 0;
	return kt_parser_advance(parser);
}

/* An array's index, its opening bracket taken. */
static bool
read_index(KtParser *parser, KtStep *step)
{
	const KtToken *token = &parser->token;
	bool		digits = token->kind == KT_TOKEN_NUMBER;

	for (uint32_t i = 0; digits && i < token->length; i++)
		digits = token->text[i] >= '0' && token->text[i] <= '9';
	if (!digits)
		return kt_parser_expected(parser, "an array index");
	if (token->value.kind != KT_VALUE_INTEGER || token->value.integer > INT32_MAX)
		return kt_expr_fault(parser->error, token->position, "array index %s is out of range",
							 kt_token_quote(token).text);
	step->key = NULL;
	step->key_length = 0;
	step->index = (uint32_t) token->value.integer;
	return kt_parser_advance(parser) && kt_parser_take(parser, ']');
}

static bool
read_written_path(KtParser *parser, KtWrittenPath *path)
{
	path->position = parser->token.position;
	path->text = parser->token.text;
	path->nsteps = 0;
	if (!read_key(parser, add_step(parser, path->nsteps++)))
		return false;
	for (;;)
	{
		path->length = parser->previous_end - path->position;
		path->steps = parser->steps;
		if (kt_token_is(&parser->token, '.'))
		{
			if (!kt_parser_advance(parser) ||
				!read_key(parser, add_step(parser, path->nsteps++)))
				return false;
		}
		else if (kt_token_is(&parser->token, '['))
		{
			if (!kt_parser_advance(parser) ||
				!read_index(parser, add_step(parser, path->nsteps++)))
				return false;
		}
		else
			return true;
	}
}

/* a.b[2], in any case the same text for the same steps */
static const char *
canonical_text(KtParser *parser, const KtStep *steps, uint32_t nsteps)
{
	size_t		size = 1;
	char	   *text;
	char	   *end;

	for (uint32_t i = 0; i < nsteps; i++)
		size += steps[i].key != NULL ? steps[i].key_length + 1 : sizeof("[4294967295]");
	text = end = kt_parser_alloc(parser, size);
	for (uint32_t i = 0; i < nsteps; i++)
	{
		if (steps[i].key == NULL)
		{
			end += snprintf(end, size - (size_t) (end - text), "[%u]", (unsigned) steps[i].index);
			continue;
		}
		if (i > 0)
			*end++ = '.';
		memcpy(end, steps[i].key, steps[i].key_length);
		end += steps[i].key_length;
	}
	*end = '\0';
	return text;
}

bool
kt_parser_path(KtParser *parser, KtPath *path)
{
	KtWrittenPath written;
	uint32_t	nprefix;
	KtStep	   *steps;

	if (!read_written_path(parser, &written) ||
		!kt_place_resolve(parser->rules, &written, &path->subject, &nprefix, parser->error))
		return false;
	path->nsteps = written.nsteps - nprefix;
	steps = kt_parser_alloc(parser, path->nsteps * sizeof(KtStep));
	memcpy(steps, written.steps + nprefix, path->nsteps * sizeof(KtStep));
	path->steps = steps;
	path->text = canonical_text(parser, steps, path->nsteps);
	return true;
}

static KtPathEntry **
find_bucket(KtParser *parser, const KtPath *path)
{
	uint32_t	hash = (uint32_t) path->subject;

	for (const char *p = path->text; *p != '\0'; p++)
		hash = hash * 31 + (unsigned char) *p;
	return &parser->buckets[(hash ^ hash >> 16) % KT_PATH_BUCKETS];
}

bool
kt_parser_path_index(KtParser *parser, uint32_t *index, KtSubject *subject)
{
	KtPath		path;
	KtPathEntry **bucket;
	KtPathEntry *entry;

	if (!kt_parser_path(parser, &path))
		return false;
	bucket = find_bucket(parser, &path);
	for (entry = *bucket; entry != NULL; entry = entry->next_in_bucket)
	{
		if (entry->path.subject == path.subject && strcmp(entry->path.text, path.text) == 0)
			break;
	}
	if (entry == NULL && parser->npaths == KT_EXPR_MAX_PATHS)
	{
		/* For each task and worker it has a value for each of them. */
		kt_expr_fault(parser->error, parser->previous_end, "expression reads more than %d different names",
					  KT_EXPR_MAX_PATHS);
		return kt_expr_hint(parser->error, "Look for what they have in common in one array, with HAS.");
	}
	if (entry == NULL)
	{
		entry = kt_parser_alloc(parser, sizeof(KtPathEntry));
		entry->path = path;
		entry->index = parser->npaths++;
		entry->next_in_bucket = *bucket;
		entry->next = NULL;
		*bucket = entry;
		if (parser->last_path != NULL)
			parser->last_path->next = entry;
		else
			parser->first_path = entry;
		parser->last_path = entry;
	}
	*index = entry->index;
	*subject = path.subject;
	return true;
}

const KtPath *
kt_parser_paths(KtParser *parser)
{
	KtPath	   *paths = kt_parser_alloc(parser, parser->npaths * sizeof(KtPath));

	for (KtPathEntry *entry = parser->first_path; entry != NULL; entry = entry->next)
		paths[entry->index] = entry->path;
	return paths;
}
