# SPDX-License-Identifier: BSD-2-Clause
"""The shape of a kext's binary that the kernel linkers of 10.6 to 10.15 accept.

Every check is a generator of causes: nothing yielded, nothing wrong.
"""

import macho as m

PAGE = 4096
NOUNDEFS_DYLDLINK_TWOLEVEL = 0x85
COMMANDS_64 = [m.LC_SEGMENT_64] * 3 + [m.LC_SYMTAB, m.LC_DYSYMTAB, m.LC_UUID]
COMMANDS_32 = [m.LC_SEGMENT, m.LC_SYMTAB, m.LC_UUID]
SEGMENTS = [("__TEXT", 5), ("__DATA", 3), ("__LINKEDIT", 1)]  # r-x, rw-, r--
UNSIGNED, BRANCH = 0, 2  # x86_64
VANILLA, PAIR, SECTDIFF, LOCAL_SECTDIFF = 0, 1, 2, 4  # i386
LOOKUP = 0xfe00  # library ordinal of an undefined name that is looked up everywhere


def header(o):
    if o.is64:
        if o.filetype != m.MH_KEXT_BUNDLE:
            yield f"file type {o.filetype}, not {m.MH_KEXT_BUNDLE} (MH_KEXT_BUNDLE)"
        if o.flags != NOUNDEFS_DYLDLINK_TWOLEVEL:
            yield f"flags {o.flags:#x}, not {NOUNDEFS_DYLDLINK_TWOLEVEL:#x} " \
                  "(NOUNDEFS|DYLDLINK|TWOLEVEL)"
        if o.subtype & 0xffffff != 3:
            yield f"cpu subtype {o.subtype:#x}, not 3"
    else:
        if o.filetype != m.MH_OBJECT:
            yield f"file type {o.filetype}, not {m.MH_OBJECT} (MH_OBJECT)"
        if o.subtype != 3:
            yield f"cpu subtype {o.subtype:#x}, not 3"


def commands(o):
    want = COMMANDS_64 if o.is64 else COMMANDS_32
    names = [m.COMMANDS.get(c, f"{c:#x}") for c in o.commands]
    for cmd, name in zip(o.commands, names):
        if cmd not in want:
            yield f"load command {name}, which the linkers of 10.6 and 10.7 refuse"
    if o.commands != want and all(cmd in want for cmd in o.commands):
        yield f"load commands {' '.join(names)}, not " \
              f"{' '.join(m.COMMANDS[c] for c in want)}"
    if o.uuid is not None and not any(o.uuid):
        yield "the UUID is zero"


def segments(o):
    if o.is64:
        yield from segments_64(o)
    elif len(o.segments) != 1 or o.segments[0].name:
        yield "an object has one segment without a name"
    elif o.segments[0].addr:
        yield f"the segment is at {o.segments[0].addr:#x}, not 0"
    yield from sections(o)


def segments_64(o):
    names = [s.name for s in o.segments]
    if names != [name for name, _ in SEGMENTS]:
        yield f"segments {' '.join(names)}, not __TEXT __DATA __LINKEDIT"
        return
    if o.segments[0].addr or o.segments[0].offset:
        yield f"__TEXT is at {o.segments[0].addr:#x}, file offset {o.segments[0].offset:#x}; not 0"
    end = fileend = 0
    for s, (name, prot) in zip(o.segments, SEGMENTS):
        if s.addr % PAGE or s.size % PAGE or s.offset % PAGE:
            yield f"{name} ({s.addr:#x}, {s.size:#x} bytes, file offset {s.offset:#x}) is not " \
                  "whole pages"
        if s.addr < end:
            yield f"{name} at {s.addr:#x} overlaps what is before it, up to {end:#x}"
        if s.filesize and s.offset < fileend:
            yield f"{name} at file offset {s.offset:#x} overlaps what is before it"
        if s.prot != prot or s.maxprot & prot != prot:
            yield f"{name} has protections {s.maxprot}/{s.prot}, not 7/{prot}"
        if s.flags:
            yield f"{name} has flags {s.flags:#x}"
        end, fileend = s.addr + s.size, s.offset + s.filesize
    if fileend != len(o.file.data):
        yield f"{len(o.file.data) - fileend} bytes of the file are in no segment"
    linkedit = o.segments[2]
    if linkedit.sections:
        yield "__LINKEDIT has sections"
    for offset, size, what in linkedit_parts(o):
        if size and not linkedit.offset <= offset <= offset + size <= fileend:
            yield f"{what} is not in __LINKEDIT"


def linkedit_parts(o):
    if o.symtab:
        yield o.symtab[0], o.symtab[1] * (16 if o.is64 else 12), "the symbol table"
        yield o.symtab[2], o.symtab[3], "the string table"
    if o.dysymtab:
        yield o.dysymtab[14], o.dysymtab[15] * 8, "the table of external relocations"
        yield o.dysymtab[16], o.dysymtab[17] * 8, "the table of local relocations"
    for s in o.sections:
        yield s.reloff, s.nreloc * 8, f"the relocations of {s.segment},{s.name}"


