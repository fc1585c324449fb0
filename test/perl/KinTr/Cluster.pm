# Clusters with kin_tr, and connections to them.

package KinTr::Cluster;

use strict;
use warnings FATAL => 'all';

use DBI;
use Exporter qw(import);
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(start_node start_standby connect_to query_until worker_pid wait_for_worker sqlstate_of is_sound disordered
	ids events_from start_late_writers find_program);

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

# A standby that streams from a node, which was made with allows_streaming.
sub start_standby
{
	my ($primary, $name) = @_;
	my $standby = PostgreSQL::Test::Cluster->new($name);

	$primary->backup($name);
	$standby->init_from_backup($primary, $name, has_streaming => 1);
	$standby->start;
	return $standby;
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

# A program in the path, or where Debian has what is only root's; with a probe,
# the first of that name for which the probe succeeds.
sub find_program
{
	my ($name, @probe) = @_;

	for my $found (map { "$_/$name" } split(/:/, $ENV{PATH}), '/usr/bin', '/usr/sbin')
	{
		next unless -x $found;
		return $found if !@probe || IPC::Run::run([ $found, @probe ], '>', \my $out, '2>', \my $err);
	}
	die "no $name @probe: make setup installs it";
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

# Ids of events, or rows that have one, in order: to compare and to be read.
sub ids { return join ' ', sort { $a <=> $b } map { ref $_ ? $_->{id} : $_ } @_; }

# All events from a cursor on, read in pages of at most so many, and the cursor
# behind them.
sub events_from
{
	my ($dbh, $cursor, $max) = @_;
	my @all;

	while (1)
	{
		my @page = @{ $dbh->selectall_arrayref(
			'SELECT next_cursor, id, event_type, resource_sid, event_data FROM kin_tr.events_since(?, ?)',
			{ Slice => {} }, $cursor, 1 + int rand $max) };

		return ($cursor, @all) if !@page;
		$cursor = $page[-1]{next_cursor};
		push @all, @page;
	}
}

# Writers, of which each stalls now and then before it commits, or rolls back: a
# pgbench of eight clients, as IPC::Run has it.  Each transaction changes one of
# 40 rows of the table "orders", tells the order's task of it, and makes a task.
sub start_late_writers
{
	my ($node, $transactions, $seed, $output) = @_;
	my $script = PostgreSQL::Test::Utils::tempdir() . '/writer.sql';

	$node->safe_psql('postgres', q{
		CREATE TABLE orders (number integer PRIMARY KEY, task text, changes integer NOT NULL DEFAULT 0);
		INSERT INTO orders SELECT n, kin_tr.create_task() FROM generate_series(1, 40) n;
		CREATE FUNCTION change(integer) RETURNS bigint LANGUAGE sql AS $$
			WITH changed AS (UPDATE orders SET changes = changes + 1 WHERE number = $1 RETURNING task, changes)
			SELECT kin_tr.update_task(task, jsonb_build_object('change', changes)) FROM changed
		$$});
	PostgreSQL::Test::Utils::append_to_file($script, '
\set order random(1, 40)
\set late random(1, 4)
\set stall random(0, 20000)
\set give_up random(1, 6)
BEGIN;
SELECT change(:order);
SELECT kin_tr.create_task();
\if :late = 1
\sleep :stall us
\endif
\if :give_up = 1
ROLLBACK;
\else
COMMIT;
\endif
');
	return IPC::Run::start([ 'pgbench', '-n', '-c', 8, '-t', $transactions, '-f', $script, "--random-seed=$seed",
		'-h', $node->host, '-p', $node->port, 'postgres' ], '>', $output, '2>&1');
}

# The objects whose events are not in the order of their versions.
sub disordered
{
	my ($dbh) = @_;

	return @{ $dbh->selectcol_arrayref(q{
		SELECT DISTINCT resource_sid
		  FROM (SELECT resource_sid, version, lag(version) OVER (PARTITION BY resource_sid ORDER BY id) AS before
		          FROM (SELECT id, resource_sid, (data ->> CASE left(resource_sid, 2) WHEN 'WT' THEN 'task_version' ELSE 'worker_version' END)::bigint AS version
		                  FROM kin_tr.events WHERE left(resource_sid, 2) IN ('WT', 'WK')) e
		         WHERE version IS NOT NULL) v
		 WHERE version < before}) };
}

# Nothing is broken, events are in order, nobody idle fits a waiting task, and none
# ever did whom the router had to be told of by the sweep.
sub is_sound
{
	my ($dbh, $where) = @_;
	my $faults = $dbh->selectcol_arrayref(q{SELECT concat_ws(' ', invariant, object, detail) FROM kin_tr.check()});

	Test::More::is(join('; ', @$faults), '', "$where: check() finds nothing broken");
	Test::More::is(join(' ', disordered($dbh)), '', "$where: the events of a task or worker have its versions in their order");
	Test::More::is($dbh->selectrow_array('SELECT kin_tr._sweep()'), 0, "$where: nobody idle fits a waiting task");
	Test::More::is($dbh->selectrow_array(q{SELECT state FROM kin_tr.health() WHERE item = 'missed edges'}), 'ok',
		"$where: no edge has been missed");
	return;
}

1;
