/*
 * expr.h
 *		TaskRouter's expression language: compile once, evaluate often.
 *
 * This room includes no server header, so that it can be fuzzed and unit
 * tested by itself.  Nothing in it can fail at evaluation: an operator that
 * does not fit its operands' types is false, as at Twilio.
 *
 * The grammar is section 3.2 of the TaskRouter reference; docs/expressions.md
 * has it with the choices made where the reference leaves one.
 */
#ifndef KIN_TR_EXPR_EXPR_H
#define KIN_TR_EXPR_EXPR_H

#include "value.h"

/* What a bare name means depends on where the expression stands. */
typedef enum KtExprPlace
{
	KT_PLACE_FILTER,			/* bare names are the task's attributes */
	KT_PLACE_QUEUE,				/* bare names are the worker's attributes */
	KT_PLACE_TARGET,			/* every name has its prefix: task. or worker. */
	KT_PLACE_SKIP_IF,			/* workers. and taskrouter. only */

	/* for trying out: every prefix is known, and a bare name is ... */
	KT_PLACE_ANY_TASK,			/* ... the task's */
	KT_PLACE_ANY_WORKER			/* ... the worker's */
} KtExprPlace;

/* Whose value a path reads. */
typedef enum KtSubject
{
	KT_SUBJECT_TASK,			/* attributes of the task */
	KT_SUBJECT_WORKER,			/* attributes of the worker, and its sid,
								 * friendly_name, activity_sid, activity_name */
	KT_SUBJECT_CHANNEL,			/* worker.channel.<unique_name>.<counter>; the
								 * steps are unique_name and counter */
	KT_SUBJECT_WORKERS,			/* counts of a queue's workers */
	KT_SUBJECT_TASKROUTER		/* the time of day */
} KtSubject;

typedef struct KtStep
{
	const char *key;			/* not terminated; NULL where the step is an
								 * array index */
	uint32_t	key_length;
	uint32_t	index;
} KtStep;

/* One distinct path that an expression reads; see KtExpr.paths. */
typedef struct KtPath
{
	KtSubject	subject;
	uint32_t	nsteps;			/* at least one */
	const KtStep *steps;		/* without the subject's prefix */
	const char *text;			/* the same steps, as text in its only form:
								 * a.b[2]; zero-terminated */
} KtPath;

typedef struct KtNode KtNode;	/* private to the room */

typedef struct KtExpr
{
	uint32_t	npaths;			/* distinct paths, in order of appearance */
	const KtPath *paths;
	uint32_t	subjects;		/* bit 1 << KtSubject for each subject read */
	const KtNode *root;

	/*
	 * The first comparison of two names of which the right one has no prefix
	 * and leads no deeper, as in skills HAS billing: mostly one of the two is a
	 * text that lacks its quotes.
	 */
	bool		two_names;		/* is there one? */
	uint32_t	left_name;		/* in paths */
	uint32_t	right_name;
	uint32_t	right_position; /* byte offset in the text */
} KtExpr;

/* What is wrong with an expression, and where. */
typedef struct KtExprError
{
	uint32_t	position;		/* byte offset of the fault, from 0 */
	char		message[160];	/* lower case, no full stop; UTF-8, never cut
								 * inside a character */
	char		hint[160];		/* a sentence, or empty */
} KtExprError;

#define KT_EXPR_MAX_LENGTH	65535	/* bytes of one expression */
#define KT_EXPR_MAX_DEPTH	64		/* nested parentheses and lists */
#define KT_EXPR_MAX_PATHS	256		/* different names */
#define KT_ORDER_MAX_KEYS	32

/*
 * What one evaluation may cost, in about nanoseconds: so many comparisons, items of
 * arrays and bytes of texts.  One that would cost more does not hold.
 */
#define KT_EXPR_MAX_WORK	10000000

/* Memory for a compiled expression; never returns NULL. */
typedef void *(*KtExprAlloc) (void *context, size_t size);

/*
 * Compiles text.  Everything reachable from the result is allocated by alloc,
 * and text need not outlive the call.  NULL and *error filled where text is
 * not an expression.  An empty text, or white space alone, is an error: the
 * caller decides what an absent expression means.
 */
extern const KtExpr *kt_expr_compile(const char *text, size_t length, KtExprPlace place,
									 KtExprAlloc alloc, void *context, KtExprError *error);

/* values[i] is what paths[i] reads; a path that leads nowhere reads NULL. */
extern bool kt_expr_evaluate(const KtExpr *expr, const KtValue *values);

/*
 * The same, but a comparison that reads a subject in unknown (bits as in
 * KtExpr.subjects) counts as true.  The language has no negation above its
 * comparisons, so false here means false whatever the unknown values are.
 */
extern bool kt_expr_possible(const KtExpr *expr, const KtValue *values, uint32_t unknown);

/*
 * A comparison that every match must pass and that ties one value of the task
 * to one of the worker by equality or membership, so that the matcher can look
 * workers up by value instead of trying them all.  Each side is a path index;
 * a side marked many is an array of which one item must equal the other side.
 * It is the first such comparison in the text.
 *
 * What the look-up finds under kt_value_hash() are candidates, on which the
 * expression is still to be evaluated: values with one hash may differ, also
 * because "6" == 6 holds but 6 IN ["6"] does not.  And the look-up must treat
 * NULL as a value of its own, for two missing values are equal: task.a ==
 * worker.b holds for a task without a and a worker without b, and a missing
 * value is IN an array that has a null in it.  On a side that is not many an
 * array or object ties nobody; on a side that is many, everything else does
 * not, nor does an array or object among the items.
 */
typedef struct KtTie
{
	uint32_t	task_path;
	uint32_t	worker_path;
	bool		task_many;
	bool		worker_many;
} KtTie;

extern bool kt_expr_tie(const KtExpr *expr, KtTie *tie);

/* order_by: "worker.a DESC, worker.b ASC"; a direction is always given */
typedef struct KtOrderKey
{
	KtPath		path;			/* subject WORKER */
	bool		descending;
} KtOrderKey;

typedef struct KtOrder
{
	uint32_t	nkeys;
	const KtOrderKey *keys;
} KtOrder;

extern const KtOrder *kt_order_compile(const char *text, size_t length,
									   KtExprAlloc alloc, void *context, KtExprError *error);

/* A known worker's reference: "task.agent_sid"; a path of subject TASK. */
extern const KtPath *kt_reference_compile(const char *text, size_t length,
										  KtExprAlloc alloc, void *context, KtExprError *error);

#endif							/* KIN_TR_EXPR_EXPR_H */
