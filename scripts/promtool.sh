#!/bin/bash
# Prints the path of promtool. If there is none, Debian's package is unpacked but not installed, because it would start Prometheus.
#
# DOCKBRIDGE_CACHE: its directory, /var/cache/dockbridge. Only root may be able to write there, because the file is executed.
set -euo pipefail
if command -v promtool; then exit; fi
target=${DOCKBRIDGE_CACHE:-/var/cache/dockbridge}/promtool
bash "${BASH_SOURCE[0]%/*}/debian-packages.sh" bookworm "$target" prometheus
echo "$target/usr/bin/promtool"
