-- ------------------------------------ routing: functions on configuration
-- Each public function is a door (src/routing/door.c): it checks the caller's
-- right and calls the function of the same name with an underscore as owner.

CREATE FUNCTION kin_tr._lock_for_delete(kin_tr.sid) RETURNS void
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'kin_tr_lock_for_delete'
    SET search_path = pg_catalog, kin_tr, pg_temp;
CREATE FUNCTION kin_tr._try_lock_for_delete(kin_tr.sid) RETURNS boolean
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'kin_tr_try_lock_for_delete'
    SET search_path = pg_catalog, kin_tr, pg_temp;
-- The object that a name or SID means; NULL is an error, or with _resolve_if NULL.
CREATE FUNCTION kin_tr._resolve(kind text, name text, workspace kin_tr.sid) RETURNS kin_tr.sid
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_resolve'
    SET search_path = pg_catalog, kin_tr, pg_temp;
CREATE FUNCTION kin_tr._resolve_if(kind text, name text, workspace kin_tr.sid) RETURNS kin_tr.sid
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'kin_tr_resolve'
    SET search_path = pg_catalog, kin_tr, pg_temp;
-- All of a kind that there are by now, whatever the transaction's snapshot; TC or WK.
CREATE FUNCTION kin_tr._all_of(kind text, workspace kin_tr.sid) RETURNS kin_tr.sid[]
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'kin_tr_all_of'
    SET search_path = pg_catalog, kin_tr, pg_temp;
-- Whoever makes or deletes a worker shares this lock of the workspace; who makes or
-- deletes a channel has it alone: for each pair of them has a row.
CREATE FUNCTION kin_tr._lock_pairs(workspace kin_tr.sid, alone boolean) RETURNS void
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'kin_tr_lock_pairs'
    SET search_path = pg_catalog, kin_tr, pg_temp;
CREATE FUNCTION kin_tr._normalize_workflow(configuration jsonb, workspace kin_tr.sid) RETURNS jsonb
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'kin_tr_normalize_workflow'
    SET search_path = pg_catalog, kin_tr, pg_temp;
-- NULL, or attributes of which one may be meant for a text: skills HAS billing.
CREATE FUNCTION kin_tr._check_expression(expression text) RETURNS text[]
    LANGUAGE c IMMUTABLE STRICT AS 'MODULE_PATHNAME', 'kin_tr_check_expression'
    SET search_path = pg_catalog, kin_tr, pg_temp;
CREATE FUNCTION kin_tr._check_attributes(attributes jsonb) RETURNS void
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'kin_tr_check_attributes'
    SET search_path = pg_catalog, kin_tr, pg_temp;
CREATE FUNCTION kin_tr._evaluate_task_again(task kin_tr.sid) RETURNS void
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'kin_tr_evaluate_task_again'
    SET search_path = pg_catalog, kin_tr, pg_temp;
CREATE FUNCTION kin_tr._regroup_task(task kin_tr.sid) RETURNS void
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'kin_tr_regroup_task'
    SET search_path = pg_catalog, kin_tr, pg_temp;

-- What is being made in a workspace keeps it until the commit; deleting it waits.
CREATE FUNCTION kin_tr._hold_workspace(workspace kin_tr.sid) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    PERFORM FROM kin_tr.workspaces w WHERE w.sid = workspace FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'workspace % does not exist', workspace
            USING ERRCODE = 'undefined_object', HINT = 'It was deleted just now.';
    END IF;
END $$;

-- The same of an activity that a worker, queue or workspace is to name.
CREATE FUNCTION kin_tr._hold_activity(activity text, workspace kin_tr.sid) RETURNS kin_tr.sid
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    held kin_tr.sid;
BEGIN
    SELECT a.sid INTO held FROM kin_tr.activities a
     WHERE a.sid = kin_tr._resolve_if('WA', activity, workspace) FOR KEY SHARE;
    IF activity IS NOT NULL AND held IS NULL THEN
        RAISE EXCEPTION 'activity "%" does not exist', activity
            USING ERRCODE = 'undefined_object', HINT = 'It was deleted just now.';
    END IF;
    RETURN held;
END $$;

-- By which workers' names are compared; NULL: no worker can be called so.
CREATE FUNCTION kin_tr._name_key(name text) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT AS 'MODULE_PATHNAME', 'kin_tr_name_key'
    SET search_path = pg_catalog, kin_tr, pg_temp;

