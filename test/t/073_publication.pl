# A publication FOR ALL TABLES, as for an analytical copy, stops no statement of
# kin_tr: each table has a primary key, and so have the partitions to come.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Utils;
use Test::More;

use KinTr::Cluster;

my $node = start_node('publication', conf => "wal_level = logical\nkin_tr.sweep_interval = 1");
my $db = connect_to($node);

sub value { my ($sql, @values) = @_; return scalar $db->selectrow_array($sql, undef, @values); }

sub tables_without_key
{
	return join ' ', @{ $db->selectcol_arrayref(q{
		SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'kin_tr'::regnamespace AND c.relkind = 'r'
		   AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary) ORDER BY 1}) };
}

is(tables_without_key(), '', 'each table has a primary key');
$db->do('CREATE PUBLICATION everything FOR ALL TABLES');

# The first hours, in real time: a call, an answer, history, the bell, the sweep.
$db->do('LISTEN kin_tr');
$db->do(q{SELECT kin_tr.create_workspace('centre', 'FIFO'), kin_tr.create_worker('Alice', activity => 'Available')});
my $task = value(q{SELECT kin_tr.create_task(idempotency_key => 'k')});

query_until($node, 'postgres', 'SELECT count(*) = 1 FROM kin_tr.reservations WHERE is_open', 'the router offers');
$db->do('SELECT kin_tr.accept_reservation(sid) FROM kin_tr.active_reservations()');
$db->do('SELECT kin_tr.complete_task(?)', undef, $task);
$db->do(q{UPDATE kin_tr.tasks SET finished_at = finished_at - interval '5 minutes'});
query_until($node, 'postgres', "SELECT in_history FROM kin_tr.get_task('$task')", 'the task moves to history');
query_until($node, 'postgres', 'SELECT last_sweep IS NOT NULL FROM kin_tr.router_state', 'the sweep says when it ran');
query_until($node, 'postgres', 'SELECT count(*) = 1 FROM kin_tr.relay_state', 'the relay keeps its place');
my $place = value('SELECT cursor FROM kin_tr.relay_state');
$db->do('SELECT kin_tr.create_task()');
query_until($node, 'postgres', "SELECT cursor <> '$place' FROM kin_tr.relay_state", 'and moves it on');
query_until($node, 'postgres', q{SELECT count(*) > 3 FROM pg_class WHERE relnamespace = 'kin_tr'::regnamespace AND relname LIKE 'events\_%w%'}, 'partitions are made');
is(tables_without_key(), '', 'each of which has a primary key, too');

# By the clock: moves on, retention, keys, and what is of one row each.
$db->do('SELECT kin_tr.set_clock(now()), kin_tr.set_clock(now())');
$db->do(q{UPDATE kin_tr.idempotency_keys SET recorded_at = recorded_at - interval '8 days'});
$db->do(q{UPDATE kin_tr.events_default SET recorded_at = recorded_at - interval '31 days'});
$db->do('SELECT kin_tr.ring()');
$db->do('SELECT kin_tr.maintain()');
is(value('SELECT count(*) FROM kin_tr.idempotency_keys'), 0, 'keys are forgotten');
is(value('SELECT count(*) FROM kin_tr.events_dropped'), 1, 'retention notes how far it has dropped events');
$db->do(q{UPDATE kin_tr.events_default SET recorded_at = recorded_at - interval '31 days'});
is(sqlstate_of($db, 'SELECT kin_tr.maintain()'), '00000', 'once and again');
$db->do('CREATE ROLE app');
is(sqlstate_of($db, $_), '00000', $_)
	for q{SELECT kin_tr.grant_access('app', 'app', 'centre')}, q{SELECT kin_tr.grant_access('app', 'reader')},
	q{SELECT kin_tr.revoke_access('app', 'app', 'centre')}, q{SELECT kin_tr.revoke_access('app', 'reader')},
	q{SELECT kin_tr.update_worker('Alice', '{}', 'Bob')}, q{SELECT kin_tr.update_workspace('centre', friendly_name => 'C')},
	q{UPDATE kin_tr.home SET since = now()}, q{SELECT kin_tr.set_clock(NULL, true)}, q{SELECT kin_tr.delete_workspace('C')};
is(value('SELECT count(*) FROM kin_tr.check()'), 0, 'check() finds nothing');
my $log = PostgreSQL::Test::Utils::slurp_file($node->logfile);
unlike($log, qr/replica identity/, 'nothing has been refused for want of one');

$node->stop;
done_testing();
