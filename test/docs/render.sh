#!/usr/bin/env bash
# Renders the reference part of docs/sql.md from the catalog.
#
#   test/docs/render.sh            prints the whole page
#   test/docs/render.sh --check    TAP: is docs/sql.md what would be printed?
#
# Needs PostgreSQL's bin folder in the PATH and an unprivileged user.
set -euo pipefail
cd "$(dirname "$0")/../.."
dir=$(mktemp -d)
trap 'pg_ctl -s -D "$dir/data" -m immediate stop; rm -rf "$dir"' EXIT
initdb -D "$dir/data" -A trust -N -U postgres >/dev/null
pg_ctl -s -w -D "$dir/data" -l "$dir/log" -o "-c listen_addresses='' -c unix_socket_directories='$dir'" start
psql -qX -h "$dir" -U postgres -d postgres -c 'CREATE EXTENSION kin_tr'
{
    sed '/^<!-- generated/q' docs/sql.md
    echo
    psql -qX -h "$dir" -U postgres -d postgres -f test/docs/reference.sql
} >"$dir/sql.md"
if [ "${1:-}" != --check ]; then
    cat "$dir/sql.md"
elif diff -u docs/sql.md "$dir/sql.md"; then
    echo "ok 1 - docs/sql.md is what the catalog says"
else
    echo "not ok 1 - docs/sql.md is what the catalog says"
fi
