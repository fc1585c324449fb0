/*
 * expr_fuzz.c
 *		A libFuzzer target for the expression language.
 *
 * Built from this file and those of src/expr by clang, with -Isrc and
 * -fsanitize=fuzzer,address,undefined; run with -dict=test/fuzz/expr.dict and
 * the corpus in test/fuzz/corpus/expr.
 *
 * An input is: a byte for the place, a byte for the subjects that are unknown,
 * a byte with the number of bytes that make the values, these bytes, and the
 * text.  Beside what the sanitizers see, it checks what must hold for every
 * text and all values.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expr/expr.h"
#include "expr/fault.h"

#define MAX_VALUES	12
#define ALL_PLACES	6
#define ALL_SUBJECTS 31

#define CHECK(condition) \
	do { \
		if (!(condition)) \
		{ \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
			abort(); \
		} \
	} while (0)

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---------- memory: one malloc each, so that a sanitizer sees every edge ---------- */

typedef struct Chunk
{
	struct Chunk *next;
	void	   *memory;
} Chunk;

static void *
allocate(void *context, size_t size)
{
	Chunk	  **chunks = context;
	Chunk	   *chunk = malloc(sizeof(Chunk));

	chunk->memory = malloc(size);
	memset(chunk->memory, 0xA5, size);
	chunk->next = *chunks;
	*chunks = chunk;
	return chunk->memory;
}

static void
free_all(Chunk **chunks)
{
	while (*chunks != NULL)
	{
		Chunk	   *chunk = *chunks;

		*chunks = chunk->next;
		free(chunk->memory);
		free(chunk);
	}
}

/* ---------- values from bytes ---------- */

typedef struct Seed
{
	const uint8_t *bytes;
	size_t		size;
	Chunk	  **chunks;
} Seed;

static uint8_t
next_byte(Seed *seed)
{
	if (seed->size == 0)
		return 0;
	seed->size--;
	return *seed->bytes++;
}

static void
take_text(Seed *seed, const void *text, size_t length, KtValue *value)
{
	char	   *copy = allocate(seed->chunks, length);

	if (length > 0)
		memcpy(copy, text, length);
	value->length = (uint32_t) length;
	value->text = copy;
}

/* A text that is likely to equal another, or bytes as they come. */
static void
make_text(Seed *seed, KtValue *value)
{
	static const char *const likely[] = {
		"", "billing", "a", "b", "aa", "6", "06", "6.0", "-0", "1e400", "10e399", "0.1", "0.10",
		"9007199254740993", "9223372036854775808", "true", "null", "Mon",
	};
	uint8_t		choice = next_byte(seed);
	size_t		length;

	if (choice < sizeof(likely) / sizeof(likely[0]))
	{
		take_text(seed, likely[choice], strlen(likely[choice]), value);
		return;
	}
	length = choice % 24 < seed->size ? choice % 24 : seed->size;
	take_text(seed, seed->bytes, length, value);
	seed->bytes += length;
	seed->size -= length;
}

static KtValue
make_value(Seed *seed, int depth)
{
	KtValue		value = {0};
	KtValue		number;
	KtValue    *items;
	uint8_t		kind = next_byte(seed);

	switch (kind % 8)
	{
		case 0:
			break;
		case 1:
			value.kind = KT_VALUE_BOOL;
			value.boolean = kind & 8;
			break;
		case 2:
			value.kind = KT_VALUE_INTEGER;
			value.integer = (int8_t) next_byte(seed);
			if (kind & 8)
				value.integer = (int64_t) ((uint64_t) value.integer << (kind >> 2));
			break;
		case 3:
		case 4:
			make_text(seed, &value);
			if (kt_value_number(value.text, value.length, &number))
				return number;
			value.kind = KT_VALUE_STRING;
			break;
		case 5:
			make_text(seed, &value);
			value.kind = KT_VALUE_STRING;
			break;
		case 6:
			value.kind = KT_VALUE_OBJECT;
			break;
		default:
			value.kind = KT_VALUE_ARRAY;
			value.length = depth > 1 ? 0 : kind / 8 % 5;
			items = allocate(seed->chunks, value.length * sizeof(KtValue));
			for (uint32_t i = 0; i < value.length; i++)
				items[i] = make_value(seed, depth + 1);
			value.items = items;
	}
	return value;
}

/* ---------- what must hold ---------- */

static bool
is_number(const KtValue *value)
{
	return value->kind == KT_VALUE_INTEGER || value->kind == KT_VALUE_DECIMAL;
}

