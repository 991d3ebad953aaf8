#!/bin/sh
# Runs all contenders in turns, prints their ratios, and keeps the raw results and
# the plot made from them. OpenSSL and libgcrypt take part if their headers are there
# (apt: libssl-dev libgcrypt20-dev). PEERS names programs that measure others and print
# Go benchmark lines, see README.md. Arguments go to the command ratios.
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
# One plot has the results of all CPUs; those of whole jobs have a plot of their own.
set --
for f in results/*.txt; do
	case $f in *-ratios.txt|*-job.txt|*-serve.txt|*-unpack.txt|*-upload.txt) ;; *) set -- "$@" "$f" ;; esac
done
go run ./cmd/plot "$@" results/kernels.svg
echo "wrote results/$name.txt and -ratios.txt, and results/kernels.svg"
