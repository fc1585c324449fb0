-- What the other files use.  It is told apart from kin_tr by its schema.
CREATE SCHEMA test;

-- Sids differ from run to run; only their kind is shown.
CREATE FUNCTION test.masked(text) RETURNS text LANGUAGE sql IMMUTABLE
    RETURN regexp_replace($1, '\m([A-Z]{2})[0-9a-f]{32}\M', '\1*', 'g');

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
              ELSE 'WRONG: ' || test.faults() END;
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
