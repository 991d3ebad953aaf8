#!/bin/bash
# run-job.sh compares luksimg from file to file with qemu-img, cryptsetup, nbdkit, luksy, go-qcow2reader
# and plain copies, in turns. It keeps the raw results, and makes the plot and the table in
# docs/performance.md. Arguments go to command job. It needs about 12 GiB in /dev/shm and 10 GiB in
# TMPDIR. It needs qemu-img (apt: qemu-utils), and leaves out other programs that are not installed (apt:
# cryptsetup-bin nbdkit libnbd-bin).
set -eo pipefail
cd "$(dirname "$0")"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
(cd .. && CGO_ENABLED=0 go build -trimpath -o "$tmp/luksimg" ./cmd/luksimg)
CGO_ENABLED=0 go build -trimpath -o "$tmp/peers" ./cmd/peers

cpu=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo 2>/dev/null | head -1 | tr -cs 'A-Za-z0-9\n' '-' | sed 's/-$//')
family=$(sed -n 's/^model[^:n]*: *//p' /proc/cpuinfo 2>/dev/null | head -1)
name="results/${cpu:-unknown}${family:+-model$family}-$(go env GOVERSION)-job"
mkdir -p results
go run ./cmd/job -luksimg "$tmp/luksimg" -peers "$tmp/peers" -raw "$name.txt" "$@" | grep -v '^Benchmark'
go run ./cmd/jobplot "$name.txt" "$name.svg" ../docs/performance.md
echo "wrote $name.txt and .svg, and the table in docs/performance.md"
