# SPDX-License-Identifier: BSD-2-Clause
"""Reads a capture (pcapng, one section, Ethernet) and says what was in it, per protocol."""
import struct

SECTION, INTERFACE, ENHANCED = 0x0A0D0D0A, 1, 6
MAGIC = 0x1A2B3C4D
IF_NAME = 2
PORTS = {53: 'DNS', 67: 'DHCP', 68: 'DHCP', 546: 'DHCPv6', 547: 'DHCPv6', 5353: 'mDNS'}
ICMP6 = {133: 'IPv6 neighbours', 134: 'IPv6 router', 135: 'IPv6 neighbours',
         136: 'IPv6 neighbours', 128: 'ICMPv6 echo', 129: 'ICMPv6 echo'}


class Bad(Exception):
    """Not a capture, or one that is damaged; one line."""


def blocks(data):
    """(type, body, byte order) of each block. A block cut off at the end is left out."""
    at, order = 0, '<'
    while at + 12 <= len(data):
        kind, = struct.unpack_from('<I', data, at)
        if kind == SECTION:
            order = '<' if struct.unpack_from('<I', data, at + 8)[0] == MAGIC else '>'
            if struct.unpack_from(order + 'I', data, at + 8)[0] != MAGIC:
                raise Bad('not a pcapng file')
        elif at == 0:
            raise Bad('not a pcapng file')
        kind, length = struct.unpack_from(order + 'II', data, at)
        if length < 12 or length % 4:
            raise Bad(f'a block of {length} bytes at offset {at}')
        if at + length > len(data):
            return
        yield kind, data[at + 8:at + length - 4], order
        at += length


def options(body, at, order):
    while at + 4 <= len(body):
        code, length = struct.unpack_from(order + 'HH', body, at)
        if code == 0:
            return
        yield code, body[at + 4:at + 4 + length]
        at += 4 + (length + 3) // 4 * 4


def protocol(frame):
    """A word for it."""
    if len(frame) < 14:
        return 'short'
    kind, at = struct.unpack_from('>H', frame, 12)[0], 14
    if kind == 0x8100 and len(frame) >= 18:
        kind, at = struct.unpack_from('>H', frame, 16)[0], 18
    if kind == 0x0806:
        return 'ARP'
    if kind == 0x0800 and len(frame) >= at + 20:
        proto, head = frame[at + 9], (frame[at] & 15) * 4
        if struct.unpack_from('>H', frame, at + 6)[0] & 0x1FFF:
            return 'IPv4 fragment'
        return upper(frame, at + head, proto, 'ICMP')
    if kind == 0x86DD and len(frame) >= at + 40:
        proto, at = frame[at + 6], at + 40
        if proto == 0 and len(frame) >= at + 8:  # hop by hop, as multicast reports have
            proto, at = frame[at], at + 8 + frame[at + 1] * 8
        if proto == 58 and len(frame) > at:
            return ICMP6.get(frame[at], 'ICMPv6')
        return upper(frame, at, proto, 'ICMP')
    return f'type {kind:#06x}'


def upper(frame, at, proto, icmp):
    if proto == 1:
        return icmp
    if proto in (6, 17) and len(frame) >= at + 4:
        ports = struct.unpack_from('>HH', frame, at)
        if proto == 17 or 53 in ports:
            for port in ports:
                if port in PORTS:
                    return PORTS[port]
        return 'TCP' if proto == 6 else 'UDP'
    return f'IP protocol {proto}'


def summary(path):
    """{'frames', 'bytes', 'interfaces': [names], 'protocols': {word: [frames, bytes]}}."""
    with open(path, 'rb') as f:
        data = f.read()
    found = {'frames': 0, 'bytes': 0, 'interfaces': [], 'protocols': {}}
    for kind, body, order in blocks(data):
        if kind == INTERFACE:
            names = [v for code, v in options(body, 8, order) if code == IF_NAME]
            found['interfaces'].append(names[0].decode(errors='replace') if names else '?')
        if kind != ENHANCED or len(body) < 20:
            continue
        kept, length = struct.unpack_from(order + 'II', body, 12)
        one = found['protocols'].setdefault(protocol(body[20:20 + kept]), [0, 0])
        for total, more in ((0, 1), (1, length)):
            one[total] += more
        found['frames'] += 1
        found['bytes'] += length
    return found
