/*
 * rows.h
 *		From the rows of tables into the pool.
 */
#ifndef KIN_TR_ROUTING_ROWS_H
#define KIN_TR_ROUTING_ROWS_H

#include "postgres.h"

#include "utils/uuid.h"

#include "routing/router.h"

/*
 * Read those that come next behind *after by their sids, at most so many, which moves on
 * to the last of them; how many.  Inside kt_spi_begin() .. end().
 */
extern int	kt_rows_next_workers(KtRouter *router, KtSid *after, int most);
extern int	kt_rows_next_reservations(KtRouter *router, KtSid *after, int most);

/*
 * A group's first tasks, of which the first that can be read makes the group.  What
 * it has of its later ones, by events, does not count: between are some that it does
 * not know.
 */
extern void kt_rows_read_group(KtRouter *router, const pg_uuid_t *key);

#endif							/* KIN_TR_ROUTING_ROWS_H */
