# pg_dump and restore into a new cluster, by both formats, with a year of history:
# the copy is what the original was, nothing acts in it before
# resume_after_restore(), and then everything goes on.  A cursor from before the
# dump gives the rest of its era, and all that came after.

use strict;
use warnings FATAL => 'all';

use IO::Select;
use PostgreSQL::Test::Utils;
use Test::More;

use KinTr::Cluster;

srand 1;
my $original = start_node('original', preload => 0);
my $dbh = connect_to($original);

$dbh->do('SET client_min_messages = error');

sub value { my ($db, $sql, @values) = @_; return scalar $db->selectrow_array($sql, undef, @values); }
sub column { my ($db, $sql, @values) = @_; return @{ $db->selectcol_arrayref($sql, undef, @values) }; }
sub events { return ids(column($_[0], 'SELECT id FROM kin_tr.events')); }

# Every table's rows, and its partitions, in a few characters.
sub contents
{
	my ($db) = @_;
	my @tables = column($db, q{
		SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'kin_tr'::regnamespace AND c.relkind IN ('r', 'p')
		   AND NOT c.relispartition AND c.relname NOT IN ('clock', 'router_state') ORDER BY c.relname});
	my %contents = map { $_ => value($db, qq{
		SELECT count(*) || ' rows ' || coalesce(md5(string_agg(x.row, ' ' ORDER BY x.row COLLATE "C")), '')
		  FROM (SELECT t::text FROM kin_tr.$_ t) x(row)}) } @tables;

	$contents{partitions} = join "\n", column($db, q{
		SELECT concat_ws(' ', i.inhparent::regclass, c.relname, pg_get_expr(c.relpartbound, c.oid),
		                 (SELECT string_agg(pg_get_indexdef(x.indexrelid), ', ' ORDER BY x.indexrelid::regclass::text)
		                    FROM pg_index x WHERE x.indrelid = c.oid))
		  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		 WHERE c.relnamespace = 'kin_tr'::regnamespace AND c.relkind = 'r' ORDER BY c.relname});
	$contents{sequence} = value($db, 'SELECT last_value FROM kin_tr.events_id_seq');
	return \%contents;
}

# ------------------------------------------------------------ the original

# It stood an hour ago.  Its ids of transactions are beyond those of the new cluster.
$dbh->do('DO $$ BEGIN FOR i IN 1 .. 3000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$');
$dbh->do('CREATE ROLE desk LOGIN');
$dbh->do(q{SELECT kin_tr.set_clock(date_trunc('second', now() - interval '1 hour'))});
$dbh->do(q{SELECT kin_tr.create_workspace('centre', template => 'FIFO')});
$dbh->do(q{SELECT kin_tr.grant_access('desk', 'app', 'centre')});
$dbh->do(q{SELECT kin_tr.create_worker(name, activity => 'Available') FROM unnest('{Alice,Bob}'::text[]) name});

# A year of history and a month of events: tasks are answered and moved, and then
# made older, into partitions such as each week's maintain() would have made.
my @done;

for (1 .. 120)
{
	push @done, value($dbh, q{SELECT kin_tr.create_task(jsonb_build_object('call_sid', ?::text))}, "CA$_");
	$dbh->do('SELECT kin_tr.tick()');
	$dbh->do('SELECT kin_tr.accept_reservation(sid) FROM kin_tr.active_reservations()');
	$dbh->do('SELECT kin_tr.complete_task(?)', undef, $done[-1]);
}
$dbh->do(q{SELECT kin_tr.set_clock(kin_tr.now() + interval '5 minutes')});
is(value($dbh, 'SELECT moved FROM kin_tr.maintain()'), 120, 'tasks have been moved to history');
$dbh->do(q{
	DO $$
	DECLARE
		parent text;
		week date;
	BEGIN
		FOREACH parent IN ARRAY ARRAY['events', 'task_history', 'reservation_history'] LOOP
			FOR back IN 1 .. CASE parent WHEN 'events' THEN 4 ELSE 56 END LOOP
				week := (date_trunc('week', now() AT TIME ZONE 'UTC') - back * interval '1 week')::date;
				PERFORM kin_tr._make_partition(parent, kin_tr._partition_name(parent, week), week, week + 7);
			END LOOP;
		END LOOP;
	END $$});
