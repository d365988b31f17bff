#!/bin/bash
# Builds a Debian package, with the same bytes each time from the same commit. Needs dist/ (make build).
#
#   deb.sh ARCH DIRECTORY   amd64 or arm64: dockbridge_VERSION_ARCH.deb; all: dockbridge-cri-dockerd_VERSION_all.deb
#
# SOURCE_DATE_EPOCH: the time of all files; default: the commit's. COMPRESSION: dpkg-deb's; default: xz.
# TREE: a directory that tree.sh has already filled.
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
if [ "$arch" = all ]; then
  name=dockbridge-cri-dockerd about=$here/cri-dockerd/deb
  bash "$here/cri-dockerd/tree.sh" "$tree"
else
  name=dockbridge about=$here/deb
  if [ -n "${TREE:-}" ]; then cp -a "$TREE" "$tree"; else bash "$here/tree.sh" "$arch" "$tree"; fi
fi

version=$(node -p 'require(process.argv[1]).version' "$root/package.json")
doc=$tree/usr/share/doc/$name
install -d "$tree/DEBIAN" "$doc"
install -m 644 "$about/copyright" "$doc"
[ ! -f "$about/lintian-overrides" ] || install -D -m 644 "$about/lintian-overrides" "$tree/usr/share/lintian/overrides/$name"
maintainer=$(sed -n 's/^Maintainer: //p' "$about/control")
gzip -9n >"$doc/changelog.gz" <<END
$name ($version) unstable; urgency=medium

  * /usr/share/doc/dockbridge/CHANGELOG.md.gz lists the changes.

 -- $maintainer  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
END
install -m 755 "$about"/{postinst,prerm,postrm} "$tree/DEBIAN"
if [ -d "$tree/etc" ]; then (cd "$tree" && find etc -type f -printf '/%p\n' | LC_ALL=C sort) >"$tree/DEBIAN/conffiles"; fi
(cd "$tree" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | LC_ALL=C sort -z | xargs -0 md5sum) >"$tree/DEBIAN/md5sums"
size=$(find "$tree" -type f ! -path '*/DEBIAN/*' -printf '%s\n' | awk '{ bytes += $1 } END { print int(bytes / 1024) + 1 }')
sed -e "s/@VERSION@/$version/" -e "s/@ARCH@/$arch/" -e "s/@SIZE@/$size/" "$about/control" >"$tree/DEBIAN/control"

find "$tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
mkdir -p "$out"
package=$out/${name}_${version}_$arch.deb
dpkg-deb --root-owner-group -Z"${COMPRESSION:-xz}" --build "$tree" "$package" >/dev/null
echo "deb: $package is ready"
