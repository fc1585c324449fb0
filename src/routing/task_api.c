/*
 * task_api.c
 *		The SQL functions that create and change tasks.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/clock.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/home.h"
#include "base/limits.h"
#include "base/spi.h"
#include "base/text.h"
#include "base/access.h"
#include "routing/attributes.h"
#include "routing/placement.h"
#include "routing/reservation.h"
#include "routing/task.h"

PG_FUNCTION_INFO_V1(kin_tr_create_task);
PG_FUNCTION_INFO_V1(kin_tr_update_task);
PG_FUNCTION_INFO_V1(kin_tr_cancel_task);
PG_FUNCTION_INFO_V1(kin_tr_wrapup_task);
PG_FUNCTION_INFO_V1(kin_tr_complete_task);
PG_FUNCTION_INFO_V1(kin_tr_delete_task);
PG_FUNCTION_INFO_V1(kin_tr_evaluate_task_again);
PG_FUNCTION_INFO_V1(kin_tr_regroup_task);

#define MAX_TIMEOUT 1209600		/* two weeks */

/* Arguments of create_task(), and of _create_task(), which has two more. */
enum
{
	ARG_ATTRIBUTES,
	ARG_PRIORITY,
	ARG_TIMEOUT,
	ARG_WORKFLOW,
	ARG_TASK_CHANNEL,
	ARG_VIRTUAL_START_TIME,
	ARG_ROUTING_TARGET,
	ARG_IGNORE_CAPACITY,
	ARG_TASK_QUEUE,
	ARG_IDEMPOTENCY_KEY,
	ARG_WORKSPACE,
	ARG_NOT_BEFORE,
	ARG_IN_PLACE_OF
};

static text *
workspace_argument(FunctionCallInfo fcinfo, int argument)
{
	return PG_ARGISNULL(argument) ? NULL : PG_GETARG_TEXT_PP(argument);
}

static int32
integer_argument(FunctionCallInfo fcinfo, int argument, const char *name, int32 least, int32 most)
{
	int32		value = PG_GETARG_INT32(argument);

	if (value < least || value > most)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be from %d to %d, not %d", name, least, most, value),
				 errhint("Left out or NULL it is the default; in an update, what it is already.")));
	return value;
}

/* routable: has the function an argument routing_target? */
static void
workflow_required(const KtSid *workspace, bool routable)
{
	bool		complete;
	List	   *names = kt_config_names(KT_WORKFLOW, workspace, &complete);
	const char *where = kt_config_workspace(kt_config(), workspace)->friendly_name;

	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("workflow is required"),
			 names == NIL ? errdetail("Workspace \"%s\" has no workflow.", where) :
			 errdetail("Workspace \"%s\" has %d workflows: %s.", where, list_length(names),
					   kt_text_list(names, complete)),
			 names != NIL ?
			 errhint("Name one of them, or give the SID of a worker or a task queue as routing_target.") :
			 routable ?
			 errhint("An admin can create one; or give the SID of a worker or a task queue as routing_target.") :
			 errhint("An admin can create one, with kin_tr.create_workflow().")));
}

/*
 * Tells of an argument that does not count.  At Twilio ignore_capacity "can only
 * be used" with a worker; the others are taken, and mean little.
 */
static void
check_route_arguments(FunctionCallInfo fcinfo, const KtTask *task)
{
	bool		to_worker = kt_sid_is(&task->routing_target, KT_WORKER);

	if (!PG_ARGISNULL(ARG_IGNORE_CAPACITY) && !to_worker)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("ignore_capacity counts only where routing_target is a worker"),
				 errhint("Leave it out, or give the SID of a worker as routing_target.")));
	if (!PG_ARGISNULL(ARG_TASK_QUEUE) && !to_worker)
		ereport(NOTICE,
				(errmsg("task_queue does not say where the task goes: %s does",
						kt_sid_is_null(&task->routing_target) ? "its workflow" : "routing_target"),
				 errhint("To put it into a queue give that queue's SID as routing_target.")));
	if (!PG_ARGISNULL(ARG_WORKFLOW) && !kt_sid_is_null(&task->routing_target))
	{
		KtSid		workflow = kt_config_resolve(kt_config(), KT_WORKFLOW,
												 kt_limit_argument(fcinfo, ARG_WORKFLOW, "workflow"),
												 &task->workspace);

		if (!kt_sid_equal(&workflow, &task->routing_target))
			ereport(NOTICE,
					(errmsg("workflow does not say where the task goes: routing_target does"),
					 errhint("Give one of the two.")));
	}
}

