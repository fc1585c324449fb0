# Whatever one tenant commits or holds locked, the other's tasks are offered as ever.
#
# "Theirs" misbehaves, by roles of kind app that have no other right; "Mine" has
# an idle worker all the time, and each of its tasks must be offered within a
# second of its commit.  Where an object of Theirs is bad, it is in quarantine.

use strict;
use warnings FATAL => 'all';

use List::Util qw(max);
use Test::More;

use KinTr::Cluster;
use KinTr::Tenants;

my ($node, $owner, $mine) = start_tenants('two_tenants', "max_prepared_transactions = 4\nkin_tr.sweep_interval = 5\n");

sub in_quarantine
{
	my ($object) = @_;

	return $node->poll_query_until('postgres', "SELECT EXISTS (SELECT FROM kin_tr.quarantined WHERE object = '$object')");
}

# health() names what is to blame: of an item, what its detail says.
sub health_tells
{
	my ($item, $pattern, $what) = @_;

	query_until($node, 'postgres', "SELECT state = 'fault' AND detail ~ '$pattern' FROM kin_tr.health() WHERE item = '$item'", "health() tells of $what");
	return;
}

# What the router takes of memory, in bytes, as it tells once a second.
sub router_bytes { return value($owner, q{SELECT bytes FROM kin_tr._worker_states() WHERE worker = 'router'}); }

mine_goes_on('nothing happens');

# -------------------------------------------------------------- odd values

my $theirs = theirs();

$owner->do(q{SELECT kin_tr.create_workflow('By name', '{"task_routing": {"filters": [{"expression": "1==1",
	"targets": [{"queue": "General Queue", "known_worker_friendly_name": "task.agent"}]}]}}', workspace => 'Theirs')});
$owner->do(q{SELECT kin_tr.create_worker(n, activity => 'Available', workspace => 'Theirs') FROM unnest('{anna,bert}'::text[]) n});
for my $name ("repeat('\xc3\xa9', 200)", "repeat('x', 100000)", "repeat('\xf0\x9f\x98\x80', 64)", "E'\\n'", "''")
{
	value($theirs, "SELECT kin_tr.create_task(jsonb_build_object('agent', $name), workflow => 'By name')");
	mine_goes_on("a known worker called $name");
}
value($theirs, q{SELECT count(kin_tr.create_task(jsonb_build_object('agent', 'nobody ' || n), workflow => 'By name')) FROM generate_series(1, 3000) n});
mine_goes_on('thousands of known workers that never were');

$theirs->do(q{SET default_toast_compression = lz4});
my $long = value($theirs, q{SELECT kin_tr.create_task(jsonb_build_object('call_sid', repeat('a', 261000)), workflow => 'By name', timeout => 1)});
$theirs->do('RESET default_toast_compression');
query_until($node, 'postgres', "SELECT assignment_status = 'canceled' FROM kin_tr.tasks WHERE sid = '$long'",
	'a task whose call_sid is too long for an index ends in its time');

# -------------------------------------------------------------- bad rows

# What no function lets through, an index of the owner's does: it fails for the
# rows that are to become what it forbids.
$owner->do(q{CREATE INDEX bombs ON kin_tr.tasks ((CASE WHEN attributes ->> 'bomb' = assignment_status THEN 1 / (priority - priority) END))});

my @bombs = map { value($theirs, 'SELECT kin_tr.create_task(?, timeout => 1, workflow => ?)', '{"bomb": "canceled", "agent": "nobody"}', 'By name') } 1 .. 100;

for my $bomb (@bombs[ 0, 99 ])
{
	ok(in_quarantine($bomb), 'a task whose time-out fails is in quarantine');
}
health_tells('quarantine', "^100, the first ($bombs[0]|$bombs[-1]) since .*\\(timer: 22012\\)", 'time-outs that fail, and of the first')
	if $bombs[0] lt $bombs[-1];
mine_goes_on('time-outs that fail');

my $reserved = value($theirs, 'SELECT kin_tr.create_task(?, workflow => ?)', '{"bomb": "reserved", "agent": "anna"}', 'By name');

