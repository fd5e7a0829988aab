# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""The base initramfs of the nested machine: busybox, kernel modules, init."""

import contextlib
import glob
import hashlib
import os
import time

from . import cpio, modules
from .errors import Failure
from .packages import write_atomically

HERE = os.path.dirname(os.path.abspath(__file__))
# What is the harness' own in the nested machine.
OWN = "/.with-kvm"
INIT = os.path.join(HERE, "l1-init.sh")

# Directories that are one in the nested machine, as on a merged-/usr Debian.
# Everything put into an archive for it goes through canonical() because the
# kernel would replace these links by directories of the same name.
ALIASES = {
    "/bin": "/usr/bin", "/sbin": "/usr/bin", "/usr/sbin": "/usr/bin",
    "/lib": "/usr/lib", "/lib32": "/usr/lib32", "/lib64": "/usr/lib64",
}

# What init loads before it talks to us, and while it does; then what the
# kernel may ask for later, through modprobe. A name that the kernel package
# does not have is built into that kernel.
TRANSPORT = ("virtio_mmio", "virtio_console")
KVM = {"x86_64": ("kvm-amd",), "aarch64": ("kvm",)}
LATER = ("tun", "bridge", "vhost_net", "vhost_vsock", "vsock_loopback")

KEPT_SECONDS = 30 * 86400

PASSWD = b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
GROUP = b"root:x:0:\ntty:x:5:\nkvm:x:104:\nnogroup:x:65534:\n"
HOSTS = b"127.0.0.1 localhost nested-kvm\n::1 localhost\n"


def canonical(path):
    """Return where the nested machine really keeps an absolute path."""
    path = os.path.normpath(path)
    for alias, real in ALIASES.items():
        if path == alias or path.startswith(alias + "/"):
            return real + path[len(alias):]
    return path


def applets(busybox):
    """List busybox' applets; read, not run: it may be of another architecture."""
    with open(busybox, "rb") as file:
        content = file.read()
    start = content.find(b"\0[\0[[\0") + 1
    end = content.find(b"\0\0", start)
    if start == 0 or end < 0:
        raise Failure(f"{busybox} does not look like a busybox with its applets' names")
    return content[start:end].decode().split("\0")


def base(packages, arch):
    """Return the path of the base archive, made if it is not in the cache."""
    recipe = hashlib.sha256(repr((packages.identity, arch)).encode())
    for source in (INIT, __file__, cpio.__file__, modules.__file__):
        with open(source, "rb") as file:
            recipe.update(file.read())
    path = os.path.join(packages.directory, f"base-{recipe.hexdigest()[:16]}.cpio")
    try:
        os.utime(path)
    except FileNotFoundError:
        _forget_old(packages.directory)
        write_atomically(path, cpio.to_bytes(_build(packages, arch)))
    return path


def _forget_old(directory):
    """Remove archives that no run has used for a while."""
    for path in glob.glob(os.path.join(glob.escape(directory), "base-*.cpio")):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - os.stat(path).st_mtime > KEPT_SECONDS:
                os.unlink(path)


def _build(packages, arch):
    tree = cpio.Archive()
    for path in ("/proc", "/sys", "/dev", "/run", "/etc", "/root", "/var/tmp", "/mnt"):
        tree.directory(path)
    tree.directory("/tmp", 0o1777)
    for real in sorted(set(ALIASES.values())):
        tree.directory(real)
    for alias, real in ALIASES.items():
        tree.symlink(alias, real)
    tree.symlink("/var/run", "/run")
    tree.device("/dev/console", 0o600, 5, 1)
    tree.data("/etc/passwd", PASSWD)
    tree.data("/etc/group", GROUP)
    tree.data("/etc/hosts", HOSTS)
    tree.file(f"{OWN}/bin/busybox", packages.busybox)
    for name in applets(packages.busybox):
        tree.symlink(f"/usr/bin/{name}", f"{OWN}/bin/busybox")
        if name != "busybox":
            tree.symlink(f"{OWN}/bin/{name}", "busybox")
    tree.data("/init", INIT, 0o755)
    _add_modules(tree, packages, arch)
    return tree


def _add_modules(tree, packages, arch):
    have = modules.find(packages.modules)
    contents, needs, order = {}, {}, {}
    for stage, names in (("transport", TRANSPORT), ("kvm", KVM[arch]), ("later", LATER)):
        order[stage] = []
        for name in names:
            modules.collect(name, have, contents, needs, order[stage])
    directory = f"/usr/lib/modules/{packages.release}"
    for name, content in contents.items():
        tree.data(f"{directory}/{name}.ko", content)
    for stage in ("transport", "kvm"):
        paths = "".join(f"{directory}/{name}.ko\n" for name in order[stage])
        tree.data(f"{OWN}/modules-{stage}", paths.encode())
    # Written by hand, as depmod would: the package carries no such files.
    lines = [f"{name}.ko: " + " ".join(f"{n}.ko" for n in modules.closure(name, needs)) + "\n"
             for name in contents]
    tree.data(f"{directory}/modules.dep", "".join(lines).encode())
    aliases = [f"alias {alias} {name.replace('-', '_')}\n" for name in contents
               for alias in modules.info(contents[name], b"alias")]
    tree.data(f"{directory}/modules.alias", "".join(aliases).encode())
    tree.data(f"{directory}/modules.symbols", b"")
