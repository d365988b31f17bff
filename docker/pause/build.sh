#!/bin/bash
# Builds OUT_DIR/pause.tar: a root file system that holds nothing but the static /pause. Every build makes the same bytes.
# CC may name a cross compiler.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:?usage: build.sh OUT_DIR}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bash "$here/../../native/static-program.sh" "$here/pause.c" "$work/pause"
mkdir -p "$out"
tar -C "$work" --format=ustar --mtime=@0 --owner=0 --group=0 --numeric-owner -cf "$work/pause.tar" pause
mv "$work/pause.tar" "$out/pause.tar"
