# SPDX-License-Identifier: BSD-2-Clause
"""Whole runs of vmnet: what the tests in this folder share.

How a test program runs. It is started as

    python3 -B whole_X.py VMNET PEERS [NAME...]

(VMNET: the program; PEERS: the folder with the helper programs of peers/; names: only those
tests) and starts itself again inside namespaces of its own: network, processes, mounts. Process 1
there sets the network up, starts the tests and reaps orphans; when it ends, the kernel kills
whatever is left. So copies of a test do not see each other, any address can be given to the
"outside", and nothing survives. VMNETTEST_UID=N: the tests themselves run as that user, with no
capability.

Each test has a folder of its own, is a function with the decorator @test, and raises when it
fails. What is printed is TAP. After each test, no process of it may be left.
"""

import array
import ctypes
import json
import os
import random
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
VMNET = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else os.environ.get("VMNET", "vmnet")
PEERS = os.path.abspath(sys.argv[2]) if len(sys.argv) > 2 else os.path.join(HERE, "peers")
FULL = os.environ.get("VMNET_SOAK") == "1"  # the sizes of reliability figures, not of `make test`
SEED = int(os.environ.get("VIOKIT_SEED") or random.SystemRandom().randrange(1 << 31))
STAGE = "VMNETTEST_STAGE"

# Addresses of this "host", on its loopback interface: what members see as the outside.
OUTSIDE4, OUTSIDE4B, OUTSIDE6 = "198.51.100.1", "198.51.100.2", "2001:db8:53::1"

TESTS = []


class Skip(Exception):
    """This cannot be tested here; says why."""


class Refused(Exception):
    """The daemon's answer was an error."""

    def __init__(self, answer):
        super().__init__(answer.get("error"))
        self.kind = answer.get("kind")


def test(function):
    TESTS.append(function)
    return function


def same(got, want, what=""):
    if got != want:
        raise AssertionError(f"{what}: got {got!r}, want {want!r}")


def true(fact, what):
    if not fact:
        raise AssertionError(what)


def has(text, *parts):
    for part in parts:
        if part not in text:
            raise AssertionError(f"{part!r} is not in {text!r}")


def tool(*names):
    """The first of these programs that is installed."""
    for name in names:
        path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        if path:
            return path
    raise Skip(f"{names[0]} is not there")


def peer(name):
    """A helper program of ours."""
    path = os.path.join(PEERS, name)
    true(os.path.exists(path), f"{path} was not built")
    return path


def until(what, fact, seconds=5.0, every=0.02):
    """Waits for fact() to hold; gives back what it gave."""
    end = time.monotonic() + seconds
    while True:
        value = fact()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(every)


def sized(short, full):
    """How often: in `make test`, and in `make soak`."""
    return full if FULL else short


# ---- the control protocol, by hand ----

class Control:
    """A connection to the daemon. ask() gives the answer's object or raises Refused."""

    def __init__(self, path, version="0.1.0", protocol=1, timeout=10.0, hello=True):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(timeout)
        self.sock.connect(path)
        self.buffer, self.events, self.pid = b"", [], None
        if hello:
            self.pid = self.ask("hello", protocol=protocol, version=version)["pid"]

    def send(self, fds=(), **message):
        line = json.dumps(message).encode() + b"\n"
        extra = []
        if fds:
            extra = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
        sent = self.sock.sendmsg([line], extra)
        if sent < len(line):
            self.sock.sendall(line[sent:])

    def line(self):
        while b"\n" not in self.buffer:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError("the daemon closed the connection")
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\n")
        return json.loads(line)

    def answer(self):
        while True:
            message = self.line()
            if "ok" not in message and "event" in message:
                self.events.append(message)
                continue
            if not message.get("ok"):
                raise Refused(message)
            return message

    def ask(self, op, fds=(), **fields):
        self.send(fds, op=op, **fields)
        return self.answer()

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


# ---- the program ----

