# Whoever adds columns of his own to tables of kin_tr, or drops them again, stops
# nothing: in sessions that have learnt the tables before, in router and relay, in
# partitions old and new.  What stands in such a column stays there.

use strict;
use warnings FATAL => 'all';

use Test::More;

use KinTr::Cluster;

my $node = start_node('columns');
my $owner = connect_to($node);
my $app = connect_to($node);
my @tables = qw(tasks reservations workers events task_history reservation_history workspaces activities task_channels
	task_queues workflows workflow_versions worker_channels idempotency_keys);

sub value { my ($db, $sql, @values) = @_; return scalar $db->selectrow_array($sql, undef, @values); }
sub alter { my ($how) = @_; $owner->do("ALTER TABLE kin_tr.$_ $how") for @tables; return; }

$owner->do(q{SELECT kin_tr.create_workspace('centre', 'FIFO')});

# A task's whole life, in a session that goes on from one call to the next: the
# router offers it, the relay tells of it, housekeeping moves it.
my $n = 0;

sub live
{
	my ($when) = @_;
	my $worker = 'Worker ' . ++$n;
	my $cursor = value($app, 'SELECT kin_tr.current_cursor()');

	$app->do(q{SELECT kin_tr.create_worker($1, activity => 'Available'), kin_tr.update_worker_channel($1, 'default', 2)}, undef, $worker);
	my $task = value($app, 'SELECT kin_tr.create_task(jsonb_build_object($1::text, true), idempotency_key => $1)', "key $n");
	query_until($node, 'postgres', "SELECT count(*) = 1 FROM kin_tr.reservations WHERE task_sid = '$task' AND is_open", "$when: the router offers a task");
	if ($when =~ /with columns/)
	{
		$owner->do(q{UPDATE kin_tr.tasks SET mine = 'kept' WHERE sid = ?}, undef, $task);
		$owner->do(q{UPDATE kin_tr.reservations SET mine = 'kept' WHERE task_sid = ?}, undef, $task);
		$owner->do(q{UPDATE kin_tr.workers SET mine = 'kept' WHERE friendly_name = ?}, undef, $worker);
	}
	$app->do('SELECT kin_tr.accept_reservation(sid) FROM kin_tr.active_reservations(?)', undef, $worker);
	$app->do(q{SELECT kin_tr.update_task(?, '{"more": 1}')}, undef, $task);
	$app->do('SELECT kin_tr.wrapup_task(?)', undef, $task);
	$app->do('SELECT kin_tr.complete_task(?)', undef, $task);
	$app->do(q{SELECT kin_tr.update_worker($1, '{"n": 1}'), kin_tr.update_worker_activity($1, 'Offline')}, undef, $worker);
	if ($when =~ /with columns/)
	{
		is(value($owner, 'SELECT mine FROM kin_tr.tasks WHERE sid = ?', $task), 'kept', "$when: what a task has there stays");
		is(value($owner, 'SELECT mine FROM kin_tr.reservations WHERE task_sid = ?', $task), 'kept', "$when: and a reservation");
		is(value($owner, 'SELECT mine FROM kin_tr.workers WHERE friendly_name = ?', $worker), 'kept', "$when: and a worker");
	}
	my (undef, @events) = events_from($app, $cursor, 100);
	my %seen;
	$seen{ $_->{event_type} }++ for @events;
	is(join(' ', map { "$_ $seen{$_}" } grep { /^(task|reservation)\./ } sort keys %seen),
		'reservation.accepted 1 reservation.completed 1 reservation.created 1 reservation.wrapup 1'
		. ' task.completed 1 task.created 1 task.updated 1 task.wrapup 1', "$when: each event is read, once");
	$owner->do(q{UPDATE kin_tr.tasks SET finished_at = finished_at - interval '5 minutes' WHERE sid = ?}, undef, $task);
	query_until($node, 'postgres', "SELECT in_history FROM kin_tr.get_task('$task')", "$when: it moves to history");
	is(value($owner, 'SELECT count(*) FROM kin_tr.reservation_history WHERE task_sid = ?', $task), 1, "$when: with its reservation");
	return;
}

