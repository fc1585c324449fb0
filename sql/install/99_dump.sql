-- ------------------------------------------------------------ rights, dump
-- Nothing to PUBLIC but what a column of type sid needs: grant_access() gives what a
-- kind needs.
REVOKE ALL ON SCHEMA kin_tr FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA kin_tr FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA kin_tr FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA kin_tr FROM PUBLIC;

-- Whoever has a table with a sid in it compares, sorts and prints it.
DO $$
DECLARE
    f regprocedure;
BEGIN
    FOR f IN
        SELECT o.oprcode FROM pg_operator o WHERE 'kin_tr.sid'::regtype IN (o.oprleft, o.oprright)
        UNION SELECT a.amproc FROM pg_amproc a WHERE a.amproclefttype = 'kin_tr.sid'::regtype
        UNION SELECT c.castfunc FROM pg_cast c WHERE 'kin_tr.sid'::regtype IN (c.castsource, c.casttarget)
        UNION SELECT unnest(ARRAY[t.typinput, t.typoutput, t.typreceive, t.typsend]) FROM pg_type t WHERE t.oid = 'kin_tr.sid'::regtype LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO PUBLIC', f);
    END LOOP;
END $$;

-- User data is dumped with the database.  Not dumped: the clock, which is of
-- one database and one test; what only tells other processes something.  One
-- statement each: several in one fail.
SELECT pg_extension_config_dump('kin_tr.home', '');
SELECT pg_extension_config_dump('kin_tr.access', '');
SELECT pg_extension_config_dump('kin_tr.access_grants', '');
SELECT pg_extension_config_dump('kin_tr.workspaces', '');
SELECT pg_extension_config_dump('kin_tr.activities', '');
SELECT pg_extension_config_dump('kin_tr.task_channels', '');
SELECT pg_extension_config_dump('kin_tr.task_queues', '');
SELECT pg_extension_config_dump('kin_tr.workflows', '');
SELECT pg_extension_config_dump('kin_tr.workflow_versions', '');
SELECT pg_extension_config_dump('kin_tr.workers', '');
SELECT pg_extension_config_dump('kin_tr.worker_channels', '');
SELECT pg_extension_config_dump('kin_tr.tasks', '');
SELECT pg_extension_config_dump('kin_tr.reservations', '');
SELECT pg_extension_config_dump('kin_tr.idempotency_keys', '');
SELECT pg_extension_config_dump('kin_tr.task_history_default', '');
SELECT pg_extension_config_dump('kin_tr.reservation_history_default', '');
SELECT pg_extension_config_dump('kin_tr.event_eras', '');
SELECT pg_extension_config_dump('kin_tr.events_default', '');
SELECT pg_extension_config_dump('kin_tr.events_id_seq', '');
SELECT pg_extension_config_dump('kin_tr.events_dropped', '');
SELECT pg_extension_config_dump('kin_tr.relay_state', '');
