-- ------------------------------------------------------------------- doors
-- The public functions whose inner ones are written in SQL and PL/pgSQL.

CREATE FUNCTION kin_tr.create_workspace(friendly_name text, template text DEFAULT 'NONE',
    event_callback_url text DEFAULT NULL, events_filter text DEFAULT NULL, multi_task_enabled
    boolean DEFAULT true, prioritize_queue_order text DEFAULT 'FIFO')
    RETURNS kin_tr.sid
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_admin'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.create_workspace IS
'Creates a workspace with its task channels and the activities Offline, Available and Unavailable; template NONE, or
FIFO, which adds a queue and a workflow. prioritize_queue_order: FIFO or LIFO. The callback''s URL and filter are kept
and not used yet. Returns its SID. Errors: 42710 where the name is taken, 22023, 0A000. Only for the owner of the
extension.';

CREATE FUNCTION kin_tr.setup_workspace(friendly_name text)
    RETURNS TABLE (resource text, name text, sid kin_tr.sid)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_admin'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.setup_workspace IS
'Creates a workspace that is ready for tasks, or shows the one of that name: activities Available, Busy,
Offline, Wrap-up, a General Queue and a Default Workflow. Returns the SIDs of all of it. Errors: 22004, 22023. Only
for the owner of the extension.';

CREATE FUNCTION kin_tr.update_workspace(workspace text, friendly_name text DEFAULT NULL,
    default_activity text DEFAULT NULL, timeout_activity text DEFAULT NULL, event_callback_url text
    DEFAULT NULL, events_filter text DEFAULT NULL, multi_task_enabled boolean DEFAULT NULL,
    prioritize_queue_order text DEFAULT NULL, if_version bigint DEFAULT NULL)
    RETURNS bigint
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_admin'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.update_workspace IS
'Changes a workspace; what is NULL stays. Returns its new version. Errors: KT002, 42704, 42710, 22023, 0A000. Locks
the workspace. Needs access of kind admin.';

CREATE FUNCTION kin_tr.delete_workspace(workspace text, if_version bigint DEFAULT NULL)
    RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_admin'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.delete_workspace IS
'Deletes a workspace with all that is in it, open tasks too, but its events and history. One event says so,
workspace.deleted. Errors: KT002, 25001, 42704, 55006 while an open transaction uses it. Needs access of kind admin.';

CREATE FUNCTION kin_tr.get_workspace(workspace text DEFAULT NULL)
    RETURNS TABLE (sid kin_tr.sid, account_sid kin_tr.sid, friendly_name text, default_activity_sid
        kin_tr.sid, default_activity_name text, timeout_activity_sid kin_tr.sid,
        timeout_activity_name text, event_callback_url text, events_filter text, multi_task_enabled
        boolean, prioritize_queue_order text, date_created timestamptz, date_updated timestamptz,
        version bigint)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_reader'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.get_workspace IS
'A workspace, with Twilio''s fields. Errors: KT012, 42704. Needs access of kind reader.';

CREATE FUNCTION kin_tr.create_activity(friendly_name text, available boolean DEFAULT false,
    workspace text DEFAULT NULL)
    RETURNS kin_tr.sid
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_admin'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.create_activity IS
'Creates an activity; whether workers in it are available never changes. Returns its SID. Error 42710 where
the name is taken. Needs access of kind admin.';

CREATE FUNCTION kin_tr.update_activity(activity text, friendly_name text, workspace text DEFAULT
    NULL, if_version bigint DEFAULT NULL)
    RETURNS bigint
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_admin'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.update_activity IS
'Renames an activity. Returns its new version. Errors: KT002, 42704, 42710. Needs access of kind admin.';

CREATE FUNCTION kin_tr.delete_activity(activity text, workspace text DEFAULT NULL, if_version bigint
    DEFAULT NULL)
    RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_admin'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.delete_activity IS
'Deletes an activity. Errors: KT002, 42704, 55006 where a worker is in it, or the workspace or a queue names it. Needs
access of kind admin.';

CREATE FUNCTION kin_tr.get_activity(activity text, workspace text DEFAULT NULL)
    RETURNS TABLE (sid kin_tr.sid, account_sid kin_tr.sid, workspace_sid kin_tr.sid, friendly_name
        text, available boolean, date_created timestamptz, date_updated timestamptz, version bigint)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_reader'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.get_activity IS
