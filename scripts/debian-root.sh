#!/bin/bash
# debian-root.sh DIR PACKAGE...: fills DIR with a root file system of installed Debian packages and their dependencies. It
# becomes a base image for tests that cannot reach a registry.
set -euo pipefail
target=${1:?usage: debian-root.sh DIR PACKAGE...}
shift

declare -A seen=()
waiting=("$@")
while [ ${#waiting[@]} -gt 0 ]; do
  package=${waiting[0]%%:*}
  waiting=("${waiting[@]:1}")
  [ -z "${seen[$package]:-}" ] || continue
  depends=$(dpkg-query -W -f '${db:Status-Status}, ${Pre-Depends}, ${Depends}' "$package" 2>/dev/null) || continue
  # Packages that are not installed are unused alternatives or virtual packages.
  [[ $depends == installed,* ]] || continue
  seen[$package]=yes
  # Turns "libc6 (>= 2.34), debconf | debconf-2.0" into "libc6 debconf debconf-2.0".
  # shellcheck disable=SC2207 # names of packages hold no blanks
  waiting+=($(sed 's/([^)]*)//g; s/[,|]/ /g' <<<"${depends#installed,}"))
done

for package in "$@"; do
  [ -n "${seen[$package]:-}" ] || { echo "debian-root: the package $package is missing (run: make setup)" >&2; exit 1; }
done

mkdir -p "$target"/{tmp,proc,sys,dev,etc,root,run,var/tmp,var/log} "$target"/usr/{bin,sbin,lib,lib64}
for merged in bin sbin lib lib64; do ln -s usr/$merged "$target/$merged"; done
# Documentation is left out, as in Debian's own images.
dpkg-query -L "${!seen[@]}" | grep -vE '^/usr/share/(doc|man|locale|info|lintian)/' | sort -u |
  while read -r path; do [ -d "$path" ] || [ ! -e "$path" ] || printf '%s\n' "${path#/}"; done |
  tar -C / -c --no-recursion -T - | tar -C "$target" -x --keep-directory-symlink
