#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Programs of the field as clients: udhcpc, dhclient, dig, nslookup, iperf3, ping."""

import json
import os

from members import Member, Node
from outside import Names
from vmnettest import OUTSIDE4, OUTSIDE4B, Vmnet, has, main, same, test, tool, true, until


@test
def udhcpc_gets_and_renews_a_lease(folder):
    with Vmnet(folder) as v:
        v.cli("create", "lab", "--mode", "shared", "--subnet", "10.60.0.0/24", "--domain",
              "lab.test", "--lease", "3600", "--mtu", "1400", "--dns", OUTSIDE4)
        for kind in ("stream", "dgram"):
            with Node(v, "lab", kind, kind=kind) as n:
                lease = n.udhcpc(hostname="guest-" + kind)
                same((lease["router"], lease["dns"], lease["domain"], lease["lease"], lease["mtu"]),
                     ("10.60.0.1", "10.60.0.1", "lab.test", "3600", "1400"))
                same(n.udhcpc()["ip"], lease["ip"], "the same again")
                n.ping("10.60.0.1")
                shown = {x["name"]: x for x in v.json("leases", "lab")["leases"]}
                same((shown[kind]["address"], shown[kind]["hostname"]),
                     (lease["ip"], "guest-" + kind))


@test
def dhclient_gets_a_lease(folder):
    with Vmnet(folder) as v, Node(v, "shared", "n") as n:
        proc = n.start(tool("dhclient"), "-4", "-1", "-v", "-d", "-sf", "/bin/true", "-lf",
                       folder + "/leases", "-pf", folder + "/pid", "-cf", "/dev/null", "tap0")

        def bound():
            try:
                with open(folder + "/leases", encoding="ascii") as file:
                    return file.read()
            except OSError:
                return ""
        lease = until("dhclient has a lease", lambda: "fixed-address" in bound() and bound(), 15)
        address = lease.partition("fixed-address ")[2].partition(";")[0]
        has(lease, f"option routers {v.network('shared')['gateway']};")
        same(v.members("shared")["n"]["address"], address)
        proc.terminate()
        proc.wait(5)


@test
def dig_and_nslookup_ask_the_gateway(folder):
    with Vmnet(folder) as v, Names(OUTSIDE4, {"www.example.org": [OUTSIDE4B]}) as _:
        v.cli("create", "lab", "--mode", "shared", "--domain", "lab.test", "--dns", OUTSIDE4)
        with Node(v, "lab", "web") as web, Node(v, "lab", "db") as db:
            web.udhcpc()
            server = db.udhcpc()["dns"]
            dig = [tool("dig"), "+time=2", "+tries=2", f"@{server}"]
            same(db.run(*dig, "+short", "web.lab.test").strip(), web.ip)
            same(db.run(*dig, "+short", "-x", web.ip).strip(), "web.lab.test.")
            same(db.run(*dig, "+short", "www.example.org").strip(), OUTSIDE4B)
            has(db.run(*dig, "none.lab.test"), "NXDOMAIN")
            has(db.run(*dig, "none.example.org"), "NXDOMAIN")
            has(db.run(*dig, "+noedns", "web.lab.test"), web.ip)
            has(db.run(*dig, "web.lab.test", "AAAA"), "NOERROR")
            has(db.run(tool("nslookup"), "-timeout=2", "web.lab.test", server), web.ip)
            has(db.run(tool("busybox"), "nslookup", "web.lab.test", server), web.ip)


@test
def iperf3_between_members(folder):
    with Vmnet(folder) as v:
        for kind in ("stream", "dgram"):
            with Node(v, "host", "a", kind=kind) as a, Node(v, "host", "b", kind=kind) as b:
                a.udhcpc(), b.udhcpc()
                server = b.start(tool("iperf3"), "-s", "-1", "-B", b.ip)
                until("iperf3 listens", lambda: ":5201" in b.run(tool("ss"), "-ltn"))
                done = json.loads(a.run(tool("iperf3"), "-c", b.ip, "-t", "2", "-J", timeout=30))
                rate = done["end"]["sum_received"]["bits_per_second"]
                print(f"# {kind}: {rate / 1e6:.0f} Mbit/s, "
                      f"{done['end']['sum_sent']['retransmits']} retransmitted")
                true(rate > 20e6, f"{rate / 1e6:.1f} Mbit/s")
                server.wait(10)
                same(v.members("host")["a"]["bad"], 0)


@test
def pings_of_all_sizes_through_a_kernel(folder):
    with Vmnet(folder) as v:
        v.cli("create", "big", "--mode", "host", "--mtu", "9000")
        with Node(v, "big", "a", mtu=9000) as a, Node(v, "big", "b", mtu=9000) as b:
            a.udhcpc(), b.udhcpc()
            for size in (0, 1, 1472, 1473, 8972, 20000):
                a.ping(b.ip, size=size)
            a.ping(v.network("big")["gateway"], size=1000)


@test
def a_path_serves_a_kernel(folder):
    with Vmnet(folder) as v:
        for kind in ("stream", "dgram"):
            v.start("attach", "host", "--socket", f"{folder}/{kind}", "--kind", kind, "--name",
                    kind)
            until("the socket", lambda k=kind: os.path.exists(f"{folder}/{k}"))
        with Node(v, path=folder + "/stream", name="s") as s, \
                Node(v, path=folder + "/dgram", kind="dgram", name="d") as d, \
                Member.join(v, "host", "m") as m:
            s.udhcpc(), d.udhcpc(), m.dhcp()
            s.ping(d.ip)
            d.ping(s.ip)
            m.ping(s.ip), m.ping(d.ip)


main()
