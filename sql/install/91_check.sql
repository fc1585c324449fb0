-- ------------------------------------------------------------------- check
CREATE FUNCTION kin_tr.check() RETURNS TABLE (invariant text, object kin_tr.sid, detail text)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_reader'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.check() IS
'A row for each broken invariant; no row is a proof that there is none. docs/operations.md lists them with their
cost: it reads every live task, reservation, worker and configuration row once. Only for the owner.';

CREATE FUNCTION kin_tr._check() RETURNS TABLE (invariant text, object kin_tr.sid, detail text)
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT 'a workspace''s activities are its own', w.sid, format('activity %s', a.sid)
      FROM kin_tr.workspaces w, unnest(ARRAY[w.default_activity_sid, w.timeout_activity_sid]) a(sid)
     WHERE NOT EXISTS (SELECT FROM kin_tr.activities x WHERE x.sid = a.sid AND x.workspace_sid = w.sid);
    RETURN QUERY SELECT 'what belongs to a workspace belongs to one that exists', x.sid, x.workspace_sid::text
      FROM (SELECT a.sid, a.workspace_sid FROM kin_tr.activities a
            UNION ALL SELECT c.sid, c.workspace_sid FROM kin_tr.task_channels c
            UNION ALL SELECT q.sid, q.workspace_sid FROM kin_tr.task_queues q
            UNION ALL SELECT f.sid, f.workspace_sid FROM kin_tr.workflows f
            UNION ALL SELECT w.sid, w.workspace_sid FROM kin_tr.workers w
            UNION ALL SELECT t.sid, t.workspace_sid FROM kin_tr.tasks t) x
     WHERE NOT EXISTS (SELECT FROM kin_tr.workspaces w WHERE w.sid = x.workspace_sid);
    RETURN QUERY SELECT 'a queue''s activities exist', q.sid, format('activity %s', a.sid)
      FROM kin_tr.task_queues q, unnest(ARRAY[q.reservation_activity_sid, q.assignment_activity_sid]) a(sid)
     WHERE a.sid IS NOT NULL
       AND NOT EXISTS (SELECT FROM kin_tr.activities x WHERE x.sid = a.sid AND x.workspace_sid = q.workspace_sid);
    RETURN QUERY SELECT 'a worker''s activity exists', w.sid, format('activity %s', w.activity_sid) FROM kin_tr.workers w
     WHERE NOT EXISTS (SELECT FROM kin_tr.activities x WHERE x.sid = w.activity_sid AND x.workspace_sid = w.workspace_sid);
    RETURN QUERY SELECT 'a worker channel''s worker and task channel exist', c.sid, format('%s, %s', c.worker_sid, c.task_channel_sid)
      FROM kin_tr.worker_channels c
     WHERE NOT EXISTS (SELECT FROM kin_tr.workers w JOIN kin_tr.task_channels t ON t.workspace_sid = w.workspace_sid
                        WHERE w.sid = c.worker_sid AND t.sid = c.task_channel_sid AND w.workspace_sid = c.workspace_sid);
    RETURN QUERY SELECT 'a version''s workflow exists', v.workflow_sid, format('version %s', v.number) FROM kin_tr.workflow_versions v
     WHERE NOT EXISTS (SELECT FROM kin_tr.workflows f WHERE f.sid = v.workflow_sid AND f.workspace_sid = v.workspace_sid);
    RETURN QUERY SELECT 'a worker has one channel for each task channel', w.sid, format('%s of %s', c.n, t.n)
      FROM kin_tr.workers w,
           LATERAL (SELECT count(*) AS n FROM kin_tr.worker_channels c WHERE c.worker_sid = w.sid) c,
           LATERAL (SELECT count(*) AS n FROM kin_tr.task_channels t WHERE t.workspace_sid = w.workspace_sid) t
     WHERE c.n <> t.n;
    RETURN QUERY SELECT 'a worker is found by its name', w.sid, w.friendly_name FROM kin_tr.workers w
     WHERE w.name_key IS DISTINCT FROM kin_tr._name_key(w.friendly_name);
    RETURN QUERY SELECT 'a workflow''s current version exists', w.sid, format('version %s', w.current_version)
      FROM kin_tr.workflows w
     WHERE NOT EXISTS (SELECT FROM kin_tr.workflow_versions v WHERE v.workflow_sid = w.sid AND v.number = w.current_version);
    RETURN QUERY SELECT 'a workflow''s queues exist', w.sid, q.queue
      FROM kin_tr.workflows w, kin_tr._queues_of(w.configuration) q(queue)
     WHERE NOT EXISTS (SELECT FROM kin_tr.task_queues x WHERE x.sid = q.queue::kin_tr.sid AND x.workspace_sid = w.workspace_sid);
    RETURN QUERY SELECT 'a task''s status is one of six', t.sid, t.assignment_status FROM kin_tr.tasks t
     WHERE t.assignment_status NOT IN ('pending', 'reserved', 'assigned', 'wrapping', 'completed', 'canceled');
    RETURN QUERY SELECT 'a reservation''s status is one of eight', r.sid, r.reservation_status FROM kin_tr.reservations r
     WHERE r.reservation_status NOT IN ('pending', 'accepted', 'wrapping', 'completed', 'rejected', 'timeout',
                                        'canceled', 'rescinded');
    RETURN QUERY SELECT 'a task''s channel exists', t.sid, t.task_channel_sid::text FROM kin_tr.tasks t
     WHERE NOT EXISTS (SELECT FROM kin_tr.task_channels x WHERE x.sid = t.task_channel_sid AND x.workspace_sid = t.workspace_sid);
    RETURN QUERY SELECT 'a task''s queue exists', t.sid, t.task_queue_sid::text FROM kin_tr.tasks t
     WHERE t.task_queue_sid IS NOT NULL
       AND NOT EXISTS (SELECT FROM kin_tr.task_queues x WHERE x.sid = t.task_queue_sid AND x.workspace_sid = t.workspace_sid);
    RETURN QUERY SELECT 'a task''s version of its workflow exists', t.sid, format('%s, version %s', t.workflow_sid, t.workflow_version)
      FROM kin_tr.tasks t
     WHERE t.workflow_sid IS NOT NULL
       AND NOT EXISTS (SELECT FROM kin_tr.workflow_versions x WHERE x.workflow_sid = t.workflow_sid AND x.number = t.workflow_version);
    RETURN QUERY SELECT 'only a pending task waits in a group', t.sid, t.assignment_status FROM kin_tr.tasks t
     WHERE t.group_key IS NOT NULL AND t.assignment_status <> 'pending';
    RETURN QUERY SELECT 'a pending task waits in a group, or for its time', t.sid, format('not before %s', t.not_before)
      FROM kin_tr.tasks t
     WHERE t.assignment_status = 'pending' AND t.group_key IS NULL AND (t.not_before IS NULL OR t.wake_at IS DISTINCT FROM t.not_before);
    RETURN QUERY SELECT 'a waiting or reserved task will be woken', t.sid, t.assignment_status FROM kin_tr.tasks t
     WHERE t.assignment_status IN ('pending', 'reserved') AND t.wake_at IS NULL;
    RETURN QUERY SELECT 'a task that has ended says when', t.sid, t.assignment_status FROM kin_tr.tasks t
     WHERE (t.assignment_status IN ('completed', 'canceled')) <> (t.finished_at IS NOT NULL);
    RETURN QUERY SELECT 'a task''s open reservations are counted', t.sid, format('%s, not %s', t.open_reservations, r.open)
      FROM kin_tr.tasks t,
           LATERAL (SELECT count(*) FILTER (WHERE r.is_open) AS open
                      FROM kin_tr.reservations r WHERE r.task_sid = t.sid) r
     WHERE t.open_reservations <> r.open;
    RETURN QUERY SELECT 'a task''s status follows from its reservations', t.sid,
           format('%s, with %s pending, %s accepted, %s wrapping', t.assignment_status, r.pending, r.accepted, r.wrapping)
      FROM kin_tr.tasks t,
           LATERAL (SELECT count(*) FILTER (WHERE r.reservation_status = 'pending') AS pending,
                           count(*) FILTER (WHERE r.reservation_status = 'accepted') AS accepted,
                           count(*) FILTER (WHERE r.reservation_status = 'wrapping') AS wrapping
                      FROM kin_tr.reservations r WHERE r.task_sid = t.sid) r
     WHERE NOT CASE t.assignment_status
               WHEN 'reserved' THEN r.pending > 0 AND r.accepted = 0 AND r.wrapping = 0
               WHEN 'assigned' THEN r.pending = 0 AND r.accepted + r.wrapping > 0
               WHEN 'wrapping' THEN r.pending = 0 AND r.wrapping > 0
               ELSE r.pending = 0 AND r.accepted = 0 AND r.wrapping = 0 END;
    RETURN QUERY SELECT 'a reservation is open by its status', r.sid, r.reservation_status FROM kin_tr.reservations r
     WHERE r.is_open <> (r.reservation_status IN ('pending', 'accepted', 'wrapping'));
    RETURN QUERY SELECT 'a pending reservation will time out', r.sid, r.reservation_status FROM kin_tr.reservations r
     WHERE r.reservation_status = 'pending' AND r.times_out_at IS NULL;
    RETURN QUERY SELECT 'a live reservation''s task is live', r.sid, r.task_sid::text FROM kin_tr.reservations r
     WHERE NOT EXISTS (SELECT FROM kin_tr.tasks x WHERE x.sid = r.task_sid);
    RETURN QUERY SELECT 'an open reservation''s worker exists', r.sid, r.worker_sid::text FROM kin_tr.reservations r
     WHERE r.is_open AND NOT EXISTS (SELECT FROM kin_tr.workers x WHERE x.sid = r.worker_sid AND x.workspace_sid = r.workspace_sid);
    RETURN QUERY SELECT 'a worker is offered a task once at a time', r.worker_sid, format('%s open of task %s', count(*), r.task_sid)
      FROM kin_tr.reservations r WHERE r.is_open GROUP BY r.worker_sid, r.task_sid HAVING count(*) > 1;
    RETURN QUERY SELECT 'no task is both live and in history', t.sid, t.assignment_status FROM kin_tr.tasks t
     WHERE EXISTS (SELECT FROM kin_tr.task_history h WHERE h.sid = t.sid);
    RETURN QUERY SELECT 'a role with access is there, under its name', a.workspace_sid, a.role::text FROM kin_tr.access a
     WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = a.role_oid AND r.rolname = a.role);
END $$;
