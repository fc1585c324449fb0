/*
 * access.h
 *		Who may do what in which workspace.
 */
#ifndef KIN_TR_BASE_ACCESS_H
#define KIN_TR_BASE_ACCESS_H

#include "postgres.h"

#include "base/sid.h"

/* Each kind may do what those before it may. */
typedef enum KtAccess
{
	KT_ACCESS_NONE,
	KT_ACCESS_READER,			/* read */
	KT_ACCESS_APP,				/* tasks, reservations, a worker's activity */
	KT_ACCESS_SUPERVISOR,		/* workers and their channels */
	KT_ACCESS_ADMIN				/* everything of the workspace */
} KtAccess;

/*
 * The functions below judge the role that called, and so come before
 * kt_spi_begin() makes the owner of it.
 */

/* What the caller may do in a workspace. */
extern KtAccess kt_access(const KtSid *workspace);

/* An error where the caller may less than needed. */
extern void kt_access_require(const KtSid *workspace, KtAccess needed);

/*
 * For a reader of many: the workspace named by the argument or the setting, or
 * else all that the caller may read, as sid[].  True: all that there are.
 */
extern bool kt_access_readable(text *argument, Datum *workspaces);

/* The workspaces where the caller may what is needed, in the current context. */
extern KtSid *kt_access_workspaces(KtAccess needed, int *count);

/* An error where the caller is not the extension's owner or a superuser. */
extern void kt_access_require_owner(const char *what);
extern bool kt_access_is_owner(void);

/* An error where there is no workspace in which the caller, if not the owner, may what is needed. */
extern void kt_access_require_somewhere(KtAccess needed, const char *what);

/*
 * The workspace that a call means: the argument, else the setting
 * kin_tr.workspace, else the only one that the caller may use.  An error where
 * the caller may less than needed there, or where none or several remain.
 */
extern KtSid kt_workspace_argument(text *argument, KtAccess needed);

/* The same for reading, but false instead of an error where it cannot be told. */
extern bool kt_workspace_for_reading(text *argument, KtSid *workspace);

#endif							/* KIN_TR_BASE_ACCESS_H */
