#!/bin/bash
# Fills a directory with all files of the package that takes cri-dockerd's place, at the places where they belong on a node.
#
#   tree.sh DIRECTORY
set -euo pipefail
here=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
tree=${1:?usage: tree.sh DIRECTORY}
umask 022

install -D -m 755 "$here/cri-dockerd.sh" "$tree/usr/bin/cri-dockerd"
install -D -m 644 -t "$tree/lib/systemd/system" "$here"/cri-docker.{service,socket}
man=$tree/usr/share/man/man8
install -d "$man"
echo '.so man8/dockbridge.8' | gzip -9n >"$man/cri-dockerd.8.gz"
