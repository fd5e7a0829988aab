# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""What the benchmarks of reference-vmm share.

Each figure is a program of its own, called with a build directory: startup.py, memory.py,
boot.py, blk.py, net.py. All of them take the VMMs in turns within one run and print one
JSON object a line; the times of two runs say nothing about each other.
"""
import json
import os
import pathlib
import shlex
import shutil
import statistics
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(TOP / "tests" / "nested"), str(TOP / "tests" / "system")]
sys.pycache_prefix = os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "libvmm", "python")

import withkvm.cpio  # noqa: E402 (the path had to come first)
import withkvm.modules  # noqa: E402

CANNOT_RUN = 77
WITH_KVM = TOP / "tests" / "nested" / "with-kvm"
# What a machine of that kind needs at run time, beside the program.
QEMU_FILES = ("bios-microvm.bin", "linuxboot_dma.bin", "pvh.bin", "kvmvapic.bin")
QEMU_SHARE = pathlib.Path("/usr/share/qemu")
# Nothing but what the comparison is about: no default devices, no user's settings.
QEMU_OPTIONS = ("-cpu", "host", "-nodefaults", "-no-user-config", "-display", "none",
                "-no-reboot", "-serial", "stdio")
CMDLINE = "console=ttyS0 quiet panic=-1"


class CannotRun(Exception):
    """This machine lacks what the figure needs."""


class Build:
    """The programs of a build directory, and Debian's QEMU."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory).resolve()
        self.vmm = self.directory / "reference-vmm" / "reference-vmm"
        if not self.vmm.exists():
            raise CannotRun(f"{self.vmm} is not built")
        self.qemu = shutil.which("qemu-system-x86_64")
        if not self.qemu:
            raise CannotRun("no qemu-system-x86_64: tools/deps nested")

    def tool(self, name):
        return self.directory / "reference-vmm" / "bench" / f"vmm-bench-{name}"

    def spawn(self, argv):
        """A command that times the guest's first word; a line's end is two bytes there."""
        return [self.tool("spawn"), "bench up", "bench done", *argv]

    def ours(self, *options):
        return [self.vmm, "run", *options]

    def microvm(self, *options, machine=""):
        return [self.qemu, "-M", "microvm,accel=kvm" + machine, *QEMU_OPTIONS, *options]


def rounds(usual):
    """How many; $VMM_BENCH_ROUNDS says otherwise."""
    return int(os.environ.get("VMM_BENCH_ROUNDS") or usual)


def report(case, times, reference=None, reference_times=None, **more):
    """Print one figure: medians and minima of nanoseconds, and how they compare.

    ratio is that of the fastest rounds, ratio_median that of the medians.
    """
    line = {"library": "reference-vmm", "case": case,
            "ns_per_op": round(statistics.median(times), 3),
            "min_ns_per_op": round(min(times), 3), "reference": reference, "ratio": None}
    if reference:
        line["ratio"] = round(min(times) / min(reference_times), 3)
        line["ratio_median"] = round(
            statistics.median(times) / statistics.median(reference_times), 3)
        line["reference_ns_per_op"] = round(statistics.median(reference_times), 3)
    print(json.dumps({**line, **more}), flush=True)


def fields(text):
    """The last word of each line "NAME VALUE...", by name."""
    return {words[0]: int(words[1]) for line in text.splitlines()
            if len(words := line.split()) == 2 and words[1].isdigit()}


def initrd(build, path, *modules):
    """An initramfs of the benchmark's guest, and of modules with what they need."""
    archive = withkvm.cpio.Archive()
    archive.device("/dev/console", 0o600, 5, 1)
    archive.data("/init", str(build.tool("guest")), 0o755)
    if modules:
        have = withkvm.modules.find(print_of("--print-modules"))
        contents, order = {}, []
        for name in modules:
            withkvm.modules.collect(name, have, contents, {}, order)
        for name in order:
            archive.data(f"/modules/{name}.ko", contents[name])
        archive.data("/modules/order", "".join(f"{name}\n" for name in order).encode())
    with open(path, "wb") as out:
        archive.write(out)
    return path


def print_of(option):
    return subprocess.run([WITH_KVM, option], check=True, capture_output=True,
                          text=True).stdout.strip()


def quote(argv):
    return " ".join(shlex.quote(str(word)) for word in argv)


def nested(build, script, *files, memory=2048, timeout=900):
    """Run a shell script in a nested machine whose clock counts instructions."""
    travelling = [build.vmm, build.qemu, build.tool("spawn"), build.tool("peer"), *files,
                  *(QEMU_SHARE / name for name in QEMU_FILES)]
    argv = [WITH_KVM, "--icount", "--memory", str(memory), "--timeout", str(timeout)]
    for file in travelling:
        argv += ["--file", str(file)]
    done = subprocess.run([*argv, "--", "sh", "-c", script], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, check=False)
    text = done.stdout.decode("ascii", "replace").replace("\r", "")
    if done.returncode != 0:
        raise SystemExit(f"the nested machine: status {done.returncode}\n{text[-2000:]}")
    return text


def rounds_of(text):
    """What was printed between lines "round NAME", as (name, text) in order."""
    parts = text.split("round ")[1:]
    return [tuple(part.split("\n", 1)) for part in parts]


def results_of(text):
    """Nanoseconds of an operation, by case, and what its bytes are."""
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["failed"]:
            raise SystemExit(f"in the guest: {line}")
        if words[:1] == ["result"]:
            total, ops, size = map(int, words[2:])
            yield words[1], total / ops, size / ops


def report_results(figure, text):
    """Print each case that the guest measured, against each of the other VMMs.

    rate_ratio is our rate over theirs: more is better.
    """
    times, sizes = {}, {}
    for name, body in rounds_of(text):
        for case, each, size in results_of(body):
            times.setdefault(case, {}).setdefault(name, []).append(each)
            sizes[case] = size
    for case, by_name in times.items():
        mine = by_name.pop("ours")
        for name, theirs in by_name.items():
            if case == "warm":
                continue
            median = statistics.median(mine)
            report(f"{figure}.{case}", mine, name, theirs,
                   rate_ratio=round(min(theirs) / min(mine), 3),
                   per_s=round(1e9 / median, 1),
                   mb_per_s=round(sizes[case] * 1e3 / median, 1))


def main(figure):
    """Call the figure with the build directory of the command line."""
    if len(sys.argv) != 2:
        print(f"usage: {pathlib.Path(sys.argv[0]).name} BUILD", file=sys.stderr)
        return 2
    try:
        figure(Build(sys.argv[1]))
    except CannotRun as reason:
        print(f"reference-vmm: {pathlib.Path(sys.argv[0]).stem}: {reason}", file=sys.stderr)
        return CANNOT_RUN
    return 0
