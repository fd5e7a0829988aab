# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""A guest of a few instructions: it writes MARK to the serial port and halts."""
import pathlib
import struct

import bench  # noqa: F401 (it says where the next one is)
import guests

MARK = "x"


def kernel(path):
    """Write it as an ELF kernel with a 64-bit and a PVH entry.

    The instructions mean the same in both modes.
    """
    code = guests.outb(guests.COM1, ord(MARK)) + guests.HANG
    note = struct.pack("<III4sI", 4, 4, 18, b"Xen\0", guests.LOAD)
    image = bytearray(guests.elf(code))
    struct.pack_into("<H", image, 56, 2)  # program headers
    struct.pack_into("<IIQQQQQQ", image, 64 + 56, 4, 4, 0x200, 0, 0, len(note), len(note), 4)
    image[0x200:0x200 + len(note)] = note
    pathlib.Path(path).write_bytes(image)
    return path
