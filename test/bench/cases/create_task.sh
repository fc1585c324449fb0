# create_task commits at 8 clients, the router running and no worker free, against a bare transaction that
# inserts a task and an event. A full retention's partitions are in place.

create_task_setup() {
	fresh create_task partitions
	sql -d create_task -v workers=8 -v capacity=1 -f "$bench/sql/centre.sql" >/dev/null
	# The workers are all busy: each has accepted a task.
	sql -d create_task -c "SELECT count(kin_tr.create_task('{\"type\": \"inbound\", \"language\": \"pt\"}')) FROM generate_series(1, 8)" >/dev/null
	wait_for create_task 'count(*) = 8 FROM kin_tr.reservations'
	sql -d create_task -c 'SELECT count(kin_tr.accept_reservation(sid)) FROM kin_tr.reservations' >/dev/null
	settle create_task
}

create_task_kin_tr() {
	create_task_setup
	kin_pgbench create_task create_task.sql | tps_of
}

case_create_task() {
	interleave create_task 'bound insert2 8' create_task_kin_tr
	drop create_task
}
