#!/bin/bash
# prepare.sh - make the files of a release that are no binaries: manual pages, completions, licenses.
#
#   scripts/release/prepare.sh DIR
set -euo pipefail
cd "$(dirname "$0")/../.."
dir=${1:?usage: prepare.sh DIR}
rm -rf "$dir"
mkdir -p "$dir/man" "$dir/completions"

# The pages of this very commit, which docs/man has to have too.
unset GOOS GOARCH
go run ./cmd/luksimg man "$dir/man" >/dev/null
for page in docs/man/*.1; do
	cmp -s "$page" "$dir/man/${page##*/}" || { echo "prepare: $page is not what the command says: make docs writes it anew" >&2; exit 1; }
done
gzip -9n "$dir"/man/*.1

go run ./cmd/luksimg completion bash >"$dir/completions/luksimg.bash"
go run ./cmd/luksimg completion fish >"$dir/completions/luksimg.fish"
go run ./cmd/luksimg completion powershell >"$dir/completions/luksimg.ps1"
go run ./cmd/luksimg completion zsh >"$dir/completions/_luksimg"

# modules: path, version and folder of each module whose code is in a binary, of any system.
modules() {
	local os
	for os in linux darwin windows; do
		GOOS=$os go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}}	{{.Version}}	{{.Dir}}{{end}}{{end}}' ./cmd/luksimg
	done | LC_ALL=C sort -u
}

# license NAME FILE...: a part of the list.
license() {
	local name=$1 file; shift
	printf '\n==== %s ====\n' "$name"
	for file; do echo; cat "$file"; done
}

{
	echo 'Licenses of luksimg and of all code that is linked into it.'
	license luksimg LICENSE
	for dir_of in luks/ciphers/internal/*/; do
		[ ! -e "${dir_of}LICENSE" ] || license "${dir_of%/}" "${dir_of}LICENSE"
	done
	license "Go and its standard library" "$(go env GOROOT)/LICENSE"
	modules | while IFS=$'\t' read -r path version folder; do
		shopt -s nullglob nocaseglob
		files=("$folder"/licen[cs]e* "$folder"/copying* "$folder"/notice*)
		[ ${#files[@]} -gt 0 ] || { echo "prepare: $path has no license" >&2; exit 1; }
		license "$path $version" "${files[@]}"
	done
} >"$dir/LICENSES.txt"
