# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""A cache of unpacked Debian packages: the kernel and busybox, never installed."""

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile

from .errors import Failure
from .process import run_tool

DEBIAN_ARCH = {"x86_64": "amd64", "aarch64": "arm64"}
UNFINISHED = "unpack-"


def cache_root():
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):
        base = os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "libvmm")


def make_directory(path):
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise Failure(f"cannot make the cache directory {path}: {error.strerror}") from error
    return path


@contextlib.contextmanager
def locked(path):
    """Hold an exclusive lock; it goes away with the process, however that ends."""
    with open(path, "ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class Apt:
    """apt-get and apt-cache over the system's package lists or over private ones.

    Private lists serve an architecture that the system's dpkg does not know,
    a machine without lists, and one whose lists are too old; the sources, keys
    and proxies are always the system's.
    """

    def __init__(self, arch, directory=None):
        self._options = ["-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=2"]
        if directory:
            self._options += ["-c", self._private_configuration(arch, directory)]

    @staticmethod
    def _private_configuration(arch, directory):
        for name in ("lists/partial", "cache/archives/partial"):
            make_directory(os.path.join(directory, name))
        status = os.path.join(directory, "status")
        path = os.path.join(directory, "apt.conf")
        settings = {
            "APT::Architecture": arch,
            "Dir::State": directory,
            "Dir::State::lists": os.path.join(directory, "lists"),
            "Dir::State::status": status,
            "Dir::Cache": os.path.join(directory, "cache"),
            "Acquire::Languages": "none",
        }
        with open(status, "ab"), open(path, "w", encoding="utf-8") as out:
            # The hooks of the system's configuration act on the system's state.
            out.write("#clear APT::Update;\n#clear APT::Architectures;\n")
            out.write(f'APT::Architectures {{ "{arch}"; }};\n')
            out.writelines(f'{name} "{value}";\n' for name, value in settings.items())
        return path

    def update(self):
        # One source out of reach need not be the one we want: its status says
        # little, the look-up that follows says all.
        run_tool(["apt-get", *self._options, "update"], stdout=sys.stderr.fileno())

    def field(self, package, name):
        """Return one field of the package's candidate, or None."""
        _, output = run_tool(
            ["apt-cache", *self._options, "show", "--no-all-versions", package],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        found = re.search(rf"^{name}: (.*)$", output.decode(), re.MULTILINE)
        return found and found[1]

    def download(self, package, directory):
        """Fetch a package; return its path, or None."""
        status, _ = run_tool(["apt-get", *self._options, "download", package],
                             cwd=directory, stdout=sys.stderr.fileno())
        found = [name for name in os.listdir(directory) if name.endswith(".deb")]
        return os.path.join(directory, found[0]) if status == 0 and found else None


class Packages:
    """The unpacked kernel and busybox of one architecture."""

    def __init__(self, arch):
        self._arch = DEBIAN_ARCH[arch]
        self.directory = os.path.join(cache_root(), "nested", self._arch)
        self._selection = os.path.join(self.directory, "selection")
        self._kernel = self._busybox = ""

    def ensure(self, update=False):
        """Fill the cache if it is not filled; a filled one is only read."""
        if not update and self._load():
            return self
        make_directory(self.directory)
        with locked(os.path.join(self.directory, "lock")):
            if update or not self._load():
                self._fill(update)
        return self

    @property
    def identity(self):
        return (self._kernel, self._busybox)

    @property
    def kernel(self):
        return os.path.join(self._within(self._kernel, "boot"), f"vmlinuz-{self.release}")

    @property
    def release(self):
        return os.path.basename(self.modules)

    @property
    def modules(self):
        parent = self._within(self._kernel, "usr/lib/modules", "lib/modules")
        return os.path.join(parent, os.listdir(parent)[0])

    @property
    def busybox(self):
        return self._within(self._busybox, "usr/bin/busybox", "bin/busybox")

    def generic_kernel(self, update=False):
        """Return the vmlinuz of the kernel for any machine, fetched once.

        It is there to be looked at, so nothing else of its large package is kept.
        """
        directory = os.path.join(self.directory, "generic")
        make_directory(directory)
        with locked(os.path.join(self.directory, "lock")):
            for apt in [] if os.listdir(directory) and not update else self._apts(update):
                if self._fetch_generic(apt, directory):
                    break
        found = sorted(os.listdir(directory))
        if not found:
            raise Failure(f"apt-get could not provide linux-image-{self._arch}")
        return os.path.join(directory, found[-1])

    def _fetch_generic(self, apt, directory):
        depends = apt.field(f"linux-image-{self._arch}", "Depends") or ""
        image = re.search(r"linux-image-[^ ,|]+", depends)
        if not image:
            return False
        say(f"fetching {image[0]} into {directory}")
        with tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=self.directory) as work:
            archive = apt.download(image[0], work)
            pipe = 'dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --wildcards "./boot/vmlinuz-*"'
            if not archive or run_tool(["sh", "-c", pipe, "sh", archive, work])[0] != 0:
                return False
            boot = os.path.join(work, "boot")
            for name in os.listdir(boot):
                os.rename(os.path.join(boot, name), os.path.join(directory, name))
        return True

    def _within(self, package, *places):
        """Return the first place in a package that is there: Debian moved some."""
        paths = [os.path.join(self.directory, package, place) for place in places]
        return next(filter(os.path.exists, paths), paths[-1])

    def _load(self):
        """Read which packages were chosen; false if any of them is not there."""
        try:
            with open(self._selection, encoding="utf-8") as file:
                self._kernel, self._busybox = file.read().split()
            return os.path.isfile(self.kernel) and os.path.isfile(self.busybox)
        except (OSError, ValueError, IndexError):
            return False

    def _fill(self, update):
        for tool in ("apt-get", "apt-cache", "dpkg-deb"):
            if not shutil.which(tool):
                raise Failure(f"{tool} is missing: the kernel and busybox of the nested "
                              "machine come from Debian packages")
        for left in os.listdir(self.directory):
            if left.startswith(UNFINISHED):
                shutil.rmtree(os.path.join(self.directory, left), ignore_errors=True)
        say(f"fetching a kernel and busybox for {self._arch} into {self.directory}")
        for apt in self._apts(update):
            chosen = self._fetch_all(apt)
            if chosen:
                self._select(chosen)
                return
        raise Failure(f"apt-get could not provide linux-image-cloud-{self._arch} and "
                      f"busybox-static for {self._arch}")

    def _apts(self, update):
        """Yield ways to ask apt, the cheapest first."""
        private = os.path.join(self.directory, "apt")
        system = run_tool(["dpkg", "--print-architecture"], stdout=subprocess.PIPE)[1]
        if system.decode().strip() == self._arch and not update:
            yield Apt(self._arch)
        apt = Apt(self._arch, private)
        if not update:
            yield apt
        apt.update()
        yield apt

    def _fetch_all(self, apt):
        depends = apt.field(f"linux-image-cloud-{self._arch}", "Depends") or ""
        image = re.search(r"linux-image-[^ ,|]+", depends)
        if not image or not apt.field("busybox-static", "Version"):
            return None
        names = []
        for package in (image[0], "busybox-static"):
            names.append(self._fetch(apt, package))
            if not names[-1]:
                return None
        return names

    def _fetch(self, apt, package):
        """Unpack one package; return the name of its directory, or None."""
        with tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=self.directory) as work:
            archive = apt.download(package, work)
            if not archive:
                return None
            _, version = run_tool(["dpkg-deb", "-f", archive, "Version"],
                                  stdout=subprocess.PIPE)
            name = f"{package}_{version.decode().strip().replace(':', '%3a')}"
            target = os.path.join(self.directory, name)
            if os.path.isdir(target):
                return name
            tree = os.path.join(work, "tree")
            status, _ = run_tool(["dpkg-deb", "-x", archive, tree])
            if status != 0:
                return None
            os.rename(tree, target)
            return name

    def _select(self, chosen):
        write_atomically(self._selection, "\n".join(chosen).encode() + b"\n")
        if not self._load():
            raise Failure(f"the packages unpacked into {self.directory} lack the kernel "
                          "or busybox")


def write_atomically(path, content):
    """Write a file that others see whole or not at all."""
    with tempfile.NamedTemporaryFile(dir=os.path.dirname(path), delete=False) as out:
        try:
            out.write(content)
            out.flush()
            os.rename(out.name, path)
        except BaseException:
            os.unlink(out.name)
            raise


def say(message):
    print(f"with-kvm: {message}", file=sys.stderr, flush=True)
