#!/bin/sh
# Measures how luksimg shard goes with 1, 2, 4 and 8 workers whose way to Object Storage has the same
# bandwidth, 4 MiB/s. It prints a table, and writes the plot to results/shard.svg. It takes a minute and a half.
# Arguments go to the command shardscale.
set -e
cd "$(dirname "$0")"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
(cd .. && CGO_ENABLED=0 go build -trimpath -o "$tmp/luksimg" ./cmd/luksimg)
mkdir -p results
go run ./cmd/shardscale -luksimg "$tmp/luksimg" -plot results/shard.svg "$@"
