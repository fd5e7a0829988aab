# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Building for another architecture with libraries that the system does not have."""

import os
import pathlib
import shutil
import subprocess
import sys

from .errors import Failure
from .packages import locked
from .sysroot import Sysroot

TOP = pathlib.Path(__file__).resolve().parents[3]
MACHINES = {"aarch64": TOP / "tools/arm64.ini"}
TOOLS = {"aarch64": ("aarch64-linux-gnu-gcc", "qemu-system-aarch64")}


def why_not(arch):
    """Return what this machine lacks, or None."""
    missing = [tool for tool in TOOLS[arch] if not shutil.which(tool)]
    return f"no {missing[0]}: tools/deps arm64 installs it" if missing else None


class Build:
    """A build directory, configured once; what the tools say goes to standard error."""

    def __init__(self, arch, directory, options):
        self.directory = pathlib.Path(directory).resolve()
        self.directory.mkdir(parents=True, exist_ok=True)
        self.sysroot = Sysroot(arch).fill()
        with self._locked():
            if not (self.directory / "build.ninja").exists():
                _run(["meson", "setup", "--cross-file", MACHINES[arch],
                      "--cross-file", self._machine_file(), *options, self.directory, TOP])

    def compile(self, targets):
        with self._locked():
            _run(["ninja", "-C", self.directory, *targets])

    def _locked(self):
        return locked(self.directory.with_name(self.directory.name + ".lock"))

    def _machine_file(self):
        links = [f"-L{path}" for path in self.sysroot.libraries]
        links += [f"-Wl,-rpath-link,{path}" for path in self.sysroot.libraries]
        path = self.directory.with_name(self.directory.name + ".ini")
        path.write_text(f"""[binaries]
pkgconfig = 'pkg-config'
[properties]
sys_root = '{self.sysroot.tree}'
pkg_config_libdir = '{self.sysroot.pkg_config}'
[built-in options]
c_args = ['-isystem', '{self.sysroot.tree}/usr/include']
c_link_args = {links}
""", encoding="utf-8")
        return path


def _run(command):
    words = [str(word) for word in command]
    # Meant for the build of this machine.
    env = {name: value for name, value in os.environ.items()
           if name not in ("CC", "CXX", "CFLAGS", "LDFLAGS")}
    done = subprocess.run(words, check=False, env=env, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    if done.returncode != 0:
        sys.stderr.buffer.write(done.stdout[-8000:])
        raise Failure(f"failed: {' '.join(words[:3])}")
