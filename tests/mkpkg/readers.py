# SPDX-License-Identifier: BSD-2-Clause
"""Readers of xar, cpio, gzip and Bom, written from the formats and not from the writer.

Each takes bytes, checks all that the format lets one check, and raises Bad at the first thing that
is not right.
"""

import gzip
import hashlib
import struct
import xml.etree.ElementTree as ElementTree
import zlib


class Bad(Exception):
    """The bytes are not what the format asks for."""


def need(fact, what):
    if not fact:
        raise Bad(what)


def part(data, offset, size, what):
    need(0 <= offset <= len(data) and 0 <= size <= len(data) - offset, f"{what}: outside the file")
    return data[offset:offset + size]


# ---- xar ----

def xar_toc(data):
    """The table of contents as XML, and the heap; checks the header and the checksum of the toc."""
    magic, size, version, packed, plain, algorithm = struct.unpack(">4sHHQQI", data[:28])
    need(magic == b"xar!", "xar: magic")
    need(size == 28 and version == 1 and algorithm == 1, "xar: header")
    stream = part(data, size, packed, "xar toc")
    text = zlib.decompress(stream)
    need(len(text) == plain, "xar: length of the toc")
    heap = data[size + packed:]
    toc = ElementTree.fromstring(text).find("toc")
    checksum = toc.find("checksum")
    need(checksum.get("style") == "sha1", "xar: style of the checksum")
    offset, length = int(checksum.findtext("offset")), int(checksum.findtext("size"))
    need(part(heap, offset, length, "xar checksum") == hashlib.sha1(stream).digest(),
         "xar: checksum of the toc")
    return toc, heap, (offset, length)


def xar_file(element, heap, used):
    data = element.find("data")
    offset, length = int(data.findtext("offset")), int(data.findtext("length"))
    stored = part(heap, offset, length, "xar data")
    used.append((offset, length))
    archived, extracted = data.find("archived-checksum"), data.find("extracted-checksum")
    need(archived.get("style") == extracted.get("style") == "sha1", "xar: style of checksums")
    need(archived.text == hashlib.sha1(stored).hexdigest(), "xar: archived checksum")
    style = data.find("encoding").get("style")
    need(style in ("application/x-gzip", "application/octet-stream"), "xar: encoding")
    plain = zlib.decompress(stored) if style == "application/x-gzip" else stored
    need(extracted.text == hashlib.sha1(plain).hexdigest(), "xar: extracted checksum")
    need(int(data.findtext("size")) == len(plain), "xar: size")
    return plain


def xar_read(data):
    """{path: (mode, uid, gid, mtime, contents or None for a folder)}"""
    toc, heap, checksum = xar_toc(data)
    files, used, ids = {}, [checksum], set()

    def walk(above, prefix):
        for element in above.findall("file"):
            path = prefix + element.findtext("name")
            kind = element.findtext("type")
            need(path not in files, f"xar: {path} twice")
            need(element.get("id") not in ids, "xar: an id twice")
            ids.add(element.get("id"))
            need(kind in ("file", "directory"), f"xar: type {kind}")
            files[path] = (int(element.findtext("mode"), 8), int(element.findtext("uid")),
                           int(element.findtext("gid")), element.findtext("mtime"),
                           xar_file(element, heap, used) if kind == "file" else None)
            if kind == "directory":
                walk(element, path + "/")

    walk(toc, "")
    # The heap is full: nothing overlaps, nothing is left over.
    end = 0
    for offset, length in sorted(used):
        need(offset == end, "xar: a gap or an overlap in the heap")
        end = offset + length
    need(end == len(heap), "xar: bytes after the heap")
    return files


# ---- gzip and cpio ----

def gunzip(data):
    """The contents; the header must not tell when, where or from what it was made."""
    magic, method, flags, mtime, _, system = struct.unpack("<HBBIBB", data[:10])
    need(magic == 0x8b1f and method == 8, "gzip: magic")
    need(flags == 0, "gzip: a name or a comment")
    need(mtime == 0, "gzip: a time")
    need(system == 3, "gzip: a system")
    return gzip.decompress(data)


