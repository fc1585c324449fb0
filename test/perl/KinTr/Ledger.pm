# What clients did, kept by themselves outside of the database, and the audit
# that compares it with what kin_tr has.
#
# A client keeps a ledger: a file with a line for each transaction whose end it
# knows.  It notes a deed while it is done, and enters the transaction when it
# has been told of the commit, or has found after a lost connection whether it
# had come through.  In the same transactions it writes the business's own rows
#
#	deals	one for each transaction, by its name in the ledger
#	orders	one for each task: its name (also its idempotency key), what has
#			become of it, how often its task was changed
#
# A deed is a verb, a task and what more names it: created NAME; accepted,
# wrapped, completed, rejected RESERVATION; changed NAME; canceled NAME; deleted
# NAME.

package KinTr::Ledger;

use strict;
use warnings FATAL => 'all';

use IO::Handle;

our $business = <<'SQL';
CREATE TABLE deals (name text PRIMARY KEY);
CREATE TABLE orders (name text PRIMARY KEY, task text NOT NULL UNIQUE, state text NOT NULL, changes integer NOT NULL DEFAULT 0);
SQL

# --------------------------------------------------------------- a client's

sub new
{
	my ($class, $path) = @_;

	open my $file, '>', $path or die "$path: $!";
	$file->autoflush(1);
	return bless { file => $file, deeds => [] }, $class;
}

sub note
{
	my ($self, @deed) = @_;

	push @{ $self->{deeds} }, "@deed";
	return;
}

# A place to return to where a savepoint is rolled back to.
sub place { return scalar @{ $_[0]{deeds} }; }
sub return_to { splice @{ $_[0]{deeds} }, $_[1]; return; }

# The deeds of the transaction that is over, or is kept apart while it is prepared.
sub take
{
	my ($self) = @_;
	my $deeds = $self->{deeds};

	$self->{deeds} = [];
	return $deeds;
}

# How it ended, and how that is known: told, or found.
sub enter
{
	my ($self, $end, $known, $deal, $deeds) = @_;

	$self->{file}->print(join("\t", $end, $known, $deal, $end eq 'committed' ? @$deeds : ()) . "\n");
	return;
}

# ---------------------------------------------------------------- the audit

# The books that were kept in files: deals, deeds by task, and how many were
# known in which way.
sub books
{
	my (@paths) = @_;
	my %books = (committed => {}, rolled_back => {}, deeds => {}, known => {});

	for my $line (map { split /\n/, PostgreSQL::Test::Utils::slurp_file($_) } @paths)
	{
		my ($end, $known, $deal, @deeds) = split /\t/, $line;

		$books{$end}{$deal}++;
		$books{known}{"$end, $known"}++;
		for (@deeds)
		{
			my ($verb, $task, $what) = split / /;

			push @{ $books{deeds}{$task} }, [ $verb, $what ];
		}
	}
	return \%books;
}

# What kin_tr and the business have, all of one moment.  "plant" is run before,
# and rolled back with the rest; the router, which goes on, changes nothing under it.
sub stock
{
	my ($dbh, $plant) = @_;
	my %stock;
	my $rows = sub { return $dbh->selectall_arrayref(@_); };

	$dbh->do('BEGIN ISOLATION LEVEL REPEATABLE READ');
	eval {
		$dbh->do('LOCK TABLE kin_tr.tasks, kin_tr.reservations, kin_tr.quarantine, kin_tr.router_state IN SHARE ROW EXCLUSIVE MODE') if $plant;
		$plant->() if $plant;
		$stock{deals} = $dbh->selectcol_arrayref('SELECT name FROM deals');
		$stock{orders} = $rows->('SELECT name, task, state, changes FROM orders');
		$stock{tasks} = $rows->(q{SELECT sid::text, attributes ->> 'call', assignment_status, reason,
			coalesce(attributes ->> 'changes', '0') FROM kin_tr.all_tasks});
		$stock{reservations} = $rows->('SELECT sid::text, task_sid::text, reservation_status FROM kin_tr.all_reservations');
		$stock{events} = $rows->('SELECT id, event_type, task_sid::text, reservation_sid::text FROM kin_tr.events ORDER BY id');
		$stock{broken} = $rows->('SELECT invariant, object, detail FROM kin_tr.check()');
		$stock{quarantine} = $rows->('SELECT step, object, message FROM kin_tr.quarantine');
		($stock{missed_edges}) = $dbh->selectrow_array('SELECT missed_edges FROM kin_tr.router_state');
		1;
	} or do { my $error = $@; $dbh->do('ROLLBACK'); die $error; };
	$dbh->do('ROLLBACK');
	return \%stock;
}

