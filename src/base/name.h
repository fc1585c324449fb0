/*
 * name.h
 *		Names in which case does not count.
 */
#ifndef KIN_TR_BASE_NAME_H
#define KIN_TR_BASE_NAME_H

#include "postgres.h"

/* 64 characters, as names have at most, in any encoding of a server. */
#define KT_NAME_MAX_SIZE	256

/*
 * What a name is compared by: two have the same key if they differ in nothing
 * but case, or in how accents are composed.  It depends on no collation, locale
 * or encoding.  NULL where the name is longer than any may be, so nobody has it;
 * never an error.  In the current context.
 */
extern bytea *kt_name_key(const char *name);

/*
 * For a hash table by name: keysize is that of a pointer, the entry begins with a
 * bytea * that lives as long as the entry, and these two are its hash and match
 * (HASH_FUNCTION | HASH_COMPARE).
 */
extern uint32 kt_name_hash(const void *key, Size size);
extern int	kt_name_match(const void *key1, const void *key2, Size size);

#endif							/* KIN_TR_BASE_NAME_H */
