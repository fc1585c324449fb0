#!/usr/bin/env bash
# The table of a run, from its results.
#
#   test/bench/table.sh [RESULTS]          on the screen (build/bench.tsv)
#   test/bench/table.sh --docs [RESULTS]   into docs/benchmarks.md, between its markers; only of a whole run
set -euo pipefail
cd "$(dirname "$0")"
docs=
if [[ ${1:-} == --docs ]]; then docs=../../docs/benchmarks.md; shift; fi
results=${1:-../../build/bench.tsv}

table() {
	awk -F '\t' -v OFS='\t' '
		function sorted(key, n,   i, j, t) {
			for (i = 1; i <= n; i++) v[i] = value[key, i] + 0
			for (i = 2; i <= n; i++)
				for (j = i; j > 1 && v[j - 1] > v[j]; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
		}
		function middle(key, n) { sorted(key, n); return (v[int((n + 1) / 2)] + v[int((n + 2) / 2)]) / 2 }
		function show(x,   text, head) {
			if (x < 10) return sprintf("%.2f", x)
			if (x < 100) return sprintf("%.1f", x)
			text = sprintf("%.0f", x); head = ""
			while (length(text) > 3) { head = "," substr(text, length(text) - 2) head; text = substr(text, 1, length(text) - 3) }
			return text head
		}
		FNR == NR {
			if (/^#/) next
			n = ++rounds[$1]
			value[$1 " kin", n] = $3; value[$1 " bound", n] = $4; value[$1 " ratio", n] = $5
			next
		}
		$1 in rounds {
			n = rounds[$1]; kin = middle($1 " kin", n)
			bound = ratio = ""; judged = kin
			if (value[$1 " ratio", 1] != "") {
				bound = show(middle($1 " bound", n)) " (" $4 ")"
				judged = middle($1 " ratio", n)
				ratio = show(judged) (n > 1 ? " (" show(v[1]) " to " show(v[n]) ")" : "")
			}
			split($5, must, " ")
			reached = $5 == "" ? "" : (must[1] == ">=" ? judged >= must[2] : judged <= must[2]) ? "yes" : "no"
			print $2, show(kin) " " $3, bound, ratio, ($5 == "" ? "reported" : $5), reached
		}
	' "$results" measures.tsv
}

head='measure\tkin_tr\tagainst\tratio\tmust reach\treached'
if [[ ! $docs ]]; then
	{ printf "$head\n"; table; } | tr -d '`' | awk -F '\t' '
		{ for (i = 1; i <= NF; i++) { cell[NR, i] = $i; if (length($i) > width[i]) width[i] = length($i) } }
		END { for (r = 1; r <= NR; r++) for (i = 1; i <= 6; i++) printf i < 6 ? "%-" width[i] + 2 "s" : "%s\n", cell[r, i] }'
	sed -n 's/^# //p' "$results" | awk -F '\t' '{ printf "%s: %s\n", $1, $2 }'
	exit
fi

if grep -q 'QUICK' "$results" || (($(table | wc -l) < $(wc -l <measures.tsv))); then
	echo 'table.sh: not the results of a whole run' >&2
	exit 1
fi
{
	sed '/<!-- table: begin/q' "$docs"
	sed -n 's/^# //p' "$results" | awk -F '\t' '{ printf "%s%s: %s", (NR > 1 ? "; " : ""), $1, $2 } END { print ".\n" }'
	printf "$head\n" | sed 's/\t/ | /g; s/.*/| & |/'
	echo '|---|---|---|---|---|---|'
	table | sed 's/\t/ | /g; s/.*/| & |/; s/>= /≥ /; s/<= /≤ /'
	sed -n '/<!-- table: end/,$p' "$docs"
} >"$docs.new"
mv "$docs.new" "$docs"
