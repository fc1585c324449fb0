-- ------------------------------------------------------------------ health
-- Of this database's workers and the launcher; age is since the last whole turn, and the next one promised after promise.
CREATE FUNCTION kin_tr._worker_states() RETURNS TABLE (worker text, pid integer, started_at timestamptz,
                                                       last_turn timestamptz, seen_up_to timestamptz,
                                                       age_ms double precision,
                                                       promise_ms integer, paused boolean, missing boolean,
                                                       failures integer, bytes bigint, groups integer,
                                                       workers integer, classes integer)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_worker_states'
    SET search_path = pg_catalog, kin_tr, pg_temp;
-- How each of their duties fares: turn, housekeeping, sweep.
CREATE FUNCTION kin_tr._worker_notes() RETURNS TABLE (worker text, duty text, succeeded_at timestamptz,
                                                      errors integer, failed_at timestamptz, error text)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_worker_notes'
    SET search_path = pg_catalog, kin_tr, pg_temp;
-- Those of the cluster that found no room.
CREATE FUNCTION kin_tr._workers_missing() RETURNS TABLE (database oid, worker text)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_workers_missing'
    SET search_path = pg_catalog, kin_tr, pg_temp;
CREATE FUNCTION kin_tr._is_preloaded() RETURNS boolean
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_is_preloaded'
    SET search_path = pg_catalog, kin_tr, pg_temp;

CREATE FUNCTION kin_tr.version() RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, kin_tr, pg_temp AS $$
    SELECT extversion FROM pg_extension WHERE extname = 'kin_tr'
$$;
COMMENT ON FUNCTION kin_tr.version() IS
'The version of the extension in this database. Needs access of kind reader somewhere.';

CREATE FUNCTION kin_tr.health() RETURNS TABLE (item text, state text, detail text)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_health'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.health() IS
'How kin_tr is running in this database, an item a row: version, preload, launcher, router, relay, housekeeping,
partitions, workers of the cluster that could not be started, timers, moves, quarantine, clock, home, missed edges.
state: ok, paused, missing or fault. detail says how long ago each was last done, how far it is behind, its last error,
and what to do; docs/operations.md has more. ok means that what is promised is kept: a process that fails, hangs or
lags is a fault within seconds. Whether the data is right, check() says. Needs access of kind reader somewhere.';

CREATE FUNCTION kin_tr._health() RETURNS TABLE (item text, state text, detail text)
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT 'version', 'ok', kin_tr.version();
    RETURN QUERY SELECT 'preload', CASE WHEN p THEN 'ok' ELSE 'missing' END,
        CASE WHEN p THEN 'shared_preload_libraries has kin_tr'
             ELSE 'not in shared_preload_libraries: call tick(), ring() and maintain() yourself' END
      FROM kin_tr._is_preloaded() p;
    IF kin_tr._is_preloaded() THEN
        RETURN QUERY SELECT * FROM kin_tr._health_of_workers();
    END IF;
    RETURN QUERY
    SELECT 'workers not started', CASE count(*) WHEN 0 THEN 'ok' ELSE 'fault' END,
           CASE count(*) WHEN 0 THEN 'none'
                ELSE format('%s in this cluster: raise max_worker_processes (%s%s)', count(*),
                            string_agg(format('%s of database %s', n.worker, n.name), ', ' ORDER BY n.place) FILTER (WHERE n.place <= 10),
                            CASE WHEN count(*) > 10 THEN ', ...' ELSE '' END) END
      FROM (SELECT m.worker, coalesce(d.datname, m.database::text) AS name,
                   row_number() OVER (ORDER BY m.database <> (SELECT c.oid FROM pg_database c WHERE c.datname = current_database()),
                                      d.datname, m.worker) AS place
              FROM kin_tr._workers_missing() m LEFT JOIN pg_database d ON d.oid = m.database) n;
    RETURN QUERY SELECT * FROM kin_tr._health_of_work();
    RETURN QUERY SELECT 'clock', CASE WHEN c.now IS NULL THEN 'ok' ELSE 'paused' END,
        CASE WHEN c.now IS NULL THEN 'real time'
             ELSE format('set to %s: tick() alone acts; set_clock(NULL) returns to real time', c.now) END
      FROM (SELECT max(now) AS now FROM kin_tr.clock) c;
    RETURN QUERY SELECT 'home', CASE WHEN NOT a.home THEN 'paused' WHEN a.nameless THEN 'fault' ELSE 'ok' END,
        CASE WHEN NOT a.home THEN 'a copy: nothing acts until resume_after_restore()'
             WHEN a.nameless THEN 'kin_tr.instance is set, but this database has no name by which to know a copy: call resume_after_restore()'
             ELSE 'this database' END
      FROM (SELECT kin_tr._at_home() AS home, nullif(current_setting('kin_tr.instance', true), '') IS NOT NULL
                   AND EXISTS (SELECT FROM kin_tr.home h WHERE h.instance IS NULL) AS nameless) a;
    RETURN QUERY SELECT 'missed edges',
        CASE WHEN s.missed_edges > 0 OR coalesce(n.errors, 0) > 0 OR l.late THEN 'fault' ELSE 'ok' END,
        concat_ws('; ', s.missed_edges, 'last sweep ' || coalesce(date_trunc('second', s.last_sweep)::text, 'never'),
                  CASE WHEN l.late THEN 'which is too long: what is the router doing?' END,
                  kin_tr._last_error(n.errors, n.failed_at, n.error))
      FROM kin_tr.router_state s
      LEFT JOIN kin_tr._worker_notes() n ON n.worker = 'router' AND n.duty = 'sweep'
      LEFT JOIN kin_tr._worker_states() w ON w.worker = 'router'
      CROSS JOIN LATERAL (SELECT w.pid IS NOT NULL AND NOT w.paused
                                 AND kin_tr._is_sweep_late(greatest(s.last_sweep, w.started_at)) AS late) l;
