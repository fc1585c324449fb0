-- Routing: which queue, which step, which worker; after each turn the sweep and
-- check() find nothing (test.tick() says WRONG otherwise).
SET timezone = 'UTC'; SET datestyle = 'ISO';
SELECT kin_tr.set_clock('2026-01-05 09:00Z');
SELECT kin_tr.create_workspace('routing') IS NOT NULL AS created;
SET kin_tr.workspace = 'routing';
SELECT count(kin_tr.create_task_queue(q)) AS queues FROM unnest(ARRAY['A', 'B', 'C', 'D']) q;
SELECT kin_tr.create_task_queue('French', 'languages HAS "fr"') IS NOT NULL AS french, kin_tr.create_task_queue('Senior', 'level >= 3 AND team IN ["x", "y"]') IS NOT NULL AS senior,
       kin_tr.create_task_queue('Nobody', '') IS NOT NULL AS nobody;
-- a workflow in a call
CREATE FUNCTION test.workflow(name text, filters text, default_filter text DEFAULT NULL, reservation_timeout integer DEFAULT 120) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN kin_tr.create_workflow(name, jsonb_build_object('task_routing', jsonb_strip_nulls(jsonb_build_object('filters', filters::jsonb, 'default_filter', default_filter::jsonb))),
                                            reservation_timeout) IS NOT NULL THEN name END $$;

-- ---------------------------------------------------------------- filters
-- the first that fits, top to bottom; default_filter where none does
SELECT test.workflow('filters', '[
    {"expression": "type == \"a\"", "targets": [{"queue": "A"}]},
    {"expression": "type IN [\"a\", \"b\"]", "targets": [{"queue": "B"}]},
    {"expression": "vip == true", "targets": [{"queue": "C", "priority": 50}]}]', '{"queue": "D", "priority": "7"}');
SELECT test.new('a', '{"type": "a", "vip": true}'), test.new('b', '{"type": "b"}'), test.new('vip', '{"vip": true}', 3), test.new('other', priority => 3), test.new('nothing');
SELECT task, queue, step, priority FROM test.board;
CALL test.clear();
SELECT kin_tr.delete_workflow('filters');

-- ---------------------------------------------------------------- targets
-- only the queue is inherited; a priority overwrites the task's, and stays
SELECT test.workflow('targets', '[{"expression": "1==1", "targets": [
    {"queue": "A", "priority": 10, "timeout": 10},
    {"timeout": 10, "expression": "task.x == worker.x"},
    {"queue": "B", "timeout": 10},
    {"priority": 99, "timeout": 10}]}]');
SELECT test.new('t', priority => 3), test.new('own', '{"x": 1}');
SELECT task, queue, step, priority FROM test.board;
SELECT test.later('10 s'), test.tick();
SELECT task, queue, step, priority FROM test.board;
-- the expression of a target applies there alone
SELECT test.worker('Alice', '{"x": 1}');
SELECT test.tick();
SELECT task, status, step FROM test.board;
SELECT kin_tr.accept_reservation(test.reservation('own'));
SELECT kin_tr.complete_task(test.task('own'));
SELECT test.tick();
SELECT kin_tr.update_worker_activity('Alice', 'Offline');
SELECT test.later('10 s'), test.tick();
SELECT task, queue, step, priority FROM test.board WHERE task = 't';
SELECT test.later('10 s'), test.tick();
SELECT task, queue, step, priority FROM test.board WHERE task = 't';
SELECT test.later('10 s'), test.tick();
SELECT task, status, step FROM test.board WHERE task = 't';
CALL test.clear();
SELECT kin_tr.delete_workflow('targets');

-- a queue's workers and a target's expression both must fit
SELECT test.workflow('fit', '[{"expression": "team != null", "targets": [{"queue": "Senior", "expression": "task.team == worker.team AND task.skill IN worker.skills"}]},
                              {"expression": "lang == \"fr\"", "targets": [{"queue": "French"}]}]', '{"queue": "Nobody"}');
SELECT test.worker('Xena', '{"level": 3, "team": "x", "skills": ["net", "tax"]}'), test.worker('Yves', '{"level": 5, "team": "y", "languages": ["en", "fr"], "skills": "tax"}'),
       test.worker('Zoe', '{"level": 2, "team": "x", "skills": ["tax"]}');
