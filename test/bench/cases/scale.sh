# Time for each assignment with 1,000,000 waiting tasks and 10,000 workers, against 1,000 and 100: 100 queues,
# 1,000 combinations of requirements, 1 % for a known worker. All workers are busy; one commit completes the
# tasks of half of them, 5,000 or 50, drawn at random, which opens capacity for as many. Then the same beside
# 1,000,000 more waiting tasks in these queues, each of which asks for another skill (tied by membership) that
# nobody has.
. "$bench/scale.sh"

scale_small() {
	scale_time scale_small 50 "$(quick 21 3)"
}

scale_large() {
	scale_time scale_large "$(quick 5000 500)" "$(quick 3 1)"
}

case_scale() {
	local tasks workers
	tasks=$(quick 1000000 10000)
	workers=$(quick 10000 1000)
	scale_prepare scale_small 100
	scale_fill scale_small 1000 100
	scale_prepare scale_large "$workers"
	progress "  loading $tasks tasks"
	scale_fill scale_large "$tasks" "$workers"
	interleave scale scale_small scale_large
	progress "  loading $tasks more that fit nobody"
	scale_load scale_large "$tasks" "bench.task(n + 1, $workers) - 'agent' || jsonb_build_object('skill', 'x' || n, 'level', 1)"
	interleave scale_beside scale_small scale_large
	drop scale_large
	drop scale_small
}
