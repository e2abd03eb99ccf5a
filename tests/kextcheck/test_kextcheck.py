#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Good kexts pass; each of a set of deliberately wrong ones fails, and the cause is named."""

import json
import os
import plistlib
import shutil
import struct
import subprocess
import sys
import tempfile
import traceback

from editor import Editor

# Run as: python3 -B test_kextcheck.py KEXTLD SOURCE_ROOT
KEXTLD, ROOT = map(os.path.abspath, sys.argv[1:3])
CHECK = os.path.join(ROOT, "tools/kextcheck/kextcheck")
KPI = os.path.join(ROOT, "guest/ports/xnu/kpi")
NEEDED = ["clang++-16", "llvm-objdump-16"]
LIBRARIES = {"com.apple.kpi.bsd": "9.0.0", "com.apple.kpi.iokit": "9.0.0",
             "com.apple.kpi.libkern": "9.0.0", "com.apple.kpi.mach": "9.0.0"}
FAMILY = "com.apple.iokit.IONetworkingFamily"

TESTS = []
built = {}  # (source, macros): (program, folder of .su files)
store = None


def test(function):
    TESTS.append(function)
    return function


def run(*args):
    return subprocess.run([str(arg) for arg in args], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)


def must(*args):
    done = run(*args)
    if done.returncode:
        raise AssertionError(f"{' '.join(map(str, args))}: status {done.returncode}\n"
                             f"{done.stdout}{done.stderr}")
    return done.stdout


def program(source, *macros):
    """A universal program of one of the sources beside this file."""
    if (source, macros) in built:
        return built[source, macros]
    folder = tempfile.mkdtemp(dir=store)
    include = must("clang++-16", "-print-resource-dir").strip() + "/include"
    thin = []
    for arch in ("x86_64", "i386"):
        parts = os.path.join(folder, arch)
        os.mkdir(parts)
        extra = ["-static", "-fallow-unsupported"] if arch == "i386" else []
        must("clang++-16", "-target", f"{arch}-apple-macos10.6", "-mkernel", "-fapple-kext",
             "-nostdinc", "-isystem", include, "-I", ROOT, "-std=c++11", "-fno-exceptions",
             "-fno-rtti", "-Os", "-fno-asynchronous-unwind-tables", "-fstack-usage", "-Werror",
             *extra, *[f"-D{macro}" for macro in macros], "-c",
             os.path.join(ROOT, "tests/kextcheck", source + ".cpp"), "-o", parts + "/object.o")
        must(KEXTLD, "-o", parts + "/kext", parts + "/object.o")
        thin.append(parts + "/kext")
    must(KEXTLD, "--universal", "-o", folder + "/kext", *thin)
    built[source, macros] = (folder + "/kext", folder)
    return built[source, macros]


def kext(folder, name, file, libraries, personality=None, **changes):
    path = os.path.join(folder, name + ".kext")
    os.makedirs(path + "/Contents/MacOS")
    shutil.copy(file, f"{path}/Contents/MacOS/{name}")
    info = {"CFBundleIdentifier": "org.viokit." + name, "CFBundleVersion": "1.2.3",
            "CFBundleExecutable": name, "CFBundlePackageType": "KEXT",
            "OSBundleLibraries": {**LIBRARIES, **libraries}}
    if personality:
        info["IOKitPersonalities"] = {name: {"CFBundleIdentifier": "org.viokit." + name,
                                             "IOClass": personality,
                                             "IOProviderClass": "IOService"}}
    write_plist(path, {**info, **changes})
    return path


def write_plist(path, info):
    info = {key: value for key, value in info.items() if value is not None}
    with open(path + "/Contents/Info.plist", "wb") as file:
        plistlib.dump(info, file)


def change_plist(path, **changes):
    with open(path + "/Contents/Info.plist", "rb") as file:
        info = plistlib.load(file)
    write_plist(path, {**info, **changes})


