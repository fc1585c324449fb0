-- ----------------------------------------------------------------- reading
CREATE VIEW kin_tr.all_tasks WITH (security_invoker = true) AS
    SELECT t.sid, w.account_sid, t.workspace_sid, t.assignment_status, t.attributes,
           '{}'::jsonb AS addons,
           extract(epoch FROM kin_tr.now() - t.date_created)::integer AS age,
           t.date_created, t.date_updated, t.task_queue_entered_date, t.virtual_start_time,
           t.priority, t.reason, t.timeout, t.task_queue_sid,
           q.friendly_name AS task_queue_friendly_name, t.task_channel_sid,
           c.unique_name AS task_channel_unique_name, t.workflow_sid,
           f.friendly_name AS workflow_friendly_name, t.ignore_capacity, t.routing_target,
           t.not_before, t.finished_at, false AS in_history, t.version
      FROM kin_tr.tasks t
      JOIN kin_tr.workspaces w ON w.sid = t.workspace_sid
      LEFT JOIN kin_tr.task_queues q ON q.sid = t.task_queue_sid
      LEFT JOIN kin_tr.task_channels c ON c.sid = t.task_channel_sid
      LEFT JOIN kin_tr.workflows f ON f.sid = t.workflow_sid
    UNION ALL
    SELECT t.sid, w.account_sid, t.workspace_sid, t.assignment_status, t.attributes, '{}',
           extract(epoch FROM kin_tr.now() - t.date_created)::integer,
           t.date_created, t.date_updated, t.task_queue_entered_date, t.virtual_start_time,
           t.priority, t.reason, t.timeout, t.task_queue_sid, t.task_queue_friendly_name,
           t.task_channel_sid, t.task_channel_unique_name, t.workflow_sid, t.workflow_friendly_name,
           t.ignore_capacity, t.routing_target, t.not_before, t.finished_at, true, t.version
      FROM kin_tr.task_history t
      JOIN kin_tr.workspaces w ON w.sid = t.workspace_sid;
COMMENT ON VIEW kin_tr.all_tasks IS 'Tasks, live and in history, with the fields of Twilio''s Task; age in seconds';

CREATE VIEW kin_tr.all_reservations WITH (security_invoker = true) AS
    SELECT r.sid, w.account_sid, r.workspace_sid, r.task_sid, r.worker_sid, r.worker_name,
           r.reservation_status, r.date_created, r.date_updated,
           CASE WHEN r.reservation_status = 'pending' THEN r.times_out_at END AS times_out_at, r.reason,
           r.task_queue_sid, r.task_channel_sid, r.workflow_sid, false AS in_history, r.version
      FROM kin_tr.reservations r JOIN kin_tr.workspaces w ON w.sid = r.workspace_sid
    UNION ALL
    SELECT r.sid, w.account_sid, r.workspace_sid, r.task_sid, r.worker_sid, r.worker_name,
           r.reservation_status, r.date_created, r.date_updated, NULL, r.reason,
           r.task_queue_sid, r.task_channel_sid, r.workflow_sid, true, r.version
      FROM kin_tr.reservation_history r JOIN kin_tr.workspaces w ON w.sid = r.workspace_sid;
COMMENT ON VIEW kin_tr.all_reservations IS 'Reservations, live and in history, with the fields of Twilio''s Reservation';

-- The columns of a view mean what their namesakes in the table mean.
DO $$
DECLARE
    c record;
BEGIN
    FOR c IN
        SELECT v.attrelid::regclass AS view, v.attname,
               coalesce(col_description(l.attrelid, l.attnum),
                        CASE v.attname WHEN 'account_sid' THEN 'the workspace''s account'
                                       WHEN 'addons' THEN 'of Twilio''s; always empty'
                                       WHEN 'age' THEN 'seconds since it was created'
                                       WHEN 'in_history' THEN 'moved to history'
                                       ELSE 'its name' END) AS meaning
          FROM pg_attribute v
          LEFT JOIN pg_attribute l ON l.attname = v.attname AND l.attnum > 0
               AND l.attrelid = CASE v.attrelid WHEN 'kin_tr.all_tasks'::regclass
                                THEN 'kin_tr.tasks'::regclass ELSE 'kin_tr.reservations'::regclass END
         WHERE v.attrelid IN ('kin_tr.all_tasks'::regclass, 'kin_tr.all_reservations'::regclass)
           AND v.attnum > 0 LOOP
        EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', c.view, c.attname, c.meaning);
    END LOOP;
