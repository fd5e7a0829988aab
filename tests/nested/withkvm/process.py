# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Child processes that never outlive us, and the signals that end us."""

import ctypes
import os
import signal
import subprocess

from .errors import Interrupted, TimedOut

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
DEADLY = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)

_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent):
    """For the child between fork and exec: SIGKILL when the parent is gone."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def adopt_orphans():
    """Become the parent of descendants whose own parent ends."""
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def spawn(argv, **kwargs):
    """Start a program in a session of its own, out of the terminal's reach."""
    parent = os.getpid()
    return subprocess.Popen(argv, start_new_session=True,
                            preexec_fn=lambda: die_with_parent(parent), **kwargs)


def kill_group(child):
    """Kill what spawn() started, with all that stayed in its session."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    child.wait()


def run_tool(argv, **kwargs):
    """Run a program to its end; return its status and standard output."""
    child = spawn(argv, stdin=subprocess.DEVNULL, **kwargs)
    try:
        output, _ = child.communicate()
    except BaseException:
        kill_group(child)
        raise
    return child.returncode, output


def _interrupted(signum, _frame):
    raise Interrupted(signum)


def _timed_out(_signum, _frame):
    raise TimedOut()


def watch_signals():
    """Turn deadly signals into exceptions."""
    for signum in DEADLY:
        # Whoever started us with a signal ignored (nohup) wants it so.
        if signal.getsignal(signum) != signal.SIG_IGN:
            signal.signal(signum, _interrupted)


def ring_after(seconds):
    """Turn the end of our time into an exception."""
    signal.signal(signal.SIGALRM, _timed_out)
    signal.setitimer(signal.ITIMER_REAL, seconds)


def hold_signals():
    """Let nothing interrupt the clearing up that follows."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.pthread_sigmask(signal.SIG_BLOCK, DEADLY)


def die_by(signum):
    """End as the signal would have ended us, so that a parent sees it."""
    signal.signal(signum, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signum])
    os.kill(os.getpid(), signum)
    os._exit(128 + signum)
