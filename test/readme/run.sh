#!/usr/bin/env bash
# Runs the README's SQL as written, in its order, in one session on a server
# with the library preloaded; prints TAP.
set -uo pipefail
cd "$(dirname "$0")/../.."
dir=$(mktemp -d)
trap 'pg_ctl -s -D "$dir/data" -m immediate stop; rm -rf "$dir"' EXIT
initdb -D "$dir/data" -A trust -N -U postgres >/dev/null
cat >>"$dir/data/postgresql.conf" <<CONF
listen_addresses = ''
unix_socket_directories = '$dir'
shared_preload_libraries = 'kin_tr'
max_worker_processes = 16
CONF
pg_ctl -s -w -D "$dir/data" -l "$dir/log" start || { cat "$dir/log"; exit 1; }

# Between two blocks a reader takes a breath; here the next one waits until the
# router has offered what the one before created.
awk -v wait="DO \$\$ DECLARE until timestamptz := clock_timestamp() + interval '20 s'; BEGIN WHILE clock_timestamp() < until LOOP EXIT WHEN NOT EXISTS (SELECT FROM kin_tr.tasks t, kin_tr.workers w, kin_tr.activities a WHERE t.assignment_status = 'pending' AND a.sid = w.activity_sid AND a.available AND NOT EXISTS (SELECT FROM kin_tr.reservations r WHERE r.worker_sid = w.sid AND r.is_open)); COMMIT; END LOOP; END \$\$;" '
    /^```sql/ { inside = 1; next }
    /^```/    { if (inside) print wait; inside = 0 }
    inside' README.md >"$dir/readme.sql"
psql -qX -v ON_ERROR_STOP=1 -h "$dir" -U postgres -d postgres -f "$dir/readme.sql" >"$dir/out" 2>&1
status=$?
[ $status = 0 ] || tail -20 "$dir/out"
ok() { if [ "$1" = 0 ]; then echo "ok $2 - $3"; else echo "not ok $2 - $3"; fi; }
ok $status 1 "the README's SQL runs as written"
grep -q 'alice *| pending' "$dir/out"
ok $? 2 "a worker is offered the README's first task"
grep -q 'Asynchronous notification "kin_tr"' "$dir/out"
ok $? 3 "its listener is told"
