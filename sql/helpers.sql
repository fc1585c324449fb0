-- What the other files use.  It is told apart from kin_tr by its schema.
CREATE SCHEMA test;

-- Sids differ from run to run; only their kind is shown.  The owner's name is of the server.
CREATE FUNCTION test.masked(text) RETURNS text LANGUAGE sql STABLE
    RETURN regexp_replace(replace($1, format('role "%s"', (SELECT extowner::regrole FROM pg_extension WHERE extname = 'kin_tr')), 'role <owner>'),
                          '\m([A-Z]{2})[0-9a-f]{32}\M', '\1*', 'g');

-- Shows how a statement is refused: SQLSTATE, message, detail, hint.
CREATE PROCEDURE test.refused(statement text) LANGUAGE plpgsql AS $$
DECLARE
    state text;
    message text;
    detail text;
    hint text;
BEGIN
    EXECUTE statement;
    RAISE INFO 'NOT REFUSED: %', statement;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
                            detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RAISE INFO '%', test.masked(state || ': ' || message || coalesce(E'\nDETAIL:  ' || nullif(detail, ''), '')
                                || coalesce(E'\nHINT:  ' || nullif(hint, ''), ''));
END $$;

-- The workspace that the file works in.
CREATE FUNCTION test.ws() RETURNS kin_tr.sid LANGUAGE sql STABLE
    RETURN (SELECT sid FROM kin_tr.workspaces WHERE friendly_name = current_setting('kin_tr.workspace'));

-- Tasks are told apart by their attribute "name".
CREATE VIEW test.board AS
    SELECT t.attributes ->> 'name' AS task, t.assignment_status AS status, t.priority, q.friendly_name AS queue,
           CASE WHEN t.workflow_filter >= 0 THEN t.workflow_filter || '/' || t.workflow_target ELSE 'direct' END AS step,
           (SELECT string_agg(r.worker_name || ' ' || r.reservation_status, ', ' ORDER BY r.sid)
              FROM kin_tr.reservations r WHERE r.task_sid = t.sid) AS reservations
      FROM kin_tr.tasks t LEFT JOIN kin_tr.task_queues q ON q.sid = t.task_queue_sid
     WHERE t.workspace_sid = test.ws() ORDER BY t.sid;

CREATE FUNCTION test.task(name text) RETURNS text LANGUAGE sql STABLE
    RETURN (SELECT sid FROM kin_tr.tasks WHERE workspace_sid = test.ws() AND attributes ->> 'name' = name
             ORDER BY sid DESC LIMIT 1)::text;

-- The latest reservation of a task, or the latest by which a worker has it.
CREATE FUNCTION test.reservation(task text, worker text DEFAULT NULL) RETURNS text LANGUAGE sql STABLE
    RETURN (SELECT sid FROM kin_tr.reservations WHERE task_sid = test.task(task)
               AND (worker IS NULL OR worker_name = worker) ORDER BY sid DESC LIMIT 1)::text;

-- What check() and the sweep find wrong; NULL: nothing.
CREATE FUNCTION test.faults() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    missed integer := kin_tr._sweep();
BEGIN
    RETURN nullif(concat_ws('; ', CASE WHEN missed > 0 THEN missed || ' missed edges' END,
        (SELECT string_agg(invariant || ': ' || test.masked(concat_ws(' ', object, detail)), '; ') FROM kin_tr.check())), '');
END $$;

-- tick(), in words; it also proves that nothing is wrong and nothing was left.
CREATE FUNCTION test.tick(max_actions integer DEFAULT 1000) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    t record;
    faults text;
BEGIN
    SELECT * INTO t FROM kin_tr.tick(max_actions);
    faults := CASE WHEN t.more THEN (SELECT 'BROKEN: ' || string_agg(invariant, '; ') FROM kin_tr.check())
              ELSE 'WRONG: ' || nullif(concat_ws('; ', test.faults(), CASE WHEN kin_tr.next_due() <= kin_tr.now() THEN 'overdue timers' END), '') END;
    RETURN coalesce(nullif(concat_ws(', ',
        nullif(t.assigned, 0) || ' assigned', nullif(t.timed_out, 0) || ' timed out',
        nullif(t.moved, 0) || ' moved', nullif(t.canceled, 0) || ' canceled', CASE WHEN t.more THEN 'more to do' END,
        faults), ''), 'nothing to do');
