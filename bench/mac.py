# SPDX-License-Identifier: BSD-2-Clause
"""The kexts on the simulated Mac: against the plain driver, packet by packet and over TCP, and
beside Linux guests that drive QEMU's cards with their own drivers. Part of bench/run."""
import json
import os
import re
import statistics
import subprocess
import tempfile
import textwrap

from benchlib import (ROOT, command, fail, machine, plot, progress, quartiles, replace, table)

MIB = 1 << 20
NO_SEGMENTATION = ','.join(f'{side}_{what}=off' for side in ('host', 'guest')
                           for what in ('tso4', 'tso6', 'ecn', 'ufo'))

# label, viorun's options, megabytes of each transfer
PATHS = [
    ('TAP, TSO and LRO', ['--net', 'tap'], 256),
    ('TAP, MTU-sized packets', ['--net', 'tap', '--card', NO_SEGMENTATION], 128),
    ('user network', ['--net', 'user'], 64),
]

# label, card, network, megabytes; the same as of the plain driver and the kexts
GUESTS = [
    ('e1000', 'e1000', 'tap', 256),
    ('virtio-net', 'virtio', 'tap', 256),
    ('e1000', 'e1000', 'user', 64),
    ('virtio-net', 'virtio', 'user', 64),
]

PACKETS = [
    # label, arguments, packets under callgrind, packets of a timed run
    ('send 64 B', ['tx', '64'], 10048, 100032),
    ('send 1514 B, checksum', ['tx', '1514', '--csum'], 10048, 100032),
    ('send 64 KiB, TSO', ['tx', '65226', '--gso'], 2000, 20000),
    ('receive 64 B', ['rx', '64'], 10048, 0),
    ('receive 1514 B', ['rx', '1514'], 10048, 0),
    ('receive 64 KiB, LRO', ['rx', '65226', '--gso'], 1000, 0),
]
CORE_PACKETS = {'tx': (20032, 1000000), 'rx': (20032, 0)}


# ---- packet by packet ----

def counted(program, args, packets, toggles):
    """Instructions per packet inside of some functions, of named code and of code without a name:
    the kexts' own, which no symbol table knows."""
    with tempfile.TemporaryDirectory() as tmp:
        out = os.path.join(tmp, 'cg')
        r = command(['valgrind', '--tool=callgrind', '--fair-sched=yes',
                     f'--callgrind-out-file={out}', *(f'--toggle-collect={t}' for t in toggles),
                     program, *args, '--packets', str(packets)])
        named, nameless = own_costs(out)
    seen = json.loads(r.stdout)['packets']
    return named / seen, nameless / seen


def own_costs(path):
    """Sums of a callgrind file's own costs: in programs and libraries, and in neither."""
    names, sums = {}, {True: 0, False: 0}
    nameless, skip = False, False
    with open(path, encoding='utf-8') as f:
        for line in f:
            m = re.match(r'ob=\((\d+)\)(?: (.*))?', line)
            if m:
                names.setdefault(m[1], (m[2] or '').strip())
                nameless = names[m[1]] == '???'
            elif line.startswith('cob='):
                m = re.match(r'cob=\((\d+)\)(?: (.*))?', line)
                names.setdefault(m[1], (m[2] or '').strip())
            elif line.startswith('calls='):
                skip = True  # the next line is what the callee costs
            elif line[0] in '0123456789+-*':
                if not skip:
                    sums[nameless] += int(line.split()[1])
                skip = False
    return sums[False], sums[True]


