-- create_voice_call_task(): a call in, by the source document's names.
SET timezone = 'UTC'; SET datestyle = 'ISO';
SELECT kin_tr.set_clock('2026-01-05 09:00Z');
SELECT count(*) AS made FROM kin_tr.setup_workspace('voice');
SET kin_tr.workspace = 'voice';
SELECT kin_tr.create_worker('Agent Smith', activity => 'Available') AS smith, kin_tr.create_worker('Agent Brown', activity => 'Available') AS brown \gset

-- attributes verbatim, plus call_sid; priority 10, 1800 s, channel voice
SELECT kin_tr.create_voice_call_task('CA00000000000000000000000000000001', '+4930123456') AS call \gset
SELECT attributes, priority, timeout, task_channel_unique_name AS channel, workflow_friendly_name, assignment_status FROM kin_tr.get_task(:'call');
-- nobody is asked for, so the first target is skipped at once
SELECT step, queue FROM test.board;

-- agent_id is found by name, whatever its case, or by SID
SELECT kin_tr.create_voice_call_task('CA2', '+49', 'agent smith') AS by_name, kin_tr.create_voice_call_task('CA3', '+49', :'brown') AS by_sid \gset
SELECT attributes ->> 'call_sid' AS call, attributes ->> 'agentId' = :'brown' AS by_sid,
       CASE attributes ->> 'agentSid' WHEN :'smith' THEN 'Smith' WHEN :'brown' THEN 'Brown' END AS agent FROM kin_tr.tasks
 WHERE workspace_sid = test.ws() AND attributes ? 'agentSid' ORDER BY sid;
-- one who is unknown is skipped, never an error; nor is it one to have none
SELECT kin_tr.create_voice_call_task('CA4', '+49', 'Nobody') AS nobody, kin_tr.create_voice_call_task('CA5', '+49', 'WK00000000000000000000000000000001') AS no_sid,
       kin_tr.create_voice_call_task('CA6', '+49', '') AS empty \gset
SELECT attributes - 'agentId' AS attributes FROM kin_tr.get_task(:'nobody');
SELECT attributes ? 'agentSid' AS has_agent, attributes ->> 'agentId' AS agent_id FROM kin_tr.get_task(:'no_sid');
-- the one who is asked for gets the call; the others' calls wait
SELECT test.tick();
SELECT t.attributes ->> 'call_sid' AS call, t.assignment_status, r.worker_name FROM kin_tr.tasks t LEFT JOIN kin_tr.reservations r ON r.task_sid = t.sid
 WHERE t.workspace_sid = test.ws() ORDER BY 1;

-- the call's SID is its idempotency key
SELECT kin_tr.create_voice_call_task('CA2', '+49', 'agent smith') = :'by_name' AS same;
CALL test.refused($$SELECT kin_tr.create_voice_call_task('CA2', '+50', 'agent smith')$$);
CALL test.refused($$SELECT kin_tr.create_voice_call_task('CA2', '+49')$$);
CALL test.refused($$SELECT kin_tr.create_voice_call_task(NULL, '+49')$$);
CALL test.refused($$SELECT kin_tr.create_voice_call_task('CA9', NULL)$$);
CALL test.refused($$SELECT kin_tr.create_voice_call_task('', '+49')$$);

-- get_task_by_call_sid(): live or in history, the latest; no row where there is none
SELECT sid = :'by_sid' AS found, in_history FROM kin_tr.get_task_by_call_sid('CA3');
SELECT count(*) FROM kin_tr.get_task_by_call_sid('CA99');
SELECT kin_tr.cancel_task(:'by_sid');
SELECT test.later('5 min');
SELECT moved FROM kin_tr.maintain();
SELECT sid = :'by_sid' AS found, in_history, assignment_status FROM kin_tr.get_task_by_call_sid('CA3');
SELECT count(*) FROM kin_tr.get_task_by_call_sid(NULL);
-- any task with the attribute is found so
SELECT kin_tr.create_task('{"call_sid": "CA3", "name": "later"}') AS later \gset
SELECT sid = :'later' AS the_latest FROM kin_tr.get_task_by_call_sid('CA3');
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT sid FROM kin_tr.tasks WHERE attributes ? 'call_sid' AND left(attributes ->> 'call_sid', 64) = 'CA3';
RESET enable_seqscan;

-- without a workflow there is nowhere to go
SELECT kin_tr.create_workspace('voice, empty') IS NOT NULL AS created;
CALL test.refused($$SELECT kin_tr.create_voice_call_task('CA1', '+49', workspace => 'voice, empty')$$);
SELECT kin_tr.delete_workspace('voice, empty');
-- the offer of 09:00 is over, so Agent Smith is Offline; Agent Brown gets what has waited longest, in each channel
SELECT test.tick();
SELECT t.attributes ->> 'call_sid' AS call, t.assignment_status, t.workflow_target AS target, r.worker_name, r.reservation_status FROM kin_tr.tasks t LEFT JOIN kin_tr.reservations r ON r.task_sid = t.sid
 WHERE t.workspace_sid = test.ws() ORDER BY t.sid;
SELECT kin_tr.delete_workspace('voice');
