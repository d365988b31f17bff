#!/bin/bash
# Builds OUT_DIR/pause.tar: a root file system that holds nothing but the static /pause, byte for byte the same
# on every build. CC may name a cross compiler (aarch64-linux-gnu-gcc).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:?usage: build.sh OUT_DIR}
cc=${CC:-gcc}
command -v "$cc" >/dev/null || { echo "docker/pause/build.sh: no C compiler '$cc' (run: make setup)" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$cc" -std=gnu11 -Os -Wall -Wextra -Werror -ffreestanding -fno-stack-protector -fno-pic -fcf-protection=none \
  -fno-asynchronous-unwind-tables -nostdlib -static -no-pie -s -Wl,--build-id=none -Wl,-z,noseparate-code \
  -o "$work/pause" "$here/pause.c" 2>"$work/errors" || { cat "$work/errors" >&2; exit 1; }
chmod 0755 "$work/pause"
mkdir -p "$out"
tar -C "$work" --format=ustar --mtime=@0 --owner=0 --group=0 --numeric-owner -cf "$work/pause.tar" pause
mv "$work/pause.tar" "$out/pause.tar"
