# A transaction that wrote very many events is read in pieces, and what is committed
# after it is seen meanwhile: whatever overtakes what, nothing is lost or remembered
# wrongly, and the others' tasks are offered as ever.

use strict;
use warnings FATAL => 'all';

use Test::More;

use KinTr::Cluster;
use KinTr::Tenants;

my ($node, $owner, $mine) = start_tenants('large_transaction');
my $theirs = theirs();
my $open = q{SELECT count(*) FROM kin_tr.reservations WHERE is_open AND workspace_sid =
	(SELECT sid FROM kin_tr.workspaces WHERE friendly_name = 'Theirs')};

sub create_tasks { return $theirs->do("SELECT count(kin_tr.create_task(workflow => 'Default Workflow')) FROM generate_series(1, $_[0])"); }

$owner->do(q{SELECT count(kin_tr.update_worker_activity(sid::text, 'Offline', workspace => 'Theirs')) FROM kin_tr.workers
	WHERE workspace_sid = (SELECT sid FROM kin_tr.workspaces WHERE friendly_name = 'Theirs')});
$owner->do(q{SELECT kin_tr.create_worker('busy', activity => 'Available', workspace => 'Theirs')});
$owner->do(q{SELECT kin_tr.update_worker_channel('busy', 'default', 2000, workspace => 'Theirs')});
create_tasks(1500);
query_until($node, 'postgres', "SELECT ($open) = 1500", '1,500 tasks are offered');

# The router comes to see all of this at once.
my $router = worker_pid($node, 'postgres', 'router');
my @tasks = @{ $theirs->selectcol_arrayref(q{SELECT task_sid FROM kin_tr.reservations WHERE is_open ORDER BY sid LIMIT 150}) };

kill STOP => $router;
$theirs->begin_work;
$theirs->do(q{SELECT count(kin_tr.accept_reservation(sid::text)) FROM kin_tr.reservations WHERE is_open});
create_tasks(3000);
$theirs->commit;
$theirs->do('SELECT kin_tr.complete_task(?)', undef, $_) for @tasks[0 .. 99];
$owner->do('SELECT kin_tr.delete_task(?)', undef, $_) for @tasks[100 .. 149];
$theirs->do(q{SELECT count(kin_tr.cancel_task(sid::text)) FROM (SELECT sid FROM kin_tr.tasks WHERE assignment_status = 'pending' LIMIT 20) t});
kill CONT => $router;
mine_goes_on('a transaction of 15,000 events');
query_until($node, 'postgres', "SELECT ($open) = 2000", 'who has ended in the meantime makes room for others');
is(worker_pid($node, 'postgres', 'router'), $router, 'in the same router');
is(value($owner, q{SELECT count(*) FROM kin_tr.tasks WHERE assignment_status = 'pending'}), 3000 - 20 - 650, 'as many wait as are left');
$owner->do(q{SELECT kin_tr.update_worker_channel('busy', 'default', 10000, workspace => 'Theirs')});
query_until($node, 'postgres', q{SELECT count(*) = 0 FROM kin_tr.tasks WHERE assignment_status = 'pending'}, 'and each of them is known');

# Entries of the log's indexes by transaction that have been read, and events there are.
sub log_reads
{
	return $owner->selectrow_array(q{SELECT sum(idx_tup_read), (SELECT count(*) FROM kin_tr.events)
		FROM pg_stat_user_indexes WHERE schemaname = 'kin_tr' AND indexrelname ~ '^events_.*era_xid'});
}

# Larger than what a router that is behind reads by its events.
$owner->do(q{SELECT kin_tr.update_worker_channel('busy', 'default', 0, workspace => 'Theirs')});
my ($reads_before, $events_before) = log_reads();
my $statement = $theirs->prepare(q{SELECT count(kin_tr.create_task(workflow => 'Default Workflow')) FROM generate_series(1, 25000)}, { pg_async => 1 });

$statement->execute;
mine_goes_on('25,000 tasks are being created') until $theirs->pg_ready;
$theirs->pg_result;
mine_goes_on_while('25,000 tasks in one commit', 3, sub { });
$owner->do(q{SELECT kin_tr.update_worker_channel('busy', 'default', 30000, workspace => 'Theirs')});
query_until($node, 'postgres', q{SELECT count(*) = 0 FROM kin_tr.tasks WHERE assignment_status = 'pending'}, 'each of 25,000 is known');
my ($reads, $events) = log_reads();

cmp_ok($reads - $reads_before, '<', 4 * ($events - $events_before), 'no piece reads again what those before it have read');
is(value($owner, 'SELECT kin_tr._sweep()'), 0, 'nobody waits for whom there is room');

# What comes back in one is no missed edge while it is being read, the router stopped
# and continued all the time; savepoints, several at once.
$owner->do('ALTER SYSTEM SET kin_tr.sweep_interval = 1');
$node->reload;
$owner->do(q{SELECT count(kin_tr.delete_task(sid::text)) FROM kin_tr.tasks WHERE finished_at IS NULL});
$owner->do(q{SELECT count(kin_tr.create_worker('w' || n, activity => 'Available', workspace => 'Theirs')),
	count(kin_tr.update_worker_channel('w' || n, 'default', 50, workspace => 'Theirs')) FROM generate_series(1, 200) n});
$owner->do(q{SELECT kin_tr.update_worker_activity('busy', 'Offline', workspace => 'Theirs')});
my @others = map { theirs() } 1 .. 3;

for my $round (1 .. 6)
{
	$_->begin_work for @others;
	$_->do(q{SELECT count(kin_tr.create_task(workflow => 'Default Workflow')) FROM generate_series(1, 800)}) for @others, @others;
	$_->do('SAVEPOINT a'), $_->do(q{SELECT count(kin_tr.create_task(workflow => 'Default Workflow')) FROM generate_series(1, 800)}), $_->do('ROLLBACK TO a') for @others;
	kill STOP => $router;
	$_->commit for @others;
	$theirs->begin_work;
	create_tasks(500);
	kill CONT => $router;
	$theirs->do(qq{SELECT count(kin_tr.update_worker_activity('w' || n, '$_', reject_pending_reservations => '$_' = 'Offline')) FROM generate_series(1, 200) n}) for qw(Offline Available);
	$theirs->commit;
	mine_goes_on('large transactions at once');
	query_until($node, 'postgres', q{SELECT count(*) = 0 FROM kin_tr.tasks WHERE assignment_status = 'pending'}, 'each task is offered');
	$owner->do(q{SELECT count(kin_tr.delete_task(sid::text)) FROM kin_tr.tasks WHERE finished_at IS NULL});
}
my $now = value($owner, 'SELECT clock_timestamp()');

query_until($node, 'postgres', "SELECT last_sweep > '$now' FROM kin_tr.router_state", 'it has been swept');
is(value($owner, 'SELECT missed_edges FROM kin_tr.router_state'), 0, 'no edge was missed');

note slowest();
is_sound($owner, 'afterwards');
$_->disconnect for grep { $_->{Active} } $owner, $mine, $theirs, @others;
$node->stop;
done_testing();
