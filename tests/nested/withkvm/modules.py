# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Kernel modules: where they are, what they need, in which order they load."""

import lzma
import os


def collect(name, have, contents, needs, order):
    """Add a module after those that it needs."""
    if name in contents or name not in have:
        return
    content = _read_module(have[name])
    wanted = [n for entry in info(content, b"depends") for n in entry.split(",")]
    needs[name] = [n for n in wanted if n in have]
    for other in needs[name]:
        collect(other, have, contents, needs, order)
    contents[name] = content
    order.append(name)


def closure(name, needs):
    """Every module that one needs, each before those that it needs in turn.

    That is the order of modules.dep: modprobe loads from its end.
    """
    found = []

    def visit(one):
        for other in needs[one]:
            if other not in found:
                visit(other)
                found.append(other)

    visit(name)
    return found[::-1]


def find(directory):
    found = {}
    for where, _, names in os.walk(directory):
        for name in names:
            if name.endswith((".ko", ".ko.xz")):
                found[name.split(".ko")[0]] = os.path.join(where, name)
    return found


def _read_module(path):
    with open(path, "rb") as file:
        content = file.read()
    return lzma.decompress(content) if path.endswith(".xz") else content


def info(module, key):
    """Values of one key in a module's .modinfo, a list of key=value strings."""
    start = 0
    values = []
    while (start := module.find(b"\0" + key + b"=", start)) >= 0:
        end = module.find(b"\0", start + 1)
        value = module[start + len(key) + 2:end].decode(errors="replace")
        if value:
            values.append(value)
        start = end
    return values