ok(in_quarantine($reserved), 'a task whose assignment fails is in quarantine');
is(value($owner, 'SELECT step FROM kin_tr.quarantined WHERE object = ?', $reserved), 'assignment', 'which says where it failed');
mine_goes_on('an assignment that fails');

# Its own time-out does not wait for the next try.
my $short = value($theirs, 'SELECT kin_tr.create_task(?, timeout => 5, workflow => ?)', '{"bomb": "reserved", "agent": "bert"}', 'By name');

ok(in_quarantine($short), 'another one is, too');
query_until($node, 'postgres', "SELECT assignment_status = 'canceled' FROM kin_tr.tasks WHERE sid = '$short'", 'and ends when it times out');
cmp_ok(value($owner, 'SELECT extract(epoch FROM date_updated - date_created) FROM kin_tr.get_task(?)', $short), '<', 6.5, 'in time');

my $after = value($theirs, 'SELECT kin_tr.create_task(?, workflow => ?)', '{"agent": "anna"}', 'By name');

query_until($node, 'postgres', "SELECT assignment_status = 'reserved' FROM kin_tr.tasks WHERE sid = '$after'",
	'the worker of an assignment that failed gets the next task');
is(value($theirs, 'SELECT count(*) FROM kin_tr.quarantined'), 101, 'readers of a workspace see its quarantine');
is(value($mine, 'SELECT count(*) FROM kin_tr.quarantined'), 0, 'and no other');
value($theirs, 'SELECT kin_tr.update_task(?, ?)', $reserved, '{"agent": "bert"}');
query_until($node, 'postgres', "SELECT assignment_status = 'reserved' FROM kin_tr.tasks WHERE sid = '$reserved'"
	. " AND NOT EXISTS (SELECT FROM kin_tr.quarantine WHERE object = '$reserved')", 'one that changes is tried at once');
# Who holds its rows, and even releases them, stops nobody.
my $releaser = connect_to($node);

$releaser->begin_work;
ok(value($releaser, 'SELECT kin_tr.release_quarantine()'), 'the owner releases them, and does not commit');
value($theirs, 'SELECT kin_tr.update_task(?, ?)', $_, '{"bomb": "canceled", "agent": "nobody", "again": true}') for @bombs;
mine_goes_on('rows of the quarantine are held');
$releaser->rollback;
$releaser->disconnect;
query_until($node, 'postgres', "SELECT count(*) = 100 AND bool_and(tries < 3) FROM kin_tr.quarantine", '... in which they are again');
$owner->do('DROP INDEX kin_tr.bombs');
ok(value($owner, 'SELECT kin_tr.release_quarantine()'), 'the owner releases the others');
query_until($node, 'postgres', q{SELECT count(*) = 0 FROM kin_tr.tasks WHERE attributes @> '{"bomb": "canceled"}' AND assignment_status = 'pending'},
	'which then are tried at once');
query_until($node, 'postgres', 'SELECT count(*) = 0 FROM kin_tr.quarantine', 'and leave the quarantine');

# ------------------------------------------------------- bad configuration

$owner->do(q{UPDATE kin_tr.task_queues SET target_workers = 'a ==' WHERE friendly_name = 'General Queue'
	AND workspace_sid = (SELECT sid FROM kin_tr.workspaces WHERE friendly_name = 'Theirs')});
$owner->do(q{SELECT kin_tr.update_activity('Busy', 'Very busy', workspace => 'Theirs')});
mine_goes_on('a queue that cannot be compiled');
health_tells('quarantine', '^[1-9], the first WQ[0-9a-f]{32} since', 'a queue that cannot be compiled');
query_until($node, 'postgres', q{SELECT EXISTS (SELECT FROM kin_tr.quarantined WHERE object::text LIKE 'WQ%')}, 'it is in quarantine');
$owner->do(q{SELECT kin_tr.update_task_queue('General Queue', target_workers => '1==1', workspace => 'Theirs')});
query_until($node, 'postgres', 'SELECT count(*) = 0 FROM kin_tr.quarantine', 'until it is mended');
# Nobody tells the router of a row that is mended by hand.
$owner->do(q{UPDATE kin_tr.task_queues SET target_workers = 'a ==' WHERE friendly_name = 'General Queue'
	AND workspace_sid = (SELECT sid FROM kin_tr.workspaces WHERE friendly_name = 'Theirs')});
