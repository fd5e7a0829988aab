#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# The first process of a test guest. Words of the form do=X on the kernel command line
# say what to do, in order; the last thing is to power off.

/bin/busybox mkdir -p /proc /sys /dev /bin /sbin /usr/bin /usr/sbin /tmp
/bin/busybox --install -s
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev 2>/dev/null

# How much is moved: mib=N or kib=N on the command line.
mib=64
kib=256
some_data() { head -c $((mib * 1048576)) /dev/urandom; }

do_facts() {
	echo "fact release $(uname -r)"
	echo "fact cpus $(grep -c ^processor /proc/cpuinfo)"
	echo "fact online $(cat /sys/devices/system/cpu/online)"
	echo "fact memory $(awk '/^MemTotal/ {print $2}' /proc/meminfo)"
	echo "fact cmdline $(cat /proc/cmdline)"
	echo "fact clocksource $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
	grep -E '^ +[0-9]+:.*ttyS0' /proc/interrupts | sed 's/^/fact interrupts /'
	dmesg | grep -E 'ttyS0 at (I/O|MMIO)' | sed 's/^/fact serial /'
	dmesg | grep -iE 'ACPI.*(error|warning|bios bug|exception|invalid|mismatch)' |
		sed 's/^/complaint /'
	dmesg | grep -iE 'firmware bug|topology|mtrr.*bad|NMI watchdog: .*stuck|rcu.*stall' |
		grep -vi 'topology.*default' | sed 's/^/complaint /'
}

do_tables() {
	for table in /sys/firmware/acpi/tables/[A-Z]*; do
		[ -f "$table" ] && echo "fact table $(basename "$table") $(wc -c <"$table")"
	done
}

do_tree() {
	for node in /proc/device-tree/*/compatible; do
		name=${node%/compatible}
		echo "fact node ${name##*/} $(tr '\0' ' ' <"$node")"
	done
	# The kernel wipes the seeds once it has used them.
	[ "$(tr -d '\0' </proc/device-tree/chosen/kaslr-seed | wc -c)" -eq 0 ] &&
		echo "fact kaslr seed taken"
}

do_read() {
	echo "reading"
	read -r line
	echo "fact line $line"
}

# 136 KiB through the tty, more than pipe and ring hold; the driver waits for the
# transmitter's interrupt, so none may be lost.
do_write() {
	i=0
	while [ $i -lt 2200 ]; do
		echo "data $i abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz"
		i=$((i + 1))
	done
}

# So many KiB from the host by the line's flow control, and back (lines of 64 bytes).
do_echo() {
	stty -F /dev/ttyS0 raw -echo crtscts
	echo "slurping"
	head -c $((kib * 1024)) /dev/ttyS0 | md5sum | sed 's/^/fact md5 /'
	stty -F /dev/ttyS0 sane crtscts
	yes zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz | head -n $((kib * 16))
	# Overruns and the like that the driver has seen.
	sed -n 's/^0: .*/&/p' /proc/tty/driver/serial | sed 's/^/fact line /'
	grep -qE '^0: .*(fe|pe|brk|oe|bo):' /proc/tty/driver/serial || echo "fact lost 0"
}

do_clock() {
	echo "fact date $(date -u +%Y)"
	echo "fact rtc $(hwclock -r -u -f /dev/rtc0)"
	date -u -s '2031-02-03 04:05:06' >/dev/null
	hwclock -w -u -f /dev/rtc0
	echo "fact rtc set $(hwclock -r -u -f /dev/rtc0)"
	# The alarm, without its interrupt: wakealarm takes it and time passes it.
	echo +1 >/sys/class/rtc/rtc0/wakealarm
	sleep 2
	[ -n "$(cat /sys/class/rtc/rtc0/wakealarm)" ] || echo "fact rtc alarm rang"
}

do_line() {
	stty -F /dev/ttyS0 19200 -crtscts
	echo "fact speed $(stty -F /dev/ttyS0 speed)"
	echo "fact flags $(stty -F /dev/ttyS0 -a | tr '\n' ' ')"
	stty -F /dev/ttyS0 115200 crtscts
	echo "fact speed $(stty -F /dev/ttyS0 speed)"
	echo "fact flags $(stty -F /dev/ttyS0 -a | tr '\n' ' ')"
}

# The kernel's own drivers for virtio, which are modules.
do_modules() {
	while read -r module; do
		insmod "/modules/$module.ko" || echo "complaint $module does not load"
	done </modules/order
}

