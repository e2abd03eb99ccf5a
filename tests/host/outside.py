# SPDX-License-Identifier: BSD-2-Clause
"""Servers of the outside, in threads: TCP and UDP that answer what they hear, and a name server."""

import hashlib
import socket
import threading

import frames


class Server:
    """A socket and a thread that serves it until the `with` ends."""

    def __init__(self, address, port=0, kind=socket.SOCK_STREAM):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.sock = socket.socket(family, kind)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind((address, port))
        self.address, self.port = self.sock.getsockname()[:2]
        self.peers, self.stop = [], False
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def __enter__(self):
        if self.sock.type == socket.SOCK_STREAM:
            self.sock.listen(64)
        self.sock.settimeout(0.05)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop = True
        self.thread.join()
        self.sock.close()

    def serve(self):
        while not self.stop:
            try:
                if self.sock.type == socket.SOCK_STREAM:
                    conn, where = self.sock.accept()
                    self.peers.append(where[0])
                    threading.Thread(target=self.talk, args=[conn], daemon=True).start()
                else:
                    data, where = self.sock.recvfrom(65536)
                    self.peers.append(where[0])
                    answer = self.answer(data)
                    if answer is not None:
                        self.sock.sendto(answer, where)
            except TimeoutError:
                continue
            except OSError:
                return

    def talk(self, conn):
        raise NotImplementedError

    def answer(self, data):
        raise NotImplementedError


class Hash(Server):
    """TCP: hears all, then says the SHA-256 of it and ends."""

    def talk(self, conn):
        with conn:
            conn.settimeout(30)
            total = hashlib.sha256()
            try:
                while data := conn.recv(1 << 16):
                    total.update(data)
                conn.sendall(total.hexdigest().encode() + b"\n")
            except OSError:
                pass


class Echo(Server):
    """UDP (or TCP, by lines of at most 64 KiB): says what it heard."""

    def __init__(self, address, port=0, kind=socket.SOCK_DGRAM):
        super().__init__(address, port, kind)

    def answer(self, data):
        return b"echo " + data

    def talk(self, conn):
        with conn:
            conn.settimeout(30)
            try:
                while data := conn.recv(1 << 16):
                    conn.sendall(b"echo " + data)
            except OSError:
                pass


class Names(Server):
    """A name server: knows {name: [addresses]}, and that no other name exists."""

    def __init__(self, address, names, port=53):
        super().__init__(address, port, socket.SOCK_DGRAM)
        self.names, self.asked = names, []

    def answer(self, data):
        try:
            name, end = frames.dns_read_name(data, 12)
        except (IndexError, ValueError):
            return None
        kind = int.from_bytes(data[end:end + 2], "big")
        self.asked.append(name.lower())
        found = self.names.get(name.lower())
        if found is None:
            return frames.dns_answer(data, [], 3)
        wanted = [a for a in found if (":" in a) == (kind == frames.AAAA)]
        return frames.dns_answer(data, wanted)
