# SPDX-License-Identifier: BSD-2-Clause
"""Changes bytes of a good kext's x86_64 program: finds its way by the file format alone."""

import struct


class Editor:
    """The program of a kext; edits go to its x86_64 slice."""

    def __init__(self, path):
        self.path = path
        with open(path, "rb") as file:
            self.data = bytearray(file.read())
        self.base = 0
        count = struct.unpack_from(">I", self.data, 4)[0]
        for index in range(count):
            cpu, _, offset, _, _ = struct.unpack_from(">5I", self.data, 8 + 20 * index)
            if cpu == 0x01000007:
                self.base = offset
        self.commands, self.segments, self.sections = {}, {}, {}
        offset = 32
        for _ in range(self.get("<I", 16)):
            cmd, size = self.get("<I", offset), self.get("<I", offset + 4)
            self.commands.setdefault(cmd, offset)
            if cmd == 0x19:
                self.segments[self.text(offset + 8)] = offset
                for index in range(self.get("<I", offset + 64)):
                    where = offset + 72 + 80 * index
                    self.sections[self.text(where)] = where
            offset += size
        self.end = offset

    def get(self, form, offset):
        return struct.unpack_from(form, self.data, self.base + offset)[0]

    def put(self, form, offset, *values):
        struct.pack_into(form, self.data, self.base + offset, *values)

    def text(self, offset):
        raw = self.data[self.base + offset:self.base + offset + 16]
        return raw.split(b"\0")[0].decode()

    def save(self):
        with open(self.path, "wb") as file:
            file.write(self.data)

    def symbol(self, name):
        """File offset of a symbol's entry."""
        symtab = self.commands[2]
        symoff, count, stroff = (self.get("<I", symtab + n) for n in (8, 12, 16))
        for index in range(count):
            at = self.base + stroff + self.get("<I", symoff + 16 * index)
            if self.data[at:self.data.index(b"\0", at)].decode() == name:
                return symoff + 16 * index
        raise KeyError(name)

    def rename(self, name, new):
        """Another name, of the same length, in place of a symbol's."""
        assert len(name) == len(new)
        at = self.base + self.get("<I", self.commands[2] + 16) + self.get("<I", self.symbol(name))
        self.data[at:at + len(new)] = new.encode()

    def file_offset(self, address):
        for where in self.segments.values():
            addr, size, offset = (self.get("<Q", where + n) for n in (24, 32, 40))
            if addr <= address < addr + size:
                return offset + address - addr
        raise KeyError(address)

    def reloc(self, external, kind, symbol=None):
        """File offset of the first relocation of a kind, to a symbol if one is named."""
        dysymtab = self.commands[11]
        table, count = (self.get("<I", dysymtab + n) for n in ((64, 68) if external else (72, 76)))
        symoff = self.get("<I", self.commands[2] + 8)
        number = (self.symbol(symbol) - symoff) // 16 if symbol else None
        for index in range(count):
            word = self.get("<I", table + 8 * index + 4)
            if word >> 28 == kind and number in (None, word & 0xffffff):
                return table + 8 * index
        raise KeyError((external, kind, symbol))
