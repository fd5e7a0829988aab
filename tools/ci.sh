#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# The long list of checks.
#
#   tools/ci.sh [STEP]...   run all steps, or these
#   tools/ci.sh --list      name the steps
#
# Prints one line for each step and, for one that fails, the end of its output. The exit
# status is not 0 if one failed. tools/test is what every change must pass; this is what a
# release must.

set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
top=$PWD
out=$top/build/ci
libraries="memory kvm loader virtio event superio allocator device"

steps=(style gcc_debug gcc_release clang_debug clang_release each_library install valgrind
	analyzer tidy cppcheck sparse doxygen arm64 fuzz coverage commits test)

setup_and_build() { # DIRECTORY OPTION...
	local dir=$out/$1
	shift
	rm -rf "$dir"
	meson setup "$dir" . -Dwerror=true "$@" && ninja -C "$dir"
}

c_sources() { git ls-files 'libvmm-*/src/*.c' 'reference-vmm/src/*.c'; }

include_flags() {
	local name
	printf '%s ' -I"$top/vmm-base/include" -D_GNU_SOURCE -DVMM_VERSION='"0"' -std=gnu17
	for name in $libraries; do
		printf '%s ' -I"$top/libvmm-$name/include" -I"$top/libvmm-$name/src"
	done
}

step_style() { tools/lint.py; }
step_gcc_debug() { CC=gcc setup_and_build gcc-debug --buildtype=debug; }
step_gcc_release() { CC=gcc setup_and_build gcc-release --buildtype=release; }
step_clang_debug() { CC=clang CXX=clang++ setup_and_build clang-debug --buildtype=debug; }
step_clang_release() { CC=clang CXX=clang++ setup_and_build clang-release --buildtype=release; }

step_each_library() {
	local name
	for name in $libraries; do
		setup_and_build "one-$name" -Dlibs="$name" -Dtests=enabled &&
			meson test -C "$out/one-$name" --no-rebuild || return 1
	done
}

# What the READMEs say to a user of an installed library, done.
step_install() {
	local name
	setup_and_build install --buildtype=release -Dtests=disabled --prefix=/usr || return 1
	DESTDIR=$out/stage meson install -C "$out/install" --no-rebuild || return 1
	local pc
	pc=$(dirname "$(find "$out/stage" -name libvmm-memory.pc)")
	for name in $libraries; do
		tools/doctest.py --block 1 "libvmm-$name/README.md" "$out/$name.c" || return 1
		# shellcheck disable=SC2046
		cc -o "$out/$name" "$out/$name.c" $(PKG_CONFIG_SYSROOT_DIR=$out/stage \
			PKG_CONFIG_LIBDIR=$pc pkg-config --cflags --libs "libvmm-$name") ||
			return 1
		LD_LIBRARY_PATH=$(dirname "$pc") "$out/$name" || [ $? -eq 77 ] || return 1
	done
}

step_valgrind() {
	setup_and_build valgrind --buildtype=debugoptimized -Dtests=enabled &&
		meson test -C "$out/valgrind" --no-rebuild --suite unit --timeout-multiplier 30 \
			--wrap 'valgrind --error-exitcode=99 --quiet --leak-check=full'
}

step_analyzer() {
	local file status=0
	for file in $(c_sources); do
		# shellcheck disable=SC2046
		gcc $(include_flags) -I"$top/reference-vmm/src" -O2 -fanalyzer -Werror -c \
			-o /dev/null "$file" || status=1
	done
	return $status
}

step_tidy() {
	# shellcheck disable=SC2046
	c_sources | xargs -n 8 -P 2 clang-tidy --quiet --warnings-as-errors='*' \
		-checks='-*,bugprone-*,cert-*,clang-analyzer-*,performance-*,-bugprone-easily-swappable-parameters,-bugprone-reserved-identifier,-cert-dcl37-c,-cert-dcl51-cpp,-bugprone-assignment-in-if-condition,-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling,-bugprone-branch-clone,-cert-err33-c,-bugprone-narrowing-conversions' \
		-- $(include_flags) -I"$top/reference-vmm/src"
}

step_cppcheck() {
	# shellcheck disable=SC2046
	cppcheck --quiet --error-exitcode=1 --inline-suppr --std=c11 \
		--enable=warning,portability --suppress=missingIncludeSystem \
		$(include_flags | tr ' ' '\n' | grep '^-[ID]') $(c_sources)
}

step_sparse() {
	local file status=0
	for file in $(c_sources); do
		# shellcheck disable=SC2046
		sparse -Wsparse-error $(include_flags) -I"$top/reference-vmm/src" "$file" || status=1
	done
	return $status
}

step_doxygen() {
	mkdir -p "$out/doxygen"
	OUT=$out/doxygen doxygen docs/Doxyfile
}

step_arm64() {
	setup_and_build arm64 --cross-file tools/arm64.ini -Dtests=disabled
}

# One minute for each target; the finding stays in the directory that is named.
step_fuzz() {
	local target name
	CC=clang CXX=clang++ setup_and_build fuzz --buildtype=debugoptimized -Dfuzzing=true \
		-Dtests=enabled -Db_sanitize=address,undefined -Db_lundef=false || return 1
	for target in "$out"/fuzz/*-fuzz-*; do
		if [ ! -f "$target" ] || [ ! -x "$target" ]; then
			continue
		fi
		name=$(basename "$target")
		mkdir -p "$out/corpus/$name"
		"$target" -max_total_time="${VMM_FUZZ_SECONDS:-60}" -artifact_prefix="$out/corpus/" \
			-print_final_stats=1 "$out/corpus/$name" \
			"libvmm-${name%%-fuzz-*}/fuzz/corpus/${name#*-fuzz-}" || return 1
	done
}

step_coverage() {
	# shellcheck disable=SC2086
	tools/coverage $libraries
}

# Every commit since the newest tag, or of the last day, builds and passes its unit tests.
step_commits() {
	local base commit
	base=$(git describe --tags --abbrev=0 2>/dev/null || git rev-list -1 --before='1 day ago' HEAD)
	for commit in $(git rev-list --reverse "${base:+$base..}HEAD"); do
		rm -rf "$out/commit"
		git worktree add --force --detach "$out/commit" "$commit" &&
			meson setup "$out/commit/build" "$out/commit" -Dtests=enabled &&
			meson test -C "$out/commit/build" --suite unit || return 1
		git worktree remove --force "$out/commit"
	done
}

step_test() { tools/test; }

if [ "${1:-}" = --list ]; then
	printf '%s\n' "${steps[@]}"
	exit 0
fi

tools/deps build nested test arm64 ci || exit 1
mkdir -p "$out"
passed=0 failed=0
[ $# -gt 0 ] || set -- "${steps[@]}"
for step in "$@"; do
	if ! declare -F "step_$step" >/dev/null; then
		echo "tools/ci.sh: no step '$step' (--list)" >&2
		exit 2
	fi
	start=$SECONDS
	if "step_$step" >"$out/$step.log" 2>&1; then
		echo "ok      $step ($((SECONDS - start)) s)"
		passed=$((passed + 1))
	else
		echo "FAILED  $step ($((SECONDS - start)) s), see build/ci/$step.log"
		tail -n 30 "$out/$step.log"
		failed=$((failed + 1))
	fi
done
echo "$passed steps passed, $failed failed"
[ $failed -eq 0 ]
