#!/usr/bin/env bash
# Installs, on Debian, what building and showing kin_tr needs, and builds and
# installs the extension; says which packages, and where to.  As root, or with sudo.
#
#   test/setup.sh           also what its tests need
#   test/setup.sh demo      no more than that
#
# A PostgreSQL of 15 to 18 that can be built against, by PG_CONFIG or the PATH,
# is used; else Debian's own is installed.
set -euo pipefail
cd "$(dirname "$0")/.."

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
is_known() { [ -n "$(apt-cache show "$1" 2>/dev/null)" ]; }

# PostgreSQL is looked for each time, for it may come by its package.
postgresql() {
    if ! found=$(test/pg_config.sh 2>/dev/null); then
        [ -z "${PG_CONFIG:-}" ] || { test/pg_config.sh; exit 1; }
        # Of the version whose server is there, if one is.
        for version in 15 18 17 16; do is_installed "postgresql-$version" && break; done
        is_installed "postgresql-$version" ||
            for version in 15 18 17 16; do is_known "postgresql-server-dev-$version" && break; done
        packages+=("postgresql-$version" "postgresql-server-dev-$version")
    elif ! [ -x "$("$found" --bindir)/initdb" ]; then
        packages+=("postgresql-$("$found" --version | sed 's/^PostgreSQL \([0-9]*\).*/\1/')")
    fi
}

# Debian's npm is four hundred packages; without one Debian's own pg does.
tests() {
    clang=$(apt-cache depends clang | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p')
    packages+=(libipc-run-perl libdbd-pg-perl clang "libclang-rt-$clang-dev" python3-psycopg2 pgbouncer)
    command -v npm >/dev/null || packages+=(nodejs node-pg)
}

packages=(gcc libc6-dev make gzip libutf8proc-dev)
missing=()
if command -v apt-get >/dev/null; then
    is_known clang || as_root apt-get update -qq
    postgresql
    [ "${1:-}" = demo ] || tests
    for p in "${packages[@]}"; do is_installed "$p" || missing+=("$p"); done
else
    echo "setup: no apt-get here, so packages are not looked for" >&2
fi
if [ ${#missing[@]} -gt 0 ]; then
    echo "setup: installing ${missing[*]}"
    # Debian's own cluster is not wanted: every run starts one of its own.
    as_root mkdir -p /etc/postgresql-common
    [ -e /etc/postgresql-common/createcluster.conf ] ||
        echo 'create_main_cluster = false' | as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
if [ "${1:-}" != demo ] && command -v npm >/dev/null && [ ! -d build/node/node_modules/pg ]; then
    echo "setup: installing the Node.js package pg, for the tests, in build/node"
    mkdir -p build/node
    npm install --prefix build/node --no-audit --no-fund --loglevel=error pg@8 >/dev/null
fi
PG_CONFIG=$(test/pg_config.sh)
export PG_CONFIG
echo "setup: building kin_tr, and installing it into $("$PG_CONFIG" --version) ($("$PG_CONFIG" --pkglibdir))"
make -s -j"$(nproc)" WERROR="${CI:-}"
as_root make -s install PG_CONFIG="$PG_CONFIG" >/dev/null
