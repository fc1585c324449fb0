# However much there is to find out for one tenant, the other's tasks are offered as
# ever: thousands of groups that are to be tried with thousands of classes, expressions
# that take milliseconds, workers that are counted again and again.

use strict;
use warnings FATAL => 'all';

use Test::More;

use KinTr::Cluster;
use KinTr::Tenants;

my ($node, $owner, $mine) = start_tenants('costly', "kin_tr.sweep_interval = 5\n");
my $theirs = theirs();

# While a statement of Theirs runs, and right after it.
sub while_running
{
	my ($what, $sql) = @_;
	my $statement = $theirs->prepare($sql, { pg_async => 1 });

	$statement->execute;
	mine_goes_on($what) until $theirs->pg_ready;
	$theirs->pg_result;
	mine_goes_on_while("after $what", 2, sub { });
	return;
}

sub workflow
{
	my ($name, $target) = @_;

	$owner->do('SELECT kin_tr.create_workflow(?, jsonb_build_object(?::text, jsonb_build_object(?::text, jsonb_build_array('
			. q{jsonb_build_object('expression', '1==1', 'targets', jsonb_build_array(?::jsonb))))), workspace => 'Theirs')},
		undef, $name, 'task_routing', 'filters', $target);
	return;
}

# ---------------------------------------------------------- what comes and goes

# What was open in a workspace that is deleted is not remembered: of six times 2,000
# reservations nothing is left, which would take 5 MB.
for my $round (1 .. 6)
{
	$owner->do(q{SELECT kin_tr.setup_workspace('Short')});
	$owner->do(q{SELECT kin_tr.create_worker('w', activity => 'Available', workspace => 'Short')});
	$owner->do(q{SELECT kin_tr.update_worker_channel('w', 'default', 10000, workspace => 'Short')});
	$owner->do(q{SELECT count(kin_tr.create_task(workspace => 'Short')) FROM generate_series(1, 2000)});
	query_until($node, 'postgres', q{SELECT count(*) = 2000 FROM kin_tr.reservations r JOIN kin_tr.workspaces w ON w.sid = r.workspace_sid
		WHERE w.friendly_name = 'Short'}, 'a workspace has 2,000 open reservations');
	$owner->do(q{SELECT kin_tr.delete_workspace('Short')});
	mine_goes_on('a workspace that comes and goes');
}
query_until($node, 'postgres', q{SELECT bytes < 2500000 FROM kin_tr._worker_states() WHERE worker = 'router'},
	'the router remembers nothing of a workspace that is gone');

# ------------------------------------------- what no value ties to each other

$owner->do(q{SELECT kin_tr.grant_access('theirs', 'supervisor', 'Theirs')});
workflow('Untied', '{"queue": "General Queue", "expression": "worker.any > task.k"}');
while_running('3,000 groups that nothing ties',
	q{SELECT count(kin_tr.create_task(jsonb_build_object('k', n), workflow => 'Untied')) FROM generate_series(1, 3000) n});
while_running('1,000 workers of 1,000 classes', q{SELECT count(kin_tr.create_worker('w' || n, jsonb_build_object('any', -n),
	activity => 'Offline')) FROM generate_series(1, 1000) n});
while_running('1,000 workers who come', q{SELECT count(kin_tr.update_worker_activity('w' || n, 'Available')) FROM generate_series(1, 1000) n});
while_running('1,000 workers who change', q{SELECT count(kin_tr.update_worker('w' || n, jsonb_build_object('any', -10000 - n)))
	FROM generate_series(1, 1000) n});
while_running('3,000 groups that go', q{SELECT count(kin_tr.cancel_task(sid::text)) FROM kin_tr.tasks WHERE assignment_status = 'pending'});

# --------------------------------------------------- what is long to evaluate

my $long = join ' OR ', map { "task.l HAS worker.a$_" } map { ($_) x 20 } 1 .. 125;

workflow('Long', qq({"queue": "General Queue", "expression": "$long"}));
while_running('an array of 10,000 against 2,500 conditions and 1,000 classes', q{SELECT kin_tr.create_task(
	jsonb_build_object('l', (SELECT jsonb_agg(i) FROM generate_series(1, 10000) i)), workflow => 'Long')});
while_running('fifty of them', q{SELECT count(kin_tr.create_task(jsonb_build_object('l', (SELECT jsonb_agg(i) FROM generate_series(1, 3000) i)
	|| to_jsonb(-n)), workflow => 'Long')) FROM generate_series(1, 50) n});
$theirs->do(q{SELECT count(kin_tr.cancel_task(sid::text)) FROM kin_tr.tasks WHERE assignment_status = 'pending'});

# ------------------------------------------------------- another order for all

$theirs->do(q{SELECT count(kin_tr.create_task(jsonb_build_object('l', '[]'::jsonb), workflow => 'Long')) FROM generate_series(1, 30000) n});
$owner->do(q{SELECT kin_tr.update_task_queue('General Queue', task_order => 'LIFO', workspace => 'Theirs')});
mine_goes_on_while('30,000 tasks in another order', 2, sub { });
$owner->do(q{SELECT kin_tr.update_task_queue('General Queue', task_order => 'FIFO', workspace => 'Theirs')});
mine_goes_on_while('and back', 2, sub { });
$theirs->do(q{SELECT count(kin_tr.cancel_task(sid::text)) FROM kin_tr.tasks WHERE assignment_status = 'pending'});

# ----------------------------------------------------- workers that are counted

$owner->do(q{SELECT kin_tr.create_task_queue('Odd', ?, workspace => 'Theirs')}, undef,
	join ' OR ', map { "any == -2000$_" } 0 .. 2500);
