/*
 * pool_step.c
 *		The steps of workflows that some task has come to.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "routing/pool_private.h"

typedef struct Fetch
{
	KtConfig   *config;
	const KtStepPlan *step;
	const KtTarget *target;
} Fetch;

static void
fetch_target(void *context)
{
	Fetch	   *fetch = context;
	const KtStepPlan *step = fetch->step;
	const KtWorkflow *workflow = kt_config_workflow(fetch->config, &step->key.workflow, step->key.version);

	if (workflow != NULL)
		fetch->target = kt_workflow_target(workflow->configuration, step->key.filter, step->key.target);
}

static KtStepPlan *
make_step(KtPool *pool, KtSpace *space, const KtStepPlan *key)
{
	Fetch		fetch = {pool->config, key};
	KtStepPlan *step;

	(void) kt_pool_fetch(pool, &key->key.workflow, fetch_target, &fetch);
	step = hash_search(pool->steps, &key->key, HASH_ENTER, NULL);
	memset((char *) step + sizeof(step->key), 0, sizeof(KtStepPlan) - sizeof(step->key));
	step->space = space;
	step->target = fetch.target;
	return step;
}

/* The classes have all that it reads. */
static void
set_up(KtStepPlan *step)
{
	KtSpace    *space = step->space;
	const KtExpr *expression = step->target->expression;
	const KtOrder *order = step->target->order_by;

	if (expression != NULL)
	{
		step->worker_paths = kt_space_paths(space, expression);
		step->has_tie = kt_expr_tie(expression, &step->tie);
	}
	if (step->has_tie)
		kt_vector_add(space->context, &space->tied_steps, step);
	if (order != NULL)
	{
		step->order_paths = kt_space_alloc(space, sizeof(int) * order->nkeys);
		for (uint32 i = 0; i < order->nkeys; i++)
			step->order_paths[i] = kt_space_path(space, &order->keys[i].path);
	}
	step->known = true;
}

KtStepPlan *
kt_pool_step(KtPool *pool, KtSpace *space, const KtSid *workflow, int32 version, int32 filter, int32 target)
{
	KtStepPlan	key;
	KtStepPlan *step;
	KtKnown		known;

	memset(&key, 0, sizeof(key));
	key.key.workflow = *workflow;
	key.key.version = version;
	key.key.filter = filter;
	key.key.target = target;
	step = hash_search(pool->steps, &key.key, HASH_FIND, NULL);
	if (step == NULL)
		step = make_step(pool, space, &key);
	if (step->target == NULL || step->known)
		return step->target != NULL ? step : NULL;
	known = kt_space_know(pool, space, step->target->expression, step->target->order_by);
	if (known == KT_KNOWN)
	{
		set_up(step);
		return step;
	}
	if (known == KT_NO_ROOM)
		kt_space_report_no_room(pool, workflow);
	return NULL;
}
