#!/usr/bin/env bash
# Replays a month of a real call centre on kin_tr and prints what came of it. Wants a running cluster
# in which kin_tr can be created, reached as a superuser through PGHOST, PGPORT and PGUSER.
#
#   DAYS=n   only the first n days of the month (28)
#   SEED=s   what is drawn depends on it and on nothing else (1)
#
# The agents' presence, which the data lack, is read in two ways, and each has a database of its own:
# kin_tr_generous and kin_tr_strict. Both are made anew.
set -euo pipefail
cd "$(dirname "$0")"

days=${DAYS:-28}
seed=${SEED:-1}
data=../test/data/bank-1999-02.tsv.gz
if ! [[ $days =~ ^[0-9]+$ ]] || ((10#$days < 1 || 10#$days > 28)); then
	echo "demo: DAYS must be a number from 1 to 28, not \"$days\"" >&2
	exit 2
fi
days=$((10#$days))

export PGOPTIONS='-c client_min_messages=warning'
sql() {
	psql -X -q -A -t -v ON_ERROR_STOP=1 "$@"
}

replay() {
	local reading=$1 db=kin_tr_$1

	sql -d postgres -c "DROP DATABASE IF EXISTS $db WITH (FORCE)" -c "CREATE DATABASE $db"
	sql -d "$db" -c 'CREATE EXTENSION kin_tr'
	gzip -dc "$data" | sql -d "$db" -f load.sql
	sql -d "$db" -v seed="$seed" -v days="$days" -f prepare.sql
	sql -d "$db" -f centre.sql -o /dev/null
	sql -d "$db" -f replay.sql
	sql -d "$db" -v reading="$reading" -f month.sql
}

# Time is real again, so kin_tr's own processes route from here on.
wait_for_router() {
	local tries
	for tries in {1..100}; do
		if [[ $(sql -d "$1" -c "SELECT count(*) FROM pg_stat_activity
				WHERE datname = current_database() AND backend_type = 'kin_tr router'") == 1 ]]; then
			return
		fi
		sleep 0.1
	done
	echo "demo: no kin_tr router runs in database $1; see kin_tr.health()" >&2
	exit 1
}

outcomes='SELECT reading, record, name, answered_at, ended_at
	FROM bank.outcomes LEFT JOIN bank.agents ON number = agent'

replay generous
replay strict

# The report stands in one database, with the outcomes of both.
sql -d kin_tr_generous -c "CREATE TABLE bank.replayed (
	reading text, record integer, agent text, answered_at timestamptz, ended_at timestamptz)"
for reading in generous strict; do
	sql -d "kin_tr_$reading" -c "COPY (${outcomes/reading/\'$reading\'}) TO STDOUT" |
		sql -d kin_tr_generous -c 'COPY bank.replayed FROM STDIN'
done
sql -d kin_tr_generous -f report.sql

wait_for_router kin_tr_generous
wait_for_router kin_tr_strict

cat <<END

The cluster keeps running, on real time, with its background workers; all agents are Offline.
Connect with

  psql -h $PGHOST -p $PGPORT -U $PGUSER -d kin_tr_generous

and try, one after the other:

  SELECT kin_tr.update_worker_activity('TOVA', 'Available');   -- an agent comes
  SELECT kin_tr.create_task('{"type": "NW"}');                 -- a new customer calls
  SELECT worker_name, reservation_status, date_created         -- who is to answer
    FROM kin_tr.reservations;

make demo-stop removes it all.
END
