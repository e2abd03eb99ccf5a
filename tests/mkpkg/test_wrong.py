#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Wrong inputs: one line that says what is wrong, the right status, and no output."""

import os
import plistlib
import shutil
import struct

import stand_in
from readers import xar_read
from tap import MANIFEST, MKPKG, ROOT, main, mkpkg, run, same, test, true

PROGRAM = stand_in.macho(stand_in.X86_64, 100)


def refused(folder, status, word, *args, env=None):
    """mkpkg must refuse these arguments, saying word."""
    out = os.path.join(folder, "refused")
    os.makedirs(out, exist_ok=True)
    done = run(MKPKG, args[0], "-o", os.path.join(out, "x"), *args[1:], env=env)
    lines = done.stderr.rstrip("\n").split("\n")
    same((done.returncode, done.stdout), (status, ""), f"{args}: {done.stderr}")
    same(len(lines), 1, f"{args}: {done.stderr}")
    true(lines[0].startswith("mkpkg: ") and word in lines[0], f"{word!r} in {lines[0]!r}")
    same(os.listdir(out), [], "nothing is written")


def refused_kext(folder, word, kext):
    refused(folder, 1, word, "pkg", MANIFEST, kext)
    refused(folder, 1, word, "zip", MANIFEST, kext)


@test
def command_lines(folder):
    kext = stand_in.kext(folder, "One", PROGRAM)
    for word, *args in (("usage", "pkg"), ("usage", "pkg", MANIFEST),
                        ("not pkg or zip", "tar", MANIFEST, kext),
                        ("no such option", "pkg", "--frobnicate", MANIFEST, kext),
                        ("needs a value", "pkg", MANIFEST, kext, "-r"),
                        ("not a version", "pkg", "-r", "", MANIFEST, kext),
                        ("not a version", "pkg", "-r", "1<2", MANIFEST, kext),
                        ("not a version", "pkg", "-r", "../1", MANIFEST, kext),
                        ("more than 32 kexts", "pkg", MANIFEST, *[kext] * 33)):
        refused(folder, 2, word, *args)
    for epoch in ("x", "-1", "1x", "99999999999999999999", "4294967296"):
        refused(folder, 2, "SOURCE_DATE_EPOCH", "pkg", MANIFEST, kext,
                env={"SOURCE_DATE_EPOCH": epoch})
    same(run(MKPKG, "--help").returncode, 0)
    same(run(MKPKG, "--version").returncode, 0)


@test
def missing_files(folder):
    kext = stand_in.kext(folder, "One", PROGRAM)
    refused_kext(folder, "No such file", os.path.join(folder, "None.kext"))
    refused(folder, 1, "No such file", "pkg", os.path.join(folder, "none"), kext)
    os.remove(os.path.join(kext, "Contents/MacOS/One"))
    refused_kext(folder, "no Contents/MacOS/One", kext)
    os.remove(os.path.join(kext, "Contents/Info.plist"))
    refused_kext(folder, "no Contents/Info.plist", kext)


@test
def names_of_bundles(folder):
    kext = stand_in.kext(folder, "One", PROGRAM)
    os.rename(kext, os.path.join(folder, "One.bundle"))
    refused_kext(folder, "not named", os.path.join(folder, "One.bundle"))
    stand_in.put(os.path.join(folder, "file.kext"), b"")
    refused_kext(folder, "a file, not a folder", os.path.join(folder, "file.kext"))


