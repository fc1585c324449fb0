# kin_tr: a contact centre inside PostgreSQL.
#
#	make demo		a month of a bank's calls, routed (DAYS=1: a short run)
#	make demo-stop	removes the demo's cluster
#	make test		every test
#	make test-storm		a long storm of faults (FAULTS=300 SEED=1)
#	make test-valgrind	the regression and isolation tests under valgrind
#	make test-asan		these and the TAP tests under AddressSanitizer
#	make test-versions	all but demo, README and fuzzers on PostgreSQL 17 and 18 (VERSIONS="17 /path/to/pg_config")
#	make test-notify-queue	that a full queue of NOTIFYs stops nobody; 8 GB of disk
#	make bench		every figure of docs/benchmarks.md
#	make setup		installs what these need; they call it themselves
#
# and PGXS's own: make, make install, make clean. PG_CONFIG=... says which PostgreSQL, where there are
# several; test/pg_config.sh looks for it.

EXTENSION = kin_tr
EXTVERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" kin_tr.control)

MODULE_big = kin_tr
ROOMS = base expr events routing workers
OBJS = $(patsubst %.c,%.o,src/kin_tr.c $(sort $(wildcard $(addsuffix /*.c,$(addprefix src/,$(ROOMS))))))

# The install script is its parts, in their order.
INSTALL_SQL = sql/kin_tr--$(EXTVERSION).sql
DATA_built = $(INSTALL_SQL)
EXTRA_CLEAN = $(INSTALL_SQL) $(OBJS:.o=.d) build

FOUND := $(shell PG_CONFIG='$(PG_CONFIG)' test/pg_config.sh 2>/dev/null)
ifneq ($(FOUND),)
override PG_CONFIG := $(FOUND)
endif
export PG_CONFIG

PG_CPPFLAGS = -MMD -MP -Isrc -isystem $(shell $(PG_CONFIG) --includedir-server 2>/dev/null)
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare \
	-Wno-missing-field-initializers -Wno-clobbered $(if $(WERROR),-Werror)
SHLIB_LINK = -lutf8proc
override with_llvm = no

# Before anything is installed there is no PGXS to include; "make setup" gets it.
ifneq ($(FOUND),)
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)
else
.PHONY: all install uninstall installcheck clean
all install uninstall installcheck:
	@test/pg_config.sh
clean:
endif

# PGXS knows no headers; the compiler tells which object needs which.
-include $(OBJS:.o=.d)

$(INSTALL_SQL): $(sort $(wildcard sql/install/*.sql))
	cat $^ >$@

.PHONY: setup demo demo-stop test test-storm test-notify-queue test-valgrind test-asan test-versions bench

setup:
	test/setup.sh

demo:
	test/setup.sh demo
	test/demo/demo.sh

demo-stop:
	@test/demo/stop.sh

test: setup
	test/run.sh

test-storm: setup
	FAULTS=$(or $(FAULTS),300) SEED=$(or $(SEED),1) TAP_FILES=test/t/055_storm.pl test/run.sh tap

test-notify-queue: setup
	FILL_NOTIFY_QUEUE=1 TAP_FILES=test/t/066_notify_queue.pl test/run.sh tap

test-valgrind: setup
	test/valgrind.sh

test-asan: setup
	test/asan.sh

test-versions:
	test/versions.sh $(VERSIONS)

bench: setup
	test/bench/run.sh
