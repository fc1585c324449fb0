-- Timers: steps, reservations, TTL, each at its moment and not before.
SET timezone = 'UTC'; SET datestyle = 'ISO';
SELECT kin_tr.set_clock('2026-01-05 09:00Z');
SELECT kin_tr.create_workspace('timers') IS NOT NULL AS created;
SET kin_tr.workspace = 'timers';
SELECT count(kin_tr.create_task_queue(q)) AS queues FROM unnest(ARRAY['Q1', 'Q2', 'Q3']) q;
SELECT kin_tr.create_workflow('steps', '{"task_routing": {"filters": [
    {"expression": "1==1", "targets": [{"queue": "Q1", "timeout": 10}, {"queue": "Q2", "timeout": 10}, {"queue": "Q3", "timeout": 10}]},
    {"expression": "second == true", "targets": [{"queue": "Q1", "timeout": 5}]}], "default_filter": {"queue": "Q3"}}}', 8) IS NOT NULL AS created;

-- deadlines of steps are cumulative on the task's age: 10, 20, 30, and 35 in the next filter that fits
SELECT kin_tr.current_cursor() AS start \gset
SELECT test.new('t', '{"second": true}'), test.new('u');
SELECT test.due();
SELECT test.later('9.999 s'), test.tick();
SELECT test.later('1 ms'), test.tick();
SELECT task, queue, step FROM test.board;
SELECT test.due();
-- one that is looked at late catches up: two steps at once
SELECT test.later('21 s'), test.tick();
SELECT task, status, queue, step FROM test.board;
SELECT test.due();
-- a time-out never leads to default_filter
SELECT test.later('4 s'), test.tick();
SELECT task, status, queue, step FROM test.board;
SELECT test.events(:'start', test.task('u'));
SELECT event_type, event_data ->> 'task_queue_name' AS queue, event_data ->> 'workflow_filter_name' AS filter, extract(epoch FROM event_date - '2026-01-05 09:00Z') AS s
  FROM kin_tr.events_since(:'start', resource => test.task('t')) ORDER BY id;
CALL test.clear();

-- the documentation's example: the reservation ends at 8 s, the step at 10 s; nobody else is there, so it stays until then
SELECT test.worker('Alice');
SELECT test.new('t');
SELECT test.tick();
SELECT test.later('8 s'), test.tick();
SELECT task, status, queue, step, reservations FROM test.board;
SELECT test.due();
-- within the step others are tried
SELECT test.worker('Bob');
SELECT test.tick();
SELECT task, status, queue, step, reservations FROM test.board;
-- a reservation outlives its step; when it ends, the task goes on to the step of that moment (10 + 10 s are over)
SELECT test.later('8 s'), test.tick();
SELECT task, status, queue, step, reservations FROM test.board;
SELECT step_deadline - date_created AS step_deadline FROM kin_tr.tasks WHERE sid = test.task('t');
-- its TTL is shorter than all of it
SELECT test.new('short', timeout => 12);
SELECT test.later('12 s'), test.tick();
SELECT task, status, queue, (SELECT reason FROM kin_tr.get_task(test.task(task))) FROM test.board;
CALL test.clear();

-- a default_filter has no time-out, whatever its configuration says
SELECT kin_tr.create_workflow('default', '{"task_routing": {"default_filter": {"queue": "Q1", "timeout": 5}}}') IS NOT NULL AS created;
SELECT test.new('stays', workflow => 'default', timeout => 60);
SELECT test.due();
SELECT test.later('10 s'), test.tick();
SELECT task, status, queue, step FROM test.board;
CALL test.clear();
-- TTL counts while it is pending and reserved, and no more when it was accepted
SELECT kin_tr.create_workflow('plain', '{"task_routing": {"default_filter": {"queue": "Q1"}}}', 60) IS NOT NULL AS created;
SELECT test.worker('Alice', capacity => 2);
SELECT test.new('accepted', workflow => 'plain', timeout => 30), test.new('reserved', workflow => 'plain', timeout => 30), test.new('pending', workflow => 'plain', timeout => 30);
SELECT test.tick();
SELECT kin_tr.accept_reservation(test.reservation('accepted'));
SELECT test.later('29 s'), test.tick();
SELECT test.due();
SELECT test.later('1 s'), test.tick();
SELECT task, status, reservations FROM test.board;
SELECT activity_name FROM kin_tr.get_worker('Alice');
CALL test.clear();

