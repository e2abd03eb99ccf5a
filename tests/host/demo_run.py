#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""demo_run.py BUILD KEXTS: the demonstration (tools/demo/run), on what was built in BUILD.

Each run gets a folder for its temporary files and a mark in its environment, so that what it leaves
behind can be told from what others do.
"""
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RUN = os.path.join(ROOT, "tools", "demo", "run")
MARK = "VIOKIT_DEMO_TEST"
BUILD, KEXTS = (os.path.abspath(a) for a in sys.argv[1:3])
SECONDS = 150


class Demo:
    """One run, in a folder of its own."""

    def __init__(self, folder, *args, **more):
        self.tmp = tempfile.mkdtemp(dir=folder)
        self.mark = f"{MARK}={os.path.basename(self.tmp)}"
        env = {**os.environ, "TMPDIR": self.tmp, MARK: os.path.basename(self.tmp)}
        self.process = subprocess.Popen(
            [sys.executable, "-B", RUN, "--build", BUILD, *args], env=env, text=True,
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
            **{"stdout": subprocess.PIPE, **more})

    def end(self, status):
        """(stdout, stderr); nothing may be left."""
        out, err = self.process.communicate(timeout=SECONDS)
        assert self.process.returncode == status, \
            f"status {self.process.returncode}, want {status}: {out[-300:]}{err[-600:]}"
        left = self.left()
        assert not left, f"processes that are left: {left}"
        assert not os.listdir(self.tmp), f"files that are left: {os.listdir(self.tmp)}"
        return out, err

    def left(self):
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/environ", "rb") as f:
                    if self.mark.encode() not in f.read().split(b"\0"):
                        continue
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    found.append(f.read().replace(b"\0", b" ").decode(errors="replace")[:80])
            except OSError:
                continue
        return found


def one_line(err):
    assert err.count("\n") == 1 and len(err) < 300, f"not one line: {err!r}"
    return err


def whole(folder):
    """Kexts and Linux on one network, all of it; the results, the capture"""
    kept, pcap = os.path.join(folder, "results"), os.path.join(folder, "pcapng")
    out, err = Demo(folder, "--package", KEXTS, "--bytes", "4M", "--json", kept,
                    "--pcap", pcap).end(0)
    assert not err, err
    for word in ("leases", "ping", "names", "NAT", "forward", "link", "capture", "TCP", "all well"):
        assert f"\n{word}" in out, f"{word}: {out}"
    with open(kept, encoding="utf-8") as f:
        results = json.load(f)
    assert {k["name"] for k in results["kexts"]} == {"VirtioPCI", "VirtioNet"}
    assert all(len(k["sha256"]) == 64 for k in results["kexts"])
    assert not sum(results["leaks"].values()) and not results["kernel_leaks"]
    seen = results["vmnet"]
    assert len(seen["leases"]) == 2 and len(seen["pings"]) == 4 and len(seen["transfers"]) == 4
    r = subprocess.run(["tshark", "-r", pcap, "-T", "fields", "-e", "frame.number"],
                       capture_output=True, text=True, check=False)
    assert not r.returncode, r.stderr
    count = len(r.stdout.split())
    assert count == seen["capture"]["frames"], f"tshark {count}, {seen['capture']['frames']}"


def side_by_side(folder):
    """Two at once, without kexts; JSON alone on standard output"""
    both = [Demo(folder, "--driver", "core", "--bytes", "1M", "--json", "-") for _ in range(2)]
    for demo in both:
        out, err = demo.end(0)
        assert not err, err
        assert json.loads(out)["vmnet"]["network"]["name"] == "shared"


def alone(folder):
    """The Mac alone, as any option that is viorun's asks for"""
    for args in (["--alone", "--driver", "core"], ["--transport", "legacy", "--driver", "core"]):
        out, _ = Demo(folder, *args, "--bytes", "1M", "--json", "-").end(0)
        assert json.loads(out)["net"] == "user"
    assert "--net-fd" in Demo(folder, "--help").end(0)[0]


def mistakes(folder):
    """What is wrong is said in one line"""
    for args, status, word in (
            (["--driver", "none"], 2, "--driver"),
            (["--bytes", "12x"], 2, "12x"),
            (["--json", "/nonexistent/x"], 2, "/nonexistent/x"),
            (["--driver", "core", "--release", "10.9"], 2, "--release"),
            (["--nonsense"], 2, "--nonsense"),
            (["--build", "/nonexistent"], 1, "make run"),
            (["--package", "/nonexistent"], 2, "/nonexistent"),
            (["--package", KEXTS, "--release", "10.99"], 2, "10.99")):
        assert word in one_line(Demo(folder, *args).end(status)[1]), args


def signals(folder):
    """Ctrl-C and the like: all of it goes"""
    for number, after in ((signal.SIGINT, 0.7), (signal.SIGINT, 5), (signal.SIGTERM, 9)):
        demo = Demo(folder, "--driver", "core", "--bytes", "1G")
        time.sleep(after)
        demo.process.send_signal(number)
        err = one_line(demo.end(128 + number)[1])
        assert number.name in err, err


def standard_output(folder):
    """A standard output that takes nothing more"""
    with open("/dev/full", "w", encoding="ascii") as full:
        one_line(Demo(folder, "--driver", "core", stdout=full).end(1)[1])


def main():
    tests = [mistakes, alone, whole, side_by_side, signals, standard_output]
    print(f"1..{len(tests)}", flush=True)
    bad = 0
    for n, test in enumerate(tests, 1):
        with tempfile.TemporaryDirectory(prefix="demo-test-") as folder:
            try:
                test(folder)
            except (AssertionError, KeyError, ValueError, subprocess.SubprocessError) as e:
                bad += 1
                print("# " + str(e).replace("\n", "\n# "))
                print("not ", end="")
        print(f"ok {n} - {test.__doc__}", flush=True)
    return 1 if bad else 0


sys.exit(main())
