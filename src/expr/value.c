/*
 * value.c
 *		Comparing and hashing the values of expressions.
 *
 * A number that is no int64 stays text, and two of them are compared digit by
 * digit from the first that is not zero: no arithmetic, so no rounding, and no
 * memory however large the number is.
 */
#include "expr/value.h"

#include <stdio.h>
#include <string.h>

/*
 * An exponent of more digits is no number.  With fewer, the sum of an exponent
 * and the length of a text cannot overflow, and nobody counts beyond 10^10^17.
 */
#define MAX_EXPONENT_DIGITS 17

/* Bytes of the longest int64, with its sign, as text. */
#define INTEGER_LENGTH		20

/*
 * A number taken apart: 0.DIGITS times ten to the magnitude.  DIGITS runs from
 * digits to end, begins and ends with a digit that is not zero, and may have a
 * decimal point in it, which means nothing.  Zero has none.
 */
typedef struct Decimal
{
	bool		negative;
	const char *digits;
	const char *end;
	int64_t		magnitude;
} Decimal;

static inline bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Reads the exponent behind an "e"; false where there is none or too large. */
static bool
scan_exponent(const char *p, const char *end, int64_t *exponent)
{
	bool		negative = false;
	int64_t		value = 0;

	if (p < end && (*p == '-' || *p == '+'))
		negative = *p++ == '-';
	if (p == end)
		return false;
	while (p + 1 < end && *p == '0')
		p++;
	if (end - p > MAX_EXPONENT_DIGITS)
		return false;
	for (; p < end; p++)
	{
		if (!is_digit(*p))
			return false;
		value = value * 10 + (*p - '0');
	}
	*exponent = negative ? -value : value;
	return true;
}

/* Reads the digits and the point; gives where they end, NULL if malformed. */
static const char *
scan_digits(const char *p, const char *end, Decimal *decimal)
{
	bool		fraction = false;

	if (p == end || !is_digit(*p))
		return NULL;
	for (; p < end; p++)
	{
		if (*p == '.' && !fraction)
		{
			if (p + 1 == end || !is_digit(p[1]))
				return NULL;
			fraction = true;
			continue;
		}
		if (!is_digit(*p))
			break;
		if (*p != '0')
		{
			if (decimal->digits == NULL)
				decimal->digits = p;
			decimal->end = p + 1;
		}
		if (!fraction && decimal->digits != NULL)
			decimal->magnitude++;
		else if (fraction && decimal->digits == NULL)
			decimal->magnitude--;
	}
	return p;
}

/* False where text is no number; *decimal is zero then. */
static bool
scan_decimal(const char *text, size_t length, Decimal *decimal)
{
	static const Decimal zero = {0};
	const char *p = text;
	const char *end = text + length;
	int64_t		exponent = 0;
	bool		valid;

	*decimal = zero;
	if (length == 0)
		return false;
	if (*p == '-' || *p == '+')
		decimal->negative = *p++ == '-';
	p = scan_digits(p, end, decimal);
	valid = p != NULL &&
		(p == end || ((*p == 'e' || *p == 'E') && scan_exponent(p + 1, end, &exponent)));
	if (!valid || decimal->digits == NULL)
		*decimal = zero;
	else
		decimal->magnitude += exponent;
	return valid;
}

/* False where the number is not whole or does not fit. */
static bool
decimal_to_integer(const Decimal *decimal, int64_t *integer)
{
	uint64_t	value = 0;
	int64_t		ndigits = 0;

	/* 19 digits fit uint64, so the sum below cannot overflow */
	if (decimal->magnitude < 0 || decimal->magnitude > 19)
		return false;
	for (const char *p = decimal->digits; p < decimal->end; p++)
	{
		if (*p == '.')
			continue;
		if (++ndigits > decimal->magnitude)
			return false;
		value = value * 10 + (uint64_t) (*p - '0');
	}
	for (; ndigits < decimal->magnitude; ndigits++)
		value *= 10;
	if (value > (uint64_t) INT64_MAX + (decimal->negative ? 1 : 0))
		return false;
	if (!decimal->negative)
		*integer = (int64_t) value;
	else
		*integer = value == 0 ? 0 : -(int64_t) (value - 1) - 1;
	return true;
}

bool
kt_value_number(const char *text, size_t length, KtValue *value)
{
	Decimal		decimal;
	int64_t		integer;

	if (length > UINT32_MAX || !scan_decimal(text, length, &decimal))
		return false;
	if (decimal_to_integer(&decimal, &integer))
	{
		value->kind = KT_VALUE_INTEGER;
		value->length = 0;
		value->integer = integer;
	}
	else
	{
		value->kind = KT_VALUE_DECIMAL;
		value->length = (uint32_t) length;
		value->text = text;
	}
	return true;
}

/* buffer has room for INTEGER_LENGTH + 1 bytes, and lives as long as *decimal. */
static void
decimal_of_value(const KtValue *value, char *buffer, Decimal *decimal)
{
	if (value->kind == KT_VALUE_INTEGER)
	{
		int			length = snprintf(buffer, INTEGER_LENGTH + 1, "%lld",
									  (long long) value->integer);

		(void) scan_decimal(buffer, (size_t) length, decimal);
	}
	else
		(void) scan_decimal(value->text, value->length, decimal);
}

