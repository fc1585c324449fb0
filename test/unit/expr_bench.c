/*
 * expr_bench.c
 *		How many evaluations a second one core does; no part of the tests.
 *
 * Built from this file and those of src/expr with -O2 and -Isrc.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "expr/expr.h"

#define ROUNDS	20000000
#define RUNS	5

static void *
allocate(void *context, size_t size)
{
	void	   *memory = malloc(size);

	(void) context;
	if (memory == NULL)
		abort();
	return memory;
}

static KtValue
string(const char *text)
{
	KtValue		value = {0};

	value.kind = KT_VALUE_STRING;
	value.length = (uint32_t) strlen(text);
	value.text = text;
	return value;
}

static KtValue
number(const char *text)
{
	KtValue		value = {0};

	(void) kt_value_number(text, strlen(text), &value);
	return value;
}

static double
seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

/* The best of some runs, since other work on the machine only makes it slower. */
static void
run(const char *text, KtExprPlace place, const KtValue *values)
{
	KtExprError error;
	const KtExpr *expr = kt_expr_compile(text, strlen(text), place, allocate, NULL, &error);
	double		best = 0;
	long		count = 0;

	if (expr == NULL)
	{
		printf("%s: %s\n", text, error.message);
		exit(1);
	}
	for (int i = 0; i < RUNS; i++)
	{
		double		start = seconds();
		double		elapsed;

		for (long round = 0; round < ROUNDS; round++)
			count += kt_expr_evaluate(expr, values);
		elapsed = seconds() - start;
		if (i == 0 || elapsed < best)
			best = elapsed;
	}
	printf("%6.1f ns %6.1f M/s  %-5s  %s\n", best / ROUNDS * 1e9, ROUNDS / best / 1e6,
		   count > 0 ? "true" : "false", text);
}

int
main(void)
{
	KtValue		skills[3];
	KtValue		queue[2];
	KtValue		target[2];
	KtValue		decimal;
	KtValue		text;

	skills[0] = string("support");
	skills[1] = string("sales");
	skills[2] = string("billing");
	memset(queue, 0, sizeof(queue));
	queue[0].kind = KT_VALUE_ARRAY;
	queue[0].length = 3;
	queue[0].items = skills;
	queue[1] = number("6");
	target[0] = skills[2];
	target[1] = queue[0];
	decimal = number("5.25");
	text = string("06");

	run("skills HAS \"billing\" AND level > 5", KT_PLACE_QUEUE, queue);
	run("task.skill IN worker.skills", KT_PLACE_TARGET, target);
	run("language IN ['en', 'es', 'fr', 'de', 'billing']", KT_PLACE_FILTER, target);
	run("rating >= 5.1", KT_PLACE_FILTER, &decimal);
	run("level > 5", KT_PLACE_FILTER, &text);
	run("1 == 1", KT_PLACE_FILTER, NULL);
	return 0;
}
