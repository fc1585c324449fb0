-- Reservations: an offer of a task to a worker, and what the worker answers.
SET timezone = 'UTC'; SET datestyle = 'ISO';
SELECT kin_tr.set_clock('2026-01-05 09:00Z');
SELECT kin_tr.create_workspace('reservation', 'FIFO') IS NOT NULL AS created;
SET kin_tr.workspace = 'reservation';
SELECT kin_tr.create_worker('Alice', activity => 'Available') AS alice \gset

-- an offer, with the fields of Twilio's Reservation
SELECT test.new('t', '{"x": 1}'), test.tick();
SELECT test.reservation('t') AS offer \gset
SELECT left(sid, 2) AS kind, left(account_sid, 2) AS account, workspace_sid = test.ws() AS here, task_sid = test.task('t') AS its_task, worker_sid = :'alice' AS of_alice,
       left(task_queue_sid, 2) AS queue, left(task_channel_sid, 2) AS channel, left(workflow_sid, 2) AS workflow FROM kin_tr.get_reservation(:'offer');
SELECT worker_name, reservation_status, date_created, date_updated, times_out_at, reason, in_history, version FROM kin_tr.get_reservation(:'offer');

-- refused, and it stays what it is
CALL test.refused($$SELECT kin_tr.get_reservation(NULL)$$);
CALL test.refused($$SELECT kin_tr.get_reservation('nonsense')$$);
CALL test.refused($$SELECT kin_tr.get_reservation('WR00000000000000000000000000000001')$$);
CALL test.refused($$SELECT kin_tr.get_reservation(test.task('t'))$$);
CALL test.refused($$SELECT kin_tr.accept_reservation('WR00000000000000000000000000000001')$$);
CALL test.refused($$SELECT kin_tr.accept_reservation(test.task('t'))$$);
CALL test.refused($$SELECT kin_tr.accept_reservation(test.reservation('t'), if_version => 1)$$);
CALL test.refused($$SELECT kin_tr.reject_reservation(test.reservation('t'), if_version => 1)$$);
CALL test.refused($$SELECT kin_tr.reject_reservation(test.reservation('t'), activity => 'Nowhere')$$);
CALL test.refused($$SELECT kin_tr.wrapup_reservation(test.reservation('t'))$$);
CALL test.refused($$SELECT kin_tr.wrapup_reservation(test.reservation('t'), '{"y": 1}')$$);
CALL test.refused($$SELECT kin_tr.complete_reservation(test.reservation('t'))$$);
CALL test.refused($$SELECT kin_tr.complete_reservation(test.reservation('t'), '[]')$$);
CALL test.refused($$SELECT kin_tr.accept_reservation(test.reservation('t'), workspace => 'nowhere')$$);
SELECT kin_tr.create_workspace('reservation, too') IS NOT NULL AS created;
CALL test.refused($$SELECT kin_tr.get_reservation(test.reservation('t'), workspace => 'reservation, too')$$);
CALL test.refused($$SELECT kin_tr.accept_reservation(test.reservation('t'), workspace => 'reservation, too')$$);
SELECT kin_tr.delete_workspace('reservation, too');
SELECT reservation_status, version FROM kin_tr.get_reservation(:'offer');
SELECT attributes, assignment_status, version FROM kin_tr.get_task(test.task('t'));

-- accepted, wrapped up and completed; keys of attributes replace the task's; each a version of its own
SELECT test.later('10 s');
SELECT kin_tr.accept_reservation(:'offer', 'reservation', 0);
-- (an offer that was accepted times out no more)
SELECT reservation_status, date_created, date_updated, times_out_at, version FROM kin_tr.get_reservation(:'offer');
SELECT kin_tr.wrapup_reservation(:'offer', '{"y": 2}', if_version => 1);
SELECT reservation_status, version FROM kin_tr.get_reservation(:'offer');
SELECT attributes, assignment_status, version FROM kin_tr.get_task(test.task('t'));
SELECT kin_tr.complete_reservation(:'offer', '{"x": 3, "z": [1]}', 'reservation', 2);
-- what is refused leaves no memory behind
DO $$
DECLARE
    completed text := (SELECT r.sid FROM kin_tr.reservations r WHERE r.reservation_status = 'completed' LIMIT 1);
    refused   integer := 0;
BEGIN
    FOR i IN 1 .. 50 LOOP
        BEGIN
            PERFORM kin_tr.complete_reservation(completed, jsonb_build_object('x', repeat('a', 200000)));
        EXCEPTION WHEN OTHERS THEN
            refused := refused + 1;
        END;
    END LOOP;
    ASSERT refused = 50, 'they were not refused';
