#!/usr/bin/env bash
# Replays a month of a real call centre on kin_tr, in a throw-away cluster of its own, and prints what
# came of it. The cluster stays, for a look around; stop.sh removes it, and so does the next run.
# kin_tr must be installed.
#
#   DAYS=n   only the first n days of the month (28)
#   SEED=s   what is drawn depends on it and on nothing else (1)
#
# The agents' presence, which the data lack, is read in two ways, and each has a database of its own:
# kin_tr_generous and kin_tr_strict.
set -euo pipefail
cd "$(dirname "$0")"

days=${DAYS:-28}
seed=${SEED:-1}
data=../data/bank-1999-02.tsv.gz
if ! [[ $days =~ ^0*([1-9]|1[0-9]|2[0-8])$ ]]; then
	echo "demo: DAYS must be a number from 1 to 28, not \"$days\"" >&2
	exit 2
fi
days=${BASH_REMATCH[1]}

. ./cluster.sh
export PGOPTIONS='-c client_min_messages=warning'
sql() {
	psql -X -q -A -t -v ON_ERROR_STOP=1 "$@"
}

# One line for each day; on a terminal each takes the place of the one before.
show_progress() {
	local line
	if [[ -t 1 && ${TERM:-dumb} != dumb ]]; then
		while IFS= read -r line; do
			printf '\r\e[K%s' "$line"
		done
		echo
	else
		cat
	fi
}

replay() {
	local reading=$1 db=kin_tr_$1

	printf '%-8s  reading the records\n' "$reading"
	sql -d postgres -c "CREATE DATABASE $db"
	sql -d "$db" -c 'CREATE EXTENSION kin_tr'
	gzip -dc "$data" | sql -d "$db" -f load.sql
	sql -d "$db" -v seed="$seed" -v days="$days" -f prepare.sql
	sql -d "$db" -f centre.sql -o /dev/null
	sql -d "$db" -f replay.sql
	sql -d "$db" -v reading="$reading" -f month.sql
}

# Time is real again, so kin_tr's own processes act from here on.
wait_for_workers() {
	local faults
	for _ in {1..100}; do
		faults=$(sql -d "$1" -F ': ' -c "SELECT item, state, detail FROM kin_tr.health() WHERE state <> 'ok'")
		[[ $faults ]] || return 0
		sleep 0.1
	done
	printf 'demo: kin_tr is not well in database %s:\n%s\n' "$1" "$faults" >&2
	return 1
}

stop_cluster

finished=
report_failure() {
	[[ $finished ]] ||
		echo "demo: did not come to its end. The server's log is $folder/log; $(typed make demo-stop) removes all." >&2
}
trap report_failure EXIT

start_cluster
replay generous | show_progress
replay strict | show_progress

# The report stands in one database, with the outcomes of both.
sql -d kin_tr_generous -c 'CREATE TABLE bank.replayed (
	reading text, record integer, agent text, answered_at timestamptz, ended_at timestamptz)'
for reading in generous strict; do
	sql -d "kin_tr_$reading" -c "COPY (SELECT '$reading', record, name, answered_at, ended_at
			FROM bank.outcomes LEFT JOIN bank.agents ON number = agent) TO STDOUT" |
		sql -d kin_tr_generous -c 'COPY bank.replayed FROM STDIN'
done
sql -d kin_tr_generous -f report.sql

wait_for_workers kin_tr_generous
wait_for_workers kin_tr_strict
finished=yes

cat <<END

The cluster keeps running, on real time and with its background workers; all
agents are Offline. Connect with

  $(typed "$psql -h $PGHOST -p $PGPORT -U $PGUSER -d kin_tr_generous")

and try, one after the other:

  -- An agent comes,
  SELECT kin_tr.update_worker_activity('TOVA', 'Available');
  -- a new customer calls,
  SELECT kin_tr.create_task('{"type": "NW"}');
  -- and a moment later it is hers: she has two minutes to accept.
  SELECT pg_sleep(0.1); SELECT worker_name, reservation_status, times_out_at
    FROM kin_tr.active_reservations('TOVA');
  -- She does, she helps the customer, and is free for the next one.
  SELECT kin_tr.accept_reservation(sid) FROM kin_tr.active_reservations('TOVA');
  SELECT kin_tr.complete_task(task_sid) FROM kin_tr.active_reservations('TOVA');
  SELECT sid, assignment_status, age(date_updated, date_created)
    FROM kin_tr.all_tasks ORDER BY date_created DESC LIMIT 1;

Read next: README.md on queues and rules of your own, docs/listeners.md on a
program that takes tasks. $(typed make demo-stop) removes all of the demo.
END
