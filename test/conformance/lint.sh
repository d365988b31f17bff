#!/bin/bash
# lint.sh: runs gofmt and go vet on the conformance modules, and the tests of their report code, which need no runtime.
set -euo pipefail
cd "$(dirname "$0")"
go=$(bash ../../scripts/go.sh)
found=$("$("$go" env GOROOT)/bin/gofmt" -l .)
[ -z "$found" ] || { printf 'lint: gofmt would change these files:\n%s\n' "$found" >&2; exit 1; }
for module in . old kubelet; do (cd $module && "$go" vet ./...); done
"$go" test ./internal/report ./suite
