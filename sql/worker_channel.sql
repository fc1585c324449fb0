-- Worker channels: how many tasks of a channel a worker takes at a time.
SET timezone = 'UTC'; SET datestyle = 'ISO';
SELECT kin_tr.set_clock('2026-01-05 09:00Z');
SELECT kin_tr.create_workspace('worker_channel', 'FIFO') IS NOT NULL AS created;
SET kin_tr.workspace = 'worker_channel';
SELECT kin_tr.create_worker('Alice', activity => 'Available') AS alice \gset

SELECT left(sid, 2) AS kind, left(account_sid, 2) AS account, workspace_sid = test.ws() AS here, worker_sid = :'alice' AS of_alice, task_channel_unique_name,
       configured_capacity, available, assigned_tasks, open_reservations, available_capacity_percentage, last_reserved_time, date_created, date_updated
  FROM kin_tr.get_worker_channel('Alice', 'voice');
SELECT kin_tr.set_clock('2026-01-05 09:10Z');
SELECT kin_tr.update_worker_channel('Alice', 'default', 3);
SELECT kin_tr.update_worker_channel(:'alice', (SELECT task_channel_sid FROM kin_tr.get_worker_channel('Alice', 'default')), available => true);
SELECT configured_capacity, available, date_created, date_updated FROM kin_tr.get_worker_channel('Alice', 'default');

-- refused
CALL test.refused($$SELECT kin_tr.update_worker_channel('Alice', 'default', -1)$$);
CALL test.refused($$SELECT kin_tr.update_worker_channel('Alice', 'default', 32768)$$);
CALL test.refused($$SELECT kin_tr.update_worker_channel('Alice', 'fax', 1)$$);
CALL test.refused($$SELECT kin_tr.update_worker_channel('Nobody', 'default', 1)$$);
CALL test.refused($$SELECT kin_tr.get_worker_channel('Alice', 'fax')$$);
CALL test.refused($$SELECT kin_tr.get_worker_channel('Nobody', 'voice')$$);

-- floor((1 - open / capacity) * 100); pending and wrapping reservations are open, assigned are the accepted ones
SELECT count(kin_tr.create_task(jsonb_build_object('name', 't' || i))) AS created FROM generate_series(1, 5) i;
SELECT test.tick();
SELECT configured_capacity, assigned_tasks, open_reservations, available_capacity_percentage, last_reserved_time FROM kin_tr.get_worker_channel('Alice', 'default');
SELECT kin_tr.accept_reservation(test.reservation('t1')), kin_tr.accept_reservation(test.reservation('t2'));
SELECT kin_tr.wrapup_reservation(test.reservation('t2'));
SELECT kin_tr.reject_reservation(test.reservation('t3'), activity => 'Unavailable');
SELECT configured_capacity, assigned_tasks, open_reservations, available_capacity_percentage FROM kin_tr.get_worker_channel('Alice', 'default');
-- less than what is open: nothing is taken away, nothing is given
SELECT kin_tr.update_worker_activity('Alice', 'Available'), kin_tr.update_worker_channel('Alice', 'default', 1);
SELECT configured_capacity, open_reservations, available_capacity_percentage FROM kin_tr.get_worker_channel('Alice', 'default');
SELECT test.tick();
-- one more than what is open: one
SELECT kin_tr.update_worker_channel('Alice', 'default', 3);
SELECT test.tick();
SELECT task, status FROM test.board;
-- a channel that is not available gets nothing, nor one without capacity
SELECT kin_tr.update_worker_channel('Alice', 'default', 10, false);
SELECT test.tick();
SELECT kin_tr.update_worker_channel('Alice', 'default', 0, true);
SELECT configured_capacity, available, available_capacity_percentage FROM kin_tr.get_worker_channel('Alice', 'default');
SELECT test.tick();
SELECT kin_tr.update_worker_channel('Alice', 'default', 4);
SELECT test.tick();
SELECT task, status FROM test.board;
-- another channel has a capacity of its own
SELECT kin_tr.create_task('{"name": "call"}', task_channel => 'voice') IS NOT NULL AS created, kin_tr.create_task('{"name": "call too"}', task_channel => 'voice') IS NOT NULL AS created;
SELECT test.tick();
SELECT task, status FROM test.board WHERE task LIKE 'call%';

-- each change is a version of the worker and an event of its own
SELECT event_type, event_data ->> 'worker_channel_available' AS available, event_data ->> 'worker_channel_available_capacity' AS capacity,
       event_data ->> 'worker_channel_previous_capacity' AS previous, event_data ->> 'worker_channel_task_count' AS tasks,
       event_data ->> 'task_channel_unique_name' AS channel, event_data ->> 'worker_version' AS version
  FROM kin_tr.events_since(NULL, 1000, ARRAY['worker.capacity.update', 'worker.channel.availability.update']);
SELECT test.faults();
SELECT kin_tr.delete_workspace('worker_channel');
