#!/usr/bin/env bash
# Ends the demo's cluster and removes all of it. Nothing to do is no error.
set -euo pipefail
cd "$(dirname "$0")"
. ./cluster.sh

stop_cluster