/*
 * Where a task goes: the workflow that routes it, or none where it is routed
 * to a worker or a queue directly.  What it uses is locked against deletion,
 * but for a worker.
 */
static KtConfig *
resolve_route(FunctionCallInfo fcinfo, KtTask *task)
{
	char	   *target = kt_limit_argument(fcinfo, ARG_ROUTING_TARGET, "routing_target");
	char	   *workflow = kt_limit_argument(fcinfo, ARG_WORKFLOW, "workflow");
	char	   *queue = kt_limit_argument(fcinfo, ARG_TASK_QUEUE, "task_queue");
	char	   *channel = kt_limit_argument(fcinfo, ARG_TASK_CHANNEL, "task_channel");
	const KtSid *ws = &task->workspace;

	task->filter = KT_DIRECT;
	task->task_channel = kt_config_resolve_and_lock(KT_TASK_CHANNEL, channel ? channel : "default", ws);
	if (queue != NULL)
		task->task_queue = kt_config_resolve_and_lock(KT_TASK_QUEUE, queue, ws);
	if (target != NULL)
	{
		KtSid		sid;

		if (!kt_sid_parse(target, strlen(target), &sid) ||
			!(kt_sid_is(&sid, KT_WORKER) || kt_sid_is(&sid, KT_TASK_QUEUE) || kt_sid_is(&sid, KT_WORKFLOW)))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("invalid routing_target: \"%s\"", kt_text_excerpt(target)),
					 errhint("A routing target is the SID of a worker, a task queue or a workflow.")));
		task->routing_target = kt_sid_is(&sid, KT_WORKER) ?
			kt_config_resolve(kt_config(), sid.kind, target, ws) :
			kt_config_resolve_and_lock(sid.kind, target, ws);
		if (kt_sid_is(&sid, KT_WORKFLOW))
			task->workflow = sid;
		else if (kt_sid_is(&sid, KT_TASK_QUEUE))
			task->task_queue = sid;
		else
			task->ignore_capacity = PG_ARGISNULL(ARG_IGNORE_CAPACITY) || PG_GETARG_BOOL(ARG_IGNORE_CAPACITY);
		if (!kt_sid_is(&sid, KT_WORKFLOW))
			return kt_config();
	}
	else if (workflow != NULL)
		task->workflow = kt_config_resolve_and_lock(KT_WORKFLOW, workflow, ws);
	else if (kt_config_only_workflow(kt_config(), ws, &task->workflow))
		task->workflow = kt_config_resolve_and_lock(KT_WORKFLOW, kt_sid_cstring(&task->workflow), ws);
	else
		workflow_required(ws, PG_NARGS() <= ARG_NOT_BEFORE);
	task->workflow_version = kt_config_workflow_version(kt_config(), &task->workflow);
	return kt_config();
}

/* 1900-01-01, Twilio's earliest. */
#define EARLIEST (INT64CONST(-36524) * USECS_PER_DAY)

static void
check_virtual_start_time(TimestampTz time, TimestampTz latest)
{
	if (time > latest || time < EARLIEST)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("virtual_start_time must not be in the future, nor before 1900: %s",
						timestamptz_to_str(time)),
				 errhint("It says since when the task has waited; create_callback_task() makes one for later.")));
}

