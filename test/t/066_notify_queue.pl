# A listener that stays in a transaction lets the cluster's queue of NOTIFYs fill.
# Tasks are made and offered meanwhile, health() says what is wrong, and when the
# listener has gone the relay tells of all that has happened.

use strict;
use warnings FATAL => 'all';

use IO::Select;
use PostgreSQL::Test::Utils;
use Test::More;

use KinTr::Cluster;

my ($version) = qx("$ENV{PG_CONFIG}" --version) =~ /(\d+)/;
my $small = $version >= 17;

# Before PostgreSQL 17 the queue has 8 GB, and cannot be made smaller.
plan skip_all => 'takes 8 GB of disk and minutes before PostgreSQL 17: FILL_NOTIFY_QUEUE=1' if !$small && !$ENV{FILL_NOTIFY_QUEUE};

my $node = start_node('queue', conf => $small ? 'max_notify_queue_pages = 64' : '');
my $dbh = connect_to($node);

sub value { my ($sql, @values) = @_; return scalar $dbh->selectrow_array($sql, undef, @values); }

$dbh->do('SET client_min_messages = error');
$dbh->do(q{SELECT kin_tr.create_workspace('centre', template => 'FIFO')});
$dbh->do(q{SELECT kin_tr.create_worker('Alice', activity => 'Available'), kin_tr.update_worker_channel('Alice', 'default', 1000)});
query_until($node, 'postgres', q{SELECT bool_and(state = 'ok') FROM kin_tr.health() WHERE item IN ('router', 'relay')}, 'router and relay work');

my $listener = connect_to($node);
my $good = connect_to($node);

$good->do('LISTEN kin_tr');
$listener->do('LISTEN kin_tr');
$listener->begin_work;
$listener->do('SELECT 1');

my $filled = '00000';
# A page of the queue each.
$filled = sqlstate_of($dbh, q{SELECT pg_notify('other', n || repeat('x', 7900)) FROM generate_series(1, ?) n}, $small ? 10 : 10_000)
	while $filled eq '00000';
is($filled, '54000', 'the queue is full');

my $task = value('SELECT kin_tr.create_task()');
query_until($node, 'postgres', "SELECT EXISTS (SELECT FROM kin_tr.active_reservations() WHERE task_sid = '$task')", 'a task is made and offered all the same');
query_until($node, 'postgres', q{SELECT state = 'fault' AND detail ~ 'errors in a row.*too many notifications' FROM kin_tr.health() WHERE item = 'relay'},
	'health() says that the relay fails, and why');
is(value(q{SELECT state FROM kin_tr.health() WHERE item = 'router'}), 'ok', 'and that the router does not');

$listener->rollback;
$listener->disconnect;
query_until($node, 'postgres', q{SELECT state = 'ok' FROM kin_tr.health() WHERE item = 'relay'}, 'when the listener has gone the relay works again');

my $told = 0;
my $waiting = IO::Select->new($good->{pg_socket});

do
{
	while (my $bell = $good->pg_notifies) { $told = 1 if $bell->[2] =~ /"resource_sid":"$task"/; }
} while (!$told && $waiting->can_read($PostgreSQL::Test::Utils::timeout_default));
ok($told, 'and tells of what has happened meanwhile');

is_sound($dbh, 'after all that');
$_->disconnect for $good, $dbh;
$node->stop;
done_testing();
