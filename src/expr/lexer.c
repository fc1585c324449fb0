/*
 * lexer.c
 *		From an expression's text to its tokens.
 *
 * Letters are told from other bytes by hand, since what isalpha() says depends
 * on the server's locale, and an expression must mean the same everywhere.
 *
 * What people write by habit from other languages gets a hint of its own: most
 * expressions are typed by somebody who has never read the grammar.
 */
#include "expr/lexer.h"

#include <stdio.h>
#include <string.h>

static const struct
{
	const char *text;
	KtKeyword	keyword;
}			keywords[] =
{
	{"AND", KT_KEYWORD_AND},
	{"OR", KT_KEYWORD_OR},
	{"NOT", KT_KEYWORD_NOT},
	{"CONTAINS", KT_KEYWORD_CONTAINS},
	{"HAS", KT_KEYWORD_HAS},
	{"IN", KT_KEYWORD_IN},
	{"TRUE", KT_KEYWORD_TRUE},
	{"FALSE", KT_KEYWORD_FALSE},
	{"NULL", KT_KEYWORD_NULL}
};

/* An operator stands before those that it begins with. */
static const struct
{
	const char *text;
	KtOperator	op;
}			operators[] =
{
	{"==", KT_OP_EQUAL},
	{"!=", KT_OP_NOT_EQUAL},
	{">=", KT_OP_GREATER_EQUAL},
	{">-", KT_OP_HAS},
	{"<=", KT_OP_LESS_EQUAL},
	{"<-", KT_OP_IN},
	{"=", KT_OP_EQUAL},
	{">", KT_OP_GREATER},
	{"<", KT_OP_LESS}
};

/* What is no operator here, and what is written instead. */
static const struct
{
	const char *text;
	const char *hint;
}			foreign_operators[] =
{
	{"===", "Write ==."},
	{"!==", "Write !=."},
	{"<>", "Write !=."},
	{"=>", "Write >=."},
	{"=<", "Write <=."},
	{"&&", "Write AND."},
	{"||", "Write OR."}
};

#define LENGTH_OF(array)	(sizeof(array) / sizeof((array)[0]))

static inline bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool
is_name_start(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$';
}

static inline bool
is_name_part(char c)
{
	return is_name_start(c) || is_digit(c);
}

static inline bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static inline bool
is_control(char c)
{
	return ((unsigned char) c < 0x20 && !is_space(c)) || c == 0x7F;
}

/* The byte at position; behind the end a NUL, which fits nothing. */
static inline char
byte_at(const KtLexer *lexer, uint32_t position)
{
	return position < lexer->length ? lexer->text[position] : '\0';
}

static bool
starts_with(const KtLexer *lexer, const char *prefix)
{
	size_t		length = strlen(prefix);

	return lexer->length - lexer->position >= length &&
		memcmp(lexer->text + lexer->position, prefix, length) == 0;
}

static uint32_t
skip_digits(const KtLexer *lexer, uint32_t position)
{
	while (is_digit(byte_at(lexer, position)))
		position++;
	return position;
}

/* Gives the token its text, up to end, and moves on. */
static bool
finish_token(KtLexer *lexer, KtToken *token, uint32_t end)
{
	token->text = lexer->text + token->position;
	token->length = end - token->position;
	lexer->position = end;
	return true;
}

static bool
control_fault(KtExprError *error, uint32_t position, char c)
{
	return kt_expr_fault(error, position, "control character 0x%02X", (unsigned char) c);
}

/* What is written between quotes stands for itself: there are no escapes. */
static bool
lex_string(KtLexer *lexer, KtToken *token, KtExprError *error)
{
	uint32_t	start = lexer->position;
	char		quote = lexer->text[start];

	for (uint32_t end = start + 1; end < lexer->length; end++)
	{
		char		c = lexer->text[end];

		if (c == quote)
		{
			token->kind = KT_TOKEN_STRING;
			token->text = lexer->text + start + 1;
			token->length = end - start - 1;
			lexer->position = end + 1;
			return true;
		}
		if (is_control(c))
			return control_fault(error, end, c);
	}
	kt_expr_fault(error, start, "unterminated string %s",
				  kt_expr_quote(lexer->text + start, lexer->length - start).text);
	return kt_expr_hint(error, "A string ends with the quote that it began with.");
}

