#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# gate.sh [STEP...]: the static checks, all of them or those named. `gate.sh -l` lists them.
#
# Every step runs, whatever became of the one before, and prints one line in TAP's manner after
# what it had to say; the exit status is 0 if all passed. CI runs exactly this.
set -u
export LC_ALL=C.UTF-8
cd "$(dirname "$0")/.." || exit 1

jobs=$(nproc 2>/dev/null || echo 2)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM HUP

CLANG_FORMAT_MAJOR=14
STRICT="-Wall -Wextra -Wconversion -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes -Werror"
FRAME=2048

# Little-endian 64 and 32 bits, and big-endian 64 and 32 bits: legacy devices speak the guest's
# own byte order, so a big-endian build keeps the swaps honest. Nothing is linked or run.
TARGETS="x86_64-linux-gnu i386-linux-gnu aarch64-linux-gnu powerpc64-linux-gnu mips-linux-gnu"
CORE="common guest/core guest/transport guest/drivers"
HEADERS="common wire guest/include"

# All that a kernel must bring; compilers call these whatever one tells them.
MAY_NEED="memcpy memmove memset memcmp"

# ---- the steps ----

step_text() { tools/check-text; }
step_includes() { tools/check-includes; }
step_norms() { tools/check-norms; }
step_beliefs() { tools/check-beliefs; }

step_format()
{
    local have
    have=$(clang-format --version | sed 's/.*version \([0-9]*\).*/\1/')
    if [ "$have" != $CLANG_FORMAT_MAJOR ]; then
        echo "clang-format is version $have; the style is what version $CLANG_FORMAT_MAJOR" \
            "makes of .clang-format"
        return 1
    fi
    sources '\.(c|h|cpp)$' | xargs -r clang-format --dry-run --Werror 2>"$tmp/format" && return 0
    sed -n 's/^\([^: ]*\):[0-9]*:[0-9]*: error: .*/\1/p' "$tmp/format" | sort | uniq -c |
        sed 's/ *\([0-9]*\) \(.*\)/\2: \1 places/'
    echo "make fmt puts it right"
    return 1
}

step_scripts()
{
    local f bad=0
    for f in tools/*.sh .ci/run; do
        bash -n "$f" || bad=1
    done
    while read -r f; do
        case $(head -n 1 "$f") in
        *python*)
            python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read(), sys.argv[1])' \
                "$f" || bad=1
            ;;
        esac
    done < <(sources '^tools/[^/.]*$')
    return $bad
}

# The builds people use, by both compilers; meson.build holds the strict warnings and -Werror.
step_gcc() { tools/build.sh build; }
step_clang() { tools/build.sh build-asan; }

# Each .c file of the core, for each target, on the compiler's own headers alone; then each public
# header by itself; then what the objects still want from outside.
step_freestanding()
{
    local target bad=0
    for target in $TARGETS; do
        free_target "$target" || bad=1
    done
    echo "$(core_files | wc -l) files and $(header_files | wc -l) headers, each for $TARGETS"
    return $bad
}

free_target()
{
    local target=$1 dir=$tmp/$1 f bad=0
    local cc="clang --target=$target -std=gnu11 -O2 -ffreestanding -nostdlibinc"

    cc="$cc -I. -Iguest/include $STRICT -Wframe-larger-than=$FRAME"
    mkdir -p "$dir"
    {
        for f in $(core_files); do
            echo "$cc -c $f -o $dir/$(echo "$f" | tr / _).o"
        done
        for f in $(header_files); do
            # Twice: the guard has to hold.
            printf '#include "%s"\n#include "%s"\nextern int alone;\n' "$f" "$f" \
                >"$dir/$(echo "$f" | tr / _).c"
            echo "$cc -fsyntax-only $dir/$(echo "$f" | tr / _).c"
        done
    } | xargs -P "$jobs" -d '\n' -I{} sh -c '{}' 2>&1 | sed "s|^|$target: |" | grep . && bad=1

    set -- "$dir"/*.o
    [ $# -eq "$(core_files | wc -l)" ] || { echo "$target: some files do not compile"; return 1; }
    nm -A -P "$@" 2>/dev/null | sed 's|^.*/\([^/]*\)\.o: |\1 |' >"$tmp/nm"
    # file name type ...: U wants, everything else but lower-case (local) gives.
    awk -v may="$MAY_NEED .TOC. _GLOBAL_OFFSET_TABLE_ _gp_disp" -v target="$target" '
        BEGIN { n = split(may, list, " "); for (i = 1; i <= n; i++) have[list[i]] = 1 }
        $3 == "U" { want[$2] = want[$2] " " $1; next }
        $3 ~ /^[A-Z]$/ { have[$2] = 1 }
        END {
            for (name in want)
                if (!(name in have)) {
                    print target ": " name " is wanted, which no kernel has to bring:" want[name]
                    bad = 1
                }
            exit bad
        }' "$tmp/nm" || bad=1
    [ -s "$tmp/nm" ] || { echo "$target: no symbols found"; bad=1; }
    return $bad
}

