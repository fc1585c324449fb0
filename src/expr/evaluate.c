/*
 * evaluate.c
 *		Whether an expression holds for given values.
 *
 * Nothing here allocates, fails or keeps state: the router evaluates an
 * expression for every class of workers, and a fault in one task's attributes
 * must not reach another's.  What one evaluation may cost is bounded, since
 * thousands of comparisons may each look into an array of thousands.
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

/* Of KT_EXPR_MAX_WORK: what a comparison costs, besides its texts, and each item of an array. */
#define WORK_OF_COMPARISON	8
#define WORK_OF_ITEM		4

typedef struct Evaluation
{
	const KtValue *values;
	uint32_t	unknown;		/* subjects; as in kt_expr_possible() */
	int64_t		left;			/* of KT_EXPR_MAX_WORK; below zero: it costs too much */
} Evaluation;

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

static inline int64_t
length_of(const KtValue *value)
{
	return value->kind == KT_VALUE_STRING || value->kind == KT_VALUE_DECIMAL ? value->length : 0;
}

/*
 * A text is read digit by digit where it is compared with a number; with another
 * text by memory, which is much faster.
 */
static inline int64_t
work_of(const KtValue *a, const KtValue *b)
{
	int64_t		length = length_of(a) + length_of(b);

	return a->kind == KT_VALUE_STRING && b->kind == KT_VALUE_STRING ? length / 4 : length;
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

static inline bool
item_is(Evaluation *evaluation, const KtValue *item, const KtValue *value)
{
	bool		texts = item->kind == KT_VALUE_STRING || value->kind == KT_VALUE_STRING;

	evaluation->left -= WORK_OF_ITEM;
	/* Of texts of two lengths, and of a text and a number, nothing more is read. */
	if (!texts || (item->kind == value->kind && item->length == value->length))
		evaluation->left -= work_of(item, value);
	return kt_value_same(item, value);
}

static bool
array_has(Evaluation *evaluation, const KtValue *array, const KtValue *value)
{
	for (uint32_t i = 0; i < array->length && evaluation->left >= 0; i++)
	{
		if (item_is(evaluation, &array->items[i], value))
			return true;
	}
	return false;
}

static bool
list_has(Evaluation *evaluation, const KtOperand *list, const KtValue *value)
{
	for (uint32_t i = 0; i < list->nitems && evaluation->left >= 0; i++)
	{
		if (item_is(evaluation, value_of(&list->items[i], evaluation->values), value))
			return true;
	}
	return false;
}

/* HAS, IN and NOT IN: false unless one side is an array and the other is not. */
static bool
has(Evaluation *evaluation, const KtOperand *array, const KtOperand *item, bool wanted)
{
	const KtValue *array_value = value_of(array, evaluation->values);
	const KtValue *item_value = value_of(item, evaluation->values);

	if (array_value->kind != KT_VALUE_ARRAY || !is_scalar(item_value))
		return false;
	if (array->kind == KT_OPERAND_LIST)
		return list_has(evaluation, array, item_value) == wanted;
	return array_has(evaluation, array_value, item_value) == wanted;
}

static bool
comparison_holds(Evaluation *evaluation, const KtNode *node)
{
	const KtValue *left = value_of(&node->left, evaluation->values);
	const KtValue *right = value_of(&node->right, evaluation->values);
	int			order;

	evaluation->left -= WORK_OF_COMPARISON + work_of(left, right);
	if (evaluation->left < 0)
		return false;
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
			return has(evaluation, &node->left, &node->right, true);
		case KT_OP_IN:
			return has(evaluation, &node->right, &node->left, true);
		case KT_OP_NOT_IN:
			return has(evaluation, &node->right, &node->left, false);
	}
	return false;
}

/* Recursion is as deep as the text's parentheses: KT_EXPR_MAX_DEPTH bounds it. */
static bool
holds(Evaluation *evaluation, const KtNode *node)
{
	bool		decisive = node->kind == KT_NODE_OR;

	if (node->kind == KT_NODE_COMPARISON)
		return (node->subjects & evaluation->unknown) != 0 || comparison_holds(evaluation, node);
	for (const KtNode *child = node->first; child != NULL && evaluation->left >= 0; child = child->next)
	{
		if (holds(evaluation, child) == decisive)
			return decisive;
	}
	return !decisive;
}

bool
kt_expr_evaluate(const KtExpr *expr, const KtValue *values)
{
	return kt_expr_possible(expr, values, 0);
}

bool
kt_expr_possible(const KtExpr *expr, const KtValue *values, uint32_t unknown)
{
	Evaluation	evaluation = {values, unknown, KT_EXPR_MAX_WORK};

	return holds(&evaluation, expr->root) && evaluation.left >= 0;
}
