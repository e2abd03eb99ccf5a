#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The installer package: what went in comes out, and every part says the same of it."""

import os
import xml.etree.ElementTree as ElementTree

import stand_in
from readers import bom_read, cksum, cpio_read, gunzip, xar_read
from tap import ROOT, good, main, mkpkg, same, test, tool, true

EPOCH = 315532800
COMPONENTS = {
    "VirtioKextsSLE": ("org.viokit.pkg.sle", "/System/Library/Extensions"),
    "VirtioKextsLE": ("org.viokit.pkg.le", "/Library/Extensions"),
    "VirtioSupport": ("org.viokit.pkg.support", "/Library/Application Support/viokit"),
}


def package(folder, *more):
    """The kexts and the files of a package of them."""
    kexts = stand_in.pair(folder)
    return kexts, xar_read(mkpkg("pkg", os.path.join(folder, "out.pkg"), kexts, *more))


def packaged(path):
    """A file of packaging/, with its mode."""
    path = os.path.join(ROOT, "packaging", path)
    with open(path, "rb") as file:
        return 0o755 if os.stat(path).st_mode & 0o100 else 0o644, file.read()


def wanted(kexts, component):
    """{path: (mode, contents)} that the payload of a component must have."""
    if component == "VirtioSupport":
        return {"LICENSE": packaged("../LICENSE"), "viokit.sh": packaged("scripts/viokit.sh"),
                "uninstall.command": packaged("uninstall.command")}
    return {path: what for kext in kexts for path, what in stand_in.contents(kext).items()}


def members(archive):
    """{path without "./": (mode, contents or None)}; checks owners, times and order."""
    found, folders, paths = {}, set(), []
    for path, fields, contents in cpio_read(gunzip(archive)):
        same((fields["uid"], fields["gid"]), (0, 0), f"owner of {path}")
        same((fields["dev"], fields["rdev"], fields["mtime"]), (0, 0, EPOCH), path)
        folder = fields["mode"] >> 12 == 4
        same(fields["mode"] >> 12, 4 if folder else 8, f"type of {path}")
        if path != ".":
            true(path.startswith("./"), f"{path} begins with ./")
            paths.append(path.split("/"))
            true(os.path.dirname(path) in folders, f"{path} comes after its folder")
            found[path[2:]] = (fields["mode"] & 0o7777, None if folder else contents)
        if folder:
            folders.add(path)
            same(contents, b"", f"{path} has no data")
    same(paths, sorted(paths), "sorted")
    return found


@test
def the_archive_holds_what_a_flat_package_needs(folder):
    _, files = package(folder)
    want = {"Distribution", "Resources", "Resources/welcome.html", "Resources/readme.html",
            "Resources/conclusion.html"}
    for name in COMPONENTS:
        want |= {f"{name}.pkg", *(f"{name}.pkg/{part}" for part in ("PackageInfo", "Payload",
                                                                    "Bom"))}
    want |= {f"{name}.pkg/Scripts" for name in ("VirtioKextsSLE", "VirtioKextsLE")}
    same(set(files), want, "files")
    for path, (mode, uid, gid, mtime, contents) in files.items():
        same((uid, gid, mtime), (0, 0, "1980-01-01T00:00:00Z"), path)
        same(mode, 0o755 if contents is None else 0o644, path)


@test
def payloads_are_the_inputs(folder):
    kexts, files = package(folder)
    for name in COMPONENTS:
        same(members(files[f"{name}.pkg/Payload"][4]), wanted(kexts, name), name)


