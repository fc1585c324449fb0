# What a call reads does not depend on when its plans were made, nor on what ANALYZE
# saw: of thousands of tasks, reservations and workers it reads its own.

use strict;
use warnings FATAL => 'all';

use List::Util qw(max);
use Test::More;

use KinTr::Cluster;

use constant { WORKERS => 300, LIVES => 1500, WAITING => 3000, MOST => 150 };

my $node = start_node('plans', preload => 0, conf => "autovacuum = off\n");
my $old = connect_to($node);

sub value { my ($dbh, $sql, @values) = @_; return scalar $dbh->selectrow_array($sql, undef, @values); }

# Rows and entries of indexes that this transaction has read in kin_tr's tables.
my $read = q{SELECT sum(pg_stat_get_xact_tuples_returned(oid)) FROM pg_class WHERE relnamespace = 'kin_tr'::regnamespace AND relkind IN ('r', 'i')};

# What each call of a life reads at the most, in a number of lives.
sub reads_of_lives
{
	my ($dbh, $lives) = @_;
	my %most;
	my $call = sub {
		my ($name, $sql, @values) = @_;

		$dbh->begin_work;
		my $before = value($dbh, $read) // 0;
		my $result = value($dbh, $sql, @values);
		$most{$name} = max($most{$name} // 0, value($dbh, $read) - $before);
		$dbh->commit;
		return $result;
	};

	for (1 .. $lives)
	{
		# For Alice alone, and before all that waits.
		my $task = $call->('create_task', q{SELECT kin_tr.create_task('{"for": "Alice"}', priority => 9, workflow => 'named')});

		$call->('update_task', q{SELECT kin_tr.update_task(?, priority => 10)}, $task);
		$call->('tick', 'SELECT assigned FROM kin_tr.tick()');
		my $offer = value($dbh, 'SELECT sid FROM kin_tr.reservations WHERE task_sid = ?', $task);
		$call->('reject_reservation', 'SELECT kin_tr.reject_reservation(?)', $offer);
		$call->('tick', 'SELECT assigned FROM kin_tr.tick()');
		$offer = value($dbh, 'SELECT sid FROM kin_tr.reservations WHERE task_sid = ? AND is_open', $task);
		$call->('update_worker_activity', q{SELECT kin_tr.update_worker_activity('Alice', 'Offline', reject_pending_reservations => true)});
		$call->('update_worker_activity', q{SELECT kin_tr.update_worker_activity('Alice', 'Available')});
		$call->('tick', 'SELECT assigned FROM kin_tr.tick()');
		$offer = value($dbh, 'SELECT sid FROM kin_tr.reservations WHERE task_sid = ? AND is_open', $task);
		$call->('accept_reservation', 'SELECT kin_tr.accept_reservation(?)', $offer);
		$call->('active_reservations', q{SELECT count(*) FROM kin_tr.active_reservations('Alice')});
		if ($_ % 2) { $call->('complete_task', 'SELECT kin_tr.complete_task(?)', $task); }
		else { $call->('delete_task', 'SELECT kin_tr.delete_task(?)', $task); }
		$call->('tick', 'SELECT assigned FROM kin_tr.tick()');
	}
	return %most;
}

sub reads_its_own
{
	my ($what) = @_;

	# One whose plans are old, and one whose plans are made now.
	for ([ 'a session of before', $old ], [ 'a new session', connect_to($node) ])
	{
		my ($who, $dbh) = @$_;

		$dbh->do('SET client_min_messages = error');
		# The first tick loads what the others know, and the first task of a step has what
		# its expression names read of all workers.
		my $first = value($dbh, q{SELECT kin_tr.create_task('{"for": "Alice"}', priority => 9, workflow => 'named')});
		$dbh->do('SELECT kin_tr.tick()');
		$dbh->do('SELECT kin_tr.delete_task(?)', undef, $first);
		$dbh->do('SELECT kin_tr.tick()');
		my %most = reads_of_lives($dbh, 8);
		my @many = grep { $most{$_} > MOST } sort keys %most;

		note "$what, $who: ", join(", ", map { "$_ $most{$_}" } sort keys %most);
		is("@many", '', "$what: $who reads little in each call") or diag explain \%most;
		$dbh->disconnect if $dbh != $old;
	}
	return;
}

sub make_much
{
	my ($round) = @_;

	$old->do('SELECT count(kin_tr.create_task(workflow => $$all$$)) FROM generate_series(1, ?)', undef, LIVES);
	for (my $done = 0; $done < LIVES;)
	{
		$old->do('SELECT kin_tr.tick(10000)');
		$old->do(q{SELECT count(kin_tr.accept_reservation(r.sid)) FROM kin_tr.reservations r WHERE is_open});
		$done += value($old, q{SELECT count(kin_tr.complete_task(t.sid)) FROM kin_tr.tasks t WHERE assignment_status = 'assigned'});
	}
	$old->do('SELECT count(kin_tr.create_task(workflow => $$all$$)) FROM generate_series(1, ?)', undef, WAITING + WORKERS);
	$old->do('SELECT kin_tr.tick(10000)');
	return;
}

$old->do('SET client_min_messages = error');
$old->do(q{SELECT kin_tr.create_workspace('centre', template => 'FIFO'), kin_tr.set_clock('2026-01-05 09:00Z')});
$old->do(q{SELECT kin_tr.create_task_queue('All', '1 == 1'), kin_tr.create_task_queue('Named', 'name == "Alice"')});
$old->do(q{SELECT kin_tr.create_workflow('named', '{"task_routing": {"default_filter": {"queue": "Named"}}}'),
	kin_tr.create_workflow('all', '{"task_routing": {"default_filter": {"queue": "All", "expression": "worker.name != \"Alice\""}}}')});
$old->do(q{SELECT kin_tr.create_worker('Alice', '{"name": "Alice"}', activity => 'Available')});
$old->do('ANALYZE');
reads_its_own('few rows');

$old->do(q{SELECT count(kin_tr.create_worker('w' || n, jsonb_build_object('name', 'w' || n), activity => 'Available')) FROM generate_series(1, ?) n}, undef, WORKERS);
make_much(1);
reads_its_own('many rows, analyzed while there were few');

$old->do('ANALYZE');
reads_its_own('many rows, analyzed');

# A quiet night: all is done, nothing is open, most rows have gone.
$old->do('SELECT count(kin_tr.delete_task(sid)) FROM kin_tr.tasks WHERE finished_at IS NULL');
$old->do('ANALYZE');
reads_its_own('a quiet night, analyzed');
make_much(2);
reads_its_own('many rows again, analyzed in a quiet night');

# Thousands of timers of another tenant are due first.
$old->do(q{SELECT kin_tr.create_workspace('others', template => 'FIFO')});
$old->do(q{CREATE ROLE centre LOGIN});
$old->do(q{SELECT kin_tr.grant_access('centre', 'app', 'centre')});
$old->do('SELECT count(kin_tr.delete_task(sid)) FROM kin_tr.tasks WHERE finished_at IS NULL');

my $centre = connect_to($node, 'postgres', user => 'centre');

$centre->do(q{SELECT kin_tr.tick()});
$old->do(q{SELECT count(kin_tr.create_task(timeout => 1, workspace => 'others')) FROM generate_series(1, 3000)});
$centre->do(q{SELECT kin_tr.create_task(timeout => 2, workflow => 'named')});
# What has happened is read.
1 while value($centre, 'SELECT more FROM kin_tr.tick()');
$old->do(q{SELECT kin_tr.set_clock('2026-01-05 12:00Z')});
$centre->begin_work;
my $before = value($centre, $read) // 0;
is(value($centre, 'SELECT timed_out FROM kin_tr.tick()'), 1, 'among thousands of timers of others each finds its own');
cmp_ok(value($centre, $read) - $before, '<', MOST, 'and reads little for it');
$centre->commit;
$centre->disconnect;
$old->do(q{SELECT kin_tr.tick(10000)});

is_sound($old, 'after all that');
$old->disconnect;
$node->stop;
done_testing();