do_rng() {
	echo "fact rng $(cat /sys/class/misc/hw_random/rng_current)"
	echo "fact rng bytes $(head -c 100000 /dev/hwrng | wc -c)"
	# Bytes of a true source do not pack.
	packed=$(head -c 100000 /dev/hwrng | gzip | wc -c)
	[ "$packed" -gt 99000 ] && echo "fact rng noise"
}

# Some MiB through write, sync and remount; a second disk is read-only.
do_disk() {
	echo "fact serial $(cat /sys/block/vda/serial)"
	mkdir -p /mnt
	mount /dev/vda /mnt || echo "complaint /dev/vda does not mount"
	some_data >/mnt/data
	before=$(md5sum </mnt/data)
	sync
	umount /mnt
	echo 3 >/proc/sys/vm/drop_caches
	mount /dev/vda /mnt
	[ "$(md5sum </mnt/data)" = "$before" ] && echo "fact data kept"
	rm /mnt/data
	fstrim /mnt && echo "fact trimmed"
	umount /mnt
}

do_readonly() {
	echo "fact readonly $(cat /sys/block/vdb/ro)"
	dd if=/dev/zero of=/dev/vdb bs=4096 count=1 2>/dev/null && echo "complaint /dev/vdb takes writes"
}

# Some MiB each way over TCP, then 256 KiB in small packets; the host's end is at 10.0.0.1.
do_net() {
	ip link set lo up
	ip addr add 10.0.0.2/24 dev eth0
	ip link set eth0 up
	echo "fact mtu $(cat /sys/class/net/eth0/mtu)"
	some_data >/tmp/data
	until ping -c 1 -W 1 10.0.0.1 >/dev/null 2>&1; do
		:
	done
	sum=$(md5sum </tmp/data)
	# What nc runs has the socket itself: cat sends as much at once as goes.
	nc 10.0.0.1 5000 -e sh -c 'cat /tmp/data; cat >/tmp/sum'
	[ "$(cat /tmp/sum)" = "$sum" ] && echo "fact sent $mib MiB"
	# The host kept what came, and gives it back.
	[ "$(nc 10.0.0.1 5001 </dev/null | md5sum)" = "$sum" ] && echo "fact received $mib MiB"
	# nc sends 1 KiB, and TCP the next only when that is acknowledged: an interrupt for each.
	head -c 262144 /tmp/data >/tmp/part
	[ "$(nc 10.0.0.1 5002 </tmp/part)" = "$(md5sum </tmp/part)" ] && echo "fact took turns"
}

# Ask the host's echo, then be the one that is asked.
do_vsock() {
	sock-echo ask vsock 2 1000 1048576 | sed 's/^/fact asked: /'
	sock-echo serve vsock 2000 && echo "fact served"
}

# 256 KiB come by the virtio console, and 1000 lines go by it.
do_hvc() {
	# Its settings are forgotten when nobody has it open.
	exec 3<>/dev/hvc0
	stty raw -echo <&3
	echo "reading"
	head -c 262144 <&3 | md5sum | sed 's/^/fact md5 /'
	i=0
	while [ $i -lt 1000 ]; do
		echo "hvc $i abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz"
		i=$((i + 1))
	done >&3
	stty sane <&3
	exec 3>&-
}

# The power button ends do_count.
do_button() {
	for event in /sys/class/input/event*; do
		[ "$(cat "$event/device/name")" = "Power Button" ] || continue
		(head -c 24 "/dev/input/${event##*/}" >/dev/null; echo "fact button"; touch /tmp/button) &
	done
}

# Say how large the disk is, and again when that changes.
do_size() {
	(last=
	while [ ! -e /tmp/button ]; do
		now=$(cat /sys/block/vda/size)
		[ "$now" = "$last" ] || echo "fact size $now"
		last=$now
		sleep 0.1
	done) &
}

# Only a busy CPU can be taken for one that hangs: idle ones calm the watchdog.
do_busy() { (while [ ! -e /tmp/button ]; do :; done) & }

# The disk is read again and again, and the host asked for random bytes.
do_traffic() {
	(while [ ! -e /tmp/button ]; do
		md5sum </dev/vda
		echo 3 >/proc/sys/vm/drop_caches
		head -c 4096 /dev/hwrng >/tmp/noise
	done | uniq -c >/tmp/sums) &
}

