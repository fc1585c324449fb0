-- The extension installs, documents all that it shows, and gives nothing away.
CREATE EXTENSION kin_tr;

-- the version is the same wherever one asks for it
SELECT kin_tr.version() = (SELECT default_version FROM pg_available_extensions WHERE name = 'kin_tr') AS as_in_control,
       kin_tr.version() = (SELECT detail FROM kin_tr.health() WHERE item = 'version') AS as_in_health;

-- a new installation has nothing in it, and nothing wrong
SELECT count(*) AS workspaces FROM kin_tr.workspaces;
SELECT * FROM kin_tr.check();
SELECT item, state FROM kin_tr.health()
 WHERE item NOT IN ('preload', 'launcher', 'router', 'relay', 'housekeeping', 'partitions');
SELECT kin_tr.next_due();

-- every table and view says what it is for
SELECT c.relname AS undocumented FROM pg_class c
 WHERE c.relnamespace = 'kin_tr'::regnamespace AND c.relkind IN ('r', 'p', 'v')
   AND obj_description(c.oid, 'pg_class') IS NULL ORDER BY 1;

-- and each of their columns; a partition's are its parent's
SELECT c.relname || '.' || a.attname AS undocumented FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
 WHERE c.relnamespace = 'kin_tr'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
   AND a.attnum > 0 AND NOT a.attisdropped AND col_description(c.oid, a.attnum) IS NULL ORDER BY 1;

-- and every function that users may call; those that begin with _ are inside
SELECT p.oid::regprocedure AS undocumented FROM pg_proc p
 WHERE p.pronamespace = 'kin_tr'::regnamespace AND p.proname !~ '^_'
   AND obj_description(p.oid, 'pg_proc') IS NULL ORDER BY p.proname;

-- and every type of its own
SELECT t.typname AS undocumented FROM pg_type t
 WHERE t.typnamespace = 'kin_tr'::regnamespace AND t.typrelid = 0 AND t.typelem = 0
   AND obj_description(t.oid, 'pg_type') IS NULL;

-- PUBLIC may not look into the schema, nor at anything in it.  (It may use
-- types, which says nothing: to name one takes the schema; and the functions by
-- which a column of type sid is compared, sorted, hashed, printed and turned into text.)
SELECT count(*) AS open_schemas FROM pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
 WHERE n.nspname = 'kin_tr' AND a.grantee = 0;
SELECT c.relname AS open_relation
  FROM pg_class c, aclexplode(coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner))) a
 WHERE c.relnamespace = 'kin_tr'::regnamespace AND a.grantee = 0;
SELECT p.oid::regprocedure AS open_function
  FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
 WHERE p.pronamespace = 'kin_tr'::regnamespace AND a.grantee = 0 ORDER BY p.proname COLLATE "C";

-- The search path of every function is pinned, but of those that run no SQL of
-- which a search path could change the meaning: sids' own, and inlined bodies
-- that were parsed when they were made.
SELECT p.oid::regprocedure AS not_pinned FROM pg_proc p
 WHERE p.pronamespace = 'kin_tr'::regnamespace
   AND NOT coalesce(p.proconfig, '{}') && ARRAY['search_path=pg_catalog, kin_tr, pg_temp']
   AND p.proname NOT IN ('_sid_in', '_sid_out', '_sid_recv', '_sid_send', '_sid_eq', '_sid_ne', '_sid_lt', '_sid_le',
                         '_sid_gt', '_sid_ge', '_sid_cmp', '_sid_sortsupport', '_sid_hash', '_sid_hash_extended',
                         '_sid_from_text', '_sid_to_text', '_sid_eq_text', '_text_eq_sid', '_sid_concat_text',
                         '_text_concat_sid', '_new_sid', '_is_sid', '_capacity_percentage', 'evaluate_expression')
 ORDER BY p.proname;
SELECT p.proname AS not_parsed_when_made FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
 WHERE p.pronamespace = 'kin_tr'::regnamespace AND l.lanname IN ('sql', 'plpgsql') AND p.proconfig IS NULL AND p.prosqlbody IS NULL;

-- no function runs as its owner for whoever calls it
SELECT p.proname AS security_definer FROM pg_proc p WHERE p.pronamespace = 'kin_tr'::regnamespace AND p.prosecdef;

-- views look with the eyes of who asks, and row-level security guards what is a tenant's
SELECT c.relname AS looks_as_owner FROM pg_class c
 WHERE c.relnamespace = 'kin_tr'::regnamespace AND c.relkind = 'v'
   AND NOT coalesce(c.reloptions, '{}') && ARRAY['security_invoker=true', 'security_invoker=on'];
SELECT c.relname AS unguarded FROM pg_class c
 WHERE c.relnamespace = 'kin_tr'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND NOT c.relrowsecurity
   AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'workspace_sid') ORDER BY 1;

-- comparisons of sids leak nothing, or row-level security would keep them off the indexes
SELECT p.proname AS leaky FROM pg_proc p JOIN pg_amproc a ON a.amproc = p.oid
 WHERE p.pronamespace = 'kin_tr'::regnamespace AND NOT p.proleakproof;
SELECT p.proname AS leaky FROM pg_proc p JOIN pg_operator o ON o.oprcode = p.oid
 WHERE p.pronamespace = 'kin_tr'::regnamespace AND o.oprleft = o.oprright AND NOT p.proleakproof;

-- what users write is dumped; what is not, is only of this server or derived
SELECT c.relname AS not_dumped FROM pg_class c
 WHERE c.relnamespace = 'kin_tr'::regnamespace AND c.relkind IN ('r', 'S')
   AND c.oid <> ALL ((SELECT extconfig FROM pg_extension WHERE extname = 'kin_tr')::oid[]) ORDER BY 1;

-- a schema that somebody planted is not taken over
DROP EXTENSION kin_tr;
SELECT count(*) AS left_behind FROM pg_namespace WHERE nspname = 'kin_tr';
SELECT count(*) AS operators_left_behind FROM pg_operator WHERE oprnamespace = 'pg_catalog'::regnamespace AND oid >= 16384;
CREATE SCHEMA kin_tr;
\set SHOW_CONTEXT never
CREATE EXTENSION kin_tr;
\set SHOW_CONTEXT errors
DROP SCHEMA kin_tr;

-- nothing but kin_tr's own settings may begin with its name
SET kin_tr.no_such_setting = 'x';
-- (the launcher's interval is the tests'; the name of an installation changes with the server where the library is preloaded)
SELECT name, setting, unit, context FROM pg_settings WHERE name ~ '^kin_tr\.' AND name NOT IN ('kin_tr.launcher_interval', 'kin_tr.instance') ORDER BY name;

CREATE EXTENSION kin_tr;
