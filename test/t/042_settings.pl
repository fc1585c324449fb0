# What kin_tr does in a session does not depend on the session's settings: the
# model test gives the same under hostile ones.

use strict;
use warnings FATAL => 'all';

use FindBin;

use KinTr::Cluster;    # here, for it sets itself up before anything runs
use KinTr::Hostile;

# Both are read by the model test.
$ENV{SEED} //= 5;
$ENV{MODEL_OPERATIONS} //= 400;

# Not those that say what a transaction is to be, which functions refuse where they
# cannot do with it; nor tablespaces, which would have to be made first; nor what
# makes each of the test's own queries start other processes.
delete @hostile{qw(default_transaction_isolation default_tablespace temp_tablespaces
	parallel_setup_cost parallel_tuple_cost min_parallel_table_scan_size)};
# At such costs each of the test's queries would be compiled, too.
$ENV{MODEL_CONF} = settings_as_conf(%hostile, jit => 'off');

do "$FindBin::Bin/010_model.pl" or die $@ || $!;
