#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""reference-vmm's control sockets, with bare-metal kernels on this machine's /dev/kvm.

The path of reference-vmm is the only argument.
"""
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time

import guests
import tap
from terminal import Terminal

VMM = sys.argv[1]
NOBODY = 65534


class Home:
    """A runtime directory, and what runs in it: all of it ends with the test."""

    def __init__(self, directory):
        self.directory = directory / "run"
        self.directory.mkdir(mode=0o700)
        self.work = directory
        self.environment = dict(os.environ, XDG_RUNTIME_DIR=str(self.directory))
        self.processes = []
        self.names = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for name in self.names:
            self.command("kill", name)
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
            process.stdout.close()
            process.stderr.close()

    def start(self, name, *args, guest="count", ready=b"ready\n"):
        """Run a machine; the guest that is its default runs for ever."""
        command = [VMM, "run", "--force", "--name", name, "--memory", "64M", "--kernel",
                   str(guests.write(self.work, guest)), *map(str, args)]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=self.environment)
        self.processes.append(process)
        seen = b""
        while ready not in seen:
            readable, _, _ = select.select([process.stdout], [], [], 20)
            part = os.read(process.stdout.fileno(), 4096) if readable else b""
            tap.check(part, f"{name} does not start: {seen!r}")
            seen += part
        return process

    def background(self, name, *args, guest="count"):
        """Run a machine that outlives its caller."""
        kernel = guests.write(self.work, guest)
        done = self.command("run", "--force", "--background", "--name", name, "--memory", "64M",
                            "--kernel", kernel, *args)
        self.names.append(name)
        return done

    def command(self, *args, timeout=40):
        return subprocess.run([VMM, *map(str, args)], stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, env=self.environment, timeout=timeout,
                              check=False)

    def done(self, *args):
        result = self.command(*args)
        tap.equal((result.returncode, result.stderr), (0, ""), f"{args}")
        return result.stdout

    def json(self, *args):
        return json.loads(self.done(*args, "--json"))

    def refused(self, part, *args, status=1):
        result = self.command(*args)
        tap.equal((result.returncode, result.stdout), (status, ""), f"{args}")
        tap.equal(result.stderr.count("\n"), 1, f"lines in {result.stderr!r}")
        tap.contains(result.stderr, part, "message")

    def socket_path(self, name):
        return self.directory / "libvmm" / f"{name}.sock"

    def connect(self, name):
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.connect(str(self.socket_path(name)))
        client.settimeout(20)
        return client

    def counted(self, name):
        """How often the guest has said that it runs."""
        return self.json("stats", name)["cpus"][0]["exits"].get("io", {"count": 0})["count"]


def ask(client, line):
    client.sendall(line + b"\n")
    return answer(client)


def answer(client):
    seen = b""
    while not seen.endswith(b"\n"):
        part = client.recv(65536)
        if not part:
            return None
        seen += part
    return json.loads(seen)


def a_machine_is_listed_and_described(directory):
    with Home(directory) as home:
        tap.equal(home.json("list"), [], "before")
        tap.equal(home.done("list"), "", "before, as text")
        process = home.start("one", "--cpus", 2)
        home.start("two")
        machines = home.json("list")
        tap.equal([m["name"] for m in machines], ["one", "two"], "names")
        tap.equal((machines[0]["pid"], machines[0]["state"]), (process.pid, "running"), "one")
        tap.equal((machines[0]["cpus"], machines[0]["memory_bytes"]), (2, 64 << 20), "one")
        text = home.done("list").splitlines()
        tap.equal(len(text), 3, "lines of text")
        tap.contains(text[1], "64 MiB", "memory")
        info = home.json("info", "one")
        tap.contains(info["kernel"], "count.elf", "kernel")
        tap.contains(home.done("info", "one"), "state: running\n", "text")


def a_paused_machine_stands_still(directory):
    with Home(directory) as home:
        home.start("demo", "--cpus", 2)
        before = home.counted("demo")
        time.sleep(0.2)
        tap.check(home.counted("demo") > before, "it runs")
        for _ in range(20):
            tap.equal(home.json("pause", "demo"), {"state": "paused"}, "pause")
            before = home.counted("demo")
            tap.equal(home.done("pause", "demo"), "demo: paused\n", "pause again")
            time.sleep(0.02)
            tap.equal(home.counted("demo"), before, "nothing runs")
            tap.equal(home.json("info", "demo")["state"], "paused", "state")
            tap.equal(home.json("resume", "demo"), {"state": "running"}, "resume")
            tap.equal(home.done("resume", "demo"), "demo: running\n", "resume again")
        before = home.counted("demo")
        time.sleep(0.2)
        tap.check(home.counted("demo") > before, "it runs again")


def a_paused_machine_can_be_ended(directory):
    with Home(directory) as home:
        for ending in ("kill", "stop", "signal"):
            process = home.start("demo")
            home.done("pause", "demo")
            if ending == "kill":
                tap.equal(home.json("kill", "demo"),
                          {"state": "ended", "status": 0, "outcome": "killed"}, "kill")
            elif ending == "stop":
                tap.contains(home.done("stop", "demo", "--timeout", 1), "by force, 1 s", "stop")
            else:
                process.terminate()
            tap.equal(process.wait(10), 0, f"status after {ending}")


def stop_presses_the_button_and_then_uses_force(directory):
    with Home(directory) as home:
        process = home.start("demo")
        begin = time.monotonic()
        text = home.done("stop", "demo", "--timeout", 2)
        tap.equal(text, "demo: stopped by force, 2 s after its power button\n", "output")
        tap.check(2 <= time.monotonic() - begin < 10, "when")
        tap.equal(process.wait(10), 0, "status")
        # The first deadline counts, and a kill does not wait for any.
        process = home.start("demo")
        with home.connect("demo") as first, home.connect("demo") as second:
            first.sendall(b'{"command":"stop","timeout":60,"id":5}\n')
            second.sendall(b'{"command":"info"}\n')
            tap.equal(answer(second)["result"]["state"], "stopping", "state")
            home.done("kill", "demo")
            end = answer(first)
            tap.equal((end["id"], end["result"]["outcome"]), (5, "killed"), "the end is told")


def a_machine_that_is_gone_leaves_nothing(directory):
    with Home(directory) as home:
        home.start("demo")
        home.done("kill", "demo")
        tap.equal(os.listdir(home.directory / "libvmm"), [], "files")
        home.refused("no machine named 'demo'", "info", "demo")
        home.start("demo")


def a_left_over_socket_is_recognised(directory):
    with Home(directory) as home:
        vsock = ("--vsock", f"cid=3,socket={directory / 'vsock'}")
        for way in ("run", "list", "info"):
            process = home.start("demo", *vsock)
            process.kill()
            process.wait()
            tap.check(home.socket_path("demo").exists(), "a socket is left")
            if way == "run":
                home.start("demo", *vsock)
                home.done("kill", "demo")
                continue
            if way == "list":
                tap.equal(home.json("list"), [], "list")
            else:
                home.refused("no machine named 'demo'", "info", "demo")
            tap.check(not home.socket_path("demo").exists(), f"removed by {way}")


def two_machines_of_one_name_are_refused(directory):
    with Home(directory) as home:
        home.start("demo")
        kernel = guests.write(directory, "hang")
        home.refused("a machine named 'demo' is running", "run", "--force", "--kernel", kernel,
                     "--name", "demo")
        tap.equal(len(home.json("list")), 1, "the first one is still there")


def of_many_that_want_one_name_one_gets_it(directory):
    """Over a left-over socket, too: the lock decides who removes it."""
    with Home(directory) as home:
        first = home.start("demo")
        first.kill()
        first.wait()
        kernel = guests.write(directory, "count")
        rivals = [subprocess.Popen([VMM, "run", "--force", "--kernel", str(kernel), "--memory",
                                    "8M", "--name", "demo"], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=home.environment) for _ in range(8)]
        home.processes += rivals
        end = time.monotonic() + 30
        while sum(r.poll() is None for r in rivals) > 1 and time.monotonic() < end:
            time.sleep(0.05)
        tap.equal(sorted(str(r.poll()) for r in rivals), ["1"] * 7 + ["None"], "who runs")
        tap.equal(len(home.json("list")), 1, "listed")


def what_is_no_socket_stays(directory):
    with Home(directory) as home:
        (home.directory / "libvmm").mkdir(mode=0o700)
        home.socket_path("demo").write_text("precious")
        home.refused("demo.sock", "run", "--force", "--kernel", guests.write(directory, "hang"),
                     "--name", "demo")
        tap.equal(home.json("list"), [], "list")
        tap.equal(home.socket_path("demo").read_text(), "precious", "content")


def a_directory_open_to_others_is_refused(directory):
    with Home(directory) as home:
        place = home.directory / "libvmm"
        place.mkdir()
        place.chmod(0o755)
        kernel = guests.write(directory, "hang")
        home.refused("open to other users", "run", "--force", "--kernel", kernel, "--name", "a")
        place.rmdir()
        place.symlink_to(directory)
        home.refused("libvmm: ", "run", "--force", "--kernel", kernel, "--name", "a")
        place.unlink()
        if os.geteuid() == 0:
            place.mkdir(mode=0o700)
            os.chown(place, NOBODY, NOBODY)
            home.refused("another user", "run", "--force", "--kernel", kernel, "--name", "a")


def wrong_requests_are_answered_and_change_nothing(directory):
    with Home(directory) as home:
        home.start("demo")
        with home.connect("demo") as client:
            for line, part in ((b"", None), (b"x", "not JSON"), (b"[]", "not a JSON object"),
                               (b'"kill"', "not JSON"), (b"{}", "command"),
                               (b'{"command":"boot"}', "unknown command"),
                               (b'{"command":["kill"]}', "command"),
                               (b'{"command":"kill","now":1}', "a key that kill"),
                               (b'{"command":"kill","command":"info"}', "not JSON"),
                               (b'{"command":"kill\\u0000"}', "not JSON"),
                               (b'{"command":"stop","timeout":-1}', "in range"),
                               (b'{"command":"stop","timeout":1e9}', "in range"),
                               (b'{"command":"balloon"}', "needs"),
                               (b'{"command":"balloon","memory":1048576}', "has no balloon"),
                               (b'{"command":"\xff"}', "not JSON"), (b"\0", "not JSON"),
                               (b"[" * 4000, "not JSON")):
                if part is None:
                    client.sendall(b"\n\r\n")
                    continue
                reply = ask(client, line)
                tap.equal(reply["ok"], False, f"{line[:40]!r}")
                tap.contains(reply["error"], part, f"{line[:40]!r}")
            reply = ask(client, b'{"command":"pause","id":-3}')
            tap.equal(reply, {"ok": True, "id": -3, "result": {"state": "paused"}}, "then")


def hostile_clients_hold_up_nobody(directory):
    with Home(directory) as home:
        home.start("demo")
        silent = [home.connect("demo") for _ in range(10)]
        for client in silent:
            client.sendall(b'{"command":"in')
        # One that asks and asks and never reads.
        deaf = home.connect("demo")
        deaf.setblocking(False)
        try:
            while True:
                deaf.send(b'{"command":"stats"}\n' * 100)
        except BlockingIOError:
            pass
        begin = time.monotonic()
        tap.equal(home.json("info", "demo")["state"], "running", "info")
        tap.check(time.monotonic() - begin < 5, "at once")
        # A line without an end, and a thousand lines at once.
        with home.connect("demo") as client:
            client.sendall(b"x" * 4096)
            tap.contains(answer(client)["error"], "too long", "reply")
            tap.equal(client.recv(1), b"", "and the end")
        with home.connect("demo") as client:
            client.sendall(b'{"command":"info"}\n' * 1000)
            client.shutdown(socket.SHUT_WR)
            lines = b""
            while part := client.recv(65536):
                lines += part
            tap.equal(lines.count(b'"ok":true'), 1000, "replies")
        for client in (*silent, deaf):
            client.close()
        tap.equal(home.json("info", "demo")["state"], "running", "in the end")


def open_files(process):
    return len(os.listdir(f"/proc/{process.pid}/fd"))


def many_clients_push_out_the_silent_ones(directory):
    with Home(directory) as home:
        process = home.start("demo")
        before = open_files(process)
        clients = [home.connect("demo")]
        tap.equal(ask(clients[0], b'{"command":"info"}')["ok"], True, "the first")
        for _ in range(100):
            clients.append(home.connect("demo"))
            tap.equal(ask(clients[-1], b'{"command":"info"}')["ok"], True, "each")
        tap.check(open_files(process) <= before + 16, "bounded")
        tap.equal(clients[0].recv(1), b"", "the silent one is gone")
        for client in clients:
            client.close()
        end = time.monotonic() + 10
        while open_files(process) > before and time.monotonic() < end:
            time.sleep(0.05)
        tap.equal(open_files(process), before, "open files")


def clients_that_vanish_leave_nothing(directory):
    with Home(directory) as home:
        process = home.start("demo")
        before = open_files(process)
        for line in (b"", b"{", b'{"command":"stats"}\n', b'{"command":"stats"}\n' * 200):
            for _ in range(20):
                with home.connect("demo") as client:
                    client.sendall(line)
        with home.connect("demo") as client:
            client.sendall(b'{"command":"stop","timeout":3600}\n')
        end = time.monotonic() + 10
        while open_files(process) > before and time.monotonic() < end:
            time.sleep(0.05)
        tap.equal(open_files(process), before, "open files")
        home.done("kill", "demo")


def another_user_is_not_heard(directory):
    if os.geteuid() != 0:
        raise tap.Skip("only root can be somebody else")
    with Home(directory) as home:
        home.start("demo")
        # The permissions would do; here they are gone.
        for path in (directory, home.directory, home.directory / "libvmm"):
            path.chmod(0o777)
        home.socket_path("demo").chmod(0o777)
        script = ("import os, socket, sys\n"
                  f"os.setgid({NOBODY}); os.setuid({NOBODY})\n"
                  "s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n"
                  "try:\n"
                  "    s.sendall(b'{\"command\":\"kill\"}\\n'); print(s.recv(100))\n"
                  "except (BrokenPipeError, ConnectionResetError): print(b'')\n")
        done = subprocess.run([sys.executable, "-c", script, str(home.socket_path("demo"))],
                              capture_output=True, text=True, timeout=20, check=False)
        tap.equal((done.returncode, done.stdout), (0, "b''\n"), done.stderr)
        (home.directory / "libvmm").chmod(0o700)
        tap.equal(home.json("info", "demo")["state"], "running", "state")


def a_machine_that_hangs_is_listed_and_killed(directory):
    with Home(directory) as home:
        process = home.start("demo")
        process.send_signal(signal.SIGSTOP)
        tap.equal(home.json("list"), [{"name": "demo", "pid": process.pid, "state": "silent"}],
                  "list")
        tap.equal(home.done("kill", "demo"), "demo: killed (SIGKILL)\n", "kill")
        tap.equal(process.wait(10), -signal.SIGKILL, "status")
        tap.equal(home.json("list"), [], "afterwards")


def a_client_believes_no_machine(directory):
    """Whatever answers: a bounded time, one line of error, nothing for the terminal."""
    with Home(directory) as home:
        (home.directory / "libvmm").mkdir(mode=0o700)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(home.socket_path("fake")))
        listener.listen()
        listener.settimeout(20)
        deep = b'{"a":' * 1900 + b"1" + b"}" * 1900
        for reply, status, part in (
                (b"", 1, "the machine is gone"), (b'{"ok":true', 1, "the machine is gone"),
                (b"\n", 1, "makes no sense"), (b"[]\n", 1, "makes no sense"),
                (b'{"ok":true,"result":[]}\n', 1, "makes no sense"),
                (b'{"ok":false,"error":"no\\u001b[2J"}\n', 1, "fake: no?[2J"),
                (b"x" * (1 << 21), 1, "gone"),
                (b'{"ok":true,"result":{"a":"\\u001b[2J","b\\u001b":1,"c_bytes":-1,"d":[1,[{}]]}}\n',
                 0, "a: ?[2J\nb?: 1\n"),
                (b'{"ok":true,"result":{"outcome":"\\u001b"}}\n', 0, "fake: ?\n"),
                (b'{"ok":true,"result":' + deep + b"}\n", 0, "")):
            client = subprocess.Popen([VMM, "info", "fake"], env=home.environment, text=True,
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            peer, _ = listener.accept()
            peer.settimeout(20)
            tap.equal(peer.recv(100), b'{"command":"info"}\n', "request")
            try:
                peer.sendall(reply)
            except (BrokenPipeError, ConnectionResetError):
                pass
            peer.close()
            out, error = client.communicate(timeout=20)
            tap.equal(client.returncode, status, f"{reply[:40]!r} {error!r}")
            tap.equal(error.count("\n"), status, f"lines in {error!r}")
            tap.contains(error if status else out, part, f"{reply[:40]!r}")
            tap.check("\x1b" not in out + error, "escapes reach the terminal")
        listener.close()


def a_balloon_takes_a_target(directory):
    with Home(directory) as home:
        home.start("demo", "--balloon")
        stats = home.json("balloon", "demo", "32M")
        tap.equal((stats["target_bytes"], stats["actual_bytes"]), (32 << 20, 64 << 20),
                  "a guest without a driver")
        tap.equal(home.json("stats", "demo")["balloon"]["target_bytes"], 32 << 20, "stats")
        home.refused("only 64 MiB", "balloon", "demo", "65M")
        tap.equal(home.json("balloon", "demo", 64)["target_bytes"], 64 << 20, "back")


class OnTerminal(Terminal):
    """A command of reference-vmm that has a terminal."""

    def __init__(self, home, *args):
        super().__init__([VMM, *args], env=home.environment)
        home.processes.append(self.process)
        self.process.stdout = self.process.stderr = open(os.devnull, "rb")

    def ended(self, status):
        tap.equal(self.wait(20), status, f"status, after {self.seen!r}")
        tap.check(self.restored(), "terminal settings")
        self.close()


def a_machine_in_the_background_outlives_its_caller(directory):
    with Home(directory) as home:
        done = home.background("demo")
        tap.equal((done.returncode, done.stdout, done.stderr), (0, "", ""), "the caller")
        info = home.json("info", "demo")
        tap.equal(info["state"], "running", "state")
        tap.equal(os.getsid(info["pid"]), info["pid"], "a session of its own")
        for number in (0, 1, 2):
            tap.equal(os.readlink(f"/proc/{info['pid']}/fd/{number}"), "/dev/null", "descriptor")
        tap.equal(home.json("kill", "demo")["outcome"], "killed", "its end")
        # Output to a file goes on.
        kernel = guests.write(directory, "hello")
        with open(directory / "out", "wb") as out:
            subprocess.run([VMM, "run", "--force", "--background", "--name", "demo", "--kernel",
                            kernel], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                           env=home.environment, timeout=20, check=True)
        end = time.monotonic() + 20
        while home.json("list") and time.monotonic() < end:
            time.sleep(0.02)
        tap.equal((directory / "out").read_text(),
                  "hello from the bare metal\nreference-vmm: guest powered off\n", "output")


def a_machine_in_the_background_that_fails_says_so(directory):
    with Home(directory) as home:
        kernel = guests.write(directory, "hang")
        background = ("run", "--force", "--background", "--kernel", kernel)
        home.refused("needs --name", *background, status=2)
        home.refused("one of them", *background, "--name", "a", "--dry-run", status=2)
        home.refused("No such file", *background, "--name", "a", "--disk", directory / "missing")
        home.start("demo")
        home.refused("'demo' is running", *background, "--name", "demo")


def a_console_is_used_and_left(directory):
    with Home(directory) as home:
        home.background("demo", guest="echo")
        terminal = OnTerminal(home, "console", "demo")
        terminal.expect(b"ready\r\n")  # it was said before
        terminal.type(b"abc")
        terminal.expect(b"abc")
        tap.check(terminal.is_raw(), "raw mode")
        terminal.type(b"\x03\x01\x01")  # no signal; one Ctrl-A
        terminal.expect(b"\x03\x01")
        terminal.type(b"\x01b\x01d")
        terminal.expect(b"left its console")
        terminal.ended(0)
        tap.equal(home.json("info", "demo")["state"], "running", "it goes on")
        # Without a terminal there is no escape key, and the end of input is not the end.
        done = subprocess.run([VMM, "console", "demo"], input=b"x\x01dq", capture_output=True,
                              env=home.environment, timeout=20, check=False)
        tap.equal(done.returncode, 0, f"status {done.stderr!r}")
        tap.check(done.stdout.endswith(b"x\x01dq"), f"{done.stdout!r}")
        tap.contains(done.stderr, b"its console has ended", "message")
        # Who sees the end may start a successor at once.
        tap.equal(home.json("list"), [], "the guest powered off")


def a_console_client_that_is_ended_leaves_the_terminal_as_it_was(directory):
    with Home(directory) as home:
        process = home.start("demo", guest="echo")
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            terminal = OnTerminal(home, "console", "demo")
            terminal.expect(b"ready")
            terminal.process.send_signal(number)
            terminal.ended(-number)
        terminal = OnTerminal(home, "console", "demo")
        terminal.expect(b"ready")
        process.kill()
        terminal.expect(b"its console has ended")
        terminal.ended(0)


def many_use_a_console_and_none_holds_up_the_guest(directory):
    with Home(directory) as home:
        process = home.start("demo", guest="echo")
        before = open_files(process)
        users = []
        for _ in range(8):
            users.append(home.connect("demo"))
            users[-1].sendall(b'{"command":"console"}\n')
        # Also the machine's own output has it, so the guest goes on when that is read.
        users[3].sendall(b"abc")
        for user in users:
            seen = b""
            while not seen.endswith(b"ready\nabc"):
                seen += user.recv(4096)
            tap.contains(seen, b'{"ok":true,"result":{"state":"running"}}\n', "reply")
        home.refused("8 use its console already", "console", "demo")
        # One never reads; another types what no socket holds, and sees all of it.
        wanted, sent, seen = 300000, 0, 0
        users[1].setblocking(False)
        while seen < wanted:
            readable, writable, _ = select.select([users[1], process.stdout],
                                                  [users[1]] if sent < wanted else [], [], 20)
            tap.check(readable or writable, f"stuck after {seen} of {sent} bytes")
            if writable:
                sent += users[1].send(b"x" * min(65536, wanted - sent))
            if users[1] in readable:
                seen += len(users[1].recv(65536))
            if process.stdout in readable:
                os.read(process.stdout.fileno(), 65536)
        tap.equal(seen, wanted, "bytes")
        for user in users:
            user.close()
        end = time.monotonic() + 10
        while open_files(process) > before and time.monotonic() < end:
            time.sleep(0.05)
        tap.equal(open_files(process), before, "open files")


def a_machine_may_have_no_console(directory):
    with Home(directory) as home:
        home.background("demo", "--console", "none")
        home.refused("has no console", "console", "demo")
        with home.connect("demo") as client:
            tap.contains(ask(client, b'{"command":"break"}')["error"], "has no console", "break")
        plan = home.json("run", "--force", "--kernel", directory / "count.elf", "--console", "none",
                         "--dry-run")
        tap.equal(plan["cmdline"], "", "command line")
        tap.check("serial" not in [d["name"] for d in plan["devices"]], f"{plan['devices']}")


def kernel_of(home):
    return home.work / "count.elf"


def statistics_tell_counts_and_times(directory):
    with Home(directory) as home:
        home.start("demo")
        first = home.json("stats", "demo")
        time.sleep(0.3)
        second = home.json("stats", "demo")
        ran = second["cpus"][0]["guest_ns"] - first["cpus"][0]["guest_ns"]
        passed = (second["uptime_ms"] - first["uptime_ms"]) * 1000000
        tap.check(0 < ran <= passed + 50000000, f"in the guest for {ran} of {passed} ns")
        exits = [s["cpus"][0]["exits"]["io"] for s in (first, second)]
        tap.check(exits[0]["count"] < exits[1]["count"], f"counts {exits}")
        tap.check(0 < exits[1]["time_ns"] - exits[0]["time_ns"] <= passed, f"times {exits}")
        tap.equal(second["devices"], [], "devices")
        home.start("more", "--disk", f"{kernel_of(home)},ro,queues=2", "--net", "none")
        devices = home.json("stats", "more")["devices"]
        tap.equal([(d["name"], len(d["queues"])) for d in devices], [("disk", 2), ("net", 3)],
                  "devices")
        tap.equal(devices[0]["queues"][1],
                  {"queue": 1, "size": 0, "used": 0, "inflight": 0, "interrupts": 0,
                   "suppressed": 0, "malformed": 0, "broken": 0}, "a queue without a driver")
        rounds = second["loop"]["rounds"]
        tap.check(rounds["count"] > first["loop"]["rounds"]["count"], "rounds")
        tap.check(0 < rounds["half_within_ns"] <= rounds["99_of_100_within_ns"]
                  <= rounds["longest_ns"], f"quantiles {rounds}")
        tap.contains(home.done("stats", "demo"), "loop.rounds.99_of_100_within: 0.", "as text")


def a_disk_is_made_larger(directory):
    with Home(directory) as home:
        for name in ("a", "b", "c"):
            with open(directory / name, "wb") as image:
                image.truncate(1 << 20)
        home.start("demo", "--disk", directory / "a", "--disk", f"{directory / 'b'},id=data",
                   "--disk", f"{directory / 'c'},ro")
        tap.equal(home.json("resize-disk", "demo", "vda", "4M"),
                  {"disk": "vda", "size_bytes": 4 << 20}, "by its letter")
        tap.equal((directory / "a").stat().st_size, 4 << 20, "the file")
        tap.equal(home.json("resize-disk", "demo", "data", "2M")["size_bytes"], 2 << 20, "by id")
        os.truncate(directory / "b", 3 << 20)
        tap.equal(home.json("resize-disk", "demo", "vdb")["size_bytes"], 3 << 20, "its file's")
        tap.equal(home.done("resize-disk", "demo", "vdb"), "disk: vdb\nsize: 3 MiB\n", "as text")
        home.refused("does not become smaller", "resize-disk", "demo", "vda", "2M")
        home.refused("read-only disk", "resize-disk", "demo", "vdc", "2M")
        for name in ("vdd", "vd", "vdaa", "first"):
            home.refused(f"no disk '{name}'", "resize-disk", "demo", name, "9M")
        tap.equal((directory / "a").stat().st_size, 4 << 20, "nothing else changed")


def exits_are_traced(directory):
    with Home(directory) as home:
        trace = directory / "trace"
        kernel = guests.write(directory, "hello")
        done = home.command("run", "--force", "--kernel", kernel, "--trace-exits", trace)
        tap.equal((done.returncode, done.stdout), (0, "hello from the bare metal\n"), "run")
        lines = trace.read_text().splitlines()
        tap.contains(lines[0], "cpu 0: io in port 0x3fd", "first line")
        tap.contains(lines[0], "size 1, count 1: 60", "first line")
        tap.contains(lines[-1], "io out port 0x600, size 1, count 1: 34", "last line")
        # A reader that does not read holds up nobody.
        os.mkfifo(directory / "fifo")
        reader = os.open(directory / "fifo", os.O_RDONLY | os.O_NONBLOCK)
        process = home.start("demo", "--trace-exits", directory / "fifo")
        home.done("kill", "demo")
        tap.equal(process.wait(10), 0, "status")
        os.close(reader)
        home.refused("Is a directory", "run", "--force", "--kernel", kernel, "--trace-exits",
                     directory)


def flags_of(pid, number):
    with open(f"/proc/{pid}/fdinfo/{number}", encoding="ascii") as info:
        return int(dict(line.split(":", 1) for line in info if ":" in line)["flags"], 8)


def a_machine_has_no_more_rights_than_it_needs(directory):
    with Home(directory) as home:
        (directory / "disk").write_bytes(bytes(1 << 20))
        nets = ("--net", "passt") if shutil.which("passt") else ("--net", "none")
        process = home.start("demo", "--disk", directory / "disk", "--rng", "--balloon",
                             "--vsock", f"cid=3,socket={directory / 'vsock'}", *nets)
        with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
            tap.contains(status.read(), "NoNewPrivs:\t1\n", "status")
        for number in os.listdir(f"/proc/{process.pid}/fd"):
            if int(number) > 2:
                tap.check(flags_of(process.pid, number) & os.O_CLOEXEC,
                          f"{number} is {os.readlink(f'/proc/{process.pid}/fd/{number}')}")


def closed_standard_descriptors_harm_no_disk(directory):
    with Home(directory) as home:
        disk = directory / "disk"
        disk.write_bytes(bytes(1 << 20))
        kernel = guests.write(directory, "hello")
        for closed in ("0<&-", "1>&-", "0<&- 1>&- 2>&-"):
            subprocess.run(["sh", "-c", f'exec "$@" {closed}', "sh", VMM, "run", "--force",
                            "--kernel", kernel, "--disk", disk], env=home.environment,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=20, check=True)
            tap.equal(disk.read_bytes(), bytes(1 << 20), f"the disk with {closed}")


def without_a_runtime_directory_it_is_in_tmp(directory):
    with Home(directory) as home:
        del home.environment["XDG_RUNTIME_DIR"]
        name = f"test-{os.getpid()}"
        path = f"/tmp/libvmm-{os.geteuid()}/{name}.sock"
        home.start(name)
        tap.check(os.path.exists(path), path)
        tap.equal(os.stat(os.path.dirname(path)).st_mode & 0o777, 0o700, "mode")
        home.done("kill", name)
        tap.check(not os.path.exists(path), "it is gone")


def fifty_machines_in_a_row_leave_nothing(directory):
    with Home(directory) as home:
        for _ in range(50):
            process = home.start("demo")
            home.done("kill", "demo")
            tap.equal(process.wait(10), 0, "status")
        tap.equal(os.listdir(home.directory / "libvmm"), [], "files")


def skip_reason():
    try:
        os.close(os.open("/dev/kvm", os.O_RDWR))
    except OSError as error:
        return f"/dev/kvm: {error.strerror}"
    return None


tap.run([a_machine_is_listed_and_described, a_paused_machine_stands_still,
         a_paused_machine_can_be_ended, stop_presses_the_button_and_then_uses_force,
         a_machine_that_is_gone_leaves_nothing, a_left_over_socket_is_recognised,
         two_machines_of_one_name_are_refused, of_many_that_want_one_name_one_gets_it,
         what_is_no_socket_stays, a_directory_open_to_others_is_refused,
         wrong_requests_are_answered_and_change_nothing, hostile_clients_hold_up_nobody,
         many_clients_push_out_the_silent_ones, clients_that_vanish_leave_nothing,
         another_user_is_not_heard, a_machine_that_hangs_is_listed_and_killed,
         a_client_believes_no_machine, a_balloon_takes_a_target,
         a_machine_in_the_background_outlives_its_caller,
         a_machine_in_the_background_that_fails_says_so, a_console_is_used_and_left,
         a_console_client_that_is_ended_leaves_the_terminal_as_it_was,
         many_use_a_console_and_none_holds_up_the_guest,
         a_machine_may_have_no_console, statistics_tell_counts_and_times, a_disk_is_made_larger, exits_are_traced,
         a_machine_has_no_more_rights_than_it_needs, closed_standard_descriptors_harm_no_disk,
         without_a_runtime_directory_it_is_in_tmp,
         fifty_machines_in_a_row_leave_nothing], skip_reason())
