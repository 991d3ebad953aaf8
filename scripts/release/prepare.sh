#!/bin/bash
# prepare.sh - make the files of a release other than binaries: manual pages, completions, licenses.
#
#   scripts/release/prepare.sh DIR
set -euo pipefail
cd "$(dirname "$0")/../.."
dir=${1:?usage: prepare.sh DIR}
rm -rf "$dir"
mkdir -p "$dir/man" "$dir/completions"

# The manual pages are those of this commit, and docs/man must have the same.
unset GOOS GOARCH
go run ./cmd/luksimg man "$dir/man" >/dev/null
for page in docs/man/*.1; do
	cmp -s "$page" "$dir/man/${page##*/}" || { echo "prepare: $page is out of date: run make docs" >&2; exit 1; }
done
gzip -9n "$dir"/man/*.1

go run ./cmd/luksimg completion bash >"$dir/completions/luksimg.bash"
go run ./cmd/luksimg completion fish >"$dir/completions/luksimg.fish"
go run ./cmd/luksimg completion powershell >"$dir/completions/luksimg.ps1"
go run ./cmd/luksimg completion zsh >"$dir/completions/_luksimg"

# modules FOLDER SYSTEM...: print path, version and folder of each module whose code the program of a
# folder contains on any of the systems.
modules() {
	local folder=$1 os; shift
	for os; do
		(cd "$folder" && GOOS=$os go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}}	{{.Version}}	{{.Dir}}{{end}}{{end}}' .)
	done | LC_ALL=C sort -u
}

# license NAME FILE...: print one entry of the list.
license() {
	local name=$1 file; shift
	printf '\n==== %s ====\n' "$name"
	for file; do echo; cat "$file"; done
}

# licenses FOLDER SYSTEM...: print the licenses of the program of a folder.
licenses() {
	local program=${1##*/} path version folder files
	echo "Licenses of $program and of all code that is linked into it."
	license "$program" LICENSE
	if [ "$program" = luksimg ]; then
		for folder in luks/ciphers/internal/*/; do
			[ ! -e "${folder}LICENSE" ] || license "${folder%/}" "${folder}LICENSE"
		done
	fi
	license "Go and its standard library" "$(go env GOROOT)/LICENSE"
	modules "$@" | while IFS=$'\t' read -r path version folder; do
		shopt -s nullglob nocaseglob
		files=("$folder"/licen[cs]e* "$folder"/copying* "$folder"/notice*)
		[ ${#files[@]} -gt 0 ] || { echo "prepare: $path has no license" >&2; exit 1; }
		license "$path $version" "${files[@]}"
	done
}

licenses cmd/luksimg linux darwin windows >"$dir/LICENSES.txt"
licenses cmd/luksimg-pkcs11 linux >"$dir/LICENSES-pkcs11.txt"
