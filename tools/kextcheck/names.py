# SPDX-License-Identifier: BSD-2-Clause
"""What a kext refers to, and its classes: names, metaclasses, vtables.

The rules for vtables are those of the kernel's linker, which compares a kext's vtable with its
parent's slot by slot: what the kext defines stays; what it inherits under the parent's name stays;
what it inherits under another name is replaced by the parent's, unless the parent's slot is still
spare, when the kext is refused as newer than the kernel.
"""

import re

import macho as m
from tables import OLDEST

PURE = "___cxa_pure_virtual"
PARTS = {"vtable": "__ZTV{}", "metaclass vtable": "__ZTVN{}9MetaClassE",
         "gMetaClass": "__ZN{}10gMetaClassE", "metaClass": "__ZN{}9metaClassE",
         "superClass": "__ZN{}10superClassE"}
SHAPES = [re.compile(shape) for shape in (
    r"__ZTV(\d+)(\w+)$", r"__ZTVN(\d+)(\w+)9MetaClassE$", r"__ZN(\d+)(\w+)10gMetaClassE$",
    r"__ZN(\d+)(\w+)9metaClassE$", r"__ZN(\d+)(\w+)10superClassE$")]

# Neither the kernel nor anybody else brings these; what the kernel exports is in the tables.
LIBRARY = set("""
___cxa_atexit ___cxa_guard_acquire ___cxa_guard_release ___dso_handle ___cxa_throw
___gxx_personality_v0 ___stack_chk_fail ___stack_chk_guard ___udivdi3 ___umoddi3 ___divdi3
___moddi3 ___udivmoddi4 ___divmoddi4 ___ashldi3 ___lshrdi3 ___ashrdi3 ___muldi3 ___udivti3
___umodti3 ___floatdidf ___fixdfdi ___bzero ___memcpy_chk ___memset_chk ___memmove_chk
___strcpy_chk ___snprintf_chk ___sprintf_chk ___assert_rtn ___error ___tls_get_addr
dyld_stub_binder __dyld_private __Unwind_Resume __ZdlPv __ZdaPv __ZdlPvm __ZdaPvm __Znwm __Znam
__Znwj __Znaj _malloc _calloc _realloc _free _abort _exit _printf _fprintf _sprintf _snprintf
_vprintf _vsnprintf _vsprintf _puts _putchar _fputs _fopen _fclose _fread _fwrite _memcpy _memmove
_memset _memcmp _memchr _memset_pattern4 _memset_pattern8 _memset_pattern16 _strlen _strcmp
_strncmp _strcpy _strncpy _strcat _strchr _strrchr _strstr _strdup _strlcpy _strlcat _strtol
_strtoul _atoi _qsort _bsearch _rand _random _time _usleep _nanosleep _getenv _errno
_pthread_create _pthread_mutex_lock _pthread_mutex_unlock _open _close _read _write _ioctl _mmap
_munmap _bzero _bcopy _bcmp _floor _ceil _sqrt _pow
""".split())


def tag(name):
    return f"{len(name)}{name}"


def classes(o):
    """Names of the classes of which this file defines anything that belongs to a metaclass."""
    found = set()
    for symbol in o.defined():
        for shape in SHAPES:
            match = shape.match(symbol)
            # 3FooN... would be a nested name: longer than its number says.
            if match and len(match[2]) == int(match[1]):
                found.add(match[2])
    return sorted(found)


def metaclasses(o):
    defined = o.defined()
    for name in classes(o):
        for what, form in PARTS.items():
            if form.format(tag(name)) not in defined:
                yield f"class {name} has no {what} symbol ({form.format(tag(name))})"


def split(symbol):
    """(class, function and arguments) of a mangled method, or (None, None)."""
    match = re.match(r"__ZN(K?)(\d+)(\w+)", symbol)
    if not match:
        return None, None
    size = int(match[2])
    return match[3][:size], match[1] + match[3][size:]


def alike(one, other):
    """Whether two functions of different classes are called alike and take the same arguments."""
    if one is None or other is None:
        return one == other
    if re.search(r"S\d?_", one + other):  # shorthand that counts from the class: names alone
        def name(text):
            match = re.match(r"K?(\d+)(\w+)", text)
            return match[2][:int(match[1])] if match else text[:2]
        return name(one) == name(other)
    return one == other


def spare(symbol):
    return "_RESERVED" in symbol


