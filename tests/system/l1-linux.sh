#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# Boots of a real Linux with reference-vmm, as TAP. Runs where /dev/kvm boots Linux, with
# nothing but busybox' tools: started by test-linux.sh through with-kvm.
#
#   l1-linux.sh VMM PTY_RUN IMAGE VMLINUX INITRD RELEASE TEST...
#
# IMAGE is the kernel as packaged; VMLINUX is what is in it, or the same where nothing is.

vmm=$1 pty_run=$2 image=$3 vmlinux=$4 initrd=$5 release=$6
shift 6
number=0
failed=0
dir=/tmp/l1-linux.$$
mkdir -p $dir

# What differs between the machines: how a reboot is told, where the serial port is,
# whether a guest's clock stands still while it is paused; how many MiB go to a disk and
# over a network, and how many seconds a boot may take: arm64 is slow where all is emulated.
case $(uname -m) in
x86_64)
	reset='guest reset (ACPI)' port='I/O 0x3f8' clock_stops=false disk_mib=64 net_mib=32 patience=240
	;;
aarch64)
	reset='guest reset' port='MMIO 0x9000000' clock_stops=true disk_mib=4 net_mib=1 patience=150
	;;
esac

# boot CMDLINE [OPTION]...: output in $dir/out, messages in $dir/err, status in $status
boot() {
	cmdline="console=ttyS0 quiet panic=-1 $1"
	shift
	timeout "${limit:-$patience}" "$vmm" run --kernel "${kernel:-$image}" --initrd "$initrd" \
		--cmdline "$cmdline" "$@" >$dir/out 2>$dir/err
	status=$?
}

fail() {
	echo "# $1"
	ok=false
}

has() { grep -qE "$1" $dir/out || fail "output lacks: $1"; }
lacks() { ! grep -E "$1" $dir/out | sed 's/^/# /' | grep . || fail "output has: $1"; }
ended() {
	[ "$status" -eq 0 ] || fail "status $status"
	[ "$(tail -n 1 $dir/err)" = "reference-vmm: $1" ] || fail "last line: $(tail -n 1 $dir/err)"
}

check() {
	number=$((number + 1))
	ok=true
	began=$(date +%s)
	"$1"
	echo "# $(($(date +%s) - began)) s"
	if $ok; then
		echo "ok $number - $1"
	else
		echo "not ok $number - $1"
		failed=1
		tail -n 30 $dir/out | sed 's/^/# out: /'
		tail -n 30 $dir/err | sed 's/^/# err: /'
	fi
}

facts() {
	has "^fact release $release.?\$"
	has "^fact cpus $1.?\$"
	lacks '^complaint'
}

bzimage_boots_with_two_cpus() {
	boot "do=facts do=affinity do=tables" --cpus 2 --memory 256M
	ended "guest powered off"
	facts 2
	two_cpus_and_a_line
	has '^fact table APIC'
	has '^fact table FACP'
	has '^fact table DSDT'
}

two_cpus_and_a_line() {
	has '^fact online 0-1'
	has '^fact ran on 1'
	has "^fact serial .*ttyS0 at $port \\(irq = [0-9]+, base_baud = 115200\\) is a 16550A"
	has '^fact interrupts .*ttyS0'
}

image_boots_with_two_cpus() {
	boot "do=facts do=affinity do=tree" --cpus 2 --memory 256M
	ended "guest powered off"
	facts 2
	two_cpus_and_a_line
	has '^fact node psci arm,psci-1.0'
	has '^fact node hypervisor linux,kvm'
	has '^fact node intc@8000000 arm,gic-'
	has '^fact node rtc@9010000 arm,pl031'
	has '^fact kaslr seed taken'
}

one_cpu_boots_in_128_mib() {
	boot "do=facts" --memory 128M
	ended "guest powered off"
	facts 1
	has '^fact online 0.?$'
}

# Without "quiet" winning, the kernel's log says which make it found.
vmlinux_boots_by_its_64_bit_entry() {
	kernel=$vmlinux
	boot "loglevel=7 do=facts" --memory 256M --boot-protocol linux64
	kernel=
	ended "guest powered off"
	facts 1
	has 'DMI: libvmm reference-vmm'
}

