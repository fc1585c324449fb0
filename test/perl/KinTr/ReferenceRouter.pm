# A small router, written from sections 2 to 4 of the TaskRouter reference and
# not from kin_tr's C code, for kin_tr to be compared with.
#
# It is as plain as can be: it keeps everything in hashes, knows no groups, no
# edges and no memory of what it looked at, and at each tick goes over all tasks
# and all workers.  Expressions are pairs of a text, which kin_tr gets, and a
# function, which this router calls; so the two share no parser either.
#
# Where the reference leaves a choice, it is made here once, in these words:
#
#  - Who comes first when several tasks meet several workers: tasks in the
#    order of the workspace's kind of queue (FIFO or LIFO), priority, virtual
#    start time, sid; each taken by its best worker.
#  - A tick that comes late fires reservations' time-outs first, then tasks'.
#  - skip_if is looked at once for each entry into a step: the first time that
#    nobody can be found.  Where that is seen at once, for the task names no known
#    worker and skip_if does not look at workers, it is at once.
#  - A step whose deadline is over when skip_if leads to it is left at once, as
#    one that a time-out leads to.
#  - A worker's last reservation counts though its task was deleted.

package KinTr::ReferenceRouter;

use strict;
use warnings FATAL => 'all';

use List::Util qw(first);

use constant DAY => 86400;

sub new
{
	my ($class, $now) = @_;

	return bless {
		now => $now, sequence => 0, workspaces => {}, activities => {}, channels => {},
		queues => {}, workflows => {}, workers => {}, tasks => {}, reservations => {},
		unnamed => [],
	}, $class;
}

# ------------------------------------------------------------ configuration

sub add
{
	my ($self, $kind, $sid, %fields) = @_;

	$self->{$kind}{$sid} = { sid => $sid, %fields };
	return;
}

sub add_worker
{
	my ($self, $sid, %fields) = @_;
	my %channels = map { $_->{sid} => { capacity => 1, available => 1, last => undef } }
		grep { $_->{workspace} eq $fields{workspace} } values %{ $self->{channels} };

	$self->{workers}{$sid} = { sid => $sid, last => undef, slots => \%channels, %fields };
	return;
}

# The target that a task stands at; undef where it is routed directly.
sub target_of
{
	my ($self, $task) = @_;
	my $configuration;

	return undef if $task->{filter} < 0;
	$configuration = $self->configuration_of($task);
	return $configuration->{default} if $task->{filter} == @{ $configuration->{filters} };
	return $configuration->{filters}[ $task->{filter} ]{targets}[ $task->{target} ];
}

sub configuration_of
{
	my ($self, $task) = @_;

	return $self->{workflows}{ $task->{workflow} }{versions}[ $task->{version} ];
}

# ----------------------------------------------------------------- workflow

