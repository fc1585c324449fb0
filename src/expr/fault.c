/*
 * fault.c
 *		How the room words what is wrong with an expression.
 *
 * A message may repeat a piece of the user's text.  It is cut where a character
 * ends, because a message with half a character in it is refused by clients
 * that check their encoding, and then nobody sees what was wrong.
 */
#include "expr/fault.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static bool
is_continuation(char c)
{
	return ((unsigned char) c & 0xC0) == 0x80;
}

/* Overlong forms, surrogates and what is beyond U+10FFFF are no UTF-8. */
static bool
is_second_byte(unsigned char first, unsigned char second)
{
	switch (first)
	{
		case 0xE0:
			return second >= 0xA0 && second <= 0xBF;
		case 0xED:
			return second >= 0x80 && second <= 0x9F;
		case 0xF0:
			return second >= 0x90 && second <= 0xBF;
		case 0xF4:
			return second >= 0x80 && second <= 0x8F;
		default:
			return second >= 0x80 && second <= 0xBF;
	}
}

size_t
kt_utf8_length(const char *text, size_t length)
{
	unsigned char first;
	size_t		size;

	if (length == 0)
		return 0;
	first = (unsigned char) text[0];
	if (first < 0x80)
		return 1;
	if (first < 0xC2 || first > 0xF4)
		return 0;
	size = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
	if (length < size || !is_second_byte(first, (unsigned char) text[1]))
		return 0;
	for (size_t i = 2; i < size; i++)
	{
		if (!is_continuation(text[i]))
			return 0;
	}
	return size;
}

KtQuote
kt_expr_quote(const char *text, size_t length)
{
	KtQuote		quote;
	size_t		from = 0;
	size_t		to = 0;

	while (from < length)
	{
		size_t		size = kt_utf8_length(text + from, length - from);

		if (to + (size > 0 ? size : 1) > KT_QUOTE_LENGTH)
			break;
		if (size == 0 || (unsigned char) text[from] < 0x20 || text[from] == 0x7F)
		{
			quote.text[to++] = '?';
			from++;
			continue;
		}
		memcpy(quote.text + to, text + from, size);
		from += size;
		to += size;
	}
	strcpy(quote.text + to, from < length ? "..." : "");
	return quote;
}

/* Where buffer was too small, the last character may be there in part only. */
static void
cut_at_character(char *buffer, size_t size)
{
	size_t		end = size - 1;

	while (end > 0 && is_continuation(buffer[end - 1]))
		end--;
	if (end > 0 && kt_utf8_length(buffer + end - 1, size - end) == 0)
		buffer[end - 1] = '\0';
}

static void print_bounded(char *buffer, size_t size, const char *format,
						  va_list arguments) KT_FORMAT(3, 0);

static void
print_bounded(char *buffer, size_t size, const char *format, va_list arguments)
{
	int			length = vsnprintf(buffer, size, format, arguments);

	if (length < 0)
		buffer[0] = '\0';
	else if ((size_t) length >= size)
		cut_at_character(buffer, size);
}

bool
kt_expr_fault(KtExprError *error, uint32_t position, const char *format,...)
{
	va_list		arguments;

	error->position = position;
	error->hint[0] = '\0';
	va_start(arguments, format);
	print_bounded(error->message, sizeof(error->message), format, arguments);
	va_end(arguments);
	return false;
}

bool
kt_expr_hint(KtExprError *error, const char *format,...)
{
	va_list		arguments;

	va_start(arguments, format);
	print_bounded(error->hint, sizeof(error->hint), format, arguments);
	va_end(arguments);
	return false;
}