class Pair:
    """Two good kexts, one depending on the other, until somebody changes them."""

    def __init__(self, folder, *macros):
        self.bus = kext(folder, "CheckBus", program("bus")[0], {}, "CheckNub",
                        OSBundleCompatibleVersion="1.0")
        self.net = kext(folder, "CheckNet", program("net", *macros)[0],
                        {"org.viokit.CheckBus": "1.2.3", FAMILY: "1.4.3"}, "CheckNic")
        self.su = program("net", *macros)[1]

    def edit(self):
        return Editor(self.net + "/Contents/MacOS/CheckNet")

    def check(self, *args):
        return run(CHECK, "--no-headers", *args, self.bus, self.net)

    def passes(self, *args):
        done = self.check(*args)
        true(done.returncode == 0 and "FAIL" not in done.stdout, done.stdout + done.stderr)
        return done.stdout

    def fails(self, *words, args=()):
        """Fails, with one line that has all the words."""
        refused(self.check(*args), *words)


def refused(done, *words):
    lines = [line for line in done.stdout.split("\n") if ": FAIL: " in line]
    true(done.returncode == 1, f"status {done.returncode}\n{done.stdout}{done.stderr}")
    true(done.stderr == "", done.stderr)
    true(any(all(word in line for word in words) for line in lines),
         f"no line with {words} in:\n" + "\n".join(lines))
    if lines:
        print("# " + next(line for line in lines if all(word in line for word in words)))


def true(fact, what):
    if not fact:
        raise AssertionError(what)


# ---- what is good ----

@test
def good_kexts_pass_every_check(folder):
    pair = Pair(folder)
    out = os.path.join(folder, "out.json")
    text = pair.passes("--json", out, "--su", pair.su)
    for name in ("header", "load commands", "segments", "symbol table", "relocations",
                 "constructors", "kmod_info", "OSBundleLibraries", "exported names", "no libc",
                 "metaclass symbols", "vtables", "no floating point", "stack in the code",
                 "calls of parents' slots"):
        for arch in ("x86_64", "i386"):
            true(f"CheckNet.kext {arch} {name}: ok" in text, f"{arch} {name}\n{text}")
    with open(out, encoding="utf-8") as file:
        told = json.load(file)
    true(told["ok"] and len(told["checks"]) > 30 and len(told["sizes"]) == 4, told)


@test
def good_headers_pass(_):
    done = run(CHECK)
    true(done.returncode == 0 and "vtables of the headers: ok" in done.stdout
         and "spare slots cannot be called: ok" in done.stdout, done.stdout + done.stderr)


@test
def wrong_usage_is_told_apart(folder):
    for args in (("--no-headers",), ("--frobnicate",), ("--tables", folder, folder),
                 ("--clang", "no-such-clang"), ("--objdump", "no-such-tool", folder)):
        true(run(CHECK, *args).returncode == 2, args)
    refused(run(CHECK, "--no-headers", os.path.join(folder, "None.kext")), "Info.plist: No such")


# ---- names ----

@test
def missing_symbol(folder):
    Pair(folder, "WRONG_MISSING").fails("x86_64", "_no_kernel_has_this is exported by no release")


@test
def libc_name(folder):
    Pair(folder, "WRONG_LIBC").fails("x86_64", "no libc", "_sprintf is wanted")


@test
def symbol_of_later_releases_only(folder):
    tables = shutil.copytree(KPI, os.path.join(folder, "kpi"))
    with open(tables + "/exports.x86_64.table", "a", encoding="utf-8") as file:
        file.write("_only_from_10_11 10.11-10.15 com.apple.kpi.iokit\n")
    Pair(folder, "WRONG_LATER").fails(
        "x86_64", "_only_from_10_11 (com.apple.kpi.iokit) is not exported by 10.6 10.7 10.8 10.9 "
        "10.10", args=("--tables", tables))


@test
def symbol_that_later_releases_lack(folder):
    tables = shutil.copytree(KPI, os.path.join(folder, "kpi"))
    path = tables + "/exports.x86_64.table"
    with open(path, encoding="utf-8") as file:
        rows = [row for row in file if not row.startswith("_read_random ")]
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(rows + ["_read_random 10.6-10.13 com.apple.kpi.bsd\n"])
    Pair(folder, "WRONG_GONE").fails("x86_64", "_read_random", "not exported by 10.14 10.15",
                                     args=("--tables", tables))


@test
def symbol_of_a_kext_that_is_not_there(folder):
    pair = Pair(folder)
    refused(run(CHECK, "--no-headers", pair.net), "_check_bus_sum is exported by no release")


