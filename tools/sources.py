# SPDX-License-Identifier: BSD-2-Clause
"""Which files belong to the project: what git tracks or would add; without git, all that is not
built."""

import os
import re
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def sources(pattern=""):
    """Paths from the root, sorted, of the files whose path matches."""
    cmd = ["git", "-c", "safe.directory=*", "ls-files", "-co", "--exclude-standard"]
    try:
        names = subprocess.run(cmd, cwd=ROOT, check=True, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True).stdout.split("\n")
    except (OSError, subprocess.CalledProcessError):
        names = [os.path.relpath(os.path.join(where, name), ROOT)
                 for where, _, files in os.walk(ROOT) for name in files
                 if not re.search(r"/(\.git|build[^/]*|__pycache__)(/|$)", where[len(ROOT):])]
    return sorted(name for name in set(names) if name and re.search(pattern, name)
                  and os.path.isfile(os.path.join(ROOT, name)))


if __name__ == "__main__":
    import sys
    print("\n".join(sources(*sys.argv[1:])))
