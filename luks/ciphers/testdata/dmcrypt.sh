#!/bin/bash
# dmcrypt.sh - encrypt one plaintext with many ciphers of the real kernel dm-crypt, in one
# User-Mode Linux guest (see internal/interop/guest/guest.sh).
#
#   dmcrypt.sh MODULE-ROOT PLAINTEXT OUTDIR <JOBS
#
# A line of JOBS is NAME SPEC KEY IV-OFFSET [FEATURE...]: the name of the output file in
# OUTDIR, and the fields of a dm-crypt table, with the key in hexadecimal. PLAINTEXT has
# whole sectors. The script prints "NAME ok", or "NAME refused" if the kernel does not
# support the cipher or the key.
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
