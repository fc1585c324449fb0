-- Activities: what workers are doing, and whether that leaves them free.
SET timezone = 'UTC'; SET datestyle = 'ISO';
SELECT kin_tr.set_clock('2026-01-05 09:00Z');
SELECT kin_tr.create_workspace('activity') IS NOT NULL AS created;
SET kin_tr.workspace = 'activity';

SELECT kin_tr.create_activity('Lunch') AS lunch \gset
SELECT kin_tr.create_activity('Chatting', true) AS chatting \gset
SELECT left(sid, 2) AS kind, left(account_sid, 2) AS account, workspace_sid = test.ws() AS here, friendly_name, available, date_created, date_updated, version
  FROM kin_tr.get_activity('Lunch');
SELECT friendly_name, available FROM kin_tr.get_activity(:'chatting');

-- renamed; that workers in it are available never changes
SELECT kin_tr.set_clock('2026-01-05 09:30Z');
SELECT kin_tr.update_activity('Lunch', 'Break');
SELECT friendly_name, available, date_created, date_updated, version FROM kin_tr.get_activity(:'lunch');
SELECT kin_tr.update_activity('Break', 'Pause', if_version => 1);
CALL test.refused($$SELECT kin_tr.update_activity('Pause', 'X', if_version => 1)$$);
-- NULL leaves the name
SELECT kin_tr.update_activity('Pause', NULL);

-- refused
CALL test.refused($$SELECT kin_tr.create_activity('Pause')$$);
CALL test.refused($$SELECT kin_tr.create_activity(NULL)$$);
CALL test.refused($$SELECT kin_tr.create_activity('')$$);
CALL test.refused($$SELECT kin_tr.create_activity(repeat('x', 65))$$);
CALL test.refused($$SELECT kin_tr.create_activity('WA00000000000000000000000000000001')$$);
CALL test.refused($$SELECT kin_tr.update_activity('Pause', 'Chatting')$$);
CALL test.refused($$SELECT kin_tr.update_activity('Pause', 'WK00000000000000000000000000000001')$$);
CALL test.refused($$SELECT kin_tr.get_activity('Nothing')$$);
CALL test.refused($$SELECT kin_tr.update_activity('WA00000000000000000000000000000001', 'x')$$);
-- names count their case
SELECT kin_tr.create_activity('pause') IS NOT NULL AS lower_case_is_another;

-- one in use stays
CALL test.refused($$SELECT kin_tr.delete_activity('Offline')$$);
SELECT kin_tr.create_worker('Alice', activity => 'Chatting') AS alice \gset
CALL test.refused($$SELECT kin_tr.delete_activity('Chatting')$$);
SELECT kin_tr.update_worker_activity('Alice', 'Pause');
CALL test.refused($$SELECT kin_tr.delete_activity('Chatting', if_version => 7)$$);
SELECT kin_tr.delete_activity('Chatting', if_version => 0);
CALL test.refused($$SELECT kin_tr.get_activity('Chatting')$$);
-- the queue's two, which multitasking does not use, are in use too
SELECT kin_tr.create_activity('Ringing') IS NOT NULL AS created;
SELECT kin_tr.create_task_queue('queue', reservation_activity => 'Ringing', assignment_activity => 'Ringing') IS NOT NULL AS created;
CALL test.refused($$SELECT kin_tr.delete_activity('Ringing')$$);

-- a worker in a renamed activity is told by its new name
SELECT kin_tr.update_activity('Pause', 'Tea');
SELECT activity_name, available FROM kin_tr.get_worker('Alice');

SELECT event_type, event_data ->> 'activity_name' AS name, event_data ->> 'activity_available' AS available
  FROM kin_tr.events_since(NULL, 1000, ARRAY['activity.created', 'activity.updated', 'activity.deleted']);
SELECT test.faults();
SELECT kin_tr.delete_workspace('activity');