SELECT test.new('x tax', '{"team": "x", "skill": "tax"}'), test.new('y tax', '{"team": "y", "skill": "tax"}'), test.new('fr', '{"lang": "fr"}'), test.new('nobody');
SELECT test.tick();
SELECT task, status, queue, reservations FROM test.board;
-- what a worker knows changes, and with it what fits
SELECT kin_tr.update_worker('Yves', '{"level": 5, "team": "y", "skills": ["tax"]}');
SELECT kin_tr.reject_reservation(test.reservation('fr'));
SELECT test.tick();
SELECT task, status, reservations FROM test.board;
-- and what a task needs
SELECT kin_tr.update_worker('Zoe', '{"languages": ["fr"]}');
SELECT test.tick();
SELECT kin_tr.reject_reservation(test.reservation('x tax'), activity => 'Unavailable');
SELECT kin_tr.complete_task(test.task('y tax')) FROM kin_tr.accept_reservation(test.reservation('y tax'));
SELECT kin_tr.update_task(test.task('x tax'), '{"name": "x tax", "team": "y", "skill": "tax"}');
SELECT test.tick();
SELECT task, status, reservations FROM test.board;
-- a queue's expression changes
SELECT kin_tr.update_worker('Xena', '{}', activity => 'Available');
SELECT kin_tr.update_task_queue('Nobody', target_workers => 'friendly_name == "Xena" AND activity_name == "Available"');
SELECT test.tick();
SELECT task, status, reservations FROM test.board WHERE task = 'nobody';
SELECT kin_tr.update_task_queue('Nobody', target_workers => '');
CALL test.clear();
SELECT kin_tr.delete_workflow('fit');

-- ---------------------------------------------------------------- skip_if
-- looked at only where nobody could be reserved at once
SELECT test.workflow('skip', '[{"expression": "way == 1", "targets": [{"queue": "A", "skip_if": "workers.available == 0"}, {"queue": "B"}]},
                               {"expression": "way == 2", "targets": [{"queue": "A", "skip_if": "1==1"}, {"queue": "B"}]},
                               {"expression": "way == 3", "targets": [{"queue": "A", "skip_if": "1==1"}]},
                               {"expression": "way == 4", "targets": [{"queue": "A", "skip_if": "1==1"}, {"queue": "B", "skip_if": "workers.unavailable > 5"}]},
                               {"expression": "way > 2", "targets": [{"queue": "C", "expression": "worker.nobody == 1", "skip_if": "1==1"}]}]', '{"queue": "D", "expression": "worker.nobody == 1"}');
SELECT test.new('1', '{"way": 1}');
SELECT test.tick();
SELECT task, status, queue, step FROM test.board;
SELECT test.worker('Alice');
SELECT test.tick();
SELECT task, status, queue, step FROM test.board;
-- Alice is available, but busy: that is no reason for the first, but for 1==1
SELECT test.new('1 again', '{"way": 1}'), test.new('2', '{"way": 2}');
SELECT test.tick();
SELECT task, status, queue, step FROM test.board;
-- a filter that was skipped counts as not fitting: the next one that fits, then default_filter
SELECT test.new('3', '{"way": 3}');
SELECT test.tick();
SELECT task, status, queue, step FROM test.board WHERE task = '3';
SELECT test.new('4', '{"way": 4}');
SELECT test.tick();
SELECT task, status, queue, step FROM test.board WHERE task = '4';
-- it is asked once: who leaves later is no reason
SELECT kin_tr.update_worker_activity('Alice', 'Offline');
SELECT test.tick();
SELECT task, status, queue, step FROM test.board WHERE task = '1 again';
CALL test.clear();
SELECT kin_tr.delete_workflow('skip');
-- counts by activity, of the workers of the step's queue
SELECT sid AS break FROM kin_tr.get_activity('Unavailable') \gset
SELECT test.workflow('counts', format('[{"expression": "1==1", "targets": [{"queue": "French", "skip_if": "workers.%s >= 2 AND workers.available == 0 AND workers.unavailable == 3"}, {"queue": "A", "expression": "worker.nobody == 1"}]}]', :'break'));
SELECT test.worker('F1', '{"languages": ["fr"]}', activity => 'Unavailable'), test.worker('F2', '{"languages": ["fr"]}', activity => 'Offline'), test.worker('E', activity => 'Unavailable');
SELECT test.new('stays');
SELECT test.tick();
SELECT test.worker('F3', '{"languages": ["fr"]}', activity => 'Unavailable');
SELECT test.new('goes');
SELECT test.tick();
SELECT task, queue, step FROM test.board;
CALL test.clear();
SELECT kin_tr.delete_workflow('counts');
-- skipped to the end without a default: the task is canceled
SELECT test.workflow('dead end', '[{"expression": "1==1", "targets": [{"queue": "A", "skip_if": "1==1"}]}]');
SELECT test.new('gone');
SELECT test.tick();
SELECT task, status, (SELECT reason FROM kin_tr.get_task(test.task('gone'))) FROM test.board;
CALL test.clear();
SELECT kin_tr.delete_workflow('dead end');

