-- Bad input gets a SQLSTATE, a message that names the offending value, a hint;
-- and nothing is changed.
SET timezone = 'UTC'; SET datestyle = 'ISO';
SELECT kin_tr.set_clock('2026-01-05 09:00Z');
SELECT kin_tr.create_workspace('errors', 'FIFO') AS ws, kin_tr.create_workspace('errors, too', 'FIFO') AS other \gset
SET kin_tr.workspace = 'errors';
SELECT test.worker('Alice'), test.new('t'), test.new('u');
SELECT test.tick();
SELECT sid AS foreign_activity FROM kin_tr.get_activity('Available', 'errors, too') \gset
SELECT kin_tr.create_task('{"name": "keyed"}', idempotency_key => 'used') AS keyed \gset

SELECT kin_tr.create_workflow('picky', '{"task_routing": {"filters": [{"expression": "a == 1", "targets": [{"queue": "Sample Queue"}]}]}}', workspace => 'errors, too') IS NOT NULL AS created;

-- all that is in the tables of the extension, but the counters of sequences
CREATE FUNCTION test.digest() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    r regclass;
    d text;
    result text := '';
BEGIN
    FOR r IN SELECT c.oid FROM pg_class c WHERE c.relnamespace = 'kin_tr'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname NOT IN ('config_signal', 'router_state', 'relay_state', 'events_dropped') ORDER BY c.relname LOOP
        EXECUTE format('SELECT md5(string_agg(x::text, '','' ORDER BY x::text)) FROM %s x', r) INTO d;
        result := result || coalesce(d, '-');
    END LOOP;
    RETURN md5(result);
END $$;
SELECT test.digest() AS before \gset

-- ------------------------------------- one of each SQLSTATE of class KT
-- KT001 a state machine has no such edge
CALL test.refused($$SELECT kin_tr.complete_task(test.task('t'))$$);
-- KT002 if_version is not the row's version
CALL test.refused($$SELECT kin_tr.update_task(test.task('t'), '{}', if_version => 99)$$);
-- KT003 an idempotency key was used for another request
CALL test.refused($$SELECT kin_tr.create_task('{"name": "another"}', idempotency_key => 'used')$$);
-- KT004 no filter fits the task
CALL test.refused($$SELECT kin_tr.create_task('{"a": 2}', workflow => 'picky', workspace => 'errors, too')$$);
-- KT005 an expression does not parse
CALL test.refused($$SELECT kin_tr.create_task_queue('q', 'skills HAS "fr" AND')$$);
-- KT006 a workflow's configuration is not valid
CALL test.refused($$SELECT kin_tr.create_workflow('w', '{"task_routing": {"default_filter": {"queue": "Nowhere"}}}')$$);
-- KT007 the reservation has ended
BEGIN;
SELECT kin_tr.cancel_task(test.task('t'));
CALL test.refused($$SELECT kin_tr.accept_reservation(test.reservation('t'))$$);
ROLLBACK;
-- KT008 (a background worker does this here), KT009 (this database is a copy): TAP; the latter also by hand
BEGIN;
UPDATE kin_tr.home SET system_identifier = system_identifier + 1;
CALL test.refused($$SELECT kin_tr.tick()$$);
CALL test.refused($$SELECT kin_tr.ring()$$);
SELECT state, detail FROM kin_tr.health() WHERE item = 'home';
ROLLBACK;
CALL test.refused($$SELECT kin_tr.resume_after_restore()$$);
-- KT010 events that the cursor has not seen are no longer kept: events.sql
-- KT011 the clock may not be set so
CALL test.refused($$SELECT kin_tr.set_clock('2000-01-01 00:00Z')$$);
-- KT012 which workspace is meant cannot be told
RESET kin_tr.workspace;
CALL test.refused($$SELECT kin_tr.create_task()$$);
SET kin_tr.workspace = 'errors';

