/*
 * grammar.c
 *		From an expression's tokens to its tree.
 *
 *	expr	:= and ( OR and )*
 *	and		:= primary ( AND primary )*
 *	primary	:= "(" expr ")" | operand operator operand
 *	operand	:= string | number | TRUE | FALSE | NULL | list | path
 *	list	:= "[" [ operand ( "," operand )* ] "]"
 *
 * One token decides each time, so a function per line, each leaving the parser
 * at the token behind what it read, is all it takes.  Recursion goes through
 * parentheses and lists alone, and both count towards KT_EXPR_MAX_DEPTH.
 */
#include "expr/parser.h"

#include <string.h>

#include "expr/node.h"

typedef struct ListItem
{
	KtOperand	operand;
	struct ListItem *next;
} ListItem;

static KtNode *read_expression(KtParser *parser);
static bool read_operand(KtParser *parser, KtOperand *operand);

/* Goes into a parenthesis or list, whose bracket is the next token. */
static bool
open_bracket(KtParser *parser)
{
	if (parser->depth == KT_EXPR_MAX_DEPTH)
	{
		kt_expr_fault(parser->error, parser->token.position, "expression is nested too deeply");
		return kt_expr_hint(parser->error, "Parentheses and lists may stand %d deep in each other.",
							KT_EXPR_MAX_DEPTH);
	}
	parser->depth++;
	return kt_parser_advance(parser);
}

/* A list of constants is one constant: nothing is built when evaluating. */
static void
fold_list(KtParser *parser, const ListItem *first, uint32_t count, KtOperand *list)
{
	KtValue    *values = kt_parser_alloc(parser, count * sizeof(KtValue));

	for (uint32_t i = 0; i < count; i++, first = first->next)
		values[i] = first->operand.constant;
	list->kind = KT_OPERAND_CONSTANT;
	list->constant.length = count;
	list->constant.items = values;
}

static void
finish_list(KtParser *parser, const ListItem *first, uint32_t count, KtOperand *list)
{
	KtOperand  *operands;

	list->constant.kind = KT_VALUE_ARRAY;
	if (list->subjects == 0)
	{
		fold_list(parser, first, count, list);
		return;
	}
	operands = kt_parser_alloc(parser, count * sizeof(KtOperand));
	for (uint32_t i = 0; i < count; i++, first = first->next)
		operands[i] = first->operand;
	list->kind = KT_OPERAND_LIST;
	list->nitems = count;
	list->items = operands;
}

static bool
read_list(KtParser *parser, KtOperand *list)
{
	ListItem   *first = NULL;
	ListItem  **next = &first;
	uint32_t	count = 0;

	if (!open_bracket(parser))
		return false;
	while (count > 0 || !kt_token_is(&parser->token, ']'))
	{
		*next = kt_parser_alloc(parser, sizeof(ListItem));
		(*next)->next = NULL;
		if (!read_operand(parser, &(*next)->operand))
			return false;
		list->subjects |= (*next)->operand.subjects;
		next = &(*next)->next;
		count++;
		if (kt_token_is(&parser->token, ']'))
			break;
		if (!kt_token_is(&parser->token, ','))
			return kt_parser_expected(parser, "\",\" or \"]\"");
		if (!kt_parser_advance(parser))
			return false;
	}
	finish_list(parser, first, count, list);
	parser->depth--;
	return kt_parser_advance(parser);
}

/* A keyword where a value should stand: perhaps an attribute of that name. */
static bool
reserved_fault(KtParser *parser)
{
	KtQuote		quote = kt_expr_quote(parser->token.text, parser->token.length);
	bool		is_task = parser->rules->subject == KT_SUBJECT_TASK;

	kt_parser_expected(parser, "a value");
	if (!parser->rules->bare)
		return false;
	return kt_expr_hint(parser->error, "An attribute of this name is written %s%s.",
						is_task ? "task." : "worker.", quote.text);
}

