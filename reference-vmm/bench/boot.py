#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""From exec to the first byte of userspace: Debian's cloud kernel in the nested machine.

The nested machine's clock counts instructions. The VMMs get the same kernel, as its package
has it (bzimage) and unpacked (vmlinux), the same initramfs and the same command line. QEMU's
microvm has no clock chip unless it is told to, and the kernel then looks for one for more
than a second: so there are two references, as it comes and with rtc=on. Most of what is left
is the kernel's tests of its own cryptography, which no VMM can help: so all of it once more
with a command line that does without them.
"""
import os
import subprocess
import sys
import tempfile

import bench

ROUNDS = 2  # hardly differ
MIB = 256
CMDLINES = {"": bench.CMDLINE, ".notests": bench.CMDLINE + " cryptomgr.notests"}
# Two moments: the first entry into the machine, which is into QEMU's firmware or into our
# kernel, and when the kernel tells KVM where it wants the time, which is where its own clock
# starts. Of all entries only those before the kernel runs at its own addresses are traced,
# so that it costs next to nothing. The guest by which we find out whether a KVM can run
# Linux starts at address 0, and is not meant.
TRACE = """
t=/sys/kernel/tracing
mount -t tracefs tracefs $t
echo mono >$t/trace_clock
echo 'rip != 0 && rip < 0x10000000' >$t/events/kvm/kvm_entry/filter
echo 'ecx == 0x4b564d01 && write == 1' >$t/events/kvm/kvm_msr/filter
trace() {
	echo >$t/trace
	echo 1 >$t/events/kvm/kvm_entry/enable
	echo 1 >$t/events/kvm/kvm_msr/enable
}
traced() {
	echo 0 >$t/events/kvm/enable
	for event in entry msr; do
		sed -n "/kvm_$event/{s/.* \\([0-9]*\\)\\.\\([0-9]*\\): kvm_.*/$event \\1\\2/p;q}" $t/trace
	done
}
"""


def commands(build, kernels, initrd):
    """Case, VMM and command."""
    for suffix, cmdline in CMDLINES.items():
        for form, kernel in kernels.items():
            case = form + suffix
            images = ("-kernel", kernel, "-initrd", initrd, "-append", cmdline, "-m", MIB)
            yield case, "ours", build.ours("--kernel", kernel, "--initrd", initrd,
                                           "--cmdline", cmdline, "--memory", f"{MIB}M")
            yield case, "qemu microvm,rtc=on", build.microvm(*images, machine=",rtc=on")
            if not suffix:
                yield case, "qemu microvm", build.microvm(*images)


def script(build, runs, rounds):
    """All of them in turns."""
    lines = [TRACE]
    for _ in range(rounds):
        for case, name, argv in runs:
            lines += [f"echo 'round {case} {name}'", "trace",
                      bench.quote(build.spawn(argv)), "traced"]
    return "\n".join(lines)


def phases(values):
    """Milliseconds of one run: who had the processor until userspace."""
    entry, clock = (values[event] * 1000 - values["exec"] for event in ("entry", "msr"))
    return {"vmm_ms": round(entry / 1e6, 1),
            "firmware_and_unpacking_ms": round((clock - entry) / 1e6, 1),
            "kernel_ms": round((values["mark"] - clock) / 1e6, 1)}


def boot(build):
    with tempfile.TemporaryDirectory() as work:
        kernels = {"bzimage": bench.print_of("--print-kernel"),
                   "vmlinux": os.path.join(work, "vmlinux")}
        subprocess.run([bench.TOP / "tools/extract-vmlinux", kernels["bzimage"],
                        kernels["vmlinux"]], check=True)
        initrd = bench.initrd(build, os.path.join(work, "initrd"))
        runs = list(commands(build, kernels, initrd))
        text = bench.nested(build, script(build, runs, bench.rounds(ROUNDS)),
                            *kernels.values(), initrd)
    times, parts = {}, {}
    for head, body in bench.rounds_of(text):
        what = tuple(head.split(" ", 1))
        values = bench.fields(body)
        times.setdefault(what, []).append(values["mark"])
        parts[what] = phases(values)
    for case, name, _ in runs:
        if name != "ours":
            bench.report(f"boot.{case}", times[case, "ours"], name, times[case, name],
                         phases=parts[case, "ours"], reference_phases=parts[case, name])


sys.exit(bench.main(boot))
