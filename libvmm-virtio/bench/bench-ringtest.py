#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Cross-core ping-pong: Linux' ringtest with its own rings and with our device side.

    virtio-bench-ringtest    as Meson puts it into the build directory

The programs are those of Debian's linux-source package (tools/virtio/ringtest), run in
turns: `ring`, a format made for the purpose; `virtio_ring_0_9`, its split ring on both
sides; and the driver of the latter with our queue as the device. One operation is one
buffer there and back. Prints JSON as the other benches do; exits 77 when there is no
source or only one CPU.
"""
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

SOURCE = pathlib.Path("@SOURCE@")
BUILD = pathlib.Path("@BUILD@")
sys.path.insert(0, str(SOURCE / "libvmm-virtio/tests/linux-ring"))
import linux_source  # noqa: E402

ROUNDS = 9
# What ringtest is told: poll all the time, one at a time or as many as fit; or sleep and
# be woken, where what counts is how seldom that has to be.
CASES = {
    "poll.window256": ([], 2000000),
    "poll.one": (["--outstanding", "1"], 500000),
    "sleep.window256": (["--sleep"], 500000),
}


def measure(program, options, cycles, cpus):
    start = time.monotonic()
    subprocess.run([program, "--run-cycles", str(cycles), "--host-affinity", str(cpus[0]),
                    "--guest-affinity", str(cpus[1]), *options], check=True, timeout=120)
    return (time.monotonic() - start) * 1e9 / cycles


def main():
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        return 77
    try:
        source = linux_source.ensure_source()
    except (linux_source.Missing, linux_source.Failure) as error:
        print(f"virtio-bench-ringtest: {error}", file=sys.stderr)
        return 77
    with tempfile.TemporaryDirectory() as work:
        programs = linux_source.Compiler(BUILD, work).ringtest(source)
        for case, (options, cycles) in CASES.items():
            times = {name: [] for name in programs}
            for _ in range(ROUNDS):
                for name, program in programs.items():
                    times[name].append(measure(program, options, cycles, cpus))
            best = {name: min(values) for name, values in times.items()}
            for name in ("ring", "virtio_ring_0_9"):
                print(json.dumps({
                    "library": "virtio", "case": f"ringtest.{case}",
                    "ns_per_op": round(statistics.median(times["ours"]), 3),
                    "min_ns_per_op": round(best["ours"], 3),
                    "reference": f"linux {name}",
                    "ratio": round(best["ours"] / best[name], 3)}), flush=True)
    return 0


sys.exit(main())
