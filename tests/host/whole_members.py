#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Members by hand on live networks: every way in, services, isolation, limits, cables, captures."""

import os
import re
import signal
import socket
import struct
import subprocess
import time

import frames
from frames import ARP, BROADCAST, IPV4, IPV6, UDP, arp, ether, ipv4, udp
from members import Closed, Member
from vmnettest import (Refused, Vmnet, alive, has, main, same, test, tool, true, until)


def pair(v, network="host", **more):
    """Two members with addresses."""
    a, b = Member.join(v, network, "a", **more), Member.join(v, network, "b", **more)
    a.dhcp(), b.dhcp()
    return a, b


@test
def two_stream_members_talk(folder):
    with Vmnet(folder) as v:
        a, b = pair(v)
        with a, b:
            a.ping(b.ip)
            b.ping(a.ip, size=1400)
            a.ping(a.gateway)
            same(a.arp(b.ip), b.mac)
            true(a.ip != b.ip, "one address for two")


@test
def two_dgram_members_talk(folder):
    with Vmnet(folder) as v:
        a, b = pair(v, kind="dgram")
        with a, b:
            a.ping(b.ip)
            b.ping(a.ip, size=1400)
            same(v.members("host")["a"]["kind"], "dgram")


@test
def stream_and_dgram_members_meet(folder):
    with Vmnet(folder) as v, Member.join(v, "host", "s") as s, \
            Member.join(v, "host", "d", kind="dgram") as d:
        s.dhcp(), d.dhcp()
        s.ping(d.ip)
        d.ping(s.ip)


@test
def frames_in_pieces_are_put_together(folder):
    with Vmnet(folder) as v:
        a, b = pair(v)
        with a, b:
            frame = ether(b.mac, a.mac, 0x88B5, os.urandom(500))
            stream = (struct.pack("!I", len(frame)) + frame) * 3
            for byte in stream[:520]:
                a.raw(bytes([byte]))
            a.raw(stream[520:])
            for _ in range(3):
                same(b.wait(lambda f: f.kind == 0x88B5).data, frame)


@test
def a_stream_path_serves_clients_that_come_and_go(folder):
    path = folder + "/lima.sock"
    with Vmnet(folder) as v, Member.join(v, "host", "other") as other:
        other.dhcp()
        proc = v.start("attach", "host", "--socket", path, "--name", "lima")
        mac = "52:55:55:00:00:01"
        with Member.connect(path, mac) as m:
            m.dhcp()
            address = m.ip
            m.ping(other.ip)
            seen = v.members("host")["lima"]
            same((seen["mac"], seen["address"], seen["connected"]), (mac, address, True))
            rx = seen["rx_frames"]
        until("away", lambda: not v.members("host")["lima"]["connected"])
        same(v.members("host")["lima"]["rx_frames"], rx, "counters of one that is away")
        with Member.connect(path, mac) as m:
            m.dhcp()
            same(m.ip, address)
            m.ping(other.ip)
            true(v.members("host")["lima"]["rx_frames"] > rx, "counters go on")
            with Member.connect(path) as second:  # socket_vmnet: several on one path
                second.dhcp()
                true(second.ip != m.ip, "two clients, one address")
                second.ping(m.ip)
        proc.send_signal(signal.SIGTERM)
        same(proc.wait(5), 0)
        until("both are gone", lambda: set(v.members("host")) == {"other"})
        same(os.path.exists(path), False)


@test
def a_detached_path_stays_without_a_command(folder):
    path = folder + "/s"
    with Vmnet(folder) as v:
        v.cli("attach", "host", "--socket", path, "--name", "d", "--detach")
        gateway = v.network("host")["gateway"]
        with Member.connect(path) as m:
            m.dhcp()
            m.ping(gateway)
        same(v.members("host")["d"]["detached"], True)
        # the next daemon has it again
        pid = v.answers()
        os.kill(pid, signal.SIGKILL)
        until("dead", lambda: not alive(pid))
        v.cli("list")
        with Member.connect(path) as m:
            m.dhcp()
            m.ping(gateway)
        v.cli("detach", "host", "d")
        until("the socket is gone", lambda: not os.path.exists(path))


