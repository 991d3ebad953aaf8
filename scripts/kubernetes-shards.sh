#!/bin/bash
# kubernetes-shards.sh - run the example of examples/kubernetes in the cluster of scripts/kubernetes.sh
# with a real S3 server. One of its four shards is killed halfway. The object must equal the output of
# `encrypt` with the same header, and nothing may remain of the upload.
#
#   scripts/kubernetes.sh [scripts/kubernetes-shards.sh]      SIZE=2048M is the size of the disk
set -euo pipefail
: "${WORK:?scripts/kubernetes.sh sets it}" "${NODE:?}"
cd "$(dirname "$0")/.."
here=$PWD size=${SIZE:-2048M} job=cos://us-south/images/disk.job tries=0
fail() { echo "FAILED: $*" >&2; exit 1; }
# show COMMAND ARG...: print a command and run it.
show() { echo; echo "\$ $*"; "$@"; }

# Prepare the image, the server, and a disk on it: random data with holes.
mkdir -p "$WORK/image" "$WORK/data/images" "$WORK/meta" "$WORK/here"
CGO_ENABLED=0 go build -trimpath -o "$WORK/image/luksimg" ./cmd/luksimg
cp examples/kubernetes/Containerfile "$WORK/image/"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=s3 -addext "subjectAltName=IP:$NODE" \
	-keyout "$WORK/tls.key" -out "$WORK/tls.crt" 2>/dev/null
cat /etc/ssl/certs/ca-certificates.crt "$WORK/tls.crt" >"$WORK/image/ca-certificates.crt"
scripts/kubernetes-image.sh "$WORK/image" localhost/luksimg:1
scripts/versitygw.sh
AWS_ACCESS_KEY_ID=shards AWS_SECRET_ACCESS_KEY=$(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n')
export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY LUKSIMG_COS_URL=https://$NODE:7070 SSL_CERT_FILE=$WORK/tls.crt AWS_CA_BUNDLE=$WORK/tls.crt
ROOT_ACCESS_KEY=$AWS_ACCESS_KEY_ID ROOT_SECRET_KEY=$AWS_SECRET_ACCESS_KEY .cache/bin/versitygw --port "$NODE:7070" --cert "$WORK/tls.crt" \
	--key "$WORK/tls.key" --region us-south posix --sidecar "$WORK/meta" "$WORK/data" >"$WORK/versitygw.log" 2>&1 &
server=$!
trap 'kill $server 2>/dev/null' EXIT
until (: <"/dev/tcp/$NODE/7070") 2>/dev/null; do kill -0 $server; sleep 0.1; done
export PATH=$WORK/image:$PATH
cd "$WORK/here"
truncate -s "$size" disk.raw
dd if=/dev/urandom of=disk.raw bs=1M count=$((${size%M} / 2)) conv=notrunc status=none
dd if=/dev/urandom of=disk.raw bs=1M seek=$((${size%M} * 3 / 4)) count=$((${size%M} / 8)) conv=notrunc status=none
luksimg upload -q disk.raw cos://us-south/images/disk.raw
luksimg keygen disk.key

show kubectl version
show kubectl get nodes -o wide
kubectl create secret generic luksimg-key --from-file=passphrase=disk.key
kubectl create secret generic luksimg-cloud --from-literal=LUKSIMG_COS_URL="$LUKSIMG_COS_URL" \
	--from-literal=AWS_ACCESS_KEY_ID="$AWS_ACCESS_KEY_ID" --from-literal=AWS_SECRET_ACCESS_KEY="$AWS_SECRET_ACCESS_KEY"
# The example is unchanged, except for the name of the image and smaller requests of CPUs.
for f in shards finish; do
	sed 's|registry.example.com/|localhost/|; s|cpu: "1"|cpu: 100m|' "$here/examples/kubernetes/$f.yaml" >"$f.yaml"
done
show luksimg shard plan --profile classic-luks --passphrase-file disk.key --shards 4 --part-size 8M \
	cos://us-south/images/disk.raw cos://us-south/images/disk-luks.raw $job
show kubectl apply -f shards.yaml -f finish.yaml

# Kill the pod when some parts of its shard exist, but not all.
until luksimg shard status $job | tee status | grep -Eq '^shard 2:? +partial'; do
	[ "$((tries += 1))" -lt 1000 ] || fail "no shard begins: $(kubectl get pods)"
	grep -Eq '^shard 2:? +(done|finished)' status && fail 'the shard was done before it could be killed: a larger SIZE is needed'
done
victim=$(kubectl get pods -l batch.kubernetes.io/job-completion-index=2 -o name)
echo; echo "\$ luksimg shard status $job"; cat status
show kubectl delete --grace-period=0 --force "$victim"
show kubectl wait --for=condition=complete --timeout=30m job/luksimg-shards
show kubectl wait --for=condition=complete --timeout=30m job/luksimg-finish
show kubectl get pods --sort-by=.status.startTime
show kubectl logs -l job-name=luksimg-shards --prefix
pod=$(kubectl get pods -l job-name=luksimg-finish --field-selector=status.phase=Succeeded -o name)
show kubectl logs "$pod"

# Compare with the output of encrypt for the same disk with the same volume key and header. Nothing else
# is random.
luksimg download -q cos://us-south/images/disk-luks.raw made.luks
cryptsetup -q luksDump --dump-volume-key --volume-key-file volume.key --key-file disk.key made.luks >dump
uuid=$(awk '/^UUID:/ {print $2}' dump)
luksimg encrypt -q --profile classic-luks --passphrase-file disk.key --volume-key-file volume.key --uuid "$uuid" disk.raw plain.luks
luksimg header backup -q made.luks header
luksimg header restore -q plain.luks header
show sha256sum made.luks plain.luks
cmp made.luks plain.luks || fail 'the object differs from the output of encrypt'
show luksimg verify --passphrase-file disk.key disk.raw made.luks
left=$(cd "$WORK/data/images" && find . -type f | sort | paste -sd' ')
[ "$left" = './disk-luks.raw ./disk.job ./disk.raw' ] || fail "the bucket has other files than the objects: $left"
show aws --endpoint-url "$LUKSIMG_COS_URL" --region us-south s3api list-multipart-uploads --bucket images
show luksimg shard abort $job
echo
echo 'kubernetes: the object equals the output of encrypt, and nothing remains of the upload'
