-- The event log: every type whose cause exists here, its fields, and cursors.
SET timezone = 'UTC'; SET datestyle = 'ISO';
SELECT kin_tr.set_clock('2026-01-05 09:00Z');
SELECT kin_tr.current_cursor() AS start \gset
SELECT kin_tr.create_workspace('events') AS ws \gset
SET kin_tr.workspace = 'events';

-- ------------------------------------------------------------------ types
SELECT kin_tr.update_workspace('events', events_filter => '');
SELECT kin_tr.create_activity('Lunch'), kin_tr.update_activity('Lunch', 'Break') \gset
SELECT kin_tr.delete_activity('Break');
SELECT kin_tr.create_task_channel('Mail', 'mail'), kin_tr.update_task_channel('mail', 'E-Mail') \gset
SELECT kin_tr.delete_task_channel('mail');
SELECT kin_tr.create_task_queue('Q1') AS q1, kin_tr.create_task_queue('Q2', max_reserved_workers => 2) AS q2, kin_tr.create_task_queue('Q3') AS q3 \gset
SELECT kin_tr.update_task_queue('Q3', target_workers => '1==2');
SELECT kin_tr.delete_task_queue('Q3');
SELECT kin_tr.create_workflow('w', '{"task_routing": {"filters": [{"filter_friendly_name": "tests", "expression": "1==1", "targets": [{"queue": "Q1", "timeout": 10}, {"queue": "Q2", "timeout": 100}]}]}}', 8) AS w \gset
SELECT kin_tr.create_workflow('skips', '{"task_routing": {"filters": [{"expression": "1==1", "targets": [{"queue": "Q1", "expression": "worker.nobody == 1", "skip_if": "1==1"}]}]}}') AS skips \gset
SELECT kin_tr.update_workflow('w', task_reservation_timeout => 9);
SELECT kin_tr.create_worker('Alice', '{"level": 1}') AS alice, kin_tr.create_worker('Bob') AS bob, kin_tr.create_worker('Carol') AS carol \gset
SELECT kin_tr.update_worker('Alice', '{"level": 2}'), kin_tr.update_worker_channel('Alice', 'default', 2), kin_tr.update_worker_channel('Alice', 'chat', available => false), kin_tr.delete_worker('Carol');
-- a task that is offered, refused, moved on, offered twice, accepted, wrapped up and completed
SELECT test.new('life', '{"x": 1}', 5, 'w') AS made \gset
SELECT test.task('life') AS life \gset
SELECT kin_tr.update_task(:'life', '{"name": "life", "x": 2}', 6);
SELECT kin_tr.update_worker_activity('Alice', 'Available');
SELECT test.tick();
SELECT kin_tr.reject_reservation(test.reservation('life'), 'lunch', 'Unavailable');
SELECT test.later('10 s'), test.tick();
SELECT kin_tr.update_worker_activity('Alice', 'Available'), kin_tr.update_worker_activity('Bob', 'Available');
SELECT test.tick();
SELECT test.reservation('life', 'Alice') AS accepted, test.reservation('life', 'Bob') AS rescinded \gset
SELECT kin_tr.accept_reservation(:'accepted');
SELECT kin_tr.wrapup_reservation(:'accepted', '{"y": 3}');
SELECT kin_tr.complete_reservation(:'accepted');
-- one that times out, is canceled with its offer; one whose workflow ends by time; one by skip; one deleted; one forgotten
SELECT test.new('late', workflow => 'w');
SELECT test.tick();
SELECT test.later('9 s'), test.tick();
SELECT kin_tr.cancel_task(test.task('late'), 'enough');
SELECT test.new('ends', workflow => 'w', task_channel => 'chat');
SELECT kin_tr.update_worker_activity('Bob', 'Offline');
SELECT test.later('110 s'), test.tick();
SELECT test.new('skipped', workflow => 'skips'), test.tick();
SELECT test.new('deleted', workflow => 'skips');
SELECT kin_tr.delete_task(test.task('deleted'));
SELECT kin_tr.delete_workflow('skips');
SELECT test.new('forgotten', workflow => 'w');
SELECT kin_tr.update_worker_activity('Alice', 'Available');
SELECT test.tick();
SELECT kin_tr.accept_reservation(test.reservation('forgotten'));
SELECT test.later('24 h'), test.tick();
SELECT test.new('hung up', workflow => 'w'), test.tick();
SELECT kin_tr.cancel_task(test.task('hung up'));
SELECT kin_tr.delete_task(t.sid::text) FROM kin_tr.tasks t WHERE workspace_sid = test.ws() ORDER BY sid;
-- (and what takes no part any more)
SELECT kin_tr.create_workspace('events, too') AS other \gset
SELECT kin_tr.delete_workspace('events, too');

