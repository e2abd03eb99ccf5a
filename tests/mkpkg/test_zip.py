#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The archive for OpenCore: contents, modes, and the rows of its configuration."""

import io
import os
import plistlib
import zipfile

import stand_in
from tap import good, main, mkpkg, same, test, tool, true

KEYS = {"Arch", "BundlePath", "Comment", "Enabled", "ExecutablePath", "MaxKernel", "MinKernel",
        "PlistPath"}


def archive(folder, kexts):
    data = mkpkg("zip", os.path.join(folder, "out.zip"), kexts)
    archive = zipfile.ZipFile(io.BytesIO(data))
    same(archive.testzip(), None, "CRC")
    return archive


def rows(archive, kind):
    return plistlib.loads(archive.read("config-snippet.plist"))["Kernel"][kind]


@test
def the_archive_holds_the_kexts_as_they_are(folder):
    kexts = stand_in.pair(folder)
    zipped = archive(folder, kexts)
    found = {}
    for info in zipped.infolist():
        same(info.create_system, 3, "made by Unix")
        same((info.date_time, info.extra, info.comment), ((1980, 1, 1, 0, 0, 0), b"", b""))
        true(not info.filename.startswith(("/", ".")), info.filename)
        mode = info.external_attr >> 16
        same(mode >> 12, 4 if info.is_dir() else 8, f"type of {info.filename}")
        found[info.filename.rstrip("/")] = (mode & 0o7777,
                                            None if info.is_dir() else zipped.read(info))
    want = {"Kexts": (0o755, None)}
    for kext in kexts:
        want.update({f"Kexts/{path}": what for path, what in stand_in.contents(kext).items()})
    texts = {"README.txt", "LICENSE.txt", "config-snippet.plist"}
    same({path for path in found if path not in want}, texts, "besides the kexts")
    same({path: what for path, what in found.items() if path not in texts}, want)
    true(b"BSD" in found["LICENSE.txt"][1] or b"Redistribution" in found["LICENSE.txt"][1],
         "the licence is there")


@test
def rows_come_in_order_and_exist(folder):
    zipped = archive(folder, stand_in.pair(folder))
    add = rows(zipped, "Add")
    same([row["BundlePath"] for row in add], ["VirtioPCI.kext", "VirtioNet.kext"])
    for row in add:
        same(set(row), KEYS, row["BundlePath"])
        same((row["Enabled"], row["MinKernel"], row["MaxKernel"]), (True, "10.0.0", "19.99.99"))
        for key in ("ExecutablePath", "PlistPath"):
            true(zipped.read(f"Kexts/{row['BundlePath']}/{row[key]}"), row[key])


@test
def the_processors_are_those_of_the_program(folder):
    both = stand_in.fat((stand_in.X86_64, stand_in.macho(stand_in.X86_64, 10)),
                        (stand_in.I386, stand_in.macho(stand_in.I386, 10)))
    kexts = [stand_in.kext(folder, "A", both),
             stand_in.kext(folder, "B", stand_in.macho(stand_in.X86_64, 10)),
             stand_in.kext(folder, "C", stand_in.macho(stand_in.I386, 10))]
    same([row["Arch"] for row in rows(archive(folder, kexts), "Add")], ["Any", "x86_64", "i386"])


@test
def old_systems_get_the_network_family(folder):
    row, = rows(archive(folder, stand_in.pair(folder)), "Force")
    same(set(row), KEYS | {"Identifier"})
    same((row["Identifier"], row["MaxKernel"], row["Enabled"]),
         ("com.apple.iokit.IONetworkingFamily", "13.99.99", True))


@test
def libraries_stand_before_their_users_whatever_their_names(folder):
    program = stand_in.macho(stand_in.X86_64, 10)
    needs = {"A": ["D"], "B": [], "C": ["A", "E"], "D": ["E"], "E": [], "F": ["B"]}
    kexts = [stand_in.kext(folder, name, program, ["org.viokit." + other for other in others])
             for name, others in needs.items()]
    order = [row["BundlePath"][0] for row in rows(archive(folder, kexts), "Add")]
    same(sorted(order), sorted(needs), "all are there")
    for name, others in needs.items():
        for other in others:
            true(order.index(other) < order.index(name), f"{other} before {name} in {order}")
    same(order, [row["BundlePath"][0]
                 for row in rows(archive(folder, kexts[::-1]), "Add")], "whatever is asked for")


@test
def the_readme_names_what_is_in_there(folder):
    text = archive(folder, stand_in.pair(folder)).read("README.txt").decode()
    for word in ("VirtioPCI.kext", "VirtioNet.kext", "config-snippet.plist", "IONetworkingFamily",
                 "Kernel/Add", "Kernel/Force", "real Mac"):
        true(word in text, word)


@test
def unzip_takes_it(folder):
    unzip = tool("unzip")
    mkpkg("zip", os.path.join(folder, "out.zip"), stand_in.pair(folder))
    good(unzip, "-q", os.path.join(folder, "out.zip"), "-d", os.path.join(folder, "to"))
    program = os.path.join(folder, "to/Kexts/VirtioNet.kext/Contents/MacOS/VirtioNet")
    same(os.stat(program).st_mode & 0o111, 0o111, "executable")


main()