vmlinux_boots_by_its_pvh_entry() {
	kernel=$vmlinux
	boot "loglevel=7 do=facts do=tables" --cpus 2 --memory 256M --boot-protocol pvh
	kernel=
	ended "guest powered off"
	facts 2
	has '^fact table FACP'
	has 'RAMDISK: '
}

# A vmlinux has no such entry: it is in the code that unpacks it.
bzimage_boots_by_its_32_bit_entry() {
	boot "do=facts do=tables" --cpus 2 --memory 256M --boot-protocol linux32
	ended "guest powered off"
	facts 2
	has '^fact table FACP'
	kernel=$vmlinux
	boot "do=facts" --memory 256M --boot-protocol linux32
	kernel=
	[ "$status" -eq 1 ] || fail "status $status"
	grep -q 'the kernel has no 32-bit entry' $dir/err || fail "vmlinux by its 32-bit entry"
}

# large CPUS SIZE KIB: boot with so much, of which the guest has more than that
large() {
	boot "do=facts" --cpus "$1" --memory "$2"
	ended "guest powered off"
	facts "$1"
	kib=$(sed -n 's/^fact memory \([0-9]*\).*/\1/p' $dir/out)
	[ "${kib:-0}" -gt "$3" ] || fail "memory ${kib:-none} KiB"
}

five_gib_go_around_the_mmio_gap() { large 1 5G 4900000; }
three_gib_and_four_cpus_are_all_there() { large 4 3G 2950000; }

four_cpus_come_up() {
	boot "do=facts" --cpus 4 --memory 512M
	ended "guest powered off"
	facts 4
}

reboot_ends_with_its_line() {
	boot "do=reboot" --memory 256M
	ended "$reset"
}

reboot_by_keyboard_controller_has_its_line() {
	boot "reboot=k do=reboot" --memory 256M
	ended "guest reset (i8042)"
}

reboot_by_triple_fault_has_its_line() {
	boot "reboot=t do=reboot" --memory 256M
	ended "guest reset (triple fault)"
}

a_panic_ends_in_a_reset() {
	boot "do=panic" --memory 256M
	ended "$reset"
	has 'Kernel panic'
}

# Wait until the guest has said a word, a third of its time at most; it loses what comes
# before it opens the line, as on any machine.
await() {
	for _ in $(seq $((patience * 10 / 3))); do
		grep -qE "$1" $dir/out 2>/dev/null && return
		sleep 0.1
	done
}

# feed WORD FILE CMDLINE: boot, and send the file once the guest has said the word
feed() {
	rm -f $dir/out
	(await "$1"; cat "$2") | (boot "$3" --memory 256M; echo $status >$dir/status)
	status=$(cat $dir/status)
}

input_reaches_userspace() {
	echo "a line from the host" >$dir/data
	feed '^reading' $dir/data "do=read"
	ended "guest powered off"
	has '^fact line a line from the host'
}

a_slow_reader_loses_nothing_of_userspace() {
	timeout 200 "$vmm" run --kernel "$image" --initrd "$initrd" --memory 256M \
		--cmdline "console=ttyS0 quiet panic=-1 do=write" 2>$dir/err | (
		sleep 6
		cat >$dir/out
	)
	status=0
	ended "guest powered off"
	lines=$(grep -c '^data [0-9]* abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz' $dir/out)
	[ "$lines" -eq 2200 ] || fail "$lines of 2200 lines"
}

# guest WORD...: an arm64 Image with these instructions, in $dir/bare
guest() {
	for word in 0x14000010 0 0 0 0x1000 0 0xa 0 0 0 0 0 0 0 0x644d5241 0 "$@"; do
		# shellcheck disable=SC2059 # four bytes in octal
		printf "$(printf '\\%03o\\%03o\\%03o\\%03o' $((word & 255)) $((word >> 8 & 255)) \
			$((word >> 16 & 255)) $((word >> 24 & 255)))"
	done >$dir/bare
}

# movz x2, #0x1000; movz x0, #0x1234; stp x0, x1, [x2]; b .: a store of two registers to
# where nothing is, which KVM cannot tell as an access.
a_crash_comes_with_registers_and_code() {
	guest 0xd2820002 0xd2824680 0xa9000440 0x14000000
	"$vmm" run --kernel $dir/bare --memory 16M >$dir/out 2>$dir/err </dev/null
	status=$?
	[ "$status" -eq 1 ] || fail "status $status"
	for line in '^reference-vmm: vCPU 0 failed: .*arm-nisv' 'pc=0000000080000048 ' \
		' x0=0000000000001234 ' '^code: a9000440 14000000 '; do
		grep -qE "$line" $dir/err || fail "the report lacks: $line"
	done
}