END $$;

-- floor((1 - open / capacity) x 100): reference 4.4.
CREATE FUNCTION kin_tr._capacity_percentage(capacity integer, open bigint) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN capacity OPERATOR(pg_catalog.>) 0
           THEN greatest(0::bigint, (capacity OPERATOR(pg_catalog.-) open)
                OPERATOR(pg_catalog.*) 100 OPERATOR(pg_catalog./) capacity)::integer ELSE 0 END;

-- What follows from a worker's reservations, for each of its channels.
CREATE FUNCTION kin_tr._worker_channel_load(worker kin_tr.sid)
    RETURNS TABLE (channel kin_tr.worker_channels, open integer, assigned integer, last_reserved timestamptz)
    LANGUAGE sql STABLE SET search_path = pg_catalog, kin_tr, pg_temp AS $$
    SELECT c, (SELECT count(*)::integer FROM kin_tr.reservations r
                WHERE r.worker_sid = worker AND r.is_open AND r.task_channel_sid = c.task_channel_sid),
           (SELECT count(*)::integer FROM kin_tr.reservations r
             WHERE r.worker_sid = worker AND r.is_open AND r.task_channel_sid = c.task_channel_sid
               AND r.reservation_status = 'accepted'),
           greatest(c.last_reserved_at,
                    (SELECT max(r.date_created) FROM kin_tr.reservations r
                      WHERE r.worker_sid = worker AND r.task_channel_sid = c.task_channel_sid))
      FROM kin_tr.worker_channels c WHERE c.worker_sid = worker
$$;

CREATE FUNCTION kin_tr._get_workspace(workspace kin_tr.sid)
    RETURNS TABLE (sid kin_tr.sid, account_sid kin_tr.sid, friendly_name text,
                   default_activity_sid kin_tr.sid, default_activity_name text,
                   timeout_activity_sid kin_tr.sid, timeout_activity_name text,
                   event_callback_url text, events_filter text, multi_task_enabled boolean,
                   prioritize_queue_order text, date_created timestamptz, date_updated timestamptz,
                   version bigint)
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        SELECT w.sid, w.account_sid, w.friendly_name, w.default_activity_sid, d.friendly_name,
               w.timeout_activity_sid, t.friendly_name, w.event_callback_url, w.events_filter,
               w.multi_task_enabled, w.prioritize_queue_order, w.date_created, w.date_updated, w.version
          FROM kin_tr.workspaces w
          LEFT JOIN kin_tr.activities d ON d.sid = w.default_activity_sid
          LEFT JOIN kin_tr.activities t ON t.sid = w.timeout_activity_sid
         WHERE w.sid = _get_workspace.workspace;
END $$;

CREATE FUNCTION kin_tr._get_activity(activity text, workspace kin_tr.sid)
    RETURNS TABLE (sid kin_tr.sid, account_sid kin_tr.sid, workspace_sid kin_tr.sid, friendly_name text,
                   available boolean, date_created timestamptz, date_updated timestamptz, version bigint)
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_column
DECLARE
    named_activity kin_tr.sid := kin_tr._resolve('WA', activity, workspace);
BEGIN
    RETURN QUERY
        SELECT a.sid, w.account_sid, a.workspace_sid, a.friendly_name, a.available,
               a.date_created, a.date_updated, a.version
          FROM kin_tr.activities a JOIN kin_tr.workspaces w ON w.sid = a.workspace_sid
         WHERE a.sid = named_activity;
