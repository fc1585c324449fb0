/*
 * tie.c
 *		The comparison through which workers can be looked up by value.
 */
#include "expr/expr.h"

#include "expr/node.h"

/* Which side must be an array for the comparison to hold. */
static bool
many_sides(KtOperator op, bool *left_many, bool *right_many)
{
	*left_many = op == KT_OP_HAS;
	*right_many = op == KT_OP_IN;
	return op == KT_OP_EQUAL || op == KT_OP_HAS || op == KT_OP_IN;
}

static bool
tie_of_comparison(const KtNode *node, KtTie *tie)
{
	const uint32_t task = 1U << KT_SUBJECT_TASK;
	const uint32_t worker = 1U << KT_SUBJECT_WORKER;
	bool		left_many;
	bool		right_many;
	bool		task_left;

	if (node->left.kind != KT_OPERAND_PATH || node->right.kind != KT_OPERAND_PATH ||
		node->subjects != (task | worker) || !many_sides(node->op, &left_many, &right_many))
		return false;
	task_left = node->left.subjects == task;
	tie->task_path = task_left ? node->left.path : node->right.path;
	tie->worker_path = task_left ? node->right.path : node->left.path;
	tie->task_many = task_left ? left_many : right_many;
	tie->worker_many = task_left ? right_many : left_many;
	return true;
}

bool
kt_expr_tie(const KtExpr *expr, KtTie *tie)
{
	const KtNode *root = expr->root;

	if (root->kind == KT_NODE_COMPARISON)
		return tie_of_comparison(root, tie);
	if (root->kind != KT_NODE_AND)
		return false;
	for (const KtNode *child = root->first; child != NULL; child = child->next)
	{
		if (child->kind == KT_NODE_COMPARISON && tie_of_comparison(child, tie))
			return true;
	}
	return false;
}
