/*
 * name.c
 *		Names in which case does not count.
 *
 * lower() knows the letters that the database's collation knows: none but A to Z
 * under C, and other ones under each provider and release of it.  A unique index
 * on it would be of another meaning after a restore or an upgrade of the system.
 * So names are folded here, by Unicode's own table, which utf8proc has.
 */
#include "postgres.h"

#include <utf8proc.h>

#include "catalog/namespace.h"
#include "common/hashfn.h"
#include "common/string.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "base/compat.h"
#include "base/name.h"

PG_FUNCTION_INFO_V1(kin_tr_name_key);

/* What cannot be in UTF-8, so that no name of two kinds has one key. */
#define NOT_UNICODE		0xFF

/* The name in UTF-8; NULL where it has something that Unicode has not. */
static char *
to_utf8(const char *name, int length)
{
	int			encoding = GetDatabaseEncoding();
	int			size = length * MAX_CONVERSION_GROWTH + 1;
	char	   *result;
	Oid			conversion;

	if (encoding == PG_UTF8)
		return pstrdup(name);
	if (encoding == PG_SQL_ASCII)
		return NULL;
	conversion = FindDefaultConversionProc(encoding, PG_UTF8);
	if (!OidIsValid(conversion))
		return NULL;
	result = palloc(size);
	if (pg_do_encoding_conversion_buf(conversion, encoding, PG_UTF8,
									  (unsigned char *) unconstify(char *, name), length,
									  (unsigned char *) result, size, true) < length)
		return NULL;
	return result;
}

/* Decomposes, folds or composes; NULL where it is no UTF-8. */
static char *
map(const char *utf8, int options)
{
	const utf8proc_uint8_t *from = (const utf8proc_uint8_t *) utf8;
	utf8proc_ssize_t size = strlen(utf8);
	utf8proc_ssize_t length = utf8proc_decompose(from, size, NULL, 0, options);
	utf8proc_int32_t *buffer;

	if (length < 0)
		return NULL;
	/* It becomes UTF-8 in its place, with a zero at its end. */
	buffer = palloc(sizeof(utf8proc_int32_t) * (length + 1));
	length = utf8proc_decompose(from, size, buffer, length, options);
	if (length < 0 || utf8proc_reencode(buffer, length, options) < 0)
		return NULL;
	return (char *) buffer;
}

/*
 * As Unicode defines a match without case: decomposed, folded, composed.  The
 * first is a step of its own, for folding must not come before the accents are
 * in their order.
 */
static char *
fold(const char *utf8)
{
	char	   *decomposed = map(utf8, UTF8PROC_STABLE | UTF8PROC_DECOMPOSE);
	char	   *folded;

	if (decomposed == NULL)
		return NULL;
	folded = map(decomposed, UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD);
	pfree(decomposed);
	return folded;
}

static char *
fold_ascii(const char *name, bool marked)
{
	char	   *result = palloc(strlen(name) + 2);
	char	   *to = result;

	if (marked)
		*to++ = (char) NOT_UNICODE;
	for (const char *from = name; *from; from++)
		*to++ = pg_ascii_tolower((unsigned char) *from);
	*to = '\0';
	return result;
}

bytea *
kt_name_key(const char *name)
{
	size_t		length = strlen(name);
	char	   *utf8;
	char	   *folded = NULL;
	bytea	   *key;

	if (length > KT_NAME_MAX_SIZE)
		return NULL;
	if (pg_is_ascii(name))
		folded = fold_ascii(name, false);
	else if ((utf8 = to_utf8(name, length)) != NULL)
	{
		folded = fold(utf8);
		pfree(utf8);
	}
	if (folded == NULL)
		folded = fold_ascii(name, true);
	key = (bytea *) cstring_to_text(folded);
	pfree(folded);
	return key;
}

uint32
kt_name_hash(const void *key, Size size)
{
	const bytea *name = *(bytea *const *) key;

	return DatumGetUInt32(hash_any((const unsigned char *) VARDATA(name), VARSIZE(name) - VARHDRSZ));
}

int
kt_name_match(const void *key1, const void *key2, Size size)
{
	const bytea *a = *(bytea *const *) key1;
	const bytea *b = *(bytea *const *) key2;

	if (VARSIZE(a) != VARSIZE(b))
		return 1;
	return memcmp(VARDATA(a), VARDATA(b), VARSIZE(a) - VARHDRSZ);
}

/* _name_key(name text) -> bytea, or NULL where nobody may be called so */
Datum
kin_tr_name_key(PG_FUNCTION_ARGS)
{
	text	   *name = PG_GETARG_TEXT_PP(0);
	bytea	   *key;

	if (VARSIZE_ANY_EXHDR(name) > KT_NAME_MAX_SIZE)
		PG_RETURN_NULL();
	key = kt_name_key(text_to_cstring(name));
	if (key == NULL)
		PG_RETURN_NULL();
	PG_RETURN_BYTEA_P(key);
}
