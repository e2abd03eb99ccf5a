# SPDX-License-Identifier: BSD-2-Clause
"""Tests as functions that raise: what they print is TAP."""

import os
import shutil
import subprocess
import sys
import tempfile
import traceback

# Each program is run as: python3 -B test_X.py MKPKG SOURCE_ROOT
MKPKG, ROOT = map(os.path.abspath, sys.argv[1:3])
MANIFEST = os.path.join(ROOT, "packaging/viokit.conf")

TESTS = []


class Skip(Exception):
    """This cannot be tested here; says why."""


def test(function):
    TESTS.append(function)
    return function


def same(got, want, what=""):
    if got != want:
        raise AssertionError(f"{what}: got {got!r}, want {want!r}")


def true(fact, what):
    if not fact:
        raise AssertionError(what)


def tool(name):
    path = shutil.which(name)
    if not path:
        raise Skip(f"{name} is not there")
    return path


def run(*args, env=None, **more):
    """The finished process; its output is text."""
    return subprocess.run([str(arg) for arg in args], env={**os.environ, **(env or {})},
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False, **more)


def good(*args, **more):
    done = run(*args, **more)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, args))}: status {done.returncode}\n"
                             f"{done.stdout}{done.stderr}")
    return done.stdout


def mkpkg(form, out, kexts, *more, manifest=MANIFEST, **how):
    """The bytes that mkpkg writes."""
    good(MKPKG, form, "-o", out, *more, manifest, *kexts, **how)
    with open(out, "rb") as file:
        return file.read()


def main():
    """Runs each test in a folder of its own."""
    failed = 0
    print(f"1..{len(TESTS)}", flush=True)
    for number, function in enumerate(TESTS, 1):
        name = function.__name__.replace("_", " ")
        with tempfile.TemporaryDirectory(prefix="mkpkg-test-") as folder:
            try:
                function(folder)
                print(f"ok {number} - {name}", flush=True)
            except Skip as why:
                print(f"ok {number} - {name} # SKIP {why}", flush=True)
            except Exception:
                traceback.print_exc(file=sys.stdout)
                print(f"not ok {number} - {name}", flush=True)
                failed += 1
    sys.exit(1 if failed else 0)
