#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# coverage.sh [MINIMUM]: line coverage of the freestanding half by the tests, per folder.
# Exit 1 when the total is below MINIMUM per cent (85), or a test fails.
set -eu
cd "$(dirname "$0")/.."

minimum=${1:-85}

tools/build.sh build-cov
find build-cov -name '*.gcda' -delete
tools/runtests build-cov:all
gcovr --root . --object-directory build-cov --json-summary build-cov/coverage.json \
    --exclude-throw-branches \
    --filter 'common/' --filter 'guest/core/' --filter 'guest/transport/' \
    --filter 'guest/drivers/' build-cov >build-cov/gcovr.log 2>&1 || {
    cat build-cov/gcovr.log >&2
    exit 1
}

exec python3 - "$minimum" build-cov/coverage.json <<'END'
import json
import sys

minimum, path = float(sys.argv[1]), sys.argv[2]
files = json.load(open(path))["files"]
folders = {}
print(f"\n{'file':<34} {'lines':>6} {'covered':>8}")
for file in sorted(files, key=lambda file: file["filename"]):
    folder = file["filename"].rpartition("/")[0]
    for key in (folder, "total"):
        sums = folders.setdefault(key, [0, 0])
        sums[0] += file["line_total"]
        sums[1] += file["line_covered"]
    share = 100 * file["line_covered"] / max(file["line_total"], 1)
    print(f"{file['filename']:<34} {file['line_total']:>6} {share:>7.1f}%")
print()
for folder in sorted(folders, key=lambda name: (name == "total", name)):
    lines, covered = folders[folder]
    print(f"{folder:<34} {lines:>6} {100 * covered / max(lines, 1):>7.1f}%")
total = folders.get("total", [0, 0])
if not total[0] or 100 * total[1] / total[0] < minimum:
    print(f"below the {minimum:.0f} % this project keeps")
    sys.exit(1)
END
