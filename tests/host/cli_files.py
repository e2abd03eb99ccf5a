# SPDX-License-Identifier: BSD-2-Clause
"""What comes along with the program: completions, manual pages, units, the Debian package."""

import os
import shutil
import subprocess

from vmnettest import HERE, VMNET, has, main, same, test, tool, true

ROOT = os.path.join(HERE, "..", "..")
PACKAGING = os.path.join(ROOT, "packaging", "vmnet")
COMPLETIONS = os.path.join(PACKAGING, "completions")
NAMES = "#!/bin/sh\n[ \"$1\" = names ] || exit 9\nif [ -n \"$2\" ]; then echo db; echo web; " \
        "else echo shared; echo lab; fi\n"


def good(*args, **more):
    done = subprocess.run([str(a) for a in args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, timeout=60, **more)
    same(done.returncode, 0, f"{args}: {done.stdout}")
    return done.stdout


def fake_vmnet(folder):
    path = os.path.join(folder, "vmnet")
    with open(path, "w", encoding="ascii") as file:
        file.write(NAMES)
    os.chmod(path, 0o755)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "HOME": folder}


@test
def completions_can_be_read(folder):
    good(tool("bash"), "-n", os.path.join(COMPLETIONS, "vmnet.bash"))
    good(tool("zsh"), "-n", os.path.join(COMPLETIONS, "_vmnet"))
    good(tool("fish"), "-n", os.path.join(COMPLETIONS, "vmnet.fish"))


@test
def what_bash_offers(folder):
    env = fake_vmnet(folder)
    script = (". \"$1\"; shift; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _vmnet; "
              "printf '%s\\n' \"${COMPREPLY[@]}\"")

    def offers(*words):
        out = good(tool("bash"), "-c", script, "-", os.path.join(COMPLETIONS, "vmnet.bash"),
                   "vmnet", *words, env=env)
        return out.split()

    same(offers("sta"), ["status"])
    same(offers("run", ""), ["shared", "lab"])
    same(offers("run", "shared", "--name", "web", ""), ["--"])
    same(offers("run", "shared", "--ki"), ["--kind"])
    same(offers("run", "shared", "--kind", ""), ["stream", "dgram"])
    true("ls" in offers("run", "shared", "--", "l"), "commands after --")
    same(offers("link", "shared", "w"), ["web"])
    same(offers("link", "shared", "web", ""), ["up", "down"])
    same(offers("forward", "add", "shared", ""), ["tcp", "udp"])
    same(offers("forward", "add", "shared", "tcp", "80", "d"), ["db"])
    same(offers("capture", "lab", "--member", ""), ["db", "web"])
    same(offers("create", "x", "--mode", "h"), ["host"])


@test
def what_fish_offers(folder):
    env = fake_vmnet(folder)

    def offers(line):
        out = good(tool("fish"), "--no-config", "-c", "source $argv[1]; complete -C $argv[2]",
                   os.path.join(COMPLETIONS, "vmnet.fish"), line, env=env)
        return [row.split("\t")[0] for row in out.splitlines()]

    same(offers("vmnet sta"), ["status"])
    same(sorted(offers("vmnet run ")), ["lab", "shared"])
    same(sorted(offers("vmnet link shared ")), ["db", "web"])
    same(sorted(offers("vmnet link shared web ")), ["down", "up"])
    same(sorted(offers("vmnet run shared --kind ")), ["dgram", "stream"])


@test
def all_options_can_be_completed(folder):
    """Each --option of each command's help is known to all three shells."""
    texts = {}
    for name in ("vmnet.bash", "_vmnet", "vmnet.fish"):
        with open(os.path.join(COMPLETIONS, name), encoding="utf-8") as file:
            texts[name] = file.read()
    with open(os.path.join(ROOT, "docs/man/vmnet.1"), encoding="utf-8") as file:
        manual = file.read()
    count = 0
    for command in ("run", "attach", "create", "status", "limit", "capture", "daemon"):
        for line in good(VMNET, command, "--help").splitlines():
            words = line.replace(",", " ").split()
            if not line.startswith("  -"):
                continue
            option = next(word for word in words if word.startswith("--"))[2:]
            count += 1
            has(texts["vmnet.bash"], f"--{option}")
            has(texts["_vmnet"], f"--{option}")
            has(texts["vmnet.fish"], option)
            true(f"Fl -{option}" in manual or option == "write", f"--{option} is in vmnet(1)")
    true(count > 30, f"{count} options were found")


