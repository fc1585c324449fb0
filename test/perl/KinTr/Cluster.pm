# Clusters with kin_tr, and connections to them.

package KinTr::Cluster;

use strict;
use warnings FATAL => 'all';

use DBI;
use Exporter qw(import);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(start_node connect_to query_until worker_pid wait_for_worker sqlstate_of is_sound);

# A running server. Options: preload (default 1), conf (lines for
# postgresql.conf), extension (default 1: in the database postgres), and what
# init() takes.
sub start_node
{
	my ($name, %options) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	my $preload = delete $options{preload} // 1;
	my $conf = delete $options{conf} // '';
	my $extension = delete $options{extension} // 1;

	$node->init(%options);
	$node->append_conf('postgresql.conf', "shared_preload_libraries = 'kin_tr'\n"
		. "kin_tr.launcher_interval = 1\n") if $preload;
	$node->append_conf('postgresql.conf', "max_worker_processes = 16\n$conf\n");
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION kin_tr') if $extension;
	return $node;
}

# A DBI connection; errors die with the server's message.
sub connect_to
{
	my ($node, $database, %options) = @_;
	my $user = $options{user};
	my $dsn = sprintf 'dbi:Pg:dbname=%s;host=%s;port=%d', $database // 'postgres',
		$node->host, $node->port;

	$dsn .= ";user=$user" if $user;
	return DBI->connect($dsn, undef, undef,
		{ RaiseError => 1, PrintError => 0, PrintWarn => 0, AutoCommit => 1,
			pg_enable_utf8 => 0, pg_server_prepare => 1 });
}

# Waits until a query gives t; a server that restarts meanwhile is waited for.
sub query_until
{
	my ($node, $database, $query, $what) = @_;

	Test::More::ok($node->poll_query_until($database, $query), $what);
	return;
}

# The pid of a database's router or relay; '' where it does not run.
sub worker_pid
{
	my ($node, $database, $kind) = @_;

	return $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity"
		. " WHERE datname = '$database' AND backend_type = 'kin_tr $kind'");
}

sub wait_for_worker
{
	my ($node, $database, $kind, $but) = @_;
	my $condition = $but ? "AND pid <> $but" : '';

	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity"
		. " WHERE datname = '$database' AND backend_type = 'kin_tr $kind' $condition")
		or die "no $kind came up in database $database";
	return;
}

# The SQLSTATE that a statement ends with; 00000 where it succeeds.
sub sqlstate_of
{
	my ($dbh, $sql, @values) = @_;

	return eval { $dbh->do($sql, undef, @values); '00000' } // $dbh->state;
}

# Nothing is broken, nobody idle fits a waiting task, and none ever did whom the
# router had to be told of by the sweep.
sub is_sound
{
	my ($dbh, $where) = @_;
	my $faults = $dbh->selectcol_arrayref(q{SELECT concat_ws(' ', invariant, object, detail) FROM kin_tr.check()});

	Test::More::is(join('; ', @$faults), '', "$where: check() finds nothing broken");
	Test::More::is($dbh->selectrow_array('SELECT kin_tr._sweep()'), 0, "$where: nobody idle fits a waiting task");
	Test::More::is($dbh->selectrow_array(q{SELECT state FROM kin_tr.health() WHERE item = 'missed edges'}), 'ok',
		"$where: no edge has been missed");
	return;
}

1;
