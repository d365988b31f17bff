#!/bin/bash
# Prints the path of promtool. Where there is none, Debian's package is unpacked and not installed: it would start a Prometheus.
set -euo pipefail
if command -v promtool; then exit; fi
target=/var/tmp/dockbridge-promtool
bash "${BASH_SOURCE[0]%/*}/debian-packages.sh" bookworm $target prometheus
echo $target/usr/bin/promtool
