#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""D-12: descriptors run out, the disk is full, system calls fail or are cut short, clocks are set.
The daemon goes on, does not spin, and is well again when the fault ends."""

import os
import resource
import signal
import subprocess
import time

import frames
from members import Closed, Member
from outside import Echo
from vmnettest import (OUTSIDE4, Control, Refused, Skip, Vmnet, alive, cpu_s, has, main, open_fds,
                       peer, same, test, tool, true, until)

IDLE_CPU = 0.05
STATE = "{}/state"  # the file in the state folder


def calm(pid, seconds=1.0):
    """The share of a processor that it uses."""
    before, began = cpu_s(pid), time.monotonic()
    time.sleep(seconds)
    return (cpu_s(pid) - before) / (time.monotonic() - began)


@test
def few_descriptors(folder):
    """RLIMIT_NOFILE 64: who does not fit is refused in one line or waits; the rest is unhurt."""
    with Vmnet(folder) as v:
        v.run_daemon(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)))
        pid = v.answers()
        v.start("attach", "host", "--socket", folder + "/door", "--name", "door")
        until("the door", lambda: os.path.exists(folder + "/door"))
        members = [Member.join(v, "host", "first"), Member.join(v, "host", "second")]
        a, b = members
        a.dhcp(), b.dhcp()
        waiting = []
        for number in range(60):
            try:
                members.append(Member.join(v, "host", f"m{number}"))
            except (Refused, OSError, EOFError) as why:
                print(f"# after {len(members)} members: {type(why).__name__}: {why}")
                break
        true(len(members) < 60, "64 descriptors were enough")
        # More connections than can be taken wait or are closed; it does not spin on them.
        for _ in range(20):
            try:
                waiting.append(Control(v.socket, hello=False, timeout=0.5))
            except OSError:
                pass
            try:
                waiting.append(Member.connect(folder + "/door", seconds=0.5))
            except AssertionError:
                pass
        a.ping(b.ip)
        share = calm(pid)
        true(share < IDLE_CPU, f"it uses {share:.0%} of a processor")
        # The fault ends.
        for m in (*waiting, *members[2:]):
            m.close()
        until("it answers again", v.answers, 5)
        with Member.join(v, "host", "late") as late:
            late.dhcp()
            late.ping(a.ip)
        with Member.connect(folder + "/door") as m:
            m.dhcp()
        same(v.answers(), pid)
        for m in members[:2]:
            m.close()


@test
def a_full_disk(folder):
    """ENOSPC on the state file: leases are given all the same, and kept when there is room."""
    state = folder + "/disk"
    os.mkdir(state)
    mount = subprocess.run([tool("mount"), "-t", "tmpfs", "-o", "size=64k,mode=0700", "none",
                            state], stderr=subprocess.PIPE, check=False, text=True)
    if mount.returncode:
        if os.getuid():
            raise Skip("only root mounts a small disk")
        raise AssertionError(mount.stderr)
    try:
        with Vmnet(folder, env={"VMNET_STATE_DIR": state}) as v:
            v.state = state
            pid = v.ensure()
            with open(state + "/filler", "wb") as file:
                try:
                    while True:
                        os.write(file.fileno(), bytes(4096))
                except OSError:
                    pass
            with Member.join(v, "host", "m") as m, Member.join(v, "host", "n") as n:
                for member in (m, n):
                    same(member.dhcp().kind, frames.ACK, "without room for it")
                # Fill what was left of the last page, too.
                for number in range(200):
                    v.ask("limit", network="host", member="m", rate=1000000 + number, burst=0)
                m.ping(n.ip)
                until("it is told", lambda: "state file" in v.log(), 5)
                share = calm(pid)
                true(share < IDLE_CPU, f"it uses {share:.0%} of a processor")
                os.unlink(state + "/filler")
                v.ask("limit", network="host", member="m", rate=77000000, burst=0)
                time.sleep(1.5)
                address = m.ip
            os.kill(pid, signal.SIGKILL)
            v.daemon.wait()
            with Member.join(v, "host", "m") as m:
                same(m.dhcp().address, address, "the lease after the disk was full")
                same(v.members("host")["m"]["rate"], 77000000)
    finally:
        subprocess.run([tool("umount"), "-l", state], check=True)


# What strace makes of the daemon's system calls, and how often; the calls of a live data path.
INJECTED = [
    "sendmmsg:error=ENOBUFS:when=3+7",
    "sendmmsg:error=EINTR:when=2+5",
    "sendmsg:error=EAGAIN:when=2+3",
    "recvfrom:error=EINTR:when=3+4",
    "recvmmsg:error=EINTR:when=3+4",
    "recvmsg:error=EINTR:when=2+5",
    "epoll_wait,epoll_pwait:error=EINTR:when=3+6",
    "/write,pwrite64,writev:error=EIO:when=4+9",  # only of the state file: /
    "/write,pwrite64,writev:retval=1:when=5+11",
    "/fdatasync,fsync:error=EIO:when=1+2",
    "accept4:error=EMFILE:when=2+3",
    "accept4:error=ECONNABORTED:when=2+2",
    "getsockopt:error=ENOBUFS:when=5+9",
]


def faulty(folder, v, what, seconds=0.8):
    """A life with faults: nothing that is refused is more than refused."""
    log = folder + "/strace"
    only = ["-P", STATE.format(v.state)] if what.startswith("/") else []
    what = what.lstrip("/")
    v.run_daemon(prefix=[tool("strace"), "-f", "-qq", "-o", log, *only, "-e", "trace=" +
                         what.partition(":")[0], "-e", "inject=" + what],
                 env={"ASAN_OPTIONS": "detect_leaks=0"}, wait=20)
    refused = lost = good = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        a = b = None
        try:
            a = Member.join(v, "host", "a")
            b = Member.join(v, "host", "b", kind="dgram")
            v.ask("limit", network="host", member="a", rate=20000000, burst=20000)
            a.dhcp(seconds=3), b.dhcp(seconds=3)
            for _ in range(5):
                try:
                    a.ping(b.ip, seconds=0.3)
                    good += 1
                except AssertionError:
                    lost += 1
        except (Refused, EOFError, OSError, Closed):
            refused += 1
        except AssertionError:
            lost += 1
        finally:
            for m in (a, b):
                if m:
                    m.close()
    true(v.daemon.poll() is None, f"{what}: the daemon has ended: {v.log()}")
    with open(log, encoding="utf-8", errors="replace") as file:
        injected = file.read().count("(INJECTED)")
    print(f"# {what}: {injected} faults; {good} pings good, {lost} lost, {refused} refused")
    return injected, good


@test
def system_calls_that_fail(folder):
    hit = 0
    for number, what in enumerate(INJECTED):
        where = f"{folder}/{number}"
        os.mkdir(where)
        with Vmnet(where) as v:
            injected, good = faulty(where, v, what)
            hit += injected > 0
            true(good > 0 or injected == 0, f"{what}: nothing works")
            # strace is what was started; the daemon is its child
            with open(f"/proc/{v.daemon.pid}/task/{v.daemon.pid}/children", encoding="ascii") as f:
                pid = int(f.read().split()[0])
            if "epoll" not in what:
                share = calm(pid, 0.5)
                true(share < 2 * IDLE_CPU, f"{what}: it uses {share:.0%} of a processor")
    true(hit >= 8, f"only {hit} of {len(INJECTED)} kinds of faults were met")


@test
def signals_do_no_harm(folder):
    with Vmnet(folder) as v, Member.join(v, "host", "a") as a, Member.join(v, "host", "b") as b:
        a.dhcp(), b.dhcp()
        pid = v.answers()
        for number in range(300):
            os.kill(pid, [signal.SIGHUP, signal.SIGPIPE, signal.SIGSTOP,
                          signal.SIGCONT][number % 4])
            if number % 4 == 2:
                os.kill(pid, signal.SIGCONT)
            if number % 10 == 0:
                a.ping(b.ip)
        os.kill(pid, signal.SIGCONT)
        a.ping(b.ip)
        same(v.answers(), pid)


@test
def a_definition_that_becomes_wrong_is_not_taken(folder):
    with Vmnet(folder, "networks: {lab: {mode: host, mtu: 1400}}\n") as v:
        pid = v.ensure()
        v.write_config("networks: {lab: {mode: what}}\n")
        os.kill(pid, signal.SIGHUP)
        until("it is told", lambda: "networks.yaml:1:" in v.log())
        with Member.join(v, "lab", "m") as m:
            same(m.info["mtu"], 1400)
        try:
            v.ask("reload")
            raise AssertionError("a wrong file was taken")
        except Refused as why:
            has(str(why), "networks.yaml:1:")
        v.write_config("networks: {new: {mode: host, mtu: 1300}}\n")
        v.ask("reload")
        with Member.join(v, "new", "m") as m:
            same(m.info["mtu"], 1300)


@test
def clocks_are_set(folder):
    """The wall clock goes a year forward and back: leases stay, nobody gets another's address."""
    offset = folder + "/offset"

    def step(seconds):
        with open(offset + ".new", "w", encoding="ascii") as file:
            file.write(str(seconds))
        os.rename(offset + ".new", offset)
    step(0)
    with Vmnet(folder) as v:
        v.run_daemon(env={"LD_PRELOAD": peer("clockstep.so"), "CLOCKSTEP_FILE": offset})
        pid = v.answers()
        v.cli("create", "lab", "--mode", "host", "--subnet", "10.44.0.0/29", "--lease", "120")
        with Member.join(v, "lab", "a") as a, Member.join(v, "lab", "b") as b, \
                Member.join(v, "lab", "c") as c:
            first = (a.dhcp().address, b.dhcp().address)
            for seconds in (365 * 86400, -365 * 86400, 3600, 0):
                step(seconds)
                time.sleep(1.2)
                a.ping(b.ip)
                # Held leases are not given to a third, and the holders keep theirs.
                true(c.dhcp().address not in first, f"an address twice after {seconds} s")
                same((a.dhcp().address, b.dhcp().address), first, f"after {seconds} s")
                expires = [x["expires"] for x in v.ask("leases", network="lab")["leases"]
                           if x["state"] == "bound"]
                now = time.time() + seconds
                true(all(0 < e - now <= 125 for e in expires), f"they end {expires} at {now}")
                share = calm(pid, 0.5)
                true(share < IDLE_CPU, f"it uses {share:.0%} of a processor")
        same(v.answers(), pid)


