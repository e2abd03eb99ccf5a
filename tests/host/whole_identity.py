#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""D-11: who may speak to the daemon. Another user is refused before the first byte; what was put
in the way of our sockets and folders is neither followed nor removed."""

import os
import shutil
import socket
import stat
import subprocess
import threading
import time

import vmnettest
from members import Member
from vmnettest import (Control, Refused, Skip, Vmnet, has, main, real_root, same, sized, test, true,
                       until)

OTHER, THIRD = 54322, 54323


def as_user(uid, function, groups=()):
    """What function() gives (a text), called by a child that is that user."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.close(read)
            os.setgroups(list(groups))
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            os.write(write, str(function()).encode())
            status = 0
        except BaseException as why:
            os.write(write, f"{type(why).__name__}: {why}".encode())
        os._exit(status)
    os.close(write)
    data = b""
    while more := os.read(read, 65536):
        data += more
    os.close(read)
    os.waitpid(pid, 0)
    return data.decode()


def need_root():
    if not real_root():
        raise Skip("two users need root")


def open_up(path):
    """Whatever protects a socket besides the daemon's own look at who comes is taken away."""
    while path != "/tmp" and path != "/":
        os.chmod(path, 0o777)
        path = os.path.dirname(path)


def knock(path, times):
    """Connects and sends a request; how often not a byte came back."""
    def attempt():
        shut = 0
        for _ in range(times):
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(5)
                s.connect(path)
                try:
                    s.sendall(b'{"op":"hello","protocol":1,"version":"0.1.0"}\n{"op":"list"}\n')
                    answer = s.recv(100)
                except (BrokenPipeError, ConnectionResetError):
                    answer = b""
                shut += answer == b""
        return shut
    return attempt


def uid_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Uid:"))


@test
def another_user_is_refused_before_the_first_byte(folder):
    need_root()
    times = sized(100, 1000)
    with Vmnet(folder) as v:
        pid = v.ensure()
        mode = stat.S_IMODE(os.stat(v.runtime).st_mode)
        same(mode, 0o700, "mode of the runtime folder")
        same(stat.S_IMODE(os.stat(v.socket).st_mode) & 0o077, 0, "the socket is for us only")
        same(stat.S_IMODE(os.stat(v.state).st_mode), 0o700, "mode of the state folder")
        for name in os.listdir(v.state):
            same(stat.S_IMODE(os.stat(os.path.join(v.state, name)).st_mode) & 0o077, 0, name)
        # as it is, the folder stops them
        has(as_user(OTHER, knock(v.socket, 1)), "PermissionError")
        # and when it is open, the daemon does
        open_up(v.socket)
        same(as_user(OTHER, knock(v.socket, times)), str(times))
        same(v.answers(), pid)
        Control(v.socket).close()


@test
def another_user_is_refused_at_the_data_sockets(folder):
    need_root()
    times = sized(100, 1000)
    with Vmnet(folder) as v, Member.join(v, "host", "m") as m:
        m.dhcp()
        v.start("attach", "host", "--socket", folder + "/s", "--name", "s")
        v.start("attach", "host", "--socket", folder + "/d", "--name", "d", "--kind", "dgram")
        until("the sockets", lambda: all(os.path.exists(folder + p) for p in ("/s", "/d")))
        for path in ("/s", "/d"):
            same(stat.S_IMODE(os.stat(folder + path).st_mode), 0o600, f"mode of {path}")
        os.chmod(folder, 0o755)
        has(as_user(OTHER, knock(folder + "/s", 1)), "PermissionError")
        open_up(folder + "/s")
        open_up(folder + "/d")
        same(as_user(OTHER, knock(folder + "/s", times)), str(times))
        same(v.members("host")["s"]["joins" if "joins" in v.members("host")["s"] else
                                    "rx_frames"], 0)

        def talk():
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
                s.bind(f"/tmp/vmnettest-{os.getpid()}")
                try:
                    s.connect(folder + "/d")
                    s.send(b"VFKT")
                    for _ in range(times):
                        s.send(b"\xff" * 6 + b"\x06\0\0\0\0\1" + b"\x88\xb5" + bytes(50))
                        time.sleep(0.001)
                except OSError as why:
                    return f"refused: {why}"
                finally:
                    os.unlink(f"/tmp/vmnettest-{os.getpid()}")
            return "sent"
        as_user(OTHER, talk)
        m.silent(lambda f: f.kind == 0x88B5, 0.3, "a frame of another user")
        same(v.members("host")["d"]["rx_frames"], 0, "frames taken from another user")
        # The rightful owner still gets in.
        with Member.connect(folder + "/s") as s:
            s.dhcp()
            s.ping(m.ip)
        with Member.unixgram(folder + "/d", folder + "/own") as d:
            d.dhcp()
            d.ping(m.ip)