-- A user's text as a message shows it, cut where it is long.
CREATE FUNCTION kin_tr._excerpt(text) RETURNS text
    LANGUAGE c IMMUTABLE STRICT AS 'MODULE_PATHNAME', 'kin_tr_excerpt'
    SET search_path = pg_catalog, kin_tr, pg_temp;

-- A name for a new object: 1 to 64 characters, and not to be taken for a SID.
CREATE FUNCTION kin_tr._check_name(argument text, name text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, kin_tr, pg_temp AS $$
DECLARE
    length_hint text := 'It has 1 to 64 characters, not all of them blanks.';
    -- What looks like a blank, or like nothing at all, in UTF-8 (ascii() gives the code point).
    blanks integer[] := '{9,10,11,12,13,32,133,160,5760,8192,8193,8194,8195,8196,8197,8198,8199,8200,8201,8202,8203,
                          8232,8233,8239,8287,8288,12288,65279}';
    controls text := CASE WHEN getdatabaseencoding() = 'UTF8' THEN '[[:cntrl:]\u0080-\u009f\u202a-\u202e\u2066-\u2069]'
                          ELSE '[[:cntrl:]]' END;
BEGIN
    IF name IS NULL THEN
        RAISE EXCEPTION '% must not be null', argument
            USING ERRCODE = 'null_value_not_allowed', HINT = length_hint;
    ELSIF btrim(name) = '' THEN
        RAISE EXCEPTION '% must not be blank', argument
            USING ERRCODE = 'invalid_parameter_value', HINT = length_hint;
    ELSIF length(name) > 64 THEN
        RAISE EXCEPTION '% has % characters: "%"', argument, length(name), kin_tr._excerpt(name)
            USING ERRCODE = 'invalid_parameter_value', HINT = length_hint;
    ELSIF name COLLATE "C" ~ controls THEN
        RAISE EXCEPTION '% must not have control characters: "%"', argument, regexp_replace(name COLLATE "C", controls, '?', 'g')
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Tabs and line ends are such, too, and in UTF-8 what turns the direction of writing.';
    ELSIF ascii(left(name, 1)) = ANY (blanks) OR ascii(right(name, 1)) = ANY (blanks) THEN
        RAISE EXCEPTION '% must not begin or end with a blank: "%"', argument, name
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Nobody sees the blank, and the name without it would be another.';
    ELSIF kin_tr._is_sid(name) THEN
        RAISE EXCEPTION '% must not look like a SID: "%"', argument, name
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'An argument that names an object takes either, so they must differ.';
    END IF;
END $$;

CREATE FUNCTION kin_tr._refuse_taken(kind text, name text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, kin_tr, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% "%" already exists', kind, name
        USING ERRCODE = 'duplicate_object',
              HINT = CASE kind WHEN 'worker' THEN 'In a worker''s name upper and lower case are the same.'
                     WHEN 'workspace' THEN 'Names are unique within a database.'
                     ELSE 'Names are unique within a workspace.' END;
END $$;

CREATE FUNCTION kin_tr._check_version(kind text, object kin_tr.sid, version bigint, if_version bigint) RETURNS void
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, kin_tr, pg_temp AS $$
BEGIN
    IF version IS DISTINCT FROM coalesce(if_version, version) THEN
        RAISE EXCEPTION '% % is at version %, not %', kind, object, version, if_version
            USING ERRCODE = 'KT002', HINT = 'Read it again, and decide anew.';
    END IF;
END $$;

CREATE FUNCTION kin_tr._refuse_in_use(kind text, name text, by text, hint text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    RAISE EXCEPTION '% "%" is in use by %', kind, name, by USING ERRCODE = 'object_in_use', HINT = hint;
END $$;

CREATE FUNCTION kin_tr._check_choice(argument text, value text, choices text[]) RETURNS void
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, kin_tr, pg_temp AS $$
BEGIN
    IF value IS NOT NULL AND value <> ALL (choices) THEN
        RAISE EXCEPTION '% must be one of %, not "%"', argument, array_to_string(choices, ', '), kin_tr._excerpt(value)
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Upper and lower case are told apart.';
    END IF;
END $$;

CREATE FUNCTION kin_tr._check_range(argument text, value bigint, lowest bigint, highest bigint) RETURNS void
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, kin_tr, pg_temp AS $$
BEGIN
    IF value NOT BETWEEN lowest AND highest THEN
        RAISE EXCEPTION '% must be from % to %, not %', argument, lowest, highest, value
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Left out or NULL it is the default; in an update, what it is already.';
    END IF;
END $$;
