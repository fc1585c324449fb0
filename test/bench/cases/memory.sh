# The router's private memory after 1,000,000 assignments, against after 10,000: what is mapped as private,
# which leaves the shared memory of PostgreSQL out, in KiB. Each after a while in which the router had nothing
# to do, for it gives back what it does not use every ten seconds.
. "$bench/scale.sh"

memory_of_router() {
	local until=$((SECONDS + 12))
	while ((SECONDS < until)); do settle memory; done
	awk '/^[0-9a-f]+-[0-9a-f]+ / { private = $2 ~ /p$/ } private && /^Private_(Clean|Dirty):/ { n += $2 } END { print n }' \
		"/proc/$(worker_pid memory router)/smaps"
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
