# SPDX-License-Identifier: BSD-2-Clause
"""What the compiled code does: registers it must not touch, stack it takes, slots it calls.

llvm-objdump disassembles; the judgement is here.
"""

import os
import re
import struct
import subprocess
import tempfile

import macho as m
from names import spare
from tables import OLDEST

FRAME = 2048
FUNCTION = re.compile(r"^[0-9a-f]+ <(.*)>:$")
INSTRUCTION = re.compile(r"^ *([0-9a-f]+):\s+(?:(?:lock|rep\w*)\s+)?([a-z]\w*)\s*(.*)$")
# x87 and MMX by their mnemonics, everything wider by its registers. fs is a segment, not a float.
FLOAT_REGISTER = re.compile(r"%(?:[xyz]?mm\d|st\b|k[0-7]\b)")
FLOAT = re.compile(r"^(?:f(?!s\b|utex)[a-z]\w*|emms|(?:v?ld|v?st)mxcsr|wait|xsave\w*|xrstor\w*)$")


class Function:
    def __init__(self, name):
        self.name, self.lines = name, []  # (address, mnemonic, operands)


def disassemble(objdump, o):
    """[Function] of a slice. What stands in a jump table is data, wherever the table is."""
    functions = listing(objdump, o.file.data)
    image = bytearray(o.file.data)
    found = False
    for address, size in jump_tables(o, functions):
        s = o.section_of(address, size)
        if s and s.name == "__text":
            offset = s.offset + address - s.addr
            image[offset:offset + size] = b"\x90" * size
            found = True
    return listing(objdump, bytes(image)) if found else functions


def listing(objdump, data):
    with tempfile.NamedTemporaryFile(suffix=".macho") as file:
        file.write(data)
        file.flush()
        run = subprocess.run([objdump, "-d", "--no-show-raw-insn", file.name],
                             capture_output=True, text=True, errors="replace", check=False)
    if run.returncode:
        raise m.Bad(f"{os.path.basename(objdump)}: {run.stderr.strip()[:200]}")
    functions = []
    for line in run.stdout.split("\n"):
        if head := FUNCTION.match(line):
            functions.append(Function(head[1]))
        elif (instruction := INSTRUCTION.match(line)) and functions:
            functions[-1].lines.append((int(instruction[1], 16), *instruction.group(2, 3)))
    if not any(f.lines for f in functions):
        raise m.Bad(f"{os.path.basename(objdump)} finds no code")
    return functions


def jump_tables(o, functions):
    """(address, size) of the tables that code takes jumps from."""
    for f in functions:
        bases = {}
        for _, mnemonic, operands in f.lines:
            lea = re.match(r"\S+\(%rip\), (%\w+) +## (0x[0-9a-f]+)", operands)
            if mnemonic == "leaq" and lea:
                bases[lea[1]] = int(lea[2], 16)
            load = re.match(r"\((%\w+),%\w+,4\), ", operands)
            if mnemonic == "movslq" and load and load[1] in bases:
                # Distances from the table to its targets.
                base = bases[load[1]]
                text = o.section_of(base, 4)
                end = base
                while text and text.name == "__text" and o.section_of(end, 4) == text:
                    away, = struct.unpack("<i", o.read(end, 4, "a jump table"))
                    if not text.addr <= base + away < text.addr + text.size:
                        break
                    end += 4
                if end > base:
                    yield base, end - base
            table = re.match(r"\*(0x[0-9a-f]+)\(,%\w+,4\)", operands)
            if mnemonic.startswith("jmp") and table:
                # Addresses, relocated.
                base = end = int(table[1], 16)
                while end in o.relocs_at:
                    end += 4
                if end > base:
                    yield base, end - base


def floating(functions):
    """No floating point, MMX, SSE or AVX: the kernel keeps none of those for its threads."""
    for f in functions:
        for address, mnemonic, operands in f.lines:
            if FLOAT.match(mnemonic) or FLOAT_REGISTER.search(operands):
                yield f"{f.name} at {address:#x}: {mnemonic} {operands.split('##')[0].strip()}"
                break


