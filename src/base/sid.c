/*
 * sid.c
 *		The type kin_tr.sid.
 *
 * A new sid begins with the real clock in microseconds, so that new rows go to
 * the right edge of an index; the other half is drawn once per backend, so that
 * two backends never give the same one.  Within a backend sids strictly
 * increase, even where the clock stands still or is set back.
 *
 * The functions behind the operators leak nothing and are declared LEAKPROOF:
 * otherwise row-level security keeps "WHERE sid = ..." off the index.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/sortsupport.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/sid.h"
#include "base/text.h"

PG_FUNCTION_INFO_V1(kin_tr_sid_in);
PG_FUNCTION_INFO_V1(kin_tr_sid_out);
PG_FUNCTION_INFO_V1(kin_tr_sid_recv);
PG_FUNCTION_INFO_V1(kin_tr_sid_send);
PG_FUNCTION_INFO_V1(kin_tr_sid_from_text);
PG_FUNCTION_INFO_V1(kin_tr_sid_to_text);
PG_FUNCTION_INFO_V1(kin_tr_sid_new);
PG_FUNCTION_INFO_V1(kin_tr_sid_eq);
PG_FUNCTION_INFO_V1(kin_tr_sid_ne);
PG_FUNCTION_INFO_V1(kin_tr_sid_lt);
PG_FUNCTION_INFO_V1(kin_tr_sid_le);
PG_FUNCTION_INFO_V1(kin_tr_sid_gt);
PG_FUNCTION_INFO_V1(kin_tr_sid_ge);
PG_FUNCTION_INFO_V1(kin_tr_sid_cmp);
PG_FUNCTION_INFO_V1(kin_tr_sid_sortsupport);
PG_FUNCTION_INFO_V1(kin_tr_sid_hash);
PG_FUNCTION_INFO_V1(kin_tr_sid_hash_extended);
PG_FUNCTION_INFO_V1(kin_tr_is_sid);

static void
put_halves(KtSid *sid, const char *kind, uint64 high, uint64 low)
{
	memcpy(sid->kind, kind, 2);
	high = pg_hton64(high);
	low = pg_hton64(low);
	memcpy(sid->id, &high, 8);
	memcpy(sid->id + 8, &low, 8);
}

/* A sid that nobody had before. */
KtSid
kt_sid_new(const char *kind)
{
	static uint64 last_time = 0;
	static uint64 backend = 0;
	static int	backend_pid = 0;
	KtSid		sid;
	uint64		now = (uint64) GetCurrentTimestamp();

	/* The postmaster's children inherit its memory, and must not its half. */
	if (backend_pid != MyProcPid)
	{
		if (!pg_strong_random(&backend, sizeof(backend)))
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("could not draw random bytes for a sid")));
		backend_pid = MyProcPid;
	}
	last_time = Max(now, last_time + 1);
	put_halves(&sid, kind, last_time, backend);
	return sid;
}

/*
 * An event's sid follows from its row, and so needs no index of its own: its
 * low half is the event's id, its high half when it was recorded.
 */
KtSid
kt_sid_of_event(int64 recorded_at, int64 id)
{
	KtSid		sid;

	put_halves(&sid, KT_EVENT, (uint64) recorded_at, (uint64) id);
	return sid;
}

static inline int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* False where text is not two capital letters and 32 hexadecimal digits. */
bool
kt_sid_parse(const char *text, size_t length, KtSid *sid)
{
	KtSid		result;

	if (length != KT_SID_LENGTH ||
		text[0] < 'A' || text[0] > 'Z' || text[1] < 'A' || text[1] > 'Z')
		return false;
	memcpy(result.kind, text, 2);
	for (int i = 0; i < 16; i++)
	{
		int			high = hex_digit(text[2 + 2 * i]);
		int			low = hex_digit(text[3 + 2 * i]);

		if (high < 0 || low < 0)
			return false;
		result.id[i] = (uint8) (high << 4 | low);
	}
	*sid = result;
	return true;
}

void
kt_sid_print(const KtSid *sid, char *buffer)
{
	static const char digits[] = "0123456789abcdef";

	memcpy(buffer, sid->kind, 2);
	for (int i = 0; i < 16; i++)
	{
		buffer[2 + 2 * i] = digits[sid->id[i] >> 4];
		buffer[3 + 2 * i] = digits[sid->id[i] & 15];
	}
	buffer[KT_SID_LENGTH] = '\0';
}

char *
kt_sid_cstring(const KtSid *sid)
{
	char	   *buffer = palloc(KT_SID_LENGTH + 1);

	kt_sid_print(sid, buffer);
	return buffer;
}

List *
kt_sid_list_add(List *sids, const KtSid *sid)
{
	ListCell   *cell;
	KtSid	   *copy;

	foreach(cell, sids)
		if (kt_sid_equal(lfirst(cell), sid))
			return sids;
	copy = palloc(sizeof(KtSid));
	*copy = *sid;
	return lappend(sids, copy);
}

