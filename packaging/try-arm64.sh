#!/bin/bash
# Checks that the binaries in the Debian package for arm64 are for that architecture, and runs them under qemu's emulation.
#
#   try-arm64.sh PACKAGE.deb
#
# DOCKBRIDGE_CACHE: the directory for Debian's libraries of arm64; default: /var/cache/dockbridge.
set -euo pipefail
here=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
package=${1:?usage: try-arm64.sh PACKAGE.deb}
die() { echo "try-arm64: $*" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
dpkg-deb -x "$package" "$work/tree"
[ "$(dpkg-deb -f "$package" Architecture)" = arm64 ] || die "$package is not for arm64"
lib=$work/tree/usr/lib/dockbridge
tar -C "$work" -xf "$lib/pause/pause.tar" pause
for program in "$lib/node" "$lib/notify-helper" "$work/pause"; do
  # e_machine of ELF: EM_AARCH64.
  [ "$(od -An -tx1 -j18 -N2 "$program" | tr -d ' ')" = b700 ] || die "${program##*/} is not for arm64"
done

root=${DOCKBRIDGE_CACHE:-/var/cache/dockbridge}/arm64-libraries
ARCH=arm64 bash "$here/../scripts/debian-packages.sh" bookworm "$root" libc6 libstdc++6 libgcc-s1 libatomic1
run() { qemu-aarch64-static -L "$root" "$lib/node" "$lib/main.js" "$@"; }
version=$(run --version)
[ "$version" = "$(dpkg-deb -f "$package" Version)" ] || die "dockbridge --version says '$version'"
help=$(run doctor --help)
[[ $help == *'Usage: dockbridge doctor'* ]] || die "dockbridge doctor --help says '$help'"
# The helper answers ENOENT (2) if it understood its input and found no such socket.
answer=$(printf '%s\nWATCHDOG=1\n' "$work/no-socket" | qemu-aarch64-static "$lib/notify-helper")
[ "$answer" = 2 ] || die "notify-helper answers '$answer'"
echo "try-arm64: --version, doctor --help and the notify helper of $package work"