@test
def vfkit_on_a_unixgram_path(folder):
    path = folder + "/gram"
    with Vmnet(folder) as v, Member.join(v, "host", "other") as other:
        other.dhcp()
        v.start("attach", "host", "--socket", path, "--kind", "dgram", "--name", "mac")
        with Member.unixgram(path, folder + "/own1") as m:
            m.dhcp()
            m.ping(other.ip)
            same(v.members("host")["mac"]["bad"], 0, "the greeting is no bad frame")
        # krunkit without the greeting, from another path: the machine was started again
        with Member.unixgram(path, folder + "/own2", mac=m.mac, greet=False) as again:
            def works():
                try:
                    again.dhcp(seconds=0.5)
                    return True
                except AssertionError:
                    return False
            until("a peer that is there again is heard", works, 8)
            same(again.ip, m.ip)
            again.ping(other.ip)


@test
def krunkit_on_a_unixstream_path(folder):
    path = folder + "/stream"
    with Vmnet(folder) as v, Member.join(v, "host", "other") as other:
        other.dhcp()
        v.start("attach", "host", "--socket", path, "--name", "k", "--mac", "5a:94:ef:e4:0c:ee")
        with Member.connect(path, "5a:94:ef:e4:0c:ee") as m:
            m.dhcp()
            m.ping(other.ip)
            # offloading=on sends frames of 64 KiB; they are too long for this network, no more
            m.send(ether(other.mac, m.mac, IPV4, bytes(65000)))
            m.ping(other.ip)
            same(v.members("host")["k"]["bad"], 1)


@test
def vfkit_and_krunkit_arguments(folder):
    """`vmnet run` makes the options they need; the programs here only look like them."""
    script = "#!/bin/sh\nprintf '%s\\n' \"$@\"\n"
    with Vmnet(folder) as v:
        os.mkdir(folder + "/bin")
        for name in ("vfkit", "krunkit"):
            with open(f"{folder}/bin/{name}", "w", encoding="ascii") as file:
                file.write(script)
            os.chmod(f"{folder}/bin/{name}", 0o755)
        v.env["PATH"] = folder + "/bin:" + v.env["PATH"]
        text = v.cli("run", "host", "--mac", "02:00:00:00:00:01", "--", "vfkit", "--cpus",
                     "2").stdout
        true(re.search(r"virtio-net,fd=\d+,mac=02:00:00:00:00:01", text), text)
        text = v.cli("run", "host", "--", "krunkit", "--cpus", "2").stdout
        true(re.search(r"virtio-net,type=unixstream,fd=\d+,mac=", text), text)
        text = v.cli("run", "host", "--kind", "dgram", "--", "krunkit").stdout
        true(re.search(r"virtio-net,type=unixgram,fd=\d+,mac=", text), text)


@test
def a_name_gets_its_mac_and_address_again(folder):
    with Vmnet(folder) as v:
        with Member.join(v, "host", "web") as m:
            m.dhcp()
            mac, ip = m.mac, m.ip
        with Member.join(v, "host", "db") as m:
            m.dhcp()
            true(m.ip != ip and m.mac != mac, "another name is another member")
        with Member.join(v, "host", "web") as m:
            same(m.mac, mac)
            m.dhcp()
            same(m.ip, ip)


@test
def members_know_each_other_by_name(folder):
    with Vmnet(folder) as v:
        v.cli("create", "lab", "--mode", "host", "--domain", "lab.test")
        with Member.join(v, "lab", "web") as web, Member.join(v, "lab", "db") as db:
            web.dhcp(hostname="localhost-in-the-guest")
            db.dhcp()
            for name in ("web", "web.lab.test", "WEB.lab.test"):
                same([r[2] for r in db.dns(name).records], [web.ip], name)
            answer = db.dns("nobody.lab.test")
            same((answer.rcode, answer.records), (3, []))
            back = ".".join(reversed(web.ip.split("."))) + ".in-addr.arpa"
            same([r[2] for r in db.dns(back, frames.PTR).records], ["web.lab.test"])


