/*
 * place.c
 *		What names mean, depending on where they stand.
 *
 * A name that could never have a value where it stands is refused, although it
 * would be harmless: a filter that reads worker.level is NULL for every task,
 * and its author would look for the fault everywhere but there.
 */
#include "expr/place.h"

#include <stdio.h>
#include <string.h>

#include "expr/fault.h"

#define TASK		(1U << KT_PREFIX_TASK)
#define WORKER		(1U << KT_PREFIX_WORKER)
#define WORKERS		(1U << KT_PREFIX_WORKERS)
#define TASKROUTER	(1U << KT_PREFIX_TASKROUTER)

#define SKIP_IF_NAMES \
	"It reads workers.available, workers.unavailable, workers.<activity sid> and " \
	"taskrouter.currentTime, currentHour, currentMin, dayOfWeek."

static const KtPlaceRules places[] =
{
	[KT_PLACE_FILTER] = {
		.where = "a filter's expression",
		.accepted = TASK | TASKROUTER,
		.refused = WORKER,
		.bare = true,
		.subject = KT_SUBJECT_TASK,
		.refusal = "A filter chooses by the task alone; write this in a target's expression.",
	},
	[KT_PLACE_QUEUE] = {
		.where = "a queue's expression",
		.accepted = WORKER,
		.refused = TASK | TASKROUTER,
		.bare = true,
		.subject = KT_SUBJECT_WORKER,
		.refusal = "A queue's workers cannot depend on a task, on the time or on their load; "
		"write this in a target's expression.",
	},
	[KT_PLACE_TARGET] = {
		.where = "a target's expression",
		.accepted = TASK | WORKER | TASKROUTER,
		.refused = WORKERS,
		.channels = true,
		.refusal = "How many workers are available can be asked in skip_if alone.",
	},
	[KT_PLACE_SKIP_IF] = {
		.where = "skip_if",
		.accepted = WORKERS | TASKROUTER,
		.refused = TASK | WORKER,
		.refusal = SKIP_IF_NAMES,
	},
	[KT_PLACE_ANY_TASK] = {
		.where = "an expression",
		.accepted = TASK | WORKER | WORKERS | TASKROUTER,
		.channels = true,
		.bare = true,
		.subject = KT_SUBJECT_TASK,
	},
	[KT_PLACE_ANY_WORKER] = {
		.where = "an expression",
		.accepted = TASK | WORKER | WORKERS | TASKROUTER,
		.channels = true,
		.bare = true,
		.subject = KT_SUBJECT_WORKER,
	},
};

const KtPlaceRules kt_order_rules = {
	.where = "order_by",
	.accepted = WORKER,
	.refused = TASK | WORKERS | TASKROUTER,
	.refusal = "Workers are ordered by their own attributes.",
};

const KtPlaceRules kt_reference_rules = {
	.where = "the reference to a known worker",
	.accepted = TASK,
	.refused = WORKER | WORKERS | TASKROUTER,
	.refusal = "A known worker is named by an attribute of the task.",
};

const KtPlaceRules *
kt_place_rules(KtExprPlace place)
{
	return &places[place];
}

static bool
step_is(const KtStep *step, const char *name)
{
	return step->key != NULL && step->key_length == strlen(name) &&
		memcmp(step->key, name, step->key_length) == 0;
}

static bool
step_is_one_of(const KtStep *step, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
	{
		if (step_is(step, names[i]))
			return true;
	}
	return false;
}

/* A prefix is one only before another name: an attribute may be called task. */
static KtPrefix
prefix_of(const KtWrittenPath *path)
{
	if (path->nsteps < 2 || path->steps[1].key == NULL)
		return KT_PREFIX_NONE;
	if (step_is(&path->steps[0], "task"))
		return KT_PREFIX_TASK;
	if (step_is(&path->steps[0], "worker"))
		return KT_PREFIX_WORKER;
	if (step_is(&path->steps[0], "workers"))
		return KT_PREFIX_WORKERS;
	if (step_is(&path->steps[0], "taskrouter"))
		return KT_PREFIX_TASKROUTER;
	return KT_PREFIX_NONE;
}

static KtQuote
path_quote(const KtWrittenPath *path)
{
	return kt_expr_quote(path->text, path->length);
}

static bool
refusal_fault(const KtPlaceRules *rules, const KtWrittenPath *path, KtExprError *error)
{
	kt_expr_fault(error, path->position, "name \"%s\" cannot be used in %s",
				  path_quote(path).text, rules->where);
	return kt_expr_hint(error, "%s", rules->refusal);
}

