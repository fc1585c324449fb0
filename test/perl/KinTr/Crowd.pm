# Processes that use a server side by side, while the test breaks it.
#
# Each member is made by a function, in its own process, from its number: it
# returns { step, rest }.  "step" is called again and again while the crowd
# works, and returns true for what counts as done; "rest", where there is one,
# settles what is still open before the member pauses.  What "step" or "rest"
# dies with is a surprise, and the member goes on.

package KinTr::Crowd;

use strict;
use warnings FATAL => 'all';

use IO::Select;
use POSIX ();

# patience: seconds after which a crowd of which nothing is heard is stuck.
sub new
{
	my ($class, $count, $make, $patience) = @_;
	my $self = bless { members => [], surprises => [], patience => $patience }, $class;

	for my $number (0 .. $count - 1)
	{
		pipe my $orders_out, my $orders_in or die;
		pipe my $report_out, my $report_in or die;
		my $pid = fork // die;

		if (!$pid)
		{
			close $_ for $orders_in, $report_out, map { $_->{orders}, $_->{report} } @{ $self->{members} };
			live($make->($number), $orders_out, $report_in);
			POSIX::_exit(0);
		}
		close $_ for $orders_out, $report_in;
		push @{ $self->{members} }, { pid => $pid, orders => $orders_in, report => $report_out, unread => '' };
	}
	return $self;
}

# A member's life: a dot for each step that counts, R when it pauses.
sub live
{
	my ($member, $orders, $report) = @_;
	my $may_work = 0;
	my $try = sub {
		my $result = $_[0] && eval { $_[0]->() // '' };

		syswrite $report, join(' ', split ' ', $@) . "\n" if $_[0] && !defined $result;
		return $result;
	};

	for (;;)
	{
		if (!$may_work || IO::Select->new($orders)->can_read(0))
		{
			my $order = '';

			# A letter at a time: one that is read ahead would not be seen again.
			return if !sysread($orders, $order, 1) || $order eq 'e';
			$may_work = $order eq 'w';
			next if $may_work;
			$try->($member->{rest});
			syswrite $report, "R\n";
		}
		elsif ($try->($member->{step}))
		{
			syswrite $report, ".\n";
		}
	}
}

# Reads what the members report, waiting for the first of it at most so long;
# how many steps, how many paused.
sub hear
{
	my ($self, $wait) = @_;
	my %ready = map { $_ => 1 } IO::Select->new(map { $_->{report} } @{ $self->{members} })->can_read($wait);
	my ($steps, $paused) = (0, 0);

	die "the clients are stuck\n" if $wait && !%ready;
	for my $member (grep { $ready{ $_->{report} } } @{ $self->{members} })
	{
		sysread $member->{report}, $member->{unread}, 65536, length $member->{unread}
			or die "a client has ended: @{ $self->{surprises} }\n";
		while ($member->{unread} =~ s/^(.*)\n//)
		{
			$1 eq '.' ? $steps++ : $1 eq 'R' ? $paused++ : push @{ $self->{surprises} }, $1;
		}
	}
	return ($steps, $paused);
}

# w: work, p: pause, e: end.
sub order
{
	my ($self, $order) = @_;

	syswrite $_->{orders}, $order for @{ $self->{members} };
	return;
}

sub work { $_[0]->order('w'); return; }

# Steps from now on.
sub wait_for_steps
{
	my ($self, $number) = @_;

	$self->hear(0);
	for (my $steps = 0; $steps < $number;) { $steps += ($self->hear($self->{patience}))[0]; }
	return;
}

sub pause
{
	my ($self) = @_;

	$self->order('p');
	for (my $paused = 0; $paused < @{ $self->{members} };) { $paused += ($self->hear($self->{patience}))[1]; }
	return;
}

sub end
{
	my ($self) = @_;

	$self->order('e');
	waitpid $_->{pid}, 0 for @{ $self->{members} };
	return;
}

# What surprised the members, once each.
sub surprises
{
	my ($self) = @_;
	my %count;

	$count{$_}++ for @{ $self->{surprises} };
	return join "\n", map { "$_ ($count{$_} times)" } sort keys %count;
}

1;
