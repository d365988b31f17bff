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
mkdir -p "$cache"
exec 7>"$cache/engine-$version.lock"
flock 7

if [ ! -d "$target" ]; then
  mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources} 2>/dev/null |
    grep -E '^(URIs:|deb )' | grep -oE -m1 'https?://[^ ]+/debian/?( |$)' || true)
  [ -n "$mirror" ] || die 'no Debian mirror in /etc/apt: only Debian 12 can unpack other versions'
  work=$(mktemp -d "$cache/unpacking.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/root"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${mirror% } $suite main" >"$work/sources.list"
  apt=(apt-get -qq -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root)
  say "fetching docker.io and containerd of Debian $suite"
  "${apt[@]}" update >&2
  (cd "$work" && "${apt[@]}" download docker.io containerd >&2 && for package in *.deb; do dpkg -x "$package" root; done)
  mv "$work/root" "$target"
fi
found=$("$target/usr/sbin/dockerd" --version)
[[ $found == *" $version."* ]] || say "Debian $suite has another version by now: $found"
echo "$target"
