# A cursor skips no event and gives none twice: across a crash after which
# transaction ids are given out again, beside writers that commit late, and where
# retention has dropped what it has not seen, which is an error and no gap.

use strict;
use warnings FATAL => 'all';

use JSON::PP;
use Test::More;

use KinTr::Cluster;

use constant { TRANSACTIONS => 120, SEED => $ENV{SEED} // 1 };

my $node = start_node('cursor', preload => 0,
	conf => "autovacuum = off\nwal_writer_delay = 10s\nmax_prepared_transactions = 5\nkin_tr.debug_far_behind = 10\n");
my $dbh = connect_to($node);
my $json = JSON::PP->new;

srand SEED;
$dbh->do('SET client_min_messages = error');
$dbh->do(q{SELECT kin_tr.create_workspace('log', template => 'FIFO')});

sub value { my ($sql, @values) = @_; return scalar $dbh->selectrow_array($sql, undef, @values); }
sub column { my ($sql, @values) = @_; return @{ $dbh->selectcol_arrayref($sql, undef, @values) }; }

# A committed transaction that writes events, in a session of its own or in one
# that is given; its id.
sub commit
{
	my ($session) = @_;

	$session //= $dbh;
	$session->begin_work;
	$session->do('SELECT kin_tr.create_task()');
	my ($xid) = $session->selectrow_array('SELECT pg_current_xact_id()');
	$session->commit;
	return $xid;
}

# The same, rolled back.
sub abort
{
	$dbh->begin_work;
	$dbh->do('SELECT kin_tr.create_task()');
	my $xid = value('SELECT pg_current_xact_id()');
	$dbh->rollback;
	return $xid;
}

# A session that has written, and goes on.
sub leave_open
{
	my $session = connect_to($node);

	$session->begin_work;
	$session->do('SELECT kin_tr.create_task()');
	return $session;
}

# A page from a cursor on, and the cursor behind it.
sub page
{
	my ($cursor, $max) = @_;
	my @rows = @{ $dbh->selectall_arrayref('SELECT next_cursor, id, event_type, resource_sid, event_data FROM kin_tr.events_since(?, ?)',
		{ Slice => {} }, $cursor, $max) };

	return (@rows ? $rows[-1]{next_cursor} : $cursor, @rows);
}

# All from a cursor on, in small pages.
sub read_on { return events_from($dbh, $_[0], 7); }

# ------------------------------------------------------------------- crash

my (%cursor, %seen);

# A cursor, and what it has seen: all that is visible, or what was read up to it.
sub remember
{
	my ($name, $cursor, @read) = @_;

	$cursor{$name} = $cursor // value('SELECT kin_tr.current_cursor()');
	$seen{$name} = [ @read ? map { $_->{id} } @read : column('SELECT id FROM kin_tr.events') ];
	return;
}

my ($all, @first) = read_on(undef);
my ($half, @half) = page(undef, 5);
my $below = leave_open();
commit() for 1 .. 3;

# What rolls back and what is running is not flushed with anybody's commit; nor
# shall it be by the WAL writer, who is stopped here.
my $wal_writer = value(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'});
kill 'STOP', $wal_writer;

my $prepared = leave_open();
$prepared->do(q{PREPARE TRANSACTION 'survivor'});
my $kept = commit();
remember('read before any of it', $all, @first);
remember('within a batch', $half, @half);
my @aborted = map { abort() } 1 .. 6;
remember('current, aborted ids above');
remember('read to the end, aborted ids above', read_on(undef));
my $above = leave_open();
push @aborted, abort();
remember('current, one running below and one above');
{
	my ($cursor, @page) = page($all, 3);
	remember('within a batch, one running below and one above', $cursor, @first, @page);
}

# The stopped WAL writer is killed after five seconds.
$node->stop('immediate');
$node->start;
$_->{InactiveDestroy} = 1 for $below, $above, $prepared;
$dbh = connect_to($node);
$dbh->do('SET client_min_messages = error');

my %again = map { commit() => 1 } 1 .. 10;
my @again = grep { $again{$_} } @aborted;

is(scalar @again, scalar @aborted, 'ids of transactions that rolled back are given out again after a crash');
ok(!(grep { $_ <= $kept } keys %again), 'those of committed ones are not');
$dbh->do(q{COMMIT PREPARED 'survivor'});
for my $name (sort keys %cursor)
{
	my ($end, @rest) = read_on($cursor{$name});

	is(ids(@{ $seen{$name} }, @rest), ids(column('SELECT id FROM kin_tr.events')),
		"a cursor from before the crash skips nothing and doubles nothing: $name");
	is_deeply([ read_on($end) ], [$end], "$name: and then there is no more");
}

# -------------------------------------------------------------- late commits

my %before = map { $_ => 1 } column('SELECT id FROM kin_tr.events');
my $cursor = value('SELECT kin_tr.current_cursor()');
my @read;
my $pages = 0;
my $output = '';
my $writers = start_late_writers($node, TRANSACTIONS, SEED, \$output);

while (1)
{
	my $over = !$writers->pumpable;

	($cursor, my @rows) = page($cursor, 1 + int rand 9);
	push @read, @rows;
	$pages++;
	last if $over && !@rows;
	$writers->pump_nb if !$over;
}
ok($writers->finish, 'writers that stall have written') or diag $output;

my @written = grep { !$before{$_} } column('SELECT id FROM kin_tr.events');
my (%got, %last, %changes, %out_of_order);

$got{ $_->{id} }++ for @read;
for my $event (@read)
{
	my $of = $event->{resource_sid};

	$out_of_order{$of} = 1 if $of =~ /^WT/ && ($last{$of} // 0) > $event->{id};
	$last{$of} = $event->{id};
	next if $event->{event_type} ne 'task.updated';
	my $data = $json->decode($event->{event_data});
	push @{ $changes{$of} }, $json->decode($data->{task_attributes})->{change};
}
note scalar(@written), " events, read in $pages pages";
is(scalar(grep { !$got{$_} } @written), 0, 'a reader beside them skips nothing');
is(scalar(grep { $_ > 1 } values %got), 0, 'gets nothing twice');
is(scalar keys %got, scalar @written, 'and nothing that was rolled back');
is(join(' ', keys %out_of_order), '', 'and the events of a task in the order of their ids');
is(join(' ', map { "$_->[0]: @{ $changes{ $_->[0] } // [] }" } @{ $dbh->selectall_arrayref('SELECT task FROM orders ORDER BY task') }),
	join(' ', map { "$_->[0]: @{[ 1 .. $_->[1] ]}" } @{ $dbh->selectall_arrayref('SELECT task, changes FROM orders ORDER BY task') }),
	'each order\'s changes come in their order');

# ---------------------------------------------------------------- retention

# Makes events older than retention, in a partition of their own.
sub age
{
	my (@ids) = @_;

	$dbh->do(q{
		DO $$
		BEGIN
			IF to_regclass('kin_tr.events_old') IS NULL THEN
				CREATE TABLE kin_tr.events_old (LIKE kin_tr.events);
				ALTER TABLE kin_tr.events_old ADD PRIMARY KEY (id);
				CREATE INDEX ON kin_tr.events_old (era, xid, id);
				EXECUTE format('ALTER TABLE kin_tr.events ATTACH PARTITION kin_tr.events_old FOR VALUES FROM (%L) TO (%L)',
				               now() - interval '50 days', now() - interval '40 days');
			END IF;
		END $$});
	$dbh->do(q{UPDATE kin_tr.events SET recorded_at = now() - interval '45 days' WHERE id = ANY (?)}, undef, \@ids);
	return;
}

sub refused { my ($cursor, $max) = @_; return sqlstate_of($dbh, 'SELECT * FROM kin_tr.events_since(?, ?)', $cursor, $max // 10); }

my $long_ago = value('SELECT kin_tr.current_cursor()');
commit() for 1 .. 2;
my ($within) = page($long_ago, 3);
my ($within_of_all) = page(undef, 3);
my $running = leave_open();
commit();
commit();
my $beside_running = value('SELECT kin_tr.current_cursor()');
my @old = column('SELECT id FROM kin_tr.events');
$running->commit;
push @old, column(q{SELECT id FROM kin_tr.events WHERE xid = ANY (SELECT unnest(?::xid8[]))},
	[ $beside_running =~ /(\d+)$/ ]);
my $young = commit();
# Three of the young are given before it is cut, and all the old.
my ($near_the_end, @near_the_end) = page(undef, @old + 1);

age(@old);
is(refused($_->[1]), '00000', "$_->[0]: while they are kept it goes on")
	for [ 'a cursor from long ago', $long_ago ], [ 'one within a batch', $within ];
is(value('SELECT partitions_dropped FROM kin_tr.maintain()'), 1, 'retention drops a partition');
is(refused($_->[1]), 'KT010', "$_->[0] that has not seen all of it is refused")
	for [ 'a cursor', $long_ago ], [ 'a cursor within a batch', $within ],
		[ 'a cursor within a batch of all that was kept', $within_of_all ],
		[ 'a cursor that has seen later ones, but not those of a transaction that ran', $beside_running ];

my @young = column('SELECT id FROM kin_tr.events WHERE xid = ?', $young);
my (undef, @rest) = read_on(undef);
is(ids(@rest), ids(@young), 'NULL gives the oldest that are kept');
(undef, @rest) = read_on($near_the_end);
is(ids(map({ $_->{id} } @near_the_end), @rest), ids(@old, @young), 'who has got all that was dropped goes on within its batch');
($half, @half) = page(undef, 2);
(undef, @rest) = read_on($half);
is(ids(@half, @rest), ids(@young), 'and so does who began after it was dropped');

# Rows of the default partition go one by one, with the same effect.
my $before_young = value('SELECT kin_tr.current_cursor()');
my $youngest = commit();
$dbh->do(q{UPDATE kin_tr.events SET recorded_at = now() - interval '31 days' WHERE xid IN (?, ?)}, undef, $young, $youngest);
$dbh->do('SELECT kin_tr.maintain()');
is(value('SELECT count(*) FROM kin_tr.events WHERE xid IN (?, ?)', $young, $youngest), 0, 'rows of the default partition are dropped as well');
is(refused($before_young), 'KT010', 'and a cursor from before them is refused');
is(refused(value('SELECT kin_tr.current_cursor()')), '00000', 'one of now is not');

is_sound($dbh, 'in the end');
$dbh->disconnect;
$node->stop;
done_testing();
