# The demo's throw-away cluster: where it is, and how it starts and ends. To be sourced.
#
# All of it lies in one folder that only its server's user may enter; the socket lies there too, and
# the server listens nowhere else. That is its password: whoever may enter the folder may connect.
# Each user has a folder of its own, so the users of one machine do not meet.

home=${TMPDIR:-/tmp}/kin_tr-demo-$(id -u)

PG_CONFIG=${PG_CONFIG:-/usr/lib/postgresql/15/bin/pg_config}
bin=$("$PG_CONFIG" --bindir)

# Where psql and the like find it, whatever the caller's own settings are.
unset "${!PG@}"
export PGHOST=$home PGPORT=5432 PGUSER=postgres PATH=$bin:$PATH

# Servers refuse root, who has the packages' user for it.
as_server() {
	if [[ $(id -u) == 0 ]]; then
		(cd / && setpriv --reuid postgres --regid postgres --init-groups "$@")
	else
		"$@"
	fi
}

start_cluster() {
	as_server mkdir -m 700 "$home"
	as_server initdb -D "$home/data" -U postgres -A trust -E UTF8 --locale=C --no-sync >/dev/null
	as_server tee -a "$home/data/postgresql.conf" >/dev/null <<-END
		shared_preload_libraries = 'kin_tr'
		unix_socket_directories = '$home'
		listen_addresses = ''
		port = $PGPORT
		max_worker_processes = 16
	END
	if ! as_server pg_ctl start -s -w -D "$home/data" -l "$home/log" </dev/null; then
		cat "$home/log" >&2
		return 1
	fi
}

# Removes all of it, also what is left of one that was ended in another way. Another's folder is none
# of ours, and a link may lead anywhere.
stop_cluster() {
	[[ -e $home || -L $home ]] || return 0
	if [[ -L $home || $(stat -c %U "$home") != "$(as_server id -un)" ]]; then
		echo "demo: $home is not mine to remove" >&2
		return 1
	fi
	if as_server pg_ctl status -D "$home/data" >/dev/null 2>&1; then
		as_server pg_ctl stop -s -w -m fast -D "$home/data"
	fi
	rm -rf "$home"
}