@test
def property_lists(folder):
    for number, (word, change) in enumerate((
            ("no CFBundleIdentifier", {"CFBundleIdentifier": None}),
            ("no CFBundleVersion", {"CFBundleVersion": None}),
            ("no CFBundleExecutable", {"CFBundleExecutable": None}),
            ("no CFBundlePackageType", {"CFBundlePackageType": None}),
            ("APPL, not KEXT", {"CFBundlePackageType": "APPL"}),
            ("not a plain word", {"CFBundleIdentifier": 'a"b'}),
            ("not a plain word", {"CFBundleVersion": "1\n2"}),
            ("not a plain word", {"CFBundleVersion": 1}),
            ("not a plain word", {"CFBundleExecutable": "../../x"}),
            ("not a plain word", {"CFBundleVersion": "1" * 201}),
            ("not a dict", {"OSBundleLibraries": ["x"]}),
            ("more than 64", {"OSBundleLibraries": {f"l{i}": "1" for i in range(65)}}))):
        refused_kext(folder, word, stand_in.kext(os.path.join(folder, str(number)), "One",
                                                 PROGRAM, **change))
    kext = stand_in.kext(folder, "One", PROGRAM)
    whole = plistlib.dumps({"CFBundlePackageType": "KEXT"})
    for text in (b"", b"\0", b"not XML", b"<plist>", whole[:60], b"<?xml version='1.0'?>",
                 plistlib.dumps(["a"]), b"bplist00", b"bplist00" + bytes(40), b"x" * (2 << 20)):
        stand_in.put(os.path.join(kext, "Contents/Info.plist"), text)
        refused_kext(folder, "Contents/Info.plist", kext)


@test
def binary_property_lists_are_fine(folder):
    kext = stand_in.kext(folder, "One", PROGRAM)
    path = os.path.join(kext, "Contents/Info.plist")
    with open(path, "rb") as file:
        info = plistlib.load(file)
    stand_in.put(path, plistlib.dumps(info, fmt=plistlib.FMT_BINARY))
    xar_read(mkpkg("pkg", os.path.join(folder, "out"), [kext]))


@test
def programs(folder):
    fat = stand_in.fat((stand_in.X86_64, PROGRAM))
    for number, program in enumerate((
            b"", b"#!/bin/sh\n", PROGRAM[:27], b"\x7fELF" + bytes(100),
            struct.pack(">II", 0xcafebabe, 0) + bytes(100),
            struct.pack(">II", 0xcafebabe, 50) + bytes(100),
            struct.pack(">II", 0xcafebabe, 3) + bytes(20),
            fat[:4096], fat[:16] + struct.pack(">I", 0xffffffff) + fat[20:],
            fat[:20] + struct.pack(">I", 0xffffffff) + fat[24:])):
        refused_kext(folder, "not a Mach-O file",
                     stand_in.kext(os.path.join(folder, str(number)), "One", program))
    refused_kext(folder, "neither for i386",
                 stand_in.kext(os.path.join(folder, "arm"), "One", stand_in.macho(0x0100000c, 9)))
    # A file besides the program, too.
    kext = stand_in.kext(folder, "One", PROGRAM, files=[("Contents/tool", fat[:5000][:4100])])
    refused(folder, 1, "table points outside", "pkg", MANIFEST, kext)


@test
def what_looks_like_a_fat_file_and_is_none_is_packed(folder):
    java = struct.pack(">IHH", 0xcafebabe, 0, 52) + bytes(100)
    kext = stand_in.kext(folder, "One", PROGRAM, files=[("Contents/Resources/A.class", java)])
    xar_read(mkpkg("pkg", os.path.join(folder, "out"), [kext]))


@test
def what_is_no_file(folder):
    kext = stand_in.kext(folder, "One", PROGRAM)
    path = os.path.join(kext, "Contents/odd")
    os.symlink("Info.plist", path)
    refused_kext(folder, "a symbolic link", kext)
    os.remove(path)
    os.mkfifo(path)
    refused_kext(folder, "neither a file nor a folder", kext)
    os.remove(path)
    stand_in.put(os.path.join(kext, "Contents/n\u00e4me"), b"")
    refused_kext(folder, "ASCII", kext)
    shutil.rmtree(kext)
    kext = stand_in.kext(folder, "One", PROGRAM, files=[("Contents/" + "d/" * 40 + "f", b"")])
    refused_kext(folder, "folders deep", kext)