sub matching_filter
{
	my ($self, $task, $from) = @_;
	my $filters = $self->configuration_of($task)->{filters};

	return (first { $filters->[$_]{test}->($task->{attributes}, $self->{now}) }
			$from .. $#$filters) // scalar @$filters;
}

sub enter_step
{
	my ($self, $task, $filter, $target_number) = @_;
	my $target;

	@$task{qw(filter target)} = ($filter, $target_number);
	$target = $self->target_of($task);
	$task->{priority} = $target->{priority} if defined $target->{priority};
	$task->{queue} = $target->{queue};
	$task->{step_deadline} = undef;
	if (defined $target->{timeout})
	{
		$task->{deadline_base} += $target->{timeout};
		$task->{step_deadline} = $task->{deadline_base};
	}
	$task->{tried} = !$target->{skip_if};
	return;
}

# Enters a step, and the next one where this one is skipped at once; false where
# that goes past the end.
sub enter
{
	my ($self, $task, $filter, $target) = @_;

	$self->enter_step($task, $filter, $target);
	return 1 if !$self->skips_at_once($task);
	return $self->place_next($task, 'skip');
}

sub skips_at_once
{
	my ($self, $task) = @_;
	my $target = $self->target_of($task);

	# A callback's steps count from its time on.
	return 0 if defined $task->{not_before} && $task->{not_before} > $self->{now};
	return 0 if !$target->{known} || !$target->{skip_if} || $target->{skip_looks_at_workers};
	return !defined $self->known_worker($task) && $target->{skip_if}->({}, $self->{now});
}

# The worker that the task asks for at its step, by sid or name.
sub known_worker
{
	my ($self, $task) = @_;
	my $wanted = $task->{attributes}{ $self->target_of($task)->{known}[1] };

	# A number names nobody.
	return defined $wanted && $wanted !~ /^[0-9]+$/ ? $wanted : undef;
}

# At the first matching filter; false where there is none and no default.
sub place
{
	my ($self, $task) = @_;
	my $configuration = $self->configuration_of($task);
	my $filter = $self->matching_filter($task, 0);

	return 0 if $filter == @{ $configuration->{filters} } && !$configuration->{default};
	return $self->enter($task, $filter, 0);
}

# Where another stands; what is left of its deadlines counts from its own time on.
sub place_like
{
	my ($self, $task, $other) = @_;
	my $later = $task->{not_before} - $self->{now};

	@$task{qw(version filter target priority queue)} = @$other{qw(version filter target priority queue)};
	$task->{deadline_base} = $other->{deadline_base} + $later;
	$task->{step_deadline} = defined $other->{step_deadline} ? $other->{step_deadline} + $later : undef;
	$task->{tried} = !$self->target_of($task)->{skip_if};
	return;
}

# On to the next step; false where the workflow ends.
sub place_next
{
	my ($self, $task, $why) = @_;
	my ($configuration, $filters);

	return 0 if $task->{filter} < 0;
	$configuration = $self->configuration_of($task);
	$filters = $configuration->{filters};
	return 0 if $task->{filter} == @$filters;
	if ($task->{target} < $#{ $filters->[ $task->{filter} ]{targets} })
	{
		return $self->enter($task, $task->{filter}, $task->{target} + 1);
	}
	my $filter = $self->matching_filter($task, $task->{filter} + 1);

	# A time-out never leads to the default filter.
	return 0 if $filter == @$filters && ($why eq 'timeout' || !$configuration->{default});
	return $self->enter($task, $filter, 0);
}

# -------------------------------------------------------------------- tasks

# Arguments as create_task() has them, objects by sid; '' or the error's code.
sub create_task
{
	my ($self, $sid, %arguments) = @_;
	my $workflow = $arguments{workflow};
	my $target = $arguments{routing_target} // '';
	my $start = $arguments{not_before} // $self->{now};
	my $task = {
		sid => $sid, workspace => $arguments{workspace}, attributes => $arguments{attributes},
		status => 'pending', priority => $arguments{priority} // 0,
		channel => $arguments{channel}, queue => $arguments{queue}, filter => -1, target => 0,
		created => $self->{now}, start => $arguments{virtual_start_time} // $start,
		not_before => $arguments{not_before}, deadline_base => $start,
		expires => $start + ($arguments{timeout} // DAY), tried => 1, assignments => 0,
	};

	if ($target =~ /^WK/)
	{
		$task->{worker} = $target;
		$task->{ignore_capacity} = $arguments{ignore_capacity} // 1;
	}
	elsif ($target =~ /^WQ/)
	{
		$task->{queue} = $target;
	}
	else
	{
		my $routes = $self->{workflows}{ $target || $workflow };

		$task->{workflow} = $routes->{sid};
		$task->{version} = $#{ $routes->{versions} };
		$task->{priority} = $routes->{default_priority} if !defined $arguments{priority};
		if ($arguments{in_place_of})
		{
			$self->place_like($task, $arguments{in_place_of});
		}
		elsif (!$self->place($task))
		{
			return 'KT004';
		}
	}
	$self->{tasks}{$sid} = $task;
	return '';
}

sub reservations_of
{
	my ($self, $task, @statuses) = @_;
	my $wanted = join '|', @statuses;

	return grep { $_->{task} eq $task->{sid} && $_->{status} =~ /^(?:$wanted)$/ }
		$self->all_reservations;
}

sub all_reservations
{
	my ($self) = @_;

	return (values %{ $self->{reservations} }, @{ $self->{unnamed} });
}

sub cancel
{
	my ($self, $task, $reason) = @_;

	$_->{status} = 'canceled' for $self->reservations_of($task, 'pending');
	@$task{qw(status reason finished)} = ('canceled', $reason, $self->{now});
	return;
}

sub complete
{
	my ($self, $task, $reason) = @_;

	$_->{status} = 'completed' for $self->reservations_of($task, 'accepted', 'wrapping');
	@$task{qw(status finished)} = ('completed', $self->{now});
	$task->{reason} = $reason if defined $reason;
	return;
}

sub wrap_up
{
	my ($self, $task) = @_;

	$_->{status} = 'wrapping' for $self->reservations_of($task, 'accepted');
	$task->{status} = 'wrapping';
	return;
}

sub delete_task
{
	my ($self, $task) = @_;

	$self->settle_clocks($task->{sid});
	delete $self->{reservations}{ $_->{sid} }
		for grep { $_->{task} eq $task->{sid} } values %{ $self->{reservations} };
	delete $self->{tasks}{ $task->{sid} };
	return;
}

# Tasks whose reservations go from the live ones: what remains of them is when
# a worker was last reserved, and of two at the same moment no longer which.
sub settle_clocks
{
	my ($self, @tasks) = @_;
	my %goes = map { $_ => 1 } @tasks;
	my @gone = grep { $goes{ $_->{task} } } values %{ $self->{reservations} };
	my %touched;

	for my $reservation (@gone)
	{
		my $worker = $self->{workers}{ $reservation->{worker} } or next;
		my $slot = $worker->{slots}{ $reservation->{channel} };

		for my $kept (\$worker->{kept}, \$slot->{kept})
		{
			$$kept = $reservation->{created} if !defined $$kept || $$kept < $reservation->{created};
		}
		$touched{ $worker->{sid} } = $worker;
	}
	for my $worker (values %touched)
	{
		my @live = grep { $_->{worker} eq $worker->{sid} && !$goes{ $_->{task} } } $self->all_reservations;

		$worker->{last} = latest($worker->{kept}, @live);
		for my $channel (keys %{ $worker->{slots} })
		{
			my $slot = $worker->{slots}{$channel};

			$slot->{last} = latest($slot->{kept}, grep { $_->{channel} eq $channel } @live);
		}
	}
	return;
}

sub latest
{
	my ($kept, @live) = @_;
	my @times = map { [ $_->{created}, $_->{sequence} ] } @live;

	push @times, [ $kept, 0 ] if defined $kept;
	return (sort { $b->[0] <=> $a->[0] || $b->[1] <=> $a->[1] } @times)[0];
}

# Finished five minutes ago: no longer among the live.
sub move_finished
{
	my ($self) = @_;
	my @gone = grep { defined $_->{finished} && $_->{finished} <= $self->{now} - 300 }
		values %{ $self->{tasks} };
	my %gone = map { $_->{sid} => 1 } @gone;

	$self->settle_clocks(keys %gone);
	delete $self->{reservations}{ $_->{sid} }
		for grep { $gone{ $_->{task} } } values %{ $self->{reservations} };
	delete @{ $self->{tasks} }{ keys %gone };
	return scalar @gone;
}

# ------------------------------------------------------------- reservations

sub accept
{
	my ($self, $reservation) = @_;
	my $task = $self->{tasks}{ $reservation->{task} };

	$reservation->{status} = 'accepted';
	$_->{status} = 'rescinded' for $self->reservations_of($task, 'pending');
	$task->{status} = 'assigned';
	$task->{expires} = $self->{now} + DAY;
	return;
}

# Rejected or timed out: the task goes back when it was the last offer.
sub end_offer
{
	my ($self, $reservation, $status) = @_;
	my $task = $self->{tasks}{ $reservation->{task} };

	$reservation->{status} = $status;
	return if $self->reservations_of($task, 'pending');
	if ($task->{expires} <= $self->{now})
	{
		$self->cancel($task, 'Task TTL Exceeded');
		return;
	}
	$task->{status} = 'pending';
	$self->place_on_return($task) if $task->{filter} >= 0;
	return;
}

# At its step as before, whose skip_if is asked again; or at the top, where the
# workflow was updated meanwhile with re_evaluate_tasks.
sub place_on_return
{
	my ($self, $task) = @_;
	my $workflow = $self->{workflows}{ $task->{workflow} };

	if (($workflow->{evaluated} // 0) > $task->{version})
	{
		$self->evaluate_task($task, $workflow);
		return;
	}
	$task->{tried} = !$self->target_of($task)->{skip_if};
	$self->leave_steps($task);
	return;
}

sub leave_steps
{
	my ($self, $task) = @_;

	while (defined $task->{step_deadline} && $task->{step_deadline} <= $self->{now})
	{
		next if $self->place_next($task, 'timeout');
		$self->cancel($task, 'Task canceled on Workflow timeout');
		return;
	}
	return;
}

sub set_activity
{
	my ($self, $worker, $activity, $reject) = @_;

	if ($reject)
	{
		$self->end_offer($_, 'rejected')
			for grep { $_->{worker} eq $worker->{sid} && $_->{status} eq 'pending' } $self->all_reservations;
	}
	$worker->{activity} = $activity;
	return;
}

# Pending tasks of a workflow go through its present version from the top.
sub evaluate_again
{
	my ($self, $workflow) = @_;

	$workflow->{evaluated} = $#{ $workflow->{versions} };
	$self->evaluate_task($_, $workflow)
		for grep { ($_->{workflow} // '') eq $workflow->{sid} && $_->{status} eq 'pending' }
		values %{ $self->{tasks} };
	return;
}

sub evaluate_task
{
	my ($self, $task, $workflow) = @_;

	$task->{version} = $#{ $workflow->{versions} };
	$task->{deadline_base} = $task->{created};
	$task->{deadline_base} = $task->{not_before}
		if defined $task->{not_before} && $task->{not_before} > $task->{created};
	$self->cancel($task, 'Task canceled on Workflow skipped') if !$self->place($task);
	return;
}

# ----------------------------------------------------------------- matching

sub is_waiting
{
	my ($self, $task) = @_;

	return $task->{status} eq 'pending'
		&& (!defined $task->{not_before} || $task->{not_before} <= $self->{now});
}

sub is_available
{
	my ($self, $worker) = @_;

	return $self->{activities}{ $worker->{activity} }{available};
}

sub is_in_queue
{
	my ($self, $worker, $queue) = @_;

	return $worker->{workspace} eq $queue->{workspace} && $queue->{test}->($self->worker_view($worker));
}

# What expressions see of a worker: its attributes and its own fields.
sub worker_view
{
	my ($self, $worker) = @_;

	return {
		%{ $worker->{attributes} }, sid => $worker->{sid}, friendly_name => $worker->{name},
		activity_sid => $worker->{activity},
		activity_name => $self->{activities}{ $worker->{activity} }{name},
	};
}

# Counts of a channel, by its unique name.
sub counters
{
	my ($self, $worker, $name) = @_;
	my $channel = first { $_->{workspace} eq $worker->{workspace} && $_->{name} eq $name }
		values %{ $self->{channels} };
	my $capacity = $worker->{slots}{ $channel->{sid} }{capacity};
	my $open = $self->open_of($worker, $channel->{sid});
	my $percentage = $capacity > 0 ? int(($capacity - $open) * 100 / $capacity) : 0;

	return {
		configured_capacity => $capacity,
		assigned_tasks => $self->open_of($worker, $channel->{sid}, 'accepted'),
		available_capacity_percentage => $percentage < 0 ? 0 : $percentage,
	};
}

sub open_of
{
	my ($self, $worker, $channel, $status) = @_;
	my $counts = $self->{open}{ $worker->{sid} }{$channel} // {};

	return $counts->{$status} // 0 if $status;
	return ($counts->{pending} // 0) + ($counts->{accepted} // 0) + ($counts->{wrapping} // 0);
}

# Counted once for each match, which then keeps count.
sub count_open
{
	my ($self) = @_;

	$self->{open} = {};
	$self->{open}{ $_->{worker} }{ $_->{channel} }{ $_->{status} }++ for $self->all_reservations;
	return;
}

sub has_room
{
	my ($self, $worker, $channel) = @_;
	my $slot = $worker->{slots}{$channel};

	return $self->is_available($worker) && $slot->{available}
		&& $self->open_of($worker, $channel) < $slot->{capacity};
}

sub may_have
{
	my ($self, $worker, $task) = @_;
	my $target = $self->target_of($task);

	return 0 if $worker->{workspace} ne $task->{workspace};
	if ($task->{worker})
	{
		return $worker->{sid} eq $task->{worker}
			&& ($task->{ignore_capacity} || $self->has_room($worker, $task->{channel}));
	}
	return 0 if !$self->has_room($worker, $task->{channel});
	return 0 if !$self->is_in_queue($worker, $self->{queues}{ $task->{queue} });
	return 1 if !$target;
	if ($target->{known})
	{
		my $wanted = $self->known_worker($task);

		return 0 if !defined $wanted || lc $worker->{ $target->{known}[0] } ne lc $wanted;
	}
	return !$target->{test}
		|| $target->{test}->($task->{attributes}, $self->worker_view($worker), $self->{now},
			sub { $self->counters($worker, $_[0]) });
}

# order_by, then who has not been reserved for longest.
sub best_first
{
	my ($self, $task, @workers) = @_;
	my $target = $self->target_of($task);
	my $per_channel = $self->{channels}{ $task->{channel} }{optimized};
	my $order = $target ? $target->{order_by} // [] : [];

	return sort {
		compare_by($order, $a->{attributes}, $b->{attributes})
			|| compare_last($per_channel ? ($a->{slots}{ $task->{channel} }{last}, $b->{slots}{ $task->{channel} }{last})
				: ($a->{last}, $b->{last}))
			|| $a->{sid} cmp $b->{sid}
	} @workers;
}

# Integers; a worker without the attribute comes last, whatever the direction.
sub compare_by
{
	my ($order, $x, $y) = @_;

	for my $key (@$order)
	{
		my ($attribute, $descending) = @$key;
		my ($left, $right) = ($x->{$attribute}, $y->{$attribute});
		my $result = !defined $left ? defined $right : !defined $right ? -1
			: $descending ? $right <=> $left : $left <=> $right;

		return $result if $result;
	}
	return 0;
}

# A moment and its number; never comes first.
sub compare_last
{
	my ($x, $y) = @_;

	return defined $x <=> defined $y if !defined $x || !defined $y;
	return $x->[0] <=> $y->[0] || $x->[1] <=> $y->[1];
}

sub is_lifo
{
	my ($self, $task) = @_;

	return $task->{queue} && $self->{queues}{ $task->{queue} }{order} eq 'LIFO' ? 1 : 0;
}

sub compare_tasks
{
	my ($self, $x, $y) = @_;
	my ($x_lifo, $y_lifo) = ($self->is_lifo($x), $self->is_lifo($y));

	# Workspaces share no worker, so which goes first does not matter.
	return $x->{workspace} cmp $y->{workspace} if $x->{workspace} ne $y->{workspace};
	if ($x_lifo != $y_lifo)
	{
		my $first = $self->{workspaces}{ $x->{workspace} }{order} eq 'LIFO' ? 1 : 0;

		return $x_lifo == $first ? -1 : 1;
	}
	return $y->{start} <=> $x->{start} || $y->{sid} cmp $x->{sid} if $x_lifo;
	return $y->{priority} <=> $x->{priority} || $x->{start} <=> $y->{start} || $x->{sid} cmp $y->{sid};
}

sub reserve
{
	my ($self, $task, @workers) = @_;
	my $workflow = $task->{workflow} ? $self->{workflows}{ $task->{workflow} } : undef;
	my $timeout = $workflow ? $workflow->{reservation_timeout} : 120;

	$task->{status} = 'reserved';
	$task->{assignments}++;
	for my $worker (@workers)
	{
		my $last = [ $self->{now}, ++$self->{sequence} ];

		push @{ $self->{unnamed} }, {
			task => $task->{sid}, worker => $worker->{sid}, channel => $task->{channel},
			status => 'pending', created => $self->{now}, sequence => $self->{sequence},
			times_out => $self->{now} + $timeout,
		};
		$self->{open}{ $worker->{sid} }{ $task->{channel} }{pending}++;
		$worker->{last} = $last;
		$worker->{slots}{ $task->{channel} }{last} = $last;
	}
	return;
}

sub match
{
	my ($self) = @_;
	my @tasks = sort { $self->compare_tasks($a, $b) }
		grep { $self->is_waiting($_) } values %{ $self->{tasks} };

	$self->count_open;
	for my $task (@tasks)
	{
		my $most = $task->{queue} && !$task->{worker} ?
			$self->{queues}{ $task->{queue} }{max_reserved_workers} : 1;
		my @workers = $self->best_first($task,
			grep { $self->may_have($_, $task) } values %{ $self->{workers} });

		splice @workers, $most if @workers > $most;
		$self->reserve($task, @workers) if @workers;
	}
	return;
}

# Steps whose skip_if has not been looked at; true where there were any.
sub skip_steps
{
	my ($self) = @_;
	my @untried = grep { $self->is_waiting($_) && !$_->{tried} } values %{ $self->{tasks} };

	for my $task (@untried)
	{
		my $queue = $self->{queues}{ $task->{queue} };
		my %workers = (available => 0, unavailable => 0);

		for my $worker (grep { $self->is_in_queue($_, $queue) } values %{ $self->{workers} })
		{
			$workers{ $self->is_available($worker) ? 'available' : 'unavailable' }++;
			$workers{ $worker->{activity} }++;
		}
		$task->{tried} = 1;
		next if !$self->target_of($task)->{skip_if}->(\%workers, $self->{now});
		if ($self->place_next($task, 'skip'))
		{
			$self->leave_steps($task);
		}
		else
		{
			$self->cancel($task, 'Task canceled on Workflow skipped');
		}
	}
	return scalar @untried;
}

sub fire_timers
{
	my ($self) = @_;
	my $now = $self->{now};

	for my $reservation (sort { $a->{times_out} <=> $b->{times_out} || $a->{sequence} <=> $b->{sequence} }
		grep { $_->{status} eq 'pending' && $_->{times_out} <= $now } values %{ $self->{reservations} })
	{
		my $worker = $self->{workers}{ $reservation->{worker} };

		$self->end_offer($reservation, 'timeout');
		$worker->{activity} = $self->{workspaces}{ $worker->{workspace} }{timeout_activity};
	}
	for my $task (values %{ $self->{tasks} })
	{
		if ($task->{status} =~ /^(?:pending|reserved)$/)
		{
			next if $task->{status} eq 'pending' && !$self->is_waiting($task);
			if ($task->{expires} <= $now)
			{
				$self->cancel($task, 'Task TTL Exceeded');
			}
			elsif ($task->{status} eq 'pending')
			{
				$self->leave_steps($task);
			}
		}
		elsif ($task->{status} eq 'assigned' && $task->{expires} <= $now)
		{
			$self->delete_task($task);
		}
	}
	return;
}

sub tick
{
	my ($self) = @_;

	$self->fire_timers;
	do
	{
		$self->match;
	} while ($self->skip_steps);
	return;
}

# The moment at which the next timer of any kind is due.
sub next_due
{
	my ($self) = @_;
	my @times = map { $_->{times_out} } grep { $_->{status} eq 'pending' } $self->all_reservations;

	for my $task (values %{ $self->{tasks} })
	{
		push @times, $task->{expires} if $task->{status} =~ /^(?:pending|reserved|assigned)$/;
		push @times, $task->{step_deadline} if $task->{status} eq 'pending' && defined $task->{step_deadline};
		push @times, $task->{not_before}
			if $task->{status} eq 'pending' && !$self->is_waiting($task);
	}
	return (sort { $a <=> $b } @times)[0];
}

1;
