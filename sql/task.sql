-- Tasks: created with every argument, changed, ended; versions and idempotency keys.
SET timezone = 'UTC'; SET datestyle = 'ISO';
SELECT kin_tr.set_clock('2026-01-05 09:00Z');
SELECT kin_tr.create_workspace('task', 'FIFO') IS NOT NULL AS created;
SET kin_tr.workspace = 'task';
SELECT kin_tr.create_worker('Alice', '{"id": 7}', 'Available') AS alice \gset
SELECT sid AS queue FROM kin_tr.get_task_queue('Sample Queue') \gset

-- defaults
SELECT kin_tr.create_task() AS plain \gset
SELECT assignment_status, attributes, addons, age, date_created, date_updated, task_queue_entered_date, virtual_start_time, priority, reason, timeout,
       task_queue_friendly_name, task_channel_unique_name, workflow_friendly_name, ignore_capacity, routing_target, not_before, finished_at, in_history, version
  FROM kin_tr.get_task(:'plain') \gx
SELECT left(sid, 2) AS task, left(account_sid, 2) AS account, workspace_sid = test.ws() AS here, task_queue_sid = :'queue' AS queue,
       left(task_channel_sid, 2) AS channel, left(workflow_sid, 2) AS workflow FROM kin_tr.get_task(:'plain');
SELECT kin_tr.delete_task(:'plain');
-- NULLs are defaults
SELECT kin_tr.create_task(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL) AS nulls \gset
SELECT attributes, priority, timeout, task_channel_unique_name FROM kin_tr.get_task(:'nulls');
SELECT kin_tr.delete_task(:'nulls');
-- every argument
SELECT kin_tr.create_task('{"name": "every", "deep": {"x": [1, null, "ä"]}}', 2147483647, 1209600, 'Default Fifo Workflow', 'voice', '2026-01-05 08:00Z',
                          idempotency_key => 'every', workspace => 'task') AS every \gset
SELECT attributes, priority, timeout, workflow_friendly_name, task_channel_unique_name, virtual_start_time, date_created FROM kin_tr.get_task(:'every');
SELECT kin_tr.delete_task(:'every');
-- the age counts from the creation, in the queue from the entry
SELECT kin_tr.create_task('{"name": "ages"}', virtual_start_time => '1900-01-01 00:00Z') IS NOT NULL AS created;
SELECT test.later('90 s');
SELECT age, virtual_start_time FROM kin_tr.get_task(test.task('ages'));
SELECT kin_tr.delete_task(test.task('ages'));

-- routed directly: to a worker, by default whatever its capacity and activity; to a queue; to a workflow
SELECT kin_tr.create_task('{"name": "to worker"}', routing_target => :'alice') IS NOT NULL AS created;
SELECT kin_tr.create_task('{"name": "to worker, with capacity"}', routing_target => :'alice', ignore_capacity => false, task_queue => 'Sample Queue') IS NOT NULL AS created;
SELECT kin_tr.create_task('{"name": "to queue"}', routing_target => :'queue') IS NOT NULL AS created;
SELECT kin_tr.create_task('{"name": "to workflow"}', routing_target => (SELECT sid FROM kin_tr.get_workflow('Default Fifo Workflow'))) IS NOT NULL AS created;
SELECT attributes ->> 'name' AS task, left(routing_target, 2) AS target, ignore_capacity, task_queue_friendly_name, workflow_friendly_name
  FROM kin_tr.all_tasks WHERE workspace_sid = test.ws() ORDER BY sid;
CALL test.clear();
SELECT kin_tr.create_worker('Alice', '{"id": 7}', 'Available') AS alice \gset