static bool
lex_number(KtLexer *lexer, KtToken *token, KtExprError *error)
{
	uint32_t	start = lexer->position;
	uint32_t	end = skip_digits(lexer, start + 1);

	if (byte_at(lexer, end) == '.' && is_digit(byte_at(lexer, end + 1)))
		end = skip_digits(lexer, end + 1);
	if (byte_at(lexer, end) == 'e' || byte_at(lexer, end) == 'E')
	{
		char		sign = byte_at(lexer, end + 1);
		uint32_t	digits = end + (sign == '-' || sign == '+' ? 2 : 1);

		if (is_digit(byte_at(lexer, digits)))
			end = skip_digits(lexer, digits);
	}
	token->kind = KT_TOKEN_NUMBER;
	if (is_name_part(byte_at(lexer, end)) || byte_at(lexer, end) == '.')
	{
		while (is_name_part(byte_at(lexer, end)) || byte_at(lexer, end) == '.')
			end++;
		return kt_expr_fault(error, start, "malformed number \"%s\"",
							 kt_expr_quote(lexer->text + start, end - start).text);
	}
	finish_token(lexer, token, end);
	if (!kt_value_number(token->text, token->length, &token->value))
		return kt_expr_fault(error, start, "number \"%s\" is out of range",
							 kt_expr_quote(token->text, token->length).text);
	return true;
}

static bool
lex_name(KtLexer *lexer, KtToken *token, KtExprError *error)
{
	uint32_t	start = lexer->position;
	uint32_t	end = start + 1;

	while (is_name_part(byte_at(lexer, end)))
		end++;
	if (byte_at(lexer, end) == '-')
	{
		uint32_t	hyphen = end;

		while (is_name_part(byte_at(lexer, end)) || byte_at(lexer, end) == '-')
			end++;
		kt_expr_fault(error, hyphen, "hyphen in name \"%s\"",
					  kt_expr_quote(lexer->text + start, end - start).text);
		return kt_expr_hint(error, "An attribute with a hyphen in its name cannot be read by "
							"expressions; use an underscore instead.");
	}
	token->kind = KT_TOKEN_NAME;
	finish_token(lexer, token, end);
	for (size_t i = 0; i < LENGTH_OF(keywords); i++)
	{
		if (kt_token_is_word(token, keywords[i].text))
			token->keyword = keywords[i].keyword;
	}
	return true;
}

/*
 * ">-5" could be "> -5" as well as "HAS 5".  Guessing wrong would route calls
 * to the wrong people without a word, so the author has to say.
 */
static bool
ambiguous_fault(KtExprError *error, const KtToken *token)
{
	kt_expr_fault(error, token->position, "\"%.2s\" directly before a digit is ambiguous",
				  token->text);
	return kt_expr_hint(error, "Write %s to compare with a negative number, or %s.",
						token->op == KT_OP_HAS ? "\"> -\"" : "\"< -\"",
						token->op == KT_OP_HAS ? "HAS" : "IN");
}

static const char *
character_hint(const KtLexer *lexer)
{
	static const char *const curly_quotes[] = {
		"\xE2\x80\x98", "\xE2\x80\x99", "\xE2\x80\x9A",
		"\xE2\x80\x9C", "\xE2\x80\x9D", "\xE2\x80\x9E",
	};

	for (size_t i = 0; i < LENGTH_OF(curly_quotes); i++)
	{
		if (starts_with(lexer, curly_quotes[i]))
			return "Use straight quotes, ' or \".";
	}
	if (starts_with(lexer, "\xC2\xA0"))
		return "It is a no-break space; type an ordinary one.";
	switch (lexer->text[lexer->position])
	{
		case '-':
			return "A minus sign stands directly before the digits of a number.";
		case '!':
			return "Only != and NOT IN negate.";
		case '+':
		case '*':
		case '/':
		case '%':
			return "Expressions do no arithmetic.";
		default:
			break;
	}
	if ((unsigned char) lexer->text[lexer->position] >= 0x80)
		return "A name has letters from a to z, digits, _ and $; other text stands in quotes.";
	return "";
}