'An activity, with Twilio''s fields. Error 42704 where there is none.
Needs access of kind reader.';

CREATE FUNCTION kin_tr.create_task_channel(friendly_name text, unique_name text,
    channel_optimized_routing boolean DEFAULT false, workspace text DEFAULT NULL)
    RETURNS kin_tr.sid
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_admin'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.create_task_channel IS
'Creates a task channel, and each worker''s part in it with capacity 1. unique_name is what expressions call it:
letters, digits, _ and $. Returns its SID. Errors: 42710 where the name is taken, 22004, 22023. Needs access of kind
admin.';

CREATE FUNCTION kin_tr.update_task_channel(task_channel text, friendly_name text DEFAULT NULL,
    channel_optimized_routing boolean DEFAULT NULL, workspace text DEFAULT NULL, if_version bigint
    DEFAULT NULL)
    RETURNS bigint
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_admin'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.update_task_channel IS
'Changes a task channel; what is NULL stays. Returns its new version. Errors: KT002, 42704, 22023. Locks the channel.
Needs access of kind admin.';

CREATE FUNCTION kin_tr.delete_task_channel(task_channel text, workspace text DEFAULT NULL,
    if_version bigint DEFAULT NULL)
    RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_admin'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.delete_task_channel IS
'Deletes a task channel; its finished tasks move to history. Errors: KT002, 25001, 42704, 55006 for the five that a
workspace is made with, while an open task uses it, or an open transaction. Needs access of kind admin.';

CREATE FUNCTION kin_tr.get_task_channel(task_channel text, workspace text DEFAULT NULL)
    RETURNS TABLE (sid kin_tr.sid, account_sid kin_tr.sid, workspace_sid kin_tr.sid, friendly_name
        text, unique_name text, channel_optimized_routing boolean, date_created timestamptz,
        date_updated timestamptz, version bigint)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_reader'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.get_task_channel IS
'A task channel, with Twilio''s fields. Error 42704 where there is none.
Needs access of kind reader.';

CREATE FUNCTION kin_tr.create_task_queue(friendly_name text, target_workers text DEFAULT '1==1',
    max_reserved_workers integer DEFAULT 1, task_order text DEFAULT 'FIFO', reservation_activity
    text DEFAULT NULL, assignment_activity text DEFAULT NULL, workspace text DEFAULT NULL)
    RETURNS kin_tr.sid
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_admin'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.create_task_queue IS
'Creates a task queue. target_workers: expression over workers'' attributes, empty for nobody, not NULL; max_reserved_workers: to
how many workers a task is offered at once, 1 to 50; task_order: FIFO or LIFO; the activities are kept and not used.
Returns its SID. Errors: KT005, 42704, 42710, 22004, 22023. Needs access of kind admin.';

CREATE FUNCTION kin_tr.update_task_queue(task_queue text, friendly_name text DEFAULT NULL,
    target_workers text DEFAULT NULL, max_reserved_workers integer DEFAULT NULL, task_order text
    DEFAULT NULL, reservation_activity text DEFAULT NULL, assignment_activity text DEFAULT NULL,
    workspace text DEFAULT NULL, if_version bigint DEFAULT NULL)
    RETURNS bigint
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_admin'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.update_task_queue IS
'Changes a task queue; what is NULL stays. A change of task_order rewrites the order of all its waiting tasks, and so
is refused while an open transaction creates one: 55006, or 25001. Returns its new version. Errors: KT002, KT005,
42704, 42710, 22023, 55006, 25001. Locks the queue. Needs access of kind admin.';

CREATE FUNCTION kin_tr.delete_task_queue(task_queue text, workspace text DEFAULT NULL, if_version
    bigint DEFAULT NULL)
    RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_admin'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.delete_task_queue IS
'Deletes a task queue; its finished tasks move to history. Errors: KT002, 25001, 42704, 55006 while an open task, a
workflow or an open transaction uses it. Needs access of kind admin.';

CREATE FUNCTION kin_tr.get_task_queue(task_queue text, workspace text DEFAULT NULL)
    RETURNS TABLE (sid kin_tr.sid, account_sid kin_tr.sid, workspace_sid kin_tr.sid, friendly_name
        text, target_workers text, max_reserved_workers integer, task_order text,
        reservation_activity_sid kin_tr.sid, reservation_activity_name text, assignment_activity_sid
        kin_tr.sid, assignment_activity_name text, date_created timestamptz, date_updated
        timestamptz, version bigint)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_reader'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.get_task_queue IS
