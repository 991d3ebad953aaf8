#!/bin/bash
# demo.sh - build luksimg, make a small disk with a filesystem, and encrypt it. Then open the result
# with all installed programs: cryptsetup, qemu-img, and the kernel's dm-crypt in a guest.
#
#   scripts/demo.sh
#
# Needs Go, but not root. It reports missing programs and continues. The files go to a temporary folder
# that is removed at the end, or to $DEMO_DIR, an empty or new folder, which is kept.
set -u
top=$(cd "$(dirname "$0")/.." && pwd) || exit 1
PATH=$top/bin:$PATH:/usr/sbin:/sbin

bold='' plain='' faint=''
if [ -t 1 ]; then bold=$'\e[1m' faint=$'\e[2m' plain=$'\e[0m'; fi

# title TEXT, note TEXT: print a heading or an explanation.
title() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
note() { printf '# %s\n' "$*"; }

# fail TEXT: report a failure and exit.
fail() { printf '\ndemo: FAILED: %s\n' "$*"; exit 1; }

# show COMMAND...: print a command, run it, and print its output indented; return its status.
show() {
	printf '%s$ %s%s\n' "$bold" "$*" "$plain"
	set -o pipefail
	"$@" 2>&1 | sed "s/^/   $faint/; s/\$/$plain/"
	local status=$?
	set +o pipefail
	return $status
}

# must COMMAND...: show a command that must succeed.
must() { show "$@" || fail "$1 ended with status $?"; }

has() { command -v "$1" >/dev/null; }

title 'Build luksimg: one static binary'
has go || fail 'Go is not installed (https://go.dev/dl)'
cd "$top" || exit 1
must env CGO_ENABLED=0 go build -trimpath -o bin/luksimg ./cmd/luksimg

if [ -n "${DEMO_DIR:-}" ]; then
	mkdir -p "$DEMO_DIR" || fail "cannot create the folder $DEMO_DIR"
	[ -z "$(ls -A "$DEMO_DIR")" ] || fail "the folder $DEMO_DIR is not empty"
	dir=$(cd "$DEMO_DIR" && pwd)
else
	dir=$(mktemp -d) || fail 'cannot create a temporary folder'
	trap 'rm -rf "$dir"' EXIT
fi
cd "$dir" || exit 1

title 'A disk: 24 MiB, a partition table and a filesystem with a file'
truncate -s 24M disk.raw
# The MBR's first entry: a Linux partition (131 = 0x83) of 45056 sectors at sector 2048.
printf '\0\0\0\0\203\0\0\0\0\10\0\0\0\260\0\0' | dd of=disk.raw bs=1 seek=446 conv=notrunc status=none
printf '\125\252' | dd of=disk.raw bs=1 seek=510 conv=notrunc status=none
mkdir files && echo 'The quick brown fox jumps over the lazy dog.' >files/fox.txt
if has mke2fs; then
	must mke2fs -q -t ext4 -L demo -d files -E offset=1048576 disk.raw 22M
else
	note 'mke2fs is not installed: the partition has text instead of a filesystem'
	yes "$(cat files/fox.txt)" | head -c 4M | dd of=disk.raw bs=1M seek=1 conv=notrunc iflag=fullblock status=none
fi
source=disk.raw
if has qemu-img; then
	must qemu-img convert -f raw -O vpc -o subformat=dynamic,force_size=on disk.raw disk.vhd
	source=disk.vhd
else
	note 'qemu-img is not installed: the disk stays raw, without a VHD'
fi
must luksimg inspect $source

title 'A key, and the disk encrypted with it'
must luksimg keygen dek.b64
note 'for IBM Cloud classic (SoftLayer), which accepts LUKS1:'
must luksimg encrypt --profile classic-luks --key-file dek.b64 $source classic.raw
note 'and as LUKS2, from the raw disk:'
must luksimg encrypt --key-file dek.b64 disk.raw luks2.img
must luksimg inspect classic.raw
must luksimg inspect luks2.img

