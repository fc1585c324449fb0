# Processes go by settings of their own, whatever the cluster, the database and
# the role have set: under hostile ones they route, time out, ring and make
# partitions as ever.

use strict;
use warnings FATAL => 'all';

use IO::Select;
use Test::More;

use KinTr::Cluster;
use KinTr::Hostile;

my $node = start_node('hostile', extension => 0, conf => "kin_tr.sweep_interval = 1\n");

# Processes connect as the first superuser, the test as another.
$node->safe_psql('postgres', 'CREATE ROLE tester SUPERUSER LOGIN');
$node->safe_psql('postgres', "SET allow_in_place_tablespaces = on; CREATE TABLESPACE elsewhere LOCATION ''");
my $dbh = connect_to($node, 'postgres', user => 'tester');
my ($first) = $dbh->selectrow_array('SELECT rolname FROM pg_roles WHERE oid = 10');
$dbh->do('CREATE ACCESS METHOD other TYPE TABLE HANDLER heap_tableam_handler');
my ($version) = $dbh->selectrow_array("SELECT current_setting('server_version_num')::integer / 10000");

# What would end the test's own sessions, too, is for the processes' role alone.
my %ends = (
	exit_on_error => 'on',
	statement_timeout => '1ms',
	lock_timeout => '1ms',
	idle_in_transaction_session_timeout => '1ms',
	idle_session_timeout => '1ms',
	default_transaction_read_only => 'on',
	default_transaction_isolation => 'serializable',
	session_replication_role => 'replica',
	default_table_access_method => 'other',
	row_security => 'off',
	zero_damaged_pages => 'on',
	ignore_checksum_failure => 'on',
	$version >= 16 ? 'debug_parallel_query' : 'force_parallel_mode' => 'regress',
	max_parallel_workers_per_gather => 8,
	jit => 'on',
	jit_above_cost => 0,
	track_counts => 'off',
	$version >= 17 ? (transaction_timeout => '1ms') : (),
);
my %everyones;

# A third each by the cluster, the database and the role; memory is the cluster's to say.
my @names = sort grep { !/^(?:search_path|work_mem|default_transaction_isolation|standard_conforming_strings)$/ } keys %hostile;
for my $i (0 .. $#names)
{
	push @{ $everyones{ $i % 3 } }, $names[$i];
}
$node->append_conf('postgresql.conf', settings_as_conf(map { $_ => $hostile{$_} } @{ $everyones{0} }));
$dbh->do($_) for settings_as_sql('ALTER DATABASE postgres', map { $_ => $hostile{$_} } @{ $everyones{1} }),
	settings_as_sql("ALTER ROLE $first", %ends, map { $_ => $hostile{$_} } @{ $everyones{2} }),
	settings_as_sql("ALTER ROLE $first IN DATABASE postgres",
		map { $_ => $hostile{$_} } qw(search_path work_mem standard_conforming_strings));
$dbh->disconnect;
$node->restart;

$dbh = connect_to($node, 'postgres', user => 'tester');
# Names and places of the test's own are as usual.
$dbh->do("SET search_path = public; SET default_tablespace = ''; SET temp_file_limit = -1");
$dbh->do('CREATE EXTENSION kin_tr');

sub soon
{
	my ($query, $what) = @_;
	my $until = time() + 60;
	my $found;

	IO::Select->new->can_read(0.1) until ($found = $dbh->selectrow_array($query)) || time() > $until;
	ok($found, $what);
	return;
}

# A trigger of the owner's tells which settings the router has.
$dbh->do('CREATE TABLE public.seen (name text, setting text)');
$dbh->do(q{CREATE FUNCTION public.see() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		DELETE FROM public.seen;
		INSERT INTO public.seen SELECT name, setting FROM pg_catalog.pg_settings;
		RETURN NEW;
	END $$});
$dbh->do('CREATE TRIGGER see BEFORE UPDATE ON kin_tr.router_state FOR EACH ROW EXECUTE FUNCTION public.see()');
$dbh->do("SELECT kin_tr.setup_workspace('Centre')");
$dbh->do("SELECT kin_tr.update_workflow('Default Workflow', task_reservation_timeout => 1)");
$dbh->do("SELECT kin_tr.create_worker('Alice', activity => 'Available')");
$dbh->do('LISTEN kin_tr');
my ($task) = $dbh->selectrow_array('SELECT kin_tr.create_task()');

soon("SELECT reservation_status = 'timeout' FROM kin_tr.reservations WHERE task_sid = '$task'", 'a task is offered, and the offer times out');
soon('SELECT count(*) > 0 FROM public.seen', 'the sweep runs');
soon("SELECT count(*) >= 9 FROM pg_class WHERE relname ~ '^(events|task_history|reservation_history)_[0-9]'", 'partitions are made');
is($dbh->selectrow_array(q{SELECT count(*) FROM pg_class WHERE relnamespace = 'kin_tr'::regnamespace
	AND relname ~ '_[0-9]{4}w' AND (reltablespace <> 0 OR relam NOT IN (0, 2, 403))}), 0, '... where all tables are');
ok($dbh->pg_notifies, 'the bell rings');
is($dbh->selectrow_array(q{SELECT string_agg(item || ': ' || detail, '; ') FROM kin_tr.health() WHERE state <> 'ok'}), undef, 'health() is content');

# The same settings, as a session of the processes' role has them.
my %of_role = map { @$_ } @{ $dbh->selectall_arrayref(q{SELECT lower(name), setting FROM public.seen}) };
my %is_hostile = (%hostile, %ends);
my @kept;

# As pg_settings tells it; of a timeout, which would end this session, without trying.
sub canonical
{
	my ($name, $setting) = @_;

	return $1 if $name =~ /timeout/ && $setting =~ /^(\d+)ms$/;
	$dbh->begin_work;
	$dbh->do(q{SELECT set_config($1, $2, true)}, undef, $name, $setting);
	($setting) = $dbh->selectrow_array('SELECT setting FROM pg_settings WHERE lower(name) = lower($1)', undef, $name);
	$dbh->rollback;
	return $setting;
}

for my $name (sort keys %is_hostile)
{
	next if !defined $of_role{ lc $name };
	my $setting = canonical($name, $is_hostile{$name});
	push @kept, "$name = $setting" if $setting eq $of_role{ lc $name };
}
is(join('; ', @kept), '', 'none of the settings has come to the router');
cmp_ok(scalar(grep { defined $of_role{ lc $_ } } keys %is_hostile), '>', 50, '... of more than fifty');
is($dbh->selectrow_array('SELECT count(*) FROM kin_tr.check()'), 0, 'check() finds nothing');
$dbh->disconnect;

done_testing();
