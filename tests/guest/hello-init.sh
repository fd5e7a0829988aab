#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# The first process of the hello guest: greet, then power off; with the word "shell" on
# the kernel command line, give a shell on the console first.

/bin/busybox mkdir -p /proc /sys /dev /bin /sbin /usr/bin /usr/sbin /tmp
/bin/busybox --install -s
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev 2>/dev/null

cpus=$(grep -c ^processor /proc/cpuinfo)
memory=$(awk '/^MemTotal/ {print int($2 / 1024)}' /proc/meminfo)
echo "Hello from the guest: Linux $(uname -r), cpus $cpus, memory $memory MiB"

case " $(cat /proc/cmdline) " in
*" shell "*)
	echo "A shell in the guest; exit or Ctrl-D powers it off, Ctrl-A x ends the VMM."
	stty -F /dev/ttyS0 sane
	setsid cttyhack sh
	;;
esac

poweroff -f
