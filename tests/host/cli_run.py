# SPDX-License-Identifier: BSD-2-Clause
"""vmnet run and attach: what the command gets, how it ends, and that it outlives the daemon."""

import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time

from cli_fake import Fake
from vmnettest import VMNET, has, main, same, test, tool, true, until

MAC = "02:00:00:00:00:05"

# Says what it was given, and tries the socket.
TELL = f"""#!{sys.executable}
import json, os, socket, struct, sys
fd = int(os.environ.get("VMNET_FD", -1))
sock = socket.socket(fileno=os.dup(fd))
stream = sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == socket.SOCK_STREAM
frame = b"x" * 60
sock.send(struct.pack(">I", 60) + frame if stream else frame)
got = sock.recv(100)
open_ = [int(n) for n in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + n)]
env = {{k: v for k, v in os.environ.items() if k.startswith("VMNET_")}}
json.dump({{"argv": sys.argv, "env": env, "stream": stream, "echo": got[-60:] == frame,
           "fds": open_}}, open("told.tmp", "w"))
os.rename("told.tmp", "told")
"""

# Sends a numbered frame every 20 ms and writes down when each came back.
TALK = f"""#!{sys.executable}
import os, select, socket, struct, sys, time
sock = socket.socket(fileno=int(os.environ["VMNET_FD"]))
log, n, buffer = open("times", "w"), 0, b""
while True:
    n += 1
    try:
        sock.sendall(struct.pack(">I", 60) + struct.pack(">Q", n).ljust(60, b"."))
    except BrokenPipeError:
        sys.exit(9)
    if select.select([sock], [], [], 0.02)[0]:
        data = sock.recv(65536)
        if not data:
            log.write("closed\\n")
            log.flush()
            sys.exit(9)
        buffer += data
    while len(buffer) >= 64:
        log.write(f"{{time.monotonic()}} {{struct.unpack('>Q', buffer[4:12])[0]}}\\n")
        log.flush()
        buffer = buffer[64:]
    time.sleep(0.02)
"""


def told(f):
    return json.loads(f.read("told"))


@test
def the_command_gets_descriptor_and_environment(folder):
    with Fake(folder, mtu=9000) as f:
        f.program("vm", TELL)
        f.run("run", "shared", "--name", "web", "--mac", MAC, "--", "vm", "--net={fd},{fd}",
              "{mac}", "--", "--name")
        f.asked(op="join", network="shared", name="web", mac=MAC, kind="stream")
        same(f.requests("join")[0]["descriptors"], 1, "descriptors")
        got = told(f)
        fd = got["env"]["VMNET_FD"]
        same(got["argv"][1:], [f"--net={fd},{fd}", MAC, "--", "--name"], "arguments")
        same(got["env"]["VMNET_MAC"], MAC)
        same(got["env"]["VMNET_NAME"], "web")
        same(got["env"]["VMNET_MTU"], "9000")
        same(got["env"]["VMNET_NETWORK"], "shared")
        true(got["stream"] and got["echo"], "a stream that works")
        # Three of its own, the socket, the copy it made, and the folder it reads: nothing of ours.
        true(len(got["fds"]) <= 5, f"descriptors {got['fds']}")
        os.unlink(os.path.join(folder, "told"))
        f.run("run", "shared", "--kind=dgram", "--", "./vm")
        f.asked(op="join", network="shared", kind="dgram")
        got = told(f)
        same(got["env"]["VMNET_NAME"], "vm-chosen", "the daemon's choice")
        true(not got["stream"] and got["echo"], "datagrams that work")


@test
def exit_statuses(folder):
    with Fake(folder) as f:
        same(f.run("run", "shared", "--", "sh", "-c", "exit 0").returncode, 0)
        f.run("run", "shared", "--", "sh", "-c", "exit 7", status=7)
        f.run("run", "shared", "--", "sh", "-c", "kill -9 $$", status=128 + 9)
        f.run("run", "shared", "--", "sh", "-c", "kill -TERM $$", status=128 + 15)
        f.program("bad", "#!/no/such/interpreter\n")
        f.refuses("run", "shared", "--", "bad", says="cannot be executed")
        asked = len(f.requests())
        f.refuses("run", "shared", "--", "nowhere", says="nowhere")
        same(len(f.requests()), asked, "it is not even asked for")


