#!/bin/sh
# run-shard.sh measures a sharded job with 1, 2, 4 and 8 workers, each with a link of the same limited
# rate to versitygw, which scripts/versitygw.sh builds first. It prints a table and writes the plot
# results/shard.svg. Arguments go to command shard: -rate, -size, -rounds. It needs 2 GiB in TMPDIR.
set -e
cd "$(dirname "$0")"
../scripts/versitygw.sh
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
(cd .. && CGO_ENABLED=0 go build -trimpath -o "$tmp/luksimg" ./cmd/luksimg)
go build -o "$tmp/shard" ./cmd/shard
"$tmp/shard" -luksimg "$tmp/luksimg" -versitygw ../.cache/bin/versitygw -plot results/shard.svg "$@"
