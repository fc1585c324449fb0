# WAL bytes of a whole life, all that the cluster writes meanwhile included: with kin_tr, and as three bare
# commits; and of the move of a finished task to history, five minutes after its end.

wal_position() {
	sql -d peers -c "SELECT pg_current_wal_insert_lsn() - '0/0'"
}

case_wal() {
	local round before between after workers lives moved
	for ((round = 1; round <= ROUNDS; round++)); do
		fresh wal
		sql -d wal -v workers=8 -v capacity=50 -f "$bench/sql/centre.sql" >/dev/null
		workers=$(sql -d wal -c 'SELECT array_agg(sid ORDER BY friendly_name) FROM kin_tr.workers')
		settle wal
		sql -d wal -c CHECKPOINT
		before=$(wal_position)
		kin_pgbench wal life.sql -D workers="$workers" >/dev/null
		settle wal
		between=$(wal_position)
		lives=$(sql -d wal -c "SELECT count(*) FROM kin_tr.tasks WHERE assignment_status = 'completed'")
		record wal_life "$round" "$(calculate "($between - $before) / $lives")" "$(bound life 8 wal)"
		# While kin_tr's clock is set its processes pause, and maintain() alone moves what has ended.
		sql -d wal -c "SELECT kin_tr.set_clock(now() + interval '10 minutes')" >/dev/null
		settle wal
		before=$(wal_position)
		moved=$(sql -d wal -c 'SELECT moved FROM kin_tr.maintain()')
		after=$(wal_position)
		record wal_history "$round" "$(calculate "($after - $before) / $moved")"
	done
	drop wal
}
