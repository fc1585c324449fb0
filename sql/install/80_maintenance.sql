-- -------------------------------------------------------------- maintenance
-- Moves finished tasks, with their reservations, to history: those of a queue,
-- workflow or channel that is about to go, whatever their age.
CREATE FUNCTION kin_tr._move_to_history(queue kin_tr.sid, workflow kin_tr.sid, channel kin_tr.sid) RETURNS integer
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
DECLARE
    tasks kin_tr.sid[];
BEGIN
    SELECT array_agg(s.sid) INTO tasks
      FROM (SELECT t.sid FROM kin_tr.tasks t
             WHERE t.finished_at IS NOT NULL
               AND (t.task_queue_sid = queue OR t.workflow_sid = workflow OR t.task_channel_sid = channel)
             ORDER BY t.sid FOR UPDATE) s;
    RETURN kin_tr._move_tasks(tasks);
END $$;

-- The tasks are locked.  A worker's clock is kept from the reservations that go.
CREATE FUNCTION kin_tr._move_tasks(tasks kin_tr.sid[]) RETURNS integer
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp
    SET enable_seqscan = off SET jit = off AS $$
DECLARE
    n integer;
BEGIN
    UPDATE kin_tr.worker_channels c SET last_reserved_at = m.latest
      FROM (SELECT r.worker_sid, r.task_channel_sid, max(r.date_created) AS latest
              FROM kin_tr.reservations r WHERE r.task_sid = ANY (tasks)
             GROUP BY r.worker_sid, r.task_channel_sid
             ORDER BY r.worker_sid, r.task_channel_sid) m
     WHERE c.worker_sid = m.worker_sid AND c.task_channel_sid = m.task_channel_sid
       AND (c.last_reserved_at IS NULL OR c.last_reserved_at < m.latest);
    WITH moved AS (DELETE FROM kin_tr.reservations r WHERE r.task_sid = ANY (tasks) RETURNING r.*)
    INSERT INTO kin_tr.reservation_history (recorded_at, sid, workspace_sid, version, reservation_status,
           task_sid, worker_sid, worker_name, task_channel_sid, task_queue_sid, workflow_sid,
           date_created, date_updated, reason)
    SELECT clock_timestamp(), sid, workspace_sid, version, reservation_status, task_sid, worker_sid,
           worker_name, task_channel_sid, task_queue_sid, workflow_sid, date_created, date_updated, reason
      FROM moved;
    WITH moved AS (DELETE FROM kin_tr.tasks t WHERE t.sid = ANY (tasks) RETURNING t.*)
    INSERT INTO kin_tr.task_history (recorded_at, sid, workspace_sid, version, assignment_status, priority,
           timeout, reason, workflow_sid, workflow_version, workflow_friendly_name, task_queue_sid,
           task_queue_friendly_name, task_channel_sid, task_channel_unique_name, routing_target,
           ignore_capacity, date_created, date_updated, task_queue_entered_date, virtual_start_time,
           not_before, finished_at, assignments, attributes)
    SELECT clock_timestamp(), m.sid, m.workspace_sid, m.version, m.assignment_status, m.priority,
           m.timeout, m.reason, m.workflow_sid, m.workflow_version, f.friendly_name, m.task_queue_sid,
           q.friendly_name, m.task_channel_sid, c.unique_name, m.routing_target, m.ignore_capacity,
           m.date_created, m.date_updated, m.task_queue_entered_date, m.virtual_start_time,
           m.not_before, m.finished_at, m.assignments, m.attributes
      FROM moved m
      LEFT JOIN kin_tr.workflows f ON f.sid = m.workflow_sid
      LEFT JOIN kin_tr.task_queues q ON q.sid = m.task_queue_sid
      LEFT JOIN kin_tr.task_channels c ON c.sid = m.task_channel_sid;
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
END $$;

-- Finished tasks whose five minutes are over, a batch; how many were moved.
-- One that is locked is left for the next time.
-- Its plans are kept from when the tables may have been small, hence the settings.
CREATE FUNCTION kin_tr._move_finished(max integer) RETURNS integer
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp
    SET enable_seqscan = off SET jit = off AS $$
DECLARE
    tasks kin_tr.sid[];
BEGIN
    SELECT array_agg(s.sid) INTO tasks
      FROM (SELECT t.sid FROM kin_tr.tasks t
             WHERE t.finished_at <= kin_tr.now() - interval '5 minutes'
             ORDER BY t.finished_at LIMIT max FOR UPDATE SKIP LOCKED) s;
    RETURN CASE WHEN tasks IS NULL THEN 0 ELSE kin_tr._move_tasks(tasks) END;
END $$;

