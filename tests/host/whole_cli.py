#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The command line with its daemon: what is printed, exit statuses, mistakes, start and end."""

import os
import signal
import socket
import subprocess
import threading
import time

import vmnettest
from members import Member
from vmnettest import (Control, Refused, Vmnet, alive, has, main, others, same, test, true, until)


@test
def built_in_networks_are_listed(folder):
    with Vmnet(folder) as v:
        nets = {n["name"]: n for n in v.json("list")["networks"]}
        same(sorted(nets), ["host", "shared"])
        for name in nets:
            same(nets[name]["mode"], name)
            same(nets[name]["source"], "builtin")
            same(nets[name]["state"], "defined")
            same(nets[name]["members"], 0)
            for key in ("subnet", "gateway"):
                true(key in nets[name], f"list: {key}")
        has(v.cli("list").stdout, "shared", "host")


@test
def create_status_delete(folder):
    with Vmnet(folder) as v:
        v.cli("create", "lab", "--mode", "host", "--subnet", "10.77.1.0/24", "--gateway",
              "10.77.1.254", "--dhcp-start", "10.77.1.10", "--dhcp-end", "10.77.1.20", "--mtu",
              "9000", "--domain", "lab.test")
        lab = [n for n in v.json("list")["networks"] if n["name"] == "lab"][0]
        same((lab["subnet"], lab["gateway"], lab["source"], lab["mode"]),
             ("10.77.1.0/24", "10.77.1.254", "command", "host"))
        with Member.join(v, "lab", "one") as one:
            same((one.info["mtu"], one.info["gateway"]), (9000, "10.77.1.254"))
            ack = one.dhcp(hostname="first")
            same(ack.address, "10.77.1.10")
            one.ping("10.77.1.254")
            status = v.json("status", "lab")
            for key in ("pid", "version", "uptime", "rss", "warnings"):
                true(key in status["daemon"], f"status: daemon.{key}")
            net, = status["networks"]
            for key in ("name", "mode", "subnet", "gateway", "mtu", "uplink", "members"):
                true(key in net, f"status: networks.{key}")
            member, = net["members"]
            same((member["name"], member["mac"], member["address"], member["link"], member["kind"],
                  member["connected"], member["rate"]),
                 ("one", one.mac, "10.77.1.10", "up", "stream", True, 0))
            for key in ("rx_frames", "rx_bytes", "tx_frames", "tx_bytes"):
                true(member[key] > 0, f"status: {key} is {member[key]}")
            same((member["dropped"], member["bad"]), (0, 0))
            lease, = v.json("leases", "lab")["leases"]
            same((lease["network"], lease["address"], lease["mac"], lease["name"],
                  lease["hostname"], lease["state"], lease["reserved"]),
                 ("lab", "10.77.1.10", one.mac, "one", "first", "bound", False))
            true(0 < lease["expires"] - time.time() < 100000, f"expires {lease['expires']}")
            has(v.cli("status").stdout, "lab", "one", "10.77.1.10")
            has(v.cli("leases").stdout, "10.77.1.10", one.mac)
            v.refuses("delete", "lab", has_text=["lab"])  # it is up
        until("lab is down or empty", lambda: not v.members("lab"))
        until("lab is down", lambda: not v.ask("status")["networks"], 10)
        v.cli("delete", "lab")
        same(sorted(n["name"] for n in v.json("list")["networks"]), ["host", "shared"])
        v.refuses("delete", "lab", has_text=["lab"])


@test
def created_networks_outlive_the_daemon(folder):
    with Vmnet(folder) as v:
        v.cli("create", "keep", "--mode", "shared", "--subnet", "10.78.0.0/24", "--isolated",
              "--reserve", "02:00:00:00:00:09=10.78.0.9", "--lease", "600")
        v.cli("daemon", "--stop")
        until("no daemon", lambda: not v.answers())
        v.ensure()
        shown = v.json("config", "show")["networks"]["keep"]
        same((shown["subnet"], shown["isolated"]), ("10.78.0.0/24", True))
        with Member.join(v, "keep", "r", "02:00:00:00:00:09") as m:
            ack = m.dhcp()
            same((ack.address, ack.lease), ("10.78.0.9", 600))


