-- Workspaces: what they are made with, changed, deleted; and which one a call means.
SET timezone = 'UTC'; SET datestyle = 'ISO';
SELECT kin_tr.set_clock('2026-01-05 09:00Z');

-- with no workspace at all, a call says what to do
CALL test.refused($$SELECT kin_tr.create_task()$$);

-- create_workspace(): five channels, three activities, Offline as default and time-out activity
SELECT kin_tr.create_workspace('workspace') AS ws \gset
SELECT friendly_name, default_activity_name, timeout_activity_name, event_callback_url, events_filter, multi_task_enabled,
       prioritize_queue_order, date_created, date_updated, version, left(sid, 2) AS kind, left(account_sid, 2) AS account
  FROM kin_tr.get_workspace('workspace');
SELECT friendly_name, available FROM kin_tr.activities WHERE workspace_sid = :'ws' ORDER BY sid;
SELECT unique_name, friendly_name, channel_optimized_routing FROM kin_tr.task_channels WHERE workspace_sid = :'ws' ORDER BY sid;
SELECT count(*) AS queues FROM kin_tr.task_queues WHERE workspace_sid = :'ws';
-- the template FIFO adds a queue and a workflow
SELECT kin_tr.create_workspace('fifo', 'FIFO') AS fifo \gset
SELECT friendly_name, target_workers, task_order FROM kin_tr.task_queues WHERE workspace_sid = :'fifo';
SELECT friendly_name, test.masked(configuration::text) FROM kin_tr.workflows WHERE workspace_sid = :'fifo';
-- everything given is kept
SELECT kin_tr.create_workspace('full', 'NONE', 'https://example.org/events#rc=5', 'task.created,task.canceled', true, 'LIFO') AS full \gset
SELECT event_callback_url, events_filter, prioritize_queue_order FROM kin_tr.get_workspace(:'full');

-- refused
CALL test.refused($$SELECT kin_tr.create_workspace('workspace')$$);
CALL test.refused($$SELECT kin_tr.create_workspace(NULL)$$);
CALL test.refused($$SELECT kin_tr.create_workspace('')$$);
CALL test.refused($$SELECT kin_tr.create_workspace('   ')$$);
CALL test.refused($$SELECT kin_tr.create_workspace(repeat('x', 65))$$);
CALL test.refused($$SELECT kin_tr.create_workspace('WS00000000000000000000000000000001')$$);
CALL test.refused($$SELECT kin_tr.create_workspace('single', multi_task_enabled => false)$$);
CALL test.refused($$SELECT kin_tr.create_workspace('x', 'LIFO')$$);
CALL test.refused($$SELECT kin_tr.create_workspace('x', prioritize_queue_order => 'newest')$$);
SELECT kin_tr.create_workspace(repeat('ä', 64)) AS ws64 \gset
SELECT kin_tr.delete_workspace(:'ws64');

-- setup_workspace(): the integration guide's, whatever the number of calls
SELECT resource, name FROM kin_tr.setup_workspace('My Contact Centre');
SELECT count(*) AS rows, count(DISTINCT sid) AS sids FROM kin_tr.setup_workspace('My Contact Centre');
SELECT default_activity_name, timeout_activity_name FROM kin_tr.get_workspace('My Contact Centre');
SELECT friendly_name, available FROM kin_tr.activities WHERE workspace_sid = (SELECT sid FROM kin_tr.get_workspace('My Contact Centre')) ORDER BY sid;
SELECT test.masked(jsonb_pretty(configuration)), task_reservation_timeout, default_priority
  FROM kin_tr.get_workflow('Default Workflow', 'My Contact Centre');
SELECT friendly_name, target_workers, max_reserved_workers, task_order FROM kin_tr.get_task_queue('General Queue', 'My Contact Centre');
SELECT * FROM kin_tr.validate_workflow((SELECT configuration FROM kin_tr.get_workflow('Default Workflow', 'My Contact Centre')), 'My Contact Centre');
-- it makes nothing new where there is one of that name, whoever made that
SELECT resource, name FROM kin_tr.setup_workspace('fifo') WHERE resource IN ('workspace', 'task queue', 'workflow');
CALL test.refused($$SELECT kin_tr.setup_workspace(NULL)$$);

-- update_workspace(): what is NULL stays
SELECT kin_tr.set_clock('2026-01-05 10:00Z');
SELECT kin_tr.update_workspace('workspace');
SELECT kin_tr.update_workspace(:'ws', friendly_name => 'renamed', default_activity => 'Available', timeout_activity => 'Unavailable',
                               event_callback_url => 'http://x', events_filter => 'task.created', prioritize_queue_order => 'LIFO');
