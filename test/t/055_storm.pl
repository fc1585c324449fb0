# In a storm of faults kin_tr loses nothing, does nothing twice and leaves
# nothing behind.
#
# Eight clients create, change, accept, reject, wrap up, complete, cancel and
# delete tasks, in transactions with savepoints, prepared transactions,
# idempotency keys and rows of their own; each keeps a ledger outside of the
# database.  Meanwhile processes are killed and ended, and the server is stopped
# at once, at random times.  Two readers follow the events from a saved cursor:
# one keeps it in its memory, one in the database.  Every so many faults there is
# a calm, in which what kin_tr has is compared with the ledgers.  At last each
# thing that could be wrong is planted, to see that the audit finds it.
#
#   FAULTS=300   SEED=17   prove ... 055_storm.pl

use strict;
use warnings FATAL => 'all';

use List::Util qw(shuffle sum);
use Test::More;
use Time::HiRes qw(time);

use KinTr::Cluster;
use KinTr::Crowd;
use KinTr::Faults;
use KinTr::Ledger;

my $faults = $ENV{FAULTS} // 15;
my $seed = $ENV{SEED} // 1;
my $calm_after = 15;
my $folder = $PostgreSQL::Test::Utils::tmp_check;

use constant { CLIENTS => 8, WORKERS => 4, PATIENCE => 60 };


# Whatever is killed here, what the server has written is in the system's cache;
# syncing only makes commits, and so the time in which they are in doubt, longer.
my $fsync = $faults > 15 ? 'on' : 'off';
my $node = start_node('storm', conf => <<"CONF");
restart_after_crash = on
fsync = $fsync
max_prepared_transactions = 20
kin_tr.sweep_interval = 1
log_min_messages = warning
log_statement = none
log_line_prefix = '%m [%p] %b: '
CONF

# Calls of two kinds wait for specialists first, loans are offered to two at
# once; offers end after 2 seconds.
$node->safe_psql('postgres', <<'SQL' . $KinTr::Ledger::business . <<'SQL');
SELECT kin_tr.setup_workspace('Bank');
SELECT kin_tr.create_task_queue('Cards', 'skills HAS "cards"'),
	kin_tr.create_task_queue('Loans', 'skills HAS "loans"', max_reserved_workers => 2);
SELECT kin_tr.create_workflow('Calls', '{"task_routing": {"filters": [
	{"expression": "type == \"cards\"", "targets": [{"queue": "Cards", "timeout": 2}, {"queue": "General Queue"}]},
	{"expression": "type == \"loans\"", "targets": [{"queue": "Loans", "timeout": 2, "priority": 5}, {"queue": "General Queue"}]}],
	"default_filter": {"queue": "General Queue"}}}', task_reservation_timeout => 2);
SELECT kin_tr.create_worker(format('Worker %s.%s', c, n), jsonb_build_object('skills',
	CASE n % 3 WHEN 0 THEN '["cards"]' WHEN 1 THEN '["loans"]' ELSE '["cards", "loans"]' END::jsonb), 'Available')
  FROM generate_series(0, 7) c, generate_series(1, 4) n;
SELECT kin_tr.update_worker_channel(friendly_name, 'default', 2) FROM kin_tr.workers;
CREATE ROLE clerk LOGIN;
SELECT kin_tr.grant_access('clerk', 'app');
SQL
GRANT SELECT, INSERT, UPDATE ON deals, orders TO clerk;
CREATE TABLE place (cursor text NOT NULL);
INSERT INTO place VALUES (kin_tr.current_cursor());
CREATE TABLE events_read (id bigint NOT NULL);
GRANT SELECT, UPDATE ON place TO clerk;
GRANT SELECT, INSERT ON events_read TO clerk;
SQL
my ($first_cursor, $first_event) = split /\|/, $node->safe_psql('postgres', 'SELECT cursor, (SELECT max(id) FROM kin_tr.events) FROM place');

# ----------------------------------------------------------------- connections

# That somebody else was first, or is there now: what a client expects of others.
my %expected = map { $_ => 1 } qw(KT001 KT007 42704 55P03 40P01);

# What tells a session from all others: a process id alone comes back.
my $session = q{concat(pid, ' ', backend_start)};

