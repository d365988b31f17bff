#!/bin/bash
# Process 1 of a node for migrate-node.test.ts, in namespaces of its own (mount, network, PIDs). It puts the directories below
# DIRECTORY/node over those of the machine, prints `ready`, and ends with its standard input. Then the kernel ends all others.
#
#   init.sh DIRECTORY ADDRESS
set -euo pipefail
directory=$1 address=$2

over() { # PATH: the node has its own directory here
  [ -d "$1" ] || return 0
  mkdir -p "$directory/node$1"
  mount --bind "$directory/node$1" "$1"
}

# Runtimes need shared mounts. Nothing reaches the machine, because this tree receives its mounts only.
mount --make-rshared /
# What programs need: users, libraries, the choice of iptables' back end.
for name in alternatives ethertypes group host.conf ld.so.cache ld.so.conf ld.so.conf.d nsswitch.conf passwd protocols services ssl; do
  [ ! -e "/etc/$name" ] || cp -a "/etc/$name" "$directory/node/etc/"
done
for path in /etc /run /var/lib /var/log /var/backups /usr/lib/systemd/system /opt/cni /root/.docker; do over "$path"; done
mkdir -p /run/netns /run/lock

ip link set lo up
# The type is not dummy, which some kernels lack.
ip link add eth0 type bridge
ip address add "$address/24" dev eth0
ip link set eth0 up
ip route add default via "${address%.*}.254" dev eth0

echo ready
# bash reaps the orphans of all others while it waits.
while read -r _; do :; done
