#!/bin/sh
# run-upload.sh compares an upload of 1 GiB, or UPLOAD_MIB, to versitygw on this machine with minio-go,
# in turns. scripts/versitygw.sh builds versitygw first. It needs 5 GiB in TMPDIR. Arguments go to go
# test.
set -e
cd "$(dirname "$0")/upload"
../../scripts/versitygw.sh
UPLOAD_MIB=${UPLOAD_MIB:-1024} go test -run '^$' -bench Upload -benchtime 7x -timeout 1h "$@"
