# Code that the extension's owner has planted runs in the processes with the
# owner's rights and no more, whenever it runs; and no process ends by it.

use strict;
use warnings FATAL => 'all';

use Test::More;

use KinTr::Cluster;

my $node = start_node('owner', extension => 0, conf => "kin_tr.sweep_interval = 1\n");
my $super = connect_to($node);
my ($bootstrap) = $super->selectrow_array('SELECT current_user');

$super->do('CREATE ROLE founder LOGIN SUPERUSER');
$super->do('CREATE DATABASE founded OWNER founder');
my $founder = connect_to($node, 'founded', user => 'founder');
my $watcher = connect_to($node, 'founded');
$founder->do('CREATE EXTENSION kin_tr');
$super->do('ALTER ROLE founder NOSUPERUSER');

# What is planted tries to become a superuser in every way.  That it ran, and
# that it succeeded, is counted by sequences, which no rollback undoes.
my %planted = (function => 'a function', trigger => 'a trigger', index => 'an index expression',
	deferred => 'a deferred trigger');

$founder->do('CREATE SCHEMA spoils; CREATE SEQUENCE spoils.won; '
	. join ' ', map { "CREATE SEQUENCE spoils.ran_$_;" } keys %planted);
$founder->do(<<"SQL");
CREATE FUNCTION spoils.grab(what text) RETURNS void LANGUAGE plpgsql AS \$\$
DECLARE
    attempt text;
BEGIN
    PERFORM pg_catalog.nextval('spoils.ran_' || what);
    FOREACH attempt IN ARRAY ARRAY['ALTER ROLE founder SUPERUSER', 'RESET ROLE', 'SET ROLE $bootstrap',
        'RESET SESSION AUTHORIZATION', 'SET SESSION AUTHORIZATION $bootstrap',
        'CREATE ROLE accomplice SUPERUSER', 'COPY (SELECT 1) TO PROGRAM ''true'''] LOOP
        BEGIN
            EXECUTE attempt;
            IF attempt ~ '^(ALTER|CREATE|COPY)' OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
                PERFORM pg_catalog.nextval('spoils.won');
            END IF;
        EXCEPTION WHEN OTHERS THEN
        END;
    END LOOP;
    IF current_user <> 'founder' THEN
        PERFORM pg_catalog.nextval('spoils.won');
    END IF;
    IF current_setting('application_name') LIKE 'kin_tr %' THEN
        PERFORM pg_catalog.set_config('statement_timeout', '1', false), pg_catalog.set_config('search_path', 'spoils', false);
    END IF;
END \$\$;
CREATE FUNCTION spoils.trigger() RETURNS trigger LANGUAGE plpgsql AS \$\$
BEGIN
    PERFORM spoils.grab(TG_ARGV[0]);
    RETURN NEW;
END \$\$;
CREATE FUNCTION spoils.index(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS \$\$
BEGIN
    PERFORM spoils.grab('index');
    RETURN \$1;
END \$\$;
ALTER FUNCTION kin_tr._delete_keys(integer) RENAME TO _delete_keys_really;
CREATE FUNCTION kin_tr._delete_keys(max integer) RETURNS integer LANGUAGE plpgsql AS \$\$
BEGIN
    PERFORM spoils.grab('function');
    RETURN kin_tr._delete_keys_really(max);
END \$\$;
CREATE INDEX ON kin_tr.tasks (spoils.index(assignments));
CREATE TRIGGER planted BEFORE UPDATE ON kin_tr.router_state FOR EACH ROW EXECUTE FUNCTION spoils.trigger('trigger');
SQL

sub count_of
{
	my ($sequence) = @_;

	return $watcher->selectrow_array("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM spoils.$sequence");
}

sub pids { return join ' ', map { worker_pid($node, 'founded', $_) } qw(router relay); }

sub is_offered
{
	my ($what) = @_;
	my ($task) = $founder->selectrow_array('SELECT kin_tr.create_task()');

	query_until($node, 'founded', "SELECT assignment_status = 'reserved' FROM kin_tr.get_task('$task')", $what);
	return;
}

wait_for_worker($node, 'founded', $_) for qw(router relay);
$founder->do("SELECT kin_tr.setup_workspace('Centre')");
$founder->do("SELECT kin_tr.create_worker('Alice', activity => 'Available'), kin_tr.update_worker_channel('Alice', 'default', 1000)");
my $pids = pids();
# What has run in the founder's own sessions, as the index expression has, does not count.
my %before = map { $_ => count_of("ran_$_") } keys %planted;

is_offered('tasks are offered under an owner who is no superuser');
query_until($node, 'founded', "SELECT CASE WHEN is_called THEN last_value ELSE 0 END > $before{$_} + 1 FROM spoils.ran_$_",
	"$planted{$_} of the owner's runs in a process") for qw(function trigger index);

# Deferred to the commit it would run when all is done, so it may not be.
my $log = -s $node->logfile;

$founder->do("CREATE CONSTRAINT TRIGGER planted AFTER INSERT OR UPDATE ON kin_tr.relay_state DEFERRABLE INITIALLY DEFERRED"
	. " FOR EACH ROW EXECUTE FUNCTION spoils.trigger('deferred')");
is_offered('tasks are offered while a deferred trigger is in the relay\'s way');
query_until($node, 'founded', "SELECT state = 'fault' AND detail ~ 'cannot fire deferred trigger' FROM kin_tr.health() WHERE item = 'relay'",
	'... of which health() tells');
is(count_of('ran_deferred'), 0, '... and which does not run');
$founder->do('DROP TRIGGER planted ON kin_tr.relay_state');
query_until($node, 'founded', "SELECT state = 'ok' FROM kin_tr.health() WHERE item = 'relay'", '... until it is gone');

is(count_of('won'), 0, 'none of them has got more than the owner\'s rights');
is($super->selectrow_array("SELECT string_agg(rolname, ' ') FROM pg_roles WHERE rolsuper"), $bootstrap, '... and nobody is a superuser who was none');
is(pids(), $pids, '... and no process has ended by it');
is($watcher->selectrow_array("SELECT count(*) FROM kin_tr.check()"), 0, 'check() finds nothing');

# Who is the owner no more is admin no more, in the session that he has open, too.
my $access = 'SELECT string_agg(DISTINCT kin_tr._access_in(sid), $1) FROM unnest($2::kin_tr.sid[]) sid';
my $workspaces = $watcher->selectrow_array('SELECT array_agg(sid)::text FROM kin_tr.workspaces');

is($founder->selectrow_array($access, undef, ' ', $workspaces), 'admin', 'the owner is admin everywhere');
$watcher->do('CREATE ROLE heir');
$watcher->do('REASSIGN OWNED BY founder TO heir');
$watcher->do('GRANT USAGE ON SCHEMA kin_tr TO founder; GRANT EXECUTE ON FUNCTION kin_tr._access_in TO founder');
is($founder->selectrow_array($access, undef, ' ', $workspaces), 'none', 'and nothing any more once another is');

done_testing();
