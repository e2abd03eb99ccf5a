# SPDX-License-Identifier: BSD-2-Clause
"""The cases: the same stand-in VMs on vmnet and on what it is compared with.

A case is a function that puts up everything within a Lab and returns a Path. The VMs are namespaces
with a TAP; the stand-in program carries its frames as a VMM would. Tools that open a TAP
themselves have it directly in the namespace, and are spared the stand-in: two system calls and
one copy of each frame less on either side, in their favour."""
import json
import os
from dataclasses import dataclass, field

from lab import LabError, family

MAC = ['02:76:6d:00:00:01', '02:76:6d:00:00:02']
ADDRESS = ['10.0.2.11', '10.0.2.12']
GATEWAY = '10.0.2.2'
OUTSIDE = '198.51.100.1'  # for documentation only (RFC 5737): nobody has it
SLIRP4NETNS = '10.0.2.100'
IDLE_MAC = '02:76:6d:00:01:{:02x}'


@dataclass
class Path:
    """From the client's namespace to an address in the server's, and who is in between."""
    client: int = 0
    server: int = 0
    address: str = ''
    relay: list = field(default_factory=list)  # processes between the two wires
    carry: list = field(default_factory=list)  # the stand-ins, or what takes their place
    wires: list = field(default_factory=list)  # frames without a guest: wire, descriptors, wrap...

    def relays(self):
        return family(self.relay)


# ---- stand-in VMs ----

def guest(lab, mtu, number, wire, fds=(), wrap=(), env=None, outer=None, gateway=None,
          address=None):
    """A namespace whose TAP hangs on that wire. `wrap`: a program of namespace `outer` that starts
    the stand-in and hands it its descriptor. Returns namespace and process."""
    ns = lab.namespace()
    argv = lab.inside(ns, [lab.standin, 'tap', wire, 'tap0'])
    p = lab.start([*wrap, *argv], outer, fds, True, env)
    lab.interface(ns, 'tap0', f'{address or ADDRESS[number]}/24', mtu, gateway, MAC[number])
    return ns, p.pid


def guest_with_tap(lab, mtu, number, argv, address=None, name='tap0'):
    """A namespace in which some tool opens the TAP itself."""
    ns = lab.namespace()
    p = lab.start(argv, ns)
    lab.wait('the TAP', lambda: name in lab.do(['ip', '-br', 'link'], ns))
    lab.interface(ns, name, f'{address or ADDRESS[number]}/24', mtu, None, MAC[number])
    return ns, p.pid


def host(lab):
    """A namespace for what runs on the host, with a server's address that is not loopback's, and a
    default route: passt takes its own address from one."""
    ns = lab.namespace()
    lab.do(['ip', 'address', 'add', f'{OUTSIDE}/32', 'dev', 'lo'], ns)
    lab.do(['ip', 'link', 'add', 'up0', 'type', 'veth', 'peer', 'name', 'up1'], ns)
    lab.do(['ip', 'address', 'add', '192.0.2.2/24', 'dev', 'up0'], ns)
    for name in ('up0', 'up1'):
        lab.do(['ip', 'link', 'set', name, 'up'], ns)
    lab.do(['ip', 'route', 'add', 'default', 'via', '192.0.2.1'], ns)
    return ns


# ---- relays ----

def hub(lab):
    """QEMU's hub between two socket pairs; there is no CPU in this machine."""
    a, b = lab.pair()
    c, d = lab.pair()
    argv = ['qemu-system-x86_64', '-machine', 'none', '-nodefaults', '-display', 'none',
            '-monitor', 'none', '-serial', 'none']
    for i, fd in enumerate((b, c)):
        argv += ['-netdev', f'socket,id=s{i},fd={fd}',
                 '-netdev', f'hubport,id=h{i},hubid=0,netdev=s{i}']
    p = lab.start(argv, fds=(b, c))
    return p, a, d


def vde_switch(lab):
    p = lab.start(['vde_switch', '-s', lab.path('vde'), '-n', '40'])
    lab.wait('vde_switch', lambda: os.path.exists(lab.path('vde/ctl')))
    return p