static bool
is_scalar(const KtValue *value)
{
	return value->kind != KT_VALUE_ARRAY && value->kind != KT_VALUE_OBJECT;
}

static void
check_pair(const KtValue *a, const KtValue *b)
{
	CHECK(kt_value_equal(a, b) == kt_value_equal(b, a));
	CHECK(kt_value_same(a, b) == kt_value_same(b, a));
	CHECK(!kt_value_same(a, b) || kt_value_equal(a, b));
	CHECK(!kt_value_equal(a, b) || kt_value_hash(a) == kt_value_hash(b));
	CHECK(!kt_value_equal(a, b) || (is_scalar(a) && is_scalar(b)));
	if (is_number(a) && is_number(b))
	{
		CHECK(kt_value_compare_numbers(a, b) == -kt_value_compare_numbers(b, a));
		CHECK((kt_value_compare_numbers(a, b) == 0) == kt_value_equal(a, b));
	}
}

static void
check_values(const KtValue *values, size_t count)
{
	for (size_t i = 0; i < count; i++)
	{
		CHECK(kt_value_equal(&values[i], &values[i]) == is_scalar(&values[i]));
		for (size_t j = 0; j < count; j++)
		{
			check_pair(&values[i], &values[j]);
			for (size_t k = 0; k < count; k++)
			{
				if (is_number(&values[i]) && is_number(&values[j]) && is_number(&values[k]) &&
					kt_value_compare_numbers(&values[i], &values[j]) <= 0 &&
					kt_value_compare_numbers(&values[j], &values[k]) <= 0)
					CHECK(kt_value_compare_numbers(&values[i], &values[k]) <= 0);
			}
		}
	}
}

static void
check_utf8(const char *text, size_t room)
{
	size_t		length = strnlen(text, room);

	CHECK(length < room);
	for (size_t i = 0; i < length;)
	{
		size_t		size = kt_utf8_length(text + i, length - i);

		CHECK(size > 0);
		CHECK(size > 1 || ((unsigned char) text[i] >= 0x20 && text[i] != 0x7F));
		i += size;
	}
}

static void
check_error(const KtExprError *error, size_t length)
{
	size_t		hint_length = strlen(error->hint);

	check_utf8(error->message, sizeof(error->message));
	check_utf8(error->hint, sizeof(error->hint));
	CHECK(error->position <= length);
	CHECK(error->message[0] >= 'a' || error->message[0] == '"');
	CHECK(hint_length == 0 || error->hint[hint_length - 1] == '.');
}

/* A path's text, read again, is the same path. */
static void
check_path(const KtPath *path, Chunk **chunks)
{
	size_t		length = strlen(path->text) + 5;
	char	   *text;
	const KtPath *again;
	KtExprError error;

	CHECK(path->nsteps > 0 && path->steps[0].key != NULL);
	if (length > KT_EXPR_MAX_LENGTH)
		return;
	text = allocate(chunks, length + 1);
	snprintf(text, length + 1, "task.%s", path->text);
	again = kt_reference_compile(text, length, allocate, chunks, &error);
	CHECK(again != NULL && again->nsteps == path->nsteps);
	CHECK(strcmp(again->text, path->text) == 0);
}

static void
check_paths(const KtExpr *expr, Chunk **chunks)
{
	uint32_t	subjects = 0;

	for (uint32_t i = 0; i < expr->npaths; i++)
	{
		check_path(&expr->paths[i], chunks);
		subjects |= 1U << expr->paths[i].subject;
		for (uint32_t j = 0; j < i && i < 20; j++)
			CHECK(expr->paths[i].subject != expr->paths[j].subject ||
				  strcmp(expr->paths[i].text, expr->paths[j].text) != 0);
	}
	CHECK(subjects == expr->subjects);
}

