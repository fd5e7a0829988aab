#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# Boot the stock Debian kernel with reference-vmm, many ways: see l1-linux.sh.
#
#   test-linux.sh VMM PTY_RUN SOCK_ECHO WORK_DIRECTORY TEST...
#   test-linux.sh --arch ARCH BUILD_DIRECTORY WORK_DIRECTORY TEST...
#
# With --arch the VMM is built there for another architecture, first of all.

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
with_kvm=$top/tests/nested/with-kvm

tool() { PATH=$PATH:/sbin:/usr/sbin command -v "$1"; }

cross_build() {
	local status=0 told
	told=$("$top/tests/nested/cross-build.py" "$1" "$2" reference-vmm/reference-vmm \
		tests/pty-run tests/sock-echo 2>"$2.log") || status=$?
	if [ $status -eq 77 ]; then
		echo "1..0 # SKIP $(tail -n 1 "$2.log")"
		exit 0
	elif [ $status -ne 0 ]; then
		cat "$2.log" >&2
		echo "Bail out! no cross build"
		exit 1
	fi
	eval "$told"
}

if [ "$1" = --arch ]; then
	arch=$2
	cross_build "$arch" "$3"
	# shellcheck disable=SC2154 # cross_build set them
	vmm=$build/reference-vmm/reference-vmm pty_run=$build/tests/pty-run
	sock_echo=$build/tests/sock-echo
	# shellcheck disable=SC2154
	export LD_LIBRARY_PATH=$libraries
	shift 3
else
	arch=$(uname -m)
	vmm=$(realpath "$1") pty_run=$(realpath "$2") sock_echo=$(realpath "$3")
	mke2fs=$(tool mke2fs) e2fsck=$(tool e2fsck)
	shift 3
fi
work=$1
shift

mkdir -p "$work"
kernel=$("$with_kvm" --arch "$arch" --print-kernel)
vmlinux=$kernel
if [ "$arch" = x86_64 ]; then
	vmlinux=$work/vmlinux
	"$top/tools/extract-vmlinux" "$kernel" "$vmlinux"
fi
"$top/tools/make-initramfs" --busybox "$("$with_kvm" --arch "$arch" --print-busybox)" \
	--init "$top/tests/guest/test-init.sh" \
	--modules "$("$with_kvm" --arch "$arch" --print-modules)" \
	--module virtio_mmio --module virtio_blk --module virtio-rng --module virtio_net \
	--module virtio_console --module virtio_balloon --module vmw_vsock_virtio_transport \
	--module button --module virtio_input --module evdev \
	--file "$sock_echo:/bin/sock-echo" \
	"$work/initrd"
release=$(basename "$kernel")
release=${release#vmlinuz-}

"$with_kvm" --arch "$arch" --timeout 1000 --memory 2048 --file "$kernel" --file "$vmlinux" \
	--file "$work/initrd" --file "$vmm" --file "$pty_run" --file "$here/l1-machines.sh" \
	--file "$sock_echo:/tools/sock-echo" \
	--file "$mke2fs:/tools/mke2fs" --file "$e2fsck:/tools/e2fsck" -- \
	"$here/l1-linux.sh" "$vmm" "$pty_run" "$kernel" "$vmlinux" "$work/initrd" "$release" \
	"$@"
