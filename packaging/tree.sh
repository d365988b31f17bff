#!/bin/bash
# Fills a directory with all files of a package, at their paths on a node, with the same bytes each time from the same
# commit. Needs dist/ (make build).
#
#   tree.sh ARCH DIRECTORY   ARCH: amd64 or arm64
#
# SOURCE_DATE_EPOCH: the date of the manual page; default: the commit's.
set -euo pipefail
here=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
root=${here%/*}
die() { echo "tree: $*" >&2; exit 1; }

arch=${1:?usage: tree.sh ARCH DIRECTORY} tree=${2:?usage: tree.sh ARCH DIRECTORY}
case $arch in
  amd64) tools=x86_64-linux-gnu- ;;
  arm64) tools=aarch64-linux-gnu- ;;
  *) die "no package is made for '$arch', only for amd64 and arm64" ;;
esac
[ -f "$root/dist/main.js" ] || die 'dist/ is missing (run: make build)'
: "${SOURCE_DATE_EPOCH:=$(git -C "$root" log -1 --format=%ct)}"
export SOURCE_DATE_EPOCH
umask 022

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
lib=$tree/usr/lib/dockbridge doc=$tree/usr/share/doc/dockbridge
install -d "$lib" "$doc"

# --- the program, with a Node.js of its own, because dockbridge needs a newer one than Debian's
node=$(node "$here/node.mjs" "$arch")
node "$here/bundle.mjs" "$lib" "$work"
chmod 644 "$lib/main.js"
CC=${tools}gcc bash "$root/docker/pause/build.sh" "$lib/pause"
CC=${tools}gcc bash "$root/native/notify-helper/build.sh" "$lib/notify-helper"
"${tools}strip" --strip-unneeded -o "$lib/node" "$node/bin/node"
chmod 755 "$lib/node"
node "$here/sbom.mjs" "$arch" "$lib" "$work/packages.json" "$lib/sbom.cdx.json"
install -D -m 755 "$here/dockbridge.sh" "$tree/usr/bin/dockbridge"
install -D -m 644 -t "$tree/lib/systemd/system" "$here"/systemd/dockbridge.{service,socket}
install -D -m 644 "$here/systemd/dockbridge.default" "$tree/etc/default/dockbridge"
install -d "$tree/etc/dockbridge/config.d"
node "$lib/main.js" config default >"$tree/etc/dockbridge/config.yaml"

# --- documentation
node "$here/pages.mjs" "$work" "$(date -u -d "@$SOURCE_DATE_EPOCH" +%F)"
install -D -m 644 "$work/dockbridge.8" "$tree/usr/share/man/man8/dockbridge.8"
install -D -m 644 "$work/dockbridge.bash" "$tree/usr/share/bash-completion/completions/dockbridge"
install -D -m 644 "$work/_dockbridge" "$tree/usr/share/zsh/vendor-completions/_dockbridge"
node "$here/manuals.mjs" "$doc"
{
  printf 'Licences of the packages whose code is in /usr/lib/dockbridge/*.js\n\n'
  cat "$work/licences"
  printf '\nLicence of Node.js, which is /usr/lib/dockbridge/node\n\n'
  cat "$node/LICENSE"
} >"$doc/licences.txt"
gzip -9n "$tree/usr/share/man/man8/dockbridge.8" "$doc"/*.{md,txt}
find "$doc" -type d -exec chmod 755 {} + -o -type f -exec chmod 644 {} +
