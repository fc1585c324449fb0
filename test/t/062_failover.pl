# Across a failover: what was prepared before it and is committed after it is
# routed, told and read by all, and a standby that is behind skips nothing of what
# a cursor of the primary leads on to, nor does it give anything twice.

use strict;
use warnings FATAL => 'all';

use IO::Select;
use PostgreSQL::Test::Utils;
use Test::More;

use KinTr::Cluster;

srand($ENV{SEED} // 1);

my $primary = start_node('primary', allows_streaming => 1, conf => "max_prepared_transactions = 10\nautovacuum = off\nkin_tr.sweep_interval = 86400\n");
my $standby = start_standby($primary, 'standby');

my $dbh = connect_to($primary);
my $replica = connect_to($standby);

sub value { my ($db, $sql, @values) = @_; return scalar $db->selectrow_array($sql, undef, @values); }
sub column { my ($db, $sql, @values) = @_; return @{ $db->selectcol_arrayref($sql, undef, @values) }; }
sub events { return column($_[0], 'SELECT id FROM kin_tr.events'); }

# A cursor, and all that it has seen, whatever the router writes meanwhile.
sub now_and_events
{
	my ($db) = @_;

	$db->do('BEGIN ISOLATION LEVEL REPEATABLE READ');
	my @both = (now($db), events($db));
	$db->do('COMMIT');
	return @both;
}

sub now { return value($_[0], 'SELECT kin_tr.current_cursor()'); }
sub catch_up { $primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert')); return; }
sub batch { my ($db, $cursor, $max) = @_; return column($db, 'SELECT next_cursor FROM kin_tr.events_since(?, ?) ORDER BY id', $cursor, $max); }

# No worker yet, so that nothing happens but what is done here.
$dbh->do('SET client_min_messages = error');
$dbh->do(q{SELECT kin_tr.create_workspace('centre', template => 'FIFO')});

# ---------------------------------------------------------- a standby behind

my $start = now($dbh);
my %before = map { $_ => 1 } events($dbh);
my $open = connect_to($primary);

$open->begin_work;
$open->do('SELECT kin_tr.create_task()');
$dbh->do('SELECT kin_tr.create_task()') for 1 .. 2;
catch_up();
my $early = now($replica);
my %early = map { $_ => 1 } events($replica);
$replica->do('SELECT pg_wal_replay_pause()');
query_until($standby, 'postgres', q{SELECT pg_get_wal_replay_pause_state() = 'paused'}, 'a standby has stopped to replay');
$dbh->do('SELECT kin_tr.create_task()') for 1 .. 3;

# Cursors of the primary, the first of a transaction that runs there.
my $beside = now($dbh);
my %beside = map { $_ => 1 } events($dbh);
my ($cut) = (batch($dbh, $start, 3))[-1];
my @given = column($dbh, 'SELECT id FROM kin_tr.events_since(?, 3)', $start);

is(scalar batch($replica, $beside, 100), 0, 'a cursor of the primary gives nothing on it that it has seen');
is(sqlstate_of($replica, 'SELECT * FROM kin_tr.events_since(?, 100)', $cut), '55000', 'one within a batch, whose rest is not yet here, is refused there');
like($replica->errstr, qr/not yet here.*caught up/s, 'and says why, and what to do');
$open->commit;
$dbh->do('SELECT kin_tr.create_task()');
is(sqlstate_of($replica, 'SELECT * FROM kin_tr.events_since(?, 100)', now($dbh)), '00000', 'one of what comes later is read, and gives nothing');
$replica->do('SELECT pg_wal_replay_resume()');
catch_up();

my (undef, @rest) = events_from($replica, $beside, 4);
is(ids(@rest), ids(grep { !$beside{$_} } events($dbh)), 'when it has caught up the first gives what has been committed since');
(undef, @rest) = events_from($replica, $cut, 4);
is(ids(@given, @rest), ids(grep { !$before{$_} } events($dbh)), 'and the other one goes on');
(undef, @rest) = events_from($dbh, $early, 4);
is(ids(keys %early, @rest), ids(events($dbh)), 'a cursor of the standby goes on on the primary');

# Back and forth between the two, a transaction open all the while.
{
	my ($cursor, %got) = (now($dbh));
	my %seen = map { $_ => 1 } events($dbh);

	for my $round (1 .. 6)
	{
		$open->begin_work if $round % 2;
		$open->do('SELECT kin_tr.create_task()');
		$open->commit if !($round % 2);
		$dbh->do('SELECT kin_tr.create_task()');
		catch_up() if $round % 3;
		($cursor, my @rows) = events_from($round % 2 ? $replica : $dbh, $cursor, 100);
		$got{ $_->{id} }++ for @rows;
	}
	catch_up();
	($cursor, my @rows) = events_from($replica, $cursor, 100);
	$got{ $_->{id} }++ for @rows;
	is(ids(keys %got), ids(grep { !$seen{$_} } events($dbh)), 'a reader that changes between primary and standby skips nothing');
	is(scalar(grep { $_ > 1 } values %got), 0, 'and gets nothing twice');
}

# ---------------------------------------------------- prepared, then promoted

my $alice = value($dbh, q{SELECT kin_tr.create_worker('Alice', activity => 'Offline')});

$dbh->do('SELECT kin_tr.update_worker_channel(?, ?, 30000)', undef, $alice, 'default');

my %prepared;

for my $which (qw(first second third))
{
	$open->begin_work;
	$prepared{$which} = value($open, 'SELECT kin_tr.create_task()');
	$open->do("PREPARE TRANSACTION '$which'");
	$open->disconnect;
	$open = connect_to($primary);
	$dbh->do('SELECT kin_tr.create_task()');
}
my $from_primary = now($dbh);
my ($half) = (batch($dbh, $start, 5))[-1];
my @half = column($dbh, 'SELECT id FROM kin_tr.events_since(?, 5)', $start);
catch_up();
my $from_standby = now($replica);
my @known = events($replica);

$_->disconnect for $dbh, $replica, $open;
$primary->stop('immediate');
$standby->promote;
$dbh = connect_to($standby);
$dbh->do('SET client_min_messages = error');
my $after = now($dbh);

is(value($dbh, 'SELECT count(*) FROM pg_prepared_xacts'), 3, 'what was prepared is there after the failover');
$dbh->do(q{COMMIT PREPARED 'first'});
(my $on_over) = events_from($dbh, $from_standby, 3);
wait_for_worker($standby, 'postgres', $_) for qw(router relay);
query_until($standby, 'postgres', q{SELECT bool_and(state = 'ok') FROM kin_tr.health() WHERE item IN ('router', 'relay')}, 'router and relay have come up');

# The next era begins with who writes first.
$dbh->do(q{SELECT kin_tr.update_worker_activity('Alice', 'Available')});
is(value($dbh, 'SELECT count(*) FROM kin_tr.event_eras'), 2, 'an era has begun');
is(value($dbh, 'SELECT origin FROM kin_tr.event_eras ORDER BY number DESC LIMIT 1'), value($dbh, 'SELECT min(number) FROM kin_tr.event_eras'),
	'in which ids of transactions go on');
my ($in_it, @in_it) = now_and_events($dbh);
query_until($standby, 'postgres', "SELECT EXISTS (SELECT FROM kin_tr.active_reservations() WHERE task_sid = '$prepared{first}')",
	'the router offers what was committed before it came');

my $listener = connect_to($standby);
$listener->do('LISTEN kin_tr');
# Until the router has nothing to do and the relay has told of it.
query_until($standby, 'postgres', q{SELECT NOT EXISTS (SELECT FROM kin_tr.tasks WHERE assignment_status = 'pending')}, 'all that waits has been offered');
my ($rung, @rung) = now_and_events($dbh);
for my $which (qw(second third))
{
	my $began = value($dbh, 'SELECT clock_timestamp()');

	$dbh->do("COMMIT PREPARED '$which'");
	query_until($standby, 'postgres', "SELECT EXISTS (SELECT FROM kin_tr.active_reservations() WHERE task_sid = '$prepared{$which}')",
		"$which: the router offers what was prepared before the failover, committed after it");
	cmp_ok(value($dbh, 'SELECT extract(epoch FROM date_created - ?::timestamptz) FROM kin_tr.reservations WHERE task_sid = ?', $began, $prepared{$which}),
		'<', 0.5, "$which: and need not come by for that");
}

my %told;
my $waiting = IO::Select->new($listener->{pg_socket});
do
{
	while (my $bell = $listener->pg_notifies) { $told{$_} = 1 for $bell->[2] =~ /"resource_sid":"(WT\w+)"/g; }
} while (2 > grep({ $told{$_} } @prepared{qw(second third)}) && $waiting->can_read($PostgreSQL::Test::Utils::timeout_default));
is(join(' ', map { $told{$_} ? 'told' : 'not told' } @prepared{qw(second third)}), 'told told', 'the relay tells of it');

my @all = events($dbh);

for ([ 'from the primary', $from_primary, @known ], [ 'from the standby', $from_standby, @known ], [ 'of right after the promotion', $after, @known ],
	[ 'within a batch', $half, (grep { $before{$_} } @known), @half ], [ 'that was read on before the next era', $on_over, undef ],
	[ 'from after the era had begun', $in_it, @in_it ], [ 'from when two were still prepared', $rung, @rung ])
{
	my ($which, $from, @seen) = @$_;
	my (undef, @rows) = events_from($dbh, $from, 9);

	@seen = (@known, grep { my $id = $_; !grep { $id == $_ } @known } column($dbh, 'SELECT id FROM kin_tr.events WHERE task_sid = ? AND era = (SELECT min(number) FROM kin_tr.event_eras)', $prepared{first}))
		if !defined $seen[0];
	is(ids(@seen, @rows), ids(@all), "a cursor $which skips nothing and gives nothing twice");
}
is_sound($dbh, 'after the failover');
$_->disconnect for $dbh, $listener;
$standby->stop;
done_testing();
