# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Run functions as TAP sub-tests, each with a directory of its own."""
import pathlib
import sys
import tempfile
import traceback


class Skip(Exception):
    """The machine lacks what this test needs; the text says what."""


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def equal(got, want, what):
    check(got == want, f"{what}: got {got!r}, want {want!r}")


def contains(text, part, what):
    check(part in text, f"{what}: {part!r} is not in {text!r}")


def run(tests, skip_all=None):
    """Run them in order; exit status 1 if one failed."""
    if skip_all:
        print(f"1..0 # SKIP {skip_all}")
        sys.exit(0)
    print(f"1..{len(tests)}", flush=True)
    failed = False
    for number, test in enumerate(tests, 1):
        name = test.__name__
        with tempfile.TemporaryDirectory() as directory:
            try:
                test(pathlib.Path(directory))
                print(f"ok {number} - {name}", flush=True)
            except Skip as reason:
                print(f"ok {number} - {name} # SKIP {reason}", flush=True)
            except Exception:  # pylint: disable=broad-except
                failed = True
                for line in traceback.format_exc().splitlines():
                    print(f"# {line}")
                print(f"not ok {number} - {name}", flush=True)
    sys.exit(1 if failed else 0)
