#!/usr/bin/perl
# Which PostgreSQL is built for: PG_CONFIG's, else that of the PATH, of 15 to 18 and with the
# server's headers; and what make says where there is none.
use strict;
use warnings;

use File::Temp qw(tempdir);

my $dir = tempdir(CLEANUP => 1);
my $tests = 0;
my $failed = 0;

sub ok
{
	my ($ok, $what, $got) = @_;

	$tests++;
	$failed++ if !$ok;
	print $ok ? '' : 'not ', "ok $tests - $what\n";
	print STDERR "# got: $got\n" if !$ok;
	return;
}

sub write_file
{
	my ($name, $text) = @_;

	open my $out, '>', $name or die "$name: $!";
	print $out $text;
	close $out;
	return;
}

# A pg_config of a version, in a folder of its own, with or without the server's headers.
sub installation
{
	my ($name, $version, $headers) = @_;
	my $at = "$dir/$name";

	mkdir $at;
	write_file("$at/pgxs.mk", '');
	write_file("$at/postgres.h", '') if $headers;
	write_file("$at/pg_config", "#!/bin/sh\ncase \$1 in --version) echo 'PostgreSQL $version' ;; --pgxs) echo $at/pgxs.mk ;; --includedir-server) echo $at ;; esac\n");
	chmod 0755, "$at/pg_config";
	return $at;
}

# What a command says, and whether it succeeds.
sub said
{
	my ($path, $pg_config, $command) = @_;

	local $ENV{PATH} = "$path:/usr/bin:/bin";
	local $ENV{PG_CONFIG} = $pg_config;
	delete $ENV{PG_CONFIG} if !defined $pg_config;
	delete local @ENV{qw(MAKEFLAGS MAKELEVEL MFLAGS)};
	my $said = `$command 2>&1`;
	return ($said, $? == 0);
}

my $good = installation('good', '16.4', 1);
my $other = installation('other', '17.2 (Debian)', 1);
my $old = installation('old', '14.9', 1);
my $bare = installation('bare', '15.1', 0);

my ($said, $succeeded) = said($good, undef, 'test/pg_config.sh');
ok($succeeded && $said eq "$good/pg_config\n", 'that of the PATH is taken', $said);
($said, $succeeded) = said($good, "$other/pg_config", 'test/pg_config.sh');
ok($succeeded && $said eq "$other/pg_config\n", "PG_CONFIG's goes before it", $said);

for my $case ([ "$old/pg_config", qr/is not of PostgreSQL 15 to 18/ ], [ "$bare/pg_config", qr/development files of PostgreSQL 15 were not found/ ],
	[ "$dir/none", qr/is no program/ ])
{
	my ($pg_config, $why) = @$case;

	for my $command ('test/pg_config.sh', "make all PG_CONFIG=$pg_config")
	{
		($said, $succeeded) = said($good, $pg_config, $command);
		my @lines = grep { !/^make/ } split /\n/, $said;
		(my $shown = "$command: $why") =~ s/\Q$dir\E/DIR/g;
		ok(!$succeeded && @lines == 1 && $lines[0] =~ $why, "one line says why not: $shown", $said);
	}
}
print "1..$tests\n";
exit($failed ? 1 : 0);
