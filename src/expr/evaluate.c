/*
 * evaluate.c
 *		Whether an expression holds for given values.
 *
 * Nothing here allocates, fails or keeps state: the router evaluates an
 * expression for every class of workers, and a fault in one task's attributes
 * must not reach another's.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE				/* for memmem(): it is linear, where a loop
								 * round memcmp() takes seconds for the worst
								 * of texts */
#endif

#include "expr/expr.h"

#include <stdio.h>
#include <string.h>

#include "expr/node.h"

/* Bytes of the longest int64, with its sign, as text. */
#define INTEGER_LENGTH		20

static inline const KtValue *
value_of(const KtOperand *operand, const KtValue *values)
{
	return operand->kind == KT_OPERAND_PATH ? &values[operand->path] : &operand->constant;
}

static inline bool
is_scalar(const KtValue *value)
{
	return value->kind != KT_VALUE_ARRAY && value->kind != KT_VALUE_OBJECT;
}

/*
 * == and !=: with a NULL on either side they ask whether there is a value, of
 * any kind; otherwise an array or object is false to both.
 */
static bool
equals(const KtValue *left, const KtValue *right, bool wanted)
{
	if (left->kind == KT_VALUE_NULL || right->kind == KT_VALUE_NULL)
		return (left->kind == right->kind) == wanted;
	return is_scalar(left) && is_scalar(right) && kt_value_equal(left, right) == wanted;
}

static int
compare_strings(const KtValue *a, const KtValue *b)
{
	uint32_t	shorter = a->length < b->length ? a->length : b->length;
	int			order = shorter > 0 ? memcmp(a->text, b->text, shorter) : 0;

	return order != 0 ? order : (a->length > b->length) - (a->length < b->length);
}

/* The value as a number, in *number where it is a string; NULL if it is none. */
static const KtValue *
as_number(const KtValue *value, KtValue *number)
{
	if (value->kind == KT_VALUE_INTEGER || value->kind == KT_VALUE_DECIMAL)
		return value;
	if (value->kind == KT_VALUE_STRING && kt_value_number(value->text, value->length, number))
		return number;
	return NULL;
}

/* Less than, equal to or greater than zero; false where there is no order. */
static bool
compare(const KtValue *left, const KtValue *right, int *order)
{
	KtValue		left_number;
	KtValue		right_number;

	if (left->kind == KT_VALUE_STRING && right->kind == KT_VALUE_STRING)
	{
		*order = compare_strings(left, right);
		return true;
	}
	left = as_number(left, &left_number);
	right = as_number(right, &right_number);
	if (left == NULL || right == NULL)
		return false;
	*order = kt_value_compare_numbers(left, right);
	return true;
}

/*
 * The text of a string or number, in buffer where it has none; NULL for others.
 * buffer has INTEGER_LENGTH + 1 bytes.
 */
static const char *
text_of(const KtValue *value, char *buffer, size_t *length)
{
	switch (value->kind)
	{
		case KT_VALUE_STRING:
		case KT_VALUE_DECIMAL:
			*length = value->length;
			return value->length > 0 ? value->text : "";
		case KT_VALUE_INTEGER:
			*length = (size_t) snprintf(buffer, INTEGER_LENGTH + 1, "%lld",
										(long long) value->integer);
			return buffer;
		default:
			return NULL;
	}
}

static bool
contains(const KtValue *left, const KtValue *right)
{
	char		left_buffer[INTEGER_LENGTH + 1];
	char		right_buffer[INTEGER_LENGTH + 1];
	size_t		left_length = 0;
	size_t		right_length = 0;
	const char *haystack = text_of(left, left_buffer, &left_length);
	const char *needle = text_of(right, right_buffer, &right_length);

	return haystack != NULL && needle != NULL &&
		memmem(haystack, left_length, needle, right_length) != NULL;
}

static bool
array_has(const KtValue *array, const KtValue *item)
{
	for (uint32_t i = 0; i < array->length; i++)
	{
		if (kt_value_same(&array->items[i], item))
			return true;
	}
	return false;
}

static bool
list_has(const KtOperand *list, const KtValue *item, const KtValue *values)
{
	for (uint32_t i = 0; i < list->nitems; i++)
	{
		if (kt_value_same(value_of(&list->items[i], values), item))
			return true;
	}
	return false;
}

/* HAS, IN and NOT IN: false unless one side is an array and the other is not. */
static bool
has(const KtOperand *array, const KtOperand *item, const KtValue *values, bool wanted)
{
	const KtValue *array_value = value_of(array, values);
	const KtValue *item_value = value_of(item, values);

	if (array_value->kind != KT_VALUE_ARRAY || !is_scalar(item_value))
		return false;
	if (array->kind == KT_OPERAND_LIST)
		return list_has(array, item_value, values) == wanted;
	return array_has(array_value, item_value) == wanted;
}

static bool
comparison_holds(const KtNode *node, const KtValue *values)
{
	const KtValue *left = value_of(&node->left, values);
	const KtValue *right = value_of(&node->right, values);
	int			order;

	switch (node->op)
	{
		case KT_OP_EQUAL:
			return equals(left, right, true);
		case KT_OP_NOT_EQUAL:
			return equals(left, right, false);
		case KT_OP_GREATER:
			return compare(left, right, &order) && order > 0;
		case KT_OP_GREATER_EQUAL:
			return compare(left, right, &order) && order >= 0;
		case KT_OP_LESS:
			return compare(left, right, &order) && order < 0;
		case KT_OP_LESS_EQUAL:
			return compare(left, right, &order) && order <= 0;
		case KT_OP_CONTAINS:
			return contains(left, right);
		case KT_OP_HAS:
			return has(&node->left, &node->right, values, true);
		case KT_OP_IN:
			return has(&node->right, &node->left, values, true);
		case KT_OP_NOT_IN:
			return has(&node->right, &node->left, values, false);
	}
	return false;
}

/* Recursion is as deep as the text's parentheses: KT_EXPR_MAX_DEPTH bounds it. */
static bool
holds(const KtNode *node, const KtValue *values, uint32_t unknown)
{
	bool		decisive = node->kind == KT_NODE_OR;

	if (node->kind == KT_NODE_COMPARISON)
		return (node->subjects & unknown) != 0 || comparison_holds(node, values);
	for (const KtNode *child = node->first; child != NULL; child = child->next)
	{
		if (holds(child, values, unknown) == decisive)
			return decisive;
	}
	return !decisive;
}

bool
kt_expr_evaluate(const KtExpr *expr, const KtValue *values)
{
	return holds(expr->root, values, 0);
}

bool
kt_expr_possible(const KtExpr *expr, const KtValue *values, uint32_t unknown)
{
	return holds(expr->root, values, unknown);
}
