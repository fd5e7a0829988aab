#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Each test that tests/README.md names exists and is run.

A name is written `file: name`. It must be a function of tests/test-<file>.c, be in the
list of tests of that file, and the file must be in meson.build. `fuzz: name` is a fuzz
target with a corpus.
"""
import pathlib
import re
import sys

TESTS = pathlib.Path(__file__).resolve().parent
LIBRARY = TESTS.parent


def listed(build, variable):
    m = re.search(rf"^{variable} = \[(.*?)\]", build, flags=re.S | re.M)
    return set(re.findall(r"'([^']+)'", m.group(1))) if m else set()


def main():
    build = (LIBRARY / "meson.build").read_text("utf-8")
    files = listed(build, "unit_tests") | listed(build, "api_tests")
    fuzzers = listed(build, "fuzzers")
    text = (TESTS / "README.md").read_text("utf-8")
    names = re.findall(r"`([a-z0-9-]+): ([a-z0-9_]+)`", text)
    bad = []
    for file, name in names:
        if file == "fuzz":
            corpus = LIBRARY / "fuzz" / "corpus" / name
            if name not in fuzzers or not any(corpus.iterdir()):
                bad.append(f"fuzz: {name}: no such fuzz target")
            continue
        source = TESTS / f"test-{file}.c"
        if file not in files or not source.exists():
            bad.append(f"{file}: {name}: no such test program")
            continue
        code = source.read_text("utf-8")
        if not re.search(rf"^static void {name}\(void \*\*state\)$", code, flags=re.M):
            bad.append(f"{file}: {name}: no such test")
        elif not re.search(rf"cmocka_unit_test\(\s*{name}\),", code):
            bad.append(f"{file}: {name}: never run")
    print(f"{len(set(names))} tests named", *bad, sep="\n")
    sys.exit(bool(bad) or not names)


main()
