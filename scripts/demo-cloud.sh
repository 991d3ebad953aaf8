#!/bin/bash
# demo-cloud.sh - bring a disk, encrypted, to a server: first step by step and then with one command.
# The services are those of luksimg-sandbox on this machine.
#
#   scripts/demo-cloud.sh
#
# Needs Go, but neither root nor an account. Like the cloud, the sandbox really unwraps the key and
# opens the image. The files go to a temporary folder that is removed at the end, or to $DEMO_DIR, an
# empty or new folder, which is kept. $LUKSIMG_BIN is a folder with both programs; without it they are
# built.
set -u
top=$(cd "$(dirname "$0")/.." && pwd) || exit 1
bin=${LUKSIMG_BIN:-$top/bin}
PATH=$bin:$PATH

bold='' plain='' faint=''
if [ -t 1 ]; then bold=$'\e[1m' faint=$'\e[2m' plain=$'\e[0m'; fi

# title TEXT, note TEXT: print a heading or an explanation.
title() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
note() { printf '# %s\n' "$*"; }

# fail TEXT: report a failure and exit.
fail() { printf '\ndemo-cloud: FAILED: %s\n' "$*"; exit 1; }

# show COMMAND...: print a command, run it, and print its output indented; return its status. Values
# that a user would keep in a variable are shown as that variable.
show() {
	local line="$*"
	line=${line//"$LUKSIMG_ROOT_KEY_CRN"/\$LUKSIMG_ROOT_KEY_CRN}
	line=${line//"$LUKSIMG_COS_INSTANCE_CRN"/\$LUKSIMG_COS_INSTANCE_CRN}
	printf '%s$ %s%s\n' "$bold" "$line" "$plain"
	set -o pipefail
	"$@" 2>&1 | sed "s/^/   $faint/; s/\$/$plain/"
	local status=$?
	set +o pipefail
	return $status
}

# must COMMAND...: show a command that must succeed.
must() { show "$@" || fail "$1 $2 ended with status $?"; }

LUKSIMG_ROOT_KEY_CRN=none LUKSIMG_COS_INSTANCE_CRN=none
if [ -z "${LUKSIMG_BIN:-}" ]; then
	title 'Build luksimg and its sandbox'
	command -v go >/dev/null || fail 'Go is not installed (https://go.dev/dl)'
	cd "$top" || exit 1
	must env CGO_ENABLED=0 go build -trimpath -o bin/ ./cmd/luksimg ./cmd/luksimg-sandbox
fi

if [ -n "${DEMO_DIR:-}" ]; then
	mkdir -p "$DEMO_DIR" || fail "cannot create the folder $DEMO_DIR"
	[ -z "$(ls -A "$DEMO_DIR")" ] || fail "the folder $DEMO_DIR is not empty"
	dir=$(cd "$DEMO_DIR" && pwd)
else
	dir=$(mktemp -d) || fail 'cannot create a temporary folder'
fi
sandbox=''
finish() {
	if [ -n "$sandbox" ]; then kill "$sandbox" 2>/dev/null; wait "$sandbox" 2>/dev/null; fi
	[ -n "${DEMO_DIR:-}" ] || rm -rf "$dir"
}
trap finish EXIT
trap 'exit 130' INT TERM
cd "$dir" || exit 1

title 'The cloud: IAM, Key Protect, Object Storage, SoftLayer, VPC and the audit log on 127.0.0.1'
note 'luksimg-sandbox --env cloud.env &'
luksimg-sandbox --env cloud.env --step-time 50ms &
sandbox=$!
for _ in $(seq 100); do
	[ -s cloud.env ] && break
	kill -0 $sandbox 2>/dev/null || fail 'the sandbox did not start'
	sleep 0.1
done
[ -s cloud.env ] || fail 'the sandbox did not start'
. ./cloud.env
note 'cloud.env has the addresses, and credentials for this sandbox only:'
sed -E "s/(KEY|SECRET_ACCESS_KEY)='[^']*'/\1='...'/; s/^/   /" cloud.env | grep -E 'URL|API_KEY|ROOT_KEY'

title 'A disk: 24 MiB, a partition table and a file'
truncate -s 24M disk.raw
# The MBR's first entry: a Linux partition (131 = 0x83) of 45056 sectors at sector 2048.
printf '\0\0\0\0\203\0\0\0\0\10\0\0\0\260\0\0' | dd of=disk.raw bs=1 seek=446 conv=notrunc status=none
printf '\125\252' | dd of=disk.raw bs=1 seek=510 conv=notrunc status=none
yes 'The quick brown fox jumps over the lazy dog.' | head -c 4M | dd of=disk.raw bs=1M seek=1 conv=notrunc iflag=fullblock status=none
must luksimg inspect disk.raw

title 'Your own root key: made here, and imported into a key ring of Key Protect'
must luksimg keygen --raw root.key
note 'an import token of the service encrypts it in transit; the command prints its CRN:'
import=(luksimg rootkey import --key-file root.key --key-ring demo --create-key-ring mine)
printf '%s$ LUKSIMG_ROOT_KEY_CRN=$(%s)%s\n' "$bold" "${import[*]}" "$plain"
LUKSIMG_ROOT_KEY_CRN=$("${import[@]}" 2>errors) || fail "$(cat errors)"
export LUKSIMG_ROOT_KEY_CRN
rm errors
must luksimg rootkey list --key-ring demo
note 'keep the bytes in a safe place, not here:'
must rm root.key

title 'What the account must have: a bucket, a service ID for the import, authorizations'
must luksimg setup --root-key-crn "$LUKSIMG_ROOT_KEY_CRN" --cos-instance-crn "$LUKSIMG_COS_INSTANCE_CRN" --bucket images --api-key-file importer.key
note 'a second run changes nothing:'
must luksimg setup --root-key-crn "$LUKSIMG_ROOT_KEY_CRN" --cos-instance-crn "$LUKSIMG_COS_INSTANCE_CRN" --bucket images

title 'Step by step: encrypted with a new key'
must luksimg encrypt --profile classic-luks --generate-key dek.b64 disk.raw web.raw
must luksimg verify --key-file dek.b64 disk.raw web.raw

title 'The key wrapped by the root key; the wrapped key is not secret'
must luksimg wrap --root-key-crn "$LUKSIMG_ROOT_KEY_CRN" --key-ring demo --key-file dek.b64 --profile classic-luks --image web.raw --envelope web.envelope.json
note 'remove the key itself:'
must rm dek.b64

title 'Uploaded'
must luksimg upload --envelope web.envelope.json web.raw cos://us-south/images/web.raw

title 'Imported: SoftLayer unwraps the key, opens the image and reads its boot sector'
must luksimg import --name web --envelope web.envelope.json --os-code UBUNTU_22_64 --cloud-init \
	--ibm-api-key-file importer.key --poll 100ms cos://us-south/images/web.raw

title 'Ordered: a server with an encrypted disk'
must luksimg order --hostname web1 --domain example.com --cpu 2 --memory 4096 --datacenter dal13 --poll 100ms web

title 'Audited: who did what with the root key'
must luksimg audit --root-key-crn "$LUKSIMG_ROOT_KEY_CRN"

title 'A wrong key is detected at the import'
note 'an envelope with the key of another image:'
must luksimg keygen other.b64
must luksimg wrap --root-key-crn "$LUKSIMG_ROOT_KEY_CRN" --key-file other.b64 --profile classic-luks --envelope other.envelope.json
show luksimg import --name other --envelope other.envelope.json --os-code UBUNTU_22_64 --cloud-init \
	--ibm-api-key-file importer.key --poll 100ms cos://us-south/images/web.raw &&
	fail 'an image was imported with the key of another image'

title 'All steps with one command'
deploy=(luksimg deploy --name shop --os-code UBUNTU_22_64 --root-key-crn "$LUKSIMG_ROOT_KEY_CRN" --key-ring demo --cloud-init --ibm-api-key-file importer.key
	--object cos://us-south/images/ --order --hostname shop1 --domain example.com --cpu 2 --memory 4096 --datacenter dal13 --poll 100ms disk.raw)
must "${deploy[@]}"
note 'a second run only prints the result:'
must "${deploy[@]}"

title 'The same disk as an encrypted VHD, the format documented for this cloud since 2019'
must luksimg deploy --profile classic-vhd --name now --os-code UBUNTU_22_64 --root-key-crn "$LUKSIMG_ROOT_KEY_CRN" --cloud-init \
	--ibm-api-key-file importer.key --object cos://us-south/images/ --poll 100ms disk.raw

title 'The same disk for VPC, as qcow2'
must luksimg setup --target vpc --root-key-crn "$LUKSIMG_ROOT_KEY_CRN" --cos-instance-crn "$LUKSIMG_COS_INSTANCE_CRN" --bucket images
must luksimg deploy --profile vpc-qcow2 --name gen2 --os-code ubuntu-22-04-amd64 --root-key-crn "$LUKSIMG_ROOT_KEY_CRN" --cloud-init \
	--object cos://us-south/images/ --order --hostname gen2 --zone us-south-1 --vpc-profile bx2-2x8 --vpc demo --subnet demo --poll 100ms disk.raw

title 'Audited again: the root key, and the servers on both clouds'
must luksimg audit --root-key-crn "$LUKSIMG_ROOT_KEY_CRN"
luksimg audit --json --root-key-crn "$LUKSIMG_ROOT_KEY_CRN" >audit.json || fail 'the chain of events is broken'
for action in secrets.create secrets.wrap secrets.unwrap vsi.provision instance.create; do
	grep -q "\"action\": \".*$action\"" audit.json || fail "the audit does not show $action"
done

title 'A disabled root key opens nothing'
must luksimg rootkey disable --root-key-crn "$LUKSIMG_ROOT_KEY_CRN"
show luksimg unwrap --envelope web.envelope.json back.b64 && fail 'a disabled root key was used'
note 'the service refuses to enable it within 30 seconds:'
show luksimg rootkey enable --root-key-crn "$LUKSIMG_ROOT_KEY_CRN" && fail 'a root key was enabled within 30 seconds'

title 'Done: three servers from one disk, and no plaintext key left on any disk'
