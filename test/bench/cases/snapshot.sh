# Time for each assignment, with 1,000 waiting tasks, after 100,000 whole lives of 100 workers have passed
# under one open old snapshot, against after as many without one.
. "$bench/scale.sh"

snapshot_prepare() {
	scale_prepare "$1" 100
	[[ -z ${2:-} ]] ||
		hold "$1" 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM kin_tr.tasks'
	scale_capacity "$1" 20
	progress "  lives in $1"
	sql -d "$1" -c "CALL bench.churn($(quick 100000 2000), 1000)"
	scale_capacity "$1" 1
	scale_fill "$1" 1000 100
}

snapshot_without() {
	scale_time snapshot_without 50 "$(quick 21 3)"
}

snapshot_with() {
	scale_time snapshot_with 50 "$(quick 21 3)"
}

case_snapshot() {
	local held
	snapshot_prepare snapshot_without
	snapshot_prepare snapshot_with held
	interleave snapshot snapshot_without snapshot_with
	exec {held}>&-
	drop snapshot_with
	drop snapshot_without
}
