#!/bin/bash
# Unpacks one version of Docker Engine beside the machine's own and prints the directory; quick when it is there.
#
#   engine-version.sh 20.10|26.1|28.5        20.10 is Debian 12's docker.io: prints nothing, it is installed
#
# The newer ones are Debian's packages of later suites, unpacked, not installed: Debian 12's runc and libc serve all
# three, the packages' own runc wants a newer libc. DOCKBRIDGE_CACHE: where they are kept, /var/cache/dockbridge.
set -euo pipefail

say() { echo "engine-version: $*" >&2; }
die() { say "$*"; exit 1; }

version=${1:-}
case $version in
  20.10) exit 0 ;;
  26.1) suite=trixie ;;
  28.5) suite=forky ;;
  *) die "unknown version '$version': 20.10, 26.1 or 28.5" ;;
esac
cache=${DOCKBRIDGE_CACHE:-/var/cache/dockbridge}
target=$cache/engine-$version
bash "${BASH_SOURCE[0]%/*}/debian-packages.sh" $suite "$target" docker.io containerd
found=$("$target/usr/sbin/dockerd" --version)
[[ $found == *" $version."* ]] || say "Debian $suite has another version by now: $found"
echo "$target"
