#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Compare the probes in a library with those that the documentation lists.

  tests/test-probes.py PAGE PROVIDER LIBRARY enabled|disabled

Each probe is a note in the section .note.stapsdt: where it is, a provider, a name and
the places of its arguments. The page has a table with a row for each, which begins with
| `provider:name` | `argument`, ... |. Disabled, the library has no probe at all.
"""
import pathlib
import re
import struct
import sys

NOTE_TYPE = 3
SHF_EXECINSTR = 4
X86_64 = 62
NOP = b"\x90"


class Elf:
    """The sections of an ELF file of either width and either byte order."""

    def __init__(self, data):
        if data[:4] != b"\x7fELF":
            sys.exit("not an ELF file")
        self.data = data
        self.wide = data[4] == 2
        self.order = "<" if data[5] == 1 else ">"
        self.machine = self.unpack("H", 18)[0]
        at = self.unpack("Q", 0x28)[0] if self.wide else self.unpack("I", 0x20)[0]
        size, count, names = self.unpack("HHH", 0x3A if self.wide else 0x2E)
        layout = "IIQQQQ" if self.wide else "IIIIII"
        headers = [self.unpack(layout, at + i * size) for i in range(count)]
        strings = headers[names][4]
        self.sections = {}
        for name, _, flags, address, offset, length in headers:
            end = data.index(b"\0", strings + name)
            self.sections[data[strings + name:end].decode()] = (flags, address, offset, length)

    def unpack(self, layout, offset):
        return struct.unpack_from(self.order + layout, self.data, offset)

    def code_at(self, address):
        """The byte of the program at an address, or None if it is not in its code."""
        for flags, start, offset, length in self.sections.values():
            if flags & SHF_EXECINSTR and start <= address < start + length:
                return self.data[offset + address - start:][:1]
        return None


def notes(elf):
    """Yield (address, semaphore, provider, name, arguments) of each probe."""
    if ".note.stapsdt" not in elf.sections:
        return
    _, _, at, length = elf.sections[".note.stapsdt"]
    end = at + length
    layout = "QQQ" if elf.wide else "III"
    while at < end:
        name_size, size, kind = elf.unpack("III", at)
        owner = elf.data[at + 12:at + 12 + name_size].rstrip(b"\0").decode()
        at += 12 + (name_size + 3) // 4 * 4
        if owner == "stapsdt" and kind == NOTE_TYPE:
            address, _, semaphore = elf.unpack(layout, at)
            text = elf.data[at + struct.calcsize("<" + layout):at + size]
            provider, name, arguments = text.split(b"\0")[:3]
            yield (address, semaphore, provider.decode(), name.decode(),
                   arguments.decode().split())
        at += (size + 3) // 4 * 4


def documented(page, provider):
    """Number of arguments by name, as the page has it."""
    found = {}
    for row in re.finditer(r"^\| `(\w+):(\w+)` \| ([^|]*) \|", page, flags=re.M):
        if row.group(1) == provider:
            if row.group(2) in found:
                sys.exit(f"{provider}:{row.group(2)} is listed twice")
            found[row.group(2)] = len(re.findall(r"`\w+`", row.group(3)))
    return found


def check(elf, probes, wanted):
    """Yield what is wrong."""
    for name in sorted(set(wanted) - {probe[3] for probe in probes}):
        yield f"{name} is listed and not there"
    for address, semaphore, _, name, arguments in probes:
        if name not in wanted:
            yield f"{name} is not listed"
        elif len(arguments) != wanted[name]:
            yield f"{name} has {len(arguments)} arguments at {address:#x}, " \
                  f"listed are {wanted[name]}"
        code = elf.code_at(address)
        if code is None or (elf.machine == X86_64 and code != NOP):
            yield f"{name}: no instruction that does nothing at {address:#x}"
        if semaphore != 0:
            yield f"{name} has to be switched on"


def main():
    if len(sys.argv) != 5 or sys.argv[4] not in ("enabled", "disabled"):
        sys.exit(__doc__)
    page, provider, library, state = sys.argv[1:]
    elf = Elf(pathlib.Path(library).read_bytes())
    probes = list(notes(elf))
    wanted = documented(pathlib.Path(page).read_text(encoding="utf-8"), provider)
    wrong = [f"a probe of {probe[2]}" for probe in probes if probe[2] != provider]
    if not wanted:
        wrong.append("the page lists none")
    wrong += check(elf, probes, wanted) if state == "enabled" else \
        [f"{probe[3]} is there, although probes are disabled" for probe in probes]
    for line in wrong:
        print(f"{provider}: {line}")
    print(f"{provider}: {len(probes)} places, {len({probe[3] for probe in probes})} probes")
    sys.exit(1 if wrong else 0)


main()
