/*
 * fault.h
 *		How the room words what is wrong with an expression.
 */
#ifndef KIN_TR_EXPR_FAULT_H
#define KIN_TR_EXPR_FAULT_H

#include "expr/expr.h"

#define KT_QUOTE_LENGTH		40	/* bytes of the user's text in a message */

/* A piece of the user's text, fit for a message; a value, so nobody frees it. */
typedef struct KtQuote
{
	char		text[KT_QUOTE_LENGTH + 24];
} KtQuote;

#if defined(__GNUC__)
#define KT_FORMAT(string, first)	__attribute__((format(printf, string, first)))
#else
#define KT_FORMAT(string, first)
#endif

/*
 * The text itself, cut with dots where it is long.  The result is UTF-8 without
 * control characters whatever text is, since messages go to logs and terminals.
 */
extern KtQuote kt_expr_quote(const char *text, size_t length);

/* Fills *error with a message and no hint.  Always false, to be returned. */
extern bool kt_expr_fault(KtExprError *error, uint32_t position,
						  const char *format,...) KT_FORMAT(3, 4);

/* Adds a hint to an error just filled.  Always false too. */
extern bool kt_expr_hint(KtExprError *error, const char *format,...) KT_FORMAT(2, 3);

/* Bytes of the character that begins at text; 0 where that is no UTF-8. */
extern size_t kt_utf8_length(const char *text, size_t length);

#endif							/* KIN_TR_EXPR_FAULT_H */
