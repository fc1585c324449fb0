-- ------------------------------------------------------ rights and operation
CREATE FUNCTION kin_tr._readable_workspaces() RETURNS kin_tr.sid[]
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'kin_tr_readable_workspaces'
    SET search_path = pg_catalog, kin_tr, pg_temp;
CREATE FUNCTION kin_tr._access_in(workspace kin_tr.sid) RETURNS text
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'kin_tr_access_in'
    SET search_path = pg_catalog, kin_tr, pg_temp;
CREATE FUNCTION kin_tr._worker_states() RETURNS TABLE (worker text, pid integer, started_at timestamptz,
                                                       last_turn timestamptz, paused boolean)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_worker_states'
    SET search_path = pg_catalog, kin_tr, pg_temp;
CREATE FUNCTION kin_tr._workers_missing() RETURNS integer
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_workers_missing'
    SET search_path = pg_catalog, kin_tr, pg_temp;
CREATE FUNCTION kin_tr._is_preloaded() RETURNS boolean
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_is_preloaded'
    SET search_path = pg_catalog, kin_tr, pg_temp;
-- 3: KT_ROLE_MAINTENANCE of src/base/lock.h.
CREATE FUNCTION kin_tr._lock_role(role integer) RETURNS boolean
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'kin_tr_lock_role'
    SET search_path = pg_catalog, kin_tr, pg_temp;
CREATE FUNCTION kin_tr._wake() RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_wake'
    SET search_path = pg_catalog, kin_tr, pg_temp;

CREATE FUNCTION kin_tr.version() RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, kin_tr, pg_temp AS $$
    SELECT extversion FROM pg_extension WHERE extname = 'kin_tr'
$$;
COMMENT ON FUNCTION kin_tr.version() IS 'The version of the extension in this database';

-- Row-level security guards direct reads.  The owner's own statements, all
-- those of the functions, pass it by.
DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['activities', 'task_channels', 'task_queues', 'workflows', 'workflow_versions',
                             'workers', 'worker_channels', 'tasks', 'reservations', 'task_history',
                             'reservation_history', 'events', 'access', 'idempotency_keys'] LOOP
        EXECUTE format('ALTER TABLE kin_tr.%I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY readable ON kin_tr.%I FOR SELECT USING (workspace_sid'
                       ' OPERATOR(pg_catalog.=) ANY ((SELECT kin_tr._readable_workspaces())::kin_tr.sid[]))', t);
    END LOOP;
    ALTER TABLE kin_tr.workspaces ENABLE ROW LEVEL SECURITY;
    CREATE POLICY readable ON kin_tr.workspaces FOR SELECT
        USING (sid OPERATOR(pg_catalog.=) ANY ((SELECT kin_tr._readable_workspaces())::kin_tr.sid[]));
END $$;

-- What each kind of access needs; a kind has what those before it have.
CREATE FUNCTION kin_tr._functions_of(kind text) RETURNS SETOF regprocedure
    LANGUAGE sql STABLE SET search_path = pg_catalog, kin_tr, pg_temp AS $$
    SELECT p.oid::regprocedure FROM pg_proc p
     WHERE p.pronamespace = 'kin_tr'::regnamespace
       AND (p.proname = ANY (ARRAY['_readable_workspaces', 'get_workspace', 'get_activity', 'get_task_channel',
                'get_task_queue', 'get_workflow', 'get_worker', 'get_worker_channel', 'get_task',
                'get_task_by_call_sid', 'get_reservation', 'worker_status', 'active_reservations',
                'events_since', 'current_cursor', 'evaluate_expression', 'validate_workflow', 'now',
                'next_due', 'version', 'health', '_sid_eq_text', '_text_eq_sid', '_text_concat_sid'])
            OR p.proname LIKE '\_sid\_%' OR p.proname IN ('_capacity_percentage')
            OR kind IN ('app', 'supervisor', 'admin') AND p.proname = ANY (ARRAY['create_task',
                'create_voice_call_task', 'create_callback_task', 'update_task', 'cancel_task', 'wrapup_task',
                'complete_task', 'delete_task', 'accept_reservation', 'reject_reservation',
                'wrapup_reservation', 'complete_reservation', 'update_worker_activity', 'tick'])
            OR kind IN ('supervisor', 'admin') AND p.proname = ANY (ARRAY['create_worker', 'update_worker',
                'delete_worker', 'update_worker_channel'])
            OR kind = 'admin' AND p.proname = ANY (ARRAY['update_workspace', 'delete_workspace',
                'create_activity', 'update_activity', 'delete_activity', 'create_task_channel',
                'update_task_channel', 'delete_task_channel', 'create_task_queue', 'update_task_queue',
                'delete_task_queue', 'create_workflow', 'update_workflow', 'delete_workflow',
                'grant_access', 'revoke_access']))
