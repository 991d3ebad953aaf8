#!/bin/bash
# bootable-make.sh - make a small bootable Linux disk image: MBR, a FAT partition with
# syslinux, a kernel and an initramfs, and an ext4 root partition. Debian's own kernel
# and a static busybox; no root, no mounts, no loop devices.
#
#   bootable-make.sh OUT.raw KERNEL-DEB [MIB]
#
# KERNEL-DEB is Debian's linux-image-...-cloud-amd64 package file, which
# scripts/setup.sh fetches; it is unpacked, never installed. MIB is the disk's size
# (default 96).
#
# Debian: apt-get install busybox-static syslinux syslinux-common mtools dosfstools
#         fdisk kmod cpio e2fsprogs
#
# Booted, it mounts its second partition, reads its marker file, says
#   BOOTED marker=<content> root=<device> sha256=<of all files there>
# on the first serial port, writes a line to /boots on that partition and powers off.
set -eu
[ $# -ge 2 ] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2; exit 125; }
out=$1 deb=$2 mib=${3:-96}
w=$(mktemp -d); trap 'rm -rf "$w"' EXIT
export PATH=$PATH:/usr/sbin:/sbin
dpkg-deb -x "$deb" "$w/k"
ver=$(cd "$w/k/lib/modules" && echo *); depmod -b "$w/k" "$ver"

# The initramfs has busybox and drivers for the disks of a hypervisor.
mkdir -p "$w/i/bin" "$w/i/mod" "$w/i/proc" "$w/i/sys" "$w/i/dev" "$w/i/root"
cp "$(command -v busybox)" "$w/i/bin/busybox"
for m in virtio_pci virtio_blk ata_piix ahci sd_mod crc32c_generic; do
	modprobe -d "$w/k" -S "$ver" --show-depends "$m" 2>/dev/null | sed -n 's/^insmod \([^ ]*\).*/\1/p'
done | awk '!seen[$0]++' >"$w/mods"
while read -r m; do cp "$m" "$w/i/mod/"; basename "$m" >>"$w/i/mod/order"; done <"$w/mods"
cat >"$w/i/init" <<'EOF'
#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc; $b mount -t sysfs sys /sys; $b mount -t devtmpfs dev /dev
for m in $($b cat /mod/order); do $b insmod /mod/$m 2>/dev/null; done
n=0; while [ $n -lt 100 ]; do
	for d in /dev/vda2 /dev/sda2; do [ -b $d ] && break 2; done; $b usleep 100000; n=$((n+1))
done
if $b mount -t ext4 $d /root; then
	s=$(cd /root && $b find . -type f ! -name boots | $b sort | $b xargs $b sha256sum | $b sha256sum | $b cut -d' ' -f1)
	echo "BOOTED marker=$($b cat /root/etc/marker) root=$d sha256=$s" >/dev/ttyS0
	echo "booted, uptime $($b cat /proc/uptime)" >>/root/boots; $b umount /root
else
	echo "NO ROOT on $d" >/dev/ttyS0
fi
$b sync; $b poweroff -f
EOF
chmod +x "$w/i/init"
(cd "$w/i" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --quiet | gzip -1) >"$w/initrd.gz"

# Partition 1 (FAT, active): 1 MiB .. 33 MiB; partition 2 (ext4): the rest.
mkdir -p "$w/r/etc" "$w/r/var"
echo "luks-boot-test" >"$w/r/etc/marker"
seq -f 'line %.0f of the root filesystem' 100000 >"$w/r/var/text"
truncate -s 32M "$w/p1"; mkfs.vfat -n BOOT "$w/p1" >/dev/null
# no_timer_check: on a busy host, the emulated timer can miss the kernel's check of it, which panics.
cat >"$w/syslinux.cfg" <<'EOF'
SERIAL 0 115200
DEFAULT linux
LABEL linux
  KERNEL vmlinuz
  INITRD initrd.gz
  APPEND console=ttyS0 quiet mitigations=off nokaslr tsc=unstable no_timer_check panic=1
EOF
mcopy -i "$w/p1" "$w/k/boot/vmlinuz-$ver" ::vmlinuz
mcopy -i "$w/p1" "$w/initrd.gz" "$w/syslinux.cfg" ::
syslinux --install "$w/p1"
truncate -s "$((mib - 33))M" "$w/p2"; mke2fs -q -t ext4 -L root -d "$w/r" "$w/p2"
rm -f "$out"; truncate -s "${mib}M" "$out"
printf 'label: dos\nstart=2048, size=65536, type=c, bootable\nstart=67584, type=83\n' | sfdisk -q "$out"
dd if=/usr/lib/syslinux/mbr/mbr.bin of="$out" bs=440 count=1 conv=notrunc status=none
dd if="$w/p1" of="$out" bs=1M seek=1 conv=notrunc,sparse status=none
dd if="$w/p2" of="$out" bs=1M seek=33 conv=notrunc,sparse status=none
