# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""What one run takes along: the command, its libraries, files and environment."""

import os
import re
import shlex
import shutil
import stat

from . import cpio, elf
from .errors import UsageError
from .initramfs import OWN, canonical

# Mounted over, or made, when the nested machine starts.
TAKEN = ("/dev", "/proc", "/sys", "/init", OWN)

PASSED_PREFIXES = ("VMM_", "CMOCKA_", "MALLOC_")
PASSED = ("ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS",
          "LD_LIBRARY_PATH")
PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


class Payload:
    """The second initramfs archive, unpacked over the base."""

    def __init__(self, arch, native, applets):
        self._arch = arch
        self._native = native
        self._applets = frozenset(applets)
        self._libraries = elf.Libraries(arch, native)
        self._tree = cpio.Archive()
        self._done = set()
        self._programs = []
        self._command = b""

    def add_command(self, argv):
        if self._is_applet(argv[0]):
            path = f"/usr/bin/{os.path.basename(argv[0])}"
        else:
            path = self._find(argv[0])
            self._check_program(path)
            self.add_file(path, path)
        if self._native and os.path.exists("/etc/ld.so.cache"):
            self._regular("/etc/ld.so.cache", "/etc/ld.so.cache")
        self._command = self._script(path, argv)

    def add_file(self, host, guest):
        """Add a file or a directory, and the libraries of what is ELF in there."""
        for taken in TAKEN:
            if guest == taken or guest.startswith(taken + "/"):
                raise UsageError(f"{guest}: the nested machine has its own {taken}")
        if host == guest:
            host = guest = self._links_on_the_way(host)
        else:
            host = os.path.realpath(host)
        self._add(host, guest, host)

    def write(self, out, config):
        self._tree.data(f"{OWN}/command", self._command)
        self._tree.data(f"{OWN}/config", config.encode())
        self._tree.write(out)

    # Finding the command

    def _is_applet(self, name):
        """True for a bare name of busybox', and for a path that only busybox can fill."""
        if "/" not in name:
            return name in self._applets
        if not self._in_base(name) or not os.path.isfile(name):
            return self._in_base(name)
        program = _reading(elf.read, name)
        return program is not None and program.machine != self._arch

    def _in_base(self, path):
        directory, name = os.path.split(canonical(os.path.abspath(path)))
        return directory == "/usr/bin" and name in self._applets

    @staticmethod
    def _find(name):
        path = name if "/" in name else shutil.which(name)
        if path is None:
            raise UsageError(f"{name}: no such command, neither on PATH nor in busybox")
        return os.path.abspath(path)

    def _check_program(self, path):
        if not os.path.isfile(path):
            problem = "not a file" if os.path.exists(path) else "no such file"
            raise UsageError(f"{path}: {problem}")
        if not os.access(path, os.X_OK):
            raise UsageError(f"{path}: not executable")
        program = _reading(elf.read, path)
        if program is None and not _reading(_first_line, path).startswith(b"#!"):
            raise UsageError(f"{path}: neither an ELF program nor a script")
        if program and program.machine != self._arch:
            raise UsageError(f"{path}: not a program for {self._arch}")

    # Taking files along

    def _links_on_the_way(self, path):
        """Add the symbolic links that a path goes through; return where it ends."""
        seen = 0
        done = "/"
        parts = path.split("/")[1:]
        while parts:
            here = os.path.join(done, parts.pop(0))
            if not os.path.islink(here):
                done = here
                continue
            seen += 1
            if seen > 40:
                raise UsageError(f"{path}: too many symbolic links")
            target = os.path.normpath(os.path.join(done, os.readlink(here)))
            # A link such as /lib is in the base, under its canonical form.
            if canonical(here) != canonical(target):
                self._tree.symlink(canonical(here), target)
            done, parts = "/", target.split("/")[1:] + parts
        return done

    def _add(self, host, guest, root):
        mode = _reading(os.stat, host).st_mode
        if stat.S_ISDIR(mode):
            self._directory(host, guest, root)
        elif stat.S_ISREG(mode) and (host, guest) not in self._done:
            self._done.add((host, guest))
            self._regular(host, guest)
            self._needs(host, guest)

    def _directory(self, host, guest, root):
        if (host, guest) in self._done:
            return
        self._done.add((host, guest))
        self._tree.directory(canonical(guest))
        for name in sorted(_reading(os.listdir, host)):
            inner, outer = os.path.join(host, name), os.path.join(guest, name)
            if not os.path.islink(inner):
                self._add(inner, outer, root)
                continue
            target = os.path.realpath(inner)
            text = os.readlink(inner)
            inside = target.startswith(root + "/") and not os.path.isabs(text)
            if inside or not os.path.exists(target):
                self._tree.symlink(canonical(outer), text)
            elif not host.startswith(target + "/"):
                self._add(target, outer, target)

    def _regular(self, host, guest):
        if not os.access(host, os.R_OK):
            raise UsageError(f"{host}: cannot be read")
        self._tree.file(canonical(guest), host)

    def _needs(self, host, guest):
        """Add what a program or a library cannot run without."""
        executable = os.access(host, os.X_OK)
        if executable:
            self._programs.append(os.path.dirname(guest))
        program = _reading(elf.read, host)
        if program is None:
            line = _reading(_first_line, host) if executable else b""
            if line.startswith(b"#!"):
                self._script_needs(line)
        elif program.machine == self._arch:
            if program.interpreter:
                self._library(self._libraries.interpreter(program.interpreter))
            for library in self._libraries.closure(host, program):
                self._library(library)

    def _library(self, host):
        guest = self._libraries.guest_path(host)
        if not os.path.exists(host):
            return
        if host == guest:
            host = guest = self._links_on_the_way(host)
        self._add(os.path.realpath(host), guest, host)

    def _script_needs(self, line):
        words = os.fsdecode(line[2:]).split()
        if not words:
            return
        names = words[:1]
        if os.path.basename(words[0]) == "env":
            names += [word for word in words[1:] if not word.startswith("-")][:1]
        for name in names:
            path = f"/usr/bin/{name}" if name in self._applets else shutil.which(name)
            if path and not self._in_base(path):
                self.add_file(os.path.abspath(path), os.path.abspath(path))

    # How the command starts

    def _script(self, path, argv):
        """The shell script that becomes the command."""
        wanted = {name: value for name, value in os.environ.items()
                  if name in PASSED or name.startswith(PASSED_PREFIXES)}
        wanted["PATH"] = ":".join(dict.fromkeys([*PATH, *self._programs]))
        wanted["HOME"] = "/root"
        wanted["TERM"] = os.environ.get("TERM", "linux")
        lines = [f"export {name}={shlex.quote(value)}" for name, value in wanted.items()
                 if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name)]
        directory = shlex.quote(os.getcwd())
        lines.append(f"mkdir -p -- {directory}; cd -- {directory}")
        lines.append("exec -a " + shlex.join([argv[0], path, *argv[1:]]))
        return os.fsencode("\n".join(lines) + "\n")


def _first_line(path):
    with open(path, "rb") as file:
        return file.readline(1024)


def _reading(function, path):
    try:
        return function(path)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
