#!/usr/bin/perl
# The rooms of src depend downwards only; this reads their includes.
use strict;
use warnings;

my %below = (
	base => ['base'],
	expr => ['expr'],
	events => [ 'base', 'events' ],
	routing => [ 'base', 'expr', 'events', 'routing' ],
	observe => [ 'base', 'observe' ],
	workers => [ 'base', 'expr', 'events', 'routing', 'observe', 'workers' ]);
my @faults;

for my $room (sort keys %below)
{
	my %allowed = map { $_ => 1 } @{ $below{$room} };
	for my $file (glob "src/$room/*.[ch]")
	{
		open my $in, '<', $file or die "$file: $!";
		while (my $line = <$in>)
		{
			next unless $line =~ m{^#include "([^"]+)"};
			my $header = $1;
			my $of = $header =~ m{^(\w+)/} ? $1 : '';
			push @faults, "$file includes $header"
			  if exists $below{$of} && !$allowed{$of};
			push @faults, "$file includes $header, a header of the server"
			  if $room eq 'expr' && $of ne 'expr' && !-e "src/expr/$header";
		}
		close $in;
	}
}
print STDERR "# $_\n" for @faults;
print @faults ? "not ok" : "ok", " 1 - rooms depend downwards only\n";
exit(@faults ? 1 : 0);
