#!/bin/bash
# keyservices.sh - build the key services for the tests of wrap/vault and wrap/awskms into .cache/bin/:
# HashiCorp Vault with its transit engine, and local-kms, which imitates AWS KMS. If they exist, the
# script does nothing. The build takes minutes, and needs Go and a Go module proxy. The services are not
# dependencies of this module.
#
#   scripts/keyservices.sh
set -u
cd "$(dirname "$0")/.." || exit 1
bin=$PWD/.cache/bin
command -v go >/dev/null || { echo 'keyservices: Go is not installed'; exit 1; }
mkdir -p "$bin" || exit 1
status=0
# build FOLDER NAME: build a program completely or not at all.
build() {
	[ -x "$bin/$2" ] && return
	echo "keyservices: building $2 into .cache/bin/, which takes minutes"
	(cd "interop/keyservices/$1" && GOFLAGS= CGO_ENABLED=0 nice go build -trimpath -o "$bin/$2.part" .) >"$bin/$2.log" 2>&1 &&
		mv "$bin/$2.part" "$bin/$2" && return
	echo "keyservices: $2 cannot be built: see .cache/bin/$2.log"
	status=1
}
build localkms localkms2 # the second version of our wrapper
build vault minivault
exit $status
