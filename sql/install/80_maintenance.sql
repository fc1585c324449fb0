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
-- nobody.  How many were moved; the others are left for the next time.
-- Its plans are kept from when the tables may have been small, hence the settings.
CREATE FUNCTION kin_tr._move_unlocked(tasks kin_tr.sid[]) RETURNS integer
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp
    SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_variable
DECLARE
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
    RETURN CASE WHEN cardinality(tasks) > 0 THEN kin_tr._move_tasks(tasks) ELSE 0 END;
END $$;

-- Finished tasks whose five minutes are over, a batch; how many were moved.
CREATE FUNCTION kin_tr._move_finished(max integer) RETURNS integer
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp
    SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
BEGIN
    RETURN kin_tr._move_unlocked(ARRAY(
        SELECT t.sid FROM kin_tr.tasks t
         WHERE t.finished_at <= kin_tr.now() - interval '5 minutes'
         ORDER BY t.finished_at, t.sid LIMIT max FOR UPDATE SKIP LOCKED));
END $$;

CREATE FUNCTION kin_tr.maintain() RETURNS TABLE (moved integer, partitions_made integer, partitions_dropped integer,
                                                 keys_deleted integer)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_admin'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.maintain() IS
'Moves finished tasks to history, makes the partitions of the coming weeks, drops those beyond retention, and
forgets idempotency keys after seven days. The router does all this; without one, call it every minute or so.
Waits for no lock longer than 50 ms, and leaves what it could not get for the next time. Only for the owner.';

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
    partitions_made := kin_tr._make_partitions();
    partitions_dropped := kin_tr._drop_partitions();
    keys_deleted := kin_tr._delete_keys(10000);
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
                                     ORDER BY k.recorded_at LIMIT max);
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
END $$;

-- Weeks begin on Monday, UTC.
CREATE FUNCTION kin_tr._partition_name(parent text, week date) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, kin_tr, pg_temp AS $$
    SELECT parent || to_char(week, '"_"IYYY"w"IW')
$$;

-- From a day to another, with what the default partition has in keys and indexes.
CREATE FUNCTION kin_tr._make_partition(parent text, name text, from_day date, to_day date) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
BEGIN
    EXECUTE format('CREATE TABLE kin_tr.%I (LIKE kin_tr.%I INCLUDING STORAGE INCLUDING COMPRESSION)', name, parent);
    EXECUTE format('ALTER TABLE kin_tr.%I ENABLE ROW LEVEL SECURITY', name);
    CASE parent
        WHEN 'events' THEN
            EXECUTE format('ALTER TABLE kin_tr.%I ADD PRIMARY KEY (id)', name);
            EXECUTE format('CREATE INDEX ON kin_tr.%I (era, xid)', name);
        WHEN 'task_history' THEN
            EXECUTE format('ALTER TABLE kin_tr.%I ADD PRIMARY KEY (sid, workspace_sid)', name);
            EXECUTE format('CREATE INDEX ON kin_tr.%I (left(attributes ->> ''call_sid'', 64)) WHERE attributes ? ''call_sid''', name);
        ELSE
            EXECUTE format('ALTER TABLE kin_tr.%I ADD PRIMARY KEY (sid, workspace_sid)', name);
            EXECUTE format('CREATE INDEX ON kin_tr.%I (task_sid)', name);
            EXECUTE format('CREATE INDEX ON kin_tr.%I (worker_sid, date_created)', name);
    END CASE;
    EXECUTE format('ALTER TABLE kin_tr.%I ATTACH PARTITION kin_tr.%I FOR VALUES FROM (%L) TO (%L)',
                   parent, name, from_day::timestamp AT TIME ZONE 'UTC', to_day::timestamp AT TIME ZONE 'UTC');
END $$;

-- Makes the partitions of the next weeks, from the day after tomorrow on: one
-- never has a row before it is there.  ATTACH and not PARTITION OF, which takes
-- an ACCESS EXCLUSIVE lock on the parent; the default partition is locked for
-- the moment in which it is looked through.  Those are no members of the
-- extension, so pg_dump treats them as any table.
CREATE FUNCTION kin_tr._make_partitions() RETURNS integer
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp SET lock_timeout = '50ms' AS $$
DECLARE
    parent text;
    week date;
    from_day date;
    name text;
    made integer := 0;
BEGIN
    -- A restored dump brings its own, which must not overlap.
    IF NOT EXISTS (SELECT FROM kin_tr.workspaces) OR NOT kin_tr._lock_role(3) THEN
        RETURN 0;
    END IF;
    FOREACH parent IN ARRAY ARRAY['events', 'task_history', 'reservation_history'] LOOP
        FOR ahead IN 0 .. 3 LOOP
            week := (date_trunc('week', clock_timestamp() AT TIME ZONE 'UTC') + ahead * interval '1 week')::date;
            from_day := greatest(week, (clock_timestamp() AT TIME ZONE 'UTC')::date + 2);
            name := kin_tr._partition_name(parent, week);
            CONTINUE WHEN from_day >= week + 7 OR to_regclass('kin_tr.' || name) IS NOT NULL;
            BEGIN
                PERFORM kin_tr._make_partition(parent, name, from_day, week + 7);
                made := made + 1;
            EXCEPTION WHEN lock_not_available THEN
                RETURN made;
            END;
        END LOOP;
    END LOOP;
    RETURN made;