-- refused
CALL test.refused($$SELECT kin_tr.create_task('[]')$$);
CALL test.refused($$SELECT kin_tr.create_task('"text"')$$);
CALL test.refused($$SELECT kin_tr.create_task('null')$$);
CALL test.refused($$SELECT kin_tr.create_task(jsonb_build_object('x', repeat('x', 256 * 1024)))$$);
CALL test.refused($$SELECT kin_tr.create_task(priority => -1)$$);
CALL test.refused($$SELECT kin_tr.create_task(timeout => 0)$$);
CALL test.refused($$SELECT kin_tr.create_task(timeout => 1209601)$$);
CALL test.refused($$SELECT kin_tr.create_task(workflow => 'Nothing')$$);
CALL test.refused($$SELECT kin_tr.create_task(workflow => 'WW00000000000000000000000000000001')$$);
CALL test.refused(format($$SELECT kin_tr.create_task(workflow => %L)$$, :'queue'));
CALL test.refused($$SELECT kin_tr.create_task(task_channel => 'fax')$$);
CALL test.refused($$SELECT kin_tr.create_task(virtual_start_time => '2026-01-05 09:01:31Z')$$);
CALL test.refused($$SELECT kin_tr.create_task(virtual_start_time => '1899-12-31 23:59Z')$$);
CALL test.refused($$SELECT kin_tr.create_task(virtual_start_time => '-infinity')$$);
CALL test.refused($$SELECT kin_tr.create_task(virtual_start_time => 'infinity')$$);
CALL test.refused($$SELECT kin_tr.create_task(routing_target => 'Alice')$$);
CALL test.refused($$SELECT kin_tr.create_task(routing_target => 'WK00000000000000000000000000000001')$$);
CALL test.refused($$SELECT kin_tr.create_task(routing_target => 'WT00000000000000000000000000000001')$$);
CALL test.refused($$SELECT kin_tr.create_task(task_queue => 'Nothing')$$);
CALL test.refused($$SELECT kin_tr.create_task(idempotency_key => '')$$);
CALL test.refused($$SELECT kin_tr.create_task(idempotency_key => repeat('x', 256))$$);
CALL test.refused($$SELECT kin_tr.create_task(workspace => 'nowhere')$$);
SELECT count(*) AS tasks FROM kin_tr.tasks;
SELECT count(*) AS keys FROM kin_tr.idempotency_keys;
-- 256 kB is what the setting says
SET kin_tr.max_attributes_size = 1;
CALL test.refused($$SELECT kin_tr.create_task(jsonb_build_object('x', repeat('x', 1024)))$$);
SELECT kin_tr.create_task(jsonb_build_object('name', 'small', 'x', repeat('x', 900))) IS NOT NULL AS created;
CALL test.refused($$SELECT kin_tr.update_task(test.task('small'), jsonb_build_object('x', repeat('x', 1024)))$$);
-- merged they are too large, each would do
SELECT test.tick();
SELECT kin_tr.accept_reservation(test.reservation('small'));
CALL test.refused($$SELECT kin_tr.complete_task(test.task('small'), jsonb_build_object('y', repeat('y', 900)))$$);
RESET kin_tr.max_attributes_size;
SELECT task, status FROM test.board;
SELECT kin_tr.complete_task(test.task('small'));
SELECT kin_tr.delete_task(test.task('small'));

-- a filter that fits none is its creator's error, and nothing happened
SELECT kin_tr.create_workflow('picky', '{"task_routing": {"filters": [{"expression": "type == \"a\"", "targets": [{"queue": "Sample Queue"}]}]}}') IS NOT NULL AS created;
SELECT kin_tr.current_cursor() AS before \gset
CALL test.refused($$SELECT kin_tr.create_task('{"type": "b"}', workflow => 'picky', idempotency_key => 'b')$$);
SELECT (SELECT count(*) FROM kin_tr.tasks) AS tasks, (SELECT count(*) FROM kin_tr.idempotency_keys WHERE key = 'b') AS keys,
       (SELECT count(*) FROM kin_tr.events_since(:'before')) AS events;
SELECT kin_tr.delete_workflow('picky');

