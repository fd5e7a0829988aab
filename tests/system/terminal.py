# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""A program as the foreground job of a pseudo-terminal of its own."""
import fcntl
import os
import pty
import select
import subprocess
import termios
import time

import tap


class Terminal:
    """In a session of its own, so that this is its controlling terminal."""

    def __init__(self, command, stderr=None, env=None):
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.seen = b""
        self.process = subprocess.Popen(
            command, stdin=self.slave, stdout=self.slave, stderr=stderr or self.slave, env=env,
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.close()

    def close(self):
        os.close(self.master)
        os.close(self.slave)

    def is_raw(self):
        return not termios.tcgetattr(self.slave)[3] & termios.ICANON

    def restored(self):
        return termios.tcgetattr(self.slave) == self.before

    def type(self, text):
        os.write(self.master, text)

    def read(self, seconds):
        """What there is, or comes until then, goes to `seen`."""
        if select.select([self.master], [], [], max(0, seconds))[0]:
            self.seen += os.read(self.master, 4096)

    def expect(self, part, seconds=20):
        end = time.monotonic() + seconds
        while part not in self.seen:
            tap.check(time.monotonic() < end, f"{part!r} does not come: {self.seen!r}")
            self.read(end - time.monotonic())

    def wait(self, seconds, what="it"):
        """Read until it ends; return its status."""
        end = time.monotonic() + seconds
        while self.process.poll() is None:
            tap.check(time.monotonic() < end, f"{what} does not end: {self.seen[-2000:]!r}")
            self.read(0.05)
        return self.process.returncode
