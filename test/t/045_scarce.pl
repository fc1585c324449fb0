# More databases than there is room for: what runs, runs in pairs, and health() says what does not.

use strict;
use warnings FATAL => 'all';

use Test::More;

use KinTr::Cluster;

my $databases = 8;
my $node = start_node('scarce', preload => 0);

$node->safe_psql('postgres', join ';', map { "CREATE DATABASE d$_ TEMPLATE postgres STRATEGY file_copy" } 1 .. $databases);
# Besides the launcher and PostgreSQL's own there is room for three pairs.
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'kin_tr'\nmax_worker_processes = 8\nkin_tr.launcher_interval = 1\n");
$node->restart;

# "d1: relay router, d2: router": what runs in each database.
sub running
{
	return $node->safe_psql('template1', q{SELECT string_agg(d || ': ' || kinds, ', ' ORDER BY d) FROM (
		SELECT datname AS d, string_agg(split_part(backend_type, ' ', 2), ' ' ORDER BY backend_type) AS kinds
		  FROM pg_stat_activity WHERE backend_type IN ('kin_tr router', 'kin_tr relay') GROUP BY datname) r});
}

sub pairs { return scalar(() = running() =~ /relay router/g); }

sub pairs_until
{
	my ($n, $what) = @_;
	my $until = time + $PostgreSQL::Test::Utils::timeout_default;
	my $pairs;

	1 until ($pairs = pairs()) == $n || time > $until;
	is($pairs, $n, $what) or diag(running());
	return;
}

pairs_until(3, 'as many pairs run as there is room for');
my ($before) = running();
for my $database ($before =~ /(\w+): relay router/g)
{
	my $pid = worker_pid($node, $database, 'router');

	$node->safe_psql('template1', "SELECT pg_terminate_backend($pid)");
	query_until($node, 'template1', "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid)", "the router of $database ends");
	pairs_until(3, '... and another takes its place');
}
is(running(), $before, 'no other database has taken it');

# Some were looked into while there was room, and some were not; each is told of it.
for my $database (grep { $before !~ /\b\Q$_\E:/ } 'postgres', map { "d$_" } 1 .. $databases)
{
	query_until($node, $database, "SELECT state = 'fault' AND detail LIKE '% of database $database,%' AND substring(detail FROM '^\\d+')::integer >= 6"
		. " FROM kin_tr.health() WHERE item = 'workers not started'", "health() in $database tells that it waits for room, and with how many");
	is($node->safe_psql($database, "SELECT detail FROM kin_tr.health() WHERE item = 'router'"), 'no room for it: raise max_worker_processes',
		'... and what to do');
}

# A database that nobody could look into counts until it is gone or is known to have the extension.
my $missing = q{SELECT substring(detail FROM '^\d+')::integer FROM kin_tr.health() WHERE item = 'workers not started'};
my ($somewhere) = $before =~ /(\w+): relay router/;
my $without = $node->safe_psql($somewhere, $missing);

$node->safe_psql('template1', 'CREATE DATABASE late TEMPLATE template0 STRATEGY file_copy');
query_until($node, $somewhere, "SELECT ($missing) = $without + 1", 'nobody can look into a new database');
$node->safe_psql('template1', 'DROP DATABASE late');
query_until($node, $somewhere, "SELECT ($missing) = $without", '... which counts no more once it is dropped');
$node->safe_psql('template1', 'CREATE DATABASE late TEMPLATE template0 STRATEGY file_copy');
query_until($node, $somewhere, "SELECT ($missing) = $without + 1", 'nor into another');
$node->safe_psql('late', 'CREATE EXTENSION kin_tr');
query_until($node, $somewhere, "SELECT ($missing) = $without + 2", '... which is to have a router and a relay once it has the extension');

# A launcher that is canceled goes on: it is the same that starts the next router.
my $launcher = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'kin_tr launcher'";
my ($served) = $before =~ /(\w+): relay router/;
my $first = $node->safe_psql('template1', $launcher);
my $router = worker_pid($node, $served, 'router');

$node->safe_psql('template1', "SELECT pg_cancel_backend($first)");
$node->safe_psql('template1', "SELECT pg_terminate_backend($router)");
wait_for_worker($node, $served, 'router', $router);
is($node->safe_psql('template1', $launcher), $first, 'a launcher that is canceled goes on');

$node->stop;
done_testing();
