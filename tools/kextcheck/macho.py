# SPDX-License-Identifier: BSD-2-Clause
"""Reads Mach-O files for x86, universal or not, and trusts nothing they say.

Written from the published file format; shares nothing with the linker it checks.
"""

import struct
from collections import namedtuple

I386, X86_64 = 7, 0x01000007
ARCHES = {I386: "i386", X86_64: "x86_64"}

MH_OBJECT, MH_KEXT_BUNDLE = 1, 11
LC_SEGMENT, LC_SYMTAB, LC_DYSYMTAB, LC_SEGMENT_64, LC_UUID = 1, 2, 11, 0x19, 0x1b
COMMANDS = {
    1: "LC_SEGMENT", 2: "LC_SYMTAB", 4: "LC_THREAD", 5: "LC_UNIXTHREAD", 11: "LC_DYSYMTAB",
    12: "LC_LOAD_DYLIB", 0x19: "LC_SEGMENT_64", 0x1b: "LC_UUID", 0x1d: "LC_CODE_SIGNATURE",
    0x1e: "LC_SEGMENT_SPLIT_INFO", 0x24: "LC_VERSION_MIN_MACOSX", 0x26: "LC_FUNCTION_STARTS",
    0x29: "LC_DATA_IN_CODE", 0x2a: "LC_SOURCE_VERSION", 0x2d: "LC_LINKER_OPTION",
    0x32: "LC_BUILD_VERSION", 0x80000028: "LC_MAIN",
}

S_ZEROFILL, S_INIT, S_TERM = 1, 9, 10
S_CODE = 0x80000400

N_STAB, N_PEXT, N_TYPE, N_EXT = 0xe0, 0x10, 0x0e, 0x01
N_UNDF, N_ABS, N_SECT = 0x0, 0x2, 0xe


class Bad(Exception):
    """The file is not what it says."""


Segment = namedtuple("Segment", "name addr size offset filesize maxprot prot sections flags")
Section = namedtuple("Section", "number name segment addr size offset align reloff nreloc flags")
Symbol = namedtuple("Symbol", "index name type sect desc value")
# what: symbol index if external, else section number; scattered ones (i386) name an address.
Reloc = namedtuple("Reloc", "address what pcrel length extern type scattered table")


class Reader:
    """Bytes that are there or not."""

    def __init__(self, data):
        self.data = data

    def bytes(self, offset, size, what):
        if offset < 0 or size < 0 or offset + size > len(self.data):
            raise Bad(f"{what} (offset {offset:#x}, {size} bytes) is outside the file, which has "
                      f"{len(self.data)} bytes")
        return self.data[offset:offset + size]

    def unpack(self, form, offset, what):
        return struct.unpack(form, self.bytes(offset, struct.calcsize(form), what))


def text(raw, what):
    raw = raw.split(b"\0")[0]
    try:
        return raw.decode("ascii")
    except UnicodeDecodeError:
        raise Bad(f"{what} is not ASCII: {raw!r}") from None


def slices(data):
    """[(cputype, offset, size, align)] of a file; offset 0 if it is not universal."""
    file = Reader(data)
    magic, = file.unpack(">I", 0, "the magic number")
    if magic != 0xcafebabe:
        cpu, = file.unpack("<I", 4, "the header")
        return [(cpu, 0, len(data), 0)]
    count, = file.unpack(">I", 4, "the universal header")
    if not 0 < count <= 16:
        raise Bad(f"universal header announces {count} architectures")
    found = []
    for index in range(count):
        cpu, _, offset, size, align = file.unpack(">5I", 8 + 20 * index, "the universal header")
        file.bytes(offset, size, f"slice {index}")
        if align > 15 or offset % (1 << align):
            raise Bad(f"slice {index} at {offset:#x} is not aligned to 2^{align}")
        if offset < 8 + 20 * count:
            raise Bad(f"slice {index} overlaps the universal header")
        for other in found:
            if other[0] == cpu:
                raise Bad(f"two slices for {ARCHES.get(cpu, cpu)}")
            if offset < other[1] + other[2] and other[1] < offset + size:
                raise Bad(f"slice {index} overlaps another")
        found.append((cpu, offset, size, align))
    return found


