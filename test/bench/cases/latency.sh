# From sending COMMIT to the listener, medians, one at a time into an idle system: task.created on the
# workspace's channel and reservation.created on the worker's, against pg_notify inside the transaction.
# A full retention's partitions are in place.

case_latency() {
	local round report bound
	for ((round = 1; round <= ROUNDS; round++)); do
		fresh latency partitions
		sql -d latency -v workers=1 -v capacity=1 -f "$bench/sql/centre.sql" >/dev/null
		settle latency
		report=$(node "$bench/peers/latency.mjs" peers latency)
		bound=$(awk '$1 == "pg_notify" { print $4 }' <<<"$report")
		record latency_task "$round" "$(awk '$1 == "task_created" { print $4 }' <<<"$report")" "$bound"
		record latency_reservation "$round" "$(awk '$1 == "reservation_created" { print $4 }' <<<"$report")" "$bound"
	done
	drop latency
}