@test
def a_file_defines_networks(folder):
    config = """
networks:
  lab:
    mode: host
    subnet: 10.79.0.0/24
    gateway: 10.79.0.1
    dhcp: {start: 10.79.0.100, end: 10.79.0.110, lease: 7200}
    reservations:
      - {mac: "02:00:00:00:00:05", address: 10.79.0.5}
      - {name: web, address: 10.79.0.80}
    domain: lab.example
    search: [lab.example, corp.example]
    mtu: 1400
    linger: 1
"""
    with Vmnet(folder, config) as v:
        v.cli("config", "check")
        lab = [n for n in v.json("list")["networks"] if n["name"] == "lab"][0]
        same((lab["source"], lab["subnet"]), ("file", "10.79.0.0/24"))
        with Member.join(v, "lab", "web") as web, Member.join(v, "lab", "b", "02:00:00:00:00:05") \
                as b, Member.join(v, "lab", "c") as c:
            ack = web.dhcp()
            same((ack.address, ack.mask, ack.router, ack.dns, ack.domain, ack.mtu, ack.lease),
                 ("10.79.0.80", "255.255.255.0", None if ack.router is None else "10.79.0.1",
                  "10.79.0.1", "lab.example", 1400, 7200))
            same(b.dhcp().address, "10.79.0.5")
            same(c.dhcp().address, "10.79.0.100")
            same([r[2] for r in c.dns("web.lab.example").records], ["10.79.0.80"])
            same(v.json("leases")["leases"][0].keys() >= {"network", "address", "mac"}, True)
        until("lab is down after its linger time", lambda: not v.ask("status")["networks"], 4)


@test
def a_mistake_in_the_file_is_told_by_line_and_column(folder):
    bad = [
        ("networks:\n  lab:\n    mode: bridged\n", ":3:", "bridged"),
        ("networks:\n  lab:\n    mode: host\n    subnet: 10.0.0.0/33\n", ":4:", "10.0.0.0/33"),
        ("networks:\n  lab:\n    colour: red\n", ":3:", "colour"),
        ("networks:\n  lab: {mode: host\n", ":3:", ""),
        ("networks:\n  a: {mode: host, subnet: 10.1.0.0/16}\n"
         "  b: {mode: host, subnet: 10.1.2.0/24}\n", ":3:", "overlap"),
        ("networks:\n  lab:\n    mtu: 12\n", ":3:", "12"),
    ]
    with Vmnet(folder) as v:
        for text, where, what in bad:
            v.write_config(text)
            # `config check` itself, and whatever would start a daemon with it
            for args in (("config", "check"), ("list",), ("run", "shared", "--", "true")):
                v.refuses(*args, has_text=["networks.yaml" + where, what])
        v.refuses("config", "check", os.path.join(folder, "none.yaml"), has_text=["none.yaml"])


@test
def mistakes_are_one_line_and_status_2(folder):
    with Vmnet(folder) as v:
        # Of the command line alone: no daemon is needed, none is started.
        for args, text in [
                (("frobnicate",), "frobnicate"),
                (("list", "--colour"), "--colour"),
                (("run", "shared"), "COMMAND"),
                (("run", "shared", "--mac", "01:00:00:00:00:01", "--", "true"),
                 "01:00:00:00:00:01"),
                (("run", "shared", "--kind", "tap", "--", "true"), "tap"),
                (("run", "shared", "--name", "a b", "--", "true"), "a b"),
                (("run", "shared", "--", "/none/such"), "/none/such"),
                (("create", "x", "--mode", "bridged"), "bridged"),
                (("limit", "shared", "x", "--rate", "fast"), "fast"),
                (("forward", "add", "shared", "sctp", "80", "x", "80"), "sctp"),
                (("link", "shared", "x", "sideways"), "sideways")]:
            v.refuses(*args, has_text=[text])
        true(not v.answers(), "a mistake should start no daemon")
        v.ensure()
        for args, text in [
                (("run", "nowhere", "--", "true"), "nowhere"),
                (("attach", "nowhere", "--socket", folder + "/s"), "nowhere"),
                (("leases", "nowhere"), "nowhere"),
                (("status", "nowhere"), "nowhere"),
                (("capture", "nowhere"), "nowhere"),
                (("forward", "add", "nowhere", "tcp", "8080", "x", "80"), "nowhere"),
                (("link", "shared", "x", "up"), "shared"),
                (("detach", "shared", "x"), "x"),
                (("create", "x", "--subnet", "10.0.0.0/31"), "/31"),
                (("create", "x", "--subnet", "10.0.0.0/24", "--gateway", "10.0.1.1"), "10.0.1.1"),
                (("create", "x", "--mtu", "100"), "100"),
                (("create", "x", "--subnet", "10.0.0.0/24", "--reserve",
                  "02:00:00:00:00:01=10.9.0.1"), "10.9.0.1"),
                (("attach", "shared", "--socket", "/" + "x" * 120), "socket")]:
            v.refuses(*args, has_text=[text])
        with Member.join(v, "shared", "here"):
            v.refuses("link", "shared", "gone", "up", has_text=["gone", "shared"])
            v.refuses("run", "shared", "--name", "here", "--", "true", has_text=["here"])


