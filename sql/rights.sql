-- Who may do what: every function against every kind of access, row-level
-- security, two workspaces, and a search path that somebody has prepared.
SET timezone = 'UTC'; SET datestyle = 'ISO';
SELECT kin_tr.set_clock('2026-01-05 09:00Z');
SELECT kin_tr.create_workspace('mine', 'FIFO') AS mine, kin_tr.create_workspace('theirs', 'FIFO') AS theirs \gset
CREATE ROLE regress_kt_reader; CREATE ROLE regress_kt_app; CREATE ROLE regress_kt_supervisor; CREATE ROLE regress_kt_admin; CREATE ROLE regress_kt_nobody;
SELECT kin_tr.grant_access('regress_kt_reader', 'reader', 'mine'), kin_tr.grant_access('regress_kt_app', 'app', 'mine'),
       kin_tr.grant_access('regress_kt_supervisor', 'supervisor', 'mine'), kin_tr.grant_access('regress_kt_admin', 'admin', 'mine');
GRANT USAGE ON SCHEMA test TO PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA test TO PUBLIC; GRANT EXECUTE ON ALL PROCEDURES IN SCHEMA test TO PUBLIC;

-- one call of each public function, in "mine"; %s is the workspace, and what it needs is the first kind that may
SET kin_tr.workspace = 'mine';
SELECT test.worker('Alice', capacity => 50), test.worker('Spare'), test.new('pending', task_channel => 'voice', priority => 1), test.new('reserved'), test.new('accepted'), test.new('assigned');
SELECT kin_tr.update_worker_channel('Alice', 'voice', 0), kin_tr.update_worker_channel('Spare', 'voice', 0), kin_tr.update_worker_channel('Spare', 'default', 0);
SELECT kin_tr.create_activity('Spare'), kin_tr.create_task_channel('Spare', 'spare'), kin_tr.create_task_queue('Spare') \gset
SELECT kin_tr.create_workflow('Spare', '{"task_routing": {"default_filter": {"queue": "Sample Queue"}}}'), kin_tr.create_workflow('Unused', '{"task_routing": {"default_filter": {"queue": "Sample Queue"}}}') \gset
SELECT test.tick();
SELECT kin_tr.accept_reservation(test.reservation('accepted')), kin_tr.accept_reservation(test.reservation('assigned'));
CREATE TABLE test.calls (function text, statement text, needs text);
GRANT SELECT ON test.calls TO PUBLIC;
INSERT INTO test.calls VALUES
    ('get_workspace', $$SELECT kin_tr.get_workspace('mine')$$, 'reader'),
    ('get_activity', $$SELECT kin_tr.get_activity('Available')$$, 'reader'),
    ('get_task_channel', $$SELECT kin_tr.get_task_channel('voice')$$, 'reader'),
    ('get_task_queue', $$SELECT kin_tr.get_task_queue('Sample Queue')$$, 'reader'),
    ('get_workflow', $$SELECT kin_tr.get_workflow('Default Fifo Workflow')$$, 'reader'),
    ('get_worker', $$SELECT kin_tr.get_worker('Alice')$$, 'reader'),
    ('get_worker_channel', $$SELECT kin_tr.get_worker_channel('Alice', 'voice')$$, 'reader'),
    ('get_task', format($$SELECT kin_tr.get_task(%L)$$, test.task('pending')), 'reader'),
    ('get_task_by_call_sid', $$SELECT kin_tr.get_task_by_call_sid('CA1')$$, 'reader'),
    ('get_reservation', format($$SELECT kin_tr.get_reservation(%L)$$, test.reservation('reserved')), 'reader'),
    ('worker_status', $$SELECT kin_tr.worker_status('Alice')$$, 'reader'),
    ('active_reservations', $$SELECT kin_tr.active_reservations()$$, 'reader'),
    ('worker_values', $$SELECT kin_tr.worker_values('Alice')$$, 'reader'),
    ('events_since', $$SELECT kin_tr.events_since()$$, 'reader'),
    ('current_cursor', $$SELECT kin_tr.current_cursor()$$, 'reader'),
    ('evaluate_expression', $$SELECT kin_tr.evaluate_expression('1==1')$$, 'reader'),
    ('validate_workflow', $$SELECT kin_tr.validate_workflow('{}')$$, 'reader'),
    ('now', $$SELECT kin_tr.now()$$, 'reader'),
    ('next_due', $$SELECT kin_tr.next_due()$$, 'reader'),
    ('version', $$SELECT kin_tr.version()$$, 'reader'),
    ('health', $$SELECT kin_tr.health()$$, 'reader'),
    ('create_task', $$SELECT kin_tr.create_task(workflow => 'Default Fifo Workflow')$$, 'app'),
    ('create_voice_call_task', $$SELECT kin_tr.create_voice_call_task('CA1', '+1')$$, 'app'),
    ('create_callback_task', $$SELECT kin_tr.create_callback_task('+1', '2026-01-05 10:00Z')$$, 'app'),
    ('update_task', format($$SELECT kin_tr.update_task(%L, '{}')$$, test.task('pending')), 'app'),
    ('cancel_task', format($$SELECT kin_tr.cancel_task(%L)$$, test.task('pending')), 'app'),
    ('wrapup_task', format($$SELECT kin_tr.wrapup_task(%L)$$, test.task('assigned')), 'app'),
    ('complete_task', format($$SELECT kin_tr.complete_task(%L)$$, test.task('assigned')), 'app'),
    ('delete_task', format($$SELECT kin_tr.delete_task(%L)$$, test.task('pending')), 'app'),
    ('accept_reservation', format($$SELECT kin_tr.accept_reservation(%L)$$, test.reservation('reserved')), 'app'),
    ('reject_reservation', format($$SELECT kin_tr.reject_reservation(%L)$$, test.reservation('reserved')), 'app'),
    ('wrapup_reservation', format($$SELECT kin_tr.wrapup_reservation(%L)$$, test.reservation('accepted')), 'app'),
    ('complete_reservation', format($$SELECT kin_tr.complete_reservation(%L)$$, test.reservation('accepted')), 'app'),
    ('update_worker_activity', $$SELECT kin_tr.update_worker_activity('Alice', 'Offline')$$, 'app'),
    ('tick', $$SELECT kin_tr.tick()$$, 'app'),
    ('create_worker', $$SELECT kin_tr.create_worker('New')$$, 'supervisor'),
    ('update_worker', $$SELECT kin_tr.update_worker('Alice', '{}')$$, 'supervisor'),
    ('delete_worker', $$SELECT kin_tr.delete_worker('Spare')$$, 'supervisor'),
    ('update_worker_channel', $$SELECT kin_tr.update_worker_channel('Alice', 'chat', 5)$$, 'supervisor'),
    ('update_workspace', $$SELECT kin_tr.update_workspace('mine', prioritize_queue_order => 'LIFO')$$, 'admin'),
    ('delete_workspace', $$SELECT kin_tr.delete_workspace('mine')$$, 'admin'),
    ('create_activity', $$SELECT kin_tr.create_activity('New')$$, 'admin'),
    ('update_activity', $$SELECT kin_tr.update_activity('Spare', 'New')$$, 'admin'),
    ('delete_activity', $$SELECT kin_tr.delete_activity('Spare')$$, 'admin'),
    ('create_task_channel', $$SELECT kin_tr.create_task_channel('New', 'new')$$, 'admin'),
    ('update_task_channel', $$SELECT kin_tr.update_task_channel('spare', 'New')$$, 'admin'),
    ('delete_task_channel', $$SELECT kin_tr.delete_task_channel('spare')$$, 'admin'),
    ('create_task_queue', $$SELECT kin_tr.create_task_queue('New')$$, 'admin'),
    ('update_task_queue', $$SELECT kin_tr.update_task_queue('Spare', 'New')$$, 'admin'),
    ('delete_task_queue', $$SELECT kin_tr.delete_task_queue('Spare')$$, 'admin'),
    ('create_workflow', $$SELECT kin_tr.create_workflow('New', '{"task_routing": {"default_filter": {"queue": "Spare"}}}')$$, 'admin'),
    ('update_workflow', $$SELECT kin_tr.update_workflow('Spare', 'New')$$, 'admin'),
    ('delete_workflow', $$SELECT kin_tr.delete_workflow('Unused')$$, 'admin'),
    ('grant_access', $$SELECT kin_tr.grant_access('regress_kt_nobody', 'reader', 'mine')$$, 'admin'),
    ('revoke_access', $$SELECT kin_tr.revoke_access('regress_kt_reader', 'reader', 'mine')$$, 'admin'),
    ('create_workspace', $$SELECT kin_tr.create_workspace('new')$$, 'owner'),
    ('setup_workspace', $$SELECT kin_tr.setup_workspace('new')$$, 'owner'),
    ('ring', $$SELECT kin_tr.ring()$$, 'owner'),
    ('set_clock', $$SELECT kin_tr.set_clock('2026-01-05 09:00Z')$$, 'owner'),
    ('maintain', $$SELECT kin_tr.maintain()$$, 'owner'),
    ('rebind_access', $$SELECT kin_tr.rebind_access()$$, 'owner'),
    ('check', $$SELECT kin_tr.check()$$, 'owner'),
    ('release_quarantine', $$SELECT kin_tr.release_quarantine()$$, 'owner'),
    ('begin_era', $$SELECT kin_tr.begin_era()$$, 'owner'),
    ('resume_after_restore', $$SELECT kin_tr.resume_after_restore()$$, 'owner');
