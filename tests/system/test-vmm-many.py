#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""reference-vmm fifty times in a row: what a machine leaves behind, however it ends.

The paths of reference-vmm and many-machines are the only arguments.
"""
import ctypes
import os
import signal
import subprocess
import sys
import time

import guests
import tap
from terminal import Terminal

VMM, MANY = sys.argv[1:3]
PR_SET_CHILD_SUBREAPER = 36
MACHINES = 50


def devices(directory, name="machine"):
    """The options of a machine that has one of each."""
    disk = directory / "disk"
    disk.write_bytes(bytes(1 << 20))
    return ["--force", "--memory", "64M", "--name", name, "--disk", f"{disk},queues=2",
            "--net", "passt", "--net", "none", "--rng", "--balloon",
            "--vsock", f"cid=3,socket={directory}/vsock"]


def on_terminal(command, environment, errors):
    with open(errors, "wb") as stderr:
        return Terminal(command, stderr, environment)


def environment_in(directory):
    runtime = directory / "run"
    runtime.mkdir(mode=0o700, exist_ok=True)
    return dict(os.environ, XDG_RUNTIME_DIR=str(runtime))


def fifty_machines_in_one_process_leave_nothing(directory):
    options = " ".join(devices(directory))
    endings = {"power-off": 0, "reset-acpi": 0, "reset-i8042": 0, "triple-fault": 0,
               "internal-error": 1}
    kernels = {name: guests.write(directory, name) for name in endings}
    lines = [f"{status} run --kernel {kernels[name]} {options}" for name, status in endings.items()]
    # As many that fail half-way, each later than the one before.
    hello = kernels["power-off"]
    lines += [f"1 run --kernel {directory}/none {options}",
              f"1 run --kernel {hello} {options} --kvm /dev/null",
              f"1 run --kernel {hello} {options} --memory 8388608T",
              f"1 run --kernel {hello} {options} --disk {directory}/none",
              f"1 run --kernel {hello} {options} --initrd /dev/null"]
    script = directory / "script"
    script.write_text("\n".join(lines * (MACHINES // 5)) + "\n")
    errors = directory / "stderr"
    with on_terminal([MANY, str(script)], environment_in(directory), errors) as many:
        status = many.wait(150)
        many.read(0.1)
        tap.equal(status, 0, f"{many.seen[-2000:]!r} {errors.read_bytes()[-1000:]!r}")
        tap.contains(many.seen, b"%d machines left nothing" % (2 * MACHINES), "output")
    tap.equal(os.listdir(directory / "run/libvmm"), [], "sockets")
    tap.check(not (directory / "vsock").exists(), "the socket of --vsock is left")


def end_by_signal(signo):
    def end(machine, _):
        machine.process.send_signal(signo)
    end.__name__ = signo.name
    return end


def ctrl_a_x(machine, _):
    machine.type(b"\x01x")


def kill_command(_, environment):
    subprocess.run([VMM, "kill", "machine"], env=environment, check=True, timeout=20,
                   stdout=subprocess.DEVNULL)


def by_itself(*_):
    pass


# The guest, who ends it, the status. One that crashes leaves its sockets: that for control
# is removed by the next one.
ENDINGS = [("power-off", by_itself, 0), ("hang", ctrl_a_x, 0), ("triple-fault", by_itself, 0),
           ("hang", end_by_signal(signal.SIGSEGV), -signal.SIGSEGV),
           ("hang", end_by_signal(signal.SIGTERM), 0), ("internal-error", by_itself, 1),
           ("count", end_by_signal(signal.SIGKILL), -signal.SIGKILL),
           ("count", kill_command, 0), ("hang", end_by_signal(signal.SIGABRT), -signal.SIGABRT),
           ("reset-acpi", by_itself, 0)]


def no_process_is_left(what):
    """What the VMM has started comes to us when that is gone, and ends by itself."""
    end = time.monotonic() + 10
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0) or time.monotonic() < end:
            time.sleep(0.01)
    except ChildProcessError:
        return
    tap.check(False, f"a process is left after {what}")


def fifty_processes_leave_nothing(directory):
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    environment = environment_in(directory)
    options = devices(directory)
    descriptors = os.listdir("/proc/self/fd")
    for number in range(MACHINES):
        name, end, status = ENDINGS[number % len(ENDINGS)]
        what = f"{name}, {end.__name__} ({number})"
        command = [VMM, "run", "--kernel", str(guests.write(directory, name)), *options]
        errors = directory / "stderr"
        with on_terminal(command, environment, errors) as machine:
            if end is not by_itself:
                machine.expect(b"ready")
            end(machine, environment)
            tap.equal(machine.wait(20, what), status, f"status: {what} {errors.read_bytes()!r}")
            # Nothing can be done about SIGKILL.
            tap.check(machine.restored() or status == -signal.SIGKILL,
                      f"terminal settings after {what}")
        no_process_is_left(what)
        if status < 0:
            (directory / "vsock").unlink()
            continue
        tap.equal(os.listdir(directory / "run/libvmm"), [], f"sockets after {what}")
        tap.check(not (directory / "vsock").exists(), f"the socket of --vsock after {what}")
    tap.equal(os.listdir("/proc/self/fd"), descriptors, "our own descriptors")
    with open("/proc/net/unix", encoding="ascii", errors="replace") as sockets:
        tap.check(str(directory) not in sockets.read(), "sockets in the kernel")


def skip_reason():
    try:
        os.close(os.open("/dev/kvm", os.O_RDWR))
    except OSError as error:
        return f"/dev/kvm: {error.strerror}"
    return None


tap.run([fifty_machines_in_one_process_leave_nothing, fifty_processes_leave_nothing],
        skip_reason())