# Faults are collected by what is wrong, so that a thousand of one kind are a
# line.
sub audit
{
	my ($books, $stock) = @_;
	my %faults;
	my $fault = sub { my ($what, @objects) = @_; push @{ $faults{$what} }, join ' ', map { $_ // '' } @objects; };

	$fault->('check() finds', @$_) for @{ $stock->{broken} };
	$fault->('in quarantine is', @$_) for @{ $stock->{quarantine} };
	$fault->('edges were missed', $stock->{missed_edges}) if $stock->{missed_edges};
	audit_deals($books, $stock, $fault);
	audit_tasks($books, $stock, $fault);
	audit_reservations($books, $stock, $fault);
	audit_events($books, $stock, $fault);
	return told(\%faults);
}

sub told
{
	my ($faults) = @_;

	return join "\n", map {
		my @objects = @{ $faults->{$_} };
		"$_: " . join('; ', @objects > 3 ? (@objects[ 0 .. 2 ], @objects - 3 . ' more') : @objects)
	} sort keys %$faults;
}

sub audit_deals
{
	my ($books, $stock, $fault) = @_;
	my %there = map { $_ => 1 } @{ $stock->{deals} };

	for my $deal (keys %{ $books->{committed} })
	{
		$fault->('a committed transaction is lost', $deal) if !$there{$deal};
		$fault->('a transaction ended twice', $deal)
			if $books->{committed}{$deal} > 1 || $books->{rolled_back}{$deal};
	}
	for my $deal (keys %there)
	{
		$fault->('a transaction that nobody committed is there', $deal) if !$books->{committed}{$deal};
	}
	return;
}

# What has become of an order, and the status of its task, follow from the deeds.
sub state_of
{
	my (@verbs) = @_;
	my $verbs = join ' ', sort grep { $_ !~ /^(?:created|changed|rejected)$/ } @verbs;
	my %states = (
		'' => [ 'new', 'pending', 'reserved' ], accepted => [ 'accepted', 'assigned' ],
		'accepted wrapped' => [ 'wrapped', 'wrapping' ],
		'accepted completed' => [ 'completed', 'completed' ], 'accepted completed wrapped' => [ 'completed', 'completed' ],
		canceled => [ 'canceled', 'canceled' ], deleted => ['deleted']);

	return @{ $states{$verbs} // ["impossible: $verbs"] };
}

sub audit_tasks
{
	my ($books, $stock, $fault) = @_;
	my %orders = map { $_->[1] => $_ } @{ $stock->{orders} };
	my (%tasks, %names);

	for my $task (@{ $stock->{tasks} })
	{
		my ($sid, $name) = @$task;

		$fault->('a task is there twice', $sid) if $tasks{$sid}++;
		$fault->('an order has two tasks', $name) if $names{ $name // '' }++;
		$fault->('a task is there that nobody created', $sid) if !$books->{deeds}{$sid};
	}
	my %task = map { $_->[0] => $_ } @{ $stock->{tasks} };

	for my $sid (keys %{ $books->{deeds} })
	{
		my @verbs = map { $_->[0] } @{ $books->{deeds}{$sid} };
		my ($state, @statuses) = state_of(@verbs);
		my $changes = grep { $_ eq 'changed' } @verbs;
		my (undef, $name, $status, $reason, $changed) = @{ $task{$sid} // [] };

		$fault->('a task was not created once', $sid) if 1 != grep { $_ eq 'created' } @verbs;
		$fault->('an order is lost', $sid) if !$orders{$sid};
		$fault->('an order is not what its client made of it', $sid, $orders{$sid}[2], $state)
			if $orders{$sid} && ($orders{$sid}[2] ne $state || $orders{$sid}[3] != $changes);
		if (!@statuses)
		{
			$fault->('a task that was deleted is there', $sid) if $task{$sid};
			next;
		}
		if (!$task{$sid})
		{
			$fault->('a task is lost', $sid);
			next;
		}
		$fault->('a task is not what its client made of it', $sid, $status, $state) if !grep { $_ eq $status } @statuses;
		$fault->('a task was not canceled by its client', $sid, $reason)
			if $status eq 'canceled' && ($reason // '') ne 'by its client';
		$fault->('a change of a task is lost', $sid, $changed, $changes) if $changed != $changes;
	}
	$fault->('an order is there that nobody made', $_) for grep { !$books->{deeds}{$_} } keys %orders;
	return;
}

# Deeds on a reservation, as "accepted completed", by reservation; and its task.
sub deeds_on_reservations
{
	my ($books) = @_;
	my (%deeds, %task);

	while (my ($task, $deeds) = each %{ $books->{deeds} })
	{
		for (grep { $_->[0] =~ /^(?:accepted|wrapped|completed|rejected)$/ } @$deeds)
		{
			push @{ $deeds{ $_->[1] } }, $_->[0];
			$task{ $_->[1] } = $task;
		}
	}
	return ({ map { $_ => join ' ', sort @{ $deeds{$_} } } keys %deeds }, \%task);
}

sub audit_reservations
{
	my ($books, $stock, $fault) = @_;
	my ($deeds, $task_of) = deeds_on_reservations($books);
	my %fitting = (
		accepted => qr/^accepted$/, wrapping => qr/^accepted wrapped$/, completed => qr/^accepted completed(?: wrapped)?$/,
		rejected => qr/^rejected$/);
	my %there;

	for my $reservation (@{ $stock->{reservations} })
	{
		my ($sid, $task, $status) = @$reservation;

		$fault->('a reservation is there twice', $sid) if $there{$sid}++;
		$fault->('a reservation is not what its worker made of it', $sid, $status, $deeds->{$sid})
			if ($deeds->{$sid} // '') !~ ($fitting{$status} // qr/^$/);
		$fault->('a reservation of no task', $sid, $task) if !$books->{deeds}{$task};
	}
	for my $sid (grep { !$there{$_} } keys %$deeds)
	{
		$fault->('a reservation is lost', $sid)
			if !grep { $_->[0] eq 'deleted' } @{ $books->{deeds}{ $task_of->{$sid} } };
	}
	return;
}

# Each deed has its event, and each step of a reservation or task one, in the
# order of the ids.
sub audit_events
{
	my ($books, $stock, $fault) = @_;
	my %event_of = (created => 'task.created', changed => 'task.updated', canceled => 'task.canceled', deleted => 'task.deleted',
		accepted => 'reservation.accepted', rejected => 'reservation.rejected', wrapped => 'reservation.wrapup',
		completed => 'reservation.completed');
	my %deed_of = reverse %event_of;
	my (%balance, %life, %ids);

	for my $event (@{ $stock->{events} })
	{
		my ($id, $type, $task, $reservation) = @$event;
		my $object = $type =~ /^reservation\./ ? $reservation : $task;

		$fault->('an event is there twice', $id) if $ids{$id}++;
		next if $type !~ /^(?:task|reservation)\.(.*)/;
		$life{$object} .= "$1 ";
		$balance{"$type $object"}-- if $deed_of{$type};
	}
	while (my ($task, $deeds) = each %{ $books->{deeds} })
	{
		for (@$deeds)
		{
			my $type = $event_of{ $_->[0] };

			$balance{ "$type " . ($type =~ /^reservation/ ? $_->[1] : $task) }++;
		}
	}
	for my $event (keys %balance)
	{
		$fault->('a deed has no event', $event) if $balance{$event} > 0;
		$fault->('an event without a deed', $event) if $balance{$event} < 0;
	}
	for my $object (keys %life)
	{
		$fault->('events of an object are none of its lives', $object, $life{$object})
			if $life{$object} !~ ($object =~ /^WR/
				? qr/^created (?:accepted (?:wrapup )?(?:completed )?|rejected |timeout |canceled |rescinded )?$/
				: qr/^created (?:updated )*(?:wrapup |(?:updated )+)*(?:completed |canceled )?(?:deleted )?$/);
	}
	for (@{ $stock->{reservations} })
	{
		my ($sid, undef, $status) = @$_;
		my $last = (split ' ', $life{$sid} // '')[-1] // 'none';
		my %last = (pending => 'created', wrapping => 'wrapup');

		$fault->('the last event of a reservation is not its status', $sid, $last, $status) if $last ne ($last{$status} // $status);
	}
	return;
}

# What a reader read, by id, against the log: each event of a moment was read
# once, and nothing was that is not there.
sub audit_reader
{
	my ($read, $stock, $there) = @_;
	my (%faults, %read);

	for (@$read) { push @{ $faults{'an event was read twice'} }, $_ if $read{$_}++; }
	for (@{ $stock->{events} }) { push @{ $faults{'an event was not read'} }, "$_->[0] $_->[1]" if !$read{ $_->[0] }; }
	my %there = map { $_ => 1 } @$there;
	for (keys %read) { push @{ $faults{'an event was read that is not there'} }, $_ if !$there{$_}; }
	return told(\%faults);
}

1;
