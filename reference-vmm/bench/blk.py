#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""A disk in the guest, in the nested machine: one operation is one request.

Requests of 4 KiB at random with 16 at a time and with one, and of 1 MiB in order with four,
past the guest's page cache; the image is in the nested machine's memory.
"""
import os
import sys
import tempfile

import bench

ROUNDS = 2  # hardly differ
MIB = 256
DISK_MIB = 48


def commands(build, kernel, initrd):
    cmdline = bench.CMDLINE + " bench=blk"
    images = ("-kernel", kernel, "-initrd", initrd, "-append", cmdline, "-m", MIB)
    yield "ours", build.ours("--kernel", kernel, "--initrd", initrd, "--cmdline", cmdline,
                             "--memory", f"{MIB}M", "--disk", "/dev/shm/disk")
    for name, how in (("qemu microvm", ""), ("qemu microvm, io_uring", ",aio=io_uring")):
        yield name, build.microvm(*images, "-drive",
                                  "file=/dev/shm/disk,format=raw,if=none,id=disk,file.locking=off" + how,
                                  "-device", "virtio-blk-device,drive=disk")


def blk(build):
    with tempfile.TemporaryDirectory() as work:
        kernel = bench.print_of("--print-kernel")
        initrd = bench.initrd(build, os.path.join(work, "initrd"), "virtio_mmio", "virtio_blk")
        lines = ["mount -o remount,size=300m /dev/shm"]
        for _ in range(bench.rounds(ROUNDS)):
            for name, argv in commands(build, kernel, initrd):
                lines += ["rm -f /dev/shm/disk", f"truncate -s {DISK_MIB}M /dev/shm/disk",
                          f"echo 'round {name}'",
                          bench.quote(build.spawn(argv))]
        text = bench.nested(build, "\n".join(lines), kernel, initrd)
    bench.report_results("blk", text)


sys.exit(bench.main(blk))
