/*
 * pool_map.h
 *		Hash tables from a number, or a SID, to a pointer.
 *
 * Each workspace has several, and there may be thousands of workspaces: these begin
 * with a few hundred bytes, where a dynahash takes eight kilobytes.
 */
#ifndef KIN_TR_ROUTING_POOL_MAP_H
#define KIN_TR_ROUTING_POOL_MAP_H

#include "postgres.h"

#include "base/sid.h"

/* The number is a hash already. */
typedef struct KtMapEntry
{
	uint64		key;
	void	   *value;
	char		status;
} KtMapEntry;

#define SH_PREFIX ktmap
#define SH_ELEMENT_TYPE KtMapEntry
#define SH_KEY_TYPE uint64
#define SH_SCOPE extern
#define SH_DECLARE
#include "lib/simplehash.h"

typedef struct KtSidMapEntry
{
	KtSid		key;
	void	   *value;
	char		status;
} KtSidMapEntry;

#define SH_PREFIX ktsidmap
#define SH_ELEMENT_TYPE KtSidMapEntry
#define SH_KEY_TYPE KtSid
#define SH_SCOPE extern
#define SH_DECLARE
#include "lib/simplehash.h"

#define KT_MAP_SIZE 8			/* entries of a new one */

/* NULL where there is none. */
extern void *kt_map_find(ktmap_hash *map, uint64 key);
extern void *kt_sid_map_find(ktsidmap_hash *map, const KtSid *key);

/* Where the value is, until the next call; NULL where it is new. */
extern void **kt_map_enter(ktmap_hash *map, uint64 key);
extern void **kt_sid_map_enter(ktsidmap_hash *map, const KtSid *key);

#endif							/* KIN_TR_ROUTING_POOL_MAP_H */
