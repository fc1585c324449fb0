#!/usr/bin/env bash
# Tests of the demo, in TAP: its first day, replayed three times. kin_tr must be installed.
set -uo pipefail
cd "$(dirname "$0")" || exit

# Beside a demo that may be running, not in its place.
TMPDIR=$(mktemp -d)
export TMPDIR
chmod 755 "$TMPDIR"
[[ $(id -u) != 0 ]] || chown postgres "$TMPDIR"
. ./cluster.sh
trap 'stop_cluster; rm -rf "$TMPDIR"' EXIT
export DAYS=1
unset SEED

number=0
failed=0
ok() {		# ok NAME COMMAND...: what the command says is shown where it fails
	local name=$1 said
	shift
	number=$((number + 1))
	if said=$("$@" 2>&1); then
		echo "ok $number - $name"
	else
		failed=$((failed + 1))
		echo "not ok $number - $name"
		sed 's/^/# /' <<<"$said"
	fi
}

ask() {
	psql -X -q -A -t -v ON_ERROR_STOP=1 -d "$@"
}

refuses() {
	local said
	! said=$(DAYS=$1 ./demo.sh 2>&1) && [[ $said == *"DAYS must be a number from 1 to 28, not \"$1\""* ]]
}

run() {		# run OUTPUT [SEED]
	SEED=${2:-1} ./demo.sh >"$TMPDIR/$1" 2>&1 || { cat "$TMPDIR/$1"; return 1; }
}

# All but the progress, which tells seconds, and the title, which has the seed.
tables() {
	sed -n '/^calls offered/,/^The cluster keeps running/p' "$TMPDIR/$1"
}

same() {
	[[ $(tables "$1") ]] && diff <(tables "$1") <(tables "$2")
}

differ() {
	! same "$1" "$2" >/dev/null
}

# With the folder as long as it commonly is.
narrow() {
	! sed "s#$folder#/tmp/kin_tr-demo-1000#" "$TMPDIR/$1" | grep -E '^.{81}'
}

is() {		# is EXPECTED DATABASE QUERY
	local found
	found=$(ask "$2" -c "$3" 2>&1)
	[[ $found == "$1" ]] || { echo "found: $found"; return 1; }
}

printed() {	# printed FROM TO: the things to try between two lines that the run has printed
	sed -n "/$1/,/$2/ { //d; p }" "$TMPDIR/again"
}

# As the run has printed them. A busy machine may take longer than the moment that they allow.
try_things() {
	local offered="SELECT 1 FROM kin_tr.active_reservations('TOVA') WHERE reservation_status = 'pending'"
	printed 'try, one after the other' 'She does' | ask kin_tr_generous &&
		timeout 60 bash -c 'until [[ $(psql -XAt -d kin_tr_generous -c "$0") ]]; do :; done' "$offered" &&
		[[ $(printed 'She does' 'Read next' | ask kin_tr_generous | grep -c '|completed|') == 1 ]]
}

# What is printed for who has typed sudo, and for who has not.
typed_is() {	# typed_is EXPECTED [SUDO_USER]
	local said
	said=$(id() { echo 0; }; SUDO_USER=${2:-} typed make demo-stop)
	[[ $said == "$1" ]] || { echo "$said"; return 1; }
}

# A folder of root's, or of a user's, which this one may not touch.
says_whose() {	# says_whose UID WORDS
	local said
	mkdir "$TMPDIR/kin_tr-demo-$1"
	! said=$(id() { if [[ $1 == -u ]]; then echo 4242; else command id "$@"; fi; }; export -f id; ./stop.sh 2>&1)
	local status=$?
	rmdir "$TMPDIR/kin_tr-demo-$1"
	[[ $status == 0 && $said == *"$2"* ]] || { echo "$said"; return 1; }
}

# The server ends a moment after it has removed its files; who reaps it is not ours to say.
gone() {
	local pid
	pid=$(head -n 1 "$folder/data/postmaster.pid") && ./stop.sh && [[ ! -e $folder ]] &&
		timeout 10 bash -c 'while grep -qs postgres "/proc/$0/cmdline"; do :; done' "$pid" && ./stop.sh
}

for days in 0 29 x -1 1.5 99999999999999999999; do
	ok "DAYS=$days is refused with its reason" refuses "$days"
done

ok 'the first day is replayed and its table printed' run first
ok 'another run takes its place' run other 2
ok 'and another' run again
ok 'the same seed gives the same tables' same first again
ok 'another seed gives others' differ first other
ok 'no line is wider than 80 columns' narrow first

for reading in generous strict; do
	db=kin_tr_$reading
	ok "every decision is what the rules ask for, $reading" ./judge.pl "$db" "$reading"
	ok "kin_tr missed nothing, $reading" is 0 "$db" 'SELECT kin_tr._sweep()'
	ok "kin_tr finds no fault with itself, $reading" is '' "$db" 'SELECT * FROM kin_tr.check()'
	ok "kin_tr is well, on real time, $reading" is '' "$db" "SELECT * FROM kin_tr.health() WHERE state <> 'ok'"
	ok "all agents are Offline, $reading" is 'Offline|24' "$db" "SELECT a.friendly_name, count(*)
		FROM kin_tr.workers JOIN kin_tr.activities AS a ON a.sid = activity_sid GROUP BY 1"
done
ok 'the three things to try work, one after the other' try_things
ok 'stop.sh leaves nothing behind, and finds nothing the second time' gone
ok 'who typed sudo is told to type it again' typed_is 'sudo make demo-stop' alice
ok 'and who is root is not' typed_is 'make demo-stop'
ok 'stop.sh says that only root may stop what root has started' says_whose 0 'sudo make demo-stop'
ok 'and who may stop what another user has started' says_whose 4711 'who may stop it with: make demo-stop'
echo "1..$number"
((failed == 0))
