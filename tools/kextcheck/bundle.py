# SPDX-License-Identifier: BSD-2-Clause
"""A kext bundle: its folder, its property list, its program, and whether they agree."""

import os
import plistlib
import re
import struct

import macho as m
from shape import is_code

# What 10.6 has: no kext may ask for more. The interfaces of the kernel are versioned as Darwin is,
# 10.0.0 in the first 10.6; for the families these are cautious limits, from memory of its first
# release, no more than what 10.6.8 has.
NEWEST = {
    "com.apple.kpi.bsd": "10.0.0",
    "com.apple.kpi.iokit": "10.0.0",
    "com.apple.kpi.libkern": "10.0.0",
    "com.apple.kpi.mach": "10.0.0",
    "com.apple.kpi.unsupported": "10.0.0",
    "com.apple.iokit.IONetworkingFamily": "1.8",
    "com.apple.iokit.IOPCIFamily": "2.6",
}
OLDEST = {name: "8.0.0" for name in NEWEST if ".kpi." in name}
VERSION = re.compile(r"(\d{1,4})(?:\.(\d{1,2}))?(?:\.(\d{1,2}))?(?:([dabf]c?|fc)(\d{1,3}))?$")


def version(text):
    """A kext version as something to compare; None if the kernel would not take it."""
    match = VERSION.match(text) if isinstance(text, str) else None
    if not match:
        return None
    stage = {"d": 1, "a": 3, "b": 5, "fc": 7, "f": 7}.get(match[4], 9)
    return tuple(int(match[n] or 0) for n in (1, 2, 3)) + (stage, int(match[5] or 0))


class Bundle:
    def __init__(self, path):
        self.path = path
        self.name = os.path.basename(os.path.normpath(path))
        try:
            with open(os.path.join(path, "Contents/Info.plist"), "rb") as file:
                self.info = plistlib.load(file)
        except OSError as err:
            raise m.Bad(f"Contents/Info.plist: {err.strerror}") from None
        except Exception as err:  # whatever plistlib and the parser under it come up with
            raise m.Bad(f"Contents/Info.plist cannot be read: {err}") from None
        if not isinstance(self.info, dict):
            raise m.Bad("Contents/Info.plist is not a dictionary")
        self.id = self.text("CFBundleIdentifier")
        self.version = self.text("CFBundleVersion")
        self.program = self.text("CFBundleExecutable")
        libraries = self.info.get("OSBundleLibraries", {})
        self.libraries = libraries if isinstance(libraries, dict) else {}
        if not self.program or "/" in self.program:
            raise m.Bad("Info.plist has no proper CFBundleExecutable")
        self.file = os.path.join(path, "Contents/MacOS", self.program)
        try:
            with open(self.file, "rb") as file:
                data = file.read()
        except OSError as err:
            raise m.Bad(f"CFBundleExecutable {self.program}: {err.strerror}") from None
        self.size = len(data)
        self.slices = {}
        for cpu, offset, size, _ in m.slices(data):
            if cpu not in m.ARCHES:
                raise m.Bad(f"a slice for cpu type {cpu:#x}")
            try:
                self.slices[m.ARCHES[cpu]] = m.MachO(data[offset:offset + size])
            except m.Bad as err:
                raise m.Bad(f"{m.ARCHES[cpu]}: {err}") from None

    def text(self, key):
        value = self.info.get(key)
        return value if isinstance(value, str) else ""


def plist(b):
    """What the kernel and kextd need to find in Info.plist."""
    for key in ("CFBundleIdentifier", "CFBundleVersion"):
        if not b.text(key):
            yield f"Info.plist has no {key}"
    if b.text("CFBundlePackageType") != "KEXT":
        yield f"CFBundlePackageType is {b.text('CFBundlePackageType')!r}, not KEXT"
    if version(b.version) is None:
        yield f"CFBundleVersion {b.version!r} is not a version of a kext"
    if len(b.id) > 63 or len(b.version) > 63:
        yield "identifier and version have at most 63 characters"
    if not b.libraries:
        yield "Info.plist has no OSBundleLibraries"
    inside = sorted(os.listdir(os.path.join(b.path, "Contents/MacOS")))
    if inside != [b.program]:
        yield f"Contents/MacOS holds {' '.join(inside)}, CFBundleExecutable is {b.program}"
    compatible = b.info.get("OSBundleCompatibleVersion")
    if compatible is not None:
        if version(compatible) is None:
            yield f"OSBundleCompatibleVersion {compatible!r} is not a version of a kext"
        elif version(b.version) and version(compatible) > version(b.version):
            yield f"OSBundleCompatibleVersion {compatible} is above CFBundleVersion {b.version}"
    yield from personalities(b)


