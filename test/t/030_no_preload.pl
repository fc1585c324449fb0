# Without shared_preload_libraries kin_tr works in the transactions of those who
# call it: tick() routes and fires timers, ring() rings, maintain() keeps house,
# so that pg_cron can drive a small installation and a test is deterministic.

use strict;
use warnings FATAL => 'all';

use JSON::PP;
use Test::More;

use KinTr::Cluster;

my $node = start_node('no_preload', preload => 0, conf => "max_prepared_transactions = 1\n");
my $app = connect_to($node);
my $json = JSON::PP->new;

$app->do('SET client_min_messages = error');

sub value { my ($sql, @values) = @_; return scalar $app->selectrow_array($sql, undef, @values); }

# What tick() does, in a session of its own, as pg_cron's would be.
sub cron
{
	my ($sql) = @_;
	my $dbh = connect_to($node);
	my $row = $dbh->selectrow_hashref($sql);

	$dbh->disconnect;
	return $row;
}

# What has come in on the channels that a session listens to, as [channel, payload].
sub bells
{
	my ($listener) = @_;
	my @bells;

	# They are sent along with the answer to a statement.
	$listener->do('SELECT');
	while (my $bell = $listener->pg_notifies)
	{
		push @bells, [ $bell->[0], $json->decode($bell->[2]) ];
	}
	@bells = sort { $a->[0] cmp $b->[0] } @bells;
	return @bells;
}

sub row_counts
{
	return join ' ', map { value("SELECT count(*) FROM kin_tr.$_") }
		qw(tasks reservations task_history reservation_history events idempotency_keys);
}

# ------------------------------------------------------------------ health

is(value('SHOW shared_preload_libraries'), '', 'nothing is preloaded');
is(value('SELECT extversion FROM pg_extension WHERE extname = ?', 'kin_tr'), value('SELECT kin_tr.version()'),
	'CREATE EXTENSION needs no preload');

my %health = map { $_->[0] => $_ } @{ $app->selectall_arrayref('SELECT item, state, detail FROM kin_tr.health()') };

is($health{preload}[1], 'missing', 'health() says that nothing is preloaded');
like($health{preload}[2], qr/tick\(\).*ring\(\).*maintain\(\)/, 'and what to call instead');
is($health{$_}[1], 'ok', "health(): $_") for 'version', 'workers not started', 'clock', 'home', 'missed edges';
ok(!exists $health{router} && !exists $health{relay}, 'health() misses no worker that cannot be there');
is(value(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'kin_tr%'}), 0, 'no worker runs');

# ----------------------------------------------------------------- routing

my $workspace = value(q{SELECT kin_tr.create_workspace('small', template => 'FIFO')});
my $alice = value(q{SELECT kin_tr.create_worker('Alice', activity => 'Available')});
my $task = value(q{SELECT kin_tr.create_task('{"number": 1}')});

is(value('SELECT assignment_status FROM kin_tr.get_task(?)', $task), 'pending', 'a task waits until somebody calls tick()');
is(cron('SELECT * FROM kin_tr.tick()')->{assigned}, 1, 'tick() assigns it');
is(value('SELECT assignment_status FROM kin_tr.get_task(?)', $task), 'reserved', 'which its caller has committed');

my ($offer, $due) = $app->selectrow_array('SELECT sid, times_out_at FROM kin_tr.active_reservations(?)', undef, $alice);

is(value('SELECT kin_tr.next_due()'), $due, 'next_due() is when the reservation times out');
is(cron('SELECT next_due FROM kin_tr.tick()')->{next_due}, $due, 'and so tick() says');
$app->do('SELECT kin_tr.accept_reservation(?)', undef, $offer);
$app->do('SELECT kin_tr.complete_task(?)', undef, $task);
is(value('SELECT assignment_status FROM kin_tr.get_task(?)', $task), 'completed', 'a task passes its whole life');

# One transaction holds the router's lock; another that ticks meanwhile is told so.
$app->begin_work;
$app->do('SELECT kin_tr.tick()');
my $other = connect_to($node);
is(sqlstate_of($other, 'SELECT kin_tr.tick()'), 'KT008', 'two do not tick at once');
$app->commit;
is(sqlstate_of($other, 'SELECT kin_tr.tick()'), '00000', 'but one after the other');
$other->disconnect;

# ---------------------------------------------------------------- rollback

my $before = row_counts();
my $cursor = value('SELECT kin_tr.current_cursor()');

