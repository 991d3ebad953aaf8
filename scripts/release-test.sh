#!/bin/bash
# release-test.sh - make a release twice, from two clones in two folders, one with an empty build cache,
# and compare the results. Then use the result like a user: install the packages, the deb in a bare
# Debian root, inspect the OCI image, read the SBOMs, and install with the action. Finally, make a
# release of a tag, and install that tag with go install.
#
#   scripts/release-test.sh            all of it
#   scripts/release-test.sh --once     test the files in dist/, of HEAD or of COMMIT, without making them
#
# If a program is missing, its checks are skipped, or fail with CI=true.
set -euo pipefail
cd "$(dirname "$0")/.."
top=$PWD cache=$PWD/.cache
work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
fail() { echo "release-test: $1" >&2; exit 1; }
ok() { echo "release-test: ok: $1"; }
skip() { echo "skipped: $1"; [ "${CI:-}" != true ] || exit 1; }
has() { command -v "$1" >/dev/null; }

scripts/release/tools.sh
"$cache/bin/actionlint"
ok "actionlint accepts the workflows"

commit=$(git rev-parse "${COMMIT:-HEAD}")
if [ "${1:-}" != --once ]; then
	for folder in one two/with/another/name; do
		git clone --quiet "$top" "$work/$folder"
		git -C "$work/$folder" checkout --quiet --detach "$commit"
		mkdir -p "$work/$folder/.cache"
		ln -s "$cache/bin" "$work/$folder/.cache/bin"
		(cd "$work/$folder" && scripts/release/build.sh --snapshot)
		export GOCACHE=$work/gocache # empty for the second
	done
	diff -r "$work/one/dist" "$work/two/with/another/name/dist" || fail "two builds differ"
	ok "two clones make the same $(wc -l <"$work/one/dist/SHA256SUMS") files, one of them with an empty cache"
	rm -rf dist
	mv "$work/one/dist" dist
fi
cd dist
sha256sum --check --quiet SHA256SUMS
version=$(echo luksimg_*_oci.tar) version=${version#luksimg_} version=${version%_oci.tar}

# Check that each archive has all files, and a binary that file(1) calls static.
mkdir "$work/archives"
for archive in luksimg_*.tar.gz luksimg_*.zip; do
	folder=${archive%.tar.gz} folder=${folder%.zip}
	case $archive in *.zip) unzip -q "$archive" -d "$work/archives" ;; *) tar -xzf "$archive" -C "$work/archives" ;; esac
	for want in LICENSE LICENSES.txt README.md CHANGELOG.md man/man1/luksimg-encrypt.1 completions/luksimg.bash completions/_luksimg; do
		[ -s "$work/archives/$folder/$want" ] || fail "$archive has no $want"
	done
	case $archive in
	*linux*) file "$work/archives/$folder/luksimg" | grep -q 'ELF 64-bit.*statically linked.*stripped' || fail "$archive: $(file "$work/archives/$folder/luksimg")" ;;
	esac
	sbom=$folder.cdx.json
	grep -q '"name": "golang.org/x/crypto"' "$sbom" || fail "$sbom does not name golang.org/x/crypto"
done
said=$("$work/archives/luksimg_${version}_linux_amd64/luksimg" version)
[[ $said == *"luksimg v$version,"*"commit $commit"* ]] || fail "luksimg version prints: $said"
ok "archives of $(ls luksimg_*.tar.gz luksimg_*.zip | wc -l) platforms: static, licenses, manual pages, completions, SBOMs; the version is v$version"

# The PKCS#11 helper loads libraries, so it is not a static program.
for arch in amd64 arm64; do
	folder=luksimg-pkcs11_${version}_linux_$arch
	tar -xzf "$folder.tar.gz" -C "$work/archives"
	for want in LICENSE LICENSES.txt README.md; do
		[ -s "$work/archives/$folder/$want" ] || fail "$folder.tar.gz has no $want"
	done
	grep -q '^==== github.com/ebitengine/purego ' "$work/archives/$folder/LICENSES.txt" || fail "$folder.tar.gz has no license of purego"
	file "$work/archives/$folder/luksimg-pkcs11" | grep -q 'ELF 64-bit.*dynamically linked, interpreter /lib.*stripped' || fail "$folder: $(file "$work/archives/$folder/luksimg-pkcs11")"
	grep -q '"name": "github.com/ebitengine/purego"' "$folder.cdx.json" || fail "$folder.cdx.json does not name purego"
