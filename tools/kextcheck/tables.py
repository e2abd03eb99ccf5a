# SPDX-License-Identifier: BSD-2-Clause
"""The checked-in tables of what each release exports and of its vtables."""

import os

RELEASES = [f"10.{minor}" for minor in range(6, 16)]
RELEASES_OF = {"x86_64": RELEASES, "i386": RELEASES[:2]}  # later kernels are 64-bit only
OLDEST = RELEASES[0]


def releases(text):
    """10.6-10.9,10.11 as a list"""
    found = []
    for run in text.split(","):
        first, _, last = run.partition("-")
        found += RELEASES[RELEASES.index(first):RELEASES.index(last or first) + 1]
    return found


def rows(folder, kind, arch):
    with open(os.path.join(folder, f"{kind}.{arch}.table"), encoding="utf-8") as file:
        for line in file:
            if line.strip() and not line.startswith("#"):
                yield line.split()


class Tables:
    """Those of one architecture."""

    def __init__(self, folder, arch):
        self.releases = RELEASES_OF[arch]
        self.exports = {}  # name: {release: bundle}
        for name, span, bundle in rows(folder, "exports", arch):
            for release in releases(span):
                self.exports.setdefault(name, {})[release] = bundle
        self.vtables = {release: {} for release in self.releases}  # release: class: [name]
        current = None
        for row in rows(folder, "vtables", arch):
            if row[0] == "class":
                current, base, size = row[1], row[2], int(row[3])
                for tables in self.vtables.values():
                    slots = list(tables[base]) if base != "-" else []
                    tables[current] = slots + [None] * (size - len(slots))
                continue
            for release in releases(row[1]):
                name = row[2] if row[2].startswith("__cxa") else "_" + row[2]
                name = "___cxa_pure_virtual" if name == "__cxa_pure_virtual" else name
                self.vtables[release][current][int(row[0])] = name
