#!/bin/bash
# fuzz.sh - run each fuzz target of the module for a while, one after the other.
#
#   scripts/fuzz.sh 30s          all of them
#   scripts/fuzz.sh 10m 2/4      the second quarter
#   scripts/fuzz.sh --list       no run: package and name of each
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go}

# targets: "package name" of each, in the order of go list.
targets() {
	"$go" list -f '{{$p := .}}{{range .TestGoFiles}}{{$p.ImportPath}} {{$p.Dir}}/{{.}}
{{end}}{{range .XTestGoFiles}}{{$p.ImportPath}} {{$p.Dir}}/{{.}}
{{end}}' ./... | while read -r package file; do
		[ -z "$package" ] || sed -n "s|^func \(Fuzz[A-Za-z0-9_]*\)(.*|$package \1|p" "$file"
	done | sort -u
}

if [ "${1:-}" = --list ]; then targets; exit; fi
time=${1:?usage: fuzz.sh TIME [PART/PARTS]}
part=${2:-1/1}
status=0 n=0
while read -r package target; do
	n=$((n + 1))
	[ $((n % ${part#*/})) = $((${part%/*} % ${part#*/})) ] || continue
	echo "$package $target"
	# All of a part run, so that one that fails does not hide the next.
	"$go" test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 5x "$package" </dev/null || status=1
done < <(targets)
[ "$n" -gt 0 ] || { echo 'fuzz: there are no targets' >&2; exit 1; }
exit $status
