# A transaction that simulates, with the clock set and ticked on, takes as long for a
# task after thousands of them as for the first, though of all that it has changed the
# dead rows stay until it ends.

use strict;
use warnings FATAL => 'all';

use Test::More;

use KinTr::Cluster;

use constant { BLOCKS => 6, LIVES => 500 };

my $node = start_node('simulation', preload => 0, conf => "autovacuum = off\n");
my $dbh = connect_to($node);

# Lives of tasks, each alone: of each block the medians of a life's time, in ms, and of
# the rows and entries of indexes that were read for it in kin_tr's tables.
$dbh->do(q{
CREATE FUNCTION simulate(blocks integer, lives integer) RETURNS TABLE (ms double precision, reads double precision) LANGUAGE plpgsql AS $$
DECLARE
	task text;
	began timestamptz;
	read_before bigint;
BEGIN
	CREATE TEMP TABLE life (block integer, ms double precision, reads bigint) ON COMMIT DROP;
	FOR i IN 0 .. blocks * lives - 1 LOOP
		read_before := have_read();
		began := clock_timestamp();
		PERFORM kin_tr.set_clock(kin_tr.now() + '10 s');
		task := kin_tr.create_task(jsonb_build_object('n', i));
		PERFORM kin_tr.tick();
		PERFORM kin_tr.set_clock(kin_tr.now() + '5 s');
		PERFORM kin_tr.accept_reservation(r.sid) FROM kin_tr.reservations r WHERE r.task_sid = task::kin_tr.sid;
		PERFORM kin_tr.complete_task(task);
		PERFORM kin_tr.tick();
		INSERT INTO life VALUES (i / lives, extract(epoch FROM clock_timestamp() - began) * 1000, have_read() - read_before);
	END LOOP;
	RETURN QUERY SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY l.ms), percentile_cont(0.5) WITHIN GROUP (ORDER BY l.reads)
	               FROM life l GROUP BY block ORDER BY block;
END $$});
$dbh->do(q{
CREATE FUNCTION have_read() RETURNS bigint LANGUAGE sql VOLATILE
	RETURN (SELECT sum(pg_stat_get_xact_tuples_returned(oid)) FROM pg_class WHERE relnamespace = 'kin_tr'::regnamespace AND relkind IN ('r', 'i'))});

$dbh->begin_work;
$dbh->do(q{SELECT kin_tr.set_clock('2026-01-05 09:00Z')});
$dbh->do(q{SELECT kin_tr.create_workspace('w', template => 'FIFO'), kin_tr.create_worker('Alice', activity => 'Available'), kin_tr.create_worker('Bob', activity => 'Available')});

my $blocks = $dbh->selectall_arrayref('SELECT ms, reads FROM simulate(?, ?)', { Slice => {} }, BLOCKS, LIVES);

note sprintf '%.2f ms, %d rows', @$_{qw(ms reads)} for @$blocks;
cmp_ok($blocks->[-1]{reads}, '<=', $blocks->[0]{reads} + 10, 'the last lives read no more than the first');
cmp_ok($blocks->[-1]{ms}, '<', 2 * $blocks->[0]{ms}, 'and are as fast');
is($dbh->selectrow_array(q{SELECT count(*) FROM kin_tr.all_tasks WHERE assignment_status = 'completed'}), BLOCKS * LIVES, 'all of them have been completed');
is_sound($dbh, 'after so many');
$dbh->rollback;

is($dbh->selectrow_array('SELECT count(*) FROM kin_tr.workspaces'), 0, 'and then none of it has been');
$dbh->disconnect;
$node->stop;
done_testing();
