#!/bin/bash
# run-serve.sh compares luksimg serve with nbdkit and qemu-nbd: copies with nbdcopy, and random reads
# with fio. It prints ratios and the peak memory, and keeps the raw results. Arguments go to command
# serve. It needs about 4 GiB in /dev/shm (apt: qemu-utils nbdkit libnbd-bin fio).
set -eo pipefail
cd "$(dirname "$0")"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
(cd .. && CGO_ENABLED=0 go build -trimpath -o "$tmp/luksimg" ./cmd/luksimg)

cpu=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo 2>/dev/null | head -1 | tr -cs 'A-Za-z0-9\n' '-' | sed 's/-$//')
family=$(sed -n 's/^model[^:n]*: *//p' /proc/cpuinfo 2>/dev/null | head -1)
name="results/${cpu:-unknown}${family:+-model$family}-$(go env GOVERSION)-serve.txt"
mkdir -p results
go run ./cmd/serve -luksimg "$tmp/luksimg" -raw "$name" "$@" | grep -v '^Benchmark'
echo "wrote $name"