class World:
    """The classes of all kexts given, on top of those of the kernel, for one architecture."""

    def __init__(self, arch, tables, bundles):
        self.arch, self.tables = arch, tables
        self.owner = {}
        for bundle in bundles:
            o = bundle.slices.get(arch)
            for name in classes(o) if o else ():
                if PARTS["vtable"].format(tag(name)) in o.defined():
                    self.owner.setdefault(name, o)
        self.memo = {}

    def parent(self, o, name):
        """The class that superClass points at."""
        symbol = o.defined().get(PARTS["superClass"].format(tag(name)))
        target = o.target(symbol.value) if symbol else None
        match = re.match(r"__ZN(\d+)(\w+)10gMetaClassE$", target or "")
        return match[2] if match and len(match[2]) == int(match[1]) else None

    def own(self, o, symbol):
        """[(address, name)] of a vtable in the file."""
        start = o.defined()[symbol].value
        follow = min((s.value for s in o.symbols if m.defined(s) and s.value > start),
                     default=1 << 64)
        slots = []
        address = start + 2 * o.word
        want = symbol.replace("__ZTV", "__ZN")  # a name of the class itself, if two share code
        while address + o.word <= follow and address in o.relocs_at:
            names = o.target(address)
            if not o.relocs_at[address].extern and not o.relocs_at[address].scattered:
                for other in o.by_address.get(o.pointer(address), ()):
                    if other.name.startswith(want.rstrip("E")):
                        names = other.name
            slots.append((address, names))
            address += o.word
        return slots

    def table(self, name, release):
        """The vtable of a class as loaded on a release; None if nobody knows it."""
        if name in self.tables.vtables[release]:
            return self.tables.vtables[release][name]
        if name not in self.owner:
            return None
        key = (name, release)
        if key not in self.memo:
            self.memo[key] = None  # a class that is its own parent has no table
            o = self.owner[name]
            parent = self.parent(o, name)
            base = self.table(parent, release) if parent else None
            if base is not None:
                defined = o.defined()
                slots = []
                for index, (_, slot) in enumerate(self.own(o, PARTS["vtable"].format(tag(name)))):
                    inherit = index < len(base) and slot not in defined and slot != PURE
                    slots.append(base[index] if inherit and not slot.startswith("0x") else slot)
                self.memo[key] = slots
        return self.memo[key]

    def tables_of(self, o):
        """(words, vtable symbol, parent's name, function giving the parent's slots)"""
        for name in classes(o):
            vtable, meta = (PARTS[p].format(tag(name)) for p in ("vtable", "metaclass vtable"))
            if vtable in o.defined():
                yield name, vtable, self.parent(o, name)
            if meta in o.defined():
                yield f"{name}::MetaClass", meta, "OSMetaClass"


def vtables(o, world):
    """Every vtable of the file against its parent's, for every release."""
    for name, symbol, parent in world.tables_of(o):
        slots = world.own(o, symbol)
        if parent is None:
            yield f"{name}: superClass does not lead to a metaclass"
            continue
        told = set()
        for release in world.tables.releases:
            base = world.table(parent, release)
            if base is None:
                yield f"{name}: no table of its parent {parent}"
                break
            for cause in against(o, name, slots, parent, base, release):
                if cause not in told:
                    told.add(cause)
                    yield f"{cause} ({release})"


def against(o, name, slots, parent, base, release):
    """One vtable against that of its parent in one release."""
    if len(slots) < len(base):
        yield f"{name}: vtable has {len(slots)} slots, that of its parent {parent} {len(base)}"
    own = o.defined()
    local = {s.name for s in o.symbols if m.defined(s)}
    for index, (address, slot) in enumerate(slots):
        if slot is None:
            yield f"{name} slot {index} is not a plain pointer"
            continue
        here = slot in own or slot in local or slot.startswith("0x")
        if index >= len(base):
            if not here and slot != PURE and spare(slot):
                yield f"{name} slot {index}, its own, is {slot} of another class"
            continue
        want = base[index]
        if here:
            yield from override(o, name, index, slot, want, address)
        elif slot == want or slot == PURE:
            continue
        elif release == OLDEST:
            yield f"{name} slot {index} is {slot}, not {want} as in its parent {parent}"
        elif spare(want):
            yield f"{name} slot {index} is {slot}, but still spare ({want}) in {parent}"


def override(o, name, index, slot, want, address):
    """A function of the kext in a slot of its parent's."""
    if index < 2:
        return  # the destructors: each class has its own
    if spare(want):
        yield f"{name} slot {index}: {slot} takes the place of {want}, which is spare"
        return
    cls, function = split(want)
    reloc = o.relocs_at[address]
    names = {slot}
    if not reloc.extern:
        names |= {s.name for s in o.by_address.get(o.pointer(address), ())}
    if cls and not any(alike(split(n)[1], function) for n in names) and not slot.startswith("0x"):
        yield f"{name} slot {index}: {slot} takes the place of {want}"


def exports(o, tables, world, others):
    """Every undefined name against every release."""
    slots = {}
    for _, symbol, parent in world.tables_of(o):
        for index, (address, _) in enumerate(world.own(o, symbol)):
            slots[address] = (parent, index)
    uses = {}
    for r in o.relocs:
        if r.extern and r.what < len(o.symbols):
            uses.setdefault(o.symbols[r.what].name, []).append(r.address)
    ours = {name for other in others if o.arch in other.slices
            for name in other.slices[o.arch].defined()}
    for name in sorted(o.undefined()):
        if name in ours:
            continue
        have = tables.exports.get(name, {})
        if not have:
            yield f"{name} is exported by no release" + (
                ": a name of the C or compiler library" if name in LIBRARY else "")
            continue
        lacks = [release for release in tables.releases if release not in have
                 and not patched(name, uses.get(name, []), slots, world, release)]
        if lacks:
            yield f"{name} ({', '.join(sorted(set(have.values())))}) is not exported by " \
                  f"{' '.join(lacks)}"
        private = [bundle for bundle in have.values() if bundle.endswith(".private")]
        if private:
            yield f"{name} is only in {private[0]}"


def patched(name, addresses, slots, world, release):
    """Whether the kernel's linker replaces every use of the name before it is looked up."""
    for address in addresses:
        parent, index = slots.get(address, (None, 0))
        base = world.table(parent, release) if parent else None
        if base is None or index >= len(base) or base[index] == name or spare(base[index]):
            return False
    return bool(addresses)


def library(o, tables):
    """Nothing of the C library, neither wanted nor brought along."""
    for name in sorted(LIBRARY & set(o.undefined())):
        if name not in tables.exports:
            yield f"{name} is wanted, of the C or compiler library"
    for name in sorted(LIBRARY & set(o.defined())):
        yield f"{name} is defined and visible outside: it would stand in for the kernel's"
