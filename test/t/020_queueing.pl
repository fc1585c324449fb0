# Queueing theory as an oracle: calls that arrive at random, take a random time
# and are served by eight workers in the order of arrival wait as Erlang C says.
#
# 100,000 calls are replayed on the movable clock.  Their draws are made here, so
# what each call must wait is also known to the microsecond.  The load is such
# that the 99 % interval of the batches' means reaches no further than 15 % from
# the mean: waits of calls that come after each other are much alike, the more so
# the higher the load, and the fewer calls wait the lower it is.
#
#   SEED=2 prove ... 020_queueing.pl    other calls
#   QUEUEING_CALLS=10000                fewer, for which the interval is too wide

use strict;
use warnings FATAL => 'all';

use List::Util qw(max min sum);
use Test::More;

use KinTr::Cluster;

use constant {
	WORKERS => 8, LOAD => 0.7, MEAN_SERVICE => 180, SEED => $ENV{SEED} // 1,
	CALLS => $ENV{QUEUEING_CALLS} // 100_000, WARM_UP => 4_000, BATCHES => 40,
	T_QUANTILE => 2.7079,    # of Student's distribution: 0.995, BATCHES - 1 degrees of freedom
};

# The chance that a call waits: Erlang's C for so many servers and such a load
# of all of them.
sub erlang_c
{
	my ($servers, $load) = @_;
	my $offered = $servers * $load;
	my $blocked = 1;

	$blocked = $offered * $blocked / ($_ + $offered * $blocked) for 1 .. $servers;
	return $blocked / (1 - $load * (1 - $blocked));
}

# Calls as [arrival, service], in microseconds.
sub draw_calls
{
	my ($seed, $count) = @_;
	my $between = MEAN_SERVICE / (WORKERS * LOAD);
	my $at = 0;
	my $draw = sub { return 1 + int(-log(1 - rand) * $_[0] * 1e6) };
	my @calls;

	srand $seed;
	for (1 .. $count)
	{
		$at += $draw->($between);
		push @calls, [ $at, $draw->(MEAN_SERVICE) ];
	}
	return @calls;
}

# What each call must wait: it is served by whoever is free first.
sub expected_waits
{
	my @free = (0) x WORKERS;
	my @waits;

	for my $call (@_)
	{
		my ($first) = sort { $free[$a] <=> $free[$b] } 0 .. $#free;
		my $begins = max($call->[0], $free[$first]);

		push @waits, $begins - $call->[0];
		$free[$first] = $begins + $call->[1];
	}
	return @waits;
}

# Mean of the batches' means and half of the width of its 99 % interval.
sub interval
{
	my @values = @_;
	my $size = int(@values / BATCHES);
	my @means = map { sum(@values[ $_ * $size .. ($_ + 1) * $size - 1 ]) / $size } 0 .. BATCHES - 1;
	my $mean = sum(@means) / BATCHES;
	my $variance = sum(map { ($_ - $mean)**2 } @means) / (BATCHES - 1);

	return ($mean, T_QUANTILE * sqrt($variance / BATCHES));
}

my @calls = draw_calls(SEED, CALLS);
my @expected = expected_waits(@calls);
my $node = start_node('queueing', preload => 0,
	conf => "synchronous_commit = off\njit = off\n");
my $dbh = connect_to($node);

$dbh->do('SET client_min_messages = error');
# The procedure's plans are made once, while the tables are still small.
$dbh->do('SET enable_seqscan = off');
$dbh->do(q{SELECT kin_tr.set_clock('2026-03-02 00:00 UTC')});
$dbh->do(q{SELECT kin_tr.create_workspace('theory', template => 'FIFO')});
$dbh->do(q{SELECT kin_tr.create_worker('worker ' || n, activity => 'Available') FROM generate_series(1, ?) n},
	undef, WORKERS);
$dbh->do('CREATE TABLE calls (number integer PRIMARY KEY, at bigint, service bigint, wait bigint)');
$dbh->do('COPY calls (number, at, service) FROM STDIN');
$dbh->pg_putcopydata("$_\t$calls[$_][0]\t$calls[$_][1]\n") for 0 .. $#calls;
$dbh->pg_putcopyend;
$dbh->do('ANALYZE calls');