# ---- shape ----

@test
def extra_load_command(folder):
    pair = Pair(folder, "WRONG_ROOM")
    pair.passes()
    edit = pair.edit()
    true(edit.get("<I", edit.sections["__text"] + 48) - edit.end >= 16, "no room")
    edit.put("<IIQ", edit.end, 0x2a, 16, 1)  # LC_SOURCE_VERSION
    edit.put("<II", 16, edit.get("<I", 16) + 1, edit.get("<I", 20) + 16)
    edit.save()
    pair.fails("x86_64", "load command LC_SOURCE_VERSION")


@test
def load_commands_in_another_order(folder):
    pair = Pair(folder)
    edit = pair.edit()
    symtab, uuid = edit.commands[2], edit.commands[0x1b]
    one = edit.data[edit.base + symtab:edit.base + symtab + 24]
    other = edit.data[edit.base + uuid:edit.base + uuid + 24]
    edit.data[edit.base + symtab:edit.base + symtab + 24] = other
    edit.data[edit.base + uuid:edit.base + uuid + 24] = one
    edit.save()
    pair.fails("x86_64", "LC_UUID LC_DYSYMTAB LC_SYMTAB, not")


@test
def wrong_header(folder):
    pair = Pair(folder)
    edit = pair.edit()
    edit.put("<I", 12, 8)
    edit.put("<I", 24, 0x2085)
    edit.save()
    pair.fails("x86_64", "file type 8, not 11 (MH_KEXT_BUNDLE)")
    pair.fails("x86_64", "flags 0x2085")


@test
def wrong_relocations(folder):
    # (external, kind, change of the second word, what is said)
    for number, (external, kind, change, *words) in enumerate((
            (True, 2, lambda w: w & ~(3 << 25) | 3 << 25, "type 2, length 3"),
            (True, 2, lambda w: w & ~(1 << 24), "pcrel 0"),
            (True, 2, lambda w: w & 0x0fffffff | 1 << 28, "type 1"),
            (True, 0, lambda w: w & ~(3 << 25) | 2 << 25, "type 0, length 2"),
            (True, 0, lambda w: w | 0xffffff, "no symbol 16777215"),
            (True, 0, lambda w: w & ~(1 << 27), "is not external"),
            (False, 0, lambda w: w & 0x0fffffff | 5 << 28, "local, type 5"),
            (False, 0, lambda w: w & ~0xffffff | 99, "no section 99"))):
        pair = Pair(os.path.join(folder, str(number)))
        edit = pair.edit()
        where = edit.reloc(external, kind)
        edit.put("<I", where + 4, change(edit.get("<I", where + 4)))
        edit.save()
        pair.fails("x86_64 relocations", *words)


@test
def relocation_that_points_outside(folder):
    pair = Pair(folder)
    edit = pair.edit()
    address = edit.get("<I", edit.reloc(False, 0))
    edit.put("<Q", edit.file_offset(address), 0x7fffffff)
    edit.save()
    pair.fails("x86_64 relocations", "target 0x7fffffff is outside section")


@test
def relocation_outside(folder):
    pair = Pair(folder)
    edit = pair.edit()
    edit.put("<I", edit.reloc(True, 2), 0x00ffff00)
    edit.save()
    pair.fails("x86_64 relocations", "in no section")


