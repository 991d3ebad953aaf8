#!/bin/sh
# run-upload.sh compares an upload of 1 GiB, or UPLOAD_MIB, to versitygw on this machine with minio-go,
# in turns. It needs versitygw (scripts/versitygw.sh builds it) and 5 GiB in TMPDIR. Arguments go to go
# test.
set -e
cd "$(dirname "$0")/upload"
UPLOAD_MIB=${UPLOAD_MIB:-1024} go test -run '^$' -bench Upload -benchtime 7x -timeout 1h "$@"
