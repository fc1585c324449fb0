-- Every row of the state tables in TaskRouter's documentation, by its name.
-- Left out are rows whose cause does not exist here: telephony, callbacks, and
-- single-tasking workspaces, which are refused.
\t on
\pset format unaligned
SET timezone = 'UTC';
SELECT kin_tr.set_clock('2026-01-05 09:00Z') IS NOT NULL;
SELECT kin_tr.create_workspace('states') IS NOT NULL;
SET kin_tr.workspace = 'states';
SELECT kin_tr.create_task_queue('one') IS NOT NULL, kin_tr.create_task_queue('many', max_reserved_workers => 3) IS NOT NULL;
SELECT kin_tr.create_workflow('plain', '{"task_routing": {"default_filter": {"queue": "one"}}}', 45) IS NOT NULL,
       kin_tr.create_workflow('many', '{"task_routing": {"default_filter": {"queue": "many"}}}', 45) IS NOT NULL,
       kin_tr.create_workflow('ends', '{"task_routing": {"filters": [{"expression": "1==1", "targets": [{"queue": "one", "timeout": 60}]}]}}', 45) IS NOT NULL,
       kin_tr.create_workflow('skips', '{"task_routing": {"filters": [{"expression": "1==1", "targets": [{"queue": "one", "expression": "worker.nobody == 1", "skip_if": "1==1"}]}]}}', 45) IS NOT NULL;
SELECT test.worker('Alice');

-- ------------------------------------------------------------ 4.1 tasks
SELECT kin_tr.current_cursor() AS start \gset
SELECT test.new('t', workflow => 'plain');
SELECT test.ok('4.1 (new) -> pending: created', test.status('t') = 'pending');
SELECT test.tick();
SELECT test.ok('4.1 pending -> reserved: first reservation created', test.status('t') = 'reserved' AND test.offer('t') = 'pending');
SELECT kin_tr.reject_reservation(test.reservation('t'));
SELECT test.ok('4.1 reserved -> pending: the reservation was rejected', test.status('t') = 'pending');
SELECT test.tick();
SELECT test.later('45 s');
SELECT kin_tr.update_worker_activity('Alice', 'Available');
SELECT test.tick();
SELECT test.ok('4.1 reserved -> pending: the reservation timed out', test.status('t') = 'pending' AND test.offer('t') = 'timeout');
SELECT kin_tr.update_worker_activity('Alice', 'Available');
SELECT test.tick();
SELECT kin_tr.accept_reservation(test.reservation('t'));
SELECT test.ok('4.1 reserved -> assigned: one reservation accepted', test.status('t') = 'assigned');
SELECT kin_tr.wrapup_task(test.task('t'));
SELECT test.ok('4.1 assigned -> wrapping: API', test.status('t') = 'wrapping');
SELECT kin_tr.complete_task(test.task('t'), reason => 'solved');
SELECT test.ok('4.1 wrapping -> completed: API', (SELECT assignment_status = 'completed' AND reason = 'solved' FROM kin_tr.get_task(test.task('t'))));
SELECT test.events(:'start', test.task('t'));

SELECT test.new('u', workflow => 'plain');
SELECT test.tick();
SELECT kin_tr.accept_reservation(test.reservation('u'));
SELECT kin_tr.complete_task(test.task('u'), reason => 'short');
SELECT test.ok('4.1 assigned -> completed: API with Reason', (SELECT assignment_status = 'completed' AND reason = 'short' FROM kin_tr.get_task(test.task('u'))));

-- of several reservations all must have ended
SELECT test.worker('Bob'), test.worker('Carol');
SELECT test.new('m', workflow => 'many');
SELECT test.tick();
SELECT test.who('m');
SELECT kin_tr.reject_reservation(test.reservation('m', 'Alice'), activity => 'Unavailable'), kin_tr.reject_reservation(test.reservation('m', 'Bob'), activity => 'Unavailable');
SELECT test.ok('4.1 reserved stays reserved while one of several is pending', test.status('m') = 'reserved');
SELECT kin_tr.reject_reservation(test.reservation('m', 'Carol'), activity => 'Unavailable');
SELECT test.ok('4.1 reserved -> pending: all of several ended without acceptance', test.status('m') = 'pending');
SELECT kin_tr.delete_task(test.task('m'));