@test
def those_whom_a_network_allows_may_join_it_and_no_more(folder):
    need_root()
    with Vmnet(folder, f"networks:\n  team: {{mode: host, allow: ['uid:{OTHER}']}}\n"
                       f"  group: {{mode: host, allow: ['gid:{THIRD}']}}\n") as v:
        v.ensure()
        os.chmod(folder, 0o755)
        runtime = stat.S_IMODE(os.stat(v.runtime).st_mode)
        same(runtime & 0o022, 0, "nobody else writes the folder")

        def join(network, op="join"):
            def attempt():
                with Control(v.socket) as c:
                    a, b = socket.socketpair()
                    try:
                        if op != "join":
                            c.ask(op, network=network, name=network, member="x", up=True)
                        else:
                            c.ask("join", fds=[b.fileno()], network=network, kind="stream")
                        return "in"
                    except Refused as why:
                        return f"refused: {why}"
                    finally:
                        a.close(), b.close()
            return attempt
        same(as_user(OTHER, join("team")), "in")
        has(as_user(OTHER, join("group")), "refused")
        has(as_user(OTHER, join("host")), "refused")
        same(as_user(THIRD, join("group")), "in")
        has(as_user(OTHER, join("team", "delete")), "refused")
        has(as_user(OTHER, join("team", "link")), "refused")
        has(as_user(OTHER, join("team", "shutdown")), "refused")
        # somebody else again does not even get to speak
        same(as_user(60001, knock(v.socket, 20)), "20")
        # by a supplementary group
        same(as_user(60002, join("group"), [THIRD]), "in")


