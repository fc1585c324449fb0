# A copy of the data directory under another kin_tr.instance is a copy: nothing
# acts in it before resume_after_restore(), which begins an era of its own.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Utils;
use Test::More;

use KinTr::Cluster;

my $node = start_node('prod');
my $dbh = connect_to($node);

sub value { my ($db, $sql, @values) = @_; return scalar $db->selectrow_array($sql, undef, @values); }

# A copy of the stopped server under a name, running.
sub copy_as
{
	my ($name, $instance) = @_;
	my $copy = PostgreSQL::Test::Cluster->new($name);

	PostgreSQL::Test::RecursiveCopy::copypath($node->data_dir, $copy->data_dir, filterfn => sub { return $_[0] ne 'postmaster.pid' });
	chmod 0700, $copy->data_dir;
	$copy->append_conf('postgresql.conf', 'port = ' . $copy->port . "\nunix_socket_directories = '" . $copy->host . "'\nkin_tr.instance = '$instance'\n");
	$copy->start;
	return $copy;
}

sub restart_as
{
	my ($instance) = @_;

	$dbh->disconnect;
	$node->append_conf('postgresql.conf', "kin_tr.instance = '$instance'\n");
	$node->restart;
	$dbh = connect_to($node);
	return;
}

sub offer { my ($db) = @_; return value($db, q{SELECT kin_tr.create_task()}); }

$dbh->do('SET client_min_messages = error');
$dbh->do(q{SELECT kin_tr.create_workspace('centre', template => 'FIFO')});
$dbh->do(q{SELECT kin_tr.create_worker('Alice', activity => 'Available')});
$dbh->do(q{SELECT kin_tr.update_worker_channel('Alice', 'default', 100)});
is(value($dbh, 'SELECT instance FROM kin_tr.home'), undef, 'without a name none is kept');
restart_as('prod');
is(value($dbh, 'SELECT kin_tr._at_home()'), 1, 'who gets one is still at home');
like(value($dbh, q{SELECT state || ': ' || detail FROM kin_tr.health() WHERE item = 'home'}), qr/^fault: .*resume_after_restore/, 'but health() says that it is to be told');
is(value($dbh, 'SELECT count(*) FROM kin_tr.resume_after_restore()'), 0, 'and resume_after_restore() keeps it');
is(value($dbh, 'SELECT instance FROM kin_tr.home'), 'prod', 'as the name of home');
is(value($dbh, q{SELECT state FROM kin_tr.health() WHERE item = 'home'}), 'ok', 'and health() is content');
is(value($dbh, 'SELECT count(*) FROM kin_tr.event_eras'), 1, 'and does nothing else');
is(sqlstate_of($dbh, 'SELECT kin_tr.resume_after_restore()'), '55000', 'once');
is(sqlstate_of($dbh, q{SET kin_tr.instance = 'other'}), '55P02', 'nobody changes it but with the server');
my $task = offer($dbh);
query_until($node, 'postgres', "SELECT EXISTS (SELECT FROM kin_tr.active_reservations() WHERE task_sid = '$task')", 'the router acts');
$dbh->disconnect;
$node->stop;

my %copy = map { $_ => copy_as($_ || 'nameless', $_) } 'staging', '';

for my $name (sort keys %copy)
{
	my $copy = $copy{$name};
	my $db = connect_to($copy);
	my $which = $name || 'without a name';

	$db->do('SET client_min_messages = error');
	query_until($copy, 'postgres', q{SELECT state = 'paused' FROM kin_tr.health() WHERE item = 'router'}, "a copy $which: the router is paused");
	is(value($db, q{SELECT state FROM kin_tr.health() WHERE item = 'home'}), 'paused', "a copy $which: and health() says that it is a copy");
	is(sqlstate_of($db, 'SELECT kin_tr.tick()'), 'KT009', "a copy $which: tick() refuses");
	my $waiting = offer($db);
	is(value($db, 'SELECT count(*) FROM kin_tr.resume_after_restore()'), 0, "a copy $which: resume_after_restore() finds nothing broken");
	is(value($db, 'SELECT instance FROM kin_tr.home'), $name || undef, "a copy $which: it is home under the new name");
	is(value($db, 'SELECT count(*) FROM kin_tr.event_eras'), 2, "a copy $which: in a new era");
	query_until($copy, 'postgres', "SELECT EXISTS (SELECT FROM kin_tr.active_reservations() WHERE task_sid = '$waiting')", "a copy $which: and then the router acts");
	is_sound($db, "a copy $which");
	$db->disconnect;
	$copy->stop;
}

$node->start;
$dbh = connect_to($node);
is(value($dbh, 'SELECT kin_tr._at_home()'), 1, 'the original is at home as ever');
$dbh->disconnect;
$node->stop;
done_testing();