$owner->do(q{SELECT kin_tr.update_activity('Very busy', 'Busy again', workspace => 'Theirs')});
query_until($node, 'postgres', q{SELECT EXISTS (SELECT FROM kin_tr.quarantined WHERE object::text LIKE 'WQ%')}, 'it is in quarantine again');
$owner->do('VACUUM kin_tr.quarantine');
mine_goes_on('its row is vacuumed');
ok(in_quarantine(value($owner, q{SELECT sid FROM kin_tr.task_queues WHERE target_workers = 'a =='})), 'where it stays');
$owner->do(q{UPDATE kin_tr.task_queues SET target_workers = '1==1' WHERE target_workers = 'a =='});
query_until($node, 'postgres', 'SELECT count(*) = 0 FROM kin_tr.quarantine', 'which it leaves when it is mended by hand');
mine_goes_on('a queue that has been mended by hand');

# More attributes of workers than the router keeps for a workspace: the queues that tasks come to last wait, and are
# not to blame again for what others do.
$owner->do("SELECT kin_tr.create_task_queue('greedy $_', string_agg(format('worker.q${_}_%s == 1', i), ' OR '), workspace => 'Theirs')"
	. ' FROM generate_series(1, 240) i') for 1 .. 4;
$owner->do(q{SELECT kin_tr.create_workflow('Greedy', jsonb_build_object('task_routing', jsonb_build_object('filters', jsonb_agg(
	jsonb_build_object('expression', 'g == ' || i, 'targets', jsonb_build_array(jsonb_build_object('queue', 'greedy ' || i)))))), workspace => 'Theirs')
	FROM generate_series(1, 4) i});
query_until($node, 'postgres', 'SELECT count(*) = 0 FROM kin_tr.quarantine', 'queues that nobody uses take no room');
$theirs->do("SELECT kin_tr.create_task(jsonb_build_object('g', $_), workflow => 'Greedy')") for 1 .. 4;
query_until($node, 'postgres', 'SELECT count(*) = 2 FROM kin_tr.quarantine', 'queues that read too much are in quarantine');
$owner->do("SELECT kin_tr.update_activity('Busy again', 'Busy $_', workspace => 'Theirs'), kin_tr.update_activity('Busy $_', 'Busy again', workspace => 'Theirs')") for 1 .. 10;
mine_goes_on('queues that read too much');
cmp_ok(value($owner, 'SELECT max(tries) FROM kin_tr.quarantine'), '<', 8, '... where a change of something else is no failure of theirs');
# Whoever of the four they are.
$theirs->do(q{SELECT count(kin_tr.cancel_task(t.sid)) FROM kin_tr.tasks t JOIN kin_tr.task_queues q ON q.sid = t.task_queue_sid
	WHERE q.friendly_name LIKE 'greedy%' AND t.assignment_status = 'pending' AND q.sid NOT IN (SELECT object FROM kin_tr.quarantined)});
$owner->do(q{SELECT kin_tr.update_activity('Busy again', 'Busy anew', workspace => 'Theirs')});
query_until($node, 'postgres', 'SELECT count(*) = 0 FROM kin_tr.quarantine', '... and which they leave when others make room');
$theirs->do(q{SELECT count(kin_tr.cancel_task(sid)) FROM kin_tr.tasks WHERE attributes ? 'g' AND assignment_status = 'pending'});

# ---------------------------------------------------------------- held locks

$owner->do(q{SELECT kin_tr.update_workflow('By name', task_reservation_timeout => 1, workspace => 'Theirs')});
$owner->do(q{SELECT kin_tr.update_worker_activity('anna', 'Available', workspace => 'Theirs')});
$owner->do(q{SELECT count(kin_tr.cancel_task(sid)) FROM kin_tr.tasks WHERE assignment_status IN ('pending', 'reserved')
	AND workspace_sid = (SELECT sid FROM kin_tr.workspaces WHERE friendly_name = 'Theirs')});
$owner->do(q{SELECT kin_tr.update_workspace('Theirs', timeout_activity => 'Offline')});

my $holder = connect_to($node);
my $offered = value($theirs, 'SELECT kin_tr.create_task(?, workflow => ?)', '{"agent": "anna"}', 'By name');

