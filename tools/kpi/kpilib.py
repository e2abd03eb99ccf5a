# SPDX-License-Identifier: BSD-2-Clause
"""Vtables, record layouts and names, as clang sees them in a set of headers.

A vtable is read from the IR of a class derived from the one asked for: that is the table a kext
would carry, with the mangled name of every inherited slot. Nothing is linked or run.
"""

import json
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
KPI = os.path.join(ROOT, "guest/ports/xnu/kpi")

RELEASES = ["10.6", "10.7", "10.8", "10.9", "10.10", "10.11", "10.12", "10.13", "10.14", "10.15"]
OLDEST = RELEASES[0]
LAST_I386 = "10.7"  # later kernels are 64-bit only
ARCHES = ["x86_64", "i386"]

# Every class declared in kpi/, a base before what derives from it, and where it lives.
XNU = """
OSMetaClassBase OSMetaClass OSObject OSString OSSymbol OSData OSNumber OSBoolean OSCollection
OSDictionary OSArray OSSet OSIterator OSCollectionIterator IORegistryEntry IOService IOWorkLoop
IOEventSource IOCommandGate IOInterruptEventSource IOFilterInterruptEventSource IOTimerEventSource
IOMemoryDescriptor IOMemoryMap IOGeneralMemoryDescriptor IOBufferMemoryDescriptor IODeviceMemory
IOCommand IODMACommand
""".split()
PCI = ["IOPCIDevice"]
NET = """
IONetworkData IONetworkMedium IOOutputQueue IOBasicOutputQueue IOGatedOutputQueue IOKernelDebugger
IONetworkController IOEthernetController IONetworkInterface IOEthernetInterface
""".split()
CLASSES = XNU + PCI + NET

# Plain structures whose layout both sides must agree on.
RECORDS = """
UnsignedWide mach_timespec IOVirtualRange IOPhysicalRange IOAddressRange IOPMPowerState kmod_info
kmod_reference IOPCIAddressSpace IONetworkStats IOEthernetStats IOOutputQueueStats
IOPacketBufferConstraints IOEthernetAddress IODMACommand::Segment32 IODMACommand::Segment64
IODeviceMemory::InitElement
""".split()

# What a kext of ours may derive from: of one size in every release.
BASES = """
OSObject IOService IONetworkController IOEthernetController IONetworkInterface IOEthernetInterface
""".split()

# What compilers refer to on their own account. Not all of it is exported: then it must not occur.
COMPILER = """
___cxa_pure_virtual ___stack_chk_fail ___stack_chk_guard ___bzero _memset_pattern16 __Znwm __Znwj
__Znam __ZdlPv __ZdaPv __ZdlPvm ___udivdi3 ___umoddi3 ___divdi3 ___moddi3 ___udivmoddi4 ___ashldi3
___lshrdi3 ___ashrdi3 ___muldi3 ___cxa_atexit ___dso_handle _strchr _memchr
""".split()

# The headers of a kernel SDK that declare them.
SDK_HEADERS = ["libkern/c++/" + name + ".h" for name in """
OSMetaClass OSObject OSString OSSymbol OSData OSNumber OSBoolean OSCollection OSDictionary OSArray
OSSet OSIterator OSCollectionIterator""".split()] + ["IOKit/" + name + ".h" for name in """
IORegistryEntry IOService IOWorkLoop IOCommandGate IOInterruptEventSource IOTimerEventSource
IOFilterInterruptEventSource IOBufferMemoryDescriptor IODeviceMemory IOCommand IODMACommand
pwr_mgt/IOPM pci/IOPCIDevice network/IONetworkData network/IONetworkStats network/IOEthernetStats
network/IONetworkMedium network/IOGatedOutputQueue network/IOBasicOutputQueue
network/IOKernelDebugger network/IOEthernetController network/IOEthernetInterface
""".split()] + ["mach/kmod.h"]

COMMON = ["-std=c++11", "-fno-exceptions", "-fno-rtti"]


def die(message):
    sys.exit(os.path.basename(sys.argv[0]) + ": " + message)


def clang_include(clang):
    run = subprocess.run([clang, "-print-resource-dir"], capture_output=True, text=True,
                         check=True)
    return run.stdout.strip() + "/include"


def kext_flags(clang, arch, release=OLDEST):
    """Flags that compile a kext's C++ for one architecture."""
    flags = ["-target", f"{arch}-apple-macos{release}", "-mkernel", "-fapple-kext"]
    if arch == "i386":
        flags += ["-static", "-fallow-unsupported"]
    return flags + ["-nostdinc"] + COMMON + ["-isystem", clang_include(clang)]


