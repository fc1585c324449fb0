# Access is given to a role, not to a name: a role that is renamed or dropped takes
# nobody else's along and leaves nobody its own.  What a DBA has granted stays, and
# a dump restores where the roles are not there.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Utils;
use Test::More;

use KinTr::Cluster;

my $node = start_node('access', preload => 0);
my $dbh = connect_to($node);

sub value { my ($db, $sql, @values) = @_; return scalar $db->selectrow_array($sql, undef, @values); }
sub lines { my ($db, $sql, @values) = @_; return join "\n", map { join ' ', map { $_ // '-' } @$_ } @{ $db->selectall_arrayref($sql, undef, @values) }; }

# The kind of access that a role has in a workspace, as a function of the API sees it.
sub kind_of
{
	my ($db, $role, $workspace) = @_;

	$db->begin_work;
	$db->do(qq{GRANT USAGE ON SCHEMA kin_tr TO "$role"; GRANT EXECUTE ON FUNCTION kin_tr._access_in TO "$role"});
	my $sid = value($db, 'SELECT sid::text FROM kin_tr.workspaces WHERE friendly_name = ?', $workspace // 'mine');
	$db->do(qq{SET LOCAL ROLE "$role"});
	my $kind = value($db, 'SELECT kin_tr._access_in(?)', $sid);
	$db->rollback;
	return $kind;
}

# Everything of PostgreSQL's privileges in the schema that a role has by itself.
sub privileges_of
{
	my ($db, $role) = @_;

	return lines($db, q{
		SELECT o.name, a.privilege_type
		  FROM (SELECT 'schema' AS name, nspacl AS acl FROM pg_namespace WHERE nspname = 'kin_tr'
		        UNION ALL SELECT c.oid::regclass::text, c.relacl FROM pg_class c WHERE c.relnamespace = 'kin_tr'::regnamespace
		        UNION ALL SELECT p.oid::regprocedure::text, p.proacl FROM pg_proc p WHERE p.pronamespace = 'kin_tr'::regnamespace) o, aclexplode(o.acl) a
		 WHERE a.grantee = (SELECT oid FROM pg_roles WHERE rolname = ?) ORDER BY 1, 2}, $role);
}

$dbh->do('SET client_min_messages = error');
$dbh->do(q{SELECT kin_tr.set_clock('2026-01-05 09:00Z'), kin_tr.create_workspace('mine', 'FIFO'), kin_tr.create_workspace('theirs', 'FIFO')});

# ---------------------------------------------------------------- renamed roles

$dbh->do('CREATE ROLE a');
$dbh->do(q{SELECT kin_tr.grant_access('a', 'app')});
is(kind_of($dbh, 'a'), 'app', 'a has access');
$dbh->do('ALTER ROLE a RENAME TO b');
is(kind_of($dbh, 'b'), 'none', 'once renamed, it has none');
is(lines($dbh, 'SELECT invariant, object, detail FROM kin_tr.check()'), 'a role with access is there, under its name - a', 'which check() tells');
$dbh->do('CREATE ROLE a');
is(kind_of($dbh, 'a'), 'none', 'another of the name has none either');
$dbh->do(q{SELECT kin_tr.grant_access('a', 'reader')});
is(join(' ', map { kind_of($dbh, $_) } qw(a b)), 'reader none', 'but what it is given itself');
is(value($dbh, 'SELECT kin_tr.rebind_access()'), 0, 'rebind_access() takes no side between the two');
is(join(' ', map { kind_of($dbh, $_) } qw(a b)), 'reader none', '... and changes nothing');
$dbh->do(q{SELECT kin_tr.revoke_access('a', 'reader')});
is(join(' ', map { kind_of($dbh, $_) } qw(a b)), 'none none', 'taken back, it has nothing left');
is(privileges_of($dbh, 'a'), '', '... nor have PostgreSQL\'s grants');
$dbh->do(q{SELECT kin_tr.grant_access('b', 'app')});
is(join(' ', map { kind_of($dbh, $_) } qw(a b)), 'none app', 'the renamed one has it again once it is granted anew');
is(value($dbh, 'SELECT count(*) FROM kin_tr.check()'), 0, '... which replaces what was left behind');
$dbh->do(q{SELECT kin_tr.revoke_access('b', 'app')});
is(privileges_of($dbh, 'b'), '', 'taken back, that one has no grant of PostgreSQL left either');
is(value($dbh, 'SELECT count(*) FROM kin_tr.access') + value($dbh, 'SELECT count(*) FROM kin_tr.access_grants'), 0, 'nothing is left in the tables');

# Two roles change names.
$dbh->do(q{SELECT kin_tr.grant_access('b', 'app', 'mine')});
$dbh->do('ALTER ROLE a RENAME TO x; ALTER ROLE b RENAME TO a; ALTER ROLE x RENAME TO b');
is(join(' ', map { kind_of($dbh, $_) } qw(a b)), 'none none', 'two roles change names, and neither has anything');
is(sqlstate_of($dbh, q{SELECT kin_tr.revoke_access('b', 'app', 'mine')}), '42704', 'what is left behind is not of the one that has the name');
is(sqlstate_of($dbh, q{SELECT kin_tr.revoke_access('a', 'app', 'mine')}), '00000', '... but of the one that had it');
is(value($dbh, 'SELECT count(*) FROM kin_tr.access') + value($dbh, 'SELECT count(*) FROM kin_tr.access_grants'), 0, '... and then nothing is left');

# A dropped role leaves nothing to the next of its name.
$dbh->do(q{SELECT kin_tr.grant_access('a', 'admin', 'mine')});
$dbh->do('DROP OWNED BY a; DROP ROLE a; CREATE ROLE a');
is(kind_of($dbh, 'a'), 'none', 'the next role of a name has not what a dropped one had');
$dbh->do(q{SELECT kin_tr.grant_access('a', 'reader', 'mine')});
is(kind_of($dbh, 'a'), 'reader', '... but what it is given');
$dbh->do(q{SELECT kin_tr.revoke_access('a', 'admin', 'mine'), kin_tr.revoke_access('a', 'reader', 'mine')});

# ------------------------------------------------------------- a DBA's own grants

$dbh->do('CREATE ROLE boss; CREATE ROLE grafana; CREATE ROLE desk');
$dbh->do(q{SELECT kin_tr.grant_access('boss', 'admin', 'mine'), kin_tr.grant_access('desk', 'supervisor', 'theirs')});
# Of both workspaces, for it gives access to one whose access to the other is not to become ambiguous.
$dbh->do(q{SELECT kin_tr.grant_access('boss', 'admin', 'theirs')});
$dbh->do('GRANT USAGE ON SCHEMA kin_tr TO grafana; GRANT SELECT ON kin_tr.router_state, kin_tr.tasks, kin_tr.clock TO grafana;'
	. ' GRANT EXECUTE ON FUNCTION kin_tr.check(), kin_tr.health() TO grafana; GRANT SELECT ON kin_tr.router_state TO desk');
my %before = map { $_ => privileges_of($dbh, $_) } qw(grafana desk);

sub as_boss
{
	my ($statement) = @_;

	$dbh->begin_work;
	$dbh->do('SET LOCAL ROLE boss');
	$dbh->do($statement);
	$dbh->commit;
	return;
}

for my $role (qw(grafana desk))
{
	as_boss("SELECT kin_tr.grant_access('$role', 'admin', 'mine')");
	is(kind_of($dbh, $role), 'admin', "an administrator of a workspace gives $role access");
	is(privileges_of($dbh, $role), join("\n", sort { $a cmp $b } keys %{{ map { $_ => 1 } split(/\n/, $before{$role}), split(/\n/, privileges_of($dbh, 'boss')) }}),
		'... and with it what PostgreSQL needs');
	as_boss("SELECT kin_tr.grant_access('$role', 'app', 'mine')");
	as_boss("SELECT kin_tr.revoke_access('$role', 'admin', 'mine')");
	is(kind_of($dbh, $role), 'app', '... takes some of it back');
	as_boss("SELECT kin_tr.revoke_access('$role', 'app', 'mine')");
	is(privileges_of($dbh, $role), $before{$role}, '... and all of it, but nothing of what others have granted');
}

# --------------------------------------------------------- of two workspaces

# Who has access to two must say which one it means: an admin of one does not do that to a client of the other.
$dbh->do(q{CREATE ROLE clients; CREATE ROLE client LOGIN IN ROLE clients; CREATE ROLE chief});
$dbh->do(q{SELECT kin_tr.revoke_access('boss', 'admin', 'theirs'), kin_tr.grant_access('client', 'app', 'theirs'), kin_tr.grant_access('chief', 'admin', 'theirs')});
for my $role (qw(client clients))
{
	$dbh->begin_work;
	$dbh->do('SET LOCAL ROLE boss');
	is(sqlstate_of($dbh, "SELECT kin_tr.grant_access('$role', 'reader', 'mine')"), '42501', "an admin of another workspace cannot give $role access");
	like($dbh->errstr, qr/has access to a workspace whose admin you are not/, '... and is told why');
	$dbh->rollback;
}
$dbh->begin_work;
$dbh->do('SET LOCAL ROLE boss');
is(sqlstate_of($dbh, "SELECT kin_tr.grant_access('pg_monitor', 'reader', 'mine')"), '42501', '... nor any to a role of the whole cluster');
like($dbh->errstr, qr/predefined role "pg_monitor"/, '... and is told why');
$dbh->rollback;
$dbh->do(q{SELECT kin_tr.grant_access('pg_monitor', 'reader', 'mine'), kin_tr.revoke_access('pg_monitor', 'reader', 'mine')});
pass('the owner may');
my $client = connect_to($node, 'postgres', user => 'client');

is($client->selectrow_array('SELECT friendly_name FROM kin_tr.get_workspace()'), 'theirs', 'so a call that names no workspace means what it meant');
$dbh->do(q{SELECT kin_tr.grant_access('client', 'reader', 'mine')});
is(sqlstate_of($client, 'SELECT kin_tr.get_workspace()'), 'KT012', 'the owner may give it access to a second one');
$dbh->do(q{SELECT kin_tr.revoke_access('client', 'reader', 'mine')});
as_boss(q{SELECT kin_tr.revoke_access('boss', 'admin', 'mine')});
$dbh->do(q{SELECT kin_tr.grant_access('boss', 'admin', 'mine')});

# An open transaction that gives a role its first access holds up another's first, but not for ever, and nothing else.
$dbh->do('CREATE ROLE first; CREATE ROLE second');
my $open = connect_to($node);

$open->begin_work;
$open->do('SET LOCAL ROLE boss');
$open->do(q{SELECT kin_tr.grant_access('first', 'reader', 'mine')});
$dbh->begin_work;
$dbh->do('SET LOCAL ROLE chief');
$dbh->do(q{SELECT kin_tr.grant_access('client', 'supervisor', 'theirs'), kin_tr.revoke_access('client', 'supervisor', 'theirs')});
pass('what a role has already is changed meanwhile');
is(sqlstate_of($dbh, q{SELECT kin_tr.grant_access('second', 'reader', 'theirs')}), '55P03', 'a first access waits, but not for as long as another likes');
like($dbh->errstr, qr/another transaction is granting access.*It is that of process \d+/s, '... whose process is named');
$dbh->rollback;
$open->rollback;
$dbh->do(q{SELECT kin_tr.grant_access('second', 'reader', 'theirs'), kin_tr.revoke_access('second', 'reader', 'theirs')});
$_->disconnect for $open, $client;

as_boss(q{SELECT kin_tr.grant_access('grafana', 'admin', 'mine')});
$dbh->do(q{SELECT kin_tr.delete_workspace('mine')});
is(privileges_of($dbh, 'grafana'), $before{grafana}, 'a deleted workspace takes along what it gave, and no more');

# ------------------------------------------------------------------ type sid

$dbh->do('CREATE TABLE orders (task kin_tr.sid PRIMARY KEY, also kin_tr.sid); CREATE INDEX ON orders USING hash (also); CREATE ROLE outsider; GRANT ALL ON orders TO outsider');
$dbh->do(q{INSERT INTO orders VALUES ('WT00000000000000000000000000000001', 'WT00000000000000000000000000000002')});
$dbh->begin_work;
$dbh->do('SET LOCAL ROLE outsider');
is(sqlstate_of($dbh, $_), '00000', "a role without access, with a sid in its table: $_") for
	q{INSERT INTO orders VALUES ('WT00000000000000000000000000000003', NULL)},
	q{SELECT * FROM orders WHERE task = 'WT00000000000000000000000000000001'}, q{SELECT * FROM orders WHERE task = 'WT00000000000000000000000000000001'::text},
	q{SELECT * FROM orders WHERE 'WT00000000000000000000000000000001'::text = task}, q{SELECT * FROM orders a JOIN orders b ON a.task = b.also},
	q{SELECT task FROM orders WHERE task <> also OR task < also OR task <= also OR task > also OR task >= also ORDER BY task DESC},
	q{SELECT DISTINCT task, count(*) FROM orders GROUP BY task}, q{SELECT task::text, upper(task), 'Task ' || task, task || '!' FROM orders},
	q{SELECT (row_to_json(o)) FROM orders o}, q{UPDATE orders SET also = task}, q{UPDATE orders SET also = task::text}, q{DELETE FROM orders};
$dbh->rollback;

# -------------------------------------------------------- a dump without roles

$dbh->do('CREATE ROLE clerk; CREATE ROLE gone; CREATE ROLE namesake');
$dbh->do(q{SELECT kin_tr.grant_access('clerk', 'app', 'theirs'), kin_tr.grant_access('gone', 'app'), kin_tr.grant_access('namesake', 'reader')});
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump';
my $privileges = privileges_of($dbh, 'clerk');
my $rows = lines($dbh, 'SELECT role, kind, scope FROM kin_tr.access ORDER BY 1, 2, 3');

$node->command_ok([ 'pg_dump', '-Fc', '-d', 'postgres', '-f', $dump ], 'pg_dump');
$dbh->disconnect;
$node->stop;

my $other = start_node('other', preload => 0, extension => 0);

$other->safe_psql('postgres', 'CREATE ROLE outsider; CREATE ROLE somebody; CREATE ROLE namesake');
$other->command_ok([ 'pg_restore', '-e', '--no-acl', '-d', 'postgres', $dump ], 'it restores without the roles');
$dbh = connect_to($other);
$dbh->do('SET client_min_messages = error');
is(lines($dbh, 'SELECT role, kind, scope FROM kin_tr.access ORDER BY 1, 2, 3'), $rows, 'what they had is still written');
is(join(' ', map { kind_of($dbh, $_, 'theirs') } qw(namesake somebody)), 'none none', 'and gives nobody anything');
$dbh->do('SELECT * FROM kin_tr.resume_after_restore()');
is(kind_of($dbh, 'namesake', 'theirs'), 'reader', 'resume_after_restore() gives it to the roles that are there');
$dbh->do('CREATE ROLE clerk');
is(kind_of($dbh, 'clerk', 'theirs'), 'none', 'a role that is made afterwards has nothing yet');
is(value($dbh, 'SELECT kin_tr.rebind_access()'), 1, 'rebind_access() gives it to the role');
is(kind_of($dbh, 'clerk', 'theirs'), 'app', '... which has it then');
is(privileges_of($dbh, 'clerk'), $privileges, '... with all that PostgreSQL must let it do');
is(value($dbh, 'SELECT kin_tr.rebind_access()'), 0, 'a second call finds nothing more');
$dbh->do(q{SELECT kin_tr.revoke_access('clerk', 'app', 'theirs')});
is(privileges_of($dbh, 'clerk'), '', 'and what was given so is taken back whole');
$dbh->disconnect;
$other->stop;
done_testing();
