# Finished tasks on their way to history: what one of them waits for costs nobody anything.

use strict;
use warnings FATAL => 'all';

use Test::More;

use KinTr::Cluster;
use KinTr::Tenants;

use constant MANY => 3000;

my ($node, $owner, $mine) = start_tenants('moves', "kin_tr.sweep_interval = 3600\nautovacuum = off\n");
my $theirs = theirs();

# Tasks that have ended an hour ago, and are found at once.
sub finished
{
	my ($n, $attributes) = @_;
	my $tasks = $theirs->selectcol_arrayref('SELECT kin_tr.create_task($1::jsonb) FROM generate_series(1, $2)',
		undef, $attributes // '{}', $n);

	$owner->begin_work;
	$owner->do('SELECT count(kin_tr.cancel_task(t)) FROM unnest($1::text[]) t', undef, $tasks);
	$owner->do("UPDATE kin_tr.tasks SET finished_at = finished_at - interval '1 hour' WHERE sid::text = ANY (\$1)", undef, $tasks);
	$owner->do("UPDATE kin_tr.events SET event_date = event_date - interval '1 hour' WHERE task_sid::text = ANY (\$1)"
		. " AND event_type = 'task.canceled'", undef, $tasks);
	$owner->commit;
	return @$tasks;
}

sub is_moved
{
	my ($task, $what) = @_;

	query_until($node, 'postgres', "SELECT count(*) = 1 FROM kin_tr.task_history WHERE sid = '$task'", $what);
	return;
}

# Entries of the index of finished tasks that have been read, and searches of it.
sub index_reads
{
	return $owner->selectrow_array(q{SELECT idx_tup_read, idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'tasks_finished'});
}

# ------------------------------------------------------------- what is held

# An old snapshot keeps what has been moved in the index.
my $old = connect_to($node);

$old->do('BEGIN ISOLATION LEVEL REPEATABLE READ');
$old->do('SELECT 1');
finished(MANY);
query_until($node, 'postgres', 'SELECT count(*) = ' . MANY . ' FROM kin_tr.task_history', 'finished tasks are moved');

my $holder = theirs();
my ($held) = finished(1);

$holder->begin_work;
$holder->do('SELECT kin_tr.delete_task($1)', undef, $held);
my (@tasks) = finished(10);
is_moved($_, 'the others are moved') for $tasks[9];
# The processes' statistics come late; from here on each second has a search.
my ($read, $searches) = index_reads();
query_until($node, 'postgres', 'SELECT idx_scan >= ' . ($searches + 6) . q{ FROM pg_stat_user_indexes WHERE indexrelname = 'tasks_finished'},
	'the mover goes on looking');
my ($read_now) = index_reads();
cmp_ok($read_now - $read, '<', MANY, 'while one is held, it does not walk over what has been moved');
$holder->rollback;
is_moved($held, 'which is moved when nobody holds it any more');
$old->rollback;

# ------------------------------------------------------------- what is late

# It ended when the mark was not yet there, and its end is committed when it has gone by.
my ($late) = $theirs->selectrow_array(q{SELECT kin_tr.create_task()});

$owner->begin_work;
$owner->do('SELECT kin_tr.cancel_task($1)', undef, $late);
$owner->do("UPDATE kin_tr.tasks SET finished_at = finished_at - interval '2 hours' WHERE sid::text = \$1", undef, $late);
$owner->do("UPDATE kin_tr.events SET event_date = event_date - interval '2 hours' WHERE task_sid::text = \$1", undef, $late);
my ($before) = finished_meanwhile();
is_moved($before, 'another is moved meanwhile');
$owner->commit;
is_moved($late, 'what was committed late is moved all the same');

sub finished_meanwhile
{
	my $other = connect_to($node);
	my ($task) = $theirs->selectrow_array(q{SELECT kin_tr.create_task()});

	$other->begin_work;
	$other->do('SELECT kin_tr.cancel_task($1)', undef, $task);
	$other->do("UPDATE kin_tr.tasks SET finished_at = finished_at - interval '1 hour' WHERE sid::text = \$1", undef, $task);
	$other->commit;
	return $task;
}

# ----------------------------------------------------------- what is broken

$owner->do(q{CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no history'; END $$});
$owner->do(q{CREATE TRIGGER refuse BEFORE INSERT ON kin_tr.task_history FOR EACH ROW
	WHEN (NEW.attributes ? 'bomb') EXECUTE FUNCTION refuse()});
my @broken = finished(5, '{"bomb": true}');
my @whole = finished(5);

is_moved($whole[4], 'a task that cannot be moved holds up no other');
for my $broken (@broken[ 0, 4 ])
{
	query_until($node, 'postgres', "SELECT step = 'move' AND tries >= 3 FROM kin_tr.quarantine WHERE object = '$broken'",
		'it is in quarantine, and stays there');
}
$owner->do('DROP TRIGGER refuse ON kin_tr.task_history');
$owner->do('SELECT kin_tr.release_quarantine()');
is_moved($_, 'once it can be moved, it is') for @broken;
query_until($node, 'postgres', 'SELECT count(*) = 0 FROM kin_tr.quarantine', 'and leaves the quarantine');

is_sound($owner, 'afterwards');
$_->disconnect for $owner, $mine, $theirs, $holder, $old;
$node->stop;
done_testing();
