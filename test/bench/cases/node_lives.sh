# Whole lives from one Node.js driver (peers/jobs.mjs): 8 producers, and one process of 8 workers, which in
# kin_tr's case are woken by LISTEN on their own channels, against graphile-worker's better setting and
# pg-boss. A round runs them all, kin_tr between graphile-worker and pg-boss.

# node_life LIBRARY MODE: lives a second.
node_life() {
	PGDATABASE=${3:-peers} node "$bench/peers/jobs.mjs" "$1" "$2" | awk -F '\t' '{ print $4 }'
}

node_life_kin_tr() {
	fresh node_lives
	sql -d node_lives -v workers=8 -v capacity=50 -f "$bench/sql/centre.sql" >/dev/null
	settle node_lives
	node_life kin_tr bell node_lives
}

case_node_lives() {
	local round simple batched kin_tr
	for ((round = 1; round <= ROUNDS; round++)); do
		simple=$(node_life graphile-worker default)
		batched=$(node_life graphile-worker batched)
		kin_tr=$(node_life_kin_tr)
		record node_graphile "$round" "$kin_tr" "$(printf '%s\n' "$simple" "$batched" | sort -g | tail -1)"
		record node_pgboss_notify "$round" "$kin_tr" "$(node_life pg-boss notify)"
		record node_pgboss_batched "$round" "$kin_tr" "$(node_life pg-boss batched)"
	done
	drop node_lives
}
