# A worker's name is the same whatever its case and however its accents are
# written, in every language, and under every encoding and collation of the
# database; so a dump of one restores in another.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Utils;
use Test::More;

use KinTr::Cluster;

my $node = start_node('names', preload => 0, extension => 0);
my $has_icu = $node->safe_psql('postgres', "SELECT count(*) FROM pg_collation WHERE collprovider = 'i'") > 0;
my @databases = (
	[ utf8_c => q{ENCODING 'UTF8' LOCALE 'C'} ],
	[ utf8_libc => q{ENCODING 'UTF8' LOCALE 'C.UTF-8'} ],
	($has_icu ? [ utf8_icu => q{ENCODING 'UTF8' LOCALE 'C' LOCALE_PROVIDER icu ICU_LOCALE 'und'} ] : ()),
	[ latin1 => q{ENCODING 'LATIN1' LOCALE 'C'} ],
);

# Each line is one name, written in several ways; the last of them in Latin 1, too.
my @same = (
	[ 'Alice', 'ALICE', 'alice' ],
	[ "\xc3\x89lodie", "\xc3\xa9LODIE" ],
	[ "Stra\xc3\x9fe", 'STRASSE', 'strasse' ],
);
my @same_in_unicode = (
	[ "Zo\xc3\xab", "ZOE\xcc\x88", "zoe\xcc\x88" ],												# composed, decomposed
	[ "\xce\xa3\xce\xaf\xcf\x83\xcf\x85\xcf\x86\xce\xbf\xcf\x82", "\xcf\x83\xce\x8a\xce\xa3\xce\xa5\xce\xa6\xce\x9f\xce\xa3" ],	# Greek, with both small sigmas
	[ "\xd0\x9e\xd0\xbb\xd1\x8c\xd0\xb3\xd0\xb0", "\xd0\xbe\xd0\x9b\xd0\xac\xd0\x93\xd0\x90" ],			# Cyrillic
	[ "\xe1\xbe\xb3\xcc\x81", "\xce\x91\xcc\x81\xcd\x85", "\xce\x91\xcd\x85\xcc\x81" ],						# accents in any order
	[ "\xf0\x90\x90\x80", "\xf0\x90\x90\xa8" ],												# Deseret, beyond 16 bits
	[ "\xef\xac\x83x", 'FFIX' ],																# a ligature
);
my @different = ("\xc3\x89va", 'Eva', "\xc3\xa9v\xc3\xa0", 'I', "\xc3\xad");

sub value { my ($db, $sql, @values) = @_; return scalar $db->selectrow_array($sql, undef, @values); }

# The workers' names with the key that each is found by.
sub keys_of
{
	return $_[0]->selectall_arrayref(q{SELECT friendly_name, encode(name_key, 'hex') FROM kin_tr.workers ORDER BY name_key});
}

