-- ------------------------------------ routing: functions on configuration
-- Each public function is a door (src/routing/door.c): it checks the caller's
-- right and calls the function of the same name with an underscore as owner.

CREATE FUNCTION kin_tr._lock_for_delete(kin_tr.sid) RETURNS void
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'kin_tr_lock_for_delete'
    SET search_path = pg_catalog, kin_tr, pg_temp;
CREATE FUNCTION kin_tr._try_lock_for_delete(kin_tr.sid) RETURNS boolean
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'kin_tr_try_lock_for_delete'
    SET search_path = pg_catalog, kin_tr, pg_temp;
-- The object that a name or SID means; NULL is an error, or with _resolve_if NULL.
CREATE FUNCTION kin_tr._resolve(kind text, name text, workspace kin_tr.sid) RETURNS kin_tr.sid
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_resolve'
    SET search_path = pg_catalog, kin_tr, pg_temp;
CREATE FUNCTION kin_tr._resolve_if(kind text, name text, workspace kin_tr.sid) RETURNS kin_tr.sid
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'kin_tr_resolve'
    SET search_path = pg_catalog, kin_tr, pg_temp;
CREATE FUNCTION kin_tr._normalize_workflow(configuration jsonb, workspace kin_tr.sid) RETURNS jsonb
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'kin_tr_normalize_workflow'
    SET search_path = pg_catalog, kin_tr, pg_temp;
CREATE FUNCTION kin_tr._check_expression(expression text, place text) RETURNS void
    LANGUAGE c IMMUTABLE STRICT AS 'MODULE_PATHNAME', 'kin_tr_check_expression'
    SET search_path = pg_catalog, kin_tr, pg_temp;
CREATE FUNCTION kin_tr._check_attributes(attributes jsonb) RETURNS void
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'kin_tr_check_attributes'
    SET search_path = pg_catalog, kin_tr, pg_temp;
CREATE FUNCTION kin_tr._evaluate_task_again(task kin_tr.sid) RETURNS void
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'kin_tr_evaluate_task_again'
    SET search_path = pg_catalog, kin_tr, pg_temp;
CREATE FUNCTION kin_tr._regroup_task(task kin_tr.sid) RETURNS void
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'kin_tr_regroup_task'
    SET search_path = pg_catalog, kin_tr, pg_temp;