def bench_packets(build, rounds):
    mac = os.path.join(build, 'bench', 'bench_mac')
    core = os.path.join(build, 'bench', 'bench_model')
    kexts = ['--kexts', os.path.join(build, 'kext')]
    rows = []
    for label, args, few, many in PACKETS:
        progress(f'  packets: {label}')
        alone, _ = counted(core, args, CORE_PACKETS[args[0]][0] if '--gso' not in args else 2000,
                           ['driver_tx_turn', 'driver_rx_turn'])
        around, kext = counted(mac, args + kexts, few,
                               ['mac_if_send', 'IOWorkLoop::runEventSources()'])
        row = {'label': label, 'alone': alone, 'kexts': kext, 'simulation': around}
        if many:
            row['ns'], row['ns_alone'] = [], []
            for _ in range(rounds):
                one = json.loads(command([mac, *args, *kexts, '--packets', str(many)]).stdout)
                row['ns'].append(one['ns_per_packet'])
                one = json.loads(command([core, *args, '--packets', '500000']).stdout)
                row['ns_alone'].append(one['ns_per_packet'])
        rows.append(row)
    progress('')
    return rows


def report_packets(rows):
    cells = []
    for r in rows:
        ns = ('', '')
        if 'ns' in r:
            ns = (f'{statistics.median(r["ns_alone"]):.0f}', f'{statistics.median(r["ns"]):.0f}')
        cells.append((r['label'], f'{r["alone"]:.0f}', f'{r["kexts"]:.0f}',
                      f'{r["kexts"] - r["alone"]:+.0f}', f'{r["simulation"]:.0f}', *ns))
    return table(('packet', 'driver', 'kexts', 'face', 'simulation', 'driver, ns', 'all, ns'),
                 cells)


# ---- over TCP ----

def attempt(argv, failures):
    """One run; a failed one is kept for the report, and does not end the others."""
    r = subprocess.run(argv, capture_output=True, text=True)
    if r.returncode == 0:
        return json.loads(r.stdout)
    last = (r.stderr.strip().splitlines() or [f'ended with {r.returncode}'])[-1]
    failures.append(f'{os.path.basename(argv[0])} {" ".join(argv[1:])}: {last}')
    return None


def viorun(build, driver, options, megabytes, idle, failures):
    # One processor for all of a run, QEMU on the other: waking a thread on a processor that sleeps
    # costs a virtual machine such as this one more than anything that is measured here.
    apart = os.path.join(ROOT, 'bench', 'qemu-apart')
    pinned = ['taskset', '-c', '0'] if (os.cpu_count() or 1) > 1 else []
    argv = [*pinned, os.path.join(build, 'tools', 'viorun', 'viorun'), '--driver', driver,
            '--irq', 'msix', '--bytes', f'{megabytes}M', '--idle', str(idle),
            '--timeout', str(90 + 2 * idle), *(['--qemu', apart] if pinned else []),
            *options, '--json', '-']
    if driver == 'kext':
        argv += ['--package', os.path.join(build, 'kext')]
    r = attempt(argv, failures)
    return r and {way: r[way]['mbit_s'] for way in ('download', 'upload')}


def guest(build, card, net, megabytes, idle, failures):
    r = attempt([os.path.join(build, 'bench', 'bench_guest'), os.path.join(build, 'guest'), card,
                 net, str(megabytes * MIB), str(idle)], failures)
    return r and {way: r[way] for way in ('download', 'upload')}


def make_guest(build):
    """The version of the guest's kernel; None, and why on a line, if there can be none here."""
    r = subprocess.run([os.path.join(ROOT, 'bench', 'guest', 'make'),
                        os.path.join(build, 'guest')], capture_output=True, text=True)
    if r.returncode:
        print((r.stderr.strip().splitlines() or ['no Linux guest'])[-1])
        return None
    return r.stdout.strip()


def bench_tcp(build, rounds, idle, failures):
    """All cases in turn, so often; what each gave, None for a run that failed."""
    tap = os.geteuid() == 0 and os.path.exists('/dev/net/tun')
    version = make_guest(build)
    cases = []
    for label, options, megabytes in PATHS:
        if 'tap' in options and not tap:
            continue
        for driver in ('core', 'kext'):
            cases.append(((label, driver), viorun, (driver, options, megabytes)))
    for label, card, net, megabytes in GUESTS:
        if version and (tap or net != 'tap'):
            cases.append(((label, net), guest, (card, net, megabytes)))
    seen = {key: [] for key, _, _ in cases}
    for n in range(rounds):
        for key, run, args in cases:
            progress(f'  TCP: round {n + 1} of {rounds}: {", ".join(key)}')
            seen[key].append(run(build, *args, idle, failures))
    progress('')
    return seen, version


