/*
 * expr_test.c
 *		What the expression language promises, as TAP.
 *
 * Built from this file and those of src/expr, with -Isrc.
 *
 * The vectors are those of section 3.3 of the TaskRouter reference, by number.
 * Values are written as JSON; the reader for it below knows no escapes.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expr/expr.h"
#include "expr/fault.h"
#include "expr_cases.h"

#define LENGTH_OF(array)	(sizeof(array) / sizeof((array)[0]))

/* ---------- TAP ---------- */

static int	ntests = 0;
static int	nfailed = 0;

static void
ok(bool passed, const char *format,...)
{
	va_list		arguments;

	ntests++;
	if (!passed)
		nfailed++;
	printf("%sok %d - ", passed ? "" : "not ", ntests);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf("\n");
}

/* ---------- memory: one malloc each, so that a sanitizer sees every edge ---------- */

typedef struct Chunk
{
	struct Chunk *next;
	void	   *memory;
} Chunk;

static Chunk *chunks = NULL;

static void *
allocate(void *context, size_t size)
{
	Chunk	   *chunk = malloc(sizeof(Chunk));

	if (context != NULL)
		*(size_t *) context += size;
	chunk->memory = malloc(size);
	chunk->next = chunks;
	chunks = chunk;
	return chunk->memory;
}

static void
free_all(void)
{
	while (chunks != NULL)
	{
		Chunk	   *chunk = chunks;

		chunks = chunk->next;
		free(chunk->memory);
		free(chunk);
	}
}

/* ---------- JSON ---------- */

static const char *
skip_space(const char *p)
{
	while (*p == ' ' || *p == ',' || *p == ':')
		p++;
	return p;
}

/* Behind the value that begins at p. */
static const char *
skip_value(const char *p)
{
	int			depth = 0;

	do
	{
		if (*p == '"')
			p = strchr(p + 1, '"') + 1;
		else if (*p == '{' || *p == '[')
			depth++, p++;
		else if (*p == '}' || *p == ']')
			depth--, p++;
		else if (*p == ',' || *p == ':' || *p == ' ')
			p++;
		else
			p += strcspn(p, ",:]} ");
	} while (depth > 0);
	return p;
}

/* Where the member or item of a step begins; NULL where there is none. */
static const char *
find_step(const char *p, const KtStep *step)
{
	uint32_t	n = 0;

	if (*p != (step->key != NULL ? '{' : '['))
		return NULL;
	for (p = skip_space(p + 1); *p != '}' && *p != ']'; p = skip_space(skip_value(p)))
	{
		if (step->key == NULL && n++ == step->index)
			return p;
		if (step->key != NULL)
		{
			const char *key = p + 1;

			p = skip_space(skip_value(p));
			if (strcspn(key, "\"") == step->key_length &&
				memcmp(key, step->key, step->key_length) == 0)
				return p;
		}
	}
	return NULL;
}

static KtValue
read_json(const char *p)
{
	KtValue		value = {0};

	value.length = (uint32_t) (skip_value(p) - p);
	value.text = p;
	if (*p == '"')
	{
		value.kind = KT_VALUE_STRING;
		value.length -= 2;
		value.text++;
	}
	else if (*p == 't' || *p == 'f')
	{
		value.kind = KT_VALUE_BOOL;
		value.boolean = *p == 't';
	}
	else if (*p == '{')
		value.kind = KT_VALUE_OBJECT;
	else if (*p == '[')
	{
		KtValue    *items = allocate(NULL, (value.length + 1) * sizeof(KtValue));

		value.kind = KT_VALUE_ARRAY;
		value.length = 0;
		value.items = items;
		for (p = skip_space(p + 1); *p != ']'; p = skip_space(skip_value(p)))
			items[value.length++] = read_json(p);
	}
	else if (!kt_value_number(p, value.length, &value))
		value.kind = KT_VALUE_NULL;
	return value;
}

/* ---------- evaluating ---------- */

/*
 * Values for an expression's paths.  Where names are bare, json is their owner;
 * elsewhere it has a member for each subject.
 */