class Vmnet:
    """A daemon of the lab's own, on a host namespace, with one network."""

    def __init__(self, lab, mode, mtu):
        self.lab, self.ns = lab, host(lab)
        self.env = {f'VMNET_{what}_DIR': lab.path(f'vmnet-{what.lower()}')
                    for what in ('RUNTIME', 'STATE')}
        config = lab.path('networks.yaml')
        with open(config, 'w', encoding='utf-8') as f:
            f.write('networks: {}\n')
        self.env['VMNET_CONFIG'] = config
        if not os.access(lab.vmnet, os.X_OK):
            raise LabError(f'{lab.vmnet}: not built')
        for path in self.env.values():
            if not os.path.exists(path):
                os.mkdir(path, 0o700)
        self.daemon = lab.start([lab.vmnet, 'daemon', '--foreground'], self.ns, env=self.env)
        sock = os.path.join(self.env['VMNET_RUNTIME_DIR'], 'control.sock')
        lab.wait('the daemon', lambda: os.path.exists(sock))
        self.do('create', 'bench', '--mode', mode, '--subnet', '10.0.2.0/24', '--gateway', GATEWAY,
                '--mtu', str(mtu))

    def do(self, *argv):
        return self.lab.do([self.lab.vmnet, *argv], self.ns, self.env)

    def run(self, number):
        """What `vmnet run` is given before the stand-in."""
        return [self.lab.vmnet, 'run', 'bench', '--name', f'vm{number}', '--mac',
                MAC[number] if number < 2 else IDLE_MAC.format(number), '--']

    def guest(self, mtu, number, gateway=None):
        return guest(self.lab, mtu, number, 'fd:{fd}', (), self.run(number), self.env, self.ns,
                     gateway)


# ---- VM to VM ----

def pair_bare(lab, mtu):
    """The two stand-ins' wires are one socket pair."""
    a, b = lab.pair()
    one, p = guest(lab, mtu, 0, f'fd:{a}', (a,))
    two, q = guest(lab, mtu, 1, f'fd:{b}', (b,))
    lab.seal()
    return Path(one, two, ADDRESS[1], [], [p, q])


def pair_hub(lab, mtu):
    qemu, a, b = hub(lab)
    one, p = guest(lab, mtu, 0, f'fd:{a}', (a,))
    two, q = guest(lab, mtu, 1, f'fd:{b}', (b,))
    lab.seal()
    return Path(one, two, ADDRESS[1], [qemu.pid], [p, q])


def pair_vde_tap(lab, mtu):
    switch = vde_switch(lab)
    plug = ['vde_plug2tap', '-s', lab.path('vde'), 'tap0']
    one, p = guest_with_tap(lab, mtu, 0, plug)
    two, q = guest_with_tap(lab, mtu, 1, plug)
    return Path(one, two, ADDRESS[1], [switch.pid], [p, q])


def pair_vde(lab, mtu):
    switch = vde_switch(lab)
    one, p = guest(lab, mtu, 0, f'vde:{lab.path("vde")}')
    two, q = guest(lab, mtu, 1, f'vde:{lab.path("vde")}')
    return Path(one, two, ADDRESS[1], [switch.pid], [p, q])


def pair_vmnet(lab, mtu, mode='host'):
    net = Vmnet(lab, mode, mtu)
    one, p = net.guest(mtu, 0)
    two, q = net.guest(mtu, 1)
    carry = [pid for pid in family([p, q]) if pid not in (p, q)]
    return Path(one, two, ADDRESS[1], [net.daemon.pid], carry)


# ---- NAT ----

def nat_vmnet(lab, mtu):
    net = Vmnet(lab, 'shared', mtu)
    one, p = net.guest(mtu, 0, GATEWAY)
    return Path(one, net.ns, OUTSIDE, [net.daemon.pid], [pid for pid in family([p]) if pid != p])


def nat_slirp4netns_tap(lab, mtu):
    outside, ns = host(lab), lab.namespace()
    p = lab.start(['slirp4netns', '-c', '-m', str(mtu), '--netns-type=path',
                   f'/proc/{ns}/ns/net', 'tap0'], outside)
    lab.wait('slirp4netns', lambda: SLIRP4NETNS in lab.do(['ip', '-br', 'address'], ns))
    return Path(ns, outside, OUTSIDE, [p.pid])