END $$;

-- Drops what is wholly older than retention says, by the real clock.
CREATE FUNCTION kin_tr._drop_partitions() RETURNS integer
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp SET lock_timeout = '50ms' AS $$
DECLARE
    p record;
    keep interval;
    dropped integer := 0;
BEGIN
    IF NOT kin_tr._lock_role(3) THEN
        RETURN 0;
    END IF;
    FOR p IN
        SELECT parent.relname AS parent, child.relname AS name,
               (regexp_match(pg_get_expr(child.relpartbound, child.oid), 'TO \(''([^'']+)''\)'))[1]::timestamptz AS upper
          FROM pg_inherits i
          JOIN pg_class parent ON parent.oid = i.inhparent
          JOIN pg_class child ON child.oid = i.inhrelid
         WHERE i.inhparent IN ('kin_tr.events'::regclass, 'kin_tr.task_history'::regclass, 'kin_tr.reservation_history'::regclass)
           AND pg_get_expr(child.relpartbound, child.oid) <> 'DEFAULT'
         ORDER BY upper LOOP
        keep := make_interval(days => current_setting(CASE p.parent WHEN 'events' THEN 'kin_tr.event_retention'
                                                     ELSE 'kin_tr.history_retention' END)::integer);
        CONTINUE WHEN p.upper > clock_timestamp() - keep;
        BEGIN
            IF p.parent = 'events' THEN
                PERFORM kin_tr._note_dropped(format('kin_tr.%I', p.name)::regclass);
            END IF;
            EXECUTE format('DROP TABLE kin_tr.%I', p.name);
            dropped := dropped + 1;
        EXCEPTION WHEN lock_not_available THEN
            RETURN dropped;
        END;
    END LOOP;
    PERFORM kin_tr._trim_defaults();
    RETURN dropped;
END $$;

-- What is in the default partitions goes row by row, of the 10,000 with the
-- lowest keys, which rise with time; those of events strictly, so that nothing
-- is read where the first one stays.
CREATE FUNCTION kin_tr._trim_defaults() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
    now constant timestamptz := clock_timestamp();
    event_limit constant timestamptz := now - make_interval(days => current_setting('kin_tr.event_retention')::integer);
    history_limit constant timestamptz := now - make_interval(days => current_setting('kin_tr.history_retention')::integer);
    last record;
BEGIN
    IF (SELECT e.recorded_at FROM kin_tr.events_default e ORDER BY e.id LIMIT 1) < event_limit THEN
        WITH dropped AS (
            DELETE FROM kin_tr.events_default
             WHERE id = ANY (ARRAY(SELECT e.id FROM kin_tr.events_default e ORDER BY e.id LIMIT 10000))
               AND recorded_at < event_limit
            RETURNING era, xid, id)
        SELECT d.era, d.xid, max(d.id) OVER () AS id INTO last FROM dropped d ORDER BY d.era DESC, d.xid DESC LIMIT 1;
        PERFORM kin_tr._raise_dropped(last.era, last.xid, last.id);
    END IF;
    DELETE FROM kin_tr.task_history_default
     WHERE sid = ANY (ARRAY(SELECT h.sid FROM kin_tr.task_history_default h ORDER BY h.sid LIMIT 10000))
       AND recorded_at < history_limit;
    DELETE FROM kin_tr.reservation_history_default
     WHERE sid = ANY (ARRAY(SELECT h.sid FROM kin_tr.reservation_history_default h ORDER BY h.sid LIMIT 10000))
       AND recorded_at < history_limit;
END $$;

CREATE FUNCTION kin_tr._raise_dropped(dropped_era integer, dropped_xid xid8, dropped_id bigint) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
BEGIN
    IF dropped_id IS NULL THEN
        RETURN;
    END IF;
    UPDATE kin_tr.events_dropped d SET id = greatest(d.id, dropped_id);
    UPDATE kin_tr.events_dropped d SET era = dropped_era, xid = dropped_xid
     WHERE (d.era, d.xid) < (dropped_era, dropped_xid);
    IF NOT EXISTS (SELECT FROM kin_tr.events_dropped) THEN
        INSERT INTO kin_tr.events_dropped VALUES (dropped_era, dropped_xid, dropped_id);
    END IF;
END $$;

CREATE FUNCTION kin_tr._note_dropped(partition regclass) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
DECLARE
    last record;
    last_id bigint;
BEGIN
    EXECUTE format('SELECT era, xid FROM %s ORDER BY era DESC, xid DESC LIMIT 1', partition) INTO last;
    EXECUTE format('SELECT max(id) FROM %s', partition) INTO last_id;
    PERFORM kin_tr._raise_dropped(last.era, last.xid, last_id);
END $$;