-- ----------------------------------------------------------- known worker
SELECT test.workflow('known', '[{"expression": "by == \"sid\"", "targets": [{"queue": "A", "known_worker_sid": "task.agent.sid", "skip_if": "1==1"}, {"queue": "A", "expression": "worker.nobody == 1"}]},
                                {"expression": "by == \"name\"", "targets": [{"queue": "French", "known_worker_friendly_name": "task.agent", "timeout": 30}, {"queue": "A", "expression": "worker.nobody == 1"}]},
                                {"expression": "by == \"both\"", "targets": [{"queue": "A", "known_worker_sid": "task.agent", "expression": "worker.level > task.level"}]}]');
SELECT kin_tr.create_worker('Alice', '{"level": 5}', 'Available') AS alice, kin_tr.create_worker('Bob', '{"languages": ["fr"]}', 'Available') AS bob \gset
SELECT test.new('sid', jsonb_build_object('by', 'sid', 'agent', jsonb_build_object('sid', :'bob'))), test.new('null', '{"by": "sid"}'), test.new('wrong', '{"by": "sid", "agent": {"sid": "nonsense"}}'),
       test.new('no text', '{"by": "sid", "agent": {"sid": 5}}'), test.new('unknown', '{"by": "sid", "agent": {"sid": "WK00000000000000000000000000000001"}}');
-- a null reference is skipped in the creating transaction, the others by the router
SELECT task, step FROM test.board;
SELECT test.tick();
SELECT task, status, step, reservations FROM test.board;
CALL test.refused($$SELECT kin_tr.create_task('{"name": "none"}')$$);
-- by name, whatever its case; one who is not in that queue, or unknown, or null: it stays until the time-out
SELECT test.new('alice', '{"by": "name", "agent": "Alice"}'), test.new('bob', '{"by": "name", "agent": "BOB"}'), test.new('nobody', '{"by": "name", "agent": "Nobody"}'), test.new('no name', '{"by": "name"}');
SELECT test.tick();
SELECT task, status, step, reservations FROM test.board WHERE task IN ('alice', 'bob', 'nobody', 'no name');
SELECT kin_tr.complete_task(test.task('sid')) FROM kin_tr.accept_reservation(test.reservation('sid'));
SELECT test.tick();
SELECT task, status, step, reservations FROM test.board WHERE task IN ('alice', 'bob', 'nobody', 'no name');
SELECT test.later('30 s'), test.tick();
SELECT task, status, step FROM test.board WHERE task IN ('alice', 'bob', 'nobody', 'no name');
-- the step's expression still applies
SELECT test.new('low', jsonb_build_object('by', 'both', 'agent', :'alice', 'level', 4)), test.new('high', jsonb_build_object('by', 'both', 'agent', :'alice', 'level', 5));
SELECT test.tick();
SELECT task, status, reservations FROM test.board WHERE task IN ('low', 'high');
-- a renamed worker is another one to who asks for names
SELECT kin_tr.complete_task(test.task('bob')) FROM kin_tr.accept_reservation(test.reservation('bob'));
SELECT test.new('robert', '{"by": "name", "agent": "robert"}');
SELECT test.tick();
SELECT kin_tr.update_worker('Bob', friendly_name => 'Robert');
SELECT test.tick();
SELECT task, status, reservations FROM test.board WHERE task = 'robert';
-- and who is deleted and made anew under the name is found
SELECT kin_tr.delete_task(test.task('robert'));
SELECT kin_tr.delete_worker('Robert');
SELECT test.new('new', '{"by": "name", "agent": "Robert"}');
SELECT test.tick();
SELECT test.worker('Robert', '{"languages": ["fr"]}');
SELECT test.tick();
SELECT task, status, reservations FROM test.board WHERE task = 'new';
CALL test.clear();
SELECT kin_tr.delete_workflow('known');

