# What the cases scale, snapshot and memory share: the centre of sql/scale.sql. To be sourced by them.

# scale_prepare DATABASE WORKERS
scale_prepare() {
	fresh "$1"
	sql -d "$1" -v workers="$2" -f "$bench/sql/scale.sql" -f "$bench/sql/churn.sql" >/dev/null
}

# scale_load DATABASE N EXPRESSION: N tasks with these attributes, where n is the task's number; a commit
# for each 10,000.
scale_load() {
	local from
	for ((from = 0; from < $2; from += 10000)); do
		echo "SELECT count(kin_tr.create_task($3)) FROM generate_series($from, least($from + 10000, $2) - 1) AS n;"
	done | sql -d "$1" >/dev/null
	settle "$1"
}

# scale_capacity DATABASE CAPACITY: of every worker.
scale_capacity() {
	sql -d "$1" -c "SELECT count(kin_tr.update_worker_channel(friendly_name, 'default', $2)) FROM kin_tr.workers" >/dev/null
	settle "$1"
}

# scale_fill DATABASE N WORKERS: N tasks wait, and every worker is busy with one that it has accepted.
scale_fill() {
	scale_load "$1" $(($2 + $3)) "bench.task(n, $3)"
	wait_for "$1" "count(*) = $3 FROM kin_tr.reservations WHERE is_open"
	sql -d "$1" -c 'SELECT count(kin_tr.accept_reservation(sid)) FROM kin_tr.reservations WHERE is_open' >/dev/null
	settle "$1"
}

# scale_time DATABASE N SAMPLES: microseconds for each assignment, from the commit that frees N workers to
# the commit of the last reservation; the median of some openings.
scale_time() {
	local opened seconds times=()
	for ((i = 0; i < $3; i++)); do
		opened=$(sql -d "$1" -v n="$2" -v seed=$RANDOM -f "$bench/sql/open.sql" | tail -1)
		seconds=$(assignments_since "$1" "$opened" "$2")
		times+=("$(calculate "$seconds / $2 * 1e6")")
		sql -d "$1" -v n="$2" -f "$bench/sql/close.sql" >/dev/null
		settle "$1"
	done
	median "${times[@]}"
}
