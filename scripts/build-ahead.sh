#!/bin/bash
# build-ahead.sh: downloads and builds, once, the programs that the conformance and kubelet suites would otherwise build at their start.
# If a part fails, the suite that needs it tries again and prints the error.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit
bash scripts/cri-tools.sh
for engine in 28.5 29; do bash scripts/engine-version.sh $engine; done
bash scripts/kubelet.sh
# The tests' own programs stay in Go's cache.
go=$(bash scripts/go.sh) || exit
for module in . old kubelet; do "$go" -C "test/conformance/$module" test -run '^$' ./... >/dev/null 2>&1; done
exit 0
