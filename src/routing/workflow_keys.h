/*
 * workflow_keys.h
 *		The keys of a workflow's configuration.
 */
#ifndef KIN_TR_ROUTING_WORKFLOW_KEYS_H
#define KIN_TR_ROUTING_WORKFLOW_KEYS_H

#include "postgres.h"

/* The objects that a configuration is made of. */
typedef enum KtWorkflowObject
{
	KT_WORKFLOW_ROOT,
	KT_WORKFLOW_TASK_ROUTING,
	KT_WORKFLOW_FILTER,
	KT_WORKFLOW_TARGET,
	KT_WORKFLOW_DEFAULT_FILTER
} KtWorkflowObject;

/*
 * Is a key that Twilio does not know in this object probably a mistake?  If so,
 * *message and *hint say which.  A key that is like no other is its owner's own.
 */
extern bool kt_workflow_key_mistaken(KtWorkflowObject object, const char *key,
									 const char **message, const char **hint);

#endif							/* KIN_TR_ROUTING_WORKFLOW_KEYS_H */