-- canceled
SELECT kin_tr.delete_worker('Bob'), kin_tr.delete_worker('Carol'), kin_tr.update_worker_activity('Alice', 'Available');
SELECT test.new('c1', workflow => 'plain');
SELECT kin_tr.cancel_task(test.task('c1'), 'hung up');
SELECT test.ok('4.1 pending -> canceled: API', (SELECT assignment_status = 'canceled' AND reason = 'hung up' FROM kin_tr.get_task(test.task('c1'))));
SELECT test.new('c2', workflow => 'plain');
SELECT test.tick();
SELECT kin_tr.cancel_task(test.task('c2'), 'hung up');
SELECT test.ok('4.1 reserved -> canceled: API', test.status('c2') = 'canceled');
SELECT kin_tr.update_worker_activity('Alice', 'Unavailable');
SELECT test.new('c3', workflow => 'plain', timeout => 100);
SELECT test.later('99 s');
SELECT test.tick();
SELECT test.later('1 s');
SELECT test.tick();
SELECT test.ok('4.1 pending -> canceled: TTL', (SELECT assignment_status = 'canceled' AND reason = 'Task TTL Exceeded' FROM kin_tr.get_task(test.task('c3'))));
SELECT kin_tr.update_worker_activity('Alice', 'Available');
SELECT test.new('c4', workflow => 'plain', timeout => 30);
SELECT test.tick();
SELECT test.later('30 s');
SELECT test.tick();
SELECT test.ok('4.1 reserved -> canceled: TTL', (SELECT assignment_status = 'canceled' AND reason = 'Task TTL Exceeded' FROM kin_tr.get_task(test.task('c4'))) AND test.offer('c4') = 'canceled');
SELECT kin_tr.update_worker_activity('Alice', 'Unavailable');
SELECT kin_tr.current_cursor() AS before \gset
SELECT test.new('c5', workflow => 'ends');
SELECT test.later('60 s');
SELECT test.tick();
SELECT test.ok('4.1 pending -> canceled: end of workflow by timeout', (SELECT assignment_status = 'canceled' AND reason = 'Task canceled on Workflow timeout' FROM kin_tr.get_task(test.task('c5'))));
SELECT test.events(:'before', test.task('c5'));
SELECT kin_tr.update_worker_activity('Alice', 'Available');
SELECT kin_tr.current_cursor() AS before \gset
SELECT test.new('c6', workflow => 'skips');
SELECT test.tick();
SELECT test.ok('4.1 pending -> canceled: end of workflow by skip', (SELECT assignment_status = 'canceled' AND reason = 'Task canceled on Workflow skipped' FROM kin_tr.get_task(test.task('c6'))));
SELECT test.events(:'before', test.task('c6'));
-- a reservation that ends when the workflow has ended meanwhile
SELECT test.new('c7', workflow => 'ends');
SELECT test.later('40 s');
SELECT test.tick();
SELECT test.later('20 s');
SELECT test.tick();
SELECT test.ok('4.1 reserved waits for its reservation when the step is over', test.status('c7') = 'reserved');
SELECT test.later('25 s');
SELECT test.tick();
SELECT test.ok('4.1 reserved -> canceled: end of workflow when the reservation timed out', (SELECT assignment_status = 'canceled' AND reason = 'Task canceled on Workflow timeout' FROM kin_tr.get_task(test.task('c7'))));
SELECT kin_tr.update_worker_activity('Alice', 'Available');
SELECT test.new('c8', workflow => 'plain');
-- (998 of the thousand are made up)
UPDATE kin_tr.tasks SET assignments = 998 WHERE sid = test.task('c8');
SELECT test.tick();
SELECT kin_tr.reject_reservation(test.reservation('c8'));
SELECT test.tick();
SELECT test.ok('4.1 reserved for the 1000th time', test.status('c8') = 'reserved');
SELECT kin_tr.reject_reservation(test.reservation('c8'));
SELECT test.ok('4.1 pending -> canceled: 1000 assignments', (SELECT assignment_status = 'canceled' AND reason = 'Max assignment count exceeded' FROM kin_tr.get_task(test.task('c8'))));