# A member's connection; where the server is down, it waits a moment.
sub connection
{
	my ($self) = @_;

	return $self->{dbh} if $self->{dbh};
	$self->{dbh} = eval {
		my $dbh = connect_to($node, 'postgres', user => 'clerk');

		# What a client waits for may be what it has itself prepared.
		$dbh->do(q{SET lock_timeout = '500ms'}) if $self->{ledger};
		($self->{session}) = $dbh->selectrow_array("SELECT $session FROM pg_stat_activity WHERE pid = pg_backend_pid()");
		$dbh;
	};
	select undef, undef, undef, 0.02 if !$self->{dbh};
	return $self->{dbh};
}

# False where the connection is lost: then it is dropped.
sub is_connected
{
	my ($self) = @_;

	return 1 if $self->{dbh}->ping;
	$self->{dbh} = undef;
	return 0;
}

# ----------------------------------------------------------------- the clients
#
# A client has at most one transaction in doubt, {deal, deeds, calls, asked}: it
# has asked for a commit, a PREPARE, or the end of what it had prepared, and lost
# its connection.

sub deal_is_there
{
	my ($self, $deal) = @_;

	return $self->{dbh}->selectrow_array('SELECT count(*) FROM deals WHERE name = ?', undef, $deal);
}

sub prepared_is_there
{
	my ($self, $deal) = @_;

	return $self->{dbh}->selectrow_array('SELECT count(*) FROM pg_prepared_xacts WHERE gid = ?', undef, $deal);
}

sub close_deal
{
	my ($self, $end, $known, $transaction) = @_;

	$self->{ledger}->enter($end, $known, $transaction->{deal}, $transaction->{deeds});
	push @{ $self->{again} }, @{ $transaction->{calls} } if $end eq 'rolled_back';
	return;
}

# What was asked for in a session whose backend has gone is done or never will
# be.
sub settle
{
	my ($self) = @_;
	my $doubt = $self->{doubt};
	my $deal = $doubt->{deal};

	return 0 if $self->{session} ne $doubt->{session}
		&& $self->{dbh}->selectrow_array("SELECT count(*) FROM pg_stat_activity WHERE $session = ?", undef, $doubt->{session});
	if ($doubt->{asked} ne 'COMMIT' && prepared_is_there($self, $deal))
	{
		$self->{prepared} = $doubt;
		$self->{steps_prepared} = 0;
	}
	elsif ($doubt->{asked} eq 'PREPARE TRANSACTION')
	{
		close_deal($self, 'rolled_back', 'found', $doubt);
	}
	elsif ($doubt->{asked} eq 'COMMIT' && !$doubt->{was_repeated} && @{ $doubt->{calls} } == @{ $doubt->{deeds} })
	{
		repeat($self, $doubt);
	}
	else
	{
		close_deal($self, deal_is_there($self, $deal) ? 'committed' : 'rolled_back', 'found', $doubt);
	}
	$self->{doubt} = undef if $self->{doubt} && $self->{doubt} == $doubt;
	return 1;
}

# Calls that may have come through are handed in again under their keys: those
# that had are the same tasks.
sub repeat
{
	my ($self, $doubt) = @_;
	my $was_there = deal_is_there($self, $doubt->{deal});
	my @before = @{ $doubt->{deeds} };

	start($self, $doubt->{deal}, 'ON CONFLICT DO NOTHING');
	create($self, $_) for @{ $doubt->{calls} };
	my $deeds = $self->{ledger}->take;

	die "a key gave another task: @before, then @$deeds\n" if $was_there && "@before" ne "@$deeds";
	finish($self, 'COMMIT', { %$doubt, deeds => $deeds, was_repeated => 1 }, 'committed', 'repeated');
	return;
}

