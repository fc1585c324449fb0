/*
 * limits.h
 *		How long the texts and documents of a caller may be.
 */
#ifndef KIN_TR_BASE_LIMITS_H
#define KIN_TR_BASE_LIMITS_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/jsonb.h"

/* Error 54000 where a text is longer than an argument of this name may be. */
extern void kt_limit_text(Datum text, const char *argument);

/* An argument of type text within its limit, in the current context; NULL where it is null. */
extern char *kt_limit_argument(FunctionCallInfo fcinfo, int number, const char *name);

/*
 * The same for a document, as it is stored and as it would be printed, and the
 * setting that allows so much, if one does.
 */
extern void kt_limit_document(Jsonb *document, Size most, const char *what, const char *setting,
							  const char *hint);

/*
 * Bytes that a document takes as text, or a little more; it ends with any number
 * above most when it has got there.  A number of five bytes may be printed in a
 * hundred thousand.
 */
extern Size kt_limit_printed(JsonbContainer *container, Size most);

#endif							/* KIN_TR_BASE_LIMITS_H */