END $$;

-- A router rests from its sweep for an hour at most, or kin_tr.sweep_interval; and one may take its time.
CREATE FUNCTION kin_tr._is_sweep_late(last_sweep timestamptz) RETURNS boolean
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, kin_tr, pg_temp AS $$
    SELECT clock_timestamp() - last_sweep > 2 * greatest(interval '1 hour', current_setting('kin_tr.sweep_interval')::interval)
$$;

-- '12 s' for a number of milliseconds.
CREATE FUNCTION kin_tr._duration(ms double precision) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, kin_tr, pg_temp AS $$
    SELECT CASE WHEN ms < 10000 THEN round(ms) || ' ms' ELSE round(ms / 1000) || ' s' END
$$;

-- NULL where there has been none.
CREATE FUNCTION kin_tr._last_error(errors integer, failed_at timestamptz, error text) RETURNS text
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, kin_tr, pg_temp AS $$
    SELECT CASE WHEN errors > 0 THEN errors || ' errors in a row, the last ' ELSE 'last error ' END
           || kin_tr._duration(extract(epoch FROM clock_timestamp() - failed_at) * 1000) || ' ago: ' || error
     WHERE failed_at IS NOT NULL
$$;

-- ok is one that keeps its promise: within five seconds, for the machine may be busy.
CREATE FUNCTION kin_tr._health_of_workers() RETURNS TABLE (item text, state text, detail text)
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
DECLARE
    switched_on constant boolean := current_setting('kin_tr.background_workers')::boolean;
    standby constant boolean := pg_is_in_recovery();
    newest constant timestamptz := (SELECT e.recorded_at FROM kin_tr.events e ORDER BY e.id DESC LIMIT 1);
BEGIN
    RETURN QUERY
    SELECT w.worker,
           CASE WHEN standby THEN 'paused'
                WHEN w.pid IS NULL AND w.failures > 0 AND switched_on THEN 'fault'
                WHEN w.pid IS NULL THEN 'missing'
                WHEN n.errors > 0 OR w.age_ms > w.promise_ms + 5000 THEN 'fault'
                WHEN w.paused THEN 'paused'
                WHEN b.ms > w.promise_ms + 5000 THEN 'fault' ELSE 'ok' END,
           CASE WHEN standby THEN 'a standby: starts when its promotion has finished'
                WHEN w.pid IS NOT NULL THEN
                    concat_ws(', ', 'pid ' || w.pid, 'since ' || date_trunc('second', w.started_at),
                              'last turn ' || kin_tr._duration(w.age_ms) || ' ago',
                              CASE WHEN w.age_ms > w.promise_ms + 5000 THEN 'which is too long: what is it doing? See pg_stat_activity' END,
                              CASE WHEN w.paused THEN 'paused: see clock and home, or somebody is in the middle of '
                                                      || CASE w.worker WHEN 'router' THEN 'tick()' ELSE 'ring()' END
                                   WHEN w.worker <> 'launcher' THEN
                                        'at most ' || kin_tr._duration(b.ms) || ' behind' END,
                              CASE WHEN w.bytes > 0 THEN format('%s kB for %s groups, %s workers and %s classes',
                                                                w.bytes / 1024, w.groups, w.workers, w.classes) END,
                              kin_tr._last_error(n.errors, n.failed_at, n.error))
                WHEN NOT switched_on AND w.worker <> 'launcher' THEN
                    'kin_tr.background_workers is off: call tick(), ring() and maintain() yourself'
                WHEN w.missing OR EXISTS (SELECT FROM kin_tr._workers_missing() m JOIN pg_database d ON d.oid = m.database
                                           WHERE d.datname = current_database() AND m.worker = 'scout') THEN
                    'no room for it: raise max_worker_processes'
                ELSE concat_ws(', ', 'not running', 'ended ' || nullif(w.failures, 0) || ' times in a row by a fault',
                               kin_tr._last_error(n.errors, n.failed_at, n.error), 'see the server''s log') END
      FROM kin_tr._worker_states() w
      JOIN kin_tr._worker_notes() n ON n.worker = w.worker AND n.duty = 'turn'
     CROSS JOIN LATERAL (SELECT CASE WHEN w.worker <> 'launcher' AND newest > w.seen_up_to
                                     THEN extract(epoch FROM clock_timestamp() - w.seen_up_to) * 1000 ELSE 0 END AS ms) b;
    RETURN QUERY
    SELECT 'housekeeping', CASE WHEN n.errors > 0 THEN 'fault' ELSE 'ok' END,
           concat_ws(', ', CASE WHEN n.succeeded_at IS NULL THEN 'not yet done by this router'
                                ELSE 'last done ' || kin_tr._duration(extract(epoch FROM clock_timestamp() - n.succeeded_at) * 1000) || ' ago' END,
                     kin_tr._last_error(n.errors, n.failed_at, n.error))
      FROM kin_tr._worker_notes() n WHERE n.worker = 'router' AND n.duty = 'housekeeping';
    -- A housekeeper comes every ten minutes; what it finds locked it leaves for the next.
    RETURN QUERY
    SELECT 'partitions',
           CASE WHEN n.errors > 0 THEN 'fault'
                WHEN r.pid IS NULL OR r.paused OR standby THEN 'paused'
                WHEN d.age_ms > 3600000 THEN 'fault' ELSE 'ok' END,
           concat_ws(', ', CASE WHEN n.succeeded_at IS NULL THEN 'not yet looked after'
                                ELSE 'looked after ' || kin_tr._duration(extract(epoch FROM clock_timestamp() - n.succeeded_at) * 1000) || ' ago' END,
                     CASE WHEN d.age_ms > 3600000 THEN 'which is too long: is there a long transaction, or no room for a housekeeper (max_worker_processes)?' END,
                     kin_tr._last_error(n.errors, n.failed_at, n.error))
      FROM kin_tr._worker_notes() n, kin_tr._worker_states() r,
           LATERAL (SELECT extract(epoch FROM clock_timestamp() - greatest(n.succeeded_at, r.started_at)) * 1000 AS age_ms) d
     WHERE n.worker = 'housekeeper' AND n.duty = 'housekeeping' AND r.worker = 'router';