def frames(functions):
    """Stack of one function as its prologue takes it."""
    for f in functions:
        pushed = taken = 0
        for address, mnemonic, operands in f.lines:
            if mnemonic.startswith("push"):
                pushed += 1
            operands = operands.split("##")[0].strip()
            size = re.match(r"\$(-?0x[0-9a-f]+|-?\d+), %[er]sp$", operands)
            if mnemonic in ("subq", "subl", "sub") and size:
                taken = max(taken, int(size[1], 0))
            elif mnemonic in ("addq", "addl", "add") and size and int(size[1], 0) < 0:
                taken = max(taken, -int(size[1], 0))
            elif mnemonic in ("subq", "subl", "sub") and operands.endswith(("%rsp", "%esp")):
                yield f"{f.name} at {address:#x}: a stack of variable size"
        word = 8 if any("%r" in line[2] for line in f.lines) else 4
        if taken + word * min(pushed, 8) > FRAME:
            yield f"{f.name} takes {taken} bytes of stack and {pushed} pushes, at most {FRAME}"


def parents_calls(o, functions, tables):
    """Calls through a parent's vtable (super::f()): to a slot that the oldest release fills?"""
    for f in functions:
        holds = {}
        for address, mnemonic, operands in f.lines:
            call = re.match(r"\*(-?0x[0-9a-f]+|\d+)?\((%\w+)\)$", operands.split("##")[0].strip())
            if mnemonic.startswith(("call", "jmp")) and call and call[2] in holds:
                cls = holds[call[2]]
                slot = int(call[1] or "0", 0) // o.word - 2
                table = tables.vtables[OLDEST][cls]
                if not 0 <= slot < len(table):
                    yield f"{f.name} at {address:#x} calls slot {slot} of {cls}, which has " \
                          f"{len(table)}"
                elif spare(table[slot]):
                    yield f"{f.name} at {address:#x} calls slot {slot} of {cls}, which is spare " \
                          f"in {OLDEST} ({table[slot]})"
            if mnemonic.startswith("call"):
                holds = {}
                continue
            last = operands.split("##")[0].strip().split(", ")[-1]
            load = re.match(r"\S+\(%rip\), (%\w+) +## (0x[0-9a-f]+)", operands)
            target = o.target(int(load[2], 16)) if load and mnemonic == "movq" else None
            match = re.match(r"__ZTV(\d+)(\w+)$", target or "")
            if match and len(match[2]) == int(match[1]) and match[2] in tables.vtables[OLDEST]:
                holds[load[1]] = match[2]
            else:
                holds.pop(last, None)


def usage(folder):
    """(causes, functions, deepest) of the .su files that -fstack-usage leaves behind."""
    causes, deepest, count = [], (0, "none"), 0
    for where, _, names in sorted(os.walk(folder)):
        for name in sorted(names):
            if not name.endswith(".su"):
                continue
            with open(os.path.join(where, name), encoding="utf-8", errors="replace") as file:
                for line in file:
                    words = line.rstrip("\n").split("\t")
                    if len(words) != 3 or not words[1].isdigit():
                        causes.append(f"{name}: not a line of -fstack-usage: {line.strip()!r}")
                        continue
                    function, size = words[0].split(":")[-1], int(words[1])
                    count += 1
                    deepest = max(deepest, (size, function))
                    if size > FRAME:
                        causes.append(f"{function} ({name}) takes {size} bytes of stack, at most "
                                      f"{FRAME}")
                    if "dynamic" in words[2]:
                        causes.append(f"{function} ({name}) has a stack of variable size")
    if not count:
        causes.append(f"no .su file with functions under {folder}")
    return causes, count, deepest


def code_size(o):
    """(bytes of instructions, bytes of all sections of __TEXT)"""
    code = sum(s.size for s in o.sections if s.segment == "__TEXT" and s.name == "__text")
    return code, sum(s.size for s in o.sections if s.segment == "__TEXT")
