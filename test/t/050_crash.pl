# However its processes end, kin_tr loses no task, makes none twice and leaves
# none behind.
#
# Clients create, accept, reject, complete and cancel tasks, and note in a table
# of their own, in the same transactions, what they did.  Under that load, in
# turn and twenty times each: the router is ended by SIGTERM; a process of the
# server, or the postmaster, by SIGKILL; the server is stopped at once.  After
# each blow the clients go on, then pause, and what kin_tr has must be what they
# noted.
#
#   CRASH_ROUNDS=3   SEED=17   prove ... 050_crash.pl

use strict;
use warnings FATAL => 'all';

use IO::Handle;
use List::Util qw(max shuffle);
use Test::More;
use Time::HiRes qw(time);

use KinTr::Cluster;
use KinTr::Crowd;
use KinTr::Faults;

my $rounds = $ENV{CRASH_ROUNDS} // 20;
my $seed = $ENV{SEED} // 1;
my $patience = 60;    # seconds until something is taken to be stuck
my @workers = map { "Worker $_" } 1 .. 12;
my $node = start_node('crash', conf => <<'CONF');
restart_after_crash = on
fsync = on
kin_tr.sweep_interval = 1
log_min_messages = warning
log_statement = none
CONF

# Calls of two kinds wait for specialists first; offers end after 2 seconds.
$node->safe_psql('postgres', <<'SQL');
SELECT kin_tr.setup_workspace('Bank');
SELECT kin_tr.create_task_queue('Cards', 'skills HAS "cards"'), kin_tr.create_task_queue('Loans', 'skills HAS "loans"');
SELECT kin_tr.create_workflow('Calls', '{"task_routing": {"filters": [
	{"expression": "type == \"cards\"", "targets": [{"queue": "Cards", "timeout": 2}, {"queue": "General Queue"}]},
	{"expression": "type == \"loans\"", "targets": [{"queue": "Loans", "timeout": 2, "priority": 5}, {"queue": "General Queue"}]}],
	"default_filter": {"queue": "General Queue"}}}', task_reservation_timeout => 2);
SELECT kin_tr.create_worker('Worker ' || n, jsonb_build_object('skills',
	CASE n % 3 WHEN 0 THEN '["cards"]' WHEN 1 THEN '["loans"]' ELSE '["cards", "loans"]' END::jsonb), 'Available')
  FROM generate_series(1, 12) n;
SELECT kin_tr.update_worker_channel(friendly_name, 'default', 2) FROM kin_tr.workers;
CREATE ROLE clerk LOGIN;
SELECT kin_tr.grant_access('clerk', 'app');
CREATE TABLE ledger (deed text NOT NULL, task text NOT NULL, reservation text);
CREATE INDEX ON ledger (task);
GRANT SELECT, INSERT ON ledger TO clerk;
SQL

# ----------------------------------------------------------------- the clients

# What is noted of a transaction, to be kept once its commit has returned.
my (@noted, $calls);

sub note_down
{
	my ($dbh, $deed, $task, $reservation) = @_;

	$dbh->do('INSERT INTO ledger VALUES (?, ?, ?)', undef, $deed, $task, $reservation);
	push @noted, "$deed $task";
	return;
}

# A call that may have come through before the server went down is repeated
# under its key, and is still one task.
sub create
{
	my ($dbh, $call) = @_;
	my $type = (qw(cards loans other))[ $call->{number} % 3 ];
	my ($task) = $dbh->selectrow_array('SELECT kin_tr.create_task(?::jsonb, workflow => ?, idempotency_key => ?)',
		undef, qq({"type": "$type", "call": "$call->{name}"}), 'Calls', $call->{name});

	note_down($dbh, 'created', $task)
		if !$dbh->selectrow_array("SELECT count(*) FROM ledger WHERE deed = 'created' AND task = ?", undef, $task);
	return;
}

