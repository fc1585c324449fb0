/*
 * parser.h
 *		What the parsers of the room's small languages share.
 */
#ifndef KIN_TR_EXPR_PARSER_H
#define KIN_TR_EXPR_PARSER_H

#include "expr/expr.h"
#include "expr/fault.h"
#include "expr/lexer.h"
#include "expr/place.h"

#define KT_PATH_BUCKETS		64

/* A distinct path found so far. */
typedef struct KtPathEntry
{
	KtPath		path;
	uint32_t	index;
	struct KtPathEntry *next_in_bucket;
	struct KtPathEntry *next;	/* by index */
} KtPathEntry;

/*
 * Memory is never given back: alloc has no counterpart, and an expression is
 * compiled into a context that the caller throws away as a whole.
 */
typedef struct KtParser
{
	KtLexer		lexer;
	KtToken		token;			/* the next one, not yet taken */
	uint32_t	previous_end;	/* where the one before it ended */
	const KtPlaceRules *rules;
	KtExprAlloc alloc;
	void	   *context;
	KtExprError *error;
	uint32_t	depth;			/* of open parentheses and lists */

	KtStep	   *steps;			/* of the path being read */
	uint32_t	steps_allocated;

	uint32_t	npaths;
	KtPathEntry *first_path;
	KtPathEntry *last_path;
	KtPathEntry *buckets[KT_PATH_BUCKETS];

	bool		two_names;		/* as in KtExpr */
	uint32_t	left_name;
	uint32_t	right_name;
	uint32_t	right_position;
} KtParser;

extern void *kt_parser_alloc(KtParser *parser, size_t size);

/* Begins to read text, which is copied; the first token is at hand then. */
extern bool kt_parser_start(KtParser *parser, const char *text, size_t length,
							const KtPlaceRules *rules, const char *what,
							KtExprAlloc alloc, void *context, KtExprError *error);

extern bool kt_parser_advance(KtParser *parser);

/* An error at the next token: expected what, found the token. */
extern bool kt_parser_expected(KtParser *parser, const char *what);

/* Takes the sign, or fails. */
extern bool kt_parser_take(KtParser *parser, char sign);

/* Reads a path, which begins at the next token. */
extern bool kt_parser_path(KtParser *parser, KtPath *path);

/* The same, and gives its index among the distinct ones. */
extern bool kt_parser_path_index(KtParser *parser, uint32_t *index, KtSubject *subject);

/* The distinct paths, by index. */
extern const KtPath *kt_parser_paths(KtParser *parser);

#endif							/* KIN_TR_EXPR_PARSER_H */
