#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The way outside and back in: NAT, NAT66, name servers, forwards, and a NAT worker that dies."""

import hashlib
import os
import signal
import socket
import struct
import time

import frames
from frames import ICMP, IPV6, UDP
from members import Member, Node
from outside import Echo, Hash, Names
from vmnettest import (OUTSIDE4, OUTSIDE4B, OUTSIDE6, Refused, Vmnet, alive, has, main, same, test,
                       tool, true, until)

# Commands of a node: a kernel's TCP in a namespace.
SEND = """import hashlib, os, socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 10)
data = os.urandom(int(sys.argv[3]))
s.sendall(data)
s.shutdown(socket.SHUT_WR)
got = b''
while True:
    more = s.recv(4096)
    if not more: break
    got += more
print('same' if got.decode().strip() == hashlib.sha256(data).hexdigest() else f'other: {got}')
"""
SERVE = """import socket, sys
s = socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind((sys.argv[1], int(sys.argv[2])))
s.listen(8)
print('serving', flush=True)
while True:
    c, who = s.accept()
    data = c.recv(100)
    c.sendall(sys.argv[3].encode() + b' ' + data)
    c.close()
"""
PYTHON = "/usr/bin/python3"


def say(address, port, text=b"hello", seconds=5.0):
    """What a TCP server answers to a line."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as s:
        s.settimeout(seconds)
        s.connect((address, port))
        s.sendall(text)
        got = b""
        try:
            while more := s.recv(4096):
                got += more
        except ConnectionResetError:
            pass
        return got


def refused(address, port):
    """Nobody listens there, or hangs up at once."""
    try:
        return say(address, port, seconds=2) == b""
    except (ConnectionRefusedError, TimeoutError, BrokenPipeError):
        return True


def worker(v, network="shared"):
    """The NAT worker's process."""
    return v.network(network)["uplink"].get("pid")


@test
def udp_to_the_outside(folder):
    with Vmnet(folder) as v, Echo(OUTSIDE4) as echo, Member.join(v, "shared", "m") as m:
        m.dhcp()
        for size in (1, 100, 1400):
            payload = os.urandom(size)
            same(m.udp_ask(OUTSIDE4, echo.port, payload), b"echo " + payload)
        true(m.ip not in echo.peers, f"the outside sees this host, not the member: {echo.peers}")


@test
def tcp_to_the_outside(folder):
    with Vmnet(folder) as v, Hash(OUTSIDE4) as server, Node(v, "shared", "n") as n:
        n.udhcpc()
        for size in (1, 100000, 20000000):
            same(n.run(PYTHON, "-c", SEND, OUTSIDE4, server.port, size, timeout=60).strip(), "same")
        true(n.ip not in server.peers, "the outside sees this host")
        # A port where nobody listens is refused at once, not by a timeout.
        began = time.monotonic()
        has(n.run(PYTHON, "-c", SEND, OUTSIDE4, 9, 1, status=1), "ConnectionRefused")
        true(time.monotonic() - began < 5, "a refusal takes long")


@test
def nat66_to_the_outside(folder):
    with Vmnet(folder) as v:
        v.cli("create", "six", "--mode", "shared", "--nat66-prefix", "fd5e:1::/64")
        with Echo(OUTSIDE6) as echo, Hash(OUTSIDE6) as server, Member.join(v, "six", "m") as m, \
                Node(v, "six", "n") as n:
            m.dhcp()
            body, router, router_mac = m.solicit_router()
            same(struct.unpack("!H", body[6:8])[0] > 0, True, "lifetime of the router")
            prefix = frames.ip_bytes("fd5e:1::")
            at, found = 16, None
            while at + 2 <= len(body) and body[at + 1]:
                if body[at] == 3:
                    found = body[at + 16:at + 32]
                at += body[at + 1] * 8
            same(found, prefix, "prefix that is advertised")
            src = frames.ip_text(prefix[:8] + frames.ip_bytes(frames.link_local(m.mac))[8:])
            m.ip6.add(src)
            m.ping6(router, router_mac)
            m.send(frames.ether(router_mac, m.mac, IPV6, frames.ipv6(src, OUTSIDE6, UDP, frames.udp(
                src, OUTSIDE6, 5555, echo.port, b"over six"))))
            f = m.wait(lambda f: f.proto == UDP and f.ip_src == OUTSIDE6, 3, "UDP over IPv6")
            same(f.load, b"echo over six")
            # A kernel configures itself from the advertisement.
            ip = tool("ip")
            until("an address", lambda: "fd5e:1" in n.run(ip, "-6", "addr", "show", "dev", "tap0")
                  and "tentative" not in n.run(ip, "-6", "addr", "show", "dev", "tap0"), 8, 0.2)
            same(n.run(PYTHON, "-c", SEND, OUTSIDE6, server.port, 1000000, timeout=30).strip(),
                 "same")