@test
def truncated_files(folder):
    pair = Pair(folder)
    path = pair.net + "/Contents/MacOS/CheckNet"
    with open(path, "rb") as file:
        data = file.read()
    for size in [0, 3, 7, 20, 47, 100, 4096 + 10, 4096 + 100, len(data) // 3, len(data) - 1]:
        with open(path, "wb") as file:
            file.write(data[:size])
        refused(pair.check(), "CheckNet.kext can be read", "outside the file")
    # One program, cut: the same without a universal header.
    base = Editor(pair.bus + "/Contents/MacOS/CheckBus").base
    with open(pair.bus + "/Contents/MacOS/CheckBus", "rb") as file:
        thin = file.read()[base:base + 3000]
    with open(path, "wb") as file:
        file.write(thin)
    refused(pair.check(), "x86_64: segment", "outside the file")


@test
def bad_segment_bounds(folder):
    for number, (segment, field, value, *words) in enumerate((
            ("__DATA", 48, 1 << 40, "segment __DATA"),
            ("__DATA", 40, 1 << 63, "is outside the file"),
            ("__DATA", 24, 1 << 50, "outside segment __DATA"),
            ("__TEXT", 32, 0x10, "segment __TEXT: "),
            ("__LINKEDIT", 40, 0x1000, "__LINKEDIT", "overlaps"),
            ("__LINKEDIT", 24, 0x1000, "__LINKEDIT", "overlaps"))):
        pair = Pair(os.path.join(folder, str(number)))
        edit = pair.edit()
        edit.put("<Q", edit.segments[segment] + field, value)
        edit.save()
        pair.fails(*words)
    pair = Pair(os.path.join(folder, "protection"))
    edit = pair.edit()
    edit.put("<I", edit.segments["__TEXT"] + 60, 7)
    edit.save()
    pair.fails("__TEXT has protections 7/7")


@test
def any_byte_of_the_headers_may_be_wrong(folder):
    """No byte makes the check stumble, whatever it finds."""
    pair = Pair(folder)
    good = bytes(pair.edit().data)
    edit = pair.edit()
    for offset in range(edit.base, edit.base + edit.end, 37):
        edit.data[:] = good
        edit.data[offset] ^= 0xff
        edit.save()
        done = run(CHECK, "--no-headers", "--objdump", "true", pair.net)
        true(done.returncode == 1 and "Traceback" not in done.stderr,
             f"byte {offset}: {done.returncode}\n{done.stderr}")


@test
def symbols_out_of_order(folder):
    pair = Pair(folder)
    edit = pair.edit()
    where = edit.symbol("_IOLog")
    edit.put("<H", where + 6, 0)
    edit.save()
    pair.fails("x86_64", "undefined _IOLog has n_desc 0x0")
    edit.put("<H", where + 6, 0xfe00)
    edit.put("<I", edit.commands[11] + 12, 1)
    edit.save()
    pair.fails("x86_64", "LC_DYSYMTAB counts")


# ---- plist and kmod_info ----

@test
def plist_version_mismatch(folder):
    pair = Pair(folder)
    change_plist(pair.net, CFBundleVersion="1.2.4")
    pair.fails("x86_64", "_kmod_info says '1.2.3', CFBundleVersion is '1.2.4'")
    pair.fails("i386", "_kmod_info says '1.2.3', CFBundleVersion is '1.2.4'")


@test
def plist_identifier_mismatch(folder):
    pair = Pair(folder)
    change_plist(pair.net, CFBundleIdentifier="org.viokit.Other")
    pair.fails("_kmod_info says 'org.viokit.CheckNet', CFBundleIdentifier is 'org.viokit.Other'")
    pair.fails("personality CheckNet: CFBundleIdentifier")


@test
def plist_with_other_faults(folder):
    for number, (changes, *words) in enumerate((
            ({"CFBundleExecutable": "Other"}, "CFBundleExecutable Other: No such file"),
            ({"CFBundlePackageType": "APPL"}, "'APPL', not KEXT"),
            ({"CFBundleVersion": "1.2.3.4.5"}, "is not a version of a kext"),
            ({"OSBundleLibraries": None}, "no OSBundleLibraries"),
            ({"IOKitPersonalities": {"x": {"IOClass": "Nobody"}}}, "no class Nobody"))):
        pair = Pair(os.path.join(folder, str(number)))
        change_plist(pair.net, **changes)
        pair.fails("CheckNet.kext", *words)


@test
def missing_library(folder):
    good = {**LIBRARIES, "org.viokit.CheckBus": "1.2.3", FAMILY: "1.4.3"}
    for number, (changes, *words) in enumerate((
            ({FAMILY: None}, f"OSBundleLibraries lacks {FAMILY}, which exports"),
            ({"org.viokit.CheckBus": None}, "lacks org.viokit.CheckBus, which exports"),
            ({"com.apple.kpi.libkern": None}, "lacks com.apple.kpi.libkern"),
            ({"com.apple.kpi.iokit": "11.0.0"}, "11.0.0 is above what 10.6 has"),
            ({"org.viokit.CheckBus": "1.3"}, "1.3 is not in 1.0 - 1.2.3"),
            ({"com.apple.kpi.private": "9.0.0"}, "neither ours nor one of those of 10.6"))):
        pair = Pair(os.path.join(folder, str(number)))
        libraries = {key: value for key, value in {**good, **changes}.items() if value}
        change_plist(pair.net, OSBundleLibraries=libraries)
        pair.fails("CheckNet.kext x86_64 OSBundleLibraries", *words)
    pair = Pair(os.path.join(folder, "compatible"))
    change_plist(pair.bus, OSBundleCompatibleVersion=None)
    pair.fails("org.viokit.CheckBus has no OSBundleCompatibleVersion")


@test
def wrong_kmod_info(folder):
    for number, (offset, form, value, *words) in enumerate((
            (8, "<I", 2, "info version 2, not 1"),
            (16, "<4s", b"com.", "says 'com.viokit.CheckNet'"),
            (156, "<Q", 4096, "fills in what the kernel has to"))):
        pair = Pair(os.path.join(folder, str(number)))
        edit = pair.edit()
        at = edit.file_offset(edit.get("<Q", edit.symbol("_kmod_info") + 8))
        edit.put(form, at + offset, value)
        edit.save()
        pair.fails("x86_64 kmod_info", *words)
    pair = Pair(os.path.join(folder, "none"))
    edit = pair.edit()
    edit.rename("_kmod_info", "_kmod_none")
    edit.save()
    pair.fails("x86_64 kmod_info", "_kmod_info is not defined")


# ---- classes ----

@test
def missing_metaclass_symbols(folder):
    for number, (name, what) in enumerate((
            ("__ZN8CheckNic10gMetaClassE", "gMetaClass"),
            ("__ZN8CheckNic9metaClassE", "metaClass"),
            ("__ZN8CheckNic10superClassE", "superClass"),
            ("__ZTVN8CheckNic9MetaClassE", "metaclass vtable"),
            ("__ZTV8CheckNic", "vtable"))):
        pair = Pair(os.path.join(folder, str(number)))
        edit = pair.edit()
        edit.rename(name, name[:-2] + "__")
        edit.save()
        pair.fails("x86_64 metaclass symbols", f"class CheckNic has no {what} symbol ({name})")


@test
def vtable_slot_of_another_function(folder):
    pair = Pair(folder)
    edit = pair.edit()
    swap = edit.reloc(True, 0, "__ZN20IOEthernetController16setMulticastModeEb")
    symbol = (edit.symbol("_IOLog") - edit.get("<I", edit.commands[2] + 8)) // 16
    edit.put("<I", swap + 4, edit.get("<I", swap + 4) & ~0xffffff | symbol)
    edit.save()
    pair.fails("x86_64 vtables", "CheckNic slot",
               "is _IOLog, not __ZN20IOEthernetController16setMulticastModeEb")


@test
def vtable_too_short(folder):
    pair = Pair(folder)
    edit = pair.edit()
    # A symbol in its middle ends a vtable.
    table = edit.get("<Q", edit.symbol("__ZTV8CheckNic") + 8)
    edit.put("<Q", edit.symbol("__ZN10CheckChild9metaClassE") + 8, table + 16 + 8 * 100)
    edit.save()
    pair.fails("x86_64 vtables", "CheckNic: vtable has 100 slots, that of its parent")


@test
def table_that_says_otherwise(folder):
    """The tables are the ruler: a parent with one more slot makes the kext too old."""
    tables = shutil.copytree(KPI, os.path.join(folder, "kpi"))
    path = tables + "/vtables.x86_64.table"
    with open(path, encoding="utf-8") as file:
        rows = file.read().split("\n")
    start = next(i for i, row in enumerate(rows) if row.startswith("class IOEthernetController "))
    words = rows[start].split()
    size = int(words[3])
    rows[start] = " ".join(words[:3] + [str(size + 1)])
    rows.insert(start + 1, f"{size} 10.6-10.15 _ZN20IOEthernetController5extraEv")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(rows))
    Pair(folder).fails("x86_64 vtables", f"CheckNic: vtable has {size} slots",
                       f"IOEthernetController {size + 1}", args=("--tables", tables))


