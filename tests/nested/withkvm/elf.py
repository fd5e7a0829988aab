# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Which shared libraries an ELF file needs, found as ld.so(8) finds them."""

import functools
import glob
import os
import struct

MACHINES = {62: "x86_64", 183: "aarch64"}
MULTIARCH = {"x86_64": "x86_64-linux-gnu", "aarch64": "aarch64-linux-gnu"}

PT_LOAD, PT_DYNAMIC, PT_INTERP = 1, 2, 3
DT_NEEDED, DT_STRTAB, DT_RPATH, DT_RUNPATH = 1, 5, 15, 29


class Elf:
    """The parts of a 64-bit little-endian ELF file that its loading depends on."""

    def __init__(self, content):
        self.machine = MACHINES.get(struct.unpack_from("<H", content, 18)[0])
        self.interpreter = None
        self.needed, self.rpath, self.runpath = [], [], []
        if content[4:6] != b"\x02\x01":
            self.machine = None
        if self.machine:
            self._read_segments(content)

    def _read_segments(self, content):
        offset, = struct.unpack_from("<Q", content, 32)
        size, count = struct.unpack_from("<HH", content, 54)
        loads, dynamic = [], None
        for index in range(count):
            kind, _, start, address, _, length = struct.unpack_from(
                "<IIQQQQ", content, offset + index * size)
            if kind == PT_LOAD:
                loads.append((address, start, length))
            elif kind == PT_DYNAMIC:
                dynamic = (start, length)
            elif kind == PT_INTERP:
                self.interpreter = _text(content, start)
        if dynamic:
            self._read_dynamic(content, dynamic, loads)

    def _read_dynamic(self, content, dynamic, loads):
        start, length = dynamic
        entries = list(struct.iter_unpack("<qQ", content[start:start + length // 16 * 16]))
        address = dict(entries).get(DT_STRTAB, 0)
        strings = next((address - at + offset for at, offset, size in loads
                        if at <= address < at + size), None)
        if strings is None:
            return
        for tag, value in entries:
            if tag == DT_NEEDED:
                self.needed.append(_text(content, strings + value))
            elif tag == DT_RPATH:
                self.rpath = _text(content, strings + value).split(":")
            elif tag == DT_RUNPATH:
                self.runpath = _text(content, strings + value).split(":")


def _text(content, start):
    return os.fsdecode(content[start:content.index(b"\0", start)])


@functools.cache
def read(path):
    """Return the Elf of a file, or None if it is something else."""
    with open(path, "rb") as file:
        if file.read(4) != b"\x7fELF":
            return None
        file.seek(0)
        content = file.read()
    try:
        return Elf(content)
    except (struct.error, ValueError):
        return None


class Libraries:
    """Find the libraries of programs of one architecture on this machine."""

    def __init__(self, arch, native):
        self._arch = arch
        multiarch = MULTIARCH[arch]
        # Where a cross compiler's libraries are; in the nested machine they
        # are where that architecture's own loader looks.
        self._sysroot = None if native else f"/usr/{multiarch}"
        self._defaults = [f"/lib/{multiarch}", f"/usr/lib/{multiarch}",
                          "/lib64", "/usr/lib64"]
        if native:
            self._defaults = _configured() + self._defaults + ["/lib", "/usr/lib"]
        else:
            self._defaults.append(f"{self._sysroot}/lib")
        self._user = [d or "." for d in
                      os.environ.get("LD_LIBRARY_PATH", "").replace(";", ":").split(":")
                      if os.environ.get("LD_LIBRARY_PATH")]

    def guest_path(self, path):
        if self._sysroot and path.startswith(self._sysroot + "/"):
            return path[len(self._sysroot):]
        return path

    def interpreter(self, path):
        """Return the host's copy of the loader that a program names."""
        if self._sysroot and os.path.exists(self._sysroot + path):
            return self._sysroot + path
        return path

    def closure(self, path, elf):
        """Return the host paths of all libraries that a file brings in.

        What is not found is left to the real loader to report.
        """
        found, loaded = [], set()
        queue = [(path, elf, [])]
        while queue:
            where, one, inherited = queue.pop(0)
            chain = [] if one.runpath else self._expand(one.rpath, where) + inherited
            for name in one.needed:
                if name in loaded:
                    continue
                loaded.add(name)
                library = self._find(name, where, one, chain)
                if library and library not in found:
                    found.append(library)
                    queue.append((library, read(library), chain))
        return found

    def _find(self, name, where, elf, chain):
        if "/" in name:
            places = [os.path.dirname(name)]
        else:
            places = [*chain, *self._user, *self._expand(elf.runpath, where),
                      *self._defaults]
        for place in places:
            path = os.path.abspath(os.path.join(place, os.path.basename(name)))
            if os.path.isfile(path) and self._fits(path):
                return path
        return None

    def _fits(self, path):
        """The loader passes over libraries of other architectures, so do we."""
        elf = read(path)
        return elf is not None and elf.machine == self._arch

    def _expand(self, places, where):
        values = {"ORIGIN": os.path.dirname(os.path.realpath(where)),
                  "LIB": f"lib/{MULTIARCH[self._arch]}"}
        for name, value in values.items():
            places = [place.replace(f"${name}", value).replace(f"${{{name}}}", value)
                      for place in places]
        return [place for place in places if place]


@functools.cache
def _configured(path="/etc/ld.so.conf"):
    """The directories that ldconfig indexes, in its order."""
    places = []
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.split("#")[0].split() for line in file]
    except OSError:
        return places
    for words in filter(None, lines):
        if words[0] == "include":
            for pattern in words[1:]:
                for name in sorted(glob.glob(os.path.join(os.path.dirname(path), pattern))):
                    places += _configured(name)
        else:
            places.append(words[0])
    return places
