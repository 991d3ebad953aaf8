#!/bin/bash
# install.sh - download a release of luksimg for this machine, compare it with its checksum and its provenance, and add it to
# the PATH of the steps that follow. action.yml sets VERSION, VERIFY and GH_TOKEN; GitHub sets RUNNER_OS, RUNNER_ARCH,
# RUNNER_TEMP, GITHUB_PATH and GITHUB_OUTPUT. A test sets LUKSIMG_RELEASES, where the releases are.
set -euo pipefail
repository=luksimg/luksimg
releases=${LUKSIMG_RELEASES:-https://github.com/$repository/releases}
fail() { echo "::error::setup-luksimg: $1"; exit 1; }

case $RUNNER_OS in
Linux) os=linux suffix=tar.gz ;;
macOS) os=darwin suffix=tar.gz ;;
Windows) os=windows suffix=zip ;;
*) fail "there is no luksimg for $RUNNER_OS" ;;
esac
case $RUNNER_ARCH in
X64) arch=amd64 ;;
ARM64) arch=arm64 ;;
S390X) arch=s390x ;;
PPC64LE) arch=ppc64le ;;
*) fail "there is no luksimg for $RUNNER_ARCH" ;;
esac
if [ "$VERSION" = latest ]; then
	from=$releases/latest/download
elif [[ $VERSION =~ ^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$ ]]; then
	from=$releases/download/$VERSION
else
	fail "version $VERSION: want latest, or one such as v0.1.0"
fi

dir=$(mktemp -d "$RUNNER_TEMP/luksimg.XXXXXX")
cd "$dir"
get() { curl --fail --silent --show-error --location --retry 5 --remote-name "$1"; }
get "$from/SHA256SUMS"
archive=$(sed -n "s/^[0-9a-f]\{64\}  \(luksimg_[^ /]*_${os}_$arch\.$suffix\)\$/\1/p" SHA256SUMS)
[ -n "$archive" ] || fail "release $VERSION has no archive for $os/$arch"
get "$from/$archive"
grep -F "  $archive" SHA256SUMS >sum
if command -v sha256sum >/dev/null; then sha256sum --check --quiet sum; else shasum -a 256 --check --quiet sum; fi ||
	fail "$archive does not match its checksum"
if [ "$VERIFY" = true ]; then
	gh attestation verify "$archive" --repo "$repository" || fail "the provenance of $archive cannot be verified"
fi

case $suffix in
tar.gz) tar -xzf "$archive" ;;
zip) unzip -q "$archive" ;;
esac
folder=$dir/${archive%."$suffix"}
"$folder/luksimg" version
echo "$folder" >>"$GITHUB_PATH"
version=${archive#luksimg_}
echo "version=v${version%_"${os}_$arch.$suffix"}" >>"$GITHUB_OUTPUT"