sub offers
{
	my ($dbh, $mine, $status) = @_;

	return shuffle @{ $dbh->selectall_arrayref('SELECT sid::text, task_sid::text FROM kin_tr.reservations'
		. ' WHERE reservation_status = ? AND worker_name = ANY (?)', undef, $status, $mine) };
}

sub answer
{
	my ($dbh, $mine, $status, $function, $deed, $most) = @_;
	my @offers = offers($dbh, $mine, $status);

	splice @offers, $most if @offers > $most;
	for my $offer (@offers)
	{
		$dbh->do("SELECT kin_tr.$function(?)", undef, $offer->[0]);
		note_down($dbh, $deed, $offer->[1], $offer->[0]);
	}
	return;
}

sub cancel
{
	my ($dbh) = @_;
	my ($task) = $dbh->selectrow_array("SELECT sid::text FROM kin_tr.tasks"
		. " WHERE assignment_status IN ('pending', 'reserved') ORDER BY random() LIMIT 1");

	return if !$task;
	$dbh->do("SELECT kin_tr.cancel_task(?, 'by its client')", undef, $task);
	note_down($dbh, 'canceled', $task);
	return;
}

# Whose offer has timed out is moved to Offline.
sub return_to_work
{
	my ($dbh, $mine) = @_;

	$dbh->do("SELECT kin_tr.update_worker_activity(w.sid, 'Available') FROM kin_tr.workers w"
		. " JOIN kin_tr.activities a ON a.sid = w.activity_sid WHERE NOT a.available AND w.friendly_name = ANY (?)",
		undef, $mine);
	return;
}

# One transaction of a client.  Calls are handed in until they have come through.
sub work
{
	my ($dbh, $mine, $unsettled) = @_;
	my $chance = rand;

	@noted = ();
	$dbh->begin_work;
	if (@$unsettled)
	{
		create($dbh, $_) for @$unsettled;
	}
	elsif ($chance < 0.40)
	{
		my ($waiting) = $dbh->selectrow_array(
			"SELECT count(*) FROM kin_tr.tasks WHERE assignment_status = 'pending'");

		push @$unsettled, map { { number => ++$calls, name => "$mine->[0] $calls" } } 1 .. 1 + rand 5
			if $waiting < 40;
		create($dbh, $_) for @$unsettled;
	}
	elsif ($chance < 0.65) { answer($dbh, $mine, 'pending', 'accept_reservation', 'accepted', 3); }
	elsif ($chance < 0.87) { answer($dbh, $mine, 'accepted', 'complete_reservation', 'completed', 3); }
	elsif ($chance < 0.91) { answer($dbh, $mine, 'pending', 'reject_reservation', 'rejected', 1); }
	elsif ($chance < 0.94) { cancel($dbh); }
	else { return_to_work($dbh, $mine); }
	if (rand() < 0.1)
	{
		$dbh->rollback;
		return 0;
	}
	$dbh->commit;
	@$unsettled = ();
	return 1;
}

# A client: does what counts when a transaction has been committed, and is
# surprised by all but that somebody else was first.
sub make_client
{
	my ($number) = @_;
	my @mine = @workers[ map { $_ * 3 + $number } 0 .. 3 ];
	my @unsettled;
	my $dbh;

	srand($seed * 100 + $number);
	open my $kept, '>', "$PostgreSQL::Test::Utils::tmp_check/crash_client_$number" or die;
	$kept->autoflush(1);
	return { step => sub {
		$dbh //= eval { connect_to($node, 'postgres', user => 'clerk') };
		if (!$dbh)
		{
			# The server is down: try again in a moment.
			select undef, undef, undef, 0.02;
			return 0;
		}
		my $committed = eval { work($dbh, \@mine, \@unsettled) };

		if ($committed)
		{
			print $kept "$_\n" for @noted;
		}
		elsif (!defined $committed)
		{
			my ($state, $error) = ($dbh->state, $@);

			if (!$dbh->ping)
			{
				$dbh = undef;
				return 0;
			}
			eval { $dbh->rollback };

			# An offer may end, and a task may go, while one looks.
			die "client $number: $state $error\n" if $state !~ /^(?:KT001|KT007|42704)$/;
		}
		return $committed;
	} };
}

