#!/usr/bin/env bash
# Every test, as an unprivileged user, each kind on a cluster of its own; ends
# with the line "N passed, N failed".
#
#   test/run.sh [unit|readme|regress|isolation|tap|demo|fuzz]...    only these kinds
#
# FUZZ_SECONDS (default 20), PROVE_ARGS, KEEP=1 (leaves the folder behind)
set -uo pipefail
cd "$(dirname "$0")/.."
PG_CONFIG=$(test/pg_config.sh) || exit 1
export PG_CONFIG
BIN=$("$PG_CONFIG" --bindir)
PGXS_DIR=$(dirname "$("$PG_CONFIG" --pgxs)")/../..
LIB=$("$PG_CONFIG" --pkglibdir)
kinds=${*:-unit readme regress isolation tap demo fuzz}
passed=0
failed=0

# Servers refuse root, so the tests run as postgres, on a copy that is its own.
work=$(mktemp -d)
chmod 755 "$work"
mkdir "$work/kin_tr"
tar cf - --exclude=.git --exclude='*.o' --exclude=node_modules . | tar xf - -C "$work/kin_tr"
# What is from npm stays where it is in the folder, and out of what is copied.
if [ -d build/node/node_modules ]; then
    cp -r build/node/node_modules "$work/node_modules"
    export NODE_PATH="$work/node_modules"
elif [ -d /usr/share/nodejs/pg ]; then
    export NODE_PATH=/usr/share/nodejs
fi
user=()
if [ "$(id -u)" = 0 ]; then
    chown -R postgres "$work"
    user=(setpriv --reuid postgres --regid postgres --init-groups env HOME="$work")
fi
export LC_ALL=C PATH="$BIN:$PATH" TMPDIR="$work"
unset PGHOST PGPORT PGUSER PGDATABASE PGOPTIONS
trap '[ -n "${KEEP:-}" ] || rm -rf "$work"' EXIT
cd "$work/kin_tr"

# Counts lines that say ok or not ok, in TAP or in pg_regress's words.
count() {
    local ok bad
    ok=$(grep -cE '^(ok [0-9]+|test .* \.\.\. ok|     .* \.\.\. ok)' "$1")
    bad=$(grep -cE '^(not ok|test .* \.\.\. (FAILED|failed)|     .* \.\.\. (FAILED|failed))' "$1")
    # One that ended without a word, as a crash does, counts as a failure.
    [ "$2" = 0 ] || [ "$bad" -gt 0 ] || bad=1
    passed=$((passed + ok))
    failed=$((failed + bad))
    echo "--- $3: $ok passed, $bad failed"
}

step() {
    local name=$1 status
    shift
    echo "=== $name"
    "${user[@]}" "$@" >"$work/$name.out" 2>&1
    status=$?
    grep -vE '^ok [0-9]+' "$work/$name.out" || true
    count "$work/$name.out" "$status" "$name"
}

unit() {
    step unit bash -c 'mkdir -p build && cc -std=gnu11 -Wall -Wextra -O1 -g -fsanitize=address,undefined \
        -fno-sanitize-recover=undefined -Isrc -o build/expr_test test/unit/expr_test.c src/expr/*.c && build/expr_test &&
        perl test/unit/rooms.pl && perl test/unit/pg_config.pl'
}

readme() {
    step readme test/readme/run.sh
    step docs test/docs/render.sh --check
}

# A day of the demo, twice.
demo() {
    [ -x test/demo/test.sh ] || return 0
    step demo test/demo/test.sh
}

# One schedule each for a server with and without the library preloaded.
regress() {
    local preload
    for preload in preload nopreload; do
        printf "max_worker_processes = 16\nkin_tr.launcher_interval = 1\n" >"$work/$preload.conf"
        [ $preload = nopreload ] || echo "shared_preload_libraries = 'kin_tr'" >>"$work/$preload.conf"
        step "regress-$preload" "$LIB/pgxs/src/test/regress/pg_regress" --bindir="$BIN" --inputdir=. \
            --outputdir="$work/$preload" --temp-instance="$work/$preload/instance" --temp-config="$work/$preload.conf" \
            --encoding=UTF8 --schedule=sql/schedule
        [ ! -s "$work/$preload/regression.diffs" ] || head -200 "$work/$preload/regression.diffs"
    done
}

isolation() {
    echo "shared_preload_libraries = ''" >"$work/isolation.conf"
    step isolation "$LIB/pgxs/src/test/isolation/pg_isolation_regress" --bindir="$BIN" --inputdir=test \
        --outputdir="$work/isolation" --temp-instance="$work/isolation/instance" \
        --temp-config="$work/isolation.conf" --encoding=UTF8 --schedule=test/specs/schedule
    [ ! -s "$work/isolation/regression.diffs" ] || head -200 "$work/isolation/regression.diffs"
}

tap() {
    ls test/t/*.pl >/dev/null 2>&1 || return 0
    # shellcheck disable=SC2086
    step tap env PG_REGRESS="$LIB/pgxs/src/test/regress/pg_regress" TESTDATADIR="$work/tap" TESTLOGDIR="$work/tap_log" \
        prove -v -I "$LIB/pgxs/src/test/perl" -I test/perl ${PROVE_ARGS:-} ${TAP_FILES:-test/t/*.pl}
    # Why one ended early is in its log alone.
    find "$work" -name 'regress_log_*' -exec grep -lE '# (Looks like your test exited|Tests were run but no plan)' {} + |
        while read -r log; do echo "--- the end of ${log##*/}" && tail -15 "$log"; done
}

fuzz() {
    step fuzz bash -c 'mkdir -p build/corpus && clang -g -O1 -fsanitize=fuzzer,address,undefined \
        -fno-sanitize-recover=undefined -Isrc -o build/fuzz_expr test/fuzz/expr_fuzz.c src/expr/*.c || exit 1
        build/fuzz_expr -max_total_time="${FUZZ_SECONDS:-20}" -verbosity=0 -dict=test/fuzz/expr.dict \
            build/corpus test/fuzz/corpus/expr >build/fuzz.log 2>&1 || { tail -40 build/fuzz.log; exit 1; }
        echo "ok 1 - the expression language survives ${FUZZ_SECONDS:-20} s of fuzzing"'
}

for kind in $kinds; do "$kind"; done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
