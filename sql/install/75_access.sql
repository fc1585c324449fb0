-- ------------------------------------------------------------------ access
CREATE FUNCTION kin_tr._readable_workspaces() RETURNS kin_tr.sid[]
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'kin_tr_readable_workspaces'
    SET search_path = pg_catalog, kin_tr, pg_temp;
CREATE FUNCTION kin_tr._access_in(workspace kin_tr.sid) RETURNS text
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'kin_tr_access_in'
    SET search_path = pg_catalog, kin_tr, pg_temp;

-- Row-level security guards direct reads.  The owner's own statements, all
-- those of the functions, pass it by.
DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['activities', 'task_channels', 'task_queues', 'workflows', 'workflow_versions',
                             'workers', 'worker_channels', 'tasks', 'reservations', 'task_history',
                             'reservation_history', 'events', 'access', 'idempotency_keys', 'quarantine'] LOOP
        EXECUTE format('ALTER TABLE kin_tr.%I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY readable ON kin_tr.%I FOR SELECT USING (workspace_sid'
                       ' OPERATOR(pg_catalog.=) ANY ((SELECT kin_tr._readable_workspaces())::kin_tr.sid[]))', t);
    END LOOP;
    -- Partitions are read through their parents, and its policy; by themselves, not at all.
    FOREACH t IN ARRAY ARRAY['events_default', 'task_history_default', 'reservation_history_default'] LOOP
        EXECUTE format('ALTER TABLE kin_tr.%I ENABLE ROW LEVEL SECURITY', t);
    END LOOP;
    ALTER TABLE kin_tr.workspaces ENABLE ROW LEVEL SECURITY;
    CREATE POLICY readable ON kin_tr.workspaces FOR SELECT
        USING (sid OPERATOR(pg_catalog.=) ANY ((SELECT kin_tr._readable_workspaces())::kin_tr.sid[]));
END $$;

-- What every role with access may call.  What its kind is not enough for, the
-- functions themselves refuse, and tell which kind is needed and who may grant it;
-- PostgreSQL would only name the function.
CREATE FUNCTION kin_tr._functions_for_roles() RETURNS SETOF regprocedure
    LANGUAGE sql STABLE SET search_path = pg_catalog, kin_tr, pg_temp AS $$
    SELECT p.oid::regprocedure FROM pg_proc p
     WHERE p.pronamespace = 'kin_tr'::regnamespace
       AND (p.proname = ANY (ARRAY['_readable_workspaces', 'get_workspace', 'get_activity', 'get_task_channel',
                'get_task_queue', 'get_workflow', 'get_worker', 'get_worker_channel', 'get_task',
                'get_task_by_call_sid', 'get_reservation', 'worker_status', 'worker_values', 'active_reservations',
                'events_since', 'current_cursor', 'evaluate_expression', 'validate_workflow', 'now',
                'next_due', 'version', 'health', '_sid_eq_text', '_text_eq_sid', '_text_concat_sid',
                '_capacity_percentage', 'create_task',
                'create_voice_call_task', 'create_callback_task', 'update_task', 'cancel_task', 'wrapup_task',
                'complete_task', 'delete_task', 'accept_reservation', 'reject_reservation',
                'wrapup_reservation', 'complete_reservation', 'update_worker_activity', 'tick',
                'create_worker', 'update_worker', 'delete_worker', 'update_worker_channel',
                'update_workspace', 'delete_workspace',
                'create_activity', 'update_activity', 'delete_activity', 'create_task_channel',
                'update_task_channel', 'delete_task_channel', 'create_task_queue', 'update_task_queue',
                'delete_task_queue', 'create_workflow', 'update_workflow', 'delete_workflow',
                'grant_access', 'revoke_access'])
            OR p.proname LIKE '\_sid\_%')
$$;

CREATE FUNCTION kin_tr._may_grant(workspace kin_tr.sid) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
BEGIN
    IF workspace IS NULL OR kin_tr._access_in(workspace) <> 'admin' THEN
        PERFORM kin_tr._require_owner('grant access');
    END IF;