$dbh->do(q{
	WITH aged AS (SELECT sid, now() - interval '8 days' - interval '3 days' * (row_number() OVER (ORDER BY sid DESC)) AS at
	                FROM kin_tr.task_history),
	     r AS (UPDATE kin_tr.reservation_history r SET recorded_at = aged.at FROM aged WHERE r.task_sid = aged.sid)
	UPDATE kin_tr.task_history t SET recorded_at = aged.at FROM aged WHERE t.sid = aged.sid});
$dbh->do(q{
	UPDATE kin_tr.events SET recorded_at = now() - interval '21 days' * (1 - id::float8 / (SELECT max(id) + 1 FROM kin_tr.events))});
cmp_ok(value($dbh, q{SELECT count(DISTINCT tableoid) FROM kin_tr.task_history}), '>=', 50, 'in fifty weeks and more');
cmp_ok(value($dbh, q{SELECT count(DISTINCT tableoid) FROM kin_tr.events}), '>=', 3, 'events are of several weeks');

# What is alive: an offer, an assigned task, one that waits, a callback before its time.
my ($middle, @first) = events_from($dbh, undef, 100);
my %task = map { $_ => value($dbh, 'SELECT kin_tr.create_task(jsonb_build_object(?::text, true), timeout => 7200)', $_) } qw(assigned offered waiting);
$dbh->do(q{SELECT kin_tr.tick()});
$dbh->do('SELECT kin_tr.accept_reservation(sid) FROM kin_tr.active_reservations() WHERE task_sid = ?', undef, $task{assigned});
$task{callback} = value($dbh, q{SELECT kin_tr.create_callback_task('+1555', now() + interval '1 day', 'later')});
is(join(' ', map { "$_->[0]: $_->[1]" } @{ $dbh->selectall_arrayref(
	'SELECT (SELECT min(k) FROM jsonb_object_keys(attributes) k), assignment_status FROM kin_tr.tasks WHERE sid <> ? ORDER BY sid', undef, $task{callback}) }),
	'assigned: assigned offered: reserved waiting: pending', 'one task is assigned, one is offered, one waits');
is_sound($dbh, 'original');

my @half = @{ $dbh->selectall_arrayref('SELECT id, next_cursor FROM kin_tr.events_since(?, 3)', { Slice => {} }, $middle) };
my $end = value($dbh, 'SELECT kin_tr.current_cursor()');
my $contents = contents($dbh);
my $dump = PostgreSQL::Test::Utils::tempdir();

$original->command_ok([ 'pg_dump', '-d', 'postgres', '-f', "$dump/plain.sql" ], 'pg_dump, plain');
$original->command_ok([ 'pg_dump', '-d', 'postgres', '-Fc', '-f', "$dump/custom" ], 'pg_dump, custom');
$original->command_ok([ 'pg_dump', '-d', 'postgres', '-Fd', '-j', 4, '-f', "$dump/directory" ], 'pg_dump, directory');
$original->command_ok([ 'pg_dumpall', '--roles-only', '--no-role-passwords', '-f', "$dump/roles.sql" ], 'pg_dumpall, roles');

my $known = events($dbh);
my %deadline = map { $_ => value($dbh, 'SELECT expires_at FROM kin_tr.tasks WHERE sid = ?', $task{$_}) } keys %task;

# The original goes on, which is nothing to the copy.
$dbh->do('SELECT kin_tr.create_task() FROM generate_series(1, 5)');
$dbh->disconnect;
$original->stop;

# ------------------------------------------------------------------ copies

my $node = start_node('copy', extension => 0);

# The roles of the new cluster itself are there already.
$node->command_ok([ 'psql', '-XqAt', '-d', 'postgres', '-f', "$dump/roles.sql" ], 'the roles come first');

# Both workers have looked at the database since a moment.
sub wait_for_turns
{
	my ($db, $database) = @_;
	my $since = value($db, 'SELECT clock_timestamp()');

	query_until($node, $database, "SELECT count(*) = 2 FROM kin_tr._worker_states() WHERE worker <> 'launcher' AND last_turn > '$since'",
		"$database: the workers have taken a turn");
	return;
}

sub state_of { my ($db, $item) = @_; return value($db, 'SELECT state FROM kin_tr.health() WHERE item = ?', $item); }

