#!/bin/sh
# Google Cloud Batch: a task group of four. `shard plan --kms ibm:CRN --shards 4 SRC DST
# cos://us-south/images/disk.job` was before; the only secret is the API key. No job of Batch can wait
# for another one: `shard finish` is run here.
set -e
cd "$(dirname "$0")"
gcloud batch jobs submit luksimg --location us-central1 --config google.json
until state=$(gcloud batch jobs describe luksimg --location us-central1 --format 'value(status.state)') && [ "$state" = SUCCEEDED ]; do
	[ "$state" != FAILED ] || exit 1
	sleep 30
done
luksimg shard finish cos://us-south/images/disk.job
