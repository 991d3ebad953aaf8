#!/bin/bash
# dmcrypt-make.sh - have the real cryptsetup make LUKS images with the real kernel
# dm-crypt, in one User-Mode Linux guest, and fill them with given plaintext.
#
#   dmcrypt-make.sh OUT SIZE PASSPHRASE-FILE [options] -- luksFormat-arguments...
#                   [--next OUT SIZE PASSPHRASE-FILE [options] -- luksFormat-arguments...]...
#     --plain FILE     the decrypted device starts with these bytes, followed by
#                      zeros (default: only zeros)
#     --header FILE    write a detached header to FILE (16 MiB), and only data to OUT
#     --post COMMAND   run a shell command in the guest after luksFormat and the
#                      filling, with $dev (device of the header), $data (device of the
#                      data) and $key (passphrase file); files of this machine are
#                      below /run/host; can be repeated
#
# OUT becomes a new sparse file of SIZE bytes (with the suffixes K, M, G of truncate).
# Salts and keys are random, so each run makes other bytes.
#
# Prints "name: value" lines. The lines of an image begin with "image: OUT" and end
# with "status: N" (0, or the exit status of the command that failed). They have the
# size and sha256 of the decrypted device, as the kernel reads it after all --post
# commands. "error:" lines have cryptsetup's messages.
# Exit status: the maximum over the images, or 125 if the guest itself failed.
set -u
# shellcheck source-path=SCRIPTDIR source=guest.sh
. "$(dirname "$0")/guest.sh"

[ $# -ge 4 ] || usage

# The guest runs this for one image. The loop below sets the variables.
text=$(cat <<'EOF'
worst=0
echo "kernel: $(uname -sr)"
echo "cryptsetup: $(cryptsetup --version)"

# fill DEVICE: write the plaintext, then zeros to the end.
fill() {
	{ [ -z "$plain" ] || cat "$plain"; cat /dev/zero; } 2>/dev/null | head -c "$(blockdev --getsize64 "$1")" |
		dd of="$1" bs=1M iflag=fullblock conv=fsync status=none
}

# make_image: make one image. Loop devices disappear when they are closed.
make_image() {
	local data dev rc
	data=$(losetup --find --show "$out") || return 4
	dev=$data
	[ -z "$header" ] || dev=$(losetup --find --show "$header") || return 4
	fill_and_check
	rc=$?
	[ ! -e /dev/mapper/plain ] || cryptsetup close plain
	losetup -d "$data"; [ -z "$header" ] || losetup -d "$dev"
	return $rc
}

fill_and_check() {
	local detached=()
	[ -z "$header" ] || detached=(--header "$dev")
	cryptsetup luksFormat -q "${detached[@]}" "${format_args[@]}" "$data" "$key" || return
	cryptsetup open "${detached[@]}" --key-file "$key" "$data" plain || return
	fill /dev/mapper/plain || return 4
	cryptsetup close plain || return
	post || return
	# A --post command may have removed the passphrase; that is not a failure.
	if ! cryptsetup open "${detached[@]}" --key-file "$key" --readonly "$data" plain 2>/tmp/closed; then
		echo "not opened afterwards: $(tail -n 1 /tmp/closed)"
		return 0
	fi
	echo "table: $(dmsetup table plain)"
	echo "size: $(blockdev --getsize64 /dev/mapper/plain)"
	echo "sha256: $(sha256sum </dev/mapper/plain | cut -d' ' -f1)"
}

run() {
	echo "image: $name"
	make_image 2>/tmp/errors
	local rc=$?
	sed 's/^/error: /' /tmp/errors
	echo "status: $rc"
	[ $rc -le $worst ] || worst=$rc
}
EOF
)$'\n'

images=0
while [ $# -gt 0 ]; do
	[ $# -ge 4 ] || usage
	out=$1 size=$2 key=$3; shift 3
	plain='' header='' post='' format_args=''
	while [ $# -gt 0 ]; do
		case $1 in
		--plain) need_arg "$1" $#; plain=$2; shift ;;
		--header) need_arg "$1" $#; header=$2; shift ;;
		--post) need_arg "$1" $#; post+="$2"$' || return\n'; shift ;;
		--) shift; break ;;
		*) die "unknown option $1" ;;
		esac
		shift
	done
	while [ $# -gt 0 ]; do
		if [ "$1" = --next ]; then shift; break; fi
		format_args+=" $(printf %q "$1")"; shift
	done
	[ -r "$key" ] || die "cannot read $key"
	[ -z "$plain" ] || [ -r "$plain" ] || die "cannot read $plain"
	rm -f "$out"; truncate -s "$size" "$out" || die "cannot make $out"
	[ -z "$header" ] || { rm -f "$header"; truncate -s 16M "$header"; } || die "cannot make $header"
	text+=$(
		assign name "$out"
		assign out "$(guest_path "$out")"
		assign key "$(guest_path "$key")"
		assign plain "${plain:+$(guest_path "$plain")}"
		assign header "${header:+$(guest_path "$header")}"
		echo "format_args=($format_args)"
		printf 'post() { :\n%s}\n' "$post"
	)$'\nrun\n'
	images=$((images + 1))
done

guest_setup
guest_run $((600 + 60 * images)) "$text"$'exit "$worst"\n'