query_until($node, 'postgres', "SELECT count(*) = 1 FROM kin_tr.reservations WHERE task_sid = '$offered' AND is_open", 'a task is offered');
$holder->begin_work;
$holder->do(q{SELECT kin_tr.update_worker('anna', '{"held": true}', workspace => 'Theirs')});
mine_goes_on_while('the worker of a reservation that times out is held', 3, sub { });
is(value($theirs, 'SELECT assignment_status FROM kin_tr.tasks WHERE sid = ?', $offered), 'reserved', 'the reservation waits for its worker');
# It holds the worker, and wants the task: two who wait for each other.
$holder->do('SELECT kin_tr.cancel_task(?)', undef, $offered);
$holder->commit;
pass('who holds the worker can cancel the task');

my $finished = value($theirs, 'SELECT kin_tr.create_task(?, workflow => ?)', '{"agent": "bert"}', 'By name');
my $reservation;

$reservation = value($theirs, 'SELECT sid FROM kin_tr.reservations WHERE task_sid = ? AND is_open', $finished) until $reservation;
value($theirs, 'SELECT kin_tr.accept_reservation(?)', $reservation);
value($theirs, 'SELECT kin_tr.complete_task(?)', $finished);
$holder->begin_work;
$holder->do(q{SELECT kin_tr.update_worker_channel('bert', 'default', 5, workspace => 'Theirs')});
$owner->do('UPDATE kin_tr.tasks SET finished_at = finished_at - interval \'10 minutes\' WHERE finished_at IS NOT NULL');
mine_goes_on_while('the worker of a task that is to be moved to history is held', 3, sub { });
is(value($owner, q{SELECT count(*) FROM kin_tr.tasks t WHERE finished_at < now() - interval '9 minutes'
	AND NOT EXISTS (SELECT FROM kin_tr.reservations r WHERE r.task_sid = t.sid AND r.worker_name = 'bert')}), 0,
	'tasks of others are moved meanwhile');
health_tells('moves', '^task WT[0-9a-f]{32} should be in history since', 'one that is held');
$holder->rollback;
query_until($node, 'postgres', "SELECT count(*) = 1 FROM kin_tr.task_history WHERE sid = '$finished'", 'and it is, when nobody holds it any more');

# So it is where who deletes an assigned task of his holds the worker.
$owner->do(q{SELECT kin_tr.update_worker_channel('bert', 'default', 2, workspace => 'Theirs')});
my @both = map { value($theirs, 'SELECT kin_tr.create_task(?, workflow => ?)', '{"agent": "bert"}', 'By name') } 1 .. 2;
query_until($node, 'postgres', "SELECT count(*) = 2 FROM kin_tr.reservations WHERE is_open AND task_sid IN ('$both[0]', '$both[1]')", 'two are offered');
$theirs->do('SELECT kin_tr.accept_reservation(sid::text) FROM kin_tr.reservations WHERE is_open AND task_sid IN ($1, $2)', undef, @both);
$theirs->do('SELECT kin_tr.complete_task($1)', undef, $both[0]);
$holder->begin_work;
$holder->do('SELECT kin_tr.delete_task($1)', undef, $both[1]);
$owner->do('UPDATE kin_tr.tasks SET finished_at = finished_at - interval \'10 minutes\' WHERE sid = $1', undef, $both[0]);
mine_goes_on_while('the worker of a task that is to be moved is held by who deletes another', 3, sub { });
$holder->rollback;
query_until($node, 'postgres', "SELECT count(*) = 1 FROM kin_tr.task_history WHERE sid = '$both[0]'", 'and it is moved, when nobody does any more');
$theirs->do('SELECT kin_tr.complete_task($1)', undef, $both[1]);

# What is routed to a worker, whatever his capacity, is not tried again and again while somebody holds him.
my $rounds = 0;
my $xid = value($owner, 'SELECT pg_current_xact_id()::text::bigint');

