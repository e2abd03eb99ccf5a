#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""kill -9: of the daemon under load (D-7), of members (D-8)."""

import os
import random
import signal
import subprocess
import time

import frames
from members import Member, Node
from vmnettest import (LEAN, Vmnet, alive, child_of, main, open_fds, rss_kib, same, sanitized,
                       sized, test, tool, true, until)


def kill_daemon(v):
    pid = v.answers()
    true(pid, "a daemon")
    os.kill(pid, signal.SIGKILL)
    until("it is dead", lambda: not alive(pid), 5, 0.001)
    return time.monotonic()


@test
def members_survive_a_daemon_that_is_killed(folder):
    """D-7: stream members of `vmnet run` and clients of paths pass traffic again within 2 s; the
    leases are what they were, and no address is given twice."""
    path = folder + "/door"
    with Vmnet(folder) as v:
        v.cli("create", "lab", "--mode", "shared", "--subnet", "10.55.0.0/24")
        v.start("attach", "lab", "--socket", path, "--name", "door")
        v.cli("attach", "lab", "--socket", folder + "/left", "--name", "left", "--detach")
        until("the door", lambda: os.path.exists(path))
        nodes = [Node(v, "lab", "a", kind="stream"), Node(v, "lab", "b", kind="stream"),
                 Node(v, "lab", "g", kind="dgram"), Node(v, path=path, name="door", reconnect=True),
                 Node(v, path=folder + "/left", name="left", reconnect=True)]
        for n in nodes:
            n.udhcpc()
        a = nodes[0]
        # Load in both directions, for all the time.
        serve = nodes[1].start(tool("iperf3"), "-s")
        until("iperf3 listens", lambda: ":5201" in nodes[1].run(tool("ss"), "-ltn"))
        load = a.start(tool("iperf3"), "-c", nodes[1].ip, "-u", "-b", "80M", "--bidir", "-t",
                       "3600")

        def leases():
            return sorted((x["name"], x["address"], x["mac"]) for x in
                          v.ask("leases", network="lab")["leases"] if x["state"] == "bound")
        before = leases()
        same(len(before), 5)
        slowest = 0.0
        for number in range(sized(5, 50)):
            time.sleep(random.random() * 0.5)
            began = kill_daemon(v)
            for n in nodes[1:]:
                left = began + 5 - time.monotonic()
                while a.run(tool("busybox"), "ping", "-c", "1", "-W", "1", n.ip,
                            status=None).find("1 packets received") < 0:
                    left = began + 5 - time.monotonic()
                    true(left > 0, f"kill {number}: {n.name} is not there after 5 s")
                took = time.monotonic() - began
                true(took < 2.0, f"kill {number}: {n.name} after {took:.2f} s")
                slowest = max(slowest, took)
            same(leases(), before, f"leases after kill {number}")
            same(sorted(v.members("lab")), ["a", "b", "door", "g", "left"])
            with Member.join(v, "lab", f"new{number}") as m:
                true(m.dhcp().address not in [x[1] for x in before], "an address twice")
            before = leases()
            true(load.poll() is None, f"the load ended: {load.poll()}")
        print(f"# slowest way back {slowest:.2f} s")
        load.kill()
        serve.kill()
        for n in nodes:
            true(n.proc.poll() is None, f"{n.name} has ended")
            n.close()


