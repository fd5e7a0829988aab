#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Header, version script and built library must name the same functions."""
import argparse
import pathlib
import re
import subprocess
import sys

ap = argparse.ArgumentParser()
ap.add_argument("--prefix", required=True, help="one or more, with commas between")
ap.add_argument("--map", type=pathlib.Path, required=True)
ap.add_argument("--lib", required=True)
ap.add_argument("headers", nargs="+", type=pathlib.Path)
a = ap.parse_args()

code = "\n".join(re.sub(r"/\*.*?\*/", "", h.read_text(), flags=re.S) for h in a.headers)
header = set(re.findall(r"\bVMM_API\b[^;]*?\b(\w+)\((?=[^()]*\)\s*;)", code))
script = set(re.findall(r"^\s+(\w+);", a.map.read_text(), flags=re.M))
nm = subprocess.run(["nm", "-D", "--defined-only", a.lib], check=True,
                    capture_output=True, text=True).stdout
library = {f[2].split("@")[0] for f in map(str.split, nm.splitlines())
           if len(f) == 3 and f[1] in "TDBRVWi"}

bad = [f"{n}: in {where}, not in {other}"
       for where, x in (("header", header), ("map", script), ("library", library))
       for other, y in (("header", header), ("map", script), ("library", library))
       for n in sorted(x - y)]
bad += [f"{n}: does not start with {a.prefix}" for n in sorted(library)
        if not n.startswith(tuple(a.prefix.split(",")))]
print(f"{len(header)} functions", *bad, sep="\n")
sys.exit(bool(bad))
