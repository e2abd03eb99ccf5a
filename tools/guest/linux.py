# SPDX-License-Identifier: BSD-2-Clause
"""A small Linux guest out of Debian's packages: its kernel, its modules, an initial file system.

The kernel is that of this release. Where exactly its package is installed, its files are read from
there; else the package is fetched with apt-get and unpacked, not installed: this machine's own
kernels are not touched. Without a network any other kernel that is installed and readable will do.
"""
import fcntl
import glob
import os
import re
import subprocess
import tempfile

META = 'linux-image-amd64'
UNPACK = {'.xz': ['xz', '-dc'], '.gz': ['gzip', '-dc'], '.zst': ['zstd', '-dcq']}
DEPENDS = re.compile(rb'(?:^|\0)depends=([^\0]*)\0')


class Problem(Exception):
    """Something is missing or failed; the text is one line."""


def run(argv, **more):
    try:
        r = subprocess.run(argv, capture_output=True, text=True, check=False, **more)
    except OSError as e:
        raise Problem(f'{argv[0]}: {e.strerror}') from e
    if r.returncode:
        last = (r.stderr.strip().splitlines() or ['no output'])[-1]
        raise Problem(f'{" ".join(argv[:3])}: {last}')
    return r.stdout


class locked:
    """Only one at a time works in a folder."""

    def __init__(self, folder):
        os.makedirs(folder, exist_ok=True)
        self.path = os.path.join(folder, '.lock')

    def __enter__(self):
        self.file = open(self.path, 'w', encoding='utf-8')
        fcntl.flock(self.file, fcntl.LOCK_EX)

    def __exit__(self, *why):
        self.file.close()


def put(path, data, mode=0o644):
    """A whole file at once: whoever reads the old one goes on reading the old one."""
    new = f'{path}.{os.getpid()}'
    with open(new, 'wb') as f:
        f.write(data)
    os.chmod(new, mode)
    os.rename(new, path)


# ---- the kernel and its modules


def package():
    """The package that the meta-package stands for."""
    for line in run(['apt-cache', 'depends', META]).splitlines():
        word = line.split()
        if len(word) == 2 and word[0] == 'Depends:' and word[1].startswith('linux-image-'):
            return word[1]
    raise Problem(f"Debian's package {META} is not known here; apt-get update may help")


def installed(release):
    """Root of a file system that has this kernel, readable; or None."""
    if os.access(f'/boot/vmlinuz-{release}', os.R_OK) and os.path.isdir(f'/lib/modules/{release}'):
        return '/'
    return None


def any_installed():
    for path in sorted(glob.glob('/boot/vmlinuz-*'), reverse=True):
        release = os.path.basename(path)[len('vmlinuz-'):]
        if installed(release):
            return release
    return None


def unpacked(path):
    argv = UNPACK.get(os.path.splitext(path)[1])
    if not argv:
        with open(path, 'rb') as f:
            return f.read()
    r = subprocess.run([*argv, path], stdout=subprocess.PIPE, check=False)
    if r.returncode:
        raise Problem(f'{argv[0]} cannot unpack {os.path.basename(path)}')
    return r.stdout


def take(root, release, out, modules):
    """vmlinuz, modules/ and modules.order, which has each module after those it depends on."""
    base = os.path.join(root, 'lib', 'modules', release, 'kernel')
    found = {}
    for folder, _, names in os.walk(base):
        for name in names:
            if '.ko' in name:
                found[name.split('.ko')[0].replace('-', '_')] = os.path.join(folder, name)
    order = []

    def add(name):
        if name in order or name not in found:
            return  # there already, or built into the kernel
        data = unpacked(found[name])
        match = DEPENDS.search(data)
        for other in match.group(1).decode().split(',') if match else []:
            add(other.replace('-', '_'))
        put(os.path.join(out, 'modules', name + '.ko'), data)
        order.append(name)

    os.makedirs(os.path.join(out, 'modules'), exist_ok=True)
    for name in modules:
        add(name)
    put(os.path.join(out, 'modules.order'), ('\n'.join(order) + '\n').encode())
    with open(os.path.join(root, 'boot', f'vmlinuz-{release}'), 'rb') as f:
        put(os.path.join(out, 'vmlinuz'), f.read())


