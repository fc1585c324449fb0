-- ------------------------------------------------------------------ health
CREATE FUNCTION kin_tr._worker_states() RETURNS TABLE (worker text, pid integer, started_at timestamptz,
                                                       last_turn timestamptz, paused boolean)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_worker_states'
    SET search_path = pg_catalog, kin_tr, pg_temp;
CREATE FUNCTION kin_tr._workers_missing() RETURNS integer
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
'How kin_tr is running in this database, an item a row: version, preload, router and relay with how long ago each last
looked, workers of the cluster that could not be started, clock, home, missed edges. state: ok, paused, missing or
fault; docs/operations.md says what to do. Whether the data is right, check() says. Needs access of kind reader
somewhere.';

CREATE FUNCTION kin_tr._health() RETURNS TABLE (item text, state text, detail text)
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
DECLARE
    preloaded boolean := kin_tr._is_preloaded();
    missing integer := kin_tr._workers_missing();
BEGIN
    RETURN QUERY SELECT 'version', 'ok', kin_tr.version();
    RETURN QUERY SELECT 'preload', CASE WHEN preloaded THEN 'ok' ELSE 'missing' END,
        CASE WHEN preloaded THEN 'shared_preload_libraries has kin_tr'
             ELSE 'not in shared_preload_libraries: call tick(), ring() and maintain() yourself' END;
    RETURN QUERY SELECT w.worker,
        CASE WHEN pg_is_in_recovery() THEN 'paused' WHEN w.pid IS NULL THEN 'missing'
             WHEN w.paused THEN 'paused' ELSE 'ok' END,
        CASE WHEN pg_is_in_recovery() THEN 'a standby: starts when its promotion has finished'
             WHEN w.pid IS NULL THEN 'not running: see the server''s log'
             ELSE format('pid %s, since %s, last turn %s ms ago', w.pid, date_trunc('second', w.started_at),
                         round(extract(epoch FROM clock_timestamp() - w.last_turn) * 1000)) END
      FROM kin_tr._worker_states() w WHERE preloaded;
    RETURN QUERY SELECT 'workers not started', CASE missing WHEN 0 THEN 'ok' ELSE 'fault' END,
        CASE missing WHEN 0 THEN 'none' ELSE format('%s in this cluster: raise max_worker_processes', missing) END;
    RETURN QUERY SELECT 'clock', CASE WHEN c.now IS NULL THEN 'ok' ELSE 'paused' END,
        CASE WHEN c.now IS NULL THEN 'real time'
             ELSE format('set to %s: tick() alone acts; set_clock(NULL) returns to real time', c.now) END
      FROM (SELECT max(now) AS now FROM kin_tr.clock) c;
    RETURN QUERY SELECT 'home', CASE WHEN h THEN 'ok' ELSE 'paused' END,
        CASE WHEN h THEN 'this database' ELSE 'a copy: nothing acts until resume_after_restore()' END
      FROM kin_tr._at_home() h;
    RETURN QUERY SELECT 'missed edges', CASE s.missed_edges WHEN 0 THEN 'ok' ELSE 'fault' END,
        format('%s; last sweep %s', s.missed_edges, coalesce(date_trunc('second', s.last_sweep)::text, 'never')) FROM kin_tr.router_state s;
END $$;