-- deleted
SELECT test.new('d1', workflow => 'plain', timeout => 100);
SELECT test.tick();
SELECT kin_tr.accept_reservation(test.reservation('d1'));
SELECT test.later('100 s');
SELECT test.tick();
SELECT test.ok('4.1 an assigned task is never canceled, not by its TTL', test.status('d1') = 'assigned');
SELECT kin_tr.current_cursor() AS before \gset
SELECT test.task('d1') AS d1 \gset
SELECT test.later('23 h 58 min 19 s');
SELECT test.tick();
SELECT test.ok('4.1 assigned for less than 24 h', test.status('d1') = 'assigned');
SELECT test.later('1 s');
SELECT test.tick();
SELECT test.ok('4.1 assigned -> (deleted): 24 h in assigned, task.system-deleted', test.status('d1') IS NULL AND test.events(:'before', :'d1') = 'task.system-deleted');
SELECT test.ok('4.1 and its worker is free', (SELECT open_reservations = 0 FROM kin_tr.get_worker_channel('Alice', 'default')));
SELECT test.new('d0', workflow => 'plain', timeout => 259200);
SELECT test.tick();
SELECT kin_tr.accept_reservation(test.reservation('d0'));
SELECT test.tick();
SELECT test.later('24 h');
SELECT test.tick();
SELECT test.ok('4.1 and also where its TTL was longer', test.status('d0') IS NULL);
SELECT moved > 0 FROM kin_tr.maintain();
SELECT test.new('d2', workflow => 'plain'), test.new('d3', workflow => 'plain');
SELECT test.tick();
SELECT kin_tr.accept_reservation(test.reservation('d2'));
SELECT kin_tr.complete_task(test.task('d2')), kin_tr.cancel_task(test.task('d3'));
SELECT test.task('d2') AS d2, test.task('d3') AS d3, kin_tr.current_cursor() AS before \gset
SELECT test.later('4 min 59 s');
SELECT moved FROM kin_tr.maintain();
SELECT test.ok('4.1 canceled, completed stay for 5 minutes', test.status('d2') = 'completed' AND test.status('d3') = 'canceled');
SELECT test.later('1 s');
SELECT moved FROM kin_tr.maintain();
SELECT test.ok('4.1 canceled, completed -> (deleted): 5 minutes later', test.status('d2') IS NULL AND test.status('d3') IS NULL);
SELECT test.ok('4.1 without an event', test.events(:'before', :'d2') IS NULL AND test.events(:'before', :'d3') IS NULL);
SELECT test.ok('4.1 and kept in history', (SELECT in_history AND assignment_status = 'completed' FROM kin_tr.get_task(:'d2')));
-- DELETE from each status
SELECT test.new('pending', workflow => 'plain');
SELECT kin_tr.update_worker_channel('Alice', 'default', 3);
SELECT test.new('reserved', workflow => 'plain', priority => 5), test.new('assigned', workflow => 'plain', priority => 5), test.new('wrapping', workflow => 'plain', priority => 5);
SELECT test.tick();
SELECT kin_tr.accept_reservation(test.reservation('assigned')), kin_tr.accept_reservation(test.reservation('wrapping'));
SELECT kin_tr.wrapup_task(test.task('wrapping'));
SELECT test.new('completed', workflow => 'plain', priority => 5, routing_target => (SELECT sid FROM kin_tr.get_worker('Alice')));
SELECT test.tick();
SELECT kin_tr.accept_reservation(test.reservation('completed'));
SELECT kin_tr.complete_task(test.task('completed'));
SELECT test.new('canceled', workflow => 'plain');
SELECT kin_tr.cancel_task(test.task('canceled'));
SELECT kin_tr.current_cursor() AS before \gset
SELECT test.ok('4.1 ' || task || ' -> (deleted): DELETE', task = status AND kin_tr.delete_task(test.task(task)) IS NOT NULL) FROM test.board;
SELECT test.ok('4.1 and they are gone', count(*) = 0) FROM test.board;
SELECT test.events(:'before');
SELECT test.ok('4.1 with its reservations', (SELECT count(*) = 0 FROM kin_tr.reservations WHERE workspace_sid = test.ws()));
SELECT test.tick();

-- every other move is refused with KT001 and names from and to
SELECT test.new('pending', workflow => 'plain', timeout => 1000);
SELECT kin_tr.update_worker_channel('Alice', 'default', 3);
SELECT test.new('reserved', workflow => 'plain', priority => 5), test.new('assigned', workflow => 'plain', priority => 5), test.new('wrapping', workflow => 'plain', priority => 5);
SELECT test.tick();
SELECT kin_tr.accept_reservation(test.reservation('assigned')), kin_tr.accept_reservation(test.reservation('wrapping'));
SELECT kin_tr.wrapup_task(test.task('wrapping'));
SELECT test.new('completed', routing_target => (SELECT sid FROM kin_tr.get_worker('Alice')));
SELECT test.tick();
SELECT kin_tr.accept_reservation(test.reservation('completed'));
SELECT kin_tr.complete_task(test.task('completed'));
SELECT test.new('canceled', workflow => 'plain');
SELECT kin_tr.cancel_task(test.task('canceled'));
SELECT test.ok('4.1 ' || task || ' -> ' || s.to || ': ' || CASE WHEN legal THEN 'legal' ELSE 'KT001' END,
               test.sqlstate(format('SELECT kin_tr.%s(%L)', s.function, test.task(task))) = CASE WHEN legal THEN 'none' ELSE 'KT001' END)
  FROM test.board, (VALUES ('wrapping', 'wrapup_task'), ('completed', 'complete_task'), ('canceled', 'cancel_task')) s("to", function),
       LATERAL (SELECT (task, s.to) IN (('pending', 'canceled'), ('reserved', 'canceled'), ('assigned', 'wrapping'), ('assigned', 'completed'), ('wrapping', 'completed')) AS legal) l
 ORDER BY s.to DESC, array_position('{pending,reserved,assigned,wrapping,completed,canceled}', task);
CALL test.refused($$SELECT kin_tr.wrapup_task(test.task('pending'))$$);
CALL test.refused($$SELECT kin_tr.complete_task(test.task('reserved'))$$);
CALL test.refused($$SELECT kin_tr.cancel_task(test.task('wrapping'))$$);
SELECT test.faults();

