#!/bin/bash
# run.sh runs all contenders in turns, prints their ratios, keeps the raw results, and makes the plot.
# OpenSSL and libgcrypt take part if their headers are installed (apt: libssl-dev libgcrypt20-dev).
# PEERS names programs that measure other libraries and print Go benchmark lines; see README.md.
# Arguments go to command ratios.
set -eo pipefail
cd "$(dirname "$0")"

tags=
probe() { # header tag library
	if printf '#include <%s>\nint main(void) { return 0; }\n' "$1" | ${CC:-cc} -x c - -o /dev/null "-l$3" 2>/dev/null; then
		tags="$tags,$2"
	else
		echo "without $2: no $1" >&2
	fi
}
probe openssl/evp.h openssl crypto
probe gcrypt.h libgcrypt gcrypt

cpu=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo 2>/dev/null | head -1 | tr -cs 'A-Za-z0-9\n' '-' | sed 's/-$//')
family=$(sed -n 's/^model[^:n]*: *//p' /proc/cpuinfo 2>/dev/null | head -1)
name="${cpu:-unknown}${family:+-model$family}-$(go env GOVERSION)"
mkdir -p results
go run -tags "${tags#,}" ./cmd/ratios -raw "results/$name.txt" "$@" | tee "results/$name-ratios.txt"
for peer in $PEERS; do
	"$peer" >> "results/$name.txt"
done
# One plot shows the results of all CPUs. The results of whole jobs have separate plots.
set --
for f in results/*.txt; do
	case $f in *-ratios.txt|*-job.txt|*-serve.txt|*-unpack.txt|*-upload.txt) ;; *) set -- "$@" "$f" ;; esac
done
go run ./cmd/plot "$@" results/kernels.svg
echo "wrote results/$name.txt and -ratios.txt, and results/kernels.svg"
