# SPDX-License-Identifier: BSD-2-Clause
"""Frames built and read by hand: Ethernet, ARP, IPv4, IPv6, ICMP, UDP, DHCP, DNS.

A second reading of the standards: nothing here comes from the daemon's own code. Addresses are
texts, frames are bytes.
"""

import ipaddress
import os
import struct

BROADCAST = "ff:ff:ff:ff:ff:ff"
IPV4, ARP, IPV6 = 0x0800, 0x0806, 0x86DD
ICMP, TCP, UDP, ICMP6 = 1, 6, 17, 58


def mac_bytes(text):
    return bytes.fromhex(text.replace(":", ""))


def mac_text(data):
    return data.hex(":")


def new_mac():
    """Locally administered, one station."""
    return mac_text(b"\x06" + os.urandom(5))


def ip_bytes(text):
    return ipaddress.ip_address(text).packed


def ip_text(data):
    return str(ipaddress.ip_address(data))


def checksum(data):
    if len(data) & 1:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ether(dst, src, kind, payload):
    return mac_bytes(dst) + mac_bytes(src) + struct.pack("!H", kind) + payload


def arp(op, mac, ip, to_mac, to_ip, dst=None):
    """op 1 asks, 2 answers."""
    body = struct.pack("!HHBBH", 1, IPV4, 6, 4, op) + mac_bytes(mac) + ip_bytes(ip)
    body += mac_bytes(to_mac) + ip_bytes(to_ip)
    return ether(dst or (BROADCAST if op == 1 else to_mac), mac, ARP, body)


def ipv4(src, dst, proto, payload, ttl=64, ident=0):
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), ident, 0, ttl, proto, 0)
    head += ip_bytes(src) + ip_bytes(dst)
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def pseudo(src, dst, proto, length):
    src, dst = ip_bytes(src), ip_bytes(dst)
    if len(src) == 4:
        return src + dst + struct.pack("!BBH", 0, proto, length)
    return src + dst + struct.pack("!IHBB", length, 0, 0, proto)


def udp(src, dst, sport, dport, payload):
    head = struct.pack("!HHHH", sport, dport, 8 + len(payload), 0)
    total = checksum(pseudo(src, dst, UDP, 8 + len(payload)) + head + payload) or 0xFFFF
    return head[:6] + struct.pack("!H", total) + payload


def icmp_echo(kind, ident, seq, payload=b""):
    body = struct.pack("!BBHHH", kind, 0, 0, ident, seq) + payload
    return body[:2] + struct.pack("!H", checksum(body)) + body[4:]


def ipv6(src, dst, proto, payload, hops=64):
    return (struct.pack("!IHBB", 6 << 28, len(payload), proto, hops) + ip_bytes(src) +
            ip_bytes(dst) + payload)


def icmp6(src, dst, kind, body, code=0):
    data = struct.pack("!BBH", kind, code, 0) + body
    total = checksum(pseudo(src, dst, ICMP6, len(data)) + data)
    return data[:2] + struct.pack("!H", total) + data[4:]


def link_local(mac):
    raw = mac_bytes(mac)
    return ip_text(b"\xfe\x80" + bytes(6) + bytes([raw[0] ^ 2]) + raw[1:3] + b"\xff\xfe" + raw[3:])


def multicast_mac(ip6):
    return mac_text(b"\x33\x33" + ip_bytes(ip6)[12:])


def solicited(ip6):
    return ip_text(bytes.fromhex("ff0200000000000000000001ff") + ip_bytes(ip6)[13:])


class Frame:
    """A frame, read as far as it can be: attributes are None where there is no such layer."""

    def __init__(self, data):
        self.data = data
        self.dst, self.src = mac_text(data[:6]), mac_text(data[6:12])
        self.kind, = struct.unpack("!H", data[12:14]) if len(data) >= 14 else (0,)
        self.ip_src = self.ip_dst = self.proto = self.body = None
        self.sport = self.dport = self.op = self.mac = None
        payload = data[14:]
        if self.kind == ARP and len(payload) >= 28:
            self.op, = struct.unpack("!H", payload[6:8])
            self.mac = mac_text(payload[8:14])
            self.ip_src, self.ip_dst = ip_text(payload[14:18]), ip_text(payload[24:28])
        elif self.kind == IPV4 and len(payload) >= 20:
            head = (payload[0] & 15) * 4
            total, = struct.unpack("!H", payload[2:4])
            self.proto = payload[9]
            self.ip_src, self.ip_dst = ip_text(payload[12:16]), ip_text(payload[16:20])
            self.body = payload[head:total]
        elif self.kind == IPV6 and len(payload) >= 40:
            length, self.proto = struct.unpack("!HB", payload[4:7])
            self.ip_src, self.ip_dst = ip_text(payload[8:24]), ip_text(payload[24:40])
            self.body = payload[40:40 + length]
        if self.proto in (UDP, TCP) and self.body and len(self.body) >= 8:
            self.sport, self.dport = struct.unpack("!HH", self.body[:4])
        if self.proto == UDP and self.body is not None:
            self.load = self.body[8:]

    def __repr__(self):
        return (f"<{self.src} > {self.dst} {self.kind:04x} {self.ip_src} > {self.ip_dst} "
                f"proto {self.proto} {len(self.data)} bytes>")