# From event to event: a call arrives, or one ends; whatever that lets begin is
# accepted at once.  A transaction is of a hundred events, for what it has
# replaced stays in the way until it commits.
$dbh->do(q{
	CREATE PROCEDURE replay(workers integer) LANGUAGE plpgsql AS $$
	DECLARE
		epoch constant timestamptz := '2026-03-02 00:00 UTC';
		never constant bigint := 9223372036854775807;
		arrival record;
		offer record;
		ends bigint[] := array_fill(never, ARRAY[workers]);
		tasks text[] := array_fill(NULL::text, ARRAY[workers]);
		slot integer;
		now bigint;
		ends_at bigint;
		events integer := 0;
	BEGIN
		FOR arrival IN SELECT c.number, c.at FROM calls c ORDER BY c.number LOOP
			LOOP
				slot := 1;
				FOR i IN 2 .. workers LOOP
					IF ends[i] < ends[slot] THEN
						slot := i;
					END IF;
				END LOOP;
				now := least(arrival.at, ends[slot]);
				PERFORM kin_tr.set_clock(epoch + now * interval '1 microsecond');
				IF ends[slot] <= arrival.at THEN
					PERFORM kin_tr.complete_task(tasks[slot]);
					ends[slot] := never;
				ELSE
					PERFORM kin_tr.create_task(jsonb_build_object('call', arrival.number), timeout => 1209600);
				END IF;
				IF (SELECT assigned FROM kin_tr.tick()) > 0 THEN
					-- The newest reservation: sids rise.
					SELECT r.sid, r.task_sid, (t.attributes ->> 'call')::integer AS call INTO STRICT offer
					  FROM (SELECT * FROM kin_tr.reservations ORDER BY sid DESC LIMIT 1) r
					  JOIN kin_tr.tasks t ON t.sid = r.task_sid;
					PERFORM kin_tr.accept_reservation(offer.sid);
					slot := array_position(ends, never);
					tasks[slot] := offer.task_sid;
					UPDATE calls SET wait = now - at WHERE number = offer.call RETURNING now + service INTO ends_at;
					ends[slot] := ends_at;
				END IF;
				events := events + 1;
				IF events % 100 = 0 THEN
					IF events % 1000 = 0 THEN
						PERFORM kin_tr.maintain();
					END IF;
					COMMIT;
				END IF;
				EXIT WHEN now = arrival.at;
			END LOOP;
		END LOOP;
	END $$});
$dbh->do('CALL replay(?)', undef, WORKERS);

# The last ones may still wait, or be served: all before them have been.
my @waits = map { $_->[0] } @{ $dbh->selectall_arrayref(
	'SELECT wait FROM calls WHERE number < (SELECT coalesce(min(number), ?) FROM calls WHERE wait IS NULL) ORDER BY number',
	undef, CALLS) };
my $differ = grep { $waits[$_] != $expected[$_] } 0 .. $#waits;

cmp_ok(scalar @waits, '>', CALLS - 200, 'the calls are served in the order of their arrival');
is($differ, 0, 'each call waits as long as it must, to the microsecond');

my @steady = @waits[ WARM_UP .. $#waits ];
my $chance = erlang_c(WORKERS, LOAD);
my $mean_wait = $chance * MEAN_SERVICE / (WORKERS * (1 - LOAD));

for (['the chance of having to wait', $chance, map { $_ > 0 ? 1 : 0 } @steady],
	['the mean wait', $mean_wait, map { $_ / 1e6 } @steady])
{
	my ($what, $theory, @values) = @$_;
	my ($mean, $half) = interval(@values);

	note sprintf '%s: %.4f +- %.4f, Erlang C: %.4f', $what, $mean, $half, $theory;
	cmp_ok(abs($mean - $theory), '<=', $half, "$what is Erlang C's, within the 99 % interval");
	cmp_ok($half / $mean, '<=', 0.15, "that interval reaches no further than 15 % from $what");
}

is($dbh->selectrow_array('SELECT count(*) FROM kin_tr.check()'), 0, 'check() finds nothing broken');
is($dbh->selectrow_array('SELECT kin_tr._sweep()'), 0, 'the router has missed nothing');
is($dbh->selectrow_array(q{SELECT count(*) FROM kin_tr.all_tasks}), CALLS, 'no call is lost or doubled');
$dbh->disconnect;
$node->stop;
done_testing();
