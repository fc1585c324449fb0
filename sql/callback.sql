-- create_callback_task(): not offered before its time, from which its age counts.
SET timezone = 'UTC'; SET datestyle = 'ISO';
SELECT kin_tr.set_clock('2026-01-05 09:00Z');
SELECT count(*) AS made FROM kin_tr.setup_workspace('callback');
SET kin_tr.workspace = 'callback';
SELECT kin_tr.create_worker('Alice', activity => 'Available') AS alice \gset

SELECT kin_tr.create_callback_task('+4930123456', '2026-01-05 10:00:00.5+00', 'invoice') AS callback \gset
SELECT attributes, priority, timeout, task_channel_unique_name AS channel, assignment_status, date_created, virtual_start_time, not_before, task_queue_entered_date
  FROM kin_tr.get_task(:'callback') \gx
-- it is there, and waits for nobody
SELECT test.tick();
SELECT test.due();
SELECT event_type FROM kin_tr.events_since(NULL, 1000, resource => :'callback');
SELECT test.later('59 min 59 s');
SELECT test.tick();
-- at its time it is offered at once, and time-outs count from then
SELECT test.later('1 s 500 ms');
SELECT kin_tr.current_cursor() AS before \gset
SELECT test.tick();
SELECT event_type FROM kin_tr.events_since(:'before', resource => :'callback');
SELECT assignment_status FROM kin_tr.get_task(:'callback');
SELECT expires_at - not_before AS ttl FROM kin_tr.tasks WHERE sid = :'callback';
SELECT kin_tr.accept_reservation((SELECT sid FROM kin_tr.reservations WHERE task_sid = :'callback'));
SELECT kin_tr.complete_task(:'callback');

-- it overtakes nobody who has waited longer: its virtual start time is its time
SELECT kin_tr.update_worker_activity('Alice', 'Busy');
SELECT kin_tr.create_callback_task('+1', '2026-01-05 10:10Z') AS early \gset
SELECT kin_tr.create_task('{"name": "waits"}', 5) IS NOT NULL AS created;
SELECT test.later('15 min');
SELECT test.tick();
SELECT kin_tr.update_worker_activity('Alice', 'Available');
SELECT test.tick();
SELECT coalesce(attributes ->> 'name', 'callback') AS task, assignment_status FROM kin_tr.tasks WHERE workspace_sid = test.ws() AND finished_at IS NULL ORDER BY sid;
-- a time in the past is now
SELECT kin_tr.create_callback_task('+1', '2020-01-01 00:00Z') AS past \gset
SELECT virtual_start_time = kin_tr.now() AS now, not_before = kin_tr.now() AS due FROM kin_tr.get_task(:'past');
SELECT kin_tr.delete_task(:'past'), kin_tr.delete_task(:'early'), kin_tr.delete_task(test.task('waits'));
SELECT test.tick();

-- the steps of the workflow count from its time: 30 s in the second target
SELECT kin_tr.update_worker_activity('Alice', 'Busy');
SELECT kin_tr.create_callback_task('+1', kin_tr.now() + interval '1 min') AS steps \gset
SELECT test.later('1 min');
SELECT test.tick();
SELECT workflow_target AS target, step_deadline - kin_tr.now() AS deadline FROM kin_tr.tasks WHERE sid = :'steps';
SELECT test.later('30 s');
SELECT test.tick();
SELECT workflow_target AS target FROM kin_tr.tasks WHERE sid = :'steps';
SELECT test.later('23 h 59 min 29 s');
SELECT test.tick();
SELECT test.later('1 s');
SELECT test.tick();
SELECT assignment_status, reason FROM kin_tr.get_task(:'steps');