@test
def an_executable_is_known_by_its_contents(folder):
    need_root()
    copy = folder + "/tool"
    shutil.copy("/usr/bin/python3.11" if os.path.exists("/usr/bin/python3.11")
                else "/usr/bin/python3", copy)
    os.chmod(copy, 0o755)
    os.chmod(folder, 0o755)
    script = ("import sys, socket; sys.argv = ['x']; sys.path.insert(0, sys.path[0])\n"
              f"sys.path.insert(0, {vmnettest.HERE!r})\n"
              "import vmnettest\n"
              f"c = vmnettest.Control({folder + '/run/control.sock'!r})\n"
              "a, b = socket.socketpair()\n"
              "try:\n    c.ask('join', fds=[b.fileno()], network='club', kind='stream')\n"
              "    print('in')\n"
              "except vmnettest.Refused as why:\n    print('refused', why)\n")

    def by(program):
        done = subprocess.run(["setpriv", "--reuid", str(OTHER), "--regid", str(OTHER),
                               "--clear-groups", program, "-B", "-c", script], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        return done.stdout
    with Vmnet(folder) as v:
        v.cli("create", "club", "--mode", "host", "--allow", f"exe:{copy}")
        v.cli("daemon", "--stop")  # so that the socket is made for a daemon that others may reach
        v.ensure()
        open_up(v.socket)
        os.chmod(folder, 0o755)
        same(by(copy).strip(), "in")
        true("in" != by("/usr/bin/python3").strip(), "another executable was let in")
        # changed in place, it is another one
        with open(copy, "ab") as file:
            file.write(b"\0")
        true("in" != by(copy).strip(), "a changed executable was let in")


@test
def a_folder_of_somebody_else_is_refused(folder):
    need_root()
    with Vmnet(folder) as v:
        # Not one that the user named: the place that it has by itself.
        v.env.pop("VMNET_RUNTIME_DIR")
        v.env["XDG_RUNTIME_DIR"] = folder
        v.runtime = os.path.join(folder, "vmnet")
        for what in ("theirs", "link", "open", "file"):
            shutil.rmtree(v.runtime, ignore_errors=True)
            target = os.path.join(folder, "target")
            shutil.rmtree(target, ignore_errors=True)
            if what == "theirs":
                os.mkdir(v.runtime, 0o700)
                os.chown(v.runtime, OTHER, OTHER)
            elif what == "link":
                os.mkdir(target, 0o700)
                os.chown(target, OTHER, OTHER)
                os.symlink(target, v.runtime)
                os.lchown(v.runtime, OTHER, OTHER)
            elif what == "open":
                os.mkdir(v.runtime)
                os.chmod(v.runtime, 0o777)
            else:
                with open(v.runtime, "w", encoding="ascii") as file:
                    file.write("precious")
            before = os.lstat(v.runtime)
            if what == "open":
                # ours, but anybody could have put something there: refused, or closed again
                done = v.cli("list", status=None)
                if done.returncode == 0:
                    same(stat.S_IMODE(os.stat(v.runtime).st_mode) & 0o077, 0, "mode of the folder")
                    v.cli("daemon", "--stop")
                    until("no daemon", lambda: not v.answers())
                continue
            line = v.refuses("list", status=None, has_text=[v.runtime])
            after = os.lstat(v.runtime)
            same((after.st_ino, after.st_uid, after.st_mode),
                 (before.st_ino, before.st_uid, before.st_mode), f"{what}: {line}")
            if what == "link":
                same(os.listdir(target), [], "something was made behind a symbolic link")
                os.unlink(v.runtime)
            if what == "file":
                os.unlink(v.runtime)


@test
def what_lies_where_the_socket_should_be_is_not_followed(folder):
    need_root()
    with Vmnet(folder) as v:
        victim = os.path.join(folder, "victim")
        for what in ("link", "file", "theirs"):
            shutil.rmtree(v.runtime, ignore_errors=True)
            os.mkdir(v.runtime, 0o700)
            with open(victim, "w", encoding="ascii") as file:
                file.write("precious")
            if what == "link":
                os.symlink(victim, v.socket)
            elif what == "file":
                shutil.copy(victim, v.socket)
            else:
                with socket.socket(socket.AF_UNIX) as sock:
                    sock.bind(v.socket)
                os.chown(v.socket, OTHER, OTHER)
            before = os.lstat(v.socket)
            done = v.cli("list", status=None)
            true(done.returncode in (1, 2), f"{what}: status {done.returncode}")
            same(len(done.stderr.strip().splitlines()), 1, done.stderr)
            same(os.lstat(v.socket).st_ino, before.st_ino, f"{what} was removed")
            with open(victim, encoding="ascii") as file:
                same(file.read(), "precious")


@test
def a_daemon_of_another_user_is_not_spoken_to(folder):
    """A client does not tell its wishes to whoever sits on a socket in its place."""
    need_root()
    with Vmnet(folder) as v:
        os.chmod(folder, 0o755)
        os.mkdir(v.runtime, 0o777)
        os.chmod(v.runtime, 0o777)

        def sit():
            with socket.socket(socket.AF_UNIX) as s:
                s.bind(v.socket)
                s.listen()
                s.settimeout(3)
                conn, _ = s.accept()
                conn.settimeout(3)
                return f"heard {conn.recv(1000)!r}"
        answer = []
        thread = threading.Thread(target=lambda: answer.append(as_user(OTHER, sit)))
        thread.start()
        until("somebody sits there", lambda: os.path.exists(v.socket))
        os.chmod(v.runtime, 0o755)  # it looks as it should
        v.refuses("list", status=None, has_text=[v.runtime])
        thread.join()
        true("op" not in answer[0], f"the other user {answer[0]}")


main()
