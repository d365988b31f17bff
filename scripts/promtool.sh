#!/bin/bash
# Prints the path of promtool. If there is none, Debian's package is unpacked but not installed, because it would start Prometheus.
#
# DOCKBRIDGE_CACHE: its directory; default: /var/cache/dockbridge. Only root may have write access to it, because the file is
# executed.
set -euo pipefail
if command -v promtool; then exit; fi
target=${DOCKBRIDGE_CACHE:-/var/cache/dockbridge}/promtool
bash "${BASH_SOURCE[0]%/*}/debian-packages.sh" bookworm "$target" prometheus
echo "$target/usr/bin/promtool"
