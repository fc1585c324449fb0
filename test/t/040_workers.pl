# Workers come up by themselves, in each database for itself; they come back
# however they end; and they are in the way of no command on their database.
#
# The launcher's timer is set to an hour, so that whatever it does here it does
# because it was told.

use strict;
use warnings FATAL => 'all';

use IO::Select;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Utils qw(slurp_file);
use Test::More;
use Time::HiRes qw(time);

use KinTr::Cluster;
use KinTr::Hostile;

my $node = start_node('workers', extension => 0, conf => "kin_tr.launcher_interval = 3600\nmax_prepared_transactions = 1\n");
my @kinds = qw(router relay);

# The workers of a database, as "relay PID router PID".
sub workers_of
{
	my ($database) = @_;

	return $node->safe_psql('postgres', "SELECT string_agg(substr(backend_type, 8) || ' ' || pid, ' '"
		. " ORDER BY backend_type) FROM pg_stat_activity"
		. " WHERE datname = '$database' AND backend_type LIKE 'kin\\_tr %'");
}

# Waits until a database has one router and one relay, both other processes
# than those of an earlier workers_of().
sub comes_up
{
	my ($database, $what, $earlier) = @_;
	my $others = join ',', ($earlier // '0') =~ /\d+/g;

	query_until($node, 'postgres', "SELECT array_agg(backend_type ORDER BY backend_type)"
		. " = ARRAY['kin_tr relay', 'kin_tr router'] AND bool_and(pid NOT IN ($others))"
		. " FROM pg_stat_activity WHERE datname = '$database' AND backend_type LIKE 'kin\\_tr %'", $what);
	return;
}

# Both workers have taken a whole turn that began after this was called.
sub wait_for_turns
{
	my ($database) = @_;

	for (1 .. 2)
	{
		my $now = $node->safe_psql($database, 'SELECT clock_timestamp()');

		$node->poll_query_until($database,
			"SELECT count(*) = 2 FROM kin_tr._worker_states() WHERE worker <> 'launcher' AND last_turn > '$now'")
			or die "the workers of $database take no turns";
	}
	return;
}

sub health_of
{
	my ($database, $item) = @_;

	return $node->safe_psql($database, "SELECT state FROM kin_tr.health() WHERE item = '$item'");
}

sub set_up
{
	my ($database) = @_;

	$node->safe_psql($database, "SELECT kin_tr.setup_workspace('Centre of $database');"
		. " SELECT kin_tr.update_workflow('Default Workflow', task_reservation_timeout => 86400);"
		. " SELECT kin_tr.create_worker('Alice', activity => 'Available');"
		. " SELECT kin_tr.update_worker_channel('Alice', 'default', 1000)");
	return;
}

sub create_task
{
	my ($database) = @_;

	return $node->safe_psql($database, 'SELECT kin_tr.create_task()');
}

sub status_of
{
	my ($database, $task) = @_;

	return $node->safe_psql($database, "SELECT assignment_status FROM kin_tr.get_task('$task')");
}

# A task is reserved though nobody calls tick().
sub routes
{
	my ($database, $what) = @_;
	my $task = create_task($database);

	query_until($node, $database, "SELECT assignment_status = 'reserved' FROM kin_tr.get_task('$task')",
		$what);
	return $task;
}

# Waits for a bell that tells of an event; its payload, or nothing after 30 s.
sub hear
{
	my ($dbh, $type) = @_;
	my $until = time() + 30;

	while (time() < $until)
	{
		while (my $bell = $dbh->pg_notifies)
		{
			my $payload = decode_json($bell->[2]);

			return $payload if grep { $_->{event_type} eq $type } @{ $payload->{events} };
		}
		IO::Select->new($dbh->{pg_socket})->can_read($until - time());
	}
	return;
}

# -------------------------------------------------- two databases, by themselves

$node->safe_psql('postgres', "CREATE DATABASE $_") for qw(one two);
is(workers_of('one'), '', 'a database without the extension has no workers');

$node->safe_psql($_, 'CREATE EXTENSION kin_tr') for qw(one two);
comes_up($_, "router and relay come up at CREATE EXTENSION in database $_") for qw(one two);
wait_for_turns($_) for qw(one two);
is(scalar(() = slurp_file($node->logfile) =~ /LOG:  kin_tr: router and relay are up in database "$_"$/mg), 1,
	"... which the log says once, with the name of database $_") for qw(one two);
set_up($_) for qw(one two);

my %listener = map { $_ => connect_to($node, $_) } qw(one two);

$_->do('LISTEN kin_tr') for values %listener;
for my $database (qw(one two))
{
	my $workspace = $node->safe_psql($database, 'SELECT sid FROM kin_tr.workspaces');
	my $task = create_task($database);
	my $bell = hear($listener{$database}, 'reservation.created');

	is($bell->{workspace}, $workspace, "the bell of database $database rings for a reservation made there");
	is(status_of($database, $task), 'reserved', '... which is made without anybody calling tick()');
}
is($node->safe_psql('one', 'SELECT count(*) FROM kin_tr.reservations'), 1, 'the other database is left alone');

# A wake-up that is lost shows: without one, workers look once a second only.
my @waits;

for (1 .. 15)
{
	my $began = time();

	$listener{one}->do('SELECT kin_tr.create_task()');
	hear($listener{one}, 'reservation.created') or last;
	push @waits, time() - $began;
}
@waits = sort { $a <=> $b } @waits;
is(scalar @waits, 15, 'each of fifteen tasks is reserved, and the bell tells so');
cmp_ok($waits[7] // 30, '<', 0.3, 'in half of the cases within 0.3 s');
note(sprintf 'from create_task() to the bell: median %.1f ms, longest %.1f ms', 1000 * $waits[7], 1000 * $waits[-1]);
$_->disconnect for values %listener;

# ------------------------------------------------------------ they come back

for my $kind (@kinds)
{
	my $pid = worker_pid($node, 'one', $kind);
	my $others = workers_of('two');

	$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
	wait_for_worker($node, 'one', $kind, $pid);
	pass("the $kind comes back when it is terminated");
	is(workers_of('two'), $others, '... and the other database notices nothing');
	routes('one', '... and tasks are routed');
}

my $launcher = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'kin_tr launcher'";
my $launcher_pid = $node->safe_psql('postgres', $launcher);
my $earlier = workers_of('one');

$node->safe_psql('postgres', "SELECT pg_terminate_backend($launcher_pid)");
routes('one', 'tasks are routed while the launcher is away');
query_until($node, 'postgres', "SELECT EXISTS ($launcher AND pid <> $launcher_pid)",
	'the launcher comes back when it is terminated');
comes_up('one', '... and replaces the workers that it does not know', $earlier);
routes('one', '... which route tasks');

# ------------------------------------------------------- nobody's way is barred

sub plainly
{
	my ($command, $what) = @_;
	my ($status, undef, $errors) = $node->psql('postgres', $command);

	is($status, 0, $what) or diag($errors);
	return;
}

$earlier = workers_of('one');
plainly('ALTER DATABASE one RENAME TO uno', 'a plain ALTER DATABASE RENAME succeeds');
comes_up('uno', '... and the workers come back', $earlier);
routes('uno', '... and route tasks');

plainly("SET allow_in_place_tablespaces = on; CREATE TABLESPACE elsewhere LOCATION ''", 'a tablespace is made');
$earlier = workers_of('uno');
plainly('ALTER DATABASE uno SET TABLESPACE elsewhere', 'a plain ALTER DATABASE SET TABLESPACE succeeds');
comes_up('uno', '... and the workers come back', $earlier);
routes('uno', '... and route tasks');

# A copy is not at home.
$earlier = workers_of('uno');
plainly('CREATE DATABASE copy TEMPLATE uno', 'a plain CREATE DATABASE ... TEMPLATE succeeds');
comes_up('uno', '... and the workers come back', $earlier);
routes('uno', '... and route tasks');
comes_up('copy', '... and the copy gets workers of its own');

my $quiet = create_task('copy');

wait_for_turns('copy');
is(status_of('copy', $quiet), 'pending', 'the copy does not act');
is(health_of('copy', $_), 'paused', "... and health() says so of its $_") for ('home', @kinds);
for my $function (qw(tick ring))
{
	my $dbh = connect_to($node, 'copy');

	is(sqlstate_of($dbh, "SELECT kin_tr.$function()"), 'KT009', "... $function() refuses");
	$dbh->disconnect;
}
is($node->safe_psql('copy', 'SELECT count(*) FROM kin_tr.resume_after_restore()'), 0,
	'resume_after_restore() finds nothing broken');
query_until($node, 'copy', "SELECT assignment_status = 'reserved' FROM kin_tr.get_task('$quiet')",
	'... and the copy acts');
query_until($node, 'copy', "SELECT bool_and(state = 'ok') FROM kin_tr.health() WHERE item IN ('home', 'router', 'relay')",
	'... and health() says so');
is(health_of('uno', 'home'), 'ok', '... while the original is still at home');

# A command that is refused stops nobody.
my $guest = connect_to($node, 'copy');

$earlier = workers_of('copy');
for my $command ('DROP DATABASE copy', 'ALTER DATABASE copy RENAME TO taken', 'CREATE DATABASE taken TEMPLATE copy')
{
	my (undef, undef, $errors) = $node->psql('postgres', $command);

	like($errors, qr/being accessed by other users/, "$command is refused because of another session");
	is(workers_of('copy'), $earlier, '... and ends no worker');
}
for my $command ('ALTER DATABASE copy RENAME TO uno', 'CREATE DATABASE uno TEMPLATE copy', 'BEGIN; DROP DATABASE copy',
	'BEGIN; CREATE DATABASE taken TEMPLATE copy')
{
	my (undef, undef, $errors) = $node->psql('postgres', $command);

	like($errors, qr/already exists|cannot run inside a transaction block/, "$command is refused");
	is(workers_of('copy'), $earlier, '... and ends no worker');
}
$guest->disconnect;
routes('copy', '... and tasks are routed');

# One that others hold up for a moment only is not refused.
$guest = connect_to($node, 'copy');
my $copier = IPC::Run::start([ 'psql', '-X', '-d', $node->connstr('postgres'), '-c', 'CREATE DATABASE taken TEMPLATE copy' ],
	'>', \my $copied, '2>&1');
query_until($node, 'postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'CREATE DATABASE taken%' AND pid <> pg_backend_pid()",
	'a command waits for another session');
$guest->disconnect;
$copier->finish;
is($copied, "CREATE DATABASE\n", '... and succeeds when that has gone');
comes_up('copy', '... and the workers come back', $earlier);
plainly('DROP DATABASE taken WITH (FORCE)', 'DROP DATABASE WITH (FORCE) succeeds');

# Nor can one stop them who may not do such things.
$node->safe_psql('postgres', 'CREATE ROLE stranger LOGIN CREATEDB');
$earlier = workers_of('copy');
my $stranger = connect_to($node, 'copy', user => 'stranger');

for my $command ('DROP DATABASE copy', 'ALTER DATABASE copy RENAME TO mine', 'CREATE DATABASE mine TEMPLATE copy',
	'ALTER DATABASE copy SET TABLESPACE elsewhere', 'DROP EXTENSION kin_tr')
{
	is(sqlstate_of($stranger, $command), '42501', "$command is refused to one who may not");
}
$stranger->disconnect;
is(workers_of('copy'), $earlier, '... and ends no worker');

plainly('DROP DATABASE copy', 'a plain DROP DATABASE succeeds');
is(workers_of('copy'), '', '... and its workers are gone');

# DROP EXTENSION, undone and done.
my $dbh = connect_to($node, 'two');

$dbh->begin_work;
$dbh->do('DROP EXTENSION kin_tr CASCADE');
is(workers_of('two'), '', 'DROP EXTENSION ends the workers');
$dbh->rollback;
comes_up('two', '... which come back when it is undone');
routes('two', '... and route tasks');
is(sqlstate_of($dbh, 'DROP EXTENSION kin_tr'), '00000', 'DROP EXTENSION succeeds while workers run');
is(workers_of('two'), '', '... and they are gone');
is(sqlstate_of($dbh, 'CREATE EXTENSION kin_tr'), '00000', 'CREATE EXTENSION again succeeds');
comes_up('two', '... and they are back');
is(sqlstate_of($dbh, 'DROP EXTENSION kin_tr'), '00000', 'DROP EXTENSION again succeeds');
$dbh->begin_work;
$dbh->do('CREATE EXTENSION kin_tr');
$dbh->do(q{PREPARE TRANSACTION 'extension'});
is(sqlstate_of($dbh, q{COMMIT PREPARED 'extension'}), '00000', 'a CREATE EXTENSION that was prepared is committed');
comes_up('two', '... and they are back again');
$dbh->disconnect;
set_up('two');
routes('two', '... and route tasks');

# ------------------------------------------------------------------ one at a time

$dbh = connect_to($node, 'two');
for my $function (qw(tick ring))
{
	my $worker = $function eq 'tick' ? 'router' : 'relay';

	is(sqlstate_of($dbh, "SELECT kin_tr.$function()"), 'KT008', "$function() is refused while the $worker runs");
	like($dbh->errstr, qr/\Q$worker is running in this database\E.*\nHINT: .*$function\(\)/, '... with a hint');
}

# Nor may ring() while its worker is away for a moment, or who calls it in a loop keeps it out.
my $starter = $node->safe_psql('postgres', $launcher);
my $away = worker_pid($node, 'two', 'relay');

kill 'STOP', $starter;
$node->safe_psql('postgres', "SELECT pg_terminate_backend($away, 30000)");
is(sqlstate_of($dbh, 'SELECT kin_tr.ring()'), 'KT008', 'ring() is refused while the relay is on its way back');
kill 'CONT', $starter;
wait_for_worker($node, 'two', 'relay', $away);

# ... nor while the launcher itself is: it starts again after a second.
$away = worker_pid($node, 'two', 'router');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($_, 30000)") for $starter, $away;
is(sqlstate_of($dbh, 'SELECT kin_tr.tick()'), 'KT008', 'tick() is refused while the launcher is on its way back');
wait_for_worker($node, 'two', 'router', $away);

# Somebody who has the catalog of databases locked ends nothing, whatever time-outs the cluster has.
my %timeouts = (lock_timeout => '10ms', $node->pg_version >= 17 ? (transaction_timeout => '100ms') : ());
my $router = worker_pid($node, 'two', 'router');

$node->append_conf('postgresql.conf', settings_as_conf(%timeouts));
$node->reload;
my $catalog = connect_to($node, 'two');

$catalog->do('SET transaction_timeout = 0') if $timeouts{transaction_timeout};
$away = worker_pid($node, 'two', 'relay');
$catalog->do('BEGIN');
$catalog->do('LOCK TABLE pg_catalog.pg_database IN ACCESS EXCLUSIVE MODE');
$catalog->do("SELECT pg_terminate_backend($away, 30000)");
my $until = time() + 60;

IO::Select->new->can_read(0.1)
	until $catalog->selectrow_array(q{SELECT count(*) FROM pg_locks WHERE relation = 'pg_catalog.pg_database'::regclass AND NOT granted})
	|| time() > $until;
$catalog->do('ROLLBACK');
$catalog->disconnect;
wait_for_worker($node, 'two', 'relay', $away);
is(worker_pid($node, 'two', 'router'), $router, 'who has the catalog of databases locked ends no process');
$node->append_conf('postgresql.conf', settings_as_conf(map { $_ => 0 } keys %timeouts));
$node->reload;

# set_clock(): tick() alone acts.
$dbh->do('SELECT kin_tr.set_clock(now())');
my $still = create_task('two');
wait_for_turns('two');
is(health_of('two', $_), 'paused', "set_clock() pauses the $_") for (@kinds, 'clock');
is(status_of('two', $still), 'pending', '... so that no task is reserved');
is($dbh->selectrow_array('SELECT assigned FROM kin_tr.tick()'), 1, '... but by tick()');
$dbh->do('LISTEN kin_tr');
cmp_ok($dbh->selectrow_array('SELECT kin_tr.ring()'), '>', 0, '... and no bell rung but by ring()');
ok(hear($dbh, 'reservation.created'), '... which is heard');
$dbh->do('SELECT kin_tr.set_clock(NULL, force => true)');
routes('two', 'set_clock(NULL) lets them go on');
query_until($node, 'two', "SELECT bool_and(state = 'ok') FROM kin_tr.health() WHERE item IN ('clock', 'router', 'relay')",
	'... and health() says so');

# kin_tr.background_workers switches them off, and a tick() keeps the router out.
$node->safe_psql('postgres', 'ALTER SYSTEM SET kin_tr.background_workers = off');
$node->reload;
query_until($node, 'postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type IN ('kin_tr router', 'kin_tr relay')",
	'kin_tr.background_workers = off ends the workers');
is(health_of('two', 'router'), 'missing', '... and health() says so');
$still = create_task('two');
$dbh->begin_work;
is($dbh->selectrow_array('SELECT assigned FROM kin_tr.tick()'), 1, '... and tick() acts');
my $later = create_task('two');
$node->safe_psql('postgres', 'ALTER SYSTEM RESET kin_tr.background_workers');
$node->reload;
comes_up('two', '... on again, they are back');
wait_for_turns('two');
is(status_of('two', $later), 'pending', 'a router waits for the transaction of a tick() to end');
$dbh->commit;
query_until($node, 'two', "SELECT assignment_status = 'reserved' FROM kin_tr.get_task('$later')", '... and then goes on');
$dbh->disconnect;

# ------------------------------------------------------------------- shutdown

for my $mode (qw(fast smart))
{
	my $began = time();

	$node->stop($mode);
	my $took = time() - $began;
	cmp_ok($took, '<', 5, sprintf 'a %s shutdown with workers running takes %.1f s', $mode, $took);
	$node->start;
	comes_up($_, "the workers of database $_ come up at the start") for qw(uno two);
}

# ----------------------------------------------------------------- too few slots

# PostgreSQL's own logical replication launcher takes one, kin_tr's another.
my $missing = "SELECT count(*) FROM kin_tr.health() WHERE item IN ('router', 'relay') AND state = 'missing'";
my $log = -s $node->logfile;

$node->append_conf('postgresql.conf', 'max_worker_processes = 3');
$node->restart;
query_until($node, 'two', "SELECT state = 'fault' AND detail ~ '^[1-9][0-9]* in this cluster: raise max_worker_processes'"
	. " FROM kin_tr.health() WHERE item = 'workers not started'", 'health() says when max_worker_processes is too small');
query_until($node, 'postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type IN ('kin_tr router', 'kin_tr relay')",
	'... where there is room for one alone');
is($node->safe_psql('two', $missing) + $node->safe_psql('uno', $missing), 3, '... and which ones are missing');
ok($node->log_contains(qr/background workers? could not be started/, $log), '... and so does the log');
# Two for each database, and one for who comes for a while.
$node->append_conf('postgresql.conf', 'max_worker_processes = 7');
$node->restart;
comes_up($_, "with enough of them the workers of database $_ come up") for qw(uno two);
is(health_of('two', 'workers not started'), 'ok', '... and health() is content');
routes($_, "... and tasks are routed in database $_") for qw(uno two);

is($node->safe_psql($_, 'SELECT count(*) FROM kin_tr.check()'), 0, "check() finds nothing in database $_") for qw(uno two);
is(health_of($_, 'missed edges'), 'ok', "no edge was missed in database $_") for qw(uno two);

# What was told to end does so quietly, and nothing else ends; a client's line has its name.
my @lines = split /\n/, slurp_file($node->logfile);
is(join("\n", grep { /\] (?:FATAL|ERROR|WARNING):|PANIC:|TRAP:|terminated by signal/ } @lines), '',
	'the log has nothing to complain of');

done_testing();
