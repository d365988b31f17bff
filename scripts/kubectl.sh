#!/bin/bash
# Prints the path of kubectl 1.32 or newer, for tests. Debian 12's is too old for WebSockets, so the script unpacks Debian
# 13's once into a directory of ours. $KUBECTL names another kubectl to use.
set -euo pipefail

if [ -n "${KUBECTL:-}" ]; then echo "$KUBECTL" && exit; fi
target=${DOCKBRIDGE_CACHE:-/var/cache/dockbridge}/kubectl-trixie
bash "${BASH_SOURCE[0]%/*}/debian-packages.sh" trixie "$target" kubectl
echo "$target/usr/bin/kubectl"
