# health() tells within seconds what fails, hangs or is late, and why; a process
# that fails waits before it tries again, however much is committed meanwhile, and
# one that is ended does not; and settings take effect at a reload.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Utils qw(slurp_file);
use Test::More;
use Time::HiRes qw(time);

use KinTr::Cluster;

my $node = start_node('health', conf => "kin_tr.sweep_interval = 86400\n");
my $dbh = connect_to($node);

sub health_until
{
	my ($item, $state, $pattern, $what) = @_;

	query_until($node, 'postgres', "SELECT state = '$state' AND detail ~ \$re\$$pattern\$re\$ FROM kin_tr.health() WHERE item = '$item'", $what);
	return;
}

wait_for_worker($node, 'postgres', $_) for qw(router relay);
$dbh->do("SELECT kin_tr.setup_workspace('Centre')");
$dbh->do("SELECT kin_tr.create_worker('Alice', activity => 'Available'), kin_tr.update_worker_channel('Alice', 'default', 10000)");
query_until($node, 'postgres', "SELECT bool_and(state = 'ok') FROM kin_tr.health()", 'all is well at first');
health_until('router', 'ok', '^pid \d+, since .*, last turn \d+ ms ago, at most \d+ m?s behind', 'the router says how it fares');

my $pid = worker_pid($node, 'postgres', 'router');

like(slurp_file("/proc/$pid/cmdline"), qr/kin_tr router: postgres/, 'ps shows of which database it is') if -e "/proc/$pid/cmdline";

# -------------------------------------------------------------- one that fails

$dbh->do(q{CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused by the owner'; END $$});
$dbh->do('CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON kin_tr.relay_state FOR EACH ROW EXECUTE FUNCTION refuse()');

my $log = -s $node->logfile;
my $commits = 0;
my $began = time();

while (time() < $began + 8)
{
	$dbh->do('SELECT kin_tr.create_task()');
	$commits++;
}
my $errors = () = substr(slurp_file($node->logfile), $log) =~ /ERROR:  refused by the owner/g;
cmp_ok($commits, '>', 100, 'much is committed while the relay fails');
cmp_ok($errors, '>=', 2, '... which goes on trying');
cmp_ok($errors, '<=', 4, '... ever more rarely');
health_until('relay', 'fault', '\d errors in a row, the last \d+ m?s ago: P0001 refused by the owner', '... of which health() tells');
health_until('router', 'ok', '', '... while the router works');
$dbh->do('DROP TRIGGER refuse ON kin_tr.relay_state');
health_until('relay', 'ok', 'last error .*refused by the owner', '... and works again when it may, of which health() tells, too');

# ------------------------------------------------------------ one that is ended

$began = time();
for my $time (1 .. 5)
{
	my $ended = worker_pid($node, 'postgres', 'router');

	$dbh->do("SELECT pg_terminate_backend($ended)");
	wait_for_worker($node, 'postgres', 'router', $ended);
}
cmp_ok(time() - $began, '<', 10, 'a router that is ended again and again is back at once each time');
unlike(slurp_file($node->logfile), qr/FATAL/, '... and the log calls it no fault');
$pid = worker_pid($node, 'postgres', 'router');

# --------------------------------------------------------------- one that hangs

kill 'STOP', $pid;
health_until('router', 'fault', 'last turn \d+ m?s ago, which is too long', 'a router that hangs is a fault');
kill 'CONT', $pid;
health_until('router', 'ok', '', '... until it goes on');
is(worker_pid($node, 'postgres', 'router'), $pid, '... and it is the same');

# ---------------------------------------------------------------- what is late

my ($task) = $dbh->selectrow_array('SELECT kin_tr.create_task(timeout => 1)');

$dbh->begin_work;
$dbh->do('SELECT FROM kin_tr.tasks WHERE sid = $1::kin_tr.sid FOR UPDATE', undef, $task);
health_until('timers', 'fault', "$task was due \\d+ m?s ago", 'a timer that cannot fire is a fault, and its task is named');
$dbh->rollback;
health_until('timers', 'ok', '', '... until it fires');

$dbh->do('SELECT kin_tr.complete_task(task_sid::text) FROM (SELECT r.task_sid, kin_tr.accept_reservation(r.sid::text)'
	. " FROM kin_tr.reservations r WHERE r.reservation_status = 'pending' LIMIT 1) a");
$dbh->do('CREATE TRIGGER refuse BEFORE INSERT ON kin_tr.task_history FOR EACH ROW EXECUTE FUNCTION refuse()');
my ($finished) = $dbh->selectrow_array("UPDATE kin_tr.tasks SET finished_at = finished_at - interval '1 hour'"
	. " WHERE assignment_status = 'completed' RETURNING sid::text");
health_until('moves', 'fault', "task $finished should be in history since \\d+ s", 'a finished task that cannot be moved is a fault, and named');
$dbh->do('DROP TRIGGER refuse ON kin_tr.task_history');
health_until('moves', 'ok', 'none is late', '... until it is moved');

# ----------------------------------------------------------------- quarantine

$dbh->do(q{INSERT INTO kin_tr.quarantine (object, workspace_sid, step, sqlstate, message, since, last_tried, tries, next_try)
	SELECT $1::kin_tr.sid, sid, 'timer', 'XX000', 'broken', now(), now(), 1, 'infinity' FROM kin_tr.workspaces}, undef, 'WT' . '0' x 31 . '1');
health_until('quarantine', 'fault', '^1, the first WT0{31}1 since .* \(timer: XX000\)', 'what is in quarantine is a fault, and named');
$dbh->do('DELETE FROM kin_tr.quarantine');
health_until('quarantine', 'ok', '', '... until it is not');

# -------------------------------------------------------------------- settings

is($dbh->selectrow_array('SELECT last_sweep FROM kin_tr.router_state'), undef, 'no sweep comes before its time');
$dbh->do('ALTER SYSTEM SET kin_tr.sweep_interval = 1');
$node->reload;
query_until($node, 'postgres', 'SELECT last_sweep IS NOT NULL FROM kin_tr.router_state', 'kin_tr.sweep_interval takes effect at a reload');
my %late = ('119 minutes' => 0, '121 minutes' => 1);
for (sort keys %late)
{
	is($dbh->selectrow_array('SELECT kin_tr._is_sweep_late(clock_timestamp() - $1::interval)', undef, $_), $late{$_}, "a sweep of $_ ago");
}
$dbh->do('ALTER SYSTEM SET kin_tr.background_workers = off');
$node->reload;
health_until($_, 'missing', 'kin_tr.background_workers is off', "health() says which setting keeps the $_ away") for qw(router relay);
$dbh->disconnect;

done_testing();
