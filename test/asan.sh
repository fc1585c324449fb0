#!/usr/bin/env bash
# The tests with the extension under AddressSanitizer and UndefinedBehavior-
# Sanitizer, in a copy of the packaged server, for what overruns or outlives
# memory that is not of a memory context, and for what C leaves undefined.
# (What is palloc'd is valgrind's: test/valgrind.sh.)  Ends as test/run.sh does,
# and fails when there is a finding.  Takes about as long as the tests do.
#
#   test/asan.sh [regress|isolation|tap]...    only these kinds (default: these)
#
# ASAN_DIR: default kin_tr-asan below TMPDIR or /tmp.
set -euo pipefail
cd "$(dirname "$0")/.."
PG_CONFIG=$(test/pg_config.sh)
dir=${ASAN_DIR:-${TMPDIR:-/tmp}/kin_tr-asan}
jobs=$(nproc)
rm -rf "$dir"
mkdir -p "$dir/logs" "$dir/work" "$dir/kin_tr"
dir=$(cd "$dir" && pwd)
chmod 755 "$dir"
chmod 1777 "$dir/logs" "$dir/work"

# A server finds its folders from where it lies.
copy_server() {
    local include

    include=$("$PG_CONFIG" --includedir)
    tar cf - -C / --absolute-names --transform='s,^/,,' "$(dirname "$("$PG_CONFIG" --bindir)")" "$("$PG_CONFIG" --sharedir)" | tar xf - -C "$dir"
    mkdir -p "$dir/$(dirname "$include")"
    [ -e "$dir/$include" ] || ln -s "$include" "$dir/$include"
    real=$dir$("$PG_CONFIG" --bindir)
}

# The sanitizer has to be there before all libraries, and with it glibc's gettext
# hangs before anything runs; so messages stay as they are.
cat >"$dir/nogettext.c" <<'C'
char *bindtextdomain(const char *d, const char *dir) { return (char *) dir; }
char *bind_textdomain_codeset(const char *d, const char *c) { return (char *) c; }
char *textdomain(const char *d) { return (char *) d; }
char *gettext(const char *m) { return (char *) m; }
char *dgettext(const char *d, const char *m) { return (char *) m; }
char *dcgettext(const char *d, const char *m, int c) { return (char *) m; }
char *ngettext(const char *a, const char *b, unsigned long n) { return (char *) (n == 1 ? a : b); }
char *dngettext(const char *d, const char *a, const char *b, unsigned long n) { return (char *) (n == 1 ? a : b); }
char *dcngettext(const char *d, const char *a, const char *b, unsigned long n, int c) { return (char *) (n == 1 ? a : b); }
C

# The copy's "postgres" becomes a script that has the sanitizer, under whose name
# the server goes on: by it a server finds its folders, and pg_ctl restarts it.
sanitize() {
    gcc -shared -fPIC -w -fno-builtin -o "$dir/nogettext.so" "$dir/nogettext.c"
    mv "$real/postgres" "$real/postgres.server"
    cat >"$real/postgres" <<SH
#!/bin/bash
export LD_PRELOAD="$(gcc -print-file-name=libasan.so) $dir/nogettext.so" LC_ALL=C
export ASAN_OPTIONS=detect_leaks=0:verify_asan_link_order=0:abort_on_error=1:log_path=$dir/logs/asan
export UBSAN_OPTIONS=print_stacktrace=1:log_path=$dir/logs/ubsan
exec -a $real/postgres $real/postgres.server "\$@"
SH
    chmod 755 "$real/postgres"
}

copy_server
sanitize
tar cf - --exclude=.git --exclude='*.o' --exclude='*.d' --exclude='*.so' --exclude=build --exclude=node_modules . | tar xf - -C "$dir/kin_tr"
make -s -C "$dir/kin_tr" -j"$jobs" PG_CONFIG="$real/pg_config" install \
    COPT='-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer' >/dev/null
cd "$dir/kin_tr"
status=0
# shellcheck disable=SC2086
env KIN_TR_SANITIZED=1 PG_CONFIG="$real/pg_config" TMPDIR="$dir/work" KEEP=1 test/run.sh ${*:-regress isolation tap} || status=1
findings=$(find "$dir/logs" -type f -size +0)
for log in $findings; do
    echo "--- $log" && sed -n '1,40p' "$log"
done
echo "$(echo -n "$findings" | grep -c '' || true) processes with findings"
[ "$status" = 0 ] && [ -z "$findings" ]
