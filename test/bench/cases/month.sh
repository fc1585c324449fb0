# The demo's month of calls under one reading of the agents' presence, as test/demo/demo.sh replays it: from the
# first statement to the last, progress included.

case_month() {
	local start round
	for ((round = 1; round <= ROUNDS; round++)); do
		start=${EPOCHREALTIME/./}
		(
			cd test/demo
			sql -d peers -c 'DROP DATABASE IF EXISTS month WITH (FORCE)' -c 'CREATE DATABASE month'
			sql -d month -c 'CREATE EXTENSION kin_tr'
			gzip -dc ../data/bank-1999-02.tsv.gz | sql -d month -f load.sql
			sql -d month -v seed=1 -v days="$(quick 28 1)" -f prepare.sql
			sql -d month -f centre.sql
			sql -d month -f replay.sql
			sql -d month -v reading=generous -f month.sql
		) >"$work/month.log" 2>&1 || { cat "$work/month.log" >&2; return 1; }
		record month "$round" "$(calculate "(${EPOCHREALTIME/./} - $start) / 1e6")"
	done
	drop month
}
