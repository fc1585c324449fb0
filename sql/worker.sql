-- Workers: who does the tasks.
SET timezone = 'UTC'; SET datestyle = 'ISO';
SELECT kin_tr.set_clock('2026-01-05 09:00Z');
SELECT kin_tr.create_workspace('worker', 'FIFO') IS NOT NULL AS created;
SET kin_tr.workspace = 'worker';

-- in the default activity, unless one is given
SELECT kin_tr.create_worker('Alice') AS alice \gset
SELECT kin_tr.create_worker('Bob', '{"skills": ["fr", "en"], "level": 3}', 'Available') AS bob \gset
SELECT left(sid, 2) AS kind, left(account_sid, 2) AS account, workspace_sid = test.ws() AS here, friendly_name, attributes, activity_name, available,
       date_created, date_updated, date_status_changed, version FROM kin_tr.get_worker('alice');
SELECT friendly_name, attributes, activity_name, available, version FROM kin_tr.get_worker(:'bob');

-- refused; in a worker's name case does not count
CALL test.refused($$SELECT kin_tr.create_worker('ALICE')$$);
CALL test.refused($$SELECT kin_tr.create_worker(NULL)$$);
CALL test.refused($$SELECT kin_tr.create_worker(repeat('x', 65))$$);
CALL test.refused($$SELECT kin_tr.create_worker('WK00000000000000000000000000000001')$$);
CALL test.refused($$SELECT kin_tr.create_worker('Carol', '[]')$$);
CALL test.refused($$SELECT kin_tr.create_worker('Carol', '"x"')$$);
CALL test.refused($$SELECT kin_tr.create_worker('Carol', activity => 'Nowhere')$$);
CALL test.refused($$SELECT kin_tr.create_worker('Carol', jsonb_build_object('x', repeat('x', 256 * 1024)))$$);
CALL test.refused($$SELECT kin_tr.get_worker('Carol')$$);
CALL test.refused($$SELECT kin_tr.get_worker('WK00000000000000000000000000000001')$$);
CALL test.refused($$SELECT kin_tr.get_worker(NULL)$$);

-- update: what is NULL stays, attributes are replaced whole
SELECT kin_tr.set_clock('2026-01-05 09:10Z');
SELECT kin_tr.update_worker('Bob', '{"level": 4}');
SELECT kin_tr.update_worker('bob', friendly_name => 'BOB', if_version => 1);
SELECT kin_tr.update_worker(:'bob', friendly_name => 'Robert');
SELECT friendly_name, attributes, date_updated, date_status_changed, version FROM kin_tr.get_worker('robert');
SELECT kin_tr.update_worker('Robert');
SELECT kin_tr.update_worker('Robert', activity => 'Unavailable', if_version => 3);
SELECT activity_name, available, date_status_changed, version FROM kin_tr.get_worker('Robert');
-- attributes and activity at once
SELECT kin_tr.update_worker('Robert', '{"level": 5}', 'Bob', 'Available', if_version => 4);
SELECT friendly_name, attributes, activity_name, version FROM kin_tr.get_worker('Bob');
CALL test.refused($$SELECT kin_tr.update_worker('Bob', '{}', if_version => 4)$$);
CALL test.refused($$SELECT kin_tr.update_worker('Bob', activity => 'Offline', if_version => 4)$$);
CALL test.refused($$SELECT kin_tr.update_worker('Bob', friendly_name => 'aLiCe')$$);
CALL test.refused($$SELECT kin_tr.update_worker('Bob', friendly_name => '')$$);
CALL test.refused($$SELECT kin_tr.update_worker('Bob', '5')$$);
CALL test.refused($$SELECT kin_tr.update_worker('Bob', activity => 'Nowhere')$$);
CALL test.refused($$SELECT kin_tr.update_worker('Nobody', '{}')$$);
CALL test.refused($$SELECT kin_tr.update_worker('Bob', '{"x": 1}', activity => 'Nowhere')$$);
SELECT attributes, activity_name, version FROM kin_tr.get_worker('Bob');

-- update_worker_activity(): a change says how long the one before was
SELECT kin_tr.set_clock('2026-01-05 09:25:30.5Z');
SELECT kin_tr.update_worker_activity('Bob', 'Offline');
SELECT event_data ->> 'worker_activity_name' AS now, event_data ->> 'worker_previous_activity_name' AS before,
       event_data ->> 'worker_time_in_previous_activity' AS s, event_data ->> 'worker_time_in_previous_activity_ms' AS ms, event_data ->> 'worker_attributes' AS attributes
  FROM kin_tr.events_since(NULL, 1000, ARRAY['worker.activity.update'], :'bob');
