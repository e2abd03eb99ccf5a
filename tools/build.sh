#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# build.sh DIR [TARGET...]: build in DIR, configuring it first if need be. Silent when all is well.
#
#   build       gcc, optimised, debug information: what people run
#   build-asan  clang, address and undefined behaviour sanitizers: what the tests run
#   build-cov   gcc, line coverage
#
# Tests are configured in as soon as cmocka is there, mkpkg as soon as its libraries are. A
# directory set up with other settings than today's is set up anew.
set -eu
cd "$(dirname "$0")/.."

dir=$1
shift
case "$dir" in
build)
    cc=gcc cxx=g++
    args="-Dbuildtype=debugoptimized"
    ;;
build-asan)
    cc=clang cxx=clang++
    args="-Dbuildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false"
    args="$args -Dc_args=-fno-sanitize-recover=all -Dcpp_args=-fno-sanitize-recover=all"
    ;;
build-cov)
    cc=gcc cxx=g++
    args="-Dbuildtype=debug -Db_coverage=true"
    ;;
*)
    echo "build.sh: no such build: $dir" >&2
    exit 2
    ;;
esac

if pkg-config --exists cmocka 2>/dev/null; then
    args="$args -Dtests=enabled"
else
    args="$args -Dtests=disabled"
fi
if pkg-config --exists zlib nettle libplist-2.0 2>/dev/null; then
    args="$args -Dpkg=enabled"
else
    args="$args -Dpkg=disabled"
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT TERM HUP

quietly()
{
    "$@" >"$log" 2>&1 && return
    status=$?
    # Meson tells its whole life before the line that matters.
    [ "$1" = ninja ] || sed -i -n '/ERROR/,$p' "$log"
    cat "$log" >&2
    exit $status
}

if [ ! -f "$dir/build.ninja" ] || [ "$(cat "$dir/.setup" 2>/dev/null)" != "$cc $args" ]; then
    rm -rf "$dir"
    # shellcheck disable=SC2086
    quietly env CC=$cc CXX=$cxx meson setup "$dir" $args
    echo "$cc $args" >"$dir/.setup"
fi
quietly ninja --quiet -C "$dir" "$@"
