#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The decisions in Distribution, run: which volumes are taken, and which folder is chosen.

Duktape plays the installer's JavaScript; the objects it would bring are stand-ins.
"""

import json
import os
import xml.etree.ElementTree as ElementTree

import stand_in
from readers import xar_read
from tap import good, main, mkpkg, same, test, tool, true

BEFORE = """
var my = %s;
var system = {
    version: { ProductVersion: '10.7.5' },
    compareVersions: function (a, b) {
        var x = String(a).split('.'), y = String(b).split('.');
        for (var i = 0; i < Math.max(x.length, y.length); i++) {
            var d = (parseInt(x[i], 10) || 0) - (parseInt(y[i], 10) || 0);
            if (d !== 0)
                return d < 0 ? -1 : 1;
        }
        return 0;
    }
};
"""
AFTER = """
print(JSON.stringify({ takes: %s, result: my && my.result, active: [%s], selected: [%s] }));
"""


def decide(folder, my):
    """What the package of two stand-ins does for a `my` object."""
    duk = tool("duk")
    data = mkpkg("pkg", os.path.join(folder, "x.pkg"), stand_in.pair(folder))
    root = ElementTree.fromstring(xar_read(data)["Distribution"][4])
    selected = {choice.find("pkg-ref").get("id"): choice.get("selected")
                for choice in root.findall("choice")}
    active = {}
    for ref in root.findall("pkg-ref"):
        active.setdefault(ref.get("id"), "true")
        active[ref.get("id")] = ref.get("active") or active[ref.get("id")]
    order = ["org.viokit.pkg." + name for name in ("sle", "le", "support")]
    text = BEFORE % json.dumps(my) + root.findtext("script") + AFTER % (
        root.find("volume-check").get("script"), ", ".join(active[name] for name in order),
        ", ".join(selected[name] for name in order))
    path = os.path.join(folder, "x.js")
    stand_in.put(path, text.encode())
    return json.loads(good(duk, path))


def volume(version):
    return {"target": {"systemVersion": {"ProductVersion": version}}, "result": {}}


SLE, LE = [True, False, True], [False, True, True]


@test
def each_release_gets_its_folder(folder):
    for version, want in (("10.6", SLE), ("10.6.8", SLE), ("10.7.5", SLE), ("10.8.5", SLE),
                          ("10.9", SLE), ("10.9.5", SLE), ("10.10", LE), ("10.10.5", LE),
                          ("10.11.6", LE),
                          ("10.12.6", LE), ("10.13.6", LE), ("10.14.6", LE), ("10.15.7", LE),
                          ("10.16", LE), ("11.0.1", LE), ("14.2", LE), ("26.1", LE)):
        got = decide(folder, volume(version))
        same((got["takes"], got["result"]), (True, {}), version)
        same((got["active"], got["selected"]), (want, want), version)


@test
def older_systems_are_refused_with_their_version(folder):
    for version in ("10.5.8", "10.4.11", "10.0"):
        got = decide(folder, volume(version))
        same((got["takes"], got["result"]["type"]), (False, "Fatal"), version)
        true(version in got["result"]["message"] and "10.6" in got["result"]["message"], got)


@test
def volumes_without_a_system_are_refused(folder):
    for target in ({}, {"systemVersion": None}, {"systemVersion": {}}):
        got = decide(folder, {"target": target, "result": {}})
        same((got["takes"], got["result"]["type"]), (False, "Fatal"), target)
        true("no macOS" in got["result"]["message"], got)


@test
def before_a_volume_is_chosen_the_running_system_counts(folder):
    got = decide(folder, {"result": {}})
    same((got["takes"], got["active"]), (True, SLE))


main()
