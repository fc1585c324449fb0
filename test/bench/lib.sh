# What the cases share. To be sourced by run.sh.
#
# A case is a file in cases/ with a function case_NAME. It measures by turns and hands each round's two
# numbers to record(). Bounds run in the database "peers", kin_tr in databases that fresh() makes.

QUICK=${QUICK:-}
ROUNDS=${ROUNDS:-${QUICK:+1}}
ROUNDS=${ROUNDS:-3}
T=${T:-${QUICK:+1}}
T=${T:-5}
export QUICK T

# The text that the bounds insert, about 300 bytes, is also the tasks' attributes.
attributes='{"type": "inbound", "from": "+351910000001", "to": "+351220000002", "language": "pt",
 "skill": "billing", "customer": {"id": 184467, "tier": "gold", "since": "2019-03-01"}, "direction": "call"}'

progress() {
	printf '%4d s  %s\n' "$SECONDS" "$*" >&2
}

sql() {
	psql -XqAt -v ON_ERROR_STOP=1 "$@"
}

# quick A B: A in a real run, B where QUICK is set.
quick() {
	if [[ $QUICK ]]; then echo "$2"; else echo "$1"; fi
}

calculate() {
	awk "BEGIN { printf \"%.6g\", $1 }"
}

# median VALUE...
median() {
	printf '%s\n' "$@" | sort -g | awk '{ v[NR] = $1 } END { printf "%.6g", (v[int((NR + 1) / 2)] + v[int((NR + 2) / 2)]) / 2 }'
}

# record MEASURE ROUND KIN_TR [BOUND]: a line of the results; measures.tsv says what they are.
record() {
	local ratio=''
	[[ -z ${4:-} ]] || ratio=$(calculate "$3 / $4")
	printf '%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "${4:-}" "$ratio" >>"$results"
	progress "  $1, round $2: $3${4:+ against $4: $ratio}"
}

# interleave MEASURE BOUND KIN_TR: bound, kin_tr, bound, kin_tr ... bound. BOUND and KIN_TR are commands
# that print a number. A round's bound is the mean of the one before and the one after it.
interleave() {
	local before after value round
	before=$($2)
	for ((round = 1; round <= ROUNDS; round++)); do
		value=$($3)
		after=$($2)
		record "$1" "$round" "$value" "$(calculate "($before + $after) / 2")"
		before=$after
	done
}

# bound CASE CLIENTS: transactions a second of one of the peers' bounds.
bound() {
	"$bench/peers/bounds.sh" "$@"
}

# fresh DATABASE [partitions]: makes it anew with the extension in it. Where "partitions" is said, those
# of a full retention are in place.
fresh() {
	sql -d peers -c "SET client_min_messages = warning" -c "DROP DATABASE IF EXISTS $1 WITH (FORCE)" -c "CREATE DATABASE $1"
	sql -d "$1" -c 'CREATE EXTENSION kin_tr'
	[[ -z ${2:-} ]] || sql -d "$1" -f "$bench/sql/partitions.sql"
}

drop() {
	sql -d peers -c "DROP DATABASE $1 WITH (FORCE)"
}

# hold DATABASE STATEMENTS: returns when they have been done, in a session that stays as they leave it until
# the descriptor $held is closed. The last one returns something.
hold() {
	local done=$work/held
	: >"$done"
	exec {held}> >(sql -d "$1" >"$done")
	echo "$2;" >&"$held"
	until [[ -s $done ]]; do sleep 0.05; done
}

# wait_for DATABASE CONDITION [SECONDS]: until a query returns true.
wait_for() {
	local until=$((SECONDS + ${3:-60}))
	until [[ $(sql -d "$1" -c "SELECT $2") == t ]]; do
		if ((SECONDS > until)); then
			echo "bench: waited in vain in database $1 for: $2" >&2
			return 1
		fi
		sleep 0.05
	done
}

# Until router and relay of a database have nothing to do. A turn lasts a millisecond, so it is looked
# at more than once.
settle() {
	local looks=0
	wait_for "$1" "count(*) = 2 FROM pg_stat_activity WHERE datname = current_database() AND backend_type IN ('kin_tr router', 'kin_tr relay')"
	while ((looks < 5)); do
		if [[ $(sql -d "$1" -c "SELECT bool_and(state = 'idle') FROM pg_stat_activity
				WHERE datname = current_database() AND backend_type IN ('kin_tr router', 'kin_tr relay')") == t ]]; then
			looks=$((looks + 1))
		else
			looks=0
		fi
		sleep 0.05
	done
}

# worker_pid DATABASE router|relay
worker_pid() {
	sql -d "$1" -c "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'kin_tr $2'"
}

# A run of one of kin_tr's scripts at 8 clients: kin_pgbench DATABASE SCRIPT [pgbench options]. Prints
# pgbench's report.
kin_pgbench() {
	sql -d "$1" -c CHECKPOINT
	pgbench -n -M prepared -T "$T" -c 8 -f "$bench/pgbench/$2" -D attrs="$attributes" "${@:3}" "$1" 2>"$work/pgbench.log" ||
		{ cat "$work/pgbench.log" >&2; return 1; }
}

tps_of() {
	awk '/^tps/ { print $3 }'
}

# assignments_since DATABASE XID N: waits until N reservations are pending, and prints the seconds from the
# commit of transaction XID to that of the last of them. The server keeps the time of each commit.
assignments_since() {
	wait_for "$1" "count(*) >= $3 FROM kin_tr.reservations WHERE is_open AND reservation_status = 'pending'" 600
	sql -d "$1" -c "SELECT extract(epoch FROM max(pg_xact_commit_timestamp(xmin)) - pg_xact_commit_timestamp('$2'))
		FROM kin_tr.reservations WHERE is_open AND reservation_status = 'pending'"
}
