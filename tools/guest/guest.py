# SPDX-License-Identifier: BSD-2-Clause
"""A small Linux guest in QEMU, for tests and the demonstration.

    sys.path.insert(0, 'tools/guest')
    import guest

    image = guest.image('/var/tmp/image', 'iperf3,dhclient,dig')   # runs tools/guest/make
    with guest.Guest(image, prefix=['build/vmnet', 'run', 'shared', '--name', 'a', '--']) as g:
        status, text = g.run('dhcp')            # a lease for eth0; prints ip=..., router=..., ...
        g.check('ping -c 3 10.0.0.1')           # text; an exception if the status is not 0
        job = g.start('tcp serve 5000')         # goes on in the background
        ...
        job.kill(); status, text = job.wait(5)

The network: `netdev` is what QEMU's -netdev is given (without id, which is `n0`), for example
'user', 'stream,server=off,addr.type=unix,addr.path=P', 'tap,fd=4'; {fd} in it is for a prefix that
fills it in. With netdev None no -netdev is made: the prefix adds one, and names it `id`. `card` is
the -device (virtio-net-pci, e1000, e1000e), `mac` and `mtu` (virtio's host_mtu) are its properties,
`card_options` more of them ('mq=on,...'). `pass_fds` are kept open. Nothing but QEMU's own is
patched or wanted; TCG, so that it is the same everywhere; it is up in 3 to 5 seconds.

All methods may be called from several threads, and several commands may run at once.
"""
import base64
import ctypes
import os
import queue
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
APPEND = ('console=ttyS0 quiet panic=-1 random.trust_cpu=on tsc=reliable no_timer_check '
          'mitigations=off nokaslr')
BOOT_SECONDS = 60
PR_SET_PDEATHSIG = 1


class Problem(Exception):
    """The guest did not do what it had to; one or a few lines."""


class Closed(Problem):
    """QEMU has ended."""


def image(folder, programs=''):
    """The image in this folder, made if need be. programs: as for tools/guest/make --with."""
    argv = [os.path.join(HERE, 'make'), *(['--with', programs] if programs else []), folder]
    r = subprocess.run(argv, capture_output=True, text=True, check=False)
    if r.returncode:
        raise Problem(r.stderr.strip() or 'tools/guest/make failed')
    return folder