def cpio_read(data):
    """[(path, fields, contents)] of an odc archive, in its order."""
    names = ("dev", "ino", "mode", "uid", "gid", "nlink", "rdev", "mtime", "namesize", "filesize")
    widths = (6, 6, 6, 6, 6, 6, 6, 11, 6, 11)
    members, at, inodes = [], 0, set()
    while True:
        need(part(data, at, 6, "cpio magic") == b"070707", "cpio: magic")
        at += 6
        fields = {}
        for name, width in zip(names, widths):
            text = part(data, at, width, "cpio header")
            need(text.strip(b"01234567") == b"", f"cpio: {name} is {text!r}")
            fields[name] = int(text, 8)
            at += width
        path = part(data, at, fields["namesize"], "cpio name")
        need(path.endswith(b"\0") and b"\0" not in path[:-1], "cpio: name without its end")
        path = path[:-1].decode("ascii")
        at += fields["namesize"]
        contents = part(data, at, fields["filesize"], "cpio data")
        at += fields["filesize"]
        if path == "TRAILER!!!":
            need(at == len(data), "cpio: bytes after the end")
            return members
        need(fields["ino"] not in inodes, "cpio: an inode twice")
        inodes.add(fields["ino"])
        members.append((path, fields, contents))


# ---- Bom ----

def cksum_table():
    table = []
    for byte in range(256):
        crc = byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04c11db7 if crc & 0x80000000 else 0)) & 0xffffffff
        table.append(crc)
    return table


CKSUM = cksum_table()


def cksum(data):
    """cksum(1) of POSIX."""
    length, tail = len(data), b""
    while length:
        tail += bytes([length & 0xff])
        length >>= 8
    crc = 0
    for byte in data + tail:
        crc = (crc << 8 & 0xffffffff) ^ CKSUM[crc >> 24 ^ byte]
    return crc ^ 0xffffffff


class Store:
    """The numbered blocks and the variables of a Bom."""

    def __init__(self, data):
        self.data = data
        (magic, version, blocks, index, index_len, variables,
         variables_len) = struct.unpack(">8s6I", data[:32])
        need(magic == b"BOMStore" and version == 1, "bom: magic")
        need(not data[32:512].strip(b"\0"), "bom: header is not padded")
        index = part(data, index, index_len, "bom index")
        count, = struct.unpack_from(">I", index)
        self.blocks = list(struct.iter_unpack(">II", part(index, 4, 8 * count, "bom blocks")))
        need(self.blocks[0] == (0, 0), "bom: block 0 is not empty")
        need(sum(block != (0, 0) for block in self.blocks) == blocks, "bom: number of blocks")
        free, = struct.unpack_from(">I", index, 4 + 8 * count)
        need(free == 0 and not index[8 + 8 * count:].strip(b"\0"), "bom: free list")
        self.seen = {0}
        self.variables = {}
        text = part(data, variables, variables_len, "bom variables")
        count, = struct.unpack_from(">I", text)
        at = 4
        for _ in range(count):
            number, size = struct.unpack_from(">IB", text, at)
            self.variables[part(text, at + 5, size, "bom name").decode()] = number
            at += 5 + size
        need(at == variables_len, "bom: bytes after the variables")
        used = sorted((offset, size) for offset, size in self.blocks[1:])
        for (offset, size), (following, _) in zip(used, used[1:]):
            need(offset >= 512 and offset + size <= following, "bom: blocks overlap")

    def block(self, number):
        need(0 < number < len(self.blocks), f"bom: no block {number}")
        self.seen.add(number)
        return part(self.data, *self.blocks[number], f"bom block {number}")

    def tree(self, number):
        """The (value, key) block numbers of all leaves, in order."""
        block = self.block(number)
        need(len(block) == 21, "bom: size of a tree")
        magic, version, root, size, entries, zero = struct.unpack(">4sIIIIB", block)
        need(magic == b"tree" and version == 1 and zero == 0, "bom: tree")
        pairs, leaves = [], []
        self.node(root, size, pairs, leaves)
        need(len(pairs) == entries, "bom: number of entries of a tree")
        for i, (number, following, before) in enumerate(leaves):
            need(following == (leaves[i + 1][0] if i + 1 < len(leaves) else 0), "bom: next leaf")
            need(before == (leaves[i - 1][0] if i else 0), "bom: leaf before")
            need(number, "bom: a leaf without number")
        return pairs

    def node(self, number, size, pairs, leaves):
        block = self.block(number)
        need(len(block) == size, "bom: size of a node")
        leaf, count, following, before = struct.unpack_from(">HHII", block)
        rows = list(struct.iter_unpack(">II", part(block, 12, 8 * count, "bom node")))
        need(not block[12 + 8 * count:].strip(b"\0"), "bom: a node is not padded")
        if leaf:
            pairs += rows
            leaves.append((number, following, before))
            return
        for child, key in rows:
            self.node(child, size, pairs, leaves)
            need(pairs and pairs[-1][1] == key, "bom: a branch with a wrong key")