@test
def isolated_members_reach_the_gateway_only(folder):
    with Vmnet(folder) as v:
        v.cli("create", "cells", "--mode", "host", "--isolated")
        with Member.join(v, "cells", "a") as a, Member.join(v, "cells", "b") as b:
            a.dhcp(), b.dhcp()
            a.ping(a.gateway), b.ping(b.gateway)
            b.drain()
            a.send(arp(1, a.mac, a.ip, "00:00:00:00:00:00", b.ip))
            a.send(ether(b.mac, a.mac, 0x88B5, bytes(64)))
            a.broadcast(bytes(64))
            a.send(ether("33:33:00:00:00:01", a.mac, 0x88B5, bytes(64)))
            b.silent(lambda f: f.src == a.mac, 0.3, "a frame of another member")
            true(v.members("cells")["a"]["isolated"] >= 1, "it is counted")


@test
def jumbo_frames(folder):
    with Vmnet(folder) as v:
        v.cli("create", "big", "--mode", "host", "--mtu", "9000")
        v.cli("create", "huge", "--mode", "host", "--mtu", "65520")
        for network, size in (("big", 9000 - 28), ("huge", 65520 - 28)):
            for kind in ("stream", "dgram"):
                with Member.join(v, network, "a", kind=kind) as a, \
                        Member.join(v, network, "b", kind=kind) as b:
                    for m in (a, b):
                        m.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
                    same(a.dhcp().mtu, 9000 if network == "big" else 65520)
                    b.dhcp()
                    a.ping(b.ip, size)
                    a.send(ether(b.mac, a.mac, IPV4, bytes(size + 28 + 8)))  # above the MTU
                    b.silent(lambda f, n=size: len(f.data) > n + 46, 0.2, "a frame above the MTU")
                    same(v.members(network)["a"]["bad"], 1)


@test
def a_cable_is_pulled_and_put_back(folder):
    with Vmnet(folder) as v:
        a, b = pair(v)
        with a, b:
            a.ping(b.ip)
            v.cli("link", "host", "b", "down")
            same(v.members("host")["b"]["link"], "down")
            b.drain()
            a.send(ether(b.mac, a.mac, 0x88B5, bytes(64)))
            a.broadcast(b"lost")
            b.silent(lambda f: True, 0.3, "anything without a cable")
            a.drain()
            b.send(ether(a.mac, b.mac, 0x88B5, b"lost too" * 8))
            a.silent(lambda f: f.src == b.mac, 0.3, "a frame from one without a cable")
            v.cli("link", "host", "b", "up")
            a.ping(b.ip)
            b.ping(a.ip)
            same(b.dhcp().kind, frames.ACK)


def rate_of(sender, receiver, seconds, size=1400):
    """What comes through of as much as the sender's socket takes, in bit/s."""
    frame = ether(receiver.mac, sender.mac, 0x88B5, bytes(size))
    chunk = (struct.pack("!I", len(frame)) + frame) * 16
    got, first, at, pending = 0, None, 0, b""
    end = time.monotonic() + seconds + 1.0
    start = None
    while time.monotonic() < end:
        try:
            while True:
                pending = pending or chunk
                pending = pending[sender.sock.send(pending):]
        except BlockingIOError:
            pass
        Member.poll(0.01)
        n = sum(len(f.data) for f in receiver.inbox if f.kind == 0x88B5)
        receiver.inbox.clear()
        now = time.monotonic()
        if start is None and now > end - seconds:
            start, got, at = now, 0, now  # the burst is over
        elif start is not None:
            got, at = got + n, now
    # the rest of a frame that was begun
    while pending:
        try:
            pending = pending[sender.sock.send(pending):]
        except BlockingIOError:
            Member.poll(0.01)
            receiver.inbox.clear()
    receiver.drain(0.2)
    return got * 8 / (at - start)


