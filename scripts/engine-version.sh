#!/bin/bash
# Installs one version of Docker Engine next to the machine's own, and prints the directories to put before PATH, each with a
# colon after it. A version that exists is not fetched again.
#
#   engine-version.sh NAME            20.10: Debian 12's docker.io, which is installed; prints nothing
#                                     26.1, 28.5, 29: downloaded or built, not installed
# NAME-containerd and NAME-graphdriver choose the image store, which daemon-json.mjs writes into the configuration.
#
# 26.1 and 28.5 are Debian's packages of later suites. They work with Debian 12's runc and libc; the packages' own runc needs
# a newer libc. No suite has 29, so it is built from its Go module, with a runc that supports time namespaces, and uses the
# containerd of 28.5's suite. DOCKBRIDGE_CACHE: the directory for all of them, /var/cache/dockbridge.
set -euo pipefail
here=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
cache=${DOCKBRIDGE_CACHE:-/var/cache/dockbridge}
engine=29.8.1

say() { echo "engine-version: $*" >&2; }
die() { say "$*"; exit 1; }

debian() { # VERSION SUITE: prints the directory
  local found target=$cache/engine-$1
  bash "$here/debian-packages.sh" "$2" "$target" docker.io containerd
  found=$("$target/usr/sbin/dockerd" --version)
  [[ $found == *" $1."* ]] || say "Debian $2 has another version by now: $found"
  echo "$target"
}

moby() { # prints the directory
  local target=$cache/moby-$engine
  CGO_ENABLED=0 bash "$here/go-programs.sh" "$target" github.com/moby/moby/v2 v2.0.0-beta.24 \
    h1:sWv7EckkDJhpraR9yUjkw1XeVf39+MWd58E22PYloNA= dockerd=./cmd/dockerd docker-proxy=./cmd/docker-proxy -- \
    -tags 'exclude_graphdriver_btrfs no_systemd' \
    -ldflags "-s -w -X github.com/moby/moby/v2/dockerversion.Version=$engine"
  echo "$target"
}

runc() { # prints the directory
  local target=$cache/runc-1.5.3
  CGO_ENABLED=1 bash "$here/go-programs.sh" "$target" github.com/opencontainers/runc v1.5.3 \
    h1:y3GUIW7J0Gxd+tCFfWR6L1YDnhHiNR1BGRx1J50+VnA= runc=. -- -tags seccomp -ldflags '-s -w -X main.version=1.5.3'
  echo "$target"
}

case ${1:-} in
  20.10) ;;
  26.1 | 26.1-containerd) directory=$(debian 26.1 trixie) && echo "$directory/usr/bin:$directory/usr/sbin:" ;;
  28.5 | 28.5-containerd) directory=$(debian 28.5 forky) && echo "$directory/usr/bin:$directory/usr/sbin:" ;;
  29 | 29-graphdriver)
    directory=$(moby) && runc=$(runc) && containerd=$(debian 28.5 forky)
    echo "$directory:$runc:$containerd/usr/bin:"
    ;;
  *) die "unknown version '${1:-}': 20.10, 26.1, 28.5, 28.5-containerd, 29 or 29-graphdriver" ;;
esac