static void
read_times(FunctionCallInfo fcinfo, KtTask *task, TimestampTz now)
{
	bool		callback = PG_NARGS() > ARG_NOT_BEFORE && !PG_ARGISNULL(ARG_NOT_BEFORE);

	task->not_before = callback ? PG_GETARG_TIMESTAMPTZ(ARG_NOT_BEFORE) : KT_NEVER;
	task->virtual_start_time = now;
	if (!PG_ARGISNULL(ARG_VIRTUAL_START_TIME))
	{
		task->virtual_start_time = PG_GETARG_TIMESTAMPTZ(ARG_VIRTUAL_START_TIME);
		check_virtual_start_time(task->virtual_start_time, callback ? DT_NOEND : now);
	}
	task->date_created = task->date_updated = now;
	task->deadline_base = callback ? Max(now, task->not_before) : now;
	task->step_deadline = KT_NEVER;
	task->queue_entered = KT_NEVER;
	task->timeout = PG_ARGISNULL(ARG_TIMEOUT) ? 86400 :
		integer_argument(fcinfo, ARG_TIMEOUT, "timeout", 1, MAX_TIMEOUT);
	task->expires_at = task->deadline_base + task->timeout * USECS_PER_SEC;
}

/* Of everything that the request says, so that two different ones are told apart. */
static int64
request_hash(FunctionCallInfo fcinfo, Jsonb *attributes)
{
	uint64		hash = hash_bytes_extended((unsigned char *) attributes, VARSIZE(attributes), 0);

	for (int i = 0; i < PG_NARGS(); i++)
	{
		uint64		part = PG_ARGISNULL(i);

		if (i == ARG_ATTRIBUTES || i == ARG_IDEMPOTENCY_KEY || i == ARG_WORKSPACE || i == ARG_IN_PLACE_OF)
			continue;
		if (!PG_ARGISNULL(i))
		{
			switch (i)
			{
				case ARG_WORKFLOW:
				case ARG_TASK_CHANNEL:
				case ARG_ROUTING_TARGET:
				case ARG_TASK_QUEUE:
					{
						text	   *value = PG_GETARG_TEXT_PP(i);

						part = hash_bytes_extended((unsigned char *) VARDATA_ANY(value),
												   VARSIZE_ANY_EXHDR(value), 1);
						break;
					}
				default:
					part = hash_combine64(2, (uint64) PG_GETARG_DATUM(i));
			}
		}
		hash = hash_combine64(hash, part);
	}
	return (int64) hash;
}

/*
 * Enters a key.  True where it was used before, for the same request: then
 * *task is what that made.
 */
static bool
key_was_used(const KtSid *workspace, char *key, int64 hash, KtSid *task)
{
	static KtPlan insert = {
		"INSERT INTO kin_tr.idempotency_keys (workspace_sid, key, task_sid, request_hash)"
		" VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING", "stsI"
	};
	static KtPlan find = {
		"SELECT task_sid, request_hash FROM kin_tr.idempotency_keys"
		" WHERE workspace_sid = $1 AND key = $2", "st"
	};
	Datum		values[] = {
		SidPGetDatum(workspace), kt_text_datum(key), SidPGetDatum(task), Int64GetDatum(hash)
	};

	if (key[0] == '\0' || strlen(key) > 255)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("idempotency_key must have 1 to 255 bytes, not %zu", strlen(key)),
				 errhint("Use for example the key of the row that the task is about.")));
	if (kt_spi(&insert, values, NULL) > 0)
		return false;
	if (kt_spi(&find, values, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("idempotency key \"%s\" was entered by a concurrent transaction", kt_text_excerpt(key)),
				 errhint("Try the transaction again.")));
	*task = kt_column_sid(0, 1);
	if (kt_column_int64(0, 2) != hash)
		ereport(ERROR,
				(errcode(KT_ERRCODE_KEY_REUSED),
				 errmsg("idempotency key \"%s\" was used for another request", kt_text_excerpt(key)),
				 errdetail("It made task %s.", kt_sid_cstring(task)),
				 errhint("Use a new key for a new task.")));
	return true;
}

static void
add_created_event(KtConfig *config, KtTask *task, TimestampTz now)
{
	KtEvent		event = kt_task_event_base(task, "task.created", now);
	KtData		data;

	/* Its id was drawn first, for it comes first; its data is known only now. */
	event.id = task->document;
	event.task_document = 0;
	kt_data_begin(&data);
	kt_task_data(config, task, &data, now);
	kt_data_jsonb(&data, "task_attributes", task->attributes);
	event.data = kt_data_end(&data);
	kt_events_share_data(&event);
	kt_event_add(&event);
}

