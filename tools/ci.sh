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

# Without what our conventions are against, what knows no C, and the analyser, which takes
# what another file fills in for garbage: step_analyzer has another one.
tidy_checks='-*,bugprone-*,cert-*,performance-*'
tidy_checks+=,-bugprone-easily-swappable-parameters,-bugprone-reserved-identifier
tidy_checks+=,-bugprone-assignment-in-if-condition,-bugprone-branch-clone
tidy_checks+=,-bugprone-narrowing-conversions,-bugprone-not-null-terminated-result
tidy_checks+=,-bugprone-implicit-widening-of-multiplication-result,-bugprone-sizeof-expression
tidy_checks+=,-bugprone-misplaced-widening-cast,-bugprone-suspicious-memory-comparison
tidy_checks+=,-cert-dcl37-c,-cert-dcl51-cpp,-cert-err33-c,-cert-exp42-c,-cert-flp37-c
tidy_checks+=,-performance-no-int-to-ptr

steps=(style gcc_debug gcc_release clang_debug clang_release each_library install valgrind
	analyzer tidy cppcheck sparse doxygen arm64 fuzz coverage commits test)

setup_and_build() { # DIRECTORY OPTION...
	local dir=$out/$1
	shift
	rm -rf "$dir"
	meson setup "$dir" . -Dwerror=true "$@" && ninja -C "$dir"
}

# A build directory that knows how each source of ours is compiled here.
compile_commands() {
	CC=clang CXX=clang++ setup_and_build commands -Dtests=disabled
}

c_sources() {
	(cd "$out/commands" && sed -n 's/.*"file": "\(.*\.c\)".*/\1/p' compile_commands.json |
		grep -E '(libvmm-[a-z]+|reference-vmm)/src/' | xargs realpath | sort -u)
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
			meson test -C "$out/one-$name" --no-rebuild --no-suite tools || return 1
	done
}

# What the READMEs say to a user of an installed library, done.
step_install() {
	local name pc
	rm -rf "$out/stage"
	setup_and_build install --buildtype=release -Dtests=disabled --prefix="$out/stage" &&
		meson install -C "$out/install" --no-rebuild || return 1
	pc=$(dirname "$(find "$out/stage" -name libvmm-memory.pc)")
	for name in $libraries; do
		tools/doctest.py --block 1 "libvmm-$name/README.md" "$out/$name.c" || return 1
		# shellcheck disable=SC2046
		cc -o "$out/$name" "$out/$name.c" $(PKG_CONFIG_PATH=$pc \
			pkg-config --cflags --libs "libvmm-$name") || return 1
		LD_LIBRARY_PATH=$(dirname "$pc") "$out/$name" || [ $? -eq 77 ] || return 1
	done
}

step_valgrind() {
	setup_and_build valgrind --buildtype=debugoptimized -Dtests=enabled &&
		meson test -C "$out/valgrind" --no-rebuild --suite unit --timeout-multiplier 30 \
			--wrap 'valgrind --error-exitcode=99 --quiet --leak-check=full'
}

step_analyzer() {
	CC=gcc setup_and_build analyzer --buildtype=debugoptimized -Dtests=disabled \
		-Dc_args='-fanalyzer -Wno-analyzer-malloc-leak' # LeakSanitizer knows better
}

step_tidy() {
	compile_commands &&
		c_sources | xargs -n 4 -P 2 clang-tidy -p "$out/commands" --quiet \
			--warnings-as-errors='*' --checks="$tidy_checks"
}

# It takes the operand of alignof for a value that is used, and does not see that memcpy()
# fills a descriptor.
step_cppcheck() {
	compile_commands &&
		cppcheck --quiet --error-exitcode=1 --inline-suppr --std=c11 \
			--enable=warning,portability --suppress=missingIncludeSystem \
			-D'__alignof__(x)=8' --suppress=uninitvar:*virtq-packed.c \
			--suppress=uninitStructMember:*virtq-packed.c --project="$out/commands/compile_commands.json"
}

# The system's own headers define some things twice, which is not for us to change; it does
# not know what the probes are made of.
step_sparse() {
	CC=cgcc setup_and_build sparse --buildtype=debug -Dtests=disabled -Dwerror=false -Dusdt=disabled \
		-Dc_args=-Wno-cast-truncate 2>&1 | grep -E '(error|warning):' |
		grep -vE "/usr/|$out|restricted __kernel" >"$out/sparse.found"
	cat "$out/sparse.found"
	[ ! -s "$out/sparse.found" ]
}

step_doxygen() {
	mkdir -p "$out/doxygen"
	OUT=$out/doxygen doxygen docs/Doxyfile
}

step_arm64() {
	setup_and_build arm64 --cross-file tools/arm64.ini -Dtests=disabled &&
		tests/nested/cross-build.py aarch64 "$out/arm64-vmm" reference-vmm/reference-vmm \
			>/dev/null
}

# One minute for each target; the finding stays in the directory that is named.
step_fuzz() {
	local target name folder
	CC=clang CXX=clang++ setup_and_build fuzz --buildtype=debugoptimized -Dfuzzing=true \
		-Dtests=enabled -Db_sanitize=address,undefined -Db_lundef=false || return 1
	for target in "$out"/fuzz/*-fuzz-* "$out"/fuzz/reference-vmm/*-fuzz-*; do
		if [ ! -f "$target" ] || [ ! -x "$target" ]; then
			continue
		fi
		name=$(basename "$target")
		folder=libvmm-${name%%-fuzz-*}
		[ "$folder" != libvmm-vmm ] || folder=reference-vmm
		mkdir -p "$out/corpus/$name"
		"$target" -max_total_time="${VMM_FUZZ_SECONDS:-60}" -artifact_prefix="$out/corpus/" \
			-print_final_stats=1 "$out/corpus/$name" \
			"$folder/fuzz/corpus/${name#*-fuzz-}" || return 1
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