$holder->begin_work;
$holder->do(q{SELECT kin_tr.update_worker('bert', '{"held": "again"}', workspace => 'Theirs')});
my $direct = value($theirs, q{SELECT kin_tr.create_task(routing_target => (SELECT sid::text FROM kin_tr.workers WHERE friendly_name = 'bert'))});
mine_goes_on_while('a worker is held whom a task is routed to', 3, sub { $rounds++ });
cmp_ok(value($owner, 'SELECT pg_current_xact_id()::text::bigint') - $xid, '<', 500 + 40 * $rounds, '... which takes few transactions');
$holder->rollback;
query_until($node, 'postgres', "SELECT count(*) = 1 FROM kin_tr.reservations WHERE task_sid = '$direct'", '... and which he gets then');

# Who does not see what was offered since his transaction began cannot reject it.
$holder->do('BEGIN ISOLATION LEVEL REPEATABLE READ');
$holder->do(q{SET LOCAL statement_timeout = '10s'});
$holder->do('SELECT count(*) FROM kin_tr.workers');
my $unseen = value($theirs, q{SELECT kin_tr.create_task(routing_target => (SELECT sid::text FROM kin_tr.workers WHERE friendly_name = 'bert'))});
query_until($node, 'postgres', "SELECT count(*) = 1 FROM kin_tr.reservations WHERE task_sid = '$unseen'", 'a task is offered');
is(sqlstate_of($holder, q{SELECT kin_tr.update_worker_activity('bert', 'Offline', true, workspace => 'Theirs')}), '40001',
	'who rejects all offers is told that there is one which he does not see');
$holder->do('ROLLBACK');
$theirs->do('SELECT kin_tr.cancel_task($1)', undef, $_) for $direct, $unseen;

# A DBA who has the table of tasks for a moment, as ALTER TABLE does, again and again.
$owner->do(q{SELECT kin_tr.update_workflow('By name', task_reservation_timeout => 3600, workspace => 'Theirs')});
$owner->do(q{SELECT kin_tr.update_worker_activity('bert', 'Available', workspace => 'Theirs')});
for my $round (1 .. 3)
{
	$owner->do(q{SELECT kin_tr.update_worker_channel('bert', 'default', 0, workspace => 'Theirs')});
	# More than the router keeps of a group.
	$theirs->do(q{SELECT count(kin_tr.create_task(jsonb_build_object('agent', 'bert'), workflow => 'By name')) FROM generate_series(1, 150)});
	mine_goes_on('tasks wait');
	$holder->begin_work;
	$holder->do('LOCK TABLE kin_tr.tasks');
	$owner->do(q{SELECT kin_tr.update_worker_channel('bert', 'default', $1, workspace => 'Theirs')}, undef, 150 * $round);
	$holder->do(q{DO $$ BEGIN WHILE clock_timestamp() < statement_timestamp() + interval '2.5 s' LOOP END LOOP; END $$});
	$holder->commit;
	$owner->do('SELECT kin_tr.update_activity($1, $2, workspace => $3)', undef, $round == 1 ? 'Busy anew' : "Busy round @{[$round - 1]}", "Busy round $round", 'Theirs');
	query_until($node, 'postgres', qq{SELECT count(*) = 150 * $round FROM kin_tr.reservations r JOIN kin_tr.workers w ON w.sid = r.worker_sid
		WHERE w.friendly_name = 'bert' AND r.is_open}, 'what waits while somebody has the table is offered');
}
mine_goes_on('somebody had the table of tasks');
$owner->do(q{SELECT count(kin_tr.delete_task(t.sid::text)) FROM kin_tr.tasks t JOIN kin_tr.workspaces w ON w.sid = t.workspace_sid
	WHERE w.friendly_name = 'Theirs' AND t.finished_at IS NULL});

# ------------------------------------------------------- a locked backlog

$owner->do(q{SELECT kin_tr.create_worker('carl', activity => 'Available', workspace => 'Theirs')});
$owner->do(q{SELECT kin_tr.update_worker_channel('carl', 'default', 0, workspace => 'Theirs')});
$owner->do(q{SELECT kin_tr.create_workflow('All', '{"task_routing": {"default_filter": {"queue": "General Queue"}}}', workspace => 'Theirs')});
$owner->do(q{SELECT kin_tr.update_worker_activity(n, 'Offline', workspace => 'Theirs') FROM unnest('{anna,bert}'::text[]) n});