# refused TEXT OPTION...: before anything runs
refused() {
	text=$1
	shift
	"$vmm" run --kernel "$image" "$@" >$dir/out 2>$dir/err </dev/null
	status=$?
	[ "$status" -eq 1 ] || fail "$*: status $status"
	grep -qE "^reference-vmm: $text" $dir/err || fail "$*: $(cat $dir/err)"
}

what_cannot_be_is_refused_in_one_line() {
	refused '--memory: 15 MiB do not fit this machine' --memory 15M
	refused '--cpus 1000: ' --cpus 1000
	refused '--boot-protocol: ' --boot-protocol pvh
	refused '--cmdline: 3000 bytes, the kernel takes at most 2047' \
		--cmdline "$(head -c 3000 /dev/zero | tr '\0' x)"
	refused '.*: not a kernel: ' --kernel "$vmm"
	[ "$(wc -l <$dir/err)" -eq 1 ] || fail "more than a line"
}

a_dry_run_says_what_is_where() {
	"$vmm" run --kernel "$image" --memory 3G --cpus 2 --rng --dry-run >$dir/out 2>$dir/err
	status=$?
	[ "$status" -eq 0 ] || fail "status $status"
	has 'gpa   0x0080000000-0x013fffffff  ram'
	has 'gpa   0x0008000000-0x0008[0-9a-f]{6}          GICv[23] \(KVM\)'
	has 'gpa   0x0009000000-0x0009000fff  gsi 1   serial'
	has 'gpa   0x0009010000-0x0009010fff  gsi 2   clock'
	has 'gpa   0x000a000000-0x000a000fff  gsi 16  rng'
	has 'gpa   0x000a001000-0x000a001fff  gsi 17  power button'
}

sigterm_stops_a_running_guest() {
	"$vmm" run --kernel "$image" --initrd "$initrd" --memory 256M --cpus 2 \
		--cmdline "console=ttyS0 quiet panic=-1 do=sleep" >$dir/out 2>$dir/err </dev/null &
	pid=$!
	await sleeping
	has '^sleeping'
	kill -TERM $pid
	wait $pid
	status=$?
	ended "stopped by SIGTERM"
}

the_clock_is_the_hosts_and_can_be_set() {
	boot "do=clock" --memory 256M
	ended "guest powered off"
	has "^fact date $(date -u +%Y)"
	has "^fact rtc .* $(date -u +%Y)"
	has "^fact rtc set .* 2031"
	has '^fact rtc alarm rang'
}

# Nothing is said, and nobody waits for what would say it.
without_a_console_it_boots_in_silence() {
	boot "do=facts" --memory 256M --console none
	ended "guest powered off"
	[ ! -s $dir/out ] || fail "there is output"
}

# stty both ways, and a break from the terminal: SysRq h lists the keys.
the_line_has_settings_and_breaks() {
	# shellcheck disable=SC1003 # three octal digits stand for a byte
	timeout 60 "$pty_run" waiting '\001bh' 'sysrq: HELP' '\001x' -- "$vmm" run --kernel "$image" \
		--initrd "$initrd" --memory 256M \
		--cmdline "console=ttyS0 panic=-1 sysrq_always_enabled do=line do=wait" \
		>$dir/out 2>$dir/err
	status=$?
	[ $status -eq 0 ] || fail "status $status"
	has 'sysrq: HELP'
	has 'stopped by Ctrl-A x'
	has '^fact speed 19200'
	has '^fact speed 115200'
	has '^fact flags .*-crtscts'
	has '^fact flags .*[^-]crtscts'
}

# A MiB each way is three million exits, minutes where KVM is nested: LINE_KIB=1024 has it.
bytes_go_each_way_without_loss() {
	kib=${LINE_KIB:-256}
	head -c $((kib * 1024)) /dev/zero | tr '\0' 'y' >$dir/data
	want=$(md5sum <$dir/data | cut -d' ' -f1)
	limit=900
	feed '^slurping' $dir/data "kib=$kib do=echo"
	limit=
	ended "guest powered off"
	has "^fact md5 $want"
	[ "$(grep -c '^zzzzzzz' $dir/out)" -eq $((kib * 16)) ] || fail "$(grep -c '^zzzzzzz' $dir/out) lines"
	has '^fact lost 0'
}

