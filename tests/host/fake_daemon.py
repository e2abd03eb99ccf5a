#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A daemon that only looks like one: it speaks docs/protocol.md and does what a test wants.

    fake_daemon.py FOLDER [key=value...]

It listens on FOLDER/control.sock and writes each request to FOLDER/requests, one JSON a line.
Members get each frame back. Keys: version, protocol (said in hello), manner (normal, shut: closes
at once, mute: never answers, noise: answers with what is no JSON), mtu. Names that mean something:
network `nosuch` is refused as the user's fault, `broken` as the system's, a member of `letgo` is
told that it is gone.
"""

import array
import json
import os
import selectors
import socket
import struct
import sys
import time

FOLDER = sys.argv[1]
KEYS = dict(arg.split("=", 1) for arg in sys.argv[2:])
MANNER = KEYS.get("manner", "normal")
SELECTOR = selectors.DefaultSelector()

MEMBER = {"name": "vm1", "mac": "02:76:6d:00:00:01", "address": "192.168.70.2", "link": "up",
          "kind": "stream", "connected": True, "rate": 100000000, "rx_frames": 10, "rx_bytes": 1500,
          "tx_frames": 20, "tx_bytes": 3000000, "dropped": 1, "bad": 2}
NETWORK = {"name": "shared", "mode": "shared", "subnet": "192.168.70.0/24",
           "gateway": "192.168.70.1", "mtu": 1500, "uplink": {"kind": "nat-slirp", "down": None},
           "members": [MEMBER]}
ANSWERS = {
    "list": {"networks": [
        {"name": "shared", "mode": "shared", "subnet": "192.168.70.0/24", "gateway": "192.168.70.1",
         "state": "up", "members": 1, "source": "builtin"},
        {"name": "host", "mode": "host", "subnet": None, "gateway": None, "state": "defined",
         "members": 0, "source": "builtin"}]},
    "status": {"daemon": {"pid": os.getpid(), "version": "0.1.0", "uptime": 7384, "rss": 12900000,
                          "warnings": ["libslirp 4.7.0 is old"]}, "networks": [NETWORK]},
    "leases": {"leases": [
        {"network": "shared", "address": "192.168.70.2", "mac": "02:76:6d:00:00:01", "name": "vm1",
         "hostname": "box\u001b[31m", "state": "bound", "expires": 4102444800, "reserved": True}]},
    "forward-list": {"forwards": [
        {"network": "shared", "proto": "tcp", "host": "127.0.0.1", "first": 8080, "last": 8089,
         "to": "vm1", "port": 80, "state": "open"},
        {"network": "shared", "proto": "udp", "host": "::1", "first": 53, "last": 53,
         "to": "192.168.70.2", "port": 53, "state": "failed", "error": "port 53 is in use"}]},
    "config": {"path": None, "networks": {"shared": {"mode": "shared", "mtu": 1500,
                                                     "reservations": [{"mac": "02:00:00:00:00:01",
                                                                       "address": "10.0.0.5"}]}}},
}


class Conn:
    """One client."""

    def __init__(self, sock):
        self.sock, self.buffer, self.fds = sock, b"", []
        self.capture, self.paths, self.members = None, [], []
        SELECTOR.register(sock, selectors.EVENT_READ, self.read)

    def send(self, **message):
        if MANNER == "noise":
            self.sock.sendall(b"this is no JSON\n")
        elif MANNER != "mute":
            self.sock.sendall(json.dumps(message).encode() + b"\n")

    def read(self):
        try:
            data, extra, _, _ = self.sock.recvmsg(65536, 1024)
        except ConnectionError:
            data, extra = b"", []
        for _, _, raw in extra:
            fds = array.array("i")
            fds.frombytes(raw)
            self.fds += fds
        if not data:
            self.end()
            return
        self.buffer += data
        while b"\n" in self.buffer:
            line, _, self.buffer = self.buffer.partition(b"\n")
            self.request(json.loads(line))

    def end(self):
        if self.capture:
            os.close(self.capture[0])
            self.send(ok=True, id=self.capture[1], frames=3)
        for path in self.paths:
            os.unlink(path)
        for member in self.members:
            member.close()
        SELECTOR.unregister(self.sock)
        self.sock.close()

    def request(self, message):
        with open(os.path.join(FOLDER, "requests"), "a", encoding="utf-8") as file:
            file.write(json.dumps({**message, "descriptors": len(self.fds)}) + "\n")
        op, network, reply = message["op"], message.get("network"), {"id": message.get("id")}
        if op == "hello":
            self.send(ok=True, protocol=int(KEYS.get("protocol", 1)), pid=os.getpid(),
                      version=KEYS.get("version", "0.1.0"))
        elif network == "nosuch" or message.get("name") == "nosuch":
            self.send(ok=False, error="no network nosuch; \u001b[1mvmnet list shows them",
                      kind="user", **reply)
        elif network == "broken":
            self.send(ok=False, error="cannot do that: no space left", kind="system", **reply)
        elif op == "join":
            self.join(message, reply)
        elif op == "attach":
            self.attach(message, reply)
        elif op == "capture":
            self.capture = (self.fds.pop(), message.get("id"))
            os.write(self.capture[0], b"pcapng!")
            if "count" in message:
                os.close(self.capture[0])
                self.capture = None
                self.send(ok=True, frames=message["count"], **reply)
        else:
            self.send(ok=True, **ANSWERS.get(op, {}), **reply)
            if op == "status" and message.get("watch"):
                time.sleep(0.2)
                grown = {**MEMBER, "rx_bytes": 1501500}
                self.send(event="status", daemon=ANSWERS["status"]["daemon"],
                          networks=[{**NETWORK, "members": [grown]}])

    def describe(self, message):
        return {"name": message.get("name") or "vm-chosen",
                "mac": message.get("mac") or "02:76:6d:00:00:07", "network": message["network"]}

    def join(self, message, reply):
        end = socket.socket(fileno=self.fds.pop())
        Member(self, end)
        self.send(ok=True, mtu=int(KEYS.get("mtu", 1500)), gateway="192.168.70.1",
                  **self.describe(message), **reply)
        if message["network"] == "letgo":
            self.members.pop().close()
            self.send(event="gone", network="letgo", name="vm-chosen", why="length 70000")

    def attach(self, message, reply):
        if os.path.lexists(message["path"]):
            self.send(ok=False, error=f"{message['path']} is in use", kind="user", **reply)
            return
        door = socket.socket(socket.AF_UNIX)
        door.bind(message["path"])
        if not message.get("detach"):
            self.paths.append(message["path"])
        door.close()
        self.send(ok=True, path=message["path"], **self.describe(message), **reply)


class Member:
    """Sends back each frame of a stream, each datagram of the other kind."""

    def __init__(self, conn, end):
        self.end, self.buffer, self.open = end, b"", True
        self.stream = end.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == socket.SOCK_STREAM
        conn.members.append(self)
        SELECTOR.register(end, selectors.EVENT_READ, self.read)

    def read(self):
        try:
            data = self.end.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            self.close()
        elif self.stream:
            self.buffer += data
            while len(self.buffer) >= 4:
                end = 4 + struct.unpack(">I", self.buffer[:4])[0]
                if len(self.buffer) < end:
                    break
                self.end.sendall(self.buffer[:end])
                self.buffer = self.buffer[end:]
        else:
            self.end.send(data)

    def close(self):
        if self.open:
            self.open = False
            SELECTOR.unregister(self.end)
            self.end.close()


def main():
    path = os.path.join(FOLDER, "control.sock")
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(128)

    def accept():
        sock, _ = listener.accept()
        if MANNER == "shut":
            sock.close()
        else:
            Conn(sock)

    SELECTOR.register(listener, selectors.EVENT_READ, accept)
    print("ready", flush=True)
    while True:
        for key, _ in SELECTOR.select():
            key.data()


main()
