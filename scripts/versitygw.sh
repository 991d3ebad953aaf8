#!/bin/bash
# versitygw.sh - build versitygw, a real S3 server, into .cache/bin/ for the tests of ibm/cos. If it
# exists, the script does nothing. The build takes minutes, and needs Go and a Go module proxy.
# versitygw is not a dependency of this module.
#
#   scripts/versitygw.sh
set -u
cd "$(dirname "$0")/.." || exit 1
version=v1.8.0
bin=$PWD/.cache/bin

[ -x "$bin/versitygw" ] && exit 0
command -v go >/dev/null || { echo 'versitygw: Go is not installed'; exit 1; }
mkdir -p "$bin" || exit 1
echo "versitygw: building $version into .cache/bin/, which takes minutes"
# Build outside of this module, completely or not at all.
part=$(mktemp -d "$bin/part.XXXXXX") || exit 1
trap 'rm -rf "$part"' EXIT
(cd "$part" && GOFLAGS= GOBIN=$part nice go install "github.com/versity/versitygw/cmd/versitygw@$version") >"$bin/versitygw.log" 2>&1 ||
	{ echo "versitygw: cannot be built: see .cache/bin/versitygw.log"; exit 1; }
mv "$part/versitygw" "$bin/versitygw"
