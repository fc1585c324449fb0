-- Task queues: where tasks wait, and which workers serve them.
SET timezone = 'UTC'; SET datestyle = 'ISO';
SELECT kin_tr.set_clock('2026-01-05 09:00Z');
SELECT kin_tr.create_workspace('task_queue') IS NOT NULL AS created;
SET kin_tr.workspace = 'task_queue';

SELECT kin_tr.create_task_queue('plain') IS NOT NULL AS created;
SELECT kin_tr.create_task_queue('full', 'skills HAS "fr"', 50, 'LIFO', 'Unavailable', 'Offline') AS full \gset
SELECT left(sid, 2) AS kind, workspace_sid = test.ws() AS here, friendly_name, target_workers, max_reserved_workers, task_order,
       reservation_activity_name, assignment_activity_name, date_created, date_updated, version
  FROM kin_tr.get_task_queue('plain') UNION ALL
SELECT left(sid, 2), workspace_sid = test.ws(), friendly_name, target_workers, max_reserved_workers, task_order,
       reservation_activity_name, assignment_activity_name, date_created, date_updated, version
  FROM kin_tr.get_task_queue(:'full');
-- an empty expression is legal: nobody serves it
SELECT kin_tr.create_task_queue('nobody', '') IS NOT NULL AS created;
-- and one over what is no attribute but the worker's own
SELECT kin_tr.create_task_queue('some', 'friendly_name == "Alice" OR activity_name == "Available" OR sid == "x" OR worker.activity_sid == "y"') IS NOT NULL AS created;

-- refused
CALL test.refused($$SELECT kin_tr.create_task_queue('plain')$$);
CALL test.refused($$SELECT kin_tr.create_task_queue(NULL)$$);
CALL test.refused($$SELECT kin_tr.create_task_queue(repeat('x', 65))$$);
CALL test.refused($$SELECT kin_tr.create_task_queue('WQ00000000000000000000000000000001')$$);
CALL test.refused($$SELECT kin_tr.create_task_queue('x', 'skills HAS')$$);
CALL test.refused($$SELECT kin_tr.create_task_queue('x', 'task.x == 1')$$);
CALL test.refused($$SELECT kin_tr.create_task_queue('x', 'taskrouter.currentTime > 800')$$);
CALL test.refused($$SELECT kin_tr.create_task_queue('x', max_reserved_workers => 0)$$);
CALL test.refused($$SELECT kin_tr.create_task_queue('x', max_reserved_workers => 51)$$);
CALL test.refused($$SELECT kin_tr.create_task_queue('x', task_order => 'fifo')$$);
CALL test.refused($$SELECT kin_tr.create_task_queue('x', reservation_activity => 'Nowhere')$$);
CALL test.refused($$SELECT kin_tr.create_task_queue('x', repeat('(', 10000))$$);

-- update: what is NULL stays; a change of target_workers has an event of its own
SELECT kin_tr.set_clock('2026-01-05 09:30Z');
SELECT kin_tr.update_task_queue('plain', 'renamed', max_reserved_workers => 2);
SELECT kin_tr.update_task_queue('renamed', target_workers => 'level > 1', if_version => 1);
SELECT friendly_name, target_workers, max_reserved_workers, task_order, date_updated, version FROM kin_tr.get_task_queue('renamed');
CALL test.refused($$SELECT kin_tr.update_task_queue('renamed', 'x', if_version => 1)$$);
CALL test.refused($$SELECT kin_tr.update_task_queue('renamed', 'full')$$);
CALL test.refused($$SELECT kin_tr.update_task_queue('renamed', target_workers => 'level >')$$);
CALL test.refused($$SELECT kin_tr.update_task_queue('renamed', max_reserved_workers => 100)$$);
CALL test.refused($$SELECT kin_tr.update_task_queue('plain', 'x')$$);
SELECT friendly_name, target_workers, max_reserved_workers, version FROM kin_tr.get_task_queue('renamed');

-- target_workers may become empty again, and then nobody serves it
SELECT kin_tr.update_task_queue('renamed', target_workers => '');

-- a queue that a workflow or an open task uses stays
SELECT kin_tr.create_workflow('w', '{"task_routing": {"filters": [{"expression": "a == 1", "targets": [{"queue": "full"}]}], "default_filter": {"queue": "nobody"}}}') IS NOT NULL AS created;
CALL test.refused($$SELECT kin_tr.delete_task_queue('full')$$);
CALL test.refused($$SELECT kin_tr.delete_task_queue('nobody')$$);
SELECT kin_tr.create_task('{"name": "direct"}', routing_target => (SELECT sid FROM kin_tr.get_task_queue('some'))) IS NOT NULL AS created;
CALL test.refused($$SELECT kin_tr.delete_task_queue('some')$$);
SELECT test.task('direct') AS direct \gset
SELECT kin_tr.cancel_task(:'direct');
SELECT kin_tr.delete_task_queue('some');
SELECT task_queue_friendly_name, in_history, assignment_status FROM kin_tr.get_task(:'direct');
-- so does one that only an old version of a workflow uses, while a task is in that version
SELECT kin_tr.create_task('{"name": "old", "a": 1}') IS NOT NULL AS created;
SELECT kin_tr.update_workflow('w', configuration => '{"task_routing": {"default_filter": {"queue": "nobody"}}}');
CALL test.refused($$SELECT kin_tr.delete_task_queue('full')$$);
SELECT kin_tr.cancel_task(test.task('old'));
CALL test.refused($$SELECT kin_tr.delete_task_queue('full', if_version => 9)$$);
SELECT kin_tr.delete_task_queue('full', if_version => 0);
CALL test.refused($$SELECT kin_tr.get_task_queue('full')$$);

SELECT event_type, event_data ->> 'task_queue_name' AS name, event_data ->> 'task_queue_target_expression' AS expression
  FROM kin_tr.events_since(NULL, 1000, ARRAY['task-queue.created', 'task-queue.updated', 'task-queue.expression.updated', 'task-queue.deleted']);

-- one that cannot be read, whoever made it so: its tasks are none that fail, and wait in their order
SELECT kin_tr.create_task_queue('last first', '1 == 1', task_order => 'LIFO') AS lifo \gset
SELECT kin_tr.create_workflow('lifo', '{"task_routing": {"default_filter": {"queue": "last first"}}}') IS NOT NULL AS created;
SELECT test.new(name, workflow => 'lifo') FROM string_to_table('first second third', ' ') name;
SELECT assigned FROM kin_tr.tick();
UPDATE kin_tr.task_queues SET target_workers = 'a ==' WHERE sid = :'lifo';
SELECT kin_tr.update_task_queue('last first', max_reserved_workers => 2);
SET client_min_messages = error;
SELECT assigned FROM kin_tr.tick();
RESET client_min_messages;
SELECT object = :'lifo' AS the_queue, step FROM kin_tr.quarantined WHERE workspace_sid = test.ws();
UPDATE kin_tr.task_queues SET target_workers = '1 == 1' WHERE sid = :'lifo';
SELECT kin_tr.update_task_queue('last first', max_reserved_workers => 1);
SELECT kin_tr.create_worker('Zoe', activity => 'Available') IS NOT NULL AS created;
SELECT assigned FROM kin_tr.tick();
SELECT test.task('third') = task_sid AS the_newest FROM kin_tr.reservations WHERE worker_name = 'Zoe';
SELECT count(*) FROM kin_tr.quarantined WHERE workspace_sid = test.ws();
SELECT test.faults();
SELECT kin_tr.delete_workspace('task_queue');
