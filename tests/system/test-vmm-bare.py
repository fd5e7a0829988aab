#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""reference-vmm with bare-metal kernels on this machine's /dev/kvm, whichever it is.

The path of reference-vmm is the only argument.
"""
import fcntl
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time

import guests
import tap
from terminal import Terminal

VMM = sys.argv[1]


def command(kernel, *args):
    return [VMM, "run", "--force", "--kernel", str(kernel), *map(str, args)]


def run(directory, name, *args, stdin=b"", timeout=30):
    return subprocess.run(command(guests.write(directory, name), *args), input=stdin,
                          capture_output=True, timeout=timeout, check=False)


def ends_with(directory, name, line):
    done = run(directory, name)
    tap.equal((done.returncode, done.stderr.decode()), (0, f"reference-vmm: {line}\n"), name)
    return done.stdout


def a_guest_prints_and_powers_off(directory):
    tap.equal(ends_with(directory, "hello", "guest powered off"), b"hello from the bare metal\n",
              "output")


def each_way_to_end_has_its_line(directory):
    ends_with(directory, "power-off", "guest powered off")
    ends_with(directory, "reset-acpi", "guest reset (ACPI)")
    ends_with(directory, "reset-i8042", "guest reset (i8042)")
    ends_with(directory, "triple-fault", "guest reset (triple fault)")


def unclaimed_reads_are_all_ones(directory):
    tap.equal(ends_with(directory, "unclaimed", "guest powered off"), b"ones\n", "output")


def an_internal_error_is_reported_in_full(directory):
    done = run(directory, "internal-error")
    text = done.stderr.decode()
    tap.check(done.returncode not in (0, 2), f"status {done.returncode}")
    tap.check(done.returncode > 0, f"died of signal {-done.returncode}")
    tap.contains(text, "vCPU 0 failed", "report")
    for part in ("internal", "rip", "rsp", "cr3", "00000000d0000000"):
        tap.contains(text.lower(), part, "report")


def standard_input_reaches_the_guest(directory):
    done = run(directory, "echo", stdin=bytes(range(1, 100)) + b"q")
    tap.equal(done.returncode, 0, done.stderr)
    tap.equal(done.stdout, b"ready\n" + bytes(range(1, 100)) + b"q", "echo")


def more_input_than_any_buffer_arrives_whole(directory):
    data = bytes(i % 100 + 1 for i in range(20000)).replace(b"q", b"Q") + b"q"
    done = run(directory, "echo", stdin=data, timeout=60)
    tap.equal(done.stdout == b"ready\n" + data, True, "echoed unchanged")


class Running:
    """A VMM that runs meanwhile; killed at the end whatever happens."""

    def __init__(self, directory, name, *args, **kwargs):
        self.process = subprocess.Popen(command(guests.write(directory, name), *args), **kwargs)

    def __enter__(self):
        return self.process

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream:
                stream.close()


def read_until(fd, text, timeout=20):
    seen = b""
    end = time.monotonic() + timeout
    while text not in seen:
        ready, _, _ = select.select([fd], [], [], max(0, end - time.monotonic()))
        tap.check(ready, f"waiting for {text!r}, saw {seen!r}")
        part = os.read(fd, 4096)
        tap.check(part, f"end while waiting for {text!r}, saw {seen!r}")
        seen += part
    return seen


def the_end_of_input_is_not_the_end(directory):
    with Running(directory, "hang", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                 stderr=subprocess.PIPE) as vmm:
        read_until(vmm.stdout.fileno(), b"ready\n")
        time.sleep(0.5)
        tap.equal(vmm.poll(), None, "it runs on")
        vmm.terminate()
        tap.equal(vmm.wait(10), 0, "status")


def cpu_seconds(process):
    with open(f"/proc/{process.pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def a_closed_input_does_not_spin(directory):
    with Running(directory, "hang", stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                 stderr=subprocess.PIPE) as vmm:
        vmm.stdin.close()
        read_until(vmm.stdout.fileno(), b"ready\n")
        before = cpu_seconds(vmm)
        time.sleep(1)
        tap.check(cpu_seconds(vmm) - before < 0.5, "it burns a CPU for a closed input")
        vmm.stdin = None


def signals_stop_it_in_order(directory):
    for signo in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        with Running(directory, "hang", "--cpus", 2, stdin=subprocess.DEVNULL,
                     stdout=subprocess.PIPE, stderr=subprocess.PIPE) as vmm:
            read_until(vmm.stdout.fileno(), b"ready\n")
            vmm.send_signal(signo)
            tap.equal(vmm.wait(10), 0, f"status after {signo.name}")
            tap.equal(vmm.stderr.read().decode(), f"reference-vmm: stopped by {signo.name}\n",
                      "line")


def a_reader_that_does_not_read_stalls_nothing(directory):
    """The guest sends 256 KiB, polled, and nobody reads: it still gets to its end."""
    with Running(directory, "flood", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                 stderr=subprocess.PIPE) as vmm:
        fcntl.fcntl(vmm.stdout.fileno(), fcntl.F_SETPIPE_SZ, 4096)
        tap.equal(vmm.wait(30), 0, "status")
        tap.contains(vmm.stderr.read(), b"guest powered off", "line")


def a_closed_output_stalls_nothing(directory):
    read_end, write_end = os.pipe()
    os.close(read_end)
    with Running(directory, "flood", stdin=subprocess.DEVNULL, stdout=write_end,
                 stderr=subprocess.PIPE) as vmm:
        os.close(write_end)
        tap.equal(vmm.wait(30), 0, "status")


class OnTerminal(Terminal):
    """A machine on a terminal."""

    def __init__(self, directory, name):
        super().__init__(command(guests.write(directory, name)))


def ctrl_a_x_ends_it_and_the_terminal_is_itself_again(directory):
    with OnTerminal(directory, "hang") as terminal:
        read_until(terminal.master, b"ready")
        tap.check(terminal.is_raw(), "raw mode while the guest runs")
        os.write(terminal.master, b"\x01x")
        tap.equal(terminal.process.wait(10), 0, "status")
        tap.contains(read_until(terminal.master, b"Ctrl-A x"), b"stopped by Ctrl-A x", "line")
        tap.check(terminal.restored(), "settings restored")


def ctrl_a_twice_sends_one(directory):
    with OnTerminal(directory, "echo") as terminal:
        read_until(terminal.master, b"ready")
        os.write(terminal.master, b"a\x01\x01b\x01zq")
        tap.equal(terminal.process.wait(10), 0, "status")
        tap.contains(read_until(terminal.master, b"q"), b"a\x01bq", "echo")


def ctrl_c_goes_to_the_guest(directory):
    with OnTerminal(directory, "echo") as terminal:
        read_until(terminal.master, b"ready")
        os.write(terminal.master, b"\x03\x1a\x1cq")
        tap.equal(terminal.process.wait(10), 0, "status")
        tap.contains(read_until(terminal.master, b"q"), b"\x03\x1a\x1cq", "echo")


def every_way_out_restores_the_terminal(directory):
    for name in ("power-off", "reset-i8042", "triple-fault", "internal-error"):
        with OnTerminal(directory, name) as terminal:
            status = terminal.process.wait(10)
            tap.equal(status, 1 if name == "internal-error" else 0, f"status of {name}")
            tap.check(terminal.restored(), f"settings restored after {name}")


def signals_and_crashes_restore_the_terminal(directory):
    for signo in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGSEGV,
                  signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL):
        with OnTerminal(directory, "hang") as terminal:
            read_until(terminal.master, b"ready")
            tap.check(terminal.is_raw(), "raw mode while the guest runs")
            terminal.process.send_signal(signo)
            status = terminal.process.wait(10)
            orderly = signo in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
            tap.equal(status, 0 if orderly else -signo, f"status after {signo.name}")
            tap.check(terminal.restored(), f"settings restored after {signo.name}")


def a_stopped_vmm_gives_the_terminal_back(directory):
    with OnTerminal(directory, "hang") as terminal:
        read_until(terminal.master, b"ready")
        terminal.process.send_signal(signal.SIGTSTP)
        _, status = os.waitpid(terminal.process.pid, os.WUNTRACED)
        tap.check(os.WIFSTOPPED(status), "stopped")
        tap.check(terminal.restored(), "settings restored while stopped")
        terminal.process.send_signal(signal.SIGCONT)
        end = time.monotonic() + 10
        while not terminal.is_raw() and time.monotonic() < end:
            time.sleep(0.01)
        tap.check(terminal.is_raw(), "raw again")
        os.write(terminal.master, b"\x01x")
        tap.equal(terminal.process.wait(10), 0, "status")


def bad_input_leaves_the_terminal_alone(directory):
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    done = subprocess.run([VMM, "run", "--kernel", str(directory / "none")], stdin=slave,
                          stdout=slave, stderr=subprocess.PIPE, timeout=20, check=False)
    tap.equal(done.returncode, 1, "status")
    tap.equal(termios.tcgetattr(slave), before, "settings")
    os.close(master)
    os.close(slave)


def refused(part, directory, *args, kernel="hang"):
    done = run(directory, kernel, *args)
    text = done.stderr.decode()
    tap.equal(done.returncode, 1, f"status of {args} ({text!r})")
    tap.equal((done.stdout, text.count("\n")), (b"", 1), f"one line, got {text!r}")
    tap.contains(text, part, "message")


def what_does_not_fit_is_refused(directory):
    refused("--cpus 1000000", directory, "--cpus", 1000000)
    refused("emory", directory, "--memory", "8388608T")
    refused("emory", directory, "--memory", "4096T")
    initrd = directory / "initrd"
    with initrd.open("wb") as f:
        f.truncate(64 << 20)
    refused(f"{initrd}", directory, "--memory", "32M", "--initrd", initrd)
    refused("ommand line", directory, "--cmdline", "x" * 5000)
    empty = directory / "empty"
    empty.write_bytes(b"")
    refused(f"{empty}", directory, "--initrd", empty)


def every_truncation_of_a_kernel_is_refused(directory):
    whole = guests.write(directory, "hang").read_bytes()
    cut = directory / "cut.elf"
    for length in (1, 4, 63, 64, 119, 120, 4095, 4096, len(whole) - 1):
        cut.write_bytes(whole[:length])
        done = subprocess.run(command(cut), capture_output=True, stdin=subprocess.DEVNULL,
                              timeout=20, check=False)
        tap.equal(done.returncode, 1, f"status at {length}")
        tap.contains(done.stderr, str(cut).encode(), "message")


def a_software_kvm_says_so_and_points_to_the_nested_way(directory):
    kernel = guests.write(directory, "hang")
    flags = open("/proc/cpuinfo", encoding="ascii").read()
    if "vmx" in flags or "svm" in flags:
        raise tap.Skip("this KVM is a hardware one")
    done = subprocess.run([VMM, "run", "--kernel", str(kernel)], capture_output=True,
                          stdin=subprocess.DEVNULL, timeout=20, check=False)
    tap.equal(done.returncode, 1, "status")
    tap.contains(done.stderr, b"with-kvm", "message")


def skip_reason():
    try:
        os.close(os.open("/dev/kvm", os.O_RDWR))
    except OSError as error:
        return f"/dev/kvm: {error.strerror}"
    return None


tap.run([a_guest_prints_and_powers_off, each_way_to_end_has_its_line,
         unclaimed_reads_are_all_ones, an_internal_error_is_reported_in_full,
         standard_input_reaches_the_guest, more_input_than_any_buffer_arrives_whole,
         the_end_of_input_is_not_the_end, a_closed_input_does_not_spin, signals_stop_it_in_order,
         a_reader_that_does_not_read_stalls_nothing, a_closed_output_stalls_nothing,
         ctrl_a_x_ends_it_and_the_terminal_is_itself_again, ctrl_a_twice_sends_one,
         ctrl_c_goes_to_the_guest, every_way_out_restores_the_terminal,
         signals_and_crashes_restore_the_terminal, a_stopped_vmm_gives_the_terminal_back,
         bad_input_leaves_the_terminal_alone, what_does_not_fit_is_refused,
         every_truncation_of_a_kernel_is_refused,
         a_software_kvm_says_so_and_points_to_the_nested_way], skip_reason())
