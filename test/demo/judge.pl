#!/usr/bin/env perl
# Judges a reading's replay: walks through the same arrivals, services and agents with kin_tr's own
# decisions, and says of each whether the rules ask for it. Whoever gets a call must be there, free and
# of the skill, and idle for as long as any such agent; nobody waits whom a free agent could serve, and
# none who could be served at that moment waits longer than the one who is. Prints the faults, then how
# many decisions it has seen. It shares nothing with kin_tr's router or with replay.sql.
#
#   judge.pl database reading     with psql's own environment
use strict;
use warnings;

use List::Util qw(min);

my ($database, $reading) = @ARGV;

sub rows
{
	my ($sql) = @_;
	open my $psql, '-|', 'psql', '-XAt', '-F', "\t", '-d', $database, '-c', $sql or die "psql: $!\n";
	my @rows = map { chomp; [ split /\t/, $_, -1 ] } <$psql>;
	close $psql or die "psql failed\n";
	return @rows;
}

my %skills = map { $_->[0] => { map { $_ => 1 } split /,/, $_->[1] } }
  rows("SELECT number, array_to_string(skills, ',') FROM bank.agents");
my $calls = rows_by_day("SELECT day, record, type, extract(epoch FROM arrival)::bigint AS arrival,
	CASE priority WHEN 2 THEN 90 ELSE 0 END AS credit, patience, service
	FROM bank.calls, bank.settings WHERE left_out IS NULL AND day <= last_day");
my $stays = rows_by_day("SELECT p.day, number, extract(epoch FROM lower(stay))::bigint,
	extract(epoch FROM upper(stay))::bigint
	FROM bank.presence AS p JOIN bank.agents ON name = agent, unnest(present) AS stay
	WHERE reading = '$reading'");
# Which agent, when, and in which place of all: SIDs rise.
my %given = map { $_->[0] => { agent => $_->[1], at => $_->[2], end => $_->[3], place => $_->[4] } }
  rows("SELECT record, agent, extract(epoch FROM answered_at)::bigint, extract(epoch FROM ended_at)::bigint,
	row_number() OVER (ORDER BY r.sid)
	FROM bank.outcomes LEFT JOIN kin_tr.all_reservations AS r USING (task_sid)");

sub rows_by_day
{
	my %by_day;
	for my $row (rows(@_))
	{
		my ($day, @rest) = @$row;
		push @{ $by_day{$day} }, \@rest;
	}
	return \%by_day;
}

my ($decisions, $faults) = (0, 0);

sub fault
{
	my ($now, $record, $what) = @_;
	print "$database, second $now, record $record: $what\n";
	$faults++;
}

my %last_call;		# an agent's, the longest idle is who has the least

for my $day (sort keys %$calls)
{
	my %call = map { my ($record, $type, $arrival, $credit, $patience, $service) = @$_;
		$record => { type => $type, since => $arrival - $credit, patience => $patience, service => $service } }
	  @{ $calls->{$day} };
	my (%agenda, %present, %busy, %waiting);
	# The turns within a second are replay.sql's.
	push @{ $agenda{ $_->[2] }[4] }, $_->[0] for @{ $calls->{$day} };
	for my $stay (@{ $stays->{$day} || [] })
	{
		push @{ $agenda{ $stay->[1] }[3] }, $stay->[0];
		push @{ $agenda{ $stay->[2] }[1] }, $stay->[0];
	}

	my $free_for = sub {
		my ($record) = @_;
		return grep { !$busy{$_} && $skills{$_}{ $call{$record}{type} } } keys %present;
	};
	my $idle_since = sub { my ($agent) = @_; return $last_call{$agent} // -1 };

	my $decide = sub {
		my ($now) = @_;

		for my $record (sort { $given{$a}{place} <=> $given{$b}{place} }
			grep { $given{$_}{agent} ne '' && $given{$_}{at} == $now } keys %waiting)
		{
			my $agent = $given{$record}{agent};
			my @free = $free_for->($record);

			# A service of 0 seconds: this one was given in a later turn of the same second.
			next if $busy{$agent};
			$decisions++;
			fault($now, $record, "agent $agent is not there, or lacks the skill") unless grep { $_ == $agent } @free;
			fault($now, $record, "agent $agent has not been idle for longest")
			  if grep { $idle_since->($_) < $idle_since->($agent) } @free;
			for my $other (keys %waiting)
			{
				fault($now, $record, "record $other has waited longer")
				  if $call{$other}{since} < $call{$record}{since}
				  && ($given{$other}{agent} eq '' || $given{$other}{at} != $now)
				  && $free_for->($other);
			}
			delete $waiting{$record};
			$busy{$agent} = 1;
			$last_call{$agent} = $now;
			push @{ $agenda{ $now + $call{$record}{service} }[2] }, $record;
		}
		for my $record (keys %waiting)
		{
			fault($now, $record, "waits while an agent is free") if $free_for->($record);
		}
	};

	while (%agenda)
	{
		my $now = min keys %agenda;
		my @hang_up;

		# What a turn brings about in the same second comes before anybody hangs up.
		while (my $turns = delete $agenda{$now})
		{
			delete @present{ @{ $turns->[1] || [] } };
			for my $record (@{ $turns->[2] || [] })
			{
				delete $busy{ $given{$record}{agent} };
				fault($now, $record, 'ended at another time') if $given{$record}{end} != $now;
			}
			$present{$_} = 1 for @{ $turns->[3] || [] };
			for my $record (@{ $turns->[4] || [] })
			{
				$waiting{$record} = 1;
				push @{ $agenda{ $now + $call{$record}{patience} }[5] }, $record;
			}
			push @hang_up, @{ $turns->[5] || [] };
			$decide->($now);
		}
		for my $record (grep { $waiting{$_} } @hang_up)
		{
			delete $waiting{$record};
			fault($now, $record, 'hung up at another time')
			  if $given{$record}{agent} ne '' || $given{$record}{end} != $now;
		}
	}
	fault(0, $_, 'never ended') for keys %waiting;
}
print "$decisions decisions, $faults faults\n";
exit($faults > 0);
