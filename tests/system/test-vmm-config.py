#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""What reference-vmm makes of its options and machine files, seen by --dry-run.

The path of reference-vmm is the first argument; the second one is "toml" if it reads TOML.
"""
import json
import os
import subprocess
import sys

import guests
import tap

VMM = sys.argv[1]
HAS_TOML = "toml" in sys.argv[2:]


def vmm(*args, cwd=None, **environment):
    return subprocess.run([VMM, *map(str, args)], stdin=subprocess.DEVNULL, cwd=cwd,
                          env={**os.environ, **environment}, capture_output=True, text=True,
                          timeout=20, check=False)


def dry(*args, cwd=None, **environment):
    """What the machine would be."""
    done = vmm(*args, "--force", "--dry-run", "--json", cwd=cwd, **environment)
    tap.equal((done.returncode, done.stderr), (0, ""), f"dry run of {args}")
    return json.loads(done.stdout)


def disk(directory, name="a.img"):
    path = directory / name
    path.write_bytes(bytes(4096))
    return path


def devices(machine):
    """The virtio devices and what they lead to."""
    return [(device["name"], device.get("detail")) for device in machine["devices"]
            if 0xc0000000 <= device.get("gpa", 0) < 0xd0000000]


def a_dry_run_says_what_the_machine_is(directory):
    kernel, image = guests.write(directory, "hello"), disk(directory)
    args = ["run", "--force", "--kernel", kernel, "--disk", image, "--net", "none", "--cpus", 2,
            "--memory", "5G", "--name", "demo"]
    machine = dry(*args)
    tap.equal((machine["name"], machine["cpus"], machine["memory_bytes"]), ("demo", 2, 5 << 30),
              "name, CPUs, memory")
    tap.equal(machine["cmdline"], "console=ttyS0 root=/dev/vda rw", "command line")
    tap.equal([(r["gpa"], r["bytes"]) for r in machine["memory"]],
              [(0, 3 << 30), (4 << 30, 2 << 30)], "memory map")
    tap.equal(devices(machine), [("disk", str(image)), ("net", None)], "virtio devices")
    gsis = [d["gsi"] for d in machine["devices"] if "gsi" in d]
    tap.equal(len(gsis), len(set(gsis)), "each device has an interrupt of its own")
    tap.contains([(d.get("port"), d.get("gsi")) for d in machine["devices"]], (0x3f8, 4), "serial")
    done = vmm(*args, "--dry-run")
    tap.equal((done.returncode, done.stderr), (0, ""), "as text")
    for part in ("demo: 2 vCPU, 5120 MiB", f"{kernel} (linux64)", "0x00c0001000", "gsi 6",
                 "root=/dev/vda"):
        tap.contains(done.stdout, part, "text")


def a_dry_run_still_checks(directory):
    kernel = guests.write(directory, "hello")
    for args, part in ((("--kernel", directory / "no"), "No such file"),
                       (("--kernel", kernel, "--disk", directory / "no"), "No such file"),
                       (("--kernel", kernel, "--kvm", "/dev/null"), "/dev/null"),
                       (("--kernel", kernel, "--memory", "1M"), "do not fit")):
        done = vmm("run", "--force", "--dry-run", *args)
        tap.equal((done.returncode, done.stdout), (1, ""), f"{args}")
        tap.contains(done.stderr, part, "message")
    done = vmm("run", "--kernel", kernel, "--json")
    tap.equal(done.returncode, 2, "--json alone")


def the_forms_of_other_vmms_mean_the_same(directory):
    kernel, image = guests.write(directory, "hello"), disk(directory)
    want = dry("run", "--kernel", kernel, "--disk", image, "--net", "none", "--cpus", 3,
               "--memory", "128M", "--cmdline", "a=1,2 b")
    for args in (
            ["run", "-k", kernel, "-d", image, "--net", "none", "-c", 3, "-m", 128, "-p", "a=1,2 b"],
            ["-v", "run", "-k", kernel, "-d", image, "--net=none", "-c3", "-m128", "-pa=1,2 b"],
            ["run", "--kernel", kernel, "--disk", image, "--net", "none", "--cpus", 3, "--mem",
             128, "--params", "a=1,2 b"],
            ["--memory", "size_mib=128", "--vcpu", "num=3", "--kernel",
             f'path={kernel},cmdline="a=1,2 b",kernel_load_addr=1048576', "--block",
             f"path={image}", "--net", "none"],
            ["--guest-memory", "size_mib=128", "--vcpus", "num=3", "--kernel",
             f'path={kernel},cmdline="a=1,2 b"', "--blk", f"path={image}", "--net", "none"]):
        if args[0] == "-v":
            done = vmm(*args, "--force", "--dry-run", "--json")
            tap.equal(json.loads(done.stdout), want, f"{args}")
            tap.contains(done.stderr, "ms  guest loaded", "verbose")
        else:
            tap.equal(dry(*args), want, f"{args}")
    tap.equal(dry("-n", "box", "-k", kernel)["name"], "box", "-n")
    tap.equal(dry("--memory", "size_mib=", "--vcpu", "num=", "--kernel", f"path={kernel},"),
              dry("run", "--kernel", kernel), "nothing is the default")


def a_kernel_is_not_put_below_its_load_address(directory):
    kernel = guests.write(directory, "hello")
    done = vmm("--force", "--dry-run", "--kernel", f"path={kernel},kernel_load_addr=2097152")
    tap.equal((done.returncode, done.stdout), (1, ""), "an ELF at 1 MiB, to be at 2 MiB")


def verbose_has_a_line_for_each_step(directory):
    done = vmm("run", "--force", "--verbose", "--dry-run", "--kernel",
               guests.write(directory, "hello"))
    lines = done.stderr.splitlines()
    tap.check(len(lines) >= 9 and all(" ms  " in line for line in lines), done.stderr)
    tap.contains(lines[-1], "all together", "last line")


TESTS = [a_dry_run_says_what_the_machine_is, a_dry_run_still_checks,
         the_forms_of_other_vmms_mean_the_same, a_kernel_is_not_put_below_its_load_address,
         verbose_has_a_line_for_each_step]

tap.run(TESTS, None if os.access("/dev/kvm", os.R_OK | os.W_OK) else "no /dev/kvm")