-- ------------------------------------------- the list of what is refused
-- unparsable expression
CALL test.refused($$SELECT kin_tr.evaluate_expression('a == ', '{}')$$);
CALL test.refused($$SELECT kin_tr.update_task_queue('Sample Queue', target_workers => '(a == 1')$$);
-- unknown queue in a workflow
CALL test.refused($$SELECT kin_tr.update_workflow('Default Fifo Workflow', configuration => '{"task_routing": {"filters": [{"expression": "1==1", "targets": [{"queue": "WQ00000000000000000000000000000001"}]}]}}')$$);
-- malformed SID
CALL test.refused($$SELECT kin_tr.get_task('WT123')$$);
CALL test.refused($$SELECT kin_tr.accept_reservation('WRxyz')$$);
CALL test.refused($$SELECT kin_tr.get_reservation('WT00000000000000000000000000000001')$$);
CALL test.refused($$SELECT * FROM kin_tr.tasks WHERE sid = 'WT123'$$);
-- attributes that are not an object
CALL test.refused($$SELECT kin_tr.create_task('[1]')$$);
CALL test.refused($$SELECT kin_tr.create_worker('x', '5')$$);
CALL test.refused($$SELECT kin_tr.update_worker('Alice', 'true')$$);
CALL test.refused($$SELECT kin_tr.update_task(test.task('u'), '"x"')$$);
CALL test.refused($$SELECT kin_tr.wrapup_reservation(test.reservation('t'), '"x"')$$);
-- NaN, infinity, out-of-range numbers
CALL test.refused($$SELECT kin_tr.create_task('{"x": NaN}')$$);
CALL test.refused($$SELECT kin_tr.create_task(priority => 'NaN'::float8::integer)$$);
CALL test.refused($$SELECT kin_tr.create_task(priority => 2147483648)$$);
CALL test.refused($$SELECT kin_tr.create_task(timeout => -1)$$);
CALL test.refused($$SELECT kin_tr.update_worker_channel('Alice', 'default', 100000)$$);
CALL test.refused($$SELECT kin_tr.create_workflow('w', '{"task_routing": {"filters": [{"expression": "1==1", "targets": [{"queue": "Sample Queue", "timeout": 99999999999, "priority": -5}]}]}}')$$);
CALL test.refused($$SELECT kin_tr.create_workflow('w', '{"task_routing": {"default_filter": {"queue": "Sample Queue"}}}', 100000)$$);
-- attributes over the limit
CALL test.refused($$SELECT kin_tr.create_task(jsonb_build_object('x', repeat('x', 300000)))$$);
-- an expression nested 10,000 deep, a list, JSON and a workflow of that depth: refused, and no stack overflow
CALL test.refused($$SELECT kin_tr.create_task_queue('q', repeat('(', 10000) || 'a == 1' || repeat(')', 10000))$$);
CALL test.refused($$SELECT kin_tr.create_workflow('w', jsonb_build_object('task_routing', jsonb_build_object('filters', jsonb_build_array(jsonb_build_object('expression', repeat('(', 10000), 'targets', '[{"queue": "Sample Queue"}]'::jsonb)))))$$);
SELECT test.sqlstate($$SELECT kin_tr.create_task((repeat('{"a":', 5000) || '1' || repeat('}', 5000))::jsonb)$$) IN ('none', '54001') AS deep_json_survives;
-- invalid UTF-8
CALL test.refused($$SELECT kin_tr.create_worker(convert_from('\xc3', 'UTF8'))$$);
CALL test.refused($$SELECT kin_tr.create_worker(E'\xc3\x28')$$);
-- a name already taken
CALL test.refused($$SELECT kin_tr.create_worker('alice')$$);
CALL test.refused($$SELECT kin_tr.create_task_queue('Sample Queue')$$);
CALL test.refused($$SELECT kin_tr.create_workflow('Default Fifo Workflow', '{}')$$);
CALL test.refused($$SELECT kin_tr.create_activity('Offline')$$);
CALL test.refused($$SELECT kin_tr.create_task_channel('x', 'voice')$$);
CALL test.refused($$SELECT kin_tr.create_workspace('errors, too')$$);
-- a default activity of another workspace
CALL test.refused(format($$SELECT kin_tr.update_workspace('errors', default_activity => %L)$$, :'foreign_activity'));
CALL test.refused(format($$SELECT kin_tr.create_worker('x', activity => %L)$$, :'foreign_activity'));
CALL test.refused(format($$SELECT kin_tr.update_worker_activity('Alice', %L)$$, :'foreign_activity'));
-- a call without rights: in full in rights.sql
CREATE ROLE regress_kt_errors;
GRANT USAGE ON SCHEMA test TO regress_kt_errors;
SELECT kin_tr.grant_access('regress_kt_errors', 'reader', 'errors');
SELECT test.task('u') AS u \gset
SET ROLE regress_kt_errors;
CALL test.refused($$SELECT kin_tr.create_task()$$);
CALL test.refused(format('SELECT kin_tr.cancel_task(%L)', :'u'));
CALL test.refused($$SELECT kin_tr.create_worker('x')$$);
CALL test.refused($$SELECT kin_tr.create_task_queue('q')$$);
CALL test.refused($$SELECT kin_tr.create_workspace('x')$$);
CALL test.refused($$SELECT kin_tr.tick()$$);
CALL test.refused($$SELECT kin_tr.get_task_queue('Sample Queue', 'errors, too')$$);
RESET ROLE;
SELECT kin_tr.revoke_access('regress_kt_errors', 'reader', 'errors');
REVOKE USAGE ON SCHEMA test FROM regress_kt_errors;
DROP ROLE regress_kt_errors;
-- a name that is none, where one is needed
CALL test.refused($$SELECT kin_tr.update_activity(NULL, 'x')$$);
CALL test.refused($$SELECT kin_tr.delete_activity(NULL)$$);
CALL test.refused($$SELECT kin_tr.update_task_channel(NULL, 'x')$$);
CALL test.refused($$SELECT kin_tr.delete_task_channel(NULL)$$);
CALL test.refused($$SELECT kin_tr.update_task_queue(NULL, 'x')$$);
CALL test.refused($$SELECT kin_tr.delete_task_queue(NULL)$$);
CALL test.refused($$SELECT kin_tr.update_workflow(NULL, 'x')$$);
CALL test.refused($$SELECT kin_tr.delete_workflow(NULL)$$);
CALL test.refused($$SELECT kin_tr.update_worker(NULL, '{}')$$);
CALL test.refused($$SELECT kin_tr.delete_worker(NULL)$$);
CALL test.refused($$SELECT kin_tr.update_worker_channel(NULL, 'default', 1)$$);
CALL test.refused($$SELECT kin_tr.update_worker_channel('Alice', NULL, 1)$$);
CALL test.refused($$SELECT kin_tr.accept_reservation(NULL)$$);
CALL test.refused($$SELECT kin_tr.cancel_task(NULL)$$);
CALL test.refused($$SELECT kin_tr.create_callback_task('+1', kin_tr.now(), replaces => '')$$);
CALL test.refused($$SELECT kin_tr._event(NULL, NULL, NULL, NULL)$$);
CALL test.refused($$SELECT kin_tr._resolve(NULL, 'x', NULL)$$);