-- ----------------------------------------------------- 4.2 reservations
CALL test.clear();
SELECT test.worker('Alice', capacity => 10);
SELECT test.new('r', workflow => 'plain');
SELECT test.tick();
SELECT test.ok('4.2 (new) -> pending: worker chosen', test.offer('r') = 'pending');
SELECT test.ok('4.2 its timer is the workflow''s TaskReservationTimeout', (SELECT times_out_at - date_created = interval '45 s' FROM kin_tr.get_reservation(test.reservation('r'))));
SELECT kin_tr.accept_reservation(test.reservation('r'));
SELECT test.ok('4.2 pending -> accepted: API', test.offer('r') = 'accepted');
SELECT kin_tr.wrapup_reservation(test.reservation('r'));
SELECT test.ok('4.2 accepted -> wrapping: ReservationStatus=wrapping', test.offer('r') = 'wrapping' AND test.status('r') = 'wrapping');
SELECT kin_tr.complete_reservation(test.reservation('r'));
SELECT test.ok('4.2 wrapping -> completed: reservation completed', test.offer('r') = 'completed' AND test.status('r') = 'completed');
SELECT test.new('r2', workflow => 'plain');
SELECT test.tick();
SELECT kin_tr.reject_reservation(test.reservation('r2'), 'busy');
SELECT test.ok('4.2 pending -> rejected: API', (SELECT reservation_status = 'rejected' AND reason = 'busy' FROM kin_tr.get_reservation(test.reservation('r2'))));
SELECT test.tick();
SELECT kin_tr.update_worker('Alice', activity => 'Unavailable', reject_pending_reservations => true);
SELECT test.ok('4.2 pending -> rejected: worker update with RejectPendingReservations', test.offer('r2') = 'rejected');
SELECT kin_tr.update_worker_activity('Alice', 'Available');
SELECT test.tick();
SELECT test.later('44 s');
SELECT test.tick();
SELECT test.ok('4.2 pending before its time', test.offer('r2') = 'pending');
SELECT test.later('1 s');
SELECT test.tick();
SELECT test.ok('4.2 pending -> timeout: no response in time', test.offer('r2') = 'timeout');
SELECT kin_tr.update_worker_activity('Alice', 'Available');
SELECT test.tick();
SELECT kin_tr.cancel_task(test.task('r2'));
SELECT test.ok('4.2 pending -> canceled: task canceled while reserved', test.offer('r2') = 'canceled');
SELECT test.worker('Bob');
SELECT test.new('r3', workflow => 'many');
SELECT test.tick();
SELECT kin_tr.accept_reservation(test.reservation('r3', 'Bob'));
SELECT test.ok('4.2 pending -> rescinded: another worker accepted', test.offer('r3', 'Alice') = 'rescinded' AND test.offer('r3', 'Bob') = 'accepted');
SELECT kin_tr.wrapup_task(test.task('r3'));
SELECT test.ok('4.2 accepted -> wrapping: task -> wrapping', test.offer('r3', 'Bob') = 'wrapping');
SELECT kin_tr.complete_task(test.task('r3'));
SELECT test.ok('4.2 wrapping -> completed: task -> completed', test.offer('r3', 'Bob') = 'completed');
SELECT test.new('r4', workflow => 'plain'), test.new('r5', workflow => 'plain');
SELECT test.tick();
SELECT kin_tr.accept_reservation(test.reservation('r4')), kin_tr.accept_reservation(test.reservation('r5'));
SELECT kin_tr.complete_task(test.task('r4')), kin_tr.complete_reservation(test.reservation('r5'));
SELECT test.ok('4.2 accepted -> completed: task -> completed', test.offer('r4') = 'completed');
SELECT test.ok('4.2 accepted -> completed: reservation completed', test.offer('r5') = 'completed');
SELECT test.ok('4.2 the task completes when all reservations are completed', (SELECT assignment_status = 'completed' AND reason = 'All reservations were completed' FROM kin_tr.get_task(test.task('r5'))));
-- every other move is refused: from an offer that is gone with KT007, else with KT001
CALL test.clear();
SELECT test.worker('Alice', capacity => 10), test.worker('Bob', activity => 'Unavailable');
SELECT test.new('pending', workflow => 'plain'), test.new('accepted', workflow => 'plain'), test.new('wrapping', workflow => 'plain'), test.new('completed', workflow => 'plain'),
       test.new('rejected', workflow => 'plain'), test.new('canceled', workflow => 'plain'), test.new('timeout', workflow => 'plain', priority => 9);
SELECT test.tick();
SELECT count(kin_tr.accept_reservation(test.reservation(t))) FROM unnest(ARRAY['accepted', 'wrapping', 'completed']) t;
SELECT kin_tr.wrapup_task(test.task('wrapping')), kin_tr.complete_task(test.task('completed')), kin_tr.reject_reservation(test.reservation('rejected'), activity => 'Unavailable'), kin_tr.cancel_task(test.task('canceled'));
SELECT kin_tr.delete_task(test.task('pending'));
SELECT test.later('45 s');
SELECT test.tick();
SELECT kin_tr.cancel_task(test.task('rejected')), kin_tr.cancel_task(test.task('timeout'));
SELECT kin_tr.update_worker_activity('Bob', 'Available'), kin_tr.update_worker_activity('Alice', 'Available');
SELECT test.new('rescinded', workflow => 'many');
SELECT test.tick();
SELECT kin_tr.accept_reservation(test.reservation('rescinded', 'Alice'));
SELECT test.new('pending', workflow => 'plain', priority => 1);
SELECT test.tick();
SELECT test.ok('4.2 ' || r.from || ' -> ' || s.to || ': ' || expected,
               test.offer(r.from, r.worker) = r.from AND test.sqlstate(format('SELECT kin_tr.%s(%L)', s.function, test.reservation(r.from, r.worker))) = expected)
  FROM (VALUES ('pending', NULL), ('accepted', NULL), ('wrapping', NULL), ('completed', NULL), ('rejected', NULL), ('timeout', NULL), ('canceled', NULL), ('rescinded', 'Bob')) r("from", worker),
       (VALUES ('accepted', 'accept_reservation'), ('rejected', 'reject_reservation'), ('wrapping', 'wrapup_reservation'), ('completed', 'complete_reservation')) s("to", function),
       LATERAL (SELECT CASE WHEN (r.from, s.to) IN (('pending', 'accepted'), ('pending', 'rejected'), ('accepted', 'wrapping'), ('accepted', 'completed'), ('wrapping', 'completed')) THEN 'none'
                            WHEN r.from IN ('rejected', 'timeout', 'canceled', 'rescinded') THEN 'KT007' ELSE 'KT001' END AS expected) e;
