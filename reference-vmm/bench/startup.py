#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""From exec to the guest's first instruction, which writes one byte to the serial port.

On this machine's /dev/kvm, 128 MiB. Two references: the bare ioctl sequence, a static
program; and QEMU's microvm or, where that cannot run the guest, its monitor's greeting.
"""
import os
import subprocess
import sys
import tempfile

import bench
from tiny import MARK, kernel

ROUNDS = 41
TIMEOUT = 20


def once(build, argv, mark=MARK, end=None):
    """Nanoseconds from exec to the mark, and what else was printed."""
    done = subprocess.run([build.tool("spawn"), mark, end or mark, *argv], timeout=TIMEOUT,
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise bench.CannotRun(done.stderr.strip() or "no guest runs here")
    return bench.fields(done.stdout)


def choose_qemu(build, image):
    """How far QEMU gets here: its name, command and mark."""
    runs = build.microvm("-m", "128", "-kernel", image)
    try:
        once(build, runs)
        return "qemu microvm", runs, MARK
    except (bench.CannotRun, subprocess.TimeoutExpired):
        argv = [build.qemu, "-M", "microvm,accel=kvm", "-m", "128", "-nodefaults",
                "-no-user-config", "-display", "none", "-S", "-qmp", "stdio"]
        return "qemu microvm's monitor", argv, "QMP"


def startup(build):
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        raise bench.CannotRun("no /dev/kvm")
    with tempfile.TemporaryDirectory() as work:
        image = kernel(os.path.join(work, "kernel"))
        ours = build.ours("--force", "--memory", "128M", "--kernel", image)
        qemu_name, qemu, qemu_mark = choose_qemu(build, image)
        times = {"ours": [], "bare": [], "sequence": [], "qemu": []}
        for _ in range(bench.rounds(ROUNDS)):
            times["ours"].append(once(build, ours)["mark"])
            bare = once(build, [build.tool("bare")], MARK, "sequence")
            times["bare"].append(bare["mark"])
            times["sequence"].append(bare["sequence"])
            times["qemu"].append(once(build, qemu, qemu_mark)["mark"])
    bench.report("startup", times["ours"], "bare ioctls in a static program, from exec",
                 times["bare"])
    bench.report("startup", times["ours"], "bare ioctls alone", times["sequence"])
    bench.report("startup", times["ours"], qemu_name, times["qemu"])


sys.exit(bench.main(startup))
