#!/bin/bash
# recording.sh - run the quick start of the README, and draw a terminal with the commands and their
# output.
#
#   scripts/recording.sh [OUT.svg]
#
# The commands are those of the first code block below "Quick start". They run in a new folder with a
# disk.vhd that has a filesystem with some files. Needs mke2fs. The default OUT is
# docs/pictures/quick-start.svg, which the README shows.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(realpath "${1:-docs/pictures/quick-start.svg}")
PATH=$PATH:/usr/sbin:/sbin
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
CGO_ENABLED=0 go build -trimpath -o "$dir/bin/luksimg" ./cmd/luksimg
(cd tools/site && go build -o "$dir/bin/recording" ./cmd/recording)

mkdir "$dir/demo"
mke2fs -q -t ext4 -d docs "$dir/disk.raw" 256M
"$dir/bin/luksimg" -q convert --format vhd "$dir/disk.raw" "$dir/demo/disk.vhd"

commands=$(awk '/^## /{start = $0 == "## Quick start"} start && /^    /{print substr($0, 5); seen = 1; next} seen{exit}' README.md)
[ -n "$commands" ] || { echo "recording: the README has no quick start" >&2; exit 1; }
transcript=$dir/transcript
while IFS= read -r line; do
	command=$(sed 's/ *  #.*//' <<<"$line")
	case $line in *'  # '*) echo "# ${line##*  \# }" ;; esac
	echo "\$ $command"
	(cd "$dir/demo" && PATH=$dir/bin:$PATH bash -euc "$command" 2>&1 </dev/null)
done <<<"$commands" >"$transcript"
"$dir/bin/recording" "$out" <"$transcript"
cat "$transcript"
