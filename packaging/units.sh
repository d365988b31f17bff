#!/bin/bash
# Checks the units: systemd must understand each line, and no line may harm pods. Needs systemd-analyze, but no running
# systemd.
#
#   units.sh [UNIT...]   files; default: all of packaging/, and the units in docs/switching.md
set -euo pipefail
here=$(cd "${BASH_SOURCE[0]%/*}" && pwd)

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
units=$root/etc/systemd/system
install -d "$units/cri-docker.service.d" "$root/bin" "$root/usr/bin" "$root/page"
if [ $# = 0 ]; then
  page=$here/../docs/switching.md
  block() { # PATTERN: prints the page's first indented block with a line that matches
    awk -v pattern="$1" '
      /^    / { text = text substr($0, 5) "\n"; if ($0 ~ pattern) found = 1; next }
      /^$/ && text != "" { text = text "\n"; next }
      found { exit }
      { text = "" }
      END { if (found) printf "%s", text; else exit 1 }' "$page" || { echo "units: $page has no block with $1" >&2; exit 1; }
  }
  # The page's unit is saved under another name, because the package's unit has the same one.
  block '^    ExecStart=/usr/bin/node .*[^-]cni$' >"$root/page/from-switching.service"
  block '^    ExecStart=/usr/bin/node .*fd://' >"$units/cri-docker.service.d/dockbridge.conf"
  # No test runs the page's unit. The guest runs the package's unit (test/guest), so the page may only have the same lines.
  if untried=$(grep -vxFf "$here/systemd/dockbridge.service" "$root/page/from-switching.service" | grep -vE '^(Description|After|Conflicts|ExecStart)='); then
    echo "units: these lines of docs/switching.md are not in systemd/dockbridge.service, so nothing tests them: $untried" >&2
    exit 1
  fi
  set -- "$here"/systemd/*.{service,socket} "$here"/cri-dockerd/*.{service,socket} "$root/page/from-switching.service"
fi
cp "$@" "$units"
# The files that the units name must exist.
for command in bin/kill usr/bin/node usr/bin/dockbridge usr/bin/cri-dockerd; do
  printf '#!/bin/sh\n' >"$root/$command" && chmod 755 "$root/$command"
done
for target in basic multi-user network-online shutdown sockets sysinit; do
  printf '[Unit]\nDescription=%s\n' $target >"$units/$target.target"
done

failed=0
# The units are checked one at a time, because units that conflict cannot be checked together. For an unknown key,
# systemd-analyze prints a line and exits with 0.
for unit in "${@##*/}"; do
  if ! said=$(systemd-analyze verify --root="$root" --man=no "$unit" 2>&1) || [ -n "$said" ]; then
    echo "units: systemd-analyze verify $unit: ${said//$root/}" >&2
    failed=1
  fi
done
# The comments in dockbridge.service say why these options harm pods.
harm='^(Private(Tmp|Devices|Mounts|Network|Users|IPC)|Protect[A-Za-z]+|(ReadOnly|ReadWrite|Inaccessible|Exec|NoExec)Paths|TemporaryFileSystem|Root(Directory|Image)|'
harm+='Bind(ReadOnly)?Paths|MountFlags|Device(Allow|Policy)|CapabilityBoundingSet|MemoryDenyWriteExecute|RestrictNamespaces|SystemCallFilter|DynamicUser|User)='
if grep -HnE "$harm" "$@" >&2; then
  echo 'units: these lines take something away that pods need' >&2
  failed=1
fi
for service in "$@"; do
  [ "${service##*.}" = service ] || continue
  grep -qx 'KillMode=process' "$service" || { echo "units: $service: without KillMode=process, a stop kills running CNI plugins" >&2; failed=1; }
done
exit $failed
