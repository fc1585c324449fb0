#!/usr/bin/env bash
# Runs the README's shell commands as written, one block after the other; as root, or with sudo.
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ "$(id -u)" = 0 ]; then
    sudo() { "$@"; }
    export -f sudo
fi
awk '/^```sh$/ { inside = 1; next } /^```$/ { inside = 0 } inside' README.md |
    while IFS= read -r command; do
        echo "=== $command"
        bash -euo pipefail -c "$command" </dev/null
    done