# Held by nobody who lives: a transaction that has been prepared.
$owner->do(q{SELECT kin_tr.update_worker_channel('carl', 'default', 1, workspace => 'Theirs')});
my $offered_once = value($theirs, q{SELECT kin_tr.create_task(workflow => 'All')});
query_until($node, 'postgres', "SELECT count(*) = 1 FROM kin_tr.reservations WHERE task_sid = '$offered_once' AND is_open", 'a task is offered');
$holder->do('BEGIN');
$holder->do(q{SELECT kin_tr.update_worker('carl', '{"held": true}', workspace => 'Theirs')});
$holder->do(q{PREPARE TRANSACTION 'held'});
my $now = value($owner, 'SELECT now()::text');
$owner->do(q{UPDATE kin_tr.reservations SET times_out_at = ? WHERE is_open}, undef, $now);
mine_goes_on_while('a prepared transaction holds a worker', 3, sub { });
health_tells('timers', '^WR[0-9a-f]{32} was due [0-9]+ (m?s) ago: is it locked', 'a reservation whose worker is held');
$holder->do(q{ROLLBACK PREPARED 'held'});
query_until($node, 'postgres', "SELECT count(*) = 0 FROM kin_tr.reservations WHERE reservation_status = 'pending' AND times_out_at = '$now'",
	'what the owner has changed without a word times out, too');
value($theirs, 'SELECT kin_tr.cancel_task(?)', $offered_once);
$owner->do(q{SELECT kin_tr.update_worker_activity('carl', 'Available', workspace => 'Theirs'), kin_tr.update_worker_channel('carl', 'default', 0, workspace => 'Theirs')});

my $bytes = router_bytes();

value($theirs, q{SELECT count(kin_tr.create_task(workflow => 'All')) FROM generate_series(1, 100000)});
mine_goes_on('a hundred thousand tasks in one commit');
$holder->begin_work;
$holder->do(q{SELECT kin_tr.update_workflow('All', re_evaluate_tasks => true, workspace => 'Theirs')});
$owner->do(q{SELECT kin_tr.update_worker_channel('carl', 'default', 1, workspace => 'Theirs')});
mine_goes_on_while('a backlog of a hundred thousand is locked, and a worker is idle', 4, sub { });
my $arrived = value($theirs, q{SELECT kin_tr.create_task('{"arrived": true}', workflow => 'All')});
query_until($node, 'postgres', "SELECT count(*) = 1 FROM kin_tr.reservations WHERE task_sid = '$arrived'",
	'what arrives behind them is offered meanwhile');
my $began = time;

$owner->do(q{SELECT kin_tr.update_worker_channel('carl', 'default', 2001, workspace => 'Theirs')});
value($theirs, q{SELECT count(kin_tr.create_task(workflow => 'All')) FROM generate_series(1, 1000)}) for 1 .. 2;
query_until($node, 'postgres', q{SELECT count(*) = 2001 FROM kin_tr.reservations r JOIN kin_tr.workers w ON w.sid = r.worker_sid
	WHERE w.friendly_name = 'carl' AND r.is_open}, 'also two thousand of them');
cmp_ok(time - $began, '<', 10, 'and at once');
cmp_ok(router_bytes() - $bytes, '<', 5_000_000, 'and the router remembers few of them');
$began = time;
$holder->rollback;
$owner->do(q{SELECT kin_tr.update_worker_channel('carl', 'default', 2002, workspace => 'Theirs')});
query_until($node, 'postgres', q{SELECT count(*) = 2002 FROM kin_tr.reservations r JOIN kin_tr.workers w ON w.sid = r.worker_sid
	WHERE w.friendly_name = 'carl' AND r.is_open}, 'and they are, when nobody holds them any more');
cmp_ok(time - $began, '<', 10, 'and soon');

# What is read of those behind them while they are passed over changes nothing of that.
sub carl_has
{
	my ($n, $what) = @_;
	my $until = time + 10;
	my $open = 0;

	$owner->do(q{SELECT kin_tr.update_worker_channel('carl', 'default', $1, workspace => 'Theirs')}, undef, $n);
	$open = value($owner, q{SELECT count(*) FROM kin_tr.reservations r JOIN kin_tr.workers w ON w.sid = r.worker_sid WHERE w.friendly_name = 'carl' AND r.is_open})
		until $open == $n || time > $until;
	is($open, $n, "$what are offered soon");
	return;
}

