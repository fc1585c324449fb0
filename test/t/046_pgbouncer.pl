# What docs/pgbouncer.md says of PgBouncer in transaction mode is so.  Needs what
# "make setup" installs.

use strict;
use warnings FATAL => 'all';

use DBI;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use KinTr::Cluster;

my $node = start_node('pgbouncer');
my $direct = connect_to($node);
my $folder = PostgreSQL::Test::Utils::tempdir_short();
my $port = PostgreSQL::Test::Cluster::get_free_port();

$direct->do("SELECT kin_tr.create_workspace('$_', 'FIFO')") for qw(Bank Shop);
$direct->do("CREATE ROLE $_ LOGIN; SELECT kin_tr.grant_access('$_', 'app')") for qw(app shop_app);
$direct->do("ALTER ROLE shop_app SET kin_tr.workspace = 'Shop'");

append_to_file("$folder/users", qq("app" ""\n"shop_app" ""\n));
append_to_file("$folder/pgbouncer.ini", <<"INI");
[databases]
pool = host=@{[ $node->host ]} port=@{[ $node->port ]} dbname=postgres pool_mode=transaction pool_size=1
bell = host=@{[ $node->host ]} port=@{[ $node->port ]} dbname=postgres pool_mode=session
[pgbouncer]
listen_port = $port
unix_socket_dir = $folder
auth_type = trust
auth_file = $folder/users
logfile = $folder/log
pidfile = $folder/pid
INI
my $pooler = IPC::Run::start([ find_program('pgbouncer'), '-q', "$folder/pgbouncer.ini" ], '>', \my $out, '2>', \my $err);

# A client of the pooler, which may still be about to open its socket.
sub client
{
	my ($database, $user) = @_;

	for my $attempt (1 .. 1800)
	{
		my $dbh = DBI->connect("dbi:Pg:dbname=$database;host=$folder;port=$port;user=$user", undef, undef,
			{ RaiseError => 0, PrintError => 0, AutoCommit => 1, pg_server_prepare => 0 });

		if ($dbh) { $dbh->{RaiseError} = 1; return $dbh; }
		select undef, undef, undef, 0.1;
	}
	die "pgbouncer does not answer: $DBI::errstr";
}

sub workspace_of { return scalar $_[0]->selectrow_array('SELECT friendly_name FROM kin_tr.get_workspace()'); }

# ------------------------------------------------------------------ the setting

my $one = client('pool', 'app');
my $other = client('pool', 'app');

$one->do(q{SET kin_tr.workspace = 'Bank'});
is(workspace_of($other), 'Bank', 'SET leaks to the next client of the server connection');
$one->do('RESET kin_tr.workspace');
is(eval { workspace_of($other) } // $other->state, 'KT012', 'and without it nobody is in a workspace by chance');

$one->begin_work;
$one->do(q{SET LOCAL kin_tr.workspace = 'Bank'});
is(workspace_of($one), 'Bank', 'SET LOCAL holds for the transaction');
$one->commit;
is(eval { workspace_of($other) } // $other->state, 'KT012', '... and leaks to nobody');
is(workspace_of(client('pool', 'shop_app')), 'Shop', 'a setting of the role holds for the role');
is(eval { workspace_of($other) } // $other->state, 'KT012', '... and for no other');
ok($one->selectrow_array(q{SELECT kin_tr.create_task('{}', workspace => 'Bank')}), 'and a call can name the workspace');

# A pooler follows what the server reports, from the beginning of a connection on.
my $reported = q{
import psycopg2, sys
db = psycopg2.connect(sys.argv[1])
said = [db.get_parameter_status('kin_tr.workspace')]
db.cursor().execute("SET kin_tr.workspace = 'Bank'")
said.append(db.get_parameter_status('kin_tr.workspace'))
print(said)
};
my ($said, $complaint) = run_command([ find_program('python3', '-c', 'import psycopg2'), '-c', $reported, $node->connstr('postgres') . ' user=shop_app' ]);

is($said, "['Shop', 'Bank']", 'the server reports the setting, and its changes') or diag($complaint);

# ----------------------------------------------------------------------- LISTEN

my $session = client('bell', 'app');
$one->do('LISTEN kin_tr');
$_->do('LISTEN kin_tr') for $session, $direct;
$direct->do(q{SELECT kin_tr.create_task('{}', workspace => 'Bank')});

# Both of these are told; the third one's server connection has been told too, while nobody used it, or tells
# the next client that does.
sub rung { my ($dbh) = @_; my $bell = $dbh->pg_notifies; return defined $bell; }
for my $listener ([ $direct, 'a direct connection' ], [ $session, 'a client in session mode' ])
{
	my ($dbh, $who) = @$listener;
	my $heard = 0;

	for (1 .. 1800) { last if $heard = rung($dbh); select undef, undef, undef, 0.1; $dbh->do('SELECT 1') if $dbh != $direct; }
	ok($heard, "$who hears the bell");
}
$_->do('SELECT 1') for $other, $one;
ok(!rung($one), 'a client in transaction mode does not');

$_->disconnect for $one, $other, $session, $direct;
$pooler->signal('INT');
$pooler->finish;
$node->stop;
done_testing();
