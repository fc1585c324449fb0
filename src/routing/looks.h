/*
 * looks.h
 *		What the router is to read, each workspace in its turn.
 */
#ifndef KIN_TR_ROUTING_LOOKS_H
#define KIN_TR_ROUTING_LOOKS_H

#include "postgres.h"

#include "base/sid.h"

typedef struct KtLooks KtLooks;

/*
 * Of objects of this size, such as the sid of a task or the uuid of a group.  One is
 * known by its bytes: a struct's padding is to be zero.
 */
extern KtLooks *kt_looks_create(MemoryContext context, Size size);
extern void kt_looks_clear(KtLooks *looks);

/* Once, however often it is said; workspace NULL: none that matters. */
extern void kt_looks_add(KtLooks *looks, const KtSid *workspace, const void *object);

/* The next ones, at most so many, of each workspace as many as of the others. */
extern int	kt_looks_take(KtLooks *looks, void *objects, int most);

/* The same, of those workspaces of which may() is true. */
extern int	kt_looks_take_where(KtLooks *looks, bool (*may) (void *arg, const KtSid *workspace), void *arg,
								void *objects, int most);

/*
 * The next ones, and whose they are: one of each workspace, and then of each another.
 * One that is put back is the next again.
 */
extern int	kt_looks_take_in_turn(KtLooks *looks, KtSid *workspaces, void *objects, int most);
extern void kt_looks_put_back(KtLooks *looks, const KtSid *workspace, const void *object);

/* Calls a function for each of a workspace, and forgets them. */
extern void kt_looks_drain(KtLooks *looks, const KtSid *workspace,
						   void (*take) (void *arg, const KtSid *workspace, const void *object), void *arg);

extern int	kt_looks_count(const KtLooks *looks, const KtSid *workspace);

extern bool kt_looks_are_left(const KtLooks *looks);

#endif							/* KIN_TR_ROUTING_LOOKS_H */