/* Where an expression holds, its tie leads from the task to the worker. */
static void
check_tie(const KtExpr *expr, const KtValue *values, bool holds)
{
	KtTie		tie;
	const KtValue *one;
	const KtValue *other;
	bool		found = false;

	if (!kt_expr_tie(expr, &tie))
		return;
	CHECK(expr->paths[tie.task_path].subject == KT_SUBJECT_TASK);
	CHECK(expr->paths[tie.worker_path].subject == KT_SUBJECT_WORKER);
	CHECK(!tie.task_many || !tie.worker_many);
	if (!holds)
		return;
	one = &values[tie.task_many ? tie.worker_path : tie.task_path];
	other = &values[tie.task_many ? tie.task_path : tie.worker_path];
	CHECK(is_scalar(one));
	if (!tie.task_many && !tie.worker_many)
	{
		CHECK(kt_value_equal(one, other) && kt_value_hash(one) == kt_value_hash(other));
		return;
	}
	CHECK(other->kind == KT_VALUE_ARRAY);
	for (uint32_t i = 0; i < other->length; i++)
		found = found || (is_scalar(&other->items[i]) && kt_value_equal(one, &other->items[i]) &&
						  kt_value_hash(one) == kt_value_hash(&other->items[i]));
	CHECK(found);
}

/* The same text in parentheses means the same, where it is not too much. */
static void
check_parentheses(const char *text, size_t length, KtExprPlace place, const KtValue *values,
				  bool holds, Chunk **chunks)
{
	char	   *longer = allocate(chunks, length + 2);
	KtExprError error;
	const KtExpr *expr;

	longer[0] = '(';
	memcpy(longer + 1, text, length);
	longer[length + 1] = ')';
	expr = kt_expr_compile(longer, length + 2, place, allocate, chunks, &error);
	if (expr != NULL)
		CHECK(kt_expr_evaluate(expr, values) == holds);
	else
		CHECK(strstr(error.message, "too") != NULL);
}

static void
try_expression(const char *text, size_t length, KtExprPlace place, uint32_t unknown, Seed *seed)
{
	Chunk	  **chunks = seed->chunks;
	KtExprError error;
	const KtExpr *expr = kt_expr_compile(text, length, place, allocate, chunks, &error);
	KtValue    *values;
	bool		holds;

	if (expr == NULL)
	{
		check_error(&error, length);
		return;
	}
	check_paths(expr, chunks);
	values = allocate(chunks, expr->npaths * sizeof(KtValue));
	for (uint32_t i = 0; i < expr->npaths; i++)
		values[i] = make_value(seed, 0);
	check_values(values, expr->npaths < MAX_VALUES ? expr->npaths : MAX_VALUES);
	holds = kt_expr_evaluate(expr, values);
	CHECK(kt_expr_possible(expr, values, 0) == holds);
	CHECK(!holds || kt_expr_possible(expr, values, unknown));
	CHECK(!kt_expr_possible(expr, values, unknown) ||
		  kt_expr_possible(expr, values, unknown | (unknown << 1)));
	CHECK(!holds || kt_expr_possible(expr, values, ALL_SUBJECTS));
	check_tie(expr, values, holds);
	check_parentheses(text, length, place, values, holds, chunks);
}

static void
try_order(const char *text, size_t length, Chunk **chunks)
{
	KtExprError error;
	const KtOrder *order = kt_order_compile(text, length, allocate, chunks, &error);

	if (order == NULL)
	{
		check_error(&error, length);
		return;
	}
	CHECK(order->nkeys > 0);
	for (uint32_t i = 0; i < order->nkeys; i++)
	{
		CHECK(order->keys[i].path.subject == KT_SUBJECT_WORKER);
		check_path(&order->keys[i].path, chunks);
	}
}

static void
try_reference(const char *text, size_t length, Chunk **chunks)
{
	KtExprError error;
	const KtPath *path = kt_reference_compile(text, length, allocate, chunks, &error);

	if (path == NULL)
	{
		check_error(&error, length);
		return;
	}
	CHECK(path->subject == KT_SUBJECT_TASK);
	check_path(path, chunks);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Chunk	   *chunks = NULL;
	Seed		seed = {.chunks = &chunks};
	Seed		copy;
	KtValue		free_values[8];
	char	   *text;
	size_t		length;

	if (size < 3)
		return 0;
	seed.bytes = data + 3;
	seed.size = data[2] < size - 3 ? data[2] : size - 3;
	length = size - 3 - seed.size;
	text = allocate(&chunks, length);
	if (length > 0)
		memcpy(text, seed.bytes + seed.size, length);

	copy = seed;
	for (int i = 0; i < 8; i++)
		free_values[i] = make_value(&copy, 0);
	check_values(free_values, 8);
	try_expression(text, length, (KtExprPlace) (data[0] % ALL_PLACES),
				   data[1] & ALL_SUBJECTS, &seed);
	try_order(text, length, &chunks);
	try_reference(text, length, &chunks);
	free_all(&chunks);
	return 0;
}
