#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""The work of tools/test: configure, build, run, count.

Meson runs the tests; its JUnit report names each one, those inside a TAP program
included, and that is what is counted here.
"""
import argparse
import dataclasses
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ET

TOP = pathlib.Path(__file__).resolve().parent.parent
SUITES = ["unit", "api", "doc", "fuzz", "style", "kvm", "system"]
LIBRARIES = ["memory", "kvm", "loader", "virtio", "event", "superio", "allocator", "device"]
GROUPS = LIBRARIES + ["base", "vmm", "tools"]


@dataclasses.dataclass
class Build:
    """One way to compile the tree, and what is worth running in it."""
    name: str
    compiler: str
    options: list
    suites: list
    groups: list
    env: dict


BUILDS = [
    Build("gcc", "gcc", ["--buildtype=debugoptimized"], SUITES, GROUPS, {}),
    Build("asan", "clang",
          ["--buildtype=custom", "-Doptimization=1", "-Ddebug=true", "-Db_lundef=false",
           "-Db_sanitize=address,undefined"],
          ["unit", "api", "doc", "fuzz", "kvm"], GROUPS,
          {"ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_string_checks=1",
           "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}),
    Build("tsan", "clang",
          ["--buildtype=custom", "-Doptimization=1", "-Ddebug=true", "-Db_lundef=false",
           "-Db_sanitize=thread"],
          ["unit", "api", "kvm"], ["memory", "kvm", "event", "device", "virtio", "vmm"],
          {"TSAN_OPTIONS": "halt_on_error=1"}),
]


def say(text):
    print(text, flush=True)


def run(command, **kwargs):
    return subprocess.run([str(part) for part in command], check=False, **kwargs)


def quiet(command, env, what):
    """Run a build step; its output matters only when it fails."""
    done = run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        say("\n".join(done.stdout.splitlines()[-60:]))
        sys.exit(f"tools/test: {what} failed")


def configure(build, env):
    directory = TOP / "build" / build.name
    options = ["-Dwerror=true", "-Dtests=enabled", "-Dvmm=enabled", "-Dfdt=enabled",
               "-Dunpack=enabled", "-Dusdt=enabled", *build.options]
    # Set up anew, not by "meson configure": that knows no option younger than the directory.
    again = ["--reconfigure"] if (directory / "build.ninja").exists() else []
    quiet(["meson", "setup", *again, directory, TOP, *options], env, f"configuring {build.name}")
    quiet(["ninja", "-C", directory], env, f"building {build.name}")
    return directory


def chosen_tests(directory, build, suites, groups):
    listing = run(["meson", "introspect", "--tests", directory], stdout=subprocess.PIPE)
    priorities = {}
    for test in json.loads(listing.stdout):
        tags = {s.split(":")[-1] for s in test["suite"]}
        if tags & set(suites) & set(build.suites) and tags & set(groups) & set(build.groups):
            priorities[test["name"]] = test["priority"]
    # Meson takes named tests in the order they are named: the long ones first, so that the
    # rest fits beside them.
    return sorted(priorities, key=lambda name: (-priorities[name], name))


def first_line(element):
    text = (element.get("message") or "") + " " + (element.text or "")
    return " ".join(text.split())[:160]


def count(report, build):
    """Count one JUnit report; say what failed, and why something was skipped."""
    passed = failed = skipped = 0
    for suite in ET.parse(report).getroot().iter("testsuite"):
        output = suite.find("system-out")
        reasons = {}
        if output is not None and output.text:
            for match in re.finditer(r"^ok (\d+).*# SKIP(.*)$", output.text, flags=re.M):
                reasons[match.group(1)] = match.group(2).strip()
        for case in suite.findall("testcase"):
            name = case.get("name").split(" / ")[-1]
            inside = case.get("classname", "").split(" / ")
            if len(inside) > 1:
                name = f"{inside[-1]}: {name}"
            if case.find("failure") is not None or case.find("error") is not None:
                failed += 1
                say(f"FAILED  {build}  {name}")
            elif case.find("skipped") is not None:
                skipped += 1
                number = case.get("name").split(" - ")[0]
                reason = reasons.get(number) or first_line(case.find("skipped"))
                say(f"skipped {build}  {name}  {reason}")
            else:
                passed += 1
    return passed, failed, skipped


def run_tests(directory, build, names, env):
    report = directory / "meson-logs" / "testlog.junit.xml"
    report.unlink(missing_ok=True)
    start = time.monotonic()
    done = run(["meson", "test", "-C", directory, "--no-rebuild", "--num-processes", "2",
                "--print-errorlogs", *names],
               env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if not report.exists():
        say(done.stdout[-4000:])
        return 0, 1, 0
    passed, failed, skipped = count(report, build.name)
    if failed or done.returncode != 0:
        log = directory / "failed.log"
        log.write_text(done.stdout)
        say("\n".join(done.stdout.splitlines()[-150:]))
        # A program that died after its last sub-test failed without a failed sub-test.
        failed = max(failed, 1)
    say(f"{build.name}: {passed} passed, {failed} failed, {skipped} skipped "
        f"in {time.monotonic() - start:.0f} s")
    return passed, failed, skipped


def main():
    parser = argparse.ArgumentParser(prog="tools/test")
    parser.add_argument("--suite", action="append", choices=SUITES, metavar="S")
    parser.add_argument("library", nargs="*", metavar="LIBRARY")
    args = parser.parse_args()
    for name in args.library:
        if name not in GROUPS:
            parser.error(f"no library '{name}' ({', '.join(GROUPS)})")
    suites = args.suite or SUITES
    groups = args.library or GROUPS

    totals = [0, 0, 0]
    ran = 0
    for build in BUILDS:
        if not set(suites) & set(build.suites) or not set(groups) & set(build.groups):
            continue
        env = dict(os.environ, CC=build.compiler, **build.env)
        if build.compiler == "clang":
            env["CXX"] = "clang++"
        say(f"{build.name}: building")
        directory = configure(build, env)
        names = chosen_tests(directory, build, suites, groups)
        if not names:
            continue
        ran += len(names)
        for i, n in enumerate(run_tests(directory, build, names, env)):
            totals[i] += n
    if ran == 0:
        sys.exit("tools/test: nothing to run")
    say(f"{totals[0]} passed, {totals[1]} failed, {totals[2]} skipped")
    sys.exit(1 if totals[1] else 0)


main()
