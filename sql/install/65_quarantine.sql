-- -------------------------------------------------------------- quarantine
-- Written by the router: src/routing/quarantine.c.
CREATE TABLE kin_tr.quarantine (
    object        kin_tr.sid PRIMARY KEY,
    workspace_sid kin_tr.sid,
    step          text NOT NULL,
    sqlstate      text NOT NULL,
    message       text NOT NULL,
    since         timestamptz NOT NULL,
    last_tried    timestamptz NOT NULL,
    tries         integer NOT NULL,
    next_try      timestamptz NOT NULL
);
COMMENT ON TABLE kin_tr.quarantine IS
    'Objects that the router fails with, each by itself: nothing else waits for them. kin_tr.quarantined shows them to readers';
COMMENT ON COLUMN kin_tr.quarantine.object IS 'SID of a task, reservation, worker, workflow, queue or workspace';
COMMENT ON COLUMN kin_tr.quarantine.workspace_sid IS 'the workspace; NULL where the object is gone';
COMMENT ON COLUMN kin_tr.quarantine.step IS 'what failed: load, timer, settling, assignment or move';
COMMENT ON COLUMN kin_tr.quarantine.sqlstate IS 'of its last error';
COMMENT ON COLUMN kin_tr.quarantine.message IS 'of its last error, at most 1000 bytes';
COMMENT ON COLUMN kin_tr.quarantine.since IS 'when it first failed, by the real clock';
COMMENT ON COLUMN kin_tr.quarantine.last_tried IS 'when it last failed, by the real clock';
COMMENT ON COLUMN kin_tr.quarantine.tries IS 'how often it has failed';
COMMENT ON COLUMN kin_tr.quarantine.next_try IS 'when it is tried again: after a second, doubling to an hour';

CREATE VIEW kin_tr.quarantined WITH (security_invoker = true) AS
    SELECT q.object, q.workspace_sid, w.friendly_name AS workspace_name, q.step, q.sqlstate, q.message,
           q.since, q.last_tried, q.tries, q.next_try
      FROM kin_tr.quarantine q LEFT JOIN kin_tr.workspaces w ON w.sid = q.workspace_sid;
COMMENT ON VIEW kin_tr.quarantined IS
    'Objects of the caller''s workspaces that the router fails with. One that changes is tried at once, and leaves when it is well';

DO $$
DECLARE
    c record;
BEGIN
    FOR c IN SELECT v.attname, coalesce(col_description(t.attrelid, t.attnum), 'the workspace''s name') AS meaning
               FROM pg_attribute v
               LEFT JOIN pg_attribute t ON t.attrelid = 'kin_tr.quarantine'::regclass AND t.attname = v.attname
              WHERE v.attrelid = 'kin_tr.quarantined'::regclass AND v.attnum > 0 LOOP
        EXECUTE format('COMMENT ON COLUMN kin_tr.quarantined.%I IS %L', c.attname, c.meaning);
    END LOOP;
END $$;

CREATE FUNCTION kin_tr._quarantine_changed() RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_quarantine_changed'
    SET search_path = pg_catalog, kin_tr, pg_temp;

CREATE FUNCTION kin_tr._release_quarantine(object text) RETURNS integer
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    released integer;
BEGIN
    DELETE FROM kin_tr.quarantine q WHERE object IS NULL OR q.object = object::kin_tr.sid;
    GET DIAGNOSTICS released = ROW_COUNT;
    IF released > 0 THEN
        PERFORM kin_tr._quarantine_changed();
        PERFORM kin_tr._wake();
    ELSIF object IS NOT NULL THEN
        RAISE EXCEPTION 'object "%" is not in quarantine', object
            USING ERRCODE = 'undefined_object', HINT = 'The view kin_tr.quarantined shows what is.';
    END IF;
    RETURN released;
END $$;

CREATE FUNCTION kin_tr.release_quarantine(object text DEFAULT NULL) RETURNS integer
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_admin'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.release_quarantine IS
'Lets the router try again at once what is in quarantine: the object of this SID, or all where it is NULL. Returns how
many they were; those that fail again come back. Errors: 22P02, 42704 where the object is not there. Only for the owner.';