# Ten times a second, with the free memory in KiB; impatient of CPUs that stand still.
do_count() {
	echo 1 >/proc/sys/kernel/watchdog_thresh
	i=0
	while [ ! -e /tmp/button ]; do
		echo "tick $i $(awk '/^MemFree/ {print $2}' /proc/meminfo)"
		i=$((i + 1))
		sleep 0.1
	done
	echo "fact date $(date +%s)"
	wait
	[ -e /tmp/sums ] && echo "fact sums $(wc -l </tmp/sums)"
	echo "fact watchdog $(cat /proc/sys/kernel/soft_watchdog)"
	dmesg | grep -iE 'soft lockup|rcu.*stall|clocksource.*(unstable|skew)|hung task' |
		sed 's/^/complaint /'
}

# Pages kept from the kernel by memmap= hold what is written to them, at their beginning and
# near their end (for the last words, devmem maps the next page, too); where no memory is,
# reads are all ones.
do_edges() {
	pages=$(tr ' ' '\n' </proc/cmdline | sed -n 's/^edge=//p')
	n=0
	for page in $pages; do
		n=$((n + 2))
		devmem "$page" 32 $((0x5a000000 + n))
		devmem $((page + 4064)) 32 $((0x5a000001 + n))
	done
	n=0
	for page in $pages; do
		n=$((n + 2))
		[ $(($(devmem "$page" 32))) -eq $((0x5a000000 + n)) ] &&
			[ $(($(devmem $((page + 4064)) 32))) -eq $((0x5a000001 + n)) ] &&
			echo "fact edge $page"
	done
	for page in $(tr ' ' '\n' </proc/cmdline | sed -n 's/^nothing=//p'); do
		[ $(($(devmem "$page" 32))) -eq $((0xffffffff)) ] && echo "fact nothing $page"
	done
	dmesg | sed -n 's/.*Memory: [0-9]*K\/\([0-9]*\)K available.*/fact present \1/p'
}

# Two interfaces, 10.1.0.N and 10.2.0.N; those of the host and of the other guest answer.
do_pair() {
	self=$(sed -n 's/.* self=\([0-9]\).*/\1/p' /proc/cmdline)
	for net in 1 2; do
		ip addr add "10.$net.0.$self/24" dev eth$((net - 1))
		ip link set eth$((net - 1)) up
	done
	for address in 10.1.0.1 10.2.0.1 "10.1.0.$((5 - self))" "10.2.0.$((5 - self))"; do
		tries=60
		until ping -c 1 -W 1 "$address" >/dev/null 2>&1 || [ $tries -eq 0 ]; do
			tries=$((tries - 1))
		done
		ping -c 3 -i 0.1 -W 5 "$address" | grep -q ' 3 packets received' &&
			echo "fact $address answers"
	done
	echo "fact addresses $(cat /sys/class/net/eth[01]/address | tr '\n' ' ')"
}

number_on_cmdline() { sed -n "s/.* $1=\([0-9]*\).*/\1/p" /proc/cmdline; }

# What an earlier boot has synced is there; then write files for ever, and say of each when
# it is on the disk.
do_synced() {
	mkdir -p /mnt
	mount /dev/vda /mnt || echo "complaint /dev/vda does not mount"
	i=0
	while [ $i -lt "$(number_on_cmdline synced)" ]; do
		i=$((i + 1))
		seq $i $((i + 2000)) | cmp -s - /mnt/file$i || echo "complaint file$i is not as synced"
	done
	echo "fact verified $i"
	while [ $i -lt "$(number_on_cmdline last)" ]; do
		i=$((i + 1))
		seq $i $((i + 2000)) >/mnt/new
		mv /mnt/new /mnt/file$i
		sync
		echo "synced $i"
	done
	umount /mnt
}

do_wait() { echo "waiting"; sleep 100; }
do_reboot() { reboot -f; }
do_panic() { echo c >/proc/sysrq-trigger; }
do_sleep() { echo "sleeping"; sleep 1000; }
do_affinity() {
	for cpu in 0 1; do
		taskset $((1 << cpu)) sh -c 'i=0; while [ $i -lt 1000 ]; do i=$((i + 1)); done'
		echo "fact ran on $cpu"
	done
}

for word in $(cat /proc/cmdline); do
	case $word in
	mib=*) mib=${word#mib=} ;;
	kib=*) kib=${word#kib=} ;;
	do=*) "do_${word#do=}" ;;
	esac
done

poweroff -f
