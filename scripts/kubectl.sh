#!/bin/bash
# Prints the path of a kubectl of 1.32 or newer, for tests; Debian 12's own is too old for WebSockets, so Debian 13's is
# unpacked into a directory of ours, once. $KUBECTL names another one to use instead.
set -euo pipefail

if [ -n "${KUBECTL:-}" ]; then echo "$KUBECTL" && exit; fi
target=${DOCKBRIDGE_CACHE:-/var/cache/dockbridge}/kubectl-trixie
bash "${BASH_SOURCE[0]%/*}/debian-packages.sh" trixie "$target" kubectl
echo "$target/usr/bin/kubectl"
