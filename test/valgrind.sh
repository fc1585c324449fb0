#!/usr/bin/env bash
# pg_regress and the isolation tests, every process of the server under
# valgrind, on a PostgreSQL that is built with assertions and tells valgrind of
# its memory contexts: what reads freed or unset memory, or writes past a chunk,
# is found with its line.  Ends as test/run.sh does, and fails when there is a
# finding.  Takes half an hour on two cores, the first time five minutes more.
#
#   test/valgrind.sh [regress|isolation|tap]...    only these kinds (default: regress isolation)
#
# VALGRIND_DIR (default: kin_tr-valgrind below TMPDIR or /tmp) keeps that
# PostgreSQL for the next time.  Its sources are Debian's, of the version that
# PG_CONFIG names.  On Debian, as root or with sudo.
set -euo pipefail
cd "$(dirname "$0")/.."
PG_CONFIG=$(test/pg_config.sh)
dir=${VALGRIND_DIR:-${TMPDIR:-/tmp}/kin_tr-valgrind}
major=$("$PG_CONFIG" --version | sed 's/^PostgreSQL \([0-9]*\).*/\1/')
# Debian's patches put the libraries into the packaged server's folder unless
# the prefix has "pgsql" in it.
prefix=$dir/pgsql$major
jobs=$(nproc)
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
chmod 755 "$dir"

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

packages() {
    local missing=() p

    for p in valgrind libc6-dbg dpkg-dev pkg-config libssl-dev; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
    done
    [ ${#missing[@]} = 0 ] ||
        DEBIAN_FRONTEND=noninteractive as_root apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# The sources are asked for with lists of our own; the system's stay as they are.
source_of_postgres() {
    local apt codename mirror

    codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
    # shellcheck disable=SC2016
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Codename: $codename" | head -1)
    mkdir -p "$dir/apt/lists/partial" "$dir/apt/download"
    echo "deb-src $mirror $codename main" >"$dir/apt/sources.list"
    apt=(-qq -o "Dir::Etc::sourcelist=$dir/apt/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$dir/apt/lists"
         -o APT::Sandbox::User=root)
    apt-get "${apt[@]}" update
    (cd "$dir/apt/download" && apt-get "${apt[@]}" source --download-only "postgresql-$major")
    rm -rf "$dir/source"
    dpkg-source --no-check -x "$dir"/apt/download/postgresql-"$major"*.dsc "$dir/source" >/dev/null
}

postgres() {
    [ -x "$prefix/bin/postgres" ] && return
    echo "building PostgreSQL $major with assertions in $prefix"
    source_of_postgres
    rm -rf "$dir/build"
    mkdir "$dir/build"
    (cd "$dir/build" &&
        ../source/configure -q --prefix="$prefix" --enable-cassert --enable-debug --enable-tap-tests --with-openssl \
            --without-readline --without-zlib --without-icu CPPFLAGS=-DUSE_VALGRIND CFLAGS='-O1 -fno-omit-frame-pointer' &&
        make -s -j"$jobs" && make -s install && make -s -C src/test/isolation install && make -s -C contrib/amcheck install) >"$dir/build.log" 2>&1 ||
        { tail -20 "$dir/build.log"; exit 1; }
    rm -rf "$dir/build"
}

# A folder of programs in which "postgres" is valgrind with postgres in it, and
# a pg_config that names this folder.  initdb follows its link to the real one.
programs() {
    rm -rf "$dir/bin" "$dir/logs" "$dir/work"
    mkdir "$dir/bin" "$dir/logs" "$dir/work"
    chmod 1777 "$dir/logs" "$dir/work"
    ln -s "$prefix"/bin/* "$dir/bin/"
    rm "$dir"/bin/{postgres,pg_ctl,pg_config}
    cp "$prefix/bin/pg_ctl" "$dir/bin/"
    # The queue of NOTIFY has gaps between its entries, and is written by pages.
    cat >"$dir/notify.supp" <<SUPP
{
   notify_queue
   Memcheck:Param
   pwrite64(buf)
   fun:pwrite
   fun:SlruPhysicalWritePage
}
SUPP
    cat >"$dir/bin/postgres" <<SH
#!/bin/sh
exec valgrind --quiet --leak-check=no --suppressions=$dir/source/src/tools/valgrind.supp --suppressions=$dir/notify.supp \\
    --trace-children=yes --error-markers=VALGRINDERROR-BEGIN,VALGRINDERROR-END --log-file=$dir/logs/%p.log $prefix/bin/postgres "\$@"
SH
    cat >"$dir/bin/pg_config" <<SH
#!/bin/sh
[ "\$1" = --bindir ] && echo $dir/bin || exec $prefix/bin/pg_config "\$@"
SH
    chmod 755 "$dir"/bin/{postgres,pg_config}
}

# The extension is built beside its sources' own objects, which stay.
extension() {
    rm -rf "$dir/kin_tr"
    mkdir "$dir/kin_tr"
    tar cf - --exclude=.git --exclude='*.o' --exclude='*.d' --exclude='*.so' --exclude=build --exclude=node_modules . | tar xf - -C "$dir/kin_tr"
    make -s -C "$dir/kin_tr" -j"$jobs" PG_CONFIG="$prefix/bin/pg_config" COPT='-DUSE_VALGRIND -O1 -g' install >/dev/null
}

packages
postgres
programs
extension
cd "$dir/kin_tr"
status=0
# shellcheck disable=SC2086
env PG_CONFIG="$dir/bin/pg_config" TMPDIR="$dir/work" KEEP=1 test/run.sh ${*:-regress isolation} || status=1

# What valgrind and the assertions found is in logs.
findings=$(grep -l VALGRINDERROR-BEGIN "$dir"/logs/*.log || true)
for log in $findings; do
    echo "--- $log" && sed -n '1,40p' "$log"
done
traps=$(grep -rhE 'TRAP: |problem in alloc set|terminated by signal (6|11)' --include='*.log' --include=log "$dir/work" | sort -u || true)
echo "$(find "$dir/logs" -name '*.log' | wc -l) processes under valgrind, $(echo -n "$findings" | grep -c '' || true) with findings"
[ -z "$traps" ] || echo "$traps"
[ "$status" = 0 ] && [ -z "$findings$traps" ]
