# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""The ways in which the harness itself ends, as opposed to the command."""

USAGE = 2
TIMEOUT = 124
MACHINE = 125


class Failure(Exception):
    """One line for the user, an exit status, and perhaps a console to show."""

    def __init__(self, message, status=MACHINE, console=""):
        super().__init__(message)
        self.status = status
        self.console = console


class UsageError(Failure):
    def __init__(self, message):
        super().__init__(message, USAGE)


class TimedOut(Exception):
    """The alarm rang; raised by a signal handler wherever we happen to be."""


class Interrupted(Exception):
    """A deadly signal came; what it carries is the signal's number."""

    def __init__(self, signum):
        super().__init__(signum)
        self.signum = signum