static bool
character_fault(const KtLexer *lexer, KtExprError *error)
{
	const char *text = lexer->text + lexer->position;
	size_t		size = kt_utf8_length(text, lexer->length - lexer->position);

	if (is_control(*text))
		return control_fault(error, lexer->position, *text);
	kt_expr_fault(error, lexer->position, "unexpected character \"%s\"",
				  kt_expr_quote(text, size > 0 ? size : 1).text);
	return kt_expr_hint(error, "%s", character_hint(lexer));
}

/* An operator, or what no token begins with. */
static bool
lex_operator(KtLexer *lexer, KtToken *token, KtExprError *error)
{
	for (size_t i = 0; i < LENGTH_OF(foreign_operators); i++)
	{
		if (!starts_with(lexer, foreign_operators[i].text))
			continue;
		kt_expr_fault(error, token->position, "unknown operator \"%s\"",
					  foreign_operators[i].text);
		return kt_expr_hint(error, "%s", foreign_operators[i].hint);
	}
	for (size_t i = 0; i < LENGTH_OF(operators); i++)
	{
		if (!starts_with(lexer, operators[i].text))
			continue;
		token->kind = KT_TOKEN_OPERATOR;
		token->op = operators[i].op;
		finish_token(lexer, token, token->position + (uint32_t) strlen(operators[i].text));
		if (token->text[token->length - 1] == '-' && is_digit(byte_at(lexer, lexer->position)))
			return ambiguous_fault(error, token);
		return true;
	}
	return character_fault(lexer, error);
}

bool
kt_lexer_next(KtLexer *lexer, KtToken *token, KtExprError *error)
{
	char		c;

	while (is_space(byte_at(lexer, lexer->position)))
		lexer->position++;
	memset(token, 0, sizeof(KtToken));
	token->position = lexer->position;
	if (lexer->position == lexer->length)
		return finish_token(lexer, token, lexer->position);

	c = lexer->text[lexer->position];
	if (is_name_start(c))
		return lex_name(lexer, token, error);
	if (is_digit(c) || (c == '-' && is_digit(byte_at(lexer, lexer->position + 1))))
		return lex_number(lexer, token, error);
	if (c == '\'' || c == '"')
		return lex_string(lexer, token, error);
	if (c != '\0' && strchr("()[],.", c) != NULL)
	{
		token->kind = KT_TOKEN_SIGN;
		token->sign = c;
		return finish_token(lexer, token, lexer->position + 1);
	}
	return lex_operator(lexer, token, error);
}

bool
kt_token_is(const KtToken *token, char sign)
{
	return token->kind == KT_TOKEN_SIGN && token->sign == sign;
}

bool
kt_token_is_word(const KtToken *token, const char *word)
{
	if (token->kind != KT_TOKEN_NAME || token->length != strlen(word))
		return false;
	for (uint32_t i = 0; i < token->length; i++)
	{
		char		c = token->text[i];

		if (c >= 'a' && c <= 'z')
			c = (char) (c - 'a' + 'A');
		if (c != word[i])
			return false;
	}
	return true;
}

KtQuote
kt_token_quote(const KtToken *token)
{
	KtQuote		quote = kt_expr_quote(token->text, token->length);
	KtQuote		result;

	if (token->kind == KT_TOKEN_END)
		strcpy(result.text, "the end");
	else
		snprintf(result.text, sizeof(result.text), "%s\"%.*s\"",
				 token->kind == KT_TOKEN_STRING ? "string " : "",
				 KT_QUOTE_LENGTH + 3, quote.text);
	return result;
}
