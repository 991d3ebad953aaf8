#!/bin/sh
<<<<<<< HEAD
# Measures a sharded job with 1, 2, 4 and 8 workers, each with a link of the same limited rate to versitygw
# (scripts/versitygw.sh builds it). It prints a table; the plot is results/shard.svg. Arguments go to the
# command shard: -rate, -size, -rounds. It needs 2 GiB where TMPDIR is.
=======
# Measures how luksimg shard goes with 1, 2, 4 and 8 workers whose way to Object Storage has the same
# bandwidth, 4 MiB/s. It prints a table, and writes the plot to results/shard.svg. It takes a minute and a half.
# Arguments go to the command shardscale.
>>>>>>> 9c8be5d (benchmarks: how luksimg shard goes with the number of workers)
set -e
cd "$(dirname "$0")"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
(cd .. && CGO_ENABLED=0 go build -trimpath -o "$tmp/luksimg" ./cmd/luksimg)
<<<<<<< HEAD
go build -o "$tmp/shard" ./cmd/shard
"$tmp/shard" -luksimg "$tmp/luksimg" -versitygw ../.cache/bin/versitygw -plot results/shard.svg "$@"
=======
mkdir -p results
go run ./cmd/shardscale -luksimg "$tmp/luksimg" -plot results/shard.svg "$@"
>>>>>>> 9c8be5d (benchmarks: how luksimg shard goes with the number of workers)
