#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""reference-vmm and bad input: one clear line, an exit status, nothing else.

None of these needs a KVM. The path of reference-vmm is the only argument.
"""
import os
import subprocess
import sys

import guests
import tap

VMM = sys.argv[1]


NOBODY = 65534


def vmm(*args, user=None, env=None):
    return subprocess.run([VMM, *map(str, args)], stdin=subprocess.DEVNULL, user=user, env=env,
                          capture_output=True, text=True, timeout=20, check=False)


def refused(status, part, *args, user=None):
    """One line on standard error that says this, nothing on standard output."""
    done = vmm(*args, user=user)
    tap.equal(done.returncode, status, f"status of {args} ({done.stderr!r})")
    tap.equal(done.stdout, "", "standard output")
    tap.equal(done.stderr.count("\n"), 1, f"lines in {done.stderr!r}")
    tap.check(done.stderr.startswith("reference-vmm: "), f"no program name in {done.stderr!r}")
    tap.contains(done.stderr, part, "message")
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


def sizes_and_counts_are_checked(directory):
    for bad, part in (("0", "at least 1 vCPU"), ("-1", "not a number"), ("two", "not a number"),
                      ("1x", "not a number"), ("", "not a number"), (" 1", "not a number"),
                      ("99999999999", "not a number")):
        refused(2, part, "run", "--kernel", "k", "--cpus", bad)
    for bad, part in (("0", "less than 1 MiB"), ("12Q", "not a size"), ("M", "not a size"),
                      ("512MB", "not a size"), ("-5", "not a size"), ("1K", "less than 1 MiB"),
                      ("17592186044416", "address space"), ("18446744073709551616", "address"),
                      ("99999999T", "address space")):
        refused(2, part, "run", "--kernel", "k", "--memory", bad)


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


def words_of_a_disk_are_checked(directory):
    for bad, part in (("", "needs a file name"), ("f,rx", "unknown word 'rx'"),
                      ("f,ro=1", "ro takes no value"), ("f,id", "id needs a value"),
                      ("f,id=123456789012345678901", "id is longer than 20"),
                      ("f,queues=0", "queues=0 makes no sense"),
                      ("f,queues=17", "queues=17 makes no sense"),
                      ("f,rate=fast", "rate=fast makes no sense"),
                      ("f,iops=-1", "iops=-1 makes no sense"),
                      ("f" * 5000, "path is longer than 4095")):
        refused(2, part, "run", "--kernel", "k", "--disk", bad)
    refused(2, "at most 16 disks", "run", "--kernel", "k", *["--disk=f"] * 17)


def words_of_a_network_are_checked(directory):
    for bad, part in (("", "none of tap"), ("bridge", "none of tap"), ("tap", "needs a value"),
                      ("tap=abcdefghijklmnop", "longer than 15"), ("none=1", "none of tap"),
                      ("tap-fd=-1", "makes no sense"), ("none,mtu=67", "mtu=67 makes"),
                      ("none,mac=01:02:03:04:05:06", "mac=01:"), ("none,mac=2:3", "mac=2:3"),
                      ("none,mac=02: 3:04:05:06:07", "mac=02: 3"),
                      ("none,mac=0x:03:04:05:06:07", "mac=0x"),
                      ("none,mac=00:00:00:00:00:00", "mac=00:"), ("none,queues=2", "needs tap"),
                      ("passt=" + "x" * 108, "longer than 107"), ("none,ro", "unknown word")):
        refused(2, part, "run", "--kernel", "k", "--net", bad)
    for bad, part in (("", "needs cid=N and"), ("cid=3", "needs cid=N and"),
                      ("cid=2,socket=s", "cid=2 makes no sense"), ("socket=s", "needs cid"),
                      ("cid=3,socket=" + "x" * 97, "longer than 96")):
        refused(2, part, "run", "--kernel", "k", "--vsock", bad)


def a_console_is_one_of_two(directory):
    refused(2, "none of serial, virtio", "run", "--kernel", "k", "--console", "vga")


CONTROL = ("list", "info", "console", "pause", "resume", "stop", "kill", "balloon", "resize-disk",
           "stats")


def names_of_machines_are_checked(directory):
    for bad, part in (("", "is not empty"), ("a/b", "'a/b' is no machine's name"),
                      (".a", "no machine's name"), ("..", "no machine's name"),
                      ("a b", "no machine's name"), ("a:b", "no machine's name"),
                      ("\u00e4", "no machine's name"), ("x" * 65, "at most 64 bytes, not 65")):
        refused(2, part, "run", "--kernel", "k", "--name", bad)
        refused(2, part, "info", bad)
    refused(2, "no machine's name", "run", "--kernel", "k", "--name=-a")


def control_commands_are_checked(directory):
    for args, part in ((("info",), "info needs NAME"), (("list", "a"), "unexpected argument 'a'"),
                       (("pause", "a", "b"), "unexpected argument 'b'"),
                       (("balloon", "a"), "balloon needs NAME SIZE"),
                       (("balloon", "a", "much"), "'much' is not a size"),
                       (("balloon", "a", "-1"), "unknown option -1"),
                       (("balloon", "a", "9000000000000000000"), "not a size"),
                       (("resize-disk", "a"), "resize-disk needs NAME DISK"),
                       (("resize-disk", "a", "vda", "much"), "'much' is not a size"),
                       (("resize-disk", "a", "vda", "0"), "'0' is not a size"),
                       (("resize-disk", "a", ""), "'' names no disk"),
                       (("resize-disk", "a", "x" * 32), "names no disk"),
                       (("console", "a", "b"), "unexpected argument 'b'"),
                       (("stop", "a", "--timeout", "soon"), "'soon' is not a number"),
                       (("stop", "a", "--timeout", "86401"), "not a number of seconds"),
                       (("stop", "a", "--timeout"), "--timeout needs a value"),
                       (("kill", "a", "--timeout", "1"), "kill has no --timeout"),
                       (("stats", "a", "--colour"), "unknown option --colour")):
        refused(2, part, *args)


def control_commands_without_a_machine(directory):
    for runtime in (directory, directory / "missing"):
        environment = dict(os.environ, XDG_RUNTIME_DIR=str(runtime))
        for command in CONTROL[1:]:
            args = [command, "demo"] + {"balloon": ["64M"], "resize-disk": ["vda"]}.get(command, [])
            done = vmm(*args, env=environment)
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
            for part in (f"Usage: reference-vmm {command}", "--json", "Example:", "Exit status"):
                tap.contains(done.stdout, part, f"help of {command}")


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
         sizes_and_counts_are_checked, words_of_a_disk_are_checked, words_of_a_network_are_checked,
         a_console_is_one_of_two,
         names_of_machines_are_checked, control_commands_are_checked,
         control_commands_without_a_machine, control_commands_have_help,
         a_kernel_that_is_not_there_is_named,
         an_unreadable_kernel_is_named, what_is_not_a_kernel_is_said_to_be_none,
         an_elf_for_another_machine_is_named, an_initrd_that_is_not_there_is_named,
         a_machine_without_kvm_says_so, a_kvm_without_permission_says_so])