-- idempotency: the same request is the same task, another is an error
SELECT kin_tr.create_task('{"name": "once"}', 5, idempotency_key => 'k1') AS once \gset
SELECT kin_tr.create_task('{"name": "once"}', 5, idempotency_key => 'k1') = :'once' AS same;
SELECT kin_tr.create_task('{"name":    "once"}', priority => 5, timeout => 86400, idempotency_key => 'k1', workspace => 'task') = :'once' AS same_in_other_words;
CALL test.refused($$SELECT kin_tr.create_task('{"name": "once"}', 6, idempotency_key => 'k1')$$);
CALL test.refused($$SELECT kin_tr.create_task('{"name": "once"}', NULL, idempotency_key => 'k1')$$);
CALL test.refused($$SELECT kin_tr.create_task('{"name": "twice"}', 5, idempotency_key => 'k1')$$);
CALL test.refused($$SELECT kin_tr.create_task('{"name": "once"}', 5, 100, idempotency_key => 'k1')$$);
CALL test.refused($$SELECT kin_tr.create_task('{"name": "once"}', 5, task_channel => 'voice', idempotency_key => 'k1')$$);
CALL test.refused($$SELECT kin_tr.create_task('{"name": "once"}', 5, virtual_start_time => '2026-01-05 09:00Z', idempotency_key => 'k1')$$);
SELECT count(*) AS tasks FROM test.board;
-- also after its end, and after its deletion
SELECT kin_tr.cancel_task(:'once');
SELECT kin_tr.create_task('{"name": "once"}', 5, idempotency_key => 'k1') = :'once' AS same;
SELECT kin_tr.delete_task(:'once');
SELECT kin_tr.create_task('{"name": "once"}', 5, idempotency_key => 'k1') = :'once' AS same;
SELECT count(*) AS tasks FROM test.board;
-- a rolled back request leaves its key free
BEGIN;
SELECT kin_tr.create_task('{"name": "never"}', idempotency_key => 'k2') IS NOT NULL AS created;
ROLLBACK;
SELECT kin_tr.create_task('{"name": "other"}', idempotency_key => 'k2') IS NOT NULL AS created;
-- keys are of a workspace
SELECT kin_tr.create_workspace('task, too', 'FIFO') IS NOT NULL AS created;
SELECT kin_tr.create_task('{"name": "elsewhere"}', idempotency_key => 'k1', workspace => 'task, too') <> :'once' AS another;
SELECT kin_tr.delete_workspace('task, too');
SELECT kin_tr.delete_task(test.task('other'));

-- update: what is NULL stays, attributes are replaced whole
SELECT kin_tr.create_task('{"name": "u", "a": 1, "b": 2}', 3) AS u \gset
SELECT test.later('10 s');
SELECT kin_tr.update_task(:'u', '{"name": "u", "c": 3}');
SELECT kin_tr.update_task(:'u', priority => 9, virtual_start_time => '2026-01-05 08:30Z', if_version => 1);
SELECT kin_tr.update_task(:'u', task_channel => 'chat', workspace => 'task');
SELECT attributes, priority, virtual_start_time, task_channel_unique_name, date_created, date_updated, version FROM kin_tr.get_task(:'u');
CALL test.refused($$SELECT kin_tr.update_task(test.task('u'), '{}', if_version => 1)$$);
CALL test.refused($$SELECT kin_tr.update_task(test.task('u'), '[]')$$);
CALL test.refused($$SELECT kin_tr.update_task(test.task('u'), priority => -1)$$);
CALL test.refused($$SELECT kin_tr.update_task(test.task('u'), task_channel => 'fax')$$);
CALL test.refused($$SELECT kin_tr.update_task(test.task('u'), virtual_start_time => '2026-01-06 00:00Z')$$);
CALL test.refused($$SELECT kin_tr.update_task(test.task('u'), virtual_start_time => '1899-01-01 00:00Z')$$);
CALL test.refused($$SELECT kin_tr.update_task(test.task('u'), virtual_start_time => '-infinity')$$);
CALL test.refused($$SELECT kin_tr.update_task(test.task('u'), workspace => 'nowhere')$$);
CALL test.refused($$SELECT kin_tr.update_task('u', '{}')$$);
CALL test.refused($$SELECT kin_tr.update_task('WR00000000000000000000000000000001', '{}')$$);
CALL test.refused($$SELECT kin_tr.update_task('WT00000000000000000000000000000001', '{}')$$);
CALL test.refused($$SELECT kin_tr.update_task(NULL, '{}')$$);
SELECT attributes, priority, version FROM kin_tr.get_task(:'u');
-- while it is reserved, assigned, wrapping; not when it has ended
SELECT test.tick();
SELECT kin_tr.update_task(:'u', priority => 4);
SELECT kin_tr.accept_reservation(test.reservation('u'));
SELECT kin_tr.update_task(:'u', '{"name": "u", "d": 4}');
SELECT kin_tr.wrapup_task(:'u', 'hung up');
SELECT kin_tr.update_task(:'u', '{"name": "u", "e": 5}');
-- complete: keys of attributes replace the task's
SELECT kin_tr.complete_task(:'u', '{"e": 6, "f": {"x": 1}}', 'done', if_version => 9);
SELECT assignment_status, attributes, reason, finished_at, version FROM kin_tr.get_task(:'u');
CALL test.refused($$SELECT kin_tr.update_task(test.task('u'), priority => 1)$$);
CALL test.refused($$SELECT kin_tr.complete_task(test.task('u'))$$);
CALL test.refused($$SELECT kin_tr.cancel_task(test.task('u'))$$);
CALL test.refused($$SELECT kin_tr.wrapup_task(test.task('u'))$$);
CALL test.clear();
SELECT kin_tr.create_worker('Alice', '{"id": 7}', 'Available') AS alice \gset