for (@databases)
{
	my ($name, $options) = @$_;
	my @names = ($options =~ /UTF8/ ? (@same, @same_in_unicode) : @same);

	$node->safe_psql('postgres', "CREATE DATABASE $name TEMPLATE template0 $options");
	my $db = connect_to($node, $name);

	$db->do("SET client_encoding = 'UTF8'");
	$db->do('CREATE EXTENSION kin_tr');
	$db->do(q{SELECT kin_tr.set_clock('2026-01-05 09:00Z'), kin_tr.create_workspace('centre', 'FIFO')});
	for (@names)
	{
		my ($first, @others) = @$_;

		$db->do('SELECT kin_tr.create_worker(?)', undef, $first);
		is(sqlstate_of($db, 'SELECT kin_tr.create_worker(?)', $_), '42710', "$name: \"$_\" is there already, as \"$first\"") for @others;
		is(value($db, 'SELECT friendly_name FROM kin_tr.get_worker(?)', $_), $first, "$name: \"$_\" is found, as \"$first\"") for $first, @others;
		is(sqlstate_of($db, 'SELECT kin_tr.update_worker(?, friendly_name => ?)', $first, $others[0]), '00000', "$name: \"$first\" may be written \"$others[0]\"");
		is(sqlstate_of($db, 'SELECT kin_tr.update_worker(?, friendly_name => ?)', $first, $first), '00000', "$name: and \"$first\" again");
		is(sqlstate_of($db, q{SELECT kin_tr.update_worker('Alice', friendly_name => ?)}, $others[0]), $first eq 'Alice' ? '00000' : '42710',
			"$name: no other worker may be called so");
	}
	is(sqlstate_of($db, 'SELECT kin_tr.create_worker(?)', $_), '00000', "$name: \"$_\" is a name of its own") for @different;
	is(sqlstate_of($db, 'SELECT kin_tr.create_worker(?)', "\xc3\xa9" x 64), '00000', "$name: a name may have 64 characters");
	is(sqlstate_of($db, 'SELECT kin_tr.create_worker(?)', "\xc3\xa9" x 65), '22023', "$name: but no more");
	is(sqlstate_of($db, 'SELECT kin_tr.update_worker(?, friendly_name => ?)', "\xc3\x89" x 64, 'e' x 65), '22023', "$name: nor may a new one");
	is(sqlstate_of($db, 'SELECT kin_tr.get_worker(?)', "\xc3\xa9" x 500), '42704', "$name: a longer one is nobody's");
	is(sqlstate_of($db, q{SELECT kin_tr.create_voice_call_task('CA1', '+1', ?)}, "\xc3\xa9" x 500), '00000', "$name: nor is it an agent's");
	is(value($db, 'SELECT count(*) FROM kin_tr.check()'), 0, "$name: check() finds each by its name");
	$db->do(q{UPDATE kin_tr.workers SET name_key = 'else' WHERE friendly_name = 'Eva'});
	is(value($db, 'SELECT invariant FROM kin_tr.check()'), 'a worker is found by its name', "$name: and one that is not");
	is(sqlstate_of($db, q{SELECT kin_tr.update_worker((SELECT sid::text FROM kin_tr.workers WHERE name_key = 'else'), friendly_name => 'EVA')}), '00000',
		"$name: to name it again mends that");
	is(value($db, 'SELECT count(*) FROM kin_tr.check()'), 0, "$name: check() finds nothing more");
	$db->disconnect;
}

# What is not known to be Unicode keeps its other letters as they are.
$node->safe_psql('postgres', q{CREATE DATABASE ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'});
{
	my $db = connect_to($node, 'ascii');

	$db->do('CREATE EXTENSION kin_tr');
	$db->do(q{SELECT kin_tr.create_workspace('centre', 'FIFO'), kin_tr.create_worker(?), kin_tr.create_worker(?)}, undef, "\xc9LODIE", "\xe9lodie");
	is(sqlstate_of($db, 'SELECT kin_tr.create_worker(?)', "\xc9lodie"), '42710', 'ascii: letters of ASCII are folded');
	is(value($db, 'SELECT count(*) FROM kin_tr.check()'), 0, 'ascii: check() finds each by its name');
	$db->disconnect;
}

# A dump of each restores in each that can write its names.
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump';

for my $from (map { $_->[0] } @databases)
{
	$node->command_ok([ 'pg_dump', '-d', $from, '-f', $dump ], "$from: is dumped");
	for (@databases)
	{
		my ($to, $options) = @$_;

		next if $to eq $from || ($to eq 'latin1' && $from ne 'latin1');
		$node->safe_psql('postgres', "CREATE DATABASE copy TEMPLATE template0 $options");
		$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', 'copy', '-f', $dump ], "$from: the dump restores in $to");
		my ($old, $new) = map { connect_to($node, $_) } $from, 'copy';

		$_->do(q{SET client_encoding = 'UTF8'}) for $old, $new;
		is_deeply(keys_of($new), keys_of($old), "$from: with the same keys there");
		is(value($new, 'SELECT friendly_name FROM kin_tr.get_worker(?)', $same[1][1]), $same[1][0], "$from: and each is found by its name there");
		is(value($new, 'SELECT count(*) FROM kin_tr.check()'), 0, "$from: check() finds nothing there");
		$_->disconnect for $old, $new;
		$node->safe_psql('postgres', 'DROP DATABASE copy');
	}
}

$node->stop;
done_testing();
