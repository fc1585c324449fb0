-- A message says what was wrong, where, what there is, and what its reader can do.
SET timezone = 'UTC'; SET datestyle = 'ISO';
SELECT kin_tr.set_clock('2026-01-05 09:00Z') IS NOT NULL AS clock_set;
SELECT kin_tr.create_workspace('Shop', 'FIFO') AS shop, kin_tr.create_workspace('Secret', 'FIFO') AS secret \gset
SET kin_tr.workspace = 'Shop';

-- an unknown name: what there is, and the nearest
CALL test.refused($$SELECT kin_tr.create_task(workspace => 'shop')$$);
CALL test.refused($$SELECT kin_tr.create_task(workspace => 'Bank')$$);
CALL test.refused($$SELECT kin_tr.create_worker('x', activity => 'available')$$);
CALL test.refused($$SELECT kin_tr.create_worker('x', activity => 'Ofline')$$);
CALL test.refused($$SELECT kin_tr.create_worker('x', activity => 'Lunch')$$);
CALL test.refused($$SELECT kin_tr.get_task_queue('sample-queue')$$);
CALL test.refused($$SELECT kin_tr.get_worker('Alice')$$);
CALL test.refused($$SELECT kin_tr.create_task(task_channel => 'Voice')$$);
-- also where there is none at all, of whatever kind and to whatever end
CALL test.refused($$SELECT kin_tr.delete_worker('Alice')$$);
CALL test.refused($$SELECT kin_tr.update_worker_channel('Alice', 'voice', 2)$$);
CALL test.refused($$SELECT kin_tr.worker_status('Alice')$$);
CALL test.refused($$SELECT kin_tr.get_worker_channel('Alice', 'voice')$$);
SELECT count(kin_tr.create_worker('worker ' || n)) AS workers FROM generate_series(1, 12) n;
CALL test.refused($$SELECT kin_tr.get_worker('Alice')$$);
CALL test.refused($$SELECT kin_tr.get_worker('walker 11')$$);
-- of many not all are looked at
BEGIN;
SELECT count(kin_tr.create_activity('activity ' || n)) AS activities FROM generate_series(1, 1001) n;
CALL test.refused($$SELECT kin_tr.get_activity('Lunch')$$);
ROLLBACK;
-- another workspace's SID is as unknown as any
SELECT sid AS theirs FROM kin_tr.get_workflow('Default Fifo Workflow', 'Secret') \gset
CALL test.refused(format($$SELECT kin_tr.create_task(workflow => %L)$$, :'theirs'));

-- a SID of the wrong kind: which kind it is
SELECT sid AS queue FROM kin_tr.get_task_queue('Sample Queue') \gset
CALL test.refused(format($$SELECT kin_tr.create_task(workflow => %L)$$, :'queue'));
CALL test.refused(format($$SELECT kin_tr.get_worker(%L)$$, :'queue'));
CALL test.refused(format($$SELECT kin_tr.cancel_task(%L)$$, :'queue'));
CALL test.refused(format($$SELECT kin_tr.get_task(%L)$$, :'queue'));
CALL test.refused(format($$SELECT kin_tr.accept_reservation(%L)$$, :'queue'));
CALL test.refused(format($$SELECT kin_tr.get_reservation(%L)$$, :'queue'));
CALL test.refused($$SELECT kin_tr.get_worker('CA' || repeat('0', 32))$$);
CALL test.refused($$SELECT kin_tr.create_task(routing_target => 'WA' || repeat('0', 32))$$);

-- no workflow, or several: which of the two, and which they are
SELECT kin_tr.create_workspace('Empty') IS NOT NULL AS created;
CALL test.refused($$SELECT kin_tr.create_task(workspace => 'Empty')$$);
BEGIN;
SELECT count(kin_tr.create_workflow('workflow ' || n, '{"task_routing": {"default_filter": {"queue": "Sample Queue"}}}')) AS workflows FROM generate_series(1, 6) n;
CALL test.refused($$SELECT kin_tr.create_task()$$);
ROLLBACK;

-- a long text is cut, where a character ends
CALL test.refused($$SELECT kin_tr.get_worker(repeat('ä', 500))$$);
CALL test.refused($$SELECT kin_tr.create_worker(repeat('ä', 500))$$);
CALL test.refused($$SELECT kin_tr.create_task(workspace => repeat('ä', 500))$$);
CALL test.refused($$SELECT kin_tr.create_task(routing_target => repeat('ä', 500))$$);
CALL test.refused($$SELECT kin_tr.cancel_task(repeat('ä', 500))$$);
CALL test.refused($$SELECT kin_tr.create_task_queue('q', task_order => repeat('ä', 500))$$);
CALL test.refused($$SELECT repeat('ä', 100000)::kin_tr.sid$$);
CALL test.refused($$SELECT kin_tr.evaluate_expression(repeat('ä', 10000))$$);
SELECT kin_tr._excerpt(repeat('x', 200)) = repeat('x', 200) AS whole, kin_tr._excerpt(repeat('x', 201)) = repeat('x', 200) || '...' AS cut;