done
ok "archives of luksimg-pkcs11 for two platforms: licenses, SBOMs"

# go build alone makes the same binary.
if [ "${1:-}" != --once ]; then
	git clone --quiet "$top" "$work/by-hand"
	(cd "$work/by-hand" && git checkout --quiet --detach "$commit" && GOFLAGS=-trimpath CGO_ENABLED=0 GOOS=linux GOARCH=amd64 \
		go build -ldflags "-s -w -X main.version=v$version -X main.commit=$commit" -o luksimg ./cmd/luksimg)
	cmp "$work/by-hand/luksimg" "$work/archives/luksimg_${version}_linux_amd64/luksimg" || fail "go build makes a different binary"
	ok "go build alone makes the same binary"
fi

# Install the debs in a root with a bare Debian, man, bash-completion, and a software PKCS#11 token.
deb=$(echo luksimg_*_amd64.deb) helper=$(echo luksimg-pkcs11_*_amd64.deb)
if [ "$(id -u)" = 0 ] && has debootstrap && [ "$(uname -m)" = x86_64 ]; then
	root=$cache/debian-root-softhsm.tar
	if [ ! -e "$root" ]; then
		debootstrap --variant=minbase --include=man-db,bash-completion,softhsm2,opensc bookworm "$work/bare" >"$cache/debootstrap.log" 2>&1 ||
			fail "debootstrap: see .cache/debootstrap.log"
		tar -C "$work/bare" -cf "$root.part" . && mv "$root.part" "$root"
		rm -rf "$work/bare"
	fi
	mkdir "$work/debian"
	tar -C "$work/debian" -xf "$root"
	cp "$deb" "$work/debian/luksimg.deb"
	cp "$helper" "$work/debian/luksimg-pkcs11.deb"
	# Mount /proc, which the shell needs for /dev/fd.
	inside() { unshare --mount sh -c 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"' "$work/debian" /usr/bin/env -i PATH=/usr/bin:/bin:/usr/sbin:/sbin LC_ALL=C.UTF-8 TERM=dumb "$@"; }
	if inside dpkg -i /luksimg-pkcs11.deb >/dev/null 2>&1; then fail "$helper installs without luksimg"; fi
	inside dpkg -P luksimg-pkcs11 >/dev/null 2>&1
	inside dpkg -i /luksimg.deb >/dev/null
	inside luksimg version | grep -q "commit $commit" || fail "luksimg of the deb prints another version"
	inside man luksimg | grep -q 'encrypt' || fail "man luksimg"
	inside man luksimg-encrypt | grep -q -e '--profile' || fail "man luksimg-encrypt"
	inside bash -c '
		. /usr/share/bash-completion/bash_completion
		_completion_loader luksimg
		COMP_WORDS=(luksimg enc) COMP_CWORD=1 COMP_LINE="luksimg enc" COMP_POINT=11 COMP_TYPE=9
		__start_luksimg
		echo "${COMPREPLY[@]}"' 2>/dev/null | grep -q encrypt || fail "bash completes nothing"
	inside sh -ec 'cd /tmp; luksimg -q keygen key; head -c 1048576 /dev/urandom >disk; luksimg -q encrypt --key-file key disk disk.luks; luksimg -q verify --key-file key disk disk.luks' >/dev/null ||
		fail "luksimg of the deb does not encrypt"
	[ -s "$work/debian/usr/share/doc/luksimg/copyright" ] || fail "the deb has no copyright file"
	inside dpkg -i /luksimg-pkcs11.deb >/dev/null
	[ -s "$work/debian/usr/share/doc/luksimg-pkcs11/copyright" ] || fail "$helper has no copyright file"
	inside sh -ec 'cd /tmp
		mkdir tokens; echo "directories.tokendir = /tmp/tokens" >softhsm2.conf
		export SOFTHSM2_CONF=/tmp/softhsm2.conf; printf 1234 >pin
		softhsm2-util --init-token --free --label vault --pin 1234 --so-pin 5678
		pkcs11-tool --module /usr/lib/softhsm/libsofthsm2.so --token-label vault --login --pin 1234 --keygen --key-type AES:32 \
			--label images --id 01 --sensitive --usage-decrypt --usage-wrap
		root="pkcs11:token=vault;object=images?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=/tmp/pin"
		luksimg -q encrypt --kms "$root" disk token.luks
		luksimg -q decrypt --kms "$root" token.luks back
		cmp disk back' >"$work/said" 2>&1 || fail "luksimg-pkcs11 of the deb: $(cat "$work/said")"
	inside dpkg -r luksimg-pkcs11 luksimg >/dev/null
	[ ! -e "$work/debian/usr/bin/luksimg" ] && [ ! -e "$work/debian/usr/bin/luksimg-pkcs11" ] || fail "removing the debs leaves their binaries"
	ok "$deb installs in a bare Debian: version, man, completion, encrypt; and can be removed"
	ok "$helper too: a key on a token of SoftHSM encrypts and decrypts"
else
	skip "installing the deb needs root, debootstrap and an x86_64 machine"
fi

# Install the rpms in an empty root, which has no C library.
rpm=$(echo luksimg-[0-9]*.x86_64.rpm) helper=$(echo luksimg-pkcs11-[0-9]*.x86_64.rpm)
if has rpm; then
	rpm -qlp "$rpm" 2>/dev/null >"$work/rpm"
	for want in /usr/bin/luksimg /usr/share/man/man1/luksimg.1.gz /usr/share/bash-completion/completions/luksimg /usr/share/zsh/site-functions/_luksimg; do
		grep -qx "$want" "$work/rpm" || fail "$rpm has no $want"
	done
	[ "$(rpm -qp --qf '%{LICENSE}' "$rpm" 2>/dev/null)" = Apache-2.0 ] || fail "the license of $rpm"
	rpm -K --nosignature "$rpm" "$helper" >/dev/null || fail "the digests of $rpm or $helper"
	rpm -qpR "$helper" 2>/dev/null >"$work/rpm"
	{ grep -qx luksimg "$work/rpm" && grep -q '^libc.so.6' "$work/rpm"; } || fail "$helper depends on: $(cat "$work/rpm")"
	if [ "$(id -u)" = 0 ] && [ "$(uname -m)" = x86_64 ]; then
		into() { rpm --root "$work/rpm-root" --force-debian "$@"; }
		mkdir "$work/rpm-root"
		into -i "$rpm" 2>"$work/said" || fail "$rpm does not install: $(cat "$work/said")"
		if into -i "$helper" 2>"$work/said"; then fail "$helper installs without a C library"; fi
		grep -q 'libc.so.6' "$work/said" || fail "$helper: $(cat "$work/said")"
		into -i --nodeps "$helper"
		into -V --nodeps luksimg luksimg-pkcs11 >"$work/said" || fail "rpm -V reports differences: $(cat "$work/said")"
		chroot "$work/rpm-root" /usr/bin/luksimg version | grep -q "commit $commit" || fail "luksimg of $rpm"
		into -e luksimg-pkcs11 luksimg
		[ ! -e "$work/rpm-root/usr/bin/luksimg" ] || fail "removing $rpm leaves its binary"
	fi
	ok "$rpm, $helper: they install, verify and run, and can be removed"
else
	skip "reading the rpm needs rpm"
fi

# The apk has an optional signature, the control part, and the data. The control part has the digest of
# the data.
apk=$(echo luksimg_*_x86_64.apk)
mkdir "$work/apk"
python3 - "$apk" "$work/apk" <<'END' || fail "the structure of $apk"
import hashlib, io, sys, tarfile, zlib
data, parts = open(sys.argv[1], "rb").read(), []
while data:
    d = zlib.decompressobj(31)
    text = d.decompress(data)
    assert d.eof, "the last stream is cut off"
    parts.append((data[:len(data) - len(d.unused_data)], text))
    data = d.unused_data
assert len(parts) == 2, f"{len(parts)} streams"
control, files = (tarfile.open(fileobj=io.BytesIO(text)) for _, text in parts)
info = dict(line.split(" = ", 1) for line in control.extractfile(".PKGINFO").read().decode().splitlines() if " = " in line)
assert info["pkgname"] == "luksimg" and info["arch"] == "x86_64" and info["license"] == "Apache-2.0", info
assert info["datahash"] == hashlib.sha256(parts[1][0]).hexdigest(), "the digest of the data"
files.extractall(sys.argv[2])
END
for want in usr/bin/luksimg usr/share/man/man1/luksimg.1.gz usr/share/bash-completion/completions/luksimg usr/share/zsh/site-functions/_luksimg; do
	[ -s "$work/apk/$want" ] || fail "$apk has no $want"
done
"$work/apk/usr/bin/luksimg" version | grep -q "commit $commit" || fail "luksimg of $apk"
ok "$apk: its parts, its digest, and its luksimg runs"

# Inspect the OCI image.
oci=luksimg_${version}_oci.tar
if has skopeo; then
	mkdir "$work/layout"
	tar -xf "$oci" -C "$work/layout"
	for arch in amd64 arm64 ppc64le s390x; do
		skopeo --override-os linux --override-arch $arch inspect --config "oci:$work/layout:v$version" >"$work/config" || fail "skopeo inspects no image for $arch"
		grep -q "\"architecture\": *\"$arch\"" "$work/config" || fail "the image for $arch: $(cat "$work/config")"
	done
	skopeo copy --quiet --all "oci:$work/layout:v$version" "dir:$work/copied" || fail "skopeo does not copy the image"
	skopeo copy --quiet --override-arch amd64 "oci:$work/layout:v$version" "oci:$work/one-image:x"
	if [ "$(id -u)" = 0 ] && has umoci && [ "$(uname -m)" = x86_64 ]; then
		umoci unpack --image "$work/one-image:x" "$work/bundle" >/dev/null 2>&1 || fail "umoci does not unpack the image"
		chroot --userspec=65532:65532 "$work/bundle/rootfs" /usr/bin/luksimg version | grep -q "commit $commit" || fail "luksimg in the image"
		grep -q 'BEGIN CERTIFICATE' "$work/bundle/rootfs/etc/ssl/certs/ca-certificates.crt" || fail "the image has no certificates"
	fi
	ok "$oci: skopeo inspects and copies it, and its luksimg runs"
else
	skip "inspecting the OCI image needs skopeo"
fi

# Check the formula.
if has ruby; then ruby -c luksimg.rb >/dev/null || fail "luksimg.rb is not valid Ruby"; else skip "reading the formula needs ruby"; fi
for os in darwin linux; do for arch in amd64 arm64; do
	sum=$(sed -n "s/  luksimg_${version}_${os}_$arch.tar.gz\$//p" SHA256SUMS)
	grep -q "sha256 \"$sum\"" luksimg.rb || fail "luksimg.rb does not have the checksum for $os/$arch"
done; done
ok "luksimg.rb has the checksums"

# Run the action with a server that has this release.
mkdir -p "$work/web/latest" "$work/runner"
ln -s "$PWD" "$work/web/latest/download"
(cd "$work/web" && exec python3 -u -m http.server --bind 127.0.0.1 0 >"$work/web.log" 2>&1) &
server=$!
trap 'kill $server 2>/dev/null || true; rm -rf --one-file-system "$work"' EXIT
for _ in $(seq 100); do
	port=$(sed -n 's/.*port \([0-9]*\).*/\1/p' "$work/web.log")
	[ -z "$port" ] || break
	sleep 0.1
done
action() {
	env RUNNER_OS=Linux RUNNER_ARCH=X64 RUNNER_TEMP="$work/runner" GITHUB_PATH="$work/path" GITHUB_OUTPUT="$work/output" \
		LUKSIMG_RELEASES="http://127.0.0.1:$port" VERIFY=false VERSION="$1" "$top/setup-luksimg/install.sh"
}
action latest >/dev/null || fail "setup-luksimg"
[ "$(cat "$work/output")" = "version=v$version" ] && "$(cat "$work/path")/luksimg" version | grep -q "commit $commit" || fail "setup-luksimg: $(cat "$work/output" "$work/path")"
if action 'v1; x' >/dev/null; then fail "setup-luksimg accepts an invalid version"; fi
# The action must not use a file with a wrong checksum.
mkdir -p "$work/bad/latest/download"
cp SHA256SUMS "$work/bad/latest/download"
echo x >"$work/bad/latest/download/luksimg_${version}_linux_amd64.tar.gz"
rm "$work/web/latest/download"
ln -s "$work/bad/latest/download" "$work/web/latest/download"
if action latest >"$work/said" 2>&1; then fail "setup-luksimg accepts a damaged archive"; fi
grep -q 'does not match its checksum' "$work/said" || fail "setup-luksimg: $(cat "$work/said")"
ok "setup-luksimg installs the release, and rejects a damaged one"

# Make a release of a tag in a clone. The binaries print it, the notes are its section of the changelog,
# and go install makes the same version.
if [ "${1:-}" != --once ]; then
	tagged=$work/tagged
	git clone --quiet "$top" "$tagged"
	cd "$tagged"
	git checkout --quiet --detach "$commit"
	mkdir .cache
	ln -s "$cache/bin" .cache/bin
	sed -i 's/^## \[Unreleased\]$/&\n\n## [0.98.7] - 2098-07-06\n\n- A test./' CHANGELOG.md
	git -c user.name=test -c user.email=test@example.com commit --quiet -a -m 'release v0.98.7'
	git tag v0.98.7
	git tag cmd/luksimg-pkcs11/v0.98.7
	commit=$(git rev-parse HEAD)
	scripts/release/build.sh
	[ "$(scripts/release/notes.sh v0.98.7)" = $'\n- A test.' ] || fail "the notes: $(scripts/release/notes.sh v0.98.7)"
	if scripts/release/notes.sh v98.7.5 2>/dev/null; then fail "notes.sh prints notes for a version that is not in the changelog"; fi
	tar -xzf dist/luksimg_0.98.7_linux_amd64.tar.gz -C "$work"
	said=$("$work/luksimg_0.98.7_linux_amd64/luksimg" version)
	[[ $said == *"luksimg v0.98.7,"*"commit $commit"* ]] || fail "luksimg of a tag prints: $said"
	ok "a release of a tag: its version, its notes"

	# go install finds the tag in this clone, and other modules in the cache of the builds above. It
	# does not change that cache.
	install=(env "GOPROXY=file://$(go env GOMODCACHE)/cache/download,$(go env GOPROXY)" "GOMODCACHE=$work/modules" "GOBIN=$work/bin" "GOFLAGS=-modcacherw -trimpath" CGO_ENABLED=0
		GONOPROXY=github.com/luksimg GONOSUMDB=github.com/luksimg GIT_CONFIG_COUNT=1 "GIT_CONFIG_KEY_0=url.file://$tagged.insteadOf"
		GIT_CONFIG_VALUE_0=https://github.com/luksimg/luksimg go install)
	cd "$work"
	"${install[@]}" github.com/luksimg/luksimg/cmd/luksimg@v0.98.7 2>"$work/said" || fail "go install: $(cat "$work/said")"
	"${install[@]}" github.com/luksimg/luksimg/cmd/luksimg-pkcs11@v0.98.7 2>"$work/said" || fail "go install: $(cat "$work/said")"
	said=$("$work/bin/luksimg" version)
	[[ $said == *"luksimg v0.98.7,"* ]] || fail "luksimg of go install prints: $said"
	go version -m "$work/bin/luksimg-pkcs11" | grep -q 'mod.*luksimg-pkcs11.*v0.98.7' || fail "luksimg-pkcs11 of go install: $(go version -m "$work/bin/luksimg-pkcs11")"
	ok "go install of a tag: its version"
fi
