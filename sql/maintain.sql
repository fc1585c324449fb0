-- maintain(): history, partitions, retention, idempotency keys.
SET timezone = 'UTC'; SET datestyle = 'ISO';
SELECT kin_tr.set_clock('2026-01-05 09:00Z');
SELECT kin_tr.create_workspace('maintain', 'FIFO') IS NOT NULL AS created;
SET kin_tr.workspace = 'maintain';
-- (whoever maintains first makes the partitions)
SELECT moved FROM kin_tr.maintain();
SELECT * FROM kin_tr.maintain();

-- ----------------------------------------------------------------- history
-- five minutes after its end a task moves, with its reservations, and keeps names
SELECT kin_tr.create_worker('Alice', activity => 'Available') AS alice, kin_tr.create_worker('Bob', activity => 'Available') AS bob \gset
SELECT test.new('done', '{"x": 1}', 3), test.new('gone');
SELECT test.tick();
SELECT test.task('done') AS done, test.task('gone') AS gone, test.reservation('done') AS offer \gset
SELECT kin_tr.accept_reservation(:'offer');
SELECT kin_tr.complete_task(:'done', reason => 'solved');
SELECT kin_tr.cancel_task(:'gone', 'hung up');
SELECT to_jsonb(t) - 'in_history' - 'age' AS task_before FROM kin_tr.get_task(:'done') t \gset
SELECT to_jsonb(r) - 'in_history' AS offer_before FROM kin_tr.get_reservation(:'offer') r \gset
SELECT test.later('4 min 59.999 s');
SELECT moved FROM kin_tr.maintain();
SELECT test.later('1 ms');
SELECT moved FROM kin_tr.maintain();
SELECT moved FROM kin_tr.maintain();
SELECT (SELECT count(*) FROM kin_tr.tasks) AS tasks, (SELECT count(*) FROM kin_tr.reservations) AS reservations;
-- get_task() and get_reservation() read both
SELECT to_jsonb(t) - 'in_history' - 'age' = :'task_before' AS same, in_history FROM kin_tr.get_task(:'done') t;
SELECT to_jsonb(r) - 'in_history' = :'offer_before' AS same, in_history FROM kin_tr.get_reservation(:'offer') r;
SELECT attributes ->> 'name' AS task, assignment_status, reason, in_history FROM kin_tr.all_tasks WHERE workspace_sid = test.ws() ORDER BY sid;
SELECT worker_name, reservation_status, in_history FROM kin_tr.all_reservations WHERE workspace_sid = test.ws() ORDER BY sid;
-- it can only be read
CALL test.refused(format($$SELECT kin_tr.update_task(%L, '{}')$$, :'done'));
CALL test.refused(format($$SELECT kin_tr.delete_task(%L)$$, :'done'));
CALL test.refused(format($$SELECT kin_tr.complete_reservation(%L)$$, :'offer'));
-- the worker's clock goes on from it: Alice was reserved before Bob, so she is first
SELECT test.new('next');
SELECT test.tick();
SELECT test.who('next');
-- also for one who has to look it up
SELECT last_reserved_time FROM kin_tr.get_worker_channel('Bob', 'default');
SELECT kin_tr.cancel_task(test.task('next'));
\c -
SET timezone = 'UTC'; SET datestyle = 'ISO'; SET kin_tr.workspace = 'maintain';
SELECT test.new('again');
SELECT test.tick();
SELECT test.who('again');
SELECT kin_tr.cancel_task(test.task('again'));
-- history keeps the name that a queue had when the task moved
SELECT test.task('again') AS again \gset
SELECT kin_tr.update_task_queue('Sample Queue', 'Renamed');
SELECT test.later('5 min');
SELECT moved FROM kin_tr.maintain();
SELECT task_queue_friendly_name FROM kin_tr.get_task(:'again');
SELECT DISTINCT task_queue_friendly_name FROM kin_tr.all_tasks WHERE workspace_sid = test.ws() ORDER BY 1;
-- what is open never moves
SELECT test.new('open');
SELECT test.later('10 h');
SELECT moved FROM kin_tr.maintain();
SELECT test.status('open');
SELECT kin_tr.cancel_task(test.task('open'));
-- more than a batch at once
SELECT count(kin_tr.cancel_task(kin_tr.create_task())) FROM generate_series(1, 1200);
SELECT test.later('5 min');
SELECT moved FROM kin_tr.maintain();
SELECT count(*) FROM kin_tr.tasks;
SELECT test.faults();

-- -------------------------------------------------------------- partitions
-- weeks ahead, each with its own key and indexes, none overlapping; the default has the first days
SELECT parent.relname, count(*) FILTER (WHERE pg_get_expr(child.relpartbound, child.oid) = 'DEFAULT') AS defaults, count(*) FILTER (WHERE pg_get_expr(child.relpartbound, child.oid) <> 'DEFAULT') >= 3 AS weeks_ahead,
       bool_and((SELECT count(*) FROM pg_index i WHERE i.indrelid = child.oid AND i.indisprimary) = 1) AS keyed
  FROM pg_inherits i JOIN pg_class parent ON parent.oid = i.inhparent JOIN pg_class child ON child.oid = i.inhrelid
 WHERE parent.relnamespace = 'kin_tr'::regnamespace GROUP BY 1 ORDER BY 1;
