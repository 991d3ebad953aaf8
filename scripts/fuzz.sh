#!/bin/bash
# fuzz.sh - run each fuzz target of all Go modules in the repository for some time, one after the other.
#
#   scripts/fuzz.sh 30s          all of them
#   scripts/fuzz.sh 10m 2/4      the second quarter
#   scripts/fuzz.sh --list       only list them: module folder, package and name
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go}

# targets: print "folder package name" of each target, in the order of go list. The folder is that of
# the Go module.
targets() {
	local folder
	find . -name go.mod -not -path '*/.*/*' -printf '%h\n' | LC_ALL=C sort | while read -r folder; do
		grep -rqs --include='*_test.go' '^func Fuzz' "$folder" || continue
		(cd "$folder" && "$go" list -buildvcs=false -find -f '{{$p := .}}{{range .TestGoFiles}}{{$p.ImportPath}} {{$p.Dir}}/{{.}}
{{end}}{{range .XTestGoFiles}}{{$p.ImportPath}} {{$p.Dir}}/{{.}}
{{end}}' ./...) | while read -r package file; do
			[ -z "$package" ] || sed -n "s|^func \(Fuzz[A-Za-z0-9_]*\)(.*|$folder $package \1|p" "$file"
		done | sort -u
	done
}

if [ "${1:-}" = --list ]; then targets; exit; fi
time=${1:?usage: fuzz.sh TIME [PART/PARTS]}
part=${2:-1/1}
status=0 n=0
while read -r folder package target; do
	n=$((n + 1))
	[ $((n % ${part#*/})) = $((${part%/*} % ${part#*/})) ] || continue
	echo "$package $target"
	# Run all targets of a part, so that a failure does not hide later ones.
	(cd "$folder" && "$go" test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 5x "$package") </dev/null || status=1
done < <(targets)
[ "$n" -gt 0 ] || { echo 'fuzz: no fuzz targets' >&2; exit 1; }
exit $status