a_disk_keeps_what_was_synced() {
	truncate -s 160M $dir/disk
	/tools/mke2fs -q -t ext4 $dir/disk
	boot "mib=$disk_mib do=modules do=disk" --memory 256M --cpus 2 --disk "$dir/disk,id=first,queues=2"
	ended "guest powered off"
	has '^fact serial first'
	has '^fact data kept'
	has '^fact trimmed'
	lacks '^complaint'
	/tools/e2fsck -fn $dir/disk >$dir/fsck 2>&1 || fail "e2fsck: $(tail -n 3 $dir/fsck)"
}

a_read_only_disk_stays_as_it_is() {
	truncate -s 1M $dir/disk $dir/other
	cp $dir/other $dir/before
	boot "do=modules do=readonly" --memory 256M --disk $dir/disk --disk $dir/other,ro
	ended "guest powered off"
	has '^fact readonly 1'
	lacks '^complaint'
	cmp $dir/other $dir/before || fail "the image changed"
}

random_numbers_come_from_the_host() {
	boot "do=modules do=rng" --memory 256M --rng
	ended "guest powered off"
	has '^fact rng virtio_rng'
	has '^fact rng bytes 100000'
	has '^fact rng noise'
}

# The guest's neighbour at a TAP interface, which has an address as soon as the machine made
# it. What answers the guest listens before that: no connection may come too early.
serve_network() {
	nc -l -p 5000 -e sh -c "head -c $((net_mib * 1048576)) | tee $dir/data | md5sum" &
	nc -l -p 5001 -e cat $dir/data &
	nc -l -p 5002 -e md5sum &
	until ip addr add 10.0.0.1/24 dev tap0 2>/dev/null; do
		sleep 0.1
	done
	ip link set tap0 up
}

the_network_carries_data_each_way() {
	serve_network 2>/dev/null &
	limit=$((patience * 3))
	boot "mib=$net_mib do=modules do=net" --memory 512M --cpus 2 --net tap=tap0,mac=02:00:00:00:00:02,mtu=1400
	limit=
	kill $! 2>/dev/null
	ended "guest powered off"
	has '^fact mtu 1400'
	has "^fact sent $net_mib MiB"
	has "^fact received $net_mib MiB"
	has '^fact took turns'
	rm -f $dir/data
}

sockets_echo_between_guest_and_host() {
	/tools/sock-echo serve unix $dir/vsock_1000 >$dir/host 2>&1 &
	(
		await serving
		/tools/sock-echo ask unix $dir/vsock 2000 1048576 >$dir/asked 2>&1
	) &
	boot "do=modules do=vsock" --memory 256M --vsock "cid=3,socket=$dir/vsock"
	ended "guest powered off"
	has '^fact asked: 1048576 bytes came back'
	has '^fact served'
	grep -q '^1048576 bytes came back' $dir/asked || fail "the host was told: $(cat $dir/asked)"
	[ ! -e $dir/vsock ] || fail "the socket is left behind"
}

a_virtio_console_carries_bytes_both_ways() {
	head -c 262144 /dev/urandom >$dir/data
	want=$(md5sum <$dir/data | cut -d' ' -f1)
	rm -f $dir/out
	(await '^reading'; cat $dir/data) | (boot "do=modules do=hvc" --memory 256M \
		--console virtio; echo $status >$dir/status)
	status=$(cat $dir/status)
	ended "guest powered off"
	has "^fact md5 $want"
	lines=$(grep -c '^hvc [0-9]* abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz' $dir/out)
	[ "$lines" -eq 1000 ] || fail "$lines of 1000 lines"
}

# start DO OPTIONS: a machine named demo in the background, until it counts
start() {
	rm -f $dir/out
	# shellcheck disable=SC2086 # several words
	"$vmm" run --name demo --kernel "$image" --initrd "$initrd" --memory 256M \
		--cmdline "console=ttyS0 quiet panic=-1 do=modules do=button $1 do=count" $2 \
		>$dir/out 2>$dir/err </dev/null &
	pid=$!
	await '^tick 3 '
	has '^tick 3 '
}

