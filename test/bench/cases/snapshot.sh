# Time for each assignment, with 1,000 waiting tasks, after 100,000 whole lives of 100 workers have passed
# under one open old snapshot, against after as many without one.
. "$bench/scale.sh"

snapshot_prepare() {
	scale_prepare "$1" 100
	[[ -z ${2:-} ]] || hold_snapshot "$1"
	scale_capacity "$1" 20
	progress "  lives in $1"
	sql -d "$1" -c "CALL bench.churn($(quick 100000 2000), 1000)"
	scale_capacity "$1" 1
	scale_fill "$1" 1000 100
}

# It is held until its input is closed.
hold_snapshot() {
	: >"$work/snapshot"
	exec {holder}> >(sql -d "$1" >"$work/snapshot")
	echo 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM kin_tr.tasks;' >&"$holder"
	until [[ -s $work/snapshot ]]; do sleep 0.05; done
}

snapshot_without() {
	scale_time snapshot_without 50 "$(quick 21 3)"
}

snapshot_with() {
	scale_time snapshot_with 50 "$(quick 21 3)"
}

case_snapshot() {
	local holder
	snapshot_prepare snapshot_without
	snapshot_prepare snapshot_with held
	interleave snapshot snapshot_without snapshot_with
	exec {holder}>&-
	drop snapshot_with
	drop snapshot_without
}
