#!/bin/bash
# check-docs.sh - the tests that docs/threat-model.md names are there: `package: TestA TestB`, and `TestScripts/NAME` for
# the script NAME.txt.
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
		{ grep -qs "^func ${name%%/*}(" "$package"/*_test.go && { [ -z "$script" ] || [ -e "$script" ]; }; } || { echo "$page: there is no $name in $package"; status=1; }
	done
done < <(grep -oE '`[a-z0-9./]+: ((Test|Fuzz)[A-Za-z0-9/]+ ?)+`' "$page" | tr -d '`')
[ $n -ge 50 ] || { echo "$page: $n tests only"; status=1; }
exit $status