def sections(o):
    headers = o.start + o.cmdsize
    for segment in o.segments:
        end, empty = 0, False
        for s in segment.sections:
            full = f"{s.segment},{s.name}"
            if o.is64 and s.segment != segment.name:
                yield f"section {full} is in segment {segment.name}"
            if s.align > 12 or s.addr % (1 << s.align):
                yield f"section {full} at {s.addr:#x} is not aligned to 2^{s.align}"
            if s.size and s.addr < end:
                yield f"section {full} at {s.addr:#x} overlaps the one before it"
            end = s.addr + s.size
            if s.flags & 0xff == m.S_ZEROFILL:
                empty = True
                continue
            if empty:
                yield f"section {full} comes after one without bytes in the file"
            if s.size and s.offset - segment.offset != s.addr - segment.addr:
                yield f"section {full}: file offset {s.offset:#x} is not address {s.addr:#x}"
            if s.size and s.offset < headers:
                yield f"section {full} overlaps the load commands"
            if s.flags & 0xff not in (0, 2, 3, 4, 9, 10, 14):
                yield f"section {full} is of type {s.flags & 0xff}"
    parts = sorted(part for part in linkedit_parts(o) if part[1])
    for (offset, size, what), (after, _, other) in zip(parts, parts[1:]):
        if offset + size > after:
            yield f"{what} overlaps {other}"


def symbols(o):
    """Order, kinds and places of the symbols."""
    names = set()
    last = 0
    for s in o.symbols:
        if s.type & m.N_STAB:
            yield f"symbol {s.name} is for debuggers"
            continue
        kind = s.type & m.N_TYPE
        if kind not in (m.N_UNDF, m.N_ABS, m.N_SECT):
            yield f"symbol {s.name} is of type {s.type:#x}"
            continue
        order = 0 if not s.type & m.N_EXT else 2 if kind == m.N_UNDF else 1
        if order < last and o.is64:
            yield f"symbol {s.name} stands out of order: local, defined, undefined"
        last = max(last, order)
        if kind == m.N_UNDF:
            if s.sect or s.value or not s.type & m.N_EXT:
                yield f"symbol {s.name} is neither defined nor plainly undefined"
            if o.is64 and s.desc != LOOKUP:
                yield f"undefined {s.name} has n_desc {s.desc:#x}, not {LOOKUP:#x}"
        elif kind == m.N_SECT:
            sect = o.sections[s.sect - 1]
            if not sect.addr <= s.value <= sect.addr + sect.size:
                yield f"symbol {s.name} at {s.value:#x} is outside {sect.segment},{sect.name}"
        if s.type & m.N_EXT:
            if s.name in names:
                yield f"symbol {s.name} is there twice"
            names.add(s.name)
    if o.is64 and o.dysymtab:
        local = sum(not s.type & m.N_EXT for s in o.symbols)
        undefined = len(o.undefined())
        want = (0, local, local, len(o.symbols) - local - undefined,
                len(o.symbols) - undefined, undefined)
        if o.dysymtab[:6] != want:
            yield f"LC_DYSYMTAB counts {o.dysymtab[:6]}, the symbols are {want}"
        if any(o.dysymtab[7:14:2]):
            yield "LC_DYSYMTAB has tables of dynamic libraries"


def relocations(o):
    yield from (relocations_64(o) if o.is64 else relocations_32(o))


def relocations_64(o):
    spans = []
    for r in o.relocs:
        where = f"relocation at {o.named(r.address)}"
        if r.table not in ("external", "local"):
            yield f"{where} belongs to a section ({r.table})"
            continue
        kind = (r.type, r.length, r.pcrel)
        if r.extern != (r.table == "external"):
            yield f"{where} is in the table of {r.table} ones but is not {r.table}"
            continue
        if kind != (UNSIGNED, 3, 0) and (not r.extern or kind != (BRANCH, 2, 1)):
            yield f"{where}: {r.table}, type {r.type}, length {r.length}, pcrel {r.pcrel}; only " \
                  "UNSIGNED of length 3" + (" or BRANCH of length 2" if r.extern else "")
            continue
        place = o.section_of(r.address, 1 << r.length)
        if not place:
            yield f"{where} is in no section with bytes in the file"
            continue
        spans.append((r.address, 1 << r.length))
        if place.segment != ("__TEXT" if r.type == BRANCH else "__DATA"):
            yield f"{where}: one of this kind cannot be in {place.segment},{place.name}"
        yield from target(o, r, place, where)
    yield from overlaps(o, spans)


