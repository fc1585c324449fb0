# From commit to commit, task to offer, in the workspace Mine, while somebody holds 10,000 tasks of Theirs,
# all that wait, and 100 of its 101 idle workers, against while nobody holds anything and these workers are
# busy. The 99th percentile of 100 tasks a second.

tenants_prepare() {
	fresh tenants
	sql -d tenants -v tasks="$(quick 10000 1000)" -f "$bench/sql/tenants.sql" >/dev/null
	settle tenants
}

tenants_available() {
	sql -d tenants -c "SELECT count(kin_tr.update_worker_activity(friendly_name, 'Available', workspace => 'Theirs'))
		FROM kin_tr.workers WHERE friendly_name LIKE 'theirs%'" >/dev/null
}

# In milliseconds.
tenants_time() {
	kin_pgbench tenants create_mine.sql -c 1 -R 100 -T "$(quick 15 2)" >/dev/null
	wait_for tenants "NOT EXISTS (SELECT FROM kin_tr.tasks t JOIN kin_tr.workspaces w ON w.sid = t.workspace_sid
		WHERE w.friendly_name = 'Mine' AND t.assignment_status = 'pending')"
	sql -d tenants -c 'ANALYZE kin_tr.events' -c "SELECT percentile_cont(0.99) WITHIN GROUP (ORDER BY
			extract(epoch FROM pg_xact_commit_timestamp(o.xid::xid) - pg_xact_commit_timestamp(c.xid::xid)) * 1000)
		FROM kin_tr.events c JOIN kin_tr.events o ON o.task_sid = c.resource_sid AND o.event_type = 'reservation.created'
		JOIN kin_tr.workspaces w ON w.sid = c.workspace_sid
		WHERE c.event_type = 'task.created' AND w.friendly_name = 'Mine'"
}

tenants_free() {
	tenants_prepare
	tenants_available
	settle tenants
	tenants_time
}

tenants_held() {
	local held tasks workers
	tenants_prepare
	hold tenants "BEGIN; SELECT count(kin_tr.update_task(sid::text, priority => 1)) FROM kin_tr.tasks"
	tasks=$held
	tenants_available
	hold tenants "BEGIN; SELECT count(kin_tr.update_worker(friendly_name, '{\"held\": true}', workspace => 'Theirs'))
		FROM kin_tr.workers WHERE friendly_name LIKE 'theirs%' AND friendly_name <> 'theirs0'"
	workers=$held
	tenants_time
	exec {tasks}>&- {workers}>&-
}

case_tenants() {
	interleave tenants tenants_free tenants_held
	drop tenants
}