title 'Decrypted and compared, byte for byte'
must luksimg verify --key-file dek.b64 $source classic.raw
must luksimg verify --key-file dek.b64 disk.raw luks2.img
note 'another key does not open it (exit status 12):'
show luksimg verify --key-file files/fox.txt $source classic.raw
[ $? = 12 ] || fail 'a wrong key did not give exit status 12'
agree=(luksimg) absent=()

title 'The same images in other programs'
if has cryptsetup; then
	must cryptsetup luksDump classic.raw
	must cryptsetup open --test-passphrase --key-file dek.b64 classic.raw
	must cryptsetup open --test-passphrase --key-file dek.b64 luks2.img
	note 'cryptsetup accepts the key for both, and decrypts LUKS2 to the same disk:'
	must cp luks2.img plain.raw
	must cryptsetup reencrypt -q --decrypt --disable-locks --force-offline-reencrypt --header header.img --key-file dek.b64 plain.raw
	must cmp -n "$(stat -c %s disk.raw)" disk.raw plain.raw
	agree+=(cryptsetup)
else
	absent+=(cryptsetup)
fi

if has qemu-img; then
	note 'qemu-img decrypts LUKS1 to the same disk:'
	must qemu-img convert --object secret,id=dek,file=dek.b64 \
		--image-opts driver=luks,key-secret=dek,file.filename=classic.raw -O raw back.raw
	must cmp -n "$(stat -c %s disk.raw)" disk.raw back.raw
	agree+=(qemu-img)
else
	absent+=(qemu-img)
fi

# same_disk SIZE SHA256: check that this is the hash of the disk, padded with zeros to SIZE bytes.
same_disk() {
	local zeros=$(($1 - $(stat -c %s disk.raw)))
	[ "$2" = "$({ cat disk.raw; head -c $zeros /dev/zero; } | sha256sum | cut -d' ' -f1)" ]
}

# in_guest IMAGE: show what dm-crypt finds in the image.
in_guest() {
	local said size sum status
	printf '%s$ dmcrypt-open.sh %s dek.b64 --fs%s\n' "$bold" "$1" "$plain"
	said=$("$top/internal/interop/guest/dmcrypt-open.sh" "$1" dek.b64 --fs 2>errors)
	status=$?
	if [ $status = 125 ]; then
		note "the guest does not run here: $(tail -n 1 errors)"
		return 1
	fi
	grep -E '^(kernel|type|table|size|sha256|partitions|filesystem|e2fsck: exit|file: f|error)' <<<"$said" |
		sed "s/^/   $faint/; s/\$/$plain/"
	[ $status = 0 ] || fail "dm-crypt does not open $1"
	size=$(sed -n 's/^size: //p' <<<"$said") sum=$(sed -n 's/^sha256: //p' <<<"$said")
	same_disk "$size" "$sum" || fail "dm-crypt finds another disk in $1"
}

if has linux && has cryptsetup && has dmsetup && has modprobe; then
	note 'a guest with a real kernel, User-Mode Linux, opens them with dm-crypt:'
	if in_guest classic.raw && in_guest luks2.img; then
		note "the hashes match that of the disk, padded with zeros"
		agree+=("the kernel's dm-crypt")
	fi
	rm -f errors
else
	absent+=("the kernel's dm-crypt in a guest")
fi

# join WORDS...: print "one, two and three".
join() {
	local out=$1; shift
	while [ $# -gt 1 ]; do out+=", $1"; shift; done
	[ $# = 0 ] || out+=" and $1"
	echo "$out"
}

[ -z "${DEMO_DIR:-}" ] || printf '\nThe files are in %s\n' "$dir"
summary="one disk, encrypted as LUKS1 and LUKS2 without root, is the same in $(join "${agree[@]}")"
[ ${#absent[@]} = 0 ] || summary+="; not installed: $(join "${absent[@]}") (scripts/setup.sh)"
printf '\n%sdemo: OK: %s%s\n' "$bold" "$summary" "$plain"
