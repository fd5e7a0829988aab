#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""tests/README.md has a row for everything that it must have, and each test that it
names exists, is run, and passes.

A name is written `file: name`. It must be a function of tests/test-<file>.c, be in the
list of tests of that file, and the file must be in meson.build. `fuzz: name` is a fuzz
target with a corpus, `system: name` a script tests/test-<name>.py. Where the programs are
in the current directory, as when Meson runs this, they are run, and what they say counts.
If the only fault is that some were skipped, as where not root runs them, so is this.
"""
import os
import pathlib
import re
import subprocess
import sys

TESTS = pathlib.Path(__file__).resolve().parent
LIBRARY = TESTS.parent

HOSTILE = [f"HG-{n:02}" for n in [*range(1, 34), 43, 44]]
# The tests of rust-vmm's virtio-queue, -device, -blk, -console and -vsock.
THEIRS = """
test_queue_is_valid test_add_used test_reset_queue test_needs_notification
test_enable_disable_notification test_consume_chains_with_notif test_invalid_avail_idx
test_iterator_and_avail_idx test_descriptor_and_iterator test_iterator
test_regression_iterator_division test_regression_timeout_after_reset
test_setters_error_cases test_checked_new_descriptor_chain test_ttl_wrap_around
test_new_from_indirect_descriptor test_indirect_descriptor_address_noaligned
test_indirect_descriptor_err test_empty_queue_state test_invalid_queue_state queue_sync
Reader desc test_state_ser test_ser_with_len_zero test_ack_device_status
test_virtio_mmio_device test_parse_request test_execute_request
test_discard_wr_zeroes_request test_get_device_id test_process_request virtio-console
virtio-vsock
""".split()


def listed(build, variable):
    m = re.search(rf"^{variable} = \[(.*?)\]", build, flags=re.S | re.M)
    return set(re.findall(r"'([^']+)'", m.group(1))) if m else set()


def missing_rows(text):
    first = [row.split("|")[1] for row in text.splitlines() if row.startswith("|")]
    cells = " ".join(first)
    return [f"no row for {name}" for name in HOSTILE + THEIRS
            if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", cells)]


def what_ran(file):
    """The tests that a program passes and those that it skips; None where there is no
    program to ask."""
    program = pathlib.Path.cwd() / f"virtio-test-{file}"
    if not program.is_file():
        return None
    done = subprocess.run([program], check=False, capture_output=True, text=True,
                          env=dict(os.environ, CMOCKA_MESSAGE_OUTPUT="TAP"))
    if re.search(r"^1\.\.0 # SKIP", done.stdout, flags=re.M):
        source = (TESTS / f"test-{file}.c").read_text("utf-8")
        return set(), set(re.findall(r"^static void (\w+)\(void \*\*state\)$", source, flags=re.M))
    passed, skipped = set(), set()
    for name, rest in re.findall(r"^ok \d+ - (\w+)(.*)$", done.stdout, flags=re.M):
        (skipped if "SKIP" in rest else passed).add(name)
    return passed, skipped


def problem_of(file, name, build):
    """What is wrong with one name, or None."""
    if file == "fuzz":
        corpus = LIBRARY / "fuzz" / "corpus" / name
        good = name in listed(build, "fuzzers") and corpus.is_dir() and any(corpus.iterdir())
        return None if good else "no such fuzz target"
    if file == "system":
        script = f"test-{name}.py"
        good = script in listed(build, "system_scripts") and (TESTS / script).exists()
        return None if good else "no such script"
    source = TESTS / f"test-{file}.c"
    if file not in listed(build, "unit_tests") | listed(build, "api_tests") or \
            not source.exists():
        return "no such test program"
    code = source.read_text("utf-8")
    if not re.search(rf"^static void {name}\(void \*\*state\)$", code, flags=re.M):
        return "no such test"
    if not re.search(rf"cmocka_unit_test\w*\(\s*{name}\b", code):
        return "never run"
    return None


def main():
    build = (LIBRARY / "meson.build").read_text("utf-8")
    text = (TESTS / "README.md").read_text("utf-8")
    names = sorted(set(re.findall(r"`([a-z0-9-]+): ([a-z0-9_-]+)`", text)))
    bad = missing_rows(text)
    skipped = []
    ran = {}
    for file, name in names:
        problem = problem_of(file, name, build)
        if not problem and file not in ("fuzz", "system"):
            if file not in ran:
                ran[file] = what_ran(file)
            if ran[file] is not None and name in ran[file][1]:
                skipped.append(f"{file}: {name}: skipped")
            elif ran[file] is not None and name not in ran[file][0]:
                problem = "did not run, or not well"
        if problem:
            bad.append(f"{file}: {name}: {problem}")
    programs = sum(1 for tests in ran.values() if tests is not None)
    print(f"{len(names)} tests named, {programs} programs run", *bad, *skipped, sep="\n")
    sys.exit(1 if bad or not names else 77 if skipped else 0)


main()
