#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The others once more as a user without any rights: vmnet needs none.

Where the tests are not run by root, they are that user's already, and this has nothing to add.
"""

import os
import shutil
import subprocess
import sys
import tempfile

UID = 54321
HERE = os.path.dirname(os.path.abspath(__file__))
SUITES = ["whole_cli.py", "whole_members.py", "whole_outside.py", "whole_clients.py"]
# What the most of the time is spent on, and has nothing to do with who does it.
LEFT_OUT = {"whole_cli.py": ["network_and_daemon_end_when_idle"],
            "whole_members.py": ["rate_limits_hold_within_ten_percent"]}


def names(suite):
    """The tests of a suite, from its text: those it defines, less those left out."""
    found, marked = [], False
    with open(os.path.join(HERE, suite), encoding="utf-8") as file:
        for line in file:
            if marked and line.startswith("def "):
                found.append(line[4:].partition("(")[0])
            marked = line.strip() == "@test"
    return [name for name in found if name not in LEFT_OUT.get(suite, [])]


def main():
    if os.getuid():
        print("1..1\nok 1 - all of it # SKIP this is no root: the other tests ran without rights")
        return 0
    number, failed, lines = 0, 0, []
    # Where that user may not go (somebody's home, say), it has a copy.
    with tempfile.TemporaryDirectory(prefix="vmnet-rootless-") as folder:
        os.chmod(folder, 0o755)
        for name in os.listdir(HERE):
            if name.endswith(".py"):
                shutil.copy(os.path.join(HERE, name), folder)
        os.mkdir(folder + "/bin")
        shutil.copy(sys.argv[1], folder + "/bin/vmnet")
        for name in ("tap2stream", "clockstep.so"):
            shutil.copy(os.path.join(sys.argv[2], name), folder + "/bin")
        env = {**os.environ, "VMNETTEST_UID": str(UID)}
        for suite in SUITES:
            done = subprocess.run([sys.executable, "-B", f"{folder}/{suite}", folder + "/bin/vmnet",
                                   folder + "/bin", *names(suite)], env=env, text=True,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, check=False)
            some = False
            for line in done.stdout.splitlines():
                if line.startswith(("ok ", "not ok ")):
                    number += 1
                    some = True
                    words = line.partition(" - ")
                    failed += line.startswith("not")
                    lines.append(f"{'not ok' if line.startswith('not') else 'ok'} {number} - "
                                 f"{suite[6:-3]}: {words[2]}")
                elif not line.startswith("1.."):
                    lines.append("# " + line.removeprefix("# "))
            if not some or (done.returncode and not failed):
                number, failed = number + 1, failed + 1
                lines.append(f"not ok {number} - {suite}: status {done.returncode}")
    print("\n".join(lines))
    print(f"1..{number}")
    return 1 if failed else 0


sys.exit(main())
