#!/bin/bash
# upstream.sh: runs cri-tools' own suite and crictl.sh against one runtime that node.sh starts (ENGINE=…).
#   CRITEST=FILE  CRICTL=FILE   binaries to use in place of those that are built from cri-tools' Go module
#   ARGS=…                      for critest, such as ARGS='-websocket-exec -ginkgo.focus=streaming'
#   PARALLEL=N                  specs at a time (default 1); more than 1 needs the ginkgo command, which this script builds
#   GINKGO=vX.Y.Z               the version of ginkgo, if critest's build does not name it
#   SEED=N                      the order of the specs, to repeat a run
#   BENCHMARK=N                 runs critest's benchmarks, N samples each, and prints the bare Engine's figures next to them
#   RECORD=FILE                 records all calls with `dockbridge cri record`, and FILE is the tape
#   TOTALS=FILE                 gets critest's `N passed, N failed, N skipped`
#   JUNIT=FILE                  gets critest's results as JUnit's XML
set -euo pipefail
[ -z "${RECORD:-}" ] || RECORD=$(realpath -m "$RECORD")
export RECORD
cd "$(dirname "$0")"
go=$(bash ../../scripts/go.sh)

if [ -z "${NODE_WORK:-}" ]; then
  # The node has no network, so everything from outside is downloaded now.
  if [ -z "${CRITEST:-}" ] || [ -z "${CRICTL:-}" ]; then
    tools=$(bash ../../scripts/cri-tools.sh)
    CRITEST=${CRITEST:-$tools/critest} CRICTL=${CRICTL:-$tools/crictl}
  fi
  export CRITEST CRICTL
  if [ "${PARALLEL:-1}" != 1 ]; then
    version=${GINKGO:-$("$go" version -m "$CRITEST" | awk '$2 == "github.com/onsi/ginkgo/v2" { print $3 }')}
    [ -n "$version" ] || { echo 'upstream: critest does not name its version of ginkgo; set GINKGO=v2.…' >&2; exit 1; }
    cache=${DOCKBRIDGE_CACHE:-/var/cache/dockbridge}/ginkgo-$version
    GOBIN=$cache "$go" install "github.com/onsi/ginkgo/v2/ginkgo@$version"
    export PATH=$cache:$PATH
  fi
  "$go" build -o /dev/null ./serve
  # critest's image references are constants, so on this node these names lead to our registry.
  NODE_NAMES='registry.k8s.io k8s.gcr.io gcr.io' exec bash node.sh bash upstream.sh
fi
if [ -z "${CONFORMANCE_IMAGES:-}" ]; then
  exec "$go" run ./serve -listen 127.0.0.1:80 bash upstream.sh
fi

failed=0
if [ -n "${BENCHMARK:-}" ]; then
  mkdir "$NODE_WORK/benchmark"
  for what in containers pods images; do printf '%sNumber: %d\n%sNumberParallel: 1\n' $what "$BENCHMARK" $what; done >"$NODE_WORK/benchmark.yaml"
  # No other benchmark uses this image, because each sample removes it.
  echo 'imagePullingBenchmarkImage: registry.k8s.io/e2e-test-images/httpd:2.4.39-4' >>"$NODE_WORK/benchmark.yaml"
  (cd "$NODE_WORK" && "$CRITEST" -runtime-endpoint "$CONFORMANCE_ENDPOINT" -image-endpoint "$CONFORMANCE_ENDPOINT" -benchmark \
    -benchmarking-params-file benchmark.yaml -benchmarking-output-dir "$NODE_WORK/benchmark" -ginkgo.no-color) >"$NODE_WORK/critest.log" 2>&1 ||
    { tail -40 "$NODE_WORK/critest.log" >&2; failed=1; }
  grep -E '^(Ran|SUCCESS|FAIL)' "$NODE_WORK/critest.log" || true
  node benchmark.mjs "$NODE_WORK/benchmark"
  exit $failed
fi
command -v nginx >/dev/null || { echo 'upstream: critest needs an image with nginx (run: make setup)' >&2; exit 1; }
[ "${PARALLEL:-1}" = 1 ] || ARGS="-parallel $PARALLEL ${ARGS:-}"
# The skipped spec needs the published image with a certain digest, which cannot be built again. image_test.go has an
# equivalent.
# shellcheck disable=SC2086 # several arguments
(cd "$NODE_WORK" && "$CRITEST" -runtime-endpoint "$CONFORMANCE_ENDPOINT" -image-endpoint "$CONFORMANCE_ENDPOINT" \
  -ginkgo.skip 'public image with digest' -ginkgo.no-color \
  -ginkgo.json-report "$NODE_WORK/critest.json" ${SEED:+-ginkgo.seed $SEED} ${ARGS:-}) >"$NODE_WORK/critest.log" 2>&1 || failed=1
[ -s "$NODE_WORK/critest.json" ] || { tail -20 "$NODE_WORK/critest.log" >&2; exit 1; }
grep -F 'Random Seed' "$NODE_WORK/critest.log" || true
"$go" run ./report -ginkgo -runtime "$CONFORMANCE_RUNTIME" -totals "${TOTALS:-}" -junit "${JUNIT:-}" <"$NODE_WORK/critest.json" || failed=1
bash crictl.sh || failed=1
exit $failed
