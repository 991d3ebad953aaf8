#!/bin/bash
# make.sh - make the golden images: see README.md.
set -eu
export PATH=$PATH:/usr/sbin:/sbin LC_ALL=C E2FSPROGS_FAKE_TIME=1700000000 SOURCE_DATE_EPOCH=1700000000
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"
id=6f1c7a5e-3b0e-4d53-8a54-0f5a2c1b9d00

# A root of today: /bin is a link, cloud-init is one through two folders.
mkdir -p tree/{etc/alternatives,usr/bin,usr/lib,usr/libexec,var/many,links,files}
cd tree
ln -s usr/bin bin
ln -s ../usr/lib/os-release etc/os-release
printf '# by hand\nUUID=1234 / xfs defaults 0 0\nLABEL=SWAP-xvdb1 swap swap sw,password=x 0 0\n' >etc/fstab
printf 'NAME="Red Hat"\nID="rhel"\nVERSION_ID="9.4"\nPRETTY_NAME='\''Red Hat Enterprise Linux 9.4 (Plow)'\''\n' >usr/lib/os-release
printf '#!/bin/sh\n' >usr/libexec/cloud-init-3
ln -s /etc/alternatives/../../usr/libexec/cloud-init-3 usr/bin/cloud-init
: >etc/alternatives/none
# Long links, which are not in the inode; and a file of 400 KiB.
ln -s "$(printf '%0300d' 7)" links/300
ln -s "$(printf '%059d' 7)" links/59
ln -s "$(printf '%060d' 7)" links/60
yes 0123456789abcde | head -c 409600 >files/large
yes 0123456789abcde | head -c 100 >files/100
cd ..
many() { # DIR N LENGTH: files that hold their number in a block
	mkdir -p "$1"
	for ((i = 0; i < $2; i++)); do printf '%d\n' "$i" >"$1/$(printf "%04d-%0$3d" "$i" 0)"; done
}
many tree/var/many 200 40

ext() { mke2fs -q -F -N 512 -L root -U $id -E hash_seed=$id -d tree "$@"; }
ext -t ext2 -b 1024 -I 128 ext2.img 2M
ext -t ext4 -b 1024 -J size=1 -O inline_data ext4.img 4M
# A comb of 200 blocks is 200 extents, in a tree of two levels.
truncate -s 400K tree/files/comb
for ((i = 0; i < 400; i += 2)); do printf '%d\n' "$i" | dd of=tree/files/comb bs=1K seek=$i conv=notrunc status=none; done
ext -t ext4 -b 1024 -O ^has_journal,meta_bg,^resize_inode -g 1024 comb.img 4M
e2fsck -fyD comb.img >/dev/null || [ $? = 1 ]

proto() { # DIR: the lines of what is in it
	local f
	for f in "$1"/*; do
		if [ -L "$f" ]; then echo "${f##*/} l--777 0 0 $(readlink "$f")"
		elif [ -d "$f" ]; then echo "${f##*/} d--755 0 0"; proto "$f"; echo '$'
		else echo "${f##*/} ---644 0 0 $f"; fi
	done
}
rm tree/files/comb
# Names of a directory and blocks of files take turns: it has many extents.
many tree/var/scattered 400 230
many tree/var/leaf 70 40
many tree/var/block 10 40
(printf 'none\n0 0\nd--755 0 0\n'; proto tree; echo '$') >proto
xfs() { truncate -s 16M "$1"; mkfs.xfs -q --unsupported -f -L root -p proto "${@:2}" "$1"; }
xfs xfs5.img -m uuid=$id -b size=1024 -l size=5m
xfs xfs4.img -m crc=0,uuid=$id -b size=1024 -l size=3m -i size=256

# A disk with a GPT: EFI, BIOS boot, and a root, which is ext2.img.
truncate -s 8M gpt.img
printf 'label: gpt\nlabel-id: %s\nsize=1M, type=U, uuid=%s, name=EFI\nsize=1M, type=21686148-6449-6E6F-744E-656564454649, uuid=%s\nsize=2M, type=L, uuid=%s, name=root, attrs=LegacyBIOSBootable\nsize=1M, type=S, uuid=%s\n' \
	$id ${id%0}1 ${id%0}2 ${id%0}3 ${id%0}4 | sfdisk -q gpt.img
truncate -s 1M fat.img swap.img
mkfs.vfat -i 1234abcd -n EFI fat.img >/dev/null
mkswap -q -U $id -L SWAP-xvdb1 swap.img
put() { dd if="$1" of=$3 bs=1M seek="$2" conv=notrunc status=none; }
put fat.img 1 gpt.img; put ext2.img 3 gpt.img; put swap.img 5 gpt.img

# One with an MBR and logical partitions: two of swap and the root.
truncate -s 10M mbr.img
printf 'label: dos\nlabel-id: 0x1234abcd\nstart=2048, size=1M, type=82\nstart=4096, size=7M, type=5\nstart=6144, size=1M, type=82\nstart=10240, size=2M, type=83, bootable\n' | sfdisk -q mbr.img
put swap.img 1 mbr.img; put swap.img 3 mbr.img; put ext2.img 5 mbr.img

for f in ext2 ext4 comb xfs5 xfs4 gpt mbr; do gzip -9nc $f.img >"$here/$f.img.gz"; done
