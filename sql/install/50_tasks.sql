-- ------------------------------------------- routing: tasks and reservations
CREATE FUNCTION kin_tr._create_task(attributes jsonb, priority integer, timeout integer, workflow text,
                                    task_channel text, virtual_start_time timestamptz, routing_target text,
                                    ignore_capacity boolean, task_queue text, idempotency_key text,
                                    workspace text, not_before timestamptz, in_place_of kin_tr.sid)
    RETURNS kin_tr.sid
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_create_task'
    SET search_path = pg_catalog, kin_tr, pg_temp;

CREATE FUNCTION kin_tr._create_voice_call_task(call_sid text, customer_phone text, agent_id text,
                                               workspace kin_tr.sid) RETURNS kin_tr.sid
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    agent kin_tr.sid;
BEGIN
    IF call_sid IS NULL OR customer_phone IS NULL THEN
        RAISE EXCEPTION 'call_sid and customer_phone must not be null'
            USING ERRCODE = 'null_value_not_allowed', HINT = 'The call''s SID is the key under which its task is made once.';
    ELSIF octet_length(call_sid) NOT BETWEEN 1 AND 255 THEN
        RAISE EXCEPTION 'call_sid must have 1 to 255 bytes, not %', octet_length(call_sid)
            USING ERRCODE = 'invalid_parameter_value', HINT = 'The call''s SID is the key under which its task is made once.';
    END IF;
    -- An agent that is not known is none: the call must be answered all the same.
    SELECT w.sid INTO agent FROM kin_tr.workers w
     WHERE w.workspace_sid = workspace
       AND (w.name_key = kin_tr._name_key(agent_id)
            OR w.sid = CASE WHEN kin_tr._is_sid(agent_id) THEN agent_id::kin_tr.sid END);
    RETURN kin_tr._create_task(
        jsonb_strip_nulls(jsonb_build_object(
            'type', 'voice_call', 'callSid', call_sid, 'customerPhone', customer_phone,
            'agentId', agent_id, 'priority', 'high',
            'skills', jsonb_build_array('voice', 'customer_service'), 'department', 'support',
            'call_sid', call_sid, 'agentSid', agent)),
        10, 1800, kin_tr._default_workflow(workspace), 'voice', NULL, NULL, NULL, NULL, call_sid, workspace, NULL, NULL);
END $$;

-- The workflow of a task whose function has no argument for it: the only one,
-- or else the oldest.
CREATE FUNCTION kin_tr._default_workflow(workspace kin_tr.sid) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, kin_tr, pg_temp AS $$
    SELECT w.sid FROM kin_tr.workflows w WHERE w.workspace_sid = workspace ORDER BY w.sid LIMIT 1
$$;

CREATE FUNCTION kin_tr._create_callback_task(customer_phone text, preferred_time timestamptz, reason text,
                                             replaces text, workspace kin_tr.sid) RETURNS kin_tr.sid
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    old kin_tr.tasks;
    not_before timestamptz := greatest(preferred_time, kin_tr.now());
