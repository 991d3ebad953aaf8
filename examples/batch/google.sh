#!/bin/sh
# Run the shards of an image on Google Cloud Batch: a group of four tasks.
# Plan the image first: luksimg shard plan --kms ibm:CRN --shards 4 SRC DST cos://us-south/images/disk.job
# The only secret is the API key, which google.json gets from Secret Manager. A job of Batch cannot wait for another job,
# so this script waits and runs shard finish.
set -e
cd "$(dirname "$0")"
gcloud batch jobs submit luksimg --location us-central1 --config google.json
until state=$(gcloud batch jobs describe luksimg --location us-central1 --format 'value(status.state)') && [ "$state" = SUCCEEDED ]; do
	[ "$state" != FAILED ] || exit 1
	sleep 30
done
luksimg shard finish cos://us-south/images/disk.job
