#!/usr/bin/env bash
# Measures kin_tr beside what PostgreSQL alone can do and beside what a user would pick instead: in one
# run, on one throw-away cluster with durable commits, one thing at a time, bound and kin_tr by turns.
#
#   test/bench/run.sh [CASE...]     all cases, or only these:
#       create_task lives node_lives backlog relay latency tenants scale snapshot expressions memory month wal
#
#   ROUNDS=n   rounds of each case (3)
#   T=s        seconds of each run of pgbench (5)
#   QUICK=1    one round, a second or little more and a hundredth of the rows for each case: a test of
#              these scripts and no measurement
#
# Needs what test/setup.sh installs, and npm for the case node_lives, relay and latency; it gets that,
# and the Node.js packages, itself. Results: a table on the screen, each round in build/bench.tsv.
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "$0")/../.."
bench=$PWD/test/bench
all=(create_task lives node_lives backlog relay latency tenants scale snapshot expressions memory month wal)

for name in "$@"; do
	[[ -e $bench/cases/$name.sh ]] || { echo "bench: no case \"$name\"; there are: ${all[*]}" >&2; exit 2; }
done
[[ $# == 0 ]] || all=("$@")

. "$bench/lib.sh"
. "$bench/cluster.sh"

mkdir -p build
results=$PWD/build/bench.tsv
work=$(mktemp -d)
chmod 755 "$work"
trap 'stop_cluster || true; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

for name in "${all[@]}"; do
	case $name in node_lives|relay|latency) install_node; break ;; esac
done
start_cluster
describe_machine "${all[@]}" >"$results"
for name in "${all[@]}"; do
	progress "case $name"
	. "$bench/cases/$name.sh"
	"case_$name"
done
progress 'done'
echo
"$bench/table.sh" "$results"
