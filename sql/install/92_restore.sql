-- ------------------------------------------------------------------ restore
CREATE FUNCTION kin_tr.resume_after_restore(shift_deadlines boolean DEFAULT true)
    RETURNS TABLE (invariant text, object kin_tr.sid, detail text)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_admin'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.resume_after_restore(boolean) IS
'Lets this database, a copy of another, act: makes it the home, begins a new era of events where it is in another
cluster, gives access to the roles that have the names of those there, and returns what check() finds. shift_deadlines moves every deadline of live tasks and reservations on by
the time since the original''s last event, so that nothing times out for having been asleep; the time for which a
callback was asked stays. false leaves all as they are. Error 55000 where the database is at home. Locks all live
tasks and reservations. Only for the owner.';

CREATE FUNCTION kin_tr._resume_after_restore(shift_deadlines boolean)
    RETURNS TABLE (invariant text, object kin_tr.sid, detail text)
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
DECLARE
    here constant bigint := (SELECT s.system_identifier FROM pg_control_system() s);
    now constant timestamptz := kin_tr.now();
    -- The last event of the original; in a copy within the cluster, of either.
    fell_asleep constant timestamptz := coalesce(
        (SELECT e.event_date FROM kin_tr.events e
          WHERE e.era <= (SELECT max(n.number) FROM kin_tr.event_eras n WHERE n.system_identifier <> here)
          ORDER BY e.id DESC LIMIT 1),
        (SELECT e.event_date FROM kin_tr.events e ORDER BY e.id DESC LIMIT 1));
BEGIN
    IF kin_tr._at_home() THEN
        RAISE EXCEPTION 'this database is at home already'
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'What acts here goes on acting.';
    END IF;
    -- Roles of another cluster have other OIDs.
    IF NOT EXISTS (SELECT FROM kin_tr.home h WHERE h.system_identifier = here) THEN
        PERFORM kin_tr._rebind_access();
    END IF;
    DELETE FROM kin_tr.home;
    INSERT INTO kin_tr.home (system_identifier, database_oid)
    SELECT here, d.oid FROM pg_database d WHERE d.datname = current_database();
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
