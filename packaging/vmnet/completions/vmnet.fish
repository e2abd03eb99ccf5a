# SPDX-License-Identifier: BSD-2-Clause
# Completion of vmnet(1) for fish.

function __vmnet_words
    # The command's arguments so far, without options.
    set -l words (commandline -opc)
    set -e words[1]
    string match -v -- '-*' $words
end

# The command is $argv[1] and has $argv[2] arguments.
function __vmnet_at
    set -l words (__vmnet_words)
    test (count $words) -eq (math $argv[2] + 1); and test "$words[1]" = $argv[1]
end

function __vmnet_is
    set -l words (__vmnet_words)
    test (count $words) -gt 0; and contains -- "$words[1]" $argv
end

function __vmnet_none
    test (count (__vmnet_words)) -eq 0
end

function __vmnet_members
    set -l words (__vmnet_words)
    vmnet names $words[$argv[1]] 2>/dev/null
end

complete -c vmnet -f
complete -c vmnet -n __vmnet_none -l version -d 'Print the version'
complete -c vmnet -l json -d 'Print JSON'
complete -c vmnet -l help -d 'How it is called'

complete -c vmnet -n __vmnet_none -a run -d 'Run a virtual machine on a network'
complete -c vmnet -n __vmnet_none -a attach -d 'A network behind a unix socket'
complete -c vmnet -n __vmnet_none -a detach -d 'End an attachment left to the daemon'
complete -c vmnet -n __vmnet_none -a list -d 'The networks there are'
complete -c vmnet -n __vmnet_none -a status -d 'Networks that are up, and their members'
complete -c vmnet -n __vmnet_none -a leases -d 'Who has which address'
complete -c vmnet -n __vmnet_none -a create -d 'Make a network'
complete -c vmnet -n __vmnet_none -a delete -d 'Forget a network'
complete -c vmnet -n __vmnet_none -a forward -d 'Ports that lead to a member'
complete -c vmnet -n __vmnet_none -a link -d 'Pull a cable, or put it back'
complete -c vmnet -n __vmnet_none -a limit -d 'Limit what a member may send and receive'
complete -c vmnet -n __vmnet_none -a capture -d 'What passes on a network, as pcapng'
complete -c vmnet -n __vmnet_none -a config -d 'Check a networks.yaml, show what is in force'
complete -c vmnet -n __vmnet_none -a daemon -d 'The daemon itself'
complete -c vmnet -n __vmnet_none -a doctor -d 'What this host can do'

for command in run attach detach delete status leases link limit capture
    complete -c vmnet -n "__vmnet_at $command 0" -a '(vmnet names 2>/dev/null)' -d network
end
for command in detach link limit
    complete -c vmnet -n "__vmnet_at $command 1" -a '(__vmnet_members 2)' -d member
end
complete -c vmnet -n '__vmnet_at link 2' -a 'up down'
complete -c vmnet -n '__vmnet_at forward 0' -a 'add remove list'
complete -c vmnet -n '__vmnet_at forward 1' -a '(vmnet names 2>/dev/null)' -d network
complete -c vmnet -n '__vmnet_at forward 2' -a 'tcp udp'
complete -c vmnet -n '__vmnet_at forward 4' -a '(__vmnet_members 3)' -d member
complete -c vmnet -n '__vmnet_at config 0' -a 'check show'
complete -c vmnet -n '__vmnet_at config 1' -F

complete -c vmnet -n '__vmnet_is run attach' -l name -x -d 'What it is called'
complete -c vmnet -n '__vmnet_is run attach' -l mac -x -d 'Its address'
complete -c vmnet -n '__vmnet_is run attach' -l kind -x -a 'stream dgram' -d 'How frames travel'
complete -c vmnet -n '__vmnet_is attach' -l socket -r -F -d 'Where to listen'
complete -c vmnet -n '__vmnet_is attach' -l detach -d 'Leave it to the daemon'
complete -c vmnet -n '__vmnet_is status' -l watch -d 'Again and again'
complete -c vmnet -n '__vmnet_is limit' -l rate -x -a 'none 10mbit 100mbit 1gbit'
complete -c vmnet -n '__vmnet_is limit' -l burst -x
complete -c vmnet -n '__vmnet_is capture' -l member -x -a '(__vmnet_members 2)'
complete -c vmnet -n '__vmnet_is capture' -s w -l write -r -F -d 'Where to'
complete -c vmnet -n '__vmnet_is capture' -l count -x -d 'End after so many frames'
complete -c vmnet -n '__vmnet_is daemon' -l foreground -d 'Stay, log to standard error'
complete -c vmnet -n '__vmnet_is daemon' -l stop -d 'End the one that runs'
complete -c vmnet -n '__vmnet_is daemon' -l force -d 'Even with members'
complete -c vmnet -n '__vmnet_is create' -l mode -x -a 'shared host'
for option in subnet gateway dhcp-start dhcp-end lease reserve mtu nat66-prefix dns domain search \
        forward rate burst allow linger
    complete -c vmnet -n '__vmnet_is create' -l $option -x
end
for option in no-dhcp isolated lock-mac no-nat no-dns host-loopback
    complete -c vmnet -n '__vmnet_is create' -l $option
end