def values(runs, way):
    return [r[way] for r in runs if r]


def rate(runs, way):
    """Median, and the middle half."""
    v = values(runs, way)
    if not v:
        return 'not run', ''
    low, median, high = quartiles(v)
    return f'{median:.0f}', f'{low:.0f} - {high:.0f}'


def ratio(core, kext, way):
    """Of runs next to each other; a slow minute is in both."""
    pairs = [k[way] / c[way] for c, k in zip(core, kext) if c and k]
    return f'{quartiles(pairs)[1] * 100:.0f} %' if pairs else ''


def report_tcp(seen):
    cells, bars = [], []
    for label, _, _ in PATHS:
        core, kext = seen.get((label, 'core'), []), seen.get((label, 'kext'), [])
        for way in ('download', 'upload'):
            cells.append((f'{label}, {way}', *rate(core, way), *rate(kext, way),
                          ratio(core, kext, way)))
            for name, runs in (('driver', core), ('kexts', kext)):
                v = values(runs, way)
                if v:
                    low, median, high = quartiles(v)
                    bars.append((f'{label}, {way[:-4]}: {name}', median / 1e3, low / 1e3,
                                 high / 1e3))
    text = table(('Mbit/s', 'driver', 'middle half', 'kexts', 'middle half', 'kexts/driver'), cells)
    return text, bars


def report_guests(seen):
    cells = []
    for net, path in (('tap', PATHS[0][0]), ('user', PATHS[2][0])):
        name = 'TAP' if net == 'tap' else 'user network'
        for label, key in (
                ('process, kexts', (path, 'kext')),
                ('process, driver', (path, 'core')),
                ('Linux guest, virtio-net', ('virtio-net', net)),
                ('Linux guest, e1000', ('e1000', net))):
            runs = seen.get(key, [])
            cells.append((f'{name}: {label}', *rate(runs, 'download'), *rate(runs, 'upload')))
    return table(('Mbit/s', 'download', 'middle half', 'upload', 'middle half'), cells)


# ---- all of it ----

def notes(a, failures):
    text = f'Measured on {machine()}; {a.rounds} rounds, {a.idle:g} s of idleness before each ' \
           'transfer.'
    if failures:
        text += f' {len(failures)} runs failed and are not in it.'
    return text


def wrapped(text):
    return '\n'.join(textwrap.wrap(text, 100))


def report(a, out):
    if not os.path.isdir(os.path.join(a.build, 'kext', 'VirtioNet.kext')):
        fail('no kexts in the build folder: make kext')
    print('The kexts packet by packet, instructions:')
    packets = bench_packets(a.build, a.rounds)
    text_packets = report_packets(packets)
    print(text_packets)
    print('The kexts over TCP, beside the driver alone and Linux guests:')
    failures = []
    seen, version = bench_tcp(a.build, a.rounds, int(a.idle), failures)
    text_tcp, bars = report_tcp(seen)
    text_guests = report_guests(seen)
    print(text_tcp)
    print(text_guests)
    for line in failures:
        print(f'failed: {line}')
    if bars:
        plot(os.path.join(out, 'performance-mac.svg'), 'The kexts and the driver alone, over TCP',
             'Gbit/s', bars)
    if a.json:
        with open(a.json, 'w', encoding='utf-8') as f:
            json.dump({'packets': packets, 'linux': version, 'failures': failures,
                       'tcp': [{'case': key, 'runs': runs} for key, runs in seen.items()]}, f,
                      indent=2)
    if a.docs:
        linux = f' The guest is Debian\'s Linux {version}.' if version else ''
        replace('mac-packets', f'{text_packets}\n\nMeasured on {machine()}.')
        replace('mac', f'{text_tcp}\n\n{wrapped(notes(a, failures))}')
        replace('guest', f'{text_guests}\n\n{wrapped(notes(a, failures) + linux)}')