static KtValue *
read_values(const KtExpr *expr, KtExprPlace place, const char *json)
{
	static const char *const subjects[] = {"task", "worker", "channel", "workers", "taskrouter"};
	bool		owned = place == KT_PLACE_FILTER || place == KT_PLACE_QUEUE;
	KtValue    *values = allocate(NULL, (expr->npaths + 1) * sizeof(KtValue));

	for (uint32_t i = 0; i < expr->npaths; i++)
	{
		const KtPath *path = &expr->paths[i];
		KtStep		subject = {subjects[path->subject], 0, 0};
		const char *p = json;

		subject.key_length = (uint32_t) strlen(subject.key);
		if (!owned)
			p = find_step(p, &subject);
		for (uint32_t step = 0; p != NULL && step < path->nsteps; step++)
			p = find_step(p, &path->steps[step]);
		memset(&values[i], 0, sizeof(KtValue));
		if (p != NULL)
			values[i] = read_json(p);
	}
	return values;
}

static const KtExpr *
compile(KtExprPlace place, const char *text)
{
	KtExprError error;

	return kt_expr_compile(text, strlen(text), place, allocate, NULL, &error);
}

/* 1, 0 or SYNTAX_ERROR */
static int
evaluate(KtExprPlace place, const char *text, const char *json)
{
	const KtExpr *expr = compile(place, text);

	if (expr == NULL)
		return SYNTAX_ERROR;
	return kt_expr_evaluate(expr, read_values(expr, place, json));
}

static void
test_cases(void)
{
	ok(LENGTH_OF(vectors) == 64, "there are 64 vectors");
	for (size_t i = 0; i < LENGTH_OF(vectors); i++)
	{
		const Case *c = &vectors[i];

		ok(c->number == (int) i + 1 && evaluate(c->place, c->text, c->json) == c->expected,
		   "vector %d: %s", c->number, c->text);
		free_all();
	}
	for (size_t i = 0; i < LENGTH_OF(choices); i++)
	{
		const Case *c = &choices[i];

		ok(evaluate(c->place, c->text, c->json) == c->expected, "choice: %s with %s is %s",
		   strcspn(c->text, "\t") > 0 ? c->text : "white space", c->json,
		   c->expected ? "true" : "false");
		free_all();
	}
}

/* ---------- errors ---------- */

static bool
error_is(const KtExprError *error, uint32_t position, const char *message, const char *hint)
{
	bool		same = (error->position == position && strcmp(error->message, message) == 0 &&
						strncmp(error->hint, hint, strlen(hint)) == 0 &&
						(*hint != '\0' || *error->hint == '\0'));

	if (!same)
		printf("# at %u: %s\n# hint: %s\n", error->position, error->message, error->hint);
	return same;
}

static void
test_errors(void)
{
	static const char nul[] = "a == 'x\0y'";
	KtExprError error;

	for (size_t i = 0; i < LENGTH_OF(errors); i++)
	{
		const ErrorCase *c = &errors[i];

		memset(&error, 0x7F, sizeof(error));
		ok(kt_expr_compile(c->text, strlen(c->text), c->place, allocate, NULL, &error) == NULL &&
		   error_is(&error, c->position, c->message, c->hint),
		   "error at %u: %s", c->position, c->message);
		free_all();
	}
	ok(kt_expr_compile(nul, sizeof(nul) - 1, FILTER, allocate, NULL, &error) == NULL &&
	   error_is(&error, 7, "control character 0x00", ""), "a NUL in a string is an error");
	ok(kt_expr_compile(nul + 7, 3, FILTER, allocate, NULL, &error) == NULL &&
	   error_is(&error, 0, "control character 0x00", ""), "a NUL elsewhere too");
	ok(kt_expr_compile(NULL, 0, FILTER, allocate, NULL, &error) == NULL &&
	   error_is(&error, 0, "expression is empty", ""), "no text at all is an empty expression");
	free_all();
}