@test
def a_host_network_has_no_way_out(folder):
    with Vmnet(folder) as v, Echo(OUTSIDE4) as echo, Member.join(v, "host", "m") as m:
        m.dhcp()
        m.gateway = v.network("host")["gateway"]
        m.udp(OUTSIDE4, echo.port, b"hello", to_mac=m.arp(m.gateway))
        m.silent(lambda f: f.ip_src == OUTSIDE4 and f.proto == UDP, 0.5, "an answer")
        same(echo.peers, [])


@test
def members_cannot_reach_the_loopback_of_this_host(folder):
    with Vmnet(folder) as v, Echo("127.0.0.1") as echo, Member.join(v, "shared", "m") as m:
        m.dhcp()
        for target in ("127.0.0.1", m.gateway):
            m.udp(target, echo.port, b"hello", to_mac=m.arp(m.gateway))
        m.silent(lambda f: f.proto == UDP and f.sport == echo.port, 0.5, "an answer of loopback")
        same(echo.peers, [], "what reached 127.0.0.1")
    with Vmnet(folder) as v:
        v.cli("create", "open", "--mode", "shared", "--host-loopback")
        with Echo("127.0.0.1") as echo, Member.join(v, "open", "m") as m:
            m.dhcp()
            same(m.udp_ask(m.gateway, echo.port, b"x"), b"echo x")


@test
def names_are_asked_of_the_upstream_servers(folder):
    with Vmnet(folder) as v, Names(OUTSIDE4, {"www.example.org": [OUTSIDE4B, OUTSIDE6]}) as names:
        v.cli("create", "lab", "--mode", "shared", "--dns", OUTSIDE4, "--domain", "lab.test")
        with Member.join(v, "lab", "web") as m:
            m.dhcp()
            same([r[2] for r in m.dns("www.example.org").records], [OUTSIDE4B])
            same([r[2] for r in m.dns("www.example.org", frames.AAAA).records], [OUTSIDE6])
            same(m.dns("nobody.example.org").rcode, 3)
            same([r[2] for r in m.dns("web.lab.test").records], [m.ip])
            true("web.lab.test" not in names.asked, f"a local name went outside: {names.asked}")
        # No server answers: the client is told, and not left waiting.
    with Vmnet(folder) as v:
        v.cli("create", "mute", "--mode", "shared", "--dns", OUTSIDE4B)
        with Member.join(v, "mute", "m") as m:
            m.dhcp()
            same(m.dns("www.example.org", seconds=12).rcode, 2)


@test
def forwards_tcp(folder):
    with Vmnet(folder) as v, Node(v, "shared", "web") as n:
        n.udhcpc()
        first = n.start(PYTHON, "-c", SERVE, n.ip, 80, "web")
        first.stdout.readline()
        second = n.start(PYTHON, "-c", SERVE, n.ip, 81, "next")
        second.stdout.readline()
        v.cli("forward", "add", "shared", "tcp", "8080", "web", "80")
        same(say("127.0.0.1", 8080), b"web hello")
        v.cli("forward", "add", "shared", "tcp", f"{OUTSIDE4}:9000-9001", n.ip, "80")
        same(say(OUTSIDE4, 9000), b"web hello")
        same(say(OUTSIDE4, 9001), b"next hello")
        true(refused(OUTSIDE4B, 9000), "another address of this host is open too")
        shown = {(f["host"], f["first"], f["last"]): f
                 for f in v.json("forward", "list")["forwards"]}
        same(shown["127.0.0.1", 8080, 8080]["to"], "web")
        same(shown["127.0.0.1", 8080, 8080]["state"], "open")
        same(shown[OUTSIDE4, 9000, 9001]["to"], n.ip)
        same(shown[OUTSIDE4, 9000, 9001]["port"], 80)
        v.refuses("forward", "add", "shared", "tcp", "8080", "web", "81", has_text=["8080"])
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            line = v.refuses("forward", "add", "shared", "tcp", port, "web", "80",
                             has_text=[str(port)])
            has(line, "in use")
        v.refuses("forward", "remove", "shared", "tcp", "7777", has_text=["7777"])
        v.cli("forward", "remove", "shared", "tcp", "8080")
        true(refused("127.0.0.1", 8080), "a forward that was removed")
        v.cli("forward", "remove", "shared", "tcp", f"{OUTSIDE4}:9000-9001")
        same(v.json("forward", "list")["forwards"], [])


@test
def forwards_udp(folder):
    with Vmnet(folder) as v, Member.join(v, "shared", "dns") as m:
        m.dhcp()
        v.cli("forward", "add", "shared", "udp", f"{OUTSIDE4}:5300", "dns", "53")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(0.02)
            for number in range(5):
                s.sendto(b"question %d" % number, (OUTSIDE4, 5300))
                f = m.wait(lambda f: f.proto == UDP and f.dport == 53, 3, "the datagram")
                same(f.load, b"question %d" % number)
                m.udp(f.ip_src, f.sport, b"answer %d" % number, sport=53, to_mac=f.src)

                def heard():
                    try:
                        return s.recv(100)
                    except TimeoutError:
                        Member.poll(0)
                        return None
                same(until("the answer", heard, 3), b"answer %d" % number)