-- replaces: the old task is canceled in the same transaction; its place, priority and workflow pass on
SELECT kin_tr.create_task('{"name": "old"}', 42, virtual_start_time => kin_tr.now() - interval '5 min') AS old \gset
SELECT kin_tr.create_callback_task('+1', kin_tr.now() + interval '10 min', 'call me', :'old') AS new \gset
SELECT assignment_status, reason FROM kin_tr.get_task(:'old');
SELECT priority, kin_tr.now() - virtual_start_time AS age, not_before - kin_tr.now() AS in_, workflow_friendly_name FROM kin_tr.get_task(:'new');
-- also of a reserved one, whose offer ends
SELECT kin_tr.delete_task(:'new');
SELECT kin_tr.update_worker_activity('Alice', 'Available');
SELECT kin_tr.create_task('{"name": "rings"}', 42) AS rings \gset
SELECT test.tick();
SELECT kin_tr.create_callback_task('+1', kin_tr.now(), replaces => :'rings') AS new \gset
SELECT task, status, reservations FROM test.board WHERE task = 'rings';
SELECT test.tick();
SELECT assignment_status FROM kin_tr.get_task(:'new');
-- any other status is refused, and nothing is made
SELECT kin_tr.accept_reservation((SELECT sid FROM kin_tr.reservations WHERE task_sid = :'new'));
CALL test.refused(format($$SELECT kin_tr.create_callback_task('+1', kin_tr.now(), replaces => %L)$$, :'new'));
SELECT kin_tr.complete_task(:'new');
CALL test.refused(format($$SELECT kin_tr.create_callback_task('+1', kin_tr.now(), replaces => %L)$$, :'new'));
CALL test.refused(format($$SELECT kin_tr.create_callback_task('+1', kin_tr.now(), replaces => %L)$$, :'rings'));
CALL test.refused($$SELECT kin_tr.create_callback_task('+1', kin_tr.now(), replaces => 'WT00000000000000000000000000000001')$$);
CALL test.refused($$SELECT kin_tr.create_callback_task('+1', kin_tr.now(), replaces => 'nonsense')$$);
CALL test.refused($$SELECT kin_tr.create_callback_task('+1', NULL)$$);
CALL test.refused($$SELECT kin_tr.create_callback_task(NULL, kin_tr.now())$$);
CALL test.refused($$SELECT kin_tr.create_callback_task('+1', 'infinity')$$);
CALL test.refused($$SELECT kin_tr.create_callback_task('+1', '-infinity')$$);
CALL test.refused($$SELECT kin_tr.create_callback_task('+1', '294276-12-31 23:00Z')$$);
SELECT count(*) AS open_tasks FROM kin_tr.tasks WHERE finished_at IS NULL;
-- one routed directly has no workflow to pass on, so the callback gets the default
SELECT kin_tr.create_task('{"name": "direct"}', 3, routing_target => :'alice') AS direct \gset
SELECT kin_tr.create_callback_task('+1', kin_tr.now() + interval '1 h', replaces => :'direct') AS new \gset
SELECT workflow_friendly_name, priority FROM kin_tr.get_task(:'new');

-- one that waits for its time can be changed, canceled and deleted
SELECT kin_tr.update_task(:'new', priority => 77);
SELECT test.tick();
SELECT test.later('1 h');
SELECT test.tick();
SELECT assignment_status, priority FROM kin_tr.get_task(:'new');
SELECT kin_tr.create_callback_task('+1', kin_tr.now() + interval '1 h') AS gone \gset
SELECT kin_tr.cancel_task(:'gone');
SELECT test.later('1 h');
SELECT test.tick();
-- where one stands that has escalated, the callback goes on; where its workflow was updated with re_evaluate_tasks
-- while it was reserved, the callback is placed anew, as it would have been
SELECT kin_tr.create_task_queue('Rest', target_workers => '1==2') IS NOT NULL AS created;
SELECT kin_tr.create_workflow('Steps', '{"task_routing": {"filters": [{"expression": "1==1", "targets": [
    {"queue": "Rest", "timeout": 30, "priority": 5}, {"queue": "General Queue", "priority": 7}]}]}}') IS NOT NULL AS created;
SELECT kin_tr.create_task('{"name": "escalated"}', workflow => 'Steps') AS escalated \gset
SELECT kin_tr.create_worker('Bea', activity => 'Available') IS NOT NULL AS created;
SELECT kin_tr.update_worker_channel('Bea', 'default', 10);
SELECT test.later('1 min');
SELECT test.tick();
SELECT assignment_status, priority, task_queue_friendly_name FROM kin_tr.get_task(:'escalated');
BEGIN;
SELECT kin_tr.create_callback_task('+1', kin_tr.now(), replaces => :'escalated') AS again \gset
SELECT priority, task_queue_friendly_name, kin_tr.now() - virtual_start_time AS age FROM kin_tr.get_task(:'again');
ROLLBACK;
SELECT kin_tr.update_workflow('Steps', configuration => '{"task_routing": {"default_filter": {"queue": "Rest"}}}',
                              re_evaluate_tasks => true);
SELECT kin_tr.create_callback_task('+1', kin_tr.now(), replaces => :'escalated') AS again \gset
SELECT task_queue_friendly_name FROM kin_tr.get_task(:'again');
SELECT kin_tr.delete_task(:'again');

SELECT test.faults();
SELECT kin_tr.delete_workspace('callback');
