# The router's private memory after 1,000,000 assignments, against after 10,000: RssAnon, in KiB, which is
# what it has allocated itself or has from the postmaster, and neither PostgreSQL's shared memory nor code.
# Each is the median of looks in half a minute without work: once a minute the router sweeps, with a second
# pool, and what it does not use it gives back every ten seconds.
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
}