-- where PostgreSQL says that there is no such function: the README's "Troubleshooting" has these
SELECT call, test.sqlstate('SELECT kin_tr.create_task(' || call || ')') FROM (VALUES ($$attribute => '{}'$$), ('priority => 5.0'), ('priority => 5::bigint'),
       ('priority => 3000000000'), ($$timeout => interval '1 hour'$$), ($$'{}'::json$$), ($$'{}'::text$$)) refused(call);
SELECT call, test.sqlstate('SELECT ' || call) FROM (VALUES ('create_task()'), ($$kin_tr.create_task(attributes => '{}', priority => 5, timeout => 3600)$$)) v(call);

-- in a read-only transaction every function that writes says so by its own name, before it does anything
BEGIN READ ONLY;
CALL test.refused($$SELECT kin_tr.create_task()$$);
CALL test.refused($$SELECT kin_tr.cancel_task('WT' || repeat('0', 32))$$);
CALL test.refused($$SELECT kin_tr.accept_reservation('WR' || repeat('0', 32))$$);
CALL test.refused($$SELECT kin_tr.update_worker_activity('worker 1', 'Available')$$);
CALL test.refused($$SELECT kin_tr.create_worker('x')$$);
CALL test.refused($$SELECT kin_tr.create_workspace('x')$$);
CALL test.refused($$SELECT kin_tr.grant_access(current_user::regrole, 'app')$$);
CALL test.refused($$SELECT kin_tr.tick()$$);
CALL test.refused($$SELECT kin_tr.ring()$$);
CALL test.refused($$SELECT kin_tr.set_clock(NULL)$$);
-- who only reads may
SELECT count(*) AS faults FROM kin_tr.check();
SELECT friendly_name FROM kin_tr.get_worker('worker 1');
SELECT count(*) > 0 AS events FROM kin_tr.events_since(NULL);
ROLLBACK;
-- so each of them: whatever its arguments, the first thing that is refused is that
BEGIN READ ONLY;
SELECT p.proname AS writes_first_and_asks_later
  FROM pg_proc p, format('SELECT kin_tr.%I(%s)', p.proname, (SELECT string_agg('NULL::' || t::regtype, ', ') FROM unnest(p.proargtypes) t)) call
 WHERE p.pronamespace = 'kin_tr'::regnamespace AND p.proname ~ '^(create|update|delete|cancel|wrapup|complete|accept|reject|grant|revoke|setup|resume|release|rebind|begin|tick$|ring$|maintain$|set_)'
   AND test.sqlstate(call) <> '25006' ORDER BY 1;
ROLLBACK;

-- a role without the right is told which kind it needs, and who may grant it; and no hint that it cannot follow
CREATE ROLE regress_kt_nobody;
CREATE ROLE "regress_kt Reader";
GRANT USAGE ON SCHEMA test TO regress_kt_nobody, "regress_kt Reader";
SELECT kin_tr.grant_access('"regress_kt Reader"', 'reader', 'Shop');
SET ROLE "regress_kt Reader";
CALL test.refused($$SELECT kin_tr.create_task()$$);
CALL test.refused($$SELECT kin_tr.create_worker('x')$$);
CALL test.refused($$SELECT kin_tr.create_task_queue('x')$$);
CALL test.refused($$SELECT kin_tr.tick()$$);
CALL test.refused($$SELECT kin_tr.grant_access('regress_kt_nobody', 'app', 'Shop')$$);
CALL test.refused($$SELECT kin_tr.grant_access('regress_kt_nobody', 'app')$$);
CALL test.refused($$SELECT kin_tr.get_worker('walker 11')$$);
-- of a workspace that it may not read it is told neither the name nor that it is near
CALL test.refused($$SELECT kin_tr.get_workspace('secret')$$);
CALL test.refused($$SELECT kin_tr.get_workspace('shop')$$);
CALL test.refused($$SELECT kin_tr.get_workspace('Secret')$$);
SELECT place, message, hint FROM kin_tr.validate_workflow('{"task_routing": {"default_filter": {"queue": "sample queue"}}}');
SELECT place, message, hint FROM kin_tr.validate_workflow('{"task_routing": {"default_filter": {"queue": "Nowhere"}}}');
RESET ROLE;
SELECT place, message, hint FROM kin_tr.validate_workflow('{"task_routing": {"default_filter": {"queue": "Nowhere"}}}');
SELECT kin_tr.delete_workspace('Shop');
SELECT kin_tr.delete_workspace('Secret');
SELECT kin_tr.delete_workspace('Empty');
SELECT kin_tr.create_workspace('Shop') IS NOT NULL AS created;
SELECT kin_tr.grant_access('"regress_kt Reader"', 'reader');
SELECT kin_tr.delete_workspace('Shop');
RESET kin_tr.workspace;
SET ROLE "regress_kt Reader";
CALL test.refused($$SELECT kin_tr.get_workspace()$$);
CALL test.refused($$SELECT kin_tr.get_workspace('Shop')$$);
RESET ROLE;
SELECT kin_tr.revoke_access('"regress_kt Reader"', 'reader');
REVOKE USAGE ON SCHEMA test FROM regress_kt_nobody, "regress_kt Reader";
DROP ROLE regress_kt_nobody, "regress_kt Reader";