$app->begin_work;
$task = value(q{SELECT kin_tr.create_task('{"number": 2}', idempotency_key => 'order 2')});
is(value('SELECT assigned FROM kin_tr.tick()'), 1, 'tick() sees the task of its own transaction');
is(value('SELECT task_sid FROM kin_tr.active_reservations(?)', $alice), $task, 'and so does who asks for reservations');
$app->do('SELECT kin_tr.accept_reservation(sid) FROM kin_tr.active_reservations()');
$app->do('SELECT kin_tr.complete_task(?)', undef, $task);
$app->rollback;
is(row_counts(), $before, 'BEGIN; create_task; tick; ROLLBACK leaves nothing');
is(value('SELECT count(*) FROM kin_tr.events_since(?)', $cursor), 0, 'nor any event');
is(value('SELECT count(*) FROM kin_tr.active_reservations()'), 0, 'nor a reservation');
is(value('SELECT assigned FROM kin_tr.tick()'), 0, 'and tick() remembers none of it');

# A savepoint as well: the worker whose task was rolled back is free again.
$app->begin_work;
$app->do('SAVEPOINT before');
$app->do(q{SELECT kin_tr.create_task('{"number": 3}')});
is(value('SELECT assigned FROM kin_tr.tick()'), 1, 'a task is assigned behind a savepoint');
$app->do('ROLLBACK TO before');
$task = value(q{SELECT kin_tr.create_task('{"number": 4}')});
is(value('SELECT assigned FROM kin_tr.tick()'), 1, 'and after a rollback to it another, to the same worker');
$app->do('SELECT kin_tr.accept_reservation(sid) FROM kin_tr.active_reservations()');
$app->do('SELECT kin_tr.complete_task(?)', undef, $task);
$app->commit;

# ---------------------------------------------------------------- the bell

my $listener = connect_to($node);

cron('SELECT kin_tr.ring()');
$listener->do(qq{LISTEN "$_"}) for 'kin_tr', "kin_tr_$workspace", "kin_tr_$alice";
$task = value(q{SELECT kin_tr.create_task('{"secret": "not for all ears"}')});
$cursor = value('SELECT kin_tr.current_cursor()');
is_deeply([ bells($listener) ], [], 'no function but ring() rings');
is(cron('SELECT kin_tr.ring()')->{ring}, 2, 'ring() rings for the workspace and for all');

my @bells = bells($listener);
my %told = map { $_->{event_type} => $_->{resource_sid} } @{ $bells[0][1]{events} };

is(join(' ', map { $_->[0] } @bells), "kin_tr kin_tr_$workspace", 'on both channels');
is(join(' ', sort keys %{ $bells[0][1] }), 'count cursor events workspace', 'with cursor, workspace, count and events');
is_deeply($bells[1][1], $bells[0][1], 'the same on both');
is($bells[0][1]{workspace}, $workspace, 'the workspace is told');
is($bells[0][1]{count}, scalar @{ $bells[0][1]{events} }, 'the count is that of the events');
is($told{'task.created'}, $task, 'the events are told by type and resource');
is_deeply([ sort map { join ' ', sort keys %$_ } @{ $bells[0][1]{events} } ],
	[ ('event_type resource_sid') x $bells[0][1]{count} ], 'and by nothing else: attributes are not for all ears');
is(value('SELECT count(*) FROM kin_tr.events_since(?)', $bells[0][1]{cursor}), 0, 'the cursor has seen what the bell told of');
is(cron('SELECT kin_tr.ring()')->{ring}, 0, 'it is told once');

cron('SELECT kin_tr.tick()');
$offer = value('SELECT sid FROM kin_tr.active_reservations(?)', $alice);
is(cron('SELECT kin_tr.ring()')->{ring}, 3, 'a reservation also rings for the worker');
@bells = bells($listener);
is(join(' ', map { $_->[0] } @bells), "kin_tr kin_tr_$alice kin_tr_$workspace", 'on a channel of its own');
is_deeply([ grep { $_->{event_type} eq 'reservation.created' } @{ $bells[1][1]{events} } ],
	[ { event_type => 'reservation.created', resource_sid => $offer } ], 'where the worker hears of the reservation');
is(value(q{SELECT count(*) FROM kin_tr.events_since(?) WHERE resource_sid = ?}, $cursor, $offer), 1,
	'one that was away reads it in the log');

# What is rolled back was never rung for, and what is not committed yet rings later.
$app->begin_work;
$app->do('SELECT kin_tr.accept_reservation(?)', undef, $offer);
is(cron('SELECT kin_tr.ring()')->{ring}, 0, 'nobody is told of what is not committed');
$app->rollback;
is(cron('SELECT kin_tr.ring()')->{ring}, 0, 'or rolled back');
is_deeply([ bells($listener) ], [], 'so nothing was heard');

