# The cluster that everything is measured on, the machine, and Node.js. To be sourced by run.sh.

pg_config=$("$bench/../pg_config.sh") || exit 1
PATH=$("$pg_config" --bindir):$PATH
export PATH PG_CONFIG=$pg_config LC_ALL=C

# The caller's own settings lead to another server.
unset PGHOST PGPORT PGUSER PGDATABASE PGOPTIONS PEERS_DIR

start_cluster() {
	export PEERS_DIR=$work/cluster
	eval "$(PEERS_PRELOAD=kin_tr "$bench/peers/cluster.sh" start 2>"$work/cluster.log" || { cat "$work/cluster.log" >&2; echo false; })"
	export PGOPTIONS='-c client_min_messages=warning'
}

stop_cluster() {
	[[ ! -e $work/cluster/data/postmaster.pid ]] || "$bench/peers/cluster.sh" stop 2>/dev/null
}

# npm from Debian where there is none; Node.js itself is among the packages, since the peers want a newer one.
install_node() {
	if [[ ! -x $bench/peers/node_modules/.bin/node ]]; then
		progress 'installing the Node.js packages of the peers'
		if ! command -v npm >/dev/null; then
			local sudo=sudo
			[[ $(id -u) != 0 ]] || sudo=
			$sudo apt-get update -qq
			$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends npm >/dev/null
		fi
		(cd "$bench/peers" && npm install --no-audit --no-fund --silent)
	fi
	PATH=$bench/peers/node_modules/.bin:$PATH
}

# Comment lines for the head of the results; table.sh prints them with the table.
describe_machine() {
	local packages=$bench/peers/node_modules
	printf '# date\t%s\n' "$(date -u +%Y-%m-%d)"
	printf '# cases\t%s\n' "$*"
	printf '# settings\trounds %s, %s s a run%s\n' "$ROUNDS" "$T" "${QUICK:+, QUICK: no measurement}"
	printf '# processor\t%s cores, %s\n' "$(nproc)" "$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -1)"
	printf '# memory\t%s GiB\n' "$(awk '/^MemTotal/ { printf "%.0f", $2 / 1048576 }' /proc/meminfo)"
	printf '# system\t%s, Linux %s\n' "$(. /etc/os-release && echo "$PRETTY_NAME")" "$(uname -r | cut -d- -f1)"
	printf '# server\tPostgreSQL %s, kin_tr %s\n' "$(sql -c 'SHOW server_version')" \
		"$(sed -n "s/^default_version *= *'\(.*\)'/\1/p" kin_tr.control)"
	[[ ! -d $packages ]] || printf '# packages\tNode.js %s, pg %s, graphile-worker %s, pg-boss %s\n' \
		"$("$packages/.bin/node" --version)" $(for p in pg graphile-worker pg-boss; do
			sed -n 's/^  "version": "\(.*\)",/\1/p' "$packages/$p/package.json"; done)
}