@test
def manual_pages_are_clean(folder):
    mandoc = tool("mandoc")
    for name in ("vmnet.1", "libvmnet-client.3"):
        done = subprocess.run([mandoc, "-T", "lint", os.path.join(ROOT, "docs/man", name)],
                              stdout=subprocess.PIPE, text=True, check=False, timeout=20)
        # Whether another page is installed says nothing of this one.
        left = [line for line in done.stdout.splitlines() if "referenced manual not" not in line]
        same(left, [], name)


@test
def units_are_understood(folder):
    analyze = tool("systemd-analyze")
    env = {**os.environ, "XDG_RUNTIME_DIR": folder}
    for kind in ("user", "system"):
        where = os.path.join(folder, kind)
        os.mkdir(where)
        shutil.copy(os.path.join(PACKAGING, kind, "vmnet.socket"), where)
        with open(os.path.join(PACKAGING, kind, "vmnet.service.in"), encoding="utf-8") as file:
            text = file.read()
        with open(os.path.join(where, "vmnet.service"), "w", encoding="utf-8") as file:
            file.write(text.replace("@bindir@/vmnet", VMNET))
        done = subprocess.run([analyze, "verify", f"--{kind}", "--man=no",
                               f"{where}/vmnet.socket", f"{where}/vmnet.service"], env=env,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False, timeout=60)
        wrong = [line for line in done.stdout.splitlines() if "vmnet" in line or "Failed" in line]
        same(wrong, [], kind)


@test
def a_package_for_debian(folder):
    tree, out = os.path.join(folder, "tree"), os.path.join(folder, "out")
    for path in ("usr/bin", "usr/share/zsh/site-functions", "usr/share/man/man1"):
        os.makedirs(os.path.join(tree, path))
    os.mkdir(out)
    make = os.path.join(PACKAGING, "make-deb")
    done = subprocess.run([make, tree, "1.2.3", out], stderr=subprocess.PIPE, text=True,
                          check=False, timeout=60)
    same(done.returncode, 2, "without the program")
    has(done.stderr, "usr/bin/vmnet is not there")
    # Small, as what is packed is not what is tested; it needs a library all the same.
    shutil.copy(tool("mandoc"), os.path.join(tree, "usr/bin/vmnet"))
    shutil.copy(os.path.join(COMPLETIONS, "_vmnet"),
                os.path.join(tree, "usr/share/zsh/site-functions"))
    shutil.copy(os.path.join(ROOT, "docs/man/vmnet.1"), os.path.join(tree, "usr/share/man/man1"))
    env = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
    deb = good(make, tree, "1.2.3", out, env=env).strip()
    arch = good("dpkg", "--print-architecture").strip()
    same(deb, os.path.join(out, f"vmnet_1.2.3_{arch}.deb"))
    with open(deb, "rb") as file:
        first = file.read()
    control = good("dpkg-deb", "-f", deb)
    has(control, "Package: vmnet", "Version: 1.2.3", f"Architecture: {arch}", "Depends: libc6")
    true("@" not in control.replace("viokit@localhost", ""), "everything is filled in")
    listing = good("dpkg-deb", "-c", deb)
    has(listing, "./usr/bin/vmnet", "./usr/share/man/man1/vmnet.1.gz", "doc/vmnet/copyright",
        "zsh/vendor-completions/_vmnet")
    true(all("root/root" in line for line in listing.splitlines()), "all of it is root's")
    good(make, tree, "1.2.3", out, env=env)
    with open(deb, "rb") as file:
        same(file.read() == first, True, "the same bytes again")
    for name in ("postinst", "prerm", "postrm"):
        good("sh", "-n", os.path.join(PACKAGING, "debian", name))


main()