@test
def rate_limits_hold_within_ten_percent(folder):
    with Vmnet(folder) as v:
        a, b = pair(v)
        with a, b:
            for rate, seconds in ((20e6, 2.0), (100e6, 2.0)):
                v.cli("limit", "host", "a", "--rate", f"{int(rate / 1e6)}mbit")
                same(v.members("host")["a"]["rate"], int(rate))
                got = [rate_of(a, b, seconds)]
                if abs(got[0] / rate - 1) > 0.1:  # a machine that was busy elsewhere
                    got.append(rate_of(a, b, seconds))
                true(min(abs(g / rate - 1) for g in got) <= 0.1,
                     f"sent: {[round(g / 1e6, 1) for g in got]} Mbit/s of {rate / 1e6}")
            v.cli("limit", "host", "a", "--rate", "none")
            v.cli("limit", "host", "b", "--rate", "50mbit", "--burst", "64k")
            got = [rate_of(a, b, 2.0)]
            if abs(got[0] / 50e6 - 1) > 0.1:
                got.append(rate_of(a, b, 2.0))
            true(min(abs(g / 50e6 - 1) for g in got) <= 0.1,
                 f"received: {[round(g / 1e6, 1) for g in got]} Mbit/s of 50")
            v.cli("limit", "host", "b", "--rate", "none")
            true(rate_of(a, b, 0.5) > 200e6, "without a limit it is fast again")


@test
def captures_are_read_by_tshark(folder):
    with Vmnet(folder) as v:
        a, b = pair(v)
        with a, b:
            path = folder + "/all.pcapng"
            proc = v.start("capture", "host", "-w", path, "--count", "20")
            until("it has begun", lambda: os.path.exists(path) and os.path.getsize(path) > 0)
            for _ in range(30):
                a.ping(b.ip)
                if proc.poll() is not None:
                    break
            same(proc.wait(5), 0)
            text = subprocess.run([tool("tshark"), "-r", path, "-T", "fields", "-e",
                                   "frame.interface_name", "-e", "_ws.col.Protocol"],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                  env=v.env, check=True, timeout=30).stdout
            lines = [line.split("\t") for line in text.splitlines()]
            same(len(lines), 20, text)
            true({"a", "b"} <= {name for name, *_ in lines}, f"interfaces: {text}")
            true(any(proto == "ICMP" for _, proto in lines), text)
            # one member, into a pipe, ended by Ctrl-C
            proc = v.start("capture", "host", "--member", "a", "-w", "-", stdout=subprocess.PIPE,
                           stderr=subprocess.DEVNULL)
            first = os.read(proc.stdout.fileno(), 64)
            a.ping(b.ip)
            time.sleep(0.2)
            proc.send_signal(signal.SIGINT)
            rest = proc.stdout.read()
            true(proc.wait(5) in (0, 130), f"status {proc.returncode}")
            with open(folder + "/a.pcapng", "wb") as file:
                file.write(first + rest)
            text = subprocess.run([tool("tshark"), "-r", folder + "/a.pcapng"],
                                  check=True, env=v.env,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                                  timeout=30).stdout
            same(text.count("Echo (ping)"), 2, text)


@test
def reservations_by_mac_and_name(folder):
    with Vmnet(folder) as v:
        v.cli("create", "lab", "--mode", "host", "--subnet", "10.90.0.0/24", "--reserve",
              "02:00:00:00:00:07=10.90.0.7", "--reserve", "web=10.90.0.200")
        with Member.join(v, "lab", "x", "02:00:00:00:00:07") as x, \
                Member.join(v, "lab", "web") as w, Member.join(v, "lab", "thief") as thief:
            same((x.dhcp().address, w.dhcp().address), ("10.90.0.7", "10.90.0.200"))
            answer = thief.ask_dhcp(frames.REQUEST, requested="10.90.0.200", seconds=2)
            same(answer.kind, frames.NAK)
            true(all(lease["reserved"] for lease in v.json("leases")["leases"]), "reserved")


