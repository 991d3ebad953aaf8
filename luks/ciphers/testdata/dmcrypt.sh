#!/bin/bash
# dmcrypt.sh - have the real kernel dm-crypt encrypt one plaintext with many ciphers, in
# one User-Mode Linux guest (see internal/interop/guest/guest.sh).
#
#   dmcrypt.sh MODULE-ROOT PLAINTEXT OUTDIR <JOBS
#
# A line of JOBS is NAME SPEC KEY IV-OFFSET [FEATURE...]: the name of a file to be made
# in OUTDIR, and the fields of a dm-crypt table, the key in hexadecimal. PLAINTEXT is
# of whole sectors. Prints "NAME ok", or "NAME refused" if the kernel has no such
# cipher or does not take the key.
set -u
# shellcheck source-path=SCRIPTDIR source=../../../internal/interop/guest/guest.sh
. "$1/internal/interop/guest/guest.sh"

text=$(cat <<'EOF'
size=$(stat -c %s "$plain")
truncate -s "$size" /tmp/disk
loop=$(losetup --find --show /tmp/disk) || exit 125
while read -r name spec key offset features; do
	table="0 $((size / 512)) crypt $spec $key $offset $loop 0"
	[ -z "$features" ] || table+=" $(wc -w <<<"$features") $features"
	if ! dmsetup create job --table "$table" 2>/dev/null; then
		echo "$name refused"
		continue
	fi
	dd if="$plain" of=/dev/mapper/job bs=1M conv=fsync status=none || exit 125
	dmsetup remove job || exit 125
	cp /tmp/disk "$out/$name" || exit 125
	echo "$name ok"
done <"$jobs"
EOF
)

guest_setup
cat >"$guest_dir/jobs"
guest_run 900 "$(
	assign plain "$(guest_path "$2")"
	assign out "$(guest_path "$3")"
	assign jobs /mnt/jobs
)"$'\n'"$text"
