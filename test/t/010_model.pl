# The router does what a plain one, written from the reference, does.
#
# Thousands of random operations go to kin_tr and to KinTr::ReferenceRouter;
# after each tick() the status and place of every task, every reservation with
# its worker, and every worker's activity must be the same in both, a sweep must
# find nothing that was missed, and check() must find nothing broken.
#
#   SEED=17 prove ... 010_model.pl      that seed alone
#   MODEL_OPERATIONS=20000              more of it
#   MODEL_CONF='work_mem = 64kB'        under other settings, as 042_settings.pl does

use strict;
use warnings FATAL => 'all';

use JSON::PP;
use List::Util qw(first min shuffle);
use Test::More;

use KinTr::Cluster;
use KinTr::ReferenceRouter;

my @seeds = defined $ENV{SEED} ? ($ENV{SEED}) : (1 .. 4);
my $operations = $ENV{MODEL_OPERATIONS} // 1200;
my $start = 1772438400;    # 2026-03-02 08:00 UTC, a Monday
my $json = JSON::PP->new->canonical->allow_nonref;

my $node = start_node('model', preload => 0, extension => 0,
	conf => "synchronous_commit = off\n" . ($ENV{MODEL_CONF} // ''));
my ($dbh, $model, $database, @log, %name);

# ------------------------------------------------------------------- chance

sub chance { return rand() < $_[0]; }
sub number { my ($from, $to) = @_; return $from + int rand($to - $from + 1); }
sub one_of { return @_ ? $_[ int rand @_ ] : undef; }
sub some_of { my ($p, @from) = @_; return grep { chance($p) } @from; }

my @skills = qw(billing cards loans);
my @languages = qw(en fr de);
my @nicks = map { "n$_" } 1 .. 6;
my @channel_names = qw(default voice chat);
my @activity_names = qw(Available Chatting Offline Lunch);

sub contains { my ($list, $x) = @_; return !!grep { $_ eq ($x // "\0") } @{ $list // [] }; }
sub at_least { my ($x, $y) = @_; return defined $x && defined $y && $x >= $y; }
sub minute { return int($_[0] / 60) % 60; }

# Expressions, each with what it means.  Of a worker, as a queue reads it:
my @of_worker = (
	[ '1==1', sub { 1 } ],
	[ '1==1', sub { 1 } ],
	[ '', sub { 0 } ],
	[ 'skills HAS "billing"', sub { contains($_[0]{skills}, 'billing') } ],
	[ 'skills HAS "cards" OR skills HAS "loans"',
		sub { contains($_[0]{skills}, 'cards') || contains($_[0]{skills}, 'loans') } ],
	[ 'level >= 3', sub { at_least($_[0]{level}, 3) } ],
	[ 'lang IN ["en", "fr"] AND level > 1',
		sub { $_[0]{lang} =~ /^(?:en|fr)$/ && at_least($_[0]{level}, 2) } ],
	[ 'lang NOT IN ["de"]', sub { $_[0]{lang} ne 'de' } ],
	[ 'level == null OR level != 2', sub { !defined $_[0]{level} || $_[0]{level} != 2 } ],
	[ q(activity_name == 'Chatting' OR lang == 'en'),
		sub { $_[0]{activity_name} eq 'Chatting' || $_[0]{lang} eq 'en' } ],
	[ 'friendly_name CONTAINS "1" OR level > 2',
		sub { $_[0]{friendly_name} =~ /1/ || at_least($_[0]{level}, 3) } ],
);

# Of a task, as a filter reads it:
my @of_task = (
	[ '1==1', sub { 1 } ],
	[ 'type == "sales"', sub { ($_[0]{type} // '') eq 'sales' } ],
	[ 'type IN ["sales", "support"]', sub { ($_[0]{type} // '') =~ /^(?:sales|support)$/ } ],
	[ 'lang == "en" AND type != "sales"',
		sub { ($_[0]{lang} // '') eq 'en' && ($_[0]{type} // '') ne 'sales' } ],
	[ 'vip == true', sub { $_[0]{vip} } ],
	[ 'min_level > 2', sub { at_least($_[0]{min_level}, 3) } ],
	[ 'skill != null', sub { defined $_[0]{skill} } ],
	[ 'taskrouter.currentMin < 40', sub { minute($_[1]) < 40 } ],
);

# Of both, as a target reads them:
my @of_both = (
	[ 'task.lang == worker.lang', sub { ($_[0]{lang} // '') eq $_[1]{lang} } ],
	[ 'task.skill IN worker.skills', sub { contains($_[1]{skills}, $_[0]{skill}) } ],
	[ 'worker.skills HAS task.skill AND worker.level >= task.min_level',
		sub { contains($_[1]{skills}, $_[0]{skill}) && at_least($_[1]{level}, $_[0]{min_level}) } ],
	[ 'worker.level >= task.min_level', sub { at_least($_[1]{level}, $_[0]{min_level}) } ],
	[ 'task.agents HAS worker.nick', sub { contains($_[0]{agents}, $_[1]{nick}) } ],
	[ 'worker.nick IN task.agents', sub { contains($_[0]{agents}, $_[1]{nick}) } ],
	[ 'task.lang == worker.lang OR worker.level > 3',
		sub { ($_[0]{lang} // '') eq $_[1]{lang} || at_least($_[1]{level}, 4) } ],
	[ 'worker.channel.voice.assigned_tasks == 0', sub { $_[3]->('voice')->{assigned_tasks} == 0 } ],
	[ 'worker.channel.chat.assigned_tasks >= 1', sub { $_[3]->('chat')->{assigned_tasks} >= 1 } ],
	[ 'worker.channel.chat.available_capacity_percentage >= 50 AND worker.lang != "de"',
		sub { $_[3]->('chat')->{available_capacity_percentage} >= 50 && $_[1]{lang} ne 'de' } ],
	[ 'worker.channel.voice.configured_capacity > 1',
		sub { $_[3]->('voice')->{configured_capacity} > 1 } ],
	[ 'taskrouter.currentMin < 30 OR worker.lang == "en"',
		sub { minute($_[2]) < 30 || $_[1]{lang} eq 'en' } ],
);

my @orders = (
	[ 'worker.level DESC', [ [ 'level', 1 ] ] ],
	[ 'worker.rank ASC, worker.level DESC', [ [ 'rank', 0 ], [ 'level', 1 ] ] ],
	[ 'worker.rank DESC', [ [ 'rank', 1 ] ] ],
);

# Of a queue's workers, as skip_if reads them:
sub skip_expressions
{
	my ($ws) = @_;
	my $activity = one_of(objects('activities', $ws));
	my $sid = $activity->{sid};

	return (
		[ '1==1', sub { 1 } ],
		[ 'workers.available == 0', sub { $_[0]{available} == 0 }, 1 ],
		[ 'workers.available < 2', sub { $_[0]{available} < 2 }, 1 ],
		[ 'workers.unavailable > 1', sub { $_[0]{unavailable} > 1 }, 1 ],
		[ "workers.$sid >= 1 OR workers.available == 0",
			sub { ($_[0]{$sid} // 0) >= 1 || $_[0]{available} == 0 }, 1 ],
		[ 'taskrouter.currentMin < 20', sub { minute($_[1]) < 20 } ],
	);
}

# ------------------------------------------------------------ the operations

sub objects
{
	my ($kind, $ws) = @_;

	my @objects = sort { $a->{sid} cmp $b->{sid} }
		grep { !$ws || $_->{workspace} eq $ws } values %{ $model->{$kind} };

	return @objects;
}

sub name_of { return defined $_[0] ? $name{ $_[0] } // $_[0] : 'NULL'; }

sub show
{
	my ($value) = @_;

	return 'NULL' if !defined $value;
	$value =~ s/\b([A-Z]{2}[0-9a-f]{32})\b/name_of($1)/ge;
	return $value =~ /^-?[0-9]+$/ ? $value : "'$value'";
}

# Calls a function with named arguments; (code, result), code '' where it succeeds.
sub call
{
	my ($function, %arguments) = @_;
	my @names = sort grep { defined $arguments{$_} } keys %arguments;
	my %type = (attributes => '::jsonb', configuration => '::jsonb', virtual_start_time => '::timestamptz',
		preferred_time => '::timestamptz', ignore_capacity => '::boolean', available => '::boolean',
		reject_pending_reservations => '::boolean', channel_optimized_routing => '::boolean',
		re_evaluate_tasks => '::boolean', priority => '::integer', timeout => '::integer',
		capacity => '::integer', max_reserved_workers => '::integer', default_priority => '::integer',
		task_reservation_timeout => '::integer', if_version => '::bigint');
	my $sql = "SELECT kin_tr.$function(" . join(', ', map { "$_ => ?" . ($type{$_} // '') } @names) . ')';
	my $in_transaction = !$dbh->{AutoCommit};
	my $result;

	push @log, "$function(" . join(', ', map { "$_ => " . show($arguments{$_}) } @names) . ')';
	$dbh->pg_savepoint('operation') if $in_transaction;
	if (eval { ($result) = $dbh->selectrow_array($sql, undef, @arguments{@names}); 1 })
	{
		$dbh->pg_release('operation') if $in_transaction;
		return ('', $result);
	}
	my ($code, $message) = ($dbh->state, $dbh->errstr // $@);

	$dbh->pg_rollback_to('operation') if $in_transaction;
	$log[-1] .= " -- $code";
	die "unexpected error: $message\n" if $code !~ /^(?:KT00|42|22|55006)/;
	return ($code, $message);
}

# The same, with the code that the reference wants.
sub call_expecting
{
	my ($expected, $function, %arguments) = @_;
	my ($code, $result) = call($function, %arguments);

	die "$log[-1]\n  ended with \"$code\" ($result), not with \"$expected\"\n" if $code ne $expected;
	return $result;
}

sub time_text { return defined $_[0] ? scalar(gmtime $_[0]) . ' UTC' : undef; }

sub worker_attributes
{
	my %attributes = (lang => one_of(@languages), skills => [ some_of(0.5, @skills) ], nick => one_of(@nicks));

	$attributes{level} = number(1, 5) if chance(0.8);
	$attributes{rank} = number(1, 3) if chance(0.6);
	return \%attributes;
}

sub task_attributes
{
	my ($ws) = @_;
	my %attributes = (type => one_of(qw(sales support other)));
	my $worker = one_of(objects('workers', $ws));

	$attributes{lang} = one_of(@languages) if chance(0.8);
	$attributes{skill} = one_of(@skills) if chance(0.7);
	$attributes{min_level} = number(1, 5) if chance(0.5);
	$attributes{vip} = chance(0.5) ? JSON::PP::true : JSON::PP::false if chance(0.5);
	$attributes{agents} = [ some_of(0.3, @nicks) ] if chance(0.5);
	$attributes{agent} = chance(0.8) ? $worker->{sid} : chance(0.5) ? 7 : 'nobody' if $worker && chance(0.4);
	$attributes{agent_name} = chance(0.8) ? uc $worker->{name} : 'nobody' if $worker && chance(0.4);
	return \%attributes;
}

# A target as JSON and as the reference router has it.
sub random_target
{
	my ($ws, $inherited, $is_default) = @_;
	my $queue = $inherited && chance(0.3) ? undef : one_of(objects('queues', $ws));
	my (%json, %target);

	$json{queue} = chance(0.5) ? $queue->{name} : $queue->{sid} if $queue;
	$target{queue} = $queue ? $queue->{sid} : $inherited;
	$json{priority} = $target{priority} = number(0, 3) if chance(0.3);
	$json{timeout} = $target{timeout} = number(5, 200) if !$is_default && chance(0.6);
	$json{timeout} = "$json{timeout}" if $json{timeout} && chance(0.3);
	($json{expression}, $target{test}) = @{ one_of(@of_both) } if chance(0.6);
	($json{order_by}, $target{order_by}) = @{ one_of(@orders) } if chance(0.4);
	($json{skip_if}, @target{qw(skip_if skip_looks_at_workers)}) = @{ one_of(skip_expressions($ws)) } if chance(0.4);
	if (!$is_default && chance(0.25))
	{
		my $by_name = chance(0.4);

		$target{known} = $by_name ? [ 'name', 'agent_name' ] : [ 'sid', 'agent' ];
		$json{ $by_name ? 'known_worker_friendly_name' : 'known_worker_sid' } = "task.$target{known}[1]";
	}
	return (\%json, \%target);
}

sub random_configuration
{
	my ($ws) = @_;
	my %json = (filters => []);
	my %configuration = (filters => []);

	for (1 .. number(0, 3))
	{
		my ($text, $test) = @{ one_of(@of_task) };
		my (@json, @targets);

		for (1 .. number(1, 3))
		{
			my ($json, $target) = random_target($ws, @targets ? $targets[-1]{queue} : undef, 0);

			push @json, $json;
			push @targets, $target;
		}
		push @{ $json{filters} }, { filter_friendly_name => "f$_", expression => $text, targets => \@json };
		push @{ $configuration{filters} }, { test => $test, targets => \@targets };
	}
	# A step may be skipped before a worker is looked for, where a known worker
	# is not named; the default makes sure that this never ends a creation.
	if (!@{ $json{filters} } || chance(0.7)
		|| grep { $_->{known} && $_->{skip_if} } map { @{ $_->{targets} } } @{ $configuration{filters} })
	{
		($json{default_filter}, $configuration{default}) = random_target($ws, undef, 1);
	}
	return ($json->encode({ task_routing => \%json }), \%configuration);
}

my $counter = 0;

sub create_worker
{
	my ($ws) = @_;
	my $worker = 'w' . ++$counter;
	my $attributes = worker_attributes();
	my $activity = one_of(objects('activities', $ws));
	my $sid = call_expecting('', 'create_worker', friendly_name => $worker, workspace => $ws,
		attributes => $json->encode($attributes), activity => $activity->{name});

	$name{$sid} = $worker;
	$model->add_worker($sid, workspace => $ws, name => $worker, attributes => $attributes,
		activity => $activity->{sid});
	return;
}

sub create_queue
{
	my ($ws) = @_;
	my $queue = 'q' . ++$counter;
	my ($text, $test) = @{ one_of(@of_worker) };
	my %fields = (max_reserved_workers => chance(0.3) ? number(2, 3) : 1, order => chance(0.3) ? 'LIFO' : 'FIFO');
	my $sid = call_expecting('', 'create_task_queue', friendly_name => $queue, workspace => $ws,
		target_workers => $text, max_reserved_workers => $fields{max_reserved_workers},
		task_order => $fields{order});

	$name{$sid} = $queue;
	$model->add('queues', $sid, workspace => $ws, name => $queue, test => $test, %fields);
	return;
}

sub create_workflow
{
	my ($ws) = @_;
	my $workflow = 'f' . ++$counter;
	my ($text, $configuration) = random_configuration($ws);
	my %fields = (reservation_timeout => number(5, 120), default_priority => number(0, 1));
	my $sid = call_expecting('', 'create_workflow', friendly_name => $workflow, workspace => $ws,
		configuration => $text, task_reservation_timeout => $fields{reservation_timeout},
		default_priority => $fields{default_priority});

	$name{$sid} = $workflow;
	$model->add('workflows', $sid, workspace => $ws, name => $workflow, versions => [$configuration], %fields);
	return;
}

sub create_task
{
	my ($ws) = @_;
	my $attributes = task_attributes($ws);
	my $channel = one_of(grep { contains(\@channel_names, $_->{name}) } objects('channels', $ws));
	my $workflow = one_of(objects('workflows', $ws));
	my %arguments = (workspace => $ws, attributes => $attributes, channel => $channel->{sid},
		priority => chance(0.5) ? number(0, 3) : undef, timeout => chance(0.5) ? number(30, 4000) : undef,
		virtual_start_time => chance(0.3) ? $model->{now} - number(0, 60) : undef);
	my ($expected, $sid);

	if (chance(0.25))
	{
		my $kind = one_of(qw(workers queues queues workflows));
		my $target = one_of(objects($kind, $ws));

		$arguments{routing_target} = $target->{sid} if $target;
		$arguments{ignore_capacity} = chance(0.5) ? 1 : 0 if $target && $kind eq 'workers' && chance(0.7);
		$arguments{queue} = one_of(objects('queues', $ws))->{sid} if $target && $kind eq 'workers' && chance(0.5);
	}
	$arguments{workflow} = $workflow->{sid} if !$arguments{routing_target};
	$expected = $model->create_task('WT?', %arguments);
	delete $model->{tasks}{'WT?'};
	$sid = call_expecting($expected, 'create_task', attributes => $json->encode($attributes),
		workspace => $ws, task_channel => $channel->{name}, task_queue => $arguments{queue},
		virtual_start_time => time_text($arguments{virtual_start_time}),
		map { $_ => $arguments{$_} } qw(priority timeout workflow routing_target ignore_capacity));
	return if $expected;
	$name{$sid} = 't' . ++$counter;
	$log[-1] .= " -- $name{$sid}";
	$model->create_task($sid, %arguments);
	return;
}

sub create_callback
{
	my ($ws) = @_;
	my $preferred = $model->{now} + number(-10, 120);
	my $replaced = chance(0.4) ? one_of(objects('tasks', $ws)) : undef;
	my $workflow = $replaced && $replaced->{workflow} || (objects('workflows', $ws))[0]{sid};
	my $channel = first { $_->{name} eq 'default' } objects('channels', $ws);
	my $not_before = $preferred > $model->{now} ? $preferred : $model->{now};
	my %arguments = (
		workspace => $ws, channel => $channel->{sid}, workflow => $workflow,
		attributes => { type => 'callback', skills => [ 'callback', 'customer_service' ] },
		priority => $replaced ? $replaced->{priority} : 5, not_before => $not_before,
		virtual_start_time => $replaced ? $replaced->{start} : $not_before,
		in_place_of => $replaced && $replaced->{filter} >= 0 ? $replaced : undef);
	my $may_replace = !$replaced || $replaced->{status} =~ /^(?:pending|reserved)$/;
	my $expected = $may_replace ? $model->create_task('WT?', %arguments) : 'KT001';
	my $sid = call_expecting($expected, 'create_callback_task', workspace => $ws, customer_phone => '+15550100',
		preferred_time => time_text($preferred), replaces => $replaced ? $replaced->{sid} : undef);

	delete $model->{tasks}{'WT?'};
	return if $expected;
	$name{$sid} = 't' . ++$counter;
	$log[-1] .= " -- $name{$sid}";
	$model->cancel($replaced, 'Replaced by a callback') if $replaced;
	$model->create_task($sid, %arguments);
	return;
}

# What a task's or reservation's status lets happen, and with which code it refuses.
sub task_code
{
	my ($task, @allowed) = @_;

	return contains(\@allowed, $task->{status}) ? '' : 'KT001';
}

sub reservation_code
{
	my ($reservation, @allowed) = @_;

	return '' if contains(\@allowed, $reservation->{status});
	return $reservation->{status} =~ /^(?:rejected|timeout|canceled|rescinded)$/ ? 'KT007' : 'KT001';
}

sub change_task
{
	my ($ws) = @_;
	my $task = one_of(objects('tasks', $ws)) or return;
	my $what = one_of(qw(update update update cancel wrapup complete complete delete version));
	my %self = (task => $task->{sid});

	if ($what eq 'update')
	{
		my $attributes = chance(0.5) ? task_attributes($ws) : undef;
		my $channel = chance(0.2) ? one_of(grep { contains(\@channel_names, $_->{name}) } objects('channels', $ws)) : undef;
		my $priority = chance(0.4) ? number(0, 3) : undef;
		my $began = chance(0.2) ? $model->{now} - number(0, 200) : undef;
		my $expected = task_code($task, qw(pending reserved assigned wrapping));

		call_expecting($expected, 'update_task', %self, priority => $priority,
			attributes => $attributes ? $json->encode($attributes) : undef,
			task_channel => $channel ? $channel->{name} : undef, virtual_start_time => time_text($began));
		return if $expected;
		$task->{attributes} = $attributes if $attributes;
		$task->{channel} = $channel->{sid} if $channel;
		$task->{priority} = $priority if defined $priority;
		$task->{start} = $began if defined $began;
	}
	elsif ($what eq 'cancel')
	{
		my $expected = task_code($task, qw(pending reserved));

		call_expecting($expected, 'cancel_task', %self, reason => 'hung up');
		$model->cancel($task, 'hung up') if !$expected;
	}
	elsif ($what eq 'wrapup')
	{
		my $expected = task_code($task, 'assigned');

		call_expecting($expected, 'wrapup_task', %self);
		$model->wrap_up($task) if !$expected;
	}
	elsif ($what eq 'complete')
	{
		my $expected = task_code($task, qw(assigned wrapping));

		call_expecting($expected, 'complete_task', %self, reason => 'done');
		$model->complete($task, 'done') if !$expected;
	}
	elsif ($what eq 'delete')
	{
		return if chance(0.7);
		call_expecting('', 'delete_task', %self);
		$model->delete_task($task);
		reload();
	}
	else
	{
		call_expecting('KT002', 'update_task', %self, if_version => 1000000)
			if !task_code($task, qw(pending reserved assigned wrapping));
	}
	return;
}

sub change_reservation
{
	my ($ws, $only_pending) = @_;
	my @all = grep { $model->{tasks}{ $_->{task} }{workspace} eq $ws } objects('reservations');
	my $reservation = one_of($only_pending ? grep { $_->{status} eq 'pending' } @all : @all) or return;
	my $task = $model->{tasks}{ $reservation->{task} };
	my $what = one_of($only_pending ? qw(accept accept accept reject) : qw(accept reject wrapup complete complete));
	my %self = (reservation => $reservation->{sid});

	if ($what eq 'accept')
	{
		my $late = $reservation->{status} eq 'pending' && $reservation->{times_out} <= $model->{now};
		my $expected = $late ? 'KT007' : reservation_code($reservation, 'pending');

		call_expecting($expected, 'accept_reservation', %self);
		$model->accept($reservation) if !$expected;
	}
	elsif ($what eq 'reject')
	{
		my $expected = reservation_code($reservation, 'pending');
		my $activity = chance(0.4) ? one_of(objects('activities', $ws)) : undef;

		# What is over is not fired yet: not rejected, nor is it said what that would do.
		return if !$expected && $reservation->{times_out} <= $model->{now};
		call_expecting($expected, 'reject_reservation', %self, activity => $activity ? $activity->{name} : undef);
		return if $expected;
		$model->end_offer($reservation, 'rejected');
		$model->{workers}{ $reservation->{worker} }{activity} = $activity->{sid} if $activity;
	}
	elsif ($what eq 'wrapup')
	{
		my $expected = reservation_code($reservation, 'accepted');

		call_expecting($expected, 'wrapup_reservation', %self);
		return if $expected;
		$reservation->{status} = 'wrapping';
		$model->wrap_up($task) if $task->{status} eq 'assigned';
	}
	else
	{
		my $expected = reservation_code($reservation, qw(accepted wrapping));

		call_expecting($expected, 'complete_reservation', %self);
		return if $expected;
		$reservation->{status} = 'completed';
		$model->complete($task, 'All reservations were completed')
			if !$model->reservations_of($task, qw(accepted wrapping));
	}
	return;
}

sub change_worker
{
	my ($ws) = @_;
	my $worker = one_of(objects('workers', $ws)) or return create_worker($ws);
	my $what = one_of(qw(activity activity activity attributes channel channel rename delete create));
	my %self = (worker => $worker->{sid}, workspace => $ws);

	if ($what eq 'activity')
	{
		my $activity = chance(0.6) ? first { $_->{name} eq 'Available' } objects('activities', $ws)
			: one_of(objects('activities', $ws));

		# Whoever was renamed meanwhile is found by its sid.
		$activity //= one_of(objects('activities', $ws));
		my $reject = chance(0.3);
		my $expected = $reject && $activity->{available} ? '22023' : '';

		# Overdue offers are not rejected here either.
		return if $reject && grep { $_->{worker} eq $worker->{sid} && $_->{status} eq 'pending'
				&& $_->{times_out} <= $model->{now} } $model->all_reservations;
		call_expecting($expected, 'update_worker_activity', %self, activity => $activity->{sid},
			reject_pending_reservations => $reject ? 't' : 'f');
		$model->set_activity($worker, $activity->{sid}, $reject) if !$expected;
	}
	elsif ($what eq 'attributes')
	{
		$worker->{attributes} = worker_attributes();
		call_expecting('', 'update_worker', %self, attributes => $json->encode($worker->{attributes}));
	}
	elsif ($what eq 'channel')
	{
		my $channel = first { $_->{name} eq one_of(@channel_names) } shuffle(objects('channels', $ws));
		my $slot = $channel ? $worker->{slots}{ $channel->{sid} } : return;

		$slot->{capacity} = number(0, 4);
		$slot->{available} = chance(0.8) ? 1 : 0;
		call_expecting('', 'update_worker_channel', %self, task_channel => $channel->{name},
			capacity => $slot->{capacity}, available => $slot->{available});
	}
	elsif ($what eq 'rename')
	{
		# Names come back, for tasks that wait for a worker by name.
		my $new = 'w' . number(1, $counter);
		my $taken = grep { lc $_->{name} eq $new && $_->{sid} ne $worker->{sid} } objects('workers', $ws);

		call_expecting($taken ? '42710' : '', 'update_worker', %self, friendly_name => $new);
		$worker->{name} = $new if !$taken;
	}
	elsif ($what eq 'delete')
	{
		my $busy = grep { $_->{worker} eq $worker->{sid} && $_->{status} =~ /^(?:pending|accepted|wrapping)$/ }
			$model->all_reservations;

		return if chance(0.5);
		call_expecting($busy ? '55006' : '', 'delete_worker', %self);
		delete $model->{workers}{ $worker->{sid} } if !$busy;
	}
	else
	{
		create_worker($ws) if objects('workers', $ws) < 8;
	}
	return;
}

sub change_configuration
{
	my ($ws) = @_;
	my $what = one_of(qw(queue queue workflow workflow workspace channel activity));

	if ($what eq 'queue')
	{
		my $queue = one_of(objects('queues', $ws));
		my ($text, $test) = @{ one_of(@of_worker) };

		$queue->{test} = $test;
		$queue->{max_reserved_workers} = number(1, 3);
		$queue->{order} = one_of(qw(FIFO FIFO LIFO));
		call_expecting('', 'update_task_queue', task_queue => $queue->{name}, workspace => $ws,
			target_workers => $text, task_order => $queue->{order},
			max_reserved_workers => $queue->{max_reserved_workers});
	}
	elsif ($what eq 'workflow')
	{
		my $workflow = one_of(objects('workflows', $ws));
		my ($text, $configuration) = chance(0.7) ? random_configuration($ws) : ();
		my $again = chance(0.5);

		$workflow->{reservation_timeout} = number(5, 120);
		$workflow->{default_priority} = number(0, 1);
		call_expecting('', 'update_workflow', workflow => $workflow->{sid}, workspace => $ws,
			configuration => $text, task_reservation_timeout => $workflow->{reservation_timeout},
			default_priority => $workflow->{default_priority}, re_evaluate_tasks => $again ? 't' : 'f');
		push @{ $workflow->{versions} }, $configuration if $configuration;
		$model->evaluate_again($workflow) if $again;
	}
	elsif ($what eq 'workspace')
	{
		my $order = one_of(qw(FIFO LIFO));

		$model->{workspaces}{$ws}{order} = $order;
		call_expecting('', 'update_workspace', workspace => $ws, prioritize_queue_order => $order);
	}
	elsif ($what eq 'channel')
	{
		my $channel = one_of(grep { contains(\@channel_names, $_->{name}) } objects('channels', $ws));

		$channel->{optimized} = chance(0.5) ? 1 : 0;
		call_expecting('', 'update_task_channel', task_channel => $channel->{name}, workspace => $ws,
			channel_optimized_routing => $channel->{optimized});
	}
	else
	{
		# Two swap their names, for an expression that reads activity_name.
		my ($x, $y) = grep { $_->{available} } objects('activities', $ws);
		my @names = ($x->{name}, $y->{name});

		for my $step ([ $x, 'between' ], [ $y, $names[0] ], [ $x, $names[1] ])
		{
			call_expecting('', 'update_activity', activity => $step->[0]{sid}, workspace => $ws,
				friendly_name => $step->[1]);
			$step->[0]{name} = $step->[1];
		}
	}
	return;
}

# ------------------------------------------------------------------ the clock

sub set_clock
{
	my ($to) = @_;

	return if $to <= $model->{now};
	$model->{now} = $to;
	push @log, 'set_clock(' . time_text($to) . ')';
	$dbh->do('SELECT kin_tr.set_clock(to_timestamp(?))', undef, $to);
	return;
}

sub move_clock
{
	my $due = $model->next_due;
	my $kind = rand;

	return set_clock($model->{now} + number(1, 5)) if $kind < 0.5 || !defined $due;
	return set_clock($due) if $kind < 0.8;
	return set_clock($due + number(1, 20)) if $kind < 0.9;
	return set_clock($model->{now} + number(60, 600)) if $kind < 0.995;
	return set_clock($model->{now} + 90000);
}

sub maintain
{
	push @log, 'maintain()';
	$dbh->do('SELECT kin_tr.maintain()');
	$model->move_finished;
	reload();
	return;
}

# Makes tick() forget what it remembers, and read everything anew.
sub reload
{
	push @log, '(tick() forgets)';
	if ($dbh->{AutoCommit})
	{
		eval { $dbh->do('SELECT 1 / 0') };
	}
	else
	{
		$dbh->pg_savepoint('reload');
		eval { $dbh->do('SELECT 1 / 0') };
		$dbh->pg_rollback_to('reload');
	}
	return;
}

sub reconnect
{
	push @log, '(another session)';
	$dbh->disconnect;
	$dbh = connect_to($node, $database);
	return;
}

# ----------------------------------------------------------------- comparing

sub describe_reservation
{
	my ($r) = @_;

	return name_of($r->{task}) . ' to ' . name_of($r->{worker});
}

# New reservations: the same pairs in both; the reference's get kin_tr's sids.
sub name_reservations
{
	my ($rows) = @_;
	my %made = map { ("$_->{task} $_->{worker}" => $_) } @{ $model->{unnamed} };
	my @surplus;

	for my $row (@$rows)
	{
		my ($sid, $task, $worker) = @$row;

		next if $model->{reservations}{$sid};
		my $reservation = delete $made{"$task $worker"};

		if (!$reservation)
		{
			push @surplus, { task => $task, worker => $worker };
			next;
		}
		$reservation->{sid} = $sid;
		$name{$sid} = 'r' . ++$counter;
		$model->{reservations}{$sid} = $reservation;
		$log[-1] .= " -- $name{$sid}: " . describe_reservation($reservation);
	}
	$model->{unnamed} = [];
	die "kin_tr reserved: " . join(', ', map { describe_reservation($_) } @surplus)
		. "; the reference: " . join(', ', map { describe_reservation($_) } values %made) . "\n"
		if @surplus || %made;
	return;
}

sub compare_rows
{
	my ($what, $kin_tr, $reference) = @_;
	my @wrong;

	for my $sid (sort { $a cmp $b } keys %{ { %$kin_tr, %$reference } })
	{
		my ($x, $y) = map { $_ // 'none' } $kin_tr->{$sid}, $reference->{$sid};

		push @wrong, name_of($sid) . ": kin_tr has " . show($x) . ", the reference " . show($y) if $x ne $y;
	}
	die join("\n", "$what differ:", @wrong, '') if @wrong;
	return;
}

sub compare
{
	my $reservations = $dbh->selectall_arrayref('SELECT sid::text, task_sid::text, worker_sid::text,'
		. ' reservation_status, task_channel_sid::text FROM kin_tr.reservations ORDER BY sid');
	my $tasks = $dbh->selectall_arrayref('SELECT sid::text, assignment_status, task_queue_sid::text, priority,'
		. ' workflow_filter, workflow_target, task_channel_sid::text, coalesce(reason, $$$$) FROM kin_tr.tasks');
	my $workers = $dbh->selectall_arrayref('SELECT sid::text, activity_sid::text FROM kin_tr.workers');

	name_reservations($reservations);
	compare_rows('reservations', { map { $_->[0] => join ' ', @$_[ 1 .. 4 ] } @$reservations },
		{ map { $_->{sid} => join ' ', @$_{qw(task worker status channel)} } objects('reservations') });
	compare_rows('tasks', { map { $_->[0] => join ' ', map { $_ // '' } @$_[ 1 .. 7 ] } @$tasks },
		{ map { $_->{sid} => join ' ', map { $_ // '' } @$_{qw(status queue priority filter target channel)},
			$_->{reason} // '' } objects('tasks') });
	compare_rows('workers', { map { $_->[0] => $_->[1] } @$workers },
		{ map { $_->{sid} => $_->{activity} } objects('workers') });
	return;
}

sub prove_nothing_missed
{
	my ($missed) = $dbh->selectrow_array('SELECT kin_tr._sweep()');
	my $broken = $dbh->selectall_arrayref('SELECT invariant, object::text, detail FROM kin_tr.check()');

	die "the sweep found $missed missed assignments\n" if $missed;
	die 'check() found: ' . join("\n", map { join ' ', @$_ } @$broken) . "\n" if @$broken;
	return;
}

# Ticks until nothing is due now.
sub tick
{
	my $more = 1;
	my $rounds = 0;

	while ($more)
	{
		push @log, 'tick()';
		($more) = $dbh->selectrow_array('SELECT more OR coalesce(next_due <= kin_tr.now(), false) FROM kin_tr.tick()');
		$model->tick;
		die "tick() finds no end\n" if ++$rounds > 50;
	}
	compare();
	return;
}

# ---------------------------------------------------------------- one seed

# Data is copied, functions are shared: what a rollback goes back to.
sub copy_of
{
	my ($value) = @_;

	return $value if !ref $value || ref $value eq 'CODE' || ref $value eq 'JSON::PP::Boolean';
	return [ map { copy_of($_) } @$value ] if ref $value eq 'ARRAY';
	my %copy = map { $_ => copy_of($value->{$_}) } keys %$value;

	return ref $value eq 'HASH' ? \%copy : bless \%copy, ref $value;
}

sub set_up
{
	my ($seed) = @_;

	srand $seed;
	$database = "seed_$seed";
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$dbh = connect_to($node, $database);
	$dbh->do("SET client_min_messages = error");
	$dbh->do('CREATE EXTENSION kin_tr');
	$model = KinTr::ReferenceRouter->new(0);
	%name = ();
	$counter = 0;
	set_clock($start);
	for my $workspace (qw(north south))
	{
		my $order = one_of(qw(FIFO LIFO));
		my $ws = call_expecting('', 'create_workspace', friendly_name => $workspace,
			prioritize_queue_order => $order);

		$name{$ws} = $workspace;
		call_expecting('', 'create_activity', friendly_name => 'Chatting', available => 't', workspace => $ws);
		call_expecting('', 'update_activity', activity => 'Unavailable', friendly_name => 'Lunch', workspace => $ws);
		for my $row (@{ $dbh->selectall_arrayref('SELECT sid::text, friendly_name, available::integer'
				. ' FROM kin_tr.activities WHERE workspace_sid = ?', undef, $ws) })
		{
			$name{ $row->[0] } = $row->[1];
			$model->add('activities', $row->[0], workspace => $ws, name => $row->[1], available => $row->[2]);
		}
		for my $row (@{ $dbh->selectall_arrayref('SELECT sid::text, unique_name FROM kin_tr.task_channels'
				. ' WHERE workspace_sid = ?', undef, $ws) })
		{
			$name{ $row->[0] } = $row->[1];
			$model->add('channels', $row->[0], workspace => $ws, name => $row->[1], optimized => 0);
		}
		$model->add('workspaces', $ws, order => $order,
			timeout_activity => (first { $_->{name} eq 'Offline' } objects('activities', $ws))->{sid});
		create_queue($ws) for 1 .. 4;
		create_workflow($ws) for 1 .. 2;
		create_worker($ws) for 1 .. 4;
	}
	return;
}

sub operate
{
	my $ws = one_of(sort { $a cmp $b } keys %{ $model->{workspaces} });
	my $kind = rand;
	my $open = grep { $_->{status} =~ /^(?:pending|reserved)$/ } values %{ $model->{tasks} };

	# So many wait at most that the reference stays quick.
	return create_task($ws) if $kind < ($open > 40 ? 0.05 : 0.3);
	return create_callback($ws) if $kind < 0.33;
	return change_reservation($ws, 1) if $kind < 0.53;
	return change_reservation($ws, 0) if $kind < 0.64;
	return change_task($ws) if $kind < 0.8;
	return change_worker($ws) if $kind < 0.94;
	return change_configuration($ws) if $kind < 0.98;
	return maintain() if $kind < 0.99;
	return reload() if $kind < 0.997;
	return $dbh->{AutoCommit} ? reconnect() : reload();
}

sub run_round
{
	my $in_transaction = chance(0.15);
	my $before;

	move_clock() if chance(0.5);
	if ($in_transaction)
	{
		$before = copy_of($model);
		push @log, 'BEGIN';
		$dbh->begin_work;
	}
	for (1 .. number(1, $in_transaction ? 5 : 2))
	{
		operate();
		tick() if $in_transaction && chance(0.3);
	}
	if ($in_transaction && chance(0.4))
	{
		push @log, 'ROLLBACK';
		$dbh->rollback;
		$model = $before;
	}
	elsif ($in_transaction)
	{
		push @log, 'COMMIT';
		$dbh->commit;
	}
	tick();
	return;
}

# Each reservation and its end is told in the log of events exactly once, and all
# of an object in the order of its versions.
sub compare_with_events
{
	my ($wrong) = $dbh->selectrow_array(q{
		SELECT count(*) FROM kin_tr.all_reservations r
		 WHERE (SELECT string_agg(e.event_type, ' ' ORDER BY e.id) FROM kin_tr.events e WHERE e.resource_sid = r.sid)
		   IS DISTINCT FROM CASE r.reservation_status
		        WHEN 'pending' THEN 'reservation.created'
		        WHEN 'accepted' THEN 'reservation.created reservation.accepted'
		        WHEN 'wrapping' THEN 'reservation.created reservation.accepted reservation.wrapup'
		        WHEN 'completed' THEN 'reservation.created reservation.accepted'
		            || CASE WHEN r.version = 3 THEN ' reservation.wrapup' ELSE '' END || ' reservation.completed'
		        ELSE 'reservation.created reservation.' || r.reservation_status END});

	die "events of $wrong reservations do not tell their story\n" if $wrong;

	my @disordered = disordered($dbh);
	die "events of @disordered are out of order\n" if @disordered;
	return;
}

for my $seed (@seeds)
{
	my $rounds = 0;
	my $failure;

	note "seed $seed";
	@log = ();
	eval {
		set_up($seed);
		# Whom a group fits is remembered, or asked each time, or some of both.
		$dbh->do('SET kin_tr.debug_fits = ' . (0, -1, 5)[ $seed % 3 ]);
		while ($rounds < $operations)
		{
			run_round();
			prove_nothing_missed() if ++$rounds % 20 == 0;
		}
		compare_with_events();
		1;
	} or $failure = $@;
	if ($failure)
	{
		diag "seed $seed, round $rounds, database $database: every operation follows, then the fault";
		diag $_ for @log;
		diag $failure;
	}
	ok(!$failure, "seed $seed: after each of $operations rounds the router stands where the reference does");
	# A server that is gone is gone for every other seed too.
	last if !$dbh->ping;
	$dbh->rollback if !$dbh->{AutoCommit};
	$dbh->disconnect;
}
$node->stop;
done_testing();