SELECT event_type, count(*) FROM kin_tr.events WHERE workspace_sid IN (:'ws', :'other') GROUP BY 1 ORDER BY 1;
-- TaskRouter's types that are not among them, for their cause does not exist here: transfers, a reservation that could not be offered
SELECT string_agg(t, ' ' ORDER BY t) AS missing FROM unnest(string_to_array(
    'activity.created activity.updated activity.deleted reservation.created reservation.accepted reservation.rejected reservation.timeout reservation.canceled '
    'reservation.rescinded reservation.wrapup reservation.completed reservation.failed task.created task.updated task.canceled task.wrapup task.completed task.deleted '
    'task.system-deleted task.transfer-initiated task.transfer-attempt-failed task.transfer-failed task.transfer-canceled task.transfer-completed '
    'task-channel.created task-channel.updated task-channel.deleted task-queue.created task-queue.deleted task-queue.entered task-queue.timeout task-queue.moved '
    'task-queue.expression.updated worker.created worker.activity.update worker.attributes.update worker.capacity.update worker.channel.availability.update worker.deleted '
    'workflow.created workflow.updated workflow.deleted workflow.target-matched workflow.entered workflow.timeout workflow.skipped workspace.created workspace.updated workspace.deleted', ' ')) t
 WHERE NOT EXISTS (SELECT FROM kin_tr.events e WHERE e.event_type = t AND e.workspace_sid IN (:'ws', :'other'));

-- ----------------------------------------------------------------- fields
-- all values are strings, as Twilio's; the sids there are say where one belongs
-- (of a workspace that is gone no event but its deletion tells the name, so the other one is asked first)
RESET kin_tr.workspace;
SELECT event_type, resource_type, left(resource_sid, 2) AS resource, (SELECT string_agg(f, ' ') FROM unnest(string_to_array(
           CASE WHEN event_type ~ '^(task\.|reservation\.|workflow\.(entered|target-matched|timeout|skipped)|task-queue\.(entered|timeout|moved))'
                THEN 'task_sid task_attributes task_age task_priority task_assignment_status task_channel_sid task_channel_unique_name task_date_created task_version workflow_sid workflow_name ' ELSE '' END ||
           CASE WHEN event_type ~ '^(task\.|reservation\.)' THEN 'task_queue_sid task_queue_name task_queue_entered_date task_queue_target_expression workflow_filter_name ' ELSE '' END ||
           CASE WHEN event_type = 'task.canceled' THEN 'task_canceled_reason reason ' WHEN event_type = 'task.completed' THEN 'task_completed_reason reason ' ELSE '' END ||
           CASE WHEN event_type ~ '^reservation\.' THEN 'reservation_sid ' ELSE '' END ||
           CASE WHEN event_type ~ '^(reservation|worker)\.' THEN 'worker_sid worker_name worker_attributes worker_activity_sid worker_activity_name worker_version ' ELSE '' END ||
           CASE WHEN event_type = 'worker.activity.update' THEN 'worker_time_in_previous_activity worker_time_in_previous_activity_ms worker_previous_activity_sid worker_previous_activity_name ' ELSE '' END ||
           CASE WHEN event_type ~ '^worker\.(capacity|channel)' THEN 'worker_channel_available worker_channel_available_capacity worker_channel_previous_capacity worker_channel_task_count task_channel_sid task_channel_unique_name ' ELSE '' END ||
           CASE WHEN event_type ~ '^task-channel\.' THEN 'task_channel_sid task_channel_name task_channel_unique_name task_channel_optimized_routing ' ELSE '' END ||
           CASE WHEN event_type ~ '^task-queue\.' THEN 'task_queue_sid task_queue_name task_queue_target_expression ' ELSE '' END ||
           CASE WHEN event_type ~ '^activity\.' THEN 'activity_sid activity_name activity_available ' ELSE '' END ||
           CASE WHEN event_type ~ '^workflow\.' THEN 'workflow_sid workflow_name ' ELSE '' END ||
           'workspace_sid workspace_name', ' ')) f WHERE NOT event_data ? f) AS missing_fields
  FROM (SELECT DISTINCT ON (event_type) * FROM kin_tr.events_since(:'start', 100000) ORDER BY event_type, workspace_sid = :'ws' DESC, id DESC) e ORDER BY event_type;
