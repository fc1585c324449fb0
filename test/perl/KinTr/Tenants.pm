# Two tenants of one database: "Theirs" misbehaves, by roles that have no other
# right, and "Mine" has an idle worker all the time, so that each of its tasks must
# be offered within a second of its commit.

package KinTr::Tenants;

use strict;
use warnings FATAL => 'all';

use Exporter qw(import);
use Test::More;
use Time::HiRes qw(time);

use KinTr::Cluster;

our @EXPORT = qw(start_tenants reconnect_tenants theirs mine_goes_on mine_goes_on_while slowest value);

my ($node, $mine);
my @slowest = ('nothing', 0);

# A node, and connections of its owner and of Mine; conf as start_node() has it.
sub start_tenants
{
	my ($name, $conf) = @_;

	$node = start_node($name, conf => $conf);
	my $owner = connect_to($node);
	$owner->do('SET client_min_messages = error');
	for my $tenant (qw(Mine Theirs))
	{
		my $role = lc $tenant;

		$owner->do('SELECT kin_tr.setup_workspace(?)', undef, $tenant);
		$owner->do("CREATE ROLE $role LOGIN");
		$owner->do("SELECT kin_tr.grant_access('$role', 'app', '$tenant')");
		$owner->do("SELECT kin_tr.update_workspace('$tenant', timeout_activity => 'Available')");
	}
	$owner->do(q{SELECT kin_tr.create_worker('mine', activity => 'Available', workspace => 'Mine')});
	$owner->do(q{SELECT kin_tr.update_worker_channel('mine', 'default', 1000, workspace => 'Mine')});
	return ($node, reconnect_tenants());
}

# Connections of the owner and of Mine, after a restart.
sub reconnect_tenants
{
	my $owner = connect_to($node);

	$owner->do('SET client_min_messages = error');
	$mine = connect_to($node, 'postgres', user => 'mine');
	return ($owner, $mine);
}

sub theirs { return connect_to($node, 'postgres', user => 'theirs'); }
sub value { my ($dbh, $sql, @values) = @_; return scalar $dbh->selectrow_array($sql, undef, @values); }

# What Mine waited for longest, and how long.
sub slowest { return sprintf 'the slowest offer took %.0f ms: %s', $slowest[1] * 1000, $slowest[0]; }

# A task of Mine is offered within a second, three times in a row; it is worked on and ends.
sub mine_goes_on
{
	my ($what) = @_;
	my $worst = 0;

	for (1 .. 3)
	{
		my $task = value($mine, 'SELECT kin_tr.create_task()');
		my $began = time;
		my $reservation;

		$reservation = value($mine, 'SELECT sid FROM kin_tr.reservations WHERE task_sid = ?', $task)
			until $reservation || time - $began > 30;
		$worst = time - $began if time - $began > $worst;
		next if !$reservation;
		$mine->do('SELECT kin_tr.accept_reservation(?)', undef, $reservation);
		$mine->do('SELECT kin_tr.complete_task(?)', undef, $task);
	}
	cmp_ok($worst, '<', 1, "$what: the other tenant's tasks are offered within a second");
	@slowest = ($what, $worst) if $worst > $slowest[1];
	return;
}

# While Theirs does something over and over.
sub mine_goes_on_while
{
	my ($what, $seconds, $do) = @_;
	my $until = time + $seconds;

	while (time < $until)
	{
		$do->();
		mine_goes_on($what);
	}
	return;
}

1;
