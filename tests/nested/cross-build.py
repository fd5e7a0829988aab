#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Build for another architecture, with libraries of Debian packages that the system does
not have: nothing is installed.

tests/nested/cross-build.py ARCH DIRECTORY [TARGET...]

Prints shell variables: where the build, the packages' libraries and some of their
programs are. Exit status 77 if this machine lacks what it takes, with the reason on
standard error.
"""
import os
import pathlib
import shlex
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.pycache_prefix = os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "libvmm", "python")

from withkvm import cross  # noqa: E402 (the path had to come first)
from withkvm.errors import Failure  # noqa: E402

OPTIONS = ("-Dtests=enabled", "-Dvmm=enabled", "-Dfdt=enabled", "-Dunpack=enabled",
           "-During=enabled", "-Dwerror=true", "-Dbuildtype=debugoptimized")


def main(arch, directory, *targets):
    if arch not in cross.MACHINES:
        sys.exit(f"cross-build: no cross build for {arch}")
    reason = cross.why_not(arch)
    if reason:
        print(f"cross-build: {reason}", file=sys.stderr)
        sys.exit(77)
    try:
        build = cross.Build(arch, directory, OPTIONS)
        build.compile(targets)
        found = {"build": build.directory,
                 "libraries": ":".join(map(str, build.sysroot.libraries))}
        for tool in ("mke2fs", "e2fsck"):
            found[tool] = build.sysroot.find(tool)
    except Failure as failure:
        sys.exit(f"cross-build: {failure}")
    for name, value in found.items():
        print(f"{name}={shlex.quote(str(value))}")


if len(sys.argv) < 3:
    sys.exit("usage: cross-build.py ARCH DIRECTORY [TARGET...]")
main(*sys.argv[1:])