-- cancel, with its reason; twice is refused
SELECT kin_tr.create_task('{"name": "c"}') AS c \gset
CALL test.refused($$SELECT kin_tr.cancel_task(test.task('c'), if_version => 1)$$);
SELECT kin_tr.cancel_task(:'c', 'caller hung up', 'task', 0);
SELECT assignment_status, reason, finished_at, version FROM kin_tr.get_task(:'c');
CALL test.refused($$SELECT kin_tr.cancel_task(test.task('c'))$$);
-- of a reserved task the offer ends with it
SELECT kin_tr.create_task('{"name": "r"}') AS r \gset
SELECT test.tick();
SELECT kin_tr.cancel_task(:'r');
SELECT task, status, reservations FROM test.board WHERE task = 'r';
SELECT available_capacity_percentage FROM kin_tr.get_worker_channel('Alice', 'default');
-- an assigned task ends by being completed
SELECT kin_tr.create_task('{"name": "a"}') AS a \gset
SELECT test.tick();
SELECT kin_tr.accept_reservation(test.reservation('a'));
CALL test.refused($$SELECT kin_tr.cancel_task(test.task('a'))$$);

-- delete: from any status, without a trace but in the events
SELECT kin_tr.create_task('{"name": "p"}') IS NOT NULL AS created;
CALL test.refused($$SELECT kin_tr.delete_task(test.task('p'), if_version => 1)$$);
SELECT kin_tr.current_cursor() AS before \gset
SELECT kin_tr.delete_task(test.task('p')), kin_tr.delete_task(:'a'), kin_tr.delete_task(:'r'), kin_tr.delete_task(:'c', 'task', 1);
SELECT event_type, event_data ->> 'task_assignment_status' AS status, event_data ->> 'task_attributes' AS attributes FROM kin_tr.events_since(:'before');
CALL test.refused(format($$SELECT kin_tr.get_task(%L)$$, :'a'));
CALL test.refused(format($$SELECT kin_tr.delete_task(%L)$$, :'a'));
CALL test.refused($$SELECT kin_tr.get_task('x')$$);
CALL test.refused($$SELECT kin_tr.get_task('WR00000000000000000000000000000001')$$);
CALL test.refused($$SELECT kin_tr.get_task(NULL)$$);
CALL test.refused($$SELECT kin_tr.get_task('WT00000000000000000000000000000001')$$);
SELECT count(*) AS tasks FROM kin_tr.tasks;
SELECT count(*) AS reservations FROM kin_tr.reservations;
-- and the worker is free again
SELECT kin_tr.create_task('{"name": "next"}') IS NOT NULL AS created;
SELECT test.tick();
SELECT test.faults();

-- an app's test: create, route, look, and nothing has happened
CALL test.clear();
SELECT kin_tr.create_worker('Alice', activity => 'Available') IS NOT NULL AS alice;
BEGIN;
SELECT kin_tr.create_task('{"name": "tried"}') IS NOT NULL AS created;
SELECT assigned, timed_out, moved, canceled, next_due, more FROM kin_tr.tick();
SELECT * FROM test.board;
SELECT kin_tr.accept_reservation(test.reservation('tried'));
SELECT kin_tr.complete_task(test.task('tried'));
SELECT * FROM test.board;
ROLLBACK;
SELECT count(*) AS tasks FROM kin_tr.tasks;
SELECT test.tick();
-- also with a savepoint
BEGIN;
SELECT kin_tr.create_task('{"name": "kept"}') IS NOT NULL AS created;
SAVEPOINT s;
SELECT kin_tr.create_task('{"name": "given up"}', 10) IS NOT NULL AS created;
SELECT assigned FROM kin_tr.tick();
SELECT task, status FROM test.board;
ROLLBACK TO s;
SELECT assigned FROM kin_tr.tick();
SELECT task, status FROM test.board;
COMMIT;
SELECT test.tick();
SELECT test.faults();
SELECT kin_tr.delete_workspace('task');
