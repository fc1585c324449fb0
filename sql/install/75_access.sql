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
                'next_due', 'version', 'health', '_capacity_percentage', 'create_task',
                'create_voice_call_task', 'create_callback_task', 'update_task', 'cancel_task', 'wrapup_task',
                'complete_task', 'delete_task', 'accept_reservation', 'reject_reservation',
                'wrapup_reservation', 'complete_reservation', 'update_worker_activity', 'tick',
                'create_worker', 'update_worker', 'delete_worker', 'update_worker_channel',
                'update_workspace', 'delete_workspace',
                'create_activity', 'update_activity', 'delete_activity', 'create_task_channel',
                'update_task_channel', 'delete_task_channel', 'create_task_queue', 'update_task_queue',
                'delete_task_queue', 'create_workflow', 'update_workflow', 'delete_workflow',
                'grant_access', 'revoke_access']))
$$;

-- PostgreSQL's privileges that every role with access needs, and who has each.
CREATE FUNCTION kin_tr._privileges() RETURNS TABLE (privilege text, acl aclitem[])
    LANGUAGE sql STABLE SET search_path = pg_catalog, kin_tr, pg_temp AS $$
    SELECT 'USAGE ON SCHEMA kin_tr', n.nspacl FROM pg_namespace n WHERE n.nspname = 'kin_tr'
    UNION ALL
    SELECT format('SELECT ON TABLE kin_tr.%I', c.relname), c.relacl FROM pg_class c
     WHERE c.relnamespace = 'kin_tr'::regnamespace
       AND c.relname = ANY (ARRAY['workspaces', 'activities', 'task_channels', 'task_queues', 'workflows',
               'workflow_versions', 'workers', 'worker_channels', 'tasks', 'reservations', 'task_history',
               'reservation_history', 'events', 'all_tasks', 'all_reservations',
               'quarantine', 'quarantined'])
    UNION ALL
    SELECT 'EXECUTE ON FUNCTION ' || i.identity, p.proacl
      FROM pg_proc p, pg_identify_object('pg_proc'::regclass, p.oid, 0) i
     WHERE p.oid IN (SELECT f FROM kin_tr._functions_for_roles() f)
$$;

-- Two who grant at once would change the same rows of the catalog, so one waits, but
-- not for as long as the other likes to keep its transaction open.
CREATE FUNCTION kin_tr._lock_grants() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp SET lock_timeout = '2s' AS $$
BEGIN
    LOCK TABLE kin_tr.access_grants IN SHARE ROW EXCLUSIVE MODE;
EXCEPTION WHEN lock_not_available THEN
    RAISE EXCEPTION 'another transaction is granting access, or taking it back, and has not ended'
        USING ERRCODE = 'lock_not_available',
              DETAIL = (SELECT 'It is that of process ' || min(l.pid) || '.' FROM pg_locks l
                         WHERE l.relation = 'kin_tr.access_grants'::regclass AND l.granted AND l.mode = 'ShareRowExclusiveLock'),
              HINT = 'Try again when it has.';
END $$;

-- What a role has not of PostgreSQL's privileges.
CREATE FUNCTION kin_tr._missing_privileges(role regrole) RETURNS SETOF text
    LANGUAGE sql STABLE SET search_path = pg_catalog, kin_tr, pg_temp AS $$
    SELECT p.privilege FROM kin_tr._privileges() p
     WHERE NOT EXISTS (SELECT FROM aclexplode(p.acl) a
                        WHERE a.grantee = role AND a.privilege_type = split_part(p.privilege, ' ', 1))
$$;

