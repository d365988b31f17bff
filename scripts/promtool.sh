#!/bin/bash
# Prints the path of promtool. If there is none, the script unpacks Debian's package without installing it, because an
# installation would start Prometheus.
#
# DOCKBRIDGE_CACHE: the directory for it; default: /var/cache/dockbridge. Only root may have write access to this directory,
# because the file is executed.
set -euo pipefail
if command -v promtool; then exit; fi
target=${DOCKBRIDGE_CACHE:-/var/cache/dockbridge}/promtool
bash "${BASH_SOURCE[0]%/*}/debian-packages.sh" bookworm "$target" prometheus
echo "$target/usr/bin/promtool"
