-- The clock that tests can set: where it may start, and that it never goes back.
SET timezone = 'UTC'; SET datestyle = 'ISO';
-- (the files before left it set; nothing is open, so it may return to real time)
SELECT kin_tr.set_clock(NULL) - clock_timestamp() < interval '1 s' AS real_time;
SELECT abs(extract(epoch FROM kin_tr.now() - clock_timestamp())) < 1 AS real_time;
SELECT count(*) FROM kin_tr.clock;
SELECT state, detail FROM kin_tr.health() WHERE item = 'clock';
SELECT kin_tr.set_clock(NULL) IS NOT NULL AS again;

-- it starts anywhere while no worker or task exists, and may go to and fro
SELECT kin_tr.set_clock('1999-02-01 00:00Z');
SELECT kin_tr.now();
SELECT kin_tr.set_clock('2100-01-01 00:00Z');
SELECT kin_tr.set_clock('2026-01-05 09:00Z');
SELECT state, detail FROM kin_tr.health() WHERE item = 'clock';
SELECT kin_tr.create_workspace('clock', 'FIFO') IS NOT NULL AS created;
SET kin_tr.workspace = 'clock';
-- it stands
SELECT kin_tr.now(), kin_tr.now() = kin_tr.now() AS stands;
SELECT date_created FROM kin_tr.get_workspace();

-- with a worker or a task it never goes back, not even when told to
SELECT test.worker('Alice', activity => 'Offline');
CALL test.refused($$SELECT kin_tr.set_clock('2026-01-05 08:59:59Z')$$);
CALL test.refused($$SELECT kin_tr.set_clock('2026-01-05 08:59:59Z', true)$$);
SELECT kin_tr.set_clock('2026-01-05 09:00Z');
SELECT kin_tr.set_clock('2026-01-05 09:00:00.000001Z');
SELECT kin_tr.delete_worker('Alice');
SELECT kin_tr.set_clock('2026-01-05 08:00Z');
SELECT test.new('t');
CALL test.refused($$SELECT kin_tr.set_clock('2026-01-05 07:00Z')$$);
-- nor back to real time while tasks are open, unless forced
CALL test.refused($$SELECT kin_tr.set_clock(NULL)$$);
CALL test.refused($$SELECT kin_tr.set_clock('1899-12-31 00:00Z')$$);
CALL test.refused($$SELECT kin_tr.set_clock('10000-01-01 00:00Z')$$);
CALL test.refused($$SELECT kin_tr.set_clock('infinity')$$);
CALL test.refused($$SELECT kin_tr.set_clock('-infinity')$$);
SELECT kin_tr.now();
-- a finished one does not hinder that
SELECT kin_tr.cancel_task(test.task('t'));
BEGIN;
SELECT kin_tr.set_clock(NULL) > '2026-01-06' AS real_time;
ROLLBACK;
SELECT kin_tr.now();
-- nor from the future
SELECT kin_tr.set_clock('2200-01-01 00:00Z');
CALL test.refused($$SELECT kin_tr.set_clock(NULL)$$);
BEGIN;
SELECT kin_tr.set_clock(NULL, true) < '2200-01-01' AS forced;
-- and from there it does not go back either, but stands still where it is
SELECT test.sqlstate($$SELECT kin_tr.set_clock('2026-01-05 09:00Z')$$) AS back, test.sqlstate($$SELECT kin_tr.set_clock('2026-01-05 09:00Z', true)$$) AS forced_back,
       test.sqlstate($$SELECT kin_tr.set_clock(now())$$) AS now;
ROLLBACK;
-- it is the transaction's: rolled back, it never moved
SELECT kin_tr.now();
CALL test.clear();

-- while it is set tick() alone acts, also where a router runs
SELECT kin_tr.set_clock('2026-01-05 09:00Z');
SELECT test.worker('Alice'), test.new('t');
SELECT test.status('t');
SELECT test.tick();
SELECT test.status('t');
CALL test.clear();

-- retention goes by the real clock: a set one makes nothing old
SELECT kin_tr.set_clock('2126-01-05 09:00Z');
SELECT count(*) > 0 AS kept FROM kin_tr.events;
SELECT partitions_dropped, keys_deleted FROM kin_tr.maintain();
SELECT count(*) > 0 AS kept FROM kin_tr.events;
SELECT kin_tr.delete_workspace('clock');

-- in a parallel plan of a fresh session it tells the time as anywhere
CREATE TABLE test.many WITH (parallel_workers = 2) AS SELECT FROM generate_series(1, 1000);
\c
LOAD 'kin_tr';
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;
SELECT kin_tr.now() IS NOT NULL AS told, count(*) FROM test.many GROUP BY 1;
DROP TABLE test.many;
