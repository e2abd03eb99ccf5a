#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# fuzz_run.sh SEEDS FUZZER SECONDS OBJECT...: let the fuzzer run for that long, from the seeds that
# SEEDS makes and the objects, in a directory of its own. An input that crashes is shown as base64.
set -eu

seeds=$(realpath "$1") fuzzer=$(realpath "$2") seconds=$3
shift 3
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM HUP

mkdir "$dir/corpus"
"$seeds" "$dir/corpus"
for object; do
    # The first byte says how to link: fuzz_kextld.c. Bit 0 is i386.
    how='\000'
    case "$object" in *i386*) how='\001' ;; esac
    { printf "$how"; cat "$object"; } >"$dir/corpus/$(basename "$object")"
done
cd "$dir"
if ! "$fuzzer" -max_total_time="$seconds" -max_len=16384 -timeout=20 -rss_limit_mb=2048 \
    -print_final_stats=1 corpus >log 2>&1; then
    tail -n 40 log
    for input in crash-* oom-* timeout-* leak-*; do
        [ -f "$input" ] || continue
        echo "$input:"
        base64 "$input"
    done
    exit 1
fi
grep number_of_executed_units log
