# SPDX-License-Identifier: BSD-2-Clause
"""What is asked of the daemon, printed and refused, command by command."""

import json
import os
import pty
import signal
import subprocess
import threading
import time

from cli_fake import Fake
from vmnettest import VMNET, has, main, same, test, true, until

MAC = "02:00:00:00:00:05"


@test
def version_and_help(folder):
    with Fake(folder, start=False) as f:
        has(f.run("--version").stdout, "vmnet 0.")
        text = f.run("--help").stdout
        for name in ("run", "attach", "create", "delete", "list", "status", "leases", "forward",
                     "link", "limit", "capture", "config", "daemon", "doctor"):
            has(text, f"  vmnet {name}")
            has(f.run(name, "--help").stdout, f"usage: vmnet {name}")
            same(f.run("help", name).stdout, f.run(name, "-h").stdout, "both forms of help")


@test
def unknown_words_get_one_line_and_the_nearest_name(folder):
    with Fake(folder, start=False) as f:
        f.refuses(says="what to do is missing")
        f.refuses("statsu", says="is it status?")
        f.refuses("xyzzy", says="no command xyzzy")
        f.refuses("--wat", says="no option --wat")
        f.refuses("status", "--wach", says="is it --watch?")
        f.refuses("limit", "a", "b", "--rte", "1", says="is it --rate?")
        f.refuses("list", "more", says="one argument too many")
        f.refuses("leases", "-x", says="no option -x")
        f.refuses("forward", "ad", says="it is add")
        f.refuses("config", "shwo", says="it is show")
        f.refuses("link", "shared", says="MEMBER is missing")
        f.refuses("status", "--watch=1", says="takes no value")
        f.refuses("attach", "shared", "--socket", says="--socket needs a value")
        f.refuses("run", "shared", "--name", "a", "--name", "b", "--", "true", says="twice")


@test
def tables_for_people(folder):
    with Fake(folder) as f:
        lines = f.run("list").stdout.splitlines()
        same(lines[0].split(), ["NAME", "MODE", "STATE", "SUBNET", "GATEWAY", "MEMBERS", "FROM"])
        has(lines[1], "shared", "192.168.70.0/24", "builtin")
        same(lines[2].split(), ["host", "host", "defined", "-", "-", "0", "builtin"])
        text = f.run("status").stdout
        has(text, "2h 3m", "12.3 MiB", "libslirp 4.7.0 is old", "vm1", "100 Mbit/s", "2.9 MiB")
        text = f.run("leases").stdout
        has(text, "192.168.70.2", "bound, reserved", "box?[31m")
        text = f.run("forward", "list").stdout
        has(text, "127.0.0.1:8080-8089", "[::1]:53", "failed: port 53 is in use")
        true("\033" not in text, "no colours where there is no terminal")


@test
def json_before_and_after(folder):
    with Fake(folder) as f:
        for args in (["--json", "list"], ["list", "--json"]):
            same([n["name"] for n in json.loads(f.run(*args).stdout)["networks"]],
                 ["shared", "host"])
        status = json.loads(f.run("status", "--json", "shared").stdout)
        same(status["networks"][0]["name"], "shared")
        f.asked(op="status", network="shared")
        same(json.loads(f.run("leases", "shared", "--json").stdout)["leases"][0]["name"], "vm1")
        same(len(json.loads(f.run("forward", "--json", "list").stdout)["forwards"]), 2)
        same(json.loads(f.run("delete", "own", "--json").stdout), {})
        true("checks" in json.loads(f.run("doctor", "--json", status=None).stdout), "doctor")
        same(list(json.loads(f.run("config", "show", "--json").stdout)["networks"]), ["shared"])