static void
test_utf8(void)
{
	static const struct
	{
		const char *text;
		size_t		length;
	}			cases[] = {
		{"a", 1}, {"\xC3\xA4", 2}, {"\xE2\x82\xAC", 3}, {"\xF0\x9F\x98\x80", 4},
		{"\xE0\xA0\x80", 3}, {"\xED\x9F\xBF", 3}, {"\xF0\x90\x80\x80", 4}, {"\xF4\x8F\xBF\xBF", 4},
		{"\xE0\xBF\xBF", 3}, {"\xED\x80\x80", 3}, {"\xF0\xBF\xBF\xBF", 4}, {"\xF4\x80\x80\x80", 4},
		{"", 0}, {"\x80", 0}, {"\xC1\xBF", 0}, {"\xC3", 0}, {"\xC3" "a", 0}, {"\xE2\x82" "a", 0},
		{"\xE0\x9F\xBF", 0}, {"\xED\xA0\x80", 0}, {"\xF0\x8F\xBF\xBF", 0}, {"\xF4\x90\x80\x80", 0},
		{"\xF5\x80\x80\x80", 0},
	};
	KtExprError error;
	bool		right = true;

	for (size_t i = 0; i < LENGTH_OF(cases); i++)
		right = right && kt_utf8_length(cases[i].text, strlen(cases[i].text)) == cases[i].length;
	ok(right, "characters are told from what is no UTF-8");

	for (int before = 0; before < 4; before++)
	{
		size_t		length;

		kt_expr_fault(&error, 0, "%.*s%0150d\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC",
					  before, "xxx", 0);
		length = strlen(error.message);
		ok(length > 156 && length < sizeof(error.message) &&
		   memcmp(error.message + length - 3, "\xE2\x82\xAC", 3) == 0,
		   "a message too long ends behind a whole character (%zu bytes)", length);
	}
}

/* ---------- limits ---------- */

/* before, unit as often as given, after; the caller frees it */
static char *
repeat(const char *before, const char *unit, size_t times, const char *after)
{
	size_t		length = strlen(unit);
	char	   *text = malloc(strlen(before) + length * times + strlen(after) + 1);
	char	   *end = text + strlen(strcpy(text, before));

	for (size_t i = 0; i < times; i++, end += length)
		memcpy(end, unit, length);
	strcpy(end, after);
	return text;
}

/* left and right around the middle, depth times */
static char *
nest(const char *before, char left, const char *middle, char right, size_t depth)
{
	char		unit[] = {left, '\0'};
	char	   *text = repeat(before, unit, depth, middle);
	char	   *result;

	unit[0] = right;
	result = repeat(text, unit, depth, "");
	free(text);
	return result;
}

static void
check_text(char *text, bool valid, uint32_t position, const char *message, const char *name)
{
	KtExprError error;
	size_t		used = 0;
	const KtExpr *expr = kt_expr_compile(text, strlen(text), FILTER, allocate, &used, &error);

	if (valid)
		ok(expr != NULL && kt_expr_evaluate(expr, read_values(expr, FILTER, "{}")), "%s", name);
	else
		ok(expr == NULL && error.position == position && strcmp(error.message, message) == 0,
		   "%s", name);
	ok(used < 64 * (strlen(text) + 200), "... in memory that its length bounds (%zu bytes)", used);
	free(text);
	free_all();
}

/* task.list HAS 1 OR task.list HAS 1 ... OR 1==1, so often, of an array of so many others */
static bool
holds_in_the_end(size_t terms, uint32_t items)
{
	char	   *text = repeat("", "list HAS 1 OR ", terms, "1==1");
	KtValue    *array = malloc(sizeof(KtValue) * items);
	KtValue		value = {KT_VALUE_ARRAY, items, {.items = array}};
	KtExprError error;
	size_t		used = 0;
	const KtExpr *expr = kt_expr_compile(text, strlen(text), FILTER, allocate, &used, &error);
	bool		holds;

	for (uint32_t i = 0; i < items; i++)
		array[i] = (KtValue) {KT_VALUE_INTEGER, 0, {.integer = 2}};
	holds = kt_expr_evaluate(expr, &value);
	if (holds != kt_expr_possible(expr, &value, 0))
		holds = false;
	free(array);
	free(text);
	free_all();
	return holds;
}

static void
test_work(void)
{
	ok(holds_in_the_end(1000, 2000), "an expression may look at two million items");
	ok(!holds_in_the_end(1000, 20000), "one that would look at twenty million does not hold");
}

