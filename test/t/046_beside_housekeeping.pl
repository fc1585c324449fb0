# Housekeeping that is refused or held up slows nobody: offers, time-outs and moves to
# history go on beside an event trigger that refuses DDL, and beside a long pg_dump.

use strict;
use warnings FATAL => 'all';

use Test::More;

use KinTr::Cluster;
use KinTr::Tenants;

my ($node, $owner, $mine) = start_tenants('beside_housekeeping', "kin_tr.launcher_interval = 1\n");
my $theirs = theirs();

query_until($node, 'postgres', q{SELECT state = 'ok' AND detail LIKE 'looked after%' FROM kin_tr.health() WHERE item = 'partitions'}, 'partitions are there');
$owner->do(q{SELECT kin_tr.update_workflow('Default Workflow', task_reservation_timeout => 1, workspace => 'Theirs')});
$owner->do(q{SELECT kin_tr.update_workspace('Theirs', timeout_activity => 'Offline')});
$owner->do(q{SELECT count(kin_tr.create_worker('w' || n, activity => 'Available', workspace => 'Theirs')),
	count(kin_tr.update_worker_channel('w' || n, 'default', 60, workspace => 'Theirs')) FROM generate_series(1, 10) n});

# 500 tasks of Theirs are reserved and nobody accepts them; as many have ended, and are due to be moved.
sub much_is_due
{
	my ($what) = @_;

	$owner->do(q{SELECT count(kin_tr.update_worker_activity('w' || n, 'Available', workspace => 'Theirs')) FROM generate_series(1, 10) n});
	$theirs->do(q{SELECT count(kin_tr.create_task(workflow => 'Default Workflow')) FROM generate_series(1, 500)});
	query_until($node, 'postgres', q{SELECT count(*) = 0 FROM kin_tr.tasks WHERE assignment_status = 'pending'}, "$what: 500 tasks are offered");
	mine_goes_on_while($what, 2, sub { });
	query_until($node, 'postgres', q{SELECT count(*) >= 500 FROM kin_tr.reservations WHERE reservation_status = 'timeout'}, '... and time out');
	is(value($owner, q{SELECT count(*) FROM kin_tr.events e JOIN kin_tr.reservations r ON r.sid = e.resource_sid
		WHERE e.event_type = 'reservation.timeout' AND e.recorded_at > r.date_created + interval '3 seconds'}), 0, '... each within two seconds of its time');
	$theirs->do(q{SELECT count(kin_tr.cancel_task(sid::text)) FROM kin_tr.tasks WHERE assignment_status IN ('pending', 'reserved')});
	$owner->do(q{UPDATE kin_tr.tasks SET finished_at = finished_at - interval '10 minutes' WHERE finished_at IS NOT NULL});
	mine_goes_on_while($what, 2, sub { });
	query_until($node, 'postgres', q{SELECT count(*) = 0 FROM kin_tr.tasks WHERE finished_at < now() - interval '9 minutes'}, '... and all that has ended is moved');
	return;
}

much_is_due('nothing is wrong');

# ------------------------------------------------------------- DDL is refused

my $lost = value($owner, q{SELECT kin_tr._partition_name('task_history', (date_trunc('week', now() AT TIME ZONE 'UTC') + interval '5 weeks')::date)});

$owner->do(q{CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no DDL today'; END $$});
$owner->do("DROP TABLE kin_tr.$lost");
$owner->do('CREATE EVENT TRIGGER refuse ON ddl_command_start EXECUTE FUNCTION refuse()');
# After a start a housekeeper comes at once.
$_->disconnect for $owner, $mine, $theirs;
$node->restart;
($owner, $mine) = reconnect_tenants();
$theirs = theirs();
query_until($node, 'postgres', q{SELECT state = 'fault' AND detail ~ 'no DDL today' FROM kin_tr.health() WHERE item = 'partitions'},
	'health() says what stops the housekeeper');
much_is_due('DDL is refused');
is(value($owner, q{SELECT string_agg(item, ' ') FROM kin_tr.health() WHERE state = 'fault'}), 'partitions', 'health() has no other fault');
$owner->do('DROP EVENT TRIGGER refuse');

# ---------------------------------------------------------------- a long dump

# As pg_dump has it: a snapshot, and a lock of each table.
my $dump = connect_to($node);

$dump->do('BEGIN ISOLATION LEVEL REPEATABLE READ');
$dump->do(qq{LOCK TABLE $_ IN ACCESS SHARE MODE}) for @{ $dump->selectcol_arrayref(
	q{SELECT oid::regclass FROM pg_class WHERE relnamespace = 'kin_tr'::regnamespace AND relkind IN ('r', 'p')}) };
much_is_due('a dump has a lock of every table');
$dump->do('ROLLBACK');
query_until($node, 'postgres', "SELECT to_regclass('kin_tr.$lost') IS NOT NULL", 'what was refused is done after all');

note slowest();
is_sound($owner, 'afterwards');
$_->disconnect for $owner, $mine, $theirs, $dump;
$node->stop;
done_testing();
