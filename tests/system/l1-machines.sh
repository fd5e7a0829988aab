#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# shellcheck disable=SC2154 # the variables are l1-linux.sh's
#
# More boots of a real Linux. Read by l1-linux.sh, in whose words they are written.

# memory MIB NOTHING PAGE...: boot with that much; the pages are the first and the last
# ones of its parts, and at NOTHING there is no memory.
memory() {
	mib=$1 nothing=$2
	shift 2
	words="do=facts do=edges nothing=$nothing"
	for page in "$@"; do
		words="$words memmap=4K\$$page edge=$page"
	done
	boot "$words" --memory "${mib}M"
	ended "guest powered off"
	facts 1
	has "^fact nothing $nothing"
	for page in "$@"; do
		has "^fact edge $page"
	done
	# All of it but these pages and the PC's hole below 1 MiB.
	present=$(sed -n 's/^fact present \([0-9]*\).*/\1/p' $dir/out)
	missing=$((mib * 1024 - ${present:-0}))
	{ [ $missing -ge 0 ] && [ $missing -lt 1024 ]; } || fail "present ${present:-no} KiB of $mib MiB"
}

# The gap of this board begins at 3072 MiB; that of most others at 3328 MiB or later.
memory_ends_before_in_and_after_the_mmio_gap() {
	memory 128 0x8000000 0x7fff000
	memory 3072 0x100000000 0xbffff000
	memory 3073 0x100100000 0xbffff000 0x100000000 0x1000ff000
	memory 3327 0xc0000000 0xbffff000 0x100000000 0x10feff000
	memory 3328 0x110000000 0xbffff000 0x100000000 0x10ffff000
	memory 3329 0xffffc000 0xbffff000 0x100000000 0x1100ff000
	memory 5120 0x180000000 0xbffff000 0x100000000 0x17ffff000
}

# in_net COMMAND...: in the network namespace of the process $holder
in_net() { nsenter -t $holder -n "$@"; }

# Two bridges in a namespace of their own, the host's address on each.
make_bridges() {
	unshare -n sleep 1000 &
	holder=$!
	until [ "$(readlink /proc/$holder/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do
		sleep 0.1
	done
	for net in 1 2; do
		in_net brctl addbr br$net
		in_net ip addr add 10.$net.0.1/24 dev br$net
		in_net ip link set br$net up
		for guest in 2 3; do
			in_net tunctl -t tap$net$guest >/dev/null
			in_net brctl addif br$net tap$net$guest
			in_net ip link set tap$net$guest up
		done
	done
}

# start_pair N: the guest with the addresses 10.1.0.N and 10.2.0.N
start_pair() {
	# Not in_net: a function would stand between us and the signal.
	nsenter -t $holder -n "$vmm" run --kernel "$image" --initrd "$initrd" --memory 192M \
		--cmdline "console=ttyS0 quiet panic=-1 do=modules do=pair self=$1 do=wait" \
		--net tap=tap1$1 --net tap=tap2$1 >$dir/out.$1 2>$dir/err.$1 </dev/null &
	eval "pair$1=$!"
}

two_guests_with_two_nets_each_reach_each_other_and_the_host() {
	make_bridges
	start_pair 2
	start_pair 3
	for guest in 2 3; do
		for _ in $(seq 600); do
			! grep -q '^waiting' $dir/out.$guest || break
			sleep 0.1
		done
	done
	for address in 10.1.0.2 10.2.0.2 10.1.0.3 10.2.0.3; do
		in_net ping -c 2 -i 0.1 -W 5 $address >$dir/ping 2>&1 || fail "$address: $(tail -n 2 $dir/ping)"
	done
	for guest in 2 3; do
		eval "kill -TERM \$pair$guest; wait \$pair$guest"
		status=$?
		mv $dir/out.$guest $dir/out
		mv $dir/err.$guest $dir/err
		ended "stopped by SIGTERM"
		lacks '^complaint'
		for address in 10.1.0.1 10.2.0.1 10.1.0.$((5 - guest)) 10.2.0.$((5 - guest)); do
			has "^fact $address answers"
		done
		sed -n 's/^fact addresses //p' $dir/out | tr -d '\r' | tr ' ' '\n' >>$dir/addresses
	done
	# Nobody gave them addresses, so they are random: all four differ.
	[ "$(sort -u $dir/addresses | grep -c :)" -eq 4 ] || fail "addresses: $(cat $dir/addresses)"
	kill $holder
	rm -f $dir/addresses
}

# killed_while_syncing KNOWN COUNT: boot, verify what is known to be there, and kill the VMM
# when the guest has synced so many more files. The last one is in $synced.
killed_while_syncing() {
	rm -f $dir/out
	"$vmm" run --kernel "$image" --initrd "$initrd" --memory 256M --disk $dir/disk,queues=2 \
		--cpus 2 --cmdline "console=ttyS0 quiet panic=-1 do=modules do=synced synced=$1 last=100000" \
		>$dir/out 2>$dir/err </dev/null &
	pid=$!
	for _ in 1 2 3; do
		await "^synced $(($1 + $2))"
	done
	kill -KILL $pid
	wait $pid
	status=$?
	[ $status -eq 137 ] || fail "status $status"
	has "^fact verified $1"
	lacks '^complaint'
	synced=$(sed -n 's/^synced \([0-9]*\).*/\1/p' $dir/out | tail -n 1)
	[ "${synced:-0}" -ge $(($1 + $2)) ] || fail "synced ${synced:-nothing}"
}

# The journal is replayed; then the file system has no fault.
check_disk() {
	/tools/e2fsck -fy $dir/disk >$dir/fsck 2>&1 || [ $? -eq 1 ] ||
		fail "e2fsck -fy: $(tail -n 5 $dir/fsck)"
	grep -q 'recovering journal' $dir/fsck || fail "no journal: $(cat $dir/fsck)"
	/tools/e2fsck -fn $dir/disk >$dir/fsck 2>&1 || fail "e2fsck -fn: $(tail -n 5 $dir/fsck)"
}

a_killed_vmm_loses_nothing_that_was_synced() {
	truncate -s 64M $dir/disk
	/tools/mke2fs -q -t ext4 -J size=4 $dir/disk
	killed_while_syncing 0 30
	check_disk
	killed_while_syncing "$synced" 17
	check_disk
	boot "do=modules do=synced synced=$synced last=0" --memory 256M --disk $dir/disk
	ended "guest powered off"
	has "^fact verified $synced"
	lacks '^complaint'
	/tools/e2fsck -fn $dir/disk >$dir/fsck 2>&1 || fail "e2fsck -fn: $(tail -n 5 $dir/fsck)"
}
