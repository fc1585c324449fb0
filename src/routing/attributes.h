/*
 * attributes.h
 *		From jsonb to the values of expressions.
 */
#ifndef KIN_TR_ROUTING_ATTRIBUTES_H
#define KIN_TR_ROUTING_ATTRIBUTES_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "utils/jsonb.h"

#include "base/sid.h"
#include "expr/expr.h"

/*
 * What a path reads in attributes.  Texts point into attributes, which must
 * outlive the value; the items of an array are allocated in the current
 * memory context.  attributes may be NULL: every path then reads NULL.
 */
extern KtValue kt_attributes_read(Jsonb *attributes, const KtPath *path);

/* A copy of a value that depends on nothing outside the memory context. */
extern KtValue kt_value_copy(const KtValue *value, MemoryContext context);

/* About how many bytes a copy takes. */
extern Size kt_value_size(const KtValue *value);

extern KtValue kt_value_text(const char *text, size_t length);
extern KtValue kt_value_integer(int64 integer);

/* What a worker is besides its attributes; paths of that name read these. */
typedef struct KtWorkerIdentity
{
	KtSid		sid;
	const char *friendly_name;
	KtSid		activity_sid;
	const char *activity_name;
} KtWorkerIdentity;

/* As kt_attributes_read(), for a path of subject WORKER. */
extern KtValue kt_worker_value(Jsonb *attributes, const KtWorkerIdentity *identity,
							  const KtPath *path);

/* Does a path read what a worker is besides its attributes? */
extern bool kt_worker_identity_has(const KtPath *path);

/* What a path of subject TASKROUTER reads at a moment, in UTC. */
extern KtValue kt_time_read(TimestampTz at, const KtPath *path);

/* An error where attributes are no object or too large; argument names them. */
extern void kt_attributes_check(Jsonb *attributes, const char *argument);

/* An error where a value is no object. */
extern void kt_attributes_check_object(Jsonb *value, const char *argument);

#endif							/* KIN_TR_ROUTING_ATTRIBUTES_H */
