/*
 * order.c
 *		order_by, and the reference to a known worker: paths without conditions.
 */
#include "expr/parser.h"

typedef struct ListedKey
{
	KtOrderKey	key;
	struct ListedKey *next;
} ListedKey;

/* worker.level DESC */
static bool
read_key(KtParser *parser, KtOrderKey *key)
{
	if (!kt_parser_path(parser, &key->path))
		return false;
	key->descending = kt_token_is_word(&parser->token, "DESC");
	if (!key->descending && !kt_token_is_word(&parser->token, "ASC"))
		return kt_parser_expected(parser, "ASC or DESC");
	return kt_parser_advance(parser);
}

static ListedKey *
read_keys(KtParser *parser, uint32_t *count)
{
	ListedKey  *first = NULL;
	ListedKey **next = &first;

	for (*count = 1;; (*count)++)
	{
		*next = kt_parser_alloc(parser, sizeof(ListedKey));
		(*next)->next = NULL;
		if (!read_key(parser, &(*next)->key))
			return NULL;
		if (parser->token.kind == KT_TOKEN_END)
			return first;
		if (!kt_token_is(&parser->token, ','))
		{
			kt_parser_expected(parser, "\",\" or the end");
			return NULL;
		}
		if (*count == KT_ORDER_MAX_KEYS)
		{
			/* Two workers are compared by each of them, and all may be alike. */
			kt_expr_fault(parser->error, parser->token.position, "order_by has more than %d keys",
						  KT_ORDER_MAX_KEYS);
			return NULL;
		}
		if (!kt_parser_advance(parser))
			return NULL;
		next = &(*next)->next;
	}
}

const KtOrder *
kt_order_compile(const char *text, size_t length,
				 KtExprAlloc alloc, void *context, KtExprError *error)
{
	KtParser	parser;
	ListedKey  *listed;
	uint32_t	count;
	KtOrderKey *keys;
	KtOrder    *order;

	if (!kt_parser_start(&parser, text, length, &kt_order_rules, "order_by",
						 alloc, context, error))
		return NULL;
	listed = read_keys(&parser, &count);
	if (listed == NULL)
		return NULL;
	keys = kt_parser_alloc(&parser, count * sizeof(KtOrderKey));
	for (uint32_t i = 0; i < count; i++, listed = listed->next)
		keys[i] = listed->key;
	order = kt_parser_alloc(&parser, sizeof(KtOrder));
	order->nkeys = count;
	order->keys = keys;
	return order;
}

const KtPath *
kt_reference_compile(const char *text, size_t length,
					 KtExprAlloc alloc, void *context, KtExprError *error)
{
	KtParser	parser;
	KtPath	   *path;

	if (!kt_parser_start(&parser, text, length, &kt_reference_rules, "reference",
						 alloc, context, error))
		return NULL;
	path = kt_parser_alloc(&parser, sizeof(KtPath));
	if (!kt_parser_path(&parser, path))
		return NULL;
	if (parser.token.kind != KT_TOKEN_END)
	{
		kt_parser_expected(&parser, "the end");
		return NULL;
	}
	return path;
}