/* Of two numbers with the same sign and magnitude; the sign does not count. */
static int
compare_digits(const Decimal *a, const Decimal *b)
{
	const char *p = a->digits;
	const char *q = b->digits;

	for (;;)
	{
		if (p < a->end && *p == '.')
			p++;
		if (q < b->end && *q == '.')
			q++;
		/* the last digit is not zero, so the longer number is the larger one */
		if (p >= a->end || q >= b->end)
			return (p < a->end) - (q < b->end);
		if (*p != *q)
			return *p < *q ? -1 : 1;
		p++;
		q++;
	}
}

static int
decimal_sign(const Decimal *decimal)
{
	if (decimal->digits == NULL)
		return 0;
	return decimal->negative ? -1 : 1;
}

static int
compare_decimals(const Decimal *a, const Decimal *b)
{
	int			sign = decimal_sign(a);

	if (sign != decimal_sign(b))
		return sign < decimal_sign(b) ? -1 : 1;
	if (sign == 0)
		return 0;
	if (a->magnitude != b->magnitude)
		return a->magnitude < b->magnitude ? -sign : sign;
	return sign * compare_digits(a, b);
}

int
kt_value_compare_numbers(const KtValue *a, const KtValue *b)
{
	char		buffer_a[INTEGER_LENGTH + 1];
	char		buffer_b[INTEGER_LENGTH + 1];
	Decimal		decimal_a;
	Decimal		decimal_b;

	if (a->kind == KT_VALUE_INTEGER && b->kind == KT_VALUE_INTEGER)
		return (a->integer > b->integer) - (a->integer < b->integer);
	decimal_of_value(a, buffer_a, &decimal_a);
	decimal_of_value(b, buffer_b, &decimal_b);
	return compare_decimals(&decimal_a, &decimal_b);
}

static inline bool
is_number(const KtValue *value)
{
	return value->kind == KT_VALUE_INTEGER || value->kind == KT_VALUE_DECIMAL;
}

bool
kt_value_same(const KtValue *a, const KtValue *b)
{
	if (a->kind != b->kind && !(is_number(a) && is_number(b)))
		return false;
	switch (a->kind)
	{
		case KT_VALUE_NULL:
			return true;
		case KT_VALUE_BOOL:
			return a->boolean == b->boolean;
		case KT_VALUE_INTEGER:
		case KT_VALUE_DECIMAL:
			return kt_value_compare_numbers(a, b) == 0;
		case KT_VALUE_STRING:
			return a->length == b->length &&
				(a->length == 0 || memcmp(a->text, b->text, a->length) == 0);
		case KT_VALUE_ARRAY:
		case KT_VALUE_OBJECT:
			break;
	}
	return false;
}

bool
kt_value_equal(const KtValue *a, const KtValue *b)
{
	KtValue		number;

	if (a->kind == KT_VALUE_STRING && is_number(b))
		return kt_value_number(a->text, a->length, &number) &&
			kt_value_compare_numbers(&number, b) == 0;
	if (b->kind == KT_VALUE_STRING && is_number(a))
		return kt_value_number(b->text, b->length, &number) &&
			kt_value_compare_numbers(a, &number) == 0;
	return kt_value_same(a, b);
}

/* Spreads every bit over all others, so that low bits can choose a bucket. */
static inline uint64_t
mix(uint64_t hash)
{
	hash ^= hash >> 33;
	hash *= UINT64_C(0xff51afd7ed558ccd);
	hash ^= hash >> 33;
	hash *= UINT64_C(0xc4ceb9fe1a85ec53);
	hash ^= hash >> 33;
	return hash;
}

static inline uint64_t
hash_byte(uint64_t hash, char byte)
{
	return (hash ^ (unsigned char) byte) * UINT64_C(0x100000001b3);
}

#define HASH_START	UINT64_C(0xcbf29ce484222325)

/* Of a number that is no int64: what compare_decimals() looks at, no more. */
static uint64_t
hash_decimal(const KtValue *value)
{
	uint64_t	hash = HASH_START;
	Decimal		decimal;

	(void) scan_decimal(value->text, value->length, &decimal);
	for (const char *p = decimal.digits; p < decimal.end; p++)
	{
		if (*p != '.')
			hash = hash_byte(hash, *p);
	}
	return mix(mix(hash ^ (uint64_t) decimal.magnitude) + (decimal.negative ? 1 : 0));
}

static uint64_t
hash_string(const KtValue *value)
{
	uint64_t	hash = HASH_START;

	for (uint32_t i = 0; i < value->length; i++)
		hash = hash_byte(hash, value->text[i]);
	return mix(hash);
}

uint64_t
kt_value_hash(const KtValue *value)
{
	KtValue		number;

	switch (value->kind)
	{
		case KT_VALUE_BOOL:
			return mix(value->boolean ? 2 : 1) ^ HASH_START;
		case KT_VALUE_INTEGER:
			return mix((uint64_t) value->integer);
		case KT_VALUE_DECIMAL:
			return hash_decimal(value);
		case KT_VALUE_STRING:
			/* "06" equals 6, which equals "6": all three are hashed as 6 */
			if (kt_value_number(value->text, value->length, &number))
				return kt_value_hash(&number);
			return hash_string(value);
		case KT_VALUE_NULL:
		case KT_VALUE_ARRAY:
		case KT_VALUE_OBJECT:
			break;
	}
	return HASH_START;
}
