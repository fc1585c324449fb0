-- The reference part of docs/sql.md, from the catalog of a database with the extension.
\pset format unaligned
\pset tuples_only on
\pset footer off
\echo '## Functions'
\echo
SELECT format(E'### %s\n\n```\n%s(%s)\n    -> %s\n```\n\n%s\n', p.proname, p.proname,
              replace(regexp_replace(pg_get_function_arguments(p.oid), 'NULL::[a-z ]+', 'NULL', 'g'), ', ', E',\n    '), replace(pg_get_function_result(p.oid), ', ', E',\n       '),
              obj_description(p.oid, 'pg_proc'))
  FROM pg_proc p
 WHERE p.pronamespace = 'kin_tr'::regnamespace AND p.proname !~ '^_'
 ORDER BY p.proname;
\echo '## Tables and views'
\echo
SELECT format(E'### %s\n\n%s.\n\n| column | type | |\n|---|---|---|\n%s\n', c.relname, obj_description(c.oid, 'pg_class'),
              (SELECT string_agg(format('| %s | %s | %s |', a.attname, format_type(a.atttypid, a.atttypmod),
                                        replace(col_description(c.oid, a.attnum), '|', '\|')), E'\n' ORDER BY a.attnum)
                 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped))
  FROM pg_class c
 WHERE c.relnamespace = 'kin_tr'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
   AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0)
 ORDER BY c.relname;