def nat_slirp4netns(lab, mtu):
    """As a VM uses it: a packet socket, with the stand-in at its other end."""
    outside, ns = host(lab), lab.namespace()
    path = lab.path('bess')
    p = lab.start(['slirp4netns', '-m', str(mtu), '--target-type=bess', path], outside)
    lab.wait('slirp4netns', lambda: os.path.exists(path))
    carrier = lab.start([lab.standin, 'tap', f'bess:{path}', 'tap0'], ns, ready=True)
    lab.interface(ns, 'tap0', f'{SLIRP4NETNS}/24', mtu, GATEWAY, MAC[0])
    return Path(ns, outside, OUTSIDE, [p.pid], [carrier.pid])


def nat_passt(lab, mtu):
    outside = host(lab)
    # It becomes nobody before it makes its socket.
    os.chmod(lab.dir, 0o711)
    os.mkdir(lab.path('passt'))
    os.chmod(lab.path('passt'), 0o777)
    path = lab.path('passt/socket')
    p = lab.start(['passt', '-f', '-4', '-s', path, '-m', str(mtu), '-a', ADDRESS[0], '-n', '24',
                   '-g', GATEWAY], outside)
    lab.wait('passt', lambda: os.path.exists(path))
    ns, q = guest(lab, mtu, 0, f'unix:{path}', gateway=GATEWAY)
    return Path(ns, outside, OUTSIDE, [p.pid], [q])


# ---- frames without a guest ----

def frames_bare(lab, _mtu):
    a, b = lab.pair()
    return Path(wires=[(f'fd:{a}', (a,)), (f'fd:{b}', (b,))])


def frames_pipe(lab, _mtu):
    a, b = lab.pair()
    c, d = lab.pair()
    p = lab.start([lab.standin, 'pipe', f'fd:{b}', f'fd:{c}'], fds=(b, c), ready=True)
    return Path(relay=[p.pid], wires=[(f'fd:{a}', (a,)), (f'fd:{d}', (d,))])


def frames_hub(lab, _mtu):
    p, a, b = hub(lab)
    return Path(relay=[p.pid], wires=[(f'fd:{a}', (a,)), (f'fd:{b}', (b,))])


def frames_vde(lab, _mtu):
    p = vde_switch(lab)
    wire = (f'vde:{lab.path("vde")}', ())
    return Path(relay=[p.pid], wires=[wire, wire])


def frames_vmnet(lab, mtu, idle=0):
    """Two members, and some that are only there and known."""
    net = Vmnet(lab, 'host', mtu)
    for n in range(2, 2 + idle):
        lab.start([*net.run(n), lab.standin, 'idle', 'fd:{fd}', IDLE_MAC.format(n)], net.ns,
                  ready=True, env=net.env)
    path = Path(relay=[net.daemon.pid],
                wires=[('fd:{fd}', (), net.run(n), net.ns, net.env) for n in range(2)])
    if idle:
        seen = json.loads(net.do('status', '--json'))
        members = sum(len(n.get('members', [])) for n in seen['networks'])
        if members != idle:
            raise LabError(f'{members} members are there instead of {idle}')
    return path


OURS = 'vmnet'
PAIR = {
    OURS: pair_vmnet,
    'QEMU hub': pair_hub,
    'vde_switch': pair_vde,
    'vde_switch (TAP)': pair_vde_tap,
    'no relay': pair_bare,
}
NAT = {
    OURS: nat_vmnet,
    'passt': nat_passt,
    'slirp4netns': nat_slirp4netns,
    'slirp4netns (TAP)': nat_slirp4netns_tap,
}
FRAMES = {
    OURS: frames_vmnet,
    'QEMU hub': frames_hub,
    'vde_switch': frames_vde,
    'plain copy': frames_pipe,
    'no relay': frames_bare,
}
# What no relay at all does is for scale only; it is nobody's peer.
SCALE = {'no relay', 'plain copy'}
# Above that these are known to carry nothing; --quick does not wait for it.
LONGEST = {'vde_switch': 1500, 'vde_switch (TAP)': 1500}
IDLE = (2, 8, 24)
