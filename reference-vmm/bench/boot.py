#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""From exec to the first byte of userspace: Debian's cloud kernel in the nested machine.

The nested machine's clock counts instructions. The VMMs get the same kernel, as its package
has it (bzimage) and unpacked (vmlinux), the same initramfs and the same command line. QEMU's
microvm has no clock chip unless it is told to, and the kernel then looks for one for more
than a second: so there are two references, as it comes and with rtc=on.
"""
import os
import subprocess
import sys
import tempfile

import bench

ROUNDS = 3
MIB = 256
# The first entry into the machine: QEMU's firmware, our kernel. Of all entries only those
# before the kernel runs at its own addresses are traced, so that it costs next to nothing.
# The guest by which we find out whether this KVM can run Linux starts at address 0, and is
# not meant.
TRACE = """
t=/sys/kernel/tracing
mount -t tracefs tracefs $t
echo mono >$t/trace_clock
echo 'rip != 0 && rip < 0x10000000' >$t/events/kvm/kvm_entry/filter
trace() {
	echo >$t/trace
	echo 1 >$t/events/kvm/kvm_entry/enable
	echo 1 >$t/tracing_on
}
traced() {
	echo 0 >$t/events/kvm/kvm_entry/enable
	sed -n '/kvm_entry/{s/.* \\([0-9]*\\)\\.\\([0-9]*\\): kvm_entry.*/entry \\1\\2/p;q}' $t/trace
}
"""


def commands(build, kernels, initrd):
    """Name and command of each VMM with each form of the kernel."""
    for form, kernel in kernels.items():
        images = ("-kernel", kernel, "-initrd", initrd, "-append", bench.CMDLINE, "-m", MIB)
        yield form, "ours", build.ours("--kernel", kernel, "--initrd", initrd, "--cmdline",
                                       bench.CMDLINE, "--memory", f"{MIB}M")
        yield form, "qemu microvm", build.microvm(*images)
        yield form, "qemu microvm,rtc=on", build.microvm(*images, machine=",rtc=on")


def script(build, runs, rounds):
    """All of them in turns."""
    lines = [TRACE]
    for _ in range(rounds):
        for form, name, argv in runs:
            lines += [f"echo 'round {form} {name}'", "trace",
                      bench.quote([build.tool("spawn"), "up\n", "done\n", *argv]), "traced"]
    return "\n".join(lines)


def phases(values):
    """Milliseconds of one run: who had the processor until userspace."""
    entry = values["entry"] * 1000 - values["exec"]
    before = values["mark"] - values["kernel"] - entry
    return {"vmm_ms": round(entry / 1e6, 1),
            "firmware_and_decompression_ms": round(before / 1e6, 1),
            "kernel_ms": round(values["kernel"] / 1e6, 1)}


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
    for form in kernels:
        for name in ("qemu microvm", "qemu microvm,rtc=on"):
            bench.report(f"boot.{form}", times[form, "ours"], name, times[form, name],
                         phases=parts[form, "ours"], reference_phases=parts[form, name])


sys.exit(bench.main(boot))