carl_has(2003, 'those that are free');
$holder->begin_work;
$holder->do(q{SELECT kin_tr.update_workflow('All', re_evaluate_tasks => true, workspace => 'Theirs')});
value($theirs, q{SELECT count(kin_tr.create_task(workflow => 'All')) FROM generate_series(1, 74)});
carl_has(2077, 'some behind those that are held');
$holder->rollback;
carl_has(2078, 'and those, when nobody holds them any more,');

# ------------------------------------------------------------------- floods

my $flooder = theirs();

is(sqlstate_of($flooder, 'SELECT kin_tr.tick()'), 'KT008', 'tick() is refused where the router runs');
is(sqlstate_of($flooder, 'SELECT kin_tr.ring()'), '42501', 'and ring() is not theirs to call');
$flooder->do('BEGIN');
$flooder->do(q{SELECT kin_tr.create_task(workflow => 'All')});
$flooder->do('SAVEPOINT s');
is(sqlstate_of($flooder, 'SELECT kin_tr.tick()'), 'KT008', 'nor is it in a transaction');
$flooder->do('ROLLBACK TO s');
$flooder->do(q{PREPARE TRANSACTION 'ticked'});
mine_goes_on('who has called it, or tried to, prepares his transaction');
$flooder->do(q{ROLLBACK PREPARED 'ticked'});

my $router = worker_pid($node, 'postgres', 'router');

$owner->do('SELECT pg_terminate_backend(?)', undef, $router);
is(sqlstate_of($flooder, 'SELECT kin_tr.tick()'), 'KT008', 'also in the moment in which it is being started again');
wait_for_worker($node, 'postgres', 'router', $router);
mine_goes_on('the router has been ended');

my $background = connect_to($node, 'postgres', user => 'theirs');

$owner->do(q{SELECT kin_tr.create_workflow('Tied', '{"task_routing": {"filters": [{"expression": "1==1",
	"targets": [{"queue": "General Queue", "expression": "worker.no IN task.list"}]}]}}', workspace => 'Theirs')});
$owner->do(q{SELECT kin_tr.create_workflow('Bulky', '{"task_routing": {"filters": [{"expression": "1==1",
	"targets": [{"queue": "General Queue", "expression": "worker.text == task.text"}]}]}}', workspace => 'Theirs')});
$bytes = router_bytes();

for my $flood (
	[ 'a flood of small tasks', q{SELECT count(kin_tr.create_task(jsonb_build_object('n', n), workflow => 'All')) FROM generate_series(1, 20000) n} ],
	[ 'thousands of timers at one moment', q{SELECT count(kin_tr.create_task(workflow => 'All', timeout => 1)) FROM generate_series(1, 5000) n} ],
	[ 'large attributes', q{SELECT count(kin_tr.create_task(jsonb_build_object('text', repeat('abc', 80000)), workflow => 'All')) FROM generate_series(1, 300) n} ],
	[ 'long arrays', q{SELECT count(kin_tr.create_task(jsonb_build_object('list', (SELECT jsonb_agg(i) FROM generate_series(1, 8000) i)), workflow => 'All')) FROM generate_series(1, 50) n} ],
	[ 'long arrays that tie tasks to workers', q{SELECT count(kin_tr.create_task(jsonb_build_object('list', (SELECT jsonb_agg(i + n) FROM generate_series(1, 8000) i)), workflow => 'Tied')) FROM generate_series(1, 50) n} ],
	[ 'large values by which tasks are matched', q{SELECT count(kin_tr.create_task(jsonb_build_object('text', n || repeat('abc', 80000)), workflow => 'Bulky')) FROM generate_series(1, 300) n} ],
	[ 'one task changed again and again', q{SELECT count(kin_tr.update_task((SELECT sid::text FROM kin_tr.tasks WHERE assignment_status = 'pending' LIMIT 1), jsonb_build_object('n', n))) FROM generate_series(1, 10000) n} ])
{
	my ($what, $sql) = @$flood;
	my $statement = $background->prepare($sql, { pg_async => 1 });

	$statement->execute;
	mine_goes_on($what) until $background->pg_ready;
	$background->pg_result;
	mine_goes_on("$what, committed");
}

