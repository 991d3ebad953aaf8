#!/bin/bash -eu
# build.sh - build the fuzz targets of the Go modules here, as ClusterFuzzLite and OSS-Fuzz want it. Both set SRC, and bring
# compile_native_go_fuzzer_v2, which makes test files part of the package: it does not take all targets whose tests are a
# package of their own. The workflow "fuzz" runs all targets without it.
cd "$SRC/luksimg"
export GOTOOLCHAIN=auto
scripts/fuzz.sh --list >"$SRC/targets"
built=0 left=()
while read -r folder package target; do
	# luks FuzzOpenLUKS2 becomes luks_FuzzOpenLUKS2.
	path=${package#github.com/luksimg/luksimg}
	path=${path#/}
	name=${path//\//_}_$target
	if (cd "$folder" && compile_native_go_fuzzer_v2 "$package" "$target" "$name") </dev/null; then
		built=$((built + 1))
	else
		left+=("$name")
		git checkout -q . # what it renamed
		git clean -qfd
	fi
done <"$SRC/targets"
echo "built $built fuzz targets; left out ${#left[@]}: ${left[*]:-}"
[ "$built" -gt 0 ]
