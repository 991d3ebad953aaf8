#!/bin/bash
# run-unpack.sh compares luksimg encrypt of compressed disks with zstd, xz and pigz that pipe to
# luksimg. It prints ratios and the peak memory, and keeps the raw results. Arguments go to command
# unpack. It needs about 4 GiB in /dev/shm or the folder FAST (apt: e2fsprogs pigz xz-utils zstd), and
# some minutes to compress the disk. The disk is 1 GiB of ext4 with as many files of /usr as fit, and
# free space.
set -eo pipefail
cd "$(dirname "$0")"
tmp=$(mktemp -d)
fast=$(mktemp -d "${FAST:-/dev/shm}/luksimg-unpack-XXXXXX")
trap 'rm -rf "$tmp" "$fast"' EXIT
(cd .. && CGO_ENABLED=0 go build -trimpath -o "$tmp/luksimg" ./cmd/luksimg)

mkdir "$fast/usr"
left=$((620 * 1024)) # KiB
for d in /usr/bin /usr/sbin /usr/lib/*/* /usr/share/* /usr/include; do
	[ -L "$d" ] && continue
	size=$(du -skx "$d" | cut -f1)
	[ "$size" -le "$left" ] || continue
	left=$((left - size))
	mkdir -p "$fast$(dirname "$d")"
	cp -a "$d" "$fast$(dirname "$d")/"
done
truncate -s 1G "$fast/disk.raw"
mke2fs -q -t ext4 -d "$fast/usr" "$fast/disk.raw"
rm -rf "$fast/usr"
pigz -c "$fast/disk.raw" >"$fast/disk.raw.gz"
zstd -qc "$fast/disk.raw" >"$fast/disk.raw.zst"
pzstd -qc "$fast/disk.raw" >"$fast/disk.frames.zst"
xz -T0 -c "$fast/disk.raw" >"$fast/disk.raw.xz"

cpu=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo 2>/dev/null | head -1 | tr -cs 'A-Za-z0-9\n' '-' | sed 's/-$//')
family=$(sed -n 's/^model[^:n]*: *//p' /proc/cpuinfo 2>/dev/null | head -1)
name="results/${cpu:-unknown}${family:+-model$family}-$(go env GOVERSION)-unpack.txt"
mkdir -p results
go run ./cmd/unpack -luksimg "$tmp/luksimg" -dir "$fast" -raw "$name" "$@" | grep -v '^Benchmark'
echo "wrote $name"