-- ---------------------------------------------------------------- order_by
-- two keys; an absent attribute goes last, for ASC and DESC; one that is no integer makes the whole ignored
SELECT test.workflow('order', '[{"expression": "by == 1", "targets": [{"queue": "A", "order_by": "worker.f ASC, worker.s ASC"}]}, {"expression": "by == 2", "targets": [{"queue": "A", "order_by": "worker.f DESC"}]},
                                {"expression": "by == 3", "targets": [{"queue": "A", "order_by": "worker.odd DESC"}]}]');
CREATE PROCEDURE test.order_by(by integer, n integer) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM test.new('o' || i, jsonb_build_object('by', by)) FROM generate_series(1, n) i;
    PERFORM kin_tr.tick();
    RAISE INFO '%: %', by, (SELECT string_agg(test.who('o' || i), ', ' ORDER BY i) FROM generate_series(1, n) i);
    PERFORM kin_tr.cancel_task(test.task('o' || i)) FROM generate_series(1, n) i;
END $$;
SELECT test.worker('Alice', '{"f": 10, "s": 8, "odd": 1}'), test.worker('Bob', '{"f": 10, "s": 5, "odd": "two"}');
CALL test.order_by(1, 2);
SELECT kin_tr.update_worker('Bob', '{"f": 10}');
CALL test.order_by(1, 2);
SELECT test.worker('Carol', '{"f": -5, "odd": 2}'), test.worker('Dave', '{}');
CALL test.order_by(1, 4);
CALL test.order_by(2, 4);
SELECT kin_tr.update_worker('Bob', '{"odd": 3.5}');
-- (while Bob is among those who could be taken, the longest idle goes first; then the greatest)
CALL test.order_by(3, 4);
SELECT kin_tr.update_worker('Bob', '{"odd": 3}');
CALL test.order_by(3, 4);
CALL test.clear();
DROP PROCEDURE test.order_by;
SELECT kin_tr.delete_workflow('order');

-- ---------------------------------------------------------- direct routing
SELECT test.workflow('plain', NULL, '{"queue": "A"}');
SELECT kin_tr.create_worker('Alice', activity => 'Offline') AS alice, kin_tr.create_worker('Bob', activity => 'Available') AS bob \gset
SELECT sid AS queue FROM kin_tr.get_task_queue('B') \gset
SELECT sid AS workflow FROM kin_tr.get_workflow('plain') \gset
-- to a worker: whatever its capacity and availability, unless told otherwise
SELECT test.new('1', routing_target => :'alice'), test.new('2', routing_target => :'alice'), test.new('3', routing_target => :'alice', ignore_capacity => false);
SELECT test.tick();
SELECT task, status, queue, step, reservations FROM test.board;
SELECT open_reservations, configured_capacity, available_capacity_percentage FROM kin_tr.get_worker_channel('Alice', 'default');
SELECT kin_tr.update_worker_activity('Alice', 'Available');
SELECT test.tick();
SELECT kin_tr.cancel_task(test.task('1'));
SELECT test.tick();
SELECT kin_tr.cancel_task(test.task('2'));
SELECT test.tick();
SELECT task, status, reservations FROM test.board WHERE task = '3';
-- its offer ends after 120 s; the task then goes back to that worker
SELECT test.later('120 s'), test.tick();
SELECT activity_name FROM kin_tr.get_worker('Alice');
SELECT task, status, reservations FROM test.board WHERE task = '3';
SELECT kin_tr.update_worker_activity('Alice', 'Available');
SELECT test.tick();
SELECT task, status FROM test.board WHERE task = '3';
CALL test.clear();
SELECT test.worker('Bob');
-- to a queue: it waits there, in its order; to a workflow: as if it were named
SELECT test.new('busy', priority => 100), test.tick();
SELECT test.new('queue', routing_target => :'queue', priority => 1), test.new('workflow', routing_target => :'workflow', priority => 2);
SELECT task, status, queue, step FROM test.board;
SELECT kin_tr.delete_task(test.task('busy'));
SELECT test.tick();
SELECT task, status FROM test.board;
CALL test.clear();
-- a queue offers as many times as it does to others
SELECT kin_tr.update_task_queue('B', max_reserved_workers => 2);
SELECT test.worker('Bob'), test.worker('Carol'), test.worker('Dave');
SELECT test.new('queue', routing_target => :'queue');
SELECT test.tick();
SELECT task, status, reservations FROM test.board;
SELECT kin_tr.update_task_queue('B', max_reserved_workers => 1);
CALL test.clear();
-- a worker that is deleted leaves the task waiting until its TTL
SELECT kin_tr.create_worker('Carol', activity => 'Available') AS carol \gset
SELECT test.new('alone', routing_target => :'carol', timeout => 60);
SELECT kin_tr.delete_worker('Carol');
SELECT test.tick();
SELECT test.later('60 s'), test.tick();
SELECT task, status FROM test.board;
CALL test.clear();