control() { "$vmm" "$@" >$dir/answer 2>&1 || fail "$*: $(cat $dir/answer)"; }
says() { grep -qE "$1" $dir/answer || fail "no $1 in the answer: $(cat $dir/answer)"; }

press() {
	control stop demo --timeout 60
	says '^demo: guest powered off$'
	wait $pid
	status=$?
	ended "guest powered off"
	has '^fact button'
	lacks '^complaint'
}

last_tick() { sed -n 's/^tick \([0-9]*\) [0-9]*.\?$/\1/p' $dir/out | tail -n 1; }
free_mib() { sed -n 's/^tick [0-9]* \([0-9]*\).\?$/\1/p' $dir/out | tail -n 1 | awk '{print int($1 / 1024)}'; }

# Longer than the guest's watchdog allows a CPU to stand still (2 s).
a_paused_guest_stands_still_and_goes_on() {
	head -c 8388608 /dev/urandom >$dir/disk
	start "do=busy do=traffic" "--cpus 2 --disk $dir/disk --rng"
	stood=$(date +%s)
	control pause demo
	says '^demo: paused$'
	sleep 0.5
	before=$(last_tick)
	sleep 5
	[ "$(last_tick)" = "$before" ] || fail "it runs while paused"
	control resume demo
	says '^demo: running$'
	stood=$(($(date +%s) - stood))
	await "^tick $((before + 5)) "
	press
	behind=$(($(date +%s) - $(sed -n 's/^fact date \([0-9]*\).*/\1/p' $dir/out)))
	$clock_stops && behind=$((behind - stood))
	[ $behind -ge -1 ] && [ $behind -le 4 ] || fail "clock: $behind s behind"
	has '^fact watchdog 1'
	has '^fact sums 1' # each time the same
	sed -n 's/^tick \([0-9]*\) .*/\1/p' $dir/out | awk '$1 != NR - 1 { exit 1 }' ||
		fail "ticks are lost"
}

a_disk_grows_under_a_running_guest() {
	truncate -s 8M $dir/disk
	start "do=size do=traffic" "--disk $dir/disk,id=data --rng"
	await '^fact size 16384.?$'
	has '^fact size 16384.?$'
	control resize-disk demo data 24M
	says '^size: 24 MiB$'
	await '^fact size 49152.?$'
	has '^fact size 49152.?$'
	truncate -s 32M $dir/disk
	control resize-disk demo vda
	await '^fact size 65536.?$'
	has '^fact size 65536.?$'
	control stats demo
	says '^devices.0.name: disk$'
	says '^devices.0.queues.0.used: [1-9]'
	says '^devices.0.queues.0.interrupts: [1-9]'
	press
}

a_paused_guest_is_killed_with_its_devices_at_work() {
	truncate -s 64M $dir/disk
	start "do=traffic" "--disk $dir/disk --rng --balloon"
	control pause demo
	control kill demo
	says '^demo: killed$'
	wait $pid
	status=$?
	ended "killed"
}

# await_stats PATTERN: until the statistics have it, 20 s at most
await_stats() {
	for _ in $(seq 100); do
		control stats demo
		grep -qE "$1" $dir/answer && return
		sleep 0.2
	done
	says "$1"
}

a_balloon_takes_memory_and_gives_it_back() {
	start "" --balloon
	before=$(free_mib)
	control balloon demo 160M
	says '^target: 160 MiB$'
	await_stats '^balloon.actual: 160 MiB$'
	await "^tick $(($(last_tick) + 3)) "
	less=$(free_mib)
	[ $((before - less)) -ge 80 ] && [ $((before - less)) -le 110 ] ||
		fail "inflated by 96 MiB: free $before MiB, then $less"
	sed -n 's/^balloon.given_back: \([0-9]*\).*MiB$/\1/p' $dir/answer |
		awk '{ exit !($1 >= 96) }' || fail "given back: $(cat $dir/answer)"
	says '^balloon.guest.free: '
	control balloon demo 256M
	await_stats '^balloon.actual: 256 MiB$'
	await "^tick $(($(last_tick) + 3)) "
	more=$(free_mib)
	[ $((more - less)) -ge 80 ] || fail "deflated by 96 MiB: free $less MiB, then $more"
	press
}

# shellcheck source=tests/system/l1-machines.sh
. "$(dirname "$0")/l1-machines.sh"

echo "1..$#"
for test in "$@"; do
	check "$test"
done
rm -rf $dir
exit $failed
