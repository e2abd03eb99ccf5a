#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# deps.sh SET: install what SET needs from Debian's own packages, if anything is missing.
#
#   build   compiler, Meson, libraries          run     build + QEMU
#   gate    the static checks                   test    run + gate + what the tests talk to
#   bench   what the benchmarks compare with    pkg     the kexts and their installer
#   all     everything
#
# Says nothing and takes no time when all is there. Exit 1: something is missing and could not be
# installed; one line says why.
set -u

BUILD="gcc g++ libc6-dev make meson ninja-build pkg-config libjansson-dev liblwip-dev
    libplist-dev nettle-dev libarchive-dev libuv1-dev libslirp-dev libyaml-dev libseccomp-dev"
RUN="qemu-system-x86 clang-16 llvm-16 zlib1g-dev busybox-static"
GATE="clang clang-format clang-tidy cppcheck libclang-rt-14-dev libcmocka-dev"
PKG="clang-16 llvm-16 zlib1g-dev"
TEST="tshark iproute2 procps gcovr libarchive-tools file duktape unzip llvm clang-19
    gdb patch valgrind udhcpc isc-dhcp-client busybox-static iperf3 dnsutils socat strace mandoc
    bash-completion zsh fish"
BENCH="qemu-system-x86 valgrind vde2 slirp4netns passt iperf3 iproute2"

case "${1-}" in
build) want="$BUILD" why="to build" ;;
run) want="$BUILD $RUN" why="to build and run against QEMU" ;;
gate) want="$BUILD $GATE" why="for the static checks" ;;
test) want="$BUILD $RUN $GATE $PKG $TEST" why="for the tests" ;;
pkg) want="$BUILD $PKG" why="to build the kexts and their installer" ;;
bench) want="$BUILD $PKG $BENCH" why="for the benchmarks" ;;
all) want="$BUILD $RUN $GATE $PKG $TEST $BENCH" why="for everything" ;;
*)    echo "usage: $0 build|run|gate|test|pkg|bench|all" >&2; exit 2 ;;
esac

fail()
{
    echo "deps: $*" >&2
    exit 1
}

# Elsewhere than on Debian the packages have other names: let Meson say what it cannot find.
command -v dpkg-query >/dev/null 2>&1 || exit 0

missing=
for p in $want; do
    case " $missing " in *" $p "*) continue ;; esac
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] ||
        missing="${missing:+$missing }$p"
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null 2>&1 ||
        fail "not root and no sudo; as root, run: apt-get install $missing"
    as_root=sudo
    # Ask for the password here, where it can be seen, and not while output is being kept.
    sudo -n true 2>/dev/null || sudo -v ||
        fail "sudo refused; as root, run: apt-get install $missing"
fi

echo "deps: installing from Debian, $why: $missing" >&2

log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT TERM

apt()
{
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@" \
        >>"$log" 2>&1 </dev/null
}

known()
{
    for p in $missing; do
        apt-cache show "$p" >/dev/null 2>&1 || return 1
    done
}

updated=
if ! known; then
    apt update
    updated=yes
fi
if ! apt install -y --no-install-recommends $missing; then
    # A list that is too old names files that are gone: once more with a fresh one.
    [ -z "$updated" ] && apt update && apt install -y --no-install-recommends $missing && exit 0
    tail -n 15 "$log" >&2
    fail "apt-get install failed (its last lines are above): $missing"
fi
