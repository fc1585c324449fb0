-- The type kin_tr.sid: what it takes, how it compares, and that indexes serve it.

-- two capital letters and 32 hexadecimal digits, of which the case does not count
SELECT 'WT0123456789abcdef0123456789ABCDEF'::kin_tr.sid;
CALL test.refused($$SELECT 'WT0123456789abcdef0123456789abcdef0'::kin_tr.sid$$);
CALL test.refused($$SELECT 'WT0123456789abcdef0123456789abcde'::kin_tr.sid$$);
CALL test.refused($$SELECT 'wt0123456789abcdef0123456789abcdef'::kin_tr.sid$$);
CALL test.refused($$SELECT 'WT0123456789abcdef0123456789abcdeg'::kin_tr.sid$$);
CALL test.refused($$SELECT ' WT0123456789abcdef0123456789abcde'::kin_tr.sid$$);
CALL test.refused($$SELECT ''::kin_tr.sid$$);
CALL test.refused($$SELECT 'Ωß0123456789abcdef0123456789abcdef'::kin_tr.sid$$);
CALL test.refused(format('SELECT %L::kin_tr.sid', repeat('ä', 100)));
SELECT pg_typeof('WT0123456789abcdef0123456789abcdef'::kin_tr.sid),
       pg_column_size('WT0123456789abcdef0123456789abcdef'::kin_tr.sid) AS bytes;

-- is this one?
SELECT text, kin_tr._is_sid(text)
  FROM (VALUES ('WT0123456789abcdef0123456789abcdef'), ('XX00000000000000000000000000000000'),
               ('W10123456789abcdef0123456789abcdef'), ('Alice'), ('')) t(text);

-- order: by kind, then digits
CREATE TABLE test.sids (sid kin_tr.sid PRIMARY KEY, n integer);
INSERT INTO test.sids VALUES ('WT00000000000000000000000000000002', 3), ('WT00000000000000000000000000000001', 2),
                             ('WK00000000000000000000000000000009', 1), ('WTf0000000000000000000000000000000', 4);
SELECT sid, n FROM test.sids ORDER BY sid;
SELECT sid, n FROM test.sids ORDER BY sid DESC LIMIT 1;
SELECT a < b AS lt, a <= b AS le, a = b AS eq, a <> b AS ne, a >= b AS ge, a > b AS gt
  FROM (VALUES ('WT00000000000000000000000000000001'::kin_tr.sid, 'WT00000000000000000000000000000002'::kin_tr.sid),
               ('WT00000000000000000000000000000001', 'WT00000000000000000000000000000001'),
               ('WT00000000000000000000000000000002', 'WT00000000000000000000000000000001')) t(a, b);
INSERT INTO test.sids VALUES ('WT00000000000000000000000000000001', 0);
SELECT count(DISTINCT sid) FROM (SELECT sid FROM test.sids UNION ALL SELECT sid FROM test.sids) t;
SELECT min(n), max(n) FROM test.sids WHERE sid >= ('WT' || repeat('0', 32))::kin_tr.sid AND sid < ('WT' || repeat('f', 32))::kin_tr.sid;

-- joins by merging and by hashing find the same
INSERT INTO test.sids SELECT kin_tr._new_sid('WR'), 100 + i FROM generate_series(1, 1000) i;
CREATE TABLE test.others AS SELECT * FROM test.sids;
ALTER TABLE test.others ADD PRIMARY KEY (sid);
VACUUM (ANALYZE) test.sids, test.others;
SET enable_hashjoin = off; SET enable_nestloop = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM test.sids a JOIN test.others b USING (sid);
SELECT count(*) FROM test.sids a JOIN test.others b USING (sid);
SET enable_hashjoin = on; SET enable_mergejoin = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM test.sids a JOIN test.others b USING (sid);
SELECT count(*) FROM test.sids a JOIN test.others b USING (sid);
RESET enable_hashjoin; RESET enable_nestloop; RESET enable_mergejoin;

