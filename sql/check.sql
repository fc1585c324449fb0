-- check(): empty where all is well, a row for each invariant that is broken.
-- Nobody but a superuser can break one; each is rolled back.
SET timezone = 'UTC'; SET datestyle = 'ISO';
SELECT kin_tr.set_clock('2026-01-05 09:00Z');
-- the files before this one have left nothing broken and nothing behind
SELECT * FROM kin_tr.check();
SELECT (SELECT count(*) FROM kin_tr.workspaces) AS workspaces, (SELECT count(*) FROM kin_tr.tasks) AS tasks, (SELECT count(*) FROM kin_tr.reservations) AS reservations, (SELECT count(*) FROM kin_tr.workers) AS workers;
-- and in none of them has the router missed an edge
SELECT state, detail ~ '^0; ' AS none FROM kin_tr.health() WHERE item = 'missed edges';

SELECT kin_tr.create_workspace('check') AS ws \gset
SET kin_tr.workspace = 'check';
SELECT kin_tr.create_task_queue('Q') AS q, kin_tr.create_task_queue('M', max_reserved_workers => 2) AS m \gset
SELECT kin_tr.create_workflow('w', '{"task_routing": {"filters": [{"expression": "many == 1", "targets": [{"queue": "M"}]}], "default_filter": {"queue": "Q"}}}') AS w \gset
SELECT test.worker('Alice', capacity => 5), test.worker('Bob', capacity => 0);
-- a task of each status
SELECT test.new('completed'), test.new('canceled'), test.new('assigned'), test.new('wrapping'), test.new('reserved');
SELECT test.tick();
SELECT kin_tr.accept_reservation(test.reservation('completed')), kin_tr.accept_reservation(test.reservation('assigned')), kin_tr.accept_reservation(test.reservation('wrapping'));
SELECT kin_tr.complete_task(test.task('completed')), kin_tr.cancel_task(test.task('canceled')), kin_tr.wrapup_task(test.task('wrapping'));
SELECT kin_tr.update_worker_activity('Alice', 'Unavailable');
SELECT test.new('pending');
SELECT kin_tr.create_callback_task('+1', '2026-01-05 10:00Z') AS callback \gset
SELECT task, status FROM test.board;
SELECT * FROM kin_tr.check();

-- what is broken, and what check() says then
CREATE TABLE test.found (invariant text);
CREATE PROCEDURE test.break(VARIADIC statements text[]) LANGUAGE plpgsql AS $$
DECLARE
    statement text;
    found text;
    names text[];
BEGIN
    BEGIN
        -- (its triggers and foreign keys would not let it)
        SET LOCAL session_replication_role = replica;
        FOREACH statement IN ARRAY statements LOOP
            EXECUTE statement;
        END LOOP;
        SELECT string_agg(invariant || ' (' || test.masked(concat_ws(', ', object, detail)) || ')', E'\n       ' ORDER BY invariant, detail), array_agg(invariant)
          INTO found, names FROM kin_tr.check();
        RAISE EXCEPTION 'undo' USING ERRCODE = 'ZZ999';
    EXCEPTION WHEN SQLSTATE 'ZZ999' THEN
        NULL;
    END;
    INSERT INTO test.found SELECT unnest(names);
    RAISE INFO '%', coalesce(found, 'NOT FOUND');
