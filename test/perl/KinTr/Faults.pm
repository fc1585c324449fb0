# Faults of a server: its processes are found in /proc, since the server may
# answer nobody at that moment.

package KinTr::Faults;

use strict;
use warnings FATAL => 'all';

use Exporter qw(import);
use Time::HiRes qw(time);

use KinTr::Cluster;

our @EXPORT = qw(wait_until wait_for_query $all_is_offered kill_postmaster restart_at_once fault_kinds);

use constant PATIENCE => 60;

# Waits until a condition holds, and returns what it gives.
sub wait_until
{
	my ($condition, $what) = @_;
	my $until = time + PATIENCE;

	while (time < $until)
	{
		my $result = $condition->();

		return $result if $result;
		select undef, undef, undef, 0.01;
	}
	die "$what: not within @{[PATIENCE]} s\n";
}

# Waits until a query gives true in a connection, which is made anew where it is
# lost; the seconds that it took.
sub wait_for_query
{
	my ($node, $dbh, $query, $what) = @_;
	my $began = time;

	wait_until(sub {
		$$dbh //= eval { connect_to($node, 'postgres') };
		my $result = $$dbh && eval { ($$dbh->selectrow_array($query))[0] };
		$$dbh = undef if $$dbh && !$$dbh->ping;
		return $result;
	}, $what);
	return time - $began;
}

# No task waits that a free worker could have, and no timer is late.
our $all_is_offered = <<'SQL';
SELECT NOT EXISTS (
	SELECT FROM kin_tr.tasks t JOIN kin_tr.task_queues q ON q.sid = t.task_queue_sid
	 WHERE t.assignment_status = 'pending' AND EXISTS (
		SELECT FROM kin_tr.workers w
		  JOIN kin_tr.activities a ON a.sid = w.activity_sid AND a.available
		  JOIN kin_tr.worker_channels c ON c.worker_sid = w.sid AND c.task_channel_sid = t.task_channel_sid
		 WHERE c.configured_capacity > (SELECT count(*) FROM kin_tr.reservations r
										 WHERE r.worker_sid = w.sid AND r.task_channel_sid = c.task_channel_sid AND r.is_open)
		   AND kin_tr.evaluate_expression(q.target_workers, worker => w.attributes)))
   AND NOT EXISTS (SELECT FROM kin_tr.tasks t WHERE t.assignment_status = 'pending' AND t.step_deadline < now() - interval '1 s')
   AND NOT EXISTS (SELECT FROM kin_tr.reservations r WHERE r.reservation_status = 'pending' AND r.times_out_at < now() - interval '1 s')
SQL

sub postmaster_of
{
	my ($node) = @_;

	return (split /\n/, PostgreSQL::Test::Utils::slurp_file($node->data_dir . '/postmaster.pid'))[0];
}

# Of a file that may be gone at any moment.
sub contents
{
	my ($path) = @_;
	local $/;

	open my $file, '<', $path or return '';
	return readline($file) // '';
}

# The title of a process, if it is the postmaster's.
sub title_of
{
	my ($pid, $postmaster) = @_;
	my ($parent) = contents("/proc/$pid/stat") =~ /^\d+ \(.*\) \S (\d+) /s;

	return defined $parent && $parent == $postmaster ? contents("/proc/$pid/cmdline") =~ s/\0+/ /gr : undef;
}

# All of the postmaster's processes: title by pid.
sub children_of
{
	my ($postmaster) = @_;
	my %children = map { $_ => title_of($_, $postmaster) } map { substr $_, 6 } glob '/proc/[0-9]*';

	return { map { $_ => $children{$_} } grep { defined $children{$_} } keys %children };
}

# Sends a signal to one of those whose title is so, waiting until there is one.  Of one
# that is killed its postmaster hears before this returns: what it held of the shared
# memory nobody gets any more, and who waits for that notices nothing else.
sub kill_child
{
	my ($node, $signal, $title) = @_;
	my ($killed, $by);

	wait_until(sub {
		my $postmaster = eval { postmaster_of($node) } or return 0;
		my $children = children_of($postmaster);
		my @pids = sort { $a <=> $b } grep { $children->{$_} =~ $title } keys %$children;
		my $pid = @pids && $pids[ rand @pids ];

		# Process ids come back, and nobody else's process shall be hit.
		($killed, $by) = ($pid, $postmaster);
		return $pid && (title_of($pid, $postmaster) // '') =~ $title && kill $signal, $pid;
	}, "a process like $title");
	wait_until(sub { !defined title_of($killed, $by) }, "the end of a process like $title") if $signal eq 'KILL';
	return;
}

# Children notice the end of their postmaster by themselves; until the last has
# gone, its shared memory is in use.  It is stopped first, so that none is born
# unseen.  Its lock file goes, or a process that got its id would hold up the
# start.
sub kill_postmaster
{
	my ($node) = @_;
	my $postmaster = postmaster_of($node);

	kill 'STOP', $postmaster;
	my $children = children_of($postmaster);

	$node->kill9;
	wait_until(sub { !grep { kill 0, $_ } $postmaster, keys %$children }, 'the end of all processes after their postmaster');
	unlink $node->data_dir . '/postmaster.pid';
	$node->start;
	return;
}

sub restart_at_once
{
	my ($node) = @_;

	$node->stop('immediate');
	$node->start;
	return;
}

# Every kind of fault, for a database's processes and the sessions of a role.
sub fault_kinds
{
	my ($role) = @_;
	my %titles = (backend => qr/^postgres: .*\b$role\b/, map { $_ => qr/kin_tr $_/ } qw(router relay launcher));
	my %kinds = ('SIGKILL of the postmaster' => \&kill_postmaster, 'immediate stop' => \&restart_at_once);

	for my $who (keys %titles)
	{
		my $title = $titles{$who};

		$kinds{"SIGKILL of a $who"} = sub { kill_child($_[0], 'KILL', $title); };
		# What pg_terminate_backend() sends.
		$kinds{"termination of a $who"} = sub { kill_child($_[0], 'TERM', $title); };
	}
	return %kinds;
}

1;