# 144 MB of text and 100 arrays of 8,000 values have gone through the router.
cmp_ok(router_bytes() - $bytes, '<', 25_000_000, 'the router does not keep what is large');

# Who has a value beyond the first few by which a group is looked up is found, too.
$owner->do(q{SELECT kin_tr.create_worker('dora', '{"no": 8020}', activity => 'Available', workspace => 'Theirs')});
query_until($node, 'postgres', q{SELECT count(*) > 0 FROM kin_tr.reservations r JOIN kin_tr.workers w ON w.sid = r.worker_sid WHERE w.friendly_name = 'dora'},
	'a worker who fits by the last of 8,000 values gets a task');
$owner->do(q{SELECT kin_tr.create_worker('gustav', jsonb_build_object('text', 300 || repeat('abc', 80000)), activity => 'Available', workspace => 'Theirs')});
query_until($node, 'postgres', q{SELECT count(*) > 0 FROM kin_tr.reservations r JOIN kin_tr.workers w ON w.sid = r.worker_sid WHERE w.friendly_name = 'gustav'},
	'a worker who fits by a large text gets a task');

# Very many timers that are due before those of Mine: these fire in time all the same,
# also while each of Theirs that has fired is due once more.
$owner = connect_to($node) if !$owner->ping;
$owner->do(q{SELECT kin_tr.create_workflow('Steps', jsonb_build_object('task_routing', jsonb_build_object('default_filter',
	'{"queue": "General Queue"}'::jsonb, 'filters', jsonb_build_array(jsonb_build_object('expression', '1==1', 'targets',
	(SELECT jsonb_agg('{"queue": "General Queue", "expression": "worker.no HAS task.n", "timeout": 1}'::jsonb) FROM generate_series(1, 10)))))), workspace => 'Theirs')});
$mine->do(q{SELECT kin_tr.update_worker_activity('mine', 'Offline')});
my $admin = connect_to($node);

for my $theirs ([ 'very many', q{SELECT count(kin_tr.create_task(workflow => 'All', timeout => 1)) FROM generate_series(1, 30000)} ],
	[ 'very many steps', q{SELECT count(kin_tr.create_task(jsonb_build_object('n', n), workflow => 'Steps')) FROM generate_series(1, 20000) n} ])
{
	my ($what, $sql) = @$theirs;
	my @late;

	$background->do($sql);
	# Meanwhile those that are overdue are looked at again and again.
	my $changes = $admin->prepare(q{DO $$ BEGIN FOR i IN 1 .. 300 LOOP
		PERFORM kin_tr.update_task_queue('General Queue', task_order => CASE i % 2 WHEN 0 THEN 'FIFO' ELSE 'LIFO' END, workspace => 'Theirs'); COMMIT;
	END LOOP; END $$}, { pg_async => 1 });
	$changes->execute;
	for my $round (1 .. 5)
	{
		my $task = value($mine, 'SELECT kin_tr.create_task(timeout => 1)');

		query_until($node, 'postgres', "SELECT assignment_status = 'canceled' FROM kin_tr.get_task('$task')", "a task of Mine times out behind $what of Theirs");
		push @late, value($owner, q{SELECT extract(epoch FROM date_updated - date_created) - 1 FROM kin_tr.get_task($1)}, $task);
	}
	$admin->pg_cancel;
	cmp_ok(max(@late), '<', 1, 'and within a second of its time');
	note "late: @late";
	# Some are being canceled by their timers.
	$owner->do(q{SELECT count(kin_tr.delete_task(t.sid::text)) FROM kin_tr.tasks t JOIN kin_tr.workspaces w ON w.sid = t.workspace_sid
		WHERE w.friendly_name = 'Theirs' AND t.finished_at IS NULL});
}
$mine->do(q{SELECT kin_tr.update_worker_activity('mine', 'Available')});
mine_goes_on('very many timers');

note slowest();
is_sound($owner, 'afterwards');
$_->disconnect for grep { $_->{Active} } $owner, $mine;
$node->stop;
done_testing();