class Vmnet:
    """One user's vmnet, with folders of its own."""

    def __init__(self, folder, config=None, env=None):
        self.folder = folder
        self.runtime = os.path.join(folder, "run")
        self.state = os.path.join(folder, "state")
        self.config = os.path.join(folder, "networks.yaml")
        self.env = {**os.environ, "VMNET_RUNTIME_DIR": self.runtime,
                    "VMNET_STATE_DIR": self.state, "VMNET_CONFIG": self.config,
                    "HOME": folder, "LC_ALL": "C.UTF-8", **(env or {})}
        for name in ("XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME", STAGE):
            self.env.pop(name, None)
        self.daemon = None
        self.started = []
        if config is None:
            config = "networks: {}\n"
        self.write_config(config)

    def write_config(self, text):
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(text)

    @property
    def socket(self):
        return os.path.join(self.runtime, "control.sock")

    def cli(self, *args, timeout=20, status=0, **more):
        """A command that ends by itself. status None: any."""
        args = [str(arg) for arg in args]
        done = subprocess.run([VMNET, *args], env=self.env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              check=False, timeout=timeout, cwd=self.folder, **more)
        if status is not None and done.returncode != status:
            raise AssertionError(f"vmnet {' '.join(args)}: status {done.returncode}, want {status}"
                                 f"\n{done.stdout}{done.stderr}")
        return done

    def json(self, *args, **more):
        return json.loads(self.cli(*args, "--json", **more).stdout)

    def refuses(self, *args, status=2, has_text=(), **more):
        """A mistake: that exit status (None: 1 or 2), one line on standard error."""
        done = self.cli(*args, status=status, **more)
        true(done.returncode in (1, 2), f"status {done.returncode}: {done.stdout}")
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        same(len(lines), 1, f"vmnet {' '.join(map(str, args))}: lines of {done.stderr!r}")
        true(len(lines[0]) < 400, f"a line a person can read: {lines[0]!r}")
        has(lines[0], *has_text)
        return lines[0]

    def start(self, *args, **more):
        """A command that goes on; ended by close()."""
        args = [str(arg) for arg in args]
        how = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT,
               **more}
        env = {**self.env, **how.pop("env", {})}
        proc = subprocess.Popen([VMNET, *args], env=env, cwd=self.folder, **how)
        self.started.append(proc)
        return proc

    def run_daemon(self, prefix=(), log=None, env=None, wait=10, **more):
        """The daemon in the foreground, as a child, so that its end is seen."""
        log = log or os.path.join(self.folder, "daemon.log")
        with open(log, "ab") as out:
            self.daemon = subprocess.Popen([*prefix, VMNET, "daemon", "--foreground"],
                                           env={**self.env, **(env or {})}, cwd=self.folder,
                                           stdin=subprocess.DEVNULL, stdout=out, stderr=out, **more)
        self.started.append(self.daemon)

        def ready():
            if self.daemon.poll() is not None:
                raise AssertionError(f"the daemon ended with {self.daemon.returncode}: "
                                     f"{self.log()}")
            return self.answers()
        until("the daemon answers", ready, wait)
        return self.daemon

    def answers(self, timeout=5.0):
        try:
            with Control(self.socket, timeout=timeout) as control:
                return control.pid
        except (OSError, EOFError):
            return None

    def log(self):
        try:
            with open(os.path.join(self.folder, "daemon.log"), encoding="utf-8",
                      errors="replace") as file:
                return file.read()[-6000:]
        except OSError:
            return ""

    def control(self, **more):
        return Control(self.socket, **more)

    def ensure(self):
        """A daemon is there, started on demand if need be; its pid."""
        pid = self.answers()
        if not pid:
            if self.daemon:
                # What it ends with tells whether it should have.
                try:
                    status = self.daemon.wait(2)
                except subprocess.TimeoutExpired:
                    raise EOFError("the daemon is there and does not answer") from None
                if status not in (0, -signal.SIGKILL):
                    raise AssertionError(f"the daemon ended with {status}")
            self.run_daemon()
            pid = self.answers()
        return pid

    def ask(self, op, **fields):
        with self.control() as control:
            return control.ask(op, **fields)

    def network(self, name):
        found = self.ask("status", network=name)["networks"]
        return found[0] if found else None

    def members(self, network):
        try:
            found = self.network(network)
        except (OSError, EOFError):
            return {}  # no daemon, no members
        return {m["name"]: m for m in found["members"]} if found else {}

    def close(self):
        """Ends all; a daemon that cannot be asked to end is a fault."""
        for proc in self.started:
            if proc is not self.daemon and proc.poll() is None:
                proc.terminate()
        for proc in self.started:
            if proc is self.daemon:
                continue
            try:
                proc.wait(5)
            except subprocess.TimeoutExpired:
                proc.kill()
                proc.wait()
                raise AssertionError(f"{proc.args} did not end on SIGTERM") from None
            finally:
                if proc.stdout:
                    proc.stdout.close()
        pid = None
        try:
            with self.control() as control:
                pid = control.pid
                control.ask("shutdown", force=True)
        except (OSError, EOFError):
            pass
        if self.daemon:
            try:
                self.daemon.wait(5)
            except subprocess.TimeoutExpired:
                self.daemon.kill()
                self.daemon.wait()
                raise AssertionError(f"the daemon did not end: {self.log()}") from None
            # A sanitizer has its say at the end, as a status.
            if self.daemon.returncode not in (0, -signal.SIGKILL):
                raise AssertionError(f"the daemon ended with {self.daemon.returncode}: "
                                     f"{self.log()}")
        elif pid:
            until("the daemon has ended", lambda: not alive(pid), 5)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            self.close()
        except AssertionError:
            if kind is None:
                raise
            traceback.print_exc(file=sys.stdout)
        if kind is not None and self.log():
            print("# daemon's log:\n# " + self.log().replace("\n", "\n# "))


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def child_of(pid):
    """Its first child, None: it has none."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        kids = file.read().split()
    return int(kids[0]) if kids else None


def open_fds(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def rss_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        for line in file:
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    return 0


def cpu_s(pid):
    """Processor time a process has used, in seconds."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# For a daemon whose size is watched: what was freed is not kept for long.