# A bell that is rolled back is rung again.
$app->do('SELECT kin_tr.accept_reservation(?)', undef, $offer);
$app->begin_work;
is(value('SELECT kin_tr.ring()'), 3, 'a bell in a transaction');
$app->rollback;
is_deeply([ bells($listener) ], [], 'is not heard where that is rolled back');
is(cron('SELECT kin_tr.ring()')->{ring}, 3, 'and is rung by the next');
is(scalar bells($listener), 3, 'which is heard');
$app->do('SELECT kin_tr.complete_task(?)', undef, $task);

# The list may be left out.
$node->append_conf('postgresql.conf', "kin_tr.bell_lists_events = off\n");
$node->reload;
$node->poll_query_until('postgres', 'SHOW kin_tr.bell_lists_events', 'off') or die 'the setting did not come through';
is(cron('SELECT kin_tr.ring()')->{ring}, 3, 'with the setting off it rings too');
is(join(' ', sort keys %{ $_->[1] }), 'count cursor workspace', "$_->[0]: without the events") for bells($listener);
$listener->disconnect;

# ------------------------------------------------- timers, driven as by pg_cron

$app->do('SELECT kin_tr.set_clock(kin_tr.now())');
$task = value(q{SELECT kin_tr.create_task('{"number": 5}', timeout => 3600)});
cron('SELECT kin_tr.tick()');

# Nobody answers: the offer times out, Alice is moved to Offline, the task waits, and its own time ends.
my @story;

for (1 .. 3)
{
	$due = value('SELECT kin_tr.next_due()') // last;
	$app->do('SELECT kin_tr.set_clock(?)', undef, $due);
	my $tick = cron('SELECT * FROM kin_tr.tick()');
	push @story, join ', ', map { "$tick->{$_} $_" } grep { $tick->{$_} } qw(assigned timed_out moved canceled);
}
is_deeply(\@story, [ '1 timed_out', '1 canceled' ], 'going from next_due() to next_due(), tick() fires each timer');
is(value('SELECT kin_tr.next_due()'), undef, 'until nothing is due any more');
is(value('SELECT activity_name FROM kin_tr.get_worker(?)', $alice), 'Offline', 'who did not answer is Offline');
is(value('SELECT reason FROM kin_tr.get_task(?)', $task), 'Task TTL Exceeded', 'the task was canceled by its TTL');

# Timers fire in the transaction that ticks.
$app->do(q{SELECT kin_tr.update_worker_activity(?, 'Available')}, undef, $alice);
$task = value(q{SELECT kin_tr.create_task('{"number": 6}')});
cron('SELECT kin_tr.tick()');
$app->begin_work;
$app->do('SELECT kin_tr.set_clock(kin_tr.next_due())');
is(value('SELECT timed_out FROM kin_tr.tick()'), 1, 'a timer fires');
$app->rollback;
is(value('SELECT assignment_status FROM kin_tr.get_task(?)', $task), 'reserved', 'and has not, where that is rolled back');
$app->do('SELECT kin_tr.accept_reservation(sid) FROM kin_tr.active_reservations()');
$app->do('SELECT kin_tr.complete_task(?)', undef, $task);

# What it has prepared and another rolls back it forgets.
$task = value(q{SELECT kin_tr.create_task('{"number": 7}')});
$app->begin_work;
is(value('SELECT assigned FROM kin_tr.tick()'), 1, 'an offer is prepared');
$app->do(q{PREPARE TRANSACTION 'offer'});
$app->rollback;
$app->do(q{ROLLBACK PREPARED 'offer'});
is(value('SELECT assigned FROM kin_tr.tick()'), 1, 'rolled back, it is made again');
$app->do('SELECT kin_tr.accept_reservation(sid) FROM kin_tr.active_reservations()');
$app->do('SELECT kin_tr.complete_task(?)', undef, $task);

# ----------------------------------------------------------- housekeeping

my $live = value('SELECT count(*) FROM kin_tr.tasks');

$app->do(q{SELECT kin_tr.set_clock(kin_tr.now() + interval '5 minutes')});
my $kept = cron('SELECT * FROM kin_tr.maintain()');
is($kept->{moved}, $live, 'maintain() moves finished tasks to history');
cmp_ok($kept->{partitions_made}, '>=', 9, 'and makes the partitions of the coming weeks');
is_deeply(cron('SELECT * FROM kin_tr.maintain()'),
	{ moved => 0, partitions_made => 0, partitions_dropped => 0, keys_deleted => 0 }, 'once');
is(value('SELECT count(*) FROM kin_tr.tasks'), 0, 'no finished task is live');
is(value('SELECT assignment_status FROM kin_tr.get_task(?)', $task), 'completed', 'all can still be read');

is_sound($app, 'without preload');
$app->disconnect;
$node->stop;
done_testing();
