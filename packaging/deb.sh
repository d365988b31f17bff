#!/bin/bash
# Builds dockbridge_VERSION_ARCH.deb, the same bytes each time from the same commit. Wants dist/ (make build).
#
#   deb.sh ARCH DIRECTORY   ARCH: amd64 or arm64
#
# SOURCE_DATE_EPOCH: the time of all files in it; the commit's where it is unset. COMPRESSION: dpkg-deb's; xz.
set -euo pipefail
here=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
root=${here%/*}

arch=${1:?usage: deb.sh ARCH DIRECTORY} out=${2:?usage: deb.sh ARCH DIRECTORY}
: "${SOURCE_DATE_EPOCH:=$(git -C "$root" log -1 --format=%ct)}"
export SOURCE_DATE_EPOCH
umask 022

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/tree
bash "$here/tree.sh" "$arch" "$tree"

version=$(node -p 'require(process.argv[1]).version' "$root/package.json")
install -d "$tree/DEBIAN"
doc=$tree/usr/share/doc/dockbridge
install -m 644 "$here/deb/copyright" "$doc"
install -D -m 644 "$here/deb/lintian-overrides" "$tree/usr/share/lintian/overrides/dockbridge"
maintainer=$(sed -n 's/^Maintainer: //p' "$here/deb/control")
gzip -9n >"$doc/changelog.gz" <<END
dockbridge ($version) unstable; urgency=medium

  * CHANGELOG.md.gz beside this file tells what changed.

 -- $maintainer  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
END
install -m 755 "$here"/deb/{postinst,prerm,postrm} "$tree/DEBIAN"
echo /etc/default/dockbridge >"$tree/DEBIAN/conffiles"
(cd "$tree" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | LC_ALL=C sort -z | xargs -0 md5sum) >"$tree/DEBIAN/md5sums"
size=$(find "$tree" -type f ! -path '*/DEBIAN/*' -printf '%s\n' | awk '{ bytes += $1 } END { print int(bytes / 1024) + 1 }')
sed -e "s/@VERSION@/$version/" -e "s/@ARCH@/$arch/" -e "s/@SIZE@/$size/" "$here/deb/control" >"$tree/DEBIAN/control"

find "$tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
mkdir -p "$out"
dpkg-deb --root-owner-group -Z"${COMPRESSION:-xz}" --build "$tree" "$out/dockbridge_${version}_$arch.deb" >/dev/null
echo "deb: $out/dockbridge_${version}_$arch.deb is ready"
