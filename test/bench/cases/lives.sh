# Whole lives by pgbench: client i is worker i, with a capacity of 50, who creates one task, accepts and
# completes its oldest pending reservation, each in its own commit, against the same three commits as bare
# statements with an event each.

lives_kin_tr() {
	local report workers before after
	fresh lives
	sql -d lives -v workers=8 -v capacity=50 -f "$bench/sql/centre.sql" >/dev/null
	workers=$(sql -d lives -c "SELECT array_agg(sid ORDER BY friendly_name) FROM kin_tr.workers")
	settle lives
	report=$(kin_pgbench lives life.sql -D workers="$workers")
	# What counts is what the database says is completed, in the time that pgbench ran.
	awk -v done="$(sql -d lives -c "SELECT count(*) FROM kin_tr.tasks WHERE assignment_status = 'completed'")" '
		/^number of transactions actually processed/ { n = $NF }
		/^tps/ { print done * $3 / n }' <<<"$report"
}

case_lives() {
	interleave lives 'bound life 8' lives_kin_tr
	drop lives
}
