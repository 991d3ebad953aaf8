#!/bin/sh
# Run the shards of an image on AWS Batch: an array of four tasks, and a job that finishes the image when all are done.
# Plan the image first: luksimg shard plan --kms ibm:CRN --shards 4 SRC DST cos://us-south/images/disk.job
# The only secret is the API key, which aws.json gets from AWS Secrets Manager.
set -e
cd "$(dirname "$0")"
aws batch register-job-definition --cli-input-json file://aws.json
shards=$(aws batch submit-job --job-name luksimg-shards --job-queue luksimg --job-definition luksimg \
	--array-properties size=4 --query jobId --output text)
aws batch submit-job --job-name luksimg-finish --job-queue luksimg --job-definition luksimg \
	--depends-on "jobId=$shards" --container-overrides '{"command": ["shard", "finish", "cos://us-south/images/disk.job"]}'