END $$;
CALL test.break(format($$UPDATE kin_tr.workspaces SET default_activity_sid = 'WA00000000000000000000000000000001' WHERE sid = %L$$, :'ws'));
CALL test.break(format($$UPDATE kin_tr.workspaces SET timeout_activity_sid = 'WA00000000000000000000000000000001' WHERE sid = %L$$, :'ws'));
CALL test.break(format($$UPDATE kin_tr.task_queues SET reservation_activity_sid = 'WA00000000000000000000000000000001' WHERE sid = %L$$, :'q'));
CALL test.break($$UPDATE kin_tr.workers SET activity_sid = 'WA00000000000000000000000000000001' WHERE friendly_name = 'Bob'$$);
CALL test.break(format($$UPDATE kin_tr.task_queues SET workspace_sid = 'WS00000000000000000000000000000001' WHERE sid = %L$$, :'q'));
CALL test.break($$UPDATE kin_tr.worker_channels SET worker_sid = 'WK00000000000000000000000000000001' WHERE sid = (SELECT sid FROM kin_tr.get_worker_channel('Bob', 'voice'))$$);
CALL test.break(format($$UPDATE kin_tr.workflow_versions SET workspace_sid = 'WS00000000000000000000000000000001' WHERE workflow_sid = %L$$, :'w'));
CALL test.break($$DELETE FROM kin_tr.worker_channels WHERE sid = (SELECT sid FROM kin_tr.get_worker_channel('Bob', 'voice'))$$);
CALL test.break($$UPDATE kin_tr.workers SET name_key = 'else' WHERE friendly_name = 'Bob'$$);
CALL test.break(format($$UPDATE kin_tr.workflows SET current_version = 9 WHERE sid = %L$$, :'w'));
CALL test.break(format($$DELETE FROM kin_tr.task_queues WHERE sid = %L$$, :'m'));
CALL test.break($$UPDATE kin_tr.tasks SET assignment_status = 'lost' WHERE sid = test.task('pending')$$);
CALL test.break($$UPDATE kin_tr.reservations SET reservation_status = 'lost' WHERE sid = test.reservation('canceled')$$);
CALL test.break($$UPDATE kin_tr.tasks SET workspace_sid = 'WS00000000000000000000000000000001' WHERE sid = test.task('canceled')$$);
CALL test.break($$UPDATE kin_tr.tasks SET task_channel_sid = 'TC00000000000000000000000000000001' WHERE sid = test.task('canceled')$$);
CALL test.break($$UPDATE kin_tr.tasks SET task_queue_sid = 'WQ00000000000000000000000000000001' WHERE sid = test.task('canceled')$$);
CALL test.break($$UPDATE kin_tr.tasks SET workflow_version = 9 WHERE sid = test.task('canceled')$$);
CALL test.break($$UPDATE kin_tr.tasks SET group_key = gen_random_uuid() WHERE sid = test.task('assigned')$$);
CALL test.break($$UPDATE kin_tr.tasks SET group_key = NULL WHERE sid = test.task('pending')$$);
CALL test.break(format($$UPDATE kin_tr.tasks SET wake_at = wake_at + interval '1 s' WHERE sid = %L$$, :'callback'));
CALL test.break($$UPDATE kin_tr.tasks SET wake_at = NULL WHERE sid = test.task('pending')$$);
CALL test.break($$UPDATE kin_tr.tasks SET wake_at = NULL WHERE sid = test.task('reserved')$$);
CALL test.break($$UPDATE kin_tr.tasks SET finished_at = NULL WHERE sid = test.task('completed')$$);
CALL test.break($$UPDATE kin_tr.tasks SET finished_at = date_created WHERE sid = test.task('assigned')$$);
CALL test.break($$UPDATE kin_tr.tasks SET open_reservations = 2 WHERE sid = test.task('reserved')$$);
CALL test.break($$UPDATE kin_tr.reservations SET reservation_status = 'accepted' WHERE sid = test.reservation('reserved')$$);
CALL test.break($$UPDATE kin_tr.reservations SET reservation_status = 'pending' WHERE sid = test.reservation('assigned')$$);
CALL test.break($$UPDATE kin_tr.tasks SET assignment_status = 'assigned', finished_at = NULL WHERE sid = test.task('completed')$$);
CALL test.break($$UPDATE kin_tr.reservations SET is_open = false WHERE sid = test.reservation('wrapping')$$);
CALL test.break($$UPDATE kin_tr.reservations SET is_open = true WHERE sid = test.reservation('completed')$$);
CALL test.break($$UPDATE kin_tr.reservations SET times_out_at = NULL WHERE sid = test.reservation('reserved')$$);
CALL test.break($$DELETE FROM kin_tr.tasks WHERE sid = test.task('canceled')$$);
CALL test.break($$UPDATE kin_tr.reservations SET worker_sid = 'WK00000000000000000000000000000001' WHERE sid = test.reservation('assigned')$$);
CALL test.break($$INSERT INTO kin_tr.reservations SELECT (r).* FROM (SELECT jsonb_populate_record(x, jsonb_build_object('sid', kin_tr._new_sid('WR'))) AS r FROM kin_tr.reservations x WHERE sid = test.reservation('assigned')) y$$);
CALL test.break($$INSERT INTO kin_tr.task_history SELECT (jsonb_populate_record(NULL::kin_tr.task_history, to_jsonb(t) || jsonb_build_object('recorded_at', now()))).* FROM kin_tr.tasks t WHERE sid = test.task('completed')$$);
CALL test.break($$INSERT INTO kin_tr.access VALUES ('nobody any more', 1, 'reader', test.ws(), test.ws()::text)$$);
CALL test.break($$INSERT INTO kin_tr.access SELECT 'renamed', oid, 'reader', test.ws(), test.ws()::text FROM pg_roles WHERE rolname = current_user$$);
-- no invariant is left that has not been broken here
SELECT replace(m[1], '''''', '''') AS not_tried FROM pg_proc p, regexp_matches(p.prosrc, 'SELECT ''(([^'']|'''')+)'', [a-zN]', 'g') m
 WHERE p.oid = 'kin_tr._check'::regproc AND replace(m[1], '''''', '''') NOT IN (SELECT invariant FROM test.found);
SELECT count(DISTINCT invariant) > 20 AS many FROM test.found;
DROP TABLE test.found;
-- everything is as it was
SELECT * FROM kin_tr.check();

-- the sweep sees what the router was not told
BEGIN;
SELECT test.new('told'), test.tick();
SELECT kin_tr.update_worker_channel('Bob', 'default', 1);
SELECT kin_tr._sweep();
SELECT test.tick();
SELECT kin_tr._sweep();
-- (capacity, behind its back)
UPDATE kin_tr.worker_channels SET configured_capacity = 9 WHERE worker_sid = (SELECT sid FROM kin_tr.get_worker('Bob'));
SELECT assigned FROM kin_tr.tick();
SELECT kin_tr._sweep();
ROLLBACK;
DROP PROCEDURE test.break;
SELECT kin_tr.delete_workspace('check');
SELECT * FROM kin_tr.check();
