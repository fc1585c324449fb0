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

# Larger than what a router that is behind reads by its events.
$owner->do(q{SELECT kin_tr.update_worker_channel('busy', 'default', 0, workspace => 'Theirs')});
my $statement = $theirs->prepare(q{SELECT count(kin_tr.create_task(workflow => 'Default Workflow')) FROM generate_series(1, 25000)}, { pg_async => 1 });

$statement->execute;
mine_goes_on('25,000 tasks are being created') until $theirs->pg_ready;
$theirs->pg_result;
mine_goes_on_while('25,000 tasks in one commit', 3, sub { });
$owner->do(q{SELECT kin_tr.update_worker_channel('busy', 'default', 30000, workspace => 'Theirs')});
query_until($node, 'postgres', q{SELECT count(*) = 0 FROM kin_tr.tasks WHERE assignment_status = 'pending'}, 'each of 25,000 is known');
is(value($owner, 'SELECT kin_tr._sweep()'), 0, 'nobody waits for whom there is room');

note slowest();
is_sound($owner, 'afterwards');
$_->disconnect for grep { $_->{Active} } $owner, $mine, $theirs;
$node->stop;
done_testing();
