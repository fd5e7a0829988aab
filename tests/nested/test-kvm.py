#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Run libvmm-kvm's tests on a KVM with hardware virtualisation: in a nested machine.

tests/nested/test-kvm.py x86_64 BUILD     the tests of a build for this machine
tests/nested/test-kvm.py aarch64 BUILD    cross-built in BUILD/arm64, unit tests as well

Prints TAP: every test of every program, or why none could run.
"""
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.pycache_prefix = os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "libvmm", "python")

from withkvm import cross  # noqa: E402 (the path had to come first)
from withkvm.errors import Failure  # noqa: E402

TIMEOUT = 240


def skip_all(reason):
    print(f"1..0 # SKIP {reason}")
    sys.exit(0)


def cross_build(build):
    """Build the tests for arm64; return them and where their libraries are."""
    reason = cross.why_not("aarch64")
    if reason:
        skip_all(reason)
    try:
        made = cross.Build("aarch64", build / "arm64",
                           ("-Dlibs=kvm", "-Dvmm=disabled", "-Dtests=enabled",
                            "-Dbuildtype=debug"))
        programs = tests_of(made.directory, True)
        made.compile([path.name for path in programs])
    except Failure as failure:
        print(f"Bail out! {failure}")
        sys.exit(1)
    return programs, ":".join(map(str, made.sysroot.libraries))


def tests_of(directory, with_units):
    """Programs that see /dev/kvm themselves, and those on a fake kernel if wanted."""
    listing = subprocess.run(["meson", "introspect", "--tests", directory], check=True,
                             stdout=subprocess.PIPE)
    paths = []
    for test in json.loads(listing.stdout):
        tags = {suite.split(":")[-1] for suite in test["suite"]}
        if test["protocol"] == "tap" and test["name"].startswith("kvm-") \
                and "api" not in tags and (with_units or "unit" not in tags):
            paths.append(pathlib.Path(test["cmd"][0]))
    return sorted(set(paths))


def run_nested(arch, programs, libraries):
    env = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="TAP")
    if libraries:
        env["LD_LIBRARY_PATH"] = libraries
    loop = "; ".join(f"echo '@ {p.name}'; {shlex.quote(str(p))} || echo '@ failed'"
                     for p in programs)
    command = [HERE / "with-kvm", "--nested", "--arch", arch, "--cpus", "1",
               "--timeout", TIMEOUT]
    for program in programs:
        command += ["--file", program]
    return subprocess.run([str(part) for part in [*command, "--", "sh", "-c", loop]],
                          check=False, text=True, env=env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def report(done, programs):
    """One TAP stream of those of all programs."""
    number = failed = 0
    seen = []
    bad = False
    for line in done.stdout.splitlines():
        found = re.match(r"(not ok|ok) \d+ - (.*)", line)
        if line.startswith("@ failed"):
            bad = True
        elif line.startswith("@ "):
            seen.append(line[2:])
        elif found:
            number += 1
            failed += found[1] != "ok"
            print(f"{found[1]} {number} - {seen[-1]}: {found[2]}")
        elif re.match(r"1\.\.0 # SKIP", line):
            number += 1
            print(f"ok {number} - {seen[-1]} {line[5:]}")
        elif not line.startswith(("1..", "# ok", "# not ok")):
            print(f"# {line}")
    number += 1
    complete = done.returncode == 0 and len(seen) == len(programs) and not (
        bad and not failed)
    print(f"{'ok' if complete else 'not ok'} {number} - every program came to its end")
    print(f"1..{number}")
    if not complete or failed:
        print(done.stderr[-4000:], file=sys.stderr)
    sys.exit(0 if complete and not failed else 1)


def main():
    arch, build = sys.argv[1], pathlib.Path(sys.argv[2]).resolve()
    if arch == "x86_64" and not shutil.which("qemu-system-x86_64"):
        skip_all("no qemu-system-x86_64: tools/deps nested installs it")
    if arch == "aarch64":
        programs, libraries = cross_build(build)
    else:
        programs, libraries = tests_of(build, False), None
    report(run_nested(arch, programs, libraries), programs)


main()