BEGIN
    IF customer_phone IS NULL OR preferred_time IS NULL THEN
        RAISE EXCEPTION 'customer_phone and preferred_time must not be null'
            USING ERRCODE = 'null_value_not_allowed', HINT = 'A preferred_time of now() is at once.';
    ELSIF NOT isfinite(preferred_time) OR preferred_time > kin_tr.now() + interval '10 years' THEN
        RAISE EXCEPTION 'preferred_time must be within ten years: %', preferred_time
            USING ERRCODE = 'invalid_parameter_value', HINT = 'A preferred_time of now() is at once.';
    END IF;
    IF replaces IS NOT NULL THEN
        PERFORM kin_tr.cancel_task(replaces, 'Replaced by a callback', workspace);
        SELECT * INTO STRICT old FROM kin_tr.tasks t WHERE t.sid = replaces::kin_tr.sid;
    END IF;
    -- Its age counts from its time, or it would overtake all who wait then; but
    -- who gives up a place in the queue for it keeps that place.
    RETURN kin_tr._create_task(
        jsonb_strip_nulls(jsonb_build_object(
            'type', 'callback', 'customerPhone', customer_phone,
            'preferredTime', to_char(preferred_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
            'reason', reason, 'priority', 'medium',
            'skills', jsonb_build_array('callback', 'customer_service'))),
        coalesce(old.priority, 5), 86400, coalesce(old.workflow_sid::text, kin_tr._default_workflow(workspace)),
        'default', coalesce(old.virtual_start_time, not_before), NULL, NULL, NULL, NULL, workspace, not_before, old.sid);
END $$;

CREATE FUNCTION kin_tr.create_task(attributes jsonb DEFAULT '{}', priority integer DEFAULT NULL,
                                   timeout integer DEFAULT 86400, workflow text DEFAULT NULL,
                                   task_channel text DEFAULT NULL,
                                   virtual_start_time timestamptz DEFAULT NULL,
                                   routing_target text DEFAULT NULL, ignore_capacity boolean DEFAULT NULL,
                                   task_queue text DEFAULT NULL, idempotency_key text DEFAULT NULL,
                                   workspace text DEFAULT NULL) RETURNS kin_tr.sid
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_create_task'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.create_task IS
'Creates a task and places it in its queue; a router, or tick(), offers it to a worker after the commit.
attributes: a JSON object; NULL is {}. priority 0 to 2^31-1, NULL the workflow''s default_priority; timeout 1 to
1209600 seconds until it is canceled if nobody has accepted it. workflow, task_channel (NULL: default), task_queue:
SID or name; the workflow may be left out where the workspace has exactly one. virtual_start_time: since when its
age counts in the queue''s order; not in the future, nor before 1900. routing_target: SID of a worker or queue that
shall get it without a workflow, or of a workflow. ignore_capacity (NULL is true) is for a worker alone. task_queue,
the queue that the task is shown in, counts for a worker alone, and workflow without routing_target; else a NOTICE
says so. idempotency_key: 1 to 255 bytes; the same request under the same
key returns the same task for seven days. Returns the task''s SID.
Errors: KT003, KT004, KT012, 40001, 42704, 42501, 22023, 54000. Locks the workflow, queue and channel against
deletion until commit. Needs access of kind app.';

CREATE FUNCTION kin_tr.create_voice_call_task(call_sid text, customer_phone text, agent_id text DEFAULT NULL,
                                              workspace text DEFAULT NULL) RETURNS kin_tr.sid
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_app'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.create_voice_call_task IS
'Creates a task for a call: priority 10, timeout 1800 s, channel voice, the workspace''s oldest workflow, and as
idempotency key call_sid, 1 to 255 bytes. agent_id: SID or name of the worker who shall get it, by the attribute
agentSid where the workflow reads it as known worker; one that does not exist is no error. Returns the task''s SID.
Errors: KT003 where the call has a task of another request, KT004, 22004, 22023. Locks as create_task() does.
Needs access of kind app.';

CREATE FUNCTION kin_tr.create_callback_task(customer_phone text, preferred_time timestamptz, reason text DEFAULT NULL,
                                            replaces text DEFAULT NULL, workspace text DEFAULT NULL)
    RETURNS kin_tr.sid
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_app'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.create_callback_task IS
'Creates a task that is not offered before preferred_time, at most ten years ahead; one that has passed is now.
Priority 5, timeout 86400 s from that time on, channel default, the workspace''s oldest workflow. replaces: SID of a
pending or reserved task, which is canceled in the same transaction; its age, priority, queue and step in its workflow
pass on, and what was left of the step''s time counts from preferred_time. Any
other status of it is error KT001. Returns the task''s SID. Errors: KT001, KT004, 42704, 22004, 22023. Locks the
replaced task, and what create_task() locks. Needs access of kind app.';

CREATE FUNCTION kin_tr.update_task(task text, attributes jsonb DEFAULT NULL, priority integer DEFAULT NULL,
                                   task_channel text DEFAULT NULL, virtual_start_time timestamptz DEFAULT NULL,
                                   workspace text DEFAULT NULL, if_version bigint DEFAULT NULL) RETURNS bigint
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_update_task'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.update_task IS
'Changes a task that has not ended; what is NULL stays, attributes are replaced whole. It stays at its step, and its
filters do not run again. Returns the new version. Errors: KT001 where it has ended, KT002, 42704, 22023, 54000. Locks
the task. Needs access of kind app.';

CREATE FUNCTION kin_tr.cancel_task(task text, reason text DEFAULT NULL, workspace text DEFAULT NULL,
                                   if_version bigint DEFAULT NULL) RETURNS bigint
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_cancel_task'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.cancel_task IS
'Cancels a pending or reserved task and its pending reservations. Returns the new version.
Errors: KT001 in any other status, KT002, 42704. Locks the task. Needs access of kind app.';

CREATE FUNCTION kin_tr.wrapup_task(task text, reason text DEFAULT NULL, workspace text DEFAULT NULL,
                                   if_version bigint DEFAULT NULL) RETURNS bigint
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_wrapup_task'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.wrapup_task IS
'Moves an assigned task, and its accepted reservations, to wrapping; the worker''s slot stays taken.
Returns the new version. Errors: KT001, KT002, 42704. Locks the task. Needs access of kind app.';

CREATE FUNCTION kin_tr.complete_task(task text, attributes jsonb DEFAULT NULL, reason text DEFAULT NULL,
                                     workspace text DEFAULT NULL, if_version bigint DEFAULT NULL) RETURNS bigint
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_complete_task'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.complete_task IS
'Completes an assigned or wrapping task and its reservations; keys of attributes replace the task''s.
Returns the new version. Errors: KT001, KT002, 42704. Locks the task. Needs access of kind app.';

CREATE FUNCTION kin_tr.delete_task(task text, workspace text DEFAULT NULL, if_version bigint DEFAULT NULL)
    RETURNS bigint
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_delete_task'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.delete_task IS
'Removes a live task of any status, and its reservations: task.deleted is all that is left of it, not a row in
history. Returns its last version. Errors: KT002, 42704. Locks the task. Needs access of kind app.';

CREATE FUNCTION kin_tr.accept_reservation(reservation text, workspace text DEFAULT NULL,
                                          if_version bigint DEFAULT NULL) RETURNS bigint
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_accept_reservation'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.accept_reservation IS
'A worker takes the task that it was offered; other pending reservations of the task are rescinded.
Returns the reservation''s new version. Errors: KT007 where the offer has ended, KT001, KT002, 42704.
Locks the task, then its reservations. Needs access of kind app.';

CREATE FUNCTION kin_tr.reject_reservation(reservation text, reason text DEFAULT NULL, activity text DEFAULT NULL,
                                          workspace text DEFAULT NULL, if_version bigint DEFAULT NULL)
    RETURNS bigint
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_reject_reservation'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.reject_reservation IS
'A worker refuses a task; it goes back to its queue, and may be offered to the same worker again unless
activity, which the worker is moved to, is an unavailable one. Returns the reservation''s new version.
Errors: KT007, KT001, KT002, 42704. Locks the task, the reservation, then the worker. Needs access of kind app.';

CREATE FUNCTION kin_tr.wrapup_reservation(reservation text, attributes jsonb DEFAULT NULL,
                                          workspace text DEFAULT NULL, if_version bigint DEFAULT NULL)
    RETURNS bigint
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_wrapup_reservation'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.wrapup_reservation IS
'Moves an accepted reservation, and its task, to wrapping; keys of attributes replace the task''s.
Returns the reservation''s new version. Errors: KT007, KT001, KT002, 42704. Locks the task, then the reservation.
Needs access of kind app.';

CREATE FUNCTION kin_tr.complete_reservation(reservation text, attributes jsonb DEFAULT NULL,
                                            workspace text DEFAULT NULL, if_version bigint DEFAULT NULL)
    RETURNS bigint
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_complete_reservation'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.complete_reservation IS
'Completes an accepted or wrapping reservation, and its task when it was the last; keys of attributes replace
the task''s. Returns the reservation''s new version. Errors: KT007, KT001, KT002, 42704. Locks the task, then the
reservation. Needs access of kind app.';

CREATE FUNCTION kin_tr.update_worker_activity(worker text, activity text,
                                              reject_pending_reservations boolean DEFAULT false,
                                              workspace text DEFAULT NULL, if_version bigint DEFAULT NULL)
    RETURNS bigint
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_update_worker_activity'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.update_worker_activity IS
'Moves a worker to an activity. Its pending reservations stay, unless reject_pending_reservations, which is
only for an unavailable activity. Returns the worker''s version. Errors: KT002, 42704, 22023. Locks tasks and
reservations that it rejects, then the worker. Needs access of kind app.';

-- ------------------------------------------------------------------ matching
CREATE FUNCTION kin_tr.tick(max_actions integer DEFAULT 1000, OUT assigned integer, OUT timed_out integer,
                            OUT moved integer, OUT canceled integer, OUT next_due timestamptz, OUT more boolean)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_tick'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.tick IS
'Routes and fires timers in the caller''s transaction, seeing its own uncommitted tasks, for the workspaces in which
the caller has access of kind app; at most max_actions of them. assigned: reservations made; timed_out: reservations
that timed out (what that does to their tasks is not counted again); moved: tasks that went on in their workflow;
canceled: tasks that ended without an assignment; next_due: when there is something to do again; more: whether
max_actions left something undone now. Errors: KT008 while the router runs here, KT009 in a restored copy, 22023.
Locks what it changes, leaves for later what others have locked, and holds the router''s lock until commit. Needs
access of kind app somewhere.';

CREATE FUNCTION kin_tr.next_due() RETURNS timestamptz
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_next_due'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.next_due() IS
'When the next timer of any kind is due, by kin_tr''s clock; NULL where there is none (which set_clock() would take for
real time). Needs access of kind reader somewhere.';

