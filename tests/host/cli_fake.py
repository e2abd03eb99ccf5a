# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of the command line share: the program against fake_daemon.py."""

import json
import os
import subprocess
import sys

from vmnettest import HERE, VMNET, has, same, true, until


class Fake:
    """A folder, a fake daemon in it, and vmnet told to use it and to start no other."""

    def __init__(self, folder, start=True, **keys):
        self.folder = folder
        self.runtime = os.path.join(folder, "run")
        os.mkdir(self.runtime, 0o700)
        self.env = {**os.environ, "VMNET_RUNTIME_DIR": self.runtime, "VMNET_NO_START": "1",
                    "VMNET_STATE_DIR": os.path.join(folder, "state"), "LC_ALL": "C.UTF-8",
                    "VMNET_CONFIG": os.path.join(folder, "networks.yaml"), "HOME": folder,
                    "PATH": f"{folder}:{os.environ['PATH']}"}
        self.daemon = None
        self.started = []
        if start:
            self.start_daemon(**keys)

    def start_daemon(self, **keys):
        self.daemon = subprocess.Popen(
            [sys.executable, "-B", os.path.join(HERE, "fake_daemon.py"), self.runtime,
             *(f"{key}={value}" for key, value in keys.items())],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        same(self.daemon.stdout.readline(), b"ready\n", "the fake daemon")
        return self.daemon

    def kill_daemon(self):
        self.daemon.kill()
        self.daemon.wait()
        self.daemon.stdout.close()

    def requests(self, op=None):
        """What was asked so far, without hello."""
        try:
            with open(os.path.join(self.runtime, "requests"), encoding="utf-8") as file:
                lines = [json.loads(line) for line in file]
        except FileNotFoundError:
            return []
        return [r for r in lines if r["op"] != "hello" and op in (None, r["op"])]

    def asked(self, **fields):
        """The last request was this."""
        last = dict(self.requests()[-1])
        for key in ("id", "descriptors"):
            last.pop(key, None)
        same(last, fields, "request")

    def run(self, *args, status=0, timeout=20, **more):
        how = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
               "text": True, "cwd": self.folder, "env": self.env, **more}
        if "input" in how:
            how.pop("stdin")
        done = subprocess.run([VMNET, *map(str, args)], timeout=timeout, check=False, **how)
        if status is not None:
            same(done.returncode, status, f"status of {args}: {done.stdout}{done.stderr}")
        return done

    def start(self, *args, **more):
        how = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
               "text": True, "cwd": self.folder, "env": self.env, **more}
        proc = subprocess.Popen([VMNET, *map(str, args)], **how)
        self.started.append(proc)
        return proc

    def refuses(self, *args, says=(), status=2, **more):
        """One line on standard error, nothing else."""
        done = self.run(*args, status=status, **more)
        same(done.stdout, "", f"output of {args}")
        same(done.stderr.count("\n"), 1, f"lines of {done.stderr!r}")
        true(done.stderr.startswith("vmnet"), f"begins with our name: {done.stderr!r}")
        true(done.stderr.rstrip("\n").isprintable(), f"no control characters: {done.stderr!r}")
        true(len(done.stderr) < 400, f"short enough: {done.stderr!r}")
        has(done.stderr, *([says] if isinstance(says, str) else says))
        return done.stderr

    def program(self, name, text):
        """A script in PATH."""
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o755)
        return path

    def read(self, name, wait=5):
        """What a script wrote, once it has done that."""
        path = os.path.join(self.folder, name)
        until(f"{name} is there", lambda: os.path.exists(path) and os.path.getsize(path), wait)
        with open(path, encoding="utf-8") as file:
            return file.read()

    def close(self):
        for proc in self.started:
            if proc.poll() is None:
                proc.kill()
            proc.wait()
            for pipe in (proc.stdout, proc.stderr):
                if pipe:
                    pipe.close()
        if self.daemon and self.daemon.poll() is None:
            self.kill_daemon()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
