#!/bin/bash
# Prints the path of a Go that is new enough for test/conformance and for programs of other modules. If the machine has none
# (Debian 12's is too old), the script unpacks Debian testing's once into a directory of ours. $GO names another Go to use.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ -n "${GO:-}" ]; then echo "$GO" && exit; fi
wanted=$(sed -n 's/^go //p' test/conformance/go.mod)
found=$(GOTOOLCHAIN=local go env GOVERSION 2>/dev/null || true)
if [ -n "$found" ] && printf '%s\n' "$wanted" "${found#go}" | sort -V -C; then command -v go && exit; fi
version=${wanted%.*}
target=${DOCKBRIDGE_CACHE:-/var/cache/dockbridge}/go-$version
bash scripts/debian-packages.sh forky "$target" "golang-$version-go" "golang-$version-src"
[ -e "$target/go" ] || ln -s "usr/lib/go-$version/bin/go" "$target/go"
echo "$target/go"