END $$;

CREATE FUNCTION kin_tr._get_task_channel(task_channel text, workspace kin_tr.sid)
    RETURNS TABLE (sid kin_tr.sid, account_sid kin_tr.sid, workspace_sid kin_tr.sid, friendly_name text,
                   unique_name text, channel_optimized_routing boolean, date_created timestamptz,
                   date_updated timestamptz, version bigint)
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_column
DECLARE
    named_channel kin_tr.sid := kin_tr._resolve('TC', task_channel, workspace);
BEGIN
    RETURN QUERY
        SELECT c.sid, w.account_sid, c.workspace_sid, c.friendly_name, c.unique_name,
               c.channel_optimized_routing, c.date_created, c.date_updated, c.version
          FROM kin_tr.task_channels c JOIN kin_tr.workspaces w ON w.sid = c.workspace_sid
         WHERE c.sid = named_channel;
END $$;

CREATE FUNCTION kin_tr._get_task_queue(task_queue text, workspace kin_tr.sid)
    RETURNS TABLE (sid kin_tr.sid, account_sid kin_tr.sid, workspace_sid kin_tr.sid, friendly_name text,
                   target_workers text, max_reserved_workers integer, task_order text,
                   reservation_activity_sid kin_tr.sid, reservation_activity_name text,
                   assignment_activity_sid kin_tr.sid, assignment_activity_name text,
                   date_created timestamptz, date_updated timestamptz, version bigint)
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_column
DECLARE
    named_queue kin_tr.sid := kin_tr._resolve('WQ', task_queue, workspace);
BEGIN
    RETURN QUERY
        SELECT q.sid, w.account_sid, q.workspace_sid, q.friendly_name, q.target_workers,
               q.max_reserved_workers, q.task_order, q.reservation_activity_sid, r.friendly_name,
               q.assignment_activity_sid, a.friendly_name, q.date_created, q.date_updated, q.version
          FROM kin_tr.task_queues q JOIN kin_tr.workspaces w ON w.sid = q.workspace_sid
          LEFT JOIN kin_tr.activities r ON r.sid = q.reservation_activity_sid
          LEFT JOIN kin_tr.activities a ON a.sid = q.assignment_activity_sid
         WHERE q.sid = named_queue;
END $$;

CREATE FUNCTION kin_tr._get_workflow(workflow text, workspace kin_tr.sid)
    RETURNS TABLE (sid kin_tr.sid, account_sid kin_tr.sid, workspace_sid kin_tr.sid, friendly_name text,
                   configuration jsonb, document_content_type text, assignment_callback_url text,
                   fallback_assignment_callback_url text, task_reservation_timeout integer,
                   default_priority integer, date_created timestamptz, date_updated timestamptz,
                   version bigint)
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_column
DECLARE
    named_workflow kin_tr.sid := kin_tr._resolve('WW', workflow, workspace);
BEGIN
    RETURN QUERY
        SELECT f.sid, w.account_sid, f.workspace_sid, f.friendly_name, f.configuration, 'application/json',
               f.assignment_callback_url, f.fallback_assignment_callback_url, f.task_reservation_timeout,
               f.default_priority, f.date_created, f.date_updated, f.version
          FROM kin_tr.workflows f JOIN kin_tr.workspaces w ON w.sid = f.workspace_sid
         WHERE f.sid = named_workflow;
END $$;

CREATE FUNCTION kin_tr._get_worker(worker text, workspace kin_tr.sid)
    RETURNS TABLE (sid kin_tr.sid, account_sid kin_tr.sid, workspace_sid kin_tr.sid, friendly_name text,
                   attributes jsonb, activity_sid kin_tr.sid, activity_name text, available boolean,
                   date_created timestamptz, date_updated timestamptz, date_status_changed timestamptz,
                   version bigint)
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_column
DECLARE
    named_worker kin_tr.sid := kin_tr._resolve('WK', worker, workspace);