@test
def requests_as_they_are_on_the_wire(folder):
    with Fake(folder) as f:
        f.run("create", "own", "--mode", "host", "--subnet=10.9.0.0/24", "--gateway", "10.9.0.1",
              "--dhcp-start", "10.9.0.10", "--dhcp-end", "10.9.0.20", "--lease", "600",
              "--reserve", f"{MAC}=10.9.0.15", "--mtu", "9000", "--isolated", "--dns",
              "1.1.1.1,9.9.9.9", "--domain", "own.internal", "--allow",
              "uid:1000,gid:100,exe:/bin/sh")
        f.asked(op="create", name="own", definition={
            "mode": "host", "subnet": "10.9.0.0/24", "gateway": "10.9.0.1",
            "dhcp-start": "10.9.0.10", "dhcp-end": "10.9.0.20", "lease": 600,
            "reservations": [f"{MAC}=10.9.0.15"], "mtu": 9000, "isolated": True,
            "dns": ["1.1.1.1", "9.9.9.9"], "domain": "own.internal",
            "allow": ["uid:1000", "gid:100", "exe:" + os.path.realpath("/bin/sh")]})
        f.run("create", "two", "--no-dhcp")
        f.asked(op="create", name="two", definition={"dhcp": False})
        f.run("create", "six", "--nat66-prefix", "fd12:3456:789a:1::/64")
        f.asked(op="create", name="six", definition={"nat66-prefix": "fd12:3456:789a:1::/64"})
        f.run("delete", "own")
        f.asked(op="delete", name="own")
        f.run("forward", "add", "shared", "tcp", "127.0.0.1:8080-8089", "vm1", "80")
        f.asked(op="forward-add", network="shared", proto="tcp", host="127.0.0.1:8080-8089",
                to="vm1", port="80")
        f.run("forward", "remove", "shared", "udp", "53")
        f.asked(op="forward-remove", network="shared", proto="udp", host="53")
        f.run("forward", "remove", "shared", "udp", "53", "vm1", "53")
        f.asked(op="forward-remove", network="shared", proto="udp", host="53")
        f.run("link", "shared", "vm1", "down")
        f.asked(op="link", network="shared", member="vm1", up=False)
        f.run("limit", "shared", "vm1", "--rate", "100mbit", "--burst", "64k")
        f.asked(op="limit", network="shared", member="vm1", rate=100000000, burst=65536)
        f.run("limit", "shared", "vm1", "--rate=none")
        f.asked(op="limit", network="shared", member="vm1", rate=0, burst=0)
        f.run("detach", "shared", "vm1")
        f.asked(op="detach", network="shared", name="vm1")
        f.run("daemon", "--stop")
        f.asked(op="shutdown", force=False)


@test
def mistakes_are_told_before_anything_is_asked(folder):
    with Fake(folder, start=False) as f:
        f.refuses("link", "shared", "vm1", "sideways", says="up or down")
        f.refuses("limit", "shared", "vm1", says="--rate is missing")
        f.refuses("limit", "shared", "vm1", "--rate", "fast", says="fast")
        f.refuses("limit", "shared", "vm1", "--rate", "1mbit", "--burst", "-3", says="-3")
        f.refuses("forward", "add", "shared", "tcp", "99999", "vm1", "80", says="99999")
        f.refuses("forward", "add", "shared", "sctp", "80", "vm1", "80", says="sctp")
        f.refuses("forward", "add", "shared", "tcp", "80", "vm1", says="PORT is missing")
        f.refuses("run", "shared", says="COMMAND")
        f.refuses("run", "shared", "--", says="COMMAND")
        f.refuses("run", "shared", "true", says="put `--` before")
        f.refuses("run", "shared", "--mac", "01:00:00:00:00:01", "--", "true", says="--mac")
        f.refuses("run", "shared", "--mac", "02:00:00", "--", "true", says="02:00:00")
        f.refuses("run", "shared", "--name", "a b", "--", "true", says="a b")
        f.refuses("run", "shared", "--kind", "tap", "--", "true", says="stream or dgram")
        f.refuses("run", "-", "--", "true", says="network '-'")
        f.refuses("run", "shared", "--", "no-such-program", says="no such program in PATH")
        f.refuses("run", "shared", "--", "/etc/passwd", says="/etc/passwd")
        f.refuses("attach", "shared", says="--socket PATH is missing")
        f.refuses("attach", "shared", "--socket", "/" + "x" * 120, says="1 to 107 bytes")
        f.refuses("create", "own", "--mode", "bridged", says="bridged")
        f.refuses("create", "own", "--mtu", "many", says="--mtu many")
        f.refuses("create", "own", "--subnet", "10.0.0.0/33", says="10.0.0.0/33")
        f.refuses("create", "own", "--subnet", "10.9.0.0/24", "--gateway", "10.8.0.1",
                  says="gateway")
        f.refuses("create", "own", "--allow", "exe:/no/such", says="/no/such")
        f.refuses("create", "../own", says="../own")
        f.refuses("capture", "shared", "--count", "0", says="--count 0")
        f.refuses("config", "check", "/no/such.yaml", says="/no/such.yaml", status=None)
        f.refuses("daemon", "--force", says="--stop")


@test
def what_the_daemon_refuses(folder):
    with Fake(folder) as f:
        says = ("no network nosuch", "?[1mvmnet")
        f.refuses("leases", "nosuch", says=says)
        f.refuses("status", "nosuch", says=says)
        f.refuses("status", "nosuch", "--watch", says=says)
        f.refuses("run", "nosuch", "--", "true", says=says)
        f.refuses("attach", "nosuch", "--socket", "x.sock", says=says)
        f.refuses("capture", "nosuch", "-w", "x.pcapng", says=says)
        f.refuses("capture", "shared", "--member", "ghost", "-w", "x.pcapng", says="ghost")
        true(not os.path.exists(os.path.join(folder, "x.pcapng")), "no file for nothing")
        f.refuses("delete", "nosuch", says=says)
        f.refuses("run", "broken", "--", "true", status=1, says="no space left")


