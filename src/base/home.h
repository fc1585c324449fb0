/*
 * home.h
 *		The database that may act.
 *
 * A staging copy of production would fire every timer and send every message.
 * So a row names the database that is at home, by its cluster and its oid; in
 * any other nothing routes, times out, rings or sends.  A copy of the data
 * directory has both of these, too; the setting kin_tr.instance tells it apart,
 * for what is set there is kept in the row.
 */
#ifndef KIN_TR_BASE_HOME_H
#define KIN_TR_BASE_HOME_H

#include "postgres.h"

#include "fmgr.h"

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

/*
 * Error 25006 in a read-only transaction, and so on a standby.  Every function
 * that writes begins with it: what it would run into otherwise, of all that it
 * does the first that is refused, says nothing to its caller.
 */
extern void kt_require_writable(FunctionCallInfo fcinfo);

#endif							/* KIN_TR_BASE_HOME_H */