CALL test.refused($$SELECT kin_tr.accept_reservation(test.reservation('rescinded', 'Bob'))$$);
CALL test.refused($$SELECT kin_tr.wrapup_reservation(test.reservation('pending'))$$);
CALL test.refused($$SELECT kin_tr.accept_reservation(test.reservation('completed'))$$);
-- its time is over, though nobody has said so yet
SELECT test.later('45 s');
CALL test.refused($$SELECT kin_tr.accept_reservation(test.reservation('pending'))$$);
SELECT test.ok('4.2 an offer whose time is over can still be rejected', test.sqlstate(format('SELECT kin_tr.reject_reservation(%L)', test.reservation('pending'))) = 'none');
SELECT test.tick();
SELECT test.faults();

-- ---------------------------------------------------- 4.3 cross-effects
CALL test.clear();
CREATE FUNCTION test.load(worker text) RETURNS text LANGUAGE sql AS $$
    SELECT format('%s open, %s assigned, %s', open_reservations, assigned_tasks, activity_name) FROM kin_tr.worker_status(worker) WHERE task_channel_unique_name = 'default' $$;
SELECT test.worker('Alice', capacity => 2), test.worker('Bob', capacity => 2);
SELECT test.new('x', workflow => 'many');
SELECT test.tick();
SELECT test.ok('4.3 reservation created: task pending -> reserved', test.status('x') = 'reserved');
SELECT test.ok('4.3 reservation created: activity unchanged, one slot taken', test.load('Alice') = '1 open, 0 assigned, Available');
SELECT kin_tr.accept_reservation(test.reservation('x', 'Alice'));
SELECT test.ok('4.3 accepted: task -> assigned', test.status('x') = 'assigned');
SELECT test.ok('4.3 accepted: others -> rescinded', test.offer('x', 'Bob') = 'rescinded');
SELECT test.ok('4.3 accepted: activity unchanged, slot stays, assigned_tasks + 1', test.load('Alice') = '1 open, 1 assigned, Available');
SELECT test.ok('4.3 rescinded: activity unchanged, slot freed', test.load('Bob') = '0 open, 0 assigned, Available');
SELECT kin_tr.wrapup_reservation(test.reservation('x', 'Alice'));
SELECT test.ok('4.3 wrapping: task wrapping', test.status('x') = 'wrapping');
SELECT test.ok('4.3 wrapping: activity unchanged, slot still occupied', test.load('Alice') = '1 open, 0 assigned, Available');
SELECT kin_tr.complete_reservation(test.reservation('x', 'Alice'));
SELECT test.ok('4.3 completed: task completed', test.status('x') = 'completed');
SELECT test.ok('4.3 completed: activity unchanged, slot freed', test.load('Alice') = '0 open, 0 assigned, Available');
SELECT test.new('y', workflow => 'many');
SELECT test.tick();
SELECT kin_tr.reject_reservation(test.reservation('y', 'Alice'));
SELECT test.ok('4.3 rejected: task stays reserved, for it was not the last', test.status('y') = 'reserved');
SELECT test.ok('4.3 rejected: other reservations unaffected', test.offer('y', 'Bob') = 'pending');
SELECT test.ok('4.3 rejected: activity unchanged, slot freed', test.load('Alice') = '0 open, 0 assigned, Available');
SELECT kin_tr.reject_reservation(test.reservation('y', 'Bob'), activity => 'Unavailable');
SELECT test.ok('4.3 rejected: task -> pending if last', test.status('y') = 'pending');
SELECT test.ok('4.3 rejected: WorkerActivitySid if given', test.load('Bob') = '0 open, 0 assigned, Unavailable');
SELECT test.tick();
SELECT test.ok('4.3 a rejected task may go straight back to the same worker if still available', test.who('y') = 'Alice');
SELECT kin_tr.update_worker_activity('Bob', 'Available');
SELECT kin_tr.cancel_task(test.task('y'));
SELECT test.ok('4.3 canceled: activity unchanged, slot freed', test.load('Alice') = '0 open, 0 assigned, Available');
SELECT test.new('z', workflow => 'many');
SELECT test.tick();
SELECT kin_tr.update_workspace('states', timeout_activity => 'Unavailable');
SELECT test.later('45 s');
SELECT test.tick();
SELECT test.ok('4.3 timeout: task -> pending if last', test.status('z') = 'pending');
SELECT test.ok('4.3 timeout: worker -> workspace TimeoutActivity, slot freed', test.load('Alice') = '0 open, 0 assigned, Unavailable' AND test.load('Bob') = '0 open, 0 assigned, Unavailable');
SELECT kin_tr.update_workspace('states', timeout_activity => 'Offline');
SELECT test.tick();
SELECT test.ok('4.3 timeout: the worker gets no work at all until moved back', test.who('z') IS NULL);
SELECT kin_tr.update_worker_activity('Alice', 'Available');
SELECT test.tick();
SELECT test.ok('4.3 and then it does', test.who('z') = 'Alice');
SELECT kin_tr.create_activity('Also available', true) IS NOT NULL;
SELECT kin_tr.update_worker_activity('Alice', 'Also available');
SELECT test.ok('4.3 moving between two available activities keeps reservations', test.offer('z') = 'pending');
SELECT kin_tr.update_worker_activity('Alice', 'Unavailable');
SELECT test.ok('4.3 moving to an unavailable one leaves pending reservations in place', test.offer('z') = 'pending');
SELECT kin_tr.accept_reservation(test.reservation('z'));
SELECT test.ok('4.3 and they can be accepted', test.status('z') = 'assigned');
SELECT test.new('zz', workflow => 'plain');
SELECT test.tick();
SELECT test.ok('4.3 but no new ones are made', test.status('zz') = 'pending');
SELECT kin_tr.complete_task(test.task('z'));
SELECT test.ok('4.3 and current tasks finish', test.status('z') = 'completed');
SELECT kin_tr.update_worker_activity('Alice', 'Available');
SELECT test.tick();
SELECT test.reservation('zz') AS zz \gset
SELECT kin_tr.delete_task(test.task('zz'));
SELECT test.ok('4.3 deleting a task deletes its pending reservations', test.load('Alice') = '0 open, 0 assigned, Available' AND NOT EXISTS (SELECT FROM kin_tr.all_reservations WHERE sid = :'zz'));