CREATE FUNCTION kin_tr.ring() RETURNS integer
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_ring'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.ring() IS
'Does the relay''s NOTIFYs in the caller''s transaction, of all committed events that no bell has told of yet.
Returns the number of NOTIFYs. Errors: KT008 while the relay runs here, KT009 in a restored copy. Holds the relay''s
lock until commit. Only for the owner.';

CREATE FUNCTION kin_tr.evaluate_expression(expression text, task jsonb DEFAULT NULL, worker jsonb DEFAULT NULL,
                                           workers jsonb DEFAULT NULL, at timestamptz DEFAULT NULL)
    RETURNS boolean
    LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'kin_tr_evaluate_expression';
COMMENT ON FUNCTION kin_tr.evaluate_expression IS
'Tries an expression. A bare name means the attributes of the only subject given (with both: the task''s);
task.x and worker.x say whose. workers: counts as in {"available": 2}; at: the moment for taskrouter.*, else now.
A worker''s sid, friendly_name, activity_sid and activity_name, and the load of its channels, are not among its
attributes: worker_values() has them, too. Returns true or false; NULL for no expression. A NOTICE tells what is
probably not meant. Errors: KT005, with position, where it does not parse, 22023 where a subject is no JSON object. It
runs no SQL, and so pins no search path. Needs access of kind reader somewhere.';

CREATE FUNCTION kin_tr.validate_workflow(configuration jsonb, workspace text DEFAULT NULL)
    RETURNS TABLE (severity text, place text, message text, hint text, "position" integer)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_validate_workflow'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.validate_workflow IS
'Every fault of a workflow''s configuration: where it is, what it is, what to do, and the position from 1 within an
expression. severity: error, or warning for what is taken and does hardly what is meant; without an error it is valid.
Keys that are not Twilio''s are no fault, unless they are like one that is. Queues are looked up in the workspace,
where one can be told. Needs access of kind reader.';

CREATE FUNCTION kin_tr._sweep() RETURNS integer
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_sweep'
    SET search_path = pg_catalog, kin_tr, pg_temp;
CREATE FUNCTION kin_tr._at_home() RETURNS boolean
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_at_home'
    SET search_path = pg_catalog, kin_tr, pg_temp;
