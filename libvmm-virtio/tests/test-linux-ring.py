#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Linux' driver side of a virtqueue against our device side.

    test-linux-ring.py BUILD [COUNT]

Compiles drivers/virtio/virtio_ring.c of Debian's linux-source package as a part of
linux-ring/linux-ring.c and runs COUNT buffers (default 300000) through each combination
of packed, EVENT_IDX, INDIRECT_DESC and IN_ORDER. Prints TAP.
"""
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "linux-ring"))
import linux_source  # noqa: E402


def main():
    count = sys.argv[2] if len(sys.argv) > 2 else "300000"
    try:
        source = linux_source.ensure_source()
    except (linux_source.Missing, linux_source.Failure) as error:
        print(f"1..0 # SKIP {error}")
        return 0
    with tempfile.TemporaryDirectory() as work:
        program = linux_source.Compiler(sys.argv[1], work).ring(source)
        return subprocess.run([program, count], check=False).returncode


sys.exit(main())
