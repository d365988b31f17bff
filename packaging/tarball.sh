#!/bin/bash
# Builds dockbridge-VERSION-linux-ARCH.tar.gz for systems without Debian's packages or RPM. It contains the files, and an install.sh
# that installs them. The bytes are the same each time from the same commit. Needs dist/ (make build).
#
#   tarball.sh ARCH DIRECTORY   ARCH: amd64 or arm64
#
# SOURCE_DATE_EPOCH: the time of all files; default: the commit's. GZIP_LEVEL: gzip's option; default: -9.
# TREE: a directory that tree.sh has already filled.
set -euo pipefail
here=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
root=${here%/*}

arch=${1:?usage: tarball.sh ARCH DIRECTORY} out=${2:?usage: tarball.sh ARCH DIRECTORY}
: "${SOURCE_DATE_EPOCH:=$(git -C "$root" log -1 --format=%ct)}"
export SOURCE_DATE_EPOCH
umask 022
case $arch in
  amd64) machine=x86_64 ;;
  arm64) machine=aarch64 ;;
  *) echo "tarball: none is made for '$arch'" >&2; exit 1 ;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
version=$(node -p 'require(process.argv[1]).version' "$root/package.json")
name=dockbridge-$version
top=$work/$name
install -d "$top"
if [ -n "${TREE:-}" ]; then cp -a "$TREE" "$top/tree"; else bash "$here/tree.sh" "$arch" "$top/tree"; fi
bash "$here/cri-dockerd/tree.sh" "$top/cri-dockerd"
install -m 755 "$here/tarball/install.sh" "$top"
install -m 644 "$root/LICENSE" "$top"
node "$here/manuals.mjs" --readme "$top"
echo $machine >"$top/machine"

mkdir -p "$out"
package=$out/$name-linux-$arch.tar.gz
tar -C "$work" --sort=name --format=gnu --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner -cf - "$name" |
  gzip -n "${GZIP_LEVEL:--9}" >"$package"
echo "tarball: $package is ready"