sub start
{
	my ($self, $deal, $conflict) = @_;

	$self->{ledger}->take;
	$self->{calls} = [];
	$self->{dbh}->do('BEGIN');
	$self->{dbh}->do('INSERT INTO deals VALUES (?) ' . ($conflict // ''), undef, $deal);
	return;
}

# Asks for a transaction's end, which is in doubt until it has been told; what it
# may be is entered then.
sub finish
{
	my ($self, $ask, $transaction, $end, $known) = @_;

	$self->{doubt} = { %$transaction, asked => $ask, session => $self->{session} };
	$self->{dbh}->do($ask eq 'COMMIT' ? $ask : "$ask '$transaction->{deal}'");
	$self->{doubt} = undef;
	close_deal($self, $end, $known // 'told', $transaction) if $end;
	return;
}

sub create
{
	my ($self, $call) = @_;
	my $type = (qw(cards loans other))[ $call->{number} % 3 ];
	my ($task) = $self->{dbh}->selectrow_array('SELECT kin_tr.create_task(?::jsonb, workflow => ?, idempotency_key => ?)',
		undef, qq({"type": "$type", "call": "$call->{name}"}), 'Calls', $call->{name});

	$self->{dbh}->do("INSERT INTO orders VALUES (?, ?, 'new') ON CONFLICT DO NOTHING", undef, $call->{name}, $task);
	push @{ $self->{calls} }, $call;
	$self->{ledger}->note('created', $task, $call->{name});
	return;
}

# Calls whose transaction has not come through are handed in first.
sub create_some
{
	my ($self) = @_;
	my ($waiting) = $self->{dbh}->selectrow_array("SELECT count(*) FROM kin_tr.tasks WHERE assignment_status = 'pending'");
	my @calls = splice @{ $self->{again} };

	push @calls, map { my $number = ++$self->{number}; { number => $number, name => "$self->{client}-$number" } } 1 .. 1 + rand 4
		if $waiting < 60;
	create($self, $_) for @calls;
	return;
}

my %becomes = (accept => 'accepted', reject => 'rejected', wrapup => 'wrapped', complete => 'completed');

# Answers one of the worker's reservations.
sub answer
{
	my ($self, $statuses, $verb) = @_;
	my ($reservation, $task) = $self->{dbh}->selectrow_array('SELECT sid::text, task_sid::text FROM kin_tr.reservations'
		. ' WHERE reservation_status = ANY (?) AND worker_name = ANY (?) ORDER BY random() LIMIT 1', undef, $statuses, $self->{workers});

	return if !$reservation;
	$self->{dbh}->do("SELECT kin_tr.${verb}_reservation(?)", undef, $reservation);
	$self->{dbh}->do('UPDATE orders SET state = ? WHERE task = ?', undef, $becomes{$verb}, $task) if $verb ne 'reject';
	$self->{ledger}->note($becomes{$verb}, $task, $reservation);
	return;
}

# Anybody's order that is still waiting.
sub waiting_order
{
	my ($self) = @_;

	return $self->{dbh}->selectrow_array('SELECT o.name, o.task, t.attributes ->> \'type\' FROM orders o JOIN kin_tr.tasks t ON t.sid = o.task::kin_tr.sid'
		. " WHERE t.assignment_status IN ('pending', 'reserved') ORDER BY random() LIMIT 1");
}

sub cancel
{
	my ($self) = @_;
	my ($name, $task) = waiting_order($self) or return;

	$self->{dbh}->do("SELECT kin_tr.cancel_task(?, 'by its client')", undef, $task);
	$self->{dbh}->do("UPDATE orders SET state = 'canceled' WHERE name = ?", undef, $name);
	$self->{ledger}->note('canceled', $task, $name);
	return;
}

sub remove
{
	my ($self) = @_;
	my ($name, $task) = waiting_order($self) or return;

	# What has been accepted meanwhile is not given up.
	$self->{dbh}->do("UPDATE orders SET state = 'deleted' WHERE name = ? AND state = 'new'", undef, $name) == 1 or return;
	$self->{dbh}->do('SELECT kin_tr.delete_task(?)', undef, $task);
	$self->{ledger}->note('deleted', $task, $name);
	return;
}

sub change
{
	my ($self) = @_;
	my ($name, $task, $type) = waiting_order($self) or return;
	my ($changes) = $self->{dbh}->selectrow_array('UPDATE orders SET changes = changes + 1 WHERE name = ? RETURNING changes', undef, $name);

	$self->{dbh}->do('SELECT kin_tr.update_task(?, ?::jsonb)', undef, $task, qq({"type": "$type", "call": "$name", "changes": $changes}));
	$self->{ledger}->note('changed', $task, $name);
	return;
}

# Whose offer has timed out is moved to Offline.
sub return_to_work
{
	my ($self) = @_;

	$self->{dbh}->do("SELECT kin_tr.update_worker_activity(w.sid, 'Available') FROM kin_tr.workers w"
		. " JOIN kin_tr.activities a ON a.sid = w.activity_sid WHERE NOT a.available AND w.friendly_name = ANY (?)",
		undef, $self->{workers});
	return;
}

sub do_something
{
	my ($self) = @_;
	my $chance = rand;

	return $chance < 0.28 ? create_some($self)
		: $chance < 0.50 ? answer($self, ['pending'], 'accept')
		: $chance < 0.57 ? answer($self, ['accepted'], 'wrapup')
		: $chance < 0.77 ? answer($self, [ 'accepted', 'wrapping' ], 'complete')
		: $chance < 0.80 ? answer($self, ['pending'], 'reject')
		: $chance < 0.82 ? cancel($self)
		: $chance < 0.84 ? remove($self)
		: $chance < 0.92 ? change($self)
		: return_to_work($self);
}

# In a savepoint, which may be given up; and is where somebody else was first.
sub try_something
{
	my ($self) = @_;
	my ($place, $calls) = ($self->{ledger}->place, scalar @{ $self->{calls} });

	$self->{dbh}->do('SAVEPOINT attempt');
	my $done = eval { do_something($self); 1 };

	die $@ if !$done && !$expected{ $self->{dbh}->state };
	if (!$done || rand() < 0.3)
	{
		$self->{dbh}->do('ROLLBACK TO attempt');
		$self->{ledger}->return_to($place);
		push @{ $self->{again} }, splice @{ $self->{calls} }, $calls;
	}
	$self->{dbh}->do('RELEASE attempt');
	return;
}

# One transaction; true where it has come through.
sub transact
{
	my ($self) = @_;
	my $deal = "$self->{client}." . ++$self->{deals};
	my $transaction = { deal => $deal, deeds => [], calls => [] };

	# Calls that were to be handed in again are, whatever becomes of this.
	my @again = @{ $self->{again} };
	my $done = eval {
		start($self, $deal);
		for (1 .. 1 + rand 3) { rand() < 0.4 ? try_something($self) : do_something($self); }
		1;
	};
	my $error = $@;

	if (!$done)
	{
		# Nothing was asked for that could be in doubt.
		$self->{again} = [ @again, grep { my $call = $_; !grep { $_->{name} eq $call->{name} } @again } @{ $self->{calls} } ];
		$self->{ledger}->take;
		$self->{ledger}->enter('rolled_back', 'told', $deal);
		return 0 if !is_connected($self);
		my $state = $self->{dbh}->state;

		$self->{dbh}->do('ROLLBACK');
		die "$state $error\n" if !$expected{$state};
		return 0;
	}
	@$transaction{qw(deeds calls)} = ($self->{ledger}->take, $self->{calls});
	my $chance = rand;

	if ($chance < 0.1)
	{
		$self->{dbh}->do('ROLLBACK');
		close_deal($self, 'rolled_back', 'told', $transaction);
		return 0;
	}
	if ($chance < 0.25 && !$self->{prepared})
	{
		finish($self, 'PREPARE TRANSACTION', $transaction);
		$self->{prepared} = $transaction;
		$self->{steps_prepared} = 4 * rand;
		return 0;
	}
	finish($self, 'COMMIT', $transaction, 'committed');
	return 1;
}

sub end_prepared
{
	my ($self) = @_;
	my $transaction = $self->{prepared};
	my $commits = rand() < 0.75;

	$self->{prepared} = undef;
	finish($self, $commits ? 'COMMIT PREPARED' : 'ROLLBACK PREPARED', $transaction, $commits ? 'committed' : 'rolled_back');
	return $commits;
}

# Where the connection is lost, what was asked for stays in doubt.
sub client_step
{
	my ($self, $is_resting) = @_;

	return 0 if !connection($self);
	my $done = eval {
		  $self->{doubt} ? settle($self) && 0
		: $self->{prepared} && ($is_resting || $self->{steps_prepared}-- <= 0) ? end_prepared($self)
		: $is_resting ? 0
		: transact($self);
	};
	return $done if defined $done;
	my $error = $@;

	return 0 if !$self->{dbh} || !is_connected($self);
	my $state = $self->{dbh}->state;

	# It is alive, so what it was asked for was refused.
	eval { $self->{dbh}->do('ROLLBACK') };
	die "client $self->{client}: $state $error\n" if !$expected{$state};
	return 0;
}

sub make_client
{
	my ($number) = @_;
	my $self = { client => $number, ledger => KinTr::Ledger->new("$folder/ledger_$number"), again => [], deals => 0, number => 0,
		workers => [ map { "Worker $number.$_" } 1 .. WORKERS ] };

	srand $seed * 100 + $number;
	return { step => sub { client_step($self, 0) },
		rest => sub { while ($self->{doubt} || $self->{prepared}) { client_step($self, 1); } } };
}

# ----------------------------------------------------------------- the readers

# Keeps its cursor, and what it has read, outside of the database.
sub read_outside
{
	my ($self) = @_;
	my @page = @{ $self->{dbh}->selectall_arrayref('SELECT next_cursor, id FROM kin_tr.events_since(?, ?)', undef,
		$self->{cursor}, 1 + int rand 300) };

	print { $self->{file} } map { "$_->[1]\n" } @page;
	$self->{cursor} = $page[-1][0] if @page;
	return scalar @page;
}

# Keeps both inside, in one transaction.
sub read_inside
{
	my ($self) = @_;

	return $self->{dbh}->selectrow_array(<<'SQL', undef, 1 + int rand 300);
WITH page AS MATERIALIZED (SELECT next_cursor, id, ordinality
							 FROM kin_tr.events_since((SELECT cursor FROM place), $1) WITH ORDINALITY),
	 kept AS (INSERT INTO events_read SELECT id FROM page),
	 moved AS (UPDATE place SET cursor = (SELECT next_cursor FROM page ORDER BY ordinality DESC LIMIT 1) WHERE EXISTS (SELECT FROM page))
SELECT count(*) FROM page
SQL
}

sub reader_step
{
	my ($self) = @_;

	return undef if !connection($self);
	my $read = eval { $self->{read}->($self) };

	if (!defined $read)
	{
		my ($state, $error) = ($self->{dbh}->state, $@);

		return undef if !is_connected($self);
		die "reader: $state $error\n";
	}
	select undef, undef, undef, 0.02 if !$read;
	return $read;
}

sub make_reader
{
	my ($number) = @_;
	my $self = { cursor => $first_cursor, read => $number ? \&read_inside : \&read_outside };

	srand $seed * 100 + 50 + $number;
	open $self->{file}, '>', "$folder/read" or die if !$number;
	$self->{file}->autoflush(1) if !$number;
	return { step => sub { reader_step($self) }, rest => sub { 1 while ((reader_step($self) // 1) > 0); } };
}

# ------------------------------------------------------------------- the calm

my $clients = KinTr::Crowd->new(CLIENTS, \&make_client, PATIENCE);
my $readers = KinTr::Crowd->new(2, \&make_reader, PATIENCE);
my $dbh;

sub column { my ($sql) = @_; return $dbh->selectcol_arrayref($sql); }

# The relay tells a listener of a commit.
sub bell_rings
{
	$dbh->do('LISTEN kin_tr');
	$dbh->do("SELECT kin_tr.update_worker_activity('Worker 0.1', 'Available')");
	wait_until(sub { $dbh->pg_notifies }, 'a bell');
	$dbh->do('UNLISTEN *');
	return;
}

sub books { return KinTr::Ledger::books(map { "$folder/ledger_$_" } 0 .. CLIENTS - 1); }

sub outside { return [ split /\n/, PostgreSQL::Test::Utils::slurp_file("$folder/read") ]; }

# What is wrong, in words.  Readers have read what was there when they rest.
sub audit_all
{
	my $stock = KinTr::Ledger::stock($dbh);
	my %read;

	$stock->{events} = [ grep { $_->[0] > $first_event } @{ $stock->{events} } ];
	$readers->work;
	$readers->pause;
	%read = ('outside' => outside(), 'inside' => column('SELECT id FROM events_read'));
	my $there = column("SELECT id FROM kin_tr.events WHERE id > $first_event");

	return join "\n", grep { $_ } KinTr::Ledger::audit(books(), $stock),
		map { my $faults = KinTr::Ledger::audit_reader($read{$_}, $stock, $there); $faults && "the reader $_: $faults" } sort keys %read;
}

sub calm
{
	my ($what) = @_;
	my $faults = eval {
		$clients->pause;
		my $took = wait_for_query($node, \$dbh, $all_is_offered, 'something is stuck: all that idle workers fit is offered');

		note sprintf '%s: all was offered after %.2f s', $what, $took;
		bell_rings();
		$readers->pause;
		audit_all();
	} // $@;

	is($faults, '', "$what: nothing is lost, doubled or stuck");
	return $faults eq '';
}

# ------------------------------------------------------------------ the storm

my %kinds = fault_kinds('clerk');
my (@kinds, %struck);

# Mostly under load, now and then while the last fault is still being mended.
sub strike
{
	my ($number) = @_;
	my ($load, $pause) = (rand, rand 0.3);
	my $began = time;

	# All kinds, then all again, in random orders.
	@kinds = shuffle sort keys %kinds if !@kinds;
	my $kind = shift @kinds;

	return eval {
		$clients->wait_for_steps(20 + $load * 60) if $load > 0.2;
		my $worked = time - $began;

		select undef, undef, undef, $pause;
		$dbh = undef;
		$kinds{$kind}->($node);
		$struck{$kind}++;
		note sprintf 'fault %d, %s: after %.2f s of work, in %.2f s', $number, $kind, $worked, time - $began - $worked - $pause;
		1;
	} // fail("fault $number, $kind: $@");
}

# False where it ended early, for something is wrong.
sub storm
{
	for my $number (1 .. $faults)
	{
		strike($number) or return 0;
		next if $number % $calm_after != 0 && $number != $faults;
		ok(eval { $clients->wait_for_steps(50); 1 }, "$number faults: the clients go on") or return 0;
		calm("$number faults") or return 0;
		next if $number == $faults;
		$clients->work;
		$readers->work;
	}
	return 1;
}

my $began = time;

srand $seed;
$clients->work;
$readers->work;
$clients->wait_for_steps(100);
my $is_well = storm();

note sprintf '%d faults in %.0f s: %s', sum(0, values %struck), time - $began, join ', ', map { "$struck{$_} $_" } sort keys %struck;

# -------------------------------------------------------------------- the end

$clients->end;
is($clients->surprises, '', 'the clients met no error but that somebody else was first');
is($readers->surprises, '', 'the readers met none');

my $books = books();
my $known = $books->{known};

note join ', ', map { "$known->{$_} $_" } sort keys %$known;
note join ', ', map { my $verb = $_; (grep { $_->[0] eq $verb } map { @$_ } values %{ $books->{deeds} }) . " $verb" }
	qw(created changed accepted wrapped completed rejected canceled deleted);
if (!$is_well)
{
	diag("SEED=$seed FAULTS=$faults");
	$readers->end;
	done_testing();
	exit;
}
cmp_ok(scalar keys %{ $books->{committed} }, '>', 20 * $faults, 'the clients did much');

# That the audit can fail: each of these is planted, found and rolled back.
my ($event) = @{ column("SELECT max(id) FROM kin_tr.events WHERE event_type = 'reservation.accepted'") };
my @plants = (
	[ 'an event left out', qr/a deed has no event: reservation\.accepted/, "DELETE FROM kin_tr.events WHERE id = $event" ],
	[ 'an event written twice', qr/an event without a deed: reservation\.accepted/,
		"CREATE TEMP TABLE e ON COMMIT DROP AS SELECT * FROM kin_tr.events WHERE id = $event; UPDATE e SET id = id + 1000000;"
			. ' INSERT INTO kin_tr.events SELECT * FROM e' ],
	[ 'a lost task', qr/a task is lost/, 'DELETE FROM kin_tr.tasks WHERE sid = (SELECT min(sid::text) FROM kin_tr.tasks)::kin_tr.sid' ],
	[ 'a doubled task', qr/an order has two tasks/, <<'SQL' ],
CREATE TEMP TABLE t ON COMMIT DROP AS SELECT * FROM kin_tr.tasks LIMIT 1;
UPDATE t SET sid = 'WT00000000000000000000000000000000'; INSERT INTO kin_tr.tasks SELECT * FROM t
SQL
	[ 'a doubled reservation', qr/the last event of a reservation is not its status: WR0{32}/, <<'SQL' ],
CREATE TEMP TABLE r ON COMMIT DROP AS SELECT * FROM kin_tr.reservations LIMIT 1;
UPDATE r SET sid = 'WR00000000000000000000000000000000'; INSERT INTO kin_tr.reservations SELECT * FROM r
SQL
	[ 'an acceptance undone', qr/a reservation is not what its worker made of it/,
		"UPDATE kin_tr.reservations SET reservation_status = 'pending' WHERE reservation_status = 'completed'" ],
	[ 'a change undone', qr/a change of a task is lost/, "UPDATE kin_tr.tasks SET attributes = attributes || '{\"changes\": 77}'" ],
	[ 'a lost order', qr/an order is lost/, 'DELETE FROM orders WHERE task = (SELECT min(task) FROM orders)' ],
	[ 'a lost transaction', qr/a committed transaction is lost/, 'DELETE FROM deals WHERE name = (SELECT min(name) FROM deals)' ],
	[ 'a transaction of nobody', qr/that nobody committed is there/, "INSERT INTO deals VALUES ('nobody')" ],
	[ 'a missed edge', qr/edges were missed/, 'UPDATE kin_tr.router_state SET missed_edges = 1' ],
	[ 'an object in quarantine', qr/in quarantine is: timer WT/, <<'SQL' ],
INSERT INTO kin_tr.quarantine (object, step, sqlstate, message, since, last_tried, tries, next_try)
SELECT sid, 'timer', 'XX000', 'planted', now(), now(), 1, now() FROM kin_tr.tasks LIMIT 1
SQL
	[ 'an open reservation of no worker', qr/check\(\) finds/, 'UPDATE kin_tr.tasks SET open_reservations = 7' ]);

for (@plants)
{
	my ($name, $finding, $sql) = @$_;
	my $stock = KinTr::Ledger::stock($dbh, sub { $dbh->do("SET LOCAL session_replication_role = replica; $sql"); });

	like(KinTr::Ledger::audit($books, $stock), $finding, "the audit finds $name");
}
{
	my $stock = KinTr::Ledger::stock($dbh);
	my @events = map { $_->[0] } @{ $stock->{events} };
	my $finds = sub { return KinTr::Ledger::audit_reader($_[0], $stock, \@events); };

	is($finds->(\@events), '', 'a reader of all events once is in order');
	is($finds->([ @events[ 1 .. $#events ] ]), "an event was not read: $stock->{events}[0][0] $stock->{events}[0][1]", 'one who skips one is not');
	is($finds->([ @events, $events[3] ]), "an event was read twice: $events[3]", 'nor one who reads one twice');
	is($finds->([ @events, 1e9 ]), 'an event was read that is not there: 1000000000', 'nor one who reads what is not there');
}

# None is stuck for ever: every task can be brought to its end.
wait_until(sub {
	$dbh->do("SELECT kin_tr.update_worker_activity(w.sid, 'Available') FROM kin_tr.workers w JOIN kin_tr.activities a ON a.sid = w.activity_sid WHERE NOT a.available");
	for ([qw(pending accept)], [qw(accepted complete)], [qw(wrapping complete)])
	{
		# An offer may end while one looks.
		eval { $dbh->do("SELECT kin_tr.$_->[1]_reservation(sid) FROM kin_tr.reservations WHERE reservation_status = '$_->[0]' LIMIT 20"); };
	}
	return !($dbh->selectrow_array("SELECT count(*) FROM kin_tr.tasks WHERE assignment_status NOT IN ('completed', 'canceled')"))[0];
}, 'the end of every task');
is_sound($dbh, 'at the end');
$readers->end;
$dbh->disconnect;
$node->stop;

my @errors = grep { /\] kin_tr \w+: (?:ERROR|FATAL: (?! *terminating))|PANIC:|TRAP:|terminated by signal (?!9:)/ }
	split /\n/, PostgreSQL::Test::Utils::slurp_file($node->logfile);
is(join("\n", @errors), '', 'no process of kin_tr complained');

done_testing();
