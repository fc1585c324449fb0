# What a cursor is at its edges: far behind a writer who commits late, taken while
# a transaction is being prepared, of a copy of the data directory, beside a
# REINDEX of the log.  It skips nothing and gives nothing twice, or says so.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Utils;
use Test::More;

use KinTr::Cluster;

use constant MANY => 3000;

srand($ENV{SEED} // 1);

my $node = start_node('edges', preload => 0,
	conf => "autovacuum = off\nmax_prepared_transactions = 5\nwal_level = replica\nmax_wal_senders = 1\n");
my $dbh = connect_to($node);

sub value { my ($db, $sql, @values) = @_; return scalar $db->selectrow_array($sql, undef, @values); }
sub column { my ($db, $sql, @values) = @_; return @{ $db->selectcol_arrayref($sql, undef, @values) }; }
sub now { return value($_[0] // $dbh, 'SELECT kin_tr.current_cursor()'); }

$dbh->do(q{SET client_min_messages = error});
$dbh->do(q{SELECT kin_tr.create_workspace('log', template => 'FIFO')});

# -------------------------------------------------------------- the first era

# Who writes the first events after a failover, or in a new database, begins the era.
{
	my $first = connect_to($node);
	my $second = connect_to($node);

	$dbh->do('TRUNCATE kin_tr.event_eras');
	$dbh->do('DELETE FROM kin_tr.events');
	$first = connect_to($node);
	$second = connect_to($node);
	$_->do(q{SET lock_timeout = '10s'}) for $first, $second;
	$first->begin_work;
	$first->do('SAVEPOINT s');
	$first->do('SELECT kin_tr.create_task()');
	is(sqlstate_of($second, 'SELECT kin_tr.create_task()'), '00000', 'the first writer of an era, idle in its transaction, holds nobody up');
	$first->do('ROLLBACK TO s');
	$first->do('SELECT kin_tr.create_task()');
	is(sqlstate_of($second, 'SELECT kin_tr.create_task()'), '00000', 'nor when it has rolled a savepoint back');
	my $cursor = now($second);
	$first->rollback;
	is(value($dbh, 'SELECT count(*) FROM kin_tr.event_eras'), 1, 'one era has begun, and stays when its beginner rolls back');
	is(value($dbh, 'SELECT count(*) FROM kin_tr.events WHERE era NOT IN (SELECT number FROM kin_tr.event_eras)'), 0, 'which all events are of');
	is(value($dbh, 'SELECT count(*) FROM kin_tr.events_since(?)', $cursor), 0, 'and a cursor of it is known');
	$dbh->do('SELECT kin_tr.create_task()');
	$node->stop('immediate');
	$node->start;
	$_->{InactiveDestroy} = 1 for $first, $second;
	$dbh = connect_to($node);
	$dbh->do(q{SET client_min_messages = error});
	is(value($dbh, 'SELECT count(*) FROM kin_tr.events_since(?)', $cursor), 4, 'after a crash, too');
	is(value($dbh, 'SELECT count(*) FROM kin_tr.event_eras'), 1, 'which begins no other');
}

# ------------------------------------------------------------------- far behind

# A writer commits behind more events than a reader holds at a time.
{
	my $late = connect_to($node);

	$late->begin_work;
	my $task = value($late, 'SELECT kin_tr.create_task()');
	$dbh->do('SELECT kin_tr.create_task()');
	my $cursor = now();
	my %before = map { $_ => 1 } column($dbh, 'SELECT id FROM kin_tr.events');
	$late->commit;
	$dbh->do('SELECT kin_tr.create_task() FROM generate_series(1, ?)', undef, MANY);
	my @new = grep { !$before{$_} } column($dbh, 'SELECT id FROM kin_tr.events');
	cmp_ok(scalar @new, '>', 10_000, 'a reader is more than ten thousand events behind');
	my (undef, @rows) = events_from($dbh, $cursor, 100_000);
	is(ids(@rows), ids(@new), 'and gets each of them once, those of a late committer too');
	is(scalar(grep { $_->{resource_sid} eq $task } @rows), 1, 'of whom it had seen nothing');
	$late->disconnect;
}

# A transaction that stays open has written much; who reads does not look through it again and again.
{
	my $open = connect_to($node);

	$open->begin_work;
	$open->do('SELECT count(kin_tr.create_task()) FROM generate_series(1, 500)');
	$dbh->do('SELECT kin_tr.create_task()');
	my $cursor = now();
	$dbh->do('SELECT kin_tr.create_task()');
	$dbh->begin_work;
	my $read = q{SELECT sum(pg_stat_get_xact_tuples_returned(indexrelid)) FROM pg_index WHERE indrelid = 'kin_tr.events_default'::regclass};
	my $before = value($dbh, $read);
	my (undef, @new) = events_from($dbh, $cursor, 1000);
	is(scalar @new, 4, 'beside a transaction that has written much, a reader gets what is new');
	cmp_ok(value($dbh, $read) - $before, '<', 100, 'and looks at little more');
	$dbh->commit;
	$open->commit;
	my (undef, @rows) = events_from($dbh, $cursor, 1000);
	is(scalar @rows, 500 * 4 + 4, 'and at all of it when it has been committed');
	$open->disconnect;
}

# ------------------------------------------------------------ a clock ahead

# What a clock that was days ahead has written is read after it has been set right.
{
	$dbh->do('SELECT * FROM kin_tr.maintain()');
	my $cursor = now();
	$dbh->do('SELECT kin_tr.create_task()');
	my @ahead = column($dbh, 'SELECT id FROM kin_tr.events_since(?)', $cursor);
	$dbh->do(q{UPDATE kin_tr.events SET recorded_at = recorded_at + interval '10 days' WHERE id = ANY (?)}, undef, \@ahead);
	cmp_ok(value($dbh, q{SELECT count(*) FROM kin_tr.events WHERE tableoid <> 'kin_tr.events_default'::regclass}), '>=', @ahead,
		'events are in the partition of a week to come');
	is(join(' ', column($dbh, 'SELECT id FROM kin_tr.events_since(?)', $cursor)), "@ahead", 'and are given out');
	$dbh->do('SELECT kin_tr.create_task()');
	is(value($dbh, 'SELECT count(*) FROM kin_tr.events_since(?)', $cursor), 2 * @ahead, 'with what comes after them');
}

# ------------------------------------------------------------------------ bell

# What is too much for the bell to list it only announces, and goes on from there.
{
	my $late = connect_to($node);
	my $told = sub {
		my %told;

		$dbh->do('SELECT kin_tr.ring()');
		while (my $bell = $dbh->pg_notifies)
		{
			$told{count} += $bell->[2] =~ /"count":(\d+)/ ? $1 : die $bell->[2];
			$told{$_} = 1 for $bell->[2] =~ /"resource_sid":"(\w+)"/g;
		}
		return \%told;
	};

	$dbh->do('LISTEN kin_tr');
	$dbh->do('SET kin_tr.debug_far_behind = 10');
	$told->();
	$late->begin_work;
	my $task = value($late, 'SELECT kin_tr.create_task()');
	$dbh->do('SELECT kin_tr.create_task() FROM generate_series(1, 10)');
	is(join(' ', %{ $told->() }), 'count 0', 'of more than it lists the bell says that there is much');
	is(join(' ', %{ $told->() }), '', 'once');
	$late->commit;
	my $all = $told->();
	ok($all->{$task}, 'and of a late committer what there is') or diag explain $all;
	is($all->{count}, value($dbh, q{SELECT count(*) FROM kin_tr.events WHERE xid = (SELECT xid FROM kin_tr.events WHERE event_type = 'task.created' AND resource_sid = $1::kin_tr.sid)}, $task), 'and no more');
	is(join(' ', %{ $told->() }), '', 'once');
	$dbh->do('UNLISTEN kin_tr');
	$dbh->do('RESET kin_tr.debug_far_behind');
	$late->disconnect;
}

# -------------------------------------------------------------------- prepared

# A transaction that waits for a synchronous standby at PREPARE is in a snapshot
# twice: of its session and as what it has prepared.
{
	my $session = connect_to($node);
	my $start = now();
	my %before = map { $_ => 1 } column($dbh, 'SELECT id FROM kin_tr.events');

	$dbh->do(q{ALTER SYSTEM SET synchronous_standby_names = 'nobody'});
	$dbh->do('SELECT pg_reload_conf()');
	$dbh->do('SET synchronous_commit = local');
	$session->do('SELECT 1');
	$session->begin_work;
	$session->do('SELECT kin_tr.create_task()');
	my $xid = value($session, 'SELECT pg_current_xact_id()');
	$session->do(q{PREPARE TRANSACTION 'twice'}, { pg_async => DBD::Pg::PG_ASYNC() });
	query_until($node, 'postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'}, 'a transaction is being prepared');
	$dbh->do('SELECT kin_tr.create_task()');
	my $cursor = now();
	my ($within) = column($dbh, 'SELECT next_cursor FROM kin_tr.events_since(?, 1)', $start);
	is(scalar(() = $cursor =~ /\b$xid\b/g), 1, 'a cursor that is taken then names it once');
	is(sqlstate_of($dbh, 'SELECT * FROM kin_tr.events_since(?)', $_), '00000', 'and is taken back: ' . ($_ eq $within ? 'within a batch' : 'current'))
		for $cursor, $within;
	$dbh->do('ALTER SYSTEM RESET synchronous_standby_names');
	$dbh->do('SELECT pg_reload_conf()');
	$session->pg_result;
	$session->{InactiveDestroy} = 1;
	$dbh->do(q{COMMIT PREPARED 'twice'});
	my @new = grep { !$before{$_} } column($dbh, 'SELECT id FROM kin_tr.events');
	my (undef, @rows) = events_from($dbh, $within, 10);
	my (undef, @late) = events_from($dbh, $cursor, 10);
	is(scalar(@rows) + 1, scalar @new, 'which leads on to all the rest');
	is(ids(@late), ids(column($dbh, 'SELECT id FROM kin_tr.events WHERE xid = ?', $xid)), 'and its events, once it has been committed');
	(my $double = $cursor) =~ s/\b$xid\b/$xid,$xid/;
	is(ids((events_from($dbh, $double, 10))[1 .. 4]), ids(@late), 'one that names it twice, as earlier ones did, is read as if it did so once');
}

# ---------------------------------------------------------------- lock order

# A session that reads the log again and again, and a REINDEX that comes between.
{
	my $reader = connect_to($node);
	my $dba = connect_to($node);
	my $cursor = now();

	$dbh->do('SELECT kin_tr.create_task()');
	for (1 .. 2) { now($reader); value($reader, 'SELECT count(*) FROM kin_tr.events_since(?, 1)', $cursor); }
	$reader->begin_work;
	now($reader);
	$dba->do(q{REINDEX TABLE kin_tr.events_default}, { pg_async => DBD::Pg::PG_ASYNC() });
	query_until($node, 'postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'REINDEX%' AND wait_event_type = 'Lock'}, 'a REINDEX waits for a reader');
	is(sqlstate_of($reader, 'SELECT count(*) FROM kin_tr.events_since(?, 1)', $cursor), '00000', 'who can go on reading');
	$reader->commit;
	ok(eval { $dba->pg_result; 1 }, 'and then it goes on') or diag $@;
	$_->disconnect for $reader, $dba;
}

# ----------------------------------------------------------------------- a copy

# A copy of the data directory, which nothing inside can tell from the original.
{
	my $twin = PostgreSQL::Test::Cluster->new('twin');

	$node->stop;
	$_->{InactiveDestroy} = 1 for $dbh;
	PostgreSQL::Test::RecursiveCopy::copypath($node->data_dir, $twin->data_dir, filterfn => sub { return $_[0] ne 'postmaster.pid' });
	$twin->append_conf('postgresql.conf', 'port = ' . $twin->port . "\nunix_socket_directories = '" . $twin->host . "'\n");
	chmod 0700, $twin->data_dir;
	$_->start for $node, $twin;
	my $original = connect_to($node);
	my $copy = connect_to($twin);

	$original->do('SELECT kin_tr.create_task() FROM generate_series(1, 3)');
	$original->do('SELECT kin_tr.create_task()');
	my $cursor = now($original);
	my ($within) = column($original, 'SELECT next_cursor FROM kin_tr.events_since(NULL, 1)');
	is(sqlstate_of($copy, 'SELECT * FROM kin_tr.events_since(?)', $_), 'KT010', 'a cursor of the original is ahead of the copy, which says so')
		for $cursor, $within;
	like($copy->errstr, qr/begin_era\(\)/, 'and what to do in a copy');

	my $before = value($copy, 'SELECT max(number) FROM kin_tr.event_eras');
	my $of_copy = now($copy);
	my $open = connect_to($twin);
	$open->begin_work;
	$open->do('SELECT kin_tr.create_task()');
	is(sqlstate_of($copy, 'SELECT kin_tr.begin_era()'), '55P03', 'begin_era() does not wait for long for who has written events');
	$open->commit;
	$copy->begin_work;
	cmp_ok(value($copy, 'SELECT kin_tr.begin_era()'), '>', $before, 'begin_era() begins one');
	$copy->rollback;
	$copy->do('SELECT kin_tr.create_task()');
	is(value($copy, 'SELECT max(era) FROM kin_tr.events'), $before, 'that goes with its transaction');
	$open->do('SELECT kin_tr.create_task()');
	my $era = value($copy, 'SELECT kin_tr.begin_era()');
	my %seen = map { $_ => 1 } column($copy, 'SELECT id FROM kin_tr.events');
	my $current = now($copy);
	$_->do('SELECT kin_tr.create_task()') for $copy, $open;
	is(value($copy, 'SELECT count(*) FROM kin_tr.events WHERE era = ?', $era), 8, 'sessions that have written before write in it');
	is(ids((events_from($copy, $current, 9))[1 .. 8]), ids(grep { !$seen{$_} } column($copy, 'SELECT id FROM kin_tr.events')), 'where a cursor goes on');
	my (undef, @rest) = events_from($copy, $of_copy, 9);
	is(scalar @rest, 4 * 5, 'as does one of the era before, from where it was');
	$_->disconnect for $original, $copy, $open;
	$twin->stop;
}

# --------------------------------------------------- an era without its index entry

# Its row is there for good before the index has it, and a crash may come between.
{
	my $super = connect_to($node);
	my $ready = q{UPDATE pg_index SET indisready = ? WHERE indexrelid = (SELECT conindid FROM pg_constraint WHERE conrelid = 'kin_tr.event_eras'::regclass AND contype = 'p')};

	$super->do($ready, undef, 'false');
	$super->do(q{INSERT INTO kin_tr.event_eras (number, system_identifier, timeline, begun_at, origin, first_xid)
		SELECT number + 1, system_identifier, timeline, clock_timestamp(), origin, pg_current_xact_id() FROM kin_tr.event_eras ORDER BY number DESC LIMIT 1});
	$super->do($ready, undef, 'true');
	my $era = value($super, 'SELECT max(number + 0) FROM kin_tr.event_eras');
	my $writer = connect_to($node);
	my $cursor = now($writer);
	is($cursor =~ s/;.*//r, $era, 'it is the last one all the same');
	$writer->do('SELECT kin_tr.create_task()');
	is(value($writer, 'SELECT max(era) FROM kin_tr.events'), $era, 'events are written in it');
	is(value($writer, 'SELECT count(*) FROM kin_tr.events_since(?)', $cursor), 4, 'and its cursors are known');
	$_->disconnect for $super, $writer;
}

$node->stop;
done_testing();
