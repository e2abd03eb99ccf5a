#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Turn the tables of exported names and of vtables into a C++ source for the loader."""

import sys

FIRST, LAST = 6, 15


def mask(text):
    """10.6-10.9,10.11 as a set of bits, bit n for 10.n"""
    bits = 0
    for run in text.split(","):
        first, _, last = run.partition("-")
        first = int(first.split(".")[1])
        last = int(last.split(".")[1]) if last else first
        if not FIRST <= first <= last <= LAST:
            raise ValueError(text)
        bits |= sum(1 << release for release in range(first, last + 1))
    return bits


def rows(path):
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.strip() and not line.startswith("#"):
                yield line.split()


def main():
    exports, vtables, out = sys.argv[1:]
    lines = ["/* SPDX-License-Identifier: BSD-2-Clause */",
             "/* Made from exports.x86_64.table and vtables.x86_64.table. */",
             '#include "sim/macos/kext/release.h"', "",
             "const struct xnu_export xnu_exports[] = {"]
    names = sorted(rows(exports))
    for name, span, bundle in names:
        lines.append(f'\t{{"{name}", "{bundle}", {mask(span):#x}}},')
    lines += ["};", f"const unsigned xnu_exports_count = {len(names)};", ""]
    classes = []
    for row in rows(vtables):
        if row[0] == "class":
            classes.append((row[1], row[2], int(row[3]), []))
        else:
            classes[-1][3].append((int(row[0]), mask(row[1]), "_" + row[2]))
    for name, _, _, slots in classes:
        if slots:
            lines.append(f"static const struct xnu_slot slots_{name}[] = {{")
            lines += [f'\t{{{n}, {bits:#x}, "{symbol}"}},' for n, bits, symbol in slots]
            lines.append("};")
    lines += ["", "const struct xnu_class xnu_classes[] = {"]
    for name, base, count, slots in classes:
        base = "nullptr" if base == "-" else f'"{base}"'
        table = f"slots_{name}" if slots else "nullptr"
        lines.append(f'\t{{"{name}", {base}, {count}, {len(slots)}, {table}}},')
    lines += ["};", f"const unsigned xnu_classes_count = {len(classes)};"]
    with open(out, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


main()