/* TRUE, FALSE, NULL, or the name of an attribute. */
static bool
read_name(KtParser *parser, KtOperand *operand)
{
	KtSubject	subject;

	switch (parser->token.keyword)
	{
		case KT_KEYWORD_NONE:
			operand->kind = KT_OPERAND_PATH;
			if (!kt_parser_path_index(parser, &operand->path, &subject))
				return false;
			operand->subjects = 1U << subject;
			return true;
		case KT_KEYWORD_TRUE:
		case KT_KEYWORD_FALSE:
			operand->constant.kind = KT_VALUE_BOOL;
			operand->constant.boolean = parser->token.keyword == KT_KEYWORD_TRUE;
			return kt_parser_advance(parser);
		case KT_KEYWORD_NULL:
			operand->constant.kind = KT_VALUE_NULL;
			return kt_parser_advance(parser);
		default:
			return reserved_fault(parser);
	}
}

static void
set_string(KtOperand *operand, const KtToken *token)
{
	operand->constant.kind = KT_VALUE_STRING;
	operand->constant.length = token->length;
	operand->constant.text = token->text;
}

static bool
read_operand(KtParser *parser, KtOperand *operand)
{
	memset(operand, 0, sizeof(KtOperand));
	operand->kind = KT_OPERAND_CONSTANT;
	switch (parser->token.kind)
	{
		case KT_TOKEN_NAME:
			return read_name(parser, operand);
		case KT_TOKEN_NUMBER:
			operand->constant = parser->token.value;
			return kt_parser_advance(parser);
		case KT_TOKEN_STRING:
			set_string(operand, &parser->token);
			return kt_parser_advance(parser);
		default:
			if (kt_token_is(&parser->token, '['))
				return read_list(parser, operand);
			return kt_parser_expected(parser, "a value");
	}
}

/* What stands for an operator in SQL, and what to write instead. */
static const struct
{
	const char *word;
	const char *hint;
}			foreign_words[] =
{
	{"IS", "Write == null or != null."},
	{"LIKE", "There are no patterns; CONTAINS looks for a part of a string."},
	{"BETWEEN", "Write two conditions, with >= and <=."}
};

/* No operator where one must be: a value alone is no condition. */
static bool
operator_fault(KtParser *parser, const KtToken *left)
{
	KtKeyword	keyword = parser->token.keyword;
	bool		alone = (parser->token.kind == KT_TOKEN_END ||
						 kt_token_is(&parser->token, ')') ||
						 keyword == KT_KEYWORD_AND || keyword == KT_KEYWORD_OR);

	kt_parser_expected(parser, "an operator");
	for (size_t i = 0; i < sizeof(foreign_words) / sizeof(foreign_words[0]); i++)
		if (kt_token_is_word(&parser->token, foreign_words[i].word))
			return kt_expr_hint(parser->error, "%s", foreign_words[i].hint);
	if (!alone || left->kind != KT_TOKEN_NAME)
		return false;
	if (left->keyword != KT_KEYWORD_NONE)
		return kt_expr_hint(parser->error, "A condition compares two values, such as 1 == 1.");
	return kt_expr_hint(parser->error, "A condition compares two values; "
						"for an attribute that is true or false write == true.");
}

static bool
read_operator(KtParser *parser, const KtToken *left, KtOperator *op)
{
	if (parser->token.kind == KT_TOKEN_OPERATOR)
	{
		*op = parser->token.op;
		return kt_parser_advance(parser);
	}
	switch (parser->token.keyword)
	{
		case KT_KEYWORD_CONTAINS:
			*op = KT_OP_CONTAINS;
			break;
		case KT_KEYWORD_HAS:
			*op = KT_OP_HAS;
			break;
		case KT_KEYWORD_IN:
			*op = KT_OP_IN;
			break;
		case KT_KEYWORD_NOT:
			if (!kt_parser_advance(parser))
				return false;
			if (parser->token.keyword != KT_KEYWORD_IN)
				return kt_parser_expected(parser, "IN behind NOT");
			*op = KT_OP_NOT_IN;
			break;
		default:
			return operator_fault(parser, left);
	}
	return kt_parser_advance(parser);
}

/* Notes two names that are compared, where it is the first time; right is the last token read. */
static void
note_names(KtParser *parser, const KtNode *node, const KtToken *right)
{
	if (parser->two_names || node->left.kind != KT_OPERAND_PATH ||
		node->right.kind != KT_OPERAND_PATH ||
		parser->previous_end != right->position + right->length)
		return;
	parser->two_names = true;
	parser->left_name = node->left.path;
	parser->right_name = node->right.path;
	parser->right_position = right->position;
}

