#!/bin/bash
# tools.sh - build the programs that make and check a release into .cache/bin/, in the versions that
# tools/release/go.mod pins. If they exist, the script does nothing. The build takes minutes, and needs
# Go and a Go module proxy.
#
#   scripts/release/tools.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=$PWD/.cache/bin
stamp=$bin/release-tools.sum
mkdir -p "$bin"
[ "$(cat "$stamp" 2>/dev/null)" = "$(cat tools/release/go.mod tools/release/ociimage/*.go | sha256sum)" ] && exit 0
echo 'release: building goreleaser and other tools into .cache/bin/, which takes minutes'
part=$(mktemp -d "$bin/part.XXXXXX")
trap 'rm -rf "$part"' EXIT
cd tools/release
GOFLAGS='' GOOS='' GOARCH='' GOBIN=$part nice go install tool ./ociimage >"$bin/release-tools.log" 2>&1 ||
	{ echo 'release: the tools cannot be built: see .cache/bin/release-tools.log'; exit 1; }
mv "$part"/* "$bin"
cat go.mod ociimage/*.go | sha256sum >"$stamp"
