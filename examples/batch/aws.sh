#!/bin/sh
# AWS Batch: an array of four, and a job that finishes when all of it is done. `shard plan --kms ibm:CRN
# --shards 4 SRC DST cos://us-south/images/disk.job` was before; the only secret is the API key.
set -e
cd "$(dirname "$0")"
aws batch register-job-definition --cli-input-json file://aws.json
shards=$(aws batch submit-job --job-name luksimg-shards --job-queue luksimg --job-definition luksimg \
	--array-properties size=4 --query jobId --output text)
aws batch submit-job --job-name luksimg-finish --job-queue luksimg --job-definition luksimg \
	--depends-on "jobId=$shards" --container-overrides '{"command": ["shard", "finish", "cos://us-south/images/disk.job"]}'
