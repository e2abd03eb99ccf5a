#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# install.sh [deb]: build vmnet for $PREFIX (/usr/local) in build-install/ and install it below
# $DESTDIR: the program, its library, manuals, units, completions, an example. With `deb`: for /usr,
# into a Debian package in build/.
set -eu
cd "$(dirname "$0")/.."

dir=build-install prefix=${PREFIX:-/usr/local}
[ "${1-}" != deb ] || { dir=build-deb prefix=/usr; }

log=$(mktemp)
trap 'rm -rf "$log"' EXIT
trap 'exit 130' INT TERM HUP

quietly()
{
    "$@" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
}

if [ "$(cat $dir/.prefix 2>/dev/null)" != "$prefix" ]; then
    rm -rf $dir
    quietly meson setup $dir --prefix="$prefix" --buildtype=release -Dtests=disabled \
        -Dpkg=disabled
    echo "$prefix" >$dir/.prefix
fi
quietly ninja -C $dir vmnet $(ninja -C $dir -t targets all |
    sed -n 's/^\(host\/client\/libvmnet-client\.[a-z0-9.]*\): .*/\1/p')
if [ "${1-}" != deb ]; then
    quietly meson install -C $dir --no-rebuild ${DESTDIR:+--destdir "$DESTDIR"}
    echo "installed: ${DESTDIR-}$prefix/bin/vmnet"
    exit 0
fi
tree=$(mktemp -d)
trap 'rm -rf "$log" "$tree"' EXIT
quietly meson install -C $dir --no-rebuild --destdir "$tree"
mkdir -p build
packaging/vmnet/make-deb "$tree" "$(meson introspect --projectinfo $dir |
    sed 's/.*"version": "\([^"]*\)".*/\1/')" build
