# The relay announces very much at once with a count of 0, to each whom it may
# concern, and lives on.

use strict;
use warnings FATAL => 'all';

use Test::More;

use KinTr::Cluster;

my $node = start_node('much_at_once');
my $dbh = connect_to($node);

# Of so many listeners the relay's memory is in blocks that go back to the system when they are freed.
$dbh->do(q{SELECT kin_tr.setup_workspace('Bank')});
$dbh->do(q{SELECT kin_tr.create_worker('Worker ' || n) FROM generate_series(1, 500) n});
wait_for_worker($node, 'postgres', 'relay');

my $relay = worker_pid($node, 'postgres', 'relay');

$dbh->do('LISTEN kin_tr');
$dbh->do(q{SELECT count(kin_tr.create_task('{}')) FROM generate_series(1, 2600)});

my ($told, $until) = ('', time + 60);

while ($told !~ /"count":0\b/ && time < $until)
{
	my $notice = $dbh->pg_notifies // do { $dbh->do('SELECT 1'); next };

	$told = $notice->[2];
}
like($told, qr/"count":0,"events":\[\]\}/, 'more than 10,000 events are announced as very many, and none is listed');
is(worker_pid($node, 'postgres', 'relay'), $relay, 'the relay goes on');
is_sound($dbh, 'afterwards');
$dbh->disconnect;
$node->stop;
done_testing();