SET kin_tr.workspace = 'events';
SELECT count(*) AS no_strings FROM kin_tr.events_since(:'start', 100000), jsonb_each(event_data) v WHERE jsonb_typeof(value) <> 'string';
-- the life of a task, with its attributes and the worker's of each moment
SELECT event_type, to_char(event_date, 'HH24:MI:SS') AS at, resource_type, event_data ->> 'task_assignment_status' AS status, event_data ->> 'task_queue_name' AS queue,
       event_data ->> 'task_version' AS version, event_data ->> 'task_age' AS age, event_data ->> 'task_attributes' AS attributes, event_data ->> 'worker_name' AS worker, event_data ->> 'reason' AS reason
  FROM kin_tr.events_since(:'start', 1000, resource => :'life');
SELECT test.masked(jsonb_pretty(event_data)) FROM kin_tr.events_since(:'start', 1000, ARRAY['reservation.rejected'], :'life');
SELECT event_data ->> 'worker_attributes' AS attributes FROM kin_tr.events_since(:'start', 1000, ARRAY['worker.created', 'worker.attributes.update', 'worker.activity.update', 'reservation.accepted'], :'alice');
-- who caused it, and whose it is
SELECT DISTINCT actor = session_user AS own, left(account_sid, 2) AS account, account_sid = (SELECT account_sid FROM kin_tr.get_workspace()) AS its_account, workspace_sid = :'ws' AS here
  FROM kin_tr.events_since(:'start', 1000);
-- and in words
SELECT DISTINCT ON (event_type) event_type, description FROM kin_tr.events_since(:'start', 1000) ORDER BY event_type, id;
-- its SID follows from the row, and its id rises with time
SELECT bool_and(left(sid, 2) = 'EV') AS kind, count(DISTINCT sid) = count(*) AS own, bool_and(id > before) AS rising, bool_and(event_date >= before_date) AS in_order
  FROM (SELECT *, lag(id) OVER () AS before, lag(event_date) OVER () AS before_date FROM kin_tr.events_since(:'start', 100000)) e;

-- ---------------------------------------------------------------- cursors
SELECT count(*) AS all_events FROM kin_tr.events_since(:'start', 100000) \gset
-- NULL is the oldest kept
SELECT count(*) >= :all_events AS at_least FROM kin_tr.events_since(NULL, 100000);
-- what current_cursor() gave has seen all; so has the last row's
SELECT count(*) FROM kin_tr.events_since(kin_tr.current_cursor());
SELECT next_cursor AS last FROM kin_tr.events_since(:'start', 100000) ORDER BY id DESC LIMIT 1 \gset
SELECT count(*) FROM kin_tr.events_since(:'last');
-- cut at any number: none twice, none lost, in order; also with filters
CREATE FUNCTION test.read(cursor text, max integer, types text[] DEFAULT NULL, resource text DEFAULT NULL) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    result bigint[] := '{}';
    page record;
BEGIN
    LOOP
        SELECT array_agg(e.id) AS ids, count(*) AS n, (array_agg(e.next_cursor))[count(*)] AS next INTO page FROM kin_tr.events_since(cursor, max, types, resource) e;
        EXIT WHEN page.n = 0;
        ASSERT page.n <= max;
        result := result || page.ids;
        cursor := page.next;
    END LOOP;
    RETURN result;