-- Grants of PostgreSQL let a role call; the table "access" says where.  What the
-- role has been given by somebody else stays that one's.
CREATE FUNCTION kin_tr._apply_access(role regrole) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    missing text;
BEGIN
    -- Mostly there is none, and then nobody is waited for.
    IF NOT EXISTS (SELECT FROM kin_tr._missing_privileges(role)) THEN
        RETURN;
    END IF;
    PERFORM kin_tr._lock_grants();
    FOR missing IN SELECT m FROM kin_tr._missing_privileges(role) m LOOP
        EXECUTE format('GRANT %s TO %s', missing, role);
        INSERT INTO kin_tr.access_grants SELECT r.rolname, r.oid, missing FROM pg_roles r WHERE r.oid = role
        ON CONFLICT DO NOTHING;
    END LOOP;
END $$;

-- Is a row of a role?  Also one that was given to it under a former name, or to a
-- dropped role of its name, which means nothing any more.
CREATE FUNCTION kin_tr._is_of_role(role regrole, given_name name, given_oid oid) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, kin_tr, pg_temp AS $$
    SELECT given_oid = role OR (given_name = (SELECT r.rolname FROM pg_roles r WHERE r.oid = role)
                          AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = given_oid))
$$;

-- What was granted to a role, and nothing in the table "access" asks for any more.
CREATE FUNCTION kin_tr._idle_grants(of_role regrole) RETURNS SETOF kin_tr.access_grants
    LANGUAGE sql STABLE SET search_path = pg_catalog, kin_tr, pg_temp AS $$
    SELECT g.* FROM kin_tr.access_grants g
     WHERE kin_tr._is_of_role(of_role, g.role, g.role_oid)
       AND NOT (g.role_oid = of_role AND g.privilege IN (SELECT p.privilege FROM kin_tr._privileges() p)
                AND EXISTS (SELECT FROM kin_tr.access a JOIN pg_roles r ON r.oid = a.role_oid AND r.rolname = a.role
                             WHERE r.oid = of_role))
$$;

-- Takes it back.
CREATE FUNCTION kin_tr._renew_access(role regrole) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    idle kin_tr.access_grants;
BEGIN
    IF NOT EXISTS (SELECT FROM kin_tr._idle_grants(role)) THEN
        RETURN;
    END IF;
    PERFORM kin_tr._lock_grants();
    FOR idle IN SELECT * FROM kin_tr._idle_grants(role) LOOP
        DELETE FROM kin_tr.access_grants g
         WHERE g.role = idle.role AND g.role_oid = idle.role_oid AND g.privilege = idle.privilege;
        -- One that there is no more, such as a function of an older version, is gone with its grants.
        IF idle.role_oid = role AND idle.privilege IN (SELECT p.privilege FROM kin_tr._privileges() p) THEN
            EXECUTE format('REVOKE %s FROM %s', idle.privilege, role);
        END IF;
    END LOOP;
END $$;

-- Would a role, or a member of it, have access here and in other workspaces than these,
-- and so have to say from now on which one it means?
CREATE FUNCTION kin_tr._is_elsewhere(role regrole, workspaces kin_tr.sid[]) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, kin_tr, pg_temp AS $$
    WITH members AS MATERIALIZED (
        SELECT m.oid FROM pg_roles m WHERE NOT m.rolsuper AND pg_has_role(m.oid, role, 'USAGE'))
    SELECT EXISTS (SELECT FROM kin_tr.access a
                     JOIN pg_roles r ON r.oid = a.role_oid AND r.rolname = a.role
                     JOIN members m ON pg_has_role(m.oid, r.oid, 'USAGE')
                    WHERE a.workspace_sid IS NULL OR a.workspace_sid <> ALL (workspaces))
$$;

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
    DELETE FROM kin_tr.access a
     WHERE a.kind = kind AND a.workspace_sid IS NOT DISTINCT FROM workspace
       AND kin_tr._is_of_role(role, a.role, a.role_oid) AND (a.role, a.role_oid) <> (role_name, role::oid);
    INSERT INTO kin_tr.access (role, role_oid, kind, workspace_sid, scope)
    VALUES (role_name, role, kind, workspace, coalesce(workspace::text, 'all'))
    ON CONFLICT DO NOTHING;
    PERFORM kin_tr._apply_access(role);