/* Routed directly: it enters its queue without a workflow. */
static void
place_directly(KtConfig *config, KtTask *task, TimestampTz now)
{
	task->step_tried = true;
	if (!kt_sid_is_null(&task->task_queue))
	{
		task->queue_entered = now;
		kt_task_event(config, task, "task-queue.entered", now);
	}
	kt_place_in_group(config, task, now);
}

/* The task whose place the new one takes; the caller has just canceled it. */
static KtTask *
replaced_task(FunctionCallInfo fcinfo)
{
	if (PG_NARGS() <= ARG_IN_PLACE_OF || PG_ARGISNULL(ARG_IN_PLACE_OF))
		return NULL;
	return kt_task_read(PG_GETARG_SID_P(ARG_IN_PLACE_OF), false);
}

/* create_task(...) -> sid; the arguments are in the enum above. */
Datum
kin_tr_create_task(PG_FUNCTION_ARGS)
{
	KtTask		task = {kt_sid_new(KT_TASK)};
	KtSid	   *result = palloc(sizeof(KtSid));
	TimestampTz now = kt_now();
	KtConfig   *config;
	KtSpi		spi;

	kt_require_writable(fcinfo);
	task.workspace = kt_workspace_argument(workspace_argument(fcinfo, ARG_WORKSPACE), KT_ACCESS_APP);
	if (PG_ARGISNULL(ARG_ATTRIBUTES))
		task.attributes = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")));
	else
		task.attributes = PG_GETARG_JSONB_P(ARG_ATTRIBUTES);
	kt_attributes_check(task.attributes, "attributes");
	read_times(fcinfo, &task, now);
	*result = task.sid;
	kt_spi_begin(&spi);
	if (!PG_ARGISNULL(ARG_IDEMPOTENCY_KEY) &&
		key_was_used(&task.workspace, kt_limit_argument(fcinfo, ARG_IDEMPOTENCY_KEY, "idempotency_key"),
					 request_hash(fcinfo, task.attributes), result))
	{
		kt_spi_end(&spi);
		PG_RETURN_SID_P(result);
	}
	(void) resolve_route(fcinfo, &task);
	check_route_arguments(fcinfo, &task);
	config = kt_config();
	if (!PG_ARGISNULL(ARG_PRIORITY))
		task.priority = integer_argument(fcinfo, ARG_PRIORITY, "priority", 0, PG_INT32_MAX);
	else if (!kt_sid_is_null(&task.workflow))
		task.priority = kt_config_workflow(config, &task.workflow, task.workflow_version)->default_priority;
	task.document = kt_event_id();
	kt_task_transition(&task, KT_TASK_PENDING);
	if (kt_sid_is_null(&task.workflow))
		place_directly(config, &task, now);
	else
	{
		KtTask	   *other = replaced_task(fcinfo);

		memset(&task.task_queue, 0, sizeof(KtSid));
		/* Where the other one would be placed anew when it comes back, so is this. */
		if (other != NULL && other->filter != KT_DIRECT && !kt_workflow_is_to_be_evaluated(config, other))
			kt_place_like(config, &task, other, now);
		else
			(void) kt_place(config, &task, now, false);
	}
	kt_task_insert(&task);
	add_created_event(config, &task, now);
	kt_events_flush();
	kt_spi_end(&spi);
	PG_RETURN_SID_P(result);
}

/* What each function below starts with and ends with. */
typedef struct Call
{
	KtSpi		spi;
	KtConfig   *config;
	TimestampTz now;
	KtTask	   *task;
} Call;

static void
no_such_task(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("task \"%s\" does not exist", kt_text_excerpt(name)),
			 errhint("A finished task moves to task_history, where it is only read.")));
}

