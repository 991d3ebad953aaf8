#!/bin/bash
# check-docs.sh - check docs/threat-model.md: every promise names tests (`package: TestA TestB`, and
# `TestScripts/NAME` for the script NAME.txt), the tests exist, and each attacker has promises.
#
#   scripts/check-docs.sh
set -u
cd "$(dirname "$0")/.." || exit 1
page=docs/threat-model.md
status=0 n=0
while IFS=: read -r package names; do
	for name in $names; do
		n=$((n + 1))
		script=
		case $name in */*) script=$package/testdata/${name#*/}.txt ;; esac
		{ grep -qs "^func ${name%%/*}(" "$package"/*_test.go && { [ -z "$script" ] || [ -e "$script" ]; }; } || { echo "$page: no test $name in $package"; status=1; }
	done
done < <(grep -oE '`[a-z0-9./]+: ((Test|Fuzz)[A-Za-z0-9/]+ ?)+`' "$page" | tr -d '`')

# Report promises without a test, and attackers without a promise.
awk '
	function ended() { if (attacker != "" && !promises) { print FILENAME ": no promise against this attacker: " attacker; bad = 1 } }
	/^##+ / { ended(); attacker = ""; promises = 0; table = 0 }
	/^## / { inside = $0 == "## The attackers" }
	/^### / && inside { attacker = substr($0, 5); attackers++ }
	/^\| promise \| tests \|$/ { table = 1; getline; next }
	!/^\|/ { table = 0 }
	table { promises++; if ($0 !~ /\| `[a-z0-9.\/]+: (Test|Fuzz)[^|]*` \|$/) { print FILENAME ": this promise names no test: " $0; bad = 1 } }
	END { ended(); if (attackers < 6) { print FILENAME ": " attackers + 0 " attackers, want at least 6"; bad = 1 } exit bad }
' "$page" || status=1
[ $n -ge 50 ] || { echo "$page: $n tests, want at least 50"; status=1; }
exit $status
