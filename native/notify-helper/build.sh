#!/bin/bash
# Builds FILE, the helper that notifies systemd. CC may name a cross compiler.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
bash "$here/../static-program.sh" "$here/notify-helper.c" "${1:?usage: build.sh FILE}" -mgeneral-regs-only