'A task queue, with Twilio''s fields. Error 42704 where there is none.
Needs access of kind reader.';

CREATE FUNCTION kin_tr.create_workflow(friendly_name text, configuration jsonb,
    task_reservation_timeout integer DEFAULT 120, assignment_callback_url text DEFAULT NULL,
    fallback_assignment_callback_url text DEFAULT NULL, default_priority integer DEFAULT 0,
    workspace text DEFAULT NULL)
    RETURNS kin_tr.sid
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_admin'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.create_workflow IS
'Creates a workflow. configuration: Twilio''s JSON, queues by SID or name; task_reservation_timeout: 1 to
86400 seconds; default_priority: of tasks created without one. Returns its SID. Errors: KT006 with every
fault in the detail, 42710, 22023. Needs access of kind admin.';

CREATE FUNCTION kin_tr.update_workflow(workflow text, friendly_name text DEFAULT NULL, configuration
    jsonb DEFAULT NULL, task_reservation_timeout integer DEFAULT NULL, assignment_callback_url text
    DEFAULT NULL, fallback_assignment_callback_url text DEFAULT NULL, default_priority integer
    DEFAULT NULL, re_evaluate_tasks boolean DEFAULT false, workspace text DEFAULT NULL, if_version
    bigint DEFAULT NULL)
    RETURNS bigint
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_admin'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.update_workflow IS
'Changes a workflow; what is NULL stays. Tasks keep the version that they entered, unless re_evaluate_tasks, which
puts all pending ones through the new one from the top, and locks them. Returns its new version. Errors: KT002,
KT006, 42704, 42710, 22023. Locks the workflow. Needs access of kind admin.';

CREATE FUNCTION kin_tr.delete_workflow(workflow text, workspace text DEFAULT NULL, if_version bigint
    DEFAULT NULL)
    RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_admin'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.delete_workflow IS
'Deletes a workflow; its finished tasks move to history. Errors: KT002, 25001, 42704, 55006 while an open task or an
open transaction uses it. Needs access of kind admin.';

CREATE FUNCTION kin_tr.get_workflow(workflow text, workspace text DEFAULT NULL)
    RETURNS TABLE (sid kin_tr.sid, account_sid kin_tr.sid, workspace_sid kin_tr.sid, friendly_name
        text, configuration jsonb, document_content_type text, assignment_callback_url text,
        fallback_assignment_callback_url text, task_reservation_timeout integer, default_priority
        integer, date_created timestamptz, date_updated timestamptz, version bigint)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_reader'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.get_workflow IS
'A workflow, with Twilio''s fields. Error 42704 where there is none.
Needs access of kind reader.';

CREATE FUNCTION kin_tr.create_worker(friendly_name text, attributes jsonb DEFAULT '{}', activity
    text DEFAULT NULL, workspace text DEFAULT NULL)
    RETURNS kin_tr.sid
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_supervisor'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.create_worker IS
'Creates a worker, in the workspace''s default activity unless one is given, with capacity 1 in each channel.
Returns its SID. Errors: 42710 where the name is taken, 42704, 22023, 54000. Needs access of kind
supervisor.';

CREATE FUNCTION kin_tr.update_worker(worker text, attributes jsonb DEFAULT NULL, friendly_name text
    DEFAULT NULL, activity text DEFAULT NULL, reject_pending_reservations boolean DEFAULT false,
    workspace text DEFAULT NULL, if_version bigint DEFAULT NULL)
    RETURNS bigint
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_supervisor'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.update_worker IS
'Changes a worker; what is NULL stays, attributes are replaced whole. activity and reject_pending_reservations as in
update_worker_activity(). Returns its new version. Errors: KT002, 42704, 42710, 22023, 54000. Locks the worker. Needs
access of kind supervisor.';

CREATE FUNCTION kin_tr.delete_worker(worker text, workspace text DEFAULT NULL, if_version bigint
    DEFAULT NULL)
    RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_supervisor'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.delete_worker IS
'Deletes a worker. Errors: KT002, 25001, 42704, 55006 while it has an open reservation. Needs access of kind
supervisor.';