@test
def leases_end_and_are_renewed(folder):
    with Vmnet(folder) as v, Member.join(v, "host", "m") as m:
        ack = m.dhcp()
        again = m.ask_dhcp(frames.REQUEST, ciaddr=m.ip, broadcast=False)
        same((again.kind, again.address), (frames.ACK, ack.address))
        m.send(frames.dhcp_frame(m.mac, 7, frames.RELEASE, ciaddr=m.ip, server=ack.server))
        until("released", lambda: not [lease for lease in v.ask("leases")["leases"]
                                       if lease["state"] == "bound"])
        same(m.dhcp().address, ack.address)


@test
def without_dhcp_nobody_answers(folder):
    with Vmnet(folder) as v:
        v.cli("create", "bare", "--mode", "host", "--subnet", "10.91.0.0/24", "--no-dhcp")
        with Member.join(v, "bare", "m") as m:
            m.send(frames.dhcp_frame(m.mac, 1, frames.DISCOVER))
            m.silent(lambda f: f.proto == UDP, 0.4, "a DHCP answer")
            m.ip = "10.91.0.50"
            m.ping("10.91.0.1")


@test
def unknown_unicast_spares_members_that_have_spoken(folder):
    with Vmnet(folder) as v:
        a, b = pair(v)
        with a, b, Member.join(v, "host", "idle") as idle:
            idle.dhcp()
            for m in (a, b, idle):
                m.drain()
            before = v.members("host")["idle"]["tx_frames"]
            for _ in range(50):
                a.send(*[ether(b.mac, a.mac, 0x88B5, bytes(1000))] * 20)
                Member.poll(0)
            b.drain()
            same(v.members("host")["idle"]["tx_frames"], before, "frames an idle member was sent")
            b.inbox.clear()


@test
def a_connection_that_ends_ends_its_member(folder):
    with Vmnet(folder) as v:
        a = Member.join(v, "host", "a")
        with Member.join(v, "host", "b"):
            a.close()
            until("a has left", lambda: set(v.members("host")) == {"b"})
            a = Member.join(v, "host", "a")
            a.sock.close()  # the VM ends, its keeper not yet
            until("a has left", lambda: set(v.members("host")) == {"b"})
            Member.world.remove(a)
            a.control.close()


@test
def bad_joins_are_refused(folder):
    with Vmnet(folder) as v, Member.join(v, "host", "a") as a:
        for more, text in ((dict(name="a"), "a"), (dict(mac=a.mac), "a"),
                           (dict(mac="03:00:00:00:00:00"), "MAC"), (dict(name="no good"), "name"),
                           (dict(name="x" * 33), "name"),
                           (dict(network="none"), "none")):
            try:
                how = {"network": "host", **more}
                Member.join(v, how.pop("network"), **how)
                raise AssertionError(f"joined with {more}")
            except Refused as why:
                same(why.kind, "user")
                has(str(why), text)
        with v.control() as control:
            try:
                control.ask("join", network="host", kind="stream")
                raise AssertionError("joined without a descriptor")
            except Refused as why:
                has(str(why), "descriptor")
            read, write = os.pipe()
            try:
                control.ask("join", fds=[read], network="host", kind="stream", name="pipe")
                raise AssertionError("joined with a pipe")
            except Refused:
                pass
            finally:
                os.close(read), os.close(write)
        until("only a is there", lambda: set(v.members("host")) == {"a"})


@test
def stream_and_control_are_unhurt_by_a_closed_link(folder):
    with Vmnet(folder) as v, Member.join(v, "host", "a") as a:
        bad = Member.join(v, "host", "bad")
        try:
            bad.raw(struct.pack("!I", 70000) + bytes(100))
            bad.wait(lambda f: False, 2)
        except Closed:
            pass
        event = bad.control.line()
        same((event["event"], event["name"]), ("gone", "bad"))
        has(event["why"], "70000")
        bad.close()
        a.dhcp()


main()
