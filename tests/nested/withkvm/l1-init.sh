#!/.with-kvm/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# The first process of the nested machine. It makes the usual file systems,
# loads KVM, connects the command to the virtio-serial ports that the harness
# holds at their other ends, and reports how the command ended:
#
#   vport0p1  control: "hello", "ready", "exit STATUS OUT ERR" from here, where
#             OUT and ERR count the bytes sent; "close out", "close err",
#             "window ROWS COLUMNS" and "tick" from the harness
#   vport0p2  standard input: one byte from here says that bytes may come
#   vport0p3  standard output    vport0p4  standard error
#   hvc0      the terminal, if the harness has one
#
# The command gets pipes, not the ports: a port can be open only once, so that
# opening /dev/stdout again would fail.

own=/.with-kvm
# Not /usr/bin: what travelled may have put other programs there.
export PATH=$own/bin

load() {
	while read -r module; do
		insmod "$module"
	done <"$own/modules-$1"
}

# Not needed for talking to the harness, so it goes on beside that.
prepare() {
	load kvm
	chmod 666 /dev/kvm
	mkdir -p /dev/pts /dev/shm /dev/net
	mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
	mount -t tmpfs -o mode=1777 tmpfs /dev/shm
	# Opening these loads their modules.
	mknod -m 666 /dev/net/tun c 10 200
	mknod -m 666 /dev/vhost-net c 10 238
	mknod -m 666 /dev/vhost-vsock c 10 241
	ln -s /proc/self/fd /dev/fd
	ln -s /proc/self/fd/0 /dev/stdin
	ln -s /proc/self/fd/1 /dev/stdout
	ln -s /proc/self/fd/2 /dev/stderr
	ip link set lo up
}

# Processes that outlived the command would keep its pipes open. What belongs
# to init runs in init's session, the command in another one.
session_of() {
	{ read -r line <"/proc/$1/stat"; } 2>/dev/null || return
	# shellcheck disable=SC2086 # after the name come plain numbers: split them
	set -- ${line##*)}
	echo "$4"
}

kill_leftovers() {
	mine=$(session_of 1)
	for process in /proc/[0-9]*; do
		process=${process#/proc/}
		session=$(session_of "$process")
		[ -z "$session" ] || [ "$session" = "$mine" ] || kill -9 "$process"
	done 2>/dev/null
}

# The end of a child interrupts the shell's own writes, and does not repeat them.
tell() {
	until echo "$@"; do
		:
	done
}

# Make a FIFO with its reading end at 9 and its writing end at 8. Opened for
# both at first, because else the opening blocks, and a child's end breaks it.
fifo() {
	mkfifo "$own/$1"
	# shellcheck disable=SC2094 # that is the point
	exec 7<>"$own/$1" 8>"$own/$1" 9<"$own/$1" 7<&-
}

# Copy descriptor 9 to a port and count the bytes on the way.
pump() {
	mkfifo "$own/$1-copy"
	wc -c <"$own/$1-copy" >"$own/$1-count" 3>&- 5<&- 6>&- 8>&- 9<&- &
	counters="$counters $!"
	tee "$2" <&9 >"$own/$1-copy" 3>&- 5<&- 6>&- 8>&- 9<&- &
	echo $! >"$own/$1-pump"
}

# A process on each CPU, woken by every tick: see TICK in session.py.
start_wakers() {
	wakers=
	for cpu in /sys/devices/system/cpu/cpu[0-9]*; do
		waker=$own/waker-${cpu##*/cpu}
		mkfifo "$waker"
		# shellcheck disable=SC2094 # so that neither end waits for the other
		taskset -c "${cpu##*/cpu}" cat <>"$waker" >/dev/null &
		wakers="$wakers $waker"
	done
}

wake_all() {
	for waker in $wakers; do
		echo 1<>"$waker"
	done
}

listen() {
	start_wakers
	while read -r verb first second; do
		case $verb in
		tick) wake_all ;;
		# Whoever read our output is gone: let the next write fail.
		close) kill -9 "$(cat "$own/$first-pump")" ;;
		window) stty -F /dev/hvc0 rows "$first" cols "$second" ;;
		esac
	done
}

# The initramfs cannot be pivoted away from, which is how some programs lock themselves in
# (passt). So the command has it as a mount of its own on top, as after a switch_root.
enter_root() {
	mkdir "$own/root"
	mount --rbind / "$own/root"
	cd "$own/root" || exit
	mount --move . /
}

# In a subshell: this one's own word on it, such as "Killed", is for the console.
run() (
	controlling=
	[ "$stdin" != tty ] || controlling=-c
	enter_root
	# shellcheck disable=SC2086 # an option or nothing
	exec chroot . setsid $controlling env -i "$own/bin/sh" "$own/command" \
		<&5 >&6 2>&7 3>&- 5>&- 6>&- 7>&-
)

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
prepare &
preparing=$!
load transport

# What the harness has: a pipe, a tty or null; the last port; the tty's size.
read -r stdin stdout stderr last rows columns <"$own/config"
until [ -c "/dev/vport0p$last" ]; do
	usleep 1000
done
exec 3<>/dev/vport0p1
tell hello >&3
listen <&3 &
listener=$!

# The command's standard streams are 5, 6 and 7 here.
counters=
case $stdin in
pipe)
	# The write returns only when the kernel knows that the harness is there;
	# a read before that would see an end of file.
	exec 4<>/dev/vport0p2
	tell >&4
	fifo in
	cat <&4 >&8 3>&- 8>&- 9<&- &
	exec 4<&- 5<&9 8>&- 9<&-
	;;
tty)
	# Its node is there a little before the terminal is.
	until stty -F /dev/hvc0 >/dev/null 2>&1; do
		usleep 1000
	done
	exec 5<>/dev/hvc0
	stty rows "$rows" cols "$columns" <&5
	;;
*) exec 5</dev/null ;;
esac
if [ "$stdout" = pipe ]; then
	fifo out
	pump out /dev/vport0p3
	exec 6>&8 8>&- 9<&-
else
	exec 6>&5
fi
if [ "$stderr" = pipe ]; then
	fifo err
	pump err /dev/vport0p4
	exec 7>&8 8>&- 9<&-
else
	exec 7>&5
fi

wait "$preparing"
hostname nested-kvm
tell ready >&3
run
status=$?
exec 5>&- 6>&- 7>&-

{ sleep 1; kill_leftovers; } &
# shellcheck disable=SC2086 # a list of numbers
[ -z "$counters" ] || wait $counters
read -r out_count 2>/dev/null <"$own/out-count" || out_count=0
read -r err_count 2>/dev/null <"$own/err-count" || err_count=0
tell "exit $status $out_count $err_count" >&3
# Only the harness knows when the last of the output has left QEMU; mostly it
# does not even wait for the rest of this.
wait "$listener"
sync
poweroff -f