@test
def the_outside_goes_away_and_comes_back(folder):
    """Network errors of this host are the NAT's own affair."""
    ip = tool("ip")
    if os.getuid():
        raise Skip("only root takes the outside away")
    with Vmnet(folder) as v, Echo(OUTSIDE4) as echo, Member.join(v, "shared", "m") as m:
        m.dhcp()
        same(m.udp_ask(OUTSIDE4, echo.port, b"1"), b"echo 1")
        subprocess.run([ip, "addr", "del", OUTSIDE4 + "/32", "dev", "lo"], check=True)
        try:
            for _ in range(20):
                m.udp(OUTSIDE4, echo.port, b"2")
            m.ping(m.gateway)
            m.drain()
        finally:
            subprocess.run([ip, "addr", "add", OUTSIDE4 + "/32", "dev", "lo"], check=True)

        def again():
            try:
                return m.udp_ask(OUTSIDE4, echo.port, b"3", seconds=0.3) == b"echo 3"
            except AssertionError:
                return False
        until("the outside is there again", again, 5)


@test
def an_idle_daemon_does_nothing(folder):
    with Vmnet(folder) as v, Member.join(v, "shared", "a") as a:
        a.dhcp()
        pid = v.answers()
        worker = v.network("shared")["uplink"]["pid"]
        time.sleep(0.5)
        for name, process in (("daemon", pid), ("worker", worker)):
            share = calm(process, 2.0)
            true(share < 0.02, f"the idle {name} uses {share:.1%} of a processor")
        true(alive(pid) and open_fds(pid) < 60, f"{open_fds(pid)} descriptors")


main()
