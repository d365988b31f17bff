#!/bin/bash
# Prints the path of promtool. Where there is none, Debian's package is unpacked and not installed: it would start a Prometheus.
#
# DOCKBRIDGE_CACHE: where it is kept, /var/cache/dockbridge, which only root can have made: what is there is run.
set -euo pipefail
if command -v promtool; then exit; fi
target=${DOCKBRIDGE_CACHE:-/var/cache/dockbridge}/promtool
bash "${BASH_SOURCE[0]%/*}/debian-packages.sh" bookworm "$target" prometheus
echo "$target/usr/bin/promtool"
