#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""preinstall, postinstall and the uninstaller, run as packed, on systems that are folders.

They run under dash and, where it is there, busybox's shell, with stand-ins for the tools of macOS
that note how they were called.
"""

import os
import shutil
import stat

import stand_in
from readers import cpio_read, gunzip, xar_read
from tap import ROOT, Skip, good, main, mkpkg, run, same, test, true

TOOLS = ("kextstat", "kextunload", "kextcache", "kmutil", "pkgutil", "chown", "sudo")
KEXTS = ("VirtioNet", "VirtioPCI")
FOLDERS = ("System/Library/Extensions", "Library/Extensions")
SUPPORT = "Library/Application Support/viokit"
PLIST = """<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0">
<dict>
\t<key>ProductBuildVersion</key>
\t<string>10K549</string>
\t<key>ProductName</key>
\t<string>Mac OS X</string>
\t<key>ProductVersion</key>
\t<string>{}</string>
</dict>
</plist>
"""


def shells():
    found = [[path] for path in map(shutil.which, ("dash", "bash")) if path]
    if shutil.which("busybox"):
        found.append([shutil.which("busybox"), "sh"])
    return found


class System:
    """A folder that looks like a volume with a system, and the package unpacked beside it."""

    def __init__(self, folder, version="10.6.8", tools=TOOLS, fail=(), loaded=KEXTS):
        self.folder, self.root = folder, os.path.join(folder, "Macintosh HD")
        self.log, self.bin = os.path.join(folder, "log"), os.path.join(folder, "bin")
        for path in FOLDERS:
            os.makedirs(os.path.join(self.root, path))
            os.utime(os.path.join(self.root, path), (1, 1))
        if version:
            stand_in.put(self.path("System/Library/CoreServices/SystemVersion.plist"),
                         PLIST.format(version).encode())
        os.makedirs(self.bin)
        for name in tools:
            text = f'#!/bin/sh\necho "{name} $*" >>"{self.log}"\n'
            if name == "kextstat":
                text += "".join(f'[ "$3" != org.viokit.{kext} ] || echo "1 0 {kext} $3 (0.1)"\n'
                                for kext in loaded)
            if name == "sudo":
                text += 'exec "$@"\n'
            text += "exit 1\n" if name in fail else "exit 0\n"
            stand_in.put(os.path.join(self.bin, name), text.encode(), 0o755)
        os.makedirs(os.path.join(folder, "kexts"))
        self.kexts = stand_in.pair(os.path.join(folder, "kexts"))
        files = xar_read(mkpkg("pkg", os.path.join(folder, "x.pkg"), self.kexts))
        self.scripts = os.path.join(folder, "Scripts dir")
        unpack(files["VirtioKextsLE.pkg/Scripts"][4], self.scripts)
        self.payload = {"LE": files["VirtioKextsLE.pkg/Payload"][4],
                        "support": files["VirtioSupport.pkg/Payload"][4]}

    def path(self, *parts):
        return os.path.join(self.root, *parts)

    def env(self, live):
        return {"VIOKIT_TOOLS": self.bin, "VIOKIT_LIVE": "yes" if live else ""}

    def script(self, name, shell=("/bin/sh",), live=False):
        """Runs one as the installer does: package, folder, volume, root."""
        return good(*shell, os.path.join(self.scripts, name), "/tmp/x.pkg",
                    self.path("Library/Extensions"), self.root, "/", env=self.env(live))

    def install(self):
        unpack(self.payload["LE"], self.path("Library/Extensions"))
        unpack(self.payload["support"], self.path(SUPPORT))

    def uninstall(self, *args, shell=("/bin/sh",), live=False):
        return run(*shell, self.path(SUPPORT, "uninstall.command"), *args, env=self.env(live))

    def calls(self, name):
        if not os.path.exists(self.log):
            return []
        with open(self.log, encoding="utf-8") as file:
            lines = file.read().split("\n")
        return [line[len(name) + 1:] for line in lines if line.startswith(name + " ")]

    def touched(self):
        return [path for path in FOLDERS if os.stat(self.path(path)).st_mtime > 1]


def unpack(archive, to):
    os.makedirs(to, exist_ok=True)
    for path, fields, contents in cpio_read(gunzip(archive)):
        where = os.path.join(to, path)
        if stat.S_ISDIR(fields["mode"]):
            os.makedirs(where, exist_ok=True)
        else:
            stand_in.put(where, contents, fields["mode"] & 0o7777)


@test
def all_shells_parse_them(_):
    for path in ("scripts/preinstall", "scripts/postinstall", "scripts/viokit.sh",
                 "uninstall.command"):
        for shell in shells():
            good(*shell, "-n", os.path.join(ROOT, "packaging", path))


@test
def preinstall_removes_our_kexts_from_both_folders(folder):
    for number, shell in enumerate(shells()):
        system = System(os.path.join(folder, str(number)))
        for path in FOLDERS:
            for kext in system.kexts:
                shutil.copytree(kext, system.path(path, os.path.basename(kext)))
            shutil.copytree(system.kexts[0], system.path(path, "Other.kext"))
        system.script("preinstall", shell)
        for path in FOLDERS:
            same(os.listdir(system.path(path)), ["Other.kext"], path)
        same(system.calls("kextunload"), [], "nothing runs from another volume")


@test
def preinstall_leaves_what_only_has_the_name(folder):
    system = System(folder)
    os.rename(stand_in.kext(folder, "VirtioNet", b"x", CFBundleIdentifier="com.example.VirtioNet"),
              system.path("Library/Extensions/VirtioNet.kext"))
    os.makedirs(system.path("Library/Extensions/VirtioPCI.kext/Contents"))
    said = system.script("preinstall")
    same(sorted(os.listdir(system.path("Library/Extensions"))),
         ["VirtioNet.kext", "VirtioPCI.kext"])
    same(said.count("is not ours"), 2, said)


@test
def preinstall_unloads_users_before_libraries(folder):
    system = System(folder)
    system.script("preinstall", live=True)
    same(system.calls("kextunload"), ["-b org.viokit.VirtioNet", "-b org.viokit.VirtioPCI"])


@test
def preinstall_unloads_only_what_is_loaded(folder):
    system = System(folder, loaded=["VirtioPCI"])
    system.script("preinstall", live=True)
    same(system.calls("kextunload"), ["-b org.viokit.VirtioPCI"])


@test
def a_driver_in_use_does_not_stop_the_installation(folder):
    system = System(folder, fail=["kextunload", "kextcache"])
    said = system.script("preinstall", live=True)
    same(said.count("until the next restart"), 2, said)
    said = system.script("postinstall", live=True)
    true("failed" in said, said)


@test
def missing_tools_do_not_stop_the_installation(folder):
    for number, version in enumerate(("10.6.8", "10.15.7", "12.1", "", "x.y")):
        system = System(os.path.join(folder, str(number)), version, tools=["chown"])
        system.script("preinstall", live=True)
        said = system.script("postinstall", live=True)
        true("will notice the change by itself" in said, said)


@test
def postinstall_refreshes_as_the_release_wants(folder):
    for number, (version, tool, args) in enumerate((
            ("10.6", "kextcache", "-u"), ("10.6.8", "kextcache", "-u"),
            ("10.9.5", "kextcache", "-u"), ("10.10.5", "kextcache", "-u"),
            ("10.11", "kextcache", "-u"),
            ("10.15.7", "kextcache", "-u"), ("11.7.10", "kmutil", "rebuild"),
            ("14.2", "kmutil", "rebuild"), ("26.0", "kmutil", "rebuild"),
            ("", "kextcache", "-u"))):
        system = System(os.path.join(folder, str(number)), version)
        system.script("postinstall", shells()[number % len(shells())], live=True)
        want = args if tool == "kmutil" else f"{args} {system.root}/"
        same(system.calls(tool), [want], version)
        other = "kmutil" if tool == "kextcache" else "kextcache"
        same(system.calls(other), [], version)
        same(system.touched(), list(FOLDERS), version)


@test
def postinstall_gives_kexts_to_root(folder):
    system = System(folder)
    system.install()
    shutil.copytree(system.kexts[0], system.path("Library/Extensions/Other.kext"))
    program = system.path("Library/Extensions/VirtioNet.kext/Contents/MacOS/VirtioNet")
    os.chmod(program, 0o777)
    os.chmod(system.path("Library/Extensions/VirtioNet.kext/Contents"), 0o700)
    os.chmod(system.path("Library/Extensions/VirtioNet.kext/Contents/Info.plist"), 0o666)
    system.script("postinstall")
    same(system.calls("chown"), [f"-R 0:0 {system.path('Library/Extensions', kext)}.kext"
                                 for kext in KEXTS])
    for path, mode in (("MacOS/VirtioNet", 0o755), ("", 0o755), ("Info.plist", 0o644)):
        path = system.path("Library/Extensions/VirtioNet.kext/Contents", path)
        same(os.stat(path).st_mode & 0o7777, mode, path)


@test
def another_volume_on_11_is_left_to_its_own_start(folder):
    system = System(folder, "11.2")
    system.script("postinstall")
    same((system.calls("kmutil"), system.calls("kextcache")), ([], []))


@test
def the_uninstaller_removes_everything(folder):
    for number, shell in enumerate(shells()):
        system = System(os.path.join(folder, str(number)), "10.13.6")
        system.install()
        shutil.copytree(system.kexts[1], system.path(FOLDERS[0], "VirtioPCI.kext"))
        done = system.uninstall("-y", system.root, shell=shell, live=True)
        same(done.returncode, 0, done.stdout + done.stderr)
        for path in FOLDERS:
            same(os.listdir(system.path(path)), [], path)
        true(not os.path.exists(system.path(SUPPORT)), "and itself")
        true(os.path.isdir(os.path.dirname(system.path(SUPPORT))), "but no more than that")
        same(system.calls("kextunload"), ["-b org.viokit.VirtioNet", "-b org.viokit.VirtioPCI"])
        same(system.calls("pkgutil"), [f"--volume {system.root}/ --forget org.viokit.pkg.{name}"
                                       for name in ("sle", "le", "support")])
        same(system.calls("kextcache"), [f"-u {system.root}/"])
        same(system.calls("sudo"), [], "nobody is asked")


@test
def the_uninstaller_asks(folder):
    system = System(folder)
    system.install()
    done = system.uninstall(system.root)  # its standard input is empty
    same(done.returncode, 0, done.stderr)
    true("nothing was changed" in done.stdout, done.stdout)
    true(os.path.isdir(system.path("Library/Extensions/VirtioNet.kext")), "all is there")


@test
def the_uninstaller_refuses_wrong_arguments(folder):
    system = System(folder)
    system.install()
    for args in (["-x"], ["-y", "a", "b"], [os.path.join(folder, "none")]):
        done = system.uninstall(*args)
        same(done.returncode, 2, args)
        same(done.stderr.count("\n"), 1, done.stderr)
    true(os.path.isdir(system.path("Library/Extensions/VirtioNet.kext")), "all is there")


@test
def the_uninstaller_does_without_tools_and_receipts(folder):
    system = System(folder, tools=[])
    system.install()
    done = system.uninstall("-y", system.root)
    same(done.returncode, 0, done.stdout + done.stderr)
    system = System(os.path.join(folder, "2"), fail=TOOLS)
    system.install()
    done = system.uninstall("-y", system.root, live=True)
    same(done.returncode, 0, done.stdout + done.stderr)


@test
def the_uninstaller_says_when_something_stays(folder):
    if not shutil.which("chattr") or os.geteuid() != 0:
        raise Skip("needs root and chattr to make a file that cannot be removed")
    system = System(folder)
    system.install()
    held = system.path("Library/Extensions/VirtioNet.kext/Contents/Info.plist")
    if run("chattr", "+i", held).returncode != 0:
        raise Skip("this file system has no immutable files")
    try:
        done = system.uninstall("-y", system.root)
        same(done.returncode, 1, done.stdout + done.stderr)
        true("cannot remove" in done.stdout, done.stdout)
    finally:
        good("chattr", "-i", held)


main()
