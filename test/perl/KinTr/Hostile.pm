# Settings that a cluster, a database or a role may have, of which each could end
# or bend a statement that relies on PostgreSQL's default.

package KinTr::Hostile;

use strict;
use warnings FATAL => 'all';

use Exporter qw(import);

our @EXPORT = qw(%hostile settings_as_conf settings_as_sql);

our %hostile = (
	# what is stored, and where
	default_toast_compression => 'lz4',
	default_tablespace => 'elsewhere',
	temp_tablespaces => 'elsewhere',
	# formats, and how text is read
	DateStyle => 'SQL, DMY',
	IntervalStyle => 'sql_standard',
	TimeZone => 'Pacific/Apia',
	bytea_output => 'escape',
	extra_float_digits => -15,
	xmlbinary => 'hex',
	xmloption => 'document',
	array_nulls => 'off',
	quote_all_identifiers => 'on',
	standard_conforming_strings => 'off',
	backslash_quote => 'off',
	transform_null_equals => 'on',
	# names and transactions
	search_path => 'nowhere',
	default_transaction_isolation => 'repeatable read',
	default_transaction_deferrable => 'on',
	check_function_bodies => 'off',
	'plpgsql.variable_conflict' => 'use_column',
	'plpgsql.extra_errors' => 'all',
	# the planner
	enable_indexscan => 'off',
	enable_indexonlyscan => 'off',
	enable_bitmapscan => 'off',
	enable_nestloop => 'off',
	enable_sort => 'off',
	enable_hashagg => 'off',
	enable_material => 'off',
	enable_partition_pruning => 'off',
	plan_cache_mode => 'force_custom_plan',
	constraint_exclusion => 'off',
	from_collapse_limit => 1,
	join_collapse_limit => 1,
	geqo_threshold => 2,
	cursor_tuple_fraction => 1,
	random_page_cost => 1000000,
	cpu_index_tuple_cost => 1000000,
	parallel_setup_cost => 0,
	parallel_tuple_cost => 0,
	min_parallel_table_scan_size => 0,
	# what runs short
	work_mem => '64kB',
	temp_file_limit => '1MB',
	gin_fuzzy_search_limit => 1,
	deadlock_timeout => '1ms',
);

# One that PostgreSQL 16 has named anew is for the caller to add.
sub settings_as_conf
{
	my (%settings) = @_;

	return join '', map { "$_ = '$settings{$_}'\n" } sort keys %settings;
}

# ALTER DATABASE ... SET, ALTER ROLE ... SET, ALTER SYSTEM SET: a statement each.
sub settings_as_sql
{
	my ($whose, %settings) = @_;

	return map { "$whose SET $_ = '$settings{$_}'" } sort keys %settings;
}

1;
