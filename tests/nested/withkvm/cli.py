# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""The command line, and the order in which things happen."""

import argparse
import os
import platform
import shutil
import stat
import sys
import time

from . import initramfs, native, probe, process
from .errors import TIMEOUT, Failure, Interrupted, TimedOut, UsageError
from .machine import Machine
from .packages import DEBIAN_ARCH, Packages, say
from .payload import Payload
from .session import Session
from .terminal import Terminal, usable

USAGE = """with-kvm [--native|--nested|--auto] [--arch ARCH] [--cpus N] [--memory MIB]
                [--icount] [--timeout S] [--file HOST[:GUEST]]... -- COMMAND [ARG...]
       with-kvm --print-kernel|--print-busybox|--print-modules [--arch ARCH]
       with-kvm --print-kernel --flavour generic [--arch ARCH]
       with-kvm --probe | --update [--arch ARCH]"""


class Parser(argparse.ArgumentParser):
    """argparse, but a mistake is one line."""

    def error(self, message):
        raise UsageError(message)


def number(convert, low, high):
    def parse(text):
        try:
            value = convert(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            raise argparse.ArgumentTypeError(f"'{text}' is not a number from {low} to {high}")
        return value
    return parse


def parser():
    made = Parser(prog="with-kvm", usage=USAGE, allow_abbrev=False,
                  description="Run a command where /dev/kvm can boot Linux.")
    mode = made.add_mutually_exclusive_group()
    for name, text in (("native", "run on this machine's KVM or fail"),
                       ("nested", "run in an emulated machine"),
                       ("auto", "native if this machine's KVM can boot Linux (default)")):
        mode.add_argument(f"--{name}", dest="mode", action="store_const", const=name,
                          default="auto", help=text)
    made.add_argument("--arch", choices=sorted(DEBIAN_ARCH), default=platform.machine())
    made.add_argument("--cpus", type=number(int, 1, 64), default=1, metavar="N",
                      help="of the nested machine (1)")
    made.add_argument("--memory", type=number(int, 256, 1 << 20), default=1536,
                      metavar="MIB", help="of the nested machine (1536)")
    made.add_argument("--icount", action="store_true",
                      help="the nested machine's clock counts instructions; implies --nested")
    made.add_argument("--timeout", type=number(float, 0.1, 1e6), default=120, metavar="S",
                      help="seconds for everything (120); then exit status 124")
    made.add_argument("--file", action="append", default=[], metavar="HOST[:GUEST]",
                      help="take a file or directory along")
    made.add_argument("--flavour", choices=("cloud", "generic"), default="cloud",
                      help="of --print-kernel: for virtual or for any machines (cloud)")
    tasks = made.add_mutually_exclusive_group()
    for name, text in (("print-kernel", "print the path of the unpacked vmlinuz"),
                       ("print-busybox", "print the path of the static busybox"),
                       ("print-modules", "print the path of lib/modules/VERSION"),
                       ("probe", "say whether this machine's KVM can boot Linux"),
                       ("update", "fetch the newest kernel and busybox")):
        tasks.add_argument(f"--{name}", dest="task", action="store_const", const=name,
                           help=text)
    return made


def parse(argv):
    before, command = argv, []
    if "--" in argv:
        split = argv.index("--")
        before, command = argv[:split], argv[split + 1:]
    options, rest = parser().parse_known_args(before)
    if rest:
        kind = "option" if rest[0].startswith("-") else "argument (is '--' missing?)"
        raise UsageError(f"unknown {kind}: {rest[0]}")
    if options.task and command:
        raise UsageError(f"--{options.task} takes no command")
    if not options.task and not command:
        raise UsageError("no command; see --help")
    if command and not command[0]:
        raise UsageError("the command's name is empty")
    if options.flavour != "cloud" and options.task != "print-kernel":
        raise UsageError("--flavour goes with --print-kernel")
    if options.icount and options.mode == "native":
        raise UsageError("--icount needs the nested machine: it does not go with --native")
    if options.icount and options.cpus > 1:
        raise UsageError("--icount counts for one CPU: it does not go with --cpus")
    options.files = [split_file(text) for text in options.file]
    return options, command


def split_file(text):
    """HOST[:GUEST]; a colon in HOST is fine, GUEST starts with a slash."""
    host, colon, guest = text.rpartition(":")
    if not colon or not guest.startswith("/") or os.path.exists(text):
        host, guest = text, os.path.abspath(text)
    if not os.path.exists(host):
        raise UsageError(f"{host or text}: no such file")
    if not os.access(host, os.R_OK):
        raise UsageError(f"{host}: cannot be read")
    return os.path.abspath(host), os.path.normpath(guest)


def do_task(options):
    if options.task == "probe":
        reason = probe.why_not(options.arch)
        print(reason or "this machine's KVM can boot Linux")
        return 1 if reason else 0
    if options.flavour == "generic":
        print(Packages(options.arch).generic_kernel())
        return 0
    packages = Packages(options.arch).ensure(update=options.task == "update")
    if options.task != "update":
        print(getattr(packages, options.task.removeprefix("print-")))
    return 0


def choose_native(options):
    """Decide where to run; a file under another name needs the nested machine."""
    renamed = [host for host, guest in options.files if host != guest]
    if options.mode == "nested" or options.icount or (options.mode == "auto" and renamed):
        return False
    if renamed:
        raise UsageError(f"--native cannot show {renamed[0]} under another name")
    reason = probe.why_not(options.arch)
    if reason and options.mode == "native":
        raise Failure(f"--native: {reason}")
    return not reason


def run_native(options, command, deadline):
    program = command[0] if "/" in command[0] else shutil.which(command[0])
    if program is None:
        busybox = Packages(options.arch).ensure().busybox
        if command[0] not in initramfs.applets(busybox):
            raise UsageError(f"{command[0]}: no such command, neither on PATH nor in busybox")
        program = busybox
    if not os.path.isfile(program):
        problem = "not a file" if os.path.exists(program) else "no such file"
        raise UsageError(f"{program}: {problem}")
    return native.run(command, program, deadline)


def stdin_kind():
    if usable(0):
        return "tty"
    here, null = os.fstat(0), os.stat(os.devnull)
    # A terminal that is not ours to read from has nothing for the command.
    if os.isatty(0) or (stat.S_ISCHR(here.st_mode) and here.st_rdev == null.st_rdev):
        return "null"
    return "pipe"


def run_nested(options, command):
    packages = Packages(options.arch).ensure()
    same = options.arch == platform.machine()
    payload = Payload(options.arch, same, initramfs.applets(packages.busybox))
    for host, guest in options.files:
        payload.add_file(host, guest)
    payload.add_command(command)
    kind = stdin_kind()
    terminal = Terminal(0) if kind == "tty" else None
    machine = Machine(options.arch, packages, options.cpus, options.memory, bool(terminal),
                      options.icount)
    session = Session(machine, terminal)
    try:
        config = l1_config(kind, terminal, machine)
        machine.start(make_image(initramfs.base(packages, options.arch), payload, config))
        return session.run()
    except TimedOut as error:
        raise timed_out(options, session.console) from error
    finally:
        process.hold_signals()
        machine.stop()
        if terminal:
            terminal.restore()


def l1_config(kind, terminal, machine):
    """The line that the nested machine's init reads."""
    outputs = ["tty" if terminal and os.isatty(fd) else "pipe" for fd in (1, 2)]
    rows, columns = terminal.size() if terminal else (0, 0)
    return f"{kind} {' '.join(outputs)} {machine.last_port} {rows} {columns}\n"


def make_image(base, payload, config):
    """Return a descriptor of the whole initramfs, which is in no file system."""
    image = os.memfd_create("initramfs")
    with open(base, "rb") as source, open(image, "wb", closefd=False) as out:
        shutil.copyfileobj(source, out)
        try:
            payload.write(out, config)
        except OSError as error:
            raise UsageError(f"{error.filename}: {error.strerror}") from error
    return image


def timed_out(options, console=""):
    return Failure(f"timed out after {options.timeout:g} s", TIMEOUT, console)


def run(argv):
    started = time.monotonic()
    process.watch_signals()
    options, command = parse(argv)
    if options.task:
        return do_task(options)
    process.ring_after(options.timeout)
    try:
        if choose_native(options):
            return run_native(options, command, started + options.timeout)
        return run_nested(options, command)
    except TimedOut as error:
        raise timed_out(options) from error


def main(argv):
    # A descriptor of ours must never become the command's standard stream.
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(fd)
    try:
        status = run(argv)
    except Failure as failure:
        process.hold_signals()
        say(str(failure))
        if failure.console:
            lines = failure.console.replace("\n", "\n  | ")
            print(f"  | {lines}", file=sys.stderr)
        status = failure.status
    except Interrupted as interrupted:
        process.die_by(interrupted.signum)
    sys.stdout.flush()
    return status
