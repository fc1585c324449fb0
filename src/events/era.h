/*
 * era.h
 *		How long transaction ids mean the same: from one restore to the next.
 */
#ifndef KIN_TR_EVENTS_ERA_H
#define KIN_TR_EVENTS_ERA_H

#include "postgres.h"

typedef struct KtEra
{
	int32		number;			/* 0: none has begun */
	int32		origin;			/* the first of those before it whose ids go on in it */
	uint64		first_xid;		/* of who began it: no id below is ever given out in it */
} KtEra;

/*
 * The era to write in; begins one where system or timeline have changed.  The
 * caller has locked the table events, as all who write to it.
 */
extern int32 kt_era(void);

/*
 * The last era that has begun, for reading.  *over: whoever writes next begins
 * another, so that of this one nothing is yet to come but from transactions that
 * were prepared in it; where *foreign, not even from these, for ids of now mean
 * nothing in it.
 */
extern KtEra kt_era_last(bool *over, bool *foreign);

/* An era by its number; *found false for one that this database does not know. */
extern KtEra kt_era_find(int32 number, bool *found);

/* The numbers of the eras before this one whose ids go on in it. */
extern int32 *kt_era_former(const KtEra *era, int *count);

#endif							/* KIN_TR_EVENTS_ERA_H */
