# Partitions are made and dropped beside the calls, which wait for none of it: where
# the default partition is large it is not looked through while it is locked, and
# what somebody holds is left for the next time.  What fails does so alone.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

use KinTr::Cluster;

my $node = start_node('partitions', conf => "log_min_messages = debug1\n");
my $owner = connect_to($node);
my $holder = connect_to($node);

sub value { my ($sql, @values) = @_; return scalar $owner->selectrow_array($sql, undef, @values); }
sub piece { return value('SELECT kin_tr._make_next_partition()') // 'none'; }

# The last one of each kind that is to be there, oldest kind of name first.
sub last_name { return value(q{SELECT kin_tr._partition_name($1, (date_trunc('week', now() AT TIME ZONE 'UTC') + interval '5 weeks')::date)}, $_[0]); }
sub is_there { return value('SELECT to_regclass($1) IS NOT NULL', "kin_tr.$_[0]"); }
sub checks { return value(q{SELECT count(*) FROM pg_constraint WHERE conname LIKE '%not\_here'}); }

$owner->do('SET client_min_messages = error');
$owner->do(q{SELECT kin_tr.setup_workspace('centre')});

my ($events, $tasks) = map { last_name($_) } qw(events task_history);
my $housekeeper_done = q{SELECT state = 'ok' AND detail LIKE 'looked after%' FROM kin_tr.health() WHERE item = 'partitions'};

query_until($node, 'postgres', $housekeeper_done, 'a housekeeper comes by itself');
is(value(q{SELECT count(*) FROM kin_tr._partitions_wanted()}), 0, 'and makes all partitions of the coming weeks');
ok(is_there($events) && is_there($tasks), 'up to five weeks ahead');

# ----------------------------------------------------- a large default partition

$owner->do('ALTER SYSTEM SET kin_tr.background_workers = off');
$owner->do('SELECT pg_reload_conf()');
query_until($node, 'postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type ~ 'kin_tr (router|relay|housekeeper)'}, 'without processes');
$owner->do(q{INSERT INTO kin_tr.events_default (id, xid, era, recorded_at, event_date, event_type)
	SELECT -n, '5', (SELECT min(number) FROM kin_tr.event_eras), clock_timestamp(), clock_timestamp(), 'task.created' FROM generate_series(1, 120000) n});
$owner->do("DROP TABLE kin_tr.$_") for $events, $tasks;
is(value('SELECT string_agg(name, $1 ORDER BY name) FROM kin_tr._partitions_wanted() WHERE checked', ' '), $events, 'a partition is to be made beside a large default');

# A reader of the default, a pg_dump perhaps.
$holder->begin_work;
$holder->do('SELECT count(*) FROM kin_tr.events_default');
my $began = time;
is(sqlstate_of($owner, 'SELECT kin_tr._make_next_partition()'), '55P03', 'where somebody reads it, that is for later');
cmp_ok(time - $began, '<', 0.5, 'which is said at once');
$holder->do('SAVEPOINT s');
is(sqlstate_of($holder, 'SELECT kin_tr.create_task()'), '00000', 'and tasks are made meanwhile');
is_deeply([ @{ $owner->selectrow_hashref('SELECT * FROM kin_tr.maintain()') }{qw(moved partitions_made)} ], [ 0, 0 ], 'maintain() leaves it, too');
$holder->rollback;

is(piece(), 'check', 'first comes a CHECK');
is(value('SELECT convalidated FROM pg_constraint WHERE conname = $1', "${events}_not_here"), 0, 'not yet validated');
is(piece(), 'check', 'which is then validated');
is(value('SELECT convalidated FROM pg_constraint WHERE conname = $1', "${events}_not_here"), 1, 'as it says');
my $at = -s $node->logfile;
is(piece(), 'partition', 'then the partition');
like(substr(slurp_file($node->logfile), $at), qr/partition constraint for default partition "events_default" is implied by existing constraints/,
	'for which nothing is looked through');
is(checks(), 0, 'and the CHECK goes');
is(piece(), 'partition', 'a small default is looked through');
is(piece(), 'none', 'then there is no more to do');
ok(is_there($events) && is_there($tasks), 'and all are there');

# maintain() cannot end its transaction, so it does a piece at each call.
$owner->do("DROP TABLE kin_tr.$events");
is(join(' ', map { value('SELECT partitions_made FROM kin_tr.maintain()') } 1 .. 4), '0 0 1 0', 'maintain() makes it at its third call');

# A CHECK whose partition did not come in time.
$owner->do(q{ALTER TABLE kin_tr.events_default ADD CONSTRAINT events_2020w01_not_here CHECK (recorded_at < '2020-01-01') NOT VALID});
is(piece() . ' ' . checks(), 'check 0', 'a CHECK that is left from a time that is near is dropped');

# Rows of a time that is yet to come, from when the system's clock was ahead.
$owner->do("DROP TABLE kin_tr.$_") for $events, $tasks;
$owner->do(q{INSERT INTO kin_tr.events_default (id, xid, era, recorded_at, event_date, event_type)
	SELECT -200000, '5', min(number), clock_timestamp() + interval '36 days', clock_timestamp(), 'task.created' FROM kin_tr.event_eras});
is(join(' ', map { piece() } 1 .. 4), 'check partition none none', 'where the default has rows of its time, only that partition is not made');
ok(is_there($tasks) && !is_there($events), 'but the others');
$owner->do('DELETE FROM kin_tr.events_default WHERE id = -200000');
is(join(' ', map { piece() } 1 .. 3), 'check partition none', 'until they have gone');

# ------------------------------------------------------------------- retention

$owner->do(q{SELECT kin_tr._make_partition('events', 'events_' || y, format('%s-01-01', y)::date, format('%s-12-31', y)::date) FROM unnest('{2001,2002,2003}'::integer[]) y});
is(value('SELECT kin_tr._drop_next_partition()'), 'partition', 'the oldest partition is dropped first');
is(join(' ', map { is_there("events_$_") ? 'kept' : 'dropped' } 2001 .. 2003), 'dropped kept kept', 'one at a time');
$holder->begin_work;
$holder->do('SELECT count(*) FROM kin_tr.events_2003');
is(value('SELECT partitions_dropped FROM kin_tr.maintain()'), 1, 'maintain() drops all of them but what somebody reads');
$holder->disconnect;

# -------------------------------------------------------------- the housekeeper

# DDL is refused: that stops its piece alone.
$owner->do(q{CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no DDL today'; END $$});
$owner->do("DROP TABLE kin_tr.$tasks");
$owner->do('CREATE EVENT TRIGGER refuse ON ddl_command_start EXECUTE FUNCTION refuse()');
my $warning;
{
	local $SIG{__WARN__} = sub { $warning = $_[0] };
	local $owner->{PrintWarn} = 1;

	$owner->do('SET client_min_messages = warning');
	is(value('SELECT moved FROM kin_tr.maintain()'), 0, 'maintain() does the rest where DDL is refused');
	$owner->do('SET client_min_messages = error');
}
like($warning, qr/a partition could not be (made|dropped): no DDL today/, 'and warns');
$owner->do(q{INSERT INTO kin_tr.events_default (id, xid, era, recorded_at, event_date, event_type)
	SELECT -300000, '5', min(number), clock_timestamp() - interval '31 days', clock_timestamp(), 'task.created' FROM kin_tr.event_eras});
$owner->do('ALTER SYSTEM SET kin_tr.background_workers = on');
# The next housekeeper would come in ten minutes; after a start one comes at once.
$node->restart;
$owner = connect_to($node);
$owner->do('SET client_min_messages = error');
query_until($node, 'postgres', q{SELECT state = 'fault' AND detail ~ 'no DDL today' FROM kin_tr.health() WHERE item = 'partitions'}, 'health() says what stops the housekeeper');
query_until($node, 'postgres', 'SELECT NOT EXISTS (SELECT FROM kin_tr.events_default WHERE id = -300000)', 'who drops old rows all the same');
$owner->do(q{SELECT kin_tr.create_worker('Alice', activity => 'Available')});
my $task = value('SELECT kin_tr.create_task()');
query_until($node, 'postgres', "SELECT EXISTS (SELECT FROM kin_tr.active_reservations() WHERE task_sid = '$task')", 'and routing goes on');
is(value(q{SELECT state FROM kin_tr.health() WHERE item = 'router'}), 'ok', 'as health() says');
$owner->do('DROP EVENT TRIGGER refuse');
query_until($node, 'postgres', "SELECT to_regclass('kin_tr.$tasks') IS NOT NULL AND to_regclass('kin_tr.events_2003') IS NULL", 'then the next one does what was left');
query_until($node, 'postgres', $housekeeper_done, 'and health() says so');

is_sound($owner, 'after all that');
$owner->disconnect;
$node->stop;
done_testing();
