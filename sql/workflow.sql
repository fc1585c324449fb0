-- Workflows: their configuration, its versions, and what is refused.
SET timezone = 'UTC'; SET datestyle = 'ISO';
SELECT kin_tr.set_clock('2026-01-05 09:00Z');
SELECT kin_tr.create_workspace('workflow') IS NOT NULL AS created;
SET kin_tr.workspace = 'workflow';
SELECT kin_tr.create_task_queue('q1') AS q1, kin_tr.create_task_queue('q2') AS q2 \gset

-- queues by name or SID; kept by SID, so that renaming one breaks nothing; keys of its own are kept as they are, one "queue" too
SELECT kin_tr.create_workflow('w', jsonb_build_object('task_routing', jsonb_build_object('filters', jsonb_build_array(jsonb_build_object(
        'filter_friendly_name', 'f', 'expression', 'type == "a"', 'note', '{"queue": "q1", "deep": [1, {"x": null}]}'::jsonb,
        'targets', jsonb_build_array(jsonb_build_object('queue', 'q1', 'priority', '10', 'timeout', 30), jsonb_build_object('queue', :'q2'))))))) AS w \gset
SELECT replace(replace(configuration::text, :'q1', '<q1>'), :'q2', '<q2>') FROM kin_tr.get_workflow('w');
SELECT left(sid, 2) AS kind, workspace_sid = test.ws() AS here, friendly_name, document_content_type, assignment_callback_url,
       fallback_assignment_callback_url, task_reservation_timeout, default_priority, date_created, date_updated, version
  FROM kin_tr.get_workflow('w');
-- wherever it is, and whatever is behind it
SELECT kin_tr.create_workflow('notes', '{"task_routing": {"default_filter": {"queue": "q1"}}, "note": {"queue": "somewhere", "more": [{"queue": 5}, {"queue": null}]}}') IS NOT NULL AS created;
SELECT configuration -> 'note' AS note FROM kin_tr.get_workflow('notes');
SELECT test.faults();
SELECT kin_tr.delete_workflow('notes');
SELECT kin_tr.update_task_queue('q1', 'q1 renamed');
SELECT kin_tr.create_task('{"name": "t", "type": "a"}') IS NOT NULL AS created;
SELECT * FROM test.board;

SELECT kin_tr.create_workflow('full', '{"task_routing": {"default_filter": {"queue": "q2", "timeout": 5}}}', 86400, 'http://a', 'http://b', 7) AS full \gset
SELECT task_reservation_timeout, assignment_callback_url, fallback_assignment_callback_url, default_priority FROM kin_tr.get_workflow(:'full');

-- refused
CALL test.refused($$SELECT kin_tr.create_workflow('w', '{}')$$);
CALL test.refused($$SELECT kin_tr.create_workflow('x', '{}')$$);
CALL test.refused($$SELECT kin_tr.create_workflow('x', NULL)$$);
CALL test.refused($$SELECT kin_tr.create_workflow(NULL, '{}')$$);
CALL test.refused($$SELECT kin_tr.create_workflow('WW00000000000000000000000000000001', '{}')$$);
CALL test.refused($$SELECT kin_tr.create_workflow('x', '{"task_routing": {"default_filter": {"queue": "q9"}}}')$$);
CALL test.refused($$SELECT kin_tr.create_workflow('x', '{"task_routing": {"default_filter": {"queue": "WQ00000000000000000000000000000001"}}}')$$);
CALL test.refused($$SELECT kin_tr.create_workflow('x', '{"task_routing": {"filters": [{"expression": "type ==", "targets": [{"queue": "q2", "timeout": "x"}]}, {"expression": "b == ''", "targets": []}]}}')$$);
CALL test.refused($$SELECT kin_tr.create_workflow('x', '{"task_routing": {"default_filter": {"queue": "q2"}}}', 0)$$);
CALL test.refused($$SELECT kin_tr.create_workflow('x', '{"task_routing": {"default_filter": {"queue": "q2"}}}', 86401)$$);
CALL test.refused($$SELECT kin_tr.create_workflow('x', '{"task_routing": {"default_filter": {"queue": "q2"}}}', default_priority => -1)$$);
-- 25 faults: the first twenty are shown
CALL test.refused($$SELECT kin_tr.create_workflow('x', jsonb_build_object('task_routing', jsonb_build_object('filters',
    (SELECT jsonb_agg('{"expression": "1==1", "targets": []}'::jsonb) FROM generate_series(1, 25)))))$$);
-- a queue of another workspace is none of this one
SELECT kin_tr.create_workspace('workflow, too', 'FIFO') AS other \gset
SELECT sid AS foreign_queue FROM kin_tr.task_queues WHERE workspace_sid = :'other' \gset
CALL test.refused(format($$SELECT kin_tr.create_workflow('x', %L)$$, jsonb_build_object('task_routing', jsonb_build_object('default_filter', jsonb_build_object('queue', :'foreign_queue')))));
SELECT kin_tr.delete_workspace('workflow, too');
-- larger than Twilio takes
CALL test.refused($$SELECT kin_tr.create_workflow('x', jsonb_build_object('task_routing', jsonb_build_object('default_filter', jsonb_build_object('queue', 'q2', 'note', repeat('x', 1100000)))))$$);

