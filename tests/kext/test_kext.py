#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The kexts as users get them: built by two compilers, checked, packed, and read back."""

import os
import plistlib
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../mkpkg"))
from readers import bom_read, cksum, cpio_read, gunzip, xar_read
from tap import MANIFEST, MKPKG, ROOT, good, main, run, same, test, tool, true

KEXTLD = os.path.abspath(sys.argv[3])
KEXTS = ["VirtioPCI", "VirtioNet"]
NEWER = "clang-19"


def build(folder, clang="clang-16"):
    tool(clang)
    good(os.path.join(ROOT, "tools/kext/build"), "-o", folder, "-k", KEXTLD, "-c", clang)
    return [os.path.join(folder, name + ".kext") for name in KEXTS]


def check(kexts, *more):
    return run(os.path.join(ROOT, "tools/kextcheck/kextcheck"), *more, *kexts)


def files(kext):
    """{path below the bundle's folder: bytes}"""
    found = {}
    for folder, _, names in os.walk(kext):
        for name in names:
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, os.path.dirname(kext))] = file.read()
    return found


@test
def the_kexts_pass_the_check(folder):
    kexts = build(os.path.join(folder, "kext"))
    done = check(kexts, "--su", os.path.join(folder, "kext/obj"))
    same(done.returncode, 0, done.stdout + done.stderr)
    true("stack" in done.stdout, "stack use was not looked at")


@test
def they_pass_it_built_by_a_newer_compiler(folder):
    done = check(build(os.path.join(folder, "kext"), NEWER))
    same(done.returncode, 0, done.stdout + done.stderr)


@test
def the_same_sources_give_the_same_bytes(folder):
    one = build(os.path.join(folder, "one"))
    two = build(os.path.join(folder, "another place"))
    for first, second in zip(one, two):
        same(files(first), files(second), "bundles")


@test
def versions_and_dependencies_agree(folder):
    plists = {}
    for kext in build(os.path.join(folder, "kext")):
        with open(os.path.join(kext, "Contents/Info.plist"), "rb") as file:
            plist = plistlib.load(file)
        plists[plist["CFBundleIdentifier"]] = plist
    pci, net = plists["org.viokit.VirtioPCI"], plists["org.viokit.VirtioNet"]
    same(pci["CFBundleVersion"], net["CFBundleVersion"], "versions")
    true("org.viokit.VirtioPCI" in net["OSBundleLibraries"], "VirtioNet does not need VirtioPCI")
    true("OSBundleCompatibleVersion" in pci, "VirtioPCI cannot be linked against")


def unpacked(members, component):
    """({path: contents}, {path: record of the Bom}) of a component."""
    payload = cpio_read(gunzip(members[component + "/Payload"][-1]))
    records, _ = bom_read(members[component + "/Bom"][-1])
    return ({path.removeprefix("./"): contents for path, _, contents in payload},
            {path.removeprefix("./"): record for path, record in records.items()})


@test
def the_package_holds_exactly_what_was_built(folder):
    kexts = build(os.path.join(folder, "kext"))
    out = os.path.join(folder, "out.pkg")
    good(MKPKG, "pkg", "-o", out, MANIFEST, *kexts)
    with open(out, "rb") as file:
        members = xar_read(file.read())
    want = {}
    for kext in kexts:
        want.update(files(kext))
    for component in ("VirtioKextsSLE.pkg", "VirtioKextsLE.pkg"):
        payload, records = unpacked(members, component)
        same({path for path, contents in payload.items() if contents}, set(want), component)
        for path, contents in want.items():
            same(payload[path], contents, f"{component}: {path}")
            same(records[path]["size"], len(contents), f"{component}: size of {path}")
            same(records[path]["cksum"], cksum(contents), f"{component}: cksum of {path}")


@test
def tools_of_others_read_the_programs(folder):
    for kext in build(os.path.join(folder, "kext")):
        program = os.path.join(kext, "Contents/MacOS", os.path.basename(kext)[:-5])
        said = good(tool("file"), program)
        true("universal" in said and "kext" in said, said)
        loads = good(tool("llvm-objdump-16"), "--macho", "--private-headers", "--arch", "x86_64",
                     program)
        for command in ("LC_SEGMENT_64", "LC_SYMTAB", "LC_DYSYMTAB", "LC_UUID"):
            true(command in loads, f"{program}: {command}")


@test
def a_missing_compiler_is_one_clear_line(folder):
    done = run(os.path.join(ROOT, "tools/kext/build"), "-o", folder, "-k", KEXTLD,
               "-c", "no-such-clang")
    true(done.returncode in (1, 2), f"status {done.returncode}")
    same(len(done.stderr.strip().splitlines()), 1, done.stderr)
    true("no-such-clang" in done.stderr, done.stderr)


sys.exit(main())
