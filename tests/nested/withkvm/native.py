# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Run the command on this machine, with the time limit of the nested one."""

import os
import signal
import subprocess
import time

from . import process
from .errors import Failure, TimedOut, UsageError

SI_USER, SI_TKILL = 0, -6
WATCHED = {*process.DEADLY, signal.SIGCHLD}


def run(argv, program, deadline):
    """Run program with our own streams; return its exit status."""
    # From here on time is kept, and signals are taken, by waiting for them.
    signal.setitimer(signal.ITIMER_REAL, 0)
    process.adopt_orphans()
    watched = {s for s in WATCHED if signal.getsignal(s) != signal.SIG_IGN}
    old_mask = signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    parent = os.getpid()

    def prepare():
        process.die_with_parent(parent)
        for signum in process.DEADLY:
            if signum in watched:
                signal.signal(signum, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, old_mask)

    try:
        child = subprocess.Popen(argv, executable=program, preexec_fn=prepare)
    except OSError as error:
        raise UsageError(f"{program}: {error.strerror}") from error
    try:
        return _wait(child, deadline, watched)
    finally:
        process.hold_signals()
        _kill_descendants()


def _wait(child, deadline, watched):
    while True:
        # Descendants adopted from the command end here, too.
        done, status = os.waitpid(-1, os.WNOHANG)
        if done == child.pid:
            code = os.waitstatus_to_exitcode(status)
            child.returncode = code
            return code if code >= 0 else 128 - code
        if done:
            continue
        left = deadline - time.monotonic()
        info = signal.sigtimedwait(watched, left) if left > 0 else None
        if info is None:
            raise TimedOut()
        # A key of the terminal (^C) reaches the command as well: its decision.
        if info.si_signo in process.DEADLY and info.si_code in (SI_USER, SI_TKILL):
            raise process.Interrupted(info.si_signo)


def _kill_descendants():
    """Kill until nothing is left: each round may uncover new orphans."""
    for _ in range(1000):
        children = _children()
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        if not children:
            return
        for pid in children:
            try:
                os.waitpid(pid, 0)
            except ChildProcessError:
                pass
    raise Failure("processes of the command could not be killed")


def _children():
    """Our direct children; those below come up as orphans once these are gone."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                parent = file.read().rpartition(b")")[2].split()[1]
        except OSError:
            continue
        if int(parent) == os.getpid():
            found.append(int(name))
    return found
