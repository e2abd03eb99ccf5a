# SPDX-License-Identifier: BSD-2-Clause
"""Namespaces, processes and what they cost, for the benchmarks of the host half.

A Lab owns what it starts: namespaces (each held by a sleeping process), stand-in VMs, relays, and a
folder for sockets. Leaving it ends all of it. Everything that sends a packet lives in a
namespace that the lab made."""
import ctypes
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time

TICK = os.sysconf('SC_CLK_TCK')
LIFE = 900  # seconds: whatever happens, nothing stays for longer
READY = 10
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


class LabError(Exception):
    """One line for the report."""


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def stat(pid):
    """Fields of /proc/PID/stat from the state on; None if it is gone."""
    try:
        with open(f'/proc/{pid}/stat', encoding='utf-8', errors='replace') as f:
            return f.read().rsplit(')', 1)[1].split()
    except OSError:
        return None


def family(pids):
    """These processes and all that descend from them."""
    parent = {}
    for name in os.listdir('/proc'):
        if name.isdigit():
            fields = stat(name)
            if fields:
                parent[int(name)] = int(fields[1])
    found = set(pids)
    grown = True
    while grown:
        more = {pid for pid, above in parent.items() if above in found} - found
        found |= more
        grown = bool(more)
    return found


def cpu_seconds(pids):
    total = 0
    for pid in pids:
        fields = stat(pid)
        if fields:
            total += int(fields[11]) + int(fields[12])
    return total / TICK


def rss_mib(pids):
    total = 0
    for pid in pids:
        try:
            with open(f'/proc/{pid}/status', encoding='utf-8') as f:
                for line in f:
                    if line.startswith('VmRSS:'):
                        total += int(line.split()[1])
        except OSError:
            pass
    return total / 1024


class Lab:
    def __init__(self, build):
        self.standin = os.path.join(build, 'bench', 'host', 'standin')
        self.vmnet = os.path.join(build, 'vmnet')
        self.started = []
        self.links = []

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix='viokit-bench-')
        return self

    def __exit__(self, *_):
        for p in reversed(self.started):
            p.terminate()
        for p in reversed(self.started):
            try:
                p.wait(3)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
            for pipe in (p.stdin, p.stdout):
                if pipe:
                    pipe.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.dir, name)

    def log(self):
        return os.path.join(self.dir, 'log')

    # ---- processes ----

    def start(self, argv, ns=None, fds=(), ready=False, env=None):
        """A process that ends with the lab; `ready`: it says a line when it is, kept in `said`."""
        argv = self.inside(ns, argv)
        with open(self.log(), 'ab') as log:
            p = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE if ready else
                                 log, stderr=log, pass_fds=fds, preexec_fn=die_with_parent,
                                 env={**os.environ, **(env or {})})
        self.started.append(p)
        if ready:
            p.said = self.line(p)
            if not p.said:
                raise LabError(f'{" ".join(argv[:6])} ...: {self.last_words()}')
        return p

    def line(self, p):
        """Its next line of output, '' if there is none in time."""
        if not select.select([p.stdout], [], [], READY)[0]:
            return ''
        return p.stdout.readline().decode(errors='replace').strip()

    def last_words(self):
        try:
            with open(self.log(), encoding='utf-8', errors='replace') as f:
                lines = [t.strip() for t in f if t.strip()]
        except OSError:
            lines = []
        return lines[-1] if lines else 'ended without a word'

    def do(self, argv, ns=None, env=None, timeout=30):
        """Run to the end; its output."""
        argv = self.inside(ns, argv)
        try:
            r = subprocess.run(argv, capture_output=True, text=True, timeout=timeout,
                               stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})})
        except subprocess.TimeoutExpired:
            raise LabError(f'{" ".join(argv)}: not done in {timeout} s') from None
        if r.returncode:
            last = ((r.stderr + r.stdout).strip().splitlines() or ['no output'])[-1]
            raise LabError(f'{" ".join(argv)}: {last}')
        return r.stdout

    def wait(self, what, condition):
        end = time.monotonic() + READY
        while not condition():
            if time.monotonic() > end:
                raise LabError(f'waited {READY} s for {what}: {self.last_words()}')
            time.sleep(0.02)

    # ---- namespaces ----

    @staticmethod
    def inside(ns, argv):
        return ['nsenter', f'--net=/proc/{ns}/ns/net', *argv] if ns else list(argv)

    def namespace(self):
        """A network namespace, loopback up; named by the process that holds it."""
        p = self.start(['unshare', '--net', 'sleep', str(LIFE)])
        own = os.readlink('/proc/self/ns/net')

        def there():
            try:
                return os.readlink(f'/proc/{p.pid}/ns/net') != own
            except OSError:
                return False
        self.wait('a namespace', there)
        self.do(['ip', 'link', 'set', 'lo', 'up'], p.pid)
        return p.pid

    def interface(self, ns, name, address, mtu, gateway=None, mac=None):
        change = ['address', mac] if mac else []
        # No IPv6: its own neighbour traffic is no part of the test.
        self.do(['sysctl', '-qw', f'net.ipv6.conf.{name}.disable_ipv6=1'], ns)
        self.do(['ip', 'link', 'set', name, *change, 'mtu', str(mtu), 'up'], ns)
        self.do(['ip', 'address', 'add', address, 'dev', name], ns)
        if gateway:
            self.do(['ip', 'route', 'add', 'default', 'via', gateway], ns)

    # ---- sockets ----

    def pair(self):
        """Two ends of a stream; the lab's own copies are closed by `seal`."""
        a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.links += [a, b]
        return a.fileno(), b.fileno()

    def seal(self):
        for s in self.links:
            s.close()
        self.links = []

    # ---- measuring ----

    def iperf(self, client, server, address, seconds, reverse):
        """One TCP stream, for seconds or, if that is 0, a little; the parsed report of iperf3."""
        p = self.start(['iperf3', '-s', '-1', '-B', address, '--forceflush'], server)
        self.wait('iperf3 to listen', lambda: f'{address}:5201' in self.do(
            ['ss', '-Hltn', 'sport', '=', ':5201'], server))
        try:
            text = self.do(['iperf3', '-c', address, *(['-t', str(seconds)] if seconds else
                            ['-n', '16M']), '-J', '--connect-timeout', '3000',
                            *(['-R'] if reverse else [])], client,
                           timeout=seconds + 10)
        finally:
            p.terminate()
            p.wait()
            self.started.remove(p)
            p.stdin.close()
        return json.loads(text)

    def endpoint(self, wire, what, *more):
        """A stand-in without a guest on one of a path's wires; its first line of output."""
        spec, fds, *how = wire
        wrap, ns, env = how or ([], None, None)
        p = self.start([*wrap, self.standin, what, spec, *more], ns, fds, True, env)
        return p.said