class MachO:
    """One slice."""

    def __init__(self, data):
        self.file = file = Reader(data)
        magic, = file.unpack("<I", 0, "the magic number")
        if magic not in (0xfeedface, 0xfeedfacf):
            raise Bad(f"magic number {magic:#x}: not a Mach-O file for x86")
        self.is64 = magic == 0xfeedfacf
        self.cpu, self.subtype, self.filetype, self.ncmds, self.cmdsize, self.flags = \
            file.unpack("<6I", 4, "the header")
        if self.cpu != (X86_64 if self.is64 else I386):
            raise Bad(f"cpu type {self.cpu:#x} in a file of {64 if self.is64 else 32} bits")
        self.arch = ARCHES[self.cpu]
        self.word = 8 if self.is64 else 4
        self.start = 32 if self.is64 else 28
        file.bytes(self.start, self.cmdsize, "load commands")
        self.segments, self.sections, self.symbols = [], [], []
        self.symtab = self.dysymtab = self.uuid = None
        self.commands = []  # numbers, in order
        self._commands()
        if self.symtab:
            self._symbols()
        self.relocs = list(self._relocs())
        self.relocs_at = {reloc.address: reloc for reloc in self.relocs}
        self.by_name = {}
        for symbol in self.symbols:
            if symbol.type & N_EXT or symbol.name not in self.by_name:
                self.by_name[symbol.name] = symbol
        self.by_address = {}
        for symbol in self.symbols:
            if defined(symbol) and symbol.sect:
                self.by_address.setdefault(symbol.value, []).append(symbol)

    def _commands(self):
        offset, end = self.start, self.start + self.cmdsize
        for index in range(self.ncmds):
            if offset + 8 > end:
                raise Bad(f"load command {index} is outside the load commands")
            cmd, size = self.file.unpack("<II", offset, "a load command")
            name = COMMANDS.get(cmd, f"{cmd:#x}")
            if size < 8 or size % self.word or offset + size > end:
                raise Bad(f"load command {index} ({name}) has a wrong size, {size}")
            self.commands.append(cmd)
            if cmd in (LC_SEGMENT, LC_SEGMENT_64):
                self._segment(offset, size, cmd == LC_SEGMENT_64)
            elif cmd in (LC_SYMTAB, LC_DYSYMTAB, LC_UUID):
                want = {LC_SYMTAB: 24, LC_DYSYMTAB: 80, LC_UUID: 24}[cmd]
                if size != want:
                    raise Bad(f"{name} has {size} bytes, not {want}")
                if cmd == LC_UUID:
                    self.uuid = self.file.bytes(offset + 8, 16, name)
                else:
                    words = self.file.unpack(f"<{(size - 8) // 4}I", offset + 8, name)
                    if cmd == LC_SYMTAB:
                        self.symtab = words
                    else:
                        self.dysymtab = words
            offset += size
        if offset != end:
            raise Bad(f"{end - offset} bytes left over after the load commands")

    def _segment(self, offset, size, wide):
        if wide != self.is64:
            raise Bad("a segment command of the other word size")
        head, each = ("<16sQQQQIIII", 80) if wide else ("<16sIIIIIIII", 68)
        length = 8 + struct.calcsize(head)
        if size < length:
            raise Bad(f"a segment command of {size} bytes")
        name, addr, vmsize, fileoff, filesize, maxprot, prot, nsects, flags = \
            self.file.unpack(head, offset + 8, "a segment command")
        name = text(name, "segment name")
        if size != length + nsects * each:
            raise Bad(f"segment {name}: {nsects} sections in a command of {size} bytes")
        segment = Segment(name, addr, vmsize, fileoff, filesize, maxprot, prot, [], flags)
        if addr + vmsize > 1 << (64 if wide else 32):
            raise Bad(f"segment {name} wraps around the end of memory")
        if filesize > vmsize:
            raise Bad(f"segment {name}: {filesize:#x} bytes in the file, {vmsize:#x} in memory")
        self.file.bytes(fileoff, filesize, f"segment {name}")
        for index in range(nsects):
            where = offset + length + index * each
            form = "<16s16sQQIIIII" if wide else "<16s16sIIIIIII"
            sect, owner, saddr, ssize, soff, align, reloff, nreloc, sflags = \
                self.file.unpack(form, where, "a section")
            self.sections.append(Section(
                len(self.sections) + 1, text(sect, "section name"), text(owner, "section name"),
                saddr, ssize, soff, align, reloff, nreloc, sflags))
            segment.sections.append(self.sections[-1])
        for s in segment.sections:
            self._section(segment, s)
        self.segments.append(segment)

    def _section(self, segment, s):
        full = f"section {s.segment},{s.name}"
        if s.addr < segment.addr or s.addr + s.size > segment.addr + segment.size:
            raise Bad(f"{full} ({s.addr:#x}, {s.size:#x} bytes) is outside segment "
                      f"{segment.name or 'without a name'}")
        if s.flags & 0xff == S_ZEROFILL:
            return
        self.file.bytes(s.offset, s.size, full)
        if s.size and not segment.offset <= s.offset <= s.offset + s.size \
                <= segment.offset + segment.filesize:
            raise Bad(f"{full} is not among the bytes of its segment")

    def _symbols(self):
        symoff, nsyms, stroff, strsize = self.symtab
        size = 16 if self.is64 else 12
        self.file.bytes(symoff, nsyms * size, "the symbol table")
        strings = self.file.bytes(stroff, strsize, "the string table")
        if strsize and strings[-1]:
            raise Bad("the string table does not end with a zero byte")
        for index in range(nsyms):
            strx, kind, sect, desc, value = self.file.unpack(
                "<IBBHQ" if self.is64 else "<IBBHI", symoff + index * size, "a symbol")
            if strx >= strsize:
                raise Bad(f"symbol {index}: its name is outside the string table")
            end = strings.index(b"\0", strx)
            name = text(strings[strx:end], f"name of symbol {index}")
            if kind & N_TYPE == N_SECT and not kind & N_STAB and not \
                    1 <= sect <= len(self.sections):
                raise Bad(f"symbol {name}: no section {sect}")
            self.symbols.append(Symbol(index, name, kind, sect, desc, value))

    def _relocs(self):
        if self.is64:
            if self.dysymtab:
                extreloff, nextrel, locreloff, nlocrel = self.dysymtab[14:18]
                base = self.segments[0].addr if self.segments else 0
                yield from self._table(extreloff, nextrel, "external", base)
                yield from self._table(locreloff, nlocrel, "local", base)
        for s in self.sections:
            yield from self._table(s.reloff, s.nreloc, f"{s.segment},{s.name}", s.addr)

    def _table(self, offset, count, table, base):
        self.file.bytes(offset, count * 8, f"relocations ({table})")
        for index in range(count):
            a, b = self.file.unpack("<II", offset + 8 * index, "a relocation")
            if not self.is64 and a & 0x80000000:
                yield Reloc(base + (a & 0xffffff), b, a >> 30 & 1, a >> 28 & 3, 0, a >> 24 & 15,
                            True, table)
                continue
            yield Reloc(base + a, b & 0xffffff, b >> 24 & 1, b >> 25 & 3, b >> 27 & 1, b >> 28,
                        False, table)

    # ---- what callers ask ----

    def section_of(self, address, size=1):
        """The section with bytes in the file that holds all of this, or None."""
        for s in self.sections:
            if s.addr <= address and address + size <= s.addr + s.size:
                return None if s.flags & 0xff == S_ZEROFILL else s
        return None

    def read(self, address, size, what):
        s = self.section_of(address, size)
        if not s:
            raise Bad(f"{what} at {address:#x} is in no section with bytes in the file")
        return self.file.bytes(s.offset + address - s.addr, size, what)

    def pointer(self, address, what="a pointer"):
        return struct.unpack("<Q" if self.is64 else "<I", self.read(address, self.word, what))[0]

    def target(self, address, prefer=""):
        """Name of what a pointer, as relocated, points at; None if it is no relocated one."""
        reloc = self.relocs_at.get(address)
        if reloc is None or reloc.scattered:
            return None
        if reloc.extern:
            return self.symbols[reloc.what].name if reloc.what < len(self.symbols) else None
        symbols = self.by_address.get(self.pointer(address), [])
        for symbol in symbols:
            if prefer and symbol.name == prefer:
                return symbol.name
        symbols = sorted(symbols, key=lambda s: not s.type & N_EXT)
        return symbols[0].name if symbols else f"{self.pointer(address):#x}"

    def defined(self):
        """{name: symbol} of the external definitions."""
        return {s.name: s for s in self.symbols if defined(s) and s.type & N_EXT}

    def undefined(self):
        return {s.name: s for s in self.symbols
                if not s.type & N_STAB and s.type & N_TYPE == N_UNDF}

    def named(self, address):
        """Where an address is, in words."""
        place = next((s for s in self.sections if s.addr <= address < s.addr + s.size), None)
        if place is None:
            return f"{address:#x}"
        best = None
        for symbol in self.symbols:
            if defined(symbol) and symbol.sect == place.number and symbol.value <= address:
                if best is None or symbol.value > best.value:
                    best = symbol
        if best is None:
            return f"{place.segment},{place.name}+{address - place.addr:#x}"
        return f"{best.name}+{address - best.value:#x}"


def defined(symbol):
    return not symbol.type & N_STAB and symbol.type & N_TYPE in (N_SECT, N_ABS)
