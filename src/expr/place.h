/*
 * place.h
 *		What names mean, depending on where they stand.
 */
#ifndef KIN_TR_EXPR_PLACE_H
#define KIN_TR_EXPR_PLACE_H

#include "expr/expr.h"

/* The first name of a path, where it is more than an attribute's. */
typedef enum KtPrefix
{
	KT_PREFIX_NONE,
	KT_PREFIX_TASK,
	KT_PREFIX_WORKER,
	KT_PREFIX_WORKERS,
	KT_PREFIX_TASKROUTER
} KtPrefix;

/* The names of one place. */
typedef struct KtPlaceRules
{
	const char *where;			/* "a filter's expression" */
	uint32_t	accepted;		/* bits 1 << KtPrefix */
	uint32_t	refused;		/* likewise; the others are ordinary names */
	bool		channels;		/* are channels' counters known? */
	bool		bare;			/* may a name have no prefix? */
	KtSubject	subject;		/* and whose is it then? */
	const char *refusal;		/* the hint for a prefix that is refused */
} KtPlaceRules;

/* A path as written. */
typedef struct KtWrittenPath
{
	const char *text;			/* from the first byte to the last */
	uint32_t	length;
	uint32_t	position;
	uint32_t	nsteps;
	const KtStep *steps;
} KtWrittenPath;

extern const KtPlaceRules *kt_place_rules(KtExprPlace place);

extern const KtPlaceRules kt_order_rules;
extern const KtPlaceRules kt_reference_rules;

/*
 * Whose value a path reads, and how many of its steps only say that.  False,
 * and *error filled, where it can mean nothing there.
 */
extern bool kt_place_resolve(const KtPlaceRules *rules, const KtWrittenPath *path,
							 KtSubject *subject, uint32_t *nprefix, KtExprError *error);

#endif							/* KIN_TR_EXPR_PLACE_H */
