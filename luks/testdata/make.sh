#!/bin/bash
# make.sh - make the golden images of this folder with qemu-img and with the real cryptsetup
# and dm-crypt, in the guest of internal/interop. Salts and keys are random, so their bytes
# differ after each run. The passphrase is "golden passphrase", without a newline; the
# plaintext is 49152 bytes of lines "line N\n", with N from 0.
set -eu
cd "$(dirname "$0")"
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
printf 'golden passphrase' >"$dir/key"
# head closes the pipe early: ignore that error.
{ seq -f 'line %.0f' 0 10000 || true; } | head -c 49152 >"$dir/plain"

until qemu-img convert --object "secret,id=s,file=$dir/key" -f raw -O luks \
	-o key-secret=s,iter-time=10,cipher-alg=aes-128,hash-alg=sha1 "$dir/plain" "$dir/luks1-qemu-128-sha1"; do :; done
make=../../internal/interop/guest/dmcrypt-make.sh
small=(--luks2-metadata-size 16k --luks2-keyslots-size 256k --pbkdf-force-iterations)
$make "$dir/luks1-cryptsetup-sha512" $((2097152 + 49152)) "$dir/key" --plain "$dir/plain" -- \
	--type luks1 --key-size 256 --hash sha512 --pbkdf-force-iterations 1000 --uuid 11111111-2222-3333-4444-555555555555 \
	--next "$dir/luks2-cryptsetup-512-pbkdf2" $((1048576 + 49152)) "$dir/key" --plain "$dir/plain" -- \
	--type luks2 --sector-size 512 --key-size 256 --pbkdf pbkdf2 --hash sha512 --label golden "${small[@]}" 1000 \
	--next "$dir/luks2-cryptsetup-4096-argon2id" $((1048576 + 49152)) "$dir/key" --plain "$dir/plain" -- \
	--type luks2 --sector-size 4096 --key-size 512 --pbkdf argon2id --pbkdf-memory 1024 --pbkdf-parallel 1 "${small[@]}" 4 \
	--next "$dir/luks2-cryptsetup-1024-argon2i" $((1048576 + 49152)) "$dir/key" --plain "$dir/plain" -- \
	--type luks2 --sector-size 1024 --key-size 256 --pbkdf argon2i --pbkdf-memory 64 --pbkdf-parallel 1 "${small[@]}" 4
# Unused key slots hold random bytes, which do not compress: replace them by zeros.
dd if=/dev/zero of="$dir/luks1-cryptsetup-sha512" bs=512 seek=264 count=$((4096 - 264)) conv=notrunc status=none
for f in "$dir"/luks*; do gzip -9n <"$f" >"$(basename "$f").gz"; done
cryptsetup --version; qemu-img --version | head -n 1