/* Checks the arguments task text (0), workspace text, if_version bigint; locks the task. */
static void
begin(Call *call, FunctionCallInfo fcinfo, int workspace_arg, int version_arg)
{
	KtSid		sid;
	char	   *name;
	KtTask	   *seen;
	KtSid		workspace = {{0}};
	KtSid		named = {{0}};

	kt_require_writable(fcinfo);
	sid = kt_config_sid_argument(fcinfo, 0, KT_TASK);
	name = kt_sid_cstring(&sid);
	call->now = kt_now();
	/* The right is judged as the caller, by the workspace that is named and the one that the row is of. */
	if (!PG_ARGISNULL(workspace_arg))
		named = kt_workspace_argument(PG_GETARG_TEXT_PP(workspace_arg), KT_ACCESS_APP);
	kt_spi_begin(&call->spi);
	seen = kt_task_read(&sid, false);
	if (seen != NULL)
		workspace = seen->workspace;
	kt_spi_end(&call->spi);
	if (kt_access(&workspace) == KT_ACCESS_NONE ||
		(!kt_sid_is_null(&named) && !kt_sid_equal(&workspace, &named)))
		no_such_task(name);
	kt_access_require(&workspace, KT_ACCESS_APP);
	kt_spi_begin(&call->spi);
	call->task = kt_task_read(&sid, true);
	call->config = kt_config();
	if (call->task == NULL)
		no_such_task(name);
	if (!PG_ARGISNULL(version_arg) && call->task->version != PG_GETARG_INT64(version_arg))
		ereport(ERROR,
				(errcode(KT_ERRCODE_VERSION_MISMATCH),
				 errmsg("task %s is at version " INT64_FORMAT ", not " INT64_FORMAT, name,
						call->task->version, PG_GETARG_INT64(version_arg)),
				 errhint("Read it again, and decide anew.")));
}

static Datum
end(Call *call)
{
	int64		version = call->task->version;

	kt_events_flush();
	kt_spi_end(&call->spi);
	return Int64GetDatum(version);
}

static void
refuse_finished(const KtTask *task, const char *what)
{
	if (task->status == KT_TASK_COMPLETED || task->status == KT_TASK_CANCELED)
		ereport(ERROR,
				(errcode(KT_ERRCODE_ILLEGAL_TRANSITION),
				 errmsg("task %s is %s: %s", kt_sid_cstring(&task->sid),
						kt_task_status_name(task->status), what),
				 errhint("The task has ended.")));
}

static void
add_updated_event(KtConfig *config, KtTask *task, bool with_attributes, TimestampTz now)
{
	KtEvent		event = kt_task_event_base(task, "task.updated", now);
	KtData		data;

	/* The row is stored after this, for it says which event has its attributes. */
	kt_task_raise_version(task);
	event.id = kt_event_id();
	kt_data_begin(&data);
	kt_task_data(config, task, &data, now);
	if (with_attributes)
	{
		task->document = event.id;
		event.task_document = 0;
		kt_data_jsonb(&data, "task_attributes", task->attributes);
	}
	event.data = kt_data_end(&data);
	kt_event_add(&event);
}

void
kt_task_set_attributes(KtConfig *config, KtTask *task, Jsonb *attributes, TimestampTz now)
{
	kt_attributes_check(attributes, "attributes");
	task->attributes = attributes;
	task->attributes_changed = true;
	add_updated_event(config, task, true, now);
	if (task->waiting)
		kt_place_in_group(config, task, now);
}

void
kt_task_merge_attributes(KtConfig *config, KtTask *task, Jsonb *keys, TimestampTz now)
{
	kt_attributes_check(keys, "attributes");
	kt_task_set_attributes(config, task,
						   DatumGetJsonbP(DirectFunctionCall2(jsonb_concat,
															  JsonbPGetDatum(task->attributes),
															  JsonbPGetDatum(keys))), now);
}

/*
 * update_task(task text, attributes jsonb, priority integer, task_channel text,
 * virtual_start_time timestamptz, workspace text, if_version bigint) -> version
 *
 * What is NULL stays; attributes are replaced whole, as Twilio does.
 */
Datum
kin_tr_update_task(PG_FUNCTION_ARGS)
{
	Call		call;
	KtTask	   *task;

	begin(&call, fcinfo, 5, 6);
	task = call.task;
	refuse_finished(task, "it can no longer be changed");
	if (!PG_ARGISNULL(2))
		task->priority = integer_argument(fcinfo, 2, "priority", 0, PG_INT32_MAX);
	if (!PG_ARGISNULL(3))
	{
		task->task_channel = kt_config_resolve_and_lock(KT_TASK_CHANNEL, kt_limit_argument(fcinfo, 3, "task_channel"),
														&task->workspace);
		call.config = kt_config();
	}
	if (!PG_ARGISNULL(4))
	{
		check_virtual_start_time(PG_GETARG_TIMESTAMPTZ(4), call.now);
		task->virtual_start_time = PG_GETARG_TIMESTAMPTZ(4);
	}
	if (!PG_ARGISNULL(1))
		kt_task_set_attributes(call.config, task, PG_GETARG_JSONB_P(1), call.now);
	else
		add_updated_event(call.config, task, false, call.now);
	if (task->waiting)
		kt_place_in_group(call.config, task, call.now);
	kt_task_store(task, call.now);
	return end(&call);
}

