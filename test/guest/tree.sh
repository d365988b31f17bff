#!/bin/bash
# tree.sh WORK: makes WORK/tree.img, the guest's second disk: our packages, this repository with its tests compiled, and the
# host's node, critest and crictl. dist/ must be built. This script compiles the tests and makes the image layers, because the
# guest would need minutes for each.
set -euo pipefail
work=${1:?usage: tree.sh WORK}
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export PATH=$PATH:/usr/sbin:/sbin
say() { echo "guest: $*" >&2; }
die() { say "$*"; exit 1; }

[ -f dist/main.js ] && [ -f dist/pause/pause.tar ] || die 'dist/ is missing (run: make build)'
tree=$work/tree
mkdir -p "$tree/bin"
node test/guest/compile.mjs "$tree"
cp -a dist examples scripts package.json "$tree/"
cp -a test/guest test/fixtures "$tree/test/"
cp test/guest/jest.config.cjs "$tree/jest.config.js"
# Files that only builds and checks need are left out.
tar -c --exclude=node_modules/{typescript,prettier,eslint,jsdoc,caniuse-lite,protobufjs-cli} --exclude=node_modules/@{swc,typescript-eslint,types,eslint} \
  node_modules | tar -x -C "$tree"
cp -L "$(command -v node)" "$tree/bin/node"

tools=$(bash scripts/cri-tools.sh)
cp "$tools/critest" "$tools/crictl" "$tree/bin/"
# critest loads AppArmor profiles with sudo. In the guest it is already root.
printf '#!/bin/sh\nexec "$@"\n' >"$tree/bin/sudo"
chmod 755 "$tree/bin/sudo"
go=$(bash scripts/go.sh)
say 'building the suites that run in the guest'
suite=$tree/test/conformance
mkdir -p "$suite/images"
cp test/conformance/*.sh "$suite/"
cp test/conformance/{skips.txt,*_test.go} "$suite/"
(cd test/conformance && export CGO_ENABLED=0 && "$go" build -o "$tree/bin/" ./serve ./report cmd/test2json &&
  "$go" test -c -o "$tree/bin/conformance.test" .)
bash test/conformance/images/build.sh "$suite/images"
# shellcheck disable=SC2016 # the guest's
echo 'cp "${BASH_SOURCE[0]%/*}"/*.tar "$1"' >"$suite/images/build.sh"
# The layers of the integration tests' images are made here too, because they need hundreds of links, with a process for each.
bash scripts/busybox-root.sh "$work/busybox"
tar -C "$work/busybox" -cf "$tree/scripts/busybox-root.tar" .
rm -r "$work/busybox"
# shellcheck disable=SC2016 # the guest's
echo 'mkdir -p "$1" && tar -C "$1" -xf "${BASH_SOURCE[0]%/*}/busybox-root.tar"' >"$tree/scripts/busybox-root.sh"

# The packages that users install, and a newer version with a changed config.yaml. They are not compressed, because
# unpacking would take the guest a minute.
packages=$tree/packages
COMPRESSION=none bash packaging/deb.sh amd64 "$packages" >&2
COMPRESSION=none bash packaging/deb.sh all "$packages" >&2
next=$work/next
dpkg-deb --raw-extract "$packages"/dockbridge_*.deb "$next"
version=$(dpkg-deb --field "$packages"/dockbridge_*.deb Version) newer=999.0.0
sed -i "s/^Version: .*/Version: $newer/" "$next/DEBIAN/control"
# The program, the daemon and the other commands are files of their own (docs/adr/0036), and each contains the version.
for file in main serve commands; do
  main=$next/usr/lib/dockbridge/$file.js
  sed -i "s/DOCKBRIDGE_VERSION=\"$version\"/DOCKBRIDGE_VERSION=\"$newer\"/" "$main"
  grep -qF "\"$newer\"" "$main" || die "$file.js does not say that it is $version"
done
echo "# This line came with $newer." >>"$next/etc/dockbridge/config.yaml"
mkdir "$packages/next"
dpkg-deb --root-owner-group -Znone --build "$next" "$packages/next" >&2
rm -r "$next"
printf 'SHORT=%q\nONLY=%q\n' "${SHORT:-}" "${ONLY:-}" >"$tree/guest.env"

# The size of a DIMM is a multiple of 128 MiB.
size=$(du -sm "$tree" | cut -f1)
mke2fs -q -t ext4 -L tree -O ^has_journal -d "$tree" "$work/tree.img" "$(((size * 5 / 4 + 100 + 127) / 128 * 128))M" >&2
rm -rf "$tree"
