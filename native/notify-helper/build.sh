#!/bin/bash
# Builds FILE, a static program of a few KiB, byte for byte the same on every build. CC may name a cross compiler
# (aarch64-linux-gnu-gcc).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:?usage: build.sh FILE}
cc=${CC:-gcc}
command -v "$cc" >/dev/null || { echo "native/notify-helper/build.sh: no C compiler '$cc' (run: make setup)" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$cc" -std=gnu11 -Os -Wall -Wextra -Werror -ffreestanding -fno-stack-protector -fno-pic -fcf-protection=none -mgeneral-regs-only \
  -fno-asynchronous-unwind-tables -nostdlib -static -no-pie -s -Wl,--build-id=none -Wl,-z,noseparate-code \
  -o "$work/notify-helper" "$here/notify-helper.c" 2>"$work/errors" || { cat "$work/errors" >&2; exit 1; }
install -D -m 755 "$work/notify-helper" "$out"