def end_with_parent():
    """In a child before exec: it does not outlive this process, however that ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Job:
    """A command at work in the guest."""

    def __init__(self, guest, number, command):
        self.guest, self.number, self.command = guest, number, command
        self.parts, self.status, self.over = [], None, threading.Event()

    @property
    def text(self):
        """What it printed so far."""
        return b''.join(self.parts).decode(errors='replace')

    def wait(self, timeout=None):
        """(status, text). Status 124: it took too long and was ended."""
        if not self.over.wait(timeout):
            raise Problem(f'in the guest, not over after {timeout} s: {self.command}')
        if self.status is None:
            raise Closed(f'QEMU ended during: {self.command}{self.guest.last_words()}')
        return self.status, self.text

    def kill(self):
        if not self.over.is_set():
            self.guest.send(f'kill {self.number}\n'.encode())


class Guest:
    def __init__(self, image_dir, netdev=None, *, prefix=(), mac=None, mtu=None,
                 card='virtio-net-pci', card_options='', netdev_id='n0', memory=None, machine='pc',
                 qemu='qemu-system-x86_64', extra=(), append='', env=None, pass_fds=(), start=True):
        self.netdev, self.netdev_id = netdev, netdev_id
        self.folder = tempfile.mkdtemp(prefix='guest-')
        self.console = os.path.join(self.folder, 'console')
        self.errors = os.path.join(self.folder, 'errors')
        self.release, self.process = None, None
        self.jobs, self.count, self.lock = {}, 0, threading.Lock()
        self.ready, self.socket, self.env, self.pass_fds = queue.Queue(), None, env, pass_fds
        if memory is None:  # the file system is there twice while it is unpacked
            size = os.path.getsize(os.path.join(image_dir, 'guest.cpio'))
            memory = 128 + 3 * (size >> 20)
        device = f'{card},netdev={netdev_id}'
        device += f',mac={mac}' if mac else ''
        device += f',host_mtu={mtu}' if mtu else ''
        device += f',{card_options}' if card_options else ''
        if ',romfile=' not in device:
            device += ',romfile='
        net = ['-netdev', self.with_id(netdev)] if netdev else []
        self.argv = [
            *prefix, qemu, '-accel', 'tcg', '-machine', machine, '-m', str(memory),
            '-nodefaults', '-no-user-config', '-display', 'none', '-monitor', 'none',
            '-no-reboot', '-kernel', os.path.join(image_dir, 'vmlinuz'),
            '-initrd', os.path.join(image_dir, 'guest.cpio'), '-append',
            f'{APPEND} {append}'.strip(),
            '-serial', f'file:{self.console}',
            '-chardev', f'socket,id=agent,path={self.folder}/agent', '-serial', 'chardev:agent',
            *net, '-device', device, *extra]
        if start:
            try:
                self.begin()
                self.wait_ready()
            except BaseException:
                self.stop(force=True)
                raise

    def with_id(self, netdev):
        kind, comma, rest = netdev.partition(',')
        return f'{kind},id={self.netdev_id}{comma}{rest}'

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.stop(force=kind is not None)

    # ---- the machine

    def begin(self):
        """Start QEMU; wait_ready() is to follow. For several guests that boot side by side."""
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(os.path.join(self.folder, 'agent'))
        listener.listen(1)
        with open(self.errors, 'wb') as errors:
            self.process = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, env=self.env,
                pass_fds=self.pass_fds, start_new_session=True, preexec_fn=end_with_parent)
        threading.Thread(target=self.listen, args=[listener], daemon=True).start()

    def wait_ready(self, timeout=BOOT_SECONDS):
        try:
            self.release = self.ready.get(timeout=timeout)
        except queue.Empty:
            raise Problem(f'the guest is not up after {timeout} s{self.last_words()}') from None
        if self.release is None:
            raise Closed(f'QEMU ended before the guest was up{self.last_words()}')

    def last_words(self):
        """What QEMU and the guest's console had to say, for a message."""
        words = ''
        for path in (self.errors, self.console):
            try:
                with open(path, encoding='utf-8', errors='replace') as f:
                    lines = f.read().strip().splitlines()
            except OSError:
                continue
            if lines:
                words += ': ' + ' | '.join(lines[-3:])
        return words

    @property
    def pid(self):
        """Of what was started: QEMU, or the prefix's program."""
        return self.process.pid

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def stop(self, force=False, timeout=8):
        """Switch off and clean up. The exit status of what was started, None: it never was."""
        p, status = self.process, None
        if p is not None:
            if not force and self.release and p.poll() is None:
                try:
                    self.send(b'off\n')
                    p.wait(timeout)
                except (Problem, subprocess.TimeoutExpired):
                    pass
            for sig in (signal.SIGTERM, signal.SIGKILL):
                if p.poll() is None:
                    p.send_signal(sig)
                    try:
                        p.wait(3)
                    except subprocess.TimeoutExpired:
                        pass
            try:
                os.killpg(p.pid, signal.SIGKILL)  # a prefix that left QEMU behind
            except OSError:
                pass
            status = p.wait()
        if self.socket:
            self.socket.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.process = None
        return status

    # ---- commands

    def start(self, command, limit=0):
        """Begin a command for sh. limit: seconds after which the guest ends it, 0: never."""
        data = command.encode()
        with self.lock:
            self.count += 1
            job = self.jobs[self.count] = Job(self, self.count, command)
        self.send(f'run {job.number} {int(limit)} {len(data)}\n'.encode() + data)
        return job

    def run(self, command, timeout=30):
        """(status, text): what it printed to both streams."""
        job = self.start(command, timeout)
        return job.wait(timeout + 10)

    def check(self, command, timeout=30):
        """Its text; Problem if the status is not 0."""
        status, text = self.run(command, timeout)
        if status:
            last = ' | '.join(text.strip().splitlines()[-3:])
            raise Problem(f'in the guest: {command}: status {status}: {last}')
        return text

    def dhcp(self, timeout=20):
        """A lease for eth0: {'ip': ..., 'router': ..., 'dns': ..., 'domain': ..., ...}."""
        words = {}
        for row in self.check('dhcp', timeout).splitlines():
            key, equals, value = row.partition('=')
            if equals:
                words[key] = value.strip("'")
        return words

    def address(self):
        """eth0's IPv4 address, or None."""
        words = self.check('ip -4 -o addr show dev eth0').split()
        return words[words.index('inet') + 1].split('/')[0] if 'inet' in words else None

    def put(self, path, data):
        """A small file in the guest."""
        text = base64.b64encode(data).decode()
        self.check(f'echo {text} | base64 -d > {path}')

    def send(self, data):
        try:
            with self.lock:
                self.socket.sendall(data)
        except (OSError, AttributeError):
            raise Closed(f'QEMU has ended{self.last_words()}') from None

    # ---- the other end of the line

    def listen(self, listener):
        listener.settimeout(0.5)
        while self.socket is None:
            try:
                self.socket = listener.accept()[0]
            except TimeoutError:
                if not self.alive():
                    break
            except OSError:
                break
        listener.close()
        if self.socket:
            with self.socket.makefile('rb') as f:
                try:
                    self.hear(f)
                except (OSError, ValueError):
                    pass
        self.ready.put(None)
        with self.lock:
            for job in self.jobs.values():
                job.over.set()

    def hear(self, f):
        for row in f:
            word = row.split()
            if word[:1] == [b'ready'] and len(word) == 2:
                self.ready.put(word[1].decode())
                continue
            if len(word) != 3:
                continue
            with self.lock:
                job = self.jobs.get(int(word[1]))
            if word[0] == b'out':
                data = f.read(int(word[2]))
                if job:
                    job.parts.append(data)
            elif word[0] == b'end' and job:
                with self.lock:
                    del self.jobs[job.number]
                job.status = int(word[2])
                job.over.set()


def wait_until(true, seconds, what):
    """Ask again and again until it is so."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise Problem(f'not within {seconds} s: {what}')
        time.sleep(0.05)
