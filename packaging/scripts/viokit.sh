# SPDX-License-Identifier: BSD-2-Clause
#
# What preinstall, postinstall and the uninstaller share. POSIX sh, to be included.
#
# No tool is taken for granted: they came and went between 10.6 and today, and a recovery system
# has fewer. VIOKIT_TOOLS and VIOKIT_LIVE are for tests: a folder to look for tools in first, and
# whether the volume is the running system.

PATH=${VIOKIT_TOOLS:+$VIOKIT_TOOLS:}/usr/bin:/bin:/usr/sbin:/sbin
export PATH

viokit_kexts="VirtioNet VirtioPCI" # users before what they link with
viokit_folders="/System/Library/Extensions /Library/Extensions"
viokit_support="/Library/Application Support/viokit"
viokit_receipts="org.viokit.pkg.sle org.viokit.pkg.le org.viokit.pkg.support"

viokit_say()
{
    echo "viokit: $*"
}

viokit_have()
{
    command -v "$1" >/dev/null 2>&1
}

# viokit_target VOLUME: what all else works on. The running system is the empty root.
viokit_target()
{
    viokit_root=${1%/}
    viokit_live=no
    [ -n "$viokit_root" ] || viokit_live=yes
    viokit_live=${VIOKIT_LIVE:-$viokit_live}
}

# Prints the release on the volume: 6 to 15 for 10.6 to 10.15, 16 for 11, and so on; 0 if unknown.
viokit_release()
{
    viokit_plist="$viokit_root/System/Library/CoreServices/SystemVersion.plist"
    viokit_version=$(sed -n \
        '/<key>ProductVersion<\/key>/{n;s/.*<string>\([0-9.]*\)<\/string>.*/\1/p;}' \
        "$viokit_plist" 2>/dev/null)
    case $viokit_version in
    10.*)
        viokit_version=${viokit_version#10.}
        echo "${viokit_version%%.*}"
        ;;
    1[1-9]* | [2-9][0-9]*) echo $((${viokit_version%%.*} + 5)) ;;
    *) echo 0 ;;
    esac
}

# viokit_ours BUNDLE: whether it is there and ours, not somebody else's of the same name.
viokit_ours()
{
    grep -q '<string>org\.viokit\.' "$1/Contents/Info.plist" 2>/dev/null
}

# Unloads what runs. A driver in use stays until the next restart; that is no failure.
viokit_unload()
{
    [ "$viokit_live" = yes ] || return 0
    viokit_have kextstat && viokit_have kextunload || return 0
    for viokit_kext in $viokit_kexts; do
        kextstat -l -b "org.viokit.$viokit_kext" 2>/dev/null | grep -q org.viokit || continue
        if kextunload -b "org.viokit.$viokit_kext" >/dev/null 2>&1; then
            viokit_say "unloaded org.viokit.$viokit_kext"
        else
            viokit_say "org.viokit.$viokit_kext is in use and runs until the next restart"
        fi
    done
}

# Removes our kexts from both folders. Fails if one is still there after.
viokit_remove_kexts()
{
    viokit_left=0
    for viokit_folder in $viokit_folders; do
        for viokit_kext in $viokit_kexts; do
            viokit_bundle="$viokit_root$viokit_folder/$viokit_kext.kext"
            [ -e "$viokit_bundle" ] || continue
            if ! viokit_ours "$viokit_bundle"; then
                viokit_say "$viokit_bundle is not ours and stays"
            elif rm -rf "$viokit_bundle" 2>/dev/null && [ ! -e "$viokit_bundle" ]; then
                viokit_say "removed $viokit_bundle"
            else
                viokit_say "cannot remove $viokit_bundle"
                viokit_left=1
            fi
        done
    done
    return $viokit_left
}

# Gives our kexts the owner and the modes without which the system refuses them.
viokit_fix_kexts()
{
    for viokit_folder in $viokit_folders; do
        for viokit_kext in $viokit_kexts; do
            viokit_bundle="$viokit_root$viokit_folder/$viokit_kext.kext"
            viokit_ours "$viokit_bundle" || continue
            chown -R 0:0 "$viokit_bundle" 2>/dev/null ||
                viokit_say "cannot give $viokit_bundle to root"
            chmod -R u=rwX,go=rX "$viokit_bundle" 2>/dev/null ||
                viokit_say "cannot set the modes of $viokit_bundle"
        done
    done
}

# Tells the system that its kexts changed, in the way of its release.
viokit_refresh()
{
    for viokit_folder in $viokit_folders; do
        # Read-only from 10.15 on, and nothing of ours is in there then.
        [ ! -d "$viokit_root$viokit_folder" ] ||
            touch "$viokit_root$viokit_folder" 2>/dev/null || :
    done
    viokit_number=$(viokit_release)
    if [ "$viokit_number" -ge 16 ]; then
        # Brings up the question of approval; the collection is made at the restart.
        [ "$viokit_live" = no ] || viokit_run kmutil rebuild
    else
        # The touch was what counts; this waits until the caches are made.
        viokit_run kextcache -u "$viokit_root/"
    fi
}

# viokit_run TOOL ...: runs it if it is there. Its failure is told and no more.
viokit_run()
{
    if ! viokit_have "$1"; then
        viokit_say "no $1 here; the system will notice the change by itself"
    elif ! "$@" >/dev/null 2>&1; then
        viokit_say "$* failed; the system will notice the change by itself"
    fi
    return 0
}
