# Many databases without the extension take no room from the one that has it, nor
# fill the log.

use strict;
use warnings FATAL => 'all';

use List::Util qw(max uniq);
use PostgreSQL::Test::Utils qw(slurp_file);
use Test::More;

use KinTr::Cluster;

my $node = start_node('many', preload => 0, extension => 0);
my $databases = 25;

$node->safe_psql('postgres', join ';', map { "CREATE DATABASE other_$_ STRATEGY file_copy" } 1 .. $databases);
# The postmaster tells of each process at this level.
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'kin_tr'\nmax_worker_processes = 8\n"
	. "kin_tr.launcher_interval = 1\nlog_min_messages = debug1\n");
$node->restart;
$node->safe_psql('postgres', 'CREATE EXTENSION kin_tr');
wait_for_worker($node, 'postgres', $_) for qw(router relay);
pass('router and relay come up');

sub scouts { return slurp_file($node->logfile) =~ /DEBUG: +((?:un)?registering) background worker "kin_tr scout: (\w+)"/g; }

my $until = time() + 60;
my @scouts;

# A connection each time round, so that the wait is no mere spinning.
do
{
	$node->safe_psql('postgres', 'SELECT 1');
	@scouts = scouts();
} until uniq(grep { /^other/ } @scouts) == $databases || time() > $until;

is(scalar(uniq(grep { /^other/ } @scouts)), $databases, 'a scout looks into each of the others');

my ($out, $most) = (0, 0);

while (my ($event, undef) = splice @scouts, 0, 2)
{
	$out += $event eq 'registering' ? 1 : -1;
	$most = max($most, $out);
}
is($most, 1, '... one at a time');
unlike(slurp_file($node->logfile), qr/could not be started/, '... and none is without room');
is($node->safe_psql('postgres', "SELECT state FROM kin_tr.health() WHERE item = 'workers not started'"), 'ok', '... as health() says');

done_testing();