def download(name, release, out, modules):
    with tempfile.TemporaryDirectory(dir=out) as tmp:
        os.chmod(tmp, 0o755)
        run(['apt-get', '-q', 'download', name], cwd=tmp)
        deb = glob.glob(os.path.join(tmp, '*.deb'))
        if len(deb) != 1:
            raise Problem(f'apt-get download {name} brought {len(deb)} packages')
        run(['dpkg-deb', '-x', deb[0], os.path.join(tmp, 'x')])
        take(os.path.join(tmp, 'x'), release, out, modules)


def kernel(out, modules):
    """All of it into out, if it is not there; the kernel's release."""
    stamp = os.path.join(out, 'version')
    want = ' '.join(sorted(modules))
    if os.path.exists(stamp):
        with open(stamp, encoding='utf-8') as f:
            release, _, has = f.read().strip().partition(' ')
        if has == want:
            return release
    try:
        name = package()
        release = name.replace('linux-image-', '')
        if installed(release):
            take('/', release, out, modules)
        else:
            download(name, release, out, modules)
    except Problem as e:
        release = any_installed()
        if not release:
            raise Problem(f'no kernel for the guest: {e}; and none is installed in /boot that '
                          'can be read') from e
        take('/', release, out, modules)
    put(stamp, f'{release} {want}\n'.encode())
    return release


def closure(out, names):
    """These modules and all they need, in the order to load them."""
    with open(os.path.join(out, 'modules.order'), encoding='utf-8') as f:
        order = f.read().split()
    need = set()

    def add(name):
        path = os.path.join(out, 'modules', name + '.ko')
        if name in need or not os.path.exists(path):
            return
        need.add(name)
        with open(path, 'rb') as f:
            match = DEPENDS.search(f.read())
        for other in match.group(1).decode().split(',') if match else []:
            add(other.replace('-', '_'))

    for name in names:
        add(name)
    return [name for name in order if name in need]


# ---- the initial file system


class Archive:
    """A cpio archive, format newc."""

    def __init__(self):
        self.parts = []
        self.known = set()

    def entry(self, name, mode, data=b'', rdev=(0, 0)):
        path = name.encode() + b'\0'
        head = '070701' + ''.join(f'{v:08X}' for v in (
            len(self.parts) + 1, mode, 0, 0, 1, 0, len(data), 0, 0, *rdev, len(path), 0))
        text = head.encode() + path
        text += b'\0' * (-len(text) % 4) + data
        self.parts.append(text + b'\0' * (-len(text) % 4))
        self.known.add(name)

    def folder(self, name):
        """And those above it."""
        at = ''
        for part in name.split('/'):
            at = f'{at}/{part}' if at else part
            if at not in self.known:
                self.entry(at, 0o040755)

    def parent(self, name):
        if '/' in name:
            self.folder(name.rsplit('/', 1)[0])

    def file(self, name, data, mode=0o644):
        self.parent(name)
        self.entry(name, 0o100000 | mode, data)

    def copy(self, name, path, mode=0o644):
        with open(path, 'rb') as f:
            self.file(name, f.read(), mode)

    def link(self, name, to):
        self.parent(name)
        self.entry(name, 0o120777, to.encode())

    def write(self, path):
        self.entry('TRAILER!!!', 0)
        put(path, b''.join(self.parts))


def skeleton(out, init, modules):
    """An archive with the first process, its modules in /modules, and what every guest has."""
    archive = Archive()
    for name in ('dev', 'proc', 'sys', 'modules'):
        archive.folder(name)
    archive.entry('dev/console', 0o020600, rdev=(5, 1))
    archive.copy('init', init, 0o755)
    for i, name in enumerate(closure(out, modules)):
        archive.copy(f'modules/{i:02}-{name}.ko', os.path.join(out, 'modules', name + '.ko'))
    return archive


def compile_static(out, sources, root):
    run(['gcc', '-O2', '-Wall', '-Wextra', '-Werror', '-static', '-pthread', '-I', root,
         '-o', out, *[os.path.join(root, s) for s in sources]])