CREATE FUNCTION kin_tr.get_worker(worker text, workspace text DEFAULT NULL)
    RETURNS TABLE (sid kin_tr.sid, account_sid kin_tr.sid, workspace_sid kin_tr.sid, friendly_name
        text, attributes jsonb, activity_sid kin_tr.sid, activity_name text, available boolean,
        date_created timestamptz, date_updated timestamptz, date_status_changed timestamptz, version
        bigint)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_reader'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.get_worker IS
'A worker, with Twilio''s fields. Error 42704 where there is none.
Needs access of kind reader.';

CREATE FUNCTION kin_tr.update_worker_channel(worker text, task_channel text, capacity integer
    DEFAULT NULL, available boolean DEFAULT NULL, workspace text DEFAULT NULL)
    RETURNS bigint
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_supervisor'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.update_worker_channel IS
'Changes how many tasks of a channel a worker takes at a time, 0 to 32767, and whether any; what is NULL
stays. Returns the worker''s new version. Errors: 42704, 22023. Locks the worker. Needs access of kind
supervisor.';

CREATE FUNCTION kin_tr.get_worker_channel(worker text, task_channel text, workspace text DEFAULT
    NULL)
    RETURNS TABLE (sid kin_tr.sid, account_sid kin_tr.sid, workspace_sid kin_tr.sid, worker_sid
        kin_tr.sid, task_channel_sid kin_tr.sid, task_channel_unique_name text, configured_capacity
        integer, available boolean, assigned_tasks integer, open_reservations integer,
        available_capacity_percentage integer, last_reserved_time timestamptz, date_created
        timestamptz, date_updated timestamptz)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_reader'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.get_worker_channel IS
'A worker''s part in a task channel, with Twilio''s fields. Error 42704 where there is none.
Needs access of kind reader.';

CREATE FUNCTION kin_tr.worker_status(worker text, workspace text DEFAULT NULL)
    RETURNS TABLE (worker_sid kin_tr.sid, friendly_name text, activity_name text, available boolean,
        date_status_changed timestamptz, task_channel_unique_name text, channel_available boolean,
        configured_capacity integer, open_reservations integer, assigned_tasks integer,
        available_capacity_percentage integer, last_reserved_time timestamptz)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_reader'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.worker_status IS
'What a worker is doing, a row for each of its channels. open_reservations: pending, accepted and wrapping, which all
take capacity; assigned_tasks: accepted. Error 42704 where there is no such worker. Needs access of kind reader.';

CREATE FUNCTION kin_tr.worker_values(worker text, workspace text DEFAULT NULL)
    RETURNS jsonb
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_reader'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.worker_values IS
'All that expressions read of a worker, for evaluate_expression(): its attributes, over them its sid, friendly_name,
activity_sid and activity_name, and its channels as channel.<unique_name>.<counter> (unless its attribute channel is no
object). Error 42704 where there is no such worker. Needs access of kind reader.';

CREATE FUNCTION kin_tr.active_reservations(worker text DEFAULT NULL, workspace text DEFAULT NULL)
    RETURNS TABLE (sid kin_tr.sid, reservation_status text, task_sid kin_tr.sid, worker_sid
        kin_tr.sid, worker_name text, date_created timestamptz, date_updated timestamptz,
        times_out_at timestamptz, task_attributes jsonb, task_priority integer, version bigint)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_reader'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.active_reservations IS
'The open reservations (pending, accepted, wrapping) of a worker, or of all, oldest first. Error 42704 where there is
no such worker. Needs access of kind reader.';

CREATE FUNCTION kin_tr.get_task(task text, workspace text DEFAULT NULL)
    RETURNS SETOF kin_tr.all_tasks
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_reader'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.get_task IS
'A task, live or in history, with Twilio''s fields. Error 42704 where there is none. Needs access of kind
reader.';

CREATE FUNCTION kin_tr.get_task_by_call_sid(call_sid text, workspace text DEFAULT NULL)
    RETURNS SETOF kin_tr.all_tasks
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_reader'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.get_task_by_call_sid IS
'The latest task whose attributes have this call_sid, live or in history; no row where there is none. Needs
access of kind reader.';

CREATE FUNCTION kin_tr.get_reservation(reservation text, workspace text DEFAULT NULL)
    RETURNS SETOF kin_tr.all_reservations
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_reader'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.get_reservation IS
'A reservation, live or in history, with Twilio''s fields. Error 42704 where there is none. Needs access of
kind reader.';