-- a partition has every index that the default has
SELECT parent.relname, count(DISTINCT (SELECT string_agg(regexp_replace(pg_get_indexdef(i.indexrelid), ' INDEX \S+ ON \S+ ', ' '), '; ' ORDER BY regexp_replace(pg_get_indexdef(i.indexrelid), ' INDEX \S+ ON \S+ ', ' '))
                                        FROM pg_index i WHERE i.indrelid = child.oid)) AS kinds
  FROM pg_inherits i JOIN pg_class parent ON parent.oid = i.inhparent JOIN pg_class child ON child.oid = i.inhrelid
 WHERE parent.relnamespace = 'kin_tr'::regnamespace GROUP BY 1 ORDER BY 1;
-- they are ordinary tables to pg_dump: no members of the extension
SELECT count(*) AS members FROM pg_depend d JOIN pg_class c ON c.oid = d.objid JOIN pg_inherits i ON i.inhrelid = c.oid
 WHERE d.deptype = 'e' AND c.relnamespace = 'kin_tr'::regnamespace AND pg_get_expr(c.relpartbound, c.oid) <> 'DEFAULT';
-- nobody but the owner may read them, beside the policies of their parents
SELECT count(*) AS open_to_others FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE c.relnamespace = 'kin_tr'::regnamespace
   AND EXISTS (SELECT FROM aclexplode(c.relacl) a WHERE a.grantee <> c.relowner);
-- none is made twice
SELECT partitions_made FROM kin_tr.maintain();

-- --------------------------------------------------------------- retention
-- by the real clock: a year of history, 30 days of events, 7 of keys.  (To wait
-- is no way, so rows and a partition are made old, and all is rolled back.)
BEGIN;
-- rows of the default partition go one by one
UPDATE kin_tr.task_history_default SET recorded_at = recorded_at - CASE WHEN sid = :'done'::kin_tr.sid THEN interval '366 days' ELSE interval '364 days' END;
UPDATE kin_tr.reservation_history_default SET recorded_at = recorded_at - interval '366 days' WHERE task_sid = :'done'::kin_tr.sid;
SELECT partitions_dropped FROM kin_tr.maintain();
SELECT count(*) FILTER (WHERE sid = :'done'::kin_tr.sid) AS old, count(*) FILTER (WHERE sid = :'gone'::kin_tr.sid) AS younger FROM kin_tr.task_history;
SELECT count(*) AS old FROM kin_tr.reservation_history WHERE task_sid = :'done'::kin_tr.sid;
CALL test.refused(format($$SELECT kin_tr.get_task(%L)$$, :'done'));
-- a partition goes as a whole
CREATE TABLE kin_tr.events_old (LIKE kin_tr.events);
ALTER TABLE kin_tr.events ATTACH PARTITION kin_tr.events_old FOR VALUES FROM ('2001-01-01') TO ('2001-01-08');
INSERT INTO kin_tr.events (id, xid, era, recorded_at, event_date, event_type) VALUES (-1, '5', 1, '2001-01-02', '2001-01-02', 'task.created');
SELECT partitions_dropped FROM kin_tr.maintain();
SELECT to_regclass('kin_tr.events_old') IS NULL AS dropped;
-- what the cursor of that time had not seen is known to be gone
SELECT era, xid FROM kin_tr.events_dropped;
-- one that is younger, or whose end is, stays
CREATE TABLE kin_tr.task_history_old (LIKE kin_tr.task_history);
SELECT format('ALTER TABLE kin_tr.task_history ATTACH PARTITION kin_tr.task_history_old FOR VALUES FROM (%L) TO (%L)', date_trunc('day', clock_timestamp()) - interval '370 days', date_trunc('day', clock_timestamp()) - interval '364 days') AS attach \gset
:attach;
SELECT partitions_dropped FROM kin_tr.maintain();
-- keys after seven days
SELECT kin_tr.create_task('{"name": "k1"}', idempotency_key => 'old') AS t1, kin_tr.create_task('{"name": "k2"}', idempotency_key => 'young') AS t2 \gset
UPDATE kin_tr.idempotency_keys SET recorded_at = recorded_at - CASE key WHEN 'old' THEN interval '7 days 1 minute' ELSE interval '6 days 23 hours' END;
SELECT keys_deleted FROM kin_tr.maintain();
SELECT kin_tr.create_task('{"name": "k1"}', idempotency_key => 'old') = :'t1' AS old, kin_tr.create_task('{"name": "k2"}', idempotency_key => 'young') = :'t2' AS young;
ROLLBACK;
SELECT test.faults();
SELECT kin_tr.delete_workspace('maintain');
