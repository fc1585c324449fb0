/*
 * home.h
 *		The database that may act.
 *
 * A staging copy of production would fire every timer and send every message.
 * So a row names the database that is at home, by its cluster and its oid; in
 * any other nothing routes, times out, rings or sends.
 */
#ifndef KIN_TR_BASE_HOME_H
#define KIN_TR_BASE_HOME_H

#include "postgres.h"

typedef enum KtHome
{
	KT_HOME_NONE,				/* not yet: the first workspace makes it */
	KT_HOME_HERE,
	KT_HOME_ELSEWHERE
} KtHome;

extern KtHome kt_home(void);

/* True also where there is no home yet, for then nothing can happen. */
extern bool kt_at_home(void);

/* Error KT009 where it is not. */
extern void kt_require_home(void);

#endif							/* KIN_TR_BASE_HOME_H */
