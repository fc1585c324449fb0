#!/bin/sh
# Prints the pg_config that kin_tr is built and tested with: $PG_CONFIG if it is set, else the one on the
# PATH, else the newest that Debian's packages have installed; of PostgreSQL 15 to 18 with the files that
# extensions are built with. Where there is none it says why, and fails.
set -u

reason="PostgreSQL's development files were not found"

usable() {
    command -v "$1" >/dev/null || return 1
    version=$("$1" --version 2>/dev/null | sed -n 's/^PostgreSQL \([0-9]*\).*/\1/p')
    case $version in
    15 | 16 | 17 | 18) ;;
    *)
        reason="$1 is not of PostgreSQL 15 to 18"
        return 1
        ;;
    esac
    # Debian's clients come with pgxs.mk, and without a header.
    [ -e "$("$1" --pgxs)" ] && [ -e "$("$1" --includedir-server)/postgres.h" ] && return 0
    reason="the development files of PostgreSQL $version were not found"
    return 1
}

for candidate in ${PG_CONFIG:-pg_config /usr/lib/postgresql/18/bin/pg_config /usr/lib/postgresql/17/bin/pg_config \
    /usr/lib/postgresql/16/bin/pg_config /usr/lib/postgresql/15/bin/pg_config}; do
    if usable "$candidate"; then
        command -v "$candidate"
        exit
    fi
done
[ -z "${PG_CONFIG:-}" ] || command -v "$PG_CONFIG" >/dev/null || reason="PG_CONFIG=$PG_CONFIG is no program"
echo "kin_tr: $reason: install its development package (on Debian: sudo make setup)," \
    "or say PG_CONFIG=/path/to/pg_config" >&2
exit 1