@test
def signals_are_passed_on(folder):
    with Fake(folder) as f:
        f.program("vm", "#!/bin/sh\ntrap 'echo term >>got; exit 3' TERM\n"
                        "trap 'echo int >>got' INT\ntrap 'echo hup >>got' HUP\n"
                        "trap 'echo usr1 >>got' USR1\n"
                        "echo ready >>got\nwhile :; do sleep 0.02; done\n")
        proc = f.start("run", "shared", "--", "vm")
        has(f.read("got"), "ready")
        for number, word in ((signal.SIGINT, "int"), (signal.SIGHUP, "hup"),
                             (signal.SIGUSR1, "usr1")):
            proc.send_signal(number)
            until(word, lambda word=word: word in f.read("got").split())
            same(proc.poll(), None, "we wait for the command")
        proc.send_signal(signal.SIGTERM)
        same(proc.wait(5), 3, "its status, not ours")


def in_shell(f, master, slave, command):
    """The command as the foreground job of an interactive shell."""
    def controlling():
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

    return subprocess.Popen(["bash", "--norc", "-i", "-c", command], stdin=slave, stdout=slave,
                            stderr=slave, env=f.env, cwd=f.folder, preexec_fn=controlling)


@test
def keys_of_the_terminal_reach_the_command_once(folder):
    with Fake(folder) as f:
        f.program("vm", "#!/bin/sh\ntrap 'echo int >>got' INT\n"
                        "trap 'echo quit >>got; exit 4' QUIT\n"
                        "echo ready >>got\nread line\necho $line >>got\n"
                        "while :; do sleep 0.02; done\n")
        master, slave = pty.openpty()
        shell = in_shell(f, master, slave, f"{VMNET} run shared -- vm; echo $? >status")
        has(f.read("got"), "ready")
        os.write(master, b"typed\n")
        until("what was typed", lambda: "typed" in f.read("got"))
        os.write(master, b"\x03")
        until("Ctrl-C", lambda: "int" in f.read("got"))
        time.sleep(0.3)
        same(f.read("got").split().count("int"), 1, "Ctrl-C")
        os.write(master, b"\x1c")
        same(f.read("status").strip(), "4")
        shell.wait(5)
        os.close(master)
        os.close(slave)


@test
def stopped_and_continued_with_the_command(folder):
    with Fake(folder) as f:
        f.program("vm", "#!/bin/sh\necho $$ >pid\nwhile [ ! -e end ]; do sleep 0.02; done\n")
        master, slave = pty.openpty()
        shell = in_shell(f, master, slave,
                         f"set -m; {VMNET} run shared -- vm; echo stopped >after; "
                         "sleep 0.2; fg; echo $? >status")
        pid = int(f.read("pid"))
        time.sleep(0.1)
        os.write(master, b"\x1a")
        has(f.read("after"), "stopped")
        time.sleep(0.5)
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            true(file.read().rpartition(")")[2].split()[0] != "T", "the command goes on after fg")
        with open(os.path.join(folder, "end"), "w", encoding="ascii"):
            pass
        same(f.read("status").strip(), "0")
        shell.wait(5)
        os.close(master)
        os.close(slave)


def shapes(f, name, *args, options=()):
    """What a VMM of that name is called with, after its own arguments, the number as {fd}."""
    f.program(name, TELL)
    if os.path.exists(os.path.join(f.folder, "told")):
        os.unlink(os.path.join(f.folder, "told"))
    f.run("run", "shared", "--mac", MAC, *options, "--", name, *args)
    got = told(f)
    fd = got["env"]["VMNET_FD"]
    return [a.replace(f"str={fd}", "str={fd}").replace(f"fd={fd}", "fd={fd}")
            for a in got["argv"][1 + len(args):]]


# A QEMU of a version; otherwise as TELL.
def qemu(version, tell=TELL):
    return tell.replace("import json,", f"""import sys
if "--version" in sys.argv:
    print("QEMU emulator version {version} (Debian 1:{version})")
    sys.exit()
import json,""")