@test
def boms_agree_with_payloads(folder):
    kexts, files = package(folder)
    for name in COMPONENTS:
        want = wanted(kexts, name)
        paths, totals = bom_read(files[f"{name}.pkg/Bom"][4])
        same(set(paths), {"."} | {"./" + path for path in want}, f"{name}: paths")
        for path, (mode, data) in want.items():
            record = paths["./" + path]
            same((record["uid"], record["gid"], record["mtime"]), (0, 0, EPOCH), path)
            same(record["mode"], (0o040000 if data is None else 0o100000) | mode, path)
            same(record["kind"], 2 if data is None else 1, path)
            same(record["size"], len(data or b""), path)
            if data is not None:
                same(record["cksum"], cksum(data), path)
        plain = sum(record["size"] for record in paths.values() if not record["program"])
        same(totals[0], plain, f"{name}: bytes that are no program")
        same(paths["."]["mode"], 0o040755, "the root's mode")


@test
def boms_know_the_processors(folder):
    _, files = package(folder)
    paths, totals = bom_read(files["VirtioKextsLE.pkg/Bom"][4])
    thin = stand_in.macho(stand_in.X86_64, 20000, 4)
    one, other = stand_in.macho(stand_in.X86_64, 9000, 2), stand_in.macho(stand_in.I386, 5000, 3)
    record = paths["./VirtioNet.kext/Contents/MacOS/VirtioNet"]
    same((record["program"], record["arches"]),
         (1, [(stand_in.X86_64, 3, len(thin), cksum(thin))]), "thin")
    record = paths["./VirtioPCI.kext/Contents/MacOS/VirtioPCI"]
    same((record["program"], record["arches"]),
         (2, [(stand_in.X86_64, 3, len(one), cksum(one)),
              (stand_in.I386, 3, len(other), cksum(other))]), "fat")
    same(totals[stand_in.X86_64], len(thin) + len(one), "x86-64")
    same(totals[stand_in.I386], len(other), "i386")


