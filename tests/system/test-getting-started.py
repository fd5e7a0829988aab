#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""docs/getting-started.md, done by a user at a terminal: each command, in its order.

The directory to work in, which the page calls build/demo, is the only argument; what is
there is removed. Blocks of the page:

  sh        commands, each of which has to succeed
  text      what the block of commands before it prints, among other things: in any line,
            a number stands for every number, and ... for anything
  console   the same for a console: what stands behind a prompt is typed, the rest is printed
"""
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time

import tap

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
PAGE = TOP / "docs" / "getting-started.md"
DEMO = "build/demo"
WORK = os.path.relpath(sys.argv[1], TOP)

HOST_PROMPT = "$ "
GUEST_PROMPT = "root@demo:~# "
PROMPTS = ("demo login: ", GUEST_PROMPT)
DETACH = "(Ctrl-A d)"
# Generous: other tests run at the same time, and the guest in an emulated machine.
PATIENCE = 400

ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07|[78=>])|\r|\x07")


def blocks(text):
    """Yield the language, the first line's number and the lines of each fenced block."""
    language = None
    for number, line in enumerate(text.splitlines(), 1):
        if language is None and line.startswith("```"):
            language, first, lines = line[3:], number + 1, []
        elif line == "```":
            yield language, first, lines
            language = None
        elif language is not None:
            lines.append(line)
    tap.check(language is None, f"{PAGE.name}: a block without an end")


def commands(lines):
    """Put together what a shell reads as one command: continued lines, here documents."""
    whole, end = [], None
    for line in lines:
        whole.append(line)
        found = re.search(r"<<'(\w+)'", line)
        end = found[1] if found else end
        if line == end or (end is None and not line.endswith(("\\", "&&"))):
            yield "\n".join(whole)
            whole, end = [], None
    tap.check(not whole, f"{whole}: has no end")


class Terminal:
    """A shell on a terminal, and what has come from it and was not yet looked at."""

    def __init__(self):
        environment = dict(os.environ, PS1=HOST_PROMPT, TERM="dumb", HISTFILE="/dev/null",
                           PATH=os.environ["PATH"] + ":/usr/sbin:/sbin",
                           XDG_RUNTIME_DIR=str(TOP / WORK / "run"))
        self.child, self.fd = pty.fork()
        if self.child == 0:
            os.chdir(TOP)
            os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], environment)
        self.seen = ""

    def close(self):
        """End all that has this terminal; what asks for its end, in its own way."""
        os.close(self.fd)
        end = time.monotonic() + 20
        while os.waitpid(self.child, os.WNOHANG) == (0, 0):
            if time.monotonic() > end:
                os.killpg(self.child, signal.SIGKILL)
            time.sleep(0.1)

    def type(self, text):
        data = text.encode()
        while data:
            data = data[os.write(self.fd, data):]

    def read_until(self, pattern):
        """Return what comes up to a pattern and the match; keep what comes behind."""
        end = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self.seen)):
            wait = end - time.monotonic()
            tap.check(wait > 0 and select.select([self.fd], [], [], wait)[0],
                      f"no {pattern!r} in {self.seen[-3000:]!r}")
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                data = b""
            tap.check(data, f"the shell ended: {self.seen[-3000:]!r}")
            self.seen = ESCAPES.sub("", self.seen + data.decode(errors="replace"))
        text, self.seen = self.seen[:found.start()], self.seen[found.end():]
        return text, found

    def read_to_prompt(self):
        """A shell's, whichever runs: no sooner may be typed, as with-kvm reads ahead."""
        return self.read_until(r"(?:^|\n)[^\n]*[$#] \Z")[0]

    def status(self):
        """The status of the command that has ended."""
        self.type('echo "[$?]"\n')
        _, found = self.read_until(r"(?:^|\n)\[(\d+)\]\n")
        self.read_to_prompt()
        return int(found[1])


def loosely(line):
    """A pattern for a line of the page."""
    parts = re.split(r"(\.\.\.|\d+|\s+)", line.strip())
    loose = {"...": ".*"}
    return "".join(loose.get(part) or (r"\d+" if part.isdigit() else
                                       r"\s+" if part.isspace() else re.escape(part))
                   for part in parts)