# Restored, and not touched yet.
sub expect_copy
{
	my ($database, $logs) = @_;
	my $db = connect_to($node, $database);
	my $listener = connect_to($node, $database);

	$db->do('SET client_min_messages = error');
	$listener->do('LISTEN kin_tr');
	wait_for_turns($db, $database);
	is_deeply(contents($db), $contents, "$database: the copy is what the original was");
	for my $call ('tick', 'ring')
	{
		is(sqlstate_of($db, "SELECT kin_tr.$call()"), 'KT009', "$database: $call() refuses");
		like($db->errstr, qr/copy.*resume_after_restore/s, "$database: and says why, and what to do");
	}
	is(state_of($db, $_), 'paused', "$database: health() says that $_ is paused") for qw(router relay home);
	like(value($db, q{SELECT detail FROM kin_tr.health() WHERE item = 'home'}), qr/copy/, "$database: and why");
	is(scalar(() = PostgreSQL::Test::Utils::slurp_file($node->logfile) =~ /this database is a copy, so nothing acts/g), $logs,
		"$database: one line of the log says so");

	# What was alive may be read, and tasks made; but nothing is done with them.
	is(value($db, 'SELECT assignment_status FROM kin_tr.get_task(?)', $done[0]), 'completed', "$database: history is read");
	is(value($db, q{SELECT sid FROM kin_tr.get_task_by_call_sid('CA120')}), $done[-1], "$database: and found by its call");

	my ($cursor, @rest) = events_from($db, $middle, 100);

	is(ids(@first, @rest), $known,
		"$database: a cursor from before the dump gives the rest of its era");
	$task{new} = value($db, q{SELECT kin_tr.create_task('{"new": true}', workspace => 'centre')});
	my $app = connect_to($node, $database, user => 'desk');
	is(sqlstate_of($app, 'SELECT kin_tr.get_workspace()'), '42501', "$database: a role of another cluster has no access yet");
	$app->disconnect;
	wait_for_turns($db, $database);
	is(value($db, q{SELECT count(*) FROM kin_tr.tasks WHERE assignment_status = 'pending'}), 3, "$database: nothing is routed");
	is(value($db, q{SELECT count(*) FROM kin_tr.reservations WHERE reservation_status = 'pending' AND times_out_at < now()}), 1,
		"$database: nothing times out");
	is(value($db, q{SELECT count(*) > 0 FROM pg_class WHERE relname = kin_tr._partition_name('task_history', (date_trunc('week', now() AT TIME ZONE 'UTC') - interval '56 weeks')::date)}), 1,
		"$database: nothing is dropped");
	$listener->do('SELECT');
	is($listener->pg_notifies, undef, "$database: nothing rings");
	$listener->disconnect;
	return ($db, $cursor);
}

# After it has resumed, the worker who is free gets what waits longest.
sub expect_life
{
	my ($db, $database, $cursor) = @_;
	my $listener = connect_to($node, $database);

	is(sqlstate_of($db, 'SELECT * FROM kin_tr.resume_after_restore()'), '55000', "$database: to resume again is refused");
	my $app = connect_to($node, $database, user => 'desk');
	is(value($app, 'SELECT friendly_name FROM kin_tr.get_workspace()'), 'centre', "$database: the role of that name has access again");
	$app->disconnect;
	$listener->do('LISTEN kin_tr');
	query_until($node, $database, q{SELECT bool_and(state = 'ok') FROM kin_tr.health()}, "$database: all is well, says health()");
	$db->do(q{SELECT kin_tr.update_worker_activity(name, 'Available') FROM unnest('{Alice,Bob}'::text[]) name});
	$db->do('SELECT kin_tr.complete_task(?)', undef, $task{assigned});
	for my $which (qw(offered waiting new))
	{
		query_until($node, $database, "SELECT EXISTS (SELECT FROM kin_tr.active_reservations() WHERE task_sid = '$task{$which}')",
			"$database: the router goes on, with the task that was $which");
		$db->do('SELECT kin_tr.accept_reservation(sid) FROM kin_tr.active_reservations() WHERE task_sid = ?', undef, $task{$which});
		$db->do('SELECT kin_tr.complete_task(?)', undef, $task{$which});
	}
	query_until($node, $database, q{SELECT to_regclass('kin_tr.' || kin_tr._partition_name('task_history', (date_trunc('week', now() AT TIME ZONE 'UTC') - interval '56 weeks')::date)) IS NULL},
		"$database: so does housekeeping");
	my $bell = $listener->pg_notifies;
	IO::Select->new($listener->{pg_socket})->can_read($PostgreSQL::Test::Utils::timeout_default) if !$bell;
	$bell //= $listener->pg_notifies;
	like($bell && $bell->[2], qr/"count":/, "$database: the bell rings");
	$listener->disconnect;

	for ([ 'from before the dump', $middle, @first ], [ 'from within a batch', $half[-1]{next_cursor}, @first, @half ],
		[ 'that had seen all', $end, split / /, $known ], [ 'that was taken in the copy', $cursor, split / /, $known ])
	{
		my ($which, $from, @seen) = @$_;
		my (undef, @rest) = events_from($db, $from, 100);

		is(ids(@seen, @rest), events($db), "$database: a cursor $which skips nothing and doubles nothing");
	}
	is_sound($db, $database);
	$db->disconnect;
	return;
}

