# SPDX-License-Identifier: BSD-2-Clause
"""Stand-ins for virtual machines: Member, frames by hand in this process, and Node, a kernel's own
stack in a network namespace behind the helper tap2stream."""

import os
import select
import socket
import struct
import subprocess
import time

from frames import (ACK, ARP, BROADCAST, DISCOVER, ICMP, ICMP6, IPV4, IPV6, NAK, OFFER, REQUEST,
                    TCP, UDP, A, Answer, DnsAnswer, Frame, arp, dhcp_frame, dns_query, ether, icmp6,
                    icmp_echo, ip_bytes, ipv4, ipv6, link_local, mac_bytes, multicast_mac, new_mac,
                    solicited, udp)
from vmnettest import Control, Skip, child_of, peer, tool, true, until

__all__ = ["Member", "Node", "TCP"]


class Closed(Exception):
    """The daemon has ended the link."""


class Member:
    """A virtual machine made of a socket: what it sends and receives are frames.

    It answers ARP, neighbour solicitations and pings to its own addresses whenever it or another
    member waits for something; all else is kept in `inbox` until somebody asks for it.
    """

    world = []  # all that are open: they are looked after together

    def __init__(self, sock, kind="stream", mac=None, ip=None, name=None, control=None):
        self.sock, self.kind, self.name = sock, kind, name
        self.mac, self.ip = mac or new_mac(), ip
        self.ip6 = {link_local(self.mac)}
        self.control, self.info = control, {}
        self.inbox, self.pending, self.closed = [], b"", False
        self.answers, self.reading = True, True
        self.gateway = self.gateway_mac = None
        self.ident = int.from_bytes(os.urandom(2), "big")
        self.seq, self.port = 0, 40000
        self.own_path = None
        self.sock.setblocking(False)
        Member.world.append(self)

    # ---- ways in ----

    @classmethod
    def join(cls, vmnet, network, name=None, mac=None, kind="stream", buffer=None, **more):
        """As libvmnet-client does it: the daemon is given one end of a socket pair."""
        vmnet.ensure()
        control = Control(vmnet.socket)
        how = socket.SOCK_STREAM if kind == "stream" else socket.SOCK_DGRAM
        ours, theirs = socket.socketpair(socket.AF_UNIX, how)
        if buffer:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        if name:
            more["name"] = name
        if mac:
            more["mac"] = mac
        try:
            info = control.ask("join", fds=[theirs.fileno()], network=network, kind=kind, **more)
        except BaseException:
            control.close()
            ours.close()
            raise
        finally:
            theirs.close()
        member = cls(ours, kind, info["mac"], name=info["name"], control=control)
        member.info = info
        member.gateway = info.get("gateway")
        return member

    @classmethod
    def connect(cls, path, mac=None, ip=None, seconds=5.0, **more):
        """A client of a stream path: QEMU, krunkit unixstream, Lima."""
        def attempt():
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            sock.settimeout(seconds)  # a full backlog makes it wait
            try:
                sock.connect(path)
                return sock
            except OSError:
                sock.close()
                return None
        return cls(until(f"connected to {path}", attempt, seconds), "stream", mac, ip, **more)

    @classmethod
    def unixgram(cls, path, own, mac=None, ip=None, greet=True, seconds=5.0):
        """vfkit and krunkit: bind a path of our own, connect, then maybe "VFKT"."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        sock.bind(own)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)

        def attempt():
            try:
                sock.connect(path)
                return True
            except OSError:
                return False
        until(f"connected to {path}", attempt, seconds)
        if greet:
            sock.send(b"VFKT")
        member = cls(sock, "dgram", mac, ip)
        member.own_path = own
        return member

    def close(self):
        if self in Member.world:
            Member.world.remove(self)
        self.sock.close()
        if self.control:
            self.control.close()
        if self.own_path:
            os.unlink(self.own_path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---- frames ----

    def raw(self, data, seconds=5.0):
        """Bytes as they are (one datagram, if it is that kind)."""
        end = time.monotonic() + seconds
        while data:
            try:
                sent = self.sock.send(data)
                data = data[sent:] if self.kind == "stream" else b""
            except BlockingIOError:
                if time.monotonic() > end:
                    raise
                # Others may have to read before there is room.
                Member.poll(0.001)
                select.select([], [self.sock], [], 0.01)
            except (BrokenPipeError, ConnectionResetError, ConnectionRefusedError) as why:
                self.closed = True
                raise Closed(str(why)) from None

    def send(self, *frames):
        if self.kind == "stream":
            self.raw(b"".join(struct.pack("!I", len(f)) + f for f in frames))
        else:
            for frame in frames:
                self.raw(frame)

    def read(self):
        """What is there now, into the inbox."""
        got = []
        try:
            while True:
                data = self.sock.recv(1 << 18)
                if not data and self.kind == "stream":
                    self.closed = True
                    break
                if self.kind == "dgram":
                    got.append(data)
                    continue
                self.pending += data
        except BlockingIOError:
            pass
        except (ConnectionResetError, ConnectionRefusedError):
            self.closed = True
        if self.kind == "stream":
            at, pending = 0, self.pending
            while len(pending) - at >= 4:
                size, = struct.unpack_from("!I", pending, at)
                true(size <= 69632, f"{self.name} was sent a frame of {size} bytes")
                if len(pending) - at - 4 < size:
                    break
                got.append(pending[at + 4:at + 4 + size])
                at += 4 + size
            self.pending = pending[at:]
        for data in got:
            true(len(data) >= 14, f"{self.name} was sent a frame of {len(data)} bytes")
            frame = Frame(data)
            if not (self.answers and self.answer(frame)):
                self.inbox.append(frame)

    @staticmethod
    def poll(seconds):
        """Waits until somebody has something, and reads it."""
        live = [m for m in Member.world if not m.closed and m.reading]
        ready, _, _ = select.select([m.sock for m in live], [], [], seconds)
        for member in live:
            if member.sock in ready:
                member.read()

    def wait(self, want, seconds=3.0, what="a frame"):
        """The first frame for which want(frame) holds; earlier ones stay in the inbox."""
        end = time.monotonic() + seconds
        seen = 0
        while True:
            for at in range(seen, len(self.inbox)):
                if want(self.inbox[at]):
                    return self.inbox.pop(at)
            seen = len(self.inbox)
            left = end - time.monotonic()
            if left <= 0 or (self.closed and not left < 0):
                if self.closed:
                    raise Closed(f"{self.name}: link ended while waiting for {what}")
                raise AssertionError(f"{self.name}: no {what} in {seconds} s; "
                                     f"got {self.inbox[-8:]}")
            Member.poll(min(left, 0.05))

    def silent(self, want, seconds=0.3, what="such a frame"):
        """No frame for which want(frame) holds comes."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            Member.poll(0.02)
        bad = [f for f in self.inbox if want(f)]
        true(not bad, f"{self.name} should not have got {what}: {bad[:4]}")

    def drain(self, seconds=0.1):
        """Reads until nothing comes any more; what came."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            before = len(self.inbox)
            Member.poll(0.02)
            if len(self.inbox) > before:
                end = time.monotonic() + seconds
        got, self.inbox = self.inbox, []
        return got

    def answer(self, f):
        """What any VM answers by itself. False: not ours to answer."""
        if f.kind == ARP and f.op == 1 and self.ip and f.ip_dst == self.ip:
            self.send(arp(2, self.mac, self.ip, f.mac, f.ip_src))
            return True
        if f.kind == IPV4 and f.proto == ICMP and f.ip_dst == self.ip and f.dst == self.mac and \
                f.body and f.body[0] == 8:
            ident, seq = struct.unpack("!HH", f.body[4:8])
            self.send(ether(f.src, self.mac, IPV4, ipv4(self.ip, f.ip_src, ICMP, icmp_echo(
                0, ident, seq, f.body[8:]))))
            return True
        if f.kind == IPV6 and f.proto == ICMP6 and f.body and f.body[0] == 135:
            import frames
            target = frames.ip_text(f.body[8:24])
            if target in self.ip6 and f.ip_src != "::":
                body = struct.pack("!I", 0x60000000) + ip_bytes(target) + b"\2\1" + mac_bytes(
                    self.mac)
                self.send(ether(f.src, self.mac, IPV6, ipv6(target, f.ip_src, ICMP6, icmp6(
                    target, f.ip_src, 136, body), 255)))
            return True
        return False

    # ---- what a guest does ----

    def arp(self, ip, seconds=2.0):
        """The station that has this address."""
        for attempt in range(4):
            self.send(arp(1, self.mac, self.ip or "0.0.0.0", "00:00:00:00:00:00", ip))
            try:
                return self.wait(lambda f: f.kind == ARP and f.op == 2 and f.ip_src == ip,
                                 seconds / 4, f"ARP answer of {ip}").mac
            except AssertionError:
                if attempt == 3:
                    raise
        return None

    def hop(self, ip):
        """Where a packet for this address is sent."""
        if ip == self.gateway or not self.gateway:
            return self.arp(ip)
        same_net = ip_bytes(ip)[:3] == ip_bytes(self.gateway)[:3]
        if same_net:
            return self.arp(ip)
        self.gateway_mac = self.gateway_mac or self.arp(self.gateway)
        return self.gateway_mac

    def ping(self, ip, size=56, seconds=3.0, to_mac=None):
        """Round trip in seconds."""
        to_mac = to_mac or self.hop(ip)
        self.seq = (self.seq + 1) & 0xFFFF
        payload = os.urandom(size)
        began = time.monotonic()
        self.send(ether(to_mac, self.mac, IPV4, ipv4(self.ip, ip, ICMP, icmp_echo(
            8, self.ident, self.seq, payload))))
        want = struct.pack("!HH", self.ident, self.seq) + payload
        self.wait(lambda f: f.proto == ICMP and f.ip_src == ip and f.body[0] == 0 and
                  f.body[4:] == want, seconds, f"answer of {ip} to a ping of {size} bytes")
        return time.monotonic() - began

    def ask_dhcp(self, kind, xid=None, seconds=2.0, mac=None, **more):
        """One message and its answer."""
        xid = xid if xid is not None else int.from_bytes(os.urandom(4), "big")
        self.send(dhcp_frame(mac or self.mac, xid, kind, **more))
        f = self.wait(lambda f: f.proto == UDP and f.dport == 68 and f.sport == 67 and
                      f.load[4:8] == struct.pack("!I", xid), seconds, "DHCP answer")
        return Answer(f.load)

    def dhcp(self, hostname=None, seconds=4.0, mac=None, **more):
        """The whole exchange; takes the address. The ACK."""
        if hostname:
            more["hostname"] = hostname
        end = time.monotonic() + seconds
        while True:
            try:
                offer = self.ask_dhcp(DISCOVER, seconds=1.0, mac=mac, **more)
                break
            except AssertionError:
                if time.monotonic() > end:
                    raise
        true(offer.kind == OFFER, f"kind of an answer to DISCOVER is {offer.kind}")
        ack = self.ask_dhcp(REQUEST, xid=offer.xid, mac=mac, requested=offer.address,
                            server=offer.server, **more)
        true(ack.kind in (ACK, NAK), f"kind of an answer to REQUEST is {ack.kind}")
        if ack.kind == ACK and mac is None:
            self.ip, self.gateway = ack.address, ack.router or self.gateway
        return ack

    def udp(self, ip, dport, payload, sport=None, to_mac=None):
        self.port += 1
        sport = sport or self.port
        self.send(ether(to_mac or self.hop(ip), self.mac, IPV4, ipv4(self.ip, ip, UDP, udp(
            self.ip, ip, sport, dport, payload))))
        return sport

    def udp_ask(self, ip, dport, payload, seconds=3.0):
        sport = self.udp(ip, dport, payload)
        return self.wait(lambda f: f.proto == UDP and f.ip_src == ip and f.sport == dport and
                         f.dport == sport, seconds, f"UDP answer of {ip}:{dport}").load

    def dns(self, name, kind=A, server=None, seconds=3.0):
        ident = int.from_bytes(os.urandom(2), "big")
        return DnsAnswer(self.udp_ask(server or self.gateway, 53, dns_query(ident, name, kind),
                                      seconds))

    # ---- IPv6 ----

    def solicit_router(self, seconds=3.0):
        """The payload of a router advertisement, and who sent it."""
        src = link_local(self.mac)
        body = bytes(4) + b"\1\1" + mac_bytes(self.mac)
        self.send(ether("33:33:00:00:00:02", self.mac, IPV6, ipv6(src, "ff02::2", ICMP6, icmp6(
            src, "ff02::2", 133, body), 255)))
        f = self.wait(lambda f: f.proto == ICMP6 and f.body[0] == 134, seconds,
                      "router advertisement")
        return f.body, f.ip_src, f.src

    def neighbour(self, ip6, src=None, seconds=2.0):
        src = src or link_local(self.mac)
        to = solicited(ip6)
        body = bytes(4) + ip_bytes(ip6) + b"\1\1" + mac_bytes(self.mac)
        self.send(ether(multicast_mac(to), self.mac, IPV6, ipv6(src, to, ICMP6, icmp6(
            src, to, 135, body), 255)))
        return self.wait(lambda f: f.proto == ICMP6 and f.body[0] == 136 and
                         f.body[8:24] == ip_bytes(ip6), seconds, f"neighbour {ip6}").src

    def ping6(self, ip6, to_mac=None, src=None, seconds=3.0):
        src = src or link_local(self.mac)
        to_mac = to_mac or self.neighbour(ip6, src)
        self.seq += 1
        body = struct.pack("!HH", self.ident, self.seq & 0xFFFF) + b"six"
        self.send(ether(to_mac, self.mac, IPV6, ipv6(src, ip6, ICMP6, icmp6(src, ip6, 128, body))))
        return self.wait(lambda f: f.proto == ICMP6 and f.body[0] == 129 and f.body[4:] == body,
                         seconds, f"answer of {ip6} to a ping")

    def broadcast(self, payload, kind=0x88B5):
        """A frame for all, of a type for experiments."""
        self.send(ether(BROADCAST, self.mac, kind, payload))


class Node:
    """A namespace with an interface that is a member: run(), start() inside it.

    how: "run" (a descriptor through `vmnet run`), or the path of a socket.
    """

    def __init__(self, vmnet, network=None, name=None, kind="stream", path=None, mac=None,
                 mtu=None, reconnect=False, more=()):
        self.vmnet, self.name, self.mac = vmnet, name, mac
        relay = [peer("tap2stream")]
        if kind == "dgram":
            relay.append("-d")
        if reconnect:
            relay.append("-r")
        if mac:
            relay += ["-m", mac]
        if mtu:
            relay += ["-M", str(mtu)]
        # A session leader is not wanted: signals to `vmnet run` must reach what it runs.
        inside = [tool("unshare"), "--user", "--map-root-user", "--net", *relay]
        if path:
            self.proc = subprocess.Popen([*inside, path], stdin=subprocess.DEVNULL,
                                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            vmnet.started.append(self.proc)
        else:
            words = ["run", network]
            words += ["--name", name] if name else []
            words += ["--mac", mac] if mac else []
            words += ["--kind", kind] if kind != "stream" else []
            self.proc = vmnet.start(*words, *more, "--", *inside, "{fd}")
        line = self.proc.stdout.readline()
        if line.strip() != b"ready":
            said = (line + self.proc.stdout.read()).decode(errors="replace").strip()
            if "/dev/net/tun" in said:
                raise Skip(said)
            raise AssertionError(f"node {name}: {said}")
        self.pid = self._inner()
        self.started = []
        self.ip = None

    def _inner(self):
        """The process of tap2stream (unshare has become it; `vmnet run` may be its parent)."""
        if self.proc.args[0] == tool("unshare"):
            return self.proc.pid
        with open(f"/proc/{self.proc.pid}/cmdline", "rb") as file:
            if b"tap2stream" in file.read().split(b"\0")[0]:
                return self.proc.pid  # `vmnet run` has become its command
        return until("the command of vmnet run", lambda: child_of(self.proc.pid))

    def words(self, *args):
        return [tool("nsenter"), "-t", str(self.pid), "-U", "--preserve-credentials", "-n", "--",
                *[str(a) for a in args]]

    def run(self, *args, status=0, timeout=20, data=None):
        """Runs to its end; standard output and error as text."""
        done = subprocess.run(self.words(*args), input=data, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=timeout, check=False, text=True,
                              **({} if data is not None else {"stdin": subprocess.DEVNULL}))
        if status is not None and done.returncode != status:
            raise AssertionError(f"{self.name}: {' '.join(map(str, args))}: "
                                 f"status {done.returncode}\n{done.stdout}")
        return done.stdout

    def start(self, *args, **more):
        proc = subprocess.Popen(self.words(*args), **{
            "stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT,
            **more})
        self.started.append(proc)
        return proc

    def address(self, cidr, gateway=None):
        ip = tool("ip")
        self.run(ip, "addr", "replace", cidr, "dev", "tap0")
        if gateway:
            self.run(ip, "route", "replace", "default", "via", gateway)
        self.ip = cidr.partition("/")[0]

    def udhcpc(self, *more, hostname=None):
        """A lease by busybox's client, set up by a script of ours; what it said."""
        script = os.path.join(self.vmnet.folder, "udhcpc.script")
        if not os.path.exists(script):
            with open(script, "w", encoding="ascii") as file:
                file.write("#!/bin/sh\n[ \"$1\" = bound ] || [ \"$1\" = renew ] || exit 0\n"
                           "ip addr replace $ip/$mask dev $interface\n"
                           "[ -z \"$router\" ] || ip route replace default via $router\n"
                           "[ -z \"$mtu\" ] || ip link set mtu $mtu dev $interface\n"
                           "echo \"got ip=$ip router=$router dns=$dns domain=$domain "
                           "lease=$lease mtu=$mtu\"\n")
            os.chmod(script, 0o755)
        words = [tool("udhcpc"), "-f", "-q", "-n", "-t", "6", "-T", "1", "-i", "tap0", "-s", script]
        if hostname:
            words += ["-x", f"hostname:{hostname}"]
        text = self.run(*words, *more)
        got = [line for line in text.splitlines() if line.startswith("got ")]
        true(got, f"udhcpc got nothing: {text}")
        lease = dict(word.partition("=")[::2] for word in got[0].split()[1:])
        self.ip = lease["ip"]
        return lease

    def ping(self, ip, count=1, wait=2, size=56, status=0):
        return self.run(tool("busybox"), "ping", "-c", count, "-W", wait, "-s", size, ip,
                        status=status, timeout=wait * count + 10)

    def close(self):
        for proc in self.started:
            if proc.poll() is None:
                proc.kill()
            proc.wait()
            if proc.stdout:
                proc.stdout.close()
        if self.proc.poll() is None:
            self.proc.terminate()
        try:
            self.proc.wait(5)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()
            raise AssertionError(f"node {self.name} did not end on SIGTERM") from None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
