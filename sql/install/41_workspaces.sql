-- --------------------------------------------------------------- workspace
CREATE FUNCTION kin_tr._check_single_tasking(multi_task_enabled boolean) RETURNS void
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, kin_tr, pg_temp AS $$
BEGIN
    IF NOT multi_task_enabled THEN
        RAISE EXCEPTION 'single-tasking workspaces are not supported'
            USING ERRCODE = 'feature_not_supported',
                  HINT = 'Leave multi_task_enabled true, and give workers a capacity of 1.';
    END IF;
END $$;

CREATE FUNCTION kin_tr._create_workspace(friendly_name text, template text, event_callback_url text,
                                         events_filter text, multi_task_enabled boolean,
                                         prioritize_queue_order text) RETURNS kin_tr.sid
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    ws kin_tr.sid := kin_tr._new_sid('WS');
    offline kin_tr.sid;
BEGIN
    PERFORM kin_tr._check_choice('template', template, ARRAY['NONE', 'FIFO']);
    ws := kin_tr._insert_workspace(friendly_name, event_callback_url, events_filter,
                                   multi_task_enabled, prioritize_queue_order);
    offline := kin_tr._create_activity('Offline', false, ws);
    PERFORM kin_tr._create_activity('Available', true, ws);
    PERFORM kin_tr._create_activity('Unavailable', false, ws);
    PERFORM kin_tr._set_activities(ws, offline, offline);
    IF template = 'FIFO' THEN
        PERFORM kin_tr._create_workflow('Default Fifo Workflow', jsonb_build_object('task_routing',
            jsonb_build_object('default_filter', jsonb_build_object('queue',
                kin_tr._create_task_queue('Sample Queue', '1==1', 1, 'FIFO', NULL, NULL, ws)))),
            120, NULL, NULL, 0, ws);
    END IF;
    RETURN ws;
END $$;

-- The row, its channels and its event; activities are the caller's.
CREATE FUNCTION kin_tr._insert_workspace(friendly_name text, event_callback_url text,
                                         events_filter text, multi_task_enabled boolean,
                                         prioritize_queue_order text) RETURNS kin_tr.sid
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    ws kin_tr.sid := kin_tr._new_sid('WS');
    channel text;
BEGIN
    PERFORM kin_tr._check_name('friendly_name', friendly_name);
    PERFORM kin_tr._check_single_tasking(multi_task_enabled);
    PERFORM kin_tr._check_choice('prioritize_queue_order', prioritize_queue_order, ARRAY['FIFO', 'LIFO']);
    IF EXISTS (SELECT FROM kin_tr.workspaces w WHERE w.friendly_name = friendly_name) THEN
        PERFORM kin_tr._refuse_taken('workspace', friendly_name);
    END IF;
    -- The first workspace makes this database the one that may act.
    INSERT INTO kin_tr.home (system_identifier, database_oid, instance)
    SELECT s.system_identifier, d.oid, nullif(current_setting('kin_tr.instance', true), '')
      FROM pg_control_system() s, pg_database d
     WHERE d.datname = current_database()
    ON CONFLICT DO NOTHING;
    INSERT INTO kin_tr.workspaces (sid, account_sid, friendly_name, event_callback_url, events_filter,
                                   prioritize_queue_order, date_created, date_updated)
    VALUES (ws, kin_tr._new_sid('AC'), friendly_name, event_callback_url, events_filter,
            coalesce(prioritize_queue_order, 'FIFO'), kin_tr.now(), kin_tr.now());
    PERFORM kin_tr._event('workspace.created', ws, ws, jsonb_build_object('workspace_name', friendly_name));
    FOREACH channel IN ARRAY ARRAY['default', 'voice', 'sms', 'chat', 'video'] LOOP
        PERFORM kin_tr._create_task_channel(initcap(channel), channel, false, ws);
    END LOOP;
    RETURN ws;
END $$;

