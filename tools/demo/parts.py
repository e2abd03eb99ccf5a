# SPDX-License-Identifier: BSD-2-Clause
"""The machines and programs of the demonstration: vmnet, the simulated Mac, this host's own end."""
import json
import os
import queue
import signal
import socket
import subprocess
import threading
import time

import guest

CLI_SECONDS = 20


class Problem(Exception):
    """What went wrong, in one line, and the exit status it stands for."""

    def __init__(self, text, status=1):
        super().__init__(text)
        self.status = status


def last_line(text, otherwise):
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1] if lines else otherwise


def alive(pid):
    """Runs; what has ended and waits to be reaped does not."""
    try:
        with open(f'/proc/{pid}/stat', encoding='ascii', errors='replace') as f:
            return f.read().rpartition(')')[2].split()[0] not in 'ZX'
    except OSError:
        return False


def children_of(pid):
    try:
        with open(f'/proc/{pid}/task/{pid}/children', encoding='ascii') as f:
            return [int(word) for word in f.read().split()]
    except OSError:
        return []


def end(process, sig=signal.SIGTERM, seconds=5):
    """Its exit status; it has ended after this, whatever it takes."""
    if process.poll() is None:
        process.send_signal(sig)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


class Vmnet:
    """vmnet with folders of its own, so that nobody else's daemon or networks are touched."""

    def __init__(self, program, folder):
        self.program, self.folder, self.pid, self.workers = program, folder, None, []
        config = os.path.join(folder, 'networks.yaml')
        with open(config, 'w', encoding='ascii') as f:
            f.write('networks:\n  shared:\n    mode: shared\n    host-loopback: true\n')
        self.env = {**os.environ, 'VMNET_RUNTIME_DIR': os.path.join(folder, 'run'),
                    'VMNET_STATE_DIR': os.path.join(folder, 'state'), 'VMNET_CONFIG': config}

    def call(self, *argv):
        """A command's output."""
        try:
            r = subprocess.run([self.program, *argv], env=self.env, capture_output=True, text=True,
                               stdin=subprocess.DEVNULL, timeout=CLI_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            raise Problem(f'vmnet {argv[0]}: no answer for {CLI_SECONDS} s') from None
        if r.returncode:
            raise Problem(f'vmnet {" ".join(argv[:2])}: {last_line(r.stderr, "failed silently")}')
        return r.stdout

    def json(self, *argv):
        text = self.call(*argv, '--json')
        try:
            return json.loads(text)
        except ValueError:
            raise Problem(f'vmnet {argv[0]} --json: no JSON: {text.strip()[:80]}') from None

    def member(self, name):
        """Words to put in front of a command that is to be on the network."""
        return [self.program, 'run', 'shared', '--name', name, '--']

    def know(self):
        """Who the daemon is, to see later that it and its workers are gone."""
        status = self.json('status', 'shared')
        self.pid = status['daemon']['pid']
        self.workers = children_of(self.pid)
        return status

    def stop(self):
        """True: nothing of it is left."""
        if not self.pid:
            try:
                self.know()
            except (Problem, KeyError):
                return True
        if alive(self.pid):
            try:
                self.call('daemon', '--stop', '--force')
            except Problem:
                pass
        until = time.monotonic() + 5
        left = [self.pid, *self.workers]
        while time.monotonic() < until and any(alive(pid) for pid in left):
            time.sleep(0.02)
        gone = not any(alive(pid) for pid in left)
        for pid in left:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
        return gone


class Mac:
    """The simulated Mac: viorun in a session."""

    def __init__(self, vmnet, viorun, options):
        argv = [*vmnet.member('mac'), viorun, '--net-fd', '{fd}', '--card', 'mac={mac}', *options]
        self.process = subprocess.Popen(
            argv, env=vmnet.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, start_new_session=True,
            preexec_fn=guest.end_with_parent)
        self.answers, self.words = queue.Queue(), []
        for stream, take in ((self.process.stdout, self.answers.put),
                             (self.process.stderr, self.words.append)):
            threading.Thread(target=self.read, args=[stream, take], daemon=True).start()

    def read(self, stream, take):
        for line in stream:
            take(line)
        take('')

    def hear(self, seconds=60):
        try:
            line = self.answers.get(timeout=seconds)
        except queue.Empty:
            raise Problem(f'the Mac says nothing for {seconds} s') from None
        if line:
            return json.loads(line)
        status = self.process.wait()
        why = last_line(''.join(self.words), f'it ended with status {status}')
        raise Problem(f'the Mac: {why}', 2 if status == 2 else 1)

    def send(self, *words):
        try:
            self.process.stdin.write(' '.join(map(str, words)) + '\n')
            self.process.stdin.flush()
        except OSError:
            self.hear()

    def ask(self, *words):
        """The answer, good or bad."""
        self.send(*words)
        return self.hear(90)

    def want(self, *words):
        """A good answer."""
        answer = self.ask(*words)
        if not answer['ok']:
            raise Problem(f'the Mac: {" ".join(map(str, words))}: {answer["error"]}')
        return answer

    def quit(self):
        """The results."""
        self.want('quit')
        results = self.hear()
        status = self.process.wait()
        if status:
            raise Problem(f'the Mac: {last_line("".join(self.words), f"status {status}")}')
        return results

    def stop(self):
        end(self.process)


class HostServer:
    """A server on this host's 127.0.0.1 only, in the protocol of tools/stack/server.h."""

    def __init__(self, tcp):
        self.process = subprocess.Popen([tcp, 'serve', '0', '127.0.0.1'], stdout=subprocess.PIPE,
                                        text=True, start_new_session=True,
                                        preexec_fn=guest.end_with_parent)
        self.port = int(self.process.stdout.readline())

    def stop(self):
        end(self.process)


class Capture:
    """vmnet capture, while it is at work."""

    def __init__(self, vmnet, path):
        self.path = path
        self.process = subprocess.Popen(
            [vmnet.program, 'capture', 'shared', '-w', path], env=vmnet.env,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True, preexec_fn=guest.end_with_parent)

    def wait(self):
        """Until it is at work: what is done before is not in it."""
        until = time.monotonic() + 5
        while not self.begun():
            if self.process.poll() is not None or time.monotonic() > until:
                raise Problem(f'vmnet capture: {self.stop()}')
            time.sleep(0.02)

    def begun(self):
        try:
            return os.path.getsize(self.path) > 0
        except OSError:
            return False

    def stop(self):
        """What it said in the end. May be called again."""
        if self.process.stdout.closed:
            return ''
        status = end(self.process, signal.SIGINT)
        text = last_line(self.process.stdout.read(), f'status {status}')
        self.process.stdout.close()
        return text


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]
