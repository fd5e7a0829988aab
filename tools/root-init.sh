#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# The first process of an initramfs that has only one thing to do: load the modules that it
# carries, wait for the root file system's disk, and go on with what is installed there.
#
#   tools/make-initramfs --busybox BUSYBOX --init tools/root-init.sh --modules DIRECTORY \
#           --module virtio_mmio --module virtio_blk OUTPUT
#
# On the kernel command line: root=DEVICE (/dev/vda), rootfstype=TYPE (ext4), ro (else it is
# mounted to be written), init=PROGRAM (/sbin/init). What goes wrong ends in a shell.

/bin/busybox mkdir -p /proc /sys /dev /bin /sbin /usr/bin /usr/sbin /sysroot
/bin/busybox --install -s
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev 2>/dev/null

root=/dev/vda type=ext4 access=rw init=/sbin/init
for word in $(cat /proc/cmdline); do
	case $word in
	root=*) root=${word#root=} ;;
	rootfstype=*) type=${word#rootfstype=} ;;
	init=*) init=${word#init=} ;;
	ro) access=ro ;;
	esac
done

give_up() {
	echo "root-init: $1; a shell to look around, exit powers off"
	setsid cttyhack sh
	poweroff -f
}

while read -r module; do
	insmod "/modules/$module.ko" || echo "root-init: $module does not load"
done </modules/order

tries=100
until [ -b "$root" ]; do
	[ $tries -gt 0 ] || give_up "there is no $root"
	tries=$((tries - 1))
	usleep 100000
done
mount -t "$type" -o "$access" "$root" /sysroot || give_up "$root does not mount as $type"
[ -x "/sysroot$init" ] || [ -L "/sysroot$init" ] || give_up "there is no $init on $root"
for directory in dev sys proc; do
	mount --move "/$directory" "/sysroot/$directory"
done
exec switch_root /sysroot "$init"