/* cancel_task(task text, reason text, workspace text, if_version bigint) -> version */
Datum
kin_tr_cancel_task(PG_FUNCTION_ARGS)
{
	Call		call;

	begin(&call, fcinfo, 2, 3);
	kt_task_cancel(call.config, call.task, PG_ARGISNULL(1) ? "canceled" : kt_limit_argument(fcinfo, 1, "reason"),
				   call.now);
	return end(&call);
}

/* wrapup_task(task text, reason text, workspace text, if_version bigint) -> version */
Datum
kin_tr_wrapup_task(PG_FUNCTION_ARGS)
{
	Call		call;

	begin(&call, fcinfo, 2, 3);
	if (!PG_ARGISNULL(1))
		call.task->reason = kt_limit_argument(fcinfo, 1, "reason");
	kt_task_wrap_up(call.config, call.task, call.now);
	return end(&call);
}

/*
 * complete_task(task text, attributes jsonb, reason text, workspace text,
 * if_version bigint) -> version; the attributes' keys are merged.
 */
Datum
kin_tr_complete_task(PG_FUNCTION_ARGS)
{
	Call		call;

	begin(&call, fcinfo, 3, 4);
	if (call.task->status != KT_TASK_ASSIGNED && call.task->status != KT_TASK_WRAPPING)
		kt_task_transition(call.task, KT_TASK_COMPLETED);	/* the error */
	if (!PG_ARGISNULL(1))
		kt_task_merge_attributes(call.config, call.task, PG_GETARG_JSONB_P(1), call.now);
	kt_task_complete(call.config, call.task, kt_limit_argument(fcinfo, 2, "reason"), call.now);
	return end(&call);
}

/*
 * delete_task(task text, workspace text, if_version bigint) -> version: removes
 * the task, from whatever status, and its reservations.
 */
Datum
kin_tr_delete_task(PG_FUNCTION_ARGS)
{
	Call		call;

	begin(&call, fcinfo, 1, 2);
	if (call.task->status == KT_TASK_RESERVED)
		kt_reservations_end_pending(call.config, call.task, NULL, KT_RESERVATION_CANCELED, call.now);
	kt_task_event(call.config, call.task, "task.deleted", call.now);
	kt_task_delete(call.task, call.now);
	return end(&call);
}

/*
 * _evaluate_task_again(task sid): a workflow was updated with re_evaluate_tasks,
 * so a pending task goes through its new version from the top.
 */
Datum
kin_tr_evaluate_task_again(PG_FUNCTION_ARGS)
{
	KtTask	   *task;
	KtConfig   *config;
	TimestampTz now = kt_now();
	KtSpi		spi;

	kt_spi_begin(&spi);
	task = kt_task_read(PG_GETARG_SID_P(0), true);
	config = kt_config();
	if (task != NULL && task->status == KT_TASK_PENDING && task->filter != KT_DIRECT)
		(void) kt_task_evaluate_again(config, task, now);
	kt_events_flush();
	kt_spi_end(&spi);
	PG_RETURN_VOID();
}

/* _regroup_task(task sid): its queue's order has changed. */
Datum
kin_tr_regroup_task(PG_FUNCTION_ARGS)
{
	KtTask	   *task;
	KtSpi		spi;

	kt_spi_begin(&spi);
	task = kt_task_read(PG_GETARG_SID_P(0), true);
	if (task != NULL && task->waiting)
	{
		kt_place_in_group(kt_config(), task, kt_now());
		kt_task_store_unseen(task);
	}
	kt_spi_end(&spi);
	PG_RETURN_VOID();
}
