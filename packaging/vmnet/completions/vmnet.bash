# SPDX-License-Identifier: BSD-2-Clause
# Completion of vmnet(1) for bash.


_vmnet_options() {
    case $1 in
    run) echo "--name --mac --kind" ;;
    attach) echo "--socket --name --mac --kind --detach --json" ;;
    create)
        echo "--mode --subnet --gateway --dhcp-start --dhcp-end --no-dhcp --lease --reserve --mtu" \
            "--isolated --lock-mac --nat66-prefix --no-nat --dns --no-dns --domain --search" \
            "--forward --host-loopback --rate --burst --allow --linger --json"
        ;;
    status) echo "--watch --json" ;;
    limit) echo "--rate --burst --json" ;;
    capture) echo "--member --write --count --json" ;;
    daemon) echo "--foreground --stop --force" ;;
    *) echo "--json" ;;
    esac
}

_vmnet_takes_value() {
    case $1 in
    --no-* | --isolated | --lock-mac | --host-loopback | --detach | --watch | --json | --help | \
        --foreground | --stop | --force)
        return 1
        ;;
    -w | --*) return 0 ;;
    esac
    return 1
}

_vmnet() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=""
    local command="" i word network="" n=0

    COMPREPLY=()
    # Which command, how many of its arguments are there, and which network.
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $word == -- && $command == run ]]; then
            # A command of its own from here on.
            if declare -F _command_offset >/dev/null; then
                _command_offset $((i + 1))
            else
                mapfile -t COMPREPLY < <(compgen -c -- "$cur")
            fi
            return
        fi
        if [[ -z $command ]]; then
            [[ $word == -* ]] || command=$word
        elif [[ $word == -* ]]; then
            ! _vmnet_takes_value "$word" || [[ $word == *=* ]] || ((i++))
        else
            ((n++))
            if [[ $command == forward ]]; then
                ((n == 2)) && network=$word
            else
                ((n == 1)) && network=$word
            fi
        fi
    done

    case $prev in
    --kind) words="stream dgram" ;;
    --mode) words="shared host" ;;
    --member) words=$(vmnet names "$network" 2>/dev/null) ;;
    --rate) words="none 10mbit 100mbit 1gbit" ;;
    --socket | --write | -w)
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
        ;;
    *)
        if [[ -z $command ]]; then
            words="run attach detach list status leases create delete forward link limit capture"
            words+=" config daemon doctor help --help --version --json"
        elif [[ $cur == -* ]]; then
            words="$(_vmnet_options "$command") --help"
        elif _vmnet_takes_value "$prev"; then
            return
        else
            case $command:$n in
            run:0 | attach:0 | detach:0 | delete:0 | status:0 | leases:0 | link:0 | limit:0 | \
                capture:0 | forward:1)
                words=$(vmnet names 2>/dev/null)
                ;;
            run:1) words="--" ;;
            detach:1 | link:1 | limit:1 | forward:4) words=$(vmnet names "$network" 2>/dev/null) ;;
            link:2) words="up down" ;;
            forward:0) words="add remove list" ;;
            forward:2) words="tcp udp" ;;
            config:0) words="check show" ;;
            config:1)
                mapfile -t COMPREPLY < <(compgen -f -- "$cur")
                return
                ;;
            help:0)
                words="run attach detach list status leases create delete forward link limit"
                words+=" capture config daemon doctor"
                ;;
            esac
        fi
        ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

complete -F _vmnet vmnet
