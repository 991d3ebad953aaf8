#!/bin/bash
# qemu-boot.sh - boot an encrypted disk image in a real hypervisor, QEMU, which gets the
# passphrase as a secret, like in a cloud. The guest sees a plain disk.
#
#   qemu-boot.sh IMAGE PASSPHRASE-FILE [--format luks|qcow2|raw|vpc|vmdk|vhdx] [--bus virtio|ide]
#                [--expect TEXT] [--seconds N] [--write]
#     --format   luks   IMAGE is a LUKS1 image               (driver=luks; the default)
#                qcow2  IMAGE is a qcow2 encrypted with LUKS (encrypt.format=luks)
#                raw, vpc, vmdk, vhdx  IMAGE is not encrypted; the passphrase is not used
#     --bus      bus of the guest's disk (default virtio)
#     --expect   text that must appear on the serial console (default: BOOTED, see bootable-make.sh)
#     --seconds  time after which the guest is killed (default 180)
#     --write    let the guest write to IMAGE (default: its writes are discarded)
#
# Every byte of PASSPHRASE-FILE counts, including a final newline. It uses software
# emulation only (TCG), not /dev/kvm. Debian: apt-get install qemu-system-x86
#
# Exit status: 0 if the text appeared (its line is printed), 1 if it did not, 3 if QEMU
# did not open the image (wrong passphrase or format; its message is on stderr).
set -u
die() { echo "${0##*/}: $*" >&2; exit 125; }

[ $# -ge 2 ] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2; exit 125; }
image=$(realpath -- "$1") pass=$(realpath -- "$2"); shift 2
format=luks bus=virtio expect=BOOTED seconds=180 snapshot=on
while [ $# -gt 0 ]; do
	case $1 in
	--write) snapshot=off; shift; continue ;;
	--format | --bus | --expect | --seconds) [ $# -ge 2 ] || die "option $1 needs an argument" ;;
	*) die "unknown option $1" ;;
	esac
	case $1 in
	--format) format=$2 ;;
	--bus) bus=$2 ;;
	--expect) expect=$2 ;;
	--seconds) seconds=$2 ;;
	esac
	shift 2
done
w=$(mktemp -d) || die "cannot make a temporary folder"
trap 'rm -rf "$w"' EXIT
ln -s "$image" "$w/disk"     # QEMU splits its options at commas: none in these names
ln -s "$pass" "$w/pass"
file=file.driver=file,file.filename=$w/disk
case $format in
luks) drive=driver=luks,key-secret=dek,$file ;;
qcow2) drive=driver=qcow2,encrypt.format=luks,encrypt.key-secret=dek,$file ;;
*) drive=driver=$format,$file ;;
esac
timeout -k 5 "$seconds" qemu-system-x86_64 -machine pc -accel tcg -cpu max -smp 1 -m 512 \
	-nodefaults -no-user-config -display none -no-reboot \
	-object "secret,id=dek,file=$w/pass" \
	-drive "if=$bus,snapshot=$snapshot,$drive" \
	-serial "file:$w/serial" >"$w/out" 2>&1 </dev/null
rc=$?
if grep -a -m 1 -- "$expect" "$w/serial" 2>/dev/null; then exit 0; fi
cat "$w/out" >&2
[ $rc = 0 ] || [ $rc = 124 ] || exit 3
tail -c 2000 "$w/serial" >&2 2>/dev/null
exit 1