BEGIN
    RETURN QUERY
        SELECT k.sid, w.account_sid, k.workspace_sid, k.friendly_name, k.attributes, k.activity_sid,
               a.friendly_name, a.available, k.date_created, k.date_updated, k.date_status_changed, k.version
          FROM kin_tr.workers k JOIN kin_tr.workspaces w ON w.sid = k.workspace_sid
          JOIN kin_tr.activities a ON a.sid = k.activity_sid
         WHERE k.sid = named_worker;
END $$;

CREATE FUNCTION kin_tr._get_worker_channel(worker text, task_channel text, workspace kin_tr.sid)
    RETURNS TABLE (sid kin_tr.sid, account_sid kin_tr.sid, workspace_sid kin_tr.sid, worker_sid kin_tr.sid,
                   task_channel_sid kin_tr.sid, task_channel_unique_name text, configured_capacity integer,
                   available boolean, assigned_tasks integer, open_reservations integer,
                   available_capacity_percentage integer, last_reserved_time timestamptz,
                   date_created timestamptz, date_updated timestamptz)
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_column
DECLARE
    named_worker kin_tr.sid := kin_tr._resolve('WK', worker, workspace);
    named_channel kin_tr.sid := kin_tr._resolve('TC', task_channel, workspace);
BEGIN
    RETURN QUERY
        SELECT (l.channel).sid, w.account_sid, w.sid, (l.channel).worker_sid, c.sid, c.unique_name,
               (l.channel).configured_capacity, (l.channel).available, l.assigned, l.open,
               kin_tr._capacity_percentage((l.channel).configured_capacity, l.open), l.last_reserved,
               (l.channel).date_created, (l.channel).date_updated
          FROM kin_tr._worker_channel_load(named_worker) l
          JOIN kin_tr.task_channels c ON c.sid = (l.channel).task_channel_sid
          JOIN kin_tr.workspaces w ON w.sid = c.workspace_sid
         WHERE c.sid = named_channel;
END $$;

CREATE FUNCTION kin_tr._worker_status(worker text, workspace kin_tr.sid)
    RETURNS TABLE (worker_sid kin_tr.sid, friendly_name text, activity_name text, available boolean,
                   date_status_changed timestamptz, task_channel_unique_name text, channel_available boolean,
                   configured_capacity integer, open_reservations integer, assigned_tasks integer,
                   available_capacity_percentage integer, last_reserved_time timestamptz)
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_column
DECLARE
    named_worker kin_tr.sid := kin_tr._resolve('WK', worker, workspace);
BEGIN
    RETURN QUERY
        SELECT k.sid, k.friendly_name, a.friendly_name, a.available, k.date_status_changed, c.unique_name,
               (l.channel).available, (l.channel).configured_capacity, l.open, l.assigned,
               kin_tr._capacity_percentage((l.channel).configured_capacity, l.open), l.last_reserved
          FROM kin_tr.workers k
          JOIN kin_tr.activities a ON a.sid = k.activity_sid
          CROSS JOIN kin_tr._worker_channel_load(k.sid) l
          JOIN kin_tr.task_channels c ON c.sid = (l.channel).task_channel_sid
         WHERE k.sid = named_worker
         ORDER BY c.sid;
END $$;

CREATE FUNCTION kin_tr._worker_values(worker text, workspace kin_tr.sid) RETURNS jsonb
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_column
DECLARE
    named_worker kin_tr.sid := kin_tr._resolve('WK', worker, workspace);
    result jsonb;
    channels jsonb;
