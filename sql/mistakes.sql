-- What Twilio, or PostgreSQL, takes without a word, but does hardly what is meant, is told or refused.
SET timezone = 'UTC'; SET datestyle = 'ISO';
SELECT kin_tr.set_clock('2026-01-05 09:00Z') IS NOT NULL AS clock_set;
SELECT kin_tr.create_workspace('mistakes', 'FIFO') IS NOT NULL AS created;
SET kin_tr.workspace = 'mistakes';
SELECT kin_tr.create_worker('Alice', '{"skills": ["billing"], "home": "Rome", "office": "Rome", "channel": {"x": 1, "voice": "?"}}', 'Available') AS alice \gset
SELECT sid AS queue FROM kin_tr.get_task_queue('Sample Queue') \gset
SELECT sid AS workflow FROM kin_tr.get_workflow('Default Fifo Workflow') \gset

-- arguments of create_task() that do not count
CALL test.refused($$SELECT kin_tr.create_task(ignore_capacity => true)$$);
CALL test.refused($$SELECT kin_tr.create_task(ignore_capacity => false, workflow => 'Default Fifo Workflow')$$);
CALL test.refused(format($$SELECT kin_tr.create_task(ignore_capacity => true, routing_target => %L)$$, :'queue'));
SELECT kin_tr.create_task(ignore_capacity => false, routing_target => :'alice') IS NOT NULL AS created;
SELECT kin_tr.create_task(task_queue => 'Sample Queue') IS NOT NULL AS created;
SELECT kin_tr.create_task(task_queue => 'Sample Queue', routing_target => :'queue') IS NOT NULL AS created;
SELECT kin_tr.create_task(task_queue => 'Sample Queue', routing_target => :'alice') IS NOT NULL AS created;
SELECT kin_tr.create_task(workflow => 'Default Fifo Workflow', routing_target => :'queue') IS NOT NULL AS created;
SELECT kin_tr.create_task(workflow => 'Default Fifo Workflow', routing_target => :'workflow') IS NOT NULL AS created;
CALL test.refused(format($$SELECT kin_tr.create_task(workflow => 'Nowhere', routing_target => %L)$$, :'queue'));
-- a worker that is no more is no target, though this session has just used it
BEGIN;
SELECT kin_tr.create_worker('Bob') AS bob \gset
SELECT kin_tr.create_task(routing_target => :'bob') IS NOT NULL AS created;
SELECT kin_tr.delete_worker('Bob');
CALL test.refused(format($$SELECT kin_tr.create_task(routing_target => %L)$$, :'bob'));
ROLLBACK;

-- keys of a workflow that are like one that Twilio knows; one's own, like none, are kept without a word
SELECT * FROM kin_tr.validate_workflow('{"task-routing": 1, "version": 3, "author": "me", "task_routing": {
    "filter": [], "default-filter": {}, "label": "x", "expression": "1==1",
    "filters": [{"filter_friendly_nam": "x", "expresion": "1==1", "expression": "1==1", "note": {"queues": 1}, "priority": 3, "target": [], "targets": [
        {"Queue": "x", "queue": "Sample Queue", "time_out": 30, "skipIf": "1==1", "orderBy": "worker.x ASC", "knownWorkerSid": "task.x", "comment": "x", "max": 3}]}],
    "default_filter": {"queue": "Sample Queue", "timeout": 5}}}');
-- errors come first, and warnings alone leave it valid
SELECT severity, place FROM kin_tr.validate_workflow('{"task_routing": {"filter": [], "default_filter": {"queue": "Sample Que"}}}');
SELECT kin_tr.create_workflow('w', '{"task_routing": {"filter": [], "default_filter": {"queue": "Sample Queue", "timeout": 5, "own": 1}}}') IS NOT NULL AS created;
SELECT configuration #- '{task_routing,default_filter,queue}' AS kept FROM kin_tr.get_workflow('w');
SELECT kin_tr.update_workflow('w', configuration => '{"task_routing": {"filters": [{"expression": "type == billing", "targets": [{"queue": "Sample Queue"}]}]}}') AS version;
-- it is told to who writes it, not at each task
SELECT kin_tr.create_workflow('x', jsonb_build_object('task_routing', jsonb_build_object('default_filter', jsonb_build_object('queue', 'Sample Queue', 'Queue', '')
       || (SELECT jsonb_object_agg('queue' || n, n) FROM generate_series(1, 9) n) || (SELECT jsonb_object_agg('queue-' || n, n) FROM generate_series(1, 9) n)
       || (SELECT jsonb_object_agg('queue_' || n, n) FROM generate_series(1, 9) n)))) IS NOT NULL AS created;
\c -
SET kin_tr.workspace = 'mistakes'; SET timezone = 'UTC'; SET datestyle = 'ISO';
SELECT kin_tr.create_task(workflow => 'x') IS NOT NULL AS created;

-- a text without its quotes
SELECT severity, place, message, hint, "position" FROM kin_tr.validate_workflow('{"task_routing": {"filters": [
    {"expression": "a == 1 AND type == billing", "targets": [{"queue": "Sample Queue"}]},
    {"expression": "skills has billing", "targets": [{"queue": "Sample Queue"}]},
    {"expression": "language IN en OR x == 1", "targets": [{"queue": "Sample Queue"}]}]}}');
