# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""The user's terminal, lent to the command in the nested machine."""

import os
import signal
import termios
import tty


def usable(fd):
    """True if fd is a terminal and we may read from it: we are in its foreground."""
    if not os.isatty(fd):
        return False
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:
        return False


class Terminal:
    """Raw from make_raw() to restore(), which may come any number of times."""

    def __init__(self, fd):
        self._fd = fd
        self._saved = None
        self.resized = False
        outputs = [out for out in (1, 2) if os.isatty(out)]
        self.output = outputs[0] if outputs else fd

    def size(self):
        size = os.get_terminal_size(self._fd)
        return size.lines, size.columns

    def make_raw(self):
        self._saved = termios.tcgetattr(self._fd)
        # A stopped harness would leave the shell with a raw terminal.
        signal.signal(signal.SIGTSTP, signal.SIG_IGN)
        signal.signal(signal.SIGWINCH, self._note_resize)
        # What was typed since the start is for the command.
        tty.setraw(self._fd, termios.TCSADRAIN)

    def restore(self):
        if self._saved is not None:
            termios.tcsetattr(self._fd, termios.TCSADRAIN, self._saved)
            self._saved = None

    def _note_resize(self, _signum, _frame):
        self.resized = True
