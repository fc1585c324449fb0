-- Task channels: kinds of work that a worker has a capacity of its own for.
SET timezone = 'UTC'; SET datestyle = 'ISO';
SELECT kin_tr.set_clock('2026-01-05 09:00Z');
SELECT kin_tr.create_workspace('task_channel', 'FIFO') IS NOT NULL AS created;
SET kin_tr.workspace = 'task_channel';
SELECT kin_tr.create_worker('Alice', activity => 'Available') IS NOT NULL AS alice;

-- a new channel comes with each worker's part in it
SELECT kin_tr.create_task_channel('Electronic mail', 'e_mail$1') AS mail \gset
SELECT left(sid, 2) AS kind, workspace_sid = test.ws() AS here, friendly_name, unique_name, channel_optimized_routing, date_created, date_updated, version
  FROM kin_tr.get_task_channel('e_mail$1');
SELECT task_channel_unique_name, configured_capacity, channel_available FROM kin_tr.worker_status('Alice');
-- and a new worker with its part in each channel
SELECT kin_tr.create_worker('Bob') IS NOT NULL AS bob;
SELECT string_agg(task_channel_unique_name, ',') FROM kin_tr.worker_status('Bob');

SELECT kin_tr.set_clock('2026-01-05 09:30Z');
SELECT kin_tr.update_task_channel(:'mail', 'Mail', true);
SELECT friendly_name, unique_name, channel_optimized_routing, date_updated, version FROM kin_tr.get_task_channel(:'mail');
SELECT kin_tr.update_task_channel('e_mail$1', if_version => 1);
CALL test.refused($$SELECT kin_tr.update_task_channel('e_mail$1', 'x', if_version => 0)$$);

-- refused; the unique name stands in expressions
CALL test.refused($$SELECT kin_tr.create_task_channel('x', 'e_mail$1')$$);
CALL test.refused($$SELECT kin_tr.create_task_channel('x', '1x')$$);
CALL test.refused($$SELECT kin_tr.create_task_channel('x', 'e-mail')$$);
CALL test.refused($$SELECT kin_tr.create_task_channel('x', 'é')$$);
CALL test.refused($$SELECT kin_tr.create_task_channel('x', '')$$);
CALL test.refused($$SELECT kin_tr.create_task_channel('x', NULL)$$);
CALL test.refused($$SELECT kin_tr.create_task_channel('', 'x')$$);
CALL test.refused($$SELECT kin_tr.create_task_channel('x', 'TC00000000000000000000000000000001')$$);
CALL test.refused($$SELECT kin_tr.create_task_channel('x', E'x\ny')$$);
CALL test.refused($$SELECT kin_tr.update_task_channel('e_mail$1', '')$$);
CALL test.refused($$SELECT kin_tr.get_task_channel('nothing')$$);

-- the five that a workspace is made with stay, and any while an open task uses it
CALL test.refused($$SELECT kin_tr.delete_task_channel('voice')$$);
SELECT kin_tr.create_task('{"name": "m"}', task_channel => 'e_mail$1') IS NOT NULL AS created;
CALL test.refused($$SELECT kin_tr.delete_task_channel('e_mail$1')$$);
SELECT test.tick();
SELECT kin_tr.accept_reservation(test.reservation('m'));
CALL test.refused($$SELECT kin_tr.delete_task_channel('e_mail$1')$$);
SELECT kin_tr.complete_task(test.task('m'));
SELECT test.task('m') AS m \gset
CALL test.refused($$SELECT kin_tr.delete_task_channel('e_mail$1', if_version => 0)$$);
-- its finished tasks move to history, which keeps its name
SELECT kin_tr.delete_task_channel('e_mail$1', if_version => 1);
SELECT task_channel_unique_name, in_history, assignment_status FROM kin_tr.get_task(:'m');
SELECT string_agg(task_channel_unique_name, ',') FROM kin_tr.worker_status('Alice');

-- a channel that comes and goes leaves nothing behind in who routes
SELECT kin_tr.create_task_channel('again', 'again') IS NOT NULL AS created;
SELECT kin_tr.create_task('{"name": "a"}', task_channel => 'again') IS NOT NULL AS created;
SELECT test.tick();
SELECT * FROM test.board;
SELECT kin_tr.cancel_task(test.task('a'));
SELECT kin_tr.delete_task_channel('again');
SELECT test.tick();

SELECT event_type, event_data ->> 'task_channel_name' AS name, event_data ->> 'task_channel_unique_name' AS unique_name,
       event_data ->> 'task_channel_optimized_routing' AS optimized
  FROM kin_tr.events_since(NULL, 1000, ARRAY['task-channel.created', 'task-channel.updated', 'task-channel.deleted'])
 WHERE event_data ->> 'task_channel_unique_name' NOT IN ('default', 'voice', 'sms', 'chat', 'video');
SELECT test.faults();
SELECT kin_tr.delete_workspace('task_channel');