static KtNode *
read_comparison(KtParser *parser)
{
	KtNode	   *node = kt_parser_alloc(parser, sizeof(KtNode));
	KtToken		left = parser->token;
	KtToken		right;

	memset(node, 0, sizeof(KtNode));
	node->kind = KT_NODE_COMPARISON;
	if (!read_operand(parser, &node->left) || !read_operator(parser, &left, &node->op))
		return NULL;
	right = parser->token;
	if (!read_operand(parser, &node->right))
		return NULL;
	node->subjects = node->left.subjects | node->right.subjects;
	note_names(parser, node, &right);

	/* phone CONTAINS 0800 looks for the four digits and not for 800 */
	if (node->op == KT_OP_CONTAINS && left.kind == KT_TOKEN_NUMBER)
		set_string(&node->left, &left);
	if (node->op == KT_OP_CONTAINS && right.kind == KT_TOKEN_NUMBER)
		set_string(&node->right, &right);
	return node;
}

static KtNode *
read_parenthesis(KtParser *parser)
{
	KtNode	   *node;

	if (!open_bracket(parser))
		return NULL;
	node = read_expression(parser);
	if (node == NULL)
		return NULL;
	if (!kt_token_is(&parser->token, ')'))
	{
		kt_parser_expected(parser, "AND, OR or \")\"");
		return NULL;
	}
	parser->depth--;
	return kt_parser_advance(parser) ? node : NULL;
}

static KtNode *
read_primary(KtParser *parser)
{
	if (kt_token_is(&parser->token, '('))
		return read_parenthesis(parser);
	if (parser->token.keyword == KT_KEYWORD_NOT)
	{
		kt_parser_expected(parser, "a condition");
		kt_expr_hint(parser->error, "Only != and NOT IN negate.");
		return NULL;
	}
	return read_comparison(parser);
}

/* Children of a child of the same kind, from parentheses, are its own. */
static void
append_child(KtNode *parent, KtNode *child)
{
	KtNode	   *first = child->kind == parent->kind ? child->first : child;
	KtNode	   *last = child->kind == parent->kind ? child->last : child;

	if (parent->last != NULL)
		parent->last->next = first;
	else
		parent->first = first;
	parent->last = last;
	parent->subjects |= child->subjects;
}

/* Conditions joined by keyword; one alone is itself. */
static KtNode *
read_chain(KtParser *parser, KtNodeKind kind, KtKeyword keyword,
		   KtNode *(*read_child) (KtParser *parser))
{
	KtNode	   *child = read_child(parser);
	KtNode	   *chain;

	if (child == NULL || parser->token.keyword != keyword)
		return child;
	chain = kt_parser_alloc(parser, sizeof(KtNode));
	memset(chain, 0, sizeof(KtNode));
	chain->kind = kind;
	append_child(chain, child);
	while (parser->token.keyword == keyword)
	{
		if (!kt_parser_advance(parser))
			return NULL;
		child = read_child(parser);
		if (child == NULL)
			return NULL;
		append_child(chain, child);
	}
	return chain;
}

static KtNode *
read_conjunction(KtParser *parser)
{
	return read_chain(parser, KT_NODE_AND, KT_KEYWORD_AND, read_primary);
}

static KtNode *
read_expression(KtParser *parser)
{
	return read_chain(parser, KT_NODE_OR, KT_KEYWORD_OR, read_conjunction);
}

const KtExpr *
kt_expr_compile(const char *text, size_t length, KtExprPlace place,
				KtExprAlloc alloc, void *context, KtExprError *error)
{
	KtParser	parser;
	KtNode	   *root;
	KtExpr	   *expr;

	if (!kt_parser_start(&parser, text, length, kt_place_rules(place), "expression",
						 alloc, context, error))
		return NULL;
	root = read_expression(&parser);
	if (root == NULL)
		return NULL;
	if (parser.token.kind != KT_TOKEN_END)
	{
		kt_parser_expected(&parser, "AND, OR or the end");
		return NULL;
	}
	expr = kt_parser_alloc(&parser, sizeof(KtExpr));
	expr->npaths = parser.npaths;
	expr->paths = kt_parser_paths(&parser);
	expr->subjects = root->subjects;
	expr->root = root;
	expr->two_names = parser.two_names;
	expr->left_name = parser.left_name;
	expr->right_name = parser.right_name;
	expr->right_position = parser.right_position;
	return expr;
}
