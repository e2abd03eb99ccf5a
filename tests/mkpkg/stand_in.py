# SPDX-License-Identifier: BSD-2-Clause
"""Kexts to pack: bundles in the right shape, whose programs are headers and noise."""

import os
import plistlib
import struct

X86_64, I386 = 0x01000007, 7


def noise(size, seed):
    data, state = bytearray(), seed * 2654435761 + 1
    while len(data) < size:
        state = (state * 6364136223846793005 + 1442695040888963407) & (2**64 - 1)
        data += (state >> 33).to_bytes(4, "little")
    return bytes(data[:size])


def macho(cpu, size, seed=1):
    """A thin Mach-O file for one processor."""
    magic = 0xfeedfacf if cpu >> 24 else 0xfeedface
    return struct.pack("<7I", magic, cpu, 3, 11, 0, 0, 0) + noise(size, seed)


def fat(*thin):
    """A fat file of those: [(cpu, slice)]"""
    rows, body, offset = b"", b"", 4096
    for cpu, data in thin:
        rows += struct.pack(">5I", cpu, 3, offset + len(body), len(data), 12)
        body += data + bytes(-len(data) % 4096)
    head = struct.pack(">II", 0xcafebabe, len(thin)) + rows
    return head + bytes(offset - len(head)) + body


def put(path, data, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)
    os.chmod(path, mode)


def kext(folder, name, program, libraries=(), files=(), **plist):
    """Makes NAME.kext in a folder; returns its path."""
    bundle = os.path.join(folder, name + ".kext")
    info = {
        "CFBundlePackageType": "KEXT",
        "CFBundleIdentifier": "org.viokit." + name,
        "CFBundleVersion": "0.1.0",
        "CFBundleExecutable": name,
        "OSBundleLibraries": {library: "1.0" for library in libraries},
    }
    info.update(plist)
    info = {key: value for key, value in info.items() if value is not None}
    put(os.path.join(bundle, "Contents/Info.plist"), plistlib.dumps(info))
    put(os.path.join(bundle, "Contents/MacOS", name), program, 0o755)
    for path, data in files:
        put(os.path.join(bundle, path), data)
    return bundle


def pair(folder):
    """The two kexts of the project, the one that needs the other first."""
    both = fat((X86_64, macho(X86_64, 9000, 2)), (I386, macho(I386, 5000, 3)))
    return [
        kext(folder, "VirtioNet", macho(X86_64, 20000, 4),
             ["com.apple.kpi.libkern", "org.viokit.VirtioPCI"],
             [("Contents/Resources/en.lproj/InfoPlist.strings", b"\xff\xfea\0"),
              ("Contents/Resources/empty", b"")]),
        kext(folder, "VirtioPCI", both, ["com.apple.kpi.libkern"]),
    ]


def contents(bundle):
    """{path below the bundle's folder: (mode, bytes or None)} as a package should have it."""
    above = os.path.dirname(bundle)
    found = {os.path.basename(bundle): (0o755, None)}
    for where, folders, files in os.walk(bundle):
        for name in folders:
            found[os.path.relpath(os.path.join(where, name), above)] = (0o755, None)
        for name in files:
            path = os.path.join(where, name)
            with open(path, "rb") as file:
                mode = 0o755 if os.stat(path).st_mode & 0o100 else 0o644
                found[os.path.relpath(path, above)] = (mode, file.read())
    return found
