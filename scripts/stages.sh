#!/bin/bash
# stages.sh - run targets of the Makefile one after the other, until one fails. It prints a line when a
# target starts and when it ends. Every minute it prints the elapsed time to standard error, to show
# that a silent target is still running.
#
#   scripts/stages.sh TARGET...
#
# Environment: MAKE is the make program. BEAT is the interval of the elapsed-time lines, in seconds.
set -u
cd "$(dirname "$0")/.." || exit
make=${MAKE:-make} interval=${BEAT:-60}

# spent SECONDS: print a duration for people.
spent() { if [ "$1" -lt 60 ]; then echo "$1 s"; else echo "$(($1 / 60)) min"; fi; }

# beat TARGET: print a line every minute until this script ends. It waits with read: a sleep would
# outlive the script and keep a pipe open.
beat() {
	SECONDS=0
	exec 9<> <(:)
	while read -r -t "$interval" -u 9; kill -0 $$ 2>/dev/null; do
		echo "... $1: $(spent $SECONDS)" >&2
	done
}

beat=
trap '[ -z "$beat" ] || kill "$beat" 2>/dev/null' EXIT
for target; do
	echo "== $target"
	SECONDS=0
	beat "$target" &
	beat=$!
	"$make" --no-print-directory "$target"
	status=$?
	kill "$beat"
	wait "$beat" 2>/dev/null
	beat=
	[ $status = 0 ] || { echo "== $target: failed after $(spent $SECONDS)" >&2; exit $status; }
	echo "== $target: $(spent $SECONDS)"
done