-- ----------------------------------------------------------- 4.4 capacity
CALL test.clear();
SELECT test.worker('Alice', capacity => 3);
CREATE FUNCTION test.percent(worker text) RETURNS integer LANGUAGE sql AS $$ SELECT available_capacity_percentage FROM kin_tr.get_worker_channel(worker, 'default') $$;
SELECT test.ok('4.4 0 of 3: 100 %', test.percent('Alice') = 100);
SELECT test.new('t1', workflow => 'plain');
SELECT test.tick();
SELECT test.ok('4.4 1 of 3: 66 %, pending is open', test.percent('Alice') = 66);
SELECT test.new('t2', workflow => 'plain');
SELECT test.tick();
SELECT kin_tr.accept_reservation(test.reservation('t1')), kin_tr.accept_reservation(test.reservation('t2'));
SELECT test.ok('4.4 2 of 3: 33 %, accepted is open', test.percent('Alice') = 33);
SELECT kin_tr.wrapup_task(test.task('t2'));
SELECT test.ok('4.4 2 of 3: 33 %, wrapping is open', test.percent('Alice') = 33);
SELECT test.ok('4.4 assigned_tasks counts accepted reservations only', test.load('Alice') = '2 open, 1 assigned, Available');
SELECT test.new('t3', workflow => 'plain'), test.new('t4', workflow => 'plain');
SELECT test.tick();
SELECT test.ok('4.4 3 of 3: 0 %, and not eligible', test.percent('Alice') = 0 AND test.status('t4') = 'pending');
SELECT kin_tr.update_worker_channel('Alice', 'default', 4, false);
SELECT test.tick();
SELECT test.ok('4.4 eligible only if the channel is available', test.status('t4') = 'pending');
SELECT kin_tr.update_worker_activity('Alice', 'Unavailable'), kin_tr.update_worker_channel('Alice', 'default', 4, true);
SELECT test.tick();
SELECT test.ok('4.4 eligible only if the activity is available', test.status('t4') = 'pending');
SELECT kin_tr.update_worker_activity('Alice', 'Available');
SELECT test.tick();
SELECT test.ok('4.4 eligible: channel available, open < configured, activity available', test.status('t4') = 'reserved');
SELECT kin_tr.update_worker_channel('Alice', 'voice', 0);
SELECT test.new('v', workflow => 'plain', task_channel => 'voice');
SELECT test.tick();
SELECT test.ok('4.4 capacity 0: never', test.status('v') = 'pending');
SELECT kin_tr.update_worker_channel('Alice', 'voice', 1);
SELECT test.tick();
SELECT test.ok('4.4 channels are independent', test.status('v') = 'reserved' AND test.percent('Alice') = 0);
SELECT test.ok('4.4 tasks have the channel default', (SELECT task_channel_unique_name = 'default' FROM kin_tr.get_task(test.task('t1'))));
SELECT test.faults();