def copy_of_kpi(folder):
    """A tree with just kpi/ and what checks it."""
    tree = os.path.join(folder, "tree")
    for part in ("guest/ports/xnu/kpi", "tools/kpi"):
        shutil.copytree(os.path.join(ROOT, part), os.path.join(tree, part))
    return tree


@test
def interface_header_with_two_methods_swapped(folder):
    tree = copy_of_kpi(folder)
    path = tree + "/guest/ports/xnu/kpi/workloop.h"
    with open(path, encoding="utf-8") as file:
        lines = file.read().split("\n")
    one, other = (next(i for i, line in enumerate(lines) if f"virtual void {name}();" in line)
                  for name in ("openGate", "closeGate"))
    lines[one], lines[other] = lines[other], lines[one]
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines))
    done = run(CHECK, "--headers", tree)
    for arch in ("x86_64", "i386"):
        refused(done, "kpi vtables of the headers", f"{arch}: IOWorkLoop slot",
                "is _ZN10IOWorkLoop9closeGateEv, not _ZN10IOWorkLoop8openGateEv")


@test
def kext_built_from_swapped_tables_fails_too(folder):
    """The kext's own vtable, against tables where two of its parent's functions are swapped."""
    tables = shutil.copytree(KPI, os.path.join(folder, "kpi"))
    path = tables + "/vtables.x86_64.table"
    with open(path, encoding="utf-8") as file:
        text = file.read()
    lines = text.split("\n")
    rows = [i for i, line in enumerate(lines)
            if " _ZN9IOService" in line and "RESERVED" not in line]
    a, b = lines[rows[20]].split(), lines[rows[21]].split()
    lines[rows[20]], lines[rows[21]] = " ".join(a[:2] + b[2:]), " ".join(b[:2] + a[2:])
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines))
    Pair(folder).fails("x86_64 vtables", f"slot {a[0]} is _{a[2]}, not _{b[2]}",
                       args=("--tables", tables))


