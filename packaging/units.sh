#!/bin/bash
# Checks the units: systemd must understand each line, and none may do harm to pods. Wants systemd-analyze, and no systemd that
# runs.
#
#   units.sh [UNIT...]   files; all of packaging/ unless told otherwise
set -euo pipefail
here=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
[ $# -gt 0 ] || set -- "$here"/systemd/*.{service,socket} "$here"/cri-dockerd/*.{service,socket}

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
units=$root/etc/systemd/system
install -d "$units" "$root/bin" "$root/usr/bin"
cp "$@" "$units"
# What the units name must be there.
for command in bin/kill usr/bin/dockbridge usr/bin/cri-dockerd; do
  printf '#!/bin/sh\n' >"$root/$command" && chmod 755 "$root/$command"
done
for target in basic multi-user network-online shutdown sockets sysinit; do
  printf '[Unit]\nDescription=%s\n' $target >"$units/$target.target"
done

failed=0
# An unknown key costs no more than a line of it: the exit code is 0.
if ! said=$(systemd-analyze verify --root="$root" --man=no "${@##*/}" 2>&1) || [ -n "$said" ]; then
  echo "units: systemd-analyze verify: ${said//$root/}" >&2
  failed=1
fi
# dockbridge.service tells why.
harm='^(Private(Tmp|Devices|Mounts|Network|Users|IPC)|Protect[A-Za-z]+|(ReadOnly|ReadWrite|Inaccessible|Exec|NoExec)Paths|TemporaryFileSystem|Root(Directory|Image)|'
harm+='Bind(ReadOnly)?Paths|MountFlags|Device(Allow|Policy)|CapabilityBoundingSet|MemoryDenyWriteExecute|RestrictNamespaces|SystemCallFilter|DynamicUser|User)='
if grep -HnE "$harm" "$@" >&2; then
  echo 'units: these take something away that pods need' >&2
  failed=1
fi
for service in "$@"; do
  [ "${service##*.}" = service ] || continue
  grep -qx 'KillMode=process' "$service" || { echo "units: $service: without KillMode=process a stop ends what CNI plugins do" >&2; failed=1; }
done
exit $failed