-- A name for a new object: 1 to 64 characters, and not to be taken for a SID.
CREATE FUNCTION kin_tr._check_name(argument text, name text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, kin_tr, pg_temp AS $$
DECLARE
    length_hint text := 'It has 1 to 64 characters, not all of them blanks.';
BEGIN
    IF name IS NULL THEN
        RAISE EXCEPTION '% must not be null', argument
            USING ERRCODE = 'null_value_not_allowed', HINT = length_hint;
    ELSIF btrim(name) = '' THEN
        RAISE EXCEPTION '% must not be blank', argument
            USING ERRCODE = 'invalid_parameter_value', HINT = length_hint;
    ELSIF length(name) > 64 THEN
        RAISE EXCEPTION '% has % characters: "%"', argument, length(name), left(name, 80)
            USING ERRCODE = 'invalid_parameter_value', HINT = length_hint;
    ELSIF kin_tr._is_sid(name) THEN
        RAISE EXCEPTION '% must not look like a SID: "%"', argument, name
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'An argument that names an object takes either, so they must differ.';
    END IF;
END $$;

CREATE FUNCTION kin_tr._refuse_taken(kind text, name text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, kin_tr, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% "%" already exists', kind, name
        USING ERRCODE = 'duplicate_object',
              HINT = CASE kind WHEN 'worker' THEN 'In a worker''s name upper and lower case are the same.'
                     WHEN 'workspace' THEN 'Names are unique within a database.'
                     ELSE 'Names are unique within a workspace.' END;
END $$;

CREATE FUNCTION kin_tr._check_version(kind text, object kin_tr.sid, version bigint, if_version bigint) RETURNS void
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, kin_tr, pg_temp AS $$
BEGIN
    IF version IS DISTINCT FROM coalesce(if_version, version) THEN
        RAISE EXCEPTION '% % is at version %, not %', kind, object, version, if_version
            USING ERRCODE = 'KT002', HINT = 'Read it again, and decide anew.';
    END IF;
END $$;

CREATE FUNCTION kin_tr._refuse_in_use(kind text, name text, by text, hint text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    RAISE EXCEPTION '% "%" is in use by %', kind, name, by USING ERRCODE = 'object_in_use', HINT = hint;
END $$;

CREATE FUNCTION kin_tr._check_choice(argument text, value text, choices text[]) RETURNS void
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, kin_tr, pg_temp AS $$
BEGIN
    IF value IS NOT NULL AND value <> ALL (choices) THEN
        RAISE EXCEPTION '% must be one of %, not "%"', argument, array_to_string(choices, ', '), value
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Upper and lower case are told apart.';
    END IF;
END $$;

CREATE FUNCTION kin_tr._check_range(argument text, value bigint, lowest bigint, highest bigint) RETURNS void
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, kin_tr, pg_temp AS $$
BEGIN
    IF value NOT BETWEEN lowest AND highest THEN
        RAISE EXCEPTION '% must be from % to %, not %', argument, lowest, highest, value
            USING ERRCODE = 'invalid_parameter_value', HINT = 'NULL stands for its default, or for what it is.';
    END IF;
END $$;

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
    INSERT INTO kin_tr.home (system_identifier, database_oid)
    SELECT s.system_identifier, d.oid FROM pg_control_system() s, pg_database d
     WHERE d.datname = current_database() AND NOT EXISTS (SELECT FROM kin_tr.home);
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

-- The activity that a workspace is to name; it stays until the commit, for no
-- foreign key holds it.
CREATE FUNCTION kin_tr._hold_activity(activity text, workspace kin_tr.sid) RETURNS kin_tr.sid
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    held kin_tr.sid;
BEGIN
    SELECT a.sid INTO held FROM kin_tr.activities a
     WHERE a.sid = kin_tr._resolve_if('WA', activity, workspace) FOR KEY SHARE;
    IF activity IS NOT NULL AND held IS NULL THEN
        RAISE EXCEPTION 'activity "%" does not exist', activity
            USING ERRCODE = 'undefined_object', HINT = 'It was deleted just now.';
    END IF;
    RETURN held;
END $$;

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
    roles name[];
BEGIN
    SELECT * INTO STRICT old FROM kin_tr.workspaces w WHERE w.sid = workspace FOR UPDATE;
    PERFORM kin_tr._check_version('workspace', workspace, old.version, if_version);
    PERFORM kin_tr._lock_for_delete(w.sid) FROM kin_tr.workflows w WHERE w.workspace_sid = workspace;
    PERFORM kin_tr._lock_for_delete(q.sid) FROM kin_tr.task_queues q WHERE q.workspace_sid = workspace;
    PERFORM kin_tr._lock_for_delete(c.sid) FROM kin_tr.task_channels c WHERE c.workspace_sid = workspace;
    DELETE FROM kin_tr.reservations r WHERE r.workspace_sid = workspace;
    DELETE FROM kin_tr.tasks t WHERE t.workspace_sid = workspace;
    DELETE FROM kin_tr.idempotency_keys k WHERE k.workspace_sid = workspace;
    DELETE FROM kin_tr.workers w WHERE w.workspace_sid = workspace;
    DELETE FROM kin_tr.workflows w WHERE w.workspace_sid = workspace;
    DELETE FROM kin_tr.task_queues q WHERE q.workspace_sid = workspace;
    DELETE FROM kin_tr.task_channels c WHERE c.workspace_sid = workspace;
    DELETE FROM kin_tr.activities a WHERE a.workspace_sid = workspace;
    WITH gone AS (DELETE FROM kin_tr.access a WHERE a.workspace_sid = workspace RETURNING a.role)
    SELECT array_agg(DISTINCT r.rolname) INTO roles FROM gone g JOIN pg_roles r ON r.rolname = g.role;
    PERFORM kin_tr._renew_access(role) FROM unnest(roles) role;
    DELETE FROM kin_tr.workspaces w WHERE w.sid = workspace;
    PERFORM kin_tr._event('workspace.deleted', workspace, workspace,
                          jsonb_build_object('workspace_name', old.friendly_name));
END $$;

-- ---------------------------------------------------------------- activity
CREATE FUNCTION kin_tr._activity_event(event_type text, a kin_tr.activities) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
    SELECT kin_tr._event(event_type, a.workspace_sid, a.sid,
        jsonb_build_object('activity_sid', a.sid::text, 'activity_name', a.friendly_name,
                           'activity_available', a.available::text))
$$;

CREATE FUNCTION kin_tr._create_activity(friendly_name text, available boolean, workspace kin_tr.sid)
    RETURNS kin_tr.sid
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    new kin_tr.activities;
BEGIN
    PERFORM kin_tr._check_name('friendly_name', friendly_name);
    IF EXISTS (SELECT FROM kin_tr.activities a WHERE a.workspace_sid = workspace AND a.friendly_name = friendly_name) THEN
        PERFORM kin_tr._refuse_taken('activity', friendly_name);
    END IF;
    INSERT INTO kin_tr.activities (sid, workspace_sid, friendly_name, available, date_created, date_updated)
    VALUES (kin_tr._new_sid('WA'), workspace, friendly_name, coalesce(available, false), kin_tr.now(), kin_tr.now())
    RETURNING * INTO new;
    PERFORM kin_tr._activity_event('activity.created', new);
    RETURN new.sid;
END $$;

CREATE FUNCTION kin_tr._update_activity(activity text, friendly_name text, workspace kin_tr.sid, if_version bigint)
    RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    this kin_tr.activities;
BEGIN
    SELECT * INTO STRICT this FROM kin_tr.activities a
     WHERE a.sid = kin_tr._resolve('WA', activity, workspace) FOR NO KEY UPDATE;
    PERFORM kin_tr._check_version('activity', this.sid, this.version, if_version);
    IF friendly_name <> this.friendly_name THEN
        PERFORM kin_tr._check_name('friendly_name', friendly_name);
        IF EXISTS (SELECT FROM kin_tr.activities a WHERE a.workspace_sid = workspace AND a.friendly_name = friendly_name) THEN
            PERFORM kin_tr._refuse_taken('activity', friendly_name);
        END IF;
    END IF;
    IF coalesce(friendly_name, this.friendly_name) = this.friendly_name THEN
        RETURN this.version;
    END IF;
    UPDATE kin_tr.activities a SET friendly_name = friendly_name,
           date_updated = kin_tr.now(), version = a.version + 1
     WHERE a.sid = this.sid RETURNING * INTO this;
    PERFORM kin_tr._activity_event('activity.updated', this);
    RETURN this.version;
END $$;

CREATE FUNCTION kin_tr._delete_activity(activity text, workspace kin_tr.sid, if_version bigint) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    this kin_tr.activities;
BEGIN
    SELECT * INTO STRICT this FROM kin_tr.activities a
     WHERE a.sid = kin_tr._resolve('WA', activity, workspace) FOR UPDATE;
    PERFORM kin_tr._check_version('activity', this.sid, this.version, if_version);
    PERFORM FROM kin_tr.workspaces w
      WHERE w.sid = workspace AND this.sid IN (w.default_activity_sid, w.timeout_activity_sid) FOR SHARE;
    IF FOUND THEN
        PERFORM kin_tr._refuse_in_use('activity', this.friendly_name, 'the workspace, as its default or time-out activity',
                                      'Name another one with update_workspace() first.');
    ELSIF EXISTS (SELECT FROM kin_tr.workers w WHERE w.activity_sid = this.sid) THEN
        PERFORM kin_tr._refuse_in_use('activity', this.friendly_name, 'a worker',
                                      'Move its workers to another one first.');
    ELSIF EXISTS (SELECT FROM kin_tr.task_queues q
                   WHERE this.sid IN (q.reservation_activity_sid, q.assignment_activity_sid)) THEN
        PERFORM kin_tr._refuse_in_use('activity', this.friendly_name, 'a task queue',
                                      'Name another one with update_task_queue() first.');
    END IF;
    DELETE FROM kin_tr.activities a WHERE a.sid = this.sid;
    PERFORM kin_tr._activity_event('activity.deleted', this);
END $$;

-- ------------------------------------------------------------ task channel
CREATE FUNCTION kin_tr._task_channel_event(event_type text, c kin_tr.task_channels) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
    SELECT kin_tr._event(event_type, c.workspace_sid, c.sid,
        jsonb_build_object('task_channel_name', c.friendly_name, 'task_channel_unique_name', c.unique_name,
                           'task_channel_optimized_routing', c.channel_optimized_routing::text),
        task_channel => c.sid)
$$;

CREATE FUNCTION kin_tr._create_task_channel(friendly_name text, unique_name text,
                                            channel_optimized_routing boolean, workspace kin_tr.sid)
    RETURNS kin_tr.sid
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    new kin_tr.task_channels;
BEGIN
    PERFORM kin_tr._check_name('friendly_name', friendly_name);
    PERFORM kin_tr._check_name('unique_name', unique_name);
    IF unique_name !~ '^[A-Za-z_$][A-Za-z0-9_$]*$' THEN
        RAISE EXCEPTION 'invalid unique_name: "%"', unique_name
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'It stands in expressions, so it is made of letters, digits, _ and $, and begins with no digit.';
    ELSIF EXISTS (SELECT FROM kin_tr.task_channels c WHERE c.workspace_sid = workspace AND c.unique_name = unique_name) THEN
        PERFORM kin_tr._refuse_taken('task channel', unique_name);
    END IF;
    INSERT INTO kin_tr.task_channels (sid, workspace_sid, friendly_name, unique_name,
                                      channel_optimized_routing, date_created, date_updated)
    VALUES (kin_tr._new_sid('TC'), workspace, friendly_name, unique_name,
            coalesce(channel_optimized_routing, false), kin_tr.now(), kin_tr.now())
    RETURNING * INTO new;
    PERFORM kin_tr._insert_worker_channel(w.sid, new.sid, workspace)
       FROM kin_tr.workers w WHERE w.workspace_sid = workspace;
    PERFORM kin_tr._task_channel_event('task-channel.created', new);
    RETURN new.sid;
END $$;

CREATE FUNCTION kin_tr._insert_worker_channel(worker kin_tr.sid, task_channel kin_tr.sid, workspace kin_tr.sid)
    RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
    INSERT INTO kin_tr.worker_channels (sid, workspace_sid, worker_sid, task_channel_sid, date_created, date_updated)
    VALUES (kin_tr._new_sid('WC'), workspace, worker, task_channel, kin_tr.now(), kin_tr.now())
$$;

CREATE FUNCTION kin_tr._update_task_channel(task_channel text, friendly_name text,
                                            channel_optimized_routing boolean, workspace kin_tr.sid,
                                            if_version bigint) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    this kin_tr.task_channels;
BEGIN
    SELECT * INTO STRICT this FROM kin_tr.task_channels c
     WHERE c.sid = kin_tr._resolve('TC', task_channel, workspace) FOR NO KEY UPDATE;
    PERFORM kin_tr._check_version('task channel', this.sid, this.version, if_version);
    IF friendly_name IS NOT NULL THEN
        PERFORM kin_tr._check_name('friendly_name', friendly_name);
    END IF;
    friendly_name := coalesce(friendly_name, this.friendly_name);
    channel_optimized_routing := coalesce(channel_optimized_routing, this.channel_optimized_routing);
    IF (friendly_name, channel_optimized_routing) = (this.friendly_name, this.channel_optimized_routing) THEN
        RETURN this.version;
    END IF;
    UPDATE kin_tr.task_channels c SET friendly_name = friendly_name,
           channel_optimized_routing = channel_optimized_routing,
           date_updated = kin_tr.now(), version = c.version + 1
     WHERE c.sid = this.sid RETURNING * INTO this;
    PERFORM kin_tr._task_channel_event('task-channel.updated', this);
    RETURN this.version;
END $$;

CREATE FUNCTION kin_tr._delete_task_channel(task_channel text, workspace kin_tr.sid, if_version bigint) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    this kin_tr.task_channels;
BEGIN
    SELECT * INTO STRICT this FROM kin_tr.task_channels c
     WHERE c.sid = kin_tr._resolve('TC', task_channel, workspace) FOR UPDATE;
    PERFORM kin_tr._check_version('task channel', this.sid, this.version, if_version);
    IF this.unique_name IN ('default', 'voice', 'sms', 'chat', 'video') THEN
        PERFORM kin_tr._refuse_in_use('task channel', this.unique_name, 'the workspace, which was made with it',
                                      'It stays as long as the workspace. A worker with capacity 0 in it gets none of its tasks.');
    END IF;
    PERFORM kin_tr._lock_for_delete(this.sid);
    IF EXISTS (SELECT FROM kin_tr.tasks t WHERE t.task_channel_sid = this.sid AND t.finished_at IS NULL) THEN
        PERFORM kin_tr._refuse_in_use('task channel', this.unique_name, 'an open task',
                                      'Let its tasks end first, or cancel them.');
    END IF;
    PERFORM kin_tr._move_to_history(NULL, NULL, this.sid);
    DELETE FROM kin_tr.task_channels c WHERE c.sid = this.sid;
    PERFORM kin_tr._task_channel_event('task-channel.deleted', this);
END $$;

-- -------------------------------------------------------------- task queue
CREATE FUNCTION kin_tr._task_queue_event(event_type text, q kin_tr.task_queues) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
    SELECT kin_tr._event(event_type, q.workspace_sid, q.sid,
        jsonb_build_object('task_queue_name', q.friendly_name,
                           'task_queue_target_expression', q.target_workers),
        task_queue => q.sid)
$$;

CREATE FUNCTION kin_tr._create_task_queue(friendly_name text, target_workers text, max_reserved_workers integer,
                                          task_order text, reservation_activity text,
                                          assignment_activity text, workspace kin_tr.sid) RETURNS kin_tr.sid
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    new kin_tr.task_queues;
BEGIN
    PERFORM kin_tr._check_name('friendly_name', friendly_name);
    PERFORM kin_tr._check_expression(target_workers, 'queue');
    PERFORM kin_tr._check_range('max_reserved_workers', max_reserved_workers, 1, 50);
    PERFORM kin_tr._check_choice('task_order', task_order, ARRAY['FIFO', 'LIFO']);
    IF EXISTS (SELECT FROM kin_tr.task_queues q WHERE q.workspace_sid = workspace AND q.friendly_name = friendly_name) THEN
        PERFORM kin_tr._refuse_taken('task queue', friendly_name);
    END IF;
    INSERT INTO kin_tr.task_queues (sid, workspace_sid, friendly_name, target_workers, max_reserved_workers,
                                    task_order, reservation_activity_sid, assignment_activity_sid,
                                    date_created, date_updated)
    VALUES (kin_tr._new_sid('WQ'), workspace, friendly_name, coalesce(target_workers, '1==1'),
            coalesce(max_reserved_workers, 1), coalesce(task_order, 'FIFO'),
            kin_tr._resolve_if('WA', reservation_activity, workspace),
            kin_tr._resolve_if('WA', assignment_activity, workspace), kin_tr.now(), kin_tr.now())
    RETURNING * INTO new;
    PERFORM kin_tr._task_queue_event('task-queue.created', new);
    RETURN new.sid;
END $$;

CREATE FUNCTION kin_tr._update_task_queue(task_queue text, friendly_name text, target_workers text,
                                          max_reserved_workers integer, task_order text,
                                          reservation_activity text, assignment_activity text,
                                          workspace kin_tr.sid, if_version bigint) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    old kin_tr.task_queues;
    this kin_tr.task_queues;
    task kin_tr.sid;
BEGIN
    SELECT * INTO STRICT old FROM kin_tr.task_queues q
     WHERE q.sid = kin_tr._resolve('WQ', task_queue, workspace) FOR NO KEY UPDATE;
    PERFORM kin_tr._check_version('task queue', old.sid, old.version, if_version);
    PERFORM kin_tr._check_expression(target_workers, 'queue');
    PERFORM kin_tr._check_range('max_reserved_workers', max_reserved_workers, 1, 50);
    PERFORM kin_tr._check_choice('task_order', task_order, ARRAY['FIFO', 'LIFO']);
    IF friendly_name <> old.friendly_name THEN
        PERFORM kin_tr._check_name('friendly_name', friendly_name);
        IF EXISTS (SELECT FROM kin_tr.task_queues q WHERE q.workspace_sid = workspace AND q.friendly_name = friendly_name) THEN
            PERFORM kin_tr._refuse_taken('task queue', friendly_name);
        END IF;
    END IF;
    -- Whoever creates a task meanwhile would give it the order's old keys.
    IF task_order <> old.task_order THEN
        PERFORM kin_tr._lock_for_delete(w.sid) FROM kin_tr.workflows w WHERE w.workspace_sid = workspace;
        PERFORM kin_tr._lock_for_delete(old.sid);
    END IF;
    this := old;
    this.friendly_name := coalesce(friendly_name, old.friendly_name);
    this.target_workers := coalesce(target_workers, old.target_workers);
    this.max_reserved_workers := coalesce(max_reserved_workers, old.max_reserved_workers);
    this.task_order := coalesce(task_order, old.task_order);
    this.reservation_activity_sid := coalesce(kin_tr._resolve_if('WA', reservation_activity, workspace), old.reservation_activity_sid);
    this.assignment_activity_sid := coalesce(kin_tr._resolve_if('WA', assignment_activity, workspace), old.assignment_activity_sid);
    IF this IS NOT DISTINCT FROM old THEN
        RETURN old.version;
    END IF;
    UPDATE kin_tr.task_queues q
       SET friendly_name = this.friendly_name, target_workers = this.target_workers,
           max_reserved_workers = this.max_reserved_workers, task_order = this.task_order,
           reservation_activity_sid = this.reservation_activity_sid,
           assignment_activity_sid = this.assignment_activity_sid,
           date_updated = kin_tr.now(), version = q.version + 1
     WHERE q.sid = old.sid RETURNING * INTO this;
    IF this.task_order <> old.task_order THEN
        FOR task IN SELECT t.sid FROM kin_tr.tasks t
                     WHERE t.task_queue_sid = old.sid AND t.group_key IS NOT NULL ORDER BY t.sid LOOP
            PERFORM kin_tr._regroup_task(task);
        END LOOP;
    END IF;
    PERFORM kin_tr._task_queue_event(CASE WHEN this.target_workers <> old.target_workers
                                          THEN 'task-queue.expression.updated' ELSE 'task-queue.updated' END, this);
    RETURN this.version;
END $$;

-- The SIDs of the queues that a workflow's configuration names.
CREATE FUNCTION kin_tr._queues_of(configuration jsonb) RETURNS SETOF text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, kin_tr, pg_temp AS $$
    SELECT q #>> '{}' FROM jsonb_path_query(configuration, '$.task_routing.filters[*].targets[*].queue') q
    UNION
    SELECT configuration #>> '{task_routing,default_filter,queue}'
     WHERE configuration #> '{task_routing,default_filter,queue}' IS NOT NULL
$$;

-- May tasks still come into this queue by a workflow?
CREATE FUNCTION kin_tr._workflow_that_uses(queue kin_tr.sid, workspace kin_tr.sid) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, kin_tr, pg_temp AS $$
    SELECT w.friendly_name
      FROM kin_tr.workflows w JOIN kin_tr.workflow_versions v ON v.workflow_sid = w.sid
     WHERE w.workspace_sid = workspace
       AND (v.number = w.current_version
            OR EXISTS (SELECT FROM kin_tr.tasks t WHERE t.workflow_sid = w.sid
                          AND t.workflow_version = v.number AND t.finished_at IS NULL))
       AND queue::text IN (SELECT kin_tr._queues_of(v.configuration))
     LIMIT 1
$$;

CREATE FUNCTION kin_tr._delete_task_queue(task_queue text, workspace kin_tr.sid, if_version bigint) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    this kin_tr.task_queues;
    workflow text;
BEGIN
    SELECT * INTO STRICT this FROM kin_tr.task_queues q
     WHERE q.sid = kin_tr._resolve('WQ', task_queue, workspace) FOR UPDATE;
    PERFORM kin_tr._check_version('task queue', this.sid, this.version, if_version);
    PERFORM kin_tr._lock_for_delete(this.sid);
    -- Whoever creates a task just now may enter any version that there is.
    PERFORM kin_tr._lock_for_delete(w.sid) FROM kin_tr.workflows w
      WHERE w.workspace_sid = workspace
        AND this.sid::text NOT IN (SELECT kin_tr._queues_of(w.configuration))
        AND EXISTS (SELECT FROM kin_tr.workflow_versions v WHERE v.workflow_sid = w.sid
                       AND this.sid::text IN (SELECT kin_tr._queues_of(v.configuration)));
    workflow := kin_tr._workflow_that_uses(this.sid, workspace);
    IF workflow IS NOT NULL THEN
        PERFORM kin_tr._refuse_in_use('task queue', this.friendly_name, format('workflow "%s"', workflow),
                                      'Take it out of the workflow first; tasks stay in the version that they entered.');
    ELSIF EXISTS (SELECT FROM kin_tr.tasks t WHERE t.task_queue_sid = this.sid AND t.finished_at IS NULL) THEN
        PERFORM kin_tr._refuse_in_use('task queue', this.friendly_name, 'an open task',
                                      'Let its tasks end first, or cancel them.');
    END IF;
    PERFORM kin_tr._move_to_history(this.sid, NULL, NULL);
    DELETE FROM kin_tr.task_queues q WHERE q.sid = this.sid;
    PERFORM kin_tr._task_queue_event('task-queue.deleted', this);
END $$;

-- ---------------------------------------------------------------- workflow
CREATE FUNCTION kin_tr._workflow_event(event_type text, w kin_tr.workflows) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
    SELECT kin_tr._event(event_type, w.workspace_sid, w.sid,
        jsonb_build_object('workflow_name', w.friendly_name), workflow => w.sid)
$$;

CREATE FUNCTION kin_tr._create_workflow(friendly_name text, configuration jsonb, task_reservation_timeout integer,
                                        assignment_callback_url text, fallback_assignment_callback_url text,
                                        default_priority integer, workspace kin_tr.sid) RETURNS kin_tr.sid
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    new kin_tr.workflows;
BEGIN
    PERFORM kin_tr._check_name('friendly_name', friendly_name);
    PERFORM kin_tr._check_range('task_reservation_timeout', task_reservation_timeout, 1, 86400);
    PERFORM kin_tr._check_range('default_priority', default_priority, 0, 2147483647);
    IF configuration IS NULL THEN
        RAISE EXCEPTION 'configuration must not be null'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'Write {"task_routing": {"filters": [...], "default_filter": {...}}}.';
    ELSIF EXISTS (SELECT FROM kin_tr.workflows w WHERE w.workspace_sid = workspace AND w.friendly_name = friendly_name) THEN
        PERFORM kin_tr._refuse_taken('workflow', friendly_name);
    END IF;
    INSERT INTO kin_tr.workflows (sid, workspace_sid, friendly_name, configuration, assignment_callback_url,
                                  fallback_assignment_callback_url, task_reservation_timeout,
                                  default_priority, date_created, date_updated)
    VALUES (kin_tr._new_sid('WW'), workspace, friendly_name,
            kin_tr._normalize_workflow(configuration, workspace), assignment_callback_url,
            fallback_assignment_callback_url, coalesce(task_reservation_timeout, 120),
            coalesce(default_priority, 0), kin_tr.now(), kin_tr.now())
    RETURNING * INTO new;
    INSERT INTO kin_tr.workflow_versions VALUES (new.sid, workspace, 1, new.configuration, kin_tr.now());
    PERFORM kin_tr._workflow_event('workflow.created', new);
    RETURN new.sid;
END $$;

-- Once there are many versions, those that no task is in any more go.  To find
-- out reads all tasks, which is done once in so many updates, and only while
-- nobody creates one.
CREATE FUNCTION kin_tr._forget_versions(workflow kin_tr.sid, current_version integer) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    IF (SELECT count(*) FROM kin_tr.workflow_versions v WHERE v.workflow_sid = workflow) <= 32
       OR NOT kin_tr._try_lock_for_delete(workflow) THEN
        RETURN;
    END IF;
    DELETE FROM kin_tr.workflow_versions v
     WHERE v.workflow_sid = workflow AND v.number < current_version
       AND NOT EXISTS (SELECT FROM kin_tr.tasks t WHERE t.workflow_sid = workflow AND t.workflow_version = v.number);
END $$;

CREATE FUNCTION kin_tr._update_workflow(workflow text, friendly_name text, configuration jsonb,
                                        task_reservation_timeout integer, assignment_callback_url text,
                                        fallback_assignment_callback_url text, default_priority integer,
                                        re_evaluate_tasks boolean, workspace kin_tr.sid, if_version bigint)
    RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    old kin_tr.workflows;
    this kin_tr.workflows;
    task kin_tr.sid;
BEGIN
    SELECT * INTO STRICT old FROM kin_tr.workflows w
     WHERE w.sid = kin_tr._resolve('WW', workflow, workspace) FOR NO KEY UPDATE;
    PERFORM kin_tr._check_version('workflow', old.sid, old.version, if_version);
    PERFORM kin_tr._check_range('task_reservation_timeout', task_reservation_timeout, 1, 86400);
    PERFORM kin_tr._check_range('default_priority', default_priority, 0, 2147483647);
    IF friendly_name <> old.friendly_name THEN
        PERFORM kin_tr._check_name('friendly_name', friendly_name);
        IF EXISTS (SELECT FROM kin_tr.workflows w WHERE w.workspace_sid = workspace AND w.friendly_name = friendly_name) THEN
            PERFORM kin_tr._refuse_taken('workflow', friendly_name);
        END IF;
    END IF;
    this := old;
    this.friendly_name := coalesce(friendly_name, old.friendly_name);
    this.configuration := coalesce(kin_tr._normalize_workflow(configuration, workspace), old.configuration);
    this.task_reservation_timeout := coalesce(task_reservation_timeout, old.task_reservation_timeout);
    this.assignment_callback_url := coalesce(assignment_callback_url, old.assignment_callback_url);
    this.fallback_assignment_callback_url := coalesce(fallback_assignment_callback_url, old.fallback_assignment_callback_url);
    this.default_priority := coalesce(default_priority, old.default_priority);
    IF this.configuration <> old.configuration THEN
        this.current_version := old.current_version + 1;
        INSERT INTO kin_tr.workflow_versions
        VALUES (old.sid, workspace, this.current_version, this.configuration, kin_tr.now());
        PERFORM kin_tr._forget_versions(old.sid, this.current_version);
    END IF;
    IF this IS DISTINCT FROM old THEN
        UPDATE kin_tr.workflows w
           SET friendly_name = this.friendly_name, configuration = this.configuration,
               current_version = this.current_version, task_reservation_timeout = this.task_reservation_timeout,
               assignment_callback_url = this.assignment_callback_url,
               fallback_assignment_callback_url = this.fallback_assignment_callback_url,
               default_priority = this.default_priority, date_updated = kin_tr.now(), version = w.version + 1
         WHERE w.sid = old.sid RETURNING * INTO this;
        PERFORM kin_tr._workflow_event('workflow.updated', this);
    END IF;
    IF re_evaluate_tasks THEN
        FOR task IN SELECT t.sid FROM kin_tr.tasks t
                     WHERE t.workflow_sid = this.sid AND t.assignment_status = 'pending' ORDER BY t.sid LOOP
            PERFORM kin_tr._evaluate_task_again(task);
        END LOOP;
    END IF;
    RETURN this.version;
END $$;

CREATE FUNCTION kin_tr._delete_workflow(workflow text, workspace kin_tr.sid, if_version bigint) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    this kin_tr.workflows;
BEGIN
    SELECT * INTO STRICT this FROM kin_tr.workflows w
     WHERE w.sid = kin_tr._resolve('WW', workflow, workspace) FOR UPDATE;
    PERFORM kin_tr._check_version('workflow', this.sid, this.version, if_version);
    PERFORM kin_tr._lock_for_delete(this.sid);
    IF EXISTS (SELECT FROM kin_tr.tasks t WHERE t.workflow_sid = this.sid AND t.finished_at IS NULL) THEN
        PERFORM kin_tr._refuse_in_use('workflow', this.friendly_name, 'an open task',
                                      'Let its tasks end first, or cancel them.');
    END IF;
    PERFORM kin_tr._move_to_history(NULL, this.sid, NULL);
    DELETE FROM kin_tr.workflows w WHERE w.sid = this.sid;
    PERFORM kin_tr._workflow_event('workflow.deleted', this);
END $$;

-- ------------------------------------------------------------------ worker
CREATE FUNCTION kin_tr._worker_data(w kin_tr.workers) RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = pg_catalog, kin_tr, pg_temp AS $$
    SELECT jsonb_build_object('worker_name', w.friendly_name, 'worker_activity_sid', w.activity_sid::text,
        'worker_activity_name', (SELECT a.friendly_name FROM kin_tr.activities a WHERE a.sid = w.activity_sid),
        'worker_version', w.version::text)
$$;

CREATE FUNCTION kin_tr._create_worker(friendly_name text, attributes jsonb, activity text, workspace kin_tr.sid)
    RETURNS kin_tr.sid
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    new kin_tr.workers;
BEGIN
    PERFORM kin_tr._check_name('friendly_name', friendly_name);
    PERFORM kin_tr._check_attributes(attributes);
    IF EXISTS (SELECT FROM kin_tr.workers w
                WHERE w.workspace_sid = workspace AND lower(w.friendly_name) = lower(friendly_name)) THEN
        PERFORM kin_tr._refuse_taken('worker', friendly_name);
    END IF;
    new.sid := kin_tr._new_sid('WK');
    new.workspace_sid := workspace;
    new.friendly_name := friendly_name;
    new.attributes := coalesce(attributes, '{}');
    new.activity_sid := coalesce(kin_tr._resolve_if('WA', activity, workspace),
                                 (SELECT w.default_activity_sid FROM kin_tr.workspaces w WHERE w.sid = workspace));
    new.date_created := kin_tr.now();
    new.date_updated := new.date_created;
    new.date_status_changed := new.date_created;
    new.version := 0;
    new.document := kin_tr._event('worker.created', workspace, new.sid,
        kin_tr._worker_data(new) || jsonb_build_object('worker_attributes', new.attributes), worker => new.sid);
    INSERT INTO kin_tr.workers SELECT new.*;
    PERFORM kin_tr._insert_worker_channel(new.sid, c.sid, workspace)
       FROM kin_tr.task_channels c WHERE c.workspace_sid = workspace;
    RETURN new.sid;
END $$;

CREATE FUNCTION kin_tr._update_worker(worker text, attributes jsonb, friendly_name text, activity text,
                                      reject_pending_reservations boolean, workspace kin_tr.sid,
                                      if_version bigint) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    this kin_tr.workers;
    wk kin_tr.sid := kin_tr._resolve('WK', worker, workspace);
BEGIN
    -- First, for it locks tasks and reservations, which come before the worker.
    IF activity IS NOT NULL THEN
        PERFORM kin_tr.update_worker_activity(wk, activity, reject_pending_reservations, workspace, if_version);
        if_version := NULL;
    ELSIF reject_pending_reservations THEN
        RAISE EXCEPTION 'pending reservations can only be rejected by moving to an unavailable activity'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give the activity, too.';
    END IF;
    SELECT * INTO STRICT this FROM kin_tr.workers w WHERE w.sid = wk FOR NO KEY UPDATE;
    PERFORM kin_tr._check_version('worker', wk, this.version, if_version);
    IF attributes IS NULL AND friendly_name IS NULL THEN
        RETURN this.version;
    END IF;
    PERFORM kin_tr._check_attributes(attributes);
    IF lower(friendly_name) <> lower(this.friendly_name) THEN
        PERFORM kin_tr._check_name('friendly_name', friendly_name);
        IF EXISTS (SELECT FROM kin_tr.workers w
                    WHERE w.workspace_sid = workspace AND lower(w.friendly_name) = lower(friendly_name)) THEN
            PERFORM kin_tr._refuse_taken('worker', friendly_name);
        END IF;
    END IF;
    this.attributes := coalesce(attributes, this.attributes);
    this.friendly_name := coalesce(friendly_name, this.friendly_name);
    this.version := this.version + 1;
    this.document := kin_tr._event('worker.attributes.update', workspace, wk,
        kin_tr._worker_data(this) || jsonb_build_object('worker_attributes', this.attributes), worker => wk);
    UPDATE kin_tr.workers w SET attributes = this.attributes, friendly_name = this.friendly_name,
           version = this.version, document = this.document, date_updated = kin_tr.now()
     WHERE w.sid = wk;
    RETURN this.version;
END $$;

CREATE FUNCTION kin_tr._delete_worker(worker text, workspace kin_tr.sid, if_version bigint) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    this kin_tr.workers;
BEGIN
    -- The router shares this lock while it makes a reservation.
    SELECT * INTO STRICT this FROM kin_tr.workers w
     WHERE w.sid = kin_tr._resolve('WK', worker, workspace) FOR UPDATE;
    PERFORM kin_tr._check_version('worker', this.sid, this.version, if_version);
    PERFORM kin_tr._lock_for_delete(this.sid);
    IF EXISTS (SELECT FROM kin_tr.reservations r WHERE r.worker_sid = this.sid AND r.is_open) THEN
        PERFORM kin_tr._refuse_in_use('worker', this.friendly_name, 'an open reservation',
                                      'Let its reservations end first; in an unavailable activity it gets no more.');
    END IF;
    DELETE FROM kin_tr.workers w WHERE w.sid = this.sid;
    PERFORM kin_tr._event('worker.deleted', workspace, this.sid, kin_tr._worker_data(this),
                          worker => this.sid, worker_document => this.document);
END $$;

CREATE FUNCTION kin_tr._update_worker_channel(worker text, task_channel text, capacity integer,
                                              available boolean, workspace kin_tr.sid) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    wk kin_tr.workers;
    channel kin_tr.task_channels;
    old kin_tr.worker_channels;
    data jsonb;
BEGIN
    PERFORM kin_tr._check_range('capacity', capacity, 0, 32767);
    -- The worker's row stands for its channels: the router looks at its version.
    SELECT * INTO STRICT wk FROM kin_tr.workers w
     WHERE w.sid = kin_tr._resolve('WK', worker, workspace) FOR NO KEY UPDATE;
    SELECT * INTO STRICT channel FROM kin_tr.task_channels c
     WHERE c.sid = kin_tr._resolve('TC', task_channel, workspace);
    SELECT * INTO STRICT old FROM kin_tr.worker_channels c
     WHERE c.worker_sid = wk.sid AND c.task_channel_sid = channel.sid FOR NO KEY UPDATE;
    capacity := coalesce(capacity, old.configured_capacity);
    available := coalesce(available, old.available);
    IF capacity = old.configured_capacity AND available = old.available THEN
        RETURN wk.version;
    END IF;
    UPDATE kin_tr.worker_channels c SET configured_capacity = capacity, available = available,
           date_updated = kin_tr.now() WHERE c.sid = old.sid;
    UPDATE kin_tr.workers w SET version = w.version + 1, date_updated = kin_tr.now()
     WHERE w.sid = wk.sid RETURNING * INTO wk;
    data := kin_tr._worker_data(wk) || jsonb_build_object('worker_channel_available', available::text,
        'worker_channel_available_capacity', capacity::text,
        'worker_channel_previous_capacity', old.configured_capacity::text,
        'worker_channel_task_count', (SELECT count(*)::text FROM kin_tr.reservations r
            WHERE r.worker_sid = wk.sid AND r.is_open AND r.task_channel_sid = channel.sid),
        'task_channel_unique_name', channel.unique_name);
    IF capacity <> old.configured_capacity THEN
        PERFORM kin_tr._event('worker.capacity.update', workspace, wk.sid, data, worker => wk.sid,
                              task_channel => channel.sid, worker_document => wk.document);
    END IF;
    IF available <> old.available THEN
        PERFORM kin_tr._event('worker.channel.availability.update', workspace, wk.sid, data,
                              worker => wk.sid, task_channel => channel.sid, worker_document => wk.document);
    END IF;
    RETURN wk.version;
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