def personalities(b):
    people = b.info.get("IOKitPersonalities", {})
    if not isinstance(people, dict):
        yield "IOKitPersonalities is not a dictionary"
        return
    for name, person in people.items():
        if not isinstance(person, dict):
            yield f"personality {name} is not a dictionary"
            continue
        if person.get("CFBundleIdentifier") != b.id:
            yield f"personality {name}: CFBundleIdentifier {person.get('CFBundleIdentifier')!r} " \
                  f"is not {b.id}"
        if not isinstance(person.get("IOProviderClass"), str):
            yield f"personality {name} has no IOProviderClass"
        cls = person.get("IOClass")
        for arch, o in b.slices.items():
            if not isinstance(cls, str) or f"__ZN{len(cls)}{cls}10gMetaClassE" not in o.defined():
                yield f"personality {name}: no class {cls} in the {arch} program"


KMOD_64 = ("<QiI64s64siQQQQQQ", 188, 180)
KMOD_32 = ("<IiI64s64siIIIIII", 164, 160)


def kmod_info(b, o):
    """The record by which the kernel knows a kext."""
    symbol = o.defined().get("_kmod_info")
    if not symbol:
        yield "_kmod_info is not defined as an external symbol"
        return
    form, stop, start = KMOD_64 if o.is64 else KMOD_32
    raw = o.read(symbol.value, struct.calcsize(form), "_kmod_info")
    if o.section_of(symbol.value).segment != "__DATA":
        yield "_kmod_info is not in __DATA"
    following, record, _, name, release, _, refs, address, size, headers, _, _ = \
        struct.unpack(form, raw)
    if record != 1:
        yield f"_kmod_info has info version {record}, not 1"
    for key, have, want in (("CFBundleIdentifier", name, b.id),
                            ("CFBundleVersion", release, b.version)):
        have = have.split(b"\0")[0].decode("latin-1")
        if have != want:
            yield f"_kmod_info says {have!r}, {key} is {want!r}"
    if name[-1] or release[-1]:
        yield "name or version in _kmod_info does not end"
    if following or refs or address or size or headers:
        yield "_kmod_info fills in what the kernel has to"
    for what, offset in (("start", start), ("stop", stop)):
        if not is_code(o, symbol.value + offset):
            yield f"_kmod_info: {what} is no function of this kext"


def libraries(b, o, tables, others):
    """OSBundleLibraries against the symbols in use."""
    ours = {other.id: other for other in others if other is not b}
    for name, asked in b.libraries.items():
        if version(asked) is None:
            yield f"OSBundleLibraries: {name} {asked!r} is not a version"
        elif name in NEWEST:
            if version(asked) > version(NEWEST[name]):
                yield f"OSBundleLibraries: {name} {asked} is above what 10.6 has, {NEWEST[name]}"
            elif name in OLDEST and version(asked) < version(OLDEST[name]):
                yield f"OSBundleLibraries: {name} {asked} is below {OLDEST[name]}, the oldest " \
                      "that 10.6 is compatible with"
        elif name in ours:
            yield from depends(name, asked, ours[name])
        else:
            yield f"OSBundleLibraries: {name} is neither ours nor one of those of 10.6"
    wanted = {}
    for symbol in o.undefined():
        bundle = set(tables.exports.get(symbol, {}).values())
        if not bundle:
            bundle = {i for i, other in ours.items()
                      if o.arch in other.slices and symbol in other.slices[o.arch].defined()}
        for name in bundle:
            wanted.setdefault(name, []).append(symbol)
    for name, symbols in sorted(wanted.items()):
        if name not in b.libraries:
            yield f"OSBundleLibraries lacks {name}, which exports {sorted(symbols)[0]}" + (
                f" and {len(symbols) - 1} more" if len(symbols) > 1 else "")


def depends(name, asked, other):
    compatible = other.text("OSBundleCompatibleVersion")
    if not compatible:
        yield f"{name} has no OSBundleCompatibleVersion: no kext can depend on it"
    elif version(compatible) and version(other.version) and not \
            version(compatible) <= version(asked) <= version(other.version):
        yield f"OSBundleLibraries: {name} {asked} is not in {compatible} - {other.version}"
