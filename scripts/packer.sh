#!/bin/bash
# packer.sh - build Packer into .cache/bin/ for the tests of its plugin. If it exists, the script does
# nothing. The build takes minutes, and needs Go and a Go module proxy. Packer is not a dependency of
# any module here.
#
#   scripts/packer.sh
set -u
cd "$(dirname "$0")/.." || exit 1
version=v1.12.0
bin=$PWD/.cache/bin

[ -x "$bin/packer" ] && exit 0
command -v go >/dev/null || { echo 'packer: Go is not installed'; exit 1; }
mkdir -p "$bin" || exit 1
echo "packer: building $version into .cache/bin/, which takes minutes"
# Build in a copy of the module: it has a replace directive, which go install rejects. Build completely
# or not at all.
part=$(mktemp -d "$bin/part.XXXXXX") || exit 1
trap 'chmod -R u+w "$part"; rm -rf "$part"' EXIT
(
	cd "$part" && export GOFLAGS='' || exit
	folder=$(go mod download -json "github.com/hashicorp/packer@$version" | sed -n 's/^\t"Dir": "\(.*\)",*$/\1/p')
	[ -n "$folder" ] && cp -r "$folder" source && chmod -R u+w source && cd source && nice go build -o "$part/packer" .
) >"$bin/packer.log" 2>&1 || { echo "packer: cannot be built: see .cache/bin/packer.log"; exit 1; }
mv "$part/packer" "$bin/packer"