-- -------------------------------------------------- load in an expression
SELECT test.workflow('load', '[{"expression": "kind == \"blend\"", "targets": [{"queue": "A", "expression": "worker.channel.voice.assigned_tasks == 0 AND worker.channel.chat.available_capacity_percentage >= 50"}]},
                               {"expression": "1==1", "targets": [{"queue": "A"}]}]');
SELECT test.worker('Alice');
SELECT kin_tr.update_worker_channel('Alice', 'chat', 4);
SELECT test.new('c1', '{"kind": "blend"}', task_channel => 'chat', workflow => 'load'), test.new('c2', '{"kind": "blend"}', task_channel => 'chat', workflow => 'load'),
       test.new('c3', '{"kind": "blend"}', task_channel => 'chat', workflow => 'load'), test.new('c4', '{"kind": "blend"}', task_channel => 'chat', workflow => 'load');
-- 100 %, 75 %, 50 %, and at 25 % no more
SELECT test.tick();
SELECT task, status FROM test.board;
SELECT kin_tr.delete_task(test.task('c1'));
SELECT test.tick();
SELECT task, status FROM test.board;
-- a call that has been answered keeps chats away
SELECT kin_tr.delete_task(test.task('c2')), kin_tr.delete_task(test.task('c3')), kin_tr.delete_task(test.task('c4'));
SELECT test.new('call', task_channel => 'voice', workflow => 'load');
SELECT test.tick();
SELECT kin_tr.accept_reservation(test.reservation('call'));
SELECT test.new('c5', '{"kind": "blend"}', task_channel => 'chat', workflow => 'load');
SELECT test.tick();
SELECT task, status FROM test.board WHERE task = 'c5';
SELECT kin_tr.wrapup_task(test.task('call'));
SELECT test.tick();
SELECT task, status FROM test.board WHERE task = 'c5';
CALL test.clear();
-- each of several groups by the counters at that moment
SELECT kin_tr.update_workflow('load', configuration => '{"task_routing": {"filters": [{"expression": "1==1", "targets": [{"queue": "A", "expression": "worker.channel.default.available_capacity_percentage == 100"}]}]}}');
SELECT test.worker('Alice', capacity => 2), test.worker('Bob', capacity => 2);
SELECT test.new('1', workflow => 'load'), test.new('2', workflow => 'load'), test.new('3', workflow => 'load');
SELECT test.tick();
SELECT task, status, reservations FROM test.board;
SELECT kin_tr.delete_task(test.task('2'));
SELECT test.tick();
SELECT task, status, reservations FROM test.board;
CALL test.clear();
SELECT kin_tr.delete_workflow('load');

-- ------------------------------------------------------------ time of day
-- a filter is asked when the task is created, a target's expression each minute
SELECT test.workflow('hours', '[{"expression": "taskrouter.currentTime >= 0800 AND taskrouter.currentTime < 1000 AND taskrouter.dayOfWeek != \"Sun\"", "targets": [{"queue": "A", "expression": "taskrouter.currentMin >= 30"}]}]', '{"queue": "B"}');
SELECT kin_tr.now() AT TIME ZONE 'UTC' AS now;
SELECT test.worker('Alice');
SELECT test.new('morning', workflow => 'hours');
SELECT task, queue FROM test.board;
SELECT test.tick();
-- something is due at the next minute
SELECT next_due - kin_tr.now() AS due FROM kin_tr.tick();
SELECT kin_tr.set_clock('2026-01-05 09:29:59Z'), test.tick();
SELECT kin_tr.set_clock('2026-01-05 09:30:00Z'), test.tick();
SELECT task, status FROM test.board;
SELECT kin_tr.set_clock('2026-01-05 10:00Z');
SELECT test.new('later', workflow => 'hours');
SELECT task, queue FROM test.board WHERE task = 'later';
CALL test.clear();
SELECT kin_tr.delete_workflow('hours');

