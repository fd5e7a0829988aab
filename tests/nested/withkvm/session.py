# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Carry bytes between our own streams and the nested machine, live."""

import os
import selectors
import socket
import stat
import time

from .errors import Failure

CHUNK = 1 << 16
# A pipe that polls as writable takes this much without blocking.
ATOMIC = 4096
CONSOLE_KEPT = 1 << 16
CONSOLE_SHOWN = 60
# Alarming, but so it is on every microvm.
NORMAL = "PCI: Fatal: No config space access function found"
STDIN, STDOUT, STDERR = 0, 1, 2
# QEMU's TCG can lose an interrupt of a processor that enters or leaves an inner guest: it
# changes interrupt_request there without its lock. The interrupt stays pending, and the
# processor asleep, until another one comes: so one comes.
TICK = 0.01  # seconds
WINDOW = 1  # a signal does not end the wait: look now and then for a new window size


class Outlet:
    """Bytes on their way to one of our own outputs."""

    def __init__(self, fd):
        self.fd = fd
        self.received = 0
        self.pending = bytearray()
        self.broken = False
        self._step = CHUNK if stat.S_ISREG(os.fstat(fd).st_mode) else ATOMIC

    def put(self, data):
        self.received += len(data)
        if not self.broken:
            self.pending += data

    def write_some(self):
        """Write what goes without blocking; false once nobody reads it."""
        try:
            done = os.write(self.fd, self.pending[:self._step])
            del self.pending[:done]
        except BlockingIOError:
            pass
        except OSError:
            self.broken = True
            self.pending.clear()
        return not self.broken


