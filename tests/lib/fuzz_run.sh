#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# fuzz_run.sh FUZZER SECONDS SEED...: let the fuzzer run for that long, from these files and what is
# in these folders, in a directory of its own. An input that crashes is shown as base64. A fuzzer
# that ends with 77 by itself cannot run here, and has said why.
set -eu

fuzzer=$(realpath "$1") seconds=$2
shift 2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM HUP

mkdir "$dir/corpus"
for seed; do
    cp -r "$seed" "$dir/corpus/"
done
cd "$dir"
status=0
"$fuzzer" -max_total_time="$seconds" -max_len=16384 -timeout=20 -rss_limit_mb=2048 \
    -error_exitcode=1 -print_final_stats=1 corpus >log 2>&1 || status=$?
if [ "$status" = 77 ]; then
    tail -n 1 log
    exit 77
fi
if [ "$status" != 0 ]; then
    tail -n 40 log
    for input in crash-* oom-* timeout-* leak-*; do
        [ -f "$input" ] || continue
        echo "$input:"
        base64 "$input"
    done
    exit 1
fi
grep number_of_executed_units log