BEGIN
    SELECT k.attributes || jsonb_build_object('sid', k.sid, 'friendly_name', k.friendly_name,
               'activity_sid', a.sid, 'activity_name', a.friendly_name)
      INTO result
      FROM kin_tr.workers k JOIN kin_tr.activities a ON a.sid = k.activity_sid
     WHERE k.sid = named_worker;
    IF coalesce(jsonb_typeof(result -> 'channel'), 'object') <> 'object' THEN
        RETURN result;
    END IF;
    SELECT jsonb_object_agg(c.unique_name, jsonb_build_object(
               'configured_capacity', (l.channel).configured_capacity, 'assigned_tasks', l.assigned,
               'available_capacity_percentage', kin_tr._capacity_percentage((l.channel).configured_capacity, l.open)))
      INTO channels
      FROM kin_tr._worker_channel_load(named_worker) l
      JOIN kin_tr.task_channels c ON c.sid = (l.channel).task_channel_sid;
    RETURN result || jsonb_build_object('channel', coalesce(result -> 'channel', '{}') || coalesce(channels, '{}'));
END $$;

-- By an index scan, whatever the planner knows: it would rather use a bitmap,
-- and that reads the dead rows of all that the worker has done of late.
CREATE FUNCTION kin_tr._active_reservations(worker text, workspace kin_tr.sid)
    RETURNS TABLE (sid kin_tr.sid, reservation_status text, task_sid kin_tr.sid, worker_sid kin_tr.sid,
                   worker_name text, date_created timestamptz, date_updated timestamptz,
                   times_out_at timestamptz, task_attributes jsonb, task_priority integer, version bigint)
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp
    SET enable_bitmapscan = off SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    wk kin_tr.sid := CASE WHEN worker IS NOT NULL THEN kin_tr._resolve('WK', worker, workspace) END;
BEGIN
    RETURN QUERY
        SELECT r.sid, r.reservation_status, r.task_sid, r.worker_sid, r.worker_name, r.date_created,
               r.date_updated, CASE WHEN r.reservation_status = 'pending' THEN r.times_out_at END,
               t.attributes, t.priority, r.version
          FROM kin_tr.reservations r JOIN kin_tr.tasks t ON t.sid = r.task_sid
         WHERE r.is_open AND r.workspace_sid = workspace
           AND r.worker_sid BETWEEN coalesce(wk, ('WK' || repeat('0', 32))::kin_tr.sid)
                            AND coalesce(wk, ('WK' || repeat('f', 32))::kin_tr.sid)
         ORDER BY r.sid;
END $$;

-- Tasks and reservations have no name but their sid; an error where it is not one of its kind.
CREATE FUNCTION kin_tr._check_sid(sid text, kind text) RETURNS kin_tr.sid
    LANGUAGE c IMMUTABLE AS 'MODULE_PATHNAME', 'kin_tr_check_sid'
    SET search_path = pg_catalog, kin_tr, pg_temp;

CREATE FUNCTION kin_tr._get_task(task text, workspace kin_tr.sid) RETURNS SETOF kin_tr.all_tasks
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT * FROM kin_tr.all_tasks t
                  WHERE t.sid = kin_tr._check_sid(task, 'WT') AND t.workspace_sid = workspace;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'task "%" does not exist', task
            USING ERRCODE = 'undefined_object', HINT = 'History may have been cut by kin_tr.history_retention.';
    END IF;
END $$;

CREATE FUNCTION kin_tr._get_reservation(reservation text, workspace kin_tr.sid) RETURNS SETOF kin_tr.all_reservations
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT * FROM kin_tr.all_reservations r
                  WHERE r.sid = kin_tr._check_sid(reservation, 'WR') AND r.workspace_sid = workspace;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'reservation "%" does not exist', reservation
            USING ERRCODE = 'undefined_object', HINT = 'History may have been cut by kin_tr.history_retention.';
    END IF;
END $$;

CREATE FUNCTION kin_tr._get_task_by_call_sid(call_sid text, workspace kin_tr.sid) RETURNS SETOF kin_tr.all_tasks
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT * FROM kin_tr.all_tasks t
                  WHERE t.attributes ? 'call_sid' AND left(t.attributes ->> 'call_sid', 64) = left(call_sid, 64)
                    AND t.attributes ->> 'call_sid' = call_sid
                    AND t.workspace_sid = workspace
                  ORDER BY t.date_created DESC, t.sid DESC LIMIT 1;
END $$;