-- nothing of all this has changed anything
SELECT test.digest() = :'before' AS unchanged;
SELECT kin_tr.update_worker('Alice', '{"x": 1}') AS now_something_changes;
SELECT test.digest() = :'before' AS unchanged;
-- a table that somebody has altered, or that another version of the library has made
BEGIN; ALTER TABLE kin_tr.tasks ADD COLUMN extra timestamptz NOT NULL DEFAULT now(); CALL test.refused($$SELECT kin_tr.create_task()$$); ROLLBACK;
BEGIN; ALTER TABLE kin_tr.tasks ADD COLUMN extra integer GENERATED ALWAYS AS (priority + 1) STORED; CALL test.refused($$SELECT kin_tr.create_task()$$); ROLLBACK;
BEGIN; ALTER TABLE kin_tr.tasks RENAME COLUMN step_tried TO tried; CALL test.refused($$SELECT kin_tr.create_task()$$); ROLLBACK;
BEGIN; ALTER TABLE kin_tr.tasks ALTER COLUMN document TYPE numeric; CALL test.refused($$SELECT kin_tr.create_task()$$); ROLLBACK;
-- a column that may be left out is let be
BEGIN; ALTER TABLE kin_tr.tasks ADD COLUMN extra integer; SELECT kin_tr.create_task() IS NOT NULL AS created; ROLLBACK;

SELECT test.faults();
DROP FUNCTION test.digest;
SELECT kin_tr.delete_workspace('errors'), kin_tr.delete_workspace('errors, too');
