#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Build for another architecture, with libraries of Debian packages that the system does
not have: nothing is installed.

tests/nested/cross-build.py ARCH DIRECTORY [TARGET...]

Prints shell variables: where the build, the packages and their libraries are. Exit
status 77 if this machine lacks what it takes, with the reason on standard error.
"""
import os
import pathlib
import shlex
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
sys.path.insert(0, str(HERE))
sys.pycache_prefix = os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "libvmm", "python")

from withkvm.errors import Failure  # noqa: E402 (the path had to come first)
from withkvm.sysroot import Sysroot  # noqa: E402

MACHINES = {"aarch64": "arm64.ini"}
OPTIONS = ("-Dtests=enabled", "-Dvmm=enabled", "-Dfdt=enabled", "-Dunpack=enabled",
           "-During=enabled", "-Dwerror=true", "-Dbuildtype=debugoptimized")
TOOLS = {"aarch64": ("aarch64-linux-gnu-gcc", "qemu-system-aarch64")}


def why_not(arch):
    missing = [tool for tool in TOOLS[arch] if not shutil.which(tool)]
    return f"no {missing[0]}: tools/deps arm64 installs it" if missing else None


def build(arch, directory, targets, options=()):
    """Configure once, build; return the sysroot. The output is on standard error."""
    sysroot = Sysroot(arch).fill()
    directory.mkdir(parents=True, exist_ok=True)
    machine = directory.with_name(directory.name + "-packages.ini")
    links = [f"-L{path}" for path in sysroot.libraries]
    links += [f"-Wl,-rpath-link,{path}" for path in sysroot.libraries]
    machine.write_text(f"""[binaries]
pkgconfig = 'pkg-config'
[properties]
sys_root = '{sysroot.tree}'
pkg_config_libdir = '{sysroot.pkg_config}'
[built-in options]
c_args = ['-isystem', '{sysroot.tree}/usr/include']
c_link_args = {links}
""", encoding="utf-8")
    env = {name: value for name, value in os.environ.items()
           if name not in ("CC", "CXX", "CFLAGS", "LDFLAGS")}
    if not (directory / "build.ninja").exists():
        run(["meson", "setup", "--cross-file", TOP / "tools" / MACHINES[arch],
             "--cross-file", machine, *options, directory, TOP], env)
    run(["ninja", "-C", directory, *targets], env)
    return sysroot


def run(command, env):
    words = [str(word) for word in command]
    done = subprocess.run(words, check=False, env=env, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    if done.returncode != 0:
        sys.stderr.buffer.write(done.stdout[-8000:])
        raise Failure(f"failed: {' '.join(words[:3])}")


def main(arch, directory, *targets):
    if arch not in MACHINES:
        sys.exit(f"cross-build: no cross build for {arch}")
    reason = why_not(arch)
    if reason:
        print(f"cross-build: {reason}", file=sys.stderr)
        sys.exit(77)
    directory = pathlib.Path(directory).resolve()
    try:
        sysroot = build(arch, directory, targets, OPTIONS)
    except Failure as failure:
        sys.exit(f"cross-build: {failure}")
    libraries = ":".join(str(path) for path in sysroot.libraries)
    print(f"build={shlex.quote(str(directory))}")
    print(f"libraries={shlex.quote(libraries)}")
    for tool in ("mke2fs", "e2fsck"):
        print(f"{tool}={shlex.quote(str(sysroot.find(tool)))}")


if __name__ == "__main__":
    main(*sys.argv[1:])