CREATE FUNCTION kin_tr._set_activities(ws kin_tr.sid, default_activity kin_tr.sid, timeout_activity kin_tr.sid)
    RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
    UPDATE kin_tr.workspaces SET default_activity_sid = default_activity,
                                 timeout_activity_sid = timeout_activity WHERE sid = ws
$$;

CREATE FUNCTION kin_tr._update_workspace(workspace kin_tr.sid, friendly_name text, default_activity text,
                                         timeout_activity text, event_callback_url text,
                                         events_filter text, multi_task_enabled boolean,
                                         prioritize_queue_order text, if_version bigint) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    old kin_tr.workspaces;
    new kin_tr.workspaces;
BEGIN
    SELECT * INTO STRICT old FROM kin_tr.workspaces w WHERE w.sid = workspace FOR NO KEY UPDATE;
    PERFORM kin_tr._check_version('workspace', workspace, old.version, if_version);
    PERFORM kin_tr._check_single_tasking(multi_task_enabled);
    PERFORM kin_tr._check_choice('prioritize_queue_order', prioritize_queue_order, ARRAY['FIFO', 'LIFO']);
    IF friendly_name <> old.friendly_name THEN
        PERFORM kin_tr._check_name('friendly_name', friendly_name);
        IF EXISTS (SELECT FROM kin_tr.workspaces w WHERE w.friendly_name = friendly_name) THEN
            PERFORM kin_tr._refuse_taken('workspace', friendly_name);
        END IF;
    END IF;
    new := old;
    new.friendly_name := coalesce(friendly_name, old.friendly_name);
    new.default_activity_sid := coalesce(kin_tr._hold_activity(default_activity, workspace), old.default_activity_sid);
    new.timeout_activity_sid := coalesce(kin_tr._hold_activity(timeout_activity, workspace), old.timeout_activity_sid);
    new.event_callback_url := coalesce(event_callback_url, old.event_callback_url);
    new.events_filter := coalesce(events_filter, old.events_filter);
    new.prioritize_queue_order := coalesce(prioritize_queue_order, old.prioritize_queue_order);
    IF new IS NOT DISTINCT FROM old THEN
        RETURN old.version;
    END IF;
    UPDATE kin_tr.workspaces w
       SET friendly_name = new.friendly_name, default_activity_sid = new.default_activity_sid,
           timeout_activity_sid = new.timeout_activity_sid, event_callback_url = new.event_callback_url,
           events_filter = new.events_filter, prioritize_queue_order = new.prioritize_queue_order,
           date_updated = kin_tr.now(), version = w.version + 1
     WHERE w.sid = workspace;
    PERFORM kin_tr._event('workspace.updated', workspace, workspace,
                          jsonb_build_object('workspace_name', new.friendly_name));
    RETURN old.version + 1;
END $$;

CREATE FUNCTION kin_tr._delete_workspace(workspace kin_tr.sid, if_version bigint) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    old kin_tr.workspaces;
    roles regrole[];
