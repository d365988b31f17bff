#!/bin/sh
# Installs dockbridge on a node from the directory that this file is in, at the places where the packages of Debian and RPM have
# it, or removes it again. Pods go on through all of it.
#
#   install.sh                  install, or upgrade; a service that runs is restarted
#   install.sh --cri-dockerd    also cri-dockerd's command and units, run by dockbridge
#   install.sh --uninstall      remove; settings that were changed, and /var/lib/dockbridge, stay
#
# DESTDIR: a root other than /, for which nothing is started and nobody needs to be root.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
destination=${DESTDIR:-}
record=$destination/usr/lib/dockbridge/installed-files
say() { echo "install.sh: $*"; }
die() { echo "install.sh: $*" >&2; exit 1; }

what=install companion=''
for word; do
  case $word in
    --cri-dockerd) companion=yes ;;
    --uninstall) what=uninstall ;;
    *) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
  esac
done
[ -n "$destination" ] || [ "$(id -u)" = 0 ] || die 'must be root: it writes to /usr, /etc and the units of systemd (DESTDIR=… for another root)'

# A node has one of them.
for package in dockbridge dockbridge-cri-dockerd; do
  if [ -z "$destination" ] && [ "$(dpkg-query -W -f '${db:Status-Status}' $package 2>/dev/null)" = installed ] ||
    { [ -z "$destination" ] && rpm -q $package >/dev/null 2>&1; }; then
    die "the package $package is installed: upgrade or remove that one"
  fi
done

has_systemd() { [ -z "$destination" ] && [ -d /run/systemd/system ]; }
units=$destination/usr/lib/systemd/system
# Where /usr is not merged, systemd has its own place.
[ -d "$units" ] || [ ! -d "$destination/lib/systemd/system" ] || units=$destination/lib/systemd/system

if [ "$what" = uninstall ]; then
  [ -f "$record" ] || die "nothing that install.sh has installed is in ${destination:-/}"
  if has_systemd; then
    for unit in dockbridge.socket dockbridge.service cri-docker.socket cri-docker.service; do
      # cri-dockerd's own unit may be back.
      ! grep -q "/$unit\$" "$record" || systemctl disable --now "$unit" || true
    done
  fi
  while read -r file; do rm -f "$destination$file"; done <"$record"
  for file in /etc/default/dockbridge /etc/dockbridge/config.yaml; do
    if cmp -s "$destination$file" "$here/tree$file"; then rm -f "$destination$file"; fi
  done
  rm -f "$record"
  rmdir "$destination"/usr/lib/dockbridge/disk "$destination"/usr/lib/dockbridge/pause "$destination/usr/lib/dockbridge" \
    "$destination/usr/share/doc/dockbridge" "$destination/etc/dockbridge/config.d" "$destination/etc/dockbridge" 2>/dev/null || true
  ! has_systemd || systemctl daemon-reload
  say 'removed; pods go on, and /var/lib/dockbridge stays'
  exit 0
fi

machine=$(uname -m)
grep -qx "$machine" "$here/machine" || [ -n "$destination" ] || die "this is for $(cat "$here/machine"), and the node is $machine"
was=''
[ ! -f "$record" ] || was=yes

trees=$here/tree
[ -z "$companion" ] || trees="$trees $here/cri-dockerd"
new=$(mktemp)
trap 'rm -f "$new"' EXIT
umask 022
for tree in $trees; do
  (cd "$tree" && find . -type f | sed 's/^\.//') | while read -r file; do
    case $file in
      # Settings are the node's.
      /etc/*) [ ! -e "$destination$file" ] || continue; place=$destination$file ;;
      /lib/systemd/system/*) place=$units/${file##*/} ;;
      *) place=$destination$file ;;
    esac
    mkdir -p "${place%/*}"
    # Renamed into place: the one that runs keeps its file, and no half file is ever seen.
    cp -p "$tree$file" "$place.new"
    [ "$(id -u)" != 0 ] || chown 0:0 "$place.new"
    mv -f "$place.new" "$place"
    case $file in /etc/*) ;; *) printf '%s\n' "${place#"$destination"}" >>"$new" ;; esac
  done
done
# No file of ours makes this one.
mkdir -p "$destination/etc/dockbridge/config.d"
# What a version before had, and this one has not.
if [ -n "$was" ]; then
  while read -r file; do grep -qxF "$file" "$new" || rm -f "$destination$file"; done <"$record"
fi
cp "$new" "$record"
chmod 644 "$record"

say "dockbridge $("$destination/usr/lib/dockbridge/node" "$destination/usr/lib/dockbridge/main.js" --version 2>/dev/null || echo '(its Node.js does not run here: it wants glibc 2.28, libstdc++ and libatomic)') is in ${destination:-/}"
if has_systemd; then
  systemctl daemon-reload
  # One that does not run stays so.
  systemctl try-restart dockbridge.service
  [ -z "$companion" ] || systemctl try-restart cri-docker.service
elif [ -z "$destination" ]; then
  say 'there is no systemd here: have your own supervisor run `/usr/bin/dockbridge serve`, and end it with SIGTERM'
fi
[ -n "$was" ] || cat <<END

Nothing was started. Next:
  dockbridge doctor                        what is missing, and what to do about it
  \$EDITOR /etc/dockbridge/config.yaml      options; a cluster with CNI sets network-plugin: cni
  dockbridge config check                  whether they are right
  systemctl enable --now dockbridge.service
/usr/share/doc/dockbridge/install.md.gz says more. To remove it: $here/install.sh --uninstall
END