LEAN = {"ASAN_OPTIONS": "detect_leaks=1:quarantine_size_mb=1:malloc_context_size=5"}


def sanitized():
    """Whether VMNET was built with sanitizers: its memory figures mean less then."""
    with open(VMNET, "rb") as file:
        return b"__asan_init" in file.read()


# ---- namespaces, process 1, the runner ----

def others():
    """What runs in our process namespace besides process 1 and ourselves: {pid: command}."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) in (1, os.getpid()) or not alive(name):
            continue
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                found[int(name)] = file.read().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue
    return found


def real_root():
    """Not only the root of a user namespace that was made for the test."""
    return os.getuid() == 0 and os.environ["VMNETTEST_ROOT"] == "1"


def stage_outer():
    """Start again in namespaces of our own."""
    unshare = tool("unshare")
    how = ["--net", "--pid", "--fork", "--mount", "--mount-proc", "--kill-child"]
    if os.getuid():
        how += ["--user", "--map-root-user"]
        tried = subprocess.run([unshare, *how, "true"], capture_output=True, text=True,
                               check=False)
        if tried.returncode:
            print(f"1..0 # SKIP no namespaces of our own: {tried.stderr.strip()}")
            sys.exit(0)
    env = {**os.environ, STAGE: "init", "VIOKIT_SEED": str(SEED),
           "VMNETTEST_ROOT": "0" if os.getuid() else "1"}
    if os.getuid() and "VMNETTEST_UID" not in env:
        env["VMNETTEST_UID"] = "root"
    os.execve(unshare, [unshare, *how, sys.executable, "-B", *sys.argv], env)


def tun_for_all():
    """Some systems keep /dev/net/tun for root. For what is no part of the test (stand-in machines),
    there is one for everybody in our own namespace; where not even root makes devices, no."""
    if os.stat("/dev/net/tun").st_mode & 0o006 == 0o006:
        return
    mount = subprocess.run([tool("mount"), "-t", "tmpfs", "-o", "mode=755", "tun", "/dev/net"],
                           check=False)
    if mount.returncode == 0:
        os.mknod("/dev/net/tun", stat.S_IFCHR | 0o666, os.makedev(10, 200))
        os.chmod("/dev/net/tun", 0o666)


def stage_init():
    """Process 1: the outside's addresses, the tests, orphans."""
    ip = tool("ip")
    for words in ("link set lo up", f"addr add {OUTSIDE4}/32 dev lo",
                  f"addr add {OUTSIDE4B}/32 dev lo", f"addr add {OUTSIDE6}/128 dev lo nodad"):
        subprocess.run([ip, *words.split()], check=True)
    # Servers of the outside listen on the ports they have, whoever runs the test.
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", "w", encoding="ascii") as file:
        file.write("0")
    child = os.fork()
    if child == 0:
        os.setsid()
        os.environ[STAGE] = "run"
        uid = os.environ.get("VMNETTEST_UID", "root")
        if uid != "root":
            if os.path.exists("/dev/net/tun"):
                tun_for_all()
            os.setgroups([])
            os.setresgid(int(uid), int(uid), int(uid))
            os.setresuid(int(uid), int(uid), int(uid))
            ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE: /proc/self is ours again
        # An interpreter in somebody's home is not for everybody.
        python = sys.executable if uid == "root" else "/usr/bin/python3"
        os.execv(python, [python, "-B", *sys.argv])
    signal.signal(signal.SIGTERM, lambda *_: os._exit(1))
    while True:
        pid, status = os.wait()
        if pid == child:
            os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def run_one(function):
    """None, or what is wrong."""
    with tempfile.TemporaryDirectory(prefix="vmnet-", ignore_cleanup_errors=True) as folder:
        before = set(others())
        try:
            function(folder)
        finally:
            # A worker ends a moment after its daemon.
            end = time.monotonic() + 2
            while (left := {p: c for p, c in others().items() if p not in before}):
                if time.monotonic() > end:
                    break
                time.sleep(0.02)
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    pass
        if left:
            raise AssertionError(f"left running: {left}")


def main():
    stage = os.environ.get(STAGE)
    if not stage:
        stage_outer()
    if stage == "init":
        stage_init()
    os.environ.pop(STAGE)
    names = sys.argv[3:]
    wanted = [t for t in TESTS if not names or t.__name__ in names]
    random.seed(SEED)
    print(f"# seed {SEED} (VIOKIT_SEED repeats it), uid {os.getuid()}")
    print(f"1..{len(wanted)}", flush=True)
    failed = 0
    for number, function in enumerate(wanted, 1):
        name = function.__name__.replace("_", " ")
        began = time.monotonic()
        try:
            run_one(function)
            print(f"# {time.monotonic() - began:.1f} s\nok {number} - {name}", flush=True)
        except Skip as why:
            print(f"ok {number} - {name} # SKIP {why}", flush=True)
        except Exception:
            traceback.print_exc(file=sys.stdout)
            print(f"not ok {number} - {name}", flush=True)
            failed += 1
    sys.exit(1 if failed else 0)