# Stack of one function of the core, as gcc sees it in the optimised build.
step_stack()
{
    local f bad=0 n
    while read -r f; do
        n=$(echo "$f" | tr / _)
        gcc -std=gnu11 -O2 -ffreestanding -I. -Iguest/include -fstack-usage -c "$f" \
            -o "$tmp/$n.o" || bad=1
    done < <(core_files)
    cat "$tmp"/*.su 2>/dev/null | sort -t"$(printf '\t')" -k2 -n -r >"$tmp/stack"
    awk -F'\t' -v max=$FRAME '$2 > max || $3 ~ /dynamic/ { print $1 ": " $2 " bytes, " $3; bad = 1 }
        END { exit bad }' "$tmp/stack" || bad=1
    [ -s "$tmp/stack" ] || bad=1
    echo "deepest: $(head -n 1 "$tmp/stack" | awk -F'\t' '{ print $1 ", " $2 " bytes" }')"
    return $bad
}

step_tidy()
{
    tools/build.sh build-asan || return 1
    # Headers are seen through the files that include them. bench/guest is for a guest: a build of
    # its own, which only the benchmark makes.
    sources '\.c$' | grep -v '^bench/guest/' | sort >"$tmp/all"
    sed -n 's/^ *"file": "\(\.\.\/\)*\(.*\.c\)",*$/\2/p' build-asan/compile_commands.json |
        sort -u | comm -12 "$tmp/all" - >"$tmp/tidy"
    [ -s "$tmp/tidy" ] || { echo "no file in build-asan/compile_commands.json"; return 1; }
    xargs -P "$jobs" -n 1 clang-tidy -p build-asan --quiet <"$tmp/tidy" >"$tmp/tidy.out" \
        2>/dev/null
    local status=$?
    grep -v '^$' "$tmp/tidy.out"
    comm -23 "$tmp/all" "$tmp/tidy" | sed 's/$/:1: built by nothing/' | grep . && status=1
    echo "$(wc -l <"$tmp/tidy") files"
    return $status
}

step_cppcheck()
{
    mkdir -p build/cppcheck
    sources '\.c$' >"$tmp/cppcheck"
    cppcheck --quiet --enable=warning,performance,portability --inconclusive --inline-suppr \
        --library=tools/cppcheck.cfg --std=c11 --platform=unix64 --error-exitcode=1 -j "$jobs" \
        --cppcheck-build-dir=build/cppcheck \
        --suppress=missingIncludeSystem --suppress=unmatchedSuppression \
        --template='{file}:{line}: {severity}: {message} [{id}]' \
        -I . -I guest/include --file-list="$tmp/cppcheck" 2>&1
}

STEPS="text includes norms beliefs format scripts gcc clang freestanding stack cppcheck tidy"

# ---- helpers ----

sources() { python3 -B tools/sources.py "$@" | grep .; }
core_files() { local d; for d in $CORE; do sources "^$d/.*\.c$"; done; }
header_files() { local d; for d in $HEADERS; do sources "^$d/.*\.h$"; done; }

# ---- main ----

if [ "${1-}" = -l ]; then
    echo "$STEPS" | tr ' ' '\n'
    exit 0
fi
[ $# -gt 0 ] || set -- $STEPS
for name in "$@"; do
    declare -F "step_$name" >/dev/null || { echo "gate.sh: no step $name (-l lists)" >&2; exit 2; }
done

echo "1..$#"
number=0 failed=0
for name in "$@"; do
    number=$((number + 1))
    begin=$(date +%s%N)
    "step_$name" >"$tmp/out" 2>&1 </dev/null
    status=$?
    took=$((($(date +%s%N) - begin) / 100000000))
    took=$((took / 10)).$((took % 10))
    if [ $status -eq 0 ]; then
        note=$(tail -n 1 "$tmp/out")
        echo "ok $number - $name # $took s${note:+: $note}"
    else
        failed=$((failed + 1))
        sed 's/^/  /' "$tmp/out"
        echo "not ok $number - $name # $took s"
    fi
done
[ $failed -eq 0 ]