def bom_record(block):
    """One path's record as a dict."""
    kind, one, flags, mode, uid, gid, mtime, size, one_too = struct.unpack_from(">BBHHIIIIB", block)
    need(one == 1 and one_too == 1, "bom: constants of a record")
    need(flags & 0x0fff == 0x000f, "bom: a record of its path only")
    record = {"kind": kind, "mode": mode, "uid": uid, "gid": gid, "mtime": mtime, "size": size,
              "arches": [], "program": flags >> 12}
    at = 23
    if kind == 1:
        record["cksum"], = struct.unpack_from(">I", block, at)
        at += 4
    if flags >> 12:
        one, count = struct.unpack_from(">BI", block, at)
        need(one == 1, "bom: constant of a program")
        at += 5
        for _ in range(count):
            record["arches"].append(struct.unpack_from(">IIII", block, at))
            at += 16
    need(block[at:] == bytes(8), "bom: end of a record")
    return record


def bom_read(data):
    """({path: record}, {cpu type: bytes}); paths begin with "." """
    store = Store(data)
    need(set(store.variables) == {"BomInfo", "Paths", "HLIndex", "VIndex", "Size64"},
         f"bom: variables {sorted(store.variables)}")
    paths, names, keys = {}, {}, []
    rows = store.tree(store.variables["Paths"])
    entries = []
    for value, key in rows:
        number, record = struct.unpack(">II", store.block(value))
        block = store.block(key)
        parent, = struct.unpack_from(">I", block)
        need(block.endswith(b"\0"), "bom: a name without its end")
        name = block[4:-1].decode()
        need(number not in names, "bom: a number twice")
        names[number] = (parent, name)
        keys.append((parent, name.encode()))
        entries.append((number, bom_record(store.block(record))))
    need(keys == sorted(keys), "bom: keys are not sorted")
    need(sorted(names) == list(range(1, len(names) + 1)), "bom: numbers with gaps")
    for number, record in entries:
        name, at = [], number
        while at:
            need(len(name) < 64, "bom: a folder in itself")
            parent, text = names[at]
            name.append(text)
            at = parent
        paths["/".join(reversed(name))] = record
    need(len(paths) == len(rows), "bom: a path twice")
    for name in ("HLIndex", "Size64"):
        need(store.tree(store.variables[name]) == [], f"bom: {name} is not empty")
    one, tree, zero, also = struct.unpack(">IIIB", store.block(store.variables["VIndex"]))
    need((one, zero, also) == (1, 0, 0) and store.tree(tree) == [], "bom: VIndex")
    info = store.block(store.variables["BomInfo"])
    version, count, totals = struct.unpack_from(">III", info)
    need(version == 1 and count == len(paths) + 1 and len(info) == 12 + 16 * totals, "bom: info")
    sizes = {}
    for cpu, zero, size, also in struct.iter_unpack(">IIII", info[12:]):
        need(zero == also == 0 and cpu not in sizes, "bom: info row")
        sizes[cpu] = size
    need(store.seen == set(range(len(store.blocks))), "bom: blocks that nothing names")
    return paths, sizes