BEGIN
    SELECT * INTO STRICT old FROM kin_tr.workspaces w WHERE w.sid = workspace FOR UPDATE;
    PERFORM kin_tr._check_version('workspace', workspace, old.version, if_version);
    PERFORM kin_tr._lock_for_delete(w.sid) FROM kin_tr.workflows w WHERE w.workspace_sid = workspace;
    PERFORM kin_tr._lock_for_delete(q.sid) FROM kin_tr.task_queues q WHERE q.workspace_sid = workspace;
    PERFORM kin_tr._lock_for_delete(c.sid) FROM kin_tr.task_channels c WHERE c.workspace_sid = workspace;
    -- Tasks first: what the router is just offering is seen once their rows are had.
    DELETE FROM kin_tr.tasks t WHERE t.workspace_sid = workspace;
    DELETE FROM kin_tr.reservations r WHERE r.workspace_sid = workspace;
    DELETE FROM kin_tr.idempotency_keys k WHERE k.workspace_sid = workspace;
    WITH gone AS (DELETE FROM kin_tr.workers w WHERE w.workspace_sid = workspace RETURNING w.sid)
    DELETE FROM kin_tr.worker_channels c USING gone WHERE c.worker_sid = gone.sid;
    WITH gone AS (DELETE FROM kin_tr.workflows w WHERE w.workspace_sid = workspace RETURNING w.sid)
    DELETE FROM kin_tr.workflow_versions v USING gone WHERE v.workflow_sid = gone.sid;
    DELETE FROM kin_tr.task_queues q WHERE q.workspace_sid = workspace;
    DELETE FROM kin_tr.task_channels c WHERE c.workspace_sid = workspace;
    DELETE FROM kin_tr.activities a WHERE a.workspace_sid = workspace;
    WITH gone AS (DELETE FROM kin_tr.access a WHERE a.workspace_sid = workspace RETURNING a.role_oid)
    SELECT array_agg(DISTINCT r.oid) INTO roles FROM gone g JOIN pg_roles r ON r.oid = g.role_oid;
    PERFORM kin_tr._renew_access(role) FROM unnest(roles) role;
    DELETE FROM kin_tr.workspaces w WHERE w.sid = workspace;
    PERFORM kin_tr._event('workspace.deleted', workspace, workspace,
                          jsonb_build_object('workspace_name', old.friendly_name));
END $$;

-- ---------------------------------------------------------- set-up in a call
-- The workspace of the TaskRouter integration guide, in one call.  Its target
-- had the priority 1, which would overwrite the tasks' own: it has become the
-- workflow's default_priority.
CREATE FUNCTION kin_tr._setup_workspace(friendly_name text)
    RETURNS TABLE (resource text, name text, sid kin_tr.sid)
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    ws kin_tr.sid := (SELECT w.sid FROM kin_tr.workspaces w WHERE w.friendly_name = friendly_name);
    offline kin_tr.sid;
    queue kin_tr.sid;
BEGIN
    IF ws IS NULL THEN
        ws := kin_tr._insert_workspace(friendly_name, NULL, NULL, true, 'FIFO');
        PERFORM kin_tr._create_activity('Available', true, ws);
        PERFORM kin_tr._create_activity('Busy', false, ws);
        offline := kin_tr._create_activity('Offline', false, ws);
        PERFORM kin_tr._create_activity('Wrap-up', false, ws);
        PERFORM kin_tr._set_activities(ws, offline, offline);
        queue := kin_tr._create_task_queue('General Queue', '1==1', 1, 'FIFO', NULL, NULL, ws);
        PERFORM kin_tr._create_workflow('Default Workflow', jsonb_build_object('task_routing',
            jsonb_build_object('filters', jsonb_build_array(jsonb_build_object(
                'filter_friendly_name', 'Every task', 'expression', '1==1',
                'targets', jsonb_build_array(
                    jsonb_build_object('queue', queue, 'known_worker_sid', 'task.agentSid', 'skip_if', '1==1'),
                    jsonb_build_object('queue', queue, 'timeout', 30),
                    jsonb_build_object('queue', queue)))))),
            120, NULL, NULL, 1, ws);
    END IF;
    RETURN QUERY
        SELECT 'workspace', w.friendly_name, w.sid FROM kin_tr.workspaces w WHERE w.sid = ws
        UNION ALL (SELECT 'activity', a.friendly_name, a.sid FROM kin_tr.activities a WHERE a.workspace_sid = ws ORDER BY a.sid)
        UNION ALL (SELECT 'task channel', c.unique_name, c.sid FROM kin_tr.task_channels c WHERE c.workspace_sid = ws ORDER BY c.sid)
        UNION ALL (SELECT 'task queue', q.friendly_name, q.sid FROM kin_tr.task_queues q WHERE q.workspace_sid = ws ORDER BY q.sid)
        UNION ALL (SELECT 'workflow', f.friendly_name, f.sid FROM kin_tr.workflows f WHERE f.workspace_sid = ws ORDER BY f.sid);
END $$;