SELECT friendly_name, default_activity_name, timeout_activity_name, event_callback_url, events_filter, prioritize_queue_order,
       date_created, date_updated, version FROM kin_tr.get_workspace(:'ws');
SELECT kin_tr.update_workspace('renamed', 'workspace', if_version => 1);
CALL test.refused($$SELECT kin_tr.update_workspace('workspace', 'again', if_version => 1)$$);
CALL test.refused($$SELECT kin_tr.update_workspace('workspace', 'fifo')$$);
CALL test.refused($$SELECT kin_tr.update_workspace('renamed', 'x')$$);
CALL test.refused($$SELECT kin_tr.update_workspace('workspace', '')$$);
CALL test.refused($$SELECT kin_tr.update_workspace('workspace', multi_task_enabled => false)$$);
CALL test.refused($$SELECT kin_tr.update_workspace('workspace', prioritize_queue_order => 'x')$$);
CALL test.refused($$SELECT kin_tr.update_workspace('workspace', default_activity => 'Nowhere')$$);
-- an activity of another workspace is none of this one
SELECT sid AS foreign_activity FROM kin_tr.activities WHERE workspace_sid = :'fifo' AND friendly_name = 'Available' \gset
CALL test.refused(format($$SELECT kin_tr.update_workspace('workspace', default_activity => %L)$$, :'foreign_activity'));
CALL test.refused(format($$SELECT kin_tr.update_workspace('workspace', timeout_activity => %L)$$, :'foreign_activity'));
SELECT friendly_name, default_activity_name, version FROM kin_tr.get_workspace('workspace');
-- its own name again is no other's
SELECT kin_tr.update_workspace('workspace', 'workspace');

-- which workspace is meant: the argument, else the setting, else the only one
CALL test.refused($$SELECT kin_tr.get_workspace()$$);
SET kin_tr.workspace = 'fifo';
SELECT friendly_name FROM kin_tr.get_workspace();
SELECT friendly_name FROM kin_tr.get_workspace('workspace');
SELECT set_config('kin_tr.workspace', :'ws', false) = :'ws' AS by_sid;
SELECT friendly_name FROM kin_tr.get_workspace();
SET kin_tr.workspace = 'nowhere';
CALL test.refused($$SELECT kin_tr.get_workspace()$$);
RESET kin_tr.workspace;
CALL test.refused($$SELECT kin_tr.get_workspace('nowhere')$$);
CALL test.refused($$SELECT kin_tr.get_workspace('WS00000000000000000000000000000001')$$);
-- of an object that is named by its SID the workspace is known
SELECT friendly_name FROM kin_tr.get_activity(:'foreign_activity');
CALL test.refused(format($$SELECT kin_tr.get_activity(%L, 'workspace')$$, :'foreign_activity'));
CALL test.refused($$SELECT kin_tr.get_activity('Available')$$);

-- delete_workspace(): with all that is in it, but what has happened stays; NULL does not mean the only one
CALL test.refused($$SELECT kin_tr.delete_workspace(NULL)$$);
CALL test.refused($$SELECT kin_tr.update_workspace(NULL, 'x')$$);
SELECT kin_tr.delete_workspace('My Contact Centre');
SET kin_tr.workspace = 'fifo';
SELECT kin_tr.create_worker('Alice', '{}', 'Available') IS NOT NULL AS alice;
SELECT kin_tr.create_task('{"name": "waits"}') IS NOT NULL AS t1, kin_tr.create_task('{"name": "too"}', idempotency_key => 'k') IS NOT NULL AS t2;
SELECT test.tick();
SELECT * FROM test.board;
CALL test.refused($$SELECT kin_tr.delete_workspace('fifo', 5)$$);
SELECT kin_tr.delete_workspace('fifo', 0);
SELECT (SELECT count(*) FROM kin_tr.tasks) AS tasks, (SELECT count(*) FROM kin_tr.reservations) AS reservations,
       (SELECT count(*) FROM kin_tr.workers) AS workers, (SELECT count(*) FROM kin_tr.idempotency_keys) AS keys,
       (SELECT count(*) FROM kin_tr.workflow_versions) AS versions;
SELECT event_type FROM kin_tr.events WHERE workspace_sid = :'fifo' ORDER BY id DESC LIMIT 1;
SELECT test.tick();
RESET kin_tr.workspace;
SELECT kin_tr.delete_workspace('full');
-- the only one left is the one that is meant
SELECT friendly_name FROM kin_tr.get_workspace();
SELECT kin_tr.delete_workspace('workspace');
CALL test.refused($$SELECT kin_tr.delete_workspace('workspace')$$);
SELECT test.faults();
