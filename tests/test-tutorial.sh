#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# The tutorial's program, built as a reader of docs/your-own-vmm.md would build it:
# outside the tree, against installed libraries, with nothing but pkg-config.
#
#   tests/test-tutorial.sh BUILD_DIR
#
# Exit status 0: it prints what the document says; 77: no KVM here.

set -euo pipefail

[ $# -eq 1 ] || {
	sed -n '4,9s/^# \{0,1\}//p' "$0" >&2
	exit 2
}
build=$(realpath "$1")
source=$(realpath "$(dirname "$0")/..")
doc=$source/docs/your-own-vmm.md
lines_max=100

fail() {
	echo "test-tutorial: $*" >&2
	exit 1
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

DESTDIR=$work/stage meson install -C "$build" --no-rebuild --quiet >"$work/install.log" 2>&1 || {
	cat "$work/install.log" >&2
	fail "meson install failed"
}

pc=$(find "$work/stage" -name libvmm-kvm.pc -printf '%h\n' -quit)
[ -n "$pc" ] || fail "no libvmm-kvm.pc was installed"
[ -e "$pc/libvmm-memory.pc" ] || fail "no libvmm-memory.pc was installed"

"$source/tools/doctest.py" --block 1 "$doc" "$work/with-line.c"
# The reader sees neither of the lines that are put before the block.
sed -e '/^#undef NDEBUG$/d' -e '/^#line /d' "$work/with-line.c" >"$work/my-vmm.c"
lines=$(wc -l <"$work/my-vmm.c")
[ "$lines" -le "$lines_max" ] || fail "the program has $lines lines, more than $lines_max"

cd "$work"
export PKG_CONFIG_SYSROOT_DIR=$work/stage PKG_CONFIG_PATH=$pc
read -r -a flags <<<"$(pkg-config --cflags --libs libvmm-kvm libvmm-memory)"
"${CC:-cc}" -Wall -Wextra -Werror -o my-vmm my-vmm.c "${flags[@]}"

status=0
LD_LIBRARY_PATH=$(dirname "$pc") ./my-vmm >out 2>err || status=$?
if [ "$status" -eq 77 ]; then
	echo "test-tutorial: skipped: $(cat err)" >&2
	exit 77
fi
[ "$status" -eq 0 ] || fail "the program ended with status $status: $(cat err)"

# What it must print is the first text block of the document.
awk '/^```text$/ { inside = 1; next } /^```$/ && inside { exit } inside' "$doc" >want
cmp -s out want || fail "it prints '$(cat out)', the document says '$(cat want)'"
echo "test-tutorial: $lines lines print: $(cat out)"
