#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Private resident memory of a running machine beyond its guest's pages, in KiB."""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import bench
from tiny import kernel

MEMORY_MIB = 128
# file.locking=off below: the kernel lets go of what a killed VMM has locked a moment later.
ROUNDS = 5
# Name: our options, QEMU's.
CASES = {
    "memory": ((), ()),
    "memory.devices": (
        ("--disk", "{disk}", "--rng", "--balloon"),
        ("-drive", "file={disk},format=raw,if=none,id=disk,file.locking=off",
         "-device", "virtio-blk-device,drive=disk", "-device", "virtio-rng-device",
         "-device", "virtio-balloon-device")),
}


def private_kib(pid):
    """Of all mappings but the guest's memory, which is the one of its size."""
    total, size, seen = 0, 0, 0
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text("ascii").splitlines():
        name, _, value = line.partition(":")
        if name == "Size":
            size = int(value.split()[0])
            seen += size >= MEMORY_MIB * 1024
        elif re.fullmatch("Private_(Clean|Dirty)", name) and size < MEMORY_MIB * 1024:
            total += int(value.split()[0])
    if seen != 1:
        raise SystemExit(f"{seen} mappings are as large as the guest's memory")
    return total


def measure(argv):
    """Start it, wait for the guest's byte, and look."""
    with subprocess.Popen(list(map(str, argv)), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            if not process.stdout.read(1):
                raise bench.CannotRun("no guest runs here")
            return private_kib(process.pid)
        finally:
            process.kill()


def memory(build):
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        raise bench.CannotRun("no /dev/kvm")
    with tempfile.TemporaryDirectory() as work:
        image = kernel(os.path.join(work, "kernel"))
        disk = os.path.join(work, "disk")
        with open(disk, "wb") as file:
            file.truncate(64 << 20)
        for case, options in CASES.items():
            ours, qemu = ([word.format(disk=disk) for word in words] for words in options)
            ours = build.ours("--force", "--memory", f"{MEMORY_MIB}M", "--kernel", image,
                              *ours)
            qemu = build.microvm("-m", MEMORY_MIB, "-kernel", image, *qemu)
            figures = [(measure(ours), measure(qemu)) for _ in range(ROUNDS)]
            mine, theirs = (sorted(column)[ROUNDS // 2] for column in zip(*figures))
            print(json.dumps({
                "library": "reference-vmm", "case": case, "kib": mine,
                "reference": "qemu microvm", "reference_kib": theirs,
                "ratio": round(mine / theirs, 3)}), flush=True)


sys.exit(bench.main(memory))