my $clients = KinTr::Crowd->new(3, \&make_client, $patience);

# ------------------------------------------------------------------- the blows

my ($dbh, $longest) = (undef, 0);

sub soon { return wait_for_query($node, \$dbh, @_); }

sub pid_of
{
	my ($kind) = @_;

	return ($dbh->selectrow_array("SELECT pid FROM pg_stat_activity WHERE backend_type = 'kin_tr $kind'"))[0];
}

sub some_backend
{
	return ($dbh->selectrow_array("SELECT pid FROM pg_stat_activity WHERE usename = 'clerk' ORDER BY random() LIMIT 1"))[0];
}

my @killed = qw(router backend relay router backend postmaster launcher);
my %blow = (
	'SIGTERM of the router' => sub { kill 'TERM', pid_of('router'); },
	'SIGKILL' => sub {
		my ($round) = @_;
		my $whom = $killed[ $round % @killed ];

		if ($whom eq 'postmaster')
		{
			$dbh = undef;
			return kill_postmaster($node);
		}
		kill 'KILL', $whom eq 'backend' ? some_backend() // pid_of('router') : pid_of($whom);
	},
	'immediate stop' => sub { $dbh = undef; restart_at_once($node); },
);

# ---------------------------------------------------------------- the accounts

# Each gives what is wrong.
my @accounts = (
	[ 'check() finds', 'SELECT invariant, object, detail FROM kin_tr.check()' ],
	[ 'missed edges', 'SELECT missed_edges FROM kin_tr.router_state WHERE missed_edges > 0' ],
	[ 'created, but lost', <<'SQL' ],
SELECT task FROM ledger l WHERE deed = 'created' AND NOT EXISTS (SELECT FROM kin_tr.all_tasks t WHERE t.sid = l.task)
SQL
	[ 'there, but created by nobody', <<'SQL' ],
SELECT sid FROM kin_tr.all_tasks t WHERE NOT EXISTS (SELECT FROM ledger l WHERE l.deed = 'created' AND l.task = t.sid::text)
SQL
	[ 'there twice', 'SELECT sid FROM kin_tr.all_tasks GROUP BY sid HAVING count(*) > 1' ],
	[ 'one call, two tasks', <<'SQL' ],
SELECT attributes ->> 'call' FROM kin_tr.all_tasks GROUP BY 1 HAVING count(*) > 1
SQL
	[ 'done twice', 'SELECT deed, task FROM ledger WHERE reservation IS NULL OR deed <> \'rejected\' GROUP BY 1, 2 HAVING count(*) > 1' ],
	[ 'not what its client made of it', <<'SQL' ],
SELECT t.sid, t.assignment_status, t.reason, l.deeds::text
  FROM kin_tr.all_tasks t,
	   LATERAL (SELECT coalesce(array_agg(deed), '{}') AS deeds FROM ledger WHERE task = t.sid::text AND deed NOT IN ('created', 'rejected')) l
 WHERE NOT CASE t.assignment_status
		   WHEN 'pending' THEN l.deeds = '{}'
		   WHEN 'reserved' THEN l.deeds = '{}'
		   WHEN 'assigned' THEN l.deeds = '{accepted}'
		   WHEN 'completed' THEN l.deeds @> '{accepted,completed}' AND cardinality(l.deeds) = 2
		   WHEN 'canceled' THEN l.deeds = '{canceled}' AND t.reason = 'by its client' END
SQL
	[ 'an offer that is not what its client made of it', <<'SQL' ],
SELECT r.sid, r.reservation_status, l.deeds::text
  FROM kin_tr.all_reservations r,
	   LATERAL (SELECT coalesce(array_agg(deed), '{}') AS deeds FROM ledger WHERE task = r.task_sid::text AND reservation = r.sid::text) l
 WHERE NOT CASE r.reservation_status
		   WHEN 'accepted' THEN l.deeds = '{accepted}'
		   WHEN 'completed' THEN l.deeds @> '{accepted,completed}' AND cardinality(l.deeds) = 2
		   WHEN 'rejected' THEN l.deeds = '{rejected}'
		   ELSE l.deeds = '{}' END
SQL
);

