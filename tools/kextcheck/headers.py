# SPDX-License-Identifier: BSD-2-Clause
"""The headers of kpi/: the vtables they make, and that nobody can call a slot that came later.

A virtual call goes through a number, and the headers alone decide which. So the proof that no kext
calls a slot its oldest kernel lacks is made there: every slot is compared with the table of the
oldest release, hence a function that came later has no name to call it by, only that of the spare
slot; and a spare slot must not be accessible.
"""

import os
import re
import subprocess

from names import spare, split
from tables import OLDEST

FLAGS = ["-std=c++11", "-fno-exceptions", "-fno-rtti", "-w", "-ferror-limit=0", "-fsyntax-only",
         "-fno-caret-diagnostics", "-x", "c++", "-"]


def vtables(root, clang):
    """What tools/kpi/check-vtables of that tree has to say."""
    # Headers named from standard input are looked for in the current folder first.
    program = os.path.join(os.path.abspath(root), "tools/kpi/check-vtables")
    try:
        run = subprocess.run([program, "--clang", clang], capture_output=True, text=True,
                             check=False, stdin=subprocess.DEVNULL, cwd=root)
    except OSError as err:
        return [f"{program}: {err.strerror}"]
    said = [line for line in (run.stdout + run.stderr).split("\n")
            if line.strip() and not line.startswith("#")]
    if run.returncode == 0:
        return []
    return said or [f"check-vtables ended with status {run.returncode}"]


def spare_slots(root, clang, tables):
    """Spare slots of the oldest release that code outside their class could call."""
    target = "x86_64-apple-macos10.6"
    include = subprocess.run([clang, "-print-resource-dir"], capture_output=True, text=True,
                             check=True).stdout.strip() + "/include"
    source = ['#include "guest/ports/xnu/kpi/kpi.h"']
    asked = {}
    for symbols in tables.vtables[OLDEST].values():
        for symbol in symbols:
            owner, rest = split(symbol)
            match = re.match(r"K?(\d+)(\w+)", rest or "")
            if not spare(symbol) or not match or symbol in asked.values():
                continue
            function = match[2][:int(match[1])]
            source.append(f"struct from_{len(source)} : public {owner} {{ void f() "
                          f"{{ {function}(); }} }};")
            asked[len(source)] = symbol
    run = subprocess.run([clang, "-target", target, "-mkernel", "-fapple-kext", "-nostdinc",
                          "-isystem", include, "-I", root, *FLAGS],
                         input="\n".join(source) + "\n", capture_output=True, text=True,
                         check=False, cwd=root)
    refused, other = set(), []
    for line in run.stderr.split("\n"):
        match = re.match(r"<stdin>:(\d+):\d+: error: (.*)", line)
        if match and "is a private member" in match[2]:
            refused.add(int(match[1]))
        elif ": error: " in line and not match:
            other.append(line)
    if other:
        return other[:3]
    return [f"{symbol} is spare in {OLDEST}, but kpi/ lets anybody call it"
            for line, symbol in asked.items() if line not in refused]
