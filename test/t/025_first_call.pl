# A session's first call comes through beside others who change the catalogs:
# what it looks up then it keeps, and what it looks up may be declared stale
# while it looks.  Nor does it keep what it rolls back.

use strict;
use warnings FATAL => 'all';

use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

use KinTr::Cluster;

my $node = start_node('first_call');
my $scripts = PostgreSQL::Test::Utils::tempdir();

# pgbench with a script; -n: there is nothing of its own to be vacuumed.
sub pgbench
{
	my ($name, $script, @arguments) = @_;

	append_to_file("$scripts/$name.sql", $script);
	return [ 'pgbench', '-n', '-f', "$scripts/$name.sql", @arguments,
		'-h', $node->host, '-p', $node->port, 'postgres' ];
}

my $dbh = connect_to($node);

# The first events of all begin an era, and here they come to nothing.
$dbh->begin_work;
$dbh->do(q{SELECT kin_tr.setup_workspace('Bank')});
$dbh->rollback;
$dbh->do(q{SELECT kin_tr.setup_workspace('Bank')});
is($dbh->selectrow_array('SELECT count(*) FROM kin_tr.events WHERE era NOT IN (SELECT number FROM kin_tr.event_eras)'),
	0, 'a session whose first events are rolled back writes the next ones in an era that is there');

# A type of its own for each of three clients, until it is told to stop.
my $noise = IPC::Run::start(pgbench('types',
	"CREATE TYPE pg_temp.t AS (a integer);\nDROP TYPE pg_temp.t;\n", '-c', 3, '-T', 600), '>', \my $types, '2>&1');
my $completed = IPC::Run::run(pgbench('calls', "SELECT kin_tr.create_task('{}');\n", qw(-C -c 4 -t 100)), '>', \my $calls, '2>&1');
my $still_there = $noise->pumpable;

$noise->signal('TERM');
$noise->finish;
ok($completed, 'four hundred sessions have made their first call') or diag($calls);
ok($still_there, 'and types were made and dropped all the while') or diag($types);
is($node->safe_psql('postgres', 'SELECT count(*) FROM kin_tr.tasks'), 400, 'each has made its task');

is_sound($dbh, 'afterwards');
$dbh->disconnect;
$node->stop;
done_testing();