@test
def kexts_together(folder):
    needs = [stand_in.kext(folder, name, PROGRAM, ["org.viokit." + other])
             for name, other in (("A", "B"), ("B", "C"), ("C", "A"))]
    refused(folder, 1, "need each other", "zip", MANIFEST, *needs)
    xar_read(mkpkg("pkg", os.path.join(folder, "out"), needs[:2]))
    twin = stand_in.kext(os.path.join(folder, "2"), "D", PROGRAM, CFBundleIdentifier="org.viokit.A")
    refused(folder, 1, "same identifier", "pkg", MANIFEST, needs[0], twin)
    # The same name, though another identifier.
    twin = stand_in.kext(os.path.join(folder, "3"), "A", PROGRAM, CFBundleIdentifier="org.viokit.Z")
    refused(folder, 1, "there twice", "pkg", MANIFEST, needs[0], twin)


@test
def manifests(folder):
    with open(MANIFEST, encoding="utf-8") as file:
        text = file.read()
    kext = stand_in.kext(folder, "One", PROGRAM)
    copy = os.path.join(folder, "packaging")
    shutil.copytree(os.path.join(ROOT, "packaging"), copy)
    shutil.copy(os.path.join(ROOT, "LICENSE"), folder)
    path = os.path.join(copy, "x.conf")
    for status, word, new in (
            (2, "no line begins with name", text.replace("name ", "#")),
            (2, "no line begins with darwin", text.replace("darwin ", "#")),
            (2, "x.conf:1: no such clause", "frob x\n" + text),
            (2, "x.conf:1: words are missing", "name\n" + text),
            (2, "x.conf:1: words too many", "name a b\n" + text),
            (2, "said before", text + "name x\n"),
            (2, "only letters", "name a/b\n"),
            (2, "none has begun", "kexts\n" + text),
            (2, "no absolute path", text + "component A b c\n"),
            (2, "two components", text + "component VirtioKextsLE b /c\n"),
            (2, "two components", text + "component A org.viokit.pkg.le /c\n"),
            (2, "too many components",
             text + "".join(f"component A{i} b{i} /c\n" for i in range(9))),
            (1, "nothing to install", text + "component A b /c"),
            (1, "No such file", text + "file none none\n"),
            (1, "there twice", text + "file ../LICENSE LICENSE\n"),
            (1, "\"..\"", text + "file ../LICENSE ../x\n"),
            (1, "not a manifest", text + "\0"),
            (2, "no line begins with", ""),
            (1, "No such file", text.replace("Distribution.xml", "none.xml"))):
        stand_in.put(path, new.encode())
        refused(folder, status, word, "pkg", path, kext)
    stand_in.put(path, text.replace("\n", "\r\n").encode())
    xar_read(mkpkg("pkg", os.path.join(folder, "out"), [kext], manifest=path))
    stand_in.put(os.path.join(copy, "Distribution.xml"), b"<a>@WRONG@</a>")
    refused(folder, 1, "@WRONG@</a> is no word", "pkg", path, kext)


@test
def outputs(folder):
    kext = stand_in.kext(folder, "One", PROGRAM)
    done = run(MKPKG, "pkg", "-o", os.path.join(folder, "none/x.pkg"), MANIFEST, kext)
    same((done.returncode, done.stderr.count("\n")), (1, 1), done.stderr)
    done = run(MKPKG, "zip", "-o", folder, "-r", "3.2", MANIFEST, kext)
    same(done.returncode, 0, done.stderr)
    true(os.path.isfile(os.path.join(folder, "viokit-3.2-opencore.zip")), os.listdir(folder))
    done = run(MKPKG, "pkg", "-o", "/dev/full/x", MANIFEST, kext)
    same((done.returncode, done.stderr.count("\n")), (1, 1), done.stderr)


main()
