#!/bin/sh
# run-inflate.sh runs package inflate and its peers in turns. libdeflate and isa-l take part if their
# headers are installed (apt: libdeflate-dev libisal-dev). Arguments go to command inflate.
set -e
cd "$(dirname "$0")"

tags=
probe() { # header tag library
	if printf '#include <%s>\nint main(void) { return 0; }\n' "$1" | ${CC:-cc} -x c - -o /dev/null "-l$3" 2>/dev/null; then
		tags="$tags,$2"
	else
		echo "without $2: no $1" >&2
	fi
}
probe libdeflate.h libdeflate deflate
probe isa-l.h isal isal
go run -tags "${tags#,}" ./cmd/inflate "$@"