@test
def daemons_that_are_no_good(folder):
    os.mkdir(os.path.join(folder, "a"))
    with Fake(os.path.join(folder, "a"), version="9.9.9", protocol=2) as f:
        line = f.refuses("list", status=1, says=("version 9.9.9", "this is 0.", "pid"))
        has(line, str(f.daemon.pid))
        has(f.run("doctor", status=1).stdout, "version 9.9.9")
    os.mkdir(os.path.join(folder, "b"))
    with Fake(os.path.join(folder, "b"), version="0.0.9") as f:
        done = f.run("list")
        has(done.stderr, "version 0.0.9", "it goes on")
        same(done.stderr.count("\n"), 1, "lines")
    os.mkdir(os.path.join(folder, "c"))
    with Fake(os.path.join(folder, "c"), manner="shut") as f:
        f.refuses("list", status=1, says="closes the connection")
    os.mkdir(os.path.join(folder, "d"))
    with Fake(os.path.join(folder, "d"), manner="noise") as f:
        f.refuses("list", status=1, says="no message")
    os.mkdir(os.path.join(folder, "e"))
    with Fake(os.path.join(folder, "e"), start=False) as f:
        f.refuses("list", status=1, says="no daemon is running")
        os.chmod(f.runtime, 0o777)
        f.refuses("list", status=1, says="0777")
        f.env["VMNET_RUNTIME_DIR"] = "run"
        f.refuses("list", says="begins with /")


@test
def one_that_does_not_answer_is_given_up(folder):
    with Fake(folder, manner="mute") as f:
        began = time.monotonic()
        f.refuses("list", status=1, says="does not answer")
        true(time.monotonic() - began < 15, "in time")


@test
def captures(folder):
    with Fake(folder) as f:
        path = os.path.join(folder, "x.pcapng")
        same(f.run("capture", "shared", "-w", path, "--count", "2").stdout, "2 frames\n")
        f.asked(op="capture", network="shared", count=2)
        same(os.stat(path).st_mode & 0o777, 0o600, "mode of the file")
        with open(path, "rb") as file:
            same(file.read(), b"pcapng!")
        done = f.run("capture", "shared", "--member", "vm1", "-w", "-", "--count", "1")
        same((done.stdout, done.stderr), ("pcapng!", "1 frame\n"))
        f.asked(op="capture", network="shared", member="vm1", count=1)
        same(f.run("capture", "shared", "-w", path, "--count", "2", "--json").stdout,
             '{"frames":2}\n')
        proc = f.start("capture", "shared", "-w", path)
        until("it was asked", lambda: len(f.requests("capture")) == 4)
        time.sleep(0.1)
        proc.send_signal(signal.SIGINT)
        same(proc.communicate(timeout=5), ("3 frames\n", ""))
        same(proc.returncode, 0)
        # Not to a terminal.
        master, slave = pty.openpty()
        f.refuses_tty = subprocess.run([VMNET, "capture", "shared"], stdin=subprocess.DEVNULL,
                                       stdout=slave, stderr=subprocess.PIPE, text=True,
                                       env=f.env, check=False, timeout=5)
        same(f.refuses_tty.returncode, 2)
        has(f.refuses_tty.stderr, "a capture is no text")
        os.close(master)
        os.close(slave)


@test
def status_again_and_again(folder):
    with Fake(folder) as f:
        proc = f.start("status", "--watch", "--json")
        first, second = (json.loads(proc.stdout.readline()) for _ in range(2))
        same(first["networks"][0]["members"][0]["rx_bytes"], 1500)
        same(second["networks"][0]["members"][0]["rx_bytes"], 1501500)
        proc.send_signal(signal.SIGINT)
        same(proc.wait(5), 0)

        # On a terminal: drawn over, and q ends it.
        master, slave = pty.openpty()
        proc = subprocess.Popen([VMNET, "status", "--watch"], stdin=slave, stdout=slave,
                                stderr=slave, env=f.env)
        os.close(slave)
        seen = []

        def reader():
            try:
                while data := os.read(master, 65536):
                    seen.append(data)
            except OSError:
                pass

        thread = threading.Thread(target=reader)
        thread.start()
        until("rates", lambda: b"bit/s" in b"".join(seen).replace(b"100 Mbit/s", b""))
        os.write(master, b"q")
        same(proc.wait(5), 0)
        thread.join(5)
        os.close(master)
        text = b"".join(seen)
        has(text, b"\x1b[?1049h", b"\x1b[H", b"\x1b[?1049l", b"\x1b[?25h")


main()
