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

VMM = os.path.abspath(sys.argv[1])
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


# One machine, in both languages and on the command line.
MACHINE_JSON = """{"kernel": "hello.elf", "memory": "64M", "cpus": 2, "cmdline": "a=1,2 \\"b\\"",
 "disk": [{"path": "a.img", "ro": true, "id": "one,two"}, "a.img,ro"],
 "net": {"mtu": 1400, "none": true}, "rng": true, "balloon": false, "name": "demo"}
"""
MACHINE_TOML = """# A machine.
kernel = "hello.elf"
memory = "64M"
cpus = 2
cmdline = 'a=1,2 "b"'
rng = true
balloon = false
name = "demo"
disk = [{ path = "a.img", ro = true, id = "one,two" }, "a.img,ro"]

[net]
mtu = 1400
none = true
"""
MACHINE_OPTIONS = ["--kernel", "hello.elf", "-m64", "-c2", '-pa=1,2 "b"', "--disk",
                   'a.img,ro,id="one,two"', "-da.img,ro", "--net", "none,mtu=1400", "--rng",
                   "--name", "demo"]


def home(directory):
    """Machine files with what they name."""
    guests.write(directory, "hello")
    disk(directory)
    (directory / "demo.json").write_text(MACHINE_JSON)
    if HAS_TOML:
        (directory / "demo.toml").write_text(MACHINE_TOML)
    return ["demo.json", "demo.toml"] if HAS_TOML else ["demo.json"]


def a_machine_file_says_what_options_say(directory):
    files = home(directory)
    want = dry("run", *MACHINE_OPTIONS, cwd=directory)
    for file in files:
        tap.equal(dry("run", "--config", file, cwd=directory), want, file)


def names_in_a_machine_file_count_from_its_directory(directory):
    for file in home(directory):
        machine = dry("run", "--config", directory / file, cwd="/")
        tap.equal(machine["kernel"], f"{directory}/hello.elf", f"kernel of {file}")
        tap.equal(devices(machine)[0], ("disk", f"{directory}/a.img"), f"disk of {file}")


def options_override_a_machine_file(directory):
    other = disk(directory, "b.img")
    for file in home(directory):
        machine = dry("run", "--config", directory / file, "--cpus=1", "--memory", "128M",
                      "--disk", other, cwd="/")
        tap.equal((machine["cpus"], machine["memory_bytes"], machine["name"]),
                  (1, 128 << 20, "demo"), "CPUs, memory, name")
        tap.equal(devices(machine), [("disk", str(other)), ("net", None), ("rng", None)],
                  "the disks are those of the command line")
        tap.equal(dry("run", "--cpus=1", "--config", directory / file, "--memory", "128M",
                      "--disk", other, cwd="/"), machine, "in any order")


def a_machine_is_found_by_its_name(directory):
    home(directory)
    (directory / "vm").mkdir()
    (directory / "vm/box.json").write_text('{"kernel": "../hello.elf"}')
    machine = dry("run", "demo", VMCONF_DIR=str(directory))
    tap.equal((machine["name"], machine["cpus"]), ("demo", 2), "from $VMCONF_DIR")
    machine = dry("run", "box", HOME=str(directory), VMCONF_DIR="")
    tap.equal((machine["name"], machine["kernel"]), ("box", f"{directory}/vm/../hello.elf"),
              "from ~/vm, with the name of the file")
    tap.equal(dry("run", "box", "-n", "other", HOME=str(directory), VMCONF_DIR="")["name"],
              "other", "name")
    for args, part in ((["nobody"], "no machine file nobody.toml or nobody.json in "),
                       (["../demo"], "no machine's name"), (["a b"], "no machine's name"),
                       (["demo", "more"], "unexpected argument 'more'"),
                       (["demo", "--config", "x"], "one of them")):
        done = vmm("run", *args, VMCONF_DIR=str(directory))
        tap.equal((done.returncode, done.stdout, done.stderr.count("\n")), (2, "", 1), f"{args}")
        tap.contains(done.stderr, part, "message")


