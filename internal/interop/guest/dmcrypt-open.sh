#!/bin/bash
# dmcrypt-open.sh - open LUKS images with the real cryptsetup and the real kernel
# dm-crypt, in one User-Mode Linux guest, and print their content.
#
#   dmcrypt-open.sh IMAGE PASSPHRASE-FILE [options] [--next IMAGE PASSPHRASE-FILE [options]]...
#     --type luks1|luks2   require this format (default: either)
#     --header FILE        the header is in FILE (detached), the data in IMAGE
#     --offset BYTES       the LUKS device starts at this byte of IMAGE
#     --size BYTES         the LUKS device has this size (default: to the end of IMAGE)
#     --fs                 find filesystems, also in partitions: check ext2/3/4
#                          with e2fsck -fn, mount each read-only, and list its files
#     --dump FILE          write the decrypted device to FILE
#     --luksdump           print the output of cryptsetup luksDump
#     --open-arg ARG       additional argument for cryptsetup open (can be repeated)
#
# cryptsetup gets PASSPHRASE-FILE as --key-file: every byte counts, including a final
# newline. IMAGE is opened read-only and does not change.
#
# Prints "name: value" lines. The lines of an image begin with "image: IMAGE" and end
# with "status: N". N is 0 if the image was opened, and otherwise cryptsetup's exit
# status: 2 = no key slot opens with this passphrase, 1 = wrong parameters or not LUKS,
# 4 = device error. "error:" lines have cryptsetup's messages.
# Exit status: the maximum over the images, or 125 if the guest itself failed.
set -u
# shellcheck source-path=SCRIPTDIR source=guest.sh
. "$(dirname "$0")/guest.sh"

[ $# -ge 2 ] || usage

# The guest runs this for one image. The loop below sets the variables.
text=$(cat <<'EOF'
worst=0
echo "kernel: $(uname -sr)"
echo "cryptsetup: $(cryptsetup --version)"

# attach OPTION... FILE: make FILE a read-only loop device and print its name.
attach() { losetup -r --find --show "$@"; }

# look DEVICE: check the filesystem on a device and list its files.
look() {
	local t opt=ro
	t=$(blkid -p -o value -s TYPE "$1")
	[ -n "$t" ] || { echo "filesystem: none found on ${1##*/}"; return 0; }
	echo "filesystem: $t label=$(blkid -p -o value -s LABEL "$1") uuid=$(blkid -p -o value -s UUID "$1") on ${1##*/}"
	case $t in
	ext*) e2fsck -fn "$1" >/tmp/fsck 2>&1; echo "e2fsck: exit status $?"; sed "s/^/e2fsck: /" /tmp/fsck; opt=ro,noload ;;
	xfs) opt=ro,norecovery ;;
	esac
	mkdir -p /tmp/m; mount -t "$t" -o $opt "$1" /tmp/m || { echo "mount: failed"; return 0; }
	echo "mount: ok, $(df --output=used -B1 /tmp/m | tail -n 1) bytes used"
	(cd /tmp/m && find . -xdev -mindepth 1 -printf "file: %y %m %s %P\n" | LC_ALL=C sort -k5)
	umount /tmp/m
}

# look_all DEVICE: run look for a whole disk or each of its partitions. The disk gets
# the sector size of the decrypted device, because the partition table counts sectors.
look_all() {
	local table disk part
	table=$(blkid -p -o value -s PTTYPE "$1")
	[ -n "$table" ] || { look "$1"; return; }
	echo "partitions: $table"
	disk=$(attach --partscan --sector-size "$(blockdev --getss "$1")" "$1") || return 4
	for part in "$disk"p*; do look "$part"; done
	losetup -d "$disk"
}

# show DEVICE: describe the decrypted device.
show() {
	local size from=$1; size=$(blockdev --getsize64 "$1")
	echo "type: $(cryptsetup status plain | sed -n 's/^ *type: *//p')"
	echo "table: $(dmsetup table plain)"   # the key is shown as zeroes or a keyring name
	echo "size: $size"
	if [ -n "$dump" ]; then
		dd if="$1" of="$dump" bs=1M conv=sparse status=none && truncate -s "$size" "$dump" || return 4
		from=$dump
	fi
	set -o pipefail
	echo "sha256: $(sha256sum <"$from" | cut -d' ' -f1)" || return 4
	[ -z "$fs" ] || look_all "$1"
}

# open_image: everything about one image. Loop devices go away when they are closed.
open_image() {
	local dev hdr rc
	dev=$(attach -o "$offset" ${size:+--sizelimit "$size"} "$image") || return 4
	hdr=$dev
	[ -z "$header" ] || hdr=$(attach "$header") || return 4
	[ -z "$luksdump" ] || cryptsetup luksDump "$hdr"
	cryptsetup open --readonly --type "$type" --key-file "$key" ${header:+--header "$hdr"} \
		"${open_args[@]}" "$dev" plain
	rc=$?
	if [ $rc = 0 ]; then show /dev/mapper/plain; rc=$?; cryptsetup close plain; fi
	losetup -d "$dev"; [ -z "$header" ] || losetup -d "$hdr"
	return $rc
}

run() {
	echo "image: $name"
	open_image 2>/tmp/errors
	local rc=$?
	sed 's/^/error: /' /tmp/errors
	echo "status: $rc"
	[ $rc -le $worst ] || worst=$rc
}
EOF
)$'\n'

images=0
while [ $# -gt 0 ]; do
	[ $# -ge 2 ] || usage
	image=$1 key=$2; shift 2
	type=luks header='' offset=0 size='' fs='' dump='' luksdump='' open_args=''
	while [ $# -gt 0 ]; do
		case $1 in
		--fs) fs=1 ;;
		--luksdump) luksdump=1 ;;
		--type) need_arg "$1" $#; type=$2; shift ;;
		--header) need_arg "$1" $#; header=$(guest_path "$2"); shift ;;
		--offset) need_arg "$1" $#; offset=$2; shift ;;
		--size) need_arg "$1" $#; size=$2; shift ;;
		--dump) need_arg "$1" $#; dump=$(guest_path "$2"); shift ;;
		--open-arg) need_arg "$1" $#; open_args+=" $(printf %q "$2")"; shift ;;
		--next) shift; break ;;
		*) die "unknown option $1" ;;
		esac
		shift
	done
	[ -r "$image" ] || die "cannot read $image"
	[ -r "$key" ] || die "cannot read $key"
	text+=$(
		assign name "$image"
		assign image "$(guest_path "$image")"
		assign key "$(guest_path "$key")"
		assign type "$type"
		assign header "$header"
		assign offset "$offset"
		assign size "$size"
		assign fs "$fs"
		assign dump "$dump"
		assign luksdump "$luksdump"
		echo "open_args=($open_args)"
	)$'\nrun\n'
	images=$((images + 1))
done

guest_setup
guest_run $((600 + 30 * images)) "$text"$'exit "$worst"\n'