@test
def package_infos_count_right(folder):
    kexts, files = package(folder, "-r", "7.8.9")
    for name, (identifier, location) in COMPONENTS.items():
        info = ElementTree.fromstring(files[f"{name}.pkg/PackageInfo"][4])
        want = wanted(kexts, name)
        same((info.tag, info.get("format-version"), info.get("auth")), ("pkg-info", "2", "root"))
        same((info.get("identifier"), info.get("install-location"), info.get("version")),
             (identifier, location, "7.8.9"), name)
        payload = info.find("payload")
        same(int(payload.get("numberOfFiles")), len(want) + 1, f"{name}: files and the root")
        blocks = sum((len(data) + 4095) // 4096 for _, data in want.values() if data)
        same(int(payload.get("installKBytes")), 4 * blocks, f"{name}: size")
        bundles = [(b.get("path"), b.get("id"), b.get("CFBundleVersion"))
                   for b in info.findall("bundle")]
        same(bundles, [] if name == "VirtioSupport" else
             [("./VirtioPCI.kext", "org.viokit.VirtioPCI", "0.1.0"),
              ("./VirtioNet.kext", "org.viokit.VirtioNet", "0.1.0")], name)


@test
def scripts_are_those_of_the_source(folder):
    _, files = package(folder)
    for name in ("VirtioKextsSLE", "VirtioKextsLE"):
        found = members(files[f"{name}.pkg/Scripts"][4])
        info = ElementTree.fromstring(files[f"{name}.pkg/PackageInfo"][4])
        same({entry.tag: entry.get("file") for entry in info.find("scripts")},
             {"preinstall": "./preinstall", "postinstall": "./postinstall"}, name)
        same(found, {"preinstall": (0o755, packaged("scripts/preinstall")[1]),
                     "postinstall": (0o755, packaged("scripts/postinstall")[1]),
                     "viokit.sh": (0o644, packaged("scripts/viokit.sh")[1])}, name)


@test
def the_distribution_names_each_component_once(folder):
    _, files = package(folder)
    root = ElementTree.fromstring(files["Distribution"][4])
    same(root.tag, "installer-gui-script")
    true(b"@" not in files["Distribution"][4], "all words of the template are replaced")
    infos = {name: ElementTree.fromstring(files[f"{name}.pkg/PackageInfo"][4])
             for name in COMPONENTS}
    refs = [ref for ref in root.findall("pkg-ref") if (ref.text or "").strip()]
    same([ref.text for ref in refs], [f"#{name}.pkg" for name in COMPONENTS])
    for ref, info in zip(refs, infos.values()):
        same((ref.get("id"), ref.get("version"), ref.get("installKBytes")),
             (info.get("identifier"), info.get("version"),
              info.find("payload").get("installKBytes")), ref.text)
    lines = {line.get("choice") for line in root.find("choices-outline")}
    same(lines, {choice.get("id") for choice in root.findall("choice")}, "choices")
    same({ref.get("id") for choice in root.findall("choice") for ref in choice},
         {identifier for identifier, _ in COMPONENTS.values()}, "what choices install")
    for kind in ("welcome", "readme", "conclusion"):
        true("Resources/" + root.find(kind).get("file") in files, f"{kind} is there")


@test
def the_texts_say_what_has_not_been_tried(folder):
    _, files = package(folder)
    for path in ("welcome", "conclusion"):
        text = b" ".join(files[f"Resources/{path}.html"][4].split())
        true(b"not signed" in text and b"run on a real Mac" in text, path)
        ElementTree.fromstring(text)
    ElementTree.fromstring(files["Resources/readme.html"][4])


@test
def a_tree_of_many_leaves(folder):
    # 510 rows fit into a leaf; the names sort differently as paths and as names.
    many = [(f"Contents/Resources/{'d' * (i % 3)}{i % 7}/{i}{'.-a'[i % 3]}", bytes([i & 255]) * i)
            for i in range(1600)]
    kext = stand_in.kext(folder, "Many", stand_in.macho(stand_in.X86_64, 100), files=many)
    files = xar_read(mkpkg("pkg", os.path.join(folder, "out.pkg"), [kext]))
    want = stand_in.contents(kext)
    paths, _ = bom_read(files["VirtioKextsLE.pkg/Bom"][4])
    same({path[2:]: record["size"] for path, record in paths.items() if path != "."},
         {path: len(data or b"") for path, (_, data) in want.items()})
    same(members(files["VirtioKextsLE.pkg/Payload"][4]), want)


@test
def other_programs_read_it(folder):
    bsdtar, file = tool("bsdtar"), tool("file")
    kexts = stand_in.pair(folder)
    out = os.path.join(folder, "out.pkg")
    mkpkg("pkg", out, kexts)
    said = good(file, "-b", out)
    true("xar archive" in said and "SHA-1" in said, f"file: {said}")
    listed = good(bsdtar, "-tf", out).split("\n")
    true("VirtioKextsLE.pkg/Payload" in listed and "Distribution" in listed, listed)
    good(bsdtar, "-xf", out, "-C", folder)
    said = good(file, "-b", os.path.join(folder, "VirtioKextsLE.pkg/Bom"))
    true("bill of materials" in said, f"file: {said}")
    to = os.path.join(folder, "unpacked")
    os.mkdir(to)
    good(bsdtar, "-xpf", os.path.join(folder, "VirtioKextsLE.pkg/Payload"), "-C", to,
         "--no-same-owner")
    found = {}
    for name in sorted(os.listdir(to)):
        found.update(stand_in.contents(os.path.join(to, name)))
    same(found, wanted(kexts, "VirtioKextsLE"), "unpacked by bsdtar")


@test
def programs_stay_readable_by_otool(folder):
    otool = tool("llvm-otool") if os.path.exists("/usr/bin/llvm-otool") else tool("llvm-otool-14")
    kexts, files = package(folder)
    program = members(files["VirtioKextsLE.pkg/Payload"][4])
    path = os.path.join(folder, "program")
    with open(path, "wb") as file:
        file.write(program["VirtioPCI.kext/Contents/MacOS/VirtioPCI"][1])
    said = good(otool, "-f", path)
    true("nfat_arch 2" in said, said)
    true(len(kexts) == 2, "kexts")


main()
