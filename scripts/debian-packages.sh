#!/bin/bash
# debian-packages.sh SUITE DIR PACKAGE...: unpacks packages of another Debian suite into DIR without installing them. Does
# nothing if DIR exists. A killed run leaves no incomplete DIR. ARCH: the packages' architecture; default: this machine's.
set -euo pipefail

suite=${1:?SUITE} target=${2:?DIR}
shift 2
die() { echo "debian-packages: $*" >&2; exit 1; }

mkdir -p "$(dirname "$target")"
exec 7>"$target.lock"
flock 7
[ ! -d "$target" ] || exit 0

mirror=$(bash "${BASH_SOURCE[0]%/*}/debian-mirror.sh") || die "cannot fetch these packages; install them by hand: $*"
work=$(mktemp -d "$(dirname "$target")/unpacking.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/root"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$work/sources.list"
apt=(apt-get -qq -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=/dev/null
  -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache" -o "Dir::State::status=$work/status"
  -o APT::Sandbox::User=root ${ARCH:+-o "APT::Architecture=$ARCH" -o "APT::Architectures=$ARCH"})
touch "$work/status"
echo "debian-packages: fetching $* of Debian $suite" >&2
{
  "${apt[@]}" update
  cd "$work" && "${apt[@]}" download "$@"
  for package in *.deb; do dpkg -x "$package" root; done
} >"$work/log" 2>&1 || { cat "$work/log" >&2; die "cannot download from Debian $suite: $*"; }
mv "$work/root" "$target"
