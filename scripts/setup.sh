#!/bin/bash
# setup.sh - put in place the programs the interoperability tests drive: cryptsetup,
# a real kernel's dm-crypt (User-Mode Linux), QEMU, clients of the S3 protocol, and a Debian
# kernel to boot.
#
#   scripts/setup.sh
#
# On Debian, as root, it installs by apt what is missing and nothing else, and fetches
# the kernel's package file into .cache/ once (27 MB, unpacked by the tests, never
# installed). Elsewhere it installs nothing and says in one line which tests will be
# skipped. It never fails: without these programs the tests that need them are skipped.
#
# With everything in place it says nothing and takes no time.
set -u
cd "$(dirname "$0")/.." || exit 0
PATH=$PATH:/usr/sbin:/sbin
cache=.cache log=$PWD/.cache/setup.log
machine=$(uname -m)

# Which tests want what: "tests | program or file | Debian package". Programs that
# exist for one kind of machine only are not asked for elsewhere.
wants() {
	cat <<-'EOF'
		cryptsetup | cryptsetup  | cryptsetup-bin
		qemu-img   | qemu-img    | qemu-utils
		tokens     | systemd-cryptenroll | systemd
		tokens     | clevis      | clevis
		tokens     | clevis-luks-bind | clevis-luks
		tokens     | clevis-encrypt-tpm2 | clevis-tpm2
		tokens     | swtpm       | swtpm
		tokens     | tpm2_unseal | tpm2-tools
		tokens     | jose        | jose
		tokens     | socat       | socat
		tokens     | /usr/libexec/tangd | tang
		serve      | nbdinfo     | libnbd-bin
		serve      | nbdcopy     | libnbd-bin
		serve      | qemu-io     | qemu-utils
		serve      | fio         | fio
		disk       | mke2fs      | e2fsprogs
		disk       | sfdisk      | fdisk
		7-Zip      | 7z          | p7zip-full
		archives   | bsdtar      | libarchive-tools
		addresses  | nginx       | nginx-light
		addresses  | python3     | python3
		archives   | umoci       | umoci
		archives   | skopeo      | skopeo
		libyal     | vhdiinfo    | libvhdi-utils
		libyal     | vmdkinfo    | libvmdk-utils
		key-wrap   | openssl     | openssl
		detect     | bzip2       | bzip2
		detect     | xz          | xz-utils
		detect     | zstd        | zstd
		unpack     | pigz        | pigz
		detect     | lz4         | lz4
		detect     | zip         | zip
		detect     | cpio        | cpio
		detect     | gpg         | gpg
		contents   | mkswap      | util-linux
		contents   | mkfs.xfs    | xfsprogs
		contents   | mkfs.btrfs  | btrfs-progs
		contents   | mkfs.vfat   | dosfstools
		contents   | e2fsck      | e2fsprogs
		slurm      | munged      | munge
		slurm      | slurmctld   | slurmctld
		slurm      | slurmd      | slurmd
		slurm      | sbatch      | slurm-client
		slurm      | shellcheck  | shellcheck
		pages      | chromium    | chromium
		pages      | /usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf | fonts-dejavu-core
		tokens     | softhsm2-util | softhsm2
		tokens     | pkcs11-tool | opensc
		cloud      | aws         | awscli
		cloud      | rclone      | rclone
		cloud      | s3cmd       | s3cmd
		cloud      | slcli       | python3-softlayer
	EOF
	[ "$machine" = x86_64 ] || return 0
	cat <<-'EOF'
		dm-crypt   | linux       | user-mode-linux
		dm-crypt   | cryptsetup  | cryptsetup-bin
		dm-crypt   | dmsetup     | dmsetup
		dm-crypt   | modprobe    | kmod
		dm-crypt   | losetup     | mount
		dm-crypt   | e2fsck      | e2fsprogs
		dm-crypt   | cc          | gcc
		dm-crypt   | /usr/include/stdio.h | libc6-dev
		boot       | qemu-system-x86_64 | qemu-system-x86
		boot       | busybox     | busybox-static
		boot       | syslinux    | syslinux
		boot       | /usr/lib/syslinux/mbr/mbr.bin | syslinux-common
		boot       | mcopy       | mtools
		boot       | mkfs.vfat   | dosfstools
		boot       | modprobe    | kmod
		boot       | cpio        | cpio
		arm64      | qemu-aarch64 | qemu-user
		platforms  | qemu-s390x   | qemu-user
		tokens     | /usr/lib/x86_64-linux-gnu/libsoftokn3.so | libnss3
		OpenSSL    | /usr/include/openssl/evp.h | libssl-dev
	EOF
}