workflow('Counted', '{"queue": "Odd", "skip_if": "workers.available == 77", "timeout": 3600}');
while_running('100 tasks that count the workers of a queue of 2,500 conditions',
	q{SELECT count(kin_tr.create_task(jsonb_build_object('n', n), workflow => 'Counted')) FROM generate_series(1, 100) n});

# -------------------------------------------------------- offered to very many

$owner->do(q{SELECT kin_tr.create_task_queue('Broadcast', '1==1', max_reserved_workers => 50, workspace => 'Theirs')});
workflow('Broadcast', '{"queue": "Broadcast"}');
$theirs->do(q{SELECT count(kin_tr.update_worker_channel('w' || n, 'default', 100)) FROM generate_series(1, 1000) n});
while_running('300 tasks that are offered to 50 workers each',
	q{SELECT count(kin_tr.create_task('{}', workflow => 'Broadcast')) FROM generate_series(1, 300) n});

# --------------------------------------------------------- names without end

is(sqlstate_of($owner, q{SELECT kin_tr.create_workflow('Wide', jsonb_build_object('task_routing', jsonb_build_object('filters',
	(SELECT jsonb_agg(jsonb_build_object('expression', '1==1', 'targets', jsonb_build_array(jsonb_build_object('queue', 'General Queue',
		'expression', format('worker.a%s == 1', i))))) FROM generate_series(1, 501) i))), workspace => 'Theirs')}), 'KT006',
	'a workflow that reads 501 attributes of workers is refused');
for my $name (qw(a b))
{
	$owner->do(q{SELECT kin_tr.create_workflow('Wide ' || $1, jsonb_build_object('task_routing', jsonb_build_object('filters',
		(SELECT jsonb_agg(jsonb_build_object('expression', 'n == ' || i, 'targets', jsonb_build_array(jsonb_build_object('queue', 'General Queue',
			'expression', format('worker.%s%s == 1', $1, i))))) FROM generate_series(1, 300) i))), workspace => 'Theirs')}, undef, $name);
	while_running("tasks of 300 steps, each of which reads something else: $name",
		qq{SELECT count(kin_tr.create_task(jsonb_build_object('n', i), workflow => 'Wide $name')) FROM generate_series(1, 300) i});
}
query_until($node, 'postgres', q{SELECT EXISTS (SELECT FROM kin_tr.quarantined q JOIN kin_tr.workflows w ON w.sid = q.object
	WHERE w.friendly_name LIKE 'Wide%' AND q.message LIKE '%attributes of workers%')}, 'two that read 600 together: one is in quarantine');
mine_goes_on('names without end');
$theirs->do(q{SELECT count(kin_tr.cancel_task(sid::text)) FROM kin_tr.tasks WHERE assignment_status = 'pending'});

# ------------------------------------------------------ a large configuration

# Nothing of it is looked at before a task needs it, whatever changes.
{
	my $before = value($owner, q{SELECT bytes FROM kin_tr._worker_states() WHERE worker = 'router'});
	my $admin = connect_to($node);

	$admin->do(qq{SELECT kin_tr.create_workflow('Large $_', jsonb_build_object('task_routing', jsonb_build_object('filters', (SELECT jsonb_agg(
		jsonb_build_object('expression', 'x == ' || i, 'targets', jsonb_build_array(jsonb_build_object('queue', 'General Queue', 'expression',
			(SELECT string_agg('worker.a' || j % 20 || ' > ' || j, ' OR ') FROM generate_series(1, 150) j))))) FROM generate_series(1, 300) i))),
		workspace => 'Theirs')}) for 1 .. 20;
	for my $round (1 .. 3)
	{
		$admin->do(q{SELECT kin_tr.update_activity('Busy', 'Very busy', workspace => 'Theirs'), kin_tr.update_activity('Very busy', 'Busy', workspace => 'Theirs')});
		mine_goes_on('a change where there are 17 MB of workflows');
	}
	while_running('tasks of each of the large workflows',
		q{SELECT count(kin_tr.create_task(jsonb_build_object('x', n), workflow => 'Large ' || n)) FROM generate_series(1, 20) n});
	cmp_ok(value($owner, q{SELECT bytes FROM kin_tr._worker_states() WHERE worker = 'router'}) - $before, '<', 60_000_000,
		'the router has not compiled more of them than tasks need');
	$admin->disconnect;
}

# ------------------------------------------------- changed again and again

# Each change has all workers read again; they are matched in between.
{
	my $admin = connect_to($node);
	my $statement = $admin->prepare(q{DO $$ BEGIN FOR i IN 1 .. 10000 LOOP
		PERFORM kin_tr.update_activity(concat('Busy', nullif(i - 1, 0)), 'Busy' || i, workspace => 'Theirs'); COMMIT;
	END LOOP; END $$}, { pg_async => 1 });
	my $meanwhile = 0;

	$statement->execute;
	while (!$admin->pg_ready)
	{
		my $task = value($theirs, q{SELECT kin_tr.create_task(workflow => 'Default Workflow')});
		my $offered = 0;

		$offered = value($theirs, 'SELECT count(*) FROM kin_tr.reservations WHERE task_sid = ?', $task) until $offered || $admin->pg_ready;
		$meanwhile++ if $offered && !$admin->pg_ready;
		mine_goes_on('a configuration that changes all the time');
	}
	$admin->pg_result;
	cmp_ok($meanwhile, '>', 1, 'while a configuration changes all the time, tasks of its workspace are offered');
	$admin->disconnect;
}

note slowest();
is_sound($owner, 'afterwards');
$_->disconnect for grep { $_->{Active} } $owner, $mine, $theirs;
$node->stop;
done_testing();
