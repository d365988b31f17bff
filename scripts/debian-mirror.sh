#!/bin/bash
# debian-mirror.sh: prints the machine's own Debian mirror. It reads both formats of apt's source lists.
set -euo pipefail
mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources} 2>/dev/null |
  grep -E '^(URIs:|deb )' | grep -oE -m1 'https?://[^ ]+/debian/?( |$)' || true)
[ -n "$mirror" ] || { echo 'debian-mirror: no Debian mirror in /etc/apt' >&2; exit 1; }
echo "${mirror% }"
