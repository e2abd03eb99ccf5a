#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Unpatched QEMU with a Linux inside, on every kind of link."""

import os
import sys
import threading
import urllib.request

import vmnettest
from outside import Hash, Names
from vmnettest import OUTSIDE4, OUTSIDE4B, Vmnet, has, main, same, test, true, until

SOURCE = os.environ.get("VMNETTEST_SOURCE") or os.path.dirname(os.path.dirname(vmnettest.HERE))
sys.path.insert(0, os.path.join(SOURCE, "tools", "guest"))
import guest  # noqa: E402

PROGRAMS = "iperf3,dhclient,dig"
# Among what is built: made the first time, only looked at later.
IMAGE = os.environ.get("VMNETTEST_IMAGE") or os.path.join(vmnettest.PEERS, "guest-image")


def image():
    return guest.image(IMAGE, PROGRAMS)


def start(*machines):
    """Guests that boot side by side."""
    for machine in machines:
        machine.begin()
    for machine in machines:
        machine.wait_ready()


def run_guest(v, name, network="shared", kind="stream", **more):
    """A guest that `vmnet run` starts; the -netdev of its card is vmnet's."""
    mac = f"52:54:00:00:00:{ord(name):02x}"
    prefix = [vmnettest.VMNET, "run", network, "--name", name, "--mac", mac, "--kind", kind, "--"]
    return guest.Guest(image(), netdev=None, netdev_id="vmnet0", prefix=prefix, mac=mac, env=v.env,
                       start=False, **more)


def path_guest(netdev, mac):
    return guest.Guest(image(), netdev=netdev, mac=mac, start=False)


def page(url):
    try:
        with urllib.request.urlopen(url, timeout=3) as answer:
            return answer.read()
    except OSError:
        return b""


def lease(machine):
    words = machine.dhcp()
    true(words.get("ip"), f"no lease: {words}")
    return words


def transfer(a, b, address, size=4000000):
    """A verified transfer by TCP, from guest b's server to guest a."""
    job = b.start("tcp serve 5000")
    until("the server listens", lambda: b.run("netstat -ltn")[1].count(":5000"), 10, 0.2)
    a.check(f"tcp get {address} 5000 {size}", 60)
    job.kill()


def exchange(v, a, b, network="shared"):
    """What two guests on one network do."""
    first, second = lease(a), lease(b)
    true(first["ip"] != second["ip"], "two guests, one address")
    a.check(f"ping -c 3 -W 2 {second['ip']}")
    b.check(f"ping -c 3 -W 2 {first['ip']}")
    a.check(f"ping -c 1 -s 1472 {second['ip']}")
    a.check(f"ping -c 1 {first['router']}")
    transfer(a, b, second["ip"])
    members = v.members(network)
    for name, words in (("a", first), ("b", second)):
        same(members[name]["address"], words["ip"])
        same(members[name]["bad"], 0)
    return first, second


@test
def two_guests_by_run_on_streams(folder):
    with Vmnet(folder) as v, Hash(OUTSIDE4) as server, \
            Names(OUTSIDE4, {"www.example.org": [OUTSIDE4B]}):
        v.cli("create", "lab", "--mode", "shared", "--domain", "lab.test", "--dns", OUTSIDE4)
        a, b = run_guest(v, "a", "lab"), run_guest(v, "b", "lab")
        with a, b:
            start(a, b)
            _, second = exchange(v, a, b, "lab")
            # names
            has(a.check("nslookup b.lab.test"), second["ip"])
            same(a.check("dig +short b").strip() or a.check("dig +search +short b").strip(),
                 second["ip"])
            has(a.check("nslookup www.example.org"), OUTSIDE4B)
            # outside
            data = "head -c 3000000 /dev/zero"
            want = a.check(f"{data} | sha256sum").split()[0]
            got = a.check(f"{data} | nc -w 10 {OUTSIDE4} {server.port}", 40)
            has(got, want)
            same(a.check(f"dig +time=2 +short www.example.org @{OUTSIDE4}").strip(), OUTSIDE4B)
            # back in
            v.cli("forward", "add", "lab", "tcp", "8090", "b", "80")
            b.check("mkdir -p /www && echo from-the-guest > /www/index.html")
            job = b.start("httpd -f -p 80 -h /www")
            until("the page", lambda: b"from-the-guest" in page("http://127.0.0.1:8090/"), 15, 0.3)
            job.kill()
            # iperf3, and dhclient instead of udhcpc
            job = b.start("iperf3 -s -1")
            until("iperf3 listens", lambda: ":5201" in b.run("netstat -ltn")[1], 10, 0.2)
            has(a.check(f"iperf3 -c {second['ip']} -t 2", 30), "receiver")
            job.kill()
            a.check("ip -4 addr flush dev eth0; dhclient -1 eth0 || dhclient -1 -v eth0", 30)
            same(a.address(), v.members("lab")["a"]["address"])
            # a cable that is pulled
            v.cli("link", "lab", "b", "down")
            true(a.run(f"ping -c 1 -W 1 {second['ip']}")[0] != 0, "ping without a cable")
            v.cli("link", "lab", "b", "up")
            a.check(f"ping -c 1 -W 3 {second['ip']}")
        until("both have left", lambda: not v.members("lab"), 5)


