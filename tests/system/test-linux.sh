#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# Boot the stock Debian kernel with reference-vmm, many ways: see l1-linux.sh.
#
#   test-linux.sh VMM PTY_RUN SOCK_ECHO WORK_DIRECTORY TEST...

set -euo pipefail
vmm=$(realpath "$1")
pty_run=$(realpath "$2")
sock_echo=$(realpath "$3")
work=$4
shift 4
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
with_kvm=$top/tests/nested/with-kvm

mkdir -p "$work"
kernel=$("$with_kvm" --print-kernel)
"$top/tools/extract-vmlinux" "$kernel" "$work/vmlinux"
"$top/tools/make-initramfs" --busybox "$("$with_kvm" --print-busybox)" \
	--init "$top/tests/guest/test-init.sh" --modules "$("$with_kvm" --print-modules)" \
	--module virtio_mmio --module virtio_blk --module virtio-rng --module virtio_net \
	--module virtio_console --module virtio_balloon --module vmw_vsock_virtio_transport \
	--module button --module evdev \
	--file "$sock_echo:/bin/sock-echo" \
	"$work/initrd"
release=$(basename "$kernel")
release=${release#vmlinuz-}

"$with_kvm" --timeout 1000 --memory 2048 --file "$kernel" --file "$work/vmlinux" \
	--file "$work/initrd" --file "$vmm" --file "$pty_run" --file "$here/l1-machines.sh" \
	--file "$sock_echo:/tools/sock-echo" \
	--file "$(PATH=$PATH:/sbin:/usr/sbin command -v mke2fs):/tools/mke2fs" \
	--file "$(PATH=$PATH:/sbin:/usr/sbin command -v e2fsck):/tools/e2fsck" -- \
	"$here/l1-linux.sh" "$vmm" "$pty_run" "$kernel" "$work/vmlinux" "$work/initrd" "$release" \
	"$@"