-- to where it is already: no change
SELECT kin_tr.update_worker_activity('Bob', 'Offline', if_version => 7);
SELECT count(*) AS changes FROM kin_tr.events_since(NULL, 1000, ARRAY['worker.activity.update'], :'bob');
CALL test.refused($$SELECT kin_tr.update_worker_activity('Bob', 'Available', if_version => 6)$$);
CALL test.refused($$SELECT kin_tr.update_worker_activity('Bob', 'Available', true)$$);
CALL test.refused($$SELECT kin_tr.update_worker_activity('Bob', NULL)$$);
CALL test.refused($$SELECT kin_tr.update_worker_activity('Nobody', 'Available')$$);
CALL test.refused($$SELECT kin_tr.update_worker('Bob', reject_pending_reservations => true)$$);

-- reject_pending_reservations: the offers end, and what was accepted goes on
SELECT kin_tr.update_worker_activity('Bob', 'Available'), kin_tr.update_worker_channel('Bob', 'default', 3);
SELECT count(kin_tr.create_task(jsonb_build_object('name', 't' || i))) AS created FROM generate_series(1, 3) i;
SELECT test.tick();
SELECT kin_tr.accept_reservation(test.reservation('t2'));
SELECT kin_tr.update_worker_activity('Bob', 'Unavailable', true);
SELECT task, status, reservations FROM test.board;
SELECT test.tick();
-- moving to an unavailable activity without it leaves them
SELECT kin_tr.update_worker('Bob', activity => 'Available');
SELECT test.tick();
SELECT kin_tr.update_worker('Bob', activity => 'Offline');
SELECT task, status, reservations FROM test.board;
-- with update_worker() too
SELECT kin_tr.update_worker('Bob', '{"gone": true}', activity => 'Unavailable', reject_pending_reservations => true);
SELECT task, status, reservations FROM test.board;

-- worker_status() and active_reservations()
SELECT kin_tr.update_worker_activity('Bob', 'Available');
SELECT test.tick();
SELECT friendly_name, activity_name, available, date_status_changed, task_channel_unique_name AS channel, channel_available, configured_capacity AS capacity,
       open_reservations AS open, assigned_tasks AS assigned, available_capacity_percentage AS percent, last_reserved_time FROM kin_tr.worker_status('Bob');
SELECT reservation_status, worker_name, date_created, date_updated, times_out_at, task_attributes, task_priority, version, task_sid = test.task(task_attributes ->> 'name') AS its_task
  FROM kin_tr.active_reservations('Bob');
SELECT count(*) FROM kin_tr.active_reservations();
SELECT count(*) FROM kin_tr.active_reservations('Alice');
CALL test.refused($$SELECT kin_tr.active_reservations('Nobody')$$);
CALL test.refused($$SELECT kin_tr.worker_status('Nobody')$$);

-- a worker with an open reservation stays
CALL test.refused($$SELECT kin_tr.delete_worker('Bob')$$);
SELECT kin_tr.delete_task(test.task('t1')), kin_tr.delete_task(test.task('t3'));
CALL test.refused($$SELECT kin_tr.delete_worker('Bob')$$);
SELECT kin_tr.complete_task(test.task('t2'));
CALL test.refused($$SELECT kin_tr.delete_worker('Bob', if_version => 1)$$);
SELECT test.task('t2') AS t2 \gset
SELECT kin_tr.delete_worker('Bob');
CALL test.refused($$SELECT kin_tr.get_worker('Bob')$$);
-- what it did is still told
SELECT worker_name, reservation_status FROM kin_tr.all_reservations WHERE task_sid = :'t2' ORDER BY sid;
SELECT test.tick();
-- its name is free again
SELECT kin_tr.create_worker('bob') IS NOT NULL AS created;

SELECT event_type, event_data ->> 'worker_name' AS name, event_data ->> 'worker_activity_name' AS activity, event_data ->> 'worker_version' AS version, event_data ->> 'worker_attributes' AS attributes
  FROM kin_tr.events_since(NULL, 1000, resource => :'bob') WHERE event_type LIKE 'worker.%';
SELECT test.faults();
SELECT kin_tr.delete_workspace('worker');