sub faults
{
	my @faults;

	for my $account (@accounts)
	{
		my ($name, $query) = @$account;
		my @rows = map { join ' ', map { $_ // '' } @$_ } @{ $dbh->selectall_arrayref($query) };

		push @faults, "$name: " . join(', ', @rows > 5 ? (@rows[ 0 .. 4 ], '...') : @rows) if @rows;
	}
	return join "\n", @faults;
}

sub new_router
{
	my ($pid) = @_;

	return "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'kin_tr router' AND pid <> $pid)";
}

srand($seed);
soon(new_router(0), 'a router');
for my $round (1 .. $rounds)
{
	for my $what ('SIGTERM of the router', 'SIGKILL', 'immediate stop')
	{
		my $faults = eval {
			$clients->work;
			$clients->wait_for_steps(50 + rand 150);
			my $router = pid_of('router');
			$blow{$what}->($round);
			soon(new_router($router), "no new router after $what");
			$clients->wait_for_steps(100);
			$clients->pause;
			my $took = soon($all_is_offered, "something is stuck after $what");
			$longest = max($longest, $took);
			faults();
		} // $@;

		is($faults, '', "$what, round $round: nothing is lost, doubled or stuck") or last;
	}
}
$clients->end;
is($clients->surprises, '', 'the clients met no error but that somebody else was first');

# What a client was told is committed is there.
my %ledger = map { $_->[0] => 1 } @{ $dbh->selectall_arrayref("SELECT deed || ' ' || task FROM ledger") };
my @kept = map { split /\n/, PostgreSQL::Test::Utils::slurp_file("$PostgreSQL::Test::Utils::tmp_check/crash_client_$_") } 0 .. 2;

cmp_ok(scalar @kept, '>', 100 * $rounds, 'the clients did much');
is(join(', ', grep { !$ledger{$_} } @kept), '', 'and all that they were told is committed');

# None is stuck for ever: every task can be brought to its end.
my $until = time + $patience;

for (;;)
{
	return_to_work($dbh, \@workers);
	for my $step ([qw(pending accept_reservation accepted)], [qw(accepted complete_reservation completed)])
	{
		$dbh->begin_work;
		eval { answer($dbh, \@workers, @$step, 1000); $dbh->commit } or $dbh->rollback;
	}
	my ($open) = $dbh->selectrow_array("SELECT count(*) FROM kin_tr.tasks WHERE assignment_status NOT IN ('completed', 'canceled')");

	last if !$open || time > $until;
	select undef, undef, undef, 0.01;
}
is($dbh->selectrow_array("SELECT count(*) FROM kin_tr.tasks WHERE assignment_status NOT IN ('completed', 'canceled')"), 0,
	'every task comes to its end');

my ($now) = $dbh->selectrow_array('SELECT clock_timestamp()');
soon("SELECT last_sweep > '$now' FROM kin_tr.router_state", 'no sweep');
is(faults(), '', 'and the accounts are in order');
note(join ', ', map { "$_->[0] $_->[1]" } @{ $dbh->selectall_arrayref('SELECT count(*), deed FROM ledger GROUP BY 2'
	. " UNION ALL SELECT count(*), 'offers timed out' FROM kin_tr.all_reservations WHERE reservation_status = 'timeout' ORDER BY 2") });
note(sprintf 'longest until every task that somebody could take was offered: %.2f s', $longest);
$dbh->disconnect;
$node->stop;

# A background process has no client's name before its message.
my @errors = grep { /\] ERROR:|PANIC:|TRAP:|terminated by signal (?!9:)/ } split /\n/, PostgreSQL::Test::Utils::slurp_file($node->logfile);
is(join("\n", @errors), '', 'no process of kin_tr complained');

done_testing();
