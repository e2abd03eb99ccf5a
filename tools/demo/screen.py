# SPDX-License-Identifier: BSD-2-Clause
"""What people see: a word on the left, what there is to say about it on the right."""
import os
import sys
import time

HEAD = 12


class Screen:
    def __init__(self, silent=False):
        self.out = None if silent else sys.stdout
        self.tty = bool(self.out) and self.out.isatty() and os.environ.get('TERM') != 'dumb'
        self.colour = self.tty and 'NO_COLOR' not in os.environ
        self.waiting = False
        self.began = time.monotonic()

    def paint(self, code, text):
        return f'\033[{code}m{text}\033[0m' if self.colour else text

    def write(self, text):
        try:
            self.out.write(text)
            self.out.flush()
        except OSError as e:
            self.out = None
            raise OSError(e.errno, e.strerror, 'standard output') from None

    def line(self, head, text=''):
        if not self.out:
            return
        self.clear()
        pad = ' ' * max(0, HEAD - len(head))
        self.write(f'{self.paint(1, head) if head else ""}{pad}{text}'.rstrip() + '\n')

    def wait(self, text):
        """What is being done, on a line that the next one takes the place of; terminals only."""
        if not self.tty:
            return
        self.clear()
        self.write(self.paint(2, f'{"":{HEAD}}{text} ...'))
        self.waiting = True

    def clear(self):
        if self.waiting:
            self.waiting = False
            self.write('\r\033[K')

    def table(self, head, titles, rows):
        """Numbers go to the right, all else to the left."""
        if not self.out:
            return
        texts = [[str(cell) for cell in row] for row in rows]
        wide = [max(len(row[i]) for row in [list(titles), *texts]) for i in range(len(titles))]
        right = [bool(rows) and all(isinstance(row[i], (int, float)) for row in rows)
                 for i in range(len(titles))]
        for n, row in enumerate([list(titles), *texts]):
            cells = [f'{c:>{w}}' if r else f'{c:<{w}}' for c, w, r in zip(row, wide, right)]
            text = '  '.join(cells).rstrip()
            self.line(head if n == 0 else '', self.paint(2, text) if n == 0 else text)


def size(n):
    for unit in ('bytes', 'KiB', 'MiB', 'GiB'):
        if n < 1024 or unit == 'GiB':
            return f'{n:.0f} {unit}' if n == int(n) or n >= 100 else f'{n:.1f} {unit}'
        n /= 1024
    return ''


def span(seconds):
    return f'{seconds * 1e3:.2f} ms' if seconds < 1 else f'{seconds:.1f} s'
