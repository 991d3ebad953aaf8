#!/bin/bash
# check-fuzz.sh - check that scripts/fuzz.sh and .clusterfuzzlite/build.sh know all fuzz targets of the
# repository.
#
#   scripts/check-fuzz.sh
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
status=0

grep -rhoE --include='*_test.go' --exclude-dir='.?*' '^func Fuzz[A-Za-z0-9_]*' . | cut -c6- | sort >"$work/all"
[ -s "$work/all" ] || { echo 'check-fuzz: no fuzz targets found'; exit 1; }

scripts/fuzz.sh --list | cut -d' ' -f3 | sort >"$work/listed"
diff "$work/all" "$work/listed" >"$work/diff" || { echo 'check-fuzz: scripts/fuzz.sh --list does not list:'; cat "$work/diff"; status=1; }

# Run build.sh with a compiler that only records its arguments. GIT_DIR keeps build.sh from changing
# this clone.
mkdir "$work/bin" "$work/src"
ln -s "$PWD" "$work/src/luksimg"
cat >"$work/bin/compile_native_go_fuzzer_v2" <<END
#!/bin/bash
echo "\$2" >>"$work/compiled"
echo "\$3" >>"$work/names"
END
chmod +x "$work/bin/compile_native_go_fuzzer_v2"
SRC=$work/src GIT_DIR=$work/none PATH=$work/bin:$PATH .clusterfuzzlite/build.sh >"$work/out"
sort -o "$work/compiled" "$work/compiled"
diff "$work/all" "$work/compiled" >"$work/diff" || { echo 'check-fuzz: .clusterfuzzlite/build.sh does not build:'; cat "$work/diff"; status=1; }
same=$(sort "$work/names" | uniq -d)
[ -z "$same" ] || { echo "check-fuzz: two targets have the name $same"; status=1; }
exit $status