def linux_flags():
    return ["-target", "x86_64-linux-gnu"] + COMMON


def our_flags(clang, arch):
    return (linux_flags() if arch == "linux" else kext_flags(clang, arch)) + ["-I", ROOT]


OUR_HEADER = '#include "guest/ports/xnu/kpi/kpi.h"\n'
SDK_HEADER = "".join(f"#include <{name}>\n" for name in SDK_HEADERS)


def clang(command, source, *more):
    """Compile C++ text; return what clang prints."""
    # Quoted includes of standard input are looked for in the current folder first.
    run = subprocess.run([*command, "-w", *more, "-x", "c++", "-"], input=source,
                         capture_output=True, text=True, check=False, cwd=ROOT)
    if run.returncode:
        sys.stderr.write(run.stderr[:4000])
        die("clang failed")
    return run.stdout


def vtables(command, header, classes=None):
    """{class: [mangled name of slot 0, 1, ...]}; `__cxa_pure_virtual` where there is none."""
    classes = classes or CLASSES
    source = header
    for name in classes:
        source += (f"struct of_{name} : public {name} {{ virtual void last_{name}();"
                   f" ~of_{name}(); }};\nvoid of_{name}::last_{name}() {{}}\n")
    text = clang(command, source, "-S", "-emit-llvm", "-O0", "-o", "-", "-Xclang",
                 "-fno-access-control")
    tables = {}
    for name in classes:
        derived = f"{len(name) + 3}of_{name}"
        found = re.search(rf'^@"?(?:\\01)?_?_ZTV{derived}"? = .*$', text, re.M)
        if not found:
            die(f"no vtable of {name} in clang's output")
        slots = re.findall(r'ptr (null|inttoptr \([^)]*\)|@"?[\\\w$.]+"?)', found.group(0))
        slots = [slot.lstrip("@").strip('"').replace("\\01", "") for slot in slots]
        slots = [slot for slot in slots if slot != "null"]
        if f"last_{name}" not in slots.pop():
            die(f"the vtable of {name} does not end as it should")
        # The destructors are those of the derived class: give them back.
        tables[name] = [re.sub(r"^_?(_Z)", r"\1", slot.replace(derived, f"{len(name)}{name}"))
                        for slot in slots]
    return tables


def records(command, header, names=None):
    """{record: (size, align, [(offset, member), ...])}, members of members too."""
    names = names or CLASSES + RECORDS
    # Laid out as the base of a struct of ours, also if it has no tag; a union cannot be a base.
    source = header
    for index, name in enumerate(names):
        if name == "IOPCIAddressSpace":
            source += f"char use_{index}[sizeof({name})];\n"
        else:
            source += f"struct in_{index} : {name} {{}}; char use_{index}[sizeof(in_{index})];\n"
    text = clang(command, source, "-fsyntax-only", "-Xclang", "-fdump-record-layouts", "-Xclang",
                 "-fno-access-control")
    layouts = {}
    for dump in text.split("*** Dumping AST Record Layout")[1:]:
        lines = [line for line in dump.split("\n") if "|" in line]
        head = re.match(r"\s*0 \| (?:struct|class|union) (\S+)", lines[0])
        if not head:
            continue
        members = []
        size = None
        for line in lines[1:]:
            member = re.match(r"\s*([\d:-]+) \|\s+(.*)$", line)
            if member:
                members.append((member.group(1), member.group(2).split()[-1]))
            found = re.search(r"sizeof=(\d+).*?\balign=(\d+)", line)
            if found:
                size = (int(found.group(1)), int(found.group(2)))
        layouts[head.group(1)] = (*size, members)
    result = {}
    for index, name in enumerate(names):
        size, align, members = layouts.get(f"in_{index}") or layouts[name]
        # The first line of a derived struct names its base.
        result[name] = (size, align, members[1:] if f"in_{index}" in layouts else members)
    return result


def declarations(command, header):
    """Yield clang's description of each function, method and variable declared."""
    def walk(node):
        for child in node.get("inner", ()):
            kind = child.get("kind")
            if kind in ("LinkageSpecDecl", "CXXRecordDecl"):
                if kind == "CXXRecordDecl" and child.get("completeDefinition"):
                    yield child
                yield from walk(child)
            elif kind in ("CXXMethodDecl", "CXXConstructorDecl", "CXXDestructorDecl",
                          "FunctionDecl", "VarDecl"):
                if "mangledName" in child and not child.get("isImplicit"):
                    yield child
    text = clang(command, header, "-fsyntax-only", "-Xclang", "-ast-dump=json")
    yield from walk(json.loads(text))