live('as installed');
alter('ADD COLUMN mine text');
live('with columns added');
alter('ADD COLUMN another jsonb');
alter('DROP COLUMN mine');
live('with one of two columns dropped');

# The partition of today is made just now, of what is not there any more.
$owner->begin_work;
$owner->do('DELETE FROM kin_tr.events');
$owner->do(q{SELECT kin_tr._make_partition('events', 'events_today', today - 1, today + 1) FROM CAST(now() AT TIME ZONE 'UTC' AS date) today});
$owner->commit;
live('with a partition whose columns stand elsewhere');
is(value($owner, q{SELECT string_agg(DISTINCT tableoid::regclass::text, ' ') FROM kin_tr.events}), 'kin_tr.events_today', 'the log goes on there');

alter('ADD COLUMN mine text');
live('with columns added once more');
alter('DROP COLUMN mine');
alter('DROP COLUMN another');
live('with all columns dropped again');

# What would keep rows from being written is said, and gone when it is undone.
is(sqlstate_of($app, 'SELECT kin_tr.cancel_task(kin_tr.create_task())'), '00000', 'a task is made');
$owner->do('CREATE DOMAIN public.some AS integer NOT NULL DEFAULT 5');
for my $refused ([ 'integer NOT NULL', qr/may not be null/ ], [ 'timestamptz DEFAULT now()', qr/has a default that is no constant/ ],
	[ 'public.some NOT NULL DEFAULT 1', qr/is of a domain with constraints/ ],
	[ 'integer GENERATED ALWAYS AS (priority + 1) STORED', qr/has a default that is no constant/ ])
{
	my ($column, $why) = @$refused;

	# Where no task is left any column may be added.
	$owner->do('DELETE FROM kin_tr.tasks');
	$owner->do("ALTER TABLE kin_tr.tasks ADD COLUMN mine $column");
	is(sqlstate_of($app, 'SELECT kin_tr.cancel_task(kin_tr.create_task())'), '42804', "mine $column: is refused when a task is made");
	like($app->errstr, qr/column "mine" of table kin_tr\.tasks $why.*HINT:.*may be null/s, '... and the message says which, and what to do');
	$owner->do('ALTER TABLE kin_tr.tasks DROP COLUMN mine');
	is(sqlstate_of($app, 'SELECT kin_tr.cancel_task(kin_tr.create_task())'), '00000', 'without it a task is made again');
}

# One with a constant as its default has that, and one that has none has nothing.
$owner->do(q{ALTER TABLE kin_tr.tasks ADD COLUMN mine text NOT NULL DEFAULT lower('YES'), ADD COLUMN another integer DEFAULT NULL});
my ($made) = $app->selectrow_array('SELECT kin_tr.create_task()');

is(value($owner, 'SELECT mine || coalesce(another::text, \' and nothing\') FROM kin_tr.tasks WHERE sid::text = $1', $made), 'yes and nothing',
	'a column with a default has it');
is(sqlstate_of($app, "SELECT kin_tr.cancel_task('$made')"), '00000', '... and the task goes its way');
$owner->do('ALTER TABLE kin_tr.tasks DROP COLUMN another');

# A default may also be its type's.
$owner->do('CREATE DOMAIN public.answer AS integer DEFAULT 42');
$owner->do('ALTER TABLE kin_tr.tasks ADD COLUMN another public.answer');
$made = value($app, 'SELECT kin_tr.create_task()');
is(value($owner, 'SELECT another FROM kin_tr.tasks WHERE sid::text = $1', $made), 42, 'so has one of a type with a default');
is(sqlstate_of($app, "SELECT kin_tr.cancel_task('$made')"), '00000', '... and that task goes its way, too');
$owner->do('ALTER TABLE kin_tr.tasks DROP COLUMN another');
$owner->do('ALTER TABLE kin_tr.tasks DROP COLUMN mine');
live('at last');
is(value($owner, 'SELECT count(*) FROM kin_tr.check()'), 0, 'check() finds nothing');
query_until($node, 'postgres', q{SELECT bool_and(state = 'ok') FROM kin_tr.health()}, 'health() is well');
$node->stop;
done_testing();
