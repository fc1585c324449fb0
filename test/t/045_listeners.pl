# The programs of docs/listeners.md, as they stand there, take every task: those
# that were there before them and those that come.  They need what "make setup"
# installs.

use strict;
use warnings FATAL => 'all';

use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

use KinTr::Cluster;

my $folder = PostgreSQL::Test::Utils::tempdir();
my $page = slurp_file('docs/listeners.md');
my %programs = (
	'Node.js' => { block => 'js', file => 'worker.mjs', command => sub { (find_program('node'), $_[0], $_[1]) } },
	'Python' => { block => 'python', file => 'worker.py', command => sub { (find_program('python3', '-c', 'import psycopg2'), $_[0], $_[1]) } },
	'psql' => { block => 'sql', file => 'worker.sql', command => sub { ('psql', '-X', '-q', '-v', "worker=$_[1]", '-f', $_[0]) } });

my $node = start_node('listeners');
my $dbh = connect_to($node);

$dbh->do(q{SELECT kin_tr.setup_workspace('Bank')});
$dbh->do(q{CREATE ROLE bot LOGIN});
$dbh->do(q{SELECT kin_tr.grant_access('bot', 'app')});
wait_for_worker($node, 'postgres', $_) for qw(router relay);

sub create_tasks
{
	my ($name, $n) = @_;

	$dbh->do(q{SELECT kin_tr.create_task(jsonb_build_object('for', ?::text), routing_target => (SELECT sid FROM kin_tr.get_worker(?)),
		ignore_capacity => false) FROM generate_series(1, ?)}, undef, $name, $name, $n);
	return;
}

# How many of a worker's tasks are in a state.
sub completed
{
	my ($name, $n, $what) = @_;

	query_until($node, 'postgres', "SELECT count(*) = $n FROM kin_tr.all_tasks WHERE attributes ->> 'for' = '$name'"
		. " AND assignment_status = 'completed'", $what);
	return;
}

# ES modules are not looked for in NODE_PATH, but in the program's folder.
my $packages = $ENV{NODE_PATH} // '';

die 'no Node.js package pg: make setup installs it' if !-d "$packages/pg";
symlink $packages, "$folder/node_modules" or die "symlink: $!";
local $ENV{PGHOST} = $node->host;
local $ENV{PGPORT} = $node->port;
local $ENV{PGDATABASE} = 'postgres';
local $ENV{PGUSER} = 'bot';

for my $name (sort keys %programs)
{
	my $program = $programs{$name};
	my ($text) = $page =~ /^```$program->{block}\n(.*?)^```/ms;
	my $worker = lc $name =~ s/\W//gr;
	my ($out, $err) = ('', '');

	ok($text, "docs/listeners.md has a program for $name");
	cmp_ok(() = $text =~ /\n/g, '<=', 25, '... of 25 lines at most');
	append_to_file("$folder/$program->{file}", $text);

	# Ten at once, of which one was accepted by a program that is no more.
	$dbh->do(q{SELECT kin_tr.create_worker(?, '{}', 'Available'), kin_tr.update_worker_channel(?, 'default', 10)}, undef, $worker, $worker);
	create_tasks($worker, 30);
	query_until($node, 'postgres', "SELECT count(*) = 10 FROM kin_tr.active_reservations('$worker')", 'thirty tasks wait, and ten are offered');
	$dbh->do(q{SELECT kin_tr.accept_reservation(sid) FROM kin_tr.active_reservations(?) LIMIT 1}, undef, $worker);
	my $run = IPC::Run::start([ $program->{command}->("$folder/$program->{file}", $worker) ], '<', \undef, '>', \$out,
		'2>', \$err, IPC::Run::timeout(180));
	completed($worker, 30, '... it takes them all') or diag($err);
	create_tasks($worker, 20);
	completed($worker, 50, '... and twenty that come later');
	$run->pump while $run->pumpable && (() = $out =~ /working/g) < 50;
	ok($run->pumpable, '... and goes on') or diag($err);
	$run->kill_kill;
	is(scalar(() = $out =~ /working/g), 50, '... having worked on each once');
	is($err, '', '... without a complaint');
}

is_sound($dbh, 'afterwards');
$dbh->disconnect;
$node->stop;
done_testing();
