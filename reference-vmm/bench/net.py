#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""TCP between the guest and the nested machine, over a TAP interface.

One operation is 64 KiB one way, or one byte there and one back.
"""
import os
import sys
import tempfile

import bench

ROUNDS = 2  # hardly differ
MIB = 256


def commands(build, kernel, initrd):
    cmdline = bench.CMDLINE + " bench=net"
    images = ("-kernel", kernel, "-initrd", initrd, "-append", cmdline, "-m", MIB)
    yield "ours", build.ours("--kernel", kernel, "--initrd", initrd, "--cmdline", cmdline,
                             "--memory", f"{MIB}M", "--net", "tap=tap0")
    yield "qemu microvm", build.microvm(
        *images, "-netdev", "tap,id=net,ifname=tap0,script=no,downscript=no",
        "-device", "virtio-net-device,netdev=net")


def net(build):
    with tempfile.TemporaryDirectory() as work:
        kernel = bench.print_of("--print-kernel")
        initrd = bench.initrd(build, os.path.join(work, "initrd"), "virtio_mmio", "virtio_net")
        # The interface lives on between the VMMs, so that it has its address in time.
        lines = ["set -e", "tunctl -t tap0", "ip addr add 10.0.0.1/24 dev tap0",
                 "ip link set tap0 up", f"{bench.quote([build.tool('peer')])} &"]
        for _ in range(bench.rounds(ROUNDS)):
            for name, argv in commands(build, kernel, initrd):
                lines += [f"echo 'round {name}'",
                          bench.quote(build.spawn(argv))]
        text = bench.nested(build, "\n".join(lines), kernel, initrd)
    bench.report_results("net", text)


sys.exit(bench.main(net))