static void
test_limits(void)
{
	const char *deep = "expression is nested too deeply";

	check_text(nest("", '(', "1==1", ')', KT_EXPR_MAX_DEPTH), true, 0, "",
			   "parentheses may be as deep as the limit");
	check_text(nest("", '(', "1==1", ')', KT_EXPR_MAX_DEPTH + 1), false, KT_EXPR_MAX_DEPTH, deep,
			   "one more is refused");
	check_text(nest("", '(', "1==1", ')', 10000), false, KT_EXPR_MAX_DEPTH, deep,
			   "10,000 parentheses are refused");
	check_text(nest("null != ", '[', "1", ']', KT_EXPR_MAX_DEPTH), true, 0, "",
			   "lists may be as deep as the limit");
	check_text(nest("null != ", '[', "1", ']', 10000), false, 8 + KT_EXPR_MAX_DEPTH, deep,
			   "10,000 lists are refused");
	check_text(nest("null != ", '[', "a", ']', KT_EXPR_MAX_DEPTH), true, 0, "",
			   "so do lists that read a path");
	check_text(repeat("1==1", " OR 1==2", 8000, ""), true, 0, "", "8,000 ORs are one expression");
	check_text(repeat("1==1", " AND (1==1)", 5900, ""), true, 0, "", "5,900 ANDs are one expression");
	check_text(repeat("1==1", " OR 1==2 AND 1==1", 3000, ""), true, 0, "", "and so are both in turn");
	check_text(repeat("a", ".a", 30000, "==null"), true, 0, "", "a path may have 30,000 steps");
	check_text(repeat("a", "[0]", 20000, "==null"), true, 0, "", "of indexes too");
	check_text(repeat("a", ".a", 30000, " a"), false, 60002, "expected an operator, found \"a\"",
			   "and an error behind it has its position");
	check_text(repeat("1 IN [", "2,", 30000, "1]"), true, 0, "", "a list may have 30,001 items");
	check_text(repeat("1 IN [", "a,", 30000, "1]"), true, 0, "", "of a path too");
	check_text(repeat("'", "a", KT_EXPR_MAX_LENGTH - 8, "' > ' '"), true, 0, "",
			   "an expression may be as long as the limit");
	check_text(repeat("'", "a", KT_EXPR_MAX_LENGTH - 7, "' > ' '"), false, KT_EXPR_MAX_LENGTH,
			   "expression is too long: 65536 bytes", "one byte more is refused");
}

/* ---------- numbers and values ---------- */