-- at one moment the reservation's end comes first, then the task's: it is canceled and its worker moved
SELECT test.worker('Alice');
SELECT test.new('both', workflow => 'plain', timeout => 60);
SELECT test.tick();
SELECT test.later('60 s'), test.tick();
SELECT task, status, reservations FROM test.board;
SELECT activity_name FROM kin_tr.get_worker('Alice');
CALL test.clear();

-- after a jump all that was due is done, whatever its number
SELECT count(test.new('t' || i, workflow => 'plain', timeout => 5)) FROM generate_series(1, 200) i;
SELECT test.tick();
SELECT test.later('1 h');
SELECT test.tick(50);
SELECT test.tick(50);
SELECT test.tick();
SELECT test.due();
SELECT status, count(*) FROM test.board GROUP BY 1;
CALL test.clear();
-- those of the same moment, more than fit into a batch, with reservations too
SELECT count(test.worker('W' || i)) FROM generate_series(1, 70) i;
SELECT count(test.new('t' || i, workflow => 'plain')) FROM generate_series(1, 70) i;
SELECT test.tick();
SELECT test.later('60 s'), test.tick();
SELECT test.tick();
SELECT status, count(*) FROM test.board GROUP BY 1;
SELECT activity_name, count(*) FROM kin_tr.workers w, kin_tr.get_worker(w.sid) WHERE w.workspace_sid = test.ws() GROUP BY 1;
CALL test.clear();

-- who was moved to the time-out activity by one offer keeps what others offer
SELECT test.worker('Alice', capacity => 3);
SELECT test.new('1', workflow => 'plain');
SELECT test.tick();
SELECT test.later('30 s');
SELECT test.new('2', workflow => 'plain'), test.new('3', workflow => 'plain');
SELECT test.tick();
SELECT kin_tr.accept_reservation(test.reservation('3'));
SELECT test.later('30 s'), test.tick();
SELECT task, status, reservations FROM test.board;
SELECT kin_tr.accept_reservation(test.reservation('2'));
SELECT test.tick();
SELECT kin_tr.complete_task(test.task('2')), kin_tr.complete_task(test.task('3'));
SELECT test.tick();
SELECT task, status, reservations FROM test.board;
CALL test.clear();

-- 24 h in assigned: the system deletes it, and its worker goes on at once
SELECT test.worker('Alice');
SELECT test.new('forgotten', workflow => 'plain');
SELECT test.tick();
SELECT kin_tr.accept_reservation(test.reservation('forgotten'));
SELECT test.new('next', workflow => 'plain', timeout => 200000);
SELECT test.due();
SELECT test.later('24 h'), test.tick();
SELECT task, status FROM test.board;
CALL test.clear();

-- next_due() says what tick() says; NULL where nothing is due
SELECT kin_tr.next_due();
SELECT next_due FROM kin_tr.tick();
SELECT test.new('t', workflow => 'plain', timeout => 100);
SELECT kin_tr.next_due() = next_due AS same, next_due - kin_tr.now() AS due FROM kin_tr.tick();
SELECT test.worker('Alice');
SELECT kin_tr.next_due() = next_due AS same, next_due - kin_tr.now() AS due FROM kin_tr.tick();
SELECT kin_tr.accept_reservation(test.reservation('t'));
SELECT test.later('100 s'), test.tick();
-- (the moments that no longer count have been cleared)
SELECT test.due();
SELECT kin_tr.complete_task(test.task('t'));
SELECT test.due();
CALL test.clear();

-- a timer that changes in the same transaction as tick()
BEGIN;
SELECT test.new('t', workflow => 'plain', timeout => 10);
SELECT test.tick();
SELECT test.later('10 s'), test.tick();
SELECT task, status FROM test.board;
ROLLBACK;
SELECT test.tick();
SELECT test.due();
SELECT kin_tr.delete_workspace('timers');