-- (none is forgotten)
SELECT p.proname AS not_tried FROM pg_proc p WHERE p.pronamespace = 'kin_tr'::regnamespace AND p.proname !~ '^_' AND p.proname NOT IN (SELECT function FROM test.calls);

-- what each kind may: a statement that is allowed succeeds (and is undone), one that is not is 42501
CREATE FUNCTION test.as_role(role text, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    EXECUTE format('SET LOCAL ROLE %I', role);
    result := test.sqlstate(statement);
    RESET ROLE;
    RETURN result;
END $$;
CREATE VIEW test.rights AS
    SELECT c.function, c.needs, r.kind, test.as_role('regress_kt_' || r.kind, c.statement) AS result,
           array_position(ARRAY['reader', 'app', 'supervisor', 'admin', 'owner'], c.needs) <= coalesce(array_position(ARRAY['reader', 'app', 'supervisor', 'admin'], r.kind), 0) AS allowed
      FROM test.calls c, unnest(ARRAY['nobody', 'reader', 'app', 'supervisor', 'admin']) r(kind);
SELECT kind, count(*) FILTER (WHERE allowed) AS may, count(*) FILTER (WHERE NOT allowed) AS may_not,
       count(*) FILTER (WHERE (result = 'none') <> allowed) AS wrong FROM test.rights GROUP BY kind ORDER BY 2;
SELECT function, kind, result, CASE WHEN allowed THEN 'none' ELSE '42501' END AS expected FROM test.rights
 WHERE result <> CASE WHEN allowed THEN 'none' ELSE '42501' END;
-- the owner and a member of the owner's role may all; as may who is given all workspaces, but for what is the owner's
SELECT count(*) AS wrong FROM test.calls WHERE needs <> 'owner' AND test.sqlstate(statement) <> 'none';
CREATE ROLE regress_kt_everywhere;
SELECT kin_tr.grant_access('regress_kt_everywhere', 'admin');
SELECT function, test.as_role('regress_kt_everywhere', statement) AS result FROM test.calls
 WHERE (test.as_role('regress_kt_everywhere', statement) = 'none') <> (needs <> 'owner');
SELECT p.oid::regprocedure AS inner_function_that_is_open FROM pg_proc p
 WHERE p.pronamespace = 'kin_tr'::regnamespace AND p.proname ~ '^_' AND has_function_privilege('regress_kt_everywhere', p.oid, 'EXECUTE')
   AND p.proname !~ '^_(sid_|text_eq_sid$|text_concat_sid$|capacity_percentage$|readable_workspaces$)';

-- rights are of a workspace: in another one it is as if they had none
CREATE FUNCTION test.elsewhere(statement text) RETURNS text LANGUAGE sql AS $$ SELECT replace(replace(statement, '''mine''', '''theirs'''), 'kin_tr.health()', 'kin_tr.get_workspace(''theirs'')') $$;
SET kin_tr.workspace = 'theirs';
SELECT c.function, test.as_role('regress_kt_admin', test.elsewhere(statement)) AS result FROM test.calls c
 WHERE needs NOT IN ('owner') AND function NOT IN ('current_cursor', 'evaluate_expression', 'validate_workflow', 'now', 'next_due', 'version', 'tick', 'grant_access', 'revoke_access')
   AND statement !~ '''W[TRK]' AND test.as_role('regress_kt_admin', test.elsewhere(statement)) <> '42501';
SELECT test.as_role('regress_kt_admin', $$SELECT kin_tr.grant_access('regress_kt_nobody', 'reader', 'theirs')$$) AS grant_elsewhere,
       test.as_role('regress_kt_admin', $$SELECT kin_tr.grant_access('regress_kt_nobody', 'reader')$$) AS grant_everywhere;
-- what is there is not even told to exist
CALL test.clear();
SELECT test.new('secret') AS made;
SELECT test.task('secret') AS secret, kin_tr.create_worker('Secret') AS secret_worker \gset
SET ROLE regress_kt_admin;
RESET kin_tr.workspace;
CALL test.refused(format($$SELECT kin_tr.get_task(%L)$$, :'secret'));
CALL test.refused(format($$SELECT kin_tr.cancel_task(%L)$$, :'secret'));
CALL test.refused(format($$SELECT kin_tr.get_worker(%L)$$, :'secret_worker'));
CALL test.refused(format($$SELECT kin_tr.delete_worker(%L)$$, :'secret_worker'));
CALL test.refused(format($$SELECT kin_tr.create_task(routing_target => %L)$$, :'secret_worker'));
SELECT count(*) FROM kin_tr.events_since(resource => :'secret');
-- but that a workspace is another's is, by what the caller calls it
CALL test.refused($$SELECT kin_tr.get_workspace('theirs')$$);
CALL test.refused(format($$SELECT kin_tr.get_workspace(%L)$$, :'theirs'));
CALL test.refused($$SELECT kin_tr.get_workspace('nowhere')$$);
-- the only workspace that one may use is the one that is meant
SELECT friendly_name FROM kin_tr.get_workspace();
RESET ROLE;
SET ROLE regress_kt_nobody;
CALL test.refused($$SELECT kin_tr.get_workspace()$$);
RESET ROLE;
SET ROLE regress_kt_everywhere;
CALL test.refused($$SELECT kin_tr.get_workspace()$$);
RESET ROLE;

-- ------------------------------------------------------ reading the tables
-- row-level security shows what one may read, whatever settings say
SET kin_tr.workspace = 'theirs';
CREATE FUNCTION test.count_as(role text, relation text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
BEGIN
    EXECUTE format('SET LOCAL ROLE %I', role);
    EXECUTE format('SELECT count(*) FROM kin_tr.%I', relation) INTO n;
    RESET ROLE;
    RETURN n;
EXCEPTION WHEN insufficient_privilege THEN
    RETURN 'refused';
END $$;
SELECT c.relname AS relation, test.count_as('regress_kt_nobody', c.relname) AS nobody, test.count_as('regress_kt_admin', c.relname) ~ '^[0-9]+$' AS admin_reads
  FROM pg_class c WHERE c.relnamespace = 'kin_tr'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition ORDER BY 1;
SET ROLE regress_kt_reader;
SELECT count(*) AS theirs FROM kin_tr.tasks WHERE workspace_sid = :'theirs';
SELECT count(*) AS theirs FROM kin_tr.all_tasks WHERE workspace_sid = :'theirs';
SELECT count(*) AS theirs FROM kin_tr.events WHERE workspace_sid = :'theirs';
SELECT count(*) > 0 AS mine FROM kin_tr.events WHERE workspace_sid = :'mine';
SELECT count(*) AS theirs FROM kin_tr.workers WHERE sid = :'secret_worker';
SELECT count(*) > 0 AS mine, count(*) FILTER (WHERE workspace_sid <> :'mine') AS others FROM kin_tr.task_queues;
-- a partition is no way past the policy of its parent
SELECT count(*) FROM kin_tr.events_default;
-- and none may write, whatever its kind
RESET ROLE;
SELECT c.relname AS writable FROM pg_class c, unnest(ARRAY['regress_kt_reader', 'regress_kt_app', 'regress_kt_supervisor', 'regress_kt_admin', 'regress_kt_everywhere']) r
 WHERE c.relnamespace = 'kin_tr'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND (has_table_privilege(r, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER'));
SELECT c.relname AS usable FROM pg_class c, unnest(ARRAY['regress_kt_admin', 'regress_kt_everywhere']) r
 WHERE c.relnamespace = 'kin_tr'::regnamespace AND c.relkind = 'S' AND has_sequence_privilege(r, c.oid, 'USAGE, UPDATE');
-- an index serves a look-up under row-level security
SET ROLE regress_kt_reader; SET enable_seqscan = off;
DO $$
DECLARE
    line text;
BEGIN
    FOR line IN EXPLAIN (COSTS OFF) SELECT attributes FROM kin_tr.tasks WHERE sid = 'WT00000000000000000000000000000001' LOOP
        IF line ~ 'Index Scan|Index Cond' THEN
            RAISE INFO '%', substring(line from 'tasks_pkey|sid = ''WT0*1''::kin_tr.sid');
        END IF;
    END LOOP;
END $$;
RESET ROLE; RESET enable_seqscan;
-- tick() acts where its caller has app, and nowhere else
SET kin_tr.workspace = 'theirs';
SELECT kin_tr.update_worker_activity('Secret', 'Available');
SELECT test.as_role('regress_kt_reader', 'SELECT kin_tr.tick()') AS reader;
SET ROLE regress_kt_app;
SELECT assigned FROM kin_tr.tick();
RESET ROLE;
SELECT test.status('secret');
SET kin_tr.workspace = 'mine';
SELECT test.new('mine', workflow => 'Spare') AS made;
SET ROLE regress_kt_app;
SELECT assigned, timed_out, moved, canceled, more FROM kin_tr.tick();
RESET ROLE;
SELECT test.status('mine');
SELECT test.tick();
SET kin_tr.workspace = 'theirs';
SELECT test.status('secret');

-- -------------------------------------------------------- giving and taking
SET kin_tr.workspace = 'mine';
CALL test.refused($$SELECT kin_tr.grant_access('regress_kt_nobody', 'king')$$);
CALL test.refused($$SELECT kin_tr.grant_access('regress_kt_nobody', NULL)$$);
CALL test.refused($$SELECT kin_tr.grant_access(NULL, 'reader')$$);
CALL test.refused($$SELECT kin_tr.grant_access('regress_kt_unknown', 'reader')$$);
CALL test.refused($$SELECT kin_tr.grant_access('regress_kt_nobody', 'reader', 'nowhere')$$);
CALL test.refused($$SELECT kin_tr.revoke_access('regress_kt_nobody', 'reader', 'mine')$$);
CALL test.refused($$SELECT kin_tr.revoke_access('regress_kt_reader', 'app', 'mine')$$);
-- twice is once; what is left keeps what it needs
SELECT kin_tr.grant_access('regress_kt_nobody', 'reader', 'mine'), kin_tr.grant_access('regress_kt_nobody', 'reader', 'mine'), kin_tr.grant_access('regress_kt_nobody', 'app', 'theirs');
SELECT role, kind, friendly_name FROM kin_tr.access a LEFT JOIN kin_tr.workspaces w ON w.sid = a.workspace_sid WHERE role = 'regress_kt_nobody' ORDER BY 2;
SELECT test.as_role('regress_kt_nobody', $$SELECT kin_tr.create_task(workspace => 'theirs')$$) AS app_there, test.as_role('regress_kt_nobody', $$SELECT kin_tr.create_task(workflow => 'Spare', workspace => 'mine')$$) AS reader_here;
SELECT kin_tr.revoke_access('regress_kt_nobody', 'app', 'theirs');
SELECT test.as_role('regress_kt_nobody', $$SELECT kin_tr.create_task(workspace => 'theirs')$$) AS app_there, test.as_role('regress_kt_nobody', $$SELECT kin_tr.get_workspace('mine')$$) AS reader_here;
SELECT kin_tr.revoke_access('regress_kt_nobody', 'reader', 'mine');
SELECT test.as_role('regress_kt_nobody', $$SELECT kin_tr.get_workspace('mine')$$) AS reader_here, has_schema_privilege('regress_kt_nobody', 'kin_tr', 'USAGE') AS schema;
-- a workspace's admin gives in it, and takes back; a member of a role has what the role has
SET ROLE regress_kt_admin;
SELECT kin_tr.grant_access('regress_kt_nobody', 'supervisor', 'mine');
SELECT kin_tr.revoke_access('regress_kt_nobody', 'supervisor', 'mine');
RESET ROLE;
CREATE ROLE regress_kt_member IN ROLE regress_kt_supervisor;
SELECT test.as_role('regress_kt_member', $$SELECT kin_tr.update_worker('Alice', '{}')$$) AS member;
REVOKE regress_kt_supervisor FROM regress_kt_member;
SELECT test.as_role('regress_kt_member', $$SELECT kin_tr.update_worker('Alice', '{}')$$) AS member_no_more;
-- one that does not inherit has it after SET ROLE alone
CREATE ROLE regress_kt_noinherit NOINHERIT IN ROLE regress_kt_supervisor;
SELECT test.as_role('regress_kt_noinherit', $$SELECT kin_tr.update_worker('Alice', '{}')$$) AS noinherit;
-- what was given goes with the last revocation, so nothing holds the role
SELECT kin_tr.revoke_access('regress_kt_supervisor', 'supervisor', 'mine');
DROP ROLE regress_kt_member, regress_kt_noinherit, regress_kt_supervisor;

-- --------------------------------------------------- hostile search path
-- a schema put first, and even before pg_catalog, with operators, functions and tables of every name that kin_tr uses
CREATE SCHEMA hostile;
GRANT USAGE ON SCHEMA hostile TO PUBLIC;
CREATE FUNCTION hostile.bang() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'hostile code ran as %', current_user; END $$;
CREATE FUNCTION hostile.eq(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT hostile.bang()';
CREATE FUNCTION hostile.eq(integer, integer) RETURNS boolean LANGUAGE sql AS 'SELECT hostile.bang()';
CREATE FUNCTION hostile.eq(bigint, bigint) RETURNS boolean LANGUAGE sql AS 'SELECT hostile.bang()';
CREATE FUNCTION hostile.eq(timestamptz, timestamptz) RETURNS boolean LANGUAGE sql AS 'SELECT hostile.bang()';
CREATE FUNCTION hostile.eq(kin_tr.sid, kin_tr.sid) RETURNS boolean LANGUAGE sql AS 'SELECT hostile.bang()';
CREATE FUNCTION hostile.eq(kin_tr.sid, text) RETURNS boolean LANGUAGE sql AS 'SELECT hostile.bang()';
CREATE FUNCTION hostile.eq(jsonb, jsonb) RETURNS boolean LANGUAGE sql AS 'SELECT hostile.bang()';
CREATE FUNCTION hostile.cat(text, text) RETURNS text LANGUAGE sql AS 'SELECT hostile.bang()::text';
CREATE FUNCTION hostile.cat(jsonb, jsonb) RETURNS jsonb LANGUAGE sql AS 'SELECT to_jsonb(hostile.bang())';
CREATE FUNCTION hostile.plus(integer, integer) RETURNS integer LANGUAGE sql AS 'SELECT hostile.bang()::integer';
CREATE FUNCTION hostile.plus(bigint, integer) RETURNS bigint LANGUAGE sql AS 'SELECT hostile.bang()::integer';
CREATE FUNCTION hostile.minus(timestamptz, interval) RETURNS timestamptz LANGUAGE sql AS 'SELECT now() WHERE hostile.bang()';
DO $$
DECLARE
    o text;
BEGIN
    FOREACH o IN ARRAY ARRAY['=', '<>', '<', '>', '<=', '>='] LOOP
        EXECUTE format('CREATE OPERATOR hostile.%s (LEFTARG = text, RIGHTARG = text, FUNCTION = hostile.eq)', o);
        EXECUTE format('CREATE OPERATOR hostile.%s (LEFTARG = integer, RIGHTARG = integer, FUNCTION = hostile.eq)', o);
        EXECUTE format('CREATE OPERATOR hostile.%s (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = hostile.eq)', o);
        EXECUTE format('CREATE OPERATOR hostile.%s (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = hostile.eq)', o);
        EXECUTE format('CREATE OPERATOR hostile.%s (LEFTARG = kin_tr.sid, RIGHTARG = kin_tr.sid, FUNCTION = hostile.eq)', o);
        EXECUTE format('CREATE OPERATOR hostile.%s (LEFTARG = jsonb, RIGHTARG = jsonb, FUNCTION = hostile.eq)', o);
    END LOOP;
    CREATE OPERATOR hostile.= (LEFTARG = kin_tr.sid, RIGHTARG = text, FUNCTION = hostile.eq);
    CREATE OPERATOR hostile.|| (LEFTARG = text, RIGHTARG = text, FUNCTION = hostile.cat);
    CREATE OPERATOR hostile.|| (LEFTARG = jsonb, RIGHTARG = jsonb, FUNCTION = hostile.cat);
    CREATE OPERATOR hostile.+ (LEFTARG = integer, RIGHTARG = integer, FUNCTION = hostile.plus);
    CREATE OPERATOR hostile.+ (LEFTARG = bigint, RIGHTARG = integer, FUNCTION = hostile.plus);
    CREATE OPERATOR hostile.- (LEFTARG = timestamptz, RIGHTARG = interval, FUNCTION = hostile.minus);
END $$;
-- functions under the names of those that kin_tr calls
DO $$
DECLARE
    f record;
BEGIN
    FOR f IN SELECT DISTINCT p.proname, pg_get_function_identity_arguments(p.oid) AS args, p.prorettype::regtype AS result FROM pg_proc p
              WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f' AND NOT p.proretset AND p.provariadic = 0 AND p.prorettype::regtype::text !~ '(any|internal|cstring|void|trigger|record)'
                AND p.proname IN ('now', 'clock_timestamp', 'lower', 'upper', 'left', 'length', 'format', 'isfinite', 'to_char', 'btrim', 'jsonb_typeof', 'date_trunc', 'make_interval', 'current_database',
                                  'current_setting', 'initcap', 'to_jsonb', 'to_regclass', 'regexp_match', 'array_to_string') AND pg_get_function_identity_arguments(p.oid) !~ '(any|internal)' LOOP
        EXECUTE format('CREATE FUNCTION hostile.%I(%s) RETURNS %s LANGUAGE plpgsql AS $f$ BEGIN RAISE EXCEPTION ''hostile %s() ran as %%'', current_user; END $f$', f.proname, f.args, f.result, f.proname);
    END LOOP;
END $$;
-- tables under the names of kin_tr's and of the catalogs'
CREATE TABLE hostile.tasks (x integer); CREATE TABLE hostile.workers (x integer); CREATE TABLE hostile.workspaces (x integer); CREATE TABLE hostile.access (x integer); CREATE TABLE hostile.events (x integer);
CREATE TABLE hostile.pg_class (x integer); CREATE TABLE hostile.pg_proc (x integer); CREATE TABLE hostile.pg_roles (x integer); CREATE TABLE hostile.pg_inherits (x integer); CREATE TABLE hostile.pg_database (x integer);
CREATE TYPE hostile.sid AS (x integer); CREATE DOMAIN hostile.text AS integer; CREATE DOMAIN hostile.jsonb AS integer; CREATE DOMAIN hostile.timestamptz AS integer;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA hostile TO PUBLIC;
SELECT kin_tr.grant_access('regress_kt_nobody', 'admin', 'mine');
-- every function once more, in a new session, which has parsed nothing yet; as one
-- who may, and who has prepared the path; also with temporary tables
\c -
SET timezone = 'UTC'; SET datestyle = 'ISO'; SET kin_tr.workspace = 'mine';
CREATE FUNCTION test.under_attack(statement text, role text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    message text;
BEGIN
    EXECUTE pg_catalog.format('SET LOCAL ROLE %I', role);
    SET LOCAL search_path = hostile, pg_temp, kin_tr, pg_catalog;
    EXECUTE statement;
    RAISE EXCEPTION 'undo' USING ERRCODE = 'ZZ999';
EXCEPTION WHEN SQLSTATE 'ZZ999' THEN
    RETURN NULL;
WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT;
    RETURN message;
END $$;
CREATE TEMPORARY TABLE tasks (x integer); CREATE TEMPORARY TABLE workspaces (x integer);
-- (the calls above, made again, since what they are about is another one now)
SELECT test.new('pending 2', task_channel => 'voice', workflow => 'Spare', priority => 1), test.new('reserved 2', workflow => 'Spare'), test.new('accepted 2', workflow => 'Spare') \gset
SELECT test.tick() AS assigned;
SELECT kin_tr.accept_reservation(test.reservation('accepted 2'));
UPDATE test.calls SET statement = format($$SELECT kin_tr.%s(%L)$$, function, test.task('pending 2')) WHERE function IN ('get_task', 'cancel_task', 'delete_task');
UPDATE test.calls SET statement = format($$SELECT kin_tr.update_task(%L, '{"a": 1}'::pg_catalog.jsonb)$$, test.task('pending 2')) WHERE function = 'update_task';
UPDATE test.calls SET statement = format($$SELECT kin_tr.%s(%L)$$, function, test.task('accepted 2')) WHERE function IN ('wrapup_task', 'complete_task');
UPDATE test.calls SET statement = format($$SELECT kin_tr.%s(%L)$$, function, test.reservation('reserved 2')) WHERE function IN ('get_reservation', 'accept_reservation', 'reject_reservation');
UPDATE test.calls SET statement = format($$SELECT kin_tr.%s(%L)$$, function, test.reservation('accepted 2')) WHERE function IN ('wrapup_reservation', 'complete_reservation');
UPDATE test.calls SET statement = $$SELECT kin_tr.revoke_access('regress_kt_reader', 'reader', 'mine')$$ WHERE function = 'revoke_access';
SELECT function, test.under_attack(statement, 'regress_kt_nobody') AS trouble FROM test.calls
 WHERE needs <> 'owner' AND function <> 'resume_after_restore' AND test.under_attack(statement, 'regress_kt_nobody') IS NOT NULL;
SELECT function, test.under_attack(statement, session_user) AS trouble FROM test.calls
 WHERE function NOT IN ('resume_after_restore') AND test.under_attack(statement, session_user) IS NOT NULL;
-- reading under row-level security, too
SELECT test.under_attack('SELECT pg_catalog.count(*) FROM kin_tr.' || t, 'regress_kt_nobody') AS trouble
  FROM unnest(ARRAY['workspaces', 'tasks', 'all_tasks', 'all_reservations', 'events', 'workers']) t WHERE test.under_attack('SELECT pg_catalog.count(*) FROM kin_tr.' || t, 'regress_kt_nobody') IS NOT NULL;
-- that the attack is one: what is not pinned falls to it
SELECT test.under_attack($$SELECT 1 = 1$$, 'regress_kt_nobody'), test.under_attack($$SELECT lower('X'::pg_catalog.text)$$, 'regress_kt_nobody');
DROP TABLE pg_temp.tasks, pg_temp.workspaces;
\set VERBOSITY terse
SET client_min_messages = warning;
DROP SCHEMA hostile CASCADE;
RESET client_min_messages;
\set VERBOSITY default

SELECT test.faults();
SELECT kin_tr.delete_workspace('mine'), kin_tr.delete_workspace('theirs');
-- access to a deleted workspace is gone with it
SELECT role, kind FROM kin_tr.access;
SELECT kin_tr.revoke_access('regress_kt_everywhere', 'admin');
DROP VIEW test.rights;
DROP TABLE test.calls;
DROP FUNCTION test.as_role, test.count_as, test.elsewhere, test.under_attack;
REVOKE ALL ON SCHEMA test FROM PUBLIC;
-- and nothing holds the roles
DROP ROLE regress_kt_reader, regress_kt_app, regress_kt_admin, regress_kt_nobody, regress_kt_everywhere;
