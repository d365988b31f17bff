#!/bin/sh
# Installs this image's dockbridge on the node whose root is at /host, and starts its service. If the node already has the
# same files, a pod that starts again (a reboot, an eviction) changes nothing. The tarball's install.sh does the work, in
# the node's own root. Pods on the node keep running.
#
#   CRI_DOCKERD=yes   also installs cri-dockerd's command and units, run by dockbridge (install.sh --cri-dockerd)
#   TAKE_OVER=yes     also installs on a node that cri-dockerd serves, and takes cri-dockerd's place (docs/switching.md)
#   START=no          only copies; an upgrade still restarts a service that runs
#
# HOST, PAYLOAD: paths to use in place of /host and /payload.
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
# The copied files run on the node, so its architecture must match before anything changes.
machine=$(uname -m)
grep -qx "$machine" "$new/machine" || die "this image is for $(cat "$new/machine"), but the node is $machine"

has_systemd() { [ -d "$host/run/systemd/system" ]; }
# Returns whether cri-dockerd's units are ours. Such a node keeps the units from its earlier installation.
is_ours() { grep -qs '/cri-docker.service$' "$host/usr/lib/dockbridge/installed-files"; }
# The names of cri-dockerd's own units, and of kubespray's.
others='cri-docker.service cri-docker.socket cri-dockerd.service cri-dockerd.socket'
trees=$new/tree unit=dockbridge.service
if [ "${CRI_DOCKERD:-no}" = yes ] || is_ours; then trees="$trees $new/cri-dockerd" unit=cri-docker.service; fi

# dockbridge.service stops cri-dockerd when it starts, and install.sh restarts cri-dockerd's unit with another program. Both
# switch the runtime, which only people should decide.
if has_systemd && ! is_ours && [ "${TAKE_OVER:-no}" != yes ] && [ "${START:-yes}${CRI_DOCKERD:-no}" != nono ]; then
  refuse() { die "$1 serves this node; TAKE_OVER=yes replaces it by dockbridge (first: dockbridge switch check)"; }
  for other in $others; do ! on_node systemctl is-active --quiet $other || refuse $other; done
  # Finds a cri-dockerd that runs under any unit, or without one. The process of our own cri-dockerd command has another name.
  ! grep -qsx cri-dockerd "$host"/proc/[0-9]*/comm || refuse cri-dockerd
fi

# Returns whether every file exists with the same bytes. A version number identifies neither a build nor an incomplete installation.
is_current() {
  for tree in $trees; do
    (cd "$tree" && find . -type f) | while read -r file; do
      file=${file#.}
      # Settings belong to the node.
      case $file in /etc/*) continue ;; esac
      # On nodes with a merged /usr, units are in /usr/lib. On other nodes, they are in /lib or in /usr/lib.
      cmp -s "$tree$file" "$host$file" || cmp -s "$tree$file" "$host/usr$file" || { say "$file is missing or differs"; exit 1; }
    done || return 1
  done
}

if is_current; then
  say "$name is on this node already"
else
  # install.sh runs in the node's own root, because it calls the node's package managers and systemd.
  copy=$(mktemp -d "$host/var/tmp/dockbridge-installer.XXXXXX")
  trap 'rm -rf "$copy"' EXIT
  trap 'exit 143' TERM INT
  cp -Rp "$new/." "$copy"
  inside=${copy#"$host"}
  if [ $unit = cri-docker.service ]; then set -- --cri-dockerd; else set --; fi
  on_node /bin/sh "$inside/install.sh" "$@"
  rm -rf "$copy"
fi

[ "${START:-yes}" = yes ] || { say 'nothing is started, because START is not yes'; exit 0; }
has_systemd || die 'there is no systemd on this node: dockbridge is installed, and your own supervisor must start it'
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