-- not where it can only be meant so
SELECT count(*) AS warnings FROM kin_tr.validate_workflow('{"task_routing": {"filters": [
    {"expression": "type == \"billing\" AND \"x\" IN skills AND 1 == a AND a == null AND b == true", "targets": [{"queue": "Sample Queue"}]},
    {"expression": "a.b == c.d AND a == task.b AND a == b[0] AND a == taskrouter.currentHour", "targets": [{"queue": "Sample Queue", "expression": "task.a == worker.a"}]}]}}');
-- a queue is asked of its workers
SELECT kin_tr.create_task_queue('billing', 'skills has billing') IS NOT NULL AS created;
SELECT kin_tr.create_task_queue('at home', 'home == office') IS NOT NULL AS created;
SELECT kin_tr.create_task_queue('names', 'friendly_name == home') IS NOT NULL AS created;
SELECT kin_tr.update_task_queue('at home', target_workers => 'home == Rome') AS version;
-- everybody is written, nobody is told
CALL test.refused($$SELECT kin_tr.create_task_queue('null', NULL)$$);
SELECT kin_tr.create_task_queue('left out') IS NOT NULL AS created;
SELECT kin_tr.create_task_queue('empty', ' ') IS NOT NULL AS created;
SELECT kin_tr.update_task_queue('at home', target_workers => '') AS version;
SELECT kin_tr.update_task_queue('at home', max_reserved_workers => 2) AS version;

-- evaluate_expression(): a subject that is no object
CALL test.refused($$SELECT kin_tr.evaluate_expression('a == 1', '[1]')$$);
CALL test.refused($$SELECT kin_tr.evaluate_expression('a == 1', worker => '"Alice"')$$);
CALL test.refused($$SELECT kin_tr.evaluate_expression('a == 1', worker => 'null')$$);
CALL test.refused($$SELECT kin_tr.evaluate_expression('workers.available == 1', workers => '1')$$);
-- a text without its quotes, once for all rows
SELECT count(*) FROM generate_series(1, 3) WHERE kin_tr.evaluate_expression('skills has billing', worker => '{"skills": ["billing"]}');
SELECT kin_tr.evaluate_expression('a == b', '{"a": 1, "b": 1}') AS two_attributes;
-- what a worker is besides its attributes
SELECT kin_tr.evaluate_expression('friendly_name == "Alice"', worker => attributes) AS by_attributes FROM kin_tr.get_worker('Alice');
SELECT friendly_name FROM kin_tr.workers w WHERE workspace_sid = test.ws()
   AND kin_tr.evaluate_expression('friendly_name == "Alice" AND activity_name == "Available" AND skills HAS "billing" AND channel.x == 1', worker => kin_tr.worker_values(sid));
SELECT kin_tr.evaluate_expression(format('sid == "%s" AND worker.activity_sid == "%s" AND worker.channel.voice.configured_capacity == 1 AND worker.channel.voice.available_capacity_percentage == 100',
       sid, activity_sid), worker => kin_tr.worker_values('Alice')) AS by_values FROM kin_tr.get_worker('Alice');
SELECT kin_tr.update_worker('Alice', '{"channel": "chat", "sid": "x"}') > 0 AS updated;
SELECT test.masked(kin_tr.worker_values('alice')::text) AS values;
CALL test.refused($$SELECT kin_tr.worker_values('Bob')$$);

-- names that look like another
CALL test.refused($$SELECT kin_tr.create_worker('Bob ')$$);
CALL test.refused($$SELECT kin_tr.create_worker(' Bob')$$);
CALL test.refused($$SELECT kin_tr.create_worker(E'\u00a0Bob')$$);
CALL test.refused($$SELECT kin_tr.create_worker(E'Bob\u200b')$$);
CALL test.refused($$SELECT kin_tr.create_worker(E'Bo\tb')$$);
CALL test.refused($$SELECT kin_tr.create_worker(E'Bob\n')$$);
CALL test.refused($$SELECT kin_tr.create_worker(E'B\x7fb')$$);
CALL test.refused($$SELECT kin_tr.create_worker('B' || chr(133) || 'b')$$);
CALL test.refused($$SELECT kin_tr.create_worker('B' || chr(8238) || 'b')$$);
CALL test.refused($$SELECT kin_tr.create_task_queue('q ')$$);
CALL test.refused($$SELECT kin_tr.create_workflow(E'w\r', '{}')$$);
CALL test.refused($$SELECT kin_tr.create_activity(' Lunch')$$);
CALL test.refused($$SELECT kin_tr.create_task_channel('Fax ', 'fax')$$);
CALL test.refused($$SELECT kin_tr.create_workspace(' x')$$);
CALL test.refused($$SELECT kin_tr.update_worker('Alice', friendly_name => 'Alice ')$$);
SELECT kin_tr.create_worker('Zoë  van den Berg') IS NOT NULL AS blanks_inside;

SELECT * FROM kin_tr.check();
SELECT kin_tr.delete_workspace('mistakes');