# ---- DHCP ----

DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM = range(1, 9)


def dhcp(mac, xid, kind, ciaddr="0.0.0.0", client_id=None, broadcast=True, **options):
    """The UDP payload of a client's message. Options: requested, server, hostname, raw."""
    head = struct.pack("!BBBBIHH", 1, 1, 6, 0, xid, 0, 0x8000 if broadcast else 0)
    head += ip_bytes(ciaddr) + bytes(12) + mac_bytes(mac) + bytes(10 + 64 + 128)
    opts = b"\x63\x82\x53\x63" + bytes([53, 1, kind])
    if client_id is not None:
        opts += bytes([61, len(client_id)]) + client_id
    if "requested" in options:
        opts += b"\x32\x04" + ip_bytes(options["requested"])
    if "server" in options:
        opts += b"\x36\x04" + ip_bytes(options["server"])
    if "hostname" in options:
        opts += bytes([12, len(options["hostname"])]) + options["hostname"].encode()
    opts += b"\x37\x08" + bytes([1, 3, 6, 15, 26, 51, 54, 119])
    opts += options.get("raw", b"")
    return (head + opts + b"\xff").ljust(300, b"\0")


def dhcp_frame(mac, xid, kind, **more):
    payload = udp("0.0.0.0", "255.255.255.255", 68, 67, dhcp(mac, xid, kind, **more))
    return ether(BROADCAST, mac, IPV4, ipv4("0.0.0.0", "255.255.255.255", UDP, payload))


class Answer:
    """What a DHCP server said."""

    def __init__(self, data):
        self.xid, = struct.unpack("!I", data[4:8])
        self.address, self.mac = ip_text(data[16:20]), mac_text(data[28:34])
        self.options = {}
        at = 240
        while at < len(data) and data[at] != 255:
            if data[at] == 0:
                at += 1
                continue
            size = data[at + 1]
            self.options[data[at]] = (self.options.get(data[at], b"") +
                                      data[at + 2:at + 2 + size])
            at += 2 + size
        self.kind = self.options.get(53, b"\0")[0]

    def _ip(self, code):
        data = self.options.get(code)
        return ip_text(data[:4]) if data else None

    @property
    def server(self):
        return self._ip(54)

    @property
    def mask(self):
        return self._ip(1)

    @property
    def router(self):
        return self._ip(3)

    @property
    def dns(self):
        return self._ip(6)

    @property
    def domain(self):
        return self.options.get(15, b"").rstrip(b"\0").decode() or None

    @property
    def mtu(self):
        data = self.options.get(26)
        return struct.unpack("!H", data)[0] if data else None

    @property
    def lease(self):
        return struct.unpack("!I", self.options[51])[0]


# ---- DNS ----

A, PTR, AAAA = 1, 12, 28


def dns_name(text):
    return b"".join(bytes([len(p)]) + p.encode() for p in text.rstrip(".").split(".") if p) + b"\0"


def dns_query(ident, name, kind=A):
    return (struct.pack("!HHHHHH", ident, 0x0100, 1, 0, 0, 0) + dns_name(name) +
            struct.pack("!HH", kind, 1))


def dns_read_name(data, at):
    """The name and where it ends."""
    parts, end = [], None
    for _ in range(64):
        size = data[at]
        if size >= 0xC0:
            end = end or at + 2
            at = struct.unpack("!H", data[at:at + 2])[0] & 0x3FFF
        elif size:
            parts.append(data[at + 1:at + 1 + size].decode())
            at += 1 + size
        else:
            return ".".join(parts), end or at + 1
    raise ValueError("a name without end")


def dns_answer(query, addresses, rcode=0):
    """An upstream server's answer to a query: A or AAAA records of those addresses."""
    _, end = dns_read_name(query, 12)
    question = query[12:end + 4]
    body = b""
    for address in addresses:
        raw = ip_bytes(address)
        body += b"\xc0\x0c" + struct.pack("!HHIH", A if len(raw) == 4 else AAAA, 1, 60, len(raw))
        body += raw
    return (query[:2] + struct.pack("!HHHHH", 0x8180 | rcode, 1, len(addresses), 0, 0) + question +
            body)


class DnsAnswer:
    """Response code and records: a list of (name, type, text)."""

    def __init__(self, data):
        self.ident, flags, questions, answers = struct.unpack("!HHHH", data[:8])
        self.rcode, self.records = flags & 15, []
        at = 12
        for _ in range(questions):
            _, at = dns_read_name(data, at)
            at += 4
        for _ in range(answers):
            name, at = dns_read_name(data, at)
            kind, _, _, size = struct.unpack("!HHIH", data[at:at + 10])
            at += 10
            if kind in (A, AAAA):
                value = ip_text(data[at:at + size])
            elif kind == PTR:
                value = dns_read_name(data, at)[0]
            else:
                value = data[at:at + size].hex()
            self.records.append((name, kind, value))
            at += size