/* A name without a prefix, where there must be one. */
static bool
prefix_fault(const KtPlaceRules *rules, const KtWrittenPath *path, KtExprError *error)
{
	KtQuote		quote = path_quote(path);
	const char *separator = (rules->accepted & TASK) && (rules->accepted & WORKER) ? " or " : "";
	const char *task = rules->accepted & TASK ? "task." : "";
	const char *worker = rules->accepted & WORKER ? "worker." : "";

	if ((rules->accepted & (TASK | WORKER)) == 0)
		return refusal_fault(rules, path, error);
	if (step_is(&path->steps[0], "task") || step_is(&path->steps[0], "worker"))
	{
		kt_expr_fault(error, path->position, "name \"%s\" lacks an attribute", quote.text);
		return kt_expr_hint(error, "Write the attribute's name behind it: %s%s%s.",
							*task ? "task.x" : "", separator, *worker ? "worker.x" : "");
	}
	kt_expr_fault(error, path->position, "name \"%s\" needs a prefix", quote.text);
	return kt_expr_hint(error, "In %s write %s%s%s%s%s.", rules->where,
						task, *task ? quote.text : "", separator,
						worker, *worker ? quote.text : "");
}

static bool
resolve_taskrouter(const KtWrittenPath *path, KtExprError *error)
{
	static const char *const names[] = {"currentTime", "currentHour", "currentMin", "dayOfWeek"};

	if (path->nsteps == 2 && step_is_one_of(&path->steps[1], names, 4))
		return true;
	kt_expr_fault(error, path->position, "unknown name \"%s\"", path_quote(path).text);
	return kt_expr_hint(error, "taskrouter has currentTime, currentHour, currentMin and dayOfWeek.");
}

/* WA and 32 hexadecimal digits */
static bool
is_activity_sid(const KtStep *step)
{
	if (step->key == NULL || step->key_length != 34 || memcmp(step->key, "WA", 2) != 0)
		return false;
	for (uint32_t i = 2; i < step->key_length; i++)
	{
		if (strchr("0123456789abcdefABCDEF", step->key[i]) == NULL)
			return false;
	}
	return true;
}

static bool
resolve_workers(const KtWrittenPath *path, KtExprError *error)
{
	static const char *const names[] = {"available", "unavailable"};

	if (path->nsteps == 2 &&
		(step_is_one_of(&path->steps[1], names, 2) || is_activity_sid(&path->steps[1])))
		return true;
	kt_expr_fault(error, path->position, "unknown name \"%s\"", path_quote(path).text);
	return kt_expr_hint(error, "workers has available, unavailable and the sid of each activity.");
}

/* worker.channel.<unique_name>.<counter>, and only that, is about a channel. */
static bool
resolve_worker(const KtPlaceRules *rules, const KtWrittenPath *path,
			   KtSubject *subject, uint32_t *nprefix, KtExprError *error)
{
	static const char *const counters[] = {
		"configured_capacity", "assigned_tasks", "available_capacity_percentage",
	};
	bool		shaped = (path->nsteps == 4 && step_is(&path->steps[1], "channel") &&
						  path->steps[2].key != NULL && path->steps[3].key != NULL);
	bool		known = shaped && step_is_one_of(&path->steps[3], counters, 3);

	*subject = KT_SUBJECT_WORKER;
	*nprefix = 1;
	if (rules->channels && known)
	{
		*subject = KT_SUBJECT_CHANNEL;
		*nprefix = 2;
	}
	else if (rules->channels && shaped)
	{
		kt_expr_fault(error, path->position, "unknown counter of a channel in \"%s\"",
					  path_quote(path).text);
		return kt_expr_hint(error, "A channel has configured_capacity, assigned_tasks and "
							"available_capacity_percentage.");
	}
	else if (known)
		return refusal_fault(rules, path, error);
	return true;
}

bool
kt_place_resolve(const KtPlaceRules *rules, const KtWrittenPath *path,
				 KtSubject *subject, uint32_t *nprefix, KtExprError *error)
{
	KtPrefix	prefix = prefix_of(path);

	if (prefix != KT_PREFIX_NONE && (rules->refused & (1U << prefix)))
		return refusal_fault(rules, path, error);
	if (prefix == KT_PREFIX_NONE || !(rules->accepted & (1U << prefix)))
	{
		*subject = rules->subject;
		*nprefix = 0;
		return rules->bare || prefix_fault(rules, path, error);
	}
	*nprefix = 1;
	switch (prefix)
	{
		case KT_PREFIX_TASK:
			*subject = KT_SUBJECT_TASK;
			return true;
		case KT_PREFIX_WORKER:
			return resolve_worker(rules, path, subject, nprefix, error);
		case KT_PREFIX_WORKERS:
			*subject = KT_SUBJECT_WORKERS;
			return resolve_workers(path, error);
		default:
			*subject = KT_SUBJECT_TASKROUTER;
			return resolve_taskrouter(path, error);
	}
}
