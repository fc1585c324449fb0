# shellcheck shell=bash
# The demo's throw-away cluster: where it is, how it starts and how it ends. To be sourced.
#
# All of it lies in one folder, which only the server's user may enter. The socket lies there too, and
# the server listens nowhere else: whoever may enter the folder may connect, and needs no password.
# Each user has a folder, and with it a port, of its own, so the users of one machine do not meet.

folder=${TMPDIR:-/tmp}/kin_tr-demo-$(id -u)

pg_config=$(../pg_config.sh) || exit 1
psql=$(command -v psql >/dev/null && echo psql || echo "$("$pg_config" --bindir)/psql")
PATH=$("$pg_config" --bindir):$PATH

# The caller's own settings lead to another server.
unset "${!PG@}"
export PATH PG_CONFIG=$pg_config PGHOST=$folder PGPORT=5432 PGUSER=postgres

# A server refuses to be root, so root runs it as the packages' user.
as_server() {
	if [[ $(id -u) == 0 ]]; then
		(cd / && setpriv --reuid postgres --regid postgres --init-groups "$@")
	else
		"$@"
	fi
}

start_cluster() {
	as_server mkdir -m 700 "$folder"
	as_server initdb -D "$folder/data" -U "$PGUSER" -A trust -E UTF8 --locale=C --no-sync >/dev/null
	as_server tee -a "$folder/data/postgresql.conf" >/dev/null <<-END
		shared_preload_libraries = 'kin_tr'
		unix_socket_directories = '$folder'
		listen_addresses = ''
		port = $PGPORT
		max_worker_processes = 16
	END
	if ! as_server pg_ctl start -s -w -D "$folder/data" -l "$folder/log" </dev/null; then
		cat "$folder/log" >&2
		return 1
	fi
}

# What a reader types to do something here as the one who may: root was perhaps only lent.
typed() {
	[[ $(id -u) == 0 && ${SUDO_USER:-root} != root ]] && printf 'sudo '
	printf '%s' "$*"
}

# Removes all of it, however it ended; nothing where there is none. What somebody else has put in its
# place is left alone.
stop_cluster() {
	[[ -e $folder || -L $folder ]] || return 0
	if [[ -L $folder || $(stat -c %U "$folder") != "$(as_server id -un)" ]]; then
		echo "demo: $folder is not this user's, so it stays" >&2
		return 1
	fi
	if as_server pg_ctl status -D "$folder/data" >/dev/null 2>&1; then
		as_server pg_ctl stop -s -w -m fast -D "$folder/data"
	fi
	rm -rf "$folder"
}
