-- ------------------------------------------------------------------ restore
CREATE FUNCTION kin_tr.begin_era() RETURNS integer
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_admin'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.begin_era() IS
'Begins a new era of events, and returns its number. For a copy of the data directory that was started without
recovery, which nothing inside can tell from the original: call it there before anything else, or cursors of the
original skip what the copy writes under the same transaction ids. Restores, failovers and resume_after_restore()
begin one by themselves. Waits a second at most for transactions that have written events, then 55P03; until this
one ends nobody else writes any. Only for the owner.';

CREATE FUNCTION kin_tr.resume_after_restore(shift_deadlines boolean DEFAULT true)
    RETURNS TABLE (invariant text, object kin_tr.sid, detail text)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_admin'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.resume_after_restore(boolean) IS
'Lets this database, a copy of another, act: makes it the home, under the name that kin_tr.instance has, begins a new
era of events, gives access to the roles that have the names of those there where it is in another cluster, and
returns what check() finds. shift_deadlines moves every deadline of live tasks and reservations on by
the time since the original''s last event, so that nothing times out for having been asleep; the time for which a
callback was asked stays. false leaves all as they are. Where the database is at home but has no name, and
kin_tr.instance is set, it gets that name and nothing else happens; where it has, error 55000. Locks all live
tasks and reservations, and waits as begin_era() does. Only for the owner.';

CREATE FUNCTION kin_tr._resume_after_restore(shift_deadlines boolean)
    RETURNS TABLE (invariant text, object kin_tr.sid, detail text)
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
DECLARE
    name constant text := nullif(current_setting('kin_tr.instance', true), '');
    here constant bigint := (SELECT s.system_identifier FROM pg_control_system() s);
    now constant timestamptz := kin_tr.now();
    -- The last event of the original; in a copy within the cluster, of either.
    fell_asleep constant timestamptz := coalesce(
        (SELECT e.event_date FROM kin_tr.events e
          WHERE e.era <= (SELECT max(n.number) FROM kin_tr.event_eras n WHERE n.system_identifier <> here)
          ORDER BY e.id DESC LIMIT 1),
        (SELECT e.event_date FROM kin_tr.events e ORDER BY e.id DESC LIMIT 1));
BEGIN
    IF kin_tr._at_home() AND name IS NOT NULL AND EXISTS (SELECT FROM kin_tr.home h WHERE h.instance IS NULL) THEN
        UPDATE kin_tr.home h SET instance = name;
        RETURN QUERY SELECT * FROM kin_tr._check();
        RETURN;
    ELSIF kin_tr._at_home() THEN
        RAISE EXCEPTION 'this database is at home already'
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'What acts here goes on acting.';
    END IF;
    -- Roles of another cluster have other OIDs.
    IF NOT EXISTS (SELECT FROM kin_tr.home h WHERE h.system_identifier = here) THEN
        PERFORM kin_tr._rebind_access();
    END IF;
    DELETE FROM kin_tr.home;
    INSERT INTO kin_tr.home (system_identifier, database_oid, instance)
    SELECT here, d.oid, name FROM pg_database d WHERE d.datname = current_database();
    PERFORM kin_tr._begin_era();
    DELETE FROM kin_tr.relay_state;
    IF shift_deadlines AND now > fell_asleep THEN
        -- The time for which a callback was asked is no deadline; those of after it count from then.
        UPDATE kin_tr.tasks t
           SET step_deadline = t.step_deadline + s.slept, expires_at = t.expires_at + s.slept,
               deadline_base = t.deadline_base + s.slept,
               wake_at = CASE WHEN t.wake_at = t.not_before THEN t.wake_at ELSE t.wake_at + s.slept END
          FROM (SELECT x.sid, greatest(now - greatest(fell_asleep, x.not_before), interval '0') AS slept
                  FROM kin_tr.tasks x) s
         WHERE s.sid = t.sid AND t.finished_at IS NULL AND t.date_created <= fell_asleep;
        UPDATE kin_tr.reservations r SET times_out_at = r.times_out_at + (now - fell_asleep)
         WHERE r.times_out_at IS NOT NULL AND r.is_open;
    END IF;
    PERFORM kin_tr._wake();
    RETURN QUERY SELECT * FROM kin_tr._check();
END $$;