-- ------------------------------------------------------ order in a queue
-- FIFO or LIFO may change while tasks wait
SELECT test.new('1'), test.later('1 s'), test.new('2'), test.later('1 s'), test.new('3', priority => 1), test.later('1 s'), test.new('4');
SELECT kin_tr.update_task_queue('A', task_order => 'LIFO');
SELECT test.worker('Alice');
SELECT test.tick();
SELECT test.worker('Bob');
SELECT test.tick();
SELECT kin_tr.update_task_queue('A', task_order => 'FIFO');
SELECT test.worker('Carol');
SELECT test.tick();
SELECT task, status, reservations FROM test.board;
CALL test.clear();
-- of those that came at the same time the newest goes first, too, and else the oldest
SELECT kin_tr.update_task_queue('A', task_order => 'LIFO');
SELECT test.new('1'), test.new('2'), test.new('3');
SELECT test.worker('Alice'), test.worker('Bob');
SELECT test.tick();
SELECT test.who('1') AS one, test.who('2') AS two, test.who('3') AS three;
CALL test.clear();
SELECT kin_tr.update_task_queue('A', task_order => 'FIFO');
SELECT test.new('1'), test.new('2'), test.new('3');
SELECT test.worker('Alice'), test.worker('Bob');
SELECT test.tick();
SELECT test.who('1') AS one, test.who('2') AS two, test.who('3') AS three;
CALL test.clear();
-- so may a task's priority and virtual start time
SELECT test.new('1'), test.new('2'), test.new('3');
SELECT test.tick();
SELECT kin_tr.update_task(test.task('3'), priority => 5), kin_tr.update_task(test.task('2'), virtual_start_time => kin_tr.now() - interval '1 h');
SELECT test.worker('Alice');
SELECT test.tick();
SELECT test.worker('Bob');
SELECT test.tick();
SELECT task, status, reservations FROM test.board;
CALL test.clear();
-- and its channel
SELECT test.worker('Alice');
SELECT kin_tr.update_worker_channel('Alice', 'default', 0);
SELECT test.new('1');
SELECT test.tick();
SELECT kin_tr.update_task(test.task('1'), task_channel => 'voice');
SELECT test.tick();
SELECT task, status FROM test.board;
-- of a reserved task the old channel's slot stays taken
SELECT kin_tr.update_task(test.task('1'), task_channel => 'sms');
SELECT task_channel_unique_name AS channel, open_reservations FROM kin_tr.worker_status('Alice') WHERE open_reservations > 0;
SELECT test.new('2', task_channel => 'voice'), test.new('3', task_channel => 'sms');
SELECT test.tick();
SELECT task, status FROM test.board;
CALL test.clear();

-- --------------------------------------------------------- several at once
SELECT kin_tr.update_task_queue('A', max_reserved_workers => 2);
SELECT test.worker('Alice'), test.worker('Bob'), test.worker('Carol');
SELECT test.new('1'), test.new('2');
SELECT test.tick();
SELECT task, status, reservations FROM test.board;
-- one of two says no: the other's offer stays, and who is free gets none of it
SELECT kin_tr.reject_reservation(test.reservation('1', 'Alice'));
SELECT test.tick();
SELECT task, status, reservations FROM test.board;
SELECT kin_tr.accept_reservation(test.reservation('1', 'Bob'));
SELECT test.tick();
-- the only one says no: the task is offered anew
SELECT kin_tr.reject_reservation(test.reservation('2', 'Carol'), activity => 'Unavailable');
SELECT test.tick();
SELECT task, status, reservations FROM test.board;
SELECT kin_tr.update_task_queue('A', max_reserved_workers => 1);
CALL test.clear();

