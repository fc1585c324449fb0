#!/usr/bin/env bash
# Installs, on Debian 12, what building, testing and showing kin_tr needs, and
# builds and installs the extension.  As root, or with sudo.
set -euo pipefail
cd "$(dirname "$0")/.."

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

packages=(gcc libc6-dev make gzip postgresql-15 postgresql-server-dev-15 libutf8proc-dev libipc-run-perl
          libdbd-pg-perl clang libclang-rt-14-dev)
missing=()
for p in "${packages[@]}"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
done
if [ ${#missing[@]} -gt 0 ]; then
    echo "installing: ${missing[*]}"
    # Debian's own cluster is not wanted: every run starts one of its own.
    as_root mkdir -p /etc/postgresql-common
    [ -e /etc/postgresql-common/createcluster.conf ] ||
        echo 'create_main_cluster = false' | as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
    as_root apt-get update -qq
    DEBIAN_FRONTEND=noninteractive as_root apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
jobs=$(nproc)
make -s -j"$jobs" WERROR="${CI:-}"
as_root make -s install >/dev/null
