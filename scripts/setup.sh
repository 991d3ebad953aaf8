#!/bin/bash
# setup.sh - install the programs that the interoperability tests run: cryptsetup, the dm-crypt of a
# real kernel (User-Mode Linux), QEMU, clients of the S3 protocol, and a Debian kernel to boot.
#
#   scripts/setup.sh
#
# On Debian, as root, it installs only what is missing, with apt. It downloads the kernel's package file
# to .cache/ once (27 MB; the tests unpack it, but nobody installs it). On other systems it installs
# nothing, and prints in one line which tests will be skipped. It never fails: tests whose programs are
# missing are skipped.
#
# If nothing is missing, it prints nothing and takes no time.
set -u
cd "$(dirname "$0")/.." || exit 0
PATH=$PATH:/usr/sbin:/sbin
cache=.cache log=$PWD/.cache/setup.log
machine=$(uname -m)

# These lines are "tests | program or file | Debian package". Programs that exist only for one kind of
# machine are listed only there.
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
		detect     | gpg-agent   | gpg-agent
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
		cloud      | /usr/lib/python3/dist-packages/botocore/auth.py | python3-botocore
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

# missing FIELD: print this field of all missing programs in one line. 1 = tests, 2 = program, 3 =
# package.
missing() {
	local want
	wants | while IFS='|' read -r tests want package; do
		want=${want// /}
		[ -e "$want" ] || command -v "$want" >/dev/null || echo "$tests|$want|$package"
	done | cut -d'|' -f"$1" | sed 's/^ *//; s/ *$//' | awk 'NF && !seen[$0]++' | paste -sd' ' -
}

# have_kernel: check whether the cache has a kernel's package file.
have_kernel() { compgen -G "$cache/linux-image-*-cloud-*.deb" >/dev/null; }

# apt ARGUMENT...: run apt-get without questions and with short timeouts, and log its output.
apt() {
	DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120 \
		-o Acquire::http::Timeout=30 -o Dpkg::Use-Pty=0 "$@" >>"$log" 2>&1 </dev/null
}

# refresh: download the package lists, at most once. The second call fails.
refreshed=
refresh() {
	[ -z "$refreshed" ] && [ "$(id -u)" = 0 ] || return
	refreshed=1
	apt update
}

policy=/usr/sbin/policy-rc.d # decides which services may start; exit status 101 means none
install_packages() {
	local packages
	read -ra packages <<<"$(missing 3)"
	[ "${#packages[@]}" -gt 0 ] && [ "$(id -u)" = 0 ] || return 0
	echo "setup: installing ${packages[*]}"
	# The tests start their own daemons, so the daemons of the packages must not run.
	if [ ! -e "$policy" ]; then
		printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy" && trap 'rm -f "$policy"' EXIT
	fi
	install_all "${packages[@]}"
	case " ${packages[*]} " in *" munge "*) systemctl disable munge slurmctld slurmd >>"$log" 2>&1 ;; esac
}

# install_all PACKAGE...: install all packages, or those that this system offers.
install_all() {
	local package
	# Lists can be missing or old. A package that this system lacks must not prevent the others.
	apt install --no-install-recommends "$@" && return
	refresh && apt install --no-install-recommends "$@" && return
	for package; do apt install --no-install-recommends "$package"; done
}

# kernel_name: print the package of the current cloud kernel, according to the metapackage.
kernel_name() {
	apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1
}

# download_kernel: download it completely or not at all. apt-get download does not need root. As root it
# would switch to a user who cannot write here.
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
why='apt-get is not installed'
if command -v apt-get >/dev/null; then
	why="see $cache/setup.log"
	[ "$(id -u)" = 0 ] || why='run scripts/setup.sh as root to install them'
fi
echo "setup: these tests will be skipped: ${tests// /, }; missing: ${programs// /, } ($why)"
exit 0
