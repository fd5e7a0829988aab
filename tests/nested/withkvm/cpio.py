# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Write "newc" cpio archives, the form that Linux unpacks as an initramfs."""

import io
import os
import stat

# The kernel accepts further archives after the end of one, from the next
# multiple of four; a whole block keeps us clear of every other reader's rules.
BLOCK = 512


class Archive:
    """A tree in memory: paths are absolute, parents are made as needed."""

    def __init__(self):
        self._entries = {}

    def __contains__(self, path):
        return path in self._entries

    def directory(self, path, mode=0o755):
        path = os.path.normpath(path)
        if path == "/":
            return
        self._parents(path)
        self._entries.setdefault(path, (stat.S_IFDIR | mode, None, (0, 0)))

    def data(self, path, content, mode=0o644):
        """Add a regular file; content is bytes, or a str naming a file to read later."""
        path = os.path.normpath(path)
        self._parents(path)
        self._entries[path] = (stat.S_IFREG | mode, content, (0, 0))

    def file(self, path, host):
        """Add the host's regular file with its permissions."""
        self.data(path, host, stat.S_IMODE(os.stat(host).st_mode))

    def symlink(self, path, target):
        path = os.path.normpath(path)
        self._parents(path)
        self._entries[path] = (stat.S_IFLNK | 0o777, os.fsencode(target), (0, 0))

    def device(self, path, mode, major, minor):
        path = os.path.normpath(path)
        self._parents(path)
        self._entries[path] = (stat.S_IFCHR | mode, None, (major, minor))

    def _parents(self, path):
        parent = os.path.dirname(path)
        if parent != "/" and parent not in self._entries:
            self.directory(parent)

    def write(self, out):
        """Write the archive to the binary file out, parents before children."""
        written = 0
        for inode, path in enumerate(sorted(self._entries), start=1):
            mode, content, device = self._entries[path]
            if isinstance(content, str):
                with open(content, "rb") as source:
                    content = source.read()
            written += _entry(out, path[1:], inode, mode, content or b"", device)
        written += _entry(out, "TRAILER!!!", 0, 0, b"", (0, 0))
        out.write(b"\0" * (-written % BLOCK))


def _entry(out, name, inode, mode, content, device):
    raw = os.fsencode(name) + b"\0"
    fields = (inode, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(raw), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + raw
    head += b"\0" * (-len(head) % 4)
    out.write(head)
    out.write(content)
    padding = -len(content) % 4
    out.write(b"\0" * padding)
    return len(head) + len(content) + padding


def to_bytes(archive):
    out = io.BytesIO()
    archive.write(out)
    return out.getvalue()