@test
def overlapping_subnets_are_refused_with_both_names(folder):
    with Vmnet(folder, "networks: {one: {mode: host, subnet: 10.80.0.0/16}}\n") as v:
        v.refuses("create", "two", "--mode", "host", "--subnet", "10.80.5.0/24",
                  has_text=["one", "two"])
        v.cli("create", "three", "--mode", "host", "--subnet", "10.81.0.0/24")
        v.refuses("create", "four", "--mode", "host", "--subnet", "10.81.0.128/25",
                  has_text=["three", "four"])


@test
def automatic_subnets_avoid_each_other_and_the_host(folder):
    with Vmnet(folder) as v:
        with Member.join(v, "shared") as a, Member.join(v, "host") as b:
            first = v.network("shared")["subnet"]
            true(first != v.network("host")["subnet"], "two networks, one subnet")
            a.dhcp(), b.dhcp()
        v.close()
        # The host gets an address in what was chosen: another is taken the next time.
        if os.getuid() == 0:
            ip = vmnettest.tool("ip")
            address = first.replace(".0/24", ".77/24")
            subprocess.run([ip, "addr", "add", address, "dev", "lo"], check=True)
            try:
                v.daemon = None
                with Member.join(v, "shared"):
                    true(v.network("shared")["subnet"] != first, f"{first} is the host's own")
            finally:
                subprocess.run([ip, "addr", "del", address, "dev", "lo"], check=True)


@test
def run_gives_back_the_status_of_its_command(folder):
    with Vmnet(folder) as v:
        v.cli("run", "host", "--", "true")
        v.cli("run", "host", "--", "sh", "-c", "exit 7", status=7)
        v.cli("run", "host", "--", "sh", "-c", "kill -9 $$", status=137)
        text = v.cli("run", "host", "--name", "n1", "--mac", "02:00:00:00:00:31", "--", "sh", "-c",
                     "echo $VMNET_FD $VMNET_MAC $VMNET_NAME $VMNET_NETWORK $VMNET_MTU {fd} {mac}; "
                     "readlink /proc/self/fd/$VMNET_FD").stdout.split()
        same(text[1:5], ["02:00:00:00:00:31", "n1", "host", "1500"])
        same((text[0], text[6]), (text[5], "02:00:00:00:00:31"))
        true(text[7].startswith("socket:"), f"the descriptor is {text[7]}")
        done = v.cli("run", "host", "--", "sh", "-c", "echo out; echo err >&2; cat", input=None)
        same((done.stdout, done.stderr), ("out\n", "err\n"))


@test
def control_c_ends_command_and_membership(folder):
    with Vmnet(folder) as v:
        for sig in (signal.SIGINT, signal.SIGTERM):
            proc = v.start("run", "host", "--name", "c", "--", "sleep", "100",
                           start_new_session=True)
            until("it is a member", lambda: "c" in v.members("host"))
            until("its command runs", lambda p=proc: vmnettest.child_of(p.pid))
            if sig == signal.SIGINT:
                os.killpg(proc.pid, sig)  # as a terminal does
            else:
                proc.send_signal(sig)
            # By the terminal, sleep has it at once; by kill, we pass it on.
            if sig == signal.SIGINT:
                time.sleep(0.1)
                if proc.poll() is None:
                    proc.send_signal(sig)
            same(proc.wait(5), 128 + sig)
            until("it has left", lambda: "c" not in v.members("host"))
        proc = v.start("attach", "host", "--socket", folder + "/s")
        until("the socket is there", lambda: os.path.exists(folder + "/s"))
        proc.send_signal(signal.SIGINT)
        same(proc.wait(5), 0)
        true(not os.path.exists(folder + "/s"), "attach leaves its socket behind")


