# The router's private memory after 1,000,000 assignments, against after 10,000: RssAnon, in KiB, which is
# what it has allocated itself or has from the postmaster, and neither PostgreSQL's shared memory nor code.
# Each is the median of looks in half a minute without work: once a minute the router sweeps, with a second
# pool, and what it does not use it gives back every ten seconds. And what it takes for each worker, class
# and group, as health() has it.
. "$bench/scale.sh"

memory_of_router() {
	local looks=()
	for ((i = 0; i < 7; i++)); do
		local until=$((SECONDS + 5))
		while ((SECONDS < until)); do settle memory; done
		looks+=("$(awk '$1 == "RssAnon:" { print $2 }' "/proc/$(worker_pid memory router)/status")")
	done
	median "${looks[@]}"
}

case_memory() {
	local few many before
	few=$(quick 10000 1000)
	many=$(quick 1000000 10000)
	scale_prepare memory 100
	scale_capacity memory 50
	sql -d memory -c "CALL bench.churn($few, 1000)"
	before=$(memory_of_router)
	sql -d memory -c "CALL bench.churn($((many - few)), 1000)"
	record memory 1 "$(memory_of_router)" "$before"
	drop memory
	memory_of_each
}

# footprint MEASURE KIND STATEMENT: bytes of the router's memory for each of KIND, workers, classes or groups.
# The statement makes the one of number n; the second N of them are measured.
footprint() {
	local n there before after from
	n=$(quick 10000 1000)
	there=$(sql -d memory -c "SELECT $2 FROM kin_tr._worker_states() WHERE worker = 'router'")
	for from in 1 $((n + 1)); do
		sql -d memory -c "SELECT count($3) FROM generate_series($from, $from + $n - 1) AS n" >/dev/null
		settle memory
		wait_for memory "$2 = $there + $from + $n - 1 FROM kin_tr._worker_states() WHERE worker = 'router'"
		before=${after:-}
		after=$(sql -d memory -c "SELECT bytes FROM kin_tr._worker_states() WHERE worker = 'router'")
	done
	record "$1" 1 "$(calculate "($after - $before) / $n")"
}

memory_of_each() {
	fresh memory
	sql -d memory -f "$bench/sql/footprint.sql" >/dev/null
	settle memory
	footprint memory_group groups "kin_tr.create_task(jsonb_build_object('level', n), workflow => 'untied')"
	footprint memory_tied groups "kin_tr.create_task(jsonb_build_object('skill', 's' || n), workflow => 'tied')"
	footprint memory_worker workers "kin_tr.create_worker('few' || n, '{\"level\": 0, \"skills\": []}', 'Offline')"
	footprint memory_class classes "kin_tr.create_worker('own' || n, jsonb_build_object('level', 0, 'skills', jsonb_build_array('own' || n)), 'Offline')"
	drop memory
}
