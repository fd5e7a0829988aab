#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Check what no compiler checks: format, licence lines, spelling, scripts, rules.

tools/lint.py [format|spdx|spelling|shell|rules]...   all of them without arguments

Exits with 1 when something is wrong, with 77 when the only check asked for needs a
program that is not installed.
"""
import pathlib
import re
import shutil
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent


def tracked():
    """Files of the project: what git has or would add; without git, all of them."""
    names = None
    if shutil.which("git"):
        done = subprocess.run(["git", "-C", str(TOP), "ls-files", "-co", "--exclude-standard"],
                              capture_output=True, text=True, check=False)
        names = done.stdout.splitlines() if done.returncode == 0 else None
    if names is None:
        names = [str(p.relative_to(TOP)) for p in TOP.rglob("*")
                 if p.is_file() and p.suffix != ".pyc"
                 and not str(p.relative_to(TOP)).startswith(("build", ".git/"))]
    return [TOP / n for n in sorted(names) if (TOP / n).is_file()]


def is_text(path):
    return "corpus" not in path.parts and b"\0" not in path.read_bytes()[:4096]


def first_line(path):
    with path.open(encoding="utf-8", errors="replace") as f:
        return f.readline()


def is_shell(path):
    return path.suffix == ".sh" or re.match(r"#!.*\b(ba)?sh\b", first_line(path)) is not None


def rel(path):
    return path.relative_to(TOP)


def check_format(files):
    """clang-format 14 would change nothing."""
    if not shutil.which("clang-format"):
        return None
    sources = [str(f) for f in files if f.suffix in (".c", ".h")]
    done = subprocess.run(["clang-format", "--dry-run", "-Werror", *sources],
                          capture_output=True, text=True, check=False)
    return [line for line in done.stderr.splitlines() if ": error:" in line]


def check_spdx(files):
    """The licence stands in the first three lines of every source."""
    kinds = (".c", ".h", ".py", ".sh", ".map", ".cpp")
    bad = []
    for f in files:
        wants = f.suffix in kinds or f.name in ("meson.build",) or is_shell(f)
        # A map has no comment that every linker reads; it carries no text of ours.
        if not wants or f.suffix == ".map":
            continue
        head = f.read_text("utf-8", errors="replace").splitlines()[:3]
        if not any("SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause" in l for l in head):
            bad.append(f"{rel(f)}:1: no SPDX line")
    return bad


def check_spelling(files):
    if not shutil.which("codespell"):
        return None
    names = [str(f) for f in files if is_text(f) and "LICENSES" not in f.parts]
    done = subprocess.run(
        ["codespell", "--ignore-words", str(TOP / "tools/spelling-ignore"), *names],
        capture_output=True, text=True, check=False)
    return done.stdout.splitlines()


def check_shell(files):
    if not shutil.which("shellcheck"):
        return None
    names = [str(f) for f in files if is_shell(f)]
    done = subprocess.run(["shellcheck", "-S", "warning", "-f", "gcc", *names],
                          capture_output=True, text=True, check=False)
    return done.stdout.splitlines()


# What a library may not call: it decides nothing about the process it lives in.
LIBRARY_BANS = {
    r"(?<![.>])\b(abort|exit|_exit|quick_exit)\s*\(": "a library never ends the process",
    r"\b(alloca|strcpy|strcat|sprintf|gets|strtok|atoi)\s*\(": "unbounded or unsafe",
    r"\b(printf|perror|puts)\s*\(": "a library never prints",
    # Putting back what a libc call changed is not a result.
    r"\berrno\s*=(?!=|\s*saved;)": "errno is not our result",
}


def strip_comments(text):
    """Blank out comments and strings, keeping line numbers."""
    pattern = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"'
    return re.sub(pattern, lambda m: re.sub(r"[^\n]", " ", m.group()), text, flags=re.S)


def check_rules(files):
    bad = []
    for f in files:
        if f.suffix not in (".c", ".h"):
            continue
        text = f.read_text("utf-8", errors="replace")
        code = strip_comments(text)
        parts = f.relative_to(TOP).parts
        bans = LIBRARY_BANS if parts[0].startswith("libvmm-") and "src" in parts else {}
        for number, line in enumerate(code.splitlines(), 1):
            for pattern, why in bans.items():
                if re.search(pattern, line):
                    bad.append(f"{rel(f)}:{number}: {why}: {line.strip()[:60]}")
            if "<linux/kvm.h>" in line and parts[0] not in ("libvmm-kvm", "docs"):
                bad.append(f"{rel(f)}:{number}: only libvmm-kvm includes <linux/kvm.h>")
        for number, line in enumerate(text.splitlines(), 1):
            if re.search(r"\b(TODO|FIXME|XXX)\b", line):
                bad.append(f"{rel(f)}:{number}: unfinished: {line.strip()[:60]}")
    return bad


CHECKS = {"format": check_format, "spdx": check_spdx, "spelling": check_spelling,
          "shell": check_shell, "rules": check_rules}


def main():
    names = sys.argv[1:] or list(CHECKS)
    files = tracked()
    status = 0
    for name in names:
        if name not in CHECKS:
            sys.exit(f"tools/lint.py: no check '{name}' ({', '.join(CHECKS)})")
        bad = CHECKS[name](files)
        if bad is None:
            print(f"{name}: the program for it is not installed (tools/deps test)")
            status = status or (77 if len(names) == 1 else 0)
            continue
        print(f"{name}: {'ok' if not bad else f'{len(bad)} findings'}", *bad, sep="\n")
        if bad:
            status = 1
    sys.exit(status)


main()