END $$;

-- What the router should have done by now.  Where it is not to act, clock, home and router tell.
CREATE FUNCTION kin_tr._health_of_work() RETURNS TABLE (item text, state text, detail text)
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
    acts constant boolean := NOT pg_is_in_recovery() AND kin_tr._at_home() AND NOT EXISTS (SELECT FROM kin_tr.clock);
BEGIN
    RETURN QUERY
    SELECT 'timers', CASE WHEN acts AND t.late > 5000 THEN 'fault' ELSE 'ok' END,
           CASE WHEN t.late > 5000 THEN format('%s was due %s ago: is it locked, or are very many due in its workspace?', t.sid, kin_tr._duration(t.late))
                ELSE 'none is late' END
      FROM (SELECT max(d.late) AS late, (array_agg(d.sid ORDER BY d.late DESC))[1] AS sid
              FROM (SELECT f.sid, extract(epoch FROM kin_tr.now() - f.at) * 1000 AS late
                      FROM kin_tr.workspaces w,
                           LATERAL ((SELECT t.sid, t.wake_at AS at FROM kin_tr.tasks t
                                      WHERE t.workspace_sid = w.sid AND t.wake_at IS NOT NULL ORDER BY t.wake_at, t.sid LIMIT 1)
                                    UNION ALL
                                    (SELECT r.sid, r.times_out_at FROM kin_tr.reservations r
                                      WHERE r.workspace_sid = w.sid AND r.times_out_at IS NOT NULL ORDER BY r.times_out_at, r.sid LIMIT 1)) f) d) t;
    RETURN QUERY
    SELECT 'moves', CASE WHEN acts AND m.late > 30000 THEN 'fault' ELSE 'ok' END,
           CASE WHEN m.late > 30000 THEN format('task %s should be in history since %s: is it locked, or housekeeping behind?',
                                                m.sid, kin_tr._duration(m.late))
                ELSE 'none is late' END
      FROM (SELECT max(f.sid::text) AS sid, max(extract(epoch FROM kin_tr.now() - f.finished_at) * 1000 - 300000) AS late
              FROM (SELECT t.sid, t.finished_at FROM kin_tr.tasks t
                     WHERE t.finished_at IS NOT NULL ORDER BY t.finished_at LIMIT 1) f) m;
    -- What the error says may be another workspace's: the view shows it to its readers.
    RETURN QUERY
    SELECT 'quarantine', CASE count(*) WHEN 0 THEN 'ok' ELSE 'fault' END,
           CASE count(*) WHEN 0 THEN 'empty'
                ELSE format('%s, the first %s since %s (%s: %s): see kin_tr.quarantined', count(*),
                            (array_agg(q.object ORDER BY q.since, q.object))[1], date_trunc('second', min(q.since)),
                            (array_agg(q.step ORDER BY q.since, q.object))[1],
                            (array_agg(q.sqlstate ORDER BY q.since, q.object))[1]) END
      FROM kin_tr.quarantine q;
END $$;
