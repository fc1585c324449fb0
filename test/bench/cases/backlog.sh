# The router alone on a backlog: from the commit that opens capacity for all of it to the commit of the last
# reservation, with no client at work, against bare one-row commits of one client.

backlog_kin_tr() {
	local n opened
	n=$(quick 20000 2000)
	fresh backlog
	sql -d backlog -v workers=100 -v capacity=0 -f "$bench/sql/centre.sql" >/dev/null
	sql -d backlog -v n="$n" -v attributes="$attributes" >/dev/null <<-'END'
		SELECT count(kin_tr.create_task(:'attributes')) FROM generate_series(1, :n);
	END
	settle backlog
	sql -d backlog -c CHECKPOINT
	opened=$(sql -d backlog <<-END | tail -1
		BEGIN;
		SELECT count(kin_tr.update_worker_channel(friendly_name, 'default', $((n / 100)))) FROM kin_tr.workers;
		SELECT pg_current_xact_id()::xid;
		COMMIT;
	END
	)
	assignments_since backlog "$opened" "$n" | awk -v n="$n" '{ print n / $1 }'
}

case_backlog() {
	interleave backlog 'bound insert1 1' backlog_kin_tr
	drop backlog
}