-- an index serves a sid, a literal of no type, a text and a parameter of type text, from either side
EXPLAIN (COSTS OFF) SELECT n FROM test.sids WHERE sid = 'WT00000000000000000000000000000001';
EXPLAIN (COSTS OFF) SELECT n FROM test.sids WHERE sid = 'WT00000000000000000000000000000001'::kin_tr.sid;
EXPLAIN (COSTS OFF) SELECT n FROM test.sids WHERE sid = 'WT00000000000000000000000000000001'::text;
EXPLAIN (COSTS OFF) SELECT n FROM test.sids WHERE 'WT00000000000000000000000000000001'::text = sid;
SET plan_cache_mode = force_generic_plan;
PREPARE by_text(text) AS SELECT n FROM test.sids WHERE sid = $1;
EXPLAIN (COSTS OFF) EXECUTE by_text('WT00000000000000000000000000000001');
EXECUTE by_text('WT00000000000000000000000000000001');
EXECUTE by_text('WT0000000000000000000000000000FFFF');
EXECUTE by_text('nonsense');
RESET plan_cache_mode;
EXPLAIN (COSTS OFF) SELECT n FROM test.sids WHERE sid = ANY ('{WT00000000000000000000000000000001,WT00000000000000000000000000000002}');

-- whatever the search path
SET search_path = '';
EXPLAIN (COSTS OFF) SELECT n FROM test.sids WHERE sid = 'WT00000000000000000000000000000001'::text;
SELECT n FROM test.sids WHERE sid = 'WT00000000000000000000000000000001';
RESET search_path;

-- sids strictly increase within a session, and say their kind
SELECT bool_and(sid > before) AS increasing, bool_and(left(sid::text, 2) = 'WR') AS of_kind
  FROM (SELECT sid, lag(sid) OVER (ORDER BY n) AS before FROM test.sids WHERE n > 100) t;
SELECT kin_tr._new_sid('WT') > max(sid) AS later FROM test.sids WHERE left(sid::text, 2) = 'WT' AND n < 100 AND n <> 4;
CALL test.refused($$SELECT kin_tr._new_sid('TASK')$$);

-- a sid is a text wherever one is wanted; a text is a sid where one is stored
SELECT length(sid) AS length, left(sid, 2) AS kind, upper(sid) AS upper FROM test.sids WHERE n = 4;
SELECT 'task ' || sid AS before, sid || ' it is' AS behind FROM test.sids WHERE n = 4;
SELECT jsonb_build_object('sid', sid) AS json, concat(sid, '!') AS concat, format('%s', sid) AS format FROM test.sids WHERE n = 4;
UPDATE test.sids SET sid = 'WK00000000000000000000000000000008'::text WHERE n = 1 RETURNING sid;
UPDATE test.sids SET sid = 'nobody'::text WHERE n = 1;
SELECT n FROM test.sids WHERE sid LIKE 'WK%';

-- in binary as in text, so that a client that asks for it gets what Twilio shows
SELECT convert_from(kin_tr._sid_send('WT00000000000000000000000000000001'), 'UTF8') AS sent;
SELECT format('COPY (SELECT sid FROM test.sids WHERE n < 100 ORDER BY sid) TO %L WITH (FORMAT binary)', current_setting('data_directory') || '/sids') AS copy_out,
       format('COPY test.copies FROM %L WITH (FORMAT binary)', current_setting('data_directory') || '/sids') AS copy_in \gset
CREATE TABLE test.copies (sid kin_tr.sid);
:copy_out;
:copy_in;
SELECT count(*) AS same FROM test.copies JOIN test.sids USING (sid);

-- a sid is the key of a hash partition, and so of Citus' shards
CREATE TABLE test.parts (sid kin_tr.sid) PARTITION BY HASH (sid);
CREATE TABLE test.parts0 PARTITION OF test.parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE test.parts1 PARTITION OF test.parts FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO test.parts SELECT sid FROM test.sids;
SELECT (SELECT count(*) FROM test.parts0) > 300 AS some_here, (SELECT count(*) FROM test.parts1) > 300 AS some_there,
       count(*) AS together FROM test.parts;

DROP TABLE test.sids, test.others, test.copies, test.parts;
