/*
 * text.h
 *		A user's text, as a message shows it.
 */
#ifndef KIN_TR_BASE_TEXT_H
#define KIN_TR_BASE_TEXT_H

#include "postgres.h"

#include "nodes/pg_list.h"

#define KT_EXCERPT_LENGTH	200 /* characters of a user's text in a message */
#define KT_LISTED_NAMES		5	/* names that a message lists */

/*
 * The text itself, or its first KT_EXCERPT_LENGTH characters and "..." where it
 * is longer.  What is cut is palloc'd.
 */
extern const char *kt_text_excerpt(const char *text);

/*
 * A list of names, char *, as a message lists them: "a", "b" and 3 more.  The
 * list may be cut itself: with complete false there are more than it says.
 */
extern char *kt_text_list(List *names, bool complete);

/*
 * The name that is most probably meant by one that does not exist; NULL where
 * none is near.  Letters of ASCII in the other case, and "-", "_" and blanks,
 * are no difference; of three characters one may be wrong, up to three in all.
 */
extern const char *kt_text_nearest(const char *wanted, List *names);

#endif							/* KIN_TR_BASE_TEXT_H */