# missing FIELD: that field of each want that is not there, in one line. 1 = tests,
# 2 = program, 3 = package.
missing() {
	local want
	wants | while IFS='|' read -r tests want package; do
		want=${want// /}
		[ -e "$want" ] || command -v "$want" >/dev/null || echo "$tests|$want|$package"
	done | cut -d'|' -f"$1" | sed 's/^ *//; s/ *$//' | awk 'NF && !seen[$0]++' | paste -sd' ' -
}

# have_kernel: is a kernel's package file in the cache?
have_kernel() { compgen -G "$cache/linux-image-*-cloud-*.deb" >/dev/null; }

# apt ARGUMENT...: apt-get without questions, without waiting for long, into the log.
apt() {
	DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120 \
		-o Acquire::http::Timeout=30 -o Dpkg::Use-Pty=0 "$@" >>"$log" 2>&1 </dev/null
}

# refresh: fetch the package lists, at most once; it fails the second time.
refreshed=
refresh() {
	[ -z "$refreshed" ] && [ "$(id -u)" = 0 ] || return
	refreshed=1
	apt update
}

policy=/usr/sbin/policy-rc.d # says which services may start; exit status 101 is none
install_packages() {
	local packages
	read -ra packages <<<"$(missing 3)"
	[ "${#packages[@]}" -gt 0 ] && [ "$(id -u)" = 0 ] || return 0
	echo "setup: installing ${packages[*]}"
	# The tests start their own daemons. Those of the packages are not to run beside them.
	if [ ! -e "$policy" ]; then
		printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy" && trap 'rm -f "$policy"' EXIT
	fi
	install_all "${packages[@]}"
	case " ${packages[*]} " in *" munge "*) systemctl disable munge slurmctld slurmd >>"$log" 2>&1 ;; esac
}

# install_all PACKAGE...: all of them, or those that this system has.
install_all() {
	local package
	# Lists may be absent or old. One package that this system does not have must
	# not keep the others away.
	apt install --no-install-recommends "$@" && return
	refresh && apt install --no-install-recommends "$@" && return
	for package; do apt install --no-install-recommends "$package"; done
}

# kernel_name: the package of the present cloud kernel, as the metapackage knows it.
kernel_name() {
	apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1
}

# download_kernel: fetch it as a whole or not at all. apt-get download needs no root;
# as root it would drop to a user who may not write here.
download_kernel() {
	local name part=$PWD/$cache/part; name=$(kernel_name)
	rm -rf "$part"; mkdir "$part" || return
	[ -n "$name" ] && (cd "$part" && apt -o APT::Sandbox::User=root download "$name") &&
		mv "$part"/*.deb "$cache/"
	local rc=$?
	rm -rf "$part"
	return $rc
}

fetch_kernel() {
	[ "$machine" = x86_64 ] || return 0
	have_kernel && return
	echo "setup: fetching a kernel to boot in the tests into $cache/"
	download_kernel || { refresh && download_kernel; }
}

complete() { [ -z "$(missing 2)" ] && { [ "$machine" != x86_64 ] || have_kernel; }; }

complete && exit 0
if command -v apt-get >/dev/null; then
	mkdir -p "$cache" && : >"$log" || exit 0
	install_packages
	fetch_kernel
	complete && exit 0
fi

programs=$(missing 2) tests=$(missing 1)
if [ "$machine" = x86_64 ] && ! have_kernel; then
	programs="${programs:+$programs }a-kernel-in-$cache"
	case " $tests " in *" boot "*) ;; *) tests="${tests:+$tests }boot" ;; esac
fi
why='apt-get is not there to install them'
if command -v apt-get >/dev/null; then
	why="see $cache/setup.log"
	[ "$(id -u)" = 0 ] || why='run scripts/setup.sh as root to install them'
fi
echo "setup: the tests of these will be skipped: ${tests// /, }; missing: ${programs// /, } ($why)"
exit 0