def expect(text, lines):
    """The lines are there, in their order, among others."""
    rest = [line.strip() for line in text.split("\n")]
    for line in lines:
        pattern = loosely(line)
        while rest and not re.fullmatch(pattern, rest[0]):
            rest.pop(0)
        tap.check(rest, f"no line {line!r} in {text!r}")
        rest.pop(0)


def in_work(text):
    return text.replace(DEMO, WORK)


def run_command(terminal, command):
    terminal.type(in_work(command) + "\n")
    text = terminal.read_to_prompt()
    tap.equal(terminal.status(), 0, f"status of {command!r}, which printed {text[-3000:]!r}")
    return text


def converse(terminal, lines):
    """A session on a console, which ends with the key that leaves it."""
    tap.equal((lines[0][:len(HOST_PROMPT)], lines[-1]), (HOST_PROMPT, DETACH), "a console's block")
    terminal.type(in_work(lines[0][len(HOST_PROMPT):]) + "\n")
    expected = []
    for line in lines[1:-1] + [GUEST_PROMPT]:
        prompt = next((p for p in PROMPTS if line.startswith(p)), None)
        if prompt is None:
            expected.append(line)
            continue
        # The last one there is: who attaches is shown the earlier ones again.
        text, _ = terminal.read_until(r"(?:^|\n)" + re.escape(prompt) + r"\Z")
        expect(text, expected)
        expected = []
        if line != GUEST_PROMPT:
            terminal.type(line[len(prompt):] + "\n")
    terminal.type("\x01d")
    terminal.read_to_prompt()
    tap.equal(terminal.status(), 0, "status of the console")


def steps():
    """Every step of the page: its name, and what does it with a terminal."""
    printed = []
    for language, line, lines in blocks(PAGE.read_text("utf-8")):
        if language == "sh":
            printed = []
            for command in commands(lines):
                name = f"{PAGE.name}:{line} {command.splitlines()[0]}"
                yield name, lambda t, c=command, p=printed: p.append(run_command(t, c))
        elif language == "text":
            yield f"{PAGE.name}:{line} output", \
                lambda t, p=printed, w=lines: expect("\n".join(p), w)
        elif language == "console":
            yield f"{PAGE.name}:{line} {lines[0]}", lambda t, w=lines: converse(t, w)
        else:
            yield f"{PAGE.name}:{line}", lambda t, w=language: tap.check(False, f"a block of {w}")


def remove_work():
    """As root made parts of it, as root; not what is mounted in there."""
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    subprocess.run([*sudo, "rm", "-rf", "--one-file-system", str(TOP / WORK)], check=True)


def skip_reason():
    if os.geteuid() == 0:
        return None
    if not shutil.which("sudo") or subprocess.run(["sudo", "-n", "true"], check=False).returncode:
        return "debootstrap needs root, or a sudo that asks for no password"
    return None


def run(terminal, number, name, step):
    begin = time.monotonic()
    try:
        step(terminal)
    except Exception as error:  # whatever went wrong is this step's result
        print("\n".join(f"# {line}" for line in str(error).splitlines()))
        print(f"not ok {number} - {name}", flush=True)
        return False
    print(f"ok {number} - {name}\n# {time.monotonic() - begin:.1f} s", flush=True)
    return True


def main():
    reason = skip_reason()
    if reason:
        print(f"1..0 # SKIP {reason}")
        return 0
    todo = list(steps())
    print(f"1..{len(todo)}", flush=True)
    remove_work()
    os.makedirs(TOP / WORK / "run", mode=0o700)
    terminal = Terminal()
    try:
        terminal.read_to_prompt()
        if os.geteuid() == 0:
            run_command(terminal, 'sudo() { "$@"; }')
        for number, (name, step) in enumerate(todo, 1):
            if not run(terminal, number, name, step):
                print("Bail out! the steps that follow need this one")
                return 1
    finally:
        terminal.close()
        remove_work()
    return 0


sys.exit(main())