END $$;
SELECT max, test.read(:'start', max) = (SELECT array_agg(id ORDER BY id) FROM kin_tr.events_since(:'start', 100000)) AS same
  FROM unnest(ARRAY[1, 2, 7, 16, 17, 100, 1000]) max;
SELECT max, test.read(:'start', max, ARRAY['task.created', 'task.canceled']) = (SELECT array_agg(id ORDER BY id) FROM kin_tr.events_since(:'start', 100000) WHERE event_type IN ('task.created', 'task.canceled')) AS by_type,
       test.read(:'start', max, NULL, :'life') = (SELECT array_agg(id ORDER BY id) FROM kin_tr.events_since(:'start', 100000) WHERE :'life' IN (resource_sid::text, event_data ->> 'task_sid')) AS by_task,
       test.read(:'start', max, NULL, :'bob') = (SELECT array_agg(id ORDER BY id) FROM kin_tr.events_since(:'start', 100000) WHERE event_data ->> 'worker_sid' = :'bob') AS by_worker,
       test.read(:'start', max, NULL, :'q2') = (SELECT array_agg(id ORDER BY id) FROM kin_tr.events_since(:'start', 100000) WHERE event_data ->> 'task_queue_sid' = :'q2') AS by_queue
  FROM unnest(ARRAY[1, 3, 1000]) max;
-- what is new comes next, and what is not committed does not
SELECT test.new('new', workflow => 'w');
SELECT event_type FROM kin_tr.events_since(:'last', 2);
SELECT next_cursor AS half FROM kin_tr.events_since(:'last', 2) ORDER BY id DESC LIMIT 1 \gset
BEGIN;
SELECT test.new('not yet', workflow => 'w');
SELECT event_type FROM kin_tr.events_since(:'half');
SELECT kin_tr.current_cursor() AS within \gset
COMMIT;
SELECT event_type, event_data -> 'task_attributes' FROM kin_tr.events_since(:'within', types => ARRAY['task.created']);
SELECT test.events(:'half');
-- rolled back, it never was
BEGIN;
SELECT test.new('never', workflow => 'w');
ROLLBACK;
SELECT count(*) FROM kin_tr.events_since(NULL, 100000) WHERE event_data ->> 'task_attributes' LIKE '%never%';
-- nor in a subtransaction
BEGIN;
SELECT test.new('kept', workflow => 'w');
SAVEPOINT s;
SELECT test.new('given up', workflow => 'w');
ROLLBACK TO s;
SELECT test.new('kept too', workflow => 'w');
COMMIT;
SELECT event_data ->> 'task_attributes' AS attributes FROM kin_tr.events_since(:'within', types => ARRAY['task.created']);

-- of one workspace, or of all
SELECT kin_tr.create_workspace('events, three') IS NOT NULL AS created;
SELECT count(DISTINCT workspace_sid) FROM kin_tr.events_since(:'start', 100000);
RESET kin_tr.workspace;
SELECT count(DISTINCT workspace_sid) FROM kin_tr.events_since(:'start', 100000);
SELECT DISTINCT workspace_sid = :'ws' AS own FROM kin_tr.events_since(:'start', 100000, workspace => 'events');
SELECT kin_tr.delete_workspace('events, three');

-- refused
CALL test.refused($$SELECT * FROM kin_tr.events_since('nonsense')$$);
CALL test.refused($$SELECT * FROM kin_tr.events_since('')$$);
CALL test.refused($$SELECT * FROM kin_tr.events_since('1;2;3,')$$);
CALL test.refused($$SELECT * FROM kin_tr.events_since('1;100;5,4')$$);
CALL test.refused($$SELECT * FROM kin_tr.events_since('1;100;200')$$);
CALL test.refused($$SELECT * FROM kin_tr.events_since('1;100')$$);
CALL test.refused($$SELECT * FROM kin_tr.events_since('1;99999999999999999999999;')$$);
CALL test.refused($$SELECT * FROM kin_tr.events_since('1;1;/1;2;/x/9')$$);
CALL test.refused($$SELECT * FROM kin_tr.events_since(max => 0)$$);
CALL test.refused($$SELECT * FROM kin_tr.events_since(max => 100001)$$);
CALL test.refused($$SELECT * FROM kin_tr.events_since(resource => 'Alice')$$);
CALL test.refused($$SELECT * FROM kin_tr.events_since(workspace => 'nowhere')$$);
-- one that nothing has, and one that never was
SELECT count(*) FROM kin_tr.events_since(resource => 'WT00000000000000000000000000000001');
CALL test.refused($$SELECT kin_tr.events_since(types => ARRAY['no.such'])$$);
CALL test.refused($$SELECT kin_tr.events_since(types => ARRAY['task.created', NULL])$$);
CALL test.refused($$SELECT kin_tr.events_since('9;1;')$$);
CALL test.refused($$SELECT kin_tr.events_since('0;0;/9;1;/1/2/0')$$);
SELECT count(*) FROM kin_tr.events_since(types => '{}');

