/*
 * pool_map.c
 *		Hash tables from a number, or a SID, to a pointer.
 */
#include "postgres.h"

#include "common/hashfn.h"

#include "routing/pool_map.h"

#define SH_PREFIX ktmap
#define SH_ELEMENT_TYPE KtMapEntry
#define SH_KEY_TYPE uint64
#define SH_KEY key
#define SH_HASH_KEY(map, key) ((uint32) ((key) ^ (key) >> 32))
#define SH_EQUAL(map, a, b) ((a) == (b))
#define SH_SCOPE extern
#define SH_DEFINE
#include "lib/simplehash.h"

#define SH_PREFIX ktsidmap
#define SH_ELEMENT_TYPE KtSidMapEntry
#define SH_KEY_TYPE KtSid
#define SH_KEY key
#define SH_HASH_KEY(map, key) hash_bytes((const unsigned char *) &(key), sizeof(KtSid))
#define SH_EQUAL(map, a, b) kt_sid_equal(&(a), &(b))
#define SH_SCOPE extern
#define SH_DEFINE
#include "lib/simplehash.h"

void *
kt_map_find(ktmap_hash *map, uint64 key)
{
	KtMapEntry *entry = ktmap_lookup(map, key);

	return entry != NULL ? entry->value : NULL;
}

void *
kt_sid_map_find(ktsidmap_hash *map, const KtSid *key)
{
	KtSidMapEntry *entry = ktsidmap_lookup(map, *key);

	return entry != NULL ? entry->value : NULL;
}

void **
kt_map_enter(ktmap_hash *map, uint64 key)
{
	bool		found;
	KtMapEntry *entry = ktmap_insert(map, key, &found);

	if (!found)
		entry->value = NULL;
	return &entry->value;
}

void **
kt_sid_map_enter(ktsidmap_hash *map, const KtSid *key)
{
	bool		found;
	KtSidMapEntry *entry = ktsidmap_insert(map, *key, &found);

	if (!found)
		entry->value = NULL;
	return &entry->value;
}