def target(o, r, place, where):
    """Where a relocation of x86_64 points, or the causes why it cannot."""
    if not r.extern:
        value = o.pointer(r.address)
        if not 1 <= r.what <= len(o.sections):
            yield f"{where}: no section {r.what}"
            return
        s = o.sections[r.what - 1]
        if not s.addr <= value <= s.addr + s.size:
            yield f"{where}: target {value:#x} is outside section {r.what}, {s.segment},{s.name}"
        return
    if r.what >= len(o.symbols):
        yield f"{where}: no symbol {r.what}"
        return
    name = o.symbols[r.what].name
    if not o.symbols[r.what].type & m.N_EXT:
        yield f"{where}: symbol {name} is not external"
    if r.type == BRANCH:
        opcode = o.read(r.address - 1, 1, "a branch")[0] if r.address > place.addr else 0
        if opcode not in (0xe8, 0xe9) and opcode & 0xf0 != 0x80:
            yield f"{where}: no call or jump is there, but {opcode:#x}"
        if any(o.read(r.address, 4, "a branch")):
            yield f"{where}: branch into the middle of {name}"
    elif o.pointer(r.address) >= PAGE:
        yield f"{where}: {name}+{o.pointer(r.address):#x} is outside of it"


def relocations_32(o):
    spans, pair = [], False
    for r in o.relocs:
        where = f"relocation at {o.named(r.address)}"
        if pair != (r.type == PAIR):
            yield f"{where}: a difference takes two relocations, the second a pair"
        pair = r.scattered and r.type in (SECTDIFF, LOCAL_SECTDIFF)
        if r.length != 2:
            yield f"{where}: length {r.length}, not 2"
            continue
        if r.type not in (VANILLA, PAIR, SECTDIFF, LOCAL_SECTDIFF) or \
                (r.type != VANILLA) != r.scattered:
            yield f"{where}: type {r.type}, scattered {int(r.scattered)}"
            continue
        if r.type == PAIR:
            if not any(s.addr <= r.what <= s.addr + s.size for s in o.sections):
                yield f"{where}: {r.what:#x} is in no section"
            continue
        if not o.section_of(r.address, 4):
            yield f"{where} is in no section with bytes in the file"
            continue
        spans.append((r.address, 4))
        if r.scattered:
            if not any(s.addr <= r.what <= s.addr + s.size for s in o.sections):
                yield f"{where}: {r.what:#x} is in no section"
        elif r.extern:
            if r.what >= len(o.symbols):
                yield f"{where}: no symbol {r.what}"
            elif not o.symbols[r.what].type & m.N_EXT:
                yield f"{where}: symbol {o.symbols[r.what].name} is not external"
        elif not 1 <= r.what <= len(o.sections):
            yield f"{where}: no section {r.what}"
        else:
            s = o.sections[r.what - 1]
            value = o.pointer(r.address)
            if r.pcrel:
                value = (value + r.address + 4) & 0xffffffff
            if not s.addr <= value <= s.addr + s.size:
                yield f"{where}: target {value:#x} is outside section {r.what}, " \
                      f"{s.segment},{s.name}"
    if pair:
        yield "the last relocation lacks its pair"
    yield from overlaps(o, spans)


def overlaps(o, spans):
    spans.sort()
    for (address, size), (after, _) in zip(spans, spans[1:]):
        if address + size > after:
            yield f"two relocations at {o.named(after)}"


def constructors(o):
    """The functions that build and remove a C++ kext's metaclasses."""
    metaclasses = [name for name in o.defined() if name.endswith("10gMetaClassE")]
    wanted = {"__mod_init_func": m.S_INIT, "__mod_term_func": m.S_TERM} if o.is64 else \
        {"__constructor": None, "__destructor": None}
    for name, kind in wanted.items():
        found = [s for s in o.sections if s.name == name]
        if metaclasses and not any(s.size for s in found):
            yield f"no section {name}, but metaclasses"
        for s in found:
            if kind is not None and s.flags & 0xff != kind:
                yield f"section {s.name} is of type {s.flags & 0xff}, not {kind}"
            if s.size % o.word:
                yield f"section {s.name} has {s.size} bytes"
            for address in range(s.addr, s.addr + s.size - o.word + 1, o.word):
                if address not in o.relocs_at:
                    yield f"{s.name}: {address:#x} is not relocated"
                elif not is_code(o, address):
                    yield f"{s.name}: {o.target(address)} is not code of this kext"


def is_code(o, address):
    """Whether the relocated pointer there leads to code of this kext."""
    reloc = o.relocs_at.get(address)
    if reloc is None or reloc.scattered:
        return False
    if reloc.extern:
        if reloc.what >= len(o.symbols) or o.symbols[reloc.what].sect == 0:
            return False
        value = o.symbols[reloc.what].value
    else:
        value = o.pointer(address)
    s = o.section_of(value)
    return bool(s) and s.segment == "__TEXT" and s.name == "__text"


CHECKS = [("header", header), ("load commands", commands), ("segments", segments),
          ("symbol table", symbols), ("relocations", relocations),
          ("constructors", constructors)]