END $$;
SELECT sum(total_bytes) < 1000000 AS little FROM pg_catalog.pg_backend_memory_contexts WHERE name = 'kin_tr pending events';
SELECT reservation_status, version FROM kin_tr.get_reservation(:'offer');
SELECT attributes, assignment_status, reason, version FROM kin_tr.get_task(test.task('t'));
-- completed without a wrap-up
SELECT test.new('short'), test.tick();
SELECT kin_tr.accept_reservation(test.reservation('short'));
SELECT kin_tr.complete_reservation(test.reservation('short'), '{"solved": true}');
SELECT attributes, assignment_status, reason FROM kin_tr.get_task(test.task('short'));

-- rejected, with a reason; the task is offered again, to whoever is available
SELECT test.new('r'), test.tick();
SELECT test.reservation('r') AS first \gset
SELECT kin_tr.reject_reservation(:'first', 'lunch', 'Unavailable', 'reservation', 0);
SELECT reservation_status, times_out_at, reason, version FROM kin_tr.get_reservation(:'first');
SELECT activity_name FROM kin_tr.get_worker('Alice');
SELECT test.worker('Bob') AS bob;
SELECT test.tick();
SELECT * FROM test.board WHERE task = 'r';
CALL test.refused($$SELECT kin_tr.accept_reservation(test.reservation('r', 'Alice'))$$);
CALL test.refused($$SELECT kin_tr.reject_reservation(test.reservation('r', 'Alice'))$$);
-- the one that is open can be answered
SELECT kin_tr.accept_reservation(test.reservation('r', 'Bob'));
CALL test.refused($$SELECT kin_tr.accept_reservation(test.reservation('r', 'Bob'))$$);
CALL test.refused($$SELECT kin_tr.reject_reservation(test.reservation('r', 'Bob'))$$);
SELECT kin_tr.complete_task(test.task('r'));
-- into an activity that is available: the worker gets the task again
SELECT kin_tr.update_worker_activity('Bob', 'Offline'), kin_tr.update_worker_activity('Alice', 'Available'), kin_tr.create_activity('Ready', true) IS NOT NULL AS created;
SELECT test.new('back'), test.tick();
SELECT kin_tr.reject_reservation(test.reservation('back'), activity => 'Ready');
SELECT activity_name FROM kin_tr.get_worker('Alice');
SELECT test.tick();
SELECT task, status, reservations FROM test.board WHERE task = 'back';

-- it can be accepted until its time is over, and not at that moment
SELECT test.later('119.999 s');
BEGIN;
SELECT kin_tr.accept_reservation(test.reservation('back'));
ROLLBACK;
SELECT test.later('1 ms');
CALL test.refused($$SELECT kin_tr.accept_reservation(test.reservation('back'))$$);
SELECT test.tick();
CALL test.refused($$SELECT kin_tr.accept_reservation(test.reservation('back'))$$);
SELECT reservation_status, date_updated - date_created AS after, times_out_at FROM kin_tr.get_reservation(test.reservation('back'));
SELECT activity_name FROM kin_tr.get_worker('Alice');

-- its time is the workflow's of the moment it is made
SELECT kin_tr.update_workflow('Default Fifo Workflow', task_reservation_timeout => 5);
SELECT kin_tr.update_worker_activity('Alice', 'Available');
SELECT test.tick();
SELECT times_out_at - date_created AS timeout FROM kin_tr.get_reservation(test.reservation('back'));
SELECT kin_tr.update_workflow('Default Fifo Workflow', task_reservation_timeout => 86400);
SELECT times_out_at - date_created AS timeout FROM kin_tr.get_reservation(test.reservation('back'));
SELECT test.later('5 s'), test.tick();
SELECT test.offer('back');
-- of a task routed directly, which has no workflow, 120 s
SELECT test.new('direct', routing_target => :'alice'), test.tick();
SELECT times_out_at - date_created AS timeout, workflow_sid, task_queue_sid FROM kin_tr.get_reservation(test.reservation('direct'));

-- what is open, of one worker or of all, the oldest first
SELECT kin_tr.update_worker_activity('Bob', 'Available');
SELECT test.tick();
SELECT task_attributes ->> 'name' AS task, worker_name, reservation_status FROM kin_tr.active_reservations();
SELECT task_attributes ->> 'name' AS task, worker_name, reservation_status FROM kin_tr.active_reservations('bob');

-- live or in history
SELECT kin_tr.delete_task(test.task('direct')), kin_tr.delete_task(test.task('back'));
SELECT test.later('5 min');
SELECT moved FROM kin_tr.maintain();
SELECT reservation_status, reason, date_created, date_updated, version, in_history FROM kin_tr.get_reservation(:'first');
SELECT worker_name, reservation_status, reason, in_history FROM kin_tr.all_reservations WHERE workspace_sid = test.ws() ORDER BY sid;
CALL test.refused(format('SELECT kin_tr.accept_reservation(%L)', :'first'));
CALL test.refused(format('SELECT kin_tr.get_reservation(%L, %L)', :'first', 'nowhere'));
SELECT test.faults();
SELECT kin_tr.delete_workspace('reservation');
