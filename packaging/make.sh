#!/bin/bash
# Makes packages for both architectures, their bills of materials (CycloneDX) and SHA256SUMS. Needs dist/ (make build).
#
#   make.sh DIRECTORY KIND...   KIND: deb, rpm or tarball
set -euo pipefail
here=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
root=${here%/*}
out=${1:?usage: make.sh DIRECTORY KIND...}
shift

: "${SOURCE_DATE_EPOCH:=$(git -C "$root" log -1 --format=%ct)}"
export SOURCE_DATE_EPOCH
version=$(node -p 'require(process.argv[1]).version' "$root/package.json")
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for arch in amd64 arm64; do
  # All kinds of packages use the same tree.
  bash "$here/tree.sh" $arch "$work/$arch"
  for kind; do TREE=$work/$arch bash "$here/$kind.sh" $arch "$out"; done
  install -m 644 "$work/$arch/usr/lib/dockbridge/sbom.cdx.json" "$out/dockbridge_${version}_$arch.cdx.json"
  rm -rf "${work:?}/$arch"
done
# There is no second tarball, because the tarball includes the files of the package dockbridge-cri-dockerd.
for kind; do [ "$kind" = tarball ] || bash "$here/$kind.sh" all "$out"; done

cd "$out"
for file in dockbridge*; do [[ $file != *[-_]"$version"[-_]* ]] || printf '%s\0' "$file"; done | LC_ALL=C sort -z | xargs -0 sha256sum >SHA256SUMS
echo "make: $out/SHA256SUMS has $(wc -l <SHA256SUMS) files"
