/*
 * home.c
 *		The database that may act.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"

#include "base/errors.h"
#include "base/guc.h"
#include "base/home.h"
#include "base/spi.h"

PG_FUNCTION_INFO_V1(kin_tr_at_home);

KtHome
kt_home(void)
{
	static KtPlan plan = {
		"SELECT system_identifier, database_oid::bigint, instance FROM kin_tr.home", ""
	};
	KtHome		home;
	KtSpi		spi;

	kt_spi_begin(&spi);
	if (kt_spi(&plan, NULL, NULL) == 0)
		home = KT_HOME_NONE;
	else if (kt_column_int64(0, 1) == (int64) GetSystemIdentifier() &&
			 kt_column_int64(0, 2) == (int64) MyDatabaseId &&
			 (kt_column_is_null(0, 3) || strcmp(kt_column_cstring(0, 3), kt_instance) == 0))
		home = KT_HOME_HERE;
	else
		home = KT_HOME_ELSEWHERE;
	kt_spi_end(&spi);
	return home;
}

bool
kt_at_home(void)
{
	return kt_home() != KT_HOME_ELSEWHERE;
}

void
kt_require_home(void)
{
	if (!kt_at_home())
		ereport(ERROR,
				(errcode(KT_ERRCODE_NOT_AT_HOME),
				 errmsg("this database is a copy: nothing acts in it"),
				 errhint("If it shall take over, the owner of the extension calls kin_tr.resume_after_restore().")));
}

void
kt_require_writable(FunctionCallInfo fcinfo)
{
	if (!XactReadOnly)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
			 errmsg("cannot execute %s() in a read-only transaction",
					get_func_name(fcinfo->flinfo->fn_oid)),
			 RecoveryInProgress() ?
			 errdetail("This server is a standby.") : 0,
			 RecoveryInProgress() ?
			 errhint("Call it on the primary.") :
			 errhint("Begin the transaction with READ WRITE.")));
}

/* _at_home() -> boolean */
Datum
kin_tr_at_home(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(kt_at_home());
}
