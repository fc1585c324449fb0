# Whole lives by pgbench: client i is worker i, with a capacity of 50, who creates one task, accepts and
# completes its oldest pending reservation, each in its own commit, against the same three commits as bare
# statements with an event each. The tables have been analyzed while there was something in them, which
# autovacuum does in the first minute of a centre's life.

lives_completed() {
	sql -d lives -c "SELECT count(*) FROM kin_tr.tasks WHERE assignment_status = 'completed'"
}

lives_kin_tr() {
	local report workers before
	fresh lives
	sql -d lives -v workers=8 -v capacity=50 -f "$bench/sql/centre.sql" >/dev/null
	workers=$(sql -d lives -c "SELECT array_agg(sid ORDER BY friendly_name) FROM kin_tr.workers")
	settle lives
	T=1 kin_pgbench lives life.sql -D workers="$workers" >/dev/null
	sql -d lives -c ANALYZE
	before=$(lives_completed)
	report=$(kin_pgbench lives life.sql -D workers="$workers")
	# What counts is what the database says is completed, in the time that pgbench ran.
	awk -v done=$(($(lives_completed) - before)) '
		/^number of transactions actually processed/ { n = $NF }
		/^tps/ { print done * $3 / n }' <<<"$report"
}

case_lives() {
	interleave lives 'bound life 8' lives_kin_tr
	drop lives
}
