/*
 * reorder.h
 *		Waiting tasks that may have the keys of their queue's former order.
 */
#ifndef KIN_TR_ROUTING_REORDER_H
#define KIN_TR_ROUTING_REORDER_H

#include "postgres.h"

#include "routing/router.h"

/* A queue's order may have changed. */
extern void kt_reorder_note(KtRouter *router, const KtSid *queue);
extern bool kt_reorder_is_noted(const KtRouter *router, const KtSid *queue);

/* All groups of those that were noted are being walked through. */
extern void kt_reorder_forget(KtRouter *router);

/* A group is to be walked through, when its workspace has been read. */
extern void kt_reorder_walk(KtRouter *router, const KtSid *workspace, const pg_uuid_t *group);

/* A piece of a walk; true where there are more. */
extern bool kt_reorder_read(KtRouter *router, int piece);

#endif							/* KIN_TR_ROUTING_REORDER_H */