$$;

CREATE FUNCTION kin_tr._may_grant(workspace kin_tr.sid) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
BEGIN
    IF workspace IS NULL OR kin_tr._access_in(workspace) <> 'admin' THEN
        PERFORM kin_tr._require_owner('grant access');
    END IF;
END $$;

-- Grants of PostgreSQL let a role call; the table "access" says where.
CREATE FUNCTION kin_tr._apply_access(role name, kind text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
DECLARE
    f regprocedure;
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA kin_tr TO %I', role);
    EXECUTE format('GRANT SELECT ON kin_tr.workspaces, kin_tr.activities, kin_tr.task_channels,'
                   ' kin_tr.task_queues, kin_tr.workflows, kin_tr.workflow_versions, kin_tr.workers,'
                   ' kin_tr.worker_channels, kin_tr.tasks, kin_tr.reservations, kin_tr.task_history,'
                   ' kin_tr.reservation_history, kin_tr.events, kin_tr.all_tasks, kin_tr.all_reservations'
                   ' TO %I', role);
    FOR f IN SELECT kin_tr._functions_of(kind) LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', f, role);
    END LOOP;
END $$;

-- Takes all of PostgreSQL's grants back, and gives again what the table "access" still asks for.
CREATE FUNCTION kin_tr._renew_access(role name) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    left_over record;
BEGIN
    EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA kin_tr FROM %I', role);
    EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA kin_tr FROM %I', role);
    EXECUTE format('REVOKE ALL ON SCHEMA kin_tr FROM %I', role);
    FOR left_over IN SELECT DISTINCT a.kind FROM kin_tr.access a WHERE a.role = role LOOP
        PERFORM kin_tr._apply_access(role, left_over.kind);
    END LOOP;
END $$;

CREATE FUNCTION kin_tr._grant_access(role regrole, kind text, workspace kin_tr.sid) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    role_name name := (SELECT r.rolname FROM pg_roles r WHERE r.oid = role);
BEGIN
    IF role_name IS NULL OR kind IS NULL THEN
        RAISE EXCEPTION 'role and kind must not be null'
            USING ERRCODE = 'null_value_not_allowed', HINT = 'Kinds are reader, app, supervisor and admin.';
    END IF;
    PERFORM kin_tr._check_choice('kind', kind, ARRAY['reader', 'app', 'supervisor', 'admin']);
    INSERT INTO kin_tr.access AS a (role, kind, workspace_sid) VALUES (role_name, kind, workspace)
    ON CONFLICT DO NOTHING;
    PERFORM kin_tr._apply_access(role_name, kind);
END $$;

CREATE FUNCTION kin_tr._revoke_access(role regrole, kind text, workspace kin_tr.sid) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    role_name name := (SELECT r.rolname FROM pg_roles r WHERE r.oid = role);
BEGIN
    PERFORM kin_tr._check_choice('kind', kind, ARRAY['reader', 'app', 'supervisor', 'admin']);
    DELETE FROM kin_tr.access a
     WHERE a.role = role_name AND a.kind = kind AND a.workspace_sid IS NOT DISTINCT FROM workspace;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'role "%" has no access of kind "%" there', role_name, kind
            USING ERRCODE = 'undefined_object', HINT = 'The table kin_tr.access tells who has which.';
    END IF;
    PERFORM kin_tr._renew_access(role_name);
END $$;

CREATE FUNCTION kin_tr.grant_access(role regrole, kind text, workspace text DEFAULT NULL) RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_grant'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.grant_access IS
'Lets a role, and its members, use a workspace, or all of them: as reader; as app: tasks, reservations and
workers'' activities; as supervisor: workers too; as admin: everything of the workspace. For all workspaces only
for the owner of the extension, for one also for its admins. Error 42501, 42704, 22023.';
CREATE FUNCTION kin_tr.revoke_access(role regrole, kind text, workspace text DEFAULT NULL) RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_grant'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.revoke_access IS
'Takes back what grant_access() gave with the same arguments. Error 42704 where it gave nothing.';

-- ------------------------------------------------------------- maintenance
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
    CASE parent
        WHEN 'events' THEN
            EXECUTE format('ALTER TABLE kin_tr.%I ADD PRIMARY KEY (id)', name);
            EXECUTE format('CREATE INDEX ON kin_tr.%I (era, xid)', name);
        WHEN 'task_history' THEN
            EXECUTE format('ALTER TABLE kin_tr.%I ADD PRIMARY KEY (sid, workspace_sid)', name);
            EXECUTE format('CREATE INDEX ON kin_tr.%I ((attributes ->> ''call_sid'')) WHERE attributes ? ''call_sid''', name);
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

-- The router's housekeeping: a batch of moves each second, the rest each minute.
CREATE FUNCTION kin_tr._maintain_a_little(everything boolean) RETURNS integer
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
BEGIN
    IF everything THEN
        PERFORM kin_tr._make_partitions();
        PERFORM kin_tr._drop_partitions();
        PERFORM kin_tr._delete_keys(1000);
    END IF;
    RETURN kin_tr._move_finished(1000);
END $$;

-- ------------------------------------------------------------------ health
CREATE FUNCTION kin_tr.health() RETURNS TABLE (item text, state text, detail text)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_health'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.health() IS
'How kin_tr is running in this database, an item a row: version, preload, each worker with its state and lag,
workers that could not be started, clock, home, missed edges, oldest waiting task, invariants are check()''s.
state: ok, paused, missing or fault. Needs access of kind reader somewhere.';

CREATE FUNCTION kin_tr._health() RETURNS TABLE (item text, state text, detail text)
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
DECLARE
    preloaded boolean := kin_tr._is_preloaded();
    missing integer := kin_tr._workers_missing();
BEGIN
    RETURN QUERY SELECT 'version', 'ok', kin_tr.version();
    RETURN QUERY SELECT 'preload', CASE WHEN preloaded THEN 'ok' ELSE 'missing' END,
        CASE WHEN preloaded THEN 'shared_preload_libraries has kin_tr'
             ELSE 'not in shared_preload_libraries: call tick(), ring() and maintain() yourself' END;
    RETURN QUERY SELECT w.worker,
        CASE WHEN pg_is_in_recovery() THEN 'paused' WHEN w.pid IS NULL THEN 'missing'
             WHEN w.paused THEN 'paused' ELSE 'ok' END,
        CASE WHEN pg_is_in_recovery() THEN 'a standby: starts when its promotion has finished'
             WHEN w.pid IS NULL THEN 'not running'
             ELSE format('pid %s, since %s, last turn %s ms ago', w.pid, date_trunc('second', w.started_at),
                         round(extract(epoch FROM clock_timestamp() - w.last_turn) * 1000)) END
      FROM kin_tr._worker_states() w WHERE preloaded;
    RETURN QUERY SELECT 'workers not started', CASE missing WHEN 0 THEN 'ok' ELSE 'fault' END,
        CASE missing WHEN 0 THEN 'none' ELSE format('%s: raise max_worker_processes', missing) END;
    RETURN QUERY SELECT 'clock', CASE WHEN c.now IS NULL THEN 'ok' ELSE 'paused' END,
        CASE WHEN c.now IS NULL THEN 'real time'
             ELSE format('set to %s: tick() alone acts; set_clock(NULL) returns to real time', c.now) END
      FROM (SELECT max(now) AS now FROM kin_tr.clock) c;
    RETURN QUERY SELECT 'home', CASE WHEN h THEN 'ok' ELSE 'paused' END,
        CASE WHEN h THEN 'this database' ELSE 'a copy: nothing acts until resume_after_restore()' END
      FROM kin_tr._at_home() h;
    RETURN QUERY SELECT 'missed edges', CASE s.missed_edges WHEN 0 THEN 'ok' ELSE 'fault' END,
        format('%s; last sweep %s', s.missed_edges, coalesce(s.last_sweep::text, 'never')) FROM kin_tr.router_state s;
END $$;

-- ------------------------------------------------------------------- check
CREATE FUNCTION kin_tr.check() RETURNS TABLE (invariant text, object kin_tr.sid, detail text)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_admin'
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
    RETURN QUERY SELECT 'a worker has one channel for each task channel', w.sid, format('%s of %s', c.n, t.n)
      FROM kin_tr.workers w,
           LATERAL (SELECT count(*) AS n FROM kin_tr.worker_channels c WHERE c.worker_sid = w.sid) c,
           LATERAL (SELECT count(*) AS n FROM kin_tr.task_channels t WHERE t.workspace_sid = w.workspace_sid) t
     WHERE c.n <> t.n;
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
    RETURN QUERY SELECT 'a task''s workspace exists', t.sid, t.workspace_sid::text FROM kin_tr.tasks t
     WHERE NOT EXISTS (SELECT FROM kin_tr.workspaces x WHERE x.sid = t.workspace_sid);
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
    RETURN QUERY SELECT 'at most one row is home', NULL::kin_tr.sid, format('%s rows', count(*)) FROM kin_tr.home HAVING count(*) > 1;
END $$;

-- ------------------------------------------------------------------ restore
CREATE FUNCTION kin_tr.resume_after_restore(shift_deadlines boolean DEFAULT true)
    RETURNS TABLE (invariant text, object kin_tr.sid, detail text)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_admin'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.resume_after_restore(boolean) IS
'Lets this database, a copy of another, act: makes it the home, begins a new era of events where it is in another
cluster, and returns what check() finds. shift_deadlines moves every deadline of live tasks and reservations on by
the time since the original''s last event, so that nothing times out for having been asleep; the time for which a
callback was asked stays. false leaves all as they are. Only for the owner.';

CREATE FUNCTION kin_tr._resume_after_restore(shift_deadlines boolean)
    RETURNS TABLE (invariant text, object kin_tr.sid, detail text)
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
DECLARE
    here constant bigint := (SELECT s.system_identifier FROM pg_control_system() s);
    now constant timestamptz := kin_tr.now();
    -- The last event of the original; in a copy within the cluster, of either.
    fell_asleep constant timestamptz := coalesce(
        (SELECT e.event_date FROM kin_tr.events e
          WHERE e.era <= (SELECT max(n.number) FROM kin_tr.event_eras n WHERE n.system_identifier <> here)
          ORDER BY e.id DESC LIMIT 1),
        (SELECT e.event_date FROM kin_tr.events e ORDER BY e.id DESC LIMIT 1));
BEGIN
    IF kin_tr._at_home() THEN
        RAISE EXCEPTION 'this database is at home already'
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'What acts here goes on acting.';
    END IF;
    DELETE FROM kin_tr.home;
    INSERT INTO kin_tr.home (system_identifier, database_oid)
    SELECT here, d.oid FROM pg_database d WHERE d.datname = current_database();
    PERFORM kin_tr._begin_era();
    DELETE FROM kin_tr.relay_state;
    IF shift_deadlines AND now > fell_asleep THEN
        -- The time for which a callback was asked is no deadline; those of after it count from then.
        UPDATE kin_tr.tasks t
           SET step_deadline = t.step_deadline + s.slept, expires_at = t.expires_at + s.slept,
               deadline_base = t.deadline_base + s.slept,
               wake_at = CASE WHEN t.wake_at = t.not_before THEN t.wake_at ELSE t.wake_at + s.slept END
          FROM (SELECT x.sid, greatest(now - greatest(fell_asleep, x.not_before), interval '0') AS slept
                  FROM kin_tr.tasks x) s
         WHERE s.sid = t.sid AND t.finished_at IS NULL AND t.date_created <= fell_asleep;
        UPDATE kin_tr.reservations r SET times_out_at = r.times_out_at + (now - fell_asleep)
         WHERE r.times_out_at IS NOT NULL AND r.is_open;
    END IF;
    PERFORM kin_tr._wake();
    RETURN QUERY SELECT * FROM kin_tr._check();
END $$;