static KtValue
number(const char *text)
{
	KtValue		value = {0};

	if (!kt_value_number(text, strlen(text), &value))
		value.kind = KT_VALUE_NULL;
	return value;
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

static void
test_numbers(void)
{
	static const char *const none[] = {
		"", "-", "+", ".", ".5", "5.", "1.e5", "1e", "1e+", "1e1.5", "e5", "--1", "1-", " 1", "1 ",
		"1_000", "1,5", "0x10", "NaN", "Infinity", "1e123456789012345678", "1.2.3", "\xD9\xA1",
	};
	static const struct
	{
		const char *text;
		int64_t		integer;
	}			integers[] = {
		{"0", 0}, {"-0", 0}, {"-0.00e5", 0}, {"0e99999999999999999", 0}, {"06", 6}, {"+6", 6},
		{"6.0", 6}, {"60e-1", 6}, {"0.006E+3", 6}, {"-12.50e1", -125}, {"1e18", 1000000000000000000},
		{"9223372036854775807", INT64_MAX}, {"-9223372036854775808", INT64_MIN},
		{"9223372036854775807.000", INT64_MAX}, {"922337203685477580.7e1", INT64_MAX},
		{"1e00000000000000000000000001", 10},
	};
	static const char *const decimals[] = {
		"9223372036854775808", "-9223372036854775809", "0.1", "-1.5", "1e-1", "1e19", "1e400",
		"12345678901234567890", "9999999999999999999", "1e99999999999999999", "10e-2",
	};

	for (size_t i = 0; i < LENGTH_OF(none); i++)
	{
		KtValue		value = {.kind = KT_VALUE_BOOL};

		ok(!kt_value_number(none[i], strlen(none[i]), &value) && value.kind == KT_VALUE_BOOL,
		   "\"%s\" is no number", none[i]);
	}
	for (size_t i = 0; i < LENGTH_OF(integers); i++)
	{
		KtValue		value = number(integers[i].text);

		ok(value.kind == KT_VALUE_INTEGER && value.integer == integers[i].integer,
		   "%s is the integer %lld", integers[i].text, (long long) integers[i].integer);
	}
	for (size_t i = 0; i < LENGTH_OF(decimals); i++)
	{
		KtValue		value = number(decimals[i]);

		ok(value.kind == KT_VALUE_DECIMAL && value.text == decimals[i] &&
		   value.length == strlen(decimals[i]), "%s stays text", decimals[i]);
	}
}

static void
test_number_order(void)
{
	/* ascending; what stands in one row is equal */
	static const char *const rows[][4] = {
		{"-1e99999999999999999"},
		{"-1e400", "-10e399"},
		{"-9223372036854775809"},
		{"-9223372036854775808", "-9223372036854775808.0"},
		{"-9007199254740993"},
		{"-1.5", "-1.50", "-15e-1"},
		{"-1", "-1.0"},
		{"-0.1", "-0.10"},
		{"-1e-99999999999999999"},
		{"0", "-0", "0.00", "-0e99999999999999999"},
		{"1e-99999999999999999"},
		{"1e-400"},
		{"0.0999999999999999999999999999999"},
		{"0.1", "0.10", "1e-1", "00.1"},
		{"0.1000000000000000000000000000001"},
		{"0.2"},
		{"5", "5.0", "05", "0.5e1"},
		{"5.1", "5.10"},
		{"10"},
		{"9007199254740991"},
		{"9007199254740992"},
		{"9007199254740993", "9007199254740993.0"},
		{"9007199254740993.5"},
		{"9007199254740994"},
		{"1234567890123456789"},
		{"9223372036854775807"},
		{"9223372036854775807.5"},
		{"9223372036854775808", "9.223372036854775808e18"},
		{"12345678901234567890", "12345678901234567890.0"},
		{"12345678901234567891"},
		{"1e400", "10e399", "0.1e401"},
		{"1.1e400"},
		{"1e401"},
		{"1e99999999999999998"},
		{"1e99999999999999999"},
	};

	for (size_t i = 0; i < LENGTH_OF(rows); i++)
	{
		bool		right = true;

		for (size_t j = 0; j < LENGTH_OF(rows) * 4; j++)
		{
			KtValue		b = rows[j / 4][j % 4] ? number(rows[j / 4][j % 4]) : number("");
			int			expected = (i > j / 4) - (i < j / 4);

			for (size_t k = 0; k < 4; k++)
			{
				KtValue		a = rows[i][k] ? number(rows[i][k]) : number("");

				if (a.kind == KT_VALUE_NULL || b.kind == KT_VALUE_NULL)
					continue;
				right = right && kt_value_compare_numbers(&a, &b) == expected &&
					kt_value_compare_numbers(&b, &a) == -expected &&
					kt_value_equal(&a, &b) == (expected == 0) &&
					(expected != 0 || kt_value_hash(&a) == kt_value_hash(&b));
			}
		}
		ok(right, "%s has its place among all numbers", rows[i][0]);
	}
}

static void
test_equality(void)
{
	KtValue		values[] = {
		{.kind = KT_VALUE_NULL},
		{.kind = KT_VALUE_BOOL,.boolean = true},
		{.kind = KT_VALUE_BOOL,.boolean = false},
		number("0"), number("1"), number("6"), number("6.5"), number("1e30"),
		string(""), string("0"), string("-0"), string("1"), string("6"), string("06"),
		string("6.0"), string("+6"), string("6.5"), string("6.50"), string("65e-1"),
		string("1e30"), string("1000000000000000000000000000000"), string("true"),
		string("null"), string("six"), string(" 6"),
		{.kind = KT_VALUE_OBJECT},
		{.kind = KT_VALUE_ARRAY},
	};
	size_t		n = LENGTH_OF(values);
	bool		hashes = true;
	bool		symmetric = true;
	bool		stricter = true;
	KtValue		six = number("6");
	KtValue		text = string("06");

	for (size_t i = 0; i < n * n; i++)
	{
		const KtValue *a = &values[i / n];
		const KtValue *b = &values[i % n];

		symmetric = symmetric && kt_value_equal(a, b) == kt_value_equal(b, a) &&
			kt_value_same(a, b) == kt_value_same(b, a);
		stricter = stricter && (!kt_value_same(a, b) || kt_value_equal(a, b));
		hashes = hashes && (!kt_value_equal(a, b) || kt_value_hash(a) == kt_value_hash(b));
	}
	ok(symmetric, "equality is symmetric");
	ok(stricter, "what is the same is equal");
	ok(hashes, "what is equal has one hash");
	ok(kt_value_equal(&six, &text) && !kt_value_same(&six, &text), "a string can equal a number");
	ok(kt_value_equal(&values[0], &values[0]), "NULL equals NULL");
	ok(!kt_value_equal(&values[n - 1], &values[n - 1]) &&
	   !kt_value_equal(&values[n - 2], &values[n - 2]), "an array or object equals nothing");
	ok(kt_value_hash(&values[0]) != kt_value_hash(&values[3]), "NULL and 0 have hashes of their own");
}

/* ---------- paths, order_by, references ---------- */

static void
test_paths(void)
{
	const KtExpr *expr = compile(TARGET, "task.a == worker.b[ 02 ].c AND task.a IN [worker.a, task . a] "
								 "AND worker.channel.voice.assigned_tasks < taskrouter.currentTime");
	static char many[500 * 20];

	ok(expr != NULL && expr->npaths == 5, "a path is listed once");
	ok(expr->paths[0].subject == KT_SUBJECT_TASK && strcmp(expr->paths[0].text, "a") == 0 &&
	   expr->paths[0].nsteps == 1, "in order of appearance, without its prefix");
	ok(expr->paths[1].subject == KT_SUBJECT_WORKER && strcmp(expr->paths[1].text, "b[2].c") == 0 &&
	   expr->paths[1].nsteps == 3 && expr->paths[1].steps[1].key == NULL &&
	   expr->paths[1].steps[1].index == 2 && expr->paths[1].steps[2].key_length == 1,
	   "its text is canonical");
	ok(expr->paths[2].subject == KT_SUBJECT_WORKER && strcmp(expr->paths[2].text, "a") == 0,
	   "one text of two subjects is two paths");
	ok(expr->paths[3].subject == KT_SUBJECT_CHANNEL && expr->paths[3].nsteps == 2 &&
	   strcmp(expr->paths[3].text, "voice.assigned_tasks") == 0,
	   "a channel's path has the channel and the counter");
	ok(expr->paths[4].subject == KT_SUBJECT_TASKROUTER &&
	   strcmp(expr->paths[4].text, "currentTime") == 0, "taskrouter's path has one step");
	ok(expr->subjects == (1 << KT_SUBJECT_TASK | 1 << KT_SUBJECT_WORKER | 1 << KT_SUBJECT_CHANNEL |
						  1 << KT_SUBJECT_TASKROUTER), "subjects are what is read");
	expr = compile(FILTER, "1==1");
	ok(expr->npaths == 0 && expr->subjects == 0, "constants read nothing");
	expr = compile(FILTER, "task.a == a");
	ok(expr->npaths == 1, "the optional prefix makes no other path");
	strcpy(many, "1 IN [a");
	for (int i = 0; i < 127; i++)
		sprintf(many + strlen(many), ",a%d,b[%d],a%d", i, i, i / 2);
	expr = compile(FILTER, strcat(many, ",c]"));
	ok(expr != NULL && expr->npaths == KT_EXPR_MAX_PATHS, "many paths are each listed once");
	strcpy(&many[strlen(many) - 1], ",d]");
	check_text(strdup(many), false, (uint32_t) strlen(many) - 1,
			   "expression reads more than 256 different names", "one more is refused");
	free_all();
}

static const KtOrder *
order(const char *text, KtExprError *error)
{
	return kt_order_compile(text, strlen(text), allocate, NULL, error);
}

static const KtPath *
reference(const char *text, KtExprError *error)
{
	return kt_reference_compile(text, strlen(text), allocate, NULL, error);
}

static void
test_long_order(void)
{
	char		text[KT_ORDER_MAX_KEYS * 20 + 20];
	size_t		length = 0;
	KtExprError error;

	for (int i = 0; i < KT_ORDER_MAX_KEYS; i++)
		length += (size_t) snprintf(text + length, sizeof(text) - length, "%sworker.a%d ASC", i > 0 ? "," : "", i);
	ok(order(text, &error) != NULL, "order_by may have %d keys", KT_ORDER_MAX_KEYS);
	snprintf(text + length, sizeof(text) - length, ",worker.b ASC");
	ok(order(text, &error) == NULL &&
	   error_is(&error, length, "order_by has more than 32 keys", ""), "and no more");
}

static void
test_order(void)
{
	static const ErrorCase cases[] = {
		{0, "", 0, "order_by is empty", ""},
		{0, "worker.a", 8, "expected ASC or DESC, found the end", ""},
		{0, "worker.a UP", 9, "expected ASC or DESC, found \"UP\"", ""},
		{0, "worker.a ASC worker.b", 13, "expected \",\" or the end, found \"worker\"", ""},
		{0, "worker.a ASC, @", 14, "unexpected character \"@\"", ""},
		{0, "worker.a ASC,@", 13, "unexpected character \"@\"", ""},
		{0, "worker.a ASC,", 13, "expected a name, found the end", ""},
		{0, "a ASC", 0, "name \"a\" needs a prefix", "In order_by write worker.a."},
		{0, "worker ASC", 0, "name \"worker\" lacks an attribute", "Write the attribute's name behind it: worker.x."},
		{0, "task.a ASC", 0, "name \"task.a\" cannot be used in order_by", "Workers are ordered by"},
		{0, "worker.channel.v.assigned_tasks ASC", 0, "name \"worker.channel.v.assigned_tasks\" cannot be used in order_by", "Workers are ordered by"},
		{0, "worker.sk-1 ASC", 9, "hyphen in name \"sk-1\"", HYPHEN},
	};
	KtExprError error;
	const KtOrder *keys = order(" worker.skills.finance desc, worker.a[1] ASC", &error);

	ok(keys != NULL && keys->nkeys == 2 && keys->keys[0].descending && !keys->keys[1].descending &&
	   strcmp(keys->keys[0].path.text, "skills.finance") == 0 &&
	   keys->keys[0].path.subject == KT_SUBJECT_WORKER && keys->keys[0].path.nsteps == 2 &&
	   strcmp(keys->keys[1].path.text, "a[1]") == 0, "order_by has its keys in order");
	for (size_t i = 0; i < LENGTH_OF(cases); i++)
		ok(order(cases[i].text, &error) == NULL &&
		   error_is(&error, cases[i].position, cases[i].message, cases[i].hint),
		   "order_by \"%s\": %s", cases[i].text, cases[i].message);
	test_long_order();
	free_all();
}

static void
test_reference(void)
{
	static const ErrorCase cases[] = {
		{0, " ", 0, "reference is empty", ""},
		{0, "agent", 0, "name \"agent\" needs a prefix", "In the reference to a known worker write task.agent."},
		{0, "task", 0, "name \"task\" lacks an attribute", "Write the attribute's name behind it: task.x."},
		{0, "worker.a", 0, "name \"worker.a\" cannot be used in the reference to a known worker", "A known worker is named"},
		{0, "task.a task.b", 7, "expected the end, found \"task\"", ""},
		{0, "'WK1'", 0, "expected a name, found string \"WK1\"", ""},
	};
	KtExprError error;
	const KtPath *path = reference(" task.agents[0].sid ", &error);

	ok(path != NULL && path->subject == KT_SUBJECT_TASK && path->nsteps == 3 &&
	   strcmp(path->text, "agents[0].sid") == 0, "a reference is a path of the task");
	for (size_t i = 0; i < LENGTH_OF(cases); i++)
		ok(reference(cases[i].text, &error) == NULL &&
		   error_is(&error, cases[i].position, cases[i].message, cases[i].hint),
		   "reference \"%s\": %s", cases[i].text, cases[i].message);
	free_all();
}

/* ---------- ties and possibility ---------- */

static void
test_ties(void)
{
	static const struct
	{
		const char *text;
		const char *tie;		/* task's path, worker's path, * for many */
	}			cases[] = {
		{"task.a == worker.b", "a b"},
		{"worker.b = task.a", "a b"},
		{"(task.a == worker.b)", "a b"},
		{"task.a IN worker.b", "a b*"},
		{"worker.b HAS task.a", "a b*"},
		{"worker.b IN task.a", "a* b"},
		{"task.a HAS worker.b", "a* b"},
		{"task.a <- worker.b", "a b*"},
		{"worker.x == 1 AND (worker.y > 2 AND task.a == worker.b.c) AND task.c == worker.d", "a b.c"},
		{"task.x == task.y AND worker.b IN task.a", "a* b"},
		{"task.a NOT IN worker.b", NULL},
		{"task.a != worker.b", NULL},
		{"task.a > worker.b", NULL},
		{"task.a CONTAINS worker.b", NULL},
		{"task.a == worker.b OR 1 == 1", NULL},
		{"1 == 1 AND (task.a == worker.b OR task.c == worker.d)", NULL},
		{"task.a == task.b", NULL},
		{"task.a == 1", NULL},
		{"task.a IN [worker.b]", NULL},
		{"task.a == worker.channel.v.assigned_tasks", NULL},
		{"taskrouter.currentHour == worker.b", NULL},
		{"1 == 1", NULL},
	};

	for (size_t i = 0; i < LENGTH_OF(cases); i++)
	{
		const KtExpr *expr = compile(TARGET, cases[i].text);
		KtTie		tie;
		char		found[100] = "none";

		if (kt_expr_tie(expr, &tie))
			snprintf(found, sizeof(found), "%s%s %s%s",
					 expr->paths[tie.task_path].text, tie.task_many ? "*" : "",
					 expr->paths[tie.worker_path].text, tie.worker_many ? "*" : "");
		ok(strcmp(found, cases[i].tie != NULL ? cases[i].tie : "none") == 0,
		   "%s ties %s", cases[i].text, cases[i].tie != NULL ? cases[i].tie : "nothing");
	}
	free_all();
}

static void
test_possible(void)
{
	static const uint32_t worker = 1 << KT_SUBJECT_WORKER;
	static const uint32_t time = 1 << KT_SUBJECT_TASKROUTER;
	static const struct
	{
		const char *text;
		uint32_t	unknown;
		bool		possible;
	}			cases[] = {
		{"task.a == 1 AND worker.b == 2", worker, true},
		{"task.a == 2 AND worker.b == 2", worker, false},
		{"task.a == 2 OR worker.b == 2", worker, true},
		{"task.a == 2 OR worker.b == 2", time, false},
		{"task.a == 2 OR worker.b == 2", 0, false},
		{"task.a IN [2, worker.b]", worker, true},
		{"task.a IN [2, worker.b]", time, false},
		{"task.a IN [worker.b, 2]", worker, true},
		{"task.a == 1 AND task.a == worker.b AND taskrouter.currentHour > 8", worker | time, true},
		{"task.a == 1 AND task.a == worker.b AND taskrouter.currentHour > 8", time, false},
		{"worker.b NOT IN [1] AND (1 == 2 OR worker.b != null)", worker, true},
		{"1 == 2", worker | time, false},
	};

	for (size_t i = 0; i < LENGTH_OF(cases); i++)
	{
		const KtExpr *expr = compile(TARGET, cases[i].text);

		ok(kt_expr_possible(expr, read_values(expr, TARGET, "{\"task\":{\"a\":1}}"),
							cases[i].unknown) == cases[i].possible,
		   "%s is %s with %x unknown", cases[i].text,
		   cases[i].possible ? "possible" : "impossible", (unsigned) cases[i].unknown);
	}
	free_all();
}

/* ---------- two names compared ---------- */

static void
test_two_names(void)
{
	static const struct
	{
		KtExprPlace place;
		const char *text;
		const char *names;		/* left, right and where that is */
	}			cases[] = {
		{QUEUE, "skills HAS billing", "skills billing 11"},
		{QUEUE, "worker.a[0] == b", "a[0] b 15"},
		{FILTER, "x == 1 AND (a.b == c OR d IN e)", "a.b c 19"},
		{FILTER, "a == ja", "a ja 5"},
		{QUEUE, "skills HAS 'billing'", NULL},
		{QUEUE, "'billing' IN skills", NULL},
		{QUEUE, "a == worker.b", NULL},
		{QUEUE, "a == b.c", NULL},
		{QUEUE, "a == b [0]", NULL},
		{QUEUE, "a IN [b]", NULL},
		{QUEUE, "a == TRUE AND b == null", NULL},
		{TARGET, "task.a == worker.b", NULL},
	};

	for (size_t i = 0; i < LENGTH_OF(cases); i++)
	{
		const KtExpr *expr = compile(cases[i].place, cases[i].text);
		char		found[100] = "none";

		if (expr->two_names)
			snprintf(found, sizeof(found), "%s %s %u", expr->paths[expr->left_name].text,
					 expr->paths[expr->right_name].text, (unsigned) expr->right_position);
		ok(strcmp(found, cases[i].names != NULL ? cases[i].names : "none") == 0,
		   "%s compares %s", cases[i].text,
		   cases[i].names != NULL ? cases[i].names : "no two names");
	}
	free_all();
}

int
main(void)
{
	test_cases();
	test_errors();
	test_utf8();
	test_limits();
	test_work();
	test_numbers();
	test_number_order();
	test_equality();
	test_paths();
	test_order();
	test_reference();
	test_ties();
	test_possible();
	test_two_names();
	printf("1..%d\n", ntests);
	return nfailed == 0 ? 0 : 1;
}