@test
def two_guests_by_run_on_dgrams(folder):
    with Vmnet(folder) as v:
        a, b = run_guest(v, "a", kind="dgram"), run_guest(v, "b", kind="dgram", card="e1000")
        with a, b:
            start(a, b)
            exchange(v, a, b)


@test
def guests_on_stream_and_dgram_paths(folder):
    with Vmnet(folder) as v:
        v.start("attach", "shared", "--socket", folder + "/s", "--name", "a")
        v.start("attach", "shared", "--socket", folder + "/d", "--name", "b", "--kind", "dgram")
        until("both sockets", lambda: os.path.exists(folder + "/s") and
              os.path.exists(folder + "/d"))
        a = path_guest(f"stream,addr.type=unix,addr.path={folder}/s,server=off",
                       "52:54:00:00:00:0a")
        b = path_guest(f"dgram,local.type=unix,local.path={folder}/own,remote.type=unix,"
                       f"remote.path={folder}/d", "52:54:00:00:00:0b")
        with a, b:
            start(a, b)
            exchange(v, a, b)


@test
def two_guests_with_jumbo_frames(folder):
    with Vmnet(folder) as v:
        v.cli("create", "big", "--mode", "host", "--mtu", "9000")
        a, b = run_guest(v, "a", "big"), run_guest(v, "b", "big")
        with a, b:
            start(a, b)
            lease(a)
            second = lease(b)
            has(a.check("ip link show dev eth0"), "mtu 9000")
            a.check(f"ping -c 2 -W 2 -s 8972 {second['ip']}")
            transfer(a, b, second["ip"], 8000000)


@test
def guests_notice_nothing_of_a_daemon_that_is_killed(folder):
    """D-7, with a guest: a transfer goes on over a new daemon."""
    with Vmnet(folder) as v:
        a, b = run_guest(v, "a"), run_guest(v, "b")
        with a, b:
            start(a, b)
            first, second = lease(a), lease(b)
            job = b.start("tcp serve 5000")
            done = []
            thread = threading.Thread(
                target=lambda: done.append(a.run(f"tcp get {second['ip']} 5000 60000000", 60)))
            thread.start()
            until("it has begun", lambda: v.members("shared")["a"]["tx_bytes"] > 1000000, 10)
            pid = v.answers()
            os.kill(pid, 9)
            until("another daemon", lambda: v.answers() not in (None, pid), 3)
            thread.join(70)
            same(done and done[0][0], 0, f"the transfer: {done}")
            job.kill()
            a.check(f"ping -c 2 -W 2 {second['ip']}")
            same({n: m["address"] for n, m in v.members("shared").items()},
                 {"a": first["ip"], "b": second["ip"]})


# Its kernel comes from Debian, which is out of reach once we are in a network of our own.
if vmnettest.STAGE not in os.environ:
    try:
        image()
    except guest.Problem as why:
        print(f"1..1\nnot ok 1 - the guest is made # {why}")
        sys.exit(1)
main()
