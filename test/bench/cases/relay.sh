# create_task commits at 8 clients with the relay on and one listener, against the relay off, a full
# retention's partitions in place. There is no switch for the relay alone. To turn it off, it is ended and
# its lock taken by another session before the launcher, which does so at once, starts it again (so that session
# tries without a pause): it then waits, and rings for nobody.
# The listener listens in both cases, and how often it heard the bell is checked.

# relay_run on|off: transactions a second.
relay_run() {
	local tps listener rung
	fresh relay partitions
	sql -d relay -v workers=8 -v capacity=0 -f "$bench/sql/centre.sql" >/dev/null
	settle relay
	coproc locker { sql -d relay; }
	[[ $1 == on ]] || relay_off
	: >"$work/heard"
	exec {listener}> >(PGDATABASE=relay exec node "$bench/peers/listen.mjs" >"$work/heard")
	until grep -q listening "$work/heard"; do sleep 0.05; done
	tps=$(kin_pgbench relay create_task.sql | tps_of)
	[[ $1 == off ]] || settle relay
	exec {listener}>&-
	until rung=$(grep -E '^[0-9]+$' "$work/heard"); do sleep 0.05; done
	exec {locker[1]}>&-
	wait "$locker_PID" || true
	if [[ $1 == on && $rung -lt 10 || $1 == off && $rung -gt 0 ]]; then
		echo "bench: with the relay $1 the bell rang $rung times" >&2
		return 1
	fi
	echo "$tps"
}

# 2 is KT_ROLE_RELAY of src/base/lock.h.
relay_off() {
	cat >&"${locker[1]}" <<-'END'
		BEGIN;
		DO $$
		BEGIN
			WHILE NOT kin_tr._lock_role(2) LOOP
				PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
				 WHERE datname = current_database() AND backend_type = 'kin_tr relay';
				PERFORM pg_stat_clear_snapshot();
			END LOOP;
		END $$;
		SELECT 'off';
	END
	read -r -u "${locker[0]}"
}

relay_on() {
	relay_run on
}

case_relay() {
	interleave relay 'relay_run off' relay_on
	drop relay
}
