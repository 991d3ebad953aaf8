#!/bin/bash
# cross.sh - build everything for each GOOS/GOARCH given, and vet the packages that have
# platform-specific files there. The other packages are vetted on this machine.
set -euo pipefail
cd "$(dirname "$0")/.."
export CGO_ENABLED=0

# files prints a line for each package: its path and the files that are built for the platform.
files() {
	go list -f '{{.ImportPath}} {{.GoFiles}} {{.SFiles}} {{.TestGoFiles}} {{.XTestGoFiles}}' ./... | sort
}

here=$(files)
for target; do
	export GOOS=${target%/*} GOARCH=${target#*/}
	mapfile -t own < <(comm -13 <(echo "$here") <(files) | cut -d' ' -f1)
	echo "build $target, vet ${#own[@]} packages"
	go build ./...
	if [ ${#own[@]} -gt 0 ]; then go vet "${own[@]}"; fi
done