@test
def the_options_vmms_want(folder):
    with Fake(folder) as f:
        tell = globals()["TELL"]
        nic = f"virtio-net-pci,netdev=vmnet0,mac={MAC}"
        globals()["TELL"] = qemu("7.2.22")
        same(shapes(f, "qemu-system-x86_64", "-m", "512"),
             ["-netdev", "stream,id=vmnet0,addr.type=fd,addr.str={fd}", "-device", nic])
        same(shapes(f, "qemu-kvm"),
             ["-netdev", "stream,id=vmnet0,addr.type=fd,addr.str={fd}", "-device", nic])
        same(shapes(f, "kvm", options=["--kind", "dgram"]),
             ["-netdev", "dgram,id=vmnet0,local.type=fd,local.str={fd}", "-device", nic])
        same(shapes(f, "qemu-system-x86_64", "-M", "microvm,accel=tcg")[2:],
             ["-device", f"virtio-net-device,netdev=vmnet0,mac={MAC}"])
        same(shapes(f, "qemu-system-x86_64", "-machine", "type=microvm")[3].split(",")[0],
             "virtio-net-device")
        same(shapes(f, "qemu-system-aarch64", "-M", "virt")[3].split(",")[0], "virtio-net-pci")
        same(shapes(f, "qemu-system-s390x")[3].split(",")[0], "virtio-net-ccw")
        # An id of the user's is left alone; a device of the user's is used.
        same(shapes(f, "qemu-system-x86_64", "-netdev", "user,id=vmnet0", "-device",
                    "e1000,netdev=vmnet0"),
             ["-netdev", "stream,id=vmnet1,addr.type=fd,addr.str={fd}", "-device",
              f"virtio-net-pci,netdev=vmnet1,mac={MAC}"])
        same(shapes(f, "qemu-system-x86_64", "-device", "e1000,netdev=vmnet0"),
             ["-netdev", "stream,id=vmnet0,addr.type=fd,addr.str={fd}"])
        for device, remark in (("e1000,netdev=vmnet0", True),
                               (f"e1000,netdev=vmnet0,mac={MAC}", False),
                               ('{"driver":"e1000","netdev":"vmnet0"}', True)):
            done = f.run("run", "shared", "--", "qemu-system-x86_64", "-device", device)
            same("has no mac=" in done.stderr, remark, done.stderr)
        same(shapes(f, "qemu-system-x86_64", "-netdev", '{"type":"user","id":"vmnet0"}')[1],
             "stream,id=vmnet1,addr.type=fd,addr.str={fd}")
        # Whoever names the descriptor knows what to do with it.
        same(shapes(f, "qemu-system-x86_64", "-netdev", "stream,id=n,addr.type=fd,addr.str={fd}"),
             [])
        globals()["TELL"] = qemu("7.1.0")
        same(shapes(f, "qemu-system-x86_64"),
             ["-netdev", "socket,id=vmnet0,fd={fd}", "-device", nic])
        globals()["TELL"] = tell
        same(shapes(f, "krunkit", "--cpus", "2"),
             ["--device", f"virtio-net,type=unixstream,fd={{fd}},mac={MAC}"])
        same(shapes(f, "krunkit", options=["--kind", "dgram"]),
             ["--device", f"virtio-net,type=unixgram,fd={{fd}},mac={MAC}"])
        same(shapes(f, "vfkit"), ["--device", f"virtio-net,fd={{fd}},mac={MAC}"])
        f.asked(op="join", network="shared", mac=MAC, kind="dgram")
        f.refuses("run", "shared", "--kind", "stream", "--", "vfkit", says="dgram only")


@test
def what_qemu_itself_makes_of_them(folder):
    qemu_ = tool("qemu-system-x86_64")
    with Fake(folder, mtu=9000) as f:
        for machine, kind, device in (("q35", "stream", "virtio-net-pci"),
                                      ("q35", "dgram", "virtio-net-pci"),
                                      ("microvm", "stream", "virtio-net-device")):
            done = f.run("run", "shared", "--mac", MAC, "--kind", kind, "--", qemu_, "-M", machine,
                         "-S", "-display", "none", "-serial", "none", "-monitor", "stdio",
                         input="info network\ninfo qtree\nquit\n")
            has(done.stdout, f"type={kind}", f"dev: {device}", "host_mtu = 9000", MAC)
            same(done.stderr, "")


@test
def large_frames_are_told_to_the_guest(folder):
    with Fake(folder, mtu=9000) as f:
        globals()["TELL"], tell = qemu("9.2.0"), globals()["TELL"]
        same(shapes(f, "qemu-system-x86_64")[3],
             f"virtio-net-pci,netdev=vmnet0,mac={MAC},host_mtu=9000")
        globals()["TELL"] = tell


@test
def vhost_user_without_shared_memory_is_refused(folder):
    with Fake(folder) as f:
        f.program("qemu-system-x86_64", "#!/bin/sh\nexit 5\n")
        user = ["-chardev", "socket,id=c,fd={fd}", "-netdev", "vhost-user,id=n,chardev=c"]
        call = ["run", "shared", "--", "qemu-system-x86_64", "-m", "512"]
        f.refuses(*call, *user, says=("memory-backend-memfd", "share=on"))
        f.refuses(*call, *user, "-object", "memory-backend-ram,id=m,size=512M,share=on",
                  says="memory-backend-memfd")
        f.refuses(*call, *user, "-object", "memory-backend-file,id=m,size=512M,mem-path=/dev/shm",
                  says="memory-backend-memfd")
        f.refuses(*call, *user, "-object", "memory-backend-memfd,id=m,size=512M,share=off",
                  says="memory-backend-memfd")
        f.refuses(*call, *user, "-object", "memory-backend-memfd,id=m,size=512M,share=on",
                  says="-machine memory-backend")
        same(f.requests(), [], "nothing was asked for")
        for use in (["-machine", "q35,memory-backend=m"], ["-numa", "node,memdev=m"]):
            done = f.run(*call, *user, "-object", "memory-backend-memfd,id=m,size=512M", *use,
                         status=5)
            has(done.stderr, "no vhost-user yet")


