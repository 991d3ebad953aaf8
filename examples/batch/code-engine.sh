#!/bin/sh
# Run the shards of an image on IBM Cloud Code Engine: a job of four instances, and a job that finishes the image.
# Plan the image first: luksimg shard plan --kms ibm:CRN --shards 4 SRC DST cos://us-south/images/disk.job
# The only secret is the API key: write IBMCLOUD_API_KEY=... into the file cloud.env.
set -e
job=cos://us-south/images/disk.job image=private.us.icr.io/my-namespace/luksimg:1
ibmcloud ce secret create --name luksimg --from-env-file cloud.env
ibmcloud ce job create --name luksimg-shards --image "$image" --env-from-secret luksimg --array-indices 0-3 \
	--cpu 2 --memory 4G --retrylimit 5 --maxexecutiontime 43200 \
	--argument shard --argument run --argument "$job" --argument --kms --argument ibm
ibmcloud ce job create --name luksimg-finish --image "$image" --env-from-secret luksimg \
	--argument shard --argument finish --argument "$job"
ibmcloud ce jobrun submit --job luksimg-shards --wait --wait-timeout 86400
ibmcloud ce jobrun submit --job luksimg-finish --wait
