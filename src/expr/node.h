/*
 * node.h
 *		A compiled expression, as the parser leaves it to the evaluator.
 *
 * AND and OR have any number of children in a list instead of two, so the tree
 * is only as deep as the parentheses in the text, and walking it by recursion
 * is safe: an expression of ten thousand ORs is one node.
 */
#ifndef KIN_TR_EXPR_NODE_H
#define KIN_TR_EXPR_NODE_H

#include "expr/expr.h"

typedef enum KtOperator
{
	KT_OP_EQUAL,
	KT_OP_NOT_EQUAL,
	KT_OP_GREATER,
	KT_OP_GREATER_EQUAL,
	KT_OP_LESS,
	KT_OP_LESS_EQUAL,
	KT_OP_CONTAINS,
	KT_OP_HAS,
	KT_OP_IN,
	KT_OP_NOT_IN
} KtOperator;

typedef enum KtOperandKind
{
	KT_OPERAND_CONSTANT,		/* also a list of constants */
	KT_OPERAND_PATH,
	KT_OPERAND_LIST				/* a list that reads a path */
} KtOperandKind;

typedef struct KtOperand
{
	KtOperandKind kind;
	uint32_t	path;			/* PATH: its index in KtExpr.paths */
	uint32_t	subjects;		/* bits as in KtExpr.subjects */
	uint32_t	nitems;			/* LIST */
	const struct KtOperand *items;	/* LIST */

	/*
	 * For a LIST an array without items: what it is to every operator that
	 * does not look inside.
	 */
	KtValue		constant;
} KtOperand;

typedef enum KtNodeKind
{
	KT_NODE_COMPARISON,
	KT_NODE_AND,
	KT_NODE_OR
} KtNodeKind;

struct KtNode
{
	KtNodeKind	kind;
	KtOperator	op;				/* COMPARISON */
	uint32_t	subjects;		/* what it reads, its children included */
	KtNode	   *next;			/* the parent's next child */
	KtNode	   *first;			/* AND, OR: never of the node's own kind */
	KtNode	   *last;
	KtOperand	left;			/* COMPARISON */
	KtOperand	right;
};

#endif							/* KIN_TR_EXPR_NODE_H */