def has_body(node):
    return any(child.get("kind") == "CompoundStmt" for child in node.get("inner", ()))


def symbols(command, header, classes=None):
    """{exported name: True if a kext may refer to it by itself, outside a vtable}."""
    wanted = classes or CLASSES
    names = {}
    for node in declarations(command, header):
        kind, name = node["kind"], node.get("name")
        if kind == "CXXRecordDecl":
            if name in wanted:
                names.update(dict.fromkeys(class_symbols(name), True))
            continue
        mangled = node["mangledName"]
        if has_body(node) or node.get("inline") or name == "superClass":
            continue
        if node.get("storageClass") == "static" and kind == "FunctionDecl":
            continue
        if kind in ("CXXMethodDecl", "CXXConstructorDecl", "CXXDestructorDecl"):
            if not any(re.match(rf"__ZNK?{len(c)}{c}", mangled) for c in wanted):
                continue
            if node.get("pure") or "9MetaClass" in mangled or name == "operator=":
                continue
        if kind in ("CXXConstructorDecl", "CXXDestructorDecl"):
            continue  # in class_symbols
        names.setdefault(mangled, not node.get("virtual"))
    return names


def class_symbols(name):
    """What deriving from a class, casting to it or calling its base's functions refers to."""
    tag = f"{len(name)}{name}"
    found = [f"__ZTV{tag}", f"__ZN{tag}D2Ev", f"__ZN{tag}D0Ev"]
    if name != "OSMetaClassBase":
        found += [f"__ZN{tag}9metaClassE"]
    if name not in ("OSMetaClassBase", "OSMetaClass"):
        found += [f"__ZN{tag}10gMetaClassE", f"__ZN{tag}C2EPK11OSMetaClass",
                  f"__ZN{tag}C1EPK11OSMetaClass"]
    if name == "OSMetaClass":
        found += [f"__ZN{tag}C2EPKcPKS_j", f"__ZN{tag}C1EPKcPKS_j"]
    return found


def span(releases, known=None):
    """Releases as text: 10.6-10.15, or 10.6-10.7,10.9."""
    known = known or RELEASES
    runs = []
    for index in sorted({known.index(release) for release in releases}):
        if runs and runs[-1][1] == index - 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ",".join(known[a] if a == b else f"{known[a]}-{known[b]}" for a, b in runs)


def unspan(text):
    releases = set()
    for run in text.split(","):
        first, _, last = run.partition("-")
        releases.update(RELEASES[RELEASES.index(first):RELEASES.index(last or first) + 1])
    return releases


def table_path(kind, arch):
    return os.path.join(KPI, f"{kind}.{arch}.table")


def rows(path):
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.strip() and not line.startswith("#"):
                yield line.split()


def load_exports(arch):
    """{name: {release: bundle}}"""
    table = {}
    for name, releases, bundle in rows(table_path("exports", arch)):
        for release in unspan(releases):
            table.setdefault(name, {})[release] = bundle
    return table


def load_records(arch):
    """{release: {record or record.member: {values}}}"""
    table = {}
    for what, releases, value in rows(table_path("records", arch)):
        for release in unspan(releases):
            table.setdefault(release, {}).setdefault(what, set()).add(value)
    return table


def load_vtables(arch):
    """{release: {class: [name, ...]}}; a slot not listed is the base's."""
    own, bases, sizes = {}, {}, {}
    current = None
    for row in rows(table_path("vtables", arch)):
        if row[0] == "class":
            current = row[1]
            bases[current] = None if row[2] == "-" else row[2]
            sizes[current] = int(row[3])
            continue
        for release in unspan(row[1]):
            own.setdefault((release, current), {})[int(row[0])] = row[2]
    tables = {}
    for release in sorted({release for release, _ in own}, key=RELEASES.index):
        for name, base in bases.items():
            slots = list(tables[release][base]) if base else []
            slots += [None] * (sizes[name] - len(slots))
            for index, symbol in own.get((release, name), {}).items():
                slots[index] = symbol
            # A destructor is never inherited.
            if base:
                for index in (0, 1):
                    slots[index] = slots[index].replace(f"{len(base)}{base}",
                                                        f"{len(name)}{name}")
            tables.setdefault(release, {})[name] = slots
    return tables