# Plain, whose deadlines are shifted by the hour and more that it slept.
$node->safe_psql('postgres', 'CREATE DATABASE plain');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', 'plain', '-f', "$dump/plain.sql" ], 'psql restores the plain dump');
{
	my ($db, $cursor) = expect_copy('plain', 1);

	is($db->selectrow_array('SELECT count(*) FROM kin_tr.resume_after_restore()'), 0, 'plain: resume_after_restore() finds nothing broken');
	for my $which (sort keys %deadline)
	{
		my ($shift) = value($db, 'SELECT expires_at - ?::timestamptz FROM kin_tr.tasks WHERE sid = ?', $deadline{$which}, $task{$which});

		if ($which eq 'callback') { is($shift, '00:00:00', 'plain: a callback is still due when it was asked for'); next; }
		like($shift, qr/^0[01]:\d\d/, "plain: the deadline of what is $which has been shifted by the time that it slept");
	}
	is(value($db, 'SELECT assignment_status FROM kin_tr.get_task(?)', $task{offered}), 'reserved', 'plain: so the offer stands');
	cmp_ok(value($db, 'SELECT extract(epoch FROM times_out_at - clock_timestamp()) FROM kin_tr.active_reservations() WHERE task_sid = ?', $task{offered}),
		'>', 60, 'plain: and the worker has the time that was left');
	expect_life($db, 'plain', $cursor);
}

# Custom, whose deadlines are kept, in a cluster that has had more transactions by now.
$node->safe_psql('postgres', 'CREATE DATABASE custom');
$node->safe_psql('postgres', 'DO $$ BEGIN FOR i IN 1 .. 10000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$');
$node->command_ok([ 'pg_restore', '-e', '-d', 'custom', "$dump/custom" ], 'pg_restore restores the custom dump');
{
	my ($db, $cursor) = expect_copy('custom', 2);

	is($db->selectrow_array('SELECT count(*) FROM kin_tr.resume_after_restore(shift_deadlines => false)'), 0,
		'custom: resume_after_restore() finds nothing broken');
	is(value($db, 'SELECT expires_at FROM kin_tr.tasks WHERE sid = ?', $task{$_}), $deadline{$_}, "custom: the deadline of what is $_ has been kept")
		for sort keys %deadline;
	query_until($node, 'custom', qq{
		SELECT EXISTS (SELECT FROM kin_tr.reservations WHERE task_sid = '$task{offered}' AND reservation_status = 'timeout')},
		'custom: so the offer times out');
	is(value($db, q{SELECT count(*) FROM kin_tr.workers w JOIN kin_tr.activities a ON a.sid = w.activity_sid WHERE a.friendly_name = 'Offline'}), 1,
		'custom: and its worker is Offline');
	expect_life($db, 'custom', $cursor);
}

# In parallel the tables are filled in any order, and what comes out is the same.
for my $round (1 .. 3)
{
	for my $format (qw(custom directory))
	{
		$node->safe_psql('postgres', 'CREATE DATABASE parallel');
		$node->command_ok([ 'pg_restore', '-e', '-j', 4, '-d', 'parallel', "$dump/$format" ], "pg_restore -j 4 restores the $format dump, round $round");
		my $db = connect_to($node, 'parallel');

		is_deeply(contents($db), $contents, 'the copy is what the original was');
		$db->do('SET client_min_messages = error');
		is($db->selectrow_array('SELECT count(*) FROM kin_tr.resume_after_restore()'), 0, 'resume_after_restore() finds nothing broken');
		is(value($db, 'SELECT count(*) FROM kin_tr.check()'), 0, '... nor does check()');
		$db->disconnect;
		$node->safe_psql('postgres', 'DROP DATABASE parallel');
	}
}

$node->stop;
done_testing();