-- ------------------------------------------------------ a turn has limits
SELECT test.worker('Alice', capacity => 10);
SELECT count(test.new('t' || i)) FROM generate_series(1, 5) i;
SELECT test.tick(2);
SELECT test.tick(2);
SELECT test.tick(2);
SELECT test.tick(2);
CALL test.clear();
-- tasks that leave their step count, whatever makes them leave
SELECT test.workflow('leave', '[{"expression": "1==1", "targets": [{"queue": "A", "skip_if": "workers.available == 0", "timeout": 60}, {"queue": "B", "expression": "worker.nobody == 1"}]}]');
SELECT count(test.new('l' || i, workflow => 'leave')) FROM generate_series(1, 25) i;
SELECT test.tick(10);
SELECT test.tick();
SELECT count(*) FILTER (WHERE queue = 'B') AS left FROM test.board WHERE task LIKE 'l%';
CALL test.clear();
SELECT test.worker('Alice', capacity => 10);
SELECT count(test.new('l' || i, '{"nobody": true}', workflow => 'leave')) FROM generate_series(1, 25) i;
SELECT test.tick();
SELECT test.later('60 s');
SELECT test.tick(10);
SELECT test.tick();
CALL test.refused($$SELECT kin_tr.tick(0)$$);
CALL test.refused($$SELECT kin_tr.tick(-1)$$);
CALL test.clear();

-- ----------------------------------------------- tasks of many requirements
-- 60 workers with three of twelve skills each, 300 tasks that need one or two: who is taken fits, and who is free fits nobody that waits
SELECT test.workflow('skills', '[{"expression": "need2 != null", "targets": [{"queue": "A", "expression": "task.need IN worker.skills AND task.need2 IN worker.skills"}]}, {"expression": "1==1", "targets": [{"queue": "A", "expression": "task.need IN worker.skills"}]}]');
SELECT count(test.worker('W' || i, jsonb_build_object('skills', jsonb_build_array(i % 12, (i / 5) % 12, (i * 7) % 12)))) FROM generate_series(1, 60) i;
SELECT count(test.new('t' || i, jsonb_strip_nulls(jsonb_build_object('need', i % 12, 'need2', CASE WHEN i % 3 = 0 THEN i * 5 % 12 END)), i % 4, 'skills')) FROM generate_series(1, 300) i;
SELECT test.tick();
SELECT count(*) AS taken, bool_and(w.attributes -> 'skills' @> jsonb_build_array(t.attributes -> 'need') AND (t.attributes -> 'need2' IS NULL OR w.attributes -> 'skills' @> jsonb_build_array(t.attributes -> 'need2'))) AS all_fit
  FROM kin_tr.reservations r JOIN kin_tr.tasks t ON t.sid = r.task_sid JOIN kin_tr.workers w ON w.sid = r.worker_sid WHERE r.is_open AND r.workspace_sid = test.ws();
-- whoever is free goes on, until all are served
CREATE PROCEDURE test.serve_all() LANGUAGE plpgsql AS $$
DECLARE
    rounds integer := 0;
BEGIN
    WHILE EXISTS (SELECT FROM kin_tr.reservations WHERE is_open AND workspace_sid = test.ws()) LOOP
        PERFORM kin_tr.accept_reservation(sid::text), kin_tr.complete_reservation(sid::text)
           FROM kin_tr.reservations WHERE is_open AND workspace_sid = test.ws() ORDER BY sid;
        PERFORM kin_tr.tick();
        ASSERT kin_tr._sweep() = 0, 'a missed edge';
        rounds := rounds + 1;
    END LOOP;
    RAISE INFO 'served in a few rounds: %', rounds < 30;
END $$;
CALL test.serve_all();
SELECT status, count(*) FROM test.board GROUP BY 1;
SELECT test.faults();

-- what a turn calls cannot begin another one
CREATE FUNCTION test.tick_again(sid kin_tr.sid) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF current_setting('test.again', true) = 'on' THEN
        PERFORM kin_tr.tick();
    END IF;
    RETURN 1;
EXCEPTION WHEN OTHERS THEN
    RAISE NOTICE '% %', SQLSTATE, SQLERRM;
    RETURN 1;
END $$;
CREATE INDEX again ON kin_tr.reservations (test.tick_again(sid));
SELECT test.new('again', jsonb_build_object('need', 1), 1, 'skills');
SET test.again = on;
SELECT test.tick();
RESET test.again;
DROP INDEX kin_tr.again;
DROP FUNCTION test.tick_again;
SELECT test.faults();

DROP PROCEDURE test.serve_all;
DROP FUNCTION test.workflow;
SELECT kin_tr.delete_workspace('routing');