@test
def a_transfer_survives(folder):
    """TCP goes on over a new daemon, and no byte is wrong: a stream is taken up at a frame."""
    with Vmnet(folder) as v, Node(v, "host", "a") as a, Node(v, "host", "b") as b:
        a.udhcpc(), b.udhcpc()
        size = sized(150, 2000) * 1000000
        python = "/usr/bin/python3"
        serve = b.start(python, "-c", "import hashlib, socket\n"
                        "s = socket.socket(); s.bind(('0.0.0.0', 4000)); s.listen()\n"
                        "print('ready', flush=True); c, _ = s.accept(); h = hashlib.sha256()\n"
                        "n = 0\nwhile True:\n    d = c.recv(1 << 18)\n    if not d: break\n"
                        "    h.update(d); n += len(d)\nprint(n, h.hexdigest())\n")
        serve.stdout.readline()
        send = a.start(python, "-c", "import hashlib, os, socket\n"
                       f"s = socket.create_connection(('{b.ip}', 4000)); h = hashlib.sha256()\n"
                       f"left = {size}\nblock = os.urandom(1 << 20)\nwhile left:\n"
                       "    d = block[:left]; s.sendall(d); h.update(d); left -= len(d)\n"
                       f"print({size}, h.hexdigest())\n")
        kills = 0
        while send.poll() is None and kills < sized(4, 50):
            time.sleep(0.2 + random.random() * 0.3)
            if send.poll() is None:
                kill_daemon(v)
                kills += 1
                until("another daemon", v.answers, 3)
        sent = send.communicate(timeout=50)[0].decode()
        got = serve.communicate(timeout=20)[0].decode()
        same(got.strip(), sent.strip(), f"after {kills} kills")
        true(kills >= 1, "no kill in time")
        print(f"# {kills} kills during {size // 1000000} MB")
        for name in ("a", "b"):
            same(v.members("host")[name]["bad"], 0, "frames that were no frames")


@test
def forwards_and_limits_survive(folder):
    with Vmnet(folder) as v, Node(v, "shared", "web") as web:
        web.udhcpc()
        v.cli("forward", "add", "shared", "tcp", "8099", "web", "80")
        v.cli("limit", "shared", "web", "--rate", "50mbit")
        v.cli("link", "shared", "web", "down")
        kill_daemon(v)
        until("it is back", lambda: v.answers() and v.members("shared").get("web"), 3)
        member = v.members("shared")["web"]
        same((member["rate"], member["link"]), (50000000, "down"))
        until("the forward is open", lambda: [f["state"] for f in v.ask("forward-list")["forwards"]]
              == ["open"], 3)


@test
def members_that_are_killed_leave_nothing(folder):
    """D-8: ports, descriptors and leases come back."""
    with Vmnet(folder, env=LEAN) as v:
        # 20 addresses for many more clients: those of the dead are given again.
        v.cli("create", "small", "--mode", "host", "--subnet", "10.56.0.0/24", "--dhcp-start",
              "10.56.0.10", "--dhcp-end", "10.56.0.29")
        with Member.join(v, "small", "honest") as honest:
            honest.dhcp()
            pid = v.answers()
            first = None
            for number in range(sized(30, 200)):
                name = f"vm{number}"
                if number % 3:
                    # what `vmnet run` runs dies, or `vmnet run` itself, or both at once
                    proc = v.start("run", "small", "--name", name, "--", "sleep", "1000",
                                   stdout=subprocess.DEVNULL)
                    until("it is there", lambda n=name: n in v.members("small"))
                    child = until("its command runs", lambda p=proc: child_of(p.pid))
                    if number % 3 == 1:
                        os.kill(child, signal.SIGKILL)
                        same(proc.wait(5), 137)
                    else:
                        proc.kill()
                        proc.wait()
                        os.kill(child, signal.SIGKILL)
                    v.started.remove(proc)
                else:
                    m = Member.join(v, "small", name)
                    same(m.dhcp(seconds=6).kind, frames.ACK, f"lease of {name}")
                    child = os.fork()
                    if child == 0:
                        time.sleep(100)  # has a copy of the socket, and dies with it
                        os._exit(0)
                    m.close()
                    os.kill(child, signal.SIGKILL)
                    os.waitpid(child, 0)
                until(f"{name} is gone", lambda n=name: n not in v.members("small"), 3)
                if number == 8:
                    first = (open_fds(pid), rss_kib(pid))
            until("descriptors", lambda: open_fds(pid) <= first[0], 3)
            true(rss_kib(pid) - first[1] < (32768 if sanitized() else 4096),
                 f"RSS {first[1]} -> {rss_kib(pid)} KiB")
            same(v.answers(), pid)
            same(sorted(v.members("small")), ["honest"])
            honest.ping(honest.gateway)
            same(honest.dhcp().kind, frames.ACK)


main()
