#!/usr/bin/env bash
# Ends the demo's cluster and removes all of it. Nothing to do is no error, but
# one that is somebody else's is.
set -euo pipefail
cd "$(dirname "$0")"
. ./cluster.sh

if [[ -e $folder || -L $folder ]]; then
	stop_cluster
	echo "demo: stopped, and $folder is removed"
	exit
fi
for other in "${folder%-*}"-*; do
	[[ -e $other ]] || { echo "demo: there is none to stop"; exit; }
done
for other in "${folder%-*}"-*; do
	if [[ ${other##*-} == 0 ]]; then
		echo "demo: $other was started by root, so only root may stop it: sudo make demo-stop" >&2
	else
		echo "demo: $other was started by $(id -nu "${other##*-}" 2>/dev/null || echo somebody else)," \
			"who may stop it with: make demo-stop" >&2
	fi
done
exit 1
