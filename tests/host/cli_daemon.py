# SPDX-License-Identifier: BSD-2-Clause
"""The command line with the real daemon: started on demand, killed, started again, used."""

import json
import os
import signal
import subprocess
import time

from vmnettest import VMNET, Vmnet, alive, has, main, same, sized, test, true, until


def daemon_pid(v):
    return v.json("status")["daemon"]["pid"]


def ended(v, pid):
    """A daemon that commands started is no child of ours; close() asks it to end."""
    until("the daemon has ended", lambda: not alive(pid))
    true(not os.path.exists(v.socket), "its socket is gone")


@test
def twenty_that_find_no_daemon_start_one(folder):
    with Vmnet(folder) as v:
        procs = [subprocess.Popen([VMNET, "status", "--json"], env=v.env, cwd=folder, text=True,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE) for _ in range(20)]
        pids = set()
        for proc in procs:
            out, err = proc.communicate(timeout=30)
            same((proc.returncode, err), (0, ""))
            pids.add(json.loads(out)["daemon"]["pid"])
        same(len(pids), 1, "daemons")


@test
def stopped_and_asked_again(folder):
    with Vmnet(folder) as v:
        first = daemon_pid(v)
        v.cli("daemon", "--stop")
        ended(v, first)
        second = daemon_pid(v)
        true(first != second, "another daemon")
        proc = v.start("run", "shared", "--name", "vm1", "--", "sleep", "60")
        until("it joined", lambda: "vm1" in v.members("shared"))
        has(v.refuses("daemon", "--stop"), "1 member")
        v.cli("daemon", "--stop", "--force")
        until("it has another daemon", lambda: v.answers() not in (None, second))
        until("and is back", lambda: "vm1" in v.members("shared"))
        proc.terminate()
        same(proc.wait(5), 128 + signal.SIGTERM)
        until("it left", lambda: "vm1" not in v.members("shared"))


@test
def members_are_back_after_a_kill(folder):
    with Vmnet(folder) as v:
        names = [f"vm{i}" for i in range(5)]
        procs = [v.start("run", "shared", "--name", name, "--", "sleep", "600") for name in names]
        until("all joined", lambda: len(v.members("shared")) == 5, 10)
        macs = {name: m["mac"] for name, m in v.members("shared").items()}
        worst = 0.0
        for _ in range(sized(5, 50)):
            pid = v.answers()
            os.kill(pid, signal.SIGKILL)
            began = time.monotonic()
            until("all are back", lambda pid=pid: v.answers() not in (None, pid) and
                  len(v.members("shared")) == 5, 5)
            worst = max(worst, time.monotonic() - began)
            same({name: m["mac"] for name, m in v.members("shared").items()}, macs, "addresses")
        print(f"# all back within {worst:.2f} s")
        true(worst < 2, f"within 2 s (D-7), was {worst:.2f}")
        for proc in procs:
            same(proc.poll(), None, "the command goes on")


@test
def captures_end_with_who_reads_them(folder):
    with Vmnet(folder) as v:
        v.start("run", "shared", "--name", "vm1", "--", "sleep", "60")
        until("it joined", lambda: "vm1" in v.members("shared"))
        proc = v.start("capture", "shared", stderr=subprocess.PIPE)
        same(proc.stdout.read(4), b"\n\r\r\n", "pcapng")
        proc.stdout.close()
        same((proc.stderr.read(), proc.wait(5)), (b"", 0))
        path = os.path.join(folder, "x.pcapng")
        proc = v.start("capture", "shared", "--member", "vm1", "-w", path)
        until("the file has begun", lambda: os.path.exists(path) and os.path.getsize(path))
        proc.send_signal(signal.SIGINT)
        same((proc.stdout.read(), proc.wait(5)), (b"0 frames\n", 0))


@test
def what_is_wrong_with_a_file_is_told_by_who_starts_the_daemon(folder):
    with Vmnet(folder, config="networks:\n  dev:\n    mode: shared\n    subnt: 10.0.0.0/24\n") as v:
        has(v.refuses("list"), "networks.yaml:4:", "subnt", "subnet")
        has(v.refuses("config", "check", v.config), "networks.yaml:4:", "subnet")
        has(v.cli("doctor", status=1).stdout, "networks.yaml:4:")
        v.write_config("networks:\n  dev:\n    mode: host\n    subnet: 10.77.0.0/24\n")
        same(v.cli("config", "check", v.config).stdout, f"{v.config}: 1 network, all well\n")
        has(v.cli("config", "show", v.config).stdout, "  dev:\n", "    subnet: \"10.77.0.0/24\"")
        same(v.json("config", "check")["path"], v.config)
        same(v.json("config", "show", v.config)["networks"]["dev"]["mode"], "host")
        has(v.cli("list").stdout, "dev", "10.77.0.0/24", "file")
        has(v.cli("config", "show").stdout, "dev:", "shared:", "host:")


@test
def what_show_prints_can_be_read_again(folder):
    with Vmnet(folder) as v:
        v.cli("create", "lab", "--subnet", "10.78.0.0/24", "--reserve",
              "02:00:00:00:00:09=10.78.0.9",
              "--forward", "tcp 8081 web 80", "--dns", "1.1.1.1", "--allow", f"exe:{VMNET},uid:7")
        text = v.cli("config", "show").stdout
        path = os.path.join(folder, "again.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        v.cli("config", "check", path)
        same(v.json("config", "show", path)["networks"]["lab"],
             v.json("config", "show")["networks"]["lab"])
        v.cli("delete", "lab")
        true("lab" not in [n["name"] for n in v.json("list")["networks"]], "it is gone")


main()
