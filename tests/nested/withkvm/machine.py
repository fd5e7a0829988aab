# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""The nested machine: a QEMU that emulates a CPU with virtualisation."""

import os
import shutil
import socket
import subprocess

from . import process, tsc
from .errors import Failure, UsageError

MIB = 1 << 20

QEMU = {
    # Not "max": with it inner guests become slower the longer the machine runs. Without
    # XSAVE: TCG does not intercept XSETBV, so an inner guest that had it would lose SSE
    # registers whenever it is left.
    "x86_64": ["qemu-system-x86_64", "-machine", "microvm,rtc=on",
               "-cpu", "EPYC,+svm,+npt,-xsave"],
    # With "max" a boot in an inner guest costs half as much again and more: each function
    # of Debian's kernel signs its return address there, which is emulated, too.
    "aarch64": ["qemu-system-aarch64",
                "-machine", "virt,virtualization=on,gic-version=3",
                "-cpu", "neoverse-n1"],
}
KERNEL = {
    # A microvm has no keyboard controller to reset it: triple fault.
    "x86_64": "console=ttyS0 reboot=t tsc=reliable no_timer_check",
    "aarch64": "console=ttyAMA0",
}
# Virtual time is instructions executed, one nanosecond each, and an idle machine goes on
# to its next timer at once: what a clock in there says does not depend on this machine.
ICOUNT = "shift=0,sleep=off"
ICOUNT_TSC_KHZ = 1000000
X86_HZ = 250  # of Debian's kernels, for lpj: measuring it takes long on a busy host
# Of the security modules only the one that a VMM itself may use.
KERNEL_ALWAYS = "quiet panic=-1 nokaslr mitigations=off audit=0 lsm=landlock cryptomgr.notests"

# The ports' numbers are part of what init knows; console and tty are not ports.
PORTS = {"control": 1, "stdin": 2, "stdout": 3, "stderr": 4}
TTY_PORT = 5
# A virtconsole drops what its socket does not take at once.
TTY_BUFFER = 4 * MIB


class Machine:
    """A running QEMU and our ends of its channels."""

    def __init__(self, arch, packages, cpus, memory, tty, icount):
        self._arch = arch
        self._packages = packages
        self._cpus = cpus
        self._memory = memory
        self._tty = tty
        self._icount = icount
        self._rate = tsc.Rate()
        self.channels = {}
        self.child = None
        self.messages = None

    @property
    def last_port(self):
        return TTY_PORT if self._tty else max(PORTS.values())

    def start(self, image):
        """Start QEMU on an initramfs held by a descriptor."""
        program, *rest = QEMU[self._arch]
        path = shutil.which(program)
        if path is None:
            group = "nested" if self._arch == "x86_64" else "arm64"
            raise Failure(f"{program} is missing: 'tools/deps {group}' installs it")
        # The image is there twice while the kernel unpacks it into half of memory.
        if os.fstat(image).st_size * 2 + 160 * MIB > self._memory * MIB:
            raise UsageError(f"the files take {os.fstat(image).st_size // MIB} MiB: too much "
                             f"for a machine of {self._memory} MiB (--memory)")
        far_ends = self._make_channels()
        argv = [path, *rest, *self._common(image), *self._devices(far_ends)]
        self.child = process.spawn(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=[image, *(end.fileno() for end in far_ends.values())])
        self.messages = self.child.stdout
        for end in far_ends.values():
            end.close()

    def stop(self):
        if self.child:
            process.kill_group(self.child)

    def _make_channels(self):
        far_ends = {}
        for name in [*PORTS, "console"] + ["tty"] * self._tty:
            ours, far_ends[name] = socket.socketpair()
            ours.setblocking(False)
            self.channels[name] = ours
        if self._tty:
            far_ends["tty"].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, TTY_BUFFER)
        return far_ends

    def _common(self, image):
        # Counting instructions needs one thread for all processors.
        clock = ["-icount", ICOUNT] if self._icount else []
        return clock + [
            "-accel", "tcg,thread=" + ("single" if self._icount else "multi"), "-smp", str(self._cpus), "-m", str(self._memory),
            "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
            "-kernel", self._packages.kernel, "-initrd", f"/proc/self/fd/{image}",
            "-append", self._kernel_arguments(),
        ]

    def _kernel_arguments(self):
        words = [KERNEL[self._arch], KERNEL_ALWAYS]
        khz = ICOUNT_TSC_KHZ if self._icount else self._rate.khz()
        if self._arch == "x86_64" and khz:
            words.append(f"tsc_early_khz={khz} lpj={khz * 1000 // X86_HZ}")
        return " ".join(words)

    @staticmethod
    def _devices(far_ends):
        options = ["-device", "virtio-serial-device"]
        for name, end in far_ends.items():
            options += ["-chardev", f"socket,id={name},fd={end.fileno()}"]
            if name == "console":
                options += ["-serial", f"chardev:{name}"]
            elif name == "tty":
                options += ["-device", f"virtconsole,nr={TTY_PORT},chardev={name}"]
            else:
                options += ["-device",
                            f"virtserialport,nr={PORTS[name]},chardev={name},name={name}"]
        return options
