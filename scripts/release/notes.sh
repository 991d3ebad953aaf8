#!/bin/bash
# notes.sh - print the section of CHANGELOG.md for a version. The section must exist and have a date.
#
#   scripts/release/notes.sh v0.1.0
set -euo pipefail
cd "$(dirname "$0")/../.."
version=${1:?usage: notes.sh VERSION}
notes=$(awk -v want="## [${version#v}] - 20" '/^## |^\[/ {inside = 0} inside {print} index($0, want) == 1 {inside = 1}' CHANGELOG.md)
[ -n "${notes//[[:space:]]/}" ] || { echo "notes: CHANGELOG.md has no section for ${version#v} with a date" >&2; exit 1; }
echo "$notes"
