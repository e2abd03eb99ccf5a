#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# check.sh [CLANG++]: compile the sample driver as a kext for both architectures, without a warning,
# and look up every name it refers to.
set -u
cd "$(dirname "$0")/../.." || exit 1
clang=${1:-clang++-16}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

include=$("$clang" -print-resource-dir)/include
flags="-mkernel -fapple-kext -nostdinc -isystem $include -std=c++11 -fno-exceptions -fno-rtti -Os
    -fno-asynchronous-unwind-tables -Wall -Wextra -Wshadow -Werror -I."
bad=0
for arch in x86_64 i386; do
    more=
    [ $arch = i386 ] && more="-static -fallow-unsupported"
    # shellcheck disable=SC2086
    "$clang" -target $arch-apple-macos10.6 $more $flags -c tests/kpi/sample.cpp \
        -o "$tmp/$arch.o" && tools/kpi/check-exports "$tmp/$arch.o" || bad=1
done
exit $bad
