# guest.sh - sourced by the dmcrypt-*.sh scripts: run a shell script under a real
# Linux kernel. User-Mode Linux is an ordinary program: it needs neither root nor
# /dev/kvm, and no loop devices or device-mapper of this machine.
#
# Debian: apt-get install user-mode-linux cryptsetup-bin dmsetup kmod mount e2fsprogs
#         (and a C compiler if the CPU's register state is too large for UML)
#
# The guest's root is this machine's "/", read-only, through hostfs. The guest thus
# runs this machine's cryptsetup, blkid and e2fsck, and nothing is copied. /tmp, /run
# and /mnt are separate in the guest. /run/host shows this machine's files with the
# user's write permissions. Disk images are loop devices over those files, so one
# guest can open any number of them.
#
# From the environment:
#   GUEST_MEM      the guest's memory (default 2560M, allocated as needed: cryptsetup
#                  needs twice the memory of Argon2, whose default is 1 GiB)
#   GUEST_SECONDS  the time after which the guest is killed

guest_dir=      # temporary folder, seen in the guest as /mnt

# die MESSAGE: exit with status 125, for an error that does not concern the images.
die() { echo "${0##*/}: $*" >&2; exit 125; }

# usage: print the first comment of the calling script as its help.
usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2; exit 125; }

# need_arg OPTION COUNT: check that an option has its argument.
need_arg() { [ "$2" -ge 2 ] || die "option $1 needs an argument"; }

# guest_path FILE: print the path of FILE in the guest.
guest_path() { echo "/run/host$(realpath -m -- "$1")"; }

# assign NAME VALUE: print a shell assignment of VALUE, quoted for the guest's bash.
assign() { printf '%s=%q\n' "$1" "$2"; }

# guest_setup: create the temporary folder, which is removed with the script.
guest_setup() {
	local tool
	for tool in linux cryptsetup dmsetup modprobe losetup; do
		PATH=$PATH:/usr/sbin:/sbin command -v "$tool" >/dev/null || die "needs the program $tool"
	done
	guest_dir=$(mktemp -d) || die "cannot create a temporary folder"
	trap 'rm -rf "$guest_dir"' EXIT
	trap 'exit 125' INT TERM
}

# guest_preload: print the path of the library with which an old UML runs on this CPU
# (see uml-xstate.c), or nothing if it cannot be built.
guest_preload() {
	local src; src=$(dirname "${BASH_SOURCE[0]}")/uml-xstate.c
	if command -v cc >/dev/null && cc -O2 -shared -fPIC -o "$guest_dir/xstate.so" "$src" 2>/dev/null; then
		echo "$guest_dir/xstate.so"
	fi
}

# guest_pin: print the command that keeps the guest on one processor. The guest's kernel
# and programs are processes that wait for each other, and on several processors they
# take three times as long.
guest_pin() {
	local cpus=() range
	for range in $(taskset -pc $$ 2>/dev/null | sed "s/.*: //; s/,/ /g"); do
		mapfile -t -O ${#cpus[@]} cpus < <(seq "${range%%-*}" "${range##*-}")
	done
	[ ${#cpus[@]} = 0 ] || echo "taskset -c ${cpus[$(($$ % ${#cpus[@]}))]}"
}

# guest_run SECONDS TEXT: boot, run the text with bash as the guest's root, and power
# off. SECONDS is the default of GUEST_SECONDS. Returns the exit status of the text, or
# 125 (with the console's last lines on stderr) if the guest did not finish.
guest_run() {
	local seconds=${GUEST_SECONDS:-$1} pin
	read -ra pin <<<"$(guest_pin)"
	printf '%s\n' "$2" >"$guest_dir/script"
	# The kernel requests modules by alias; they are outside of /lib/modules.
	cat >"$guest_dir/modprobe" <<-'EOF'
		#!/bin/sh
		exec /sbin/modprobe -d /run/m "$@"
	EOF
	cat >"$guest_dir/init" <<-'EOF'
		#!/bin/bash
		export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp LC_ALL=C
		export DM_DISABLE_UDEV=1 # there is no udev to wait for
		mount -t proc proc /proc; mount -t sysfs sys /sys
		mount -t tmpfs tmpfs /tmp; mount -t tmpfs tmpfs /run
		dir=$(sed -n 's/.*guest_dir=\([^ ]*\).*/\1/p' /proc/cmdline)
		mount -t hostfs -o "$dir" none /mnt
		mkdir -p /run/host /run/m/lib /run/cryptsetup /run/lock
		mount -t hostfs -o / none /run/host
		ln -s /usr/lib/uml/modules /run/m/lib/modules
		cp /mnt/modprobe /run/modprobe; echo /run/modprobe >/proc/sys/kernel/modprobe
		for m in loop dm-mod dm-crypt algif_skcipher algif_hash; do /run/modprobe -q $m; done
		bash /mnt/script </dev/null >/mnt/stdout 2>/mnt/stderr
		echo $? >/mnt/rc
		sync; echo o >/proc/sysrq-trigger; sleep 60
	EOF
	chmod +x "$guest_dir/init" "$guest_dir/modprobe"
	: >"$guest_dir/stdout"; : >"$guest_dir/stderr"
	LD_PRELOAD=$(guest_preload) TMPDIR=$guest_dir timeout -k 5 "$seconds" "${pin[@]}" linux \
		mem="${GUEST_MEM:-2560M}" root=/dev/root rootfstype=hostfs rootflags=/ ro \
		init="$guest_dir/init" guest_dir="$guest_dir" uml_dir="$guest_dir/uml" \
		con=null con0=null,fd:1 ssl=null quiet >"$guest_dir/console" 2>&1 </dev/null
	cat "$guest_dir/stderr" >&2
	cat "$guest_dir/stdout"
	if [ ! -s "$guest_dir/rc" ]; then
		tail -n 25 "$guest_dir/console" >&2
		die "the guest did not reach the end of its script within $seconds s"
	fi
	return "$(cat "$guest_dir/rc")"
}