@test
def many_commands_at_once_start_one_daemon(folder):
    with Vmnet(folder) as v:
        procs = [subprocess.Popen([vmnettest.VMNET, "status", "--json"], env=v.env,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                 for _ in range(12)]
        pids = set()
        for proc in procs:
            out, err = proc.communicate(timeout=20)
            same(proc.returncode, 0, err.decode())
            pids.add(vmnettest.json.loads(out)["daemon"]["pid"])
        same(len(pids), 1, f"daemons {pids}")


@test
def network_and_daemon_end_when_idle(folder):
    with Vmnet(folder) as v:
        v.cli("create", "brief", "--mode", "host", "--linger", "1")
        v.cli("run", "brief", "--", "true")
        pid = v.answers()
        true(pid, "the daemon is there still")
        same([n["name"] for n in v.ask("status")["networks"]], ["brief"])
        until("the network is gone", lambda: not v.ask("status")["networks"], 4)
        until("the daemon has ended", lambda: not alive(pid), 15, 0.2)
        true(not os.path.exists(v.socket), "the socket is left behind")
        same(others(), {}, "processes left")


@test
def a_member_keeps_the_daemon(folder):
    with Vmnet(folder) as v:
        pid = v.ensure()
        with Member.join(v, "host", "here"):
            v.refuses("daemon", "--stop", has_text=["1 member"])
            same(v.answers(), pid)


@test
def a_stale_socket_is_no_hindrance(folder):
    with Vmnet(folder) as v:
        os.mkdir(v.runtime, 0o700)
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(v.socket)
        v.cli("run", "host", "--", "true")
        # and after kill -9, with all that was left
        pid = v.answers()
        os.kill(pid, signal.SIGKILL)
        until("it is dead", lambda: not alive(pid))
        true(os.path.exists(v.socket), "kill -9 leaves the socket")
        v.cli("run", "host", "--", "true")
        # of an attachment
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(folder + "/door")
        v.start("attach", "host", "--socket", folder + "/door")
        Member.connect(folder + "/door").close()
        # what is no socket is never removed
        with open(folder + "/file", "w", encoding="ascii") as file:
            file.write("precious")
        v.refuses("attach", "host", "--socket", folder + "/file", has_text=[folder + "/file"])
        with open(folder + "/file", encoding="ascii") as file:
            same(file.read(), "precious")


@test
def a_daemon_of_another_version_is_told(folder):
    with Vmnet(folder) as v:
        os.mkdir(v.runtime, 0o700)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(v.socket)
            server.listen()

            def serve():
                while True:
                    try:
                        conn, _ = server.accept()
                    except OSError:
                        return
                    with conn:
                        conn.recv(4096)
                        conn.sendall(b'{"ok":false,"error":"this daemon (pid 4711) is version '
                                     b'9.9 and speaks protocol 99, the client is version '
                                     b'0.1.0","kind":"user"}\n')
            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
            line = v.refuses("list", has_text=["9.9"])
            true("4711" in line or "stop" in line, f"what to do: {line}")
            server.shutdown(socket.SHUT_RDWR)
            thread.join(5)
        os.unlink(v.socket)
        # and the other way round: a client of another version
        v.ensure()
        try:
            Control(v.socket, version="0.0.1", protocol=99).close()
            raise AssertionError("protocol 99 was accepted")
        except Refused as why:
            has(str(why), "protocol 1", "0.0.1")


@test
def no_permission_is_told(folder):
    with Vmnet(folder) as v:
        if vmnettest.real_root():
            os.mkdir(v.runtime, 0o700)
            os.chown(v.runtime, 12345, 12345)
            for args in (("list",), ("run", "host", "--", "true")):
                done = v.cli(*args, status=None)
                true(done.returncode in (1, 2), f"status {done.returncode}")
                has(done.stderr, v.runtime)
                same(len(done.stderr.strip().splitlines()), 1)
            os.chown(v.runtime, 0, 0)
        elif os.getuid() == 0:
            raise vmnettest.Skip("the root of a user namespace may write to all that is its own")
        else:
            locked = os.path.join(folder, "locked")
            os.mkdir(locked, 0o500)
            v.env["VMNET_STATE_DIR"] = locked + "/state"
            done = v.cli("list", status=None)
            true(done.returncode in (1, 2), f"status {done.returncode}")
            has(done.stderr, locked)
            v.env["VMNET_STATE_DIR"] = v.state
            v.env["VMNET_RUNTIME_DIR"] = locked + "/run"
            done = v.cli("list", status=None)
            true(done.returncode in (1, 2), f"status {done.returncode}")
            has(done.stderr, locked)
            same(len(done.stderr.strip().splitlines()), 1)


@test
def with_no_start_nothing_is_started(folder):
    with Vmnet(folder, env={"VMNET_NO_START": "1"}) as v:
        done = v.cli("run", "host", "--", "true", status=None)
        true(done.returncode in (1, 2) and len(done.stderr.strip().splitlines()) == 1,
             f"status {done.returncode}, {done.stderr!r}")
        true(not v.answers(), "a daemon was started")


@test
def watch_prints_again_and_again(folder):
    with Vmnet(folder) as v, Member.join(v, "host", "w") as m:
        proc = v.start("status", "--watch", "--json")
        for _ in range(2):
            event = vmnettest.json.loads(proc.stdout.readline())
            same([x["name"] for n in event["networks"] for x in n["members"]], ["w"])
            m.broadcast(b"hello")
        proc.send_signal(signal.SIGINT)
        true(proc.wait(5) in (0, 130), f"status {proc.returncode}")


@test
def doctor_and_version(folder):
    with Vmnet(folder) as v:
        v.cli("doctor")
        v.json("doctor")
        has(v.cli("--version").stdout, "0.1.0")
        has(v.cli("--help").stdout, "run", "attach", "capture")
        for name in ("run", "attach", "create", "forward", "limit", "capture", "daemon"):
            has(v.cli(name, "--help").stdout, name)


main()
