#!/usr/bin/env bash
# The tests on other versions of PostgreSQL, without a warning of the compiler.
#
#   test/versions.sh [VERSION|PG_CONFIG]...    default: 17 18
#
# 15, 17 and 18 come from Debian's releases, each in a system of its own
# (debootstrap, chroot).  No release has 16: for it, or for a build of your own,
# give the path of its pg_config; kin_tr is then installed there.
#
# KINDS (default: unit regress isolation tap) are test/run.sh's.  VERSIONS_DIR
# (default: kin_tr-versions below TMPDIR or /tmp) keeps the systems, 2 GB each,
# for the next time.  On Debian, as root or with sudo; three minutes a version
# and the tests' own time.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "$(id -u)" != 0 ]; then
    exec sudo --preserve-env=KINDS,VERSIONS_DIR,TMPDIR "$0" "$@"
fi
kinds=${KINDS:-unit regress isolation tap}
dir=${VERSIONS_DIR:-${TMPDIR:-/tmp}/kin_tr-versions}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
export DEBIAN_FRONTEND=noninteractive LC_ALL=C

mounted=()
mount_in() {
    [ ${#mounted[@]} = 0 ] || return 0
    mount -t proc proc "$1/proc" && mounted+=("$1/proc")
    mount -t tmpfs tmpfs "$1/dev/shm" && mounted+=("$1/dev/shm")
}
unmount() { local at; for at in "${mounted[@]}"; do umount "$at" || true; done; mounted=(); }
trap unmount EXIT

release_of() {
    case $1 in
        15) echo bookworm ;;
        17) echo trixie ;;
        18) echo forky ;;
        *) echo "no Debian release has PostgreSQL $1: give the path of its pg_config" >&2; return 1 ;;
    esac
}

mirror() {
    local codename

    codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
    # shellcheck disable=SC2016
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Codename: $codename" | head -1
}

# The system of a version; sid's script does for a release that debootstrap does
# not know yet.
system() {
    local version=$1 root=$2 release script

    [ ! -e "$root/.ready" ] || return 0
    release=$(release_of "$version")
    script=$(ls /usr/share/debootstrap/scripts/"$release" 2>/dev/null || echo /usr/share/debootstrap/scripts/sid)
    rm -rf "$root"
    debootstrap --variant=minbase "$release" "$root" "$(mirror)" "$script" >"$root.log" 2>&1 || { tail -20 "$root.log"; return 1; }
    # A release to come is not signed anew each week.
    echo 'Acquire::Check-Valid-Until "false";' >"$root/etc/apt/apt.conf.d/kin_tr"
    touch "$root/.ready"
}

# Only the sources: an object of another version would be taken for current.
copy_sources() {
    rm -rf "$1"
    mkdir -p "$1"
    tar cf - --exclude=.git --exclude='*.o' --exclude='*.d' --exclude='*.so' --exclude=build --exclude=node_modules . | tar xf - -C "$1"
}

in_system() {
    local version=$1 root=$dir/$1

    system "$version" "$root" || return 1
    copy_sources "$root/src/kin_tr"
    mount_in "$root"
    # What names a file of this system says nothing in that one.
    chroot "$root" env -u PG_CONFIG -u NODE_EXTRA_CA_CERTS CI=1 sh -c "cd /src/kin_tr && test/setup.sh && test/run.sh $kinds"
}

with_pg_config() {
    local copy=$dir/copy

    copy_sources "$copy"
    # shellcheck disable=SC2086
    (cd "$copy" && make -s WERROR=1 PG_CONFIG="$1" install >/dev/null && PG_CONFIG="$1" test/run.sh $kinds)
}

failed=()
[ -e /usr/share/debootstrap/scripts/sid ] || apt-get install -y -qq --no-install-recommends debootstrap >/dev/null
[ $# -gt 0 ] || set -- 17 18
for version; do
    echo "##### PostgreSQL $version"
    if [ -x "$version" ]; then with_pg_config "$version"; else in_system "$version"; fi || failed+=("$version")
    unmount
done
if [ ${#failed[@]} -gt 0 ]; then
    echo "failed: ${failed[*]}"
    exit 1
fi
