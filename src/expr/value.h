/*
 * value.h
 *		The values that expressions compare: JSON as TaskRouter sees it.
 *
 * A value never owns memory.  A string points at bytes of somebody else (a
 * jsonb datum, a compiled expression, the router's memory), so that reading
 * attributes copies nothing.
 *
 * Numbers are compared exactly: an integer that fits int64 is kept as such,
 * every other number as its decimal text.  A customer id of 18 digits would
 * not survive a double.
 */
#ifndef KIN_TR_EXPR_VALUE_H
#define KIN_TR_EXPR_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum KtValueKind
{
	KT_VALUE_NULL,
	KT_VALUE_BOOL,
	KT_VALUE_INTEGER,			/* a number that fits int64 */
	KT_VALUE_DECIMAL,			/* any other number, as its text */
	KT_VALUE_STRING,
	KT_VALUE_ARRAY,
	KT_VALUE_OBJECT				/* opaque: only "is it null" can be asked */
} KtValueKind;

typedef struct KtValue
{
	KtValueKind kind;
	uint32_t	length;			/* bytes of a text, items of an array */
	union
	{
		bool		boolean;
		int64_t		integer;
		const char *text;		/* STRING and DECIMAL; not terminated */
		const struct KtValue *items;
	};
} KtValue;

/*
 * Reads a number: optional sign, digits, optional fraction, optional exponent.
 * Gives an INTEGER where the value is whole and fits ("6", "06", "6.0", "6e0"
 * and "-0" all do), else a DECIMAL that points at text.  False, and value
 * untouched, where text is no number: also for white space anywhere in it, and
 * for an exponent of more than 17 digits, which could not be compared exactly.
 *
 * Every number must come from here (or be an INTEGER): comparing works with
 * any text, but hashing relies on a DECIMAL not fitting int64.
 */
extern bool kt_value_number(const char *text, size_t length, KtValue *value);

/* Exact three-way comparison of two values that are INTEGER or DECIMAL. */
extern int	kt_value_compare_numbers(const KtValue *a, const KtValue *b);

/*
 * The equality of expressions between two scalars (section 3.2 of the
 * TaskRouter reference): a string that looks like a number equals that number.
 * Two strings are equal by their bytes alone, so this is no equivalence: "6"
 * equals 6 and 6 equals "06", but "6" does not equal "06".  NULL equals NULL
 * and nothing else.  False where either is an array or an object.
 */
extern bool kt_value_equal(const KtValue *a, const KtValue *b);

/*
 * The equality of an array's items, for HAS and IN: as kt_value_equal(), but
 * a string never equals a number (vector 64 of the reference).  Values that are
 * the same are equal.
 */
extern bool kt_value_same(const KtValue *a, const KtValue *b);

/*
 * A hash under which values that kt_value_equal() calls equal are alike, so
 * that "task.a == worker.b" can be a look-up.  NULL has a hash like any other
 * scalar; arrays and objects, which equal nothing, should not be asked for.
 */
extern uint64_t kt_value_hash(const KtValue *value);

#endif							/* KIN_TR_EXPR_VALUE_H */
