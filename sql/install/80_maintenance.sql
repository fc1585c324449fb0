-- -------------------------------------------------------------- maintenance
-- 3: KT_ROLE_MAINTENANCE of src/base/lock.h.
CREATE FUNCTION kin_tr._lock_role(role integer) RETURNS boolean
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'kin_tr_lock_role'
    SET search_path = pg_catalog, kin_tr, pg_temp;

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

-- Of these tasks those that nobody holds, nor their workers' channels: it waits for
-- nobody.  Those that are left, for the next time.
-- Its plans are kept from when the tables may have been small, hence the settings.
CREATE FUNCTION kin_tr._move_unlocked(tasks kin_tr.sid[]) RETURNS kin_tr.sid[]
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp
    SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_variable
DECLARE
    given kin_tr.sid[] := tasks;
    held kin_tr.sid[];
BEGIN
    tasks := ARRAY(SELECT t.sid FROM kin_tr.tasks t WHERE t.sid = ANY (tasks) ORDER BY t.sid FOR UPDATE SKIP LOCKED);
    -- Those of whose worker's channels one is to be written, and somebody has it.
    WITH wanted AS MATERIALIZED (
        SELECT r.task_sid, c.sid, c.workspace_sid
          FROM kin_tr.reservations r
          JOIN kin_tr.worker_channels c ON c.worker_sid = r.worker_sid AND c.task_channel_sid = r.task_channel_sid
         WHERE r.task_sid = ANY (tasks) AND (c.last_reserved_at IS NULL OR c.last_reserved_at < r.date_created)),
    locked AS MATERIALIZED (
        SELECT c.sid FROM kin_tr.worker_channels c WHERE c.sid IN (SELECT w.sid FROM wanted w)
           FOR NO KEY UPDATE SKIP LOCKED)
    SELECT array_agg(w.task_sid) INTO held FROM wanted w WHERE NOT EXISTS (SELECT FROM locked l WHERE l.sid = w.sid);
    IF held IS NOT NULL THEN
        tasks := ARRAY(SELECT t FROM unnest(tasks) t WHERE t <> ALL (held));
    END IF;
    IF cardinality(tasks) > 0 THEN
        PERFORM kin_tr._move_tasks(tasks);
    END IF;
    RETURN ARRAY(SELECT t.sid FROM kin_tr.tasks t WHERE t.sid = ANY (given));
END $$;

-- Finished tasks whose five minutes are over, a batch; how many were moved.
CREATE FUNCTION kin_tr._move_finished(max integer) RETURNS integer
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp
    SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
DECLARE
    found kin_tr.sid[] := ARRAY(SELECT t.sid FROM kin_tr.tasks t
                                 WHERE t.finished_at <= kin_tr.now() - interval '5 minutes'
                                 ORDER BY t.finished_at, t.sid LIMIT max FOR UPDATE SKIP LOCKED);
BEGIN
    RETURN cardinality(found) - cardinality(kin_tr._move_unlocked(found));
END $$;

CREATE FUNCTION kin_tr.maintain() RETURNS TABLE (moved integer, partitions_made integer, partitions_dropped integer,
                                                 keys_deleted integer)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_admin'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.maintain() IS
'Moves finished tasks to history, forgets idempotency keys after seven days, makes the partitions of the coming weeks and
drops those beyond retention. The background processes do all this; without them, call it every minute or so. What is
locked by somebody else it leaves for the next time: it waits 20 ms at most for each table. Where a partition cannot be
made or dropped it warns, and does the rest. Only for the owner.';

CREATE FUNCTION kin_tr._maintain() RETURNS TABLE (moved integer, partitions_made integer, partitions_dropped integer,
                                                  keys_deleted integer)
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
DECLARE
    n integer;
BEGIN
    moved := 0;
    LOOP
        n := kin_tr._move_finished(1000);
        moved := moved + n;
        EXIT WHEN n < 1000;
    END LOOP;
    keys_deleted := kin_tr._delete_keys(10000);
    partitions_made := kin_tr._maintain_partitions(true);
    partitions_dropped := kin_tr._maintain_partitions(false);
    PERFORM kin_tr._trim_defaults(10000);
    RETURN NEXT;
END $$;

CREATE FUNCTION kin_tr._delete_keys(max integer) RETURNS integer
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
DECLARE
    n integer;
BEGIN
    DELETE FROM kin_tr.idempotency_keys
     WHERE (workspace_sid, key) IN (SELECT k.workspace_sid, k.key FROM kin_tr.idempotency_keys k
                                     WHERE k.recorded_at < clock_timestamp() - interval '7 days'
                                     ORDER BY k.recorded_at LIMIT max FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
END $$;