-- ----------------------------------------------------------- 4.5 ordering
-- who gets the worker in which order
CREATE FUNCTION test.order_of(worker text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
    r text;
BEGIN
    LOOP
        PERFORM kin_tr.tick();
        r := (SELECT sid FROM kin_tr.reservations WHERE worker_name = worker AND reservation_status = 'pending');
        EXIT WHEN r IS NULL;
        result := concat_ws(' ', result, (SELECT t.attributes ->> 'name' FROM kin_tr.tasks t JOIN kin_tr.reservations x ON x.task_sid = t.sid WHERE x.sid = r::kin_tr.sid));
        PERFORM kin_tr.accept_reservation(r), kin_tr.complete_reservation(r);
    END LOOP;
    RETURN result;
END $$;
CALL test.clear();
SELECT kin_tr.create_task_queue('newest', task_order => 'LIFO') IS NOT NULL, kin_tr.create_task_queue('second') IS NOT NULL;
SELECT kin_tr.create_workflow('newest', '{"task_routing": {"default_filter": {"queue": "newest"}}}') IS NOT NULL, kin_tr.create_workflow('second', '{"task_routing": {"default_filter": {"queue": "second"}}}') IS NOT NULL;
SELECT test.worker('Alice', activity => 'Unavailable');
SELECT test.new('a', workflow => 'plain'), test.later('1 s'), test.new('b', workflow => 'plain'), test.later('1 s');
SELECT test.new('old', workflow => 'plain', virtual_start_time => kin_tr.now() - interval '1 h'), test.new('high', workflow => 'plain', priority => 1);
SELECT test.new('high, old', workflow => 'plain', priority => 1, virtual_start_time => kin_tr.now() - interval '1 min');
SELECT test.tick();
SELECT kin_tr.update_worker_activity('Alice', 'Available');
SELECT test.ok('4.5 FIFO: priority desc, then virtual start time asc: ' || o, o = 'high, old high old a b') FROM test.order_of('Alice') o;
SELECT test.ok('4.5 virtual start time defaults to date_created', bool_and(virtual_start_time = date_created)) FROM kin_tr.tasks WHERE sid IN (test.task('a'), test.task('high'));
SELECT kin_tr.update_worker_activity('Alice', 'Unavailable');
SELECT test.new('a', workflow => 'newest'), test.later('1 s'), test.new('high', workflow => 'newest', priority => 9), test.later('1 s'), test.new('b', workflow => 'newest');
SELECT test.new('old', workflow => 'newest', priority => 5, virtual_start_time => kin_tr.now() - interval '1 h');
SELECT kin_tr.update_worker_activity('Alice', 'Available');
SELECT test.ok('4.5 LIFO: newest first, priority ignored, by virtual start time too: ' || o, o = 'b high a old') FROM test.order_of('Alice') o;
SELECT kin_tr.update_worker_activity('Alice', 'Unavailable');
SELECT test.new('l1', workflow => 'newest', priority => 9), test.new('f1', workflow => 'plain'), test.later('1 s'), test.new('l2', workflow => 'newest', priority => 9), test.new('f2', workflow => 'plain');
SELECT kin_tr.update_worker_activity('Alice', 'Available');
SELECT test.ok('4.5 PrioritizeQueueOrder FIFO: all FIFO tasks before LIFO ones: ' || o, o = 'f1 f2 l2 l1') FROM test.order_of('Alice') o;
SELECT kin_tr.update_workspace('states', prioritize_queue_order => 'LIFO');
SELECT kin_tr.update_worker_activity('Alice', 'Unavailable');
SELECT test.new('l1', workflow => 'newest'), test.new('f1', workflow => 'plain', priority => 9), test.later('1 s'), test.new('l2', workflow => 'newest'), test.new('f2', workflow => 'plain', priority => 9);
SELECT kin_tr.update_worker_activity('Alice', 'Available');
SELECT test.ok('4.5 PrioritizeQueueOrder LIFO: the reverse: ' || o, o = 'l2 l1 f1 f2') FROM test.order_of('Alice') o;
SELECT kin_tr.update_workspace('states', prioritize_queue_order => 'FIFO');
SELECT kin_tr.update_worker_activity('Alice', 'Unavailable');
SELECT test.new('1', workflow => 'plain'), test.later('1 s'), test.new('2', workflow => 'second'), test.later('1 s'), test.new('3', workflow => 'plain'), test.new('0', workflow => 'second', priority => 1);
SELECT kin_tr.update_worker_activity('Alice', 'Available');
SELECT test.ok('4.5 across several FIFO queues: by the same key: ' || o, o = '0 1 2 3') FROM test.order_of('Alice') o;

-- who of the workers gets a task
CALL test.clear();
SELECT kin_tr.create_workflow('ordered', '{"task_routing": {"default_filter": {"queue": "one", "order_by": "worker.level DESC"}}}') IS NOT NULL;
SELECT test.worker('Alice', '{"level": 1}'), test.worker('Bob', '{"level": 2}'), test.worker('Carol', '{"level": 2}'), test.worker('Dave');
-- (the workers' clocks: Bob was reserved last, then Carol, Alice and Dave never)
SELECT test.new('x', routing_target => (SELECT sid FROM kin_tr.get_worker('Carol'))), test.later('1 s');
SELECT test.tick();
SELECT test.new('y', routing_target => (SELECT sid FROM kin_tr.get_worker('Bob'))), test.later('1 s');
SELECT test.tick();
SELECT kin_tr.cancel_task(test.task('x')), kin_tr.cancel_task(test.task('y'));
SELECT test.new('t1', workflow => 'ordered'), test.later('1 s');
SELECT test.tick();
SELECT test.ok('4.5 workers: order_by, then longest time since last task assignment', test.who('t1') = 'Carol');
SELECT test.new('t2', workflow => 'ordered'), test.new('t3', workflow => 'ordered'), test.new('t4', workflow => 'ordered');
SELECT test.tick();
SELECT test.ok('4.5 workers: order_by first, one without the attribute last', test.who('t2') = 'Bob' AND test.who('t3') = 'Alice' AND test.who('t4') = 'Dave');
CALL test.clear();
SELECT test.worker('Alice'), test.worker('Bob'), test.worker('Carol', activity => 'Unavailable');
SELECT test.new('t1', workflow => 'plain');
SELECT test.tick();
SELECT test.later('1 s');
SELECT test.new('t2', workflow => 'plain');
SELECT test.tick();
SELECT test.later('1 s');
SELECT test.who('t1'), test.who('t2');
SELECT kin_tr.cancel_task(test.task('t2')), kin_tr.cancel_task(test.task('t1')), kin_tr.update_worker_activity('Carol', 'Available');
SELECT test.new('t3', workflow => 'plain'), test.new('t4', workflow => 'plain'), test.new('t5', workflow => 'plain');
SELECT test.tick();
SELECT test.ok('4.5 a worker never assigned goes first, then the longest idle', test.who('t3') = 'Carol' AND test.who('t4') = 'Alice' AND test.who('t5') = 'Bob');
-- channel_optimized_routing: the clock is the channel's
CALL test.clear();
SELECT test.worker('Alice'), test.worker('Bob');
SELECT test.new('chat', workflow => 'plain', task_channel => 'chat'), test.later('1 s');
SELECT test.tick();
SELECT test.new('plain', workflow => 'plain'), test.later('1 s');
SELECT test.tick();
SELECT test.who('chat'), test.who('plain');
SELECT kin_tr.cancel_task(test.task('chat')), kin_tr.cancel_task(test.task('plain'));
SELECT test.new('by worker', workflow => 'plain', task_channel => 'chat');
SELECT test.tick();
SELECT test.ok('4.5 the clock is the worker''s', test.who('by worker') = 'Alice');
SELECT kin_tr.cancel_task(test.task('by worker'));
SELECT kin_tr.update_task_channel('chat', channel_optimized_routing => true);
SELECT test.later('1 s'), test.new('by channel', workflow => 'plain', task_channel => 'chat');
SELECT test.tick();
SELECT test.ok('4.5 channel_optimized_routing keeps that clock per channel', test.who('by channel') = 'Bob');
SELECT test.ok('4.5 last_reserved_time of the worker channel', (SELECT last_reserved_time = kin_tr.now() FROM kin_tr.get_worker_channel('Bob', 'chat')));
SELECT test.later('10 s');
SELECT test.ok('4.5 age is seconds since creation', (SELECT age = 10 FROM kin_tr.get_task(test.task('by channel'))));
SELECT kin_tr.create_workflow('on', '{"task_routing": {"filters": [{"expression": "1==1", "targets": [{"queue": "one", "timeout": 5}, {"queue": "second"}]}]}}') IS NOT NULL;
SELECT test.new('on', workflow => 'on', task_channel => 'sms'), kin_tr.update_worker_channel('Alice', 'sms', 0) > 0, kin_tr.update_worker_channel('Bob', 'sms', 0) > 0;
SELECT test.later('5 s'), test.tick();
SELECT test.later('2 s');
SELECT test.ok('4.5 time in the current queue = now - task_queue_entered_date', (SELECT kin_tr.now() - task_queue_entered_date = interval '2 s' AND age = 7 FROM kin_tr.get_task(test.task('on'))));
-- MaxReservedWorkers
CALL test.clear();
SELECT test.worker('Alice', capacity => 5), test.worker('Bob'), test.worker('Carol'), test.worker('Dave');
SELECT kin_tr.current_cursor() AS before \gset
SELECT test.new('m', workflow => 'many');
SELECT test.tick();
SELECT test.ok('4.5 MaxReservedWorkers 3 of 4: one reservation per worker, at once', test.who('m') = 'Alice,Bob,Carol');
SELECT test.ok('4.5 one reservation.created each', (SELECT count(*) = 3 FROM kin_tr.events_since(:'before', types => ARRAY['reservation.created'])));
SELECT test.new('n', workflow => 'many');
SELECT test.tick();
SELECT test.ok('4.5 MaxReservedWorkers 3 of 2: as many as there are', test.who('n') = 'Dave,Alice');
SELECT test.ok('4.5 they count as one assignment', (SELECT assignments = 1 FROM kin_tr.tasks WHERE sid = test.task('m')));
SELECT test.faults();
DROP FUNCTION test.load, test.percent, test.order_of;
SELECT kin_tr.delete_workspace('states');
