/*
 * sid.h
 *		The type kin_tr.sid: Twilio's string identifiers, WT0123...
 */
#ifndef KIN_TR_BASE_SID_H
#define KIN_TR_BASE_SID_H

#include "postgres.h"

#include "fmgr.h"
#include "nodes/pg_list.h"

/* Two letters and 128 bits; the order of bytes is the order of the type. */
typedef struct KtSid
{
	char		kind[2];
	uint8		id[16];
} KtSid;

StaticAssertDecl(sizeof(KtSid) == 18, "a sid is stored in 18 bytes");

#define KT_SID_LENGTH	34		/* characters of its text */

/* What a sid identifies. */
#define KT_ACCOUNT		"AC"
#define KT_WORKSPACE	"WS"
#define KT_ACTIVITY		"WA"
#define KT_TASK_QUEUE	"WQ"
#define KT_WORKFLOW		"WW"
#define KT_TASK			"WT"
#define KT_WORKER		"WK"
#define KT_RESERVATION	"WR"
#define KT_TASK_CHANNEL "TC"
#define KT_WORKER_CHANNEL "WC"
#define KT_EVENT		"EV"

#define DatumGetSidP(d)		((KtSid *) DatumGetPointer(d))
#define SidPGetDatum(s)		PointerGetDatum(s)
#define PG_GETARG_SID_P(n)	DatumGetSidP(PG_GETARG_DATUM(n))
#define PG_RETURN_SID_P(s)	return SidPGetDatum(s)

static inline bool
kt_sid_is(const KtSid *sid, const char *kind)
{
	return sid->kind[0] == kind[0] && sid->kind[1] == kind[1];
}

static inline bool
kt_sid_equal(const KtSid *a, const KtSid *b)
{
	return memcmp(a, b, sizeof(KtSid)) == 0;
}

static inline bool
kt_sid_is_null(const KtSid *sid)
{
	return sid->kind[0] == '\0';
}

/* To the one that comes next before it, in their order. */
static inline void
kt_sid_decrement(KtSid *sid)
{
	unsigned char *bytes = (unsigned char *) sid;

	for (int i = sizeof(KtSid) - 1; i >= 0 && bytes[i]-- == 0; i--)
		continue;
}

extern KtSid kt_sid_new(const char *kind);
extern KtSid kt_sid_of_event(int64 recorded_at, int64 id);
extern bool kt_sid_parse(const char *text, size_t length, KtSid *sid);
extern void kt_sid_print(const KtSid *sid, char *buffer);	/* KT_SID_LENGTH + 1 bytes */
extern char *kt_sid_cstring(const KtSid *sid);	/* palloc'd */
extern uint64 kt_sid_hash64(const KtSid *sid);

/* Adds one to a list of pointers to copies, unless it is there. */
extern List *kt_sid_list_add(List *sids, const KtSid *sid);

#endif							/* KIN_TR_BASE_SID_H */
