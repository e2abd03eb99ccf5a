#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The same inputs give the same bytes, whatever else is different."""

import io
import os
import random
import shutil
import zipfile

import stand_in
from readers import cpio_read, gunzip, xar_read
from tap import MKPKG, ROOT, Skip, good, main, mkpkg, same, test, true

FORMS = ("pkg", "zip")


def both(folder, kexts, **how):
    """The bytes of both forms."""
    os.makedirs(folder, exist_ok=True)
    return [mkpkg(form, os.path.join(folder, "out." + form), kexts, **how) for form in FORMS]


@test
def twice_the_same(folder):
    kexts = stand_in.pair(folder)
    same(both(folder, kexts) == both(folder, kexts), True)


@test
def order_of_folders_and_arguments_does_not_count(folder):
    def fill(to, order):
        files = [(f"Contents/Resources/{name}", name.encode()) for name in order]
        return [stand_in.kext(to, "One", stand_in.macho(stand_in.X86_64, 50), files=files),
                stand_in.kext(to, "Two", stand_in.macho(stand_in.X86_64, 60))]

    names = [f"{a}{b}" for a in "zYxAbC-._" for b in ("", ".", "/q", "-")]
    # What is a folder cannot be a file.
    names = [name for name in names if name not in (".", "..") and name.strip("./")]
    names = [name for name in names if name + "/q" not in names]
    shuffled = names[:]
    random.Random(5).shuffle(shuffled)
    first, second = os.path.join(folder, "1"), os.path.join(folder, "elsewhere/2")
    same(both(first, fill(first, names)) == both(second, fill(second, shuffled)[::-1]), True)


@test
def umask_time_and_zone_do_not_count(folder):
    kexts = stand_in.pair(folder)
    want = both(folder, kexts)
    for where, _, files in os.walk(folder):
        for name in files:
            os.utime(os.path.join(where, name), (1234567890, 987654321))
    old = os.umask(0o077)
    try:
        env = {"TZ": "Pacific/Kiritimati", "LANG": "tr_TR.UTF-8", "LC_ALL": "tr_TR.UTF-8",
               "USER": "somebody", "HOME": "/nowhere"}
        same(both(os.path.join(folder, "again"), kexts, env=env) == want, True)
    finally:
        os.umask(old)
    for form in FORMS:
        mode = os.stat(os.path.join(folder, "again", "out." + form)).st_mode & 0o777
        same(mode, 0o644, "mode of the output")


@test
def modes_of_group_and_others_do_not_count(folder):
    kexts = stand_in.pair(folder)
    want = both(folder, kexts)
    for where, folders, files in os.walk(folder):
        for name in folders:
            os.chmod(os.path.join(where, name), 0o700)
        for name in files:
            path = os.path.join(where, name)
            os.chmod(path, 0o700 if os.stat(path).st_mode & 0o100 else 0o600)
    same(both(folder, kexts) == want, True)


@test
def working_folder_and_manifest_path_do_not_count(folder):
    kexts = stand_in.pair(folder)
    want = both(folder, kexts)
    copy = os.path.join(folder, "copy")
    shutil.copytree(os.path.join(ROOT, "packaging"), os.path.join(copy, "packaging"))
    shutil.copy(os.path.join(ROOT, "LICENSE"), copy)
    got = both(folder, [os.path.relpath(kext, copy) + "/" for kext in kexts], cwd=copy,
               manifest="packaging/viokit.conf")
    same(got == want, True)


@test
def the_user_does_not_count(folder):
    if os.geteuid() != 0:
        raise Skip("not root, so there is no other user to be")
    if not shutil.which("setpriv"):
        raise Skip("setpriv is not there")
    kexts = stand_in.pair(folder)
    want = both(folder, kexts)
    out = os.path.join(folder, "other")
    os.mkdir(out)
    os.chmod(folder, 0o755)
    os.chmod(out, 0o777)
    # The checkout may lie where only root looks.
    for name in ("packaging", "LICENSE"):
        copy = shutil.copytree if name == "packaging" else shutil.copy
        copy(os.path.join(ROOT, name), os.path.join(folder, name))
    program = shutil.copy(MKPKG, os.path.join(folder, "mkpkg"))
    other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    for form, bytes_ in zip(FORMS, want):
        path = os.path.join(out, "out." + form)
        good(*other, program, form, "-o", path, os.path.join(folder, "packaging/viokit.conf"),
             *kexts)
        with open(path, "rb") as file:
            same(file.read() == bytes_, True, form)


@test
def only_source_date_epoch_sets_the_time(folder):
    kexts = stand_in.pair(folder)
    epoch = {"SOURCE_DATE_EPOCH": "1700000000"}
    first = both(os.path.join(folder, "1"), kexts, env={**epoch, "TZ": "UTC"})
    again = both(os.path.join(folder, "2"), kexts, env={**epoch, "TZ": "Pacific/Kiritimati"})
    same(first == again, True)
    zipped = zipfile.ZipFile(io.BytesIO(first[1]))
    same({info.date_time for info in zipped.infolist()}, {(2023, 11, 14, 22, 13, 20)})
    files = xar_read(first[0])
    same(files["Distribution"][3], "2023-11-14T22:13:20Z")
    times = {fields["mtime"] for _, fields, _ in
             cpio_read(gunzip(files["VirtioKextsLE.pkg/Payload"][4]))}
    same(times, {1700000000})
    true(first[0] != mkpkg("pkg", os.path.join(folder, "3"), kexts), "another time, other bytes")


main()
