# SPDX-License-Identifier: BSD-2-Clause
"""What the benchmark scripts share: running programs, tables, plots, docs/performance.md."""
import os
import platform
import statistics
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DOC = os.path.join(ROOT, 'docs', 'performance.md')
OURS, PEERS = '#4878a8', '#b0b8c0'
BEGIN, END = '<!-- begin {} -->', '<!-- end {} -->'


def progress(text):
    """One line that overwrites itself, for a person who waits."""
    if sys.stderr.isatty():
        print(f'\r{text:<78}', end='\r' if not text else '', file=sys.stderr, flush=True)


def fail(text):
    print(f'bench/run: {text}', file=sys.stderr)
    sys.exit(1)


def command(argv):
    r = subprocess.run(argv, capture_output=True, text=True)
    if r.returncode:
        last = (r.stderr.strip().splitlines() or ['no output'])[-1]
        fail(f'{" ".join(argv)}: {last}')
    return r


def spread(values, digits):
    """Median and range."""
    values = sorted(values)
    return (f'{statistics.median(values):.{digits}f}',
            f'{values[0]:.{digits}f} - {values[-1]:.{digits}f}')


def quartiles(values):
    """Lower quartile, median, upper quartile; of few values, the nearest there are."""
    if len(values) < 2:
        return values[0], values[0], values[0]
    return tuple(statistics.quantiles(values, n=4, method='inclusive'))


def table(header, rows):
    width = [max(len(str(r[i])) for r in [header, *rows]) for i in range(len(header))]

    def line(r):
        cells = [str(r[0]).ljust(width[0])] + [str(c).rjust(w) for c, w in zip(r[1:], width[1:])]
        return '| ' + ' | '.join(cells) + ' |'
    rule = '| ' + ' | '.join(['-' * width[0]] + ['-' * (w - 1) + ':' for w in width[1:]]) + ' |'
    return '\n'.join([line(header), rule, *map(line, rows)])


def plot(path, title, unit, bars, ours=None):
    """Horizontal bars: (label, value, low, high). Labels that begin with `ours` stand out."""
    left, right, top, step = 270, 110, 46, 30
    wide, high = 820, top + step * len(bars) + 14
    top_value = max(b[3] for b in bars) or 1
    scale = (wide - left - right) / top_value
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" '
           f'viewBox="0 0 {wide} {high}" font-family="sans-serif" font-size="13">',
           f'<rect width="{wide}" height="{high}" fill="white"/>',
           f'<text x="12" y="24" font-size="15" font-weight="bold">{title}</text>']
    for i, (label, value, low, hi) in enumerate(bars):
        y = top + i * step
        out.append(f'<text x="{left - 10}" y="{y + 15}" text-anchor="end">{label}</text>')
        out.append(f'<rect x="{left}" y="{y}" width="{value * scale:.1f}" height="20" '
                   f'fill="{OURS if not ours or label.startswith(ours) else PEERS}"/>')
        if hi > low:
            out.append(f'<path d="M{left + low * scale:.1f} {y + 10}H{left + hi * scale:.1f}" '
                       f'stroke="black" stroke-width="1.5"/>')
        x = left + max(value, hi) * scale + 6
        out.append(f'<text x="{x:.1f}" y="{y + 15}">{value:.4g} {unit}</text>')
    out.append('</svg>\n')
    with open(path, 'w', encoding='utf-8') as f:
        f.write('\n'.join(out))


def machine():
    cpu = 'unknown CPU'
    with open('/proc/cpuinfo', encoding='utf-8') as f:
        for text in f:
            if text.startswith('model name'):
                cpu = text.split(':', 1)[1].strip()
                break
    return f'{os.cpu_count()} x {cpu}, Linux {platform.release().split("-")[0]}'


def replace(name, body):
    """Between the markers of docs/performance.md."""
    with open(DOC, encoding='utf-8') as f:
        text = f.read()
    begin, end = BEGIN.format(name), END.format(name)
    if begin not in text or end not in text:
        fail(f'docs/performance.md: no place for "{name}"')
    head, rest = text.split(begin, 1)
    tail = rest.split(end, 1)[1]
    with open(DOC, 'w', encoding='utf-8') as f:
        f.write(f'{head}{begin}\n{body}\n{end}{tail}')
