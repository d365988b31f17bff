#!/bin/bash
# Compiles one of our C programs without a C library. The program is static and has a few KiB, and every build makes the same
# bytes. CC may name a cross compiler (aarch64-linux-gnu-gcc).
#
#   static-program.sh SOURCE FILE [COMPILER OPTIONS]
set -euo pipefail
source=${1:?usage: static-program.sh SOURCE FILE [COMPILER OPTIONS]} out=${2:?}
cc=${CC:-gcc}
command -v "$cc" >/dev/null || { echo "native/static-program.sh: no C compiler '$cc' (run: make setup)" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$cc" -std=gnu11 -Os -Wall -Wextra -Werror -ffreestanding -fno-stack-protector -fno-pic -fcf-protection=none "${@:3}" \
  -fno-asynchronous-unwind-tables -nostdlib -static -no-pie -s -Wl,--build-id=none -Wl,-z,noseparate-code \
  -o "$work/program" "$source" 2>"$work/errors" || { cat "$work/errors" >&2; exit 1; }
install -D -m 755 "$work/program" "$out"
