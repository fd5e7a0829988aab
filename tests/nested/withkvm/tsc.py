# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""The rate of this machine's time stamp counter, which is also the nested one's.

A microvm has no timer to measure the counter by but one that a busy host
disturbs so much that the kernel gives up, and then hangs: it must be told.
"""

import ctypes
import mmap
import platform
import time

# rdtsc; shl rdx, 32; or rax, rdx; ret
READ_COUNTER = bytes.fromhex("0f31 48c1e220 4809d0 c3")
INTERVAL = 0.02


class Rate:
    """Measures from its making to the first khz(), work done in between is no loss."""

    def __init__(self):
        self._read = None
        if platform.machine() != "x86_64":
            return
        try:
            code = mmap.mmap(-1, mmap.PAGESIZE,
                             prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        except OSError:
            return  # a hardened system; the kernel then measures for itself
        code.write(READ_COUNTER)
        address = ctypes.addressof(ctypes.c_char.from_buffer(code))
        self._code = code
        self._read = ctypes.CFUNCTYPE(ctypes.c_uint64)(address)
        self._start = self._sample()

    def khz(self):
        """Return the rate, or None where it cannot be known."""
        if not self._read:
            return None
        left = self._start[0] + int(INTERVAL * 1e9) - time.monotonic_ns()
        time.sleep(max(0, left / 1e9))
        end = self._sample()
        return round((end[1] - self._start[1]) * 1e6 / (end[0] - self._start[0]))

    def _sample(self):
        """One time and the counter at it; the best of a few, one may be interrupted."""
        samples = []
        for _ in range(8):
            before = time.monotonic_ns()
            counter = self._read()
            after = time.monotonic_ns()
            samples.append((after - before, after, counter))
        return min(samples)[1:]
