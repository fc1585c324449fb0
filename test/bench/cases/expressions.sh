# Evaluations a second on one core of `skills has "billing" and level > 5`: the router's evaluator on
# extracted attributes, and the SQL function on jsonb, against the same predicate as jsonpath @@.

# The first of the program's expressions is the predicate.
expressions_router() {
	"$work/expr_bench" | awk 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "M/s") print $(i - 1) * 1e6 }'
}

# On the rows that the bound has made, in its database.
expressions_sql() {
	PGOPTIONS="$PGOPTIONS -c max_parallel_workers_per_gather=0" pgbench -n -M prepared -T "$T" -c 1 \
		-f "$bench/pgbench/evaluate_expression.sql" peers 2>/dev/null | awk '/^tps/ { printf "%.0f\n", $3 * 10000 }'
}

case_expressions() {
	cc -std=gnu11 -O2 -Isrc -o "$work/expr_bench" test/unit/expr_bench.c src/expr/*.c
	sql -d peers -c 'CREATE EXTENSION kin_tr'
	interleave expression_sql 'bound predicate_jsonpath 1' expressions_sql
	interleave expression_router 'bound predicate_jsonpath 1' expressions_router
	sql -d peers -c 'DROP EXTENSION kin_tr'
}
