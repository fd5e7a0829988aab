# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""A few files of Debian's linux-source package, unpacked into the cache and compiled
there; never installed, never part of this tree."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent.parent
sys.path.insert(0, str(TOP / "tests" / "nested"))

from withkvm.errors import Failure  # noqa: E402
from withkvm.packages import Apt, cache_root, locked, make_directory  # noqa: E402

WANTED = ["drivers/virtio/virtio_ring.c", "tools/virtio/ringtest/*", "include/linux/ptr_ring.h"]
# Headers that virtio_ring.c includes and that user space has no like of.
SHIMMED = ["linux/virtio", "linux/device", "linux/slab", "linux/module", "linux/hrtimer",
           "linux/dma-mapping", "linux/kmsan", "linux/spinlock", "xen/xen"]


class Missing(Exception):
    """There is no way to get at the source on this machine."""


def run(*command, **kwargs):
    done = subprocess.run([str(c) for c in command], check=False, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, **kwargs)
    if done.returncode != 0:
        raise Failure(f"{command[0]} failed: {done.stdout[-2000:]}")
    return done.stdout


def ensure_source():
    """Return the directory with the files; fetch the package if it is not there."""
    for tool in ("apt-get", "apt-cache", "dpkg-deb", "tar", "xz"):
        if not shutil.which(tool):
            raise Missing(f"no {tool}")
    directory = pathlib.Path(make_directory(os.path.join(cache_root(), "linux-source")))
    with locked(directory / "lock"):
        ready = directory / "tree"
        if not (ready / WANTED[0]).exists():
            fill(directory, ready)
        return ready


def fill(directory, ready):
    arch = run("dpkg", "--print-architecture").strip()
    for private in (None, os.path.join(directory, "apt")):
        apt = Apt(arch, private)
        if private:
            apt.update()
        depends = apt.field("linux-source", "Depends") or ""
        package = re.search(r"linux-source-[0-9.]+", depends)
        if package:
            break
    else:
        raise Missing("apt knows no linux-source")
    with tempfile.TemporaryDirectory(dir=directory) as work:
        print(f"# fetching {package[0]} into {directory}", flush=True)
        archive = apt.download(package[0], work)
        if not archive:
            raise Missing(f"{package[0]} cannot be fetched")
        run("dpkg-deb", "-x", archive, f"{work}/package")
        tar = next(pathlib.Path(work, "package/usr/src").glob("linux-source-*.tar.*"))
        made = pathlib.Path(work, "tree")
        made.mkdir()
        run("tar", "-C", made, "--strip-components=1", "--wildcards", "-xf", tar,
            *(f"*/{name}" for name in WANTED))
        shutil.rmtree(ready, ignore_errors=True)
        os.rename(made, ready)


class Compiler:
    """Compiles against the libraries of a Meson build directory."""

    def __init__(self, build, work):
        self.build = pathlib.Path(build).resolve()
        self.work = pathlib.Path(work)
        self.flags = ["-O2", "-D_GNU_SOURCE", "-pthread",
                      *(f"-I{TOP / part}/include"
                        for part in ("vmm-base", "libvmm-memory", "libvmm-virtio"))]
        self.libraries = [f"-L{self.build}", f"-Wl,-rpath,{self.build}", "-lvmm-virtio",
                          "-lvmm-memory", "-pthread"]

    def ring(self, source):
        """The oracle: Linux' driver, shims, and our program."""
        headers = self.work / "headers"
        for name in SHIMMED:
            path = headers / f"{name}.h"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text('#include "shim.h"\n', "utf-8")
        run("cc", *self.flags, "-w", "-fno-strict-aliasing", f"-I{headers}", f"-I{HERE}", "-c",
            source / WANTED[0], "-o", self.work / "virtio_ring.o")
        run("cc", *self.flags, f"-I{HERE}", HERE / "linux-ring.c",
            self.work / "virtio_ring.o", "-o", self.work / "linux-ring", *self.libraries)
        return self.work / "linux-ring"

    def ringtest(self, source):
        """Linux' ringtest: with its own rings, and with our device side."""
        directory = source / "tools/virtio/ringtest"
        programs = {}
        for name, code in {"ring": directory / "ring.c",
                           "virtio_ring_0_9": directory / "virtio_ring_0_9.c",
                           "ours": HERE / "ringtest.c"}.items():
            programs[name] = self.work / f"ringtest-{name}"
            run("cc", *self.flags, "-w", f"-I{directory}", code, directory / "main.c",
                "-o", programs[name], *self.libraries)
        return programs