END $$;

-- Grants of PostgreSQL let a role call; the table "access" says where.
CREATE FUNCTION kin_tr._apply_access(role name, kind text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
DECLARE
    f regprocedure;
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA kin_tr TO %I', role);
    EXECUTE format('GRANT SELECT ON kin_tr.workspaces, kin_tr.activities, kin_tr.task_channels,'
                   ' kin_tr.task_queues, kin_tr.workflows, kin_tr.workflow_versions, kin_tr.workers,'
                   ' kin_tr.worker_channels, kin_tr.tasks, kin_tr.reservations, kin_tr.task_history,'
                   ' kin_tr.reservation_history, kin_tr.events, kin_tr.all_tasks, kin_tr.all_reservations,'
                   ' kin_tr.quarantine, kin_tr.quarantined'
                   ' TO %I', role);
    FOR f IN SELECT kin_tr._functions_for_roles() LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', f, role);
    END LOOP;
END $$;

-- Takes all of PostgreSQL's grants back, and gives again what the table "access" still asks for.
CREATE FUNCTION kin_tr._renew_access(role name) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    left_over record;
BEGIN
    EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA kin_tr FROM %I', role);
    EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA kin_tr FROM %I', role);
    EXECUTE format('REVOKE ALL ON SCHEMA kin_tr FROM %I', role);
    FOR left_over IN SELECT DISTINCT a.kind FROM kin_tr.access a WHERE a.role = role LOOP
        PERFORM kin_tr._apply_access(role, left_over.kind);
    END LOOP;
END $$;

CREATE FUNCTION kin_tr._grant_access(role regrole, kind text, workspace kin_tr.sid) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    role_name name := (SELECT r.rolname FROM pg_roles r WHERE r.oid = role);
BEGIN
    IF role_name IS NULL OR kind IS NULL THEN
        RAISE EXCEPTION 'role and kind must not be null'
            USING ERRCODE = 'null_value_not_allowed', HINT = 'Kinds are reader, app, supervisor and admin.';
    END IF;
    PERFORM kin_tr._check_choice('kind', kind, ARRAY['reader', 'app', 'supervisor', 'admin']);
    INSERT INTO kin_tr.access AS a (role, kind, workspace_sid) VALUES (role_name, kind, workspace)
    ON CONFLICT DO NOTHING;
    PERFORM kin_tr._apply_access(role_name, kind);
END $$;

CREATE FUNCTION kin_tr._revoke_access(role regrole, kind text, workspace kin_tr.sid) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    role_name name := (SELECT r.rolname FROM pg_roles r WHERE r.oid = role);
BEGIN
    PERFORM kin_tr._check_choice('kind', kind, ARRAY['reader', 'app', 'supervisor', 'admin']);
    DELETE FROM kin_tr.access a
     WHERE a.role = role_name AND a.kind = kind AND a.workspace_sid IS NOT DISTINCT FROM workspace;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'role "%" has no access of kind "%" there', role_name, kind
            USING ERRCODE = 'undefined_object', HINT = 'The table kin_tr.access tells who has which.';
    END IF;
    PERFORM kin_tr._renew_access(role_name);
END $$;

CREATE FUNCTION kin_tr.grant_access(role regrole, kind text, workspace text DEFAULT NULL) RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_grant'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.grant_access IS
'Lets a role, and its members, use a workspace, or all of them where none is named, kin_tr.workspace notwithstanding:
as reader; as app: tasks, reservations and workers'' activities; as supervisor: workers too; as admin: everything of
the workspace. Errors: 42501, 42704, 22004, 22023. Needs access of kind admin, for all workspaces the owner''s.';
CREATE FUNCTION kin_tr.revoke_access(role regrole, kind text, workspace text DEFAULT NULL) RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_grant'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.revoke_access IS
'Takes back what grant_access() gave with the same arguments; a role can only be dropped after it. Errors: 42501, 42704
where it gave nothing, 22004, 22023. Needs access of kind admin, for all workspaces the owner''s.';