# What is wrong, where, and what is said of it.
WRONG_JSON = (
    ("", "1:1: '[' or '{' expected"),
    ("[]", "1:1: not an object"),
    ('{"kernel": "k",\n  "kernle": "k"}', "2:3: unknown key 'kernle'"),
    ('{"kernel": "k",}', "1:16: string or '}' expected"),
    ('{"kernel": "k", "kernel": "k"}', "1:24: duplicate object key"),
    ('{"mem": "1G"}', "1:2: unknown key 'mem'"),
    ('{"config": "x"}', "1:2: unknown key 'config'"),
    ('{"dry-run": true}', "1:2: unknown key 'dry-run'"),
    ('{\n"é": 1, "k\\u001b[1m": 2}', "2:1: unknown key '??'"),
    ('{"disk": "d", "k\\u001b[1m": 2}', "1:15: unknown key 'k?[1m'"),
    ('{"memory": 1.5}', "1:2: memory is no text"),
    ('{"memory": null}', "1:2: memory is no text"),
    ('{"memory": ["1G"]}', "1:2: memory is no text"),
    ('{"memory": {"size": 1}}', "1:2: memory is no text"),
    ('{"memory": "0"}', "1:2: memory: 0 is less than 1 MiB"),
    ('{"cpus": -1}', "1:2: cpus: '-1' is not a number"),
    ('{"kernel": ""}', "1:2: kernel needs a file name"),
    ('{"rng": "yes"}', "1:2: rng is neither true nor false"),
    ('{"disk": ["a",\n{"path": "b", "r": 1}]}', "2:1: disk: unknown word 'r'"),
    ('{"disk": [{"path": "b", "queues": [1]}]}', "1:25: queues is no text"),
    ('{"disk": [{"path": "b",\n "a,b": 1}]}', "2:2: unknown word 'a,b'"),
    ('{"disk": ["a", ["b"]]}', "1:16: disk is no text"),
    ('{"disk": {"path": "a", "ro": 1}}', "1:2: disk: ro takes no value"),
    ('{"net": {"mtu": 1400}}', "1:2: net: '' is none of"),
    ('{"vsock": [{"cid": 3, "socket": "s"}]}', "1:2: vsock is no text"),
    ('{"vsock": {"cid": 3}}', "1:2: vsock needs cid=N and"),
    ('{"name": "a/b"}', "1:2: 'a/b' is no machine's name"),
    ("[" * 5000, "1:"),
)
WRONG_TOML = (
    ('kernel = "k"\nkernle = "k"', "2:1: unknown key 'kernle'"),
    ('kernel = "k"\nkernel = "k"', "2:"),
    ('kernel = \n', "1:"),
    ('[[disk]]\npath = "a"\n[[disk]]\n  r = 1', "3:1: disk: unknown word 'r'"),
    ('[net]\nnone = true\n  mtu = 1400.5', "3:3: mtu is no text"),
    ("memory = 2020-01-01", "1:1: memory is no text"),
    ("a" + ".a" * 200 + " = 1", "1:1: more than 100 dots"),
    ('name = "\\u0000"', "1:1: name is no text"),
    ("a = " + "[" * 5000, "1:"),
)


def wrong(directory, name, cases):
    path = directory / name
    for text, part in cases:
        path.write_text(text, encoding="utf-8")
        done = vmm("run", "--kernel", "k", "--config", path.name, cwd=directory)
        tap.equal((done.returncode, done.stdout, done.stderr.count("\n")), (2, "", 1),
                  f"{text[:80]!r}: {done.stderr!r}")
        tap.contains(done.stderr, f"reference-vmm: {name}:{part}", f"message for {text[:80]!r}")


def a_mistake_in_json_has_its_place(directory):
    wrong(directory, "bad.json", WRONG_JSON)


def a_mistake_in_toml_has_its_place(directory):
    if not HAS_TOML:
        raise tap.Skip("built without TOML")
    wrong(directory, "bad.toml", WRONG_TOML)


def a_machine_file_that_cannot_be_read_is_named(directory):
    big = directory / "big.json"
    big.write_bytes(b" " * (1 << 21))
    for path, part in ((directory / "no.json", "No such file"), (directory, "directory"),
                       (big, "more than 1048576 bytes"), ("", "needs a file name")):
        done = vmm("run", "--config", path)
        tap.equal((done.returncode, done.stdout, done.stderr.count("\n")), (2, "", 1), f"{path}")
        tap.contains(done.stderr, part, "message")


TESTS = [a_dry_run_says_what_the_machine_is, a_dry_run_still_checks,
         the_forms_of_other_vmms_mean_the_same, a_kernel_is_not_put_below_its_load_address,
         verbose_has_a_line_for_each_step, a_machine_file_says_what_options_say,
         names_in_a_machine_file_count_from_its_directory, options_override_a_machine_file,
         a_machine_is_found_by_its_name]
# These need no KVM.
ANYWHERE = [a_mistake_in_json_has_its_place, a_mistake_in_toml_has_its_place,
            a_machine_file_that_cannot_be_read_is_named]

tap.run(ANYWHERE + (TESTS if os.access("/dev/kvm", os.R_OK | os.W_OK) else []))
