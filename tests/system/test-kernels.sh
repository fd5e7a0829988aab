#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# Debian's own kernels, probed, loaded and described by libvmm-loader's example, as TAP.
#
#   test-kernels.sh BUILD_DIRECTORY

set -euo pipefail
describe=$1/loader-example-describe-kernel
work=$1/system/kernels
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
number=0
failed=0

mkdir -p "$work"

# check NAME FILE STATUS PATTERN...: the description has each pattern
check() {
	local name=$1 file=$2 status=0 want=$3 ok=true
	shift 3
	number=$((number + 1))
	"$describe" "$file" >"$work/out" 2>&1 || status=$?
	[ $status -eq "$want" ] || ok=false
	for pattern in "$@"; do
		grep -qE -- "$pattern" "$work/out" || {
			echo "# lacks: $pattern"
			ok=false
		}
	done
	if $ok; then
		echo "ok $number - $name"
	else
		echo "not ok $number - $name"
		sed 's/^/# /' "$work/out"
		failed=1
	fi
}

none=0xffffffffffffffff
print=("$top/tests/nested/with-kvm" --print-kernel)

echo "1..10"
for flavour in cloud generic; do
	kernel=$("${print[@]}" --arch x86_64 --flavour $flavour)
	"$top/tools/extract-vmlinux" "$kernel" "$work/vmlinux"
	check "${flavour}_bzimage" "$kernel" 0 ': bzImage, boot protocol 2\.1[0-9]' \
		'^uses 0x1000000 to 0x[0-9a-f]+, entry 0x1000200, 32-bit 0x1000000, PVH '$none \
		'^command line up to 2047 bytes, initrd below '$none \
		'^starts in 64-bit mode at 0x1000200'
	# The 32-bit address of a PVH note, not "none".
	check "${flavour}_vmlinux" "$work/vmlinux" 0 ': ELF64 for machine 62 \(x86_64\)' \
		'^uses 0x1000000 to 0x[0-9a-f]+, entry 0x1[0-9a-f]{6},' \
		"32-bit $none, PVH 0x[1-9a-f][0-9a-f]{6}," '^starts in 64-bit mode'
	check "${flavour}_bzimage_by_a_pipe" <(head -c 3000000 "$kernel") 1 'not a regular file'
	head -c 3000000 "$kernel" >"$work/cut"
	check "${flavour}_bzimage_truncated" "$work/cut" 1 'refused: .*truncated: the kernel needs'
done

kernel=$("${print[@]}" --arch aarch64)
check cloud_arm64_image "$kernel" 0 ': arm64 Image' \
	'^uses 0x80000000 to 0x[0-9a-f]+, entry 0x80000000,' '^command line up to 2047 bytes' \
	'0x080000000 - 0x0[0-9a-f]+ type 0x1000$'
head -c 3000000 "$kernel" >"$work/cut"
check cloud_arm64_image_truncated "$work/cut" 1 'refused: .*truncated: PE section'
rm -r "$work"
exit $failed
