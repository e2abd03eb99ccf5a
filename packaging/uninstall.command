#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Takes viokit off a Mac.
#
#   uninstall.command [-y] [VOLUME]
#
# VOLUME is the one to clean, by default the running system; -y does not ask. In a recovery system:
# sh "/Volumes/NAME/Library/Application Support/viokit/uninstall.command" /Volumes/NAME
#
# Exit status: 0 nothing of viokit is left; 1 something is; 2 wrong arguments.

# shellcheck source=packaging/scripts/viokit.sh
. "$(dirname "$0")/viokit.sh"

uninstall_usage()
{
    echo "usage: uninstall.command [-y] [VOLUME]" >&2
    exit 2
}

uninstall_ask()
{
    printf 'Remove the viokit drivers from %s? [y/N] ' "${viokit_root:-this system}"
    read -r answer || answer=
    case $answer in
    [yY]*) ;;
    *)
        viokit_say "nothing was changed"
        exit 0
        ;;
    esac
}

uninstall_forget()
{
    viokit_have pkgutil || return 0
    for receipt in $viokit_receipts; do
        pkgutil --volume "$viokit_root/" --forget "$receipt" >/dev/null 2>&1 &&
            viokit_say "forgot $receipt"
    done
    return 0
}

uninstall_main()
{
    ask=yes
    while [ $# -gt 0 ]; do
        case $1 in
        -y) ask=no ;;
        -*) uninstall_usage ;;
        *) break ;;
        esac
        shift
    done
    [ $# -le 1 ] || uninstall_usage
    viokit_target "${1:-/}"
    if [ ! -d "$viokit_root/Library" ]; then
        echo "viokit: $viokit_root: no system is there" >&2
        exit 2
    fi
    [ $ask = no ] || uninstall_ask
    if [ -z "$viokit_root" ] && [ "$(id -u)" -ne 0 ]; then
        viokit_say "this needs an administrator's password"
        exec sudo /bin/sh "$0" -y /
    fi

    status=0
    viokit_unload
    viokit_remove_kexts || status=1
    viokit_refresh
    uninstall_forget
    rm -rf "$viokit_root$viokit_support" 2>/dev/null
    if [ -e "$viokit_root$viokit_support" ]; then
        viokit_say "cannot remove $viokit_root$viokit_support"
        status=1
    fi
    if [ $status -eq 0 ]; then
        viokit_say "done; restart to be rid of what is still loaded"
    else
        viokit_say "not all could be removed; try again from a recovery system"
    fi
    exit $status
}

# In one piece, as the last thing it removes is this file.
uninstall_main "$@"