END $$;

-- Moves the clock on.
CREATE FUNCTION test.later(by interval) RETURNS text LANGUAGE sql
    AS $$ SELECT to_char(kin_tr.set_clock(kin_tr.now() + by) AT TIME ZONE 'UTC', 'HH24:MI:SS') $$;

-- When something is due, from now.
CREATE FUNCTION test.due() RETURNS interval LANGUAGE sql
    AS $$ SELECT kin_tr.next_due() - kin_tr.now() $$;

-- Takes tasks and workers away, between two scenarios of a file.
CREATE PROCEDURE test.clear() LANGUAGE plpgsql AS $$
BEGIN
    PERFORM kin_tr.delete_task(sid::text) FROM kin_tr.tasks WHERE workspace_sid = test.ws() ORDER BY sid;
    PERFORM kin_tr.delete_worker(sid::text) FROM kin_tr.workers WHERE workspace_sid = test.ws() ORDER BY sid;
END $$;

-- A worker, by default Available and with capacity 1; and a task with a name.
CREATE FUNCTION test.worker(name text, attributes jsonb DEFAULT '{}', capacity integer DEFAULT 1, activity text DEFAULT 'Available')
    RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM kin_tr.create_worker(name, attributes, activity);
    PERFORM kin_tr.update_worker_channel(name, 'default', capacity);
    RETURN name;
END $$;
CREATE FUNCTION test.new(name text, attributes jsonb DEFAULT '{}', priority integer DEFAULT NULL, workflow text DEFAULT NULL,
                         task_channel text DEFAULT NULL, timeout integer DEFAULT NULL, virtual_start_time timestamptz DEFAULT NULL,
                         routing_target text DEFAULT NULL, ignore_capacity boolean DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM kin_tr.create_task(attributes || jsonb_build_object('name', name), priority, timeout, workflow, task_channel,
                               virtual_start_time, routing_target, ignore_capacity);
    RETURN name;
END $$;

-- What a statement is refused with, or 'none'; what it did is undone.
CREATE FUNCTION test.sqlstate(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RAISE EXCEPTION 'undo' USING ERRCODE = 'ZZ999';
EXCEPTION WHEN SQLSTATE 'ZZ999' THEN
    RETURN 'none';
WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;

-- A line that says whether something is as promised.
CREATE FUNCTION test.ok(promise text, kept boolean) RETURNS text LANGUAGE sql
    RETURN CASE WHEN kept THEN 'ok     ' ELSE 'NOT OK ' END || promise;

-- The states of a task, of its latest reservation [by a worker], and who has it.
CREATE FUNCTION test.status(task text) RETURNS text LANGUAGE sql STABLE
    RETURN (SELECT assignment_status FROM kin_tr.tasks WHERE sid = test.task(task));
CREATE FUNCTION test.offer(task text, worker text DEFAULT NULL) RETURNS text LANGUAGE sql STABLE
    RETURN (SELECT reservation_status FROM kin_tr.reservations WHERE sid = test.reservation(task, worker));
CREATE FUNCTION test.who(task text) RETURNS text LANGUAGE sql STABLE
    RETURN (SELECT string_agg(worker_name, ',' ORDER BY sid) FROM kin_tr.reservations WHERE task_sid = test.task(task) AND is_open);

-- Types of the events since a cursor, in their order, about one thing or all.
CREATE FUNCTION test.events(cursor text, resource text DEFAULT NULL) RETURNS text LANGUAGE sql VOLATILE
    AS $$ SELECT string_agg(event_type, ' ' ORDER BY id) FROM kin_tr.events_since(cursor, resource => resource) $$;