-- ----------------------------------------------------------- retention
-- a cursor from before what was dropped is an error and no gap; NULL goes on from the oldest kept
SET kin_tr.workspace = 'events';
SELECT count(*) > 0 AS old FROM kin_tr.events_since(:'start');
BEGIN;
UPDATE kin_tr.events SET recorded_at = recorded_at - interval '31 days' WHERE id <= (SELECT max(id) FROM kin_tr.events_since(:'start', 10));
SELECT partitions_dropped FROM kin_tr.maintain();
CALL test.refused(format('SELECT * FROM kin_tr.events_since(%L)', :'start'));
SELECT count(*) > 0 AS kept FROM kin_tr.events_since(NULL);
SELECT count(*) FROM kin_tr.events_since(:'within', types => ARRAY['task.created']);
ROLLBACK;

-- no plan reads all of a partition, also where a VACUUM of one puts it out of date
SELECT kin_tr.cancel_task(kin_tr.create_task('{}', workflow => 'w')) AS version;
SELECT count(*) > 0 AS some FROM kin_tr.events_since(NULL);
\set ECHO none
SELECT format('VACUUM (ANALYZE) %s', oid::regclass) FROM pg_class
 WHERE relnamespace = 'kin_tr'::regnamespace AND relkind = 'r' AND relispartition \gexec
\set ECHO all
SELECT pg_stat_force_next_flush();
BEGIN;
SELECT kin_tr.cancel_task(kin_tr.create_task('{}', workflow => 'w')) AS version;
SELECT count(*) > 0 AS some FROM kin_tr.events_since(NULL);
SELECT relname FROM pg_stat_xact_user_tables s WHERE schemaname = 'kin_tr' AND seq_scan > 0
   AND EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = s.relid);
COMMIT;

-- ------------------------------------------------------------------- bell
-- ring() tells of what is committed, once
SELECT kin_tr.ring() > 0 AS rung;
SELECT kin_tr.ring();
-- on the channels kin_tr and the workspace's
SELECT test.new('rings', workflow => 'w');
SELECT kin_tr.ring();
-- and on the worker's whom it concerns
SELECT kin_tr.update_worker_activity('Bob', 'Available'), kin_tr.update_worker_activity('Alice', 'Offline');
SELECT kin_tr.ring();
-- a payload lists types and sids, and no attributes
LISTEN kin_tr;
SELECT test.new('told', '{"secret": 1}', workflow => 'w');
\o |sed -E 's/[A-Z]{2}[0-9a-f]{32}/*/g; s/("cursor" ?: ?")[^"]*/\1*/; s/PID [0-9]+/PID */'
SELECT kin_tr.ring();
\o
UNLISTEN kin_tr;
-- and of very much only that there is much, with a count of 0
SELECT count(kin_tr.create_task('{}', workflow => 'w')) FROM generate_series(1, 2600);
LISTEN kin_tr;
\o |sed -E 's/[A-Z]{2}[0-9a-f]{32}/*/g; s/("cursor" ?: ?")[^"]*/\1*/; s/PID [0-9]+/PID */'
SELECT kin_tr.ring() > 0 AS rung;
\o
UNLISTEN kin_tr;
-- not of what is not committed
BEGIN;
SELECT test.new('silent', workflow => 'w');
SELECT kin_tr.ring();
ROLLBACK;
SELECT kin_tr.ring();
DROP FUNCTION test.read;
SELECT kin_tr.delete_workspace('events');
