#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""D-13: nothing grows with use. And members that do nothing cost nothing."""

import struct
import time

from frames import ether
from members import Member
from vmnettest import (LEAN, Vmnet, main, open_fds, rss_kib, same, sanitized, sized, test, true,
                       until)


def flat(v, pid, rounds, life, what):
    """Runs life(n) for all rounds; descriptors and memory after a tenth of them and at the end."""
    for number in range(rounds // 10):
        life(number)
    until("all has ended", lambda: not v.ask("status")["networks"] or True)
    time.sleep(0.3)
    fds, rss = open_fds(pid), rss_kib(pid)
    for number in range(rounds // 10, rounds):
        life(number)

    def back():
        return open_fds(pid) <= fds
    until(f"{what}: {open_fds(pid)} descriptors, {fds} before", back, 5)
    more = rss_kib(pid) - rss
    # What a sanitizer keeps of what was freed is no leak; its own check is at the daemon's end.
    most = (16 << 10) if sanitized() else 512
    print(f"# {what}: {rounds} times, {fds} descriptors, RSS {rss} KiB and {more:+} KiB")
    true(more <= most, f"{what}: RSS grew by {more} KiB")


@test
def connections_leave_nothing(folder):
    with Vmnet(folder) as v:
        v.run_daemon(env=LEAN)
        pid = v.answers()
        with Member.join(v, "shared", "stays") as stays:
            stays.dhcp()

            def life(number):
                name = f"m{number % 16}"
                kind = "dgram" if number % 3 == 2 else "stream"
                with Member.join(v, "shared", name, kind=kind) as m:
                    if number % 4 == 0:
                        m.dhcp()
                        m.ping(m.gateway)
                    m.broadcast(b"hello")
                until("it has left", lambda: name not in v.members("shared"))
                stays.read()
                stays.inbox.clear()
            flat(v, pid, sized(500, 10000), life, "join and leave")
        same(v.answers(), pid)


@test
def requests_leave_nothing(folder):
    with Vmnet(folder) as v:
        v.run_daemon(env=LEAN)
        pid = v.answers()
        m = Member.join(v, "shared", "m")
        m.dhcp()

        def life(number):
            with v.control() as c:
                c.ask("list"), c.ask("status"), c.ask("leases"), c.ask("config")
                c.ask("forward-add", network="shared", proto="tcp", host=str(20000 + number % 5),
                      to="m", port="80")
                c.ask("forward-list")
                c.ask("link", network="shared", member="m", up=bool(number % 2))
                c.ask("limit", network="shared", member="m", rate=10000000 * (number % 2), burst=0)
                c.ask("forward-remove", network="shared", proto="tcp", host=str(20000 + number % 5))
        flat(v, pid, sized(300, 5000), life, "requests")
        m.close()


@test
def doors_leave_nothing(folder):
    with Vmnet(folder) as v:
        v.run_daemon(env=LEAN)
        pid = v.answers()

        def life(number):
            path = f"{folder}/d{number}"
            with v.control() as c:
                c.ask("attach", network="host", path=path, name=f"d{number % 8}", kind="stream")
                with Member.connect(path) as m:
                    m.broadcast(b"hello")
                c.ask("attach", network="host", path=path + "g", name=f"g{number % 8}",
                      kind="dgram")
            until("it is closed", lambda: not any(n.startswith(("d", "g"))
                                                  for n in v.members("host")))
        with Member.join(v, "host", "stays"):
            flat(v, pid, sized(300, 5000), life, "doors")


@test
def networks_leave_nothing(folder):
    with Vmnet(folder) as v:
        v.run_daemon(env=LEAN)
        pid = v.answers()
        keep = v.control()  # so that it does not end

        def life(number):
            name = f"n{number % 7}"
            mode = "shared" if number % 10 == 0 else "host"
            with v.control() as c:
                c.ask("create", name=name, definition={"mode": mode, "linger": 0})
                with Member.join(v, name, "m") as m:
                    if number % 5 == 0:
                        m.dhcp()
                until("it is down", lambda: not v.ask("status")["networks"])
                c.ask("delete", name=name)
        flat(v, pid, sized(300, 10000), life, "networks")
        same(sorted(n["name"] for n in v.ask("list")["networks"]), ["host", "shared"])
        keep.close()


@test
def idle_members_get_no_frame_of_others(folder):
    """What two members say to each other costs 22 others nothing: not a frame, not a wake-up."""
    with Vmnet(folder) as v:
        a, b = Member.join(v, "host", "a"), Member.join(v, "host", "b")
        idle = [Member.join(v, "host", f"i{n}") for n in range(22)]
        for m in (a, b, *idle):
            m.dhcp()
        for m in (a, b, *idle):
            m.drain(0.03)
        before = v.members("host")
        chunk = b"".join(struct.pack("!I", 1014) + ether(b.mac, a.mac, 0x88B5, bytes(1000))
                         for _ in range(50))
        count = sized(400, 4000)
        got = 0
        for _ in range(count):
            a.raw(chunk)
            b.read()
            got += len(b.inbox)
            b.inbox.clear()
        got += len(b.drain())
        after = v.members("host")
        same(got, count * 50, "frames that came")
        for m in idle:
            same(after[m.name]["tx_frames"] - before[m.name]["tx_frames"], 0, f"frames to {m.name}")
        same(after["b"]["dropped"], 0)
        for m in (a, b, *idle):
            m.close()


main()
