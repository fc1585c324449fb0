# Who may do what, function by function and table by table; and code that a user
# has planted in the search path is never run.
#
# docs/security.md says what each kind of access is for, each function's comment
# (docs/sql.md) which one it needs.  The table below says it once more, so that a
# function which is added, or whose right changes, must be added here.

use strict;
use warnings FATAL => 'all';

use List::Util qw(max);
use Test::More;

use KinTr::Cluster;

my $node = start_node('rights', preload => 0);
my $owner = connect_to($node);
my @kinds = qw(none reader app supervisor admin owner);
my %rank = map { $kinds[$_] => $_ } 0 .. $#kinds;

# What each role may, and where; a "*" is every workspace.
my %roles = (
	nobody => {},
	reader => { mine => 'reader' },
	app => { mine => 'app' },
	supervisor => { mine => 'supervisor' },
	admin => { mine => 'admin' },
	stranger => { theirs => 'admin' },
	guest => { mine => 'reader', theirs => 'admin' },
	everywhere => { '*' => 'admin' },
	deputy => { '*' => 'owner' },
	member => { mine => 'supervisor' },
);
my @strangers = qw(nobody stranger);

sub lines { my ($dbh, $sql) = @_; return map { join ' ', map { $_ // '' } @$_ } @{ $dbh->selectall_arrayref($sql) }; }
sub value { my ($dbh, $sql, @values) = @_; return scalar $dbh->selectrow_array($sql, undef, @values); }
sub is_none { my ($found, $what) = @_; is(join("\n", @$found), '', $what); return; }

# ---------------------------------------------------------------- two workspaces

# A workspace with an object of each kind, tasks of each status, live and in
# history; their SIDs by name.
sub furnish
{
	my ($dbh, $name) = @_;
	my %made = (workspace => value($dbh, 'SELECT kin_tr.create_workspace(?, ?)', $name, 'FIFO'));
	my $new_task = sub {
		my ($task, @more) = @_;

		$made{$task} = value($dbh, "SELECT kin_tr.create_task(?::jsonb, workflow => 'Default Fifo Workflow',"
			. " idempotency_key => ?, task_channel => ?)", qq({"of": "$name", "call_sid": "$task"}), $task, @more);
	};
	my $offer = sub {
		return $made{"$_[0] offer"} = value($dbh, 'SELECT sid::text FROM kin_tr.reservations WHERE task_sid = ?', $made{ $_[0] });
	};

	$dbh->do("SET kin_tr.workspace = '$name'");
	$made{Alice} = value($dbh, "SELECT kin_tr.create_worker('Alice', ?::jsonb, 'Available')", qq({"of": "$name"}));
	$dbh->do("SELECT kin_tr.update_worker_channel('Alice', 'default', 50), kin_tr.update_worker_channel('Alice', 'voice', 0)");
	$made{Bob} = value($dbh, "SELECT kin_tr.create_worker('Bob')");
	$made{activity} = value($dbh, "SELECT kin_tr.create_activity('Spare')");
	$made{channel} = value($dbh, "SELECT kin_tr.create_task_channel('Spare', 'spare')");
	$made{queue} = value($dbh, "SELECT kin_tr.create_task_queue('Spare')");
	$made{workflow} = value($dbh, q(SELECT kin_tr.create_workflow('Spare', '{"task_routing": {"default_filter": {"queue": "Sample Queue"}}}')));
	for my $task (qw(past accepted assigned))
	{
		$new_task->($task, 'default');
		$dbh->do('SELECT kin_tr.tick()');
		$dbh->do('SELECT kin_tr.accept_reservation(?)', undef, $offer->($task));
	}
	$dbh->do('SELECT kin_tr.complete_task(?)', undef, $made{past});
	$dbh->do("SELECT kin_tr.set_clock(kin_tr.now() + interval '6 min')");
	$dbh->do('SELECT kin_tr.maintain()');
	$new_task->('waiting', 'voice');
	return \%made;
}

# An offer to each of them that does not time out meanwhile.
sub make_offers
{
	my ($dbh, $name, $made) = @_;

	$made->{offered} = value($dbh, "SELECT kin_tr.create_task(?::jsonb, workflow => 'Default Fifo Workflow', workspace => ?)",
		qq({"of": "$name"}), $name);
	$dbh->do('SELECT kin_tr.tick()');
	$made->{'offered offer'} = value($dbh, 'SELECT sid::text FROM kin_tr.reservations WHERE task_sid = ?', $made->{offered});
	return;
}

$owner->do("SELECT kin_tr.set_clock('2026-01-05 09:00Z')");
my ($mine, $theirs) = map { furnish($owner, $_) } qw(mine theirs);
make_offers($owner, 'mine', $mine);
make_offers($owner, 'theirs', $theirs);
$owner->do('RESET kin_tr.workspace');

for my $role (sort grep { !/^(?:deputy|member)$/ } keys %roles)
{
	my $where = $roles{$role};

	$owner->do("CREATE ROLE $role LOGIN");
	$owner->do("SELECT kin_tr.grant_access('$role', '$where->{$_}', "
		. ($_ eq '*' ? 'NULL' : "'$_'") . ')') for sort keys %$where;
}
$owner->do('CREATE ROLE deputy LOGIN IN ROLE ' . value($owner, 'SELECT quote_ident(current_user)'));
$owner->do('CREATE ROLE member LOGIN IN ROLE supervisor');
my %as = map { $_ => connect_to($node, 'postgres', user => $_) } keys %roles;

# ------------------------------------------------------------------- the table

# A call of each function that does what it should for whoever may make it:
# [function, least kind, arguments, SQLSTATE if not 00000].  One that does not
# name the workspace "mine" may be made by whoever has such access anywhere.
sub calls
{
	my ($made) = @_;
	my $here = "workspace => 'mine'";
	my $routes = q('{"task_routing": {"default_filter": {"queue": "Spare"}}}');

	return (
		# whoever may read
		[ get_workspace => 'reader', $here ],
		[ get_activity => 'reader', "'Available', $here" ],
		[ get_task_channel => 'reader', "'voice', $here" ],
		[ get_task_queue => 'reader', "'Sample Queue', $here" ],
		[ get_workflow => 'reader', "'Spare', $here" ],
		[ get_worker => 'reader', "'Alice', $here" ],
		[ get_worker_channel => 'reader', "'Alice', 'voice', $here" ],
		[ get_task => 'reader', "'$made->{waiting}', $here" ],
		[ get_task => 'reader', "'$made->{past}', $here" ],
		[ get_task_by_call_sid => 'reader', "'past', $here" ],
		[ get_reservation => 'reader', "'$made->{'past offer'}', $here" ],
		[ worker_status => 'reader', "'Alice', $here" ],
		[ worker_values => 'reader', "'Alice', $here" ],
		[ active_reservations => 'reader', $here ],
		[ events_since => 'reader', $here ],
		[ validate_workflow => 'reader', "'{}', $here" ],
		[ events_since => 'reader', '' ],
		[ validate_workflow => 'reader', q('{}') ],
		[ current_cursor => 'reader', '' ],
		[ evaluate_expression => 'reader', q('taskrouter.currentMin >= 0') ],
		[ now => 'reader', '' ],
		[ next_due => 'reader', '' ],
		[ version => 'reader', '' ],
		[ health => 'reader', '' ],

		# applications
		[ create_task => 'app', "workflow => 'Spare', $here" ],
		[ create_voice_call_task => 'app', "'CA1', '+1', $here" ],
		[ create_callback_task => 'app', "'+1', '2026-01-06 09:00Z', $here" ],
		[ update_task => 'app', qq('$made->{waiting}', '{"a": 1}', $here) ],
		[ cancel_task => 'app', "'$made->{waiting}', $here" ],
		[ wrapup_task => 'app', "'$made->{assigned}', $here" ],
		[ complete_task => 'app', "'$made->{assigned}', $here" ],
		[ delete_task => 'app', "'$made->{waiting}', $here" ],
		[ accept_reservation => 'app', "'$made->{'offered offer'}', $here" ],
		[ reject_reservation => 'app', "'$made->{'offered offer'}', $here" ],
		[ wrapup_reservation => 'app', "'$made->{'accepted offer'}', $here" ],
		[ complete_reservation => 'app', "'$made->{'accepted offer'}', $here" ],
		[ update_worker_activity => 'app', "'Bob', 'Available', $here" ],
		[ tick => 'app', '' ],

		# supervisors
		[ create_worker => 'supervisor', "'Carol', $here" ],
		[ update_worker => 'supervisor', "'Alice', '{}', $here" ],
		[ delete_worker => 'supervisor', "'Bob', $here" ],
		[ update_worker_channel => 'supervisor', "'Alice', 'chat', 5, $here" ],

		# administrators
		[ update_workspace => 'admin', "$here, prioritize_queue_order => 'LIFO'" ],
		[ delete_workspace => 'admin', $here ],
		[ create_activity => 'admin', "'New', $here" ],
		[ update_activity => 'admin', "'Spare', 'New', $here" ],
		[ delete_activity => 'admin', "'Spare', $here" ],
		[ create_task_channel => 'admin', "'New', 'new', $here" ],
		[ update_task_channel => 'admin', "'spare', 'New', $here" ],
		[ delete_task_channel => 'admin', "'spare', $here" ],
		[ create_task_queue => 'admin', "'New', $here" ],
		[ update_task_queue => 'admin', "'Spare', 'New', $here" ],
		[ delete_task_queue => 'admin', "'Spare', $here" ],
		[ create_workflow => 'admin', "'New', $routes, $here" ],
		[ update_workflow => 'admin', "'Spare', 'New', $here" ],
		[ delete_workflow => 'admin', "'Spare', $here" ],
		[ grant_access => 'admin', "'nobody', 'reader', $here" ],
		[ revoke_access => 'admin', "'reader', 'reader', $here" ],

		# the owner of the extension
		[ grant_access => 'owner', "'nobody', 'reader'" ],
		[ revoke_access => 'owner', "'everywhere', 'admin'" ],
		[ create_workspace => 'owner', "'new'" ],
		[ setup_workspace => 'owner', "'new'" ],
		[ set_clock => 'owner', "'2026-01-05 10:00Z'" ],
		[ ring => 'owner', '' ],
		[ maintain => 'owner', '' ],
		[ rebind_access => 'owner', '' ],
		[ release_quarantine => 'owner', '' ],
		[ check => 'owner', '' ],
		[ begin_era => 'owner', '' ],
		[ resume_after_restore => 'owner', '', '55000' ],
	);
}

# A call's SQLSTATE, and its message; what it did is undone.
sub attempt
{
	my ($dbh, $statement) = @_;
	my $state;

	$dbh->begin_work;
	$state = sqlstate_of($dbh, $statement);
	my $message = $state eq '00000' ? '' : $dbh->errstr;
	$dbh->rollback;
	return ($state, $message);
}

sub rank_for
{
	my ($where, $arguments) = @_;
	my @ranks = map { $rank{ $where->{$_} } }
		grep { $arguments !~ /'mine'/ || $_ eq 'mine' || $_ eq '*' } keys %$where;

	return max(0, @ranks);
}

# Makes every call as a role; what did not end as it should.
sub surprises
{
	my ($dbh, $where, $made) = @_;
	my @surprises;

	for my $call (calls($made))
	{
		my ($function, $kind, $arguments, $result) = @$call;
		my $expected = rank_for($where, $arguments) >= $rank{$kind} ? $result // '00000' : '42501';
		my ($state, $message) = attempt($dbh, "SELECT kin_tr.$function($arguments)");

		push @surprises, "$function($arguments): $state, not $expected $message" if $state ne $expected;
	}
	return \@surprises;
}

my @calls = calls($mine);
my %kinds_of;
push @{ $kinds_of{ $_->[0] } }, $_->[1] for @calls;

is_none([ grep { !$kinds_of{$_} } lines($owner, "SELECT DISTINCT proname FROM pg_proc"
	. " WHERE pronamespace = 'kin_tr'::regnamespace AND proname !~ '^_'") ], 'no function is forgotten');
is_none([ lines($owner, "SELECT proname FROM pg_proc WHERE pronamespace = 'kin_tr'::regnamespace"
	. " AND proname !~ '^_' GROUP BY proname HAVING count(*) > 1") ], 'no function has two forms, of which one could be forgotten');
for my $function (sort keys %kinds_of)
{
	my $comment = value($owner, "SELECT obj_description(p.oid) FROM pg_proc p"
		. " WHERE p.pronamespace = 'kin_tr'::regnamespace AND p.proname = ?", $function);
	my $kind = $comment =~ /Needs\s+access\s+of\s+kind\s+(\w+)/ ? $1 : $comment =~ /Only\s+for\s+the\s+owner/ ? 'owner' : 'nothing';

	is($kind, (sort { $rank{$a} <=> $rank{$b} } @{ $kinds_of{$function} })[0], "$function() says that it needs $kinds_of{$function}[0]");
}
for my $role (sort keys %roles)
{
	my $where = $roles{$role};
	my $may = join ', ', map { $_ eq '*' ? "$where->{$_} everywhere" : "$where->{$_} of $_" } sort keys %$where;
	my ($refused, $allowed) = (0, 0);

	rank_for($where, $_->[2]) >= $rank{ $_->[1] } ? $allowed++ : $refused++ for @calls;
	is_none(surprises($as{$role}, $where, $mine),
		"$role (" . ($may || 'no access') . "): $allowed calls succeed, $refused are refused");
}
is_none(surprises($owner, { '*' => 'owner' }, $mine), 'a superuser: every call succeeds');

# The setting says which workspace is meant, and gives no right.
for my $role (@strangers)
{
	$as{$role}->do("SET kin_tr.workspace = 'mine'");
	is((attempt($as{$role}, 'SELECT kin_tr.get_workspace()'))[0], '42501', "the setting kin_tr.workspace opens nothing to $role");
	$as{$role}->do('RESET kin_tr.workspace');
}

# Who is of another workspace is not even told what there is.
my @by_sid = (
	[ 'get_task', 'waiting' ], [ 'get_task', 'past' ], [ 'cancel_task', 'waiting' ], [ 'delete_task', 'waiting' ],
	[ 'complete_task', 'assigned' ], [ 'update_task', 'waiting' ], [ 'get_reservation', 'offered offer' ],
	[ 'accept_reservation', 'offered offer' ], [ 'reject_reservation', 'offered offer' ],
	[ 'complete_reservation', 'accepted offer' ], [ 'get_worker', 'Alice' ], [ 'update_worker', 'Alice' ],
	[ 'delete_worker', 'Bob' ], [ 'worker_status', 'Alice' ], [ 'active_reservations', 'Alice' ],
	[ 'get_activity', 'activity' ], [ 'delete_activity', 'activity' ], [ 'get_task_channel', 'channel' ],
	[ 'delete_task_channel', 'channel' ], [ 'get_task_queue', 'queue' ], [ 'delete_task_queue', 'queue' ],
	[ 'get_workflow', 'workflow' ], [ 'delete_workflow', 'workflow' ], [ 'get_workspace', 'workspace' ],
	[ 'delete_workspace', 'workspace' ],
);
my %unknown = map { ($_->[0] =~ /workspace/ ? '42501' : '42704') . " $_->[0]($_->[1])" => 1 } @by_sid;
my %met = map { (attempt($as{stranger}, "SELECT kin_tr.$_->[0]('$mine->{ $_->[1] }')"))[0] . " $_->[0]($_->[1])" => 1 } @by_sid;
is_none([ grep { !$unknown{$_} } sort keys %met ], 'by its SID nothing of another workspace is found');

# Nor can anything of it be used.
my @uses = (
	"create_task(workflow => 'Spare', task_channel => '$mine->{channel}')",
	"create_task(routing_target => '$mine->{Alice}')",
	"create_task(routing_target => '$mine->{queue}')",
	"create_task(workflow => '$mine->{workflow}')",
	"create_task(task_queue => '$mine->{queue}', workflow => 'Spare')",
	"create_callback_task('+1', '2026-01-06 09:00Z', replaces => '$mine->{waiting}')",
	"update_worker('Alice', activity => '$mine->{activity}')",
	"create_worker('Carol', activity => '$mine->{activity}')",
	"update_worker_activity('Alice', '$mine->{activity}')",
	"update_worker_channel('Alice', '$mine->{channel}', 1)",
	"update_workspace('theirs', default_activity => '$mine->{activity}')",
	"update_task('$theirs->{waiting}', task_channel => '$mine->{channel}')",
	qq(create_workflow('New', '{"task_routing": {"default_filter": {"queue": "$mine->{queue}"}}}')),
);
is_none([ map { my ($state) = attempt($as{stranger}, "SELECT kin_tr.$_"); $state =~ /^(?:42704|KT006)$/ ? () : "$state $_" } @uses ],
	'nor can anything of it be used in one\'s own');
is(value($as{stranger}, "SELECT count(*) FROM kin_tr.events_since(max => 100000) WHERE workspace_sid <> ?", $theirs->{workspace}), 0,
	'events_since() tells nothing of it');
cmp_ok(value($as{stranger}, 'SELECT count(*) FROM kin_tr.events_since(max => 100000)'), '>', 0, '... and all of one\'s own');
is(value($as{stranger}, "SELECT count(*) FROM kin_tr.events_since(max => 100000, resource => ?)", $mine->{waiting}), 0, '... not by a SID either');

# tick() acts only where its caller may.
$owner->do("SELECT kin_tr.update_worker_channel('Alice', 'voice', 1, workspace => '$_')") for qw(mine theirs);
$as{stranger}->begin_work;
is(value($as{stranger}, 'SELECT assigned FROM kin_tr.tick()'), 1, 'tick() acts in one\'s own workspace');
is(value($as{stranger}, 'SELECT count(*) FROM kin_tr.tasks WHERE sid = ? AND assignment_status = ?', $theirs->{waiting}, 'reserved'), 1,
	'... and there alone');
$as{stranger}->rollback;
$owner->do("SELECT kin_tr.update_worker_channel('Alice', 'voice', 0, workspace => '$_')") for qw(mine theirs);

# ------------------------------------------------------- what is open, and to whom

my $public_of = sub {
	my ($catalog, $name, $acl, $type, $owned_by, $where) = @_;

	return lines($owner, "SELECT '$name', $name, a.privilege_type FROM $catalog,"
		. " aclexplode(coalesce($acl, acldefault('$type', $owned_by))) a WHERE a.grantee = 0 AND $where");
};
# A role with a column of type sid compares and casts it by these; they read nothing.
my $of_the_type = "proname ~ '^_sid_' OR proname IN ('_text_eq_sid', '_text_concat_sid')";
is_none([ $public_of->('pg_proc', 'oid::regprocedure', 'proacl', 'f', 'proowner',
	"pronamespace = 'kin_tr'::regnamespace AND NOT ($of_the_type)") ], 'no function is open to PUBLIC, but those of the type sid');
is_none([ lines($owner, "SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = 'kin_tr'::regnamespace AND ($of_the_type)"
	. " AND (NOT has_function_privilege('nobody', oid, 'EXECUTE') OR provolatile <> 'i')") ], '... and those are pure');
is_none([ $public_of->('pg_class', 'oid::regclass', 'relacl', 'r', 'relowner', "relnamespace = 'kin_tr'::regnamespace AND relkind <> 'S'"),
	$public_of->('pg_class', 'oid::regclass', 'relacl', 's', 'relowner', "relnamespace = 'kin_tr'::regnamespace AND relkind = 'S'") ],
	'nor any table, view or sequence');
is_none([ $public_of->('pg_namespace', 'nspname', 'nspacl', 'n', 'nspowner', "nspname = 'kin_tr'") ], 'nor the schema');
is_none([ lines($owner, "SELECT attrelid::regclass, attname FROM pg_attribute JOIN pg_class c ON c.oid = attrelid"
	. " WHERE relnamespace = 'kin_tr'::regnamespace AND attacl IS NOT NULL") ], 'nor a column');

# Inner functions: those alone without which a value or a row could not be read.
my %needed = map { $_ => 1 } qw(_readable_workspaces _capacity_percentage _text_eq_sid _text_concat_sid);
for my $role (sort grep { $_ ne 'deputy' } keys %roles)
{
	my @open = lines($owner, "SELECT proname FROM pg_proc WHERE pronamespace = 'kin_tr'::regnamespace AND proname ~ '^_'"
		. " AND has_function_privilege('$role', oid, 'EXECUTE')");

	is_none([ grep { !/^_sid_/ && !$needed{$_} } @open ], "$role may call no inner function");
	is(value($owner, "SELECT has_schema_privilege('$role', 'kin_tr', 'CREATE')"), 0, '... nor make anything in the schema');
}

# --------------------------------------------------------------------- reading

my @relations = lines($owner, "SELECT relname FROM pg_class WHERE relnamespace = 'kin_tr'::regnamespace AND relkind IN ('r', 'p', 'v') ORDER BY 1");
my %has_workspace = map { $_ => 1 } lines($owner, "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
	. " WHERE c.relnamespace = 'kin_tr'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND a.attname = 'workspace_sid'");
my %readable = map { $_ => 1 } qw(workspaces activities task_channels task_queues workflows workflow_versions workers
	worker_channels tasks reservations task_history reservation_history events all_tasks all_reservations
	quarantine quarantined);

is_none([ lines($owner, "SELECT oid::regclass FROM pg_class WHERE relnamespace = 'kin_tr'::regnamespace AND relkind IN ('r', 'p')"
	. " AND NOT relrowsecurity AND (relname = 'workspaces' OR oid IN (SELECT attrelid FROM pg_attribute WHERE attname = 'workspace_sid'))") ],
	'row-level security guards every table that holds a workspace\'s data, and each partition');
is_none([ lines($owner, "SELECT oid::regclass FROM pg_class WHERE relnamespace = 'kin_tr'::regnamespace AND relkind = 'v'"
	. " AND NOT coalesce(reloptions, '{}') @> '{security_invoker=true}'") ], '... and each view is its reader\'s');

# The router writes what it fails with; here it does nothing.
$owner->do("INSERT INTO kin_tr.quarantine SELECT ?, ?, 'assignment', 'XX000', 'of a test', now(), now(), 1, now()",
	undef, $_->{waiting}, $_->{workspace}) for $mine, $theirs;

sub column_of { return $_[0] eq 'workspaces' ? 'sid' : 'workspace_sid'; }

for my $relation (sort keys %readable)
{
	my $column = column_of($relation);
	my $sql = "SELECT count(*) FILTER (WHERE $column = ?), count(*) FILTER (WHERE $column <> ?) FROM kin_tr.$relation";
	my @all = $owner->selectrow_array($sql, undef, ($mine->{workspace}) x 2);

	cmp_ok($all[1], '>', 0, "$relation has rows of both workspaces") if $all[0];
	for my $role (qw(reader app supervisor admin member))
	{
		is_deeply([ $as{$role}->selectrow_array($sql, undef, ($mine->{workspace}) x 2) ], [ $all[0], 0 ],
			"$role sees of $relation the rows of its workspace, all of them and no others");
	}
	is_deeply([ $as{stranger}->selectrow_array($sql, undef, ($mine->{workspace}) x 2) ], [ 0, $all[1] ], "... stranger those of the other");
	is_deeply([ $as{guest}->selectrow_array($sql, undef, ($mine->{workspace}) x 2) ], \@all, '... who has access to both sees both');
	is((attempt($as{nobody}, "SELECT count(*) FROM kin_tr.$relation"))[0], '42501', '... nobody none');
	is((attempt($as{reader}, "SET LOCAL row_security = off; SELECT count(*) FROM kin_tr.$relation"))[0], '42501',
		'... and to switch row-level security off is refused');
}
for my $role (sort grep { $_ ne 'deputy' } keys %roles)
{
	is_none([ grep { !$readable{$_} && (attempt($as{$role}, "SELECT count(*) FROM kin_tr.$_"))[0] ne '42501' } @relations ],
		"$role can read no other table, and no partition by itself");
}

# Granted by somebody who trusts in row-level security, all tables show no more.
$owner->do('CREATE ROLE analyst LOGIN');
$owner->do("SELECT kin_tr.grant_access('analyst', 'reader', 'mine')");
$owner->do('GRANT SELECT ON ALL TABLES IN SCHEMA kin_tr TO analyst');
my $analyst = connect_to($node, 'postgres', user => 'analyst');
is_none([ grep { value($analyst, "SELECT count(*) FROM kin_tr.$_ WHERE workspace_sid <> ?", $mine->{workspace}) } sort keys %has_workspace ],
	'who is granted SELECT on all tables sees no other workspace, not in a partition either');
$analyst->disconnect;

# A function of the reader's own sees no row before the policy does.
$owner->do('CREATE SCHEMA of_reader AUTHORIZATION reader');
$as{reader}->do('CREATE TABLE of_reader.seen (attributes jsonb)');
$as{reader}->do('CREATE FUNCTION of_reader.peep(jsonb) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS'
	. ' $$ BEGIN INSERT INTO of_reader.seen VALUES ($1); RETURN true; END $$');
$as{reader}->do("SELECT count(*) FROM kin_tr.$_ WHERE of_reader.peep(attributes)") for qw(tasks workers all_tasks);
is_deeply([ lines($owner, "SELECT DISTINCT attributes ->> 'of' FROM of_reader.seen WHERE jsonb_exists(attributes, 'of')") ], ['mine'],
	'a function of the reader\'s own sees no other workspace\'s attributes');

# --------------------------------------------------------------------- writing

for my $role (sort grep { $_ ne 'deputy' } keys %roles)
{
	is_none([ lines($owner, "SELECT c.oid::regclass, p FROM pg_class c, unnest('{INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) p"
		. " WHERE c.relnamespace = 'kin_tr'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND (has_table_privilege('$role', c.oid, p)"
		. " OR p IN ('INSERT', 'UPDATE', 'REFERENCES') AND has_any_column_privilege('$role', c.oid, p))") ], "$role may write in no table");
	is_none([ lines($owner, "SELECT oid::regclass FROM pg_class WHERE relnamespace = 'kin_tr'::regnamespace AND relkind = 'S'"
		. " AND CASE WHEN relkind = 'S' THEN has_sequence_privilege('$role', oid, 'USAGE, SELECT, UPDATE') END") ], '... nor use a sequence');
}
is_none([ map { my $relation = $_; map { (attempt($as{everywhere}, $_))[0] eq '42501' ? () : $_ }
	"INSERT INTO kin_tr.$relation DEFAULT VALUES", "DELETE FROM kin_tr.$relation", "TRUNCATE kin_tr.$relation",
	"LOCK TABLE kin_tr.$relation IN ROW EXCLUSIVE MODE", "ALTER TABLE kin_tr.$relation ADD COLUMN x integer", "DROP TABLE kin_tr.$relation" }
	grep { !/^(?:all_|quarantined$)/ } @relations ], 'each such statement is refused to an administrator of every workspace');
is_none([ map { (attempt($as{everywhere}, $_))[0] eq '42501' ? () : $_ }
	"UPDATE kin_tr.tasks SET priority = 1", "SELECT FROM kin_tr.tasks FOR UPDATE", "SELECT FROM kin_tr.workers FOR KEY SHARE",
	"SELECT nextval('kin_tr.events_id_seq')", "ALTER TABLE kin_tr.tasks DISABLE ROW LEVEL SECURITY", "DROP POLICY readable ON kin_tr.tasks",
	"ALTER FUNCTION kin_tr.check() RESET search_path", "DROP EXTENSION kin_tr" ], '... and so are these');

# ------------------------------------------------------------ hostile search path

# Unpinned are: C functions that run no SQL and so look nothing up; and those
# with a parsed body, whose names were resolved when they were created.
my %runs_no_sql = map { $_ => 1 } qw(_is_sid _new_sid _sid_cmp _sid_eq _sid_from_text _sid_ge _sid_gt _sid_hash
	_sid_hash_extended _sid_in _sid_le _sid_lt _sid_ne _sid_out _sid_recv _sid_send _sid_sortsupport _sid_to_text
	evaluate_expression);
is_none([ grep { !$runs_no_sql{$_} } lines($owner, "SELECT proname FROM pg_proc JOIN pg_language l ON l.oid = prolang"
	. " WHERE pronamespace = 'kin_tr'::regnamespace AND prosqlbody IS NULL"
	. " AND NOT coalesce(proconfig, '{}') @> ARRAY['search_path=pg_catalog, kin_tr, pg_temp']") ],
	'every function that runs SQL pins its search path, with pg_temp last');
is_none([ lines($owner, "SELECT proname FROM pg_proc JOIN pg_language l ON l.oid = prolang"
	. " WHERE pronamespace = 'kin_tr'::regnamespace AND lanname <> 'c' AND prosqlbody IS NULL AND proconfig IS NULL") ],
	'... and each that does not is in C or has a parsed body');
is_none([ lines($owner, "SELECT proname FROM pg_proc WHERE pronamespace = 'kin_tr'::regnamespace AND prosecdef") ], 'none is SECURITY DEFINER');

# A schema whose every function, operator, table and type has the name of one
# that kin_tr could mean.  To be called is counted by a sequence, which no
# rollback and no exception handler undoes.
$owner->do('CREATE SCHEMA hostile; GRANT ALL ON SCHEMA hostile TO PUBLIC; CREATE SEQUENCE hostile.called; GRANT ALL ON SEQUENCE hostile.called TO PUBLIC');
$owner->do(<<'SQL');
SET client_min_messages = error;
DO $do$
DECLARE
    f record;
    o record;
    body constant text := $$LANGUAGE plpgsql AS 'BEGIN PERFORM pg_catalog.nextval(''hostile.called''); RAISE EXCEPTION ''hostile code ran as %'', current_user; END'$$;
BEGIN
    FOR f IN SELECT p.proname, pg_get_function_identity_arguments(p.oid) AS arguments, format_type(p.prorettype, NULL) AS result
               FROM pg_proc p
              WHERE p.pronamespace IN ('pg_catalog'::regnamespace, 'kin_tr'::regnamespace) AND p.prokind = 'f' AND NOT p.proretset
                AND p.provariadic = 0 AND p.proargmodes IS NULL
                AND NOT EXISTS (SELECT FROM pg_type t WHERE t.typtype = 'p' AND t.oid = ANY (p.proargtypes::oid[] || p.prorettype)) LOOP
        EXECUTE format('CREATE OR REPLACE FUNCTION hostile.%I(%s) RETURNS %s %s', f.proname, f.arguments, f.result, body);
    END LOOP;
    FOR o IN SELECT p.oprname, l.oid AS l, r.oid AS r, x.oid AS x, row_number() OVER () AS n
               FROM pg_operator p LEFT JOIN pg_type l ON l.oid = p.oprleft JOIN pg_type r ON r.oid = p.oprright JOIN pg_type x ON x.oid = p.oprresult
              WHERE p.oprnamespace = 'pg_catalog'::regnamespace AND 'p' NOT IN (coalesce(l.typtype, 'b'), r.typtype, x.typtype) LOOP
        EXECUTE format('CREATE FUNCTION hostile.operator_%s(%s) RETURNS %s %s', o.n,
                       concat_ws(', ', format_type(o.l, NULL), format_type(o.r, NULL)), format_type(o.x, NULL), body);
        EXECUTE format('CREATE OPERATOR hostile.%s (%s RIGHTARG = %s, FUNCTION = hostile.operator_%s)', o.oprname,
                       'LEFTARG = ' || format_type(o.l, NULL) || ',', format_type(o.r, NULL), o.n);
    END LOOP;
    FOR f IN SELECT c.relname FROM pg_class c WHERE c.relnamespace IN ('pg_catalog'::regnamespace, 'kin_tr'::regnamespace) AND c.relkind IN ('r', 'p', 'v') LOOP
        EXECUTE format('CREATE TABLE hostile.%I ("there is no such column" integer)', f.relname);
    END LOOP;
    FOR f IN SELECT t.typname FROM pg_type t
              WHERE t.typnamespace IN ('pg_catalog'::regnamespace, 'kin_tr'::regnamespace) AND t.typtype = 'b' AND t.typelem = 0 LOOP
        EXECUTE format('CREATE DOMAIN hostile.%I AS pg_catalog.int4 CHECK (pg_catalog.nextval(''hostile.called'') < 0)', f.typname);
    END LOOP;
END $do$;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA hostile TO PUBLIC;
SQL
cmp_ok(value($owner, "SELECT count(*) FROM pg_proc WHERE pronamespace = 'hostile'::regnamespace"), '>', 2000, 'a hostile schema is ready');

sub times_called
{
	return value($owner, 'SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM hostile.called');
}

# Each call in a session of its own, which has looked nothing up yet; hostile
# goes before pg_catalog, and so do temporary tables of kin_tr's names.
sub trouble_under_attack
{
	my ($role, @statements) = @_;
	my @trouble;

	for my $statement (@statements)
	{
		my ($sql, $expected) = @$statement;
		my $dbh = connect_to($node, 'postgres', user => $role);

		$dbh->do('CREATE TEMPORARY TABLE ' . join('; CREATE TEMPORARY TABLE ', map { "$_ (x integer)" }
			qw(tasks reservations workers workspaces activities access events clock home pg_class pg_proc pg_roles)));
		$dbh->do('SET search_path = hostile, pg_temp, kin_tr, pg_catalog');
		my ($state, $message) = attempt($dbh, $sql);
		push @trouble, "$sql: $state $message" if $state ne $expected;
		$dbh->disconnect;
	}
	return @trouble;
}

my @everything = map { my ($function, $kind, $arguments, $result) = @$_; [ "SELECT kin_tr.$function($arguments)", $result // '00000', $kind ] } @calls;
is_none([ trouble_under_attack('admin', grep { $_->[2] ne 'owner' } @everything) ], 'an administrator who attacks: every call succeeds');
is_none([ trouble_under_attack(value($owner, 'SELECT current_user'), @everything) ], 'a superuser who is attacked: every call succeeds');
is_none([ trouble_under_attack('reader', map { [ "SELECT pg_catalog.count(*) FROM kin_tr.$_", '00000' ] } sort keys %readable) ],
	'row-level security under attack: every table can be read');
is(value($owner, "SELECT count(*) FROM kin_tr.check()"), 0, 'check() finds nothing');
my $called = times_called();
is($called, 0, 'none of the planted code was called');
is((trouble_under_attack('admin', [ "SELECT lower('X'::pg_catalog.text)", '00000' ], [ 'SELECT 1 = 1', '00000' ])), 2,
	'... which is where it can be called');
is(times_called() - $called, 2, '... and then counted');

# ----------------------------------------------- an owner who is no superuser

$owner->do('CREATE ROLE founder LOGIN SUPERUSER');
$owner->do('CREATE DATABASE founded OWNER founder');
my $founder = connect_to($node, 'founded', user => 'founder');
$founder->do('CREATE EXTENSION kin_tr');
$owner->do('ALTER ROLE founder NOSUPERUSER');
$founder->do("SELECT kin_tr.set_clock('2026-01-05 09:00Z')");
my $founded = furnish($founder, 'mine');
make_offers($founder, 'mine', $founded);
$founder->do('RESET kin_tr.workspace');
$founder->do("SELECT kin_tr.grant_access('$_->[0]', '$_->[1]', $_->[2])")
	for [ 'admin', 'admin', "'mine'" ], [ 'reader', 'reader', "'mine'" ], [ 'everywhere', 'admin', 'NULL' ];
is_none(surprises($founder, { '*' => 'owner' }, $founded), 'an owner of the extension who is no superuser may all');
for my $role (qw(admin reader nobody))
{
	my $dbh = connect_to($node, 'founded', user => $role);

	is_none(surprises($dbh, $roles{$role}, $founded), "... and $role there what it may elsewhere");
	$dbh->disconnect;
}
$founder->disconnect;
$_->disconnect for values %as, $owner;

done_testing();