@test
def the_command_outlives_the_daemon(folder):
    with Fake(folder) as f:
        f.program("vm", TALK)
        proc = f.start("run", "shared", "--", "vm")
        until("frames", lambda: f.read("times").count("\n") > 5)
        for joins in range(2, 5):
            f.kill_daemon()
            time.sleep(0.1)
            f.start_daemon()
            until("it joined again", lambda joins=joins: len(f.requests("join")) == joins)
            before = f.read("times").count("\n")
            until("frames again", lambda before=before: f.read("times").count("\n") > before + 5)
        joins = f.requests("join")
        same(len(joins), 4)
        for again in joins[1:]:
            same({key: again.get(key) for key in ("network", "name", "mac", "kind", "takeover",
                                                  "descriptors")},
                 {"network": "shared", "name": "vm-chosen", "mac": "02:76:6d:00:00:07",
                  "kind": "stream", "takeover": True, "descriptors": 1})
        rows = [line.split() for line in f.read("times").splitlines()[:-1]]
        times = [float(row[0]) for row in rows]
        gap = max(b - a for a, b in zip(times, times[1:]))
        print(f"# longest silence {gap:.2f} s")
        true(gap < 2, f"traffic within 2 s of a kill, was {gap:.2f} s (D-7)")
        same(proc.poll(), None)
        proc.terminate()
        same(proc.communicate(timeout=5), ("", ""), "nothing is said of it")
        same(proc.returncode, 128 + 15)


@test
def a_daemon_that_stays_away_is_told(folder):
    with Fake(folder) as f:
        proc = f.start("run", "shared", "--", "sleep", "60")
        until("it joined", lambda: f.requests("join"))
        time.sleep(0.1)
        f.kill_daemon()
        has(proc.stderr.readline(), "the daemon was lost; still trying", "no daemon is running")
        f.start_daemon()
        has(proc.stderr.readline(), "back again")
        proc.terminate()
        same(proc.wait(5), 128 + 15)


@test
def a_link_that_the_daemon_ended(folder):
    with Fake(folder) as f:
        f.program("vm", TALK)
        # Its socket ends, as the duplicate is closed as well.
        proc = f.start("run", "letgo", "--", "vm")
        same(proc.wait(5), 9)
        proc = f.start("run", "letgo", "--", "sleep", "60")
        has(proc.stderr.readline(), "vm-chosen is off the network: length 70000")
        proc.terminate()
        same(proc.wait(5), 128 + 15)
        same(len(f.requests("join")), 2, "it is not asked for again")


@test
def attachments(folder):
    with Fake(folder) as f:
        path = os.path.join(folder, "x.sock")
        proc = f.start("attach", "shared", "--socket", "x.sock", "--name", "lima", "--kind",
                       "dgram")
        same(proc.stdout.readline(), f"listening on {path} as lima (02:76:6d:00:00:07)\n")
        f.asked(op="attach", network="shared", path=path, name="lima", kind="dgram")
        f.refuses("attach", "shared", "--socket", path, says="in use")
        # A new daemon gets it again, with what the old one chose.
        f.kill_daemon()
        os.unlink(path)
        f.start_daemon()
        until("it is there again", lambda: os.path.exists(path))
        f.asked(op="attach", network="shared", path=path, name="lima", kind="dgram",
                mac="02:76:6d:00:00:07")
        proc.send_signal(signal.SIGINT)
        same(proc.wait(5), 0)
        true(not os.path.exists(path), "the path is gone when we are")
        proc = f.start("attach", "shared", "--json", "--socket", "x.sock", "--mac", MAC)
        same(json.loads(proc.stdout.readline()),
             {"name": "vm-chosen", "mac": MAC, "network": "shared", "path": path})
        proc.terminate()
        same(proc.wait(5), 0)
        has(f.run("attach", "shared", "--socket", "x.sock", "--detach").stdout, "listening on")
        f.asked(op="attach", network="shared", path=path, kind="stream", detach=True)
        true(os.path.exists(path), "left to the daemon")


main()
