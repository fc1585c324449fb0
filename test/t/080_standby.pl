# A streaming standby runs no workers and refuses to write, but events are read
# from it and none is skipped.  When it is promoted the workers start by
# themselves and routing goes on, and so does every cursor: the first who writes
# begins a new era, for the ids of transactions that did not come across are given
# out again.

use strict;
use warnings FATAL => 'all';

use Test::More;

use KinTr::Cluster;

use constant { TRANSACTIONS => 60, SEED => $ENV{SEED} // 1 };

srand SEED;

my $primary = start_node('primary', allows_streaming => 1);
my $standby = start_standby($primary, 'standby');

my $dbh = connect_to($primary);
my $replica = connect_to($standby);

sub value { my ($db, $sql, @values) = @_; return scalar $db->selectrow_array($sql, undef, @values); }
sub events { return ids(@{ $_[0]->selectcol_arrayref('SELECT id FROM kin_tr.events') }); }
sub catch_up { $primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert')); return; }

# Until a task has been offered to somebody.
sub wait_for_offer
{
	my ($node, $task, $what) = @_;

	query_until($node, 'postgres', "SELECT EXISTS (SELECT FROM kin_tr.active_reservations() WHERE task_sid = '$task')", $what);
	return;
}

# ------------------------------------------------------------------ standby

$dbh->do('SET client_min_messages = error');
$dbh->do(q{SELECT kin_tr.create_workspace('centre', template => 'FIFO')});

my $alice = value($dbh, q{SELECT kin_tr.create_worker('Alice', activity => 'Available')});
my $task = value($dbh, 'SELECT kin_tr.create_task()');

wait_for_offer($primary, $task, 'the router of the primary has assigned a task');
my $offer = value($dbh, 'SELECT sid FROM kin_tr.active_reservations(?)', $alice);
my $waiting = value($dbh, 'SELECT kin_tr.create_task()');
catch_up();

is(value($replica, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'kin_tr%'}), 0, 'no worker runs on a standby');
is(value($replica, q{SELECT string_agg(DISTINCT state, ' ') FROM kin_tr.health() WHERE item IN ('router', 'relay')}), 'paused', 'nor should one, says health()');
like(value($replica, q{SELECT detail FROM kin_tr.health() WHERE item = 'router'}), qr/standby/, 'and why');
is(value($replica, 'SELECT assignment_status FROM kin_tr.get_task(?)', $task), 'reserved', 'its state can be read');
is(value($replica, 'SELECT sid FROM kin_tr.active_reservations(?)', $alice), $offer, 'also who has which offer');
is(value($replica, 'SELECT count(*) FROM kin_tr.check()'), 0, 'and checked');
isnt(value($replica, 'SELECT kin_tr.next_due()'), undef, 'and when something is due');

my $before = value($replica, q{SELECT md5(string_agg(t::text, ' ')) FROM kin_tr.tasks t});
for my $statement ('create_task()', "accept_reservation('$offer')", "cancel_task('$waiting')", "update_worker_activity('Alice', 'Offline')",
	"create_worker('Bob')", 'tick()', 'ring()', 'maintain()', 'set_clock(now())')
{
	is(sqlstate_of($replica, "SELECT kin_tr.$statement"), '25006', "a standby refuses $statement");
}
is(value($replica, q{SELECT md5(string_agg(t::text, ' ')) FROM kin_tr.tasks t}), $before, 'and nothing was changed');

# ------------------------------------------------------ reading from a standby

my $start = value($replica, 'SELECT kin_tr.current_cursor()');
my $seen = events($replica);
my $cursor = $start;
my @read;
my $output = '';
my $writers = start_late_writers($primary, TRANSACTIONS, SEED, \$output);

while ($writers->pumpable)
{
	($cursor, my @rows) = events_from($replica, $cursor, 9);
	push @read, @rows;
	$writers->pump_nb;
}
ok($writers->finish, 'writers that commit late have written on the primary') or diag $output;
catch_up();
($cursor, my @rest) = events_from($replica, $cursor, 9);
note scalar(@read), ' events read while they wrote, ', scalar(@rest), ' after';
cmp_ok(scalar @read, '>', 0, 'a reader of the standby got events meanwhile');
is(ids(split(/ /, $seen), @read, @rest), events($replica), 'it skipped nothing, and got nothing twice');
is(events($replica), events($dbh), 'and that is what the primary has');

# ---------------------------------------------------------------- promotion

# What a session has written and not committed is lost, and so is what is
# committed while the standby is away.
my $from_standby = value($replica, 'SELECT kin_tr.current_cursor()');
my $half = value($replica, 'SELECT next_cursor FROM kin_tr.events_since(?, 5) ORDER BY id DESC LIMIT 1', $start);
my @half = @{ $replica->selectcol_arrayref('SELECT id FROM kin_tr.events_since(?, 5)', undef, $start) };
my $survives = events($replica);
my $open = connect_to($primary);

$open->begin_work;
$open->do('SELECT kin_tr.create_task()');
catch_up();
$replica->disconnect;
$standby->stop;

my $last_xid = value($dbh, 'SELECT xid FROM kin_tr.events ORDER BY xid DESC LIMIT 1');

# So many that the new primary's own processes do not use up all of their ids.
my @lost = map { value($dbh, 'SELECT kin_tr.create_task()') } 1 .. 200;
my $from_primary = value($dbh, 'SELECT kin_tr.current_cursor()');
my $lost_xids = $dbh->selectcol_arrayref('SELECT DISTINCT xid FROM kin_tr.events WHERE xid > ?::xid8', undef, $last_xid);

$open->rollback;
$_->disconnect for $open, $dbh;
$primary->stop('immediate');
$standby->start;
$standby->promote;

$dbh = connect_to($standby);
$dbh->do('SET client_min_messages = error');
wait_for_worker($standby, 'postgres', $_) for qw(router relay);
query_until($standby, 'postgres', q{SELECT bool_and(state = 'ok') FROM kin_tr.health()},
	'after its promotion the workers start by themselves, and all is well');
is(value($dbh, 'SELECT count(*) FROM kin_tr.tasks WHERE sid = ANY (?)', \@lost), 0, 'what did not come across is not there');
is(value($dbh, 'SELECT assignment_status FROM kin_tr.get_task(?)', $task), 'reserved', 'what did is');

# Alice gets the task that has waited for longest, and that is on the new primary.
$dbh->do('SELECT kin_tr.accept_reservation(?)', undef, $offer);
$dbh->do('SELECT kin_tr.complete_task(?)', undef, $task);
wait_for_offer($standby, $waiting, 'routing goes on');

# Autovacuum may have had ids of the primary, too, before those that were lost.
my $of_lost = 'SELECT count(DISTINCT xid) FROM kin_tr.events WHERE era = (SELECT max(number) FROM kin_tr.event_eras) AND xid = ANY (?::xid8[])';
for (my $tasks = 0; $tasks < 8 || ($tasks < 500 && !value($dbh, $of_lost, $lost_xids)); $tasks++)
{
	$dbh->do('SELECT kin_tr.create_task()');
}
is(value($dbh, q{SELECT string_agg('timeline ' || timeline, ', ' ORDER BY number) FROM kin_tr.event_eras}),
	'timeline 1, timeline 2', 'the first writer has begun an era, once');
my $era_before = value($dbh, 'SELECT min(number) FROM kin_tr.event_eras');
cmp_ok(value($dbh, $of_lost, $lost_xids), '>', 0, 'in which ids of transactions that were lost are given out again');
is(value($dbh, 'SELECT count(*) FROM kin_tr.events WHERE era = ? AND NOT id = ANY (?)', $era_before, [ split / /, $survives ]), 0,
	'and nothing more is of the era before');

# Alice is busy again, so nothing more happens meanwhile.
for ([ 'from the standby', $from_standby, split / /, $survives ], [ 'within a batch', $half, split(/ /, $seen), @half ],
	[ 'from the primary, that had seen what was lost', $from_primary, split / /, $survives ])
{
	my ($which, $from, @seen) = @$_;
	my (undef, @rest) = events_from($dbh, $from, 9);

	is(ids(@seen, @rest), events($dbh), "a cursor $which skips nothing, and gives nothing twice");
}

is_sound($dbh, 'after the promotion');
$dbh->disconnect;
$standby->stop;
done_testing();
