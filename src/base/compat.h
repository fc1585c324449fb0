/*
 * compat.h
 *		The only place that knows how PostgreSQL 15 to 18 differ.
 */
#ifndef KIN_TR_BASE_COMPAT_H
#define KIN_TR_BASE_COMPAT_H

#include "postgres.h"

#include "access/xlog.h"
#include "miscadmin.h"
#include "storage/proc.h"

#if PG_VERSION_NUM < 150000 || PG_VERSION_NUM >= 190000
#error "kin_tr supports PostgreSQL 15 to 18"
#endif

/* PG 17 numbers processes by ProcNumber; before, by pgprocno. */
#if PG_VERSION_NUM >= 170000
#define KT_MY_PROC_NUMBER MyProcNumber
#else
#define KT_MY_PROC_NUMBER (MyProc->pgprocno)
#endif

/* PG 17 names custom wait events; before, all extensions share one. */
#if PG_VERSION_NUM >= 170000
#include "utils/wait_event.h"
#define KT_WAIT_EVENT(name) WaitEventExtensionNew(name)
#else
#include "utils/wait_event.h"
#define KT_WAIT_EVENT(name) PG_WAIT_EXTENSION
#endif

#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* PG 18 has this before the declaration; until then it was behind it. */
#if PG_VERSION_NUM < 180000
#define pg_noreturn __attribute__((noreturn))
#endif

/* PG 16 has one function for all kinds of objects; callers include the catalog's header. */
#if PG_VERSION_NUM >= 160000
#define KT_OWNS_DATABASE(database, role) object_ownercheck(DatabaseRelationId, database, role)
#define KT_OWNS_EXTENSION(extension, role) object_ownercheck(ExtensionRelationId, extension, role)
#else
#define KT_OWNS_DATABASE(database, role) pg_database_ownercheck(database, role)
#define KT_OWNS_EXTENSION(extension, role) pg_extension_ownercheck(extension, role)
#endif

/*
 * PG 16 tells which indexes an update needs, all or only those like BRIN, which
 * point to no row; before, whether any.
 */
#if PG_VERSION_NUM >= 160000
#define KtUpdateIndexes TU_UpdateIndexes
#define KT_UPDATES_INDEX(indexes, info) \
	((indexes) == TU_All || ((indexes) == TU_Summarizing && (info)->ii_Summarizing))
#else
#define KtUpdateIndexes bool
#define KT_UPDATES_INDEX(indexes, info) (indexes)
#endif

/* PG 18 asks whether a deferrable key will do, and takes a place for statistics. */
#if PG_VERSION_NUM >= 180000
#define KT_PRIMARY_KEY_INDEX(relation) RelationGetPrimaryKeyIndex(relation, false)
#define KT_INDEX_BEGINSCAN(table, index, snapshot, nkeys) \
	index_beginscan(table, index, snapshot, NULL, nkeys, 0)
#else
#define KT_PRIMARY_KEY_INDEX(relation) RelationGetPrimaryKeyIndex(relation)
#define KT_INDEX_BEGINSCAN(table, index, snapshot, nkeys) \
	index_beginscan(table, index, snapshot, nkeys, 0)
#endif

/* PG 16 keeps settings in a hash table, and has a palloc'd list made of it; callers include utils/guc_tables.h. */
#if PG_VERSION_NUM >= 160000
#define KT_GUC_VARIABLES(n) get_guc_variables(n)
#else
#define KT_GUC_VARIABLES(n) (*(n) = GetNumConfigOptions(), get_guc_variables())
#endif

/* What an interrupted DROP DATABASE has left is marked so from PG 15.4 on. */
#define KT_DATABASE_IS_INVALID(database) ((database)->datconnlimit == -2)

#endif							/* KIN_TR_BASE_COMPAT_H */