@test
def forwards_wait_for_a_name_and_follow_it(folder):
    with Vmnet(folder) as v:
        with Member.join(v, "shared", "keeper"):
            v.cli("forward", "add", "shared", "tcp", "8081", "late", "80")
            same(v.json("forward", "list")["forwards"][0]["state"], "waiting")
            for mac in ("02:00:00:00:00:11", "02:00:00:00:00:22"):
                with Node(v, "shared", "late", mac=mac) as n:
                    n.udhcpc()
                    serve = n.start(PYTHON, "-c", SERVE, n.ip, 80, mac)
                    serve.stdout.readline()
                    until("the forward leads there",
                          lambda: v.json("forward", "list")["forwards"][0].get("address") == n.ip
                          and v.json("forward", "list")["forwards"][0]["state"] == "open")
                    same(say("127.0.0.1", 8081), mac.encode() + b" hello")


@test
def forwards_of_a_file(folder):
    """Of a host network too: it has a way in, and none out."""
    config = "networks:\n" + "".join(
        f"  {mode}-lab:\n    mode: {mode}\n    subnet: 10.9{i}.0.0/24\n    forwards:\n"
        f"      - {{proto: tcp, host: 808{i}, to: 10.9{i}.0.9, port: 80}}\n"
        f"    reservations:\n      - {{name: web, address: 10.9{i}.0.9}}\n"
        for i, mode in ((2, "shared"), (3, "host")))
    with Vmnet(folder, config) as v, Node(v, "shared-lab", "web") as n, \
            Node(v, "host-lab", "web") as h, Echo(OUTSIDE4) as echo:
        for node, i in ((n, 2), (h, 3)):
            same(node.udhcpc()["ip"], f"10.9{i}.0.9")
            node.start(PYTHON, "-c", SERVE, node.ip, 80, f"file{i}").stdout.readline()
            same(say("127.0.0.1", 8080 + i), b"file%d hello" % i)
        ask = ("import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
               f"s.settimeout(1); s.sendto(b'x', ('{OUTSIDE4}', {echo.port})); s.recv(9)")
        n.run(PYTHON, "-c", ask)
        h.run("ip", "route", "replace", "default", "via", "10.93.0.1")
        h.run(PYTHON, "-c", ask, status=1)


@test
def a_worker_that_dies_is_replaced(folder):
    """D-15: within a second, its forwards with it; the other network notices nothing."""
    with Vmnet(folder) as v:
        v.cli("create", "other", "--mode", "shared")
        with Echo(OUTSIDE4) as echo, Node(v, "shared", "web") as n, \
                Member.join(v, "shared", "m") as m, Member.join(v, "other", "o") as o:
            n.udhcpc()
            m.dhcp(), o.dhcp()
            n.start(PYTHON, "-c", SERVE, n.ip, 80, "web").stdout.readline()
            v.cli("forward", "add", "shared", "tcp", "8083", "web", "80")
            for _ in range(3):
                pid, kept = worker(v), worker(v, "other")
                true(pid and pid != kept, f"workers {pid} and {kept}")
                same(m.udp_ask(OUTSIDE4, echo.port, b"x"), b"echo x")
                os.kill(pid, signal.SIGKILL)
                began = time.monotonic()
                same(o.udp_ask(OUTSIDE4, echo.port, b"y", seconds=1), b"echo y")
                m.ping(n.ip, seconds=1)

                def again():
                    try:
                        return m.udp_ask(OUTSIDE4, echo.port, b"z", seconds=0.05)
                    except AssertionError:
                        return None
                until("the way outside is there again", again, 3)
                took = time.monotonic() - began
                true(took < 1.0, f"it took {took:.2f} s")
                same(worker(v, "other"), kept, "the other network's worker")
                until("the forward is there again",
                      lambda: not refused("127.0.0.1", 8083), 2)
                same(say("127.0.0.1", 8083), b"web hello")
                until("the old worker is no more", lambda p=pid: not alive(p), 1)


@test
def a_worker_ends_with_its_network_and_its_daemon(folder):
    with Vmnet(folder) as v:
        v.cli("create", "brief", "--mode", "shared", "--linger", "0")
        with Member.join(v, "brief"):
            pid = worker(v, "brief")
            true(alive(pid), "the worker")
        until("the worker is gone", lambda: not alive(pid), 3)
        with Member.join(v, "shared"):
            pid = worker(v)
            daemon = v.answers()
            os.kill(daemon, signal.SIGKILL)
            until("it is dead", lambda: not alive(daemon))
            until("the worker is gone with a daemon that was killed", lambda: not alive(pid), 2)


main()
