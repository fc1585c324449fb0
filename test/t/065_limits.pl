# Every text and document that a caller gives has a limit, by its size as text, and
# what got in all the same is no error for those who read the log.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Utils qw(slurp_file);
use Test::More;

use KinTr::Cluster;

srand($ENV{SEED} // 1);

my $node = start_node('limits', preload => 0);
my $dbh = connect_to($node);

sub value { my ($sql, @values) = @_; return scalar $dbh->selectrow_array($sql, undef, @values); }

$dbh->do('SET client_min_messages = error');
$dbh->do(q{SELECT kin_tr.create_workspace('centre', template => 'FIFO')});
$dbh->do(q{SELECT kin_tr.create_worker('Alice', activity => 'Available')});

# ---------------------------------------------------------------- documents

# Each of these takes 20 bytes or so as jsonb, and a hundred thousand as text.
my $small = q{(SELECT jsonb_build_object('n', jsonb_agg(1e131071::numeric)) FROM generate_series(1, 9000))};
my $behind = q{jsonb_build_object('n', 1e-16383::numeric * 3, 'm', ARRAY(SELECT 1e-16383::numeric FROM generate_series(1, 20)))};
my $task = value(q{SELECT kin_tr.create_task('{"a": 1}')});

is(sqlstate_of($dbh, "SELECT kin_tr.create_task($small)"), '54000', 'attributes that are small as jsonb and gigabytes as text are refused');
like($dbh->errstr, qr/too large: more than 262144 bytes as text.*max_attributes_size/s, 'and why');
is(sqlstate_of($dbh, "SELECT kin_tr.create_task($behind)"), '54000', 'as are those with too many decimal places');
is(sqlstate_of($dbh, "SELECT kin_tr.update_task('$task', $small)"), '54000', 'also where a task is changed');
is(sqlstate_of($dbh, "SELECT kin_tr.update_worker('Alice', $small)"), '54000', 'or a worker');
is(sqlstate_of($dbh, "SELECT kin_tr.create_workflow('w', jsonb_build_object('task_routing', $small))"), '54000', 'and a workflow, for which there is a limit, too');
is(sqlstate_of($dbh, q{SELECT kin_tr.create_task(jsonb_build_object('s', repeat(chr(1), 50000)))}), '54000', 'what must be escaped counts as it is printed');
is(sqlstate_of($dbh, q{SELECT kin_tr.create_task(jsonb_build_object('s', repeat('x', 260000), 'n', '[0, -1.5, 12345678901234567890, 1e-5]'::jsonb))}), '00000', 'what is small both ways is taken');

# The size is never less than what is printed: one byte beyond a kilobyte is too much.
$dbh->do('SET kin_tr.max_attributes_size = 1');
for my $json ('{"b": [1, 2.5, -3e20, 1e-30, 0.00, null, true, false, "x\"\\\\\u0001y"]}', '[1e300, 1e-300, -1e-3, 99999999999999999999]')
{
	my $document = sub { return qq({"d": $json, "p": ") . 'x' x $_[0] . '"}'; };
	my $length = value('SELECT length(?::jsonb::text)', $document->(0));

	is(sqlstate_of($dbh, 'SELECT kin_tr.create_task(?)', $document->(1025 - $length)), '54000', "what is just too large is refused: $json");
}
$dbh->do('RESET kin_tr.max_attributes_size');

# -------------------------------------------------------------------- texts

my $long = sub { return "repeat('x', $_[0])"; };

for ([ "create_task(workflow => %s)", 1024 ], [ "create_task(task_channel => %s)", 1024 ], [ "create_task(routing_target => %s)", 1024 ],
	[ "create_task(workspace => %s)", 1024 ], [ "create_task(idempotency_key => %s)", 1024 ], [ "get_task(%s)", 1024 ],
	[ "cancel_task('$task', %s)", 4096 ], [ "cancel_task(%s)", 1024 ], [ "wrapup_task('$task', %s)", 4096 ],
	[ "reject_reservation(%s)", 1024 ], [ "accept_reservation(%s)", 1024 ], [ "update_worker_activity(%s, 'Offline')", 1024 ], [ "update_worker_activity('Alice', %s)", 1024 ],
	[ "create_worker(%s)", 1024 ], [ "create_task_queue('q', target_workers => '1==1 OR ' || %s)", 65536 ],
	[ "update_workspace('centre', event_callback_url => %s)", 2048 ], [ "update_workspace('centre', events_filter => %s)", 4096 ],
	[ "create_workflow('v', '{}', assignment_callback_url => %s)", 2048 ], [ "create_callback_task('+1', now() + interval '1 h', %s)", 4096 ],
	[ "create_voice_call_task(%s, '+1')", 1024 ],
	[ "events_since(%s)", 1024 * 1024 ], [ "events_since(resource => %s)", 1024 ], [ "events_since(types => ARRAY[%s])", 1024 ])
{
	my ($call, $most) = @$_;

	is(sqlstate_of($dbh, "SELECT kin_tr." . sprintf $call, $long->($most + 1)), '54000', sprintf "$call: more than %d bytes are refused", '...', $most);
	cmp_ok(length $dbh->errstr, '<', 1000, 'in few words');
}
is(sqlstate_of($dbh, "SELECT kin_tr.cancel_task('$task', " . $long->(4096) . ')'), '00000', 'a reason may be long');

# ------------------------------------------------------------------ reading

# What came in by another way.
my $start = value('SELECT kin_tr.current_cursor()');
my @tasks = map { value(q{SELECT kin_tr.create_task('{"a": 1}')}) } 1 .. 3;
$dbh->do("UPDATE kin_tr.events SET data = data || jsonb_build_object('task_attributes', $small) WHERE event_type = 'task.created' AND task_sid = ?", undef, $tasks[1]);
my $rows = $dbh->selectall_arrayref(q{SELECT task, data -> 'task_attributes', data ->> 'task_attributes_omitted', data ->> 'task_priority' IS NOT NULL
	FROM (SELECT event_data ->> 'task_sid' AS task, event_data AS data FROM kin_tr.events_since(?, types => '{task.created}')) e}, undef, $start);
is(scalar @$rows, 3, 'a document that cannot be printed is no error for who reads the log');
is(join(' ', map { $_->[1] } @$rows), '"{\"a\": 1}" null "{\"a\": 1}"', 'it is null');
like($rows->[1][2], qr/^more than \d+ bytes$/, 'with a marker that says so');
is($rows->[1][3], 1, 'and all the rest is there');

# Large events, in batches that are cut.
$start = value('SELECT kin_tr.current_cursor()');
$dbh->do(q{SELECT kin_tr.create_task(jsonb_build_object('s', repeat(md5(n::text), 8000))) FROM generate_series(1, 100) n});
my ($cursor, $first, $bytes) = $dbh->selectrow_array(q{
	SELECT (array_agg(next_cursor ORDER BY id DESC))[1], count(*), sum(pg_column_size(event_data)) FROM kin_tr.events_since(?, 100000)}, undef, $start);
cmp_ok($first, '<', 100, 'a batch of large events is cut before it has as many as it may');
my (undef, @rest) = events_from($dbh, $cursor, 1000);
is($first + @rest, value('SELECT count(*) FROM kin_tr.events WHERE xid = (SELECT max(xid::text::bigint)::text::xid8 FROM kin_tr.events)'), 'and the next ones give the rest');

# So are many small ones where each has a cursor that is long.
$dbh->do('CREATE TABLE burnt (n integer)');
$dbh->do(q{DO $$ BEGIN FOR i IN 1..4000 LOOP BEGIN INSERT INTO burnt VALUES (i); EXCEPTION WHEN division_by_zero THEN NULL; END; END LOOP; END $$});
$dbh->do('SELECT kin_tr.create_task()');
my ($era, $xmax) = split /;/, value('SELECT kin_tr.current_cursor()');
$start = join ';', $era, $xmax, join ',', $xmax - 4000 .. $xmax - 2;
$dbh->do('SELECT count(kin_tr.create_task()) FROM generate_series(1, 1000)');
my $new = value('SELECT count(*) FROM kin_tr.events WHERE xid >= $1::text::xid8', $xmax);
($cursor, $first) = $dbh->selectrow_array('SELECT (array_agg(next_cursor ORDER BY id DESC))[1], count(*) FROM kin_tr.events_since(?, 100000)', undef, $start);
cmp_ok($first, '<', $new, 'a batch with long cursors is cut before it has all that there is');
(undef, @rest) = events_from($dbh, $cursor, 1000);
is($first + @rest, $new, 'and the next ones give the rest');

# Between two events that are new to a reader there may be very many that are not.
sub memory
{
	my ($line) = grep { /^VmHWM/ } split /\n/, slurp_file('/proc/' . $_[0]->{pg_pid} . '/status');

	return $line =~ /(\d+) kB/ ? $1 : die 'no VmHWM';
}

SKIP:
{
	skip 'this system does not tell what a process takes of memory', 1 if !-r '/proc/self/status';
	my $late = connect_to($node);

	$late->begin_work;
	$late->do('SELECT kin_tr.create_task()');
	$dbh->do('SELECT count(kin_tr.create_task()) FROM generate_series(1, 20000)');
	$start = value('SELECT kin_tr.current_cursor()');
	$late->do('SELECT kin_tr.create_task()');
	$late->commit;
	my $reader = connect_to($node);
	# What a backend takes for a call at all.
	my $taken = $reader->selectrow_array('SELECT count(*) FROM kin_tr.events_since(kin_tr.current_cursor(), 100000)') + memory($reader);

	is($reader->selectrow_array('SELECT count(*) FROM kin_tr.events_since(?, 100000)', undef, $start), 8, 'a late writer\'s events are found among very many others');
	# The pages of the table and of its indexes that it has looked at count, too: 30 MB.  A sanitizer keeps what is freed.
	cmp_ok(memory($reader) - $taken, '<', $ENV{KIN_TR_SANITIZED} ? 300_000 : 70_000, '... of which only some are in memory at a time');
	$_->disconnect for $late, $reader;
}

$dbh->disconnect;
$node->stop;
done_testing();
