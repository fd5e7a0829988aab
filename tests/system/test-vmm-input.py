#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""reference-vmm and bad input: one clear line, an exit status, nothing else.

None of these needs a KVM. The path of reference-vmm is the only argument.
"""
import fcntl
import os
import pty
import re
import select
import subprocess
import sys
import termios

import guests
import tap

VMM = os.path.abspath(sys.argv[1])


NOBODY = 65534


def vmm(*args, user=None, env=None):
    return subprocess.run([VMM, *map(str, args)], stdin=subprocess.DEVNULL, user=user, env=env,
                          capture_output=True, text=True, timeout=20, check=False)


def on_a_terminal(args, user, env):
    """Run it as the foreground job of a terminal; neither it nor its settings may change."""
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    try:
        done = subprocess.run([VMM, *map(str, args)], stdin=slave, stdout=slave, user=user, env=env,
                              stderr=subprocess.PIPE, text=True, timeout=20, check=False,
                              start_new_session=True,
                              preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        tap.equal(termios.tcgetattr(slave), before, f"terminal settings after {args}")
        tap.check(not select.select([master], [], [], 0)[0], f"{args} wrote to the terminal")
    finally:
        os.close(master)
        os.close(slave)
    return done


def refused(status, part, *args, user=None, env=None):
    """One line on standard error that says this, and an untouched terminal."""
    done = on_a_terminal(args, user, env)
    tap.equal(done.returncode, status, f"status of {args} ({done.stderr!r})")
    tap.equal(done.stderr.count("\n"), 1, f"lines in {done.stderr!r}")
    tap.check(done.stderr.startswith("reference-vmm: "), f"no program name in {done.stderr!r}")
    tap.contains(done.stderr, part, f"message to {args}")
    return done.stderr


def help_lists_every_option(directory):
    done = vmm("run", "--help")
    tap.equal(done.returncode, 0, "status")
    for option in ("--kernel", "--initrd", "--cmdline", "--memory", "--cpus",
                   "--boot-protocol", "--disk", "--net", "--config", "--dry-run", "--verbose"):
        tap.contains(done.stdout, option, "help")
    tap.equal(vmm("--help").returncode, 0, "status")


def every_command_has_help_with_an_example(directory):
    for command in ("run", *CONTROL):
        tap.contains(vmm("--help").stdout, f"\n  {command}", "help of the program")
        done = vmm(command, "--help")
        tap.equal((done.returncode, done.stderr), (0, ""), f"{command} --help")
        tap.contains(done.stdout, f"Usage: reference-vmm {command}", "help")
        tap.contains(done.stdout, f"Example: reference-vmm {command}", "help")
        tap.contains(done.stdout, "Exit status: 0", "help")


def version_is_one_line(directory):
    done = vmm("--version")
    tap.equal((done.returncode, done.stdout.count("\n")), (0, 1), "status and lines")
    tap.check(done.stdout.startswith("reference-vmm 0."), done.stdout)


def a_wrong_command_line_is_status_2(directory):
    refused(2, "no command")
    refused(2, "unknown command 'boot'", "boot")
    refused(2, "needs --kernel", "run")
    refused(2, "unknown option --colour", "run", "--colour")
    refused(2, "--kernel needs a value", "run", "--kernel")
    refused(2, "unexpected argument 'more'", "run", "--kernel", "k", "a", "more")
    refused(2, "needs a file name", "run", "--kernel", "")
    refused(2, "'efi' is none of linux64", "run", "--kernel", "k", "--boot-protocol", "efi")


def forms_of_other_vmms_are_checked(directory):
    for bad, part in (("size_mib=x", "not a size"), ("size_mib=0", "less than 1 MiB"),
                      ("size_mb=1", "not a size")):
        refused(2, part, "run", "--kernel", "k", "--guest-memory", bad)
    for bad, part in (("num=0", "at least 1"), ("num=x", "not a number"), ("n=1", "not a number")):
        refused(2, part, "--vcpu", bad, "--kernel", "path=k")
    for bad, part in (("path=", "path needs a value"), ("cmdline=x", "run needs --kernel"),
                      ("path=k,args=x", "unknown word 'args'"),
                      ("path=k,cmdline=console=ttyS0,115200", "unknown word '115200'"),
                      ("path=k,kernel_load_addr=0x100000", "kernel_load_addr=0x100000 makes"),
                      ("path=" + "x" * 4096, "path is longer than 4095")):
        refused(2, part, "--kernel", bad)
    refused(2, "ro takes no value", "--kernel", "path=k", "--block", "path=k", "--blk", "path=k,ro=")
    refused(2, "list has no", "list", "-n", "demo")
    refused(2, "unexpected argument 'b'", "pause", "-n", "a", "b")


# What is wrong with a value; status 2 unless a third element says otherwise. What is status 1
# is only found out by a machine that is built, most of it after its KVM is there.
BAD_VALUES = {
    "config": [("", "needs a file name"), ("x" * 4096, "too long"),
               ("none", "none: No such file"), (".", "irectory"), ("/dev/null", "/dev/null:1:1:")],
    "kernel": [("", "needs a file name"), ("x" * 4096, "too long"), ("none", "none: No such", 1),
               (".", "irectory", 1), ("/dev/null", "/dev/null: ", 1)],
    "initrd": [("", "needs a file name"), ("x" * 4096, "too long"), ("none", "none: No such", 1),
               (".", "irectory", 1), ("/dev/null", "/dev/null", 1)],
    "cmdline": [("x" * 65536, "too long"), ("x" * 5000, "ommand line of 5000 bytes", 1)],
    "memory": [("0", "less than 1 MiB"), ("12Q", "not a size"), ("M", "not a size"),
               ("512MB", "not a size"), ("-5", "not a size"), ("1K", "less than 1 MiB"),
               ("", "not a size"), (" 1", "not a size"), ("17592186044416", "address space"),
               ("18446744073709551616", "address"), ("99999999T", "address space"),
               ("8388608T", "emory", 1)],
    "cpus": [("0", "at least 1 vCPU"), ("-1", "not a number"), ("two", "not a number"),
             ("1x", "not a number"), ("", "not a number"), (" 1", "not a number"),
             ("99999999999", "not a number"), ("1000000", "--cpus 1000000", 1)],
    "disk": [("", "needs a file name"), ("f,rx", "unknown word 'rx'"),
             ("f,ro=1", "ro takes no value"), ("f,id", "id needs a value"),
             ("f,id=123456789012345678901", "id is longer than 20"),
             ("f,queues=0", "queues=0 makes no sense"), ("f,queues=17", "queues=17 makes no sense"),
             ("f,rate=fast", "rate=fast makes no sense"), ("f,iops=-1", "iops=-1 makes no sense"),
             ("f" * 5000, "path is longer than 4095"), ("none", "none: No such file", 1),
             (".", ".: not a disk", 1), ("/dev/null", "/dev/null: not a disk", 1)],
    "net": [("", "none of tap"), ("bridge", "none of tap"), ("tap", "needs a value"),
            ("tap=abcdefghijklmnop", "longer than 15"), ("none=1", "none of tap"),
            ("tap-fd=-1", "makes no sense"), ("none,mtu=67", "mtu=67 makes"),
            ("none,mac=01:02:03:04:05:06", "mac=01:"), ("none,mac=2:3", "mac=2:3"),
            ("none,mac=02: 3:04:05:06:07", "mac=02: 3"),
            ("none,mac=0x:03:04:05:06:07", "mac=0x"),
            ("none,mac=00:00:00:00:00:00", "mac=00:"), ("none,queues=2", "needs tap"),
            ("passt=" + "x" * 108, "longer than 107"), ("none,ro", "unknown word"),
            ("passt=none", "none: No such file", 1), ("tap-fd=99", "tap-fd=99: Bad file", 1),
            ("tap-fd=2", "TAP interface", 1), ("tap=a/b", "TAP interface a/b: ", 1)],
    "vsock": [("", "needs cid=N and"), ("cid=3", "needs cid=N and"),
              ("cid=2,socket=s", "cid=2 makes no sense"), ("socket=s", "needs cid"),
              ("cid=3,socket=" + "x" * 97, "longer than 96"),
              ("cid=3,socket=none/s", "none/s: No such file", 1)],
    "console": [("vga", "none of serial, virtio, none"), ("", "none of serial, virtio")],
    "name": [("", "is not empty"), ("a/b", "'a/b' is no machine's name"),
             (".a", "no machine's name"), ("..", "no machine's name"), ("-a", "no machine's name"),
             ("a b", "no machine's name"), ("a:b", "no machine's name"),
             ("\u00e4", "no machine's name"), ("x" * 65, "at most 64 bytes, not 65")],
    "boot-protocol": [("efi", "none of linux64"), ("", "none of linux64"),
                      ("pvh", "no PVH entry", 1), ("linux32", "no 32-bit entry", 1)],
    "kvm": [("", "needs a file name"), ("x" * 4096, "too long"), ("none", "none", 1),
            (".", ".: ", 1), ("/dev/null", "/dev/null: not a KVM device", 1)],
    "trace-exits": [("", "needs a file name"), ("x" * 4096, "too long"),
                    ("none/file", "none/file: No such file", 1), (".", "irectory", 1)],
}

# Options without a value take none, and may want or forbid others.
BAD_COMPANY = {
    "rng": [], "balloon": [], "force": [], "verbose": [],
    "background": [([], "needs --name"), (["--name=a", "--dry-run"], "one of them")],
    "dry-run": [(["--background", "--name=a"], "one of them")],
    "json": [([], "goes with --dry-run")],
}


def options_in_help():
    """Each as its letter, or nothing, its long name, and what its value is called."""
    found = re.findall(r"^ +(?:-(\w), +)?--([\w-]+)(?: ([^\s]+))?", vmm("run", "--help").stdout, re.M)
    options = {name: (letter, bool(value) and value == value.upper() or "|" in value or "=" in value)
               for letter, name, value in found}
    tap.equal(options.pop("help"), ("h", False), "--help")
    return options


def every_option_of_the_help_is_in_a_table_here(directory):
    with_value = {name for name, (_, value) in options_in_help().items() if value}
    tap.equal(sorted(BAD_VALUES), sorted(with_value), "BAD_VALUES")
    tap.equal(sorted(BAD_COMPANY), sorted(options_in_help().keys() - with_value), "BAD_COMPANY")
    tap.check(all(rows for rows in BAD_VALUES.values()), "an option without a bad value")


def has_kvm():
    try:
        os.close(os.open("/dev/kvm", os.O_RDWR))
    except OSError:
        return False
    return True


def bad_values_of_every_option(directory):
    os.chdir(directory)
    kernel = guests.write(directory, "hang")
    for name, (letter, _) in options_in_help().items():
        for value, part, *status in BAD_VALUES.get(name, []):
            if status and not has_kvm():
                continue
            others = [] if name == "kernel" else ["--force", f"--kernel={kernel}", "--memory=8M"]
            refused(*(status or [2]), part, "run", *others, f"--{name}={value}")
        if name in BAD_VALUES:
            refused(2, f"--{name} needs a value", "run", "--kernel=k", f"--{name}")
            if letter:
                refused(2, f"-{letter} needs a value", "run", "--kernel=k", f"-{letter}")
    os.chdir("/")


def bad_company_of_every_option(directory):
    for name, rows in BAD_COMPANY.items():
        refused(2, f"unknown option --{name}=1", "run", "--kernel=k", f"--{name}=1")
        for others, part in rows:
            refused(2, part, "run", "--kernel=k", f"--{name}", *others)
    refused(2, "at most 16 disks", "run", "--kernel", "k", *["--disk=f"] * 17)
    refused(2, "at most 8", "run", "--kernel", "k", *["--net=none"] * 9)
    refused(2, "one of them", "run", "demo", "--config", "f", env={"VMCONF_DIR": str(directory)})
    refused(2, "no machine file", "run", "demo", env={"VMCONF_DIR": str(directory)})


# For each command what is wrong, behind a name that is fine.
BAD_ARGUMENTS = {
    "list": [],
    "info": [],
    "console": [(["--json"], "console has no --json")],
    "pause": [],
    "resume": [],
    "stop": [(["--timeout", "soon"], "'soon' is not a number"), (["--timeout", "-1"], "not a number"),
             (["--timeout", "86401"], "not a number of seconds"), (["--timeout="], "not a number"),
             (["--timeout"], "--timeout needs a value")],
    "kill": [],
    "balloon": [([], "balloon needs NAME SIZE"), (["much"], "'much' is not a size"),
                ([""], "not a size"), (["-1"], "unknown option -1"),
                (["9000000000000000000"], "not a size"), (["64M", "x"], "unexpected argument 'x'")],
    "resize-disk": [([], "resize-disk needs NAME DISK"), (["vda", "much"], "'much' is not a size"),
                    (["vda", "0"], "'0' is not a size"), (["vda", ""], "'' is not a size"),
                    ([""], "'' names no disk"), (["x" * 32], "names no disk"),
                    (["vda", "1G", "x"], "unexpected argument 'x'")],
    "stats": [],
}
CONTROL = tuple(BAD_ARGUMENTS)
FURTHER = {"balloon": ["64M"], "resize-disk": ["vda"]}

BAD_NAMES = [(value, part) for value, part in BAD_VALUES["name"] if not value.startswith("-")]


def every_command_of_the_help_is_in_a_table_here(directory):
    commands = re.findall(r"^  ([a-z][a-z-]*)", vmm("--help").stdout, re.M)
    tap.equal(sorted(commands), sorted(["run", *CONTROL]), "BAD_ARGUMENTS")


def bad_arguments_of_every_command(directory):
    for command, rows in BAD_ARGUMENTS.items():
        names = [] if command == "list" else ["demo"]
        further = FURTHER.get(command, [])
        for args, part in rows:
            refused(2, part, command, *names, *args)
        refused(2, "unexpected argument 'b'", command, *names, *further,
                *(["1G"] if command == "resize-disk" else []), "b")
        refused(2, "unknown option --colour", command, *names, *further, "--colour")
        refused(2, "unknown option --json=1", command, *names, *further, "--json=1")
        refused(2, "unknown option -z", command, *names, *further, "-z")
        refused(2, "-n needs a value", command, "-n")
        if command != "stop":
            refused(2, f"{command} has no --timeout", command, *names, *further, "--timeout", "1")
        if not names:
            refused(2, "list has no --name", command, "-n", "demo")
            continue
        refused(2, f"{command} needs NAME", command)
        for name, part in BAD_NAMES:
            refused(2, part, command, name, *further)
        refused(1, "no machine named 'demo' is running", command, *names, *further,
                env=dict(os.environ, XDG_RUNTIME_DIR=str(directory)))
    refused(2, "unknown command 'boot'", "boot")
    refused(2, "no command", "")
    refused(2, "unknown command 'ru'", "ru")


def control_commands_without_a_machine(directory):
    for runtime in (directory, directory / "missing"):
        environment = dict(os.environ, XDG_RUNTIME_DIR=str(runtime))
        for command in CONTROL[1:]:
            done = vmm(command, "demo", *FURTHER.get(command, []), env=environment)
            tap.equal((done.returncode, done.stdout, done.stderr),
                      (1, "", "reference-vmm: no machine named 'demo' is running\n"), command)
        done = vmm("list", "--json", env=environment)
        tap.equal((done.returncode, done.stdout, done.stderr), (0, "[]\n", ""), "list")
    kernel = guests.write(directory, "hang")
    for runtime, part in ((directory / "missing", "No such file"), ("/" + "x" * 120, "too long"),
                          (directory / ("x" * 60), "")):
        done = vmm("run", "--kernel", kernel, "--name", "n" * 64,
                   env=dict(os.environ, XDG_RUNTIME_DIR=str(runtime)))
        tap.equal((done.returncode, done.stderr.count("\n")), (1, 1), f"{done.stderr!r}")
        tap.contains(done.stderr, part, "message")


def control_commands_have_help(directory):
    everything = vmm("--help").stdout
    for command in CONTROL:
        tap.contains(everything, f"\n  {command}", "help of the program")
        for option in ("--help", "-h"):
            done = vmm(command, option)
            tap.equal((done.returncode, done.stderr), (0, ""), command)
            for part in (f"Usage: reference-vmm {command}", "Example:", "Exit status"):
                tap.contains(done.stdout, part, f"help of {command}")
            tap.equal("--json" in done.stdout, command != "console", f"JSON of {command}")


def a_kernel_that_is_not_there_is_named(directory):
    missing = directory / "missing"
    refused(1, f"{missing}: No such file", "run", "--kernel", missing)
    refused(1, f"{directory}: ", "run", "--kernel", directory)
    refused(1, "irectory", "run", "--kernel", directory)


def somebody(directory):
    """A user whom permissions bind: root is not one, so root becomes nobody."""
    if os.geteuid() != 0:
        return None
    directory.chmod(0o755)
    try:
        subprocess.run([VMM, "--version"], user=NOBODY, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise tap.Skip("root ignores permissions, and nobody cannot run this build") from error
    return NOBODY


def an_unreadable_kernel_is_named(directory):
    kernel = guests.write(directory, "hang")
    kernel.chmod(0)
    refused(1, f"{kernel}: Permission denied", "run", "--kernel", kernel,
            user=somebody(directory))


def what_is_not_a_kernel_is_said_to_be_none(directory):
    kernel = directory / "kernel.img"
    for content in (b"", b"x", b"#!/bin/sh\n" * 1000, bytes(70000)):
        kernel.write_bytes(content)
        refused(1, f"{kernel}: ", "run", "--kernel", kernel)


def an_elf_for_another_machine_is_named(directory):
    kernel = directory / "kernel.img"
    kernel.write_bytes(guests.elf(guests.HANG, machine=183))
    message = refused(1, f"{kernel}: ", "run", "--kernel", kernel)
    tap.contains(message, "aarch64", "found")
    tap.contains(message, "x86_64", "expected")


def an_initrd_that_is_not_there_is_named(directory):
    kernel = guests.write(directory, "hang")
    refused(1, f"{directory}/nope: No such file", "run", "--kernel", kernel, "--initrd",
            directory / "nope")


def a_machine_without_kvm_says_so(directory):
    kernel = guests.write(directory, "hang")
    missing = directory / "kvm"
    refused(1, f"{missing}", "run", "--kvm", missing, "--kernel", kernel)
    missing.write_bytes(b"")
    refused(1, f"{missing}", "run", "--kvm", missing, "--kernel", kernel)
    refused(1, "/dev/null", "run", "--kvm", "/dev/null", "--kernel", kernel)


def a_kvm_without_permission_says_so(directory):
    node = directory / "kvm"
    node.write_bytes(b"")
    node.chmod(0)
    refused(1, f"{node}", "run", "--kvm", node, "--kernel", guests.write(directory, "hang"),
            user=somebody(directory))
    refused(1, "ermission", "run", "--kvm", node, "--kernel", guests.write(directory, "hang"),
            user=somebody(directory))


tap.run([help_lists_every_option, every_command_has_help_with_an_example,
         forms_of_other_vmms_are_checked, version_is_one_line, a_wrong_command_line_is_status_2,
         every_option_of_the_help_is_in_a_table_here, bad_values_of_every_option,
         bad_company_of_every_option,
         every_command_of_the_help_is_in_a_table_here, bad_arguments_of_every_command,
         control_commands_without_a_machine, control_commands_have_help,
         a_kernel_that_is_not_there_is_named,
         an_unreadable_kernel_is_named, what_is_not_a_kernel_is_said_to_be_none,
         an_elf_for_another_machine_is_named, an_initrd_that_is_not_there_is_named,
         a_machine_without_kvm_says_so, a_kvm_without_permission_says_so])
