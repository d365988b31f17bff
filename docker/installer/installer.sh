#!/bin/sh
# Brings the node whose root is at /host to the dockbridge that this image has, and its service up. What is right already is
# left alone, so that a pod that starts again (a reboot, an eviction) changes nothing. The work is done by the tarball's
# install.sh, in the node's own root; pods of the node go on through all of it.
#
#   CRI_DOCKERD=yes   also cri-dockerd's command and units, run by dockbridge (install.sh --cri-dockerd)
#   TAKE_OVER=yes     also where cri-dockerd serves, whose place dockbridge takes then (docs/switching.md)
#   START=no          only copy; a service that runs is restarted by an upgrade all the same
#
# HOST, PAYLOAD: other places than /host and /payload.
set -eu
host=${HOST:-/host} payload=${PAYLOAD:-/payload}
say() { echo "installer: $*"; }
die() { echo "installer: $*" >&2; exit 1; }
on_node() { chroot "$host" "$@"; }

[ -d "$host/usr" ] || die "the node's root is not mounted at $host"
set -- "$payload"/dockbridge-*/
[ $# = 1 ] && [ -f "$1/install.sh" ] || die "this image has not exactly one dockbridge in $payload: $*"
new=${1%/}
name=${new##*/}
# The node runs what is copied there, so it must be of its kind before anything changes.
machine=$(uname -m)
grep -qx "$machine" "$new/machine" || die "this image is for $(cat "$new/machine"), and the node is $machine"

has_systemd() { [ -d "$host/run/systemd/system" ]; }
# Whether cri-dockerd's units are ours. A node that has them from an earlier installation is served by them, and keeps them.
is_ours() { grep -qs '/cri-docker.service$' "$host/usr/lib/dockbridge/installed-files"; }
# cri-dockerd's own units, and kubespray's.
others='cri-docker.service cri-docker.socket cri-dockerd.service cri-dockerd.socket'
trees=$new/tree unit=dockbridge.service
if [ "${CRI_DOCKERD:-no}" = yes ] || is_ours; then trees="$trees $new/cri-dockerd" unit=cri-docker.service; fi

# dockbridge.service stops cri-dockerd when it starts, and install.sh restarts its unit with another program: both are a switch of
# the runtime, which is for people to decide.
if has_systemd && ! is_ours && [ "${TAKE_OVER:-no}" != yes ] && [ "${START:-yes}${CRI_DOCKERD:-no}" != nono ]; then
  refuse() { die "$1 serves this node; TAKE_OVER=yes replaces it by dockbridge (first: dockbridge switch check)"; }
  for other in $others; do ! on_node systemctl is-active --quiet $other || refuse $other; done
  # Whatever its unit is called, or without one. Ours is a program of Node.js.
  ! grep -qsx cri-dockerd "$host"/proc/[0-9]*/comm || refuse cri-dockerd
fi

# Whether each file is there with the same bytes: a version number does not tell two builds apart, nor a half installation.
is_current() {
  for tree in $trees; do
    (cd "$tree" && find . -type f) | while read -r file; do
      file=${file#.}
      # Settings are the node's.
      case $file in /etc/*) continue ;; esac
      # Units are in /usr/lib on nodes with merged directories, and in one of both on others.
      cmp -s "$tree$file" "$host$file" || cmp -s "$tree$file" "$host/usr$file" || { say "$file is missing or another"; exit 1; }
    done || return 1
  done
}

if is_current; then
  say "$name is on this node already"
else
  # In the node's own root, because install.sh asks its package managers and its systemd.
  copy=$(mktemp -d "$host/var/tmp/dockbridge-installer.XXXXXX")
  trap 'rm -rf "$copy"' EXIT
  trap 'exit 143' TERM INT
  cp -Rp "$new/." "$copy"
  inside=${copy#"$host"}
  if [ $unit = cri-docker.service ]; then set -- --cri-dockerd; else set --; fi
  on_node /bin/sh "$inside/install.sh" "$@"
  rm -rf "$copy"
fi

[ "${START:-yes}" = yes ] || { say 'nothing is started, as START says'; exit 0; }
has_systemd || die 'there is no systemd on this node: dockbridge is there, and its supervisor must start it'
# Two units of the same socket must not both start at the next boot.
if [ $unit = cri-docker.service ]; then losers='dockbridge.service dockbridge.socket cri-dockerd.service cri-dockerd.socket'; else losers=$others; fi
for loser in $losers; do
  ! on_node systemctl is-enabled --quiet "$loser" 2>/dev/null || on_node systemctl disable "$loser"
done
if on_node systemctl is-active --quiet $unit; then
  on_node systemctl enable --quiet $unit
  say "$unit runs"
  exit 0
fi
on_node systemctl enable --now $unit
say "$unit was started"
