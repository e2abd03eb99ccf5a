#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# fuzz_run.sh SEEDS FUZZER SECONDS OBJECT...: let the fuzzer run for that long, from the seeds that
# SEEDS makes and the objects.
set -eu

here=$(dirname "$(realpath "$0")")
seeds=$(realpath "$1") fuzzer=$(realpath "$2") seconds=$3
shift 3
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM HUP

"$seeds" "$dir"
for object; do
    # The first byte says how to link: fuzz_kextld.c. Bit 0 is i386.
    how='\000'
    case "$object" in *i386*) how='\001' ;; esac
    { printf "$how"; cat "$object"; } >"$dir/$(basename "$object")"
done
"$here/../lib/fuzz_run.sh" "$fuzzer" "$seconds" "$dir"
