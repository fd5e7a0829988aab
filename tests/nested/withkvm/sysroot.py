# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Debian packages of another architecture, unpacked: what a cross build links with."""

import hashlib
import os
import pathlib
import shutil
import tempfile

from .errors import Failure
from .packages import UNFINISHED, Packages, locked

MULTIARCH = {"aarch64": "aarch64-linux-gnu", "x86_64": "x86_64-linux-gnu"}

# Of the build: what the libraries and the program link with, and the tests' frame. Of
# the tests of guests: tools that look at a disk image where the guest ran.
NAMES = ("libcmocka0", "libcmocka-dev", "libjansson4", "libjansson-dev", "libfdt1",
         "libfdt-dev", "liburing2", "liburing-dev", "zlib1g", "zlib1g-dev", "liblzma5",
         "liblzma-dev", "libzstd1", "libzstd-dev", "liblz4-1", "liblz4-dev",
         "e2fsprogs", "libext2fs2", "libcom-err2", "libblkid1", "libuuid1", "libss2")


class Sysroot(Packages):
    """The tree of those packages, in the cache beside the nested machine's."""

    def __init__(self, arch):
        super().__init__(arch)
        self._triplet = MULTIARCH[arch]
        digest = hashlib.sha256(" ".join(NAMES).encode()).hexdigest()[:16]
        self._tree = pathlib.Path(self.directory) / f"sysroot-{digest}"

    @property
    def tree(self):
        return self._tree

    @property
    def libraries(self):
        """Directories for LD_LIBRARY_PATH."""
        return [self._tree / "usr/lib" / self._triplet, self._tree / "lib" / self._triplet]

    @property
    def pkg_config(self):
        return self._tree / "usr/lib" / self._triplet / "pkgconfig"

    def find(self, name):
        """Return the path of a program."""
        for place in ("usr/bin", "usr/sbin", "bin", "sbin"):
            if (self._tree / place / name).exists():
                return self._tree / place / name
        raise Failure(f"{name} is not in {self._tree}")

    def fill(self):
        """Unpack the packages; a tree that is there is only read."""
        self.ensure()
        with locked(os.path.join(self.directory, "lock")):
            if not self._tree.exists():
                self._unpack_all()
        return self

    def _unpack_all(self):
        for apt in self._apts(False):
            if all(apt.field(name, "Version") for name in NAMES):
                break
        else:
            raise Failure(f"apt-get does not know all of: {' '.join(NAMES)}")
        with tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=self.directory) as work:
            tree = pathlib.Path(work) / "tree"
            for name in NAMES:
                unpacked = self._fetch(apt, name)
                if not unpacked:
                    raise Failure(f"apt-get could not provide {name} for {self._arch}")
                source = os.path.join(self.directory, unpacked)
                shutil.copytree(source, tree, symlinks=True, dirs_exist_ok=True)
                shutil.rmtree(source)
            os.rename(tree, self._tree)
