/*
 * lexer.h
 *		From an expression's text to its tokens.
 */
#ifndef KIN_TR_EXPR_LEXER_H
#define KIN_TR_EXPR_LEXER_H

#include "expr/expr.h"
#include "expr/fault.h"
#include "expr/node.h"

typedef enum KtTokenKind
{
	KT_TOKEN_END,
	KT_TOKEN_NAME,				/* a keyword too */
	KT_TOKEN_NUMBER,
	KT_TOKEN_STRING,
	KT_TOKEN_OPERATOR,			/* one that is written with signs */
	KT_TOKEN_SIGN				/* ( ) [ ] , . */
} KtTokenKind;

/*
 * A name that is a keyword has both meanings: behind a dot it is a name, so
 * that task.in can be read.
 */
typedef enum KtKeyword
{
	KT_KEYWORD_NONE,
	KT_KEYWORD_AND,
	KT_KEYWORD_OR,
	KT_KEYWORD_NOT,
	KT_KEYWORD_CONTAINS,
	KT_KEYWORD_HAS,
	KT_KEYWORD_IN,
	KT_KEYWORD_TRUE,
	KT_KEYWORD_FALSE,
	KT_KEYWORD_NULL
} KtKeyword;

typedef struct KtToken
{
	KtTokenKind kind;
	KtKeyword	keyword;		/* NAME */
	KtOperator	op;				/* OPERATOR */
	char		sign;			/* SIGN */
	uint32_t	position;		/* of its first byte, also a quote */
	uint32_t	length;			/* of text */
	const char *text;			/* as written; a STRING's without its quotes */
	KtValue		value;			/* NUMBER */
} KtToken;

typedef struct KtLexer
{
	const char *text;
	uint32_t	length;
	uint32_t	position;		/* of what has not been read */
} KtLexer;

/* The next token; false, and *error filled, where there is none. */
extern bool kt_lexer_next(KtLexer *lexer, KtToken *token, KtExprError *error);

/* Is the token this sign? */
extern bool kt_token_is(const KtToken *token, char sign);

/* Is the token a name equal to word, which is in capitals?  Ignores case. */
extern bool kt_token_is_word(const KtToken *token, const char *word);

/* The token as a message names it. */
extern KtQuote kt_token_quote(const KtToken *token);

#endif							/* KIN_TR_EXPR_LEXER_H */