-- update: a new configuration is a new version, which only new tasks enter
SELECT kin_tr.set_clock('2026-01-05 09:30Z');
SELECT kin_tr.update_workflow('w', 'w renamed', task_reservation_timeout => 60, default_priority => 3);
SELECT friendly_name, task_reservation_timeout, default_priority, date_updated, version FROM kin_tr.get_workflow('w renamed');
SELECT number FROM kin_tr.workflow_versions WHERE workflow_sid = :'w' ORDER BY 1;
SELECT kin_tr.update_workflow(:'w', configuration => '{"task_routing": {"default_filter": {"queue": "q2"}}}', if_version => 1);
SELECT number FROM kin_tr.workflow_versions WHERE workflow_sid = :'w' ORDER BY 1;
-- the same again is no new one
SELECT kin_tr.update_workflow(:'w', configuration => '{"task_routing": {"default_filter": {"queue": "q2"}}}');
SELECT count(*) AS versions FROM kin_tr.workflow_versions WHERE workflow_sid = :'w';
SELECT kin_tr.create_task('{"name": "new", "type": "a"}', workflow => 'w renamed') IS NOT NULL AS created;
SELECT task, queue, step, priority FROM test.board;
CALL test.refused($$SELECT kin_tr.update_workflow('w renamed', 'x', if_version => 1)$$);
CALL test.refused($$SELECT kin_tr.update_workflow('w renamed', 'full')$$);
CALL test.refused($$SELECT kin_tr.update_workflow('w renamed', configuration => '[]')$$);
CALL test.refused($$SELECT kin_tr.update_workflow('w renamed', task_reservation_timeout => 0)$$);
CALL test.refused($$SELECT kin_tr.update_workflow('w', 'x')$$);
SELECT friendly_name, version FROM kin_tr.get_workflow(:'w');

-- re_evaluate_tasks puts the pending ones through the new version, from the top
SELECT kin_tr.update_workflow(:'w', configuration => '{"task_routing": {"filters": [{"expression": "name == \"t\"", "targets": [{"queue": "q2", "priority": 99}]}], "default_filter": {"queue": "q1 renamed"}}}', re_evaluate_tasks => true);
SELECT task, queue, step, priority FROM test.board;
-- one that fits no longer anywhere is canceled
SELECT kin_tr.update_workflow(:'w', configuration => '{"task_routing": {"filters": [{"expression": "name == \"t\"", "targets": [{"queue": "q2"}]}]}}', re_evaluate_tasks => true);
SELECT task, status, queue FROM test.board;
SELECT event_type, event_data ->> 'reason' AS reason FROM kin_tr.events_since(NULL, 1000, ARRAY['workflow.skipped', 'task.canceled']);
SELECT test.tick();

-- one that an open task uses stays; its finished tasks move to history
CALL test.refused($$SELECT kin_tr.delete_workflow('w renamed')$$);
SELECT test.task('t') AS t \gset
SELECT kin_tr.cancel_task(:'t');
CALL test.refused($$SELECT kin_tr.delete_workflow('w renamed', if_version => 0)$$);
SELECT kin_tr.delete_workflow('w renamed');
SELECT workflow_friendly_name, in_history FROM kin_tr.get_task(:'t');
SELECT count(*) AS versions FROM kin_tr.workflow_versions WHERE workflow_sid = :'w';
CALL test.refused($$SELECT kin_tr.get_workflow('w renamed')$$);

-- the only workflow is the one that a task gets; with none, or several, one must be named
SELECT kin_tr.create_task('{"name": "only"}') IS NOT NULL AS created;
SELECT task, queue, priority FROM test.board;
SELECT kin_tr.create_workflow('second', '{"task_routing": {"default_filter": {"queue": "q2"}}}') IS NOT NULL AS created;
CALL test.refused($$SELECT kin_tr.create_task()$$);
SELECT kin_tr.delete_task(test.task('only'));
SELECT kin_tr.delete_workflow('full');
SELECT kin_tr.create_task('{"name": "second"}') IS NOT NULL AS created;
SELECT kin_tr.delete_task(test.task('second'));
SELECT kin_tr.delete_workflow('second');
CALL test.refused($$SELECT kin_tr.create_task()$$);

SELECT event_type, event_data ->> 'workflow_name' AS name
  FROM kin_tr.events_since(NULL, 1000, ARRAY['workflow.created', 'workflow.updated', 'workflow.deleted']);
SELECT test.faults();
SELECT kin_tr.delete_workspace('workflow');
