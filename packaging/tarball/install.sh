#!/bin/sh
# Installs dockbridge on a node from this file's directory, at the same paths as the packages of Debian and RPM, or removes
# it again. Pods keep running.
#
#   install.sh                    install, or upgrade; a service that runs is restarted
#   install.sh --cri-dockerd      also installs cri-dockerd's command and units, run by dockbridge; an upgrade keeps them
#   install.sh --no-cri-dockerd   upgrades, and stops and removes those units
#   install.sh --uninstall        removes dockbridge; changed settings and /var/lib/dockbridge stay
#
# DESTDIR: a root other than /. Nothing is started there, and root's rights are not needed.
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
    --no-cri-dockerd) companion=no ;;
    --uninstall) what=uninstall ;;
    *) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
  esac
done
[ -n "$destination" ] || [ "$(id -u)" = 0 ] || die 'must be root, because it writes to /usr, /etc and the units of systemd (DESTDIR=… for another root)'

# A node must not have both a package and the tarball's files.
for package in dockbridge dockbridge-cri-dockerd; do
  if [ -z "$destination" ] && [ "$(dpkg-query -W -f '${db:Status-Status}' $package 2>/dev/null)" = installed ] ||
    { [ -z "$destination" ] && rpm -q $package >/dev/null 2>&1; }; then
    die "the package $package is installed: upgrade or remove the package"
  fi
done

has_systemd() { [ -z "$destination" ] && [ -d /run/systemd/system ]; }
units=$destination/usr/lib/systemd/system
# If /usr is not merged, systemd's own units are in /lib.
[ -d "$units" ] || [ ! -d "$destination/lib/systemd/system" ] || units=$destination/lib/systemd/system

recorded() { [ -f "$record" ] && grep -q "/$1\$" "$record"; }
# Stops only units that this script has installed. Other units with these names may be cri-dockerd's own.
disable_units() {
  has_systemd || return 0
  for unit; do ! recorded "$unit" || systemctl disable --now "$unit" || true; done
}

if [ "$what" = uninstall ]; then
  [ -f "$record" ] || die "install.sh has installed nothing in ${destination:-/}"
  disable_units dockbridge.socket dockbridge.service cri-docker.socket cri-docker.service
  while read -r file; do rm -f "$destination$file"; done <"$record"
  for file in /etc/default/dockbridge /etc/dockbridge/config.yaml; do
    if cmp -s "$destination$file" "$here/tree$file"; then rm -f "$destination$file"; fi
  done
  rm -f "$record"
  # Directories that are not empty stay.
  find "$destination/usr/lib/dockbridge" "$destination/usr/share/doc/dockbridge" "$destination/etc/dockbridge" \
    -depth -type d -exec rmdir {} \; 2>/dev/null || true
  ! has_systemd || systemctl daemon-reload
  say 'removed; pods keep running, and /var/lib/dockbridge stays'
  exit 0
fi

machine=$(uname -m)
grep -qx "$machine" "$here/machine" || [ -n "$destination" ] || die "this tarball is for $(cat "$here/machine"), but the node is $machine"
was=''
[ ! -f "$record" ] || was=yes

if [ -z "$companion" ] && recorded cri-docker.service; then
  # kubelet may depend on these units, so only an explicit option removes them.
  companion=yes
  say "cri-dockerd's command and units are installed, so they are upgraded too; --no-cri-dockerd removes them"
fi
trees=$here/tree
[ "$companion" != yes ] || trees="$trees $here/cri-dockerd"
umask 022
# Prints the path on the node of a file in the tree, without DESTDIR.
place_of() {
  case $1 in
    /lib/systemd/system/*) printf '%s\n' "${units#"$destination"}/${1##*/}" ;;
    *) printf '%s\n' "$1" ;;
  esac
}
files_of() { (cd "$1" && find . -type f | sed 's/^\.//'); }
new=$(mktemp)
trap 'rm -f "$new" "$new.old" "$record.new"' EXIT
for tree in $trees; do
  files_of "$tree" | while read -r file; do
    # Settings belong to the node.
    case $file in /etc/*) ;; *) place_of "$file" ;; esac
  done
done >"$new"
write_record() {
  mkdir -p "${record%/*}"
  cat "$@" | sort -u >"$record.new"
  chmod 644 "$record.new"
  mv -f "$record.new" "$record"
}
# The list is written before the first file, so that --uninstall and the next attempt find the files of a copy that failed.
if [ -n "$was" ]; then
  [ "$companion" != no ] || disable_units cri-docker.socket cri-docker.service
  cp "$record" "$new.old"
  write_record "$new" "$new.old"
else
  write_record "$new"
fi
for tree in $trees; do
  files_of "$tree" | while read -r file; do
    place=$destination$(place_of "$file")
    case $file in /etc/*) [ ! -e "$place" ] || continue ;; esac
    mkdir -p "${place%/*}"
    # Each file is renamed into place, so a running program keeps its file, and nobody sees half a file.
    cp -p "$tree$file" "$place.new" || { rm -f "$place.new"; die "cannot write $place; --uninstall removes the files that were copied so far"; }
    [ "$(id -u)" != 0 ] || chown 0:0 "$place.new"
    mv -f "$place.new" "$place"
  done
done
# No file of ours is in this directory, so the loop did not create it.
mkdir -p "$destination/etc/dockbridge/config.d"
# Removes files of the previous version that this version does not have.
if [ -n "$was" ]; then
  while read -r file; do grep -qxF "$file" "$new" || rm -f "$destination$file"; done <"$new.old"
fi
write_record "$new"

say "dockbridge $("$destination/usr/lib/dockbridge/node" "$destination/usr/lib/dockbridge/main.js" --version 2>/dev/null || echo '(its Node.js does not run here: it needs glibc 2.28, libstdc++ and libatomic)') is in ${destination:-/}"
if has_systemd; then
  systemctl daemon-reload
  # A stopped daemon stays stopped.
  systemctl try-restart dockbridge.service
  [ "$companion" != yes ] || systemctl try-restart cri-docker.service
elif [ -z "$destination" ]; then
  say 'there is no systemd here: have your own supervisor run `/usr/bin/dockbridge serve`, and end it with SIGTERM'
fi
[ -n "$was" ] || cat <<END

Nothing was started. Next:
  dockbridge doctor                        reports what is missing, and what to do about it
  \$EDITOR /etc/dockbridge/config.yaml      options; a cluster with CNI sets network-plugin: cni
  dockbridge config check                  reports mistakes in the options
  systemctl enable --now dockbridge.service
/usr/share/doc/dockbridge/install.md.gz says more. To remove dockbridge: $here/install.sh --uninstall
END
