# kin_tr: a contact centre inside PostgreSQL.  "make help" lists what there is.
EXTENSION = kin_tr
EXTVERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" kin_tr.control)

MODULE_big = kin_tr
OBJS = $(patsubst %.c,%.o,src/kin_tr.c $(sort $(wildcard $(addsuffix /*.c,$(addprefix src/,$(ROOMS))))))
ROOMS = base expr events routing observe workers

DATA_built = sql/kin_tr--$(EXTVERSION).sql
EXTRA_CLEAN = $(DATA_built) $(OBJS:.o=.d)

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
override with_llvm = no
override PG_CPPFLAGS += -MMD -MP -Isrc -isystem $(shell $(PG_CONFIG) --includedir-server)
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers -Werror=implicit-function-declaration $(WERROR)
include $(PGXS)

# PGXS knows no headers; the compiler tells which object needs which.
-include $(OBJS:.o=.d)

# The install script is its parts, in their order.
$(DATA_built): $(sort $(wildcard sql/install/*.sql))
	cat $^ >$@