uint64
kt_sid_hash64(const KtSid *sid)
{
	return hash_bytes_extended((const unsigned char *) sid, sizeof(KtSid), 0);
}

static KtSid *
parse_or_error(const char *text, size_t length)
{
	KtSid	   *sid = palloc(sizeof(KtSid));

	if (!kt_sid_parse(text, length, sid))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid sid: \"%s\"", kt_text_excerpt(pnstrdup(text, length))),
				 errhint("A sid is two capital letters and 32 hexadecimal digits.")));
	return sid;
}

Datum
kin_tr_sid_in(PG_FUNCTION_ARGS)
{
	const char *text = PG_GETARG_CSTRING(0);

	PG_RETURN_SID_P(parse_or_error(text, strlen(text)));
}

Datum
kin_tr_sid_out(PG_FUNCTION_ARGS)
{
	PG_RETURN_CSTRING(kt_sid_cstring(PG_GETARG_SID_P(0)));
}

Datum
kin_tr_sid_from_text(PG_FUNCTION_ARGS)
{
	text	   *input = PG_GETARG_TEXT_PP(0);

	PG_RETURN_SID_P(parse_or_error(VARDATA_ANY(input), VARSIZE_ANY_EXHDR(input)));
}

Datum
kin_tr_sid_to_text(PG_FUNCTION_ARGS)
{
	char		buffer[KT_SID_LENGTH + 1];

	kt_sid_print(PG_GETARG_SID_P(0), buffer);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(buffer, KT_SID_LENGTH));
}

/* On the wire as in text: a client that asks for binary gets what Twilio shows. */
Datum
kin_tr_sid_recv(PG_FUNCTION_ARGS)
{
	StringInfo	message = (StringInfo) PG_GETARG_POINTER(0);
	int			length;
	char	   *text = pq_getmsgtext(message, message->len - message->cursor, &length);

	PG_RETURN_SID_P(parse_or_error(text, length));
}

Datum
kin_tr_sid_send(PG_FUNCTION_ARGS)
{
	StringInfoData message;
	char		buffer[KT_SID_LENGTH + 1];

	kt_sid_print(PG_GETARG_SID_P(0), buffer);
	pq_begintypsend(&message);
	pq_sendtext(&message, buffer, KT_SID_LENGTH);
	PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}

/* _new_sid(kind): for the functions that are written in PL/pgSQL. */
Datum
kin_tr_sid_new(PG_FUNCTION_ARGS)
{
	text	   *kind = PG_GETARG_TEXT_PP(0);
	KtSid	   *sid = palloc(sizeof(KtSid));

	if (VARSIZE_ANY_EXHDR(kind) != 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a sid begins with two letters")));
	*sid = kt_sid_new(VARDATA_ANY(kind));
	PG_RETURN_SID_P(sid);
}

/* _is_sid(text): has it the shape of one? */
Datum
kin_tr_is_sid(PG_FUNCTION_ARGS)
{
	text	   *input = PG_GETARG_TEXT_PP(0);
	KtSid		sid;

	PG_RETURN_BOOL(kt_sid_parse(VARDATA_ANY(input), VARSIZE_ANY_EXHDR(input), &sid));
}

#define SID_COMPARISON(name, operator) \
Datum \
kin_tr_sid_##name(PG_FUNCTION_ARGS) \
{ \
	PG_RETURN_BOOL(memcmp(PG_GETARG_SID_P(0), PG_GETARG_SID_P(1), sizeof(KtSid)) operator 0); \
}

SID_COMPARISON(eq, ==)
SID_COMPARISON(ne, !=)
SID_COMPARISON(lt, <)
SID_COMPARISON(le, <=)
SID_COMPARISON(gt, >)
SID_COMPARISON(ge, >=)

Datum
kin_tr_sid_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(memcmp(PG_GETARG_SID_P(0), PG_GETARG_SID_P(1), sizeof(KtSid)));
}

static int
compare_sids(Datum a, Datum b, SortSupport ssup)
{
	return memcmp(DatumGetSidP(a), DatumGetSidP(b), sizeof(KtSid));
}

Datum
kin_tr_sid_sortsupport(PG_FUNCTION_ARGS)
{
	((SortSupport) PG_GETARG_POINTER(0))->comparator = compare_sids;
	PG_RETURN_VOID();
}

Datum
kin_tr_sid_hash(PG_FUNCTION_ARGS)
{
	return hash_any((unsigned char *) PG_GETARG_SID_P(0), sizeof(KtSid));
}

Datum
kin_tr_sid_hash_extended(PG_FUNCTION_ARGS)
{
	return hash_any_extended((unsigned char *) PG_GETARG_SID_P(0), sizeof(KtSid),
							 PG_GETARG_INT64(1));
}