class Session:
    """One command in the machine, from its start to its exit status."""

    def __init__(self, machine, terminal):
        self._machine = machine
        self._terminal = terminal
        self._poll = selectors.PollSelector()
        self._outlets = {}
        self._to_guest = {"control": bytearray(), "stdin": bytearray(), "tty": bytearray()}
        self._stdin_open = False
        self._control = b""
        self._result = None
        self._console = bytearray()
        self._messages = bytearray()
        self._next_tick = None

    @property
    def console(self):
        """The last lines of the machine's console, fit to be shown."""
        text = self._messages + self._console
        lines = text.decode("ascii", "replace").replace("\r", "").split("\n")
        # What QEMU says of its processor at each start explains no failure.
        lines = [line for line in lines if "TCG doesn't support requested" not in line]
        shown = ["".join(c if c.isprintable() else " " for c in line) for line in lines]
        kept = [line for line in shown if line.strip() and NORMAL not in line]
        return "\n".join(kept[-CONSOLE_SHOWN:])

    def run(self):
        """Carry everything; return the command's exit status."""
        channels = self._machine.channels
        self._outlets = {"stdout": Outlet(STDOUT), "stderr": Outlet(STDERR)}
        if self._terminal:
            self._outlets["tty"] = Outlet(self._terminal.output)
        for name, channel in channels.items():
            self._watch(channel, selectors.EVENT_READ, name)
        self._watch(self._machine.messages, selectors.EVENT_READ, "messages")
        while not self._finished():
            self._update_interest()
            for key, events in self._poll.select(self._patience()):
                self._serve(key, events)
            self._tick()
            if self._terminal and self._terminal.resized:
                self._send_window()
        return self._result[0]

    # What is still to be done

    def _patience(self):
        if self._next_tick:
            return max(0, self._next_tick - time.monotonic())
        return WINDOW if self._terminal else None

    def _tick(self):
        if self._next_tick and time.monotonic() >= self._next_tick:
            self._next_tick = time.monotonic() + TICK
            if not self._to_guest["control"]:
                self._to_guest["control"] += b"tick\n"

    def _finished(self):
        if self._result is None:
            return False
        _, out, err = self._result
        for name, count in (("stdout", out), ("stderr", err)):
            outlet = self._outlets[name]
            if outlet.pending or (outlet.received < count and not outlet.broken):
                return False
        # The terminal's bytes precede the result on the machine's side.
        self._drain_tty()
        return not (self._terminal and self._outlets["tty"].pending)

    def _drain_tty(self):
        while self._terminal and (data := _receive(self._machine.channels["tty"])):
            self._outlets["tty"].put(data)

    def _watch(self, file, events, name):
        """Poll a file for events, or for none of them any more."""
        known = file in self._poll.get_map()
        if not events:
            if known:
                self._poll.unregister(file)
        elif known:
            if self._poll.get_key(file).events != events:
                self._poll.modify(file, events, name)
        else:
            self._poll.register(file, events, name)

    def _update_interest(self):
        for outlet in self._outlets.values():
            self._watch(outlet.fd, 0, None)
        for outlet in self._outlets.values():
            if outlet.pending:
                self._watch(outlet.fd, selectors.EVENT_WRITE, outlet)
        for name, data in self._to_guest.items():
            channel = self._machine.channels.get(name)
            if channel and channel in self._poll.get_map():
                write = selectors.EVENT_WRITE if data else 0
                self._watch(channel, selectors.EVENT_READ | write, name)
        # Take no more of our input than the machine takes of us.
        target = "tty" if self._terminal else "stdin"
        wanted = self._stdin_open and len(self._to_guest[target]) < CHUNK
        self._watch_stdin(wanted)

    def _watch_stdin(self, wanted):
        if STDIN in (outlet.fd for outlet in self._outlets.values() if outlet.pending):
            return
        self._watch(STDIN, selectors.EVENT_READ if wanted else 0, "our stdin")

    # What happens

    def _serve(self, key, events):
        if isinstance(key.data, Outlet):
            self._write_out(key.data)
        elif key.data == "our stdin":
            self._read_stdin()
        else:
            if events & selectors.EVENT_WRITE:
                self._write_guest(key.data)
            if events & selectors.EVENT_READ:
                self._read_guest(key.data, key.fileobj)

    def _write_out(self, outlet):
        if outlet.write_some():
            return
        for name, short in (("stdout", b"out"), ("stderr", b"err")):
            if self._outlets[name] is outlet:
                self._to_guest["control"] += b"close " + short + b"\n"

    def _read_stdin(self):
        try:
            data = os.read(STDIN, CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if self._terminal:
            self._to_guest["tty"] += data
        else:
            self._to_guest["stdin"] += data
        if not data:
            self._stdin_open = False
            self._end_stdin()

    def _end_stdin(self):
        if not self._terminal and not self._stdin_open and not self._to_guest["stdin"]:
            try:
                self._machine.channels["stdin"].shutdown(socket.SHUT_WR)
            except OSError:
                pass

    def _write_guest(self, name):
        waiting = self._to_guest[name]
        try:
            done = self._machine.channels[name].send(waiting[:CHUNK])
            del waiting[:done]
        except BlockingIOError:
            return
        except OSError:
            waiting.clear()
        if name == "stdin":
            self._end_stdin()

    def _read_guest(self, name, channel):
        data = os.read(channel.fileno(), CHUNK) if name == "messages" else _receive(channel)
        if data is None:
            return
        if not data:
            self._watch(channel, 0, name)
            if name == "control":
                self._machine_ended()
            return
        if name in self._outlets:
            self._outlets[name].put(data)
        elif name == "stdin":
            self._stdin_open = True
        elif name == "control":
            self._read_control(data)
        else:
            kept = self._console if name == "console" else self._messages
            kept += data
            del kept[:-CONSOLE_KEPT]

    def _read_control(self, data):
        *lines, self._control = (self._control + data).split(b"\n")
        for line in lines:
            verb, *numbers = line.split()
            if verb == b"ready":
                self._next_tick = time.monotonic()
                if self._terminal:
                    self._terminal.make_raw()
                    self._stdin_open = True
            elif verb == b"exit":
                self._result = [int(number) for number in numbers]

    def _send_window(self):
        self._terminal.resized = False
        rows, columns = self._terminal.size()
        self._to_guest["control"] += f"window {rows} {columns}\n".encode()

    def _machine_ended(self):
        if self._result is not None:
            return
        self._machine.child.wait()
        for name, kept in (("console", self._console), ("messages", self._messages)):
            file = self._machine.messages if name == "messages" else \
                self._machine.channels[name]
            while data := _read_rest(file):
                kept += data
        raise Failure("the nested machine ended before the command did", console=self.console)


def _receive(channel):
    """Return what is there, None for nothing yet, b"" at the end."""
    try:
        return channel.recv(CHUNK)
    except BlockingIOError:
        return None
    except ConnectionError:
        return b""


def _read_rest(file):
    if isinstance(file, socket.socket):
        return _receive(file)
    return os.read(file.fileno(), CHUNK)
