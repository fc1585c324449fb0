/*
 * workflow_keys.c
 *		The keys of a workflow's configuration.
 *
 * Keys that Twilio does not know are kept and do nothing, so that a
 * configuration can carry notes of its own.  But "filter" for "filters" does
 * nothing either, and its author would look for the fault everywhere but there.
 */
#include "postgres.h"

#include "base/text.h"
#include "routing/workflow_keys.h"

#define MAX_KEYS	9

static const struct
{
	const char *name;
	const char *keys[MAX_KEYS];
}			objects[] =
{
	[KT_WORKFLOW_ROOT] = {"the configuration", {"task_routing"}},
	[KT_WORKFLOW_TASK_ROUTING] = {"task_routing", {"filters", "default_filter"}},
	[KT_WORKFLOW_FILTER] = {
		"a filter", {"filter_friendly_name", "friendly_name", "expression", "targets"}
	},
	[KT_WORKFLOW_TARGET] = {
		"a target", {"queue", "expression", "priority", "timeout", "order_by", "skip_if",
		"known_worker_sid", "known_worker_friendly_name"}
	},
	/* Twilio's has no timeout. */
	[KT_WORKFLOW_DEFAULT_FILTER] = {
		"default_filter", {"queue", "expression", "priority", "order_by", "skip_if",
		"known_worker_sid", "known_worker_friendly_name"}
	},
};

static bool
has_key(KtWorkflowObject object, const char *key)
{
	for (int i = 0; i < MAX_KEYS && objects[object].keys[i] != NULL; i++)
		if (strcmp(objects[object].keys[i], key) == 0)
			return true;
	return false;
}

static const char *
nearest_key(KtWorkflowObject object, const char *key)
{
	List	   *keys = NIL;

	for (int i = 0; i < MAX_KEYS && objects[object].keys[i] != NULL; i++)
		keys = lappend(keys, unconstify(char *, objects[object].keys[i]));
	return kt_text_nearest(key, keys);
}

bool
kt_workflow_key_mistaken(KtWorkflowObject object, const char *key,
						 const char **message, const char **hint)
{
	const char *nearest;

	if (has_key(object, key))
		return false;
	nearest = nearest_key(object, key);
	if (nearest != NULL)
	{
		*message = psprintf("unknown key \"%s\" does nothing", kt_text_excerpt(key));
		*hint = psprintf("Perhaps \"%s\" is meant.", nearest);
		return true;
	}
	for (int other = 0; other < lengthof(objects); other++)
		if (has_key(other, key))
		{
			*message = psprintf("key \"%s\" does nothing in %s", key, objects[object].name);
			*hint = psprintf("It is a key of %s.", objects[other].name);
			return true;
		}
	return false;
}
