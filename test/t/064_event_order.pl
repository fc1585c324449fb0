# The order of an object's events by their ids is that of its versions, also where
# a call about several objects waits for one that others change meanwhile.

use strict;
use warnings FATAL => 'all';

use Test::More;

use KinTr::Cluster;

my $node = start_node('order', preload => 0);
my ($dbh, $busy, $waiting) = map { connect_to($node) } 1 .. 3;

sub value { my ($db, $sql, @values) = @_; return scalar $db->selectrow_array($sql, undef, @values); }

$_->do('SET client_min_messages = error') for $dbh, $busy, $waiting;
$dbh->do(q{SELECT kin_tr.create_workspace('centre', template => 'FIFO')});
$dbh->do(q{SELECT kin_tr.create_worker(name, activity => 'Available') FROM unnest('{Alice}'::text[]) name});

# A rejection locks and changes its task first, and then waits for the worker, whom
# another session changes meanwhile.
$dbh->do('SELECT kin_tr.create_task()');
$dbh->do('SELECT kin_tr.tick()');
my $offer = value($dbh, q{SELECT sid FROM kin_tr.active_reservations()});
my $change = q{SELECT kin_tr.update_worker('Alice', jsonb_build_object('change', random()))};

$busy->begin_work;
$busy->do($change);
$waiting->do("SELECT kin_tr.reject_reservation('$offer', activity => 'Offline')", { pg_async => DBD::Pg::PG_ASYNC() });
query_until($node, 'postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'}, 'a rejection waits for the worker');
$busy->do($change) for 1 .. 3;
$busy->commit;
$waiting->pg_result;
is(value($dbh, q{SELECT string_agg(event_type, ' ' ORDER BY id DESC) LIKE 'worker.activity.update worker.attributes.update%' FROM kin_tr.events WHERE resource_sid::text LIKE 'WK%'}), 1,
	'its change of the worker is the last one');
is_sound($dbh, 'beside another');

# A trigger of the owner's that catches an error takes no event along that was there before.
$dbh->do(q{CREATE FUNCTION stumble() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		BEGIN
			PERFORM 1 / 0;
		EXCEPTION WHEN division_by_zero THEN
		END;
		RETURN NEW;
	END $$});
$dbh->do('CREATE TRIGGER stumble BEFORE UPDATE ON kin_tr.workers FOR EACH ROW EXECUTE FUNCTION stumble()');
$dbh->do(q{SELECT kin_tr.update_worker_activity('Alice', 'Available')});
$dbh->do('SELECT kin_tr.tick()');
$offer = value($dbh, q{SELECT sid FROM kin_tr.active_reservations()});
$dbh->do("SELECT kin_tr.reject_reservation('$offer', activity => 'Offline')");
is(value($dbh, 'SELECT string_agg(event_type, $1 ORDER BY id) FROM kin_tr.events WHERE resource_sid = $2', ' ', $offer), 'reservation.created reservation.rejected',
	'a trigger catches an error, and nothing is lost');
is_sound($dbh, 'beside a trigger');

$_->disconnect for $dbh, $busy, $waiting;
$node->stop;
done_testing();
