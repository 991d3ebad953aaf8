#!/bin/bash
# build.sh - make all files of a release in dist/: archives of binaries, packages, an SBOM of each
# binary, an OCI image, a Homebrew formula, and checksums. It makes them in a clone, only from the commit
# that is checked out. The script publishes nothing, and needs no network once the tools and
# modules are downloaded.
#
#   scripts/release/build.sh --snapshot    of any commit
#   scripts/release/build.sh               of a commit that has a tag
#
# The same commit and the same version of Go produce the same bytes.
set -euo pipefail
cd "$(dirname "$0")/../.."
top=$PWD
snapshot=()
case ${1:-} in
--snapshot) snapshot=(--snapshot) ;;
'') ;;
*) echo 'usage: build.sh [--snapshot]' >&2; exit 1 ;;
esac
[ -z "$(git status --porcelain)" ] || echo 'release: the release does not contain uncommitted changes' >&2
commit=$(git rev-parse HEAD)
scripts/release/tools.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git clone --quiet --no-checkout "$top" "$work/luksimg"
cd "$work/luksimg"
git checkout --quiet --detach "$commit"
unset GITHUB_TOKEN GITLAB_TOKEN GITEA_TOKEN GOOS GOARCH GOAMD64 GOARM64 GOPPC64 GOEXPERIMENT GOFIPS140 GOFLAGS GOWORK GODEBUG
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH PATH=$top/.cache/bin:$PATH LC_ALL=C TZ=UTC
umask 022
# Tags of other Go modules, such as cmd/luksimg-pkcs11/v0.1.0, are not releases.
tag=$(git describe --tags --abbrev=0 --match 'v[0-9]*' 2>/dev/null) && export GORELEASER_CURRENT_TAG=$tag

goreleaser release --clean --skip=publish,announce "${snapshot[@]}"

# field NAME: print a field of dist/metadata.json.
field() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" dist/metadata.json; }
version=$(field version)
[ "$(field commit)" = "$commit" ] || { echo "release: dist/metadata.json is not of commit $commit" >&2; exit 1; }
images=()
for arch in amd64 arm64 ppc64le s390x; do
	binary=$(echo dist/*_linux_"$arch"*/luksimg)
	[ -f "$binary" ] || { echo "release: no binary for linux/$arch" >&2; exit 1; }
	images+=("linux/$arch=$binary")
done
oci=luksimg_${version}_oci.tar
ociimage -o "dist/$oci" -version "v$version" -revision "$commit" -time "$SOURCE_DATE_EPOCH" \
	-licenses bin/release/LICENSES.txt "${images[@]}"
cd dist
mv homebrew/Formula/luksimg.rb .
sha256sum "$oci" luksimg.rb >>SHA256SUMS
sort -k2 -o SHA256SUMS SHA256SUMS
sha256sum --check --quiet SHA256SUMS

rm -rf "$top/dist"
mkdir "$top/dist"
mapfile -t files < <(cut -c67- SHA256SUMS)
cp -p "${files[@]}" SHA256SUMS "$top/dist"
echo "release: luksimg v$version in dist/: ${#files[@]} files"