@test
def spare_slot_that_anybody_may_call(folder):
    tree = copy_of_kpi(folder)
    path = tree + "/guest/ports/xnu/kpi/service.h"
    with open(path, encoding="utf-8") as file:
        text = file.read()
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace("private:", "public:"))
    refused(run(CHECK, "--headers", tree), "spare slots cannot be called",
            "_RESERVEDIOService0Ev is spare in 10.6, but kpi/ lets anybody call it")


# ---- code ----

@test
def floating_point(folder):
    pair = Pair(folder, "WRONG_FLOAT")
    pair.fails("x86_64 no floating point", "CheckNic5start", "xmm")


@test
def too_much_stack(folder):
    pair = Pair(folder, "WRONG_STACK")
    pair.fails("x86_64 stack in the code", "check_stack", "bytes of stack")
    pair.fails("all files stack", "check_stack", "at most 2048", args=("--su", pair.su))


@test
def too_much_code(folder):
    pair = Pair(folder)
    pair.passes("--limit", "65536")
    pair.fails("code size", "at most 100", args=("--limit", "100"))


@test
def one_architecture_only(folder):
    pair = Pair(folder)
    edit = pair.edit()
    edit.data[:] = edit.data[edit.base:]
    count = struct.unpack_from("<I", edit.data, 0)[0]
    true(count == 0xfeedfacf, "a program for x86_64 begins here")
    size = os.path.getsize(os.path.join(program("net")[1], "x86_64/kext"))
    edit.data[:] = edit.data[:size]
    edit.save()
    pair.fails("CheckNet has no program for i386")


def main():
    global store
    lacking = [tool for tool in NEEDED if not shutil.which(tool)]
    if lacking:
        print(f"1..0 # SKIP {' and '.join(lacking)} not there")
        return 0
    failed = 0
    print(f"1..{len(TESTS)}", flush=True)
    with tempfile.TemporaryDirectory(prefix="kextcheck-test-") as top:
        store = top
        for number, function in enumerate(TESTS, 1):
            name = function.__name__.replace("_", " ")
            folder = os.path.join(top, f"test-{number}")
            os.mkdir(folder)
            try:
                function(folder)
                print(f"ok {number} - {name}", flush=True)
            except Exception:
                traceback.print_exc(file=sys.stdout)
                print(f"not ok {number} - {name}", flush=True)
                failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