END $$;

CREATE FUNCTION kin_tr._revoke_access(role regrole, kind text, workspace kin_tr.sid) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    PERFORM kin_tr._check_choice('kind', kind, ARRAY['reader', 'app', 'supervisor', 'admin']);
    DELETE FROM kin_tr.access a
     WHERE a.kind = kind AND a.workspace_sid IS NOT DISTINCT FROM workspace
       AND kin_tr._is_of_role(role, a.role, a.role_oid);
    IF NOT FOUND THEN
        RAISE EXCEPTION 'role "%" has no access of kind "%" there', (SELECT r.rolname FROM pg_roles r WHERE r.oid = role), kind
            USING ERRCODE = 'undefined_object', HINT = 'The table kin_tr.access tells who has which.';
    END IF;
    PERFORM kin_tr._renew_access(role);
END $$;

-- What stands under one name alone goes to the role that has this name now; under
-- a name that has been two roles' nobody can tell which is which.
CREATE FUNCTION kin_tr._rebind_access() RETURNS integer
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
DECLARE
    moved record;
    given record;
    n integer := 0;
BEGIN
    FOR moved IN
        SELECT a.role, min(a.role_oid) AS before, r.oid AS now, count(*)::integer AS n
          FROM kin_tr.access a JOIN pg_roles r ON r.rolname = a.role
         GROUP BY a.role, r.oid HAVING min(a.role_oid) = max(a.role_oid) AND min(a.role_oid) <> r.oid LOOP
        UPDATE kin_tr.access a SET role_oid = moved.now WHERE a.role = moved.role;
        DELETE FROM kin_tr.access_grants g WHERE g.role = moved.role AND g.role_oid <> moved.before;
        UPDATE kin_tr.access_grants g SET role_oid = moved.now WHERE g.role = moved.role;
        n := n + moved.n;
    END LOOP;
    FOR given IN
        SELECT DISTINCT r.oid, a.kind FROM kin_tr.access a JOIN pg_roles r ON r.oid = a.role_oid AND r.rolname = a.role LOOP
        PERFORM kin_tr._apply_access(given.oid::regrole);
    END LOOP;
    RETURN n;
END $$;

CREATE FUNCTION kin_tr.rebind_access() RETURNS integer
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_admin'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.rebind_access() IS
'Gives what kin_tr.access has under a name to the role that has this name now, for roles that were made after a dump
was restored, and gives each what PostgreSQL must let it do; resume_after_restore() does so in another cluster. Returns
the number of rows that have found their role. A name under which there are rows of two roles is left alone: grant
anew, or revoke. Only for the owner.';
CREATE FUNCTION kin_tr.grant_access(role regrole, kind text, workspace text DEFAULT NULL) RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_grant'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.grant_access IS
'Lets a role, and its members, use a workspace, or all of them where none is named, kin_tr.workspace notwithstanding:
as reader; as app: tasks, reservations and workers'' activities; as supervisor: workers too; as admin: everything of
the workspace. It is given to the role of this name and OID: once renamed, it is to be granted anew. Only the owner
gives access to a predefined role, or to one that has some in a workspace whose admin the caller is not, for such a
role must then always say which workspace it means. A role''s first access waits for others who grant at the same time, two seconds at most.
Errors: 42501, 42704, 22004, 22023, 55P03. Needs access of kind admin, for all workspaces the owner''s.';
CREATE FUNCTION kin_tr.revoke_access(role regrole, kind text, workspace text DEFAULT NULL) RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_door_revoke'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.revoke_access IS
'Takes back what grant_access() gave with the same arguments, and of PostgreSQL''s privileges those that no other access
of the role needs; what others have granted stays. A role can only be dropped after it. Errors: 42501, 42704
where it gave nothing, 22004, 22023, 55P03. Needs access of kind admin, for all workspaces the owner''s.';
